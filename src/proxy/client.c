/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.c - what client connections of both modes have in common: their life, the
 * way to a server, tunnels, time-outs, draining.
 */
#include "proxy/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "config/cluster.h"
#include "proxy/counters.h"
#include "proxy/guard.h"
#include "proxy/h2/h2.h"
#include "proxy/listener.h"
#include "proxy/proxy_wire.h"
#include "proxy/request/http.h"
#include "proxy/request/shape.h"
#include "proxy/request_log.h"
#include "proxy/servers/balance.h"
#include "proxy/servers/care.h"
#include "proxy/servers/hedge.h"
#include "proxy/servers/race.h"
#include "proxy/servers/server_conn.h"
#include "proxy/servers/service.h"
#include "proxy/servers/shared_breaker.h"
#include "proxy/servers/stick.h"
#include "proxy/servers/upstream.h"
#include "proxy/servers/wait.h"
#include "proxy/timers.h"
#include "proxy/tls/client_tls.h"
#include "proxy/tls/tls.h"
#include "proxy/worker_inside.h"

/* A client of `s` that came by `l`; NULL if there is no memory. */
static struct client *
join(struct worker *w, struct wservice *s, struct wlistener *l, int fd)
{
	struct client *c = pool_get(&w->clients);

	if (c == NULL)
		return NULL;
	*c = (struct client){
	    .s = {.fd = fd, .kind = SIDE_CLIENT, .readable = true, .writable = true},
	    .tcp = s->conf->mode == MODE_TCP,
	    .listener = l,
	    .started = w->now,
	    .service = s,
	    .group = s->group[s->active]};
	list_init(&c->ready_link);
	list_init(&c->link);
	list_append(&s->clients, &c->link);
	wheel_timer_init(&c->timer, TIMER_CLIENT);
	l->refs++;
	s->n_clients++;
	atomic_fetch_add_explicit(&w->n_clients, 1, memory_order_relaxed);
	return c;
}

/* Takes `fd`; NULL if there is no memory (`fd` is the caller's again). */
struct client *
client_new(struct worker *w, struct wlistener *l, int fd)
{
	struct client *c = join(w, l->service, l, fd);

	if (c == NULL)
		return NULL;
	count(c->service->counter, SVC_CONNECTIONS);
	stats_add(&c->service->counter[SVC_ACTIVE], 1);
	return c;
}

/* A stream of `conn`, which counts for all of them; its transport is the caller's. */
struct client *
client_stream(struct worker *w, const struct client *conn)
{
	struct client *c = join(w, conn->service, conn->listener, -1);

	if (c == NULL)
		return NULL;
	c->stream = true;
	c->conn = conn;
	c->secure = conn->secure;
	c->s.readable = false;
	c->from = conn->from;
	c->source = conn->from.ip;
	memcpy(c->address, conn->address, sizeof(c->address));
	return c;
}

void
client_close(struct worker *w, struct client *c)
{
	struct wservice *s = c->service;

	if (c->state == CLIENT_DEAD)
		return;
	client_leave_queue(w, c);
	c->state = CLIENT_DEAD;
	log_end(w, c, c->up.shut && c->down.shut ? "ok" : "client-abort");
	if (c->session != NULL)
		h2_close(w, c);
	hedge_end(w, c);
	race_end(w, c);
	if (c->peer != NULL)
		server_close(w, c->peer);
	stats_add(&s->counter[SVC_BYTES_IN], c->up.bytes);
	stats_add(&s->counter[SVC_BYTES_OUT], c->down.bytes);
	flow_done(w, &c->up);
	flow_done(w, &c->down);
	http_forget_request(w, c);
	shape_done(w, c);
	guard_leave(c);
	wheel_clear(&w->wheel, &c->timer);
	client_tls_done(c);
	side_close(w, &c->s);
	list_remove(&c->link);
	list_append(&w->dead_clients, &c->link);
	s->n_clients--;
	if (!c->stream)
		stats_add(&s->counter[SVC_ACTIVE], UINT64_MAX);
	listener_unref(w, c->listener);
	c->listener = NULL;
	if (c->limit != NULL) {
		worker_poke_set(w, limit_put(c->limit));
		limit_unref(c->limit);
		listener_resume(w, s);
	}
	if (atomic_fetch_sub_explicit(&w->n_clients, 1, memory_order_relaxed) == 1 &&
	    w->view->stopping)
		worker_notify(w);
}

