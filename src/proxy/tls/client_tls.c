/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_tls.c - what comes before all else on a connection: the handshake of TLS, or a
 * look at the hello of one that is passed through.
 */
#include "proxy/tls/client_tls.h"

#include <errno.h>

#include "base/log.h"
#include "proxy/client.h"
#include "proxy/counters.h"
#include "proxy/h2/h2.h"
#include "proxy/listener.h"
#include "proxy/request/shape.h"
#include "proxy/servers/service.h"
#include "proxy/tls/tls.h"
#include "proxy/tls/tls_hello.h"

static bool
wronged(const struct client *c)
{
	return tls_under(&c->s) && tls_wrong(&c->s) != NULL;
}

static void
terminate(struct worker *w, struct client *c)
{
	stats_t *counter = c->service->counter;
	int r = c->service->tls != NULL ? 0 : -ENOKEY;

	if (c->s.via == NULL && r == 0)
		r = tls_accept(w, &c->s, c->service->tls);
	if (c->s.via != NULL)
		r = tls_handshake(&c->s);
	if (r == -EAGAIN)
		return;
	if (r != 0) {
		if (!wronged(c)) /* else client_tls_done() has more to say */
			count(counter, SVC_TLS_ERRORS);
		client_close(w, c);
		return;
	}
	count(counter, SVC_TLS_HANDSHAKES);
	if (tls_resumed(&c->s))
		count(counter, SVC_TLS_RESUMED);
	c->secure = true;
	if (tls_protocol(&c->s) == TLS_PROTOCOL_HTTP2)
		h2_start(w, c);
	else
		client_begin(w, c, tls_name(&c->s));
}

/* What is no hello goes on as one without a name: routes that want one do not hold. */
static void
peek(struct worker *w, struct client *c)
{
	char name[TLS_HELLO_NAME] = "";
	struct buf *b;
	int r = -EAGAIN;

	while (r == -EAGAIN) {
		b = side_more(w, &c->s);
		if (b == NULL) {
			if (c->s.eof || c->s.failed)
				client_close(w, c);
			return;
		}
		r = tls_hello_name(buf_bytes(b), b->len, name);
		if (side_rest(w, &c->s, b, 0) != 0) {
			client_close(w, c);
			return;
		}
	}
	client_begin(w, c, name);
}

void
client_handshake(struct worker *w, struct client *c)
{
	if (c->s.via == NULL && !c->s.readable)
		return; /* writable, which it is from the beginning */
	if (c->listener->tls)
		terminate(w, c);
	else
		peek(w, c);
}

void
client_tls_done(const struct client *c)
{
	char from[IP_STR_LEN];

	if (!wronged(c))
		return;
	count(c->service->counter, SVC_TLS_ERRORS);
	if (c->secure)
		count(c->service->counter, SVC_TLS_BAD_RECORDS);
	/* Anybody can cause it: nothing to be woken for. */
	log_event(LOG_INFO, "tls_error", "service=%s client=%s %s cause=\"%s\"",
	    c->service->conf->name, ip_format(&c->from.ip, from),
	    c->secure ? "in=records" : "in=handshake", tls_wrong(&c->s));
}

bool
client_shakes_hands(const struct client *c)
{
	return c->listener->tls || (c->tcp && c->service->by_name);
}
