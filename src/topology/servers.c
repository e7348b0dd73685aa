/* SPDX-License-Identifier: Apache-2.0 */
/*
 * servers.c - what a service's servers need, and how many of a group have to be left.
 *
 * What a server or a group needs wherever it is asked from is built once and used by
 * everybody who asks; only the way to it differs.
 */
#include "topology/build.h"

static uint32_t
unix_server(struct build *b, const struct server *server, const struct host *h)
{
	for (size_t i = 0; i < b->t->n_failures; i++) {
		const struct failure *f = &b->t->failure[i];

		if (f->kind == AVAIL_SERVER && f->server == server && f->host == h)
			return b->g->leaf[i];
	}
	return GRAPH_NONE;
}

void
build_push_floating_ip(struct build *b, const struct floating_ip *f)
{
	uint32_t mark = graph_open(b->g);
	struct seat seat;

	for (size_t i = 0; build_seat_of(b, f->host, f->n_hosts, i, &seat); i++) {
		uint32_t inner = graph_open(b->g);

		build_push_host(b, seat);
		build_push_link(b, seat, f->network);
		build_push_part(b, seat, PART_VIP);
		graph_push(b->g, graph_all(b->g, inner));
	}
	graph_push(b->g, graph_any(b->g, mark));
}

/* The program of server `i` of `s`, which may be a service of ours. */
static void
push_program(struct build *b, const struct service *s, size_t i)
{
	const struct service *inner = topology_inner(b->t, s, &s->server[i]);

	graph_push(b->g, b->server[b->t->first_server[s->index] + i]);
	if (inner != NULL)
		graph_push(b->g, build_inner(b, inner));
}

/* What server `i` of `s` needs wherever it is asked from. */
static uint32_t
server_base(struct build *b, const struct service *s, size_t i)
{
	size_t at = b->t->first_server[s->index] + i;
	const struct server *server = &s->server[i];
	const struct host *h = server->host;
	const struct floating_ip *f = topology_server_floating_ip(b->c, server);
	const struct network *net = topology_network_of(b->c, server);
	uint32_t mark;

	if (b->server_base[at] != 0)
		return b->server_base[at] - 1;
	mark = graph_open(b->g);
	push_program(b, s, i);
	if (h != NULL) {
		build_push_host(b, (struct seat){.host = h});
		build_push_link(b, (struct seat){.host = h}, net);
	} else if (f != NULL) {
		build_push_floating_ip(b, f);
	}
	build_push_network(b, net);
	b->server_base[at] = graph_all(b->g, mark) + 1;
	return b->server_base[at] - 1;
}

/* The twin of server `i`, with its own program, host and link. */
static uint32_t
twin_server(struct build *b, const struct service *s, size_t i)
{
	const struct server *server = &s->server[i];
	const struct network *net = topology_network_of(b->c, server);
	size_t at = b->t->first_server[s->index] + i;
	uint32_t mark;

	if (b->twin_base[at] != 0)
		return b->twin_base[at] - 1;
	mark = graph_open(b->g);
	graph_push(b->g, build_server_leaf(b, s, server, b->twin, "+1"));
	build_push_host(b, (struct seat){.host = b->twin, .twin = true});
	build_push_link(b, (struct seat){.host = b->twin, .twin = true}, net);
	build_push_network(b, net);
	b->twin_base[at] = graph_all(b->g, mark) + 1;
	return b->twin_base[at] - 1;
}

/* Server `i` of `s`, asked from `seat`; the link to `own` is not looked at. */
static void
push_server(struct build *b, struct seat seat, const struct service *s, size_t i,
    const struct network *own)
{
	const struct server *server = &s->server[i];
	const struct network *net = topology_network_of(b->c, server);
	uint32_t mark = graph_open(b->g);

	if (server->unix_path != NULL) {
		graph_push(b->g, unix_server(b, server, seat.host));
	} else if (server->host == seat.host && !seat.twin) {
		push_program(b, s, i);
	} else {
		graph_push(b->g, server_base(b, s, i));
		if (net != NULL && net != own &&
		    host_address_on(seat.host, net) != NULL)
			build_push_link(b, seat, net);
	}
	graph_push(b->g, graph_all(b->g, mark));
}

