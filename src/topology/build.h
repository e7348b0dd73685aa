/* SPDX-License-Identifier: Apache-2.0 */
/*
 * build.h - a topology under construction (private to topology/).
 *
 * Nodes of the graph by what they stand for; GRAPH_NONE where there is nothing that
 * could fail, which a gate leaves out.
 */
#ifndef NINES_TOPOLOGY_BUILD_H
#define NINES_TOPOLOGY_BUILD_H

#include "topology/model.h"

/* A file that services name. */
struct build_certificate {
	const char *file;
	bool automatic; /* renewed without anybody's doing: it does not fail */
	uint32_t node;
};

struct build {
	struct topology *t;
	const struct cluster *c;
	struct graph *g;
	const struct host *twin;
	/* Nodes of the leaves. */
	uint32_t *zone, *network, *host, *part, *server;
	uint32_t **link; /* of each host: one for each of its addresses */
	size_t n_own;	 /* failures of the file; the twin's come after them */
	uint32_t twin_host, *twin_link, twin_part[PARTS];
	uint32_t *database, *volume;	       /* what each needs to be used */
	uint32_t *external;		       /* what each needs; 0: not built yet */
	struct build_certificate *certificate; /* by file; each once */
	size_t n_certificates;
	uint32_t *inner; /* what each service needs from inside; 0: not built yet */
	/* By t->first_server: */
	uint32_t *server_base; /* what a server needs but for the way to it */
	uint32_t *twin_base;
	uint32_t *group_base; /* of each service's groups */
};

/* A place in which a host serves: the file's own, or the twin that might be added. */
struct seat {
	const struct host *host;
	bool twin;
};

/* Seat `i` of a list of hosts; the twin, if it is among them, comes after the last. */
bool build_seat_of(const struct build *b, const struct host *const *list, size_t n,
    size_t i, struct seat *seat);

/* What a seat needs, pushed for the gate under construction. Who has no link to `net`
 * never works. */
void build_push_host(struct build *b, struct seat seat);
void build_push_link(struct build *b, struct seat seat, const struct network *net);
void build_push_part(struct build *b, struct seat seat, enum topology_part part);
void build_push_network(struct build *b, const struct network *net); /* or NULL */

/* servers.c: all groups of `s` that requests are sent to, asked from `seat`; the links
 * to the network `own`, which may be NULL, are not looked at. */
void build_push_groups(struct build *b, struct seat seat, const struct service *s,
    const struct network *own);

/* Who has floating address `f`: a host of it with its link and its part. */
void build_push_floating_ip(struct build *b, const struct floating_ip *f);

void build_goal(struct build *b, struct goal goal, uint32_t root);

/* data.c: databases, volumes and the console. Their programs; then what each needs;
 * what `s` needs of them; their goals. */
void build_data_leaves(struct build *b);
void build_data(struct build *b);
void build_push_data(struct build *b, const struct service *s);
void build_data_goals(struct build *b);

bool topology_in_hosts(const struct host *const *list, size_t n, const struct host *h);

/* All failures of the file, in their order; then those of the twin. */
void build_leaves(struct build *b);

/* A new failure and its leaf: the node. */
uint32_t build_failure(struct build *b, struct failure f, const char *name);

/* certificates.c: the leaves of all of them, and what service `s` needs of them. */
void build_certificates(struct build *b);
void build_push_certificates(struct build *b, const struct service *s);

/* What load balancers that are in already need of `s`, databases and volumes aside. */
uint32_t build_inner(struct build *b, const struct service *s);

/* circles.c: which servers are of no use, and which are other services. */
void build_circles(struct build *b);

/* Those that are found later; the node. */
uint32_t build_server_leaf(struct build *b, const struct service *s,
    const struct server *server, const struct host *h, const char *suffix);
uint32_t build_outside_leaf(struct build *b, const struct ip *ip, unsigned survive);
uint32_t build_external_leaf(
    struct build *b, const struct external *e, const char *place);

#endif /* NINES_TOPOLOGY_BUILD_H */
