/* SPDX-License-Identifier: Apache-2.0 */
#include "health/health_http.h"

#include <string.h>
#include <strings.h>

#include "base/check.h"

#define VERSION	   "HTTP/1."
#define VERSION_AT (sizeof(VERSION) - 1)
#define STATUS_AT  (VERSION_AT + 2)
#define LINE_LEAST (STATUS_AT + 3)

void
health_http_init(struct health_http *h, const struct health_http_want *want)
{
	*h = (struct health_http){.want = *want};
	ASSERT(want->text == NULL ||
	       (want->text[0] != '\0' && strlen(want->text) <= HEALTH_HTTP_TEXT_MAX));
}

static void
give_verdict(struct health_http *h, enum health_http_verdict v)
{
	if (h->verdict == HEALTH_HTTP_MORE)
		h->verdict = v;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* RFC 9112, 4: HTTP-version SP 3DIGIT, then the reason, which means nothing. */
static void
read_status(struct health_http *h)
{
	const char *l = h->line, *s = l + STATUS_AT;

	if (h->line_len < LINE_LEAST || memcmp(l, VERSION, VERSION_AT) != 0 ||
	    !is_digit(l[VERSION_AT]) || l[VERSION_AT + 1] != ' ' || !is_digit(s[0]) ||
	    !is_digit(s[1]) || !is_digit(s[2]) ||
	    (h->line_len > LINE_LEAST && s[3] != ' ')) {
		give_verdict(h, HEALTH_HTTP_NOT_HTTP);
		return;
	}
	h->status = (unsigned)(s[0] - '0') * 100 + (unsigned)(s[1] - '0') * 10 +
		    (unsigned)(s[2] - '0');
	h->chunked = h->sized = false;
	h->left = 0;
	h->state = HEALTH_HTTP_AT_FIELD;
}

/* The value of field `name`, without blanks around it; NULL if this is another. */
static const char *
field_value(struct health_http *h, const char *name, size_t *len)
{
	size_t n = strlen(name), at = n + 1, end = h->line_len;

	if (end <= n || h->line[n] != ':' || strncasecmp(h->line, name, n) != 0)
		return NULL;
	while (at < end && (h->line[at] == ' ' || h->line[at] == '\t'))
		at++;
	while (end > at && (h->line[end - 1] == ' ' || h->line[end - 1] == '\t'))
		end--;
	*len = end - at;
	return h->line + at;
}

static void
read_length(struct health_http *h, const char *v, size_t len)
{
	uint64_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (!is_digit(v[i]) || n > UINT64_MAX / 10 - 1) {
			give_verdict(h, HEALTH_HTTP_BROKEN);
			return;
		}
		n = n * 10 + (uint64_t)(v[i] - '0');
	}
	if (len == 0 || (h->sized && h->left != n))
		give_verdict(h, HEALTH_HTTP_BROKEN);
	h->sized = true;
	h->left = n;
}

static void
end_head(struct health_http *h)
{
	if (h->status >= 100 && h->status < 200) { /* RFC 9110, 15.2: more to come */
		h->state = HEALTH_HTTP_AT_STATUS;
		if (h->status == 101)
			give_verdict(h, HEALTH_HTTP_STATUS);
		return;
	}
	if (h->status < h->want.status_min || h->status > h->want.status_max) {
		give_verdict(h, HEALTH_HTTP_STATUS);
	} else if (h->want.text == NULL) {
		give_verdict(h, HEALTH_HTTP_GOOD);
	} else if (h->want.head || h->status == 204 || h->status == 304) {
		give_verdict(h, HEALTH_HTTP_NO_TEXT);
	} else if (h->chunked) { /* RFC 9112, 6.3: it overrides a length */
		h->state = HEALTH_HTTP_AT_CHUNK;
		h->left = 0;
	} else {
		h->state = HEALTH_HTTP_AT_BODY;
		if (h->sized && h->left == 0)
			give_verdict(h, HEALTH_HTTP_NO_TEXT);
	}
}

static void
read_field(struct health_http *h)
{
	const char *v;
	size_t len;

	if (h->line_len == 0) {
		end_head(h);
		return;
	}
	v = field_value(h, "Content-Length", &len);
	if (v != NULL)
		read_length(h, v, len);
	v = field_value(h, "Transfer-Encoding", &len);
	if (v != NULL)
		h->chunked = len >= 7 && strncasecmp(v + len - 7, "chunked", 7) == 0;
}

