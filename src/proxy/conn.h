/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn.h - a worker's inside: connections and flows. Private to the room.
 *
 * A client connection and a server connection each begin with a `struct side`, which
 * is what epoll reports. Both are registered once, edge-triggered, for everything;
 * `readable` and `writable` remember the edges until the kernel says EAGAIN. A client
 * that has a server connection for an exchange has two flows: `up` carries the
 * request's body, `down` the answer's. A connection holds a buffer only while it has
 * bytes that could not be passed on.
 *
 * Who may free what: client_close() and server_close() put an object on the worker's
 * list of the dead, which is emptied after each round of events, since epoll may have
 * reported it in the same round.
 */
#ifndef NINES_PROXY_CONN_H
#define NINES_PROXY_CONN_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/rng.h"
#include "proxy/buf.h"
#include "proxy/counters.h"
#include "proxy/guard.h"
#include "proxy/http1/http1.h"
#include "proxy/meter.h"
#include "proxy/pool.h"
#include "proxy/request/coding.h"
#include "proxy/request/shape.h"
#include "proxy/request/squeeze.h"
#include "proxy/servers/care.h"
#include "proxy/servers/service.h"
#include "proxy/servers/stick.h"
#include "proxy/timers.h"
#include "proxy/worker.h"

#define TRIES_MAX 11 /* servers tried for one request: the first and 10 retries */
#define OUT_MAX                                                               \
	(HTTP1_HEAD_MAX + HTTP1_FORWARD_EXTRA + SHAPE_MAX + STICKY_LINE_MAX + \
	    CODING_LINES_MAX)

struct access_ring;
struct hedge;

enum client_state {
	CLIENT_IDLE,	   /* before the first byte of a request */
	CLIENT_HEAD,	   /* within a head */
	CLIENT_QUEUED,	   /* for a server */
	CLIENT_CONNECTING, /* its server connection is */
	CLIENT_WAITING,	   /* request sent or being sent, no final head yet */
	CLIENT_ANSWERING,  /* the answer's body is on its way */
	CLIENT_TUNNEL,	   /* bytes both ways */
	CLIENT_SESSION,	   /* speaks HTTP/2: its streams are clients of their own */
	CLIENT_LINGER,	   /* all said; waits for the client to close */
	CLIENT_PROXY,	   /* before its PROXY header */
	CLIENT_HANDSHAKE,  /* of TLS, before all else */
	CLIENT_DEAD
};

struct server_conn;

struct client {
	struct side s;
	uint8_t state;
	uint8_t minor;	 /* HTTP/1.minor of the request */
	uint8_t method;	 /* enum http1_method */
	uint8_t n_tried; /* servers, those of `beside` among them */
	uint8_t n_beside;
	uint8_t line;	/* of group->queue, while it waits there */
	uint8_t coding; /* enum coding: what the client would like best */
	bool tcp;
	bool secure;   /* came by TLS */
	bool https;    /* so did the request, to us or to a trusted proxy before us */
	bool partial;  /* s.in is known to be an incomplete head */
	bool keep;     /* the connection goes on after this answer */
	bool upgrade;  /* the request asks for another protocol */
	bool streamed; /* bytes of the request's body are gone: it cannot be repeated */
	bool unclean;  /* close after the answer whatever it says */
	bool log;      /* it is to leave a line in the access log */
	bool ready;    /* on the worker's list `ready` */
	bool called;   /* it waited for a server and may try now */
	bool apart;    /* it asks on a connection of its own (lane.h) */
	bool known;    /* the table of sources has `stuck`, and was told lately */
	bool trusted;  /* the connection is a trusted proxy's */
	bool stream;   /* one of an HTTP/2 connection, which counts instead of it */
	uint16_t status;	/* of the answer */
	struct list link;	/* service->clients */
	struct list ready_link; /* worker->ready, or group->queue */
	struct wheel_timer timer;
	struct wlistener *listener;
	struct wservice *service;
	struct wgroup *group; /* whose servers answer; set for each request */
	struct server_conn *peer;
	struct server_conn *beside; /* other attempts to connect (race.h) */
	struct hedge *hedge; /* a second server may be asked (hedge.h); or NULL */
	struct h2_session *session; /* CLIENT_SESSION */
	struct limit *limit;	    /* that it counts in; or NULL */
	struct shape shape;
	struct meter *meter; /* that it counts in as `counted_as`; or NULL */
	uint64_t counted_as;
	struct flow up, down;
	struct buf *req;   /* the head as it goes to servers, until an answer comes */
	uint32_t req_sent; /* bytes of it */
	struct buf *kept; /* of its body: a server of HTTP/2 may refuse it on its way */
	uint32_t kept_sent;
	uint16_t req_head;  /* where in it the head begins: behind a PROXY header */
	uint16_t req_asked; /* for the log: bytes behind it that the client asked for */
	uint16_t repeats;   /* servers that were asked in vain */
	uint32_t tried[TRIES_MAX];
	uint64_t hash;
	uint32_t stuck; /* place in the service of the server that is its, from 1 */
	mono_t started, served, connected, first; /* for the access log */
	uint64_t body_mark;	 /* bytes of the request's body that are due */
	mono_t body_due;	 /* and when; 0: not known yet */
	struct ip_endpoint from; /* of the connection, or what its PROXY header says */
	struct ip source;	 /* of the request: `from`, or whom that speaks for */
	char address[IP_STR_LEN];
};

