/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway_settings.c - the kernel's settings of a router.
 *
 * The value that was there before is published as a fact before a setting is changed:
 * a later process of this part puts it back, too.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "gateway/gateway_shell.h"
#include "os/setting.h"

#define FACT "gateway setting "

struct setting {
	const char *name; /* below /proc/sys/net; with `of`, up to the interface ... */
	const char *of;	  /* ... and what follows it; NULL: of the whole machine */
	const char *value;
	const char *only; /* where this was there before; NULL: anywhere */
	uint8_t family;	  /* wanted where a side has it; 0: always */
};

#define V4(of, value)                                      \
	{                                                  \
		"ipv4/conf/", "/" of, value, NULL, AF_INET \
	}
#define V6(of, value)                                       \
	{                                                   \
		"ipv6/conf/", "/" of, value, NULL, AF_INET6 \
	}

/* Of every interface to one of the sides. */
static const struct setting of_side[] = {
    V4("forwarding", "1"),
    /* Packets of one connection come by one gateway and leave by another: the way back
     * need not be the way here, but there must be one (RFC 3704, 2.4). */
    V4("rp_filter", "2"),
    V4("accept_redirects", "0"),
    V4("send_redirects", "0"),
    V6("accept_redirects", "0"),
    V6("accept_ra", "0"),
    V6("forwarding", "1"),
};

/* Forwarding of IPv6 is one switch for all interfaces. It makes the others deaf for
 * router advertisements, which they may live on. */
static const struct setting of_others[] = {
    {"ipv6/conf/", "/accept_ra", "2", "1", AF_INET6},
};

static const struct setting of_gateway[] = {
    /* "all" counts beside the interface's own (in the kernel: IN_DEV_ORCONF). */
    {"ipv4/conf/all/send_redirects", NULL, "0", NULL, AF_INET},
    {"ipv6/conf/all/forwarding", NULL, "1", NULL, AF_INET6},
};

/* By ports, too: flows of two hosts spread over all next hops. */
static const struct setting of_all[] = {
    {"ipv4/fib_multipath_hash_policy", NULL, "1", NULL, 0},
    {"ipv6/fib_multipath_hash_policy", NULL, "1", NULL, 0},
};

static const char *
setting_name(
    const struct setting *s, const char *interface, char name[static SETTING_NAME_LEN])
{
	(void)snprintf(name, SETTING_NAME_LEN, "%s%s%s", s->name,
	    s->of != NULL ? interface : "", s->of != NULL ? s->of : "");
	return name;
}

static void
write_setting(const char *name, const char *value)
{
	int err = setting_write(name, value);

	if (err != 0 && err != -ENOENT)
		log_event(LOG_ERR, "setting_refused", "name=%s value=%s why=\"%s\"",
		    name, value, strerror(-err));
}

/* `value` is what is there now. */
static bool
is_to_change(
    const struct setting *s, const char *name, char value[static SETTING_VALUE_LEN])
{
	return setting_read(name, value) == 0 && strcmp(value, s->value) != 0 &&
	       (s->only == NULL || strcmp(value, s->only) == 0);
}

/* Puts down what is there now, once, if it is to change. */
static void
note(struct gateway_shell *sh, const struct setting *s, const char *interface)
{
	char name[SETTING_NAME_LEN], key[FACT_KEY_LEN], value[SETTING_VALUE_LEN];
	struct heard *t;

	(void)snprintf(key, sizeof(key), FACT "%s", setting_name(s, interface, name));
	t = heard_find(&sh->facts, key);
	if (t != NULL) {
		t->wanted = true;
		return;
	}
	if (is_to_change(s, name, value))
		gateway_tell(sh, key, "%s", value);
}

static void
make(struct gateway_shell *sh, const struct setting *s, const char *interface)
{
	char name[SETTING_NAME_LEN], value[SETTING_VALUE_LEN];

	(void)sh;
	if (is_to_change(s, setting_name(s, interface, name), value))
		write_setting(name, s->value);
}

/* ---- all of them --------------------------------------------------------------- */

static bool
has_family(const struct gateways *g, uint8_t family)
{
	for (size_t i = 0; i < g->outside.n + g->inside.n; i++) {
		if (gateways_network(g, i)->subnet.ip.family == family)
			return true;
	}
	return family == 0;
}

static void
each(struct gateway_shell *sh,
    void (*apply)(struct gateway_shell *, const struct setting *, const char *),
    const struct setting *s, size_t n, const char *interface)
{
	for (size_t i = 0; i < n; i++) {
		if (has_family(&sh->cluster->gateways, s[i].family))
			apply(sh, &s[i], interface);
	}
}

static bool
on_side(const struct gateway_shell *sh, const struct links *links,
    const struct netlink_link *l)
{
	const struct gateways *g = &sh->cluster->gateways;

	for (size_t i = 0; i < g->outside.n + g->inside.n; i++) {
		const struct network *net = gateways_network(g, i);
		const struct host_address *own = host_address_on(sh->me, net);

		if (own != NULL && links_find(links, own->interface, &own->ip) == l)
			return true;
	}
	return false;
}

/* "all" before the interfaces: it sets them, too. */
static void
walk(struct gateway_shell *sh, const struct links *links,
    void (*apply)(struct gateway_shell *, const struct setting *, const char *))
{
	each(sh, apply, of_all, ARRAY_LEN(of_all), "");
	if (!sh->plan.forwards)
		return;
	each(sh, apply, of_gateway, ARRAY_LEN(of_gateway), "");
	for (size_t i = 0; i < links->n_links; i++) {
		const struct netlink_link *l = &links->link[i];

		if (on_side(sh, links, l))
			each(sh, apply, of_side, ARRAY_LEN(of_side), l->name);
		else
			each(sh, apply, of_others, ARRAY_LEN(of_others), l->name);
	}
}

void
gateway_settings_make(struct gateway_shell *sh, const struct links *links)
{
	walk(sh, links, note);
	walk(sh, links, make);
}

/* The last one first: interfaces before "all". */
void
gateway_settings_back(struct gateway_shell *sh, bool everything)
{
	const size_t skip = strlen(FACT);

	for (struct list *l = sh->facts.prev, *before = l->prev; l != &sh->facts;
	     l = before, before = l->prev) {
		struct heard *t = CONTAINER(l, struct heard, link);

		if (strncmp(t->key, FACT, skip) != 0 || (t->wanted && !everything))
			continue;
		write_setting(t->key + skip, t->value);
		gateway_untell(sh, t);
	}
}
