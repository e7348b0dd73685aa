/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/h2/h2_head.h"

#include <errno.h>
#include <string.h>

#include "proxy/http1/http1_out.h"
#include "proxy/http1/http1_scan.h"

#define IS(p, len, literal) \
	((len) == sizeof(literal) - 1 && memcmp(p, literal, sizeof(literal) - 1) == 0)

void
h2_gather_init(struct h2_gather *g, enum h2_kind kind)
{
	*g = (struct h2_gather){.kind = kind};
}

static void
refuse(struct h2_gather *g, enum http1_error e)
{
	if (g->error == HTTP1_OK)
		g->error = e;
}

static struct http1_slice
append(struct h2_gather *g, const char *p, size_t len)
{
	struct http1_slice s = {g->len, (uint32_t)len};

	ASSERT(g->cap - g->len >= len);
	if (len > 0)
		memcpy(g->p + g->len, p, len);
	g->len += (uint32_t)len;
	return s;
}

static void
pseudo_field(struct h2_gather *g, const char *name, size_t name_len, const char *value,
    size_t value_len)
{
	static const struct {
		const char *name;
		enum http1_error bad;
	} known[H2_N_PSEUDO] = {
	    [H2_METHOD] = {":method", HTTP1_BAD_LINE},
	    [H2_SCHEME] = {":scheme", HTTP1_BAD_TARGET},
	    [H2_AUTHORITY] = {":authority", HTTP1_BAD_HOST},
	    [H2_PATH] = {":path", HTTP1_BAD_TARGET},
	    [H2_PROTOCOL] = {":protocol", HTTP1_BAD_LINE},
	    [H2_STATUS] = {":status", HTTP1_BAD_LINE},
	};
	unsigned i = 0;

	while (i < H2_N_PSEUDO && (strlen(known[i].name) != name_len ||
				      memcmp(name, known[i].name, name_len) != 0))
		i++;
	/* RFC 9113 section 8.3: before all others, each once, none in trailers. */
	if (i == H2_N_PSEUDO || g->kind == H2_TRAILER || g->n_fields > 0 ||
	    (i == H2_STATUS) != (g->kind == H2_ANSWER) || (g->seen & 1U << i) != 0) {
		refuse(g, HTTP1_BAD_LINE);
		return;
	}
	if (value_len == 0 || http1_scan_visible(value, 0, value_len) != value_len ||
	    (i == H2_METHOD && http1_scan_token(value, 0, value_len) != value_len)) {
		refuse(g, known[i].bad);
		return;
	}
	g->seen |= (uint8_t)(1U << i);
	g->pseudo[i] = append(g, value, value_len);
	g->lines = g->len;
}

static bool
name_valid(const char *p, size_t len)
{
	if (len == 0 || http1_scan_token(p, 0, len) != len)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (p[i] >= 'A' && p[i] <= 'Z')
			return false;
	}
	return true;
}

static bool
value_valid(const char *p, size_t len)
{
	if (len == 0)
		return true;
	return http1_scan_text(p, 0, len) == len && p[0] != ' ' && p[0] != '\t' &&
	       p[len - 1] != ' ' && p[len - 1] != '\t';
}

/* Section 8.2.2: what speaks of one connection. */
static bool
of_connection(const char *name, size_t len)
{
	switch (len) {
	case 7:
		return IS(name, len, "upgrade");
	case 10:
		return IS(name, len, "connection") || IS(name, len, "keep-alive");
	case 16:
		return IS(name, len, "proxy-connection");
	case 17:
		return IS(name, len, "transfer-encoding");
	default:
		return false;
	}
}

/* Section 8.2.3: a client may cut its cookies into several fields, of which HTTP/1.1
 * must see one. */
static void
add_cookie(struct h2_gather *g, const char *value, size_t len)
{
	size_t behind = g->len - g->cookie; /* from its CRLF on */
	char *at = g->p + g->cookie;

	ASSERT(g->cap - g->len >= len + 2);
	memmove(at + len + 2, at, behind);
	at[0] = ';';
	at[1] = ' ';
	if (len > 0)
		memcpy(at + 2, value, len);
	g->cookie += (uint32_t)len + 2;
	g->len += (uint32_t)len + 2;
	/* Host is no line, but its slice lies behind. */
	if (g->host.off >= g->cookie - len - 2 && g->host.len > 0)
		g->host.off += (uint32_t)len + 2;
}

