/* SPDX-License-Identifier: Apache-2.0 */
#include "firewall/rules.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define WHY_MAX 160

/* Pings that one host answers; those of other hosts' checks have rules of their own. */
static const struct rate echo_rate = {.count = 100, .unit = 's'};

static const uint8_t family_of[] = {AF_INET, AF_INET6};

/* Sources that nobody outside a host can have (RFC 6890). */
static const char *const bogon[] = {"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16",
    "224.0.0.0/3", "::/128", "::1/128", "::ffff:0:0/96", "fe80::/10", "ff00::/8"};

struct build {
	const struct cluster *c;
	const struct host *me;
	struct arena *a;
	struct rule_list *out;
};

/* ---- the list ------------------------------------------------------------------ */

static struct rule *
add(struct build *b, enum rule_chain chain, enum rule_test test,
    enum rule_verdict verdict)
{
	struct rule_list *l = b->out;
	struct rule *more;

	if ((l->n & (l->n - 1)) == 0) { /* a power of two: full */
		more = arena_array(b->a, l->n > 0 ? 2 * l->n : 1, sizeof(*more));
		if (more == NULL)
			return NULL;
		if (l->n > 0)
			memcpy(more, l->rule, l->n * sizeof(*more));
		l->rule = more;
	}
	l->count[chain]++;
	l->rule[l->n] = (struct rule){
	    .chain = chain,
	    .test = test,
	    .verdict = verdict,
	    .src = {.any = true},
	    .dst = {.any = true},
	    .why = "",
	};
	return &l->rule[l->n++];
}

static PRINTF(2, 3) const char *why(struct build *b, const char *fmt, ...)
{
	char text[WHY_MAX];
	const char *copy;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	copy = arena_strndup(b->a, text, strlen(text));
	return copy != NULL ? copy : "";
}

/* A rule without addresses or ports. */
static void
plain(struct build *b, enum rule_chain chain, enum rule_test test,
    enum rule_verdict verdict, const char *reason)
{
	struct rule *r = add(b, chain, test, verdict);

	if (r != NULL)
		r->why = reason;
}

/* ---- addresses of one family, without those that others cover ------------------ */

static bool
covers(const struct ip_net *wide, const struct ip_net *narrow)
{
	return wide->bits <= narrow->bits && ip_in_net(&narrow->ip, wide);
}

/* False: none of this family is meant. */
static bool
of_family(
    struct arena *a, const struct net_list *l, uint8_t family, struct net_list *out)
{
	*out = (struct net_list){.any = l->any, .not = l->not };
	if (l->any)
		return true;
	out->net = arena_array(a, l->n > 0 ? l->n : 1, sizeof(*out->net));
	for (size_t i = 0; i < l->n && out->net != NULL; i++) {
		bool keep = l->net[i].ip.family == family;

		for (size_t j = 0; j < l->n && keep; j++)
			keep = j == i || !covers(&l->net[j], &l->net[i]) ||
			       (j > i && l->net[j].bits == l->net[i].bits);
		if (keep)
			out->net[out->n++] = l->net[i];
	}
	if (out->n == 0 && l->not )
		*out = (struct net_list){.any = true};
	return out->n > 0 || out->any;
}

/* Ports of one protocol, in order and apart from each other. */
static size_t
of_proto(struct arena *a, const struct port_range *range, size_t n, uint8_t proto,
    const struct port_range **out)
{
	struct port_range *list = arena_array(a, n > 0 ? n : 1, sizeof(*list));
	size_t m = 0, kept = 0;

	*out = list;
	for (size_t i = 0; i < n && list != NULL; i++) {
		size_t at = m;

		if (range[i].proto != proto)
			continue;
		for (; at > 0 && list[at - 1].low > range[i].low; at--)
			list[at] = list[at - 1];
		list[at] = range[i];
		m++;
	}
	for (size_t i = 1; i < m; i++) {
		if (list[i].low > (unsigned)list[kept].high + 1)
			list[++kept] = list[i];
		else if (list[i].high > list[kept].high)
			list[kept].high = list[i].high;
	}
	return m > 0 ? kept + 1 : 0;
}

