/* SPDX-License-Identifier: Apache-2.0 */
/* gateway_table.c - next hops, sets of them and routes: as the file has them, and in
 * the kernel. */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "gateway/gateway_shell.h"
#include "part/fact.h"

#define FIRST_ID UINT32_C(0x6e000000) /* far from numbers that people give */

/* What the kernel has of ours. */
struct found {
	struct fib_nexthop nexthop[2 * (GATEWAY_HOPS + GATEWAY_SETS)];
	size_t n_nexthops;
	struct fib_route route[4 * GATEWAY_SETS];
	size_t n_routes;
	uint32_t highest;
};

static void
keep_nexthop(void *arg, const struct fib_nexthop *nh)
{
	struct found *f = arg;

	if (nh->id > f->highest)
		f->highest = nh->id;
	if (f->n_nexthops < ARRAY_LEN(f->nexthop))
		f->nexthop[f->n_nexthops++] = *nh;
}

static void
keep_route(void *arg, const struct fib_route *r)
{
	struct found *f = arg;

	if (f->n_routes < ARRAY_LEN(f->route))
		f->route[f->n_routes++] = *r;
}

static void
complain(const char *event, int err)
{
	if (err != 0)
		log_event(LOG_ERR, event, "why=\"%s\"", strerror(-err));
}

static void
look_up_found(struct netlink *nl, struct found *f, bool routes)
{
	int err;

	*f = (struct found){.highest = FIRST_ID};
	err = fib_nexthops(nl, keep_nexthop, f);
	if (err == 0 && routes)
		err = fib_routes(nl, AF_INET, keep_route, f);
	if (err == 0 && routes)
		err = fib_routes(nl, AF_INET6, keep_route, f);
	complain("no_routes_listed", err);
}

static const struct fib_nexthop *
found_nexthop(const struct found *f, uint32_t id)
{
	for (size_t i = 0; i < f->n_nexthops; i++) {
		if (f->nexthop[i].id == id)
			return &f->nexthop[i];
	}
	return NULL;
}

static bool
same_route(const struct fib_route *a, const struct fib_route *b)
{
	return a->table == b->table && a->metric == b->metric &&
	       a->to.bits == b->to.bits && ip_equal(&a->to.ip, &b->to.ip);
}

/* ---- from the file to the table ------------------------------------------------ */

/* The number of the hop, which is added if it is new; -1: no room. */
static int
hop_number(struct gateway_table *t, const struct host *me, const struct gateway_hop *h)
{
	for (unsigned i = 0; i < t->n_hops; i++) {
		if (t->hop[i].at.network == h->network &&
		    ip_equal(&t->hop[i].at.ip, &h->ip))
			return (int)i;
	}
	if (t->n_hops == GATEWAY_HOPS)
		return -1;
	t->hop[t->n_hops] =
	    (struct gateway_at){.at = *h, .own = host_address_on(me, h->network)};
	return (int)t->n_hops++;
}

static void
add_route(struct gateway_table *t, const struct gateway_plan_route *p, uint64_t member)
{
	unsigned set = 0;

	/* The families' hops differ, so sets of equal members are of one family. */
	while (set < t->n_sets && t->member[set] != member)
		set++;
	if (set == t->n_sets)
		t->member[t->n_sets++] = member;
	t->set_of[t->n_routes] = set;
	t->route[t->n_routes++] = (struct fib_route){.to = p->to,
	    .table = p->to.bits == 0 ? GATEWAY_TABLE : FIB_MAIN,
	    .metric = GATEWAY_METRIC};
}

static void
fill(struct gateway_table *t, const struct gateway_plan *plan, const struct host *me)
{
	*t = (struct gateway_table){0};
	for (size_t i = 0; i < plan->n_routes && t->n_routes < GATEWAY_SETS; i++) {
		const struct gateway_plan_route *p = &plan->route[i];
		uint64_t member = 0;

		for (size_t k = 0; k < p->n_hops; k++) {
			int n = hop_number(t, me, &p->hop[k]);

			if (n >= 0)
				member |= GATEWAY_BIT(n);
		}
		if (member != 0)
			add_route(t, p, member);
	}
}

/* ---- what is there already ----------------------------------------------------- */

static void
look_at(struct gateway_at *h, const struct links *links)
{
	const struct netlink_link *l =
	    links_find(links, h->own->interface, &h->own->ip);

	h->index = l != NULL ? l->index : 0;
	h->up = l != NULL && l->up;
	h->ethernet = l != NULL && l->has_mac;
	if (l == NULL)
		return;
	memcpy(h->interface, l->name, sizeof(h->interface));
	memcpy(h->mac, l->mac, sizeof(h->mac));
}

