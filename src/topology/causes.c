/* SPDX-License-Identifier: Apache-2.0 */
/*
 * causes.c - why a thing is a single point of failure.
 *
 * That it is one was computed (cutsets.h). Here its cause is looked for among those
 * that people can do something about, the nearest to the clients first; what none of
 * them explains is named by its kind.
 */
#include "topology/causes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/plural.h"

#define TEXT_MAX 1024

const char *
draft_text(struct drafts *d, const char *fmt, ...)
{
	char text[TEXT_MAX];
	const char *copy;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0)
		n = 0;
	copy = arena_strndup(
	    d->arena, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
	return copy != NULL ? copy : "";
}

bool
cause_takes_host(const struct failure *f, const struct host *h)
{
	if (f->kind == AVAIL_ZONE)
		return h->zone == f->zone;
	return f->kind == AVAIL_HOST && h == f->host;
}

/* True if `h` cannot have, or serve at, an address on `net` when `f` has happened. */
static bool
takes_owner(const struct failure *f, const struct host *h, const struct network *net)
{
	if (f->kind == AVAIL_LINK)
		return h == f->host && f->network == net;
	if (f->kind == AVAIL_PART)
		return h == f->host;
	return cause_takes_host(f, h);
}

static size_t
count_taken(const struct failure *f, const struct host *const *list, size_t n,
    const struct network *net)
{
	size_t taken = 0;

	for (size_t i = 0; i < n; i++)
		taken += takes_owner(f, list[i], net);
	return taken;
}

void
cause_put(
    struct cause *out, enum finding_code code, struct place place, const char *name)
{
	out->code = code;
	out->place = place;
	out->width = name != NULL ? (unsigned)strlen(name) : 1;
}

/* ---- floating addresses -------------------------------------------------------- */

bool
cause_of_address(struct drafts *d, const struct failure *f,
    const struct floating_ip *fip, struct cause *out)
{
	size_t taken = count_taken(f, fip->host, fip->n_hosts, fip->network);

	if (taken < fip->n_hosts)
		return false;
	if (fip->n_hosts == 1) {
		cause_put(out, N201, fip->place, fip->name);
		out->reason =
		    draft_text(d, "only %s can have %s", fip->host[0]->name, fip->name);
		out->change =
		    draft_text(d, "add a second host to \"hosts\" of %s", fip->name);
		return true;
	}
	cause_put(out, N207, fip->place, fip->name);
	out->reason = draft_text(d, "all hosts of %s are in zone %s", fip->name,
	    f->zone != NULL ? f->zone->name : "?");
	out->change =
	    draft_text(d, "move %s to another zone", fip->host[fip->n_hosts - 1]->name);
	return true;
}

static bool
cause_no_follow(struct drafts *d, const struct service *s, const struct failure *f,
    const struct floating_ip *fip, struct cause *out)
{
	if (f->kind != AVAIL_LINK || f->network == fip->network ||
	    floating_ip_rank(fip, f->host) < 0 ||
	    topology_follows(d->t->cluster, fip, s))
		return false;
	cause_put(out, N202, fip->place, fip->name);
	out->reason =
	    draft_text(d, "%s stays on a host that has lost %s, the way to the servers",
		fip->name, f->network->name);
	out->change = draft_text(d, "say follow: [%s] for %s", s->name, fip->name);
	return true;
}

static bool
cause_own_address(struct drafts *d, const struct service *s, const struct failure *f,
    const struct listener *l, struct cause *out)
{
	if (f->kind == AVAIL_LINK || f->kind == AVAIL_PART
		? f->host != l->host
		: !cause_takes_host(f, l->host))
		return false;
	cause_put(out, N210, s->place, s->name);
	out->reason =
	    draft_text(d, "%s is served at %s's own address", s->name, l->host->name);
	out->change = "listen on a floating IP that several hosts can have";
	return true;
}

static bool
cause_at_entry(struct drafts *d, const struct service *s, const struct failure *f,
    struct cause *out)
{
	for (size_t i = 0; i < s->n_listen; i++) {
		const struct listener *l = &s->listen[i];

		if (l->host != NULL && cause_own_address(d, s, f, l, out))
			return true;
		if (l->floating_ip != NULL &&
		    (cause_of_address(d, f, l->floating_ip, out) ||
			cause_no_follow(d, s, f, l->floating_ip, out)))
			return true;
	}
	return false;
}

/* ---- the way in ---------------------------------------------------------------- */

struct routers {
	const struct host *const *host;
	size_t n;
	struct place place;
	enum finding_code alone; /* what it is to have one of them */
	const char *what;	 /* of one */
};

static bool
cause_at_routers(struct drafts *d, const struct failure *f, const struct routers *r,
    struct cause *out)
{
	size_t taken = 0;