/* ---- what a row or a flow is about: a selector, for each family a rule ---------- */

struct about {
	struct net_list src, dst;
	uint8_t proto;
	const struct port_range *ports;
	size_t n_ports;
	struct place place;
	const char *why;
};

/* True if a rule of both families can say it. */
static bool
any_family(const struct about *s)
{
	return s->src.any && s->dst.any && s->proto != IPPROTO_ICMP;
}

/* The selector for one family (0: both) in a new rule; NULL: nothing of it. */
static struct rule *
add_about(
    struct build *b, const struct rule *like, const struct about *s, uint8_t family)
{
	struct net_list src = s->src, dst = s->dst;
	struct rule *r;

	if (family != 0 && (!of_family(b->a, &s->src, family, &src) ||
			       !of_family(b->a, &s->dst, family, &dst)))
		return NULL;
	r = add(b, like->chain, like->test, like->verdict);
	if (r == NULL)
		return NULL;
	r->rate = like->rate;
	r->nat = like->nat;
	r->via = like->via;
	r->translated = like->translated;
	r->family = family;
	r->src = src;
	r->dst = dst;
	r->proto = s->proto;
	r->ports = s->ports;
	r->n_ports = s->n_ports;
	r->place = s->place;
	r->why = s->why;
	return r;
}

static void
add_families(struct build *b, const struct rule *like, const struct about *s)
{
	if (any_family(s) && like->verdict != RULE_LIMIT) {
		(void)add_about(b, like, s, 0);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(family_of); i++)
		(void)add_about(b, like, s, family_of[i]);
}

static void
verdict(struct build *b, enum rule_chain chain, enum rule_test test,
    enum rule_verdict what, const struct about *s)
{
	const struct rule like = {.chain = chain, .test = test, .verdict = what};

	add_families(b, &like, s);
}

static void
rated(struct build *b, enum rule_chain chain, enum rule_test test,
    enum rule_verdict what, const struct rate *rate, const struct about *s)
{
	const struct rule like = {
	    .chain = chain, .test = test, .verdict = what, .rate = *rate};

	if (rate->count > 0)
		add_families(b, &like, s);
}

/* ---- rows of allow and deny ---------------------------------------------------- */

/* Calls `each` for every protocol of the row: services bring addresses and ports. */
struct row {
	const struct firewall_rule *rule;
	bool allow;
	size_t number; /* from 1 */
	void (*each)(struct build *, const struct row *, const struct about *);
};

static void
each_proto(struct build *b, const struct row *row, struct about *s)
{
	static const uint8_t proto[] = {IPPROTO_TCP, IPPROTO_UDP};
	const struct port_ranges *p = &row->rule->ports;

	if (p->n == 0) {
		s->proto = row->rule->proto;
		row->each(b, row, s);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(proto); i++) {
		s->n_ports = of_proto(b->a, p->range, p->n, proto[i], &s->ports);
		s->proto = proto[i];
		if (s->n_ports > 0)
			row->each(b, row, s);
	}
}

/* A service is each of its addresses with the ports it listens on there. */
static void
each_listener(
    struct build *b, const struct row *row, struct about *s, const struct service *v)
{
	for (size_t i = 0; i < v->n_listen; i++) {
		struct port_range *range =
		    arena_array(b->a, v->n_listen, sizeof(*range));
		const struct ip_net net = net_of_ip(&v->listen[i].at.ip);
		struct ip_net *one = arena_array(b->a, 1, sizeof(*one));
		bool first = true;
		size_t n = 0;

		if (range == NULL || one == NULL)
			return;
		for (size_t j = 0; j < v->n_listen; j++) {
			if (!ip_equal(&v->listen[j].at.ip, &v->listen[i].at.ip))
				continue;
			first = first && j >= i;
			range[n++] = (struct port_range){.proto = IPPROTO_TCP,
			    .low = v->listen[j].at.port,
			    .high = v->listen[j].at.port};
		}
		if (!first)
			continue;
		*one = net;
		s->dst = (struct net_list){.net = one, .n = 1};
		s->n_ports = of_proto(b->a, range, n, IPPROTO_TCP, &s->ports);
		s->proto = IPPROTO_TCP;
		row->each(b, row, s);
	}
}