/* RFC 9112, 7.1: hex digits, then maybe extensions. */
static void
read_chunk_size(struct health_http *h)
{
	uint64_t n = 0;
	size_t i = 0;

	for (; i < h->line_len; i++) {
		char c = h->line[i] | 0x20;
		unsigned digit;

		if (is_digit(h->line[i]))
			digit = (unsigned)(h->line[i] - '0');
		else if (c >= 'a' && c <= 'f')
			digit = (unsigned)(c - 'a') + 10;
		else
			break;
		if (n > UINT64_MAX >> 4) {
			give_verdict(h, HEALTH_HTTP_BROKEN);
			return;
		}
		n = n << 4 | digit;
	}
	if (i == 0 || (i < h->line_len && strchr("; \t", h->line[i]) == NULL)) {
		give_verdict(h, HEALTH_HTTP_BROKEN);
		return;
	}
	h->left = n;
	h->state = HEALTH_HTTP_AT_BODY;
	if (n == 0)
		give_verdict(h, HEALTH_HTTP_NO_TEXT);
}

static void
end_line(struct health_http *h)
{
	if (h->line_len > 0 && h->line[h->line_len - 1] == '\r')
		h->line_len--;
	switch (h->state) {
	case HEALTH_HTTP_AT_STATUS:
		read_status(h);
		break;
	case HEALTH_HTTP_AT_FIELD:
		read_field(h);
		break;
	case HEALTH_HTTP_AT_CHUNK:
		read_chunk_size(h);
		break;
	case HEALTH_HTTP_AT_CHUNK_END:
		h->state = HEALTH_HTTP_AT_CHUNK;
		if (h->line_len > 0)
			give_verdict(h, HEALTH_HTTP_BROKEN);
		break;
	case HEALTH_HTTP_AT_BODY:
		break;
	}
}

/* Takes bytes up to the end of a line. What is no HTTP is refused at its first line or
 * at the end of our patience with it, whichever is first. */
static size_t
feed_line(struct health_http *h, const char *p, size_t len)
{
	const char *nl = memchr(p, '\n', len);
	size_t n = nl != NULL ? (size_t)(nl - p) : len;
	size_t room = sizeof(h->line) - h->line_len;
	size_t keep = n < room ? n : room;

	memcpy(h->line + h->line_len, p, keep);
	h->line_len += keep;
	h->head += n + (nl != NULL);
	if (h->head > HEALTH_HTTP_HEAD_MAX) {
		give_verdict(h, HEALTH_HTTP_TOO_LONG);
	} else if (nl != NULL) {
		end_line(h);
		if (h->verdict != HEALTH_HTTP_NOT_HTTP)
			h->line_len = 0;
	}
	return n + (nl != NULL);
}

/* Looks through a piece of the body; the window keeps what may be half a text. */
static void
look(struct health_http *h, const char *p, size_t len)
{
	size_t text_len = strlen(h->want.text), keep;

	while (len > 0) {
		size_t room = sizeof(h->window) - h->window_len;
		size_t n = len < room ? len : room;

		memcpy(h->window + h->window_len, p, n);
		h->window_len += n;
		p += n;
		len -= n;
		if (memmem(h->window, h->window_len, h->want.text, text_len) != NULL) {
			give_verdict(h, HEALTH_HTTP_GOOD);
			return;
		}
		keep = h->window_len < text_len - 1 ? h->window_len : text_len - 1;
		memmove(h->window, h->window + h->window_len - keep, keep);
		h->window_len = keep;
	}
}

static size_t
feed_body(struct health_http *h, const char *p, size_t len)
{
	size_t n = len, allowed = HEALTH_HTTP_BODY_MAX - h->body;
	bool framed = h->chunked || h->sized;

	if (framed && n > h->left)
		n = (size_t)h->left;
	look(h, p, n < allowed ? n : allowed);
	h->body += n < allowed ? n : allowed;
	if (n > allowed)
		give_verdict(h, HEALTH_HTTP_TOO_LONG);
	if (framed)
		h->left -= n;
	if (framed && h->left == 0) {
		if (!h->chunked)
			give_verdict(h, HEALTH_HTTP_NO_TEXT);
		h->state = HEALTH_HTTP_AT_CHUNK_END;
	}
	return n;
}

enum health_http_verdict
health_http_feed(struct health_http *h, const char *p, size_t len)
{
	while (len > 0 && h->verdict == HEALTH_HTTP_MORE) {
		size_t n = h->state == HEALTH_HTTP_AT_BODY ? feed_body(h, p, len)
							   : feed_line(h, p, len);

		p += n;
		len -= n;
	}
	return h->verdict;
}

enum health_http_verdict
health_http_end(struct health_http *h)
{
	bool open = h->state == HEALTH_HTTP_AT_BODY && !h->chunked && !h->sized;

	if (h->state == HEALTH_HTTP_AT_STATUS && h->line_len > 0 && h->status == 0)
		read_status(h); /* one line without an end: what is it? */
	give_verdict(h, open ? HEALTH_HTTP_NO_TEXT : HEALTH_HTTP_SHORT);
	return h->verdict;
}