/* It was put on the list of those who can go on without an event. */
void
client_ready(struct worker *w, struct client *c)
{
	list_remove(&c->ready_link);
	c->ready = false;
	if (c->state == CLIENT_CONNECTING && c->peer == NULL) {
		client_dispatch(w, c);
		return;
	}
	if (client_call_over(c))
		client_requeue(w, c->group);
	client_event(w, c);
}

/* Nobody can be asked (any more), unless an attempt to connect goes on. */
static void
unserved(struct worker *w, struct client *c, unsigned status, const char *why)
{
	(void)client_call_over(c); /* what is true of him may be so of the next */
	if (race_stands_in(w, c))
		return;
	count(c->service->counter, SVC_UNSERVED);
	if (c->tcp) {
		log_end(w, c, "unserved");
		client_close(w, c);
	} else {
		http_refuse(w, c, status, why);
	}
}

static void
queue_is_full(struct worker *w, struct client *c)
{
	client_leave_queue(w, c);
	c->state = CLIENT_CONNECTING;
	unserved(w, c, 503, "every server is at its limit of connections");
}

/* It waits for a server of its group, if it gets a place there; perhaps somebody's
 * whose source has more of them. */
static void
enqueue(struct worker *w, struct client *c)
{
	struct client *victim;

	if (client_enqueue(w, c, &victim))
		return;
	if (victim != NULL) {
		queue_is_full(w, victim);
		if (client_enqueue(w, c, &victim))
			return;
	}
	queue_is_full(w, c);
}

/* In tcp mode the PROXY header goes first (in http mode it stands before the head). */
static void
tunnel_connected(struct worker *w, struct client *c)
{
	const struct service *conf = c->service->conf;
	uint8_t head[PROXY_WIRE_MAX];
	size_t n;

	flow_init(&c->up, HTTP1_TUNNEL, 0);
	flow_init(&c->down, HTTP1_TUNNEL, 0);
	c->state = CLIENT_TUNNEL;
	if (conf->send_proxy != 0 && !conf->server_tls.on) {
		n = proxy_wire_encode(
		    conf->send_proxy, &c->from, &c->listener->at, head);
		c->up.out = buf_keep(&w->bufs, (const char *)head, n);
		if (c->up.out == NULL) {
			client_close(w, c);
			return;
		}
	}
	client_progress(w, c);
	client_tunnel(w, c);
}

static void
connected(struct worker *w, struct server_conn *sc)
{
	struct client *c = sc->client;

	if (c->beside != NULL)
		race_won(w, sc);
	c->connected = w->now;
	if (c->tcp && c->service->sticky != NULL)
		stick_served(w, c, c->peer->up);
	if (c->tcp)
		tunnel_connected(w, c);
	else
		http_connected(w, c);
}

/* True if it was not our own lack of something. */
static bool
servers_fault(int error)
{
	return error != EMFILE && error != ENFILE && error != ENOBUFS &&
	       error != ENOMEM && error != EADDRNOTAVAIL &&
	       error != EAGAIN /* a Unix socket's backlog is full */;
}

/* False: enough servers have been tried. */
static bool
try_another(struct client *c, size_t tried)
{
	unsigned failed = c->n_tried - c->n_beside;

	if (failed > c->service->conf->retries || c->n_tried == TRIES_MAX)
		return false;
	c->tried[c->n_tried++] = (uint32_t)tried;
	return failed < c->service->conf->retries;
}