static void
peer_text(const struct peers *p, char *out, size_t size)
{
	(void)snprintf(out, size, "%s%s", p->n > 0 ? p->peer[0].text : "this host",
	    p->n > 1 ? " and others" : "");
}

static void
each_row(struct build *b, const struct row *row)
{
	const struct firewall_rule *f = row->rule;
	struct peers rest = {.peer = f->to.peer, .n = 0};
	char from[64], to[64];
	struct about s = {.place = f->place};

	peer_text(&f->from, from, sizeof(from));
	peer_text(&f->to, to, sizeof(to));
	s.why = why(b, "%s %zu: %s to %s", row->allow ? "allow" : "deny", row->number,
	    from, to);
	peers_nets(b->c, &f->from, true, b->a, &s.src);
	for (size_t i = 0; i < f->to.n; i++) {
		if (f->to.peer[i].kind == PEER_SERVICE) {
			each_listener(b, row, &s, f->to.peer[i].service);
			s.ports = NULL;
			s.n_ports = 0;
		} else {
			rest.n++;
		}
	}
	if (rest.n == 0)
		return;
	if (rest.n < f->to.n) { /* services and others mixed: the others, one by one */
		for (size_t i = 0; i < f->to.n; i++) {
			rest = (struct peers){.peer = &f->to.peer[i], .n = 1};
			if (f->to.peer[i].kind == PEER_SERVICE)
				continue;
			peers_nets(b->c, &rest, false, b->a, &s.dst);
			each_proto(b, row, &s);
		}
		return;
	}
	peers_nets(b->c, &f->to, false, b->a, &s.dst);
	each_proto(b, row, &s);
}

/* ---- what passes through ------------------------------------------------------- */

static void
deny_row(struct build *b, const struct row *row, const struct about *s)
{
	rated(b, RULES_FORWARD, RULE_NEW, RULE_LOG, &row->rule->log, s);
	verdict(b, RULES_FORWARD, RULE_NEW, RULE_DROP, s);
}

static void
allow_row(struct build *b, const struct row *row, const struct about *s)
{
	const struct firewall_rule *f = row->rule;

	if (f->nat.kind == NAT_TO || f->synproxy)
		return; /* translated_row(), synproxy_row() */
	rated(b, RULES_FORWARD, RULE_NEW, RULE_LIMIT, &f->limit, s);
	rated(b, RULES_FORWARD, RULE_NEW, RULE_LOG, &f->log, s);
	verdict(b, RULES_FORWARD, RULE_NEW, RULE_ACCEPT, s);
}

/* The kernel must not follow handshakes that a SYN proxy answers. */
static void
synproxy_row(struct build *b, const struct row *row, const struct about *s)
{
	const struct firewall_rule *f = row->rule;

	if (!f->synproxy)
		return;
	verdict(b, RULES_RAW, RULE_SYN, RULE_NOTRACK, s);
	rated(b, RULES_FORWARD, RULE_SYN, RULE_LIMIT, &f->limit, s);
	rated(b, RULES_FORWARD, RULE_SYN, RULE_LOG, &f->log, s);
	verdict(b, RULES_FORWARD, RULE_HANDSHAKE, RULE_SYNPROXY, s);
}

