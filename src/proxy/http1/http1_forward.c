/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heads as they go on (RFC 9110 section 7.6). Lines that stay are copied in runs as
 * long as possible, so a head without hop-by-hop fields is two copies and what we add.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "proxy/http1/http1.h"
#include "proxy/http1/http1_out.h"
#include "proxy/http1/http1_scan.h"
#include "proxy/http1/http1_sense.h"

static int
finish(struct http1_out *o)
{
	HTTP1_PUT(o, "\r\n");
	return http1_out_len(o);
}

/* True if the edit has the field leave. */
static bool
among(const char *const *name, size_t n, const char *p, const struct http1_field *f)
{
	for (size_t i = 0; i < n; i++) {
		if (f->name.len == strlen(name[i]) &&
		    strncasecmp(p + f->name.off, name[i], f->name.len) == 0)
			return true;
	}
	return false;
}

/* Programs that make variables of fields cannot tell '_' from '-'. */
static bool
begins(const char *prefix, const char *p, const struct http1_field *f)
{
	size_t i = 0;

	if (prefix == NULL)
		return false;
	for (; i < f->name.len && prefix[i] != '\0'; i++) {
		char c = p[f->name.off + i];

		c = c == '_' ? '-' : c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
		if (c != prefix[i])
			return false;
	}
	return prefix[i] == '\0';
}

static bool
dropped(const struct http1_edit *e, const char *p, const struct http1_field *f)
{
	return among(e->drop, e->n_drop, p, f) || among(e->also, e->n_also, p, f) ||
	       begins(e->prefix, p, f);
}

/* What this proxy writes anew in a request is left out of the copy. */
static bool
request_keeps(const struct http1_head *head, const struct http1_field *f, bool new_host)
{
	switch (f->id) {
	case HTTP1_N_X_FORWARDED_FOR:
	case HTTP1_N_X_FORWARDED_PROTO:
	case HTTP1_N_FORWARDED:
		return false;
	case HTTP1_N_HOST:
		return !new_host;
	case HTTP1_N_EXPECT: /* what a client of 1.0 says there is not meant */
		return head->minor > 0;
	case HTTP1_N_OTHER:
	case HTTP1_N_CONNECTION:
	case HTTP1_N_CONTENT_LENGTH:
	case HTTP1_N_TRANSFER_ENCODING:
	case HTTP1_N_UPGRADE:
	case HTTP1_N_KEEP_ALIVE:
	case HTTP1_N_PROXY_CONNECTION:
	case HTTP1_N_TE:
	default:
		return !f->hop;
	}
}

/* The Host field of an absolute target, or of a request that has none. */
static void
put_host(struct http1_out *o, const char *host, size_t len, const struct http1_edit *e)
{
	if (e != NULL && e->has_host)
		return;
	HTTP1_PUT(o, "Host: ");
	http1_put(o, host, len);
	HTTP1_PUT(o, "\r\n");
}

/* Where the first line ends if it goes on as it came, and Host too; else 0. */
static uint32_t
same_line(const struct http1_head *head, const char *p, const struct http1_via *via)
{
	uint32_t version = head->target.off + head->target.len + 1;
	char form = p[head->target.off], minor = p[version + sizeof("HTTP/1.") - 1];

	if (minor != '1' || (form != '/' && form != '*') || head->host.len == 0 ||
	    (via->edit != NULL && via->edit->target != NULL))
		return 0;
	return version + (uint32_t)sizeof("HTTP/1.1\r\n") - 1;
}

/* A request's line in origin form, and Host where it is not copied; true then. */
static bool
request_line(struct http1_out *o, const struct http1_head *head, const char *p,
    const struct http1_via *via)
{
	struct http1_slice host, rest;
	const char *target = p + head->target.off;
	const struct http1_edit *e = via->edit;
	bool ours = e != NULL && e->target != NULL;

	http1_put(o, p + head->method_text.off, head->method_text.len);
	HTTP1_PUT(o, " ");
	if (ours)
		http1_put(o, e->target, e->target_len);
	if (target[0] == '/' || target[0] == '*') {
		if (!ours)
			http1_put(o, target, head->target.len);
		HTTP1_PUT(o, " HTTP/1.1\r\n");
		if (head->host.len > 0)
			return false;
		/* RFC 9112 section 3.2: 1.1 must have it, 1.0 need not. */
		put_host(o, via->local, strlen(via->local), e);
		return true;
	}
	/* Parsed once already, so it splits. */
	if (!http1_split_absolute(p, head->target, &host, &rest)) {
		o->bad = true;
		return false;
	}
	/* Section 3.2.4: OPTIONS of a whole server has an empty path here, "*" there.
	 */
	if (!ours && rest.len == 0)
		http1_put(o, head->method == HTTP1_OPTIONS ? "*" : "/", 1);
	else if (!ours && p[rest.off] == '?')
		HTTP1_PUT(o, "/");
	if (!ours)
		http1_put(o, p + rest.off, rest.len);
	HTTP1_PUT(o, " HTTP/1.1\r\n");
	put_host(o, p + host.off, host.len, e);
	return true;
}

/* The values of all fields `id`, as one list that ends with a comma; "" if none. */
static void
put_list(struct http1_out *o, const struct http1_head *head, const char *p,
    enum http1_name id)
{
	for (unsigned i = 0; i < head->n_fields; i++) {
		const struct http1_field *f = &head->field[i];

		if (f->id != id || f->value.len == 0)
			continue;
		http1_put(o, p + f->value.off, f->value.len);
		HTTP1_PUT(o, ", ");
	}
}