	for (size_t i = 0; i < r->n; i++)
		taken += cause_takes_host(f, r->host[i]) ||
			 (f->host == r->host[i] && f->kind != AVAIL_SERVER);
	if (r->n == 0 || taken < r->n)
		return false;
	if (r->n == 1) {
		cause_put(out, r->alone, r->place, NULL);
		out->reason =
		    draft_text(d, "%s is the only %s", r->host[0]->name, r->what);
		out->change = draft_text(d, "add a second %s to \"hosts\"", r->what);
	} else {
		cause_put(out, N207, r->place, NULL);
		out->reason = draft_text(d, "all %ss are in zone %s", r->what,
		    f->zone != NULL ? f->zone->name : "?");
		out->change =
		    draft_text(d, "move %s to another zone", r->host[r->n - 1]->name);
	}
	return true;
}

/* A route of the gateways all of whose next hops are the one host that is gone. */
static bool
cause_of_route(struct drafts *d, const struct failure *f, struct cause *out)
{
	const struct cluster *c = d->t->cluster;

	for (size_t i = 0; i < c->gateways.n_routes; i++) {
		const struct gateway_route *route = &c->gateways.route[i];
		const struct host *h = NULL;
		size_t gone = 0;

		for (size_t k = 0; k < route->via.n_hops; k++) {
			h = cluster_host_by_address(c, &route->via.hop[k].ip, 1);
			gone += h != NULL &&
				(takes_owner(f, h, route->via.hop[k].network) ||
				    (f->kind == AVAIL_LINK && f->host == h));
		}
		if (h == NULL || gone < route->via.n_hops)
			continue;
		cause_put(out, N213, route->place, route->text);
		out->reason = draft_text(d, "the gateways reach %s over %s alone",
		    route->text, route->via.text[0]);
		out->change = "lead it to a floating IP that several hosts can have";
		return true;
	}
	return false;
}

/* Hosts on a network where the firewall has no floating IP know one of its hosts. */
static bool
cause_of_fixed_firewall(struct drafts *d, const struct failure *f, struct cause *out)
{
	const struct cluster *c = d->t->cluster;
	const struct firewall_conf *fw = &c->firewall;

	if (fw->n_hosts < 2 || count_taken(f, fw->host, fw->n_hosts, f->network) == 0)
		return false;
	for (size_t i = 0; i < fw->host[0]->n_addresses; i++) {
		const struct network *net = fw->host[0]->address[i].network;

		if (!topology_behind_firewall(c, net) ||
		    topology_firewall_floats(c, net))
			continue;
		cause_put(out, N213, fw->place, NULL);
		out->reason = draft_text(d,
		    "the firewall has no floating IP on %s: hosts there send to one of "
		    "its hosts",
		    net->name);
		out->change = draft_text(d,
		    "add a floating IP on %s that its hosts can have, in one group "
		    "with its others",
		    net->name);
		return true;
	}
	return false;
}

static bool
cause_on_the_way(struct drafts *d, const struct failure *f, struct cause *out)
{
	const struct gateways *gw = &d->t->cluster->gateways;
	const struct firewall_conf *fw = &d->t->cluster->firewall;
	const struct routers firewall = {
	    fw->host, fw->n_hosts, fw->place, N213, "firewall"};
	const struct routers gateway = {
	    gw->host, gw->n_hosts, gw->place, N208, "gateway"};

	if (f->kind == AVAIL_OUTSIDE && gw->upstream.n_hops == 1 &&
	    (f->survive & SURVIVE_NETWORK) != 0) {
		cause_put(out, N209, gw->place, NULL);
		out->reason = "all gateways use this one router";
		out->change = "add a second router to \"upstream\"";
		return true;
	}
	return cause_of_route(d, f, out) || cause_of_fixed_firewall(d, f, out) ||
	       cause_at_routers(d, f, &firewall, out) ||
	       cause_at_routers(d, f, &gateway, out);
}

static bool cause_of_service(struct drafts *d, const struct service *s,
    const struct failure *f, struct cause *out);

/* ---- servers ------------------------------------------------------------------- */

static bool
takes_server(
    const struct drafts *d, const struct failure *f, const struct server *server)
{
	const struct host *h = server->host;
	char address[IP_STR_LEN];

	if (f->kind == AVAIL_SERVER)
		return f->server == server;
	if (f->kind == AVAIL_LINK)
		return h == f->host &&
		       topology_network_of(d->t->cluster, server) == f->network;
	if (f->kind == AVAIL_OUTSIDE)
		return h == NULL && server->unix_path == NULL &&
		       strcmp(strchr(f->name, ' ') + 1,
			   ip_format(&server->at.ip, address)) == 0;
	return h != NULL && cause_takes_host(f, h);
}

struct strength {
	size_t all, taken; /* servers that are counted, and those of them gone */
	size_t round;	   /* that would be counted if they were others */
	const struct server *first, *first_round;
};