/* Connections passed on: a new destination, and leave for what comes of it. */
static void
translated_row(struct build *b, const struct row *row, const struct about *s)
{
	const struct firewall_rule *f = row->rule;
	const struct rule like = {
	    .chain = RULES_DNAT, .verdict = RULE_TO, .nat = f->nat.to};
	struct rule accept = {.chain = RULES_FORWARD, .test = RULE_NEW};
	struct port_range *port = arena_array(b->a, 1, sizeof(*port));
	struct ip_net *net = arena_array(b->a, 1, sizeof(*net));
	struct about to = *s;
	struct rule *r, *how = arena_array(b->a, 1, sizeof(*how));

	if (f->nat.kind != NAT_TO || port == NULL || net == NULL || how == NULL)
		return;
	r = add_about(b, &like, s, f->nat.to.ip.family);
	if (r == NULL)
		return;
	*how = *r;
	*net = net_of_ip(&f->nat.to.ip);
	to.dst = (struct net_list){.net = net, .n = 1};
	if (f->nat.to.port != 0) {
		*port = (struct port_range){
		    .proto = s->proto, .low = f->nat.to.port, .high = f->nat.to.port};
		to.ports = port;
		to.n_ports = 1;
	}
	accept.translated = how;
	accept.rate = f->limit;
	accept.verdict = RULE_LIMIT;
	if (f->limit.count > 0)
		(void)add_about(b, &accept, &to, net->ip.family);
	accept.rate = f->log;
	accept.verdict = RULE_LOG;
	if (f->log.count > 0)
		(void)add_about(b, &accept, &to, net->ip.family);
	accept.rate = (struct rate){.count = 0};
	accept.verdict = RULE_ACCEPT;
	(void)add_about(b, &accept, &to, net->ip.family);
}

/* The first address of `family`, or NULL. */
static const struct ip *
address_of(const struct floating_ip *f, uint8_t family)
{
	for (size_t i = 0; i < f->n_addresses; i++) {
		if (f->address[i].family == family)
			return &f->address[i];
	}
	return NULL;
}

/*
 * To where the route leads: the firewall's floating IP on that network, which another
 * host can take over. The route's next hop tells the network, so that no name of an
 * interface is needed. With only one to choose from, it is that one (an IPv6 next hop
 * is often a link-local address); else the interface's own.
 */
static void
masquerade(struct build *b, const struct about *s, uint8_t family)
{
	const struct firewall_conf *fw = &b->c->firewall;
	struct rule like = {.chain = RULES_SNAT};
	const struct ip *ip, *only = NULL;
	size_t n = 0;

	for (size_t i = 0; i < fw->n_floating_ips; i++) {
		const struct floating_ip *f = fw->floating_ip[i];

		ip = address_of(f, family);
		if (ip == NULL || f->network == NULL)
			continue;
		like.verdict = RULE_FROM;
		like.nat = (struct ip_endpoint){.ip = *ip};
		like.via = f->network->subnet;
		(void)add_about(b, &like, s, family);
		if (s->src.any || s->src.not || !net_list_has(&s->src, ip)) {
			only = ip;
			n++;
		}
	}
	like.via = (struct ip_net){.bits = 0};
	if (n == 1)
		like.nat.ip = *only;
	else
		like.verdict = RULE_MASQUERADE;
	(void)add_about(b, &like, s, family);
}

static void
source_row(struct build *b, const struct row *row, const struct about *s)
{
	const struct nat_conf *nat = &row->rule->nat;
	struct rule like = {.chain = RULES_SNAT, .verdict = RULE_FROM};
	const struct ip *ip;

	for (size_t i = 0; i < ARRAY_LEN(family_of); i++) {
		if (nat->kind == NAT_MASQUERADE)
			masquerade(b, s, family_of[i]);
		if (nat->kind != NAT_FROM)
			continue;
		ip = address_of(nat->from, family_of[i]);
		if (ip == NULL)
			continue;
		like.nat.ip = *ip;
		(void)add_about(b, &like, s, family_of[i]);
	}
}

static void
all_rows(struct build *b, const struct firewall_rule *rule, size_t n, bool allow,
    void (*each)(struct build *, const struct row *, const struct about *))
{
	for (size_t i = 0; i < n; i++) {
		const struct row row = {
		    .rule = &rule[i], .allow = allow, .number = i + 1, .each = each};

		each_row(b, &row);
	}
}

static void
sources(
    struct build *b, enum rule_chain chain, enum reverse_path how, struct place place)
{
	struct rule *r;

