/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_up.c - a request's way to its server: its head and, as it comes, its body. The
 * beginning of a body is kept where a server of HTTP/2 may refuse it on its way.
 */
#include "proxy/request/http_exchange.h"

#include <string.h>
#include <sys/uio.h>

#include "proxy/request/http.h"
#include "proxy/servers/server_conn.h"
#include "proxy/worker_inside.h"

#define KEPT_MAX 16384 /* of a request's body, to be sent once more */

/* Whether what comes of the body is kept until the answer begins. */
static bool
keeps_body(const struct client *c)
{
	return c->service->conf->server_http2 && !c->streamed && !c->up.body.done &&
	       c->state == CLIENT_WAITING && c->req != NULL && !flow_pending(&c->up);
}

static bool
keep_piece(struct worker *w, struct client *c, const char *p, size_t n)
{
	size_t have = c->kept != NULL ? c->kept->len : 0;
	struct buf *b = c->kept;

	if (b == NULL || b->cap - b->len < n) {
		b = buf_get(&w->bufs, have + n);
		if (b == NULL)
			return false;
		if (have > 0)
			memcpy(b->data, c->kept->data, have);
		buf_put(&w->bufs, c->kept);
		b->len = (uint32_t)have;
		c->kept = b;
	}
	memcpy(b->data + b->len, p, n);
	b->len += (uint32_t)n;
	return true;
}

/* Keeps what is here of the body, unless that becomes too much: then it goes its way,
 * and the request cannot be sent again. */
static void
keep_body(struct worker *w, struct client *c)
{
	struct buf *b;
	size_t n;

	while (keeps_body(c)) {
		b = side_data(w, &c->s);
		if (b == NULL)
			return;
		c->streamed = (c->kept != NULL ? c->kept->len : 0) + b->len > KEPT_MAX;
		n = c->streamed ? 0
				: http1_body_pass(&c->up.body, buf_bytes(b), b->len);
		if (n > 0 && !keep_piece(w, c, buf_bytes(b), n))
			c->s.failed = true;
		c->up.bytes += n;
		if (side_rest(w, &c->s, b, n) != 0)
			c->s.failed = true;
		if (n == 0)
			return;
	}
}

/* True if all that was kept is on its way. */
static bool
send_kept(struct client *c)
{
	struct iovec v;

	if (!http_kept_waits(c))
		return true;
	v = (struct iovec){c->kept->data + c->kept_sent, c->kept->len - c->kept_sent};
	c->kept_sent += (uint32_t)side_send(&c->peer->s, &v, 1);
	return !http_kept_waits(c);
}

/* The head, together with what is already here of the body. */
static void
send_head(struct worker *w, struct client *c)
{
	struct buf *in = c->s.in;
	struct iovec v[2] = {{c->req->data + c->req_sent, c->req->len - c->req_sent}};
	size_t n = 0, head = v[0].iov_len, sent;

	if (c->req_sent == 0)
		c->kept_sent = 0;
	/* In tiny pieces, or after a first attempt, they go one after the other. */
	if (in != NULL && !c->up.body.done && c->req_sent == 0 && !keeps_body(c)) {
		n = http1_body_pass(&c->up.body, buf_bytes(in), in->len);
		v[1] = (struct iovec){buf_bytes(in), n};
		c->streamed = n > 0;
		c->up.bytes += n;
	}
	sent = (size_t)side_send(&c->peer->s, v, n > 0 ? 2 : 1);
	c->req_sent += (uint32_t)(sent < head ? sent : head);
	sent -= sent < head ? sent : head;
	if (sent < n) {
		c->up.out = buf_keep(&w->bufs, buf_bytes(in) + sent, n - sent);
		if (c->up.out == NULL)
			c->s.failed = true;
	}
	if (n > 0)
		(void)side_rest(w, &c->s, in, n);
}

/* A body that did not say how large it is has become too large. */
static bool
too_large(struct worker *w, struct client *c)
{
	uint64_t max = c->service->conf->guard.max_body;

	if (max == 0 || c->up.bytes <= max || c->up.body.framing != HTTP1_CHUNKED)
		return false;
	if (c->state == CLIENT_WAITING)
		http_refuse(w, c, 413, "the request's body is too large");
	else
		client_close(w, c);
	return true;
}

/* False: the exchange is over or has gone elsewhere. */
bool
http_pump_up(struct worker *w, struct client *c)
{
	struct server_conn *sc = c->peer;

	if (c->req != NULL && c->req_sent < c->req->len) {
		send_head(w, c);
		if (sc->s.broken) {
			c->unclean = true;
			return true; /* it may have answered before it closed */
		}
		if (c->req_sent < c->req->len)
			return true;
	}
	keep_body(w, c);
	if (!send_kept(c)) {
		c->unclean = c->unclean || sc->s.broken;
		return !too_large(w, c);
	}
	if (c->up.body.done && !flow_pending(&c->up))
		return c->kept == NULL || !too_large(w, c);
	if (c->s.in != NULL || c->s.readable)
		c->streamed = true;
	switch (flow_pump(w, &c->up, &c->s, &sc->s)) {
	case FLOW_WAIT:
	case FLOW_DONE:
		return !too_large(w, c);
	case FLOW_SINK_FAILED:
		c->unclean = true;
		return true;
	case FLOW_BAD:
		if (c->state == CLIENT_WAITING) {
			http_refuse_head(w, c, c->up.body.error);
			return false;
		}
		break;
	case FLOW_EOF:
	case FLOW_SOURCE_FAILED:
	default:
		break;
	}
	count(c->service->counter, SVC_ABORTED);
	client_close(w, c);
	return false;
}