static void
add_line(struct h2_gather *g, const char *name, size_t name_len, const char *value,
    size_t value_len)
{
	(void)append(g, name, name_len);
	(void)append(g, ": ", 2);
	(void)append(g, value, value_len);
	if (IS(name, name_len, "cookie"))
		g->cookie = g->len;
	(void)append(g, "\r\n", 2);
}

/* Fields of requests that are understood here; true if that is all there is to do. */
static bool
special(struct h2_gather *g, const char *name, size_t name_len, const char *value,
    size_t value_len)
{
	if (IS(name, name_len, "te") &&
	    (value_len != 8 || strncasecmp(value, "trailers", 8) != 0))
		refuse(g, HTTP1_BAD_FIELD);
	if (IS(name, name_len, "host") && (g->host.len > 0 || value_len == 0))
		refuse(g, HTTP1_BAD_HOST);
	if (IS(name, name_len, "cookie") && g->cookie > 0) {
		add_cookie(g, value, value_len);
		return true;
	}
	/* Ours is written for a WebSocket (RFC 8441 section 5). */
	return IS(name, name_len, "sec-websocket-key");
}

/* RFC 9110 section 6.5.1: what frames or routes a message has no place there. */
static bool
trailer_keeps(const char *name, size_t len)
{
	return len > 0 && !HTTP1_IS(name, len, "transfer-encoding") &&
	       !HTTP1_IS(name, len, "content-length") && !HTTP1_IS(name, len, "host") &&
	       !HTTP1_IS(name, len, "connection") &&
	       !HTTP1_IS(name, len, "keep-alive") &&
	       !HTTP1_IS(name, len, "proxy-connection") &&
	       !HTTP1_IS(name, len, "upgrade") && !HTTP1_IS(name, len, "te") &&
	       !HTTP1_IS(name, len, "trailer");
}

void
h2_gather_field(struct h2_gather *g, const char *name, size_t name_len,
    const char *value, size_t value_len)
{
	size_t max = g->kind == H2_TRAILER ? H2_TRAILER_MAX : H2_GATHER_MAX;

	if (g->error != HTTP1_OK)
		return;
	if (h2_gather_need(name_len, value_len) > max - g->len ||
	    g->n_fields == H2_FIELDS_MAX) {
		refuse(g, g->kind == H2_TRAILER ? HTTP1_LONG_TRAILER : HTTP1_LONG_HEAD);
		return;
	}
	ASSERT(g->cap - g->len >= h2_gather_need(name_len, value_len));
	if (name_len > 0 && name[0] == ':') {
		pseudo_field(g, name, name_len, value, value_len);
		return;
	}
	if (!name_valid(name, name_len) || !value_valid(value, value_len)) {
		refuse(g, HTTP1_BAD_FIELD);
		return;
	}
	g->n_fields++;
	if (g->kind == H2_TRAILER && !trailer_keeps(name, name_len))
		return;
	if (of_connection(name, name_len)) {
		refuse(g, HTTP1_BAD_FIELD);
		return;
	}
	if (IS(name, name_len, "content-length"))
		g->has_length = true;
	if (g->kind == H2_REQUEST && special(g, name, name_len, value, value_len))
		return;
	add_line(g, name, name_len, value, value_len);
	if (IS(name, name_len, "host"))
		g->host = (struct http1_slice){
		    g->len - 2 - (uint32_t)value_len, (uint32_t)value_len};
}

/* Writing */

static void
put_slice(struct http1_out *o, const struct h2_gather *g, struct http1_slice s)
{
	http1_put(o, g->p + s.off, s.len);
}

static bool
slice_is(const struct h2_gather *g, enum h2_pseudo which, const char *text)
{
	struct http1_slice s = g->pseudo[which];

	return s.len == strlen(text) && memcmp(g->p + s.off, text, s.len) == 0;
}

bool
h2_is_websocket(const struct h2_gather *g)
{
	return (g->seen & 1U << H2_PROTOCOL) != 0 && slice_is(g, H2_METHOD, "CONNECT");
}

/* RFC 9113 section 8.3.1 and RFC 8441 section 4. */
static enum http1_error
request_error(const struct h2_gather *g)
{
	const unsigned must = 1U << H2_METHOD | 1U << H2_SCHEME | 1U << H2_PATH;
	struct http1_slice host = g->pseudo[H2_AUTHORITY];
	bool connect = slice_is(g, H2_METHOD, "CONNECT");

	if ((g->seen & 1U << H2_METHOD) == 0)
		return HTTP1_BAD_LINE;
	if ((g->seen & 1U << H2_PROTOCOL) != 0) {
		if (!connect)
			return HTTP1_BAD_LINE;
		if (!slice_is(g, H2_PROTOCOL, "websocket"))
			return HTTP1_BAD_METHOD;
	} else if (connect) {
		return HTTP1_BAD_METHOD;
	}
	if ((g->seen & must) != must)
		return HTTP1_BAD_TARGET;
	if (g->p[g->pseudo[H2_PATH].off] != '/' &&
	    !(slice_is(g, H2_PATH, "*") && slice_is(g, H2_METHOD, "OPTIONS")))
		return HTTP1_BAD_TARGET;
	if (host.len > 0 && g->host.len > 0 &&
	    (host.len != g->host.len ||
		strncasecmp(g->p + host.off, g->p + g->host.off, host.len) != 0))
		return HTTP1_BAD_HOST;
	return HTTP1_OK;
}

