/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.c - one exchange after another on a client connection.
 *
 * A request's head is rewritten into a small buffer of its own (client.req), which
 * stays until an answer comes, so that the request can go to another server. Bodies
 * flow both ways independently: an answer may come before the request has ended, and
 * 100-continue needs no special care. The way up is http_up.c; answers that no server
 * gives are http_own.c.
 */
#include "proxy/request/http.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "proxy/client.h"
#include "proxy/counters.h"
#include "proxy/guard.h"
#include "proxy/h2/h2.h"
#include "proxy/listener.h"
#include "proxy/request/coding.h"
#include "proxy/request/http_exchange.h"
#include "proxy/request/https.h"
#include "proxy/request/press.h"
#include "proxy/request/shape.h"
#include "proxy/request_log.h"
#include "proxy/servers/care.h"
#include "proxy/servers/hedge.h"
#include "proxy/servers/server_conn.h"
#include "proxy/servers/service.h"
#include "proxy/servers/stick.h"
#include "proxy/servers/sticky.h"
#include "proxy/servers/wait.h"
#include "proxy/worker_inside.h"

#define LINGER_NS (2 * SEC_NS)

/* Before a request: nothing but the connection is kept. */
void
http_idle(struct worker *w, struct client *c)
{
	const struct service *conf = c->service->conf;
	int64_t ns = conf->idle_timeout_ns;

	c->state = CLIENT_IDLE;
	if (http_must_leave(w, c) && conf->drain_timeout_ns / 4 < ns)
		ns = conf->drain_timeout_ns / 4;
	wheel_set(&w->wheel, &c->timer, mono_add(w->now, ns));
}

/*
 * All is said. Closing at once with something unread would reset the connection, and
 * the client might lose the answer (RFC 9112 section 9.6): close the sending half and
 * wait for the client to do the same.
 */
void
http_linger(struct worker *w, struct client *c)
{
	if (c->s.eof || c->s.failed || c->s.broken) {
		client_close(w, c);
		return;
	}
	side_shut(&c->s);
	c->state = CLIENT_LINGER;
	wheel_set(&w->wheel, &c->timer, mono_add(w->now, LINGER_NS));
	client_make_ready(w, c);
}

void
http_forget_request(struct worker *w, struct client *c)
{
	buf_put(&w->bufs, c->req);
	buf_put(&w->bufs, c->kept);
	c->req = c->kept = NULL;
	c->kept_sent = 0;
}

/* The client has the whole answer. */
static void
answered(struct worker *w, struct client *c)
{
	bool clean = c->up.body.done && !flow_pending(&c->up) && !http_kept_waits(c) &&
		     (c->req == NULL || c->req_sent == c->req->len) && !c->unclean;

	log_end(w, c, "ok");
	c->down.shut = true; /* a stream must know that this is not an abort */
	if (c->peer != NULL)
		server_release(w, c->peer, c->peer->keep && clean);
	http_settle(c);
	flow_done(w, &c->up);
	flow_done(w, &c->down);
	http_forget_request(w, c);
	if (c->shape.routing != NULL)
		shape_done(w, c);
	if (c->keep && clean && !c->s.broken) {
		http_idle(w, c);
		if (c->s.in != NULL || c->s.readable)
			client_make_ready(w, c);
	} else if (clean && c->s.in == NULL && !c->s.readable) {
		client_close(w, c);
	} else {
		http_linger(w, c);
	}
}

/* Sends `head` and `n` bytes of body; what the client does not take waits in `down`. */
void
http_send_answer(
    struct worker *w, struct client *c, size_t head, const char *body, size_t n)
{
	struct iovec v[2] = {{w->out, head}, {(char *)(uintptr_t)body, n}};
	size_t sent;
	struct buf *b;

	/* One piece is cheaper for the kernel than two, as long as it is small. */
	if (n > 0 && n <= SMALL_BODY && head + n <= sizeof(w->out)) {
		memcpy(w->out + head, body, n);
		head += n;
		v[0].iov_len = head;
		n = 0;
	}
	sent = (size_t)side_send(&c->s, v, n > 0 ? 2 : 1);
	if (sent == head + n || c->s.broken)
		return;
	b = buf_get(&w->bufs, head + n - sent);
	if (b == NULL) {
		c->s.broken = true;
		return;
	}
	if (sent < head) {
		b->len = (uint32_t)(head - sent);
		memcpy(b->data, w->out + sent, b->len);
		sent = head;
	}
	if (n > 0)
		memcpy(b->data + b->len, body + (sent - head), n - (sent - head));
	b->len += (uint32_t)(n - (sent - head));
	ASSERT(c->down.out == NULL);
	c->down.out = b;
}

