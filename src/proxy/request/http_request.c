/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_request.c - a request's head as servers get it.
 */
#include <errno.h>
#include <string.h>

#include "proxy/client.h"
#include "proxy/listener.h"
#include "proxy/proxy_wire.h"
#include "proxy/request/http.h"
#include "proxy/request/shape.h"
#include "proxy/servers/balance.h"
#include "proxy/servers/service.h"
#include "proxy/tls/tls.h"
#include "proxy/tls/tls_client.h"
#include "proxy/worker_inside.h"

void
http_hash_request(struct worker *w, struct client *c, const char *p)
{
	const struct balance_conf *conf = &c->service->conf->balancing;
	struct http1_slice v = w->head.target;
	const char *query;

	if (conf->hash_key == HASH_SOURCE) {
		c->hash = balance_hash(c->source.byte, ip_len(&c->source));
		return;
	}
	if (conf->hash_key == HASH_HEADER)
		v = http1_field_value(&w->head, p, conf->hash_name);
	if (conf->hash_key == HASH_COOKIE)
		v = http1_cookie(&w->head, p, conf->hash_name);
	if (conf->hash_key == HASH_PATH) {
		query = memchr(p + v.off, '?', v.len);
		if (query != NULL)
			v.len = (uint32_t)(query - (p + v.off));
	}
	c->hash = balance_hash(p + v.off, v.len);
}

/* What the service changes; `lines` is room for what is said of a certificate. */
static int
edit_request(struct worker *w, struct client *c, const char *p, struct http1_edit *edit,
    char lines[static TLS_CLIENT_LINES_MAX])
{
	const struct side *wire = client_wire(c);
	int r;

	*edit = (struct http1_edit){.extra = ""};
	if (c->shape.routing != NULL) {
		r = shape_request(w, c, p, edit);
		if (r != 0)
			return r;
	}
	if (c->service->conf->tls.client_verify == CLIENT_VERIFY_OFF)
		return 0;
	edit->prefix = TLS_CLIENT_PREFIX;
	edit->more = lines;
	if (tls_under(wire))
		edit->more_len = tls_client_lines(wire, lines);
	return 0;
}

/* The target that the client asked for stays behind the head, where it is not sent. */
static void
remember_target(const struct worker *w, struct client *c, const char *p)
{
	const struct http1_slice *t = &w->head.target;

	ASSERT(c->req->cap - c->req->len >= t->len && t->len <= UINT16_MAX);
	memcpy(c->req->data + c->req->len, p + t->off, t->len);
	c->req_asked = (uint16_t)t->len;
}

int
http_write_request(struct worker *w, struct client *c, const char *p)
{
	const struct service *conf = c->service->conf;
	char local[IP_ENDPOINT_LEN], SCRATCH lines[TLS_CLIENT_LINES_MAX];
	struct http1_via via = {
	    .client = c->address, .proto = c->https ? "https" : "http", .local = local};
	size_t room = w->head.len + HTTP1_FORWARD_EXTRA + PROXY_WIRE_MAX, at = 0;
	struct http1_edit edit;
	bool asked = false;
	int n;

	c->req_asked = 0;
	if (c->shape.routing != NULL || conf->tls.client_verify != CLIENT_VERIFY_OFF) {
		n = edit_request(w, c, p, &edit, lines);
		if (n != 0)
			return n;
		via.edit = &edit;
		room += edit.extra_len + edit.more_len + edit.target_len;
		if (room > BUF_LARGE)
			return -ENOBUFS;
		asked = c->log && edit.target != NULL &&
			room + w->head.target.len <= BUF_LARGE;
		room += asked ? w->head.target.len : 0;
	}
	local[0] = '\0';
	if (w->head.host.len == 0)
		(void)ip_endpoint_format(&c->listener->at, local);
	if (c->address[0] == '\0')
		(void)ip_format(&c->from.ip, c->address);
	/* The PROXY header speaks for all of a connection: it serves this client once.
	 */
	via.fresh = conf->guard.trusted.n > 0 && !c->trusted;
	via.close = conf->send_proxy != 0 || conf->pool == 0;
	c->req = buf_get(&w->bufs, room);
	if (c->req == NULL)
		return -ENOBUFS;
	if (conf->send_proxy != 0 && !conf->server_tls.on)
		at = proxy_wire_encode(conf->send_proxy, &c->from, &c->listener->at,
		    (uint8_t *)c->req->data);
	n = http1_forward_request(
	    &w->head, p, &via, c->req->data + at, c->req->cap - at);
	if (n < 0) {
		buf_put(&w->bufs, c->req);
		c->req = NULL;
		return n;
	}
	c->req->len = (uint32_t)at + (uint32_t)n;
	c->req_head = (uint16_t)at;
	if (asked)
		remember_target(w, c, p);
	return 0;
}