static void
put_base64(struct http1_out *o, const uint8_t nonce[H2_NONCE])
{
	static const char digit[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < H2_NONCE; i += 3) {
		bool one = i + 1 == H2_NONCE; /* 16 leaves one byte for the end */
		uint32_t v = (uint32_t)nonce[i] << 16 |
			     (one ? 0 : (uint32_t)nonce[i + 1] << 8 | nonce[i + 2]);
		char text[4] = {digit[v >> 18], digit[v >> 12 & 63],
		    one ? '=' : digit[v >> 6 & 63], one ? '=' : digit[v & 63]};

		http1_put(o, text, sizeof(text));
	}
}

static bool
wants_length(const struct h2_gather *g)
{
	return slice_is(g, H2_METHOD, "POST") || slice_is(g, H2_METHOD, "PUT") ||
	       slice_is(g, H2_METHOD, "PATCH");
}

int
h2_write_request(struct h2_gather *g, bool ended, const uint8_t nonce[H2_NONCE],
    char *out, size_t cap)
{
	struct http1_out o = {.p = out, .cap = cap};
	bool websocket = h2_is_websocket(g);

	if (g->error == HTTP1_OK)
		g->error = request_error(g);
	if (g->error != HTTP1_OK)
		return -EBADMSG;
	if (websocket)
		HTTP1_PUT(&o, "GET");
	else
		put_slice(&o, g, g->pseudo[H2_METHOD]);
	HTTP1_PUT(&o, " ");
	put_slice(&o, g, g->pseudo[H2_PATH]);
	HTTP1_PUT(&o, " HTTP/1.1\r\n");
	if (g->host.len == 0 && g->pseudo[H2_AUTHORITY].len > 0) {
		HTTP1_PUT(&o, "host: ");
		put_slice(&o, g, g->pseudo[H2_AUTHORITY]);
		HTTP1_PUT(&o, "\r\n");
	}
	http1_put(&o, g->p + g->lines, g->len - g->lines);
	if (websocket) {
		HTTP1_PUT(&o, "upgrade: websocket\r\nconnection: close, upgrade\r\n"
			      "sec-websocket-key: ");
		put_base64(&o, nonce);
		HTTP1_PUT(&o, "\r\n\r\n");
		return http1_out_len(&o);
	}
	if (!ended && !g->has_length)
		HTTP1_PUT(&o, "transfer-encoding: chunked\r\n");
	else if (ended && !g->has_length && wants_length(g))
		HTTP1_PUT(&o, "content-length: 0\r\n"); /* RFC 9110 section 8.6 */
	HTTP1_PUT(&o, "\r\n");
	return http1_out_len(&o);
}

unsigned
h2_answer_status(const struct h2_gather *g)
{
	struct http1_slice s = g->pseudo[H2_STATUS];
	unsigned status = 0;

	if (s.len != 3)
		return 0;
	for (size_t i = 0; i < 3; i++) {
		char c = g->p[s.off + i];

		if (c < '0' || c > '9')
			return 0;
		status = status * 10 + (unsigned)(c - '0');
	}
	/* RFC 9113 section 8.6 has no 101. */
	return status >= 100 && status <= 599 && status != 101 ? status : 0;
}

int
h2_write_answer(struct h2_gather *g, bool ended, bool bodiless, char *out, size_t cap)
{
	struct http1_out o = {.p = out, .cap = cap};
	unsigned status = h2_answer_status(g);

	if (status == 0)
		refuse(g, HTTP1_BAD_LINE);
	if (g->error != HTTP1_OK)
		return -EBADMSG;
	HTTP1_PUT(&o, "HTTP/1.1 ");
	put_slice(&o, g, g->pseudo[H2_STATUS]);
	HTTP1_PUT(&o, " \r\n");
	http1_put(&o, g->p + g->lines, g->len - g->lines);
	if (!g->has_length && !bodiless && status >= 200 && status != 204 &&
	    status != 304) {
		if (ended)
			HTTP1_PUT(&o, "content-length: 0\r\n");
		else
			HTTP1_PUT(&o, "transfer-encoding: chunked\r\n");
	}
	HTTP1_PUT(&o, "\r\n");
	return http1_out_len(&o);
}