	if (how == REVERSE_PATH_OFF)
		return;
	r = add(b, chain, how == REVERSE_PATH_STRICT ? RULE_FORGED : RULE_UNROUTED,
	    RULE_DROP);
	if (r == NULL)
		return;
	r->place = place;
	r->why = how == REVERSE_PATH_STRICT
		     ? "a source that is not reached the way it came"
		     : "a source that is not reached at all";
}

static void
bogons(struct build *b)
{
	struct net_list all = {.n = 0};
	struct about s = {.dst = {.any = true}, .why = "a source that nobody can have"};

	all.net = arena_array(b->a, ARRAY_LEN(bogon), sizeof(*all.net));
	for (size_t i = 0; i < ARRAY_LEN(bogon) && all.net != NULL; i++)
		all.n += ip_net_parse(&all.net[all.n], bogon[i]) == 0;
	s.src = all;
	verdict(b, RULES_FORWARD, RULE_ALWAYS, RULE_DROP, &s);
}

/* Clients of a VPN that ends here go where its `reach` says. */
static void
vpn_reach(struct build *b)
{
	for (size_t i = 0; i < b->c->n_vpns; i++) {
		const struct vpn *v = &b->c->vpn[i];
		struct about s = {.place = v->place};

		if (!vpn_on_host(v, b->me))
			continue;
		s.src.net = arena_array(b->a, 1, sizeof(*s.src.net));
		s.dst.net = arena_array(b->a, v->reach.n + 1, sizeof(*s.dst.net));
		if (s.src.net == NULL || s.dst.net == NULL)
			return;
		s.src.net[s.src.n++] = v->subnet;
		for (size_t j = 0; j < v->reach.n; j++)
			s.dst.net[s.dst.n++] = v->reach.net[j];
		s.why = why(b, "clients of VPN %s", v->name);
		verdict(b, RULES_FORWARD, RULE_NEW, RULE_ACCEPT, &s);
	}
}

static void
refuse_rest(struct build *b, enum rule_chain chain, const struct rate *log,
    struct place place, const char *reason)
{
	struct about s = {
	    .src = {.any = true}, .dst = {.any = true}, .place = place, .why = reason};

	rated(b, chain, RULE_ALWAYS, RULE_LOG, log, &s);
	verdict(b, chain, RULE_ALWAYS, RULE_DROP, &s);
}

static void
forward(struct build *b)
{
	const struct firewall_conf *f = &b->c->firewall;

	all_rows(b, f->allow, f->n_allow, true, synproxy_row);
	plain(b, RULES_FORWARD, RULE_ESTABLISHED, RULE_ACCEPT,
	    "belongs to a connection that was allowed");
	plain(b, RULES_FORWARD, RULE_INVALID, RULE_DROP, "can belong to no connection");
	sources(b, RULES_FORWARD, f->reverse_path, f->place);
	bogons(b);
	plain(b, RULES_FORWARD, RULE_MIDSTREAM, RULE_DROP,
	    "TCP of a connection that nobody here has seen begin");
	all_rows(b, f->deny, f->n_deny, false, deny_row);
	vpn_reach(b);
	all_rows(b, f->allow, f->n_allow, true, translated_row);
	all_rows(b, f->allow, f->n_allow, true, allow_row);
	refuse_rest(b, RULES_FORWARD, &f->log, f->place, "no row of allow says so");
	all_rows(b, f->allow, f->n_allow, true, source_row);
}

/* ---- addresses that stand for others ------------------------------------------- */