void
http_pump_down(struct worker *w, struct client *c)
{
	if (c->shape.page.len > 0 && !http_push_page(w, c))
		return;
	/* A page of our own has no server: its flow is done and needs no source. */
	struct side *src = c->peer != NULL ? &c->peer->s : &c->s;

	switch (flow_pump(w, &c->down, src, &c->s)) {
	case FLOW_DONE:
		answered(w, c);
		return;
	case FLOW_WAIT:
		return;
	case FLOW_EOF:
		if (c->down.body.framing == HTTP1_UNTIL_CLOSE) {
			c->keep = false;
			answered(w, c);
			return;
		}
		break;
	case FLOW_SINK_FAILED:
		count(c->service->counter, SVC_ABORTED);
		client_close(w, c);
		return;
	case FLOW_BAD:
	case FLOW_SOURCE_FAILED:
	default:
		break;
	}
	/* Cut short: the client must not take it for whole, so the connection ends
	 * before its framing does (RFC 9112 section 8). */
	log_end(w, c, "server-abort");
	if (c->peer != NULL)
		count(c->peer->up->counter, SRV_ERRORS);
	client_close(w, c);
}

/* It came to a plain port of a service that has TLS. */
static bool
belongs_to_https(const struct client *c)
{
	return c->listener->redirect && !c->https;
}

static int
send_to_https(struct worker *w, const struct client *c, const char *p, unsigned *status)
{
	return https_answer(c, &w->head, p, w->out, HTTP1_HEAD_MAX, status);
}

/* What an exchange begins with: nothing of the one before, and what the head at `p`
 * says by itself. */
static void
begin_exchange(struct worker *w, struct client *c, const char *p)
{
	const struct service *conf = c->service->conf;
	const struct http1_head *h = &w->head;

	count(c->service->counter, SVC_REQUESTS);
	c->started = w->now;
	log_begin(w, c);
	c->method = (uint8_t)h->method;
	c->minor = h->minor;
	c->keep = h->keep_alive && !c->stream; /* which is all of a connection */
	c->upgrade = h->upgrade;
	c->streamed = c->unclean = c->apart = false;
	c->n_tried = 0;
	c->req_sent = 0;
	c->status = 0;
	c->body_due = (mono_t){0};
	c->https = c->secure;
	c->coding = CODING_IDENTITY;
	if (conf->compression.on && h->minor > 0)
		c->coding = (uint8_t)coding_accepted(&conf->compression, h, p);
	c->group = c->service->group[c->service->active];
}

/*
 * Nobody reads the body of a request that no server gets. If all of it has come with
 * the head, it is passed over, and the connection goes on (RFC 9112 section 9.3); what
 * is still to come is not waited for. Returns how much of `b` behind the head it is.
 */
static size_t
pass_over_body(struct client *c, struct buf *b, size_t head)
{
	struct http1_body body = c->up.body;
	size_t n;

	if (body.done || c->stream)
		return 0;
	n = http1_body_pass(&body, buf_bytes(b) + head, b->len - head);
	if (!body.done || body.error != HTTP1_OK)
		return 0;
	c->up.body = body;
	c->up.bytes += n;
	return n;
}

