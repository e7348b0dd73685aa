/* SPDX-License-Identifier: Apache-2.0 */
#include "os/links.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { TRIES = 3 };

static void
keep_link(void *arg, const struct netlink_link *link)
{
	struct links *k = arg;
	void *p = reallocarray(k->link, k->n_links + 1, sizeof(*link));

	if (p == NULL) {
		k->failed = true;
		return;
	}
	k->link = p;
	k->link[k->n_links++] = *link;
}

static void
keep_addr(void *arg, const struct netlink_addr *addr)
{
	struct links *k = arg;
	void *p = reallocarray(k->addr, k->n_addrs + 1, sizeof(*addr));

	if (p == NULL) {
		k->failed = true;
		return;
	}
	k->addr = p;
	k->addr[k->n_addrs++] = *addr;
}

int
links_look(struct netlink *nl, struct links *k)
{
	int err = -EINTR;

	*k = (struct links){0};
	/* EINTR: it changed while it was told. */
	for (unsigned i = 0; i < TRIES && err == -EINTR; i++) {
		k->n_links = k->n_addrs = 0;
		err = netlink_links(nl, keep_link, k);
		if (err == 0)
			err = netlink_addrs(nl, keep_addr, k);
	}
	return k->failed ? -ENOMEM : err;
}

void
links_free(struct links *k)
{
	free(k->link);
	free(k->addr);
	*k = (struct links){0};
}

static bool
has_address(const struct links *k, unsigned index, const struct ip *ip)
{
	for (size_t i = 0; i < k->n_addrs; i++) {
		if (k->addr[i].index == index && ip_equal(&k->addr[i].ip, ip))
			return true;
	}
	return false;
}

const struct netlink_link *
links_find(const struct links *k, const char *name, const struct ip *ip)
{
	for (size_t i = 0; i < k->n_links; i++) {
		const struct netlink_link *l = &k->link[i];

		if ((name == NULL || strcmp(l->name, name) == 0) &&
		    has_address(k, l->index, ip))
			return l;
	}
	return NULL;
}