static struct strength
strength_of(struct drafts *d, const struct service *s, const struct server_group *g,
    unsigned needs, const struct failure *f)
{
	bool backups = topology_backups_count(s, g, needs);
	struct strength n = {0};

	for (size_t i = 0; i < g->n_servers; i++) {
		const struct server *server = &g->server[i];

		if (server->weight == 0 || (server->backup && !backups))
			continue;
		if (topology_in_circle(d->t, s, server)) {
			n.round++;
			n.first_round = server;
			continue;
		}
		n.all++;
		n.taken += takes_server(d, f, server);
		if (n.first == NULL)
			n.first = server;
	}
	return n;
}

/* Whether the loss within `g` explains it, and how. */
static bool
cause_in_group(struct drafts *d, const struct service *s, const struct server_group *g,
    unsigned needs, const struct failure *f, struct cause *out)
{
	struct strength n = strength_of(d, s, g, needs, f);
	const char *of = s->n_groups > 1 ? g->name : NULL;

	if (n.taken == 0)
		return false;
	if (s->check.type == CHECK_NONE) {
		cause_put(out, N203, s->place, s->name);
		out->reason = draft_text(d,
		    "nobody checks the servers of %s: what is dead keeps its share",
		    s->name);
		out->change = s->mode == MODE_HTTP
				  ? "say check: with a path such as /health"
				  : "say check: tcp";
		return true;
	}
	if (n.all - n.taken >= needs)
		return false;
	if (n.all - n.taken + n.round >= needs) {
		cause_of_circle(d, s, n.first_round, out);
		return true;
	}
	cause_put(out, N206, s->place, s->name);
	if (n.all == 1) {
		out->code = N205;
		out->reason = draft_text(d,
		    "%s is the only server of %s%s%s, retries return to it",
		    n.first->name, s->name, of != NULL ? ", group " : "",
		    of != NULL ? of : "");
		out->change = "add a second server on another host";
	} else if (n.taken == n.all && f->kind != AVAIL_ZONE) {
		out->code = N205;
		out->reason = draft_text(d, "all servers of %s%s%s are on %s", s->name,
		    of != NULL ? ", group " : "", of != NULL ? of : "",
		    f->host != NULL ? f->host->name : f->name);
		out->change = "add a server on another host";
	} else if (f->kind == AVAIL_ZONE && n.taken > 1) {
		out->code = N207;
		out->reason = draft_text(d, "%zu of %zu servers of %s are in zone %s",
		    n.taken, n.all, s->name, f->zone->name);
		out->change = "add a server in another zone, or move one there";
	} else {
		out->reason = draft_text(
		    d, "%s needs %u of its %zu servers", s->name, needs, n.all);
		out->change = draft_text(d,
		    "add a server, or say needs: %zu if fewer "
		    "carry the load",
		    n.all - n.taken);
	}
	return true;
}

static bool
cause_at_servers(struct drafts *d, const struct service *s, const struct failure *f,
    struct cause *out)
{
	for (size_t k = 0; k < s->n_groups; k++) {
		if (topology_group_used(s, k) &&
		    cause_in_group(
			d, s, &s->group[k], k == s->active ? s->needs : 1, f, out))
			return true;
	}
	return false;
}

/* Of a service that is a server of `s`. */
static bool
cause_at_inner(struct drafts *d, const struct service *s, const struct failure *f,
    struct cause *out)
{
	for (size_t i = 0; i < s->n_servers; i++) {
		const struct service *inner = topology_inner(d->t, s, &s->server[i]);

		if (inner != NULL && cause_of_service(d, inner, f, out))
			return true;
	}
	return false;
}

/* ---- what others run ----------------------------------------------------------- */

/* Is `place` gone when `f` has happened? */
static bool
takes_place(const struct cluster *c, const struct failure *f, const char *place)
{
	const struct host *h = topology_host_at(c, place);

	if (h == NULL)
		return f->kind == AVAIL_OUTSIDE &&
		       strcmp(f->name + strlen("outside "), place) == 0;
	if (f->kind == AVAIL_LINK)
		return f->host == h;
	return cause_takes_host(f, h);
}

