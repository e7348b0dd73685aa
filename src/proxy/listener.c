/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listener.c - a worker's listening sockets: whether they are watched, and who they
 * belong to. What comes by them is accept.c's.
 */
#include "proxy/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "base/log.h"
#include "proxy/control/view.h"
#include "proxy/timers.h"
#include "proxy/worker_inside.h"

#define PAUSE_NS (50 * MS_NS) /* no accepting when out of descriptors */

void
listener_watch(struct worker *w, struct wlistener *l, bool watch)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = &l->s};

	if (watch == l->watched || l->sock == NULL)
		return;
	if (epoll_ctl(w->epfd, watch ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, l->s.fd, &e) != 0)
		log_event(LOG_ERR, "listen", "errno=%d watch=%d", errno, watch);
	else
		l->watched = watch;
}

void
listener_unref(struct worker *w, struct wlistener *l)
{
	if (--l->refs == 0) /* epoll may have reported it in this round */
		list_append(&w->dead_listeners, &l->link);
}

void
listener_resume(struct worker *w, struct wservice *s)
{
	LIST_EACH(n, tmp, &w->listeners)
	{
		struct wlistener *l = CONTAINER(n, struct wlistener, link);

		if (l->service != s || !l->full)
			continue;
		l->full = false;
		listener_watch(w, l, w->view->accepting || l->sock->closing);
	}
}

void
listener_pause(struct worker *w, struct wlistener *l)
{
	listener_watch(w, l, false);
	wheel_set(&w->wheel, &l->pause, mono_add(w->now, PAUSE_NS));
}

struct wlistener *
listener_find(struct worker *w, const struct ip_endpoint *at)
{
	LIST_EACH(n, tmp, &w->listeners)
	{
		struct wlistener *l = CONTAINER(n, struct wlistener, link);

		if (l->at.port == at->port && ip_equal(&l->at.ip, &at->ip) &&
		    !l->sock->closing)
			return l;
	}
	return NULL;
}

struct wlistener *
listener_open(struct worker *w, const struct view_listener *vl, struct lsock *sock)
{
	struct wlistener *l = calloc(1, sizeof(*l));

	ASSERT(l != NULL);
	l->s = (struct side){.fd = sock->fd, .kind = SIDE_LISTENER};
	l->refs = 1;
	l->at = vl->at;
	l->sock = lsock_ref(sock);
	wheel_timer_init(&l->pause, TIMER_LISTENER);
	list_init(&l->link);
	list_append(&w->listeners, &l->link);
	return l;
}

void
listener_close(struct worker *w, struct wlistener *l)
{
	listener_watch(w, l, false);
	wheel_clear(&w->wheel, &l->pause);
	list_remove(&l->link);
	lsock_unref(l->sock);
	l->sock = NULL;
	l->leaving = true;
	listener_unref(w, l);
}