static void
put_forwarded(struct http1_out *o, const struct http1_head *head, const char *p,
    const struct http1_via *via)
{
	/* RFC 7239 section 6: an IPv6 address stands in brackets and quotes. */
	size_t client = strlen(via->client), proto = strlen(via->proto);
	bool v6 = memchr(via->client, ':', client) != NULL;

	HTTP1_PUT(o, "X-Forwarded-For: ");
	if (!via->fresh)
		put_list(o, head, p, HTTP1_N_X_FORWARDED_FOR);
	http1_put(o, via->client, client);
	HTTP1_PUT(o, "\r\nX-Forwarded-Proto: ");
	http1_put(o, via->proto, proto);
	HTTP1_PUT(o, "\r\nForwarded: ");
	if (!via->fresh)
		put_list(o, head, p, HTTP1_N_FORWARDED);
	HTTP1_PUT(o, "for=");
	if (v6)
		HTTP1_PUT(o, "\"[");
	http1_put(o, via->client, client);
	if (v6)
		HTTP1_PUT(o, "]\"");
	HTTP1_PUT(o, ";proto=");
	http1_put(o, via->proto, proto);
	HTTP1_PUT(o, "\r\n");
}

/* The lines of Upgrade, which Connection has nominated again. */
static void
put_upgrade(struct http1_out *o, const struct http1_head *head, const char *p)
{
	for (unsigned i = 0; i < head->n_fields; i++) {
		const struct http1_field *f = &head->field[i];

		if (f->id == HTTP1_N_UPGRADE)
			http1_put(o, p + f->line, f->end - f->line);
	}
}

static bool
wants_trailers(const struct http1_head *head, const char *p)
{
	struct http1_slice list, e;

	for (unsigned i = 0; i < head->n_fields; i++) {
		if (head->field[i].id != HTTP1_N_TE)
			continue;
		list = head->field[i].value;
		while (http1_list_next(p, &list, &e))
			if (HTTP1_IS(p + e.off, e.len, "trailers"))
				return true;
	}
	return false;
}

static void
request_connection(struct http1_out *o, const struct http1_head *head, const char *p,
    const struct http1_via *via)
{
	bool trailers = wants_trailers(head, p);

	if (trailers)
		HTTP1_PUT(o, "TE: trailers\r\n");
	if (head->upgrade)
		put_upgrade(o, head, p);
	if (!trailers && !head->upgrade && !via->close)
		return;
	HTTP1_PUT(o, "Connection: ");
	http1_put_text(o, head->upgrade ? "upgrade"
			  : via->close	? "close"
					: "keep-alive");
	http1_put_text(o, trailers ? ", TE\r\n" : "\r\n");
}

int
http1_forward_request(const struct http1_head *head, const char *p,
    const struct http1_via *via, char *out, size_t cap)
{
	struct http1_out o = {.p = out, .cap = cap};
	const struct http1_edit *e = via->edit;
	/* The run of lines not copied yet. */
	uint32_t from = 0, to = same_line(head, p, via);
	bool new_host = to == 0 && request_line(&o, head, p, via);

	for (unsigned i = 0; i < head->n_fields; i++) {
		const struct http1_field *f = &head->field[i];

		if (!request_keeps(head, f, new_host))
			continue;
		if (e != NULL && dropped(e, p, f))
			continue;
		if (f->line != to) {
			http1_put(&o, p + from, to - from);
			from = f->line;
		}
		to = f->end;
	}
	http1_put(&o, p + from, to - from);
	if (head->framing == HTTP1_CHUNKED)
		HTTP1_PUT(&o, "Transfer-Encoding: chunked\r\n");
	if (e != NULL) {
		http1_put(&o, e->extra, e->extra_len);
		http1_put(&o, e->more, e->more_len);
	}
	put_forwarded(&o, head, p, via);
	request_connection(&o, head, p, via);
	return finish(&o);
}

int
http1_forward_response(const struct http1_head *head, const char *p,
    const struct http1_answer *a, char *out, size_t cap)
{
	struct http1_out o = {.p = out, .cap = cap};
	const struct http1_edit *e = a->edit;
	uint32_t from, to;

	/* RFC 9110 section 2.5: the version is the sender's own, which is us. */
	HTTP1_PUT(&o, "HTTP/1.1");
	from = sizeof("HTTP/1.1") - 1;
	to = head->n_fields > 0 ? head->field[0].line : head->len - 2;
	for (unsigned i = 0; i < head->n_fields; i++) {
		const struct http1_field *f = &head->field[i];

		if (f->hop || (e != NULL && dropped(e, p, f)))
			continue;
		if (f->line != to) {
			http1_put(&o, p + from, to - from);
			from = f->line;
		}
		to = f->end;
	}
	http1_put(&o, p + from, to - from);
	if (e != NULL) {
		http1_put(&o, e->extra, e->extra_len);
		http1_put(&o, e->more, e->more_len);
	}
	if (head->framing == HTTP1_CHUNKED && !a->dechunk)
		HTTP1_PUT(&o, "Transfer-Encoding: chunked\r\n");
	if (head->upgrade) {
		put_upgrade(&o, head, p);
		HTTP1_PUT(&o, "Connection: upgrade\r\n");
	} else if (head->status >= 200 && !a->keep_alive) {
		HTTP1_PUT(&o, "Connection: close\r\n");
	} else if (head->status >= 200 && a->minor == 0) {
		HTTP1_PUT(&o, "Connection: keep-alive\r\n");
	}
	return finish(&o);
}
