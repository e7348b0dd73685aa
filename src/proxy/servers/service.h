/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service.h - a worker's services, their servers and listeners. Private to the room.
 */
#ifndef NINES_PROXY_SERVICE_H
#define NINES_PROXY_SERVICE_H

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/list.h"
#include "base/stats.h"
#include "proxy/control/view.h"
#include "proxy/servers/balance.h"
#include "proxy/servers/fair.h"
#include "proxy/servers/latency.h"
#include "proxy/servers/outlier.h"
#include "proxy/servers/patience.h"
#include "proxy/servers/silence.h"
#include "proxy/servers/sticky.h"
#include "proxy/side.h"
#include "proxy/wheel.h"

struct client;
struct ssl_session_st;
struct tls_peer;
struct tls_site;
struct server_conn;
struct shared_breaker;
struct source_map;
struct worker;
struct wgroup;
struct wrouting;
struct wservice;

/* Where a cookie's server stands. */
struct sticky_server {
	struct sticky_token token;
	uint32_t place;
};

/* What a piece of work counts in; NULL: no limit. */
struct work_limits {
	struct limit *server, *group, *service;
};

/*
 * One server of one service. Lives while its service or a connection needs it. What
 * every request touches comes first and together, in few lines of the cache: with a
 * thousand servers each of them is cold when its turn comes.
 */
#define CACHE_LINE ((size_t)64)

struct upstream {
	alignas(CACHE_LINE) struct wservice *service;
	struct wgroup *group;
	const struct server *conf;
	size_t index;  /* in its group */
	bool gone;     /* not in the file any more */
	uint8_t state; /* enum server_state and flag, by the view */
	uint8_t was;   /* `state` before the last news */
	bool failed;   /* real traffic says so, until `retry` or news */
	bool doubted;  /* it keeps clients waiting; until the same */
	bool ramping;  /* it came back at `back_at` and has not its full share yet */
	unsigned n_idle;
	struct limit *limit;
	stats_t *counter;
	struct list idle; /* connections, the last used first */
	struct list busy;
	struct wheel_timer watch; /* set while it is busy: does it answer? */
	mono_t heard;		  /* an answer came from it */
	struct silence silence;
	int64_t usual_ns;	 /* to answer; 0: not known */
	uint32_t answers;	 /* so far */
	uint32_t window_answers; /* when the outliers' window began */
	struct outlier_server outlier;
	/* The rest is for less than every request. */
	unsigned refs;
	size_t place;	      /* in the service */
	unsigned weight;      /* the one that holds */
	unsigned less;	      /* per cent of it that its agent wants it to have less */
	uint32_t kept_active; /* from one balancer to the next */
	char *name;	      /* outlives the file */
	struct sockaddr_storage address;
	socklen_t address_len;
	struct wheel_timer retry;
	mono_t doubted_at; /* last */
	mono_t doubted_until;
	unsigned doubts;	  /* since it was heard */
	mono_t reached;		  /* a connection to it came about */
	struct patience connects; /* how long they take */
	mono_t back_at;
	struct sticky_token token; /* where the service is sticky */
	struct list lanes;	   /* the last used first */
	mono_t no_lanes;	   /* before that requests go one by one */
	struct list trunks;	   /* of HTTP/2, the last used first */
	unsigned streams;	   /* that each of them takes, as far as it is known */
	struct ssl_session_st *session; /* of TLS, to be resumed; or NULL */
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

/* One listening socket. Lives while it listens or a client came by it. */
struct wlistener {
	struct side s;
	struct list link;
	unsigned refs;
	struct ip_endpoint at;
	struct lsock *sock; /* NULL: it listens no more */
	struct wservice *service;
	bool leaving;
	bool tls;      /* clients speak it */
	bool redirect; /* they should: all is answered with a way to https */
	bool watched;  /* by epoll: not while paused */
	bool full;     /* paused: the service has all the connections it may have */
	struct wheel_timer pause;
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

/* upstream.c: servers of a service */
struct upstream *upstream_new(struct wservice *s, const struct server *conf);
void upstream_unref(struct upstream *up);
void upstream_state(struct worker *w, struct upstream *up, uint8_t state);
void upstream_settle(struct worker *w, struct upstream *up);
void upstream_retire(struct worker *w, struct upstream *up);
void upstream_usable(struct upstream *up);
void upstream_failed(struct worker *w, struct upstream *up, int error);
/* What upstream_pick() has just given is not used. */
void upstream_give_back(struct worker *w, struct upstream *up);
void upstream_retry_due(struct worker *w, struct upstream *up);
int upstream_pick(struct worker *w, struct client *c);
bool upstream_takes(const struct upstream *up); /* work, all limits aside */
bool upstream_tried(const struct client *c, size_t i);
int server_open(struct worker *w, struct client *c, struct upstream *up);
void server_release(struct worker *w, struct server_conn *sc, bool keep);
void server_close(struct worker *w, struct server_conn *sc);

/* doubt.c: servers that take work and say nothing */
/* It was given work, which is over before it was heard, or not. */
void doubt_begin(struct worker *w, struct server_conn *sc);
void doubt_end(struct worker *w, struct server_conn *sc);
void doubt_heard(struct upstream *up, mono_t now);
void doubt_reached(struct worker *w, struct upstream *up);
void doubt_due(struct worker *w, struct upstream *up);
/* How long a client waits for the connection `sc` before it asks another server too. */
int64_t doubt_patience(const struct server_conn *sc);
/* True if there is one that `c`, which has a peer, has not asked. */
bool doubt_others(const struct client *c);
/* True if another server can be asked what `c` has asked `up`. */
bool doubt_may_move(const struct client *c, const struct upstream *up);

#endif /* NINES_PROXY_SERVICE_H */
