/* SPDX-License-Identifier: Apache-2.0 */
/* links.h - a picture of all interfaces and addresses at one moment. */
#ifndef NINES_OS_LINKS_H
#define NINES_OS_LINKS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"
#include "os/netlink.h"

struct links {
	struct netlink_link *link;
	size_t n_links;
	struct netlink_addr *addr;
	size_t n_addrs;
	bool failed; /* no memory on the way */
};

/* links_free() is due also after an error. */
int links_look(struct netlink *nl, struct links *k) MUST_CHECK;
void links_free(struct links *k);

/* The interface of that name (NULL: any) that has `ip`; NULL if there is none. */
const struct netlink_link *links_find(
    const struct links *k, const char *name, const struct ip *ip);

#endif /* NINES_OS_LINKS_H */
