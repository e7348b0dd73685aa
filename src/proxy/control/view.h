/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view.h - all that workers know: immutable, reference counted, swapped as a whole.
 *
 * The control thread builds a new view whenever the cluster file, a fact or a socket
 * changed and hands it to every worker (worker_show()). A generation, the larger and
 * rarer piece, belongs to one cluster file; a view is a generation with the states of
 * its servers and listeners. Only reference counts and struct limit are written by
 * more than one thread.
 */
#ifndef NINES_PROXY_VIEW_H
#define NINES_PROXY_VIEW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/stats.h"
#include "config/cluster.h"
#include "proxy/servers/sticky.h"

#define WORKERS_CAP 64 /* threads; a set of them is one word */

/*
 * A maximum of connections that all workers share. A worker that finds it used up
 * leaves its bit; whoever gives one back pokes the workers in the set.
 */
struct limit {
	atomic_uint refs;
	atomic_uint used;
	_Atomic uint64_t waiters;
};

struct limit *limit_new(void) MUST_CHECK; /* one reference; NULL: no memory */
struct limit *limit_ref(struct limit *l); /* NULL is fine */
void limit_unref(struct limit *l);	  /* NULL is fine */
/* False if `max` are in use; the worker is among the waiters then. */
bool limit_take(struct limit *l, unsigned max, unsigned worker);
/* Returns the workers to poke. */
uint64_t limit_put(struct limit *l);

/* One listening socket of one worker, closed with its last view. */
struct lsock {
	atomic_uint refs;
	int fd;
	bool closing; /* its worker takes who has begun to connect; that worker's own */
};

struct lsock *lsock_new(int fd) MUST_CHECK; /* takes `fd` also when it fails */
struct lsock *lsock_ref(struct lsock *s);   /* NULL is fine */
void lsock_unref(struct lsock *s);	    /* NULL is fine */

/* Counters of one service or server in one worker; the names are in counters.c. */
struct gen_server {
	struct limit *limit; /* NULL: none */
	stats_t **counter;   /* one block for each worker */
};

/* What workers share of a group of servers. */
struct gen_group {
	struct shared_breaker *breaker; /* NULL: none */
	struct limit *limit;		/* of work of its servers; the same */
};

struct gen_service {
	const struct service *conf;
	bool here; /* this host serves it */
	struct limit *limit;
	struct limit *waiting; /* for a server */
	struct limit *working; /* of all servers together */
	struct meter *meter;   /* NULL: sources may have what they want */
	stats_t **counter;
	struct gen_server *server;   /* conf->n_servers */
	struct gen_group *group;     /* conf->n_groups */
	size_t first;		     /* of its servers in view.server */
	struct route_table *routes;  /* NULL: it changes nothing and has one group */
	struct tls_site *tls;	     /* towards clients; NULL: none, or see below */
	struct tls_peer *server_tls; /* the same towards servers */
	const char *tls_why;	     /* what is wrong with them, "" if nothing is */
	bool tls_failed;	     /* and one of them could not be used */
	struct route_text
	    *page; /* what routes answer, by their index; p NULL: nothing */
	struct route_codes *codes; /* the same pages compressed; or NULL */
	const char *page_why;	   /* what could not be read, "" if nothing */
	bool page_failed;
	struct sticky_key stick_key; /* what cookies that name servers are made with */
	const char *stick_why;	     /* as page_why */
};

struct arena;
struct meter;
struct route_codes;
struct route_table;
struct route_text;
struct shared_breaker;
struct source_map;
struct tls_peer;
struct tls_site;

struct gen {
	atomic_uint refs;
	const struct cluster *cluster;
	const struct host *me;
	unsigned n_workers;
	struct gen_service *service; /* one for each of the cluster */
	size_t n_servers;	     /* of all services */
	struct arena *memory;	     /* what `service` points to */
};

enum server_state {
	SERVER_UNKNOWN, /* no verdict yet: usable */
	SERVER_UP,
	SERVER_DOWN,
	SERVER_DRAINING = 0x10 /* a flag beside one of these */
};

struct view_listener {
	struct ip_endpoint at;
	size_t service; /* index of the cluster */
	bool leaving;	/* its address moves away: connections end after an answer */
	bool closing;	/* for good: a worker that does not know it yet has to, too */
	struct lsock *sock[WORKERS_CAP]; /* NULL: not here yet */
};

/* What is known of a server beside its state; zero: nothing. */
struct view_order {
	bool weighted; /* `weight` counts instead of the file's */
	uint16_t weight;
	uint16_t reach_ms; /* of a connection of its checks, at most; 0: not known */
	uint8_t less; /* per cent of the weight that its agent wants it to have less */
};

struct view {
	atomic_uint refs;
	struct gen *gen;
	uint64_t serial;	  /* later ones of a process have higher ones */
	bool accepting;		  /* false: a spare, or the host's addresses are gone */
	bool stopping;		  /* connections end when they can */
	size_t *group;		  /* the active one, by the cluster's services */
	uint8_t *server;	  /* enum server_state, by gen_service.first + index */
	struct view_order *order; /* by the same */
	/* By the cluster's services; NULL: it has no table, or not yet. */
	struct source_map **sources;
	struct view_listener *listener;
	size_t n_listeners;
};

struct gen *gen_ref(struct gen *g);
void gen_unref(struct gen *g); /* NULL is fine */

/* A copy of nothing but the room: states unknown, no sockets. NULL: no memory. */
struct view *view_new(struct gen *g, size_t n_listeners) MUST_CHECK;
struct view *view_ref(struct view *v);
void view_unref(struct view *v); /* NULL is fine */

#endif /* NINES_PROXY_VIEW_H */