/* Whether server `i` of `s` is counted in its group. */
static bool
counts(const struct build *b, const struct service *s, const struct server_group *g,
    size_t i, unsigned needs)
{
	const struct server *server = &s->server[i];

	return server->weight > 0 && !topology_in_circle(b->t, s, server) &&
	       (!server->backup || topology_backups_count(s, g, needs));
}

/*
 * Enough of the servers pushed since `mark`. Without a check only clients find out:
 * that a program is gone from the refusal, and a retry helps them; that a host is gone
 * by waiting, again and again. So all hosts are needed then, and without retries all
 * programs.
 */
static uint32_t
enough(struct build *b, const struct service *s, const struct server_group *g,
    uint32_t mark, unsigned needs)
{
	uint32_t n = graph_pending(b->g, mark), node;

	if (s->check.type != CHECK_NONE || n == 0)
		return graph_at_least(b->g, mark, needs);
	node = graph_at_least(b->g, mark, s->retries > 0 ? needs : n);
	mark = graph_open(b->g);
	graph_push(b->g, node);
	for (size_t i = g->first; i < g->first + g->n_servers; i++) {
		const struct server *server = &s->server[i];
		struct seat seat = {.host = server->host};

		if (!counts(b, s, g, i, needs) || server->unix_path != NULL)
			continue;
		if (seat.host == NULL) {
			graph_push(b->g, server_base(b, s, i));
			continue;
		}
		build_push_host(b, seat);
		build_push_link(b, seat, topology_network_of(b->c, server));
	}
	return graph_all(b->g, mark);
}

/* The network that all servers of `g` are on, none of them on `h`; or NULL. */
static const struct network *
common_network(
    const struct build *b, const struct server_group *g, const struct host *h)
{
	const struct network *net = NULL;

	for (size_t i = 0; i < g->n_servers; i++) {
		const struct network *of = topology_network_of(b->c, &g->server[i]);

		if (of == NULL || g->server[i].unix_path != NULL ||
		    g->server[i].host == h || (net != NULL && of != net))
			return NULL;
		net = of;
	}
	return net;
}

/* Group `k` of `s` where its servers are the same from everywhere: built once. */
static uint32_t
shared_group(struct build *b, const struct service *s, size_t k, unsigned needs)
{
	const struct server_group *g = &s->group[k];
	size_t at = b->t->first_server[s->index] + k;
	uint32_t mark;

	if (b->group_base[at] != 0)
		return b->group_base[at] - 1;
	mark = graph_open(b->g);
	for (size_t i = g->first; i < g->first + g->n_servers; i++) {
		if (!counts(b, s, g, i, needs))
			continue;
		graph_push(b->g, server_base(b, s, i));
		if (b->twin != NULL && s->server[i].host == b->twin)
			graph_push(b->g, twin_server(b, s, i));
	}
	b->group_base[at] = enough(b, s, g, mark, needs) + 1;
	return b->group_base[at] - 1;
}

static void
push_group(struct build *b, struct seat seat, const struct service *s, size_t k,
    const struct network *own)
{
	const struct server_group *g = &s->group[k];
	const struct network *net = common_network(b, g, seat.host);
	unsigned needs = k == s->active ? s->needs : 1;
	uint32_t mark;

	if (net != NULL) {
		graph_push(b->g, shared_group(b, s, k, needs));
		if (net != own && host_address_on(seat.host, net) != NULL)
			build_push_link(b, seat, net);
		return;
	}
	mark = graph_open(b->g);
	for (size_t i = g->first; i < g->first + g->n_servers; i++) {
		if (!counts(b, s, g, i, needs))
			continue;
		push_server(b, seat, s, i, own);
		if (b->twin != NULL && s->server[i].host == b->twin)
			graph_push(b->g, twin_server(b, s, i));
	}
	graph_push(b->g, enough(b, s, g, mark, needs));
}

/* All groups of `s` that requests are sent to. */
void
build_push_groups(struct build *b, struct seat seat, const struct service *s,
    const struct network *own)
{
	for (size_t k = 0; k < s->n_groups; k++) {
		if (topology_group_used(s, k))
			push_group(b, seat, s, k, own);
	}
}
