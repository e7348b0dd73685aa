/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The meaning of heads: framing (RFC 9112 section 6), persistence (9.3), the host asked
 * for (3.2), and which fields end at this hop (RFC 9110 section 7.6.1).
 */
#include <string.h>

#include "proxy/http1/http1_scan.h"
#include "proxy/http1/http1_sense.h"

/* What was gathered from the fields, before a verdict. */
struct sense {
	unsigned hosts, lengths, codings;
	bool chunked;			 /* the last coding */
	bool close, keep_alive, upgrade; /* said by Connection */
	bool upgrade_field, upgrade_h2c;
	unsigned n_nominees;
	struct http1_slice nominee[HTTP1_NOMINEE_MAX];
};

enum http1_name
http1_name_id(const char *p, size_t len)
{
	switch (len) {
	case 2:
		return HTTP1_IS(p, len, "te") ? HTTP1_N_TE : HTTP1_N_OTHER;
	case 4:
		return HTTP1_IS(p, len, "host") ? HTTP1_N_HOST : HTTP1_N_OTHER;
	case 6:
		return HTTP1_IS(p, len, "expect") ? HTTP1_N_EXPECT : HTTP1_N_OTHER;
	case 7:
		return HTTP1_IS(p, len, "upgrade") ? HTTP1_N_UPGRADE : HTTP1_N_OTHER;
	case 9:
		return HTTP1_IS(p, len, "forwarded") ? HTTP1_N_FORWARDED
						     : HTTP1_N_OTHER;
	case 10:
		if (HTTP1_IS(p, len, "connection"))
			return HTTP1_N_CONNECTION;
		return HTTP1_IS(p, len, "keep-alive") ? HTTP1_N_KEEP_ALIVE
						      : HTTP1_N_OTHER;
	case 14:
		return HTTP1_IS(p, len, "content-length") ? HTTP1_N_CONTENT_LENGTH
							  : HTTP1_N_OTHER;
	case 15:
		return HTTP1_IS(p, len, "x-forwarded-for") ? HTTP1_N_X_FORWARDED_FOR
							   : HTTP1_N_OTHER;
	case 16:
		return HTTP1_IS(p, len, "proxy-connection") ? HTTP1_N_PROXY_CONNECTION
							    : HTTP1_N_OTHER;
	case 17:
		if (HTTP1_IS(p, len, "transfer-encoding"))
			return HTTP1_N_TRANSFER_ENCODING;
		return HTTP1_IS(p, len, "x-forwarded-proto") ? HTTP1_N_X_FORWARDED_PROTO
							     : HTTP1_N_OTHER;
	default:
		return HTTP1_N_OTHER;
	}
}

bool
http1_list_next(const char *p, struct http1_slice *s, struct http1_slice *element)
{
	const char *start = p + s->off, *comma;
	uint32_t n;

	if (s->len == 0)
		return false;
	comma = memchr(start, ',', s->len);
	n = comma != NULL ? (uint32_t)(comma - start) : s->len;
	*element = (struct http1_slice){s->off, n};
	n += comma != NULL;
	s->off += n;
	s->len -= n;
	while (element->len > 0 && !http1_is_visible(p[element->off])) {
		element->off++;
		element->len--;
	}
	while (
	    element->len > 0 && !http1_is_visible(p[element->off + element->len - 1]))
		element->len--;
	return true;
}

/* RFC 3986 section 3.2.2: what a name consists of, with "%" of its encoded octets. */
static bool
in_name(char c)
{
	static const uint32_t set[8] = {
	    0, 0x2bff7ff2, /* ! $ % & ' ( ) * + , - . 0-9 ; = */
	    0x87fffffe,	   /* A-Z _ */
	    0x47fffffe,	   /* a-z ~ */
	};
	unsigned char u = (unsigned char)c;

	return (set[u >> 5] >> (u & 31) & 1) != 0;
}

/* uri-host [ ":" port ] of RFC 3986, not empty. */
static bool
host_valid(const char *p, size_t len)
{
	size_t i = 0, digits = 0;

	if (len > 0 && p[0] == '[') {
		for (i = 1; i < len && p[i] != ']'; i++)
			if (strchr("0123456789abcdefABCDEF:.", p[i]) == NULL)
				return false;
		if (i == len || i == 1)
			return false;
		i++;
	} else {
		while (i < len && in_name(p[i]))
			i++;
		if (i < len && p[i] != ':')
			return false;
		if (i == 0)
			return false;
	}
	if (i == len)
		return true;
	if (p[i++] != ':')
		return false;
	while (i + digits < len && p[i + digits] >= '0' && p[i + digits] <= '9')
		digits++;
	return i + digits == len && digits <= 5;
}

bool
http1_split_absolute(const char *p, struct http1_slice target, struct http1_slice *host,
    struct http1_slice *rest)
{
	const char *t = p + target.off;
	uint32_t i, start;

