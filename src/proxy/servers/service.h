/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service.h - a worker's services and the groups of servers in them. Private to the
 * room.
 */
#ifndef NINES_PROXY_SERVICE_H
#define NINES_PROXY_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/mono.h"
#include "base/stats.h"
#include "proxy/control/view.h"
#include "proxy/servers/balance.h"
#include "proxy/servers/fair.h"
#include "proxy/servers/latency.h"
#include "proxy/servers/outlier.h"
#include "proxy/servers/sticky.h"
#include "proxy/wheel.h"

struct gen;
struct limit;
struct meter;
struct shared_breaker;
struct source_map;
struct tls_peer;
struct tls_site;
struct upstream;
struct worker;
struct wrouting;
struct wservice;

/* Where a cookie's server stands. */
struct sticky_server {
	struct sticky_token token;
	uint32_t place;
};

/*
 * Servers among which requests are balanced; its name is its identity over reloads.
 * Clients point to it as long as they look for a server or have one.
 */
struct wgroup {
	struct list link; /* service->left, when the file does not name it any more */
	struct wservice *service;
	char *name;	      /* outlives the file */
	struct upstream **up; /* some of the service's */
	size_t n_up;
	struct balancer balancer;
	uint32_t *heap;			/* the balancer's memory */
	struct balance_point *ring;	/* the same */
	struct fair queue;		/* clients waiting for one of its servers */
	struct client *called;		/* the next of them, whose turn it is */
	struct shared_breaker *breaker; /* NULL: none */
	struct limit *limit;		/* of work of all its servers */
	unsigned max;			/* of it */
	struct outlier_group outlier;
	mono_t window;		/* of outliers: its end */
	uint32_t answers;	/* of all servers */
	int64_t usual_ns;	/* theirs, to answer */
	struct latency latency; /* of their answers, where the file needs it */
	bool ramping;		/* one of its servers may be */
	bool panic;		/* too few are up: the others are asked as well */
};

/* One service; its name is its identity over reloads. */
struct wservice {
	struct list link;
	struct gen *gen; /* where `conf` lives */
	const struct service *conf;
	bool gone;
	struct upstream **up; /* of all groups, in the file's order */
	size_t n_up;
	struct wgroup **group; /* by their index in `conf` */
	size_t n_groups;
	size_t active;		  /* the one for what no route sends elsewhere */
	struct meter *meter;	  /* of sources; NULL: none is kept */
	struct wrouting *routing; /* NULL: nothing to choose or change */
	bool by_name;		  /* a route looks at the name that TLS asks for */
	struct list left;	  /* groups that clients still point to */
	struct list clients;
	size_t n_clients;
	struct limit *waiting;	     /* of clients in the queues of groups */
	struct limit *working;	     /* of work of all servers */
	struct tls_site *tls;	     /* `gen`'s; NULL: none, or it cannot be had */
	struct tls_peer *server_tls; /* the same */
	unsigned budget;	     /* hundredths of requests that may be sent twice */
	/* Sorted; NULL: clients stay with nobody by a cookie or a table. */
	struct sticky_server *sticky;
	struct source_map *sources; /* NULL: no table */
	struct list hedges;	    /* requests that a second server may get */
	struct wheel_timer hedge_timer;
	unsigned hedge_purse; /* hundredths of requests that may be asked twice */
	struct limit *limit;
	stats_t *counter;
};

/* service.c: services and groups, from one generation to the next */
struct wservice *service_find(struct worker *w, const char *name);
struct wservice *service_new(struct worker *w);
/* A new generation: servers that stay keep their connections. */
void service_update(struct worker *w, struct wservice *s, struct gen *g, size_t index);
void service_retire(struct worker *w, struct wservice *s);
void service_bury(struct worker *w, struct wservice *s);
/* What else is known of it: its weight, by order or by the file; its distance. */
void service_order(struct upstream *up, const struct view_order *order);
void service_room(struct worker *w, struct wservice *s);

#endif /* NINES_PROXY_SERVICE_H */
