/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The syntax of heads, RFC 9112 sections 2 to 5. Every refusal is decided by the first
 * offending byte, so that a head gives the same verdict however it was cut into reads.
 */
#include <errno.h>
#include <string.h>

#include "proxy/http1/http1.h"
#include "proxy/http1/http1_scan.h"
#include "proxy/http1/http1_sense.h"

#define METHOD_MAX  32 /* the longest registered one has 17 */
#define VERSION_LEN 8  /* "HTTP/1.1" */

static int
refuse(struct http1_head *head, enum http1_error e)
{
	head->error = e;
	return -EBADMSG;
}

/* CR LF at *i; `other` is what else stands there. Moves *i behind it. */
static int
line_end(struct http1_head *head, const char *p, size_t len, size_t *i,
    enum http1_error other)
{
	if (*i == len)
		return -EAGAIN;
	if (p[*i] == '\n')
		return refuse(head, HTTP1_BARE_LF);
	if (p[*i] != '\r')
		return refuse(head, other);
	if (*i + 1 == len)
		return -EAGAIN;
	if (p[*i + 1] != '\n')
		return refuse(head, HTTP1_BARE_LF);
	*i += 2;
	return 0;
}

/* HTTP-name "/" DIGIT "." DIGIT. Of major version 1 any minor will do: RFC 9110
 * section 2.5 has a later one treated as the highest that is known. */
static int
version(struct http1_head *head, const char *p, size_t len, size_t *i)
{
	static const char form[VERSION_LEN + 1] = "HTTP/0.0";

	if (len - *i >= VERSION_LEN && memcmp(p + *i, "HTTP/1.1", VERSION_LEN) == 0) {
		head->minor = 1; /* as nearly all are */
		*i += VERSION_LEN;
		return 0;
	}
	for (size_t k = 0; k < VERSION_LEN; k++) {
		char c;

		if (*i + k == len)
			return -EAGAIN;
		c = p[*i + k];
		if (form[k] == '0' ? c < '0' || c > '9' : c != form[k])
			return refuse(head, HTTP1_BAD_LINE);
		if (k == 5 && c != '1')
			return refuse(head, HTTP1_BAD_VERSION);
	}
	head->minor = p[*i + 7] != '0';
	*i += VERSION_LEN;
	return 0;
}