	if (target.len > 7 && HTTP1_IS(t, 7, "http://"))
		start = 7;
	else if (target.len > 8 && HTTP1_IS(t, 8, "https://"))
		start = 8;
	else
		return false;
	for (i = start; i < target.len && t[i] != '/' && t[i] != '?'; i++)
		;
	if (!host_valid(t + start, i - start))
		return false;
	*host = (struct http1_slice){target.off + start, i - start};
	*rest = (struct http1_slice){target.off + i, target.len - i};
	return true;
}

/* 1*DIGIT, once. A list of equal values, which RFC 9112 section 6.3 lets a recipient
 * repair, is refused too: somebody on the way has already tampered with it. */
static enum http1_error
content_length(struct http1_head *head, struct sense *s, const char *v, size_t len)
{
	uint64_t n = 0;

	if (s->lengths++ > 0 || len == 0 || len > 18)
		return HTTP1_BAD_LENGTH;
	for (size_t i = 0; i < len; i++) {
		if (v[i] < '0' || v[i] > '9')
			return HTTP1_BAD_LENGTH;
		n = n * 10 + (uint64_t)(v[i] - '0');
	}
	head->length = n;
	return HTTP1_OK;
}

/* Chunked, once and alone (section 7: other codings are negotiated by TE, and we never
 * do). Empty elements and parameters are how filters are fooled, so none is taken. */
static enum http1_error
transfer_encoding(struct sense *s, const char *p, struct http1_slice list)
{
	struct http1_slice e;

	if (list.len == 0 || p[list.off + list.len - 1] == ',')
		return HTTP1_BAD_CODING;
	while (http1_list_next(p, &list, &e)) {
		if (e.len == 0 || http1_scan_token(p + e.off, 0, e.len) != e.len)
			return HTTP1_BAD_CODING;
		if (!HTTP1_IS(p + e.off, e.len, "chunked"))
			return HTTP1_UNKNOWN_CODING;
		if (s->codings++ > 0)
			return HTTP1_BAD_CODING;
		s->chunked = true;
	}
	return HTTP1_OK;
}

static enum http1_error
connection(struct sense *s, const char *p, struct http1_slice list)
{
	struct http1_slice e;

	while (http1_list_next(p, &list, &e)) {
		const char *word = p + e.off;

		if (e.len == 0)
			continue;
		if (http1_scan_token(word, 0, e.len) != e.len)
			return HTTP1_BAD_FIELD;
		if (HTTP1_IS(word, e.len, "close"))
			s->close = true;
		else if (HTTP1_IS(word, e.len, "keep-alive"))
			s->keep_alive = true;
		else if (HTTP1_IS(word, e.len, "upgrade"))
			s->upgrade = true;
		else if (s->n_nominees == HTTP1_NOMINEE_MAX)
			return HTTP1_BAD_FIELD;
		else
			s->nominee[s->n_nominees++] = e;
	}
	return HTTP1_OK;
}

/* A tunnel of HTTP/2 would carry requests past every rule here, so we do not offer it
 * on (RFC 9113 section 3.1 has retired it anyway). */
static void
upgrade(struct sense *s, const char *p, struct http1_slice list)
{
	struct http1_slice e;

	s->upgrade_field = true;
	while (http1_list_next(p, &list, &e))
		if (HTTP1_IS(p + e.off, e.len, "h2c"))
			s->upgrade_h2c = true;
}

static enum http1_error
sense_field(
    struct http1_head *head, struct sense *s, const char *p, struct http1_field *f)
{
	const char *v = p + f->value.off;

	switch (f->id) {
	case HTTP1_N_HOST:
		if (s->hosts++ > 0 || !host_valid(v, f->value.len))
			return HTTP1_BAD_HOST;
		head->host = f->value;
		return HTTP1_OK;
	case HTTP1_N_CONTENT_LENGTH:
		return content_length(head, s, v, f->value.len);
	case HTTP1_N_TRANSFER_ENCODING:
		f->hop = true; /* written anew */
		return transfer_encoding(s, p, f->value);
	case HTTP1_N_CONNECTION:
		f->hop = true;
		return connection(s, p, f->value);
	case HTTP1_N_UPGRADE:
		f->hop = true;
		upgrade(s, p, f->value);
		return HTTP1_OK;
	case HTTP1_N_EXPECT:
		if (HTTP1_IS(v, f->value.len, "100-continue"))
			head->expect_continue = true;
		return HTTP1_OK;
	case HTTP1_N_TE:
	case HTTP1_N_KEEP_ALIVE:
	case HTTP1_N_PROXY_CONNECTION:
		f->hop = true;
		return HTTP1_OK;
	case HTTP1_N_OTHER:
	case HTTP1_N_X_FORWARDED_FOR:
	case HTTP1_N_X_FORWARDED_PROTO:
	case HTTP1_N_FORWARDED:
	default:
		return HTTP1_OK;
	}
}

/* Marks what Connection named, but for fields that the next hop must see for its own
 * sake: to name Content-Length or Host is an attempt to have it disagree with us. */