/* What this host itself serves there keeps its own ways. */
static void
guard_exceptions(struct build *b, const struct net_list *ours)
{
	for (size_t i = 0; i < b->c->n_services; i++) {
		const struct service *v = &b->c->service[i];

		for (size_t j = 0; j < v->n_listen; j++) {
			const struct listener *l = &v->listen[j];
			struct port_range *range = arena_array(b->a, 1, sizeof(*range));
			struct ip_net *net = arena_array(b->a, 1, sizeof(*net));
			struct about s = {.src = {.any = true},
			    .proto = IPPROTO_TCP,
			    .place = v->place};

			if (range == NULL || net == NULL ||
			    !net_list_has(ours, &l->at.ip))
				continue;
			*range =
			    (struct port_range){IPPROTO_TCP, l->at.port, l->at.port};
			*net = net_of_ip(&l->at.ip);
			s.dst = (struct net_list){.net = net, .n = 1};
			s.ports = range;
			s.n_ports = 1;
			s.why = why(b, "service %s", v->name);
			verdict(b, RULES_GUARD, RULE_ALWAYS, RULE_ACCEPT, &s);
		}
	}
}

/*
 * Translated connections whose state has not arrived here yet look like the host's
 * own. The kernel would answer TCP with a reset and UDP with an error, and the
 * connection would be lost: silence lets it go on as soon as the state is there.
 */
static void
guard(struct build *b)
{
	const struct firewall_conf *f = &b->c->firewall;
	struct about s = {.src = {.any = true}, .place = f->place};
	struct net_list ours = {.n = 0};
	size_t max = 0;

	for (size_t i = 0; i < f->n_floating_ips; i++)
		max += f->floating_ip[i]->n_addresses;
	if (max == 0)
		return;
	ours.net = arena_array(b->a, max, sizeof(*ours.net));
	for (size_t i = 0; i < f->n_floating_ips && ours.net != NULL; i++) {
		const struct floating_ip *ip = f->floating_ip[i];

		for (size_t j = 0; j < ip->n_addresses; j++)
			ours.net[ours.n++] = net_of_ip(&ip->address[j]);
	}
	guard_exceptions(b, &ours);
	s.dst = ours;
	s.proto = IPPROTO_TCP;
	s.why = "TCP of a connection that is not known here yet: no reset";
	verdict(b, RULES_GUARD, RULE_MIDSTREAM, RULE_DROP, &s);
	verdict(b, RULES_GUARD, RULE_INVALID, RULE_DROP, &s);
}

/* ---- what a host accepts itself ------------------------------------------------ */

static const char *
flow_why(struct build *b, const struct flow *f)
{
	static const char *const text[] = {
	    [FLOW_CLIENTS] = "clients of service",
	    [FLOW_SERVER] = "load balancers of service",
	    [FLOW_CHECK] = "checks of",
	    [FLOW_HEARTBEAT] = "heartbeats of floating IP",
	    [FLOW_SOURCES] = "sources of service",
	    [FLOW_STATE_SYNC] = "state of the firewall's connections over",
	    [FLOW_VPN] = "clients of VPN",
	    [FLOW_VPN_SYNC] = "gateways of VPN",
	    [FLOW_PROBE] = "gateways and their next hops ask each other",
	    [FLOW_MANAGEMENT] = "administrators",
	    [FLOW_LET_THROUGH] = "the firewall lets it through to this host",
	    [FLOW_ALLOWED] = "host_firewall allows it",
	};

	if (f->what == NULL)
		return text[f->kind];
	return why(b, "%s %s", text[f->kind], f->what);
}

static void
flow_rule(struct build *b, const struct flow *f)
{
	struct port_range *range = arena_array(b->a, 1, sizeof(*range));
	struct about s = {.src = f->from,
	    .dst = f->to,
	    .proto = f->proto,
	    .place = f->place,
	    .why = flow_why(b, f)};
	enum rule_test test =
	    f->proto == IPPROTO_ICMP && f->kind != FLOW_ALLOWED ? RULE_ECHO : RULE_NEW;

	if (range == NULL)
		return;
	if (f->low != 0) {
		*range = (struct port_range){f->proto, f->low, f->high};
		s.ports = range;
		s.n_ports = 1;
	}
	if (f->kind == FLOW_ALLOWED) {
		rated(b, RULES_HOST, test, RULE_LIMIT, &f->rule->limit, &s);
		rated(b, RULES_HOST, test, RULE_LOG, &f->rule->log, &s);
	}
	verdict(b, RULES_HOST, test, RULE_ACCEPT, &s);
}

