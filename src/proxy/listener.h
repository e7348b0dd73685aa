/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listener.h - a worker's listening sockets. Private to the room.
 */
#ifndef NINES_PROXY_LISTENER_H
#define NINES_PROXY_LISTENER_H

#include <stdbool.h>

#include "base/ip.h"
#include "base/list.h"
#include "proxy/side.h"
#include "proxy/wheel.h"

struct lsock;
struct view_listener;
struct worker;
struct wservice;

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

/* None that is closing. */
struct wlistener *listener_find(struct worker *w, const struct ip_endpoint *at);
/* It is not watched yet, and has no service. */
struct wlistener *listener_open(
    struct worker *w, const struct view_listener *vl, struct lsock *sock);
/* The socket stays its owner's; `l` lives on for the clients that came by it. */
void listener_close(struct worker *w, struct wlistener *l);
void listener_unref(struct worker *w, struct wlistener *l);

/* Whether epoll reports it. */
void listener_watch(struct worker *w, struct wlistener *l, bool watch);
/* Not for a while, for want of descriptors; then its timer is due. */
void listener_pause(struct worker *w, struct wlistener *l);
/* The service has room for clients again. */
void listener_resume(struct worker *w, struct wservice *s);

#endif /* NINES_PROXY_LISTENER_H */