static void
mark_nominees(struct http1_head *head, const struct sense *s, const char *p)
{
	for (unsigned i = 0; i < head->n_fields; i++) {
		struct http1_field *f = &head->field[i];

		if (f->id != HTTP1_N_OTHER)
			continue;
		for (unsigned k = 0; k < s->n_nominees && !f->hop; k++)
			f->hop = f->name.len == s->nominee[k].len &&
				 strncasecmp(p + f->name.off, p + s->nominee[k].off,
				     f->name.len) == 0;
	}
}

static enum http1_error
sense_fields(struct http1_head *head, struct sense *s, const char *p)
{
	enum http1_error e;

	for (unsigned i = 0; i < head->n_fields; i++) {
		if (head->field[i].id == HTTP1_N_OTHER)
			continue;
		e = sense_field(head, s, p, &head->field[i]);
		if (e != HTTP1_OK)
			return e;
	}
	if (s->n_nominees > 0)
		mark_nominees(head, s, p);
	/* Section 9.3: 1.1 goes on unless told otherwise, 1.0 only when asked to. */
	head->keep_alive = !s->close && (head->minor > 0 || s->keep_alive);
	head->upgrade = s->upgrade && s->upgrade_field && !s->upgrade_h2c &&
			head->minor > 0; /* RFC 9110 section 7.8 */
	return HTTP1_OK;
}

static enum http1_error
framing(struct http1_head *head, const struct sense *s, enum http1_framing none)
{
	if (s->codings > 0 && s->lengths > 0)
		return HTTP1_LENGTH_AND_CODING;
	/* Section 6.1: in a message of 1.0 it was not understood by whoever sent it on.
	 */
	if (s->codings > 0 && head->minor == 0)
		return HTTP1_BAD_CODING;
	if (s->chunked)
		head->framing = HTTP1_CHUNKED;
	else if (s->lengths > 0)
		head->framing = head->length > 0 ? HTTP1_LENGTH : HTTP1_NO_BODY;
	else
		head->framing = none;
	return HTTP1_OK;
}

/* The target's form (section 3.2) and the host it asks for. */
static enum http1_error
sense_target(struct http1_head *head, const struct sense *s, const char *p)
{
	const char *t = p + head->target.off;
	struct http1_slice host, rest;

	if (head->method == HTTP1_CONNECT)
		return HTTP1_BAD_METHOD;
	if (memchr(t, '#', head->target.len) != NULL)
		return HTTP1_BAD_TARGET;
	if (head->minor > 0 && s->hosts == 0)
		return HTTP1_BAD_HOST;
	if (t[0] == '/')
		return HTTP1_OK;
	if (head->target.len == 1 && t[0] == '*')
		return head->method == HTTP1_OPTIONS ? HTTP1_OK : HTTP1_BAD_TARGET;
	if (!http1_split_absolute(p, head->target, &host, &rest))
		return HTTP1_BAD_TARGET;
	if (s->hosts > 0 &&
	    (host.len != head->host.len ||
		strncasecmp(p + host.off, p + head->host.off, host.len) != 0))
		return HTTP1_BAD_HOST;
	head->host = host;
	return HTTP1_OK;
}

enum http1_error
http1_sense_request(struct http1_head *head, const char *p)
{
	struct sense SCRATCH s;
	enum http1_error e;

	/* The list of nominees is counted, not cleared. */
	memset(&s, 0, offsetof(struct sense, nominee));
	e = sense_fields(head, &s, p);
	if (e == HTTP1_OK)
		e = framing(head, &s, HTTP1_NO_BODY);
	if (e == HTTP1_OK)
		e = sense_target(head, &s, p);
	/* RFC 9110 section 10.1.1: meaningless in 1.0 and without a body. */
	if (head->minor == 0 || head->framing == HTTP1_NO_BODY)
		head->expect_continue = false;
	return e;
}

/* Section 6.1, RFC 9110 section 8.6: 1xx and 204 have no framing fields. */
static void
drop_framing(struct http1_head *head)
{
	for (unsigned i = 0; i < head->n_fields; i++)
		if (head->field[i].id == HTTP1_N_CONTENT_LENGTH ||
		    head->field[i].id == HTTP1_N_TRANSFER_ENCODING)
			head->field[i].hop = true;
}

enum http1_error
http1_sense_response(struct http1_head *head, const char *p, enum http1_method to)
{
	struct sense SCRATCH s;
	enum http1_error e;

	memset(&s, 0, offsetof(struct sense, nominee));
	e = sense_fields(head, &s, p);
	if (e == HTTP1_OK)
		e = framing(head, &s, HTTP1_UNTIL_CLOSE);
	head->upgrade = head->upgrade && head->status == 101;
	head->expect_continue = false;
	if (head->status < 200 || head->status == 204) {
		head->framing = HTTP1_NO_BODY;
		drop_framing(head);
	}
	if (head->status == 101)
		head->framing = HTTP1_TUNNEL;
	if (to == HTTP1_HEAD || head->status == 304)
		head->framing = HTTP1_NO_BODY;
	if (head->framing == HTTP1_UNTIL_CLOSE)
		head->keep_alive = false;
	return e;
}
