/* SPDX-License-Identifier: Apache-2.0 */
/*
 * accept.c - clients that come by a worker's listening sockets, and which sockets those
 * are, by the view.
 */
#include "proxy/accept.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "config/cluster_files.h"
#include "proxy/client.h"
#include "proxy/control/view.h"
#include "proxy/guard.h"
#include "proxy/listener.h"
#include "proxy/servers/dial.h"
#include "proxy/servers/service.h"
#include "proxy/worker_inside.h"

#define ACCEPTS 64   /* of one listener in one round */
#define BACKLOG 4096 /* of a listener that is about to close */

#define CLOSING_NS (200 * MS_NS) /* the handshakes that have begun end in this time */

/*
 * No descriptor is left: the one in reserve takes a client and closes it, so that it
 * learns at once, and the others wait in the backlog for a while.
 */
static void
out_of_descriptors(struct worker *w, struct wlistener *l)
{
	int fd;

	log_event(LOG_WARN, "accept", "error=\"out of descriptors\" service=%s",
	    l->service->conf->name);
	(void)close(w->reserve);
	fd = accept4(l->s.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0)
		(void)close(fd);
	w->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	listener_pause(w, l);
}

/* False: no more for now. */
static bool
accept_one(struct worker *w, struct wlistener *l)
{
	struct wservice *s = l->service;
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct client *c;
	int fd;

	if (s->limit != NULL &&
	    !limit_take(s->limit, s->conf->max_connections, w->conf.index)) {
		l->full = true;
		listener_watch(w, l, false);
		return false;
	}
	fd = accept4(
	    l->s.fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	c = fd >= 0 ? client_new(w, l, fd) : NULL;
	if (c == NULL) {
		int error = errno;

		if (s->limit != NULL)
			worker_poke_set(w, limit_put(s->limit));
		if (fd >= 0)
			(void)close(fd);
		else if (error == EMFILE || error == ENFILE)
			out_of_descriptors(w, l);
		else if (error == ECONNABORTED || error == EINTR)
			return true;
		else if (error != EAGAIN)
			listener_pause(w, l);
		return false;
	}
	c->from = ip_from_sockaddr(&ss);
	c->limit = limit_ref(s->limit);
	if (side_watch(w, &c->s) != 0)
		client_close(w, c);
	else
		guard_accept(w, c);
	if (l->sock->closing)
		client_drain(w, c);
	return true;
}

void
accept_clients(struct worker *w, struct wlistener *l)
{
	for (int i = 0; i < ACCEPTS && l->watched; i++) {
		if (!accept_one(w, l))
			return;
	}
}

/*
 * Who has begun to connect is taken: a reset would meet them otherwise, perhaps after
 * the request was sent. The supervisor has the kernel refuse all others meanwhile.
 */
static void
leave(struct worker *w, struct wlistener *l)
{
	l->leaving = l->sock->closing = true;
	listener_watch(w, l, !l->full);
	wheel_set(&w->wheel, &l->pause, mono_add(w->now, CLOSING_NS));
}

/* The view has it no more. A spare, who never watched it, leaves it to others. */
static void
forget(struct worker *w, struct wlistener *l)
{
	if (l->watched || l->full || !mono_is_never(l->pause.due))
		leave(w, l);
	else
		listener_close(w, l);
}

/*
 * All others are refused. Not close() but shutdown(), for the supervisor and the spare
 * have the socket too, and as long as one of them did clients would go on to connect
 * and then be reset.
 */
static void
retire(struct worker *w, struct wlistener *l)
{
	for (int i = 0; i < BACKLOG; i++) {
		if (!accept_one(w, l))
			break;
	}
	(void)shutdown(l->s.fd, SHUT_RD);
	listener_close(w, l);
}

void
accept_due(struct worker *w, struct wlistener *l)
{
	if (l->sock->closing)
		retire(w, l);
	else
		listener_watch(w, l, w->view->accepting && !l->full);
}

bool
accept_closing(const struct worker *w)
{
	LIST_EACH(n, tmp, &w->listeners)
	{
		if (CONTAINER(n, struct wlistener, link)->sock->closing)
			return true;
	}
	return false;
}

void
accept_adopt(struct worker *w, const struct view *v, bool fresh)
{
	LIST_EACH(n, tmp, &w->listeners)
	{
		CONTAINER(n, struct wlistener, link)->s.eof = true; /* not seen yet */
	}
	for (size_t i = 0; i < v->n_listeners; i++) {
		const struct view_listener *vl = &v->listener[i];
		struct lsock *sock = vl->sock[w->conf.index];
		struct wlistener *l = listener_find(w, &vl->at);
		bool is_new;

		if (l != NULL && l->sock != sock) {
			listener_close(w, l);
			l = NULL;
		}
		if (sock == NULL || sock->closing)
			continue;
		is_new = l == NULL;
		if (is_new)
			l = listener_open(w, vl, sock);
		l->service = service_find(w, v->gen->service[vl->service].conf->name);
		ASSERT(l->service != NULL);
		if (fresh || is_new)
			dial_tune_listener(sock->fd, l->service->conf);
		l->leaving = vl->leaving;
		l->tls = service_port_has_tls(l->service->conf, l->at.port);
		l->redirect = l->service->conf->tls.redirect && !l->tls;
		l->s.eof = false;
		if (vl->closing)
			leave(w, l);
		else
			listener_watch(w, l,
			    v->accepting && !l->full && mono_is_never(l->pause.due));
	}
	LIST_EACH(n, tmp, &w->listeners)
	{
		struct wlistener *l = CONTAINER(n, struct wlistener, link);

		if (l->s.eof && !l->sock->closing)
			forget(w, l);
	}
}
