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

void listener_unref(struct worker *w, struct wlistener *l);
void listener_resume(struct worker *w, struct wservice *s);

#endif /* NINES_PROXY_LISTENER_H */