/* Heads on their way out */

static nghttp2_nv
field(const char *name, size_t name_len, const char *value, size_t value_len)
{
	return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
	    .namelen = name_len,
	    .value = (uint8_t *)(uintptr_t)value,
	    .valuelen = value_len,
	    .flags = NGHTTP2_NV_FLAG_NONE};
}

size_t
h2_answer_fields(const struct http1_head *head, const char *p, char status[3],
    nghttp2_nv nv[H2_NV_MAX])
{
	/* An upgrade is a success here (RFC 8441 section 5). */
	unsigned s = head->status == 101 ? 200 : head->status;
	size_t n = 0;

	status[0] = (char)('0' + s / 100 % 10);
	status[1] = (char)('0' + s / 10 % 10);
	status[2] = (char)('0' + s % 10);
	nv[n++] = field(":status", 7, status, 3);
	for (unsigned i = 0; i < head->n_fields; i++) {
		const struct http1_field *f = &head->field[i];

		if (f->hop ||
		    (head->status == 101 &&
			HTTP1_IS(p + f->name.off, f->name.len, "sec-websocket-accept")))
			continue;
		nv[n++] =
		    field(p + f->name.off, f->name.len, p + f->value.off, f->value.len);
	}
	return n;
}

/* True if the field goes on in a request; `host` has become a pseudo-field. */
static bool
request_keeps(const struct http1_field *f)
{
	return !f->hop && f->id != HTTP1_N_HOST;
}

size_t
h2_request_fields(
    const struct http1_head *head, const char *p, bool secure, nghttp2_nv nv[H2_NV_MAX])
{
	size_t n = 0;

	nv[n++] = field(":method", 7, p + head->method_text.off, head->method_text.len);
	nv[n++] = field(":scheme", 7, "https", secure ? 5 : 4);
	if (head->host.len > 0)
		nv[n++] = field(":authority", 10, p + head->host.off, head->host.len);
	nv[n++] = field(":path", 5, p + head->target.off, head->target.len);
	for (unsigned i = 0; i < head->n_fields; i++) {
		const struct http1_field *f = &head->field[i];

		/* RFC 9113 section 8.2.2: the one thing that TE may still say. */
		if (f->id == HTTP1_N_TE && f->value.len == 8 &&
		    strncasecmp(p + f->value.off, "trailers", 8) == 0)
			nv[n++] = field("te", 2, "trailers", 8);
		else if (request_keeps(f))
			nv[n++] = field(p + f->name.off, f->name.len, p + f->value.off,
			    f->value.len);
	}
	return n;
}

size_t
h2_trailer_fields(const char *p, size_t len, nghttp2_nv nv[H2_NV_MAX])
{
	size_t n = 0, i = 0;

	while (i < len && p[i] != '\r' && n < H2_NV_MAX) {
		size_t colon = http1_scan_token(p, i, len), name = i, value, end;

		if (colon == len || p[colon] != ':')
			break;
		value = colon + 1;
		while (value < len && (p[value] == ' ' || p[value] == '\t'))
			value++;
		end = http1_scan_text(p, value, len);
		i = end + 2 < len ? end + 2 : len; /* behind its CRLF */
		while (end > value && (p[end - 1] == ' ' || p[end - 1] == '\t'))
			end--;
		if (trailer_keeps(p + name, colon - name))
			nv[n++] = field(p + name, colon - name, p + value, end - value);
	}
	return n;
}

size_t
h2_write_chunk(const char *p, size_t *len, char *out, size_t cap)
{
	static const char hex[] = "0123456789abcdef";
	size_t n = *len, i = 0;

	if (cap <= H2_CHUNK_EXTRA || n == 0) {
		*len = 0;
		return 0;
	}
	if (n > cap - H2_CHUNK_EXTRA)
		n = cap - H2_CHUNK_EXTRA;
	if (n > 0xffff)
		n = 0xffff;
	for (int shift = 12; shift >= 0; shift -= 4) {
		if (n >> shift != 0)
			out[i++] = hex[n >> shift & 15];
	}
	out[i++] = '\r';
	out[i++] = '\n';
	memcpy(out + i, p, n);
	i += n;
	out[i++] = '\r';
	out[i++] = '\n';
	*len = n;
	return i;
}