static void
host_prelude(struct build *b)
{
	static const struct about everybody = {.src = {.any = true},
	    .dst = {.any = true},
	    .proto = IPPROTO_ICMP,
	    .why = "neighbours, routers and groups find each other"};
	static const struct rule neighbours = {
	    .chain = RULES_HOST, .test = RULE_NEIGHBOUR, .verdict = RULE_ACCEPT};
	const struct host_firewall_conf *h = &b->c->host_firewall;

	plain(b, RULES_HOST, RULE_LOOPBACK, RULE_ACCEPT, "this host with itself");
	plain(b, RULES_HOST, RULE_ESTABLISHED, RULE_ACCEPT,
	    "belongs to a connection that was accepted or opened here");
	verdict(b, RULES_HOST, RULE_GROUPS, RULE_ACCEPT, &everybody);
	(void)add_about(b, &neighbours, &everybody, AF_INET6);
	plain(b, RULES_HOST, RULE_DHCP6, RULE_ACCEPT, "answers of a DHCPv6 server");
	plain(b, RULES_HOST, RULE_INVALID, RULE_DROP, "can belong to no connection");
	sources(b, RULES_HOST, h->reverse_path, h->place);
}

static void
host(struct build *b)
{
	const struct host_firewall_conf *h = &b->c->host_firewall;
	const struct about ping = {.src = {.any = true},
	    .dst = {.any = true},
	    .proto = IPPROTO_ICMP,
	    .place = h->place,
	    .why = "pings, some"};
	struct flow_list flows;

	host_prelude(b);
	if (flows_to(b->c, b->me, b->a, &flows) != 0)
		return; /* the arena is full, which the caller sees */
	for (size_t i = 0; i < flows.n; i++)
		flow_rule(b, &flows.flow[i]);
	rated(b, RULES_HOST, RULE_ECHO, RULE_ACCEPT, &echo_rate, &ping);
	plain(b, RULES_HOST, RULE_TO_MANY, RULE_DROP,
	    "broadcast and multicast, unlogged");
	refuse_rest(b, RULES_HOST, &h->log, h->place, "nothing in the file implies it");
}

/* ---- all of it ------------------------------------------------------------------ */

static bool
is_firewall(const struct cluster *c, const struct host *me)
{
	for (size_t i = 0; i < c->firewall.n_hosts; i++) {
		if (c->firewall.host[i] == me)
			return true;
	}
	return false;
}

bool
rules_wanted(const struct cluster *c, const struct host *me)
{
	return c->host_firewall.enabled || is_firewall(c, me);
}

/* FNV-1a of what the rule does, so that it is the same in another generation. */
static void
set_id(struct rule *r)
{
	static const char hex[] = "0123456789abcdef";
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	struct sbuf text;

	sbuf_init(&text, (size_t)4 << 20);
	rule_describe(r, &text);
	sbuf_printf(&text, "|%d|%d|%d|%u%c", (int)r->chain, (int)r->test,
	    (int)r->verdict, r->rate.count, r->rate.unit != '\0' ? r->rate.unit : '-');
	for (const char *p = sbuf_text(&text); *p != '\0'; p++)
		h = (h ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
	sbuf_done(&text);
	for (size_t i = 0; i < RULE_ID_LEN - 1; i++)
		r->id[i] = hex[(h >> (4 * i)) & 15];
	r->id[RULE_ID_LEN - 1] = '\0';
}

int
rules_build(const struct cluster *c, const struct host *me, struct arena *a,
    struct rule_list *out)
{
	struct build b = {.c = c, .me = me, .a = a, .out = out};

	*out = (struct rule_list){.n = 0};
	if (is_firewall(c, me)) {
		forward(&b);
		guard(&b);
	}
	if (c->host_firewall.enabled)
		host(&b);
	if (arena_failed(a))
		return -ENOMEM;
	for (size_t i = 0; i < out->n; i++)
		set_id(&out->rule[i]);
	return 0;
}