/* A whole head stands at the start of `b`. */
static void
request(struct worker *w, struct client *c, struct buf *b)
{
	const char *p = buf_bytes(b);
	const struct http1_head *h = &w->head;
	const struct guard_conf *guard = &c->service->conf->guard;
	struct route_text body = {0};
	unsigned status = 0, refused = 0;
	size_t used = h->len;
	const char *why = "";
	bool own;
	int r;

	begin_exchange(w, c, p);
	if (guard->any || c->trusted)
		refused = guard_request(w, c, p, &why);
	if (c->service->routing != NULL)
		shape_choose(w, c, p);
	if (c->service->conf->balance == BALANCE_HASH)
		http_hash_request(w, c, p);
	if (c->service->sticky != NULL)
		stick_read(w, c, p);
	care_earn(c->service);
	flow_init(&c->up, h->framing, h->length);
	flow_init(&c->down, HTTP1_NO_BODY, 0);
	own = refused == 0 && (belongs_to_https(c) || shape_answers(c));
	r = (own || refused != 0) && !c->log
		? 0
		: http_write_request(w, c, p); /* the log reads it there */
	if (own && r == 0) {
		r = belongs_to_https(c) ? send_to_https(w, c, p, &status)
					: shape_answer(w, c, p, &body, &status);
		c->status = (uint16_t)status;
		used += pass_over_body(c, b, used);
	}
	if (side_rest(w, &c->s, b, used) != 0) {
		client_close(w, c);
		return;
	}
	if (refused != 0)
		http_refuse(w, c, refused, why);
	else if (own && r > 0)
		http_send_own(w, c, (size_t)r, body);
	else if (r != 0)
		http_refuse(w, c, 503, "out of resources");
	else
		client_dispatch(w, c);
}

static void
between_requests(struct worker *w, struct client *c)
{
	if (c->s.failed || c->s.eof) /* in the middle of a head, too: nobody asked */
		client_close(w, c);
}

/* What is no request here is the preface of HTTP/2, on a connection without another
 * past: RFC 9113 section 3.3. */
static bool
begins_h2(const struct client *c, struct buf *b)
{
	return c->service->conf->http2 && !c->stream && c->status == 0 &&
	       h2_preface(buf_bytes(b), b->len);
}

/* Reads the next request's head. */
void
http_next(struct worker *w, struct client *c)
{
	struct buf *b;
	size_t skip;
	int r;

	for (;;) {
		b = c->s.in != NULL && !c->partial ? c->s.in : side_more(w, &c->s);
		if (b == NULL) {
			between_requests(w, c);
			return;
		}
		c->partial = false;
		skip = http1_skip_crlf(buf_bytes(b), b->len);
		r = http1_parse_request(&w->head, buf_bytes(b) + skip, b->len - skip);
		if (r == -EAGAIN) {
			if (side_rest(w, &c->s, b, skip) != 0) {
				client_close(w, c);
				return;
			}
			c->partial = true;
			if (c->state == CLIENT_IDLE && c->s.in != NULL) {
				c->state = CLIENT_HEAD;
				wheel_set(&w->wheel, &c->timer,
				    mono_add(
					w->now, c->service->conf->head_timeout_ns));
			}
			continue;
		}
		if (r != 0 && begins_h2(c, b)) {
			if (side_rest(w, &c->s, b, 0) == 0)
				h2_start(w, c);
			else
				client_close(w, c);
			return;
		}
		if (r != 0) {
			(void)side_rest(w, &c->s, b, b->len);
			http_refuse_head(w, c, w->head.error);
			return;
		}
		buf_drop(b, skip);
		request(w, c, b);
		return;
	}
}

/* The connection to the server stands: the request goes out. */
void
http_connected(struct worker *w, struct client *c)
{
	c->state = CLIENT_WAITING;
	client_progress(w, c);
	http_pump(w, c);
	if (c->service->conf->balancing.hedge.budget > 0)
		hedge_begin(w, c);
}

/* 1xx other than 101: passed on, and the answer is still to come (RFC 9110 section
 * 15.2; an HTTP/1.0 client does not know them). False: the client is gone. */
static bool
interim(struct worker *w, struct client *c, struct buf *b)
{
	const struct http1_answer a = {.minor = 1, .keep_alive = true};
	int n;

	if (c->minor > 0) {
		n = http1_forward_response(
		    &w->head, buf_bytes(b), &a, w->out, sizeof(w->out));
		ASSERT(n > 0);
		http_count_status(c, w->head.status);
		http_send_answer(w, c, (size_t)n, NULL, 0);
	}
	if (side_rest(w, &c->peer->s, b, w->head.len) == 0 && !c->s.broken)
		return true;
	client_close(w, c);
	return false;
}

/* What becomes of the body of the answer in w->head, which stands at `p`. */
struct recoding {
	bool fits; /* it could be compressed */
	enum coding coding;
	struct press *press; /* NULL: it has none, or goes as it is */
};

