/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - a client's connection, or one stream of it. Private to the room.
 *
 * A client begins with a `struct side`, which is what epoll reports. While a request
 * is served it has a server connection (server_conn.h) and two flows: `up` carries the
 * request's body, `down` the answer's. It holds a buffer only while it has bytes that
 * could not be passed on.
 *
 * Who may free it: client_close() puts it on the worker's list of the dead, which is
 * emptied after each round of events, since epoll may have reported it in the same
 * round.
 */
#ifndef NINES_PROXY_CLIENT_H
#define NINES_PROXY_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "base/list.h"
#include "base/mono.h"
#include "proxy/request/shape.h"
#include "proxy/side.h"
#include "proxy/wheel.h"

struct buf;
struct h2_session;
struct hedge;
struct limit;
struct meter;
struct server_conn;
struct wgroup;
struct wlistener;
struct worker;
struct wservice;

#define TRIES_MAX 11 /* servers tried for one request: the first and 10 retries */

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
	struct server_conn *second; /* that it was; or NULL */
	struct h2_session *session; /* CLIENT_SESSION */
	const struct client *conn;  /* that a stream is one of; or NULL */
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

/* client.c, for the loop: */
struct client *client_new(struct worker *w, struct wlistener *l, int fd);
void client_event(struct worker *w, struct client *c);
void client_ready(struct worker *w, struct client *c);
void client_timeout(struct worker *w, struct client *c);
void client_drain(struct worker *w, struct client *c);

/* client.c, for what a client's states are made of: guard, TLS, http, h2. */
struct client *client_stream(struct worker *w, const struct client *conn);
void client_start(struct worker *w, struct client *c);
void client_begin(struct worker *w, struct client *c, const char *name);
void client_dispatch(struct worker *w, struct client *c);
void client_lost_server(struct worker *w, struct client *c, int error);
void client_tunnel(struct worker *w, struct client *c);
void client_progress(struct worker *w, struct client *c);
void client_close(struct worker *w, struct client *c);

/* client_queue.c, for all: it calls none of the above. */
void client_make_ready(struct worker *w, struct client *c);
void client_take_turns(struct worker *w, struct client *c);
void client_requeue(struct worker *w, struct wgroup *g);
void client_requeue_all(struct worker *w, struct wgroup *g);
/* A place in its group's queue. False: there is none; if `*victim` is set, one more
 * when that client has left it. */
bool client_enqueue(struct worker *w, struct client *c, struct client **victim);
/* It waits no more, neither there nor to be made ready. */
void client_leave_queue(struct worker *w, struct client *c);
/* True if it was called to a server: it has tried, or will not. */
bool client_call_over(struct client *c);

/* The side with the socket, and TLS, that it came by. */
static inline const struct side *
client_wire(const struct client *c)
{
	return c->stream ? &c->conn->s : &c->s;
}

#endif /* NINES_PROXY_CLIENT_H */