static void
adopt_hops(struct gateway_table *t, const struct found *f)
{
	for (unsigned i = 0; i < t->n_hops; i++) {
		struct gateway_at *h = &t->hop[i];

		for (size_t k = 0; k < f->n_nexthops && h->id == 0; k++) {
			const struct fib_nexthop *nh = &f->nexthop[k];

			if (nh->ip.family != 0 && nh->index == h->index &&
			    ip_equal(&nh->ip, &h->at.ip))
				h->id = nh->id;
		}
		h->installed = h->id != 0;
	}
}

static bool
group_taken(const struct gateway_table *t, uint32_t id)
{
	for (unsigned i = 0; i < t->n_sets; i++) {
		if (t->group[i] == id)
			return true;
	}
	return false;
}

/* A set goes on in the group of the first of its routes that the kernel has. */
static void
adopt_groups(struct gateway_table *t, const struct found *f)
{
	for (unsigned i = 0; i < t->n_routes; i++) {
		unsigned set = t->set_of[i];

		for (size_t k = 0; k < f->n_routes; k++) {
			const struct fib_route *r = &f->route[k];

			if (!same_route(r, &t->route[i]))
				continue;
			t->routed[i] = true;
			t->route[i].group = r->group;
			if (t->group[set] == 0 && !group_taken(t, r->group) &&
			    found_nexthop(f, r->group) != NULL)
				t->group[set] = r->group;
		}
	}
}

/* The members of set `i` that the kernel uses now. */
static uint64_t
used(const struct gateway_table *t, unsigned set, const struct found *f)
{
	const struct fib_nexthop *nh = found_nexthop(f, t->group[set]);
	uint64_t mask = 0;

	for (size_t k = 0; nh != NULL && k < nh->n_members; k++) {
		for (unsigned i = 0; i < t->n_hops; i++) {
			if (t->hop[i].installed && t->hop[i].id == nh->member[k])
				mask |= GATEWAY_BIT(i);
		}
	}
	return mask & t->member[set];
}

static const struct gateway_next *
old_state(const struct gateway_shell *sh, struct gateway_at *h)
{
	for (unsigned i = 0; i < sh->table.n_hops; i++) {
		const struct gateway_at *o = &sh->table.hop[i];

		if (o->index != h->index || !ip_equal(&o->at.ip, &h->at.ip))
			continue;
		memcpy(h->there, o->there, sizeof(h->there));
		h->there_known = o->there_known;
		return &sh->core.hop[i];
	}
	return NULL;
}

/* A hop that an earlier process took out of all its sets was down. */
static bool
left_out(const struct gateway_table *t, const struct found *f, unsigned hop)
{
	bool anywhere = false;

	for (unsigned i = 0; i < t->n_sets; i++) {
		uint64_t mask = used(t, i, f);

		if ((t->member[i] & GATEWAY_BIT(hop)) == 0)
			continue;
		if (mask == 0 || (mask & GATEWAY_BIT(hop)) != 0)
			return false;
		anywhere = true;
	}
	return anywhere && t->hop[hop].installed;
}

static void
make_core(struct gateway_shell *sh, struct gateway_table *t, const struct found *f)
{
	const struct gateways *g = &sh->cluster->gateways;
	const struct gateway_conf conf = {
	    .heartbeat_ns = g->heartbeat_ns, .fall = g->fall, .rise = g->rise};
	static const struct gateway_next was_down = {
	    .state = GATEWAY_DOWN, .link = true};
	const char *fitness = heard_value(&sh->facts, GATEWAY_FORWARD);
	mono_t now = loop_now(sh->loop), since = now;
	struct gateway_core core;

	/* What was dark for long before stays so: a reload is no news. */
	if (fact_is(fitness, "down"))
		since = (mono_t){0};
	gateway_core_init(&core, &conf);
	for (unsigned i = 0; i < t->n_hops; i++) {
		const struct gateway_next *was = old_state(sh, &t->hop[i]);

		if (was == NULL && left_out(t, f, i))
			was = &was_down;
		(void)gateway_core_add_hop(&core, now, was);
	}
	for (unsigned i = 0; i < t->n_sets; i++)
		(void)gateway_core_add_set(&core, since, t->member[i], used(t, i, f));
	sh->core = core;
}

/* New numbers for what the kernel does not have. */
static void
number(struct gateway_table *t, uint32_t highest)
{
	for (unsigned i = 0; i < t->n_hops; i++) {
		if (t->hop[i].id == 0)
			t->hop[i].id = ++highest;
	}
	for (unsigned i = 0; i < t->n_sets; i++) {
		if (t->group[i] == 0)
			t->group[i] = ++highest;
	}
}