/* Finds `c` a server and a connection to it; or a place in the queue; or refuses. */
void
client_dispatch(struct worker *w, struct client *c)
{
	struct wservice *s = c->service;
	struct upstream *up;
	int i, r;

	ASSERT(c->peer == NULL);
	if (c->beside == NULL)
		c->served = w->now;
	c->state = CLIENT_CONNECTING;
	if (s->conf->breaker.on &&
	    !shared_breaker_allows(c->group->breaker, &s->conf->breaker, w->now)) {
		count(s->counter, SVC_BREAKER_REFUSED);
		unserved(
		    w, c, 503, "the servers' answers are errors: none is asked now");
		return;
	}
	for (;;) {
		i = upstream_pick(w, c);
		if (i == BALANCE_FULL) {
			if (!race_stands_in(w, c))
				enqueue(w, c);
			return;
		}
		if (i < 0) {
			unserved(w, c, c->n_tried > 0 ? 502 : 503,
			    c->n_tried > 0 ? "no server could be reached"
					   : "no server is up that takes new work");
			return;
		}
		up = c->group->up[i];
		r = server_open(w, c, up);
		if (r == 0)
			break;
		upstream_give_back(w, up);
		count(up->counter, SRV_CONNECT_ERRORS);
		if (!servers_fault(-r)) {
			unserved(w, c, 503, "out of resources");
			return;
		}
		upstream_failed(w, up, -r);
		if (!try_another(c, (size_t)i)) {
			unserved(w, c, 502, "no server could be reached");
			return;
		}
		count(up->counter, SRV_RETRIES);
		c->repeats++;
	}
	if (client_call_over(c))
		client_requeue(w, c->group);
	if (c->peer->connected)
		connected(w, c->peer);
	else
		race_wait(w, c);
}

/* Its server connection failed before the first byte of an answer. */
void
client_lost_server(struct worker *w, struct client *c, int error)
{
	struct server_conn *sc = c->peer;
	struct upstream *up = sc->up;
	bool connecting = !sc->connected, stale = sc->reused && error != EHOSTDOWN;
	bool again = wait_replayable(c);

	if (hedge_stands_in(w, c, error))
		return;
	hedge_end(w, c);
	if (connecting)
		count(up->counter, SRV_CONNECT_ERRORS);
	else if (!stale)
		count(up->counter, SRV_ERRORS);
	if (!stale)
		care_failed(w, up);
	/* A reset counts at once; a pooled connection may have timed out over there. */
	if (error != EHOSTDOWN && (connecting || (!stale && error == ECONNRESET)))
		upstream_failed(w, up, error);
	server_close(w, sc);
	if (!again || (!stale && !try_another(c, up->index)) ||
	    (c->req_sent > 0 && !care_spend(c->service))) {
		unserved(w, c, error == ETIMEDOUT ? 504 : 502,
		    connecting ? "the server could not be reached"
			       : "the server closed the connection without an answer");
		return;
	}
	count(up->counter, SRV_RETRIES);
	c->repeats++;
	c->req_sent = 0;
	c->unclean = false;
	client_dispatch(w, c);
}

void
server_lost(struct worker *w, struct server_conn *sc, int error)
{
	if (server_is_second(sc))
		hedge_lost(w, sc, error);
	else if (sc->beside)
		race_lost(w, sc, error);
	else
		client_lost_server(w, sc->client, error);
}

/* When a client owes more of its request's body; never if it is not its turn. */
static mono_t
body_due(struct worker *w, struct client *c)
{
	if (c->state != CLIENT_WAITING || c->up.body.done || flow_pending(&c->up)) {
		c->body_due = (mono_t){0};
		return MONO_NEVER;
	}
	if (c->body_due.ns == 0 || c->up.bytes >= c->body_mark) {
		c->body_mark = c->up.bytes + BODY_STEP;
		c->body_due = mono_add(w->now, c->service->conf->body_timeout_ns);
	}
	return c->body_due;
}

/* Something moved: the time-out that fits the state starts anew. */
void
client_progress(struct worker *w, struct client *c)
{
	const struct service *conf = c->service->conf;
	int64_t ns =
	    c->state == CLIENT_TUNNEL ? conf->idle_timeout_ns : conf->server_timeout_ns;

	mono_t due = mono_add(w->now, ns);

	if (!c->up.body.done) {
		mono_t body = body_due(w, c);

		/* A server owes nothing before it has all of the request. */
		if (!mono_is_never(body))
			due = body;
	}
	wheel_set(&w->wheel, &c->timer, due);
}

