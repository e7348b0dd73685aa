/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/request/coding.h"

#include <string.h>
#include <strings.h>

#include "proxy/http1/http1_scan.h"
#include "proxy/http1/http1_sense.h"

#define Q_ONE	 1000 /* the weight 1 in thousandths */
#define Q_UNSAID (-1)
#define ETAG_MAX 256

const char *
coding_name(enum coding coding)
{
	static const char *const name[CODING_N] = {[CODING_IDENTITY] = "identity",
	    [CODING_GZIP] = "gzip",
	    [CODING_BR] = "br",
	    [CODING_ZSTD] = "zstd"};

	return name[coding];
}

const char *const *
coding_drops(size_t *n)
{
	/* A range of the one is no range of the other. */
	static const char *const drop[CODING_DROPS_MAX] = {
	    "content-length", "accept-ranges", "etag"};

	*n = ARRAY_LEN(drop);
	return drop;
}

static bool
is(const char *p, struct http1_slice s, const char *word)
{
	return s.len == strlen(word) && strncasecmp(p + s.off, word, s.len) == 0;
}

static bool
named(const struct http1_field *f, const char *p, const char *name)
{
	return is(p, f->name, name);
}

/* ---- what a client asks for ---------------------------------------------------- */

/* Cuts `s` before its first ';', and the space there; what follows it is `rest`. */
static void
cut_parameters(const char *p, struct http1_slice *s, struct http1_slice *rest)
{
	const char *semicolon = memchr(p + s->off, ';', s->len);
	uint32_t n;

	*rest = (struct http1_slice){s->off + s->len, 0};
	if (semicolon == NULL)
		return;
	n = (uint32_t)(semicolon - (p + s->off));
	*rest = (struct http1_slice){s->off + n + 1, s->len - n - 1};
	s->len = n;
	while (s->len > 0 && !http1_is_visible(p[s->off + s->len - 1]))
		s->len--;
}

/* RFC 9110 section 12.4.2, in thousandths. What is no weight is none: 0. */
static int
read_weight(const char *p, struct http1_slice s)
{
	int q, unit = Q_ONE / 10;

	while (s.len > 0 && !http1_is_visible(p[s.off])) {
		s.off++;
		s.len--;
	}
	p += s.off;
	if (s.len == 0)
		return Q_ONE;
	if (s.len < 3 || s.len > 7 || (p[0] | 0x20) != 'q' || p[1] != '=' ||
	    (p[2] != '0' && p[2] != '1') || (s.len > 3 && p[3] != '.'))
		return 0;
	q = p[2] == '1' ? Q_ONE : 0;
	for (uint32_t i = 4; i < s.len; i++, unit /= 10) {
		if (p[i] < '0' || p[i] > '9')
			return 0;
		q += (p[i] - '0') * unit;
	}
	return q > Q_ONE ? 0 : q;
}

struct wishes {
	int q[CODING_N];
	int others; /* what `*` says */
};

static void
read_wish(const char *p, struct http1_slice e, struct wishes *w)
{
	struct http1_slice rest;
	int q;

	cut_parameters(p, &e, &rest);
	q = read_weight(p, rest);
	if (is(p, e, "*"))
		w->others = q;
	if (is(p, e, "x-gzip")) /* RFC 9110 section 8.4.1.3 */
		w->q[CODING_GZIP] = q;
	for (unsigned i = 0; i < CODING_N; i++) {
		if (is(p, e, coding_name((enum coding)i)))
			w->q[i] = q;
	}
}

enum coding
coding_accepted(
    const struct compression_conf *conf, const struct http1_head *h, const char *p)
{
	struct wishes w = {.others = 0};
	enum coding best = CODING_IDENTITY;
	struct http1_slice list, e;
	int most;

	for (unsigned i = 0; i < CODING_N; i++)
		w.q[i] = Q_UNSAID;
	for (unsigned i = 0; i < h->n_fields; i++) {
		if (!named(&h->field[i], p, "accept-encoding"))
			continue;
		list = h->field[i].value;
		while (http1_list_next(p, &list, &e))
			read_wish(p, e, &w);
	}
	/* Whoever asks for a coding likes it better than none, unless he says so. */
	most = w.q[CODING_IDENTITY] > 0 ? w.q[CODING_IDENTITY] - 1 : 0;
	for (unsigned i = 0; i < conf->n_codings; i++) {
		int q = w.q[conf->order[i]];

		if (q == Q_UNSAID)
			q = w.others;
		if (q <= most)
			continue;
		most = q;
		best = conf->order[i];
	}
	return best;
}

/* ---- what an answer allows ----------------------------------------------------- */

