/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_own.c - answers that no server gave: refusals, and what routes say by
 * themselves.
 */
#include "proxy/request/http_exchange.h"

#include <stdio.h>
#include <sys/uio.h>

#include "proxy/request/http.h"
#include "proxy/request/https.h"
#include "proxy/request_log.h"
#include "proxy/servers/hedge.h"
#include "proxy/servers/server_conn.h"
#include "proxy/worker_inside.h"

#define RETRY_AFTER_LEN 40

/* What is left of a page of our own, which lies in the generation: nothing of it has
 * to be kept. True if all of it is out. */
bool
http_push_page(struct worker *w, struct client *c)
{
	struct route_text *page = &c->shape.page;

	while (page->len > 0 && !c->s.broken) {
		struct iovec v = {(char *)(uintptr_t)page->p, page->len};
		size_t n;

		if (!flow_flush(w, &c->down, &c->s))
			return false;
		n = (size_t)side_send(&c->s, &v, 1);
		page->p += n;
		page->len -= n;
		if (n == 0)
			return c->s.broken;
	}
	return true;
}

/* The head of `n` bytes in w->out, and what fits of a page that is not small. */
static void
begin_page(struct worker *w, struct client *c, size_t n, struct route_text page)
{
	const struct iovec v[2] = {{w->out, n}, {(char *)(uintptr_t)page.p, page.len}};
	size_t sent = (size_t)side_send(&c->s, v, 2);

	if (sent < n) {
		c->down.out = buf_keep(&w->bufs, w->out + sent, n - sent);
		c->s.broken = c->s.broken || c->down.out == NULL;
		sent = n;
	}
	c->shape.page = (struct route_text){page.p + (sent - n), page.len - (sent - n)};
}

/* Sends an answer that no server gave: `n` bytes of w->out, and its body. */
static void
send_page(struct worker *w, struct client *c, size_t n, const char *body, size_t len)
{
	http_settle(c);
	flow_done(w, &c->down);
	flow_init(&c->down, HTTP1_NO_BODY, 0);
	http_forget_request(w, c);
	flow_done(w, &c->up);
	c->unclean = !c->up.body.done;
	c->state = CLIENT_ANSWERING;
	http_count_status(c, c->status);
	client_progress(w, c);
	if (len > SMALL_BODY)
		begin_page(w, c, n, (struct route_text){body, len});
	else
		http_send_answer(w, c, n, body, len);
	http_pump_down(w, c);
}

/* When the source may ask once more (RFC 6585 section 4), in whole seconds. */
static const char *
retry_after(const struct client *c, char line[static RETRY_AFTER_LEN])
{
	const struct guard_conf *g = &c->service->conf->guard;
	int64_t ns = g->requests > 0 ? g->per_ns / g->requests : 0;

	(void)snprintf(line, RETRY_AFTER_LEN, "Retry-After: %lld\r\n",
	    (long long)(ns > SEC_NS ? (ns + SEC_NS - 1) / SEC_NS : 1));
	return line;
}

/* Answers by itself, instead of a server. */
void
http_refuse(struct worker *w, struct client *c, unsigned status, const char *why)
{
	const char *phrase = http1_phrase(status);
	bool head = c->method == HTTP1_HEAD;
	char body[256], line[64], later[RETRY_AFTER_LEN];
	int n, len;

	c->status = (uint16_t)status;
	log_end(w, c, status < 500 ? "refused" : "unserved");
	/* Within an interim answer another would be taken for a part of it. */
	if (flow_pending(&c->down)) {
		client_close(w, c);
		return;
	}
	hedge_end(w, c);
	if (c->peer != NULL)
		server_close(w, c->peer);
	c->keep = c->keep && status >= 500 && c->up.body.done && !http_must_leave(w, c);
	len = snprintf(body, sizeof(body), "%u %s\n%s\n", status, phrase, why);
	ASSERT(len > 0 && (size_t)len < sizeof(body));
	line[https_hsts(c, line, sizeof(line))] = '\0';
	n = snprintf(w->out, sizeof(w->out),
	    "HTTP/1.1 %u %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n"
	    "Cache-Control: no-store\r\n%s%s%s\r\n%s",
	    status, phrase, len, line, status == 429 ? retry_after(c, later) : "",
	    !c->keep	    ? "Connection: close\r\n"
	    : c->minor == 0 ? "Connection: keep-alive\r\n"
			    : "",
	    head ? "" : body);
	ASSERT(n > 0);
	send_page(w, c, (size_t)n, NULL, 0);
}

/* What the route says instead of a server; its head begins at w->out. */
void
http_send_own(struct worker *w, struct client *c, size_t n, struct route_text body)
{
	log_end(w, c, "answered");
	c->keep = c->keep && c->up.body.done && !http_must_leave(w, c);
	n += (size_t)snprintf(w->out + n, sizeof(w->out) - n, "%s\r\n",
	    !c->keep	    ? "Connection: close\r\n"
	    : c->minor == 0 ? "Connection: keep-alive\r\n"
			    : "");
	send_page(w, c, n, body.p, c->method == HTTP1_HEAD ? 0 : body.len);
}

/* What cannot be understood: what follows it cannot be either. */
void
http_refuse_head(struct worker *w, struct client *c, enum http1_error e)
{
	const struct http1_reason *r = http1_reason(e);

	count(c->service->counter, SVC_REFUSED);
	c->keep = false;
	c->minor = 1;
	c->method = HTTP1_OTHER;
	c->https = c->secure;
	if (c->req == NULL) { /* the head itself: nothing of it is known */
		c->started = w->now;
		log_begin(w, c);
	}
	http1_body_init(&c->up.body, HTTP1_UNTIL_CLOSE, 0);
	http_refuse(w, c, r->status, r->text);
}