/* Of a connection on which nothing was said yet. `name` is what TLS asks for. */
void
client_begin(struct worker *w, struct client *c, const char *name)
{
	if (!c->tcp) {
		http_idle(w, c);
		http_next(w, c);
		return;
	}
	if (c->service->routing != NULL)
		shape_choose_connection(w, c, name);
	if (c->service->conf->balance == BALANCE_HASH)
		c->hash = balance_hash(c->source.byte, ip_len(&c->source));
	if (c->service->sticky != NULL)
		stick_connection(w, c);
	count(c->service->counter, SVC_REQUESTS);
	log_begin(w, c);
	client_dispatch(w, c);
}

/* After the accept: what came with it is read at once, but for the hello of TLS, which
 * needs more of the network. */
void
client_start(struct worker *w, struct client *c)
{
	if (!client_shakes_hands(c)) {
		client_begin(w, c, "");
		return;
	}
	c->state = CLIENT_HANDSHAKE;
	c->s.readable = false; /* epoll says when it is */
	wheel_set(
	    &w->wheel, &c->timer, mono_add(w->now, c->service->conf->head_timeout_ns));
}

static void
half_close(struct flow *f, struct side *dst)
{
	f->shut = f->body.done = true;
	side_shut(dst);
}

/* One way of a tunnel. False: it is over. */
static bool
tunnel_pump(struct worker *w, struct flow *f, struct side *src, struct side *dst)
{
	enum flow_result r = f->shut ? FLOW_DONE : flow_pump(w, f, src, dst);

	if (r == FLOW_EOF)
		half_close(f, dst);
	return r != FLOW_SOURCE_FAILED && r != FLOW_SINK_FAILED;
}

void
client_tunnel(struct worker *w, struct client *c)
{
	struct server_conn *sc = c->peer;
	bool up = tunnel_pump(w, &c->up, &c->s, &sc->s);
	bool down = tunnel_pump(w, &c->down, &sc->s, &c->s);

	if (!up || !down || (c->up.shut && c->down.shut))
		client_close(w, c);
	client_take_turns(w, c);
}

static void
discard(struct worker *w, struct client *c)
{
	struct buf *b;

	while ((b = side_data(w, &c->s)) != NULL)
		(void)side_rest(w, &c->s, b, b->len);
	if (c->s.eof || c->s.failed)
		client_close(w, c);
}

void
client_event(struct worker *w, struct client *c)
{
	switch ((enum client_state)c->state) {
	case CLIENT_PROXY:
		guard_event(w, c);
		return;
	case CLIENT_HANDSHAKE:
		client_handshake(w, c);
		return;
	case CLIENT_IDLE:
	case CLIENT_HEAD:
		http_next(w, c);
		return;
	case CLIENT_QUEUED:
	case CLIENT_CONNECTING:
		/* Nobody is left to answer to. A FIN alone may be a half-close. */
		if (c->s.gone) {
			count(c->service->counter, SVC_ABORTED);
			client_close(w, c);
		}
		return;
	case CLIENT_WAITING:
	case CLIENT_ANSWERING:
		client_progress(w, c);
		http_pump(w, c);
		return;
	case CLIENT_TUNNEL:
		client_progress(w, c);
		client_tunnel(w, c);
		return;
	case CLIENT_SESSION:
		h2_event(w, c);
		return;
	case CLIENT_LINGER:
		discard(w, c);
		return;
	case CLIENT_DEAD:
	default:
		return;
	}
}

void
server_connected(struct worker *w, struct server_conn *sc)
{
	if (server_is_second(sc)) {
		hedge_connected(w, sc);
		return;
	}
	sc->connected = true;
	if (!sc->shared)
		patience_learn(&sc->up->connects, mono_sub(w->now, sc->since));
	wait_reached(w, sc->up);
	connected(w, sc);
}

