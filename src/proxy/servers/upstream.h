/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream.h - one server of a worker's service: its state, its connections, the work
 * it has. Private to the room.
 */
#ifndef NINES_PROXY_UPSTREAM_H
#define NINES_PROXY_UPSTREAM_H

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/list.h"
#include "base/mono.h"
#include "base/stats.h"
#include "proxy/servers/outlier.h"
#include "proxy/servers/patience.h"
#include "proxy/servers/silence.h"
#include "proxy/servers/sticky.h"
#include "proxy/wheel.h"

struct client;
struct limit;
struct server;
struct ssl_session_st;
struct wgroup;
struct worker;
struct wservice;

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

struct upstream *upstream_new(struct wservice *s, const struct server *conf);
void upstream_unref(struct upstream *up);
void upstream_state(struct worker *w, struct upstream *up, uint8_t state);
void upstream_usable(struct upstream *up);
void upstream_failed(struct worker *w, struct upstream *up, int error);
/* What upstream_pick() has just given is not used. */
void upstream_give_back(struct worker *w, struct upstream *up);
void upstream_retry_due(struct worker *w, struct upstream *up);
int upstream_pick(struct worker *w, struct client *c);
/* What its work counts in; and that a piece of it ended. */
struct work_limits upstream_limits(const struct upstream *up);
void upstream_leave(struct worker *w, struct upstream *up, const struct work_limits *t);
bool upstream_wanted(const struct upstream *up); /* by the file and the view */
bool upstream_takes(const struct upstream *up);	 /* work, all limits aside */
bool upstream_tried(const struct client *c, size_t i);

/* news.c */
void upstream_settle(struct worker *w, struct upstream *up);
void upstream_retire(struct worker *w, struct upstream *up);

#endif /* NINES_PROXY_UPSTREAM_H */