static void
explain_external(struct drafts *d, const struct service *s, const struct external *e,
    const struct failure *f, struct cause *out)
{
	static const char *const what[] = {[EXTERNAL_DNS] = "name server",
	    [EXTERNAL_UPSTREAM] = "provider",
	    [EXTERNAL_API] = "API",
	    [EXTERNAL_OTHER] = "thing of its kind"};

	cause_put(out, N214, e->place, e->name);
	if (e->at.n <= 1)
		out->reason = draft_text(
		    d, "it is the only %s that %s has", what[e->kind], s->name);
	else if (e->needs > 1)
		out->reason = draft_text(d, "%s needs %u of the %zu places of %s",
		    s->name, e->needs, e->at.n, e->name);
	else
		out->reason =
		    draft_text(d, "all %zu places of %s go with it", e->at.n, e->name);
	if (f->kind == AVAIL_ZONE || f->kind == AVAIL_HOST) {
		out->change = draft_text(d,
		    "add another %s to \"at\" of %s, which does not share %s",
		    what[e->kind], e->name, f->name);
		return;
	}
	out->change = e->kind == EXTERNAL_API
			  ? draft_text(d,
				"add a second place to \"at\" of %s, or let the "
				"application do without it for a while",
				e->name)
			  : draft_text(d, "add another %s to \"at\" of %s",
				what[e->kind], e->name);
}

static bool
cause_at_external(struct drafts *d, const struct service *s, const struct failure *f,
    struct cause *out)
{
	const struct cluster *c = d->t->cluster;

	for (size_t i = 0; i < c->n_externals; i++) {
		const struct external *e = &c->external[i];
		size_t n = e->at.n > 0 ? e->at.n : 1, gone = 0;

		if (!topology_needs(s, e))
			continue;
		for (size_t k = 0; k < n; k++)
			gone +=
			    takes_place(c, f, e->at.n > 0 ? e->at.text[k] : e->name);
		if (gone == 0 || n - gone >= e->needs)
			continue;
		explain_external(d, s, e, f, out);
		return true;
	}
	return false;
}

/* ---- whatever else ------------------------------------------------------------- */

static bool
cause_of_service(struct drafts *d, const struct service *s, const struct failure *f,
    struct cause *out)
{
	return cause_at_entry(d, s, f, out) || cause_at_external(d, s, f, out) ||
	       cause_at_servers(d, s, f, out) || cause_at_inner(d, s, f, out);
}

static void
cause_by_kind(struct drafts *d, const struct goal *goal, const struct failure *f,
    struct cause *out)
{
	static const enum finding_code code[AVAIL_KINDS] = {[AVAIL_HOST] = N101,
	    [AVAIL_PART] = N102,
	    [AVAIL_LINK] = N103,
	    [AVAIL_NETWORK] = N104,
	    [AVAIL_ZONE] = N105,
	    [AVAIL_SERVER] = N106,
	    [AVAIL_OUTSIDE] = N107,
	    [AVAIL_CERTIFICATE] = N215};

	cause_put(out, code[f->kind], goal->place, goal->name);
	out->reason = "nothing takes its place";
	if (f->kind == AVAIL_NETWORK) {
		cause_put(out, N104, f->network->place, f->network->name);
		out->reason = draft_text(d, "there is no way around it");
		out->change = draft_text(d,
		    "build %s of two switches with bonded links and say "
		    "redundant: true",
		    f->network->name);
	} else if (f->host != NULL) {
		cause_put(out, code[f->kind], f->host->place, f->host->name);
	}
}

void
cause_of(struct drafts *d, const struct goal *goal, const struct failure *f,
    struct cause *out)
{
	*out = (struct cause){0};
	if (f->kind == AVAIL_CERTIFICATE) {
		cause_of_certificate(d, f, out);
		return;
	}
	if (f->kind != AVAIL_NETWORK) {
		if (goal->service != NULL &&
		    (cause_of_service(d, goal->service, f, out) ||
			cause_at_data(d, goal->service, f, out)))
			return;
		if (cause_of_data(d, goal, f, out))
			return;
		if (goal->floating_ip != NULL &&
		    cause_of_address(d, f, goal->floating_ip, out))
			return;
		if (cause_on_the_way(d, f, out))
			return;
	}
	cause_by_kind(d, goal, f, out);
}

void
cause_of_loss(struct drafts *d, const struct goal *goal, struct cause *out)
{
	static const struct failure none = {.kind = AVAIL_KINDS};
	const struct service *s = goal->service;
	struct strength n;

	cause_put(out, N108, goal->place, goal->name);
	out->reason = draft_text(d, "%s%s%s is down with all else at work",
	    s != NULL ? "" : goal->what, s != NULL ? "" : " ", goal->name);
	out->change = "what it needs is not there: its address, the way to it, servers";
	if (s == NULL)
		return;
	n = strength_of(d, s, &s->group[s->active], s->needs, &none);
	if (n.all >= s->needs)
		return;
	if (n.all + n.round >= s->needs) {
		cause_of_circle(d, s, n.first_round, out);
		return;
	}
	out->reason = draft_text(d,
	    "%s is down: it needs %u server%s, of those that it has "
	    "%zu count%s",
	    s->name, s->needs, plural(s->needs), n.all, n.all == 1 ? "s" : "");
	out->change = "add servers, or say a smaller \"needs\"; backups count with "
		      "backup_below: 100%, those of weight 0 never";
}