void
gateway_table_make(struct gateway_shell *sh, const struct links *links)
{
	struct gateway_table t;
	struct found f;

	fill(&t, &sh->plan, sh->me);
	for (unsigned i = 0; i < t.n_hops; i++)
		look_at(&t.hop[i], links);
	look_up_found(sh->nl, &f, true);
	adopt_hops(&t, &f);
	adopt_groups(&t, &f);
	make_core(sh, &t, &f);
	number(&t, f.highest);
	sh->table = t;
}

bool
gateway_table_look(struct gateway_shell *sh, const struct links *links)
{
	bool changed = false;

	for (unsigned i = 0; i < sh->table.n_hops; i++) {
		struct gateway_at *h = &sh->table.hop[i];
		const unsigned index = h->index;
		const bool up = h->up;

		look_at(h, links);
		if (h->index == index && h->up == up)
			continue;
		h->installed = false;
		changed = true;
	}
	return changed;
}

/* ---- into the kernel ----------------------------------------------------------- */

static void
install_hop(struct gateway_shell *sh, struct gateway_at *h, const struct found *f)
{
	const struct fib_nexthop *nh = found_nexthop(f, h->id);
	char text[IP_STR_LEN];
	int err;

	h->installed =
	    nh != NULL && nh->index == h->index && ip_equal(&nh->ip, &h->at.ip);
	if (h->installed || h->index == 0 || !h->up)
		return; /* without a link the kernel forgets and refuses it */
	err = fib_hop_set(sh->nl, h->id, &h->at.ip, h->index);
	h->installed = err == 0;
	if (err != 0 && !h->refused)
		log_event(LOG_ERR, "next_hop_not_set", "hop=%s why=\"%s\"",
		    ip_format(&h->at.ip, text), strerror(-err));
	h->refused = err != 0;
}

static bool
same_members(const struct fib_nexthop *nh, const uint32_t *member, size_t n)
{
	size_t same = 0;

	for (size_t i = 0; nh != NULL && i < n * nh->n_members; i++)
		same += nh->member[i / n] == member[i % n];
	return nh != NULL && nh->n_members == n && same == n;
}

/* Writes the set's group if it is not in `f` as it should be (NULL: in any case).
 * Without a hop that the kernel has there can be none. */
static void
install_group(struct gateway_shell *sh, unsigned set, const struct found *f)
{
	struct gateway_table *t = &sh->table;
	uint32_t member[FIB_GROUP_MAX];
	size_t n = 0;
	int err;

	t->installed[set] = false;
	for (unsigned i = 0; i < t->n_hops && n < ARRAY_LEN(member); i++) {
		if ((sh->core.set[set].live & GATEWAY_BIT(i)) != 0 &&
		    t->hop[i].installed)
			member[n++] = t->hop[i].id;
	}
	if (n == 0)
		return;
	if (f != NULL && same_members(found_nexthop(f, t->group[set]), member, n)) {
		t->installed[set] = true;
		return;
	}
	err = fib_group_set(sh->nl, t->group[set], member, n, sh->kind);
	if (err == -EINVAL && sh->kind == FIB_RESILIENT) {
		err = fib_group_set(sh->nl, t->group[set], member, n, FIB_PLAIN);
		if (err == 0) {
			log_event(LOG_WARN, "no_resilient_groups",
			    "effect=\"flows move when a next hop comes or goes\"");
			sh->kind = FIB_PLAIN;
		}
	}
	t->installed[set] = err == 0;
	complain("group_not_set", err);
}

static void
install_route(struct gateway_shell *sh, unsigned i)
{
	struct gateway_table *t = &sh->table;
	struct fib_route *r = &t->route[i];
	const uint32_t group = t->group[t->set_of[i]];
	bool ours = t->routed[i], same = ours && r->group == group;
	char to[IP_STR_LEN];
	int err;

	if (!t->installed[t->set_of[i]]) {
		t->routed[i] = false;
		return;
	}
	r->group = group;
	err = fib_route_set(sh->nl, r, !ours || same);
	if (err == -EEXIST && same)
		err = 0;
	t->routed[i] = err == 0;
	if (err != 0 && !t->refused[i])
		log_event(LOG_ERR, "route_not_set", "to=%s/%u why=\"%s\"",
		    ip_format(&r->to.ip, to), r->to.bits,
		    err == -EEXIST ? "another route of this metric is there"
				   : strerror(-err));
	t->refused[i] = err != 0;
}

static bool
has_default(const struct gateway_table *t, uint8_t family)
{
	for (unsigned i = 0; i < t->n_routes; i++) {
		if (t->route[i].to.bits == 0 && t->route[i].to.ip.family == family)
			return t->routed[i];
	}
	return false;
}