static struct recoding
recode(struct worker *w, const struct client *c, const char *p)
{
	const struct compression_conf *conf = &c->service->conf->compression;
	struct recoding r = {.coding = CODING_IDENTITY};

	if (!conf->on || !coding_fits(conf, &w->head, p, (enum http1_method)c->method))
		return r;
	r.fits = true;
	if (c->coding == CODING_IDENTITY)
		return r;
	if (c->method != HTTP1_HEAD)
		r.press = press_new(w, (enum coding)c->coding, conf);
	if (c->method == HTTP1_HEAD || r.press != NULL)
		r.coding = (enum coding)c->coding;
	if (r.press != NULL)
		count(c->service->counter, SVC_COMPRESSED);
	return r;
}

/* The final head at the start of `b`, as the client gets it in w->out; its length. */
static size_t
write_answer(struct worker *w, struct client *c, struct buf *b, struct http1_answer *a,
    const struct recoding *r)
{
	const struct service *conf = c->service->conf;
	struct http1_edit edit = {.extra = ""};
	char SCRATCH line[STICKY_LINE_MAX + CODING_LINES_MAX];
	int head;

	if (c->shape.routing != NULL) {
		shape_response(c, &edit);
		a->edit = &edit;
	}
	if (c->service->sticky != NULL) {
		edit.more = line;
		edit.more_len = stick_answer(w, c, c->peer->up, line);
		a->edit = &edit;
	}
	if (r->fits) {
		edit.more = line;
		edit.more_len += coding_lines(
		    &w->head, buf_bytes(b), r->coding, line + edit.more_len);
		if (r->coding != CODING_IDENTITY)
			edit.also = coding_drops(&edit.n_also);
		a->edit = &edit;
	}
	head =
	    http1_forward_response(&w->head, buf_bytes(b), a, w->out, sizeof(w->out));
	a->edit = NULL;
	ASSERT(head > 0);
	if (!c->https || conf->tls.hsts_ns == 0)
		return (size_t)head;
	return https_add_hsts(
	    c, &w->head, buf_bytes(b), w->out, (size_t)head, sizeof(w->out));
}

/* The head waits for the first of the body: together they are one packet. */
static void
hold_head(struct worker *w, struct client *c, size_t head)
{
	struct buf *b = buf_get(&w->bufs, BUF_LARGE);

	if (b == NULL) {
		c->s.broken = true;
		return;
	}
	memcpy(b->data, w->out, head);
	b->len = (uint32_t)head;
	c->down.out = b;
}

/* The head in w->out, and what stands behind the server's in `b` of the body. Returns
 * how much of that was taken. */
static size_t
send_first(struct worker *w, struct client *c, struct buf *b, size_t head)
{
	char *body = buf_bytes(b) + w->head.len;
	/* Together they have to fit the buffer that may have to keep them. */
	size_t used = b->len - w->head.len, n = 0;

	if (c->down.press != NULL) {
		hold_head(w, c, head);
		return 0;
	}
	if (used > BUF_LARGE - head)
		used = BUF_LARGE - head;
	if (c->down.body.done)
		used = 0;
	else if (c->down.dechunk)
		used = http1_body_dechunk(&c->down.body, body, used, &n);
	else
		n = used = http1_body_pass(&c->down.body, body, used);
	c->down.bytes += n;
	/* One packet less: http_pump_down(), which is next, closes or shuts. */
	c->s.last = !c->keep && c->down.body.done;
	http_send_answer(w, c, head, body, n);
	c->s.last = false;
	return used;
}