static enum http1_method
method_of(const char *p, size_t len)
{
	static const struct {
		const char *text;
		size_t len;
		enum http1_method method;
	} known[] = {
	    {"GET", 3, HTTP1_GET},
	    {"POST", 4, HTTP1_POST},
	    {"HEAD", 4, HTTP1_HEAD},
	    {"PUT", 3, HTTP1_PUT},
	    {"DELETE", 6, HTTP1_DELETE},
	    {"OPTIONS", 7, HTTP1_OPTIONS},
	    {"TRACE", 5, HTTP1_TRACE},
	    {"CONNECT", 7, HTTP1_CONNECT},
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (len == known[i].len && memcmp(p, known[i].text, len) == 0)
			return known[i].method;
	return HTTP1_OTHER;
}

/* method SP request-target SP HTTP-version CRLF, with single spaces (section 3). */
static int
request_line(struct http1_head *head, const char *p, size_t len, size_t *i)
{
	size_t j = http1_scan_token(p, 0, len);
	int rc;

	if (j > METHOD_MAX)
		return refuse(head, HTTP1_BAD_LINE);
	if (j == len)
		return -EAGAIN;
	if (j == 0 || p[j] != ' ')
		return refuse(head, p[j] == '\n' ? HTTP1_BARE_LF : HTTP1_BAD_LINE);
	head->method_text = (struct http1_slice){0, (uint32_t)j};
	head->method = method_of(p, j);

	*i = j + 1;
	j = http1_scan_visible(p, *i, len);
	if (j - *i > HTTP1_TARGET_MAX)
		return refuse(head, HTTP1_LONG_TARGET);
	if (j == len)
		return -EAGAIN;
	if (p[j] == '\n')
		return refuse(head, HTTP1_BARE_LF);
	if (j == *i || p[j] == '\r')
		return refuse(head, HTTP1_BAD_LINE);
	if (p[j] != ' ')
		return refuse(head, HTTP1_BAD_TARGET);
	head->target = (struct http1_slice){(uint32_t)*i, (uint32_t)(j - *i)};

	*i = j + 1;
	rc = version(head, p, len, i);
	return rc != 0 ? rc : line_end(head, p, len, i, HTTP1_BAD_LINE);
}

/* HTTP-version SP 3DIGIT [ SP reason ] CRLF (section 4). Servers that leave the last
 * space out are many, and nothing can be read into it. */
static int
status_line(struct http1_head *head, const char *p, size_t len, size_t *i)
{
	unsigned status = 0;
	int rc = version(head, p, len, i);

	if (rc != 0)
		return rc;
	for (int k = 0; k < 4; k++, (*i)++) {
		char c;

		if (*i == len)
			return -EAGAIN;
		c = p[*i];
		if (k == 0 ? c != ' ' : c < '0' || c > '9')
			return refuse(head, HTTP1_BAD_LINE);
		if (k > 0)
			status = status * 10 + (unsigned)(c - '0');
	}
	if (status < 100 || status > 599)
		return refuse(head, HTTP1_BAD_LINE);
	head->status = (uint16_t)status;
	if (*i < len && p[*i] == ' ')
		*i = http1_scan_text(p, *i, len);
	return line_end(head, p, len, i, HTTP1_BAD_LINE);
}

/* field-name ":" OWS field-value OWS CRLF (section 5). */
static int
field_line(struct http1_head *head, const char *p, size_t len, size_t *i)
{
	struct http1_field *f = &head->field[head->n_fields];
	size_t name = *i, colon = http1_scan_token(p, name, len), value, end;
	int rc;

	if (colon == len)
		return -EAGAIN;
	if (p[colon] == '\n')
		return refuse(head, HTTP1_BARE_LF);
	/* Section 5.1: no space between name and colon, or readers differ on the name.
	 */
	if (p[colon] != ':' || colon == name)
		return refuse(head, HTTP1_BAD_FIELD);
	value = colon + 1;
	while (value < len && (p[value] == ' ' || p[value] == '\t'))
		value++;
	*i = end = http1_scan_text(p, value, len);
	rc = line_end(head, p, len, i, HTTP1_BAD_FIELD);
	if (rc != 0)
		return rc;
	while (end > value && (p[end - 1] == ' ' || p[end - 1] == '\t'))
		end--;
	*f = (struct http1_field){
	    .name = {(uint32_t)name, (uint32_t)(colon - name)},
	    .value = {(uint32_t)value, (uint32_t)(end - value)},
	    .line = (uint32_t)name,
	    .end = (uint32_t)*i,
	    .id = http1_name_id(p + name, colon - name),
	};
	head->n_fields++;
	return 0;
}

static int
field_lines(struct http1_head *head, const char *p, size_t len, size_t *i)
{
	int rc;

	for (;;) {
		if (*i == len)
			return -EAGAIN;
		if (p[*i] == '\r' || p[*i] == '\n')
			return line_end(head, p, len, i, HTTP1_BAD_FIELD);
		if (p[*i] == ' ' || p[*i] == '\t') /* section 5.2 */
			return refuse(head, HTTP1_OBS_FOLD);
		if (head->n_fields == HTTP1_FIELDS_MAX)
			return refuse(head, HTTP1_LONG_HEAD);
		rc = field_line(head, p, len, i);
		if (rc != 0)
			return rc;
	}
}

static int
parse(struct http1_head *head, const char *p, size_t len,
    int (*first_line)(struct http1_head *, const char *, size_t, size_t *))
{
	size_t i = 0, n = len < HTTP1_HEAD_MAX ? len : HTTP1_HEAD_MAX;
	int rc;

	/* The fields are as good as empty; clearing them would cost more than parsing.
	 */
	memset(head, 0, offsetof(struct http1_head, field));
	rc = first_line(head, p, n, &i);
	if (rc == 0)
		rc = field_lines(head, p, n, &i);
	if (rc == -EAGAIN && n == HTTP1_HEAD_MAX)
		return refuse(head, HTTP1_LONG_HEAD);
	head->len = (uint32_t)i;
	return rc;
}

int
http1_parse_request(struct http1_head *head, const char *p, size_t len)
{
	enum http1_error e;
	int rc;

	head->error = HTTP1_OK;
	if (len == 1 &&
	    p[0] == '\r') /* the CR of a CRLF that http1_skip_crlf() skips */
		return -EAGAIN;
	rc = parse(head, p, len, request_line);
	if (rc != 0)
		return rc;
	e = http1_sense_request(head, p);
	return e == HTTP1_OK ? 0 : refuse(head, e);
}

int
http1_parse_response(
    struct http1_head *head, const char *p, size_t len, enum http1_method to)
{
	enum http1_error e;
	int rc = parse(head, p, len, status_line);

	if (rc != 0)
		return rc;
	e = http1_sense_response(head, p, to);
	return e == HTTP1_OK ? 0 : refuse(head, e);
}

size_t
http1_skip_crlf(const char *p, size_t len)
{
	size_t i = 0;

	while (i < 4 && len - i >= 2 && p[i] == '\r' && p[i + 1] == '\n')
		i += 2;
	return i;
}

struct http1_slice
http1_field_value(const struct http1_head *head, const char *p, const char *name)
{
	size_t len = strlen(name);

	for (unsigned i = 0; i < head->n_fields; i++) {
		const struct http1_field *f = &head->field[i];

		if (f->name.len == len && strncasecmp(p + f->name.off, name, len) == 0)
			return f->value;
	}
	return (struct http1_slice){0, 0};
}
