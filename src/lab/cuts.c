/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/cuts.h"

#include <errno.h>
#include <stdio.h>

#include "os/child.h"
#include "os/netns.h"

#define RULES_MAX ((size_t)16384)

static int
run(struct drill *d, const char *const *argv, const char *input)
{
	struct child child = {.argv = argv, .netns = d->world.sw, .input = input};
	int status = child_run(&child, NULL);

	return status > 0 ? -EIO : status;
}

/* A table of its own for each harm, since several may be done at a time. */
static int
drop(struct drill *d, const struct harm *h, const struct sbuf *rules)
{
	static const char *const argv[] = {"nft", "-f", "-", NULL};
	struct sbuf text;
	int err;

	sbuf_init(&text, 2 * RULES_MAX);
	sbuf_printf(&text,
	    "table bridge drill%u {\n chain forward {\n"
	    "  type filter hook forward priority 0;\n%s }\n}\n",
	    h->number, sbuf_text(rules));
	err = text.bad || rules->bad ? -ENOMEM : run(d, argv, sbuf_text(&text));
	sbuf_done(&text);
	return err;
}

int
uncut(struct drill *d, struct harm *h)
{
	char table[24];
	const char *argv[] = {"nft", "delete", "table", "bridge", table, NULL};

	(void)snprintf(table, sizeof(table), "drill%u", h->number);
	return run(d, argv, NULL);
}

int
cut_link(struct drill *d, struct harm *h)
{
	char name[16];

	world_interface(&d->world, h->host, h->net, name);
	return netns_link_set(d->world.host[h->host].ns, name, false);
}

int
mend_link(struct drill *d, struct harm *h)
{
	char name[16];
	int err;

	world_interface(&d->world, h->host, h->net, name);
	err = netns_link_set(d->world.host[h->host].ns, name, true);
	return err == 0 ? world_routes(&d->world, h->host) : err;
}

enum direction { TO_HOST = 1, FROM_HOST = 2 };

#define ALL	 ""
#define VRRP_IP	 "ip protocol 112"
#define VRRP_IP6 "ip6 nexthdr 112"

/* Adds rules for the cable of `host`, for that of its packets which nft's `match` is
 * about. */
static void
forbid(struct drill *d, size_t host, const struct network *net, unsigned directions,
    const char *match, struct sbuf *rules)
{
	char port[16];

	world_port(&d->world, host, net, port);
	if ((directions & FROM_HOST) != 0)
		sbuf_printf(rules, "  iifname \"%s\" %s drop\n", port, match);
	if ((directions & TO_HOST) != 0)
		sbuf_printf(rules, "  oifname \"%s\" %s drop\n", port, match);
}

static int
drop_all(struct drill *d, struct harm *h, unsigned directions)
{
	struct sbuf rules;
	int err;

	sbuf_init(&rules, RULES_MAX);
	forbid(d, h->host, h->net, directions, ALL, &rules);
	err = drop(d, h, &rules);
	sbuf_done(&rules);
	return err;
}

static int
drop_heartbeat(struct drill *d, struct harm *h, unsigned directions)
{
	struct sbuf rules;
	int err;

	sbuf_init(&rules, RULES_MAX);
	forbid(d, h->host, h->net, directions, VRRP_IP, &rules);
	forbid(d, h->host, h->net, directions, VRRP_IP6, &rules);
	err = drop(d, h, &rules);
	sbuf_done(&rules);
	return err;
}

int
cut_silently(struct drill *d, struct harm *h)
{
	return drop_all(d, h, TO_HOST | FROM_HOST);
}

int
cut_hearing(struct drill *d, struct harm *h)
{
	return drop_all(d, h, TO_HOST);
}

int
cut_speaking(struct drill *d, struct harm *h)
{
	return drop_all(d, h, FROM_HOST);
}

int
cut_heartbeat_in(struct drill *d, struct harm *h)
{
	return drop_heartbeat(d, h, TO_HOST);
}

int
cut_heartbeat_out(struct drill *d, struct harm *h)
{
	return drop_heartbeat(d, h, FROM_HOST);
}

/* Only on the network of the harm: others may have heartbeats of their own. */
int
cut_heartbeat(struct drill *d, struct harm *h)
{
	struct sbuf rules;
	int err;

	sbuf_init(&rules, RULES_MAX);
	for (size_t i = 0; i < d->world.n_hosts; i++) {
		if (host_address_on(d->world.host[i].host, h->net) == NULL)
			continue;
		forbid(d, i, h->net, FROM_HOST, VRRP_IP, &rules);
		forbid(d, i, h->net, FROM_HOST, VRRP_IP6, &rules);
	}
	err = drop(d, h, &rules);
	sbuf_done(&rules);
	return err;
}

int
cut_network(struct drill *d, struct harm *h)
{
	return world_power(&d->world, h->net, false);
}

int
mend_network(struct drill *d, struct harm *h)
{
	return world_power(&d->world, h->net, true);
}
