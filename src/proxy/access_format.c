/* SPDX-License-Identifier: Apache-2.0 */
/* The line of the access log. Pure, and without printf: it runs once per request. */
#include <string.h>

#include "proxy/access_log.h"

#define METHOD_LEN    32 /* what is shown of each, escapes included */
#define HOST_LEN      256
#define TARGET_LEN    1024
#define REWRITTEN_LEN 768
#define NAME_LEN      96
#define ID_LEN	      64

struct line {
	char *p;
	size_t len, max;
};

static void
put(struct line *l, const char *s, size_t len)
{
	if (l->max - l->len < len)
		len = l->max - l->len;
	memcpy(l->p + l->len, s, len);
	l->len += len;
}

#define PUT(l, literal) put(l, literal, sizeof(literal) - 1)

static void
put_name(struct line *l, const char *s)
{
	size_t len = strlen(s);

	put(l, s, len < NAME_LEN ? len : NAME_LEN);
}

/* At least `width` digits. */
static void
put_number(struct line *l, uint64_t n, unsigned width)
{
	char digits[20];
	size_t i = sizeof(digits);

	do {
		digits[--i] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0 || sizeof(digits) - i < width);
	put(l, digits + i, sizeof(digits) - i);
}

static void
put_us(struct line *l, int64_t us)
{
	put_number(l, us > 0 ? (uint64_t)us : 0, 1);
}

/* In quotes, at most `max` bytes of it; a client must not be able to write a field or a
 * line of its own. */
static void
put_text(struct line *l, struct access_text t, size_t max)
{
	static const char hex[] = "0123456789abcdef";
	size_t shown = 0, i;

	PUT(l, "\"");
	for (i = 0; i < t.len; i++) {
		unsigned char c = (unsigned char)t.p[i];
		bool plain = c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
		char escape[4] = {'\\', 'x', hex[c >> 4], hex[c & 15]};

		shown += plain ? 1 : sizeof(escape);
		if (shown > max)
			break;
		if (plain)
			put(l, t.p + i, 1);
		else
			put(l, escape, sizeof(escape));
	}
	if (i < t.len)
		PUT(l, "...");
	PUT(l, "\"");
}

/* Days since 1970 as a date of the Gregorian calendar, in years that begin with March,
 * so that the leap day is the last one. */
static void
put_date(struct line *l, uint64_t days)
{
	uint64_t d = days + 719468; /* since 0000-03-01 */
	uint64_t era = d / 146097, day_of_era = d % 146097;
	uint64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 -
				   day_of_era / 146096) /
			       365;
	uint64_t day =
	    day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	uint64_t march = (5 * day + 2) / 153; /* months since March */
	uint64_t month = march < 10 ? march + 3 : march - 9;

	put_number(l, era * 400 + year_of_era + (month <= 2), 4);
	PUT(l, "-");
	put_number(l, month, 2);
	PUT(l, "-");
	put_number(l, day - (153 * march + 2) / 5 + 1, 2);
}

static void
put_time(struct line *l, int64_t time_us)
{
	uint64_t us = time_us > 0 ? (uint64_t)time_us : 0, second = us / 1000000;

	put_date(l, second / 86400);
	PUT(l, "T");
	put_number(l, second / 3600 % 24, 2);
	PUT(l, ":");
	put_number(l, second / 60 % 60, 2);
	PUT(l, ":");
	put_number(l, second % 60, 2);
	PUT(l, ".");
	put_number(l, us % 1000000, 6);
	PUT(l, "Z");
}

static void
put_request(struct line *l, const struct access_entry *e)
{
	PUT(l, " method=");
	put_text(l, e->method, METHOD_LEN);
	PUT(l, " host=");
	put_text(l, e->host, HOST_LEN);
	PUT(l, " target=");
	put_text(l, e->target, TARGET_LEN);
	if (e->rewritten.p != NULL) {
		PUT(l, " rewritten=");
		put_text(l, e->rewritten, REWRITTEN_LEN);
	}
	PUT(l, " version=");
	put_number(l, e->major, 1);
	PUT(l, ".");
	put_number(l, e->minor, 1);
	PUT(l, " status=");
	put_number(l, e->status, 1);
	if (e->id.len == 0)
		return;
	PUT(l, " id=");
	put_text(l, e->id, ID_LEN);
}

size_t
access_format(char out[static ACCESS_LINE_MAX], const struct access_entry *e)
{
	struct line l = {.p = out, .max = ACCESS_LINE_MAX - 1};

	put_time(&l, e->time_us);
	PUT(&l, " access service=");
	put_name(&l, e->service);
	PUT(&l, " client=");
	/* As everywhere, a port behind an IPv6 address needs brackets before it. */
	put_name(&l, strchr(e->client, ':') != NULL ? "[" : "");
	put_name(&l, e->client);
	put_name(&l, strchr(e->client, ':') != NULL ? "]:" : ":");
	put_number(&l, e->client_port, 1);
	PUT(&l, " server=");
	put_name(&l, e->server != NULL ? e->server : "-");
	if (e->method.p != NULL)
		put_request(&l, e);
	PUT(&l, " in=");
	put_number(&l, e->bytes_in, 1);
	PUT(&l, " out=");
	put_number(&l, e->bytes_out, 1);
	PUT(&l, " total_us=");
	put_us(&l, e->total_us);
	PUT(&l, " wait_us=");
	put_us(&l, e->wait_us);
	PUT(&l, " connect_us=");
	put_us(&l, e->connect_us);
	PUT(&l, " first_us=");
	put_us(&l, e->first_us);
	PUT(&l, " retries=");
	put_number(&l, e->retries, 1);
	PUT(&l, " end=");
	put_name(&l, e->end);
	l.max = ACCESS_LINE_MAX;
	PUT(&l, "\n");
	return l.len;
}