void
server_event(struct worker *w, struct server_conn *sc)
{
	struct client *c = sc->client;

	if (sc->s.fd < 0 && !sc->shared)
		return;
	if (c == NULL) {
		/* A pooled connection has nothing to say but that it ends. */
		if (sc->s.readable && (sc->s.via == NULL || !side_quiet(&sc->s)))
			server_close(w, sc);
		return;
	}
	if (server_is_second(sc)) {
		hedge_event(w, sc);
		return;
	}
	if (!sc->connected) {
		if (sc->s.gone) {
			server_lost(w, sc, side_error(&sc->s));
		} else if (sc->s.writable) {
			int r = sc->s.via != NULL ? tls_handshake(&sc->s) : 0;

			if (r == 0)
				server_connected(w, sc);
			else if (r != -EAGAIN)
				server_lost(w, sc, -r);
		}
		return;
	}
	client_event(w, c);
}

/* It waits for its server's connection for longer than that one usually takes, or than
 * it may. The server stays in rotation: one packet may be lost. */
static void
not_connected(struct worker *w, struct client *c)
{
	const struct server_conn *sc = c->peer;
	int64_t waited = mono_sub(w->now, sc->since);

	if (waited >= c->service->conf->connect_timeout_ns) {
		client_lost_server(w, c, ETIMEDOUT);
		return;
	}
	if (waited < wait_patience(sc) || !race_may(c) || !wait_others(c)) {
		race_wait(w, c);
		return;
	}
	race_begin(c);
	client_dispatch(w, c);
}

void
client_timeout(struct worker *w, struct client *c)
{
	stats_t *counter = c->service->counter;

	switch ((enum client_state)c->state) {
	case CLIENT_PROXY:
	case CLIENT_HANDSHAKE:
		count(counter, SVC_TIMEOUTS);
		client_close(w, c);
		return;
	case CLIENT_HEAD:
		count(counter, SVC_TIMEOUTS);
		http_refuse(w, c, 408, "the request's head did not come in time");
		return;
	case CLIENT_QUEUED:
		count(counter, SVC_QUEUE_TIMEOUTS);
		client_leave_queue(w, c);
		c->state = CLIENT_CONNECTING;
		unserved(w, c, 503, "no server had room in time");
		return;
	case CLIENT_CONNECTING:
		if (c->peer != NULL)
			not_connected(w, c);
		return;
	case CLIENT_WAITING:
		if (c->body_due.ns != 0 && flow_pending(&c->up)) {
			client_progress(w, c); /* it is the server who waits */
			return;
		}
		/* What came and is stuck is so for want of a server that reads. */
		if (!c->up.body.done && !flow_pending(&c->up)) {
			count(counter, SVC_TIMEOUTS);
			http_refuse(
			    w, c, 408, "the request's body did not come in time");
			return;
		}
		count(c->peer->up->counter, SRV_TIMEOUTS);
		care_failed(w, c->peer->up);
		http_refuse(w, c, 504, "the server did not answer in time");
		return;
	case CLIENT_ANSWERING:
	case CLIENT_TUNNEL:
		count(counter, SVC_TIMEOUTS);
		log_end(w, c, "timeout");
		client_close(w, c);
		return;
	case CLIENT_SESSION:
		h2_timeout(w, c);
		return;
	case CLIENT_IDLE:
	case CLIENT_LINGER:
	case CLIENT_DEAD:
	default:
		client_close(w, c);
		return;
	}
}

/* Its address moves away, or all ends: what waits for nothing is closed in a while;
 * what is in the middle of something says so with its answer. */
void
client_drain(struct worker *w, struct client *c)
{
	mono_t grace = mono_add(w->now, c->service->conf->drain_timeout_ns / 4);

	if (c->state == CLIENT_SESSION)
		h2_drain(w, c);
	if (c->state == CLIENT_IDLE && mono_before(grace, c->timer.due))
		wheel_set(&w->wheel, &c->timer, grace);
}