static void
install_rules(struct gateway_shell *sh, uint8_t family)
{
	int err = 0;

	if (!has_default(&sh->table, family))
		return;
	err = fib_rule_set(sh->nl, family, GATEWAY_RULE_SPECIFIC, FIB_MAIN, true);
	if (err == 0)
		err = fib_rule_set(
		    sh->nl, family, GATEWAY_RULE_DEFAULT, GATEWAY_TABLE, false);
	complain("rule_not_set", err);
}

/* The way to our table first, that nothing is lost in between. */
static void
sweep_rules(struct gateway_shell *sh, uint8_t family)
{
	int err;

	if (has_default(&sh->table, family))
		return;
	err = fib_rule_del(sh->nl, family, GATEWAY_RULE_DEFAULT, GATEWAY_TABLE);
	if (err == 0)
		err = fib_rule_del(sh->nl, family, GATEWAY_RULE_SPECIFIC, FIB_MAIN);
	if (err != -EAFNOSUPPORT && err != -EOPNOTSUPP) /* a kernel without IPv6 */
		complain("rule_not_removed", err);
}

static bool
wanted_route(const struct gateway_table *t, const struct fib_route *r)
{
	for (unsigned i = 0; i < t->n_routes; i++) {
		if (same_route(&t->route[i], r))
			return true;
	}
	return false;
}

static bool
wanted_nexthop(const struct gateway_table *t, const struct fib_nexthop *nh)
{
	bool wanted = group_taken(t, nh->id);

	for (unsigned i = 0; i < t->n_hops; i++)
		wanted |= t->hop[i].id == nh->id;
	return wanted;
}

/* Routes, then the groups they used, then the hops of these. */
static void
sweep(struct gateway_shell *sh, const struct found *f)
{
	const struct gateway_table *t = &sh->table;

	for (size_t i = 0; i < f->n_routes; i++) {
		if (!wanted_route(t, &f->route[i]))
			complain(
			    "route_not_removed", fib_route_del(sh->nl, &f->route[i]));
	}
	for (unsigned groups = 2; groups-- > 0;) {
		for (size_t i = 0; i < f->n_nexthops; i++) {
			const struct fib_nexthop *nh = &f->nexthop[i];

			if ((nh->ip.family == 0) == (groups != 0) &&
			    !wanted_nexthop(t, nh))
				complain("next_hop_not_removed",
				    fib_nexthop_del(sh->nl, nh->id));
		}
	}
}

void
gateway_table_install(struct gateway_shell *sh)
{
	struct gateway_table *t = &sh->table;
	struct found f;

	look_up_found(sh->nl, &f, true);
	for (unsigned i = 0; i < t->n_routes; i++)
		t->routed[i] = false;
	adopt_groups(t, &f);
	for (unsigned i = 0; i < t->n_hops; i++)
		install_hop(sh, &t->hop[i], &f);
	for (unsigned i = 0; i < t->n_sets; i++)
		install_group(sh, i, &f);
	for (unsigned i = 0; i < t->n_routes; i++)
		install_route(sh, i);
	install_rules(sh, AF_INET);
	install_rules(sh, AF_INET6);
	sweep_rules(sh, AF_INET);
	sweep_rules(sh, AF_INET6);
	sweep(sh, &f);
}

void
gateway_table_set(struct gateway_shell *sh, unsigned set)
{
	install_group(sh, set, NULL);
}

static bool
all_there(const struct gateway_shell *sh, const struct found *f)
{
	const struct gateway_table *t = &sh->table;
	bool all = true;

	for (unsigned i = 0; i < t->n_hops; i++) {
		const struct gateway_at *h = &t->hop[i];

		all &= !h->up || (h->installed && found_nexthop(f, h->id) != NULL);
	}
	for (unsigned i = 0; i < t->n_sets; i++)
		all &= !t->installed[i] || found_nexthop(f, t->group[i]) != NULL;
	return all;
}

void
gateway_table_audit(struct gateway_shell *sh)
{
	struct found f;

	look_up_found(sh->nl, &f, false);
	if (!all_there(sh, &f)) {
		gateway_table_install(sh);
		return;
	}
	for (unsigned i = 0; i < sh->table.n_routes; i++)
		install_route(sh, i);
	install_rules(sh, AF_INET);
	install_rules(sh, AF_INET6);
}

void
gateway_table_remove(struct gateway_shell *sh)
{
	sh->table = (struct gateway_table){0};
	sh->core.n_hops = sh->core.n_sets = 0;
	gateway_table_install(sh);
}
