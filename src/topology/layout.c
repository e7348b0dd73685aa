/* SPDX-License-Identifier: Apache-2.0 */
#include "topology/layout.h"

#include <errno.h>
#include <string.h>

#include "topology/build.h"

const char *
tier_name(enum tier tier)
{
	static const char *const name[TIERS] = {[TIER_GATEWAY] = "gateways",
	    [TIER_FIREWALL] = "firewalls",
	    [TIER_BALANCER] = "load balancers",
	    [TIER_SERVER] = "servers",
	    [TIER_DATA] = "data",
	    [TIER_OTHER] = "others"};

	return name[tier];
}

static bool
has_data(const struct cluster *c, const struct host *h)
{
	for (size_t i = 0; i < c->n_databases; i++) {
		const struct replicated *d = &c->database[i].of;

		if (topology_in_hosts(d->host, d->n_hosts, h))
			return true;
	}
	for (size_t i = 0; i < c->n_volumes; i++) {
		const struct replicated *d = &c->volume[i].of;

		if (topology_in_hosts(d->host, d->n_hosts, h))
			return true;
	}
	return false;
}

static enum tier
tier_of(const struct cluster *c, const struct host *h)
{
	if (gateways_have(&c->gateways, h))
		return TIER_GATEWAY;
	if (topology_in_hosts(c->firewall.host, c->firewall.n_hosts, h))
		return TIER_FIREWALL;
	if (topology_has_part(c, h, PART_PROXY))
		return TIER_BALANCER;
	if (cluster_has_server_at(c, h))
		return TIER_SERVER;
	if (has_data(c, h))
		return TIER_DATA;
	return topology_has_part(c, h, PART_VIP) ? TIER_BALANCER : TIER_OTHER;
}

static bool
is_entry(const struct cluster *c, const struct network *net)
{
	for (size_t i = 0; i < c->gateways.outside.n; i++) {
		if (c->gateways.outside.network[i] == net)
			return true;
	}
	if (c->gateways.n_hosts > 0 || c->firewall.outside != NULL)
		return net == c->firewall.outside;
	for (size_t i = 0; i < c->n_floating_ips; i++) {
		if (c->floating_ip[i].network == net)
			return true;
	}
	return false;
}

/* The uppermost and the lowest tier with a host on `net`; false: nobody is. */
static bool
span(const struct layout *l, const struct network *net, enum tier *top,
    enum tier *bottom)
{
	bool any = false;

	for (size_t i = 0; i < l->cluster->n_hosts; i++) {
		if (host_address_on(&l->cluster->host[i], net) == NULL)
			continue;
		if (!any || l->tier[i] < *top)
			*top = l->tier[i];
		if (!any || l->tier[i] > *bottom)
			*bottom = l->tier[i];
		any = true;
	}
	return any;
}

static void
place_networks(struct layout *l)
{
	for (size_t i = 0; i < l->cluster->n_networks; i++) {
		enum tier top = TIER_GATEWAY, bottom = TIER_GATEWAY;
		bool any = span(l, &l->cluster->network[i], &top, &bottom);

		l->entry[i] = is_entry(l->cluster, &l->cluster->network[i]);
		l->gap[i] = any ? (unsigned)top + (top != bottom || !l->entry[i]) : 0;
	}
}

static void
find_weak(const struct topology *t, const size_t *failed, size_t n, struct arena *a,
    struct layout *l)
{
	size_t *set = arena_array(a, n + 1, sizeof(*set));

	if (set == NULL)
		return;
	for (size_t i = 0; i < n; i++) {
		set[i] = failed[i];
		l->failed[failed[i]] = true;
	}
	for (size_t goal = 0; goal < t->n_goals; goal++) {
		if (t->goal[goal].goal.must_survive == 0 ||
		    !topology_survives(t, failed, n, goal))
			continue;
		for (size_t i = 0; i < t->n_failures; i++) {
			set[n] = i;
			if (!l->weak[i] && !topology_survives(t, set, n + 1, goal))
				l->weak[i] = true;
		}
	}
}

int
layout_make(const struct topology *t, const size_t *failed, size_t n_failed,
    struct arena *a, struct layout *out)
{
	const struct cluster *c = t->cluster;

	*out = (struct layout){.cluster = c};
	out->tier = arena_array(a, c->n_hosts + 1, sizeof(*out->tier));
	out->gap = arena_array(a, c->n_networks + 1, sizeof(*out->gap));
	out->entry = arena_array(a, c->n_networks + 1, sizeof(*out->entry));
	out->weak = arena_array(a, t->n_failures + 1, sizeof(*out->weak));
	out->failed = arena_array(a, t->n_failures + 1, sizeof(*out->failed));
	if (arena_failed(a))
		return -ENOMEM;
	for (size_t i = 0; i < c->n_hosts; i++) {
		out->tier[i] = tier_of(c, &c->host[i]);
		out->in_tier[out->tier[i]]++;
	}
	place_networks(out);
	find_weak(t, failed, n_failed, a, out);
	return arena_failed(a) ? -ENOMEM : 0;
}

bool
layout_flag(const struct topology *t, const bool *flag, enum availability_kind kind,
    const struct host *h, const struct network *net)
{
	for (size_t i = 0; i < t->n_failures; i++) {
		const struct failure *f = &t->failure[i];

		if (f->kind == kind && f->host == h && f->network == net && flag[i])
			return true;
	}
	return false;
}