struct server_conn {
	struct side s;
	struct list link; /* upstream->idle or ->busy */
	struct upstream *up;
	struct client *client;	   /* NULL: idle */
	struct work_limits limits; /* that it counts in while busy */
	mono_t since;		   /* the exchange began */
	bool connected;
	bool reused;  /* has answered before: may have been closed meanwhile */
	bool partial; /* s.in is known to be an incomplete head */
	bool keep;    /* may answer again after this exchange */
	bool shared;  /* its side is a place on a lane or trunk */
	bool beside;  /* not its client's peer, but one of its other attempts */
	bool counted; /* in upstream->silence, unless that was heard since */
	struct server_conn *before; /* the next of them */
};

struct worker {
	struct worker_conf conf;
	pthread_t thread;
	int epfd;
	struct side wake;
	int reserve; /* a descriptor to give up when there are no more */
	_Atomic(struct view *) next; /* shown, not yet adopted */
	atomic_bool end;
	_Atomic(struct access_ring *) shared_ring; /* `ring`, for the control thread */
	_Atomic(struct source_ring *) shared_sources; /* the same */
	atomic_size_t n_clients;
	atomic_bool deaf; /* stopping, and accepts nobody any more */
	atomic_bool busy; /* does not wait for events */
	stats_t turns;	  /* pieces of work done */
	struct view *view;
	mono_t now;
	struct rng rng;
	struct bufs bufs;
	struct wheel wheel;
	struct wheel_timer care;
	bool caring; /* it is set */
	struct list services, listeners;
	struct list ready;
	struct list dead_clients, dead_servers, dead_listeners;
	struct pool clients, servers;
	struct list lanes, dead_lanes; /* with something to do; ended */
	struct pipe *pipes;	       /* empty ones */
	unsigned n_pipes;
	struct squeeze_pool squeezes;
	struct h2_worker *h2;	     /* NULL: nobody has spoken HTTP/2 yet */
	struct tls_io *tls;	     /* NULL: no connection had TLS yet */
	struct access_ring *ring;    /* NULL: no service wants a log */
	struct source_ring *sources; /* `shared_sources`; NULL: nothing to say yet */
	struct http1_head head;
	char out[OUT_MAX];
	char lines[SHAPE_MAX]; /* what routes add to a head */
};

/* client.c: what http and tcp have in common */
struct client *client_new(struct worker *w, struct wlistener *l, int fd);
struct client *client_stream(struct worker *w, const struct client *conn);
void client_start(struct worker *w, struct client *c);
void client_begin(struct worker *w, struct client *c, const char *name);
uint64_t client_hash(const void *bytes, size_t len);
void client_close(struct worker *w, struct client *c);
void client_dispatch(struct worker *w, struct client *c);
void client_requeue(struct worker *w, struct wgroup *g);
void client_make_ready(struct worker *w, struct client *c);
void client_ready(struct worker *w, struct client *c);
void client_take_turns(struct worker *w, struct client *c);
void client_event(struct worker *w, struct client *c);
void client_timeout(struct worker *w, struct client *c);
void client_tunnel(struct worker *w, struct client *c);
void client_lost_server(struct worker *w, struct client *c, int error);
void client_progress(struct worker *w, struct client *c);
void client_drain(struct worker *w, struct client *c);
/* The same of any of its server connections. */
void server_lost(struct worker *w, struct server_conn *sc, int error);
bool client_replayable(const struct client *c);
void server_event(struct worker *w, struct server_conn *sc);
void server_connected(struct worker *w, struct server_conn *sc);

/* client_tls.c: before that */
bool client_shakes_hands(const struct client *c);
void client_tls_done(const struct client *c); /* it ends: was TLS the reason? */
void client_handshake(struct worker *w, struct client *c);

/* http.c: one exchange after another */
void http_idle(struct worker *w, struct client *c);
void http_next(struct worker *w, struct client *c);
void http_connected(struct worker *w, struct client *c);
void http_pump(struct worker *w, struct client *c);
void http_refuse(struct worker *w, struct client *c, unsigned status, const char *why);
void http_refuse_head(struct worker *w, struct client *c, enum http1_error e);
void http_linger(struct worker *w, struct client *c);
void http_forget_request(struct worker *w, struct client *c);

/* http_request.c: the head as servers get it, from w->head and `p`, in c->req. 0 or
 * -ENOBUFS. */
int http_write_request(struct worker *w, struct client *c, const char *p) MUST_CHECK;
void http_hash_request(struct worker *w, struct client *c, const char *p);

/* request_log.c */
void log_begin(struct worker *w, struct client *c);
void log_line(struct worker *w, struct client *c, const char *end);

/* The end of it. `end` is one constant word. */
static inline void
log_end(struct worker *w, struct client *c, const char *end)
{
	if (c->log)
		log_line(w, c, end);
}

/* worker.c */
void listener_unref(struct worker *w, struct wlistener *l);
void listener_resume(struct worker *w, struct wservice *s);
void worker_poke_set(struct worker *w, uint64_t set);
void worker_notify(struct worker *w);
/* What events leave to do in a round; then who died in it. Fuzz targets do it too. */
void worker_init(struct worker *w);
void worker_turn(struct worker *w);
void worker_bury(struct worker *w);
struct source_ring *worker_want_sources(struct worker *w);

static inline void
count(stats_t *block, unsigned field)
{
	stats_add(&block[field], 1);
}

#endif /* NINES_PROXY_CONN_H */