static bool
type_matches(const char *pattern, const char *type, size_t len)
{
	const char *star = strchr(pattern, '*');
	size_t head = star != NULL ? (size_t)(star - pattern) : strlen(pattern);
	size_t tail = star != NULL ? strlen(star + 1) : 0;

	if (star == NULL)
		return len == head && strncasecmp(pattern, type, len) == 0;
	return len >= head + tail && strncasecmp(pattern, type, head) == 0 &&
	       strncasecmp(star + 1, type + len - tail, tail) == 0;
}

static bool
right_type(const struct compression_conf *conf, const char *p, struct http1_slice type)
{
	struct http1_slice rest;

	cut_parameters(p, &type, &rest);
	for (size_t i = 0; i < conf->types.n; i++) {
		if (type_matches(conf->types.text[i], p + type.off, type.len))
			return true;
	}
	return false;
}

bool
coding_type_fits(const struct compression_conf *conf, const char *type)
{
	return right_type(
	    conf, type, (struct http1_slice){.off = 0, .len = (uint32_t)strlen(type)});
}

static bool
lists(const char *p, struct http1_slice list, const char *word)
{
	struct http1_slice e;

	while (http1_list_next(p, &list, &e)) {
		if (is(p, e, word))
			return true;
	}
	return false;
}

/* Fields that would not be true of what the client gets, or that forbid it. */
static bool
forbids(const struct http1_field *f, const char *p)
{
	static const char *const field[] = {"content-encoding", "content-range",
	    "content-md5", "digest", "content-digest", "repr-digest", "trailer"};

	if (named(f, p, "cache-control"))
		return lists(p, f->value, "no-transform");
	if (named(f, p, "etag"))
		return f->value.len > ETAG_MAX;
	for (size_t i = 0; i < ARRAY_LEN(field); i++) {
		if (named(f, p, field[i]))
			return true;
	}
	return false;
}

/* A length that the parser has let pass: digits only. */
static uint64_t
read_length(const char *p, struct http1_slice s)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < s.len; i++) {
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(p[s.off + i] - '0'), &n))
			return UINT64_MAX;
	}
	return n;
}

bool
coding_fits(const struct compression_conf *conf, const struct http1_head *h,
    const char *p, enum http1_method method)
{
	bool typed = false;

	if (h->status < 200 || h->status == 204 || h->status == 205 ||
	    h->status == 206 || h->status == 304)
		return false;
	if (h->framing == HTTP1_NO_BODY && method != HTTP1_HEAD)
		return false;
	for (unsigned i = 0; i < h->n_fields; i++) {
		const struct http1_field *f = &h->field[i];

		if (forbids(f, p))
			return false;
		if (f->id == HTTP1_N_CONTENT_LENGTH &&
		    read_length(p, f->value) < conf->minimum)
			return false;
		if (named(f, p, "content-type"))
			typed = right_type(conf, p, f->value);
	}
	return typed;
}

/* ---- its head ------------------------------------------------------------------ */

struct lines {
	char *p;
	size_t len;
};

static void
put(struct lines *l, const char *text, size_t len)
{
	ASSERT(CODING_LINES_MAX - l->len >= len);
	memcpy(l->p + l->len, text, len);
	l->len += len;
}

#define PUT(l, literal) put(l, literal, sizeof(literal) - 1)

static bool
varies(const struct http1_head *h, const char *p)
{
	for (unsigned i = 0; i < h->n_fields; i++) {
		const struct http1_field *f = &h->field[i];

		if (named(f, p, "vary") &&
		    (lists(p, f->value, "accept-encoding") || lists(p, f->value, "*")))
			return true;
	}
	return false;
}

size_t
coding_lines(const struct http1_head *h, const char *p, enum coding coding,
    char out[static CODING_LINES_MAX])
{
	struct lines l = {.p = out};

	if (!varies(h, p))
		PUT(&l, "Vary: Accept-Encoding\r\n");
	if (coding == CODING_IDENTITY)
		return l.len;
	PUT(&l, "Content-Encoding: ");
	put(&l, coding_name(coding), strlen(coding_name(coding)));
	PUT(&l, "\r\nTransfer-Encoding: chunked\r\n");
	for (unsigned i = 0; i < h->n_fields; i++) {
		const struct http1_field *f = &h->field[i];

		if (!named(f, p, "etag"))
			continue;
		/* RFC 9110 section 8.8.1: other bytes, the same meaning. */
		PUT(&l, "ETag: ");
		if (f->value.len < 2 || memcmp(p + f->value.off, "W/", 2) != 0)
			PUT(&l, "W/");
		put(&l, p + f->value.off, f->value.len);
		PUT(&l, "\r\n");
		break;
	}
	return l.len;
}
