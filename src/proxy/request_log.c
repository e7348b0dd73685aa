/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request_log.c - a request's or connection's line for the access log.
 */
#include "proxy/request_log.h"

#include <string.h>

#include "proxy/access_log.h"
#include "proxy/client.h"
#include "proxy/servers/server_conn.h"
#include "proxy/servers/service.h"
#include "proxy/worker_inside.h"

/* Decides, when a request or connection begins, whether it leaves a line. */
void
log_begin(struct worker *w, struct client *c)
{
	const struct service *conf = c->service->conf;

	c->served = c->connected = c->first = (mono_t){0};
	c->repeats = 0;
	c->log = w->ring != NULL && (conf->log == LOG_MODE_FULL ||
					(conf->log == LOG_MODE_SAMPLED &&
					    rng_below(&w->rng, conf->log_sample) == 0));
}

static int64_t
span_us(mono_t from, mono_t to)
{
	return from.ns == 0 || to.ns == 0 ? 0 : mono_sub(to, from) / US_NS;
}

static void
describe_request(struct worker *w, struct client *c, struct access_entry *e)
{
	const struct http1_head *h = &w->head;
	struct http1_slice id;
	const char *p;

	e->method = e->host = e->target = (struct access_text){"-", 1};
	e->major = c->stream ? 2 : 1;
	e->minor = c->stream ? 0 : c->minor;
	e->status = c->status;
	if (c->req == NULL)
		return;
	/* The head that servers get is still here; what it said is read again. */
	p = c->req->data + c->req_head;
	if (http1_parse_request(&w->head, p, c->req->len - c->req_head) != 0)
		return;
	e->method = (struct access_text){p + h->method_text.off, h->method_text.len};
	e->target = (struct access_text){p + h->target.off, h->target.len};
	if (c->req_asked > 0) {
		e->rewritten = e->target;
		e->target =
		    (struct access_text){c->req->data + c->req->len, c->req_asked};
	}
	e->host = (struct access_text){p + h->host.off, h->host.len};
	id = http1_field_value(h, p, "x-request-id");
	e->id = (struct access_text){p + id.off, id.len};
}

void
log_line(struct worker *w, struct client *c, const char *end)
{
	struct access_entry e;
	char SCRATCH line[ACCESS_LINE_MAX], source[IP_STR_LEN];

	c->log = false;
	if (c->address[0] == '\0')
		(void)ip_format(&c->from.ip, c->address);
	e = (struct access_entry){.time_us = worker_wall_us(),
	    .service = c->service->conf->name,
	    .client = c->trusted ? ip_format(&c->source, source) : c->address,
	    .client_port = c->from.port,
	    .server = c->peer != NULL ? c->peer->up->name : NULL,
	    .bytes_in = c->up.bytes,
	    .bytes_out = c->down.bytes,
	    .total_us = span_us(c->started, w->now),
	    .wait_us = span_us(c->started, c->served),
	    .connect_us = span_us(c->served, c->connected),
	    .first_us = span_us(c->started, c->first),
	    .retries = c->repeats,
	    .end = end};
	if (!c->tcp)
		describe_request(w, c, &e);
	(void)access_ring_put(w->ring, line, access_format(line, &e));
}