/* A final head stands at the start of `b`: it goes on with what is here of the body. */
static void
answer(struct worker *w, struct client *c, struct buf *b)
{
	struct server_conn *sc = c->peer;
	const struct http1_head *h = &w->head;
	struct http1_answer a = {.minor = c->minor};
	struct recoding r = recode(w, c, buf_bytes(b));
	size_t used, head;

	a.dechunk = h->framing == HTTP1_CHUNKED && (c->minor == 0 || r.press != NULL);
	if (r.press == NULL && (h->framing == HTTP1_UNTIL_CLOSE || a.dechunk))
		c->keep = false;
	if (http_must_leave(w, c))
		c->keep = false;
	if (h->framing == HTTP1_TUNNEL)
		c->keep = false;
	/* A stream ends by itself: no line has to say so. */
	a.keep_alive = c->keep || c->stream || h->framing == HTTP1_TUNNEL;
	sc->keep = h->keep_alive && h->framing != HTTP1_UNTIL_CLOSE &&
		   h->framing != HTTP1_TUNNEL && c->service->conf->send_proxy == 0;
	c->status = h->status;
	http_count_status(c, h->status);
	if (h->status >= 500)
		count(sc->up->counter, SRV_RESPONSES_5XX);
	care_answered(w, sc->up, mono_sub(w->now, c->connected), h->status < 500);
	hedge_answered(w, c);
	head = write_answer(w, c, b, &a, &r);
	flow_init(&c->down, h->framing, h->length);
	c->down.press = r.press;
	c->down.body.padded = true;
	c->down.dechunk = a.dechunk;
	c->state = h->framing == HTTP1_TUNNEL ? CLIENT_TUNNEL : CLIENT_ANSWERING;
	used = send_first(w, c, b, head);
	c->first = w->now;
	wait_heard(sc->up, w->now);
	if (!http_kept_waits(c)) {
		buf_put(&w->bufs, c->kept);
		c->kept = NULL;
	}
	if (!c->log) {
		buf_put(&w->bufs, c->req);
		c->req = NULL;
	}
	if (side_rest(w, &sc->s, b, h->len + used) != 0) {
		client_close(w, c);
		return;
	}
	if (c->state == CLIENT_TUNNEL) {
		http_settle(c);
		flow_done(w, &c->up);
		flow_init(&c->up, HTTP1_TUNNEL, 0);
		client_progress(w, c);
		client_tunnel(w, c);
	}
}

/* `e`: what is wrong with its head; HTTP1_OK: it breaks off. */
static void
bad_answer(struct worker *w, struct client *c, enum http1_error e)
{
	char why[160];

	count(c->peer->up->counter, SRV_ERRORS);
	care_failed(w, c->peer->up);
	if (e == HTTP1_LONG_HEAD)
		(void)snprintf(why, sizeof(why),
		    "the head of the server's answer is too long: %d KiB and %d fields "
		    "are taken",
		    HTTP1_HEAD_MAX / 1024, HTTP1_FIELDS_MAX);
	else
		(void)snprintf(why, sizeof(why), "the server's answer is malformed: %s",
		    e == HTTP1_OK ? "its head breaks off" : http1_reason(e)->text);
	c->status = 502;
	log_end(w, c, e == HTTP1_LONG_HEAD ? "answer-too-long" : "answer-malformed");
	http_refuse(w, c, 502, why);
}

/* The server's bytes before the body. */
static void
await_answer(struct worker *w, struct client *c)
{
	struct server_conn *sc = c->peer;
	struct side *s = &sc->s;
	struct buf *b;
	int r;

	ASSERT(sc != NULL);
	for (;;) {
		if (flow_pending(&c->down) && /* an interim answer is on its way */
		    flow_pump(w, &c->down, s, &c->s) != FLOW_DONE)
			return;
		b = s->in != NULL && !sc->partial ? s->in : side_more(w, s);
		if (b == NULL)
			break;
		sc->partial = false;
		r = http1_parse_response(&w->head, buf_bytes(b), b->len, c->method);
		if (r == -EAGAIN) {
			sc->partial = true;
			if (side_rest(w, s, b, 0) == 0)
				continue;
		}
		if (r != 0 || (w->head.status == 101 && !c->upgrade)) {
			bad_answer(
			    w, c, r == -EBADMSG ? w->head.error : HTTP1_BAD_LINE);
			return;
		}
		if (w->head.status >= 200 || w->head.status == 101) {
			answer(w, c, b);
			return;
		}
		if (!interim(w, c, b))
			return;
	}
	if (s->in != NULL && (s->eof || s->failed))
		/* Half a head: it did something, ask nobody else. */
		bad_answer(w, c, HTTP1_OK);
	else if (s->failed || s->broken)
		client_lost_server(w, c, s->error);
	else if (s->eof)
		client_lost_server(w, c, EPIPE);
}

void
http_pump(struct worker *w, struct client *c)
{
	if (c->state == CLIENT_WAITING && c->s.gone) {
		count(c->service->counter, SVC_ABORTED);
		client_close(w, c);
		return;
	}
	if (c->peer != NULL && !c->unclean && !http_pump_up(w, c))
		return;
	if (c->state == CLIENT_WAITING)
		await_answer(w, c);
	if (c->state == CLIENT_WAITING && c->hedge != NULL)
		hedge_pump(w, c);
	if (c->state == CLIENT_ANSWERING)
		http_pump_down(w, c);
	client_take_turns(w, c);
}
