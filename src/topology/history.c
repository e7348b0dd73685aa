/* SPDX-License-Identifier: Apache-2.0 */
#include "topology/history.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/mono.h"

#define MTBF_MIN_NS (60 * SEC_NS)	   /* as the cluster file has it */
#define TIME_END_MS INT64_C(7258118400000) /* 2200-01-01T00:00:00Z */
#define RATE_MAX_NS (INT64_C(36500) * 86400 * SEC_NS)

/* ---- rates --------------------------------------------------------------------- */

static int64_t
mean_ns(int64_t before_ns, double seen_s, unsigned events, int64_t min_ns)
{
	double ns = (HISTORY_WEIGHT * (double)before_ns + seen_s * (double)SEC_NS) /
		    (HISTORY_WEIGHT + (double)events);

	if (ns >= (double)RATE_MAX_NS)
		return RATE_MAX_NS;
	return ns > (double)min_ns ? (int64_t)ns : min_ns;
}

struct availability_rate
history_rate(const struct history_kind *seen, const struct availability_rate *before)
{
	double up_s = seen->watched_s - seen->down_s;

	return (struct availability_rate){
	    .mtbf_ns = mean_ns(
		before->mtbf_ns, up_s > 0 ? up_s : 0, seen->outages, MTBF_MIN_NS),
	    .mttr_ns = mean_ns(before->mttr_ns, seen->down_s, seen->repairs, 0)};
}

void
history_apply(const struct history *h, struct availability_conf *rates)
{
	for (unsigned i = 0; i < AVAIL_KINDS; i++) {
		if (h->kind[i].watched_s > 0)
			rates->rate[i] = history_rate(&h->kind[i], &rates->rate[i]);
	}
}

/* ---- time ---------------------------------------------------------------------- */

/* `n` digits at *p, which moves past them. */
static bool
digits(const char **p, unsigned n, unsigned min, unsigned max, unsigned *out)
{
	unsigned value = 0;

	for (unsigned i = 0; i < n; i++, (*p)++) {
		if (**p < '0' || **p > '9')
			return false;
		value = value * 10 + (unsigned)(**p - '0');
	}
	*out = value;
	return value >= min && value <= max;
}

static bool
mark(const char **p, char c)
{
	if (**p != c && **p != (c == 'T' ? 't' : c == 'Z' ? 'z' : c))
		return false;
	(*p)++;
	return true;
}

static bool
is_leap(unsigned year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static unsigned
days_of(unsigned year, unsigned month)
{
	static const unsigned char days[] = {
	    31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return days[month - 1] + (month == 2 && is_leap(year) ? 1U : 0U);
}

static int64_t
days_before(unsigned year, unsigned month)
{
	int64_t days = 0;

	for (unsigned y = 1970; y < year; y++)
		days += is_leap(y) ? 366 : 365;
	for (unsigned m = 1; m < month; m++)
		days += days_of(year, m);
	return days;
}

/* ".25": further digits than three are read and dropped. */
static bool
fraction(const char **p, int64_t *ms)
{
	int64_t unit = 100;

	*ms = 0;
	if (!mark(p, '.'))
		return true;
	if (**p < '0' || **p > '9')
		return false;
	for (; **p >= '0' && **p <= '9'; (*p)++, unit /= 10)
		*ms += unit * (**p - '0');
	return true;
}

/* "Z" or "+01:30", in minutes. */
static bool
offset(const char **p, int64_t *minutes)
{
	bool west = **p == '-';
	unsigned h, m;

	*minutes = 0;
	if (mark(p, 'Z'))
		return true;
	if (!mark(p, west ? '-' : '+') || !digits(p, 2, 0, 23, &h) || !mark(p, ':') ||
	    !digits(p, 2, 0, 59, &m))
		return false;
	*minutes = (int64_t)h * 60 + m;
	if (west)
		*minutes = -*minutes;
	return true;
}

int
history_time(int64_t *ms, const char *text)
{
	unsigned year, month, day, hour, min, sec;
	const char *p = text;
	int64_t part, minutes;

	if (!digits(&p, 4, 1970, 2199, &year) || !mark(&p, '-') ||
	    !digits(&p, 2, 1, 12, &month) || !mark(&p, '-') ||
	    !digits(&p, 2, 1, days_of(year, month), &day) || !mark(&p, 'T') ||
	    !digits(&p, 2, 0, 23, &hour) || !mark(&p, ':') ||
	    !digits(&p, 2, 0, 59, &min) || !mark(&p, ':') ||
	    !digits(&p, 2, 0, 60, &sec) || !fraction(&p, &part) ||
	    !offset(&p, &minutes) || *p != '\0')
		return -EINVAL;
	minutes = (days_before(year, month) + day - 1) * 24 * 60 + (int64_t)hour * 60 +
		  min - minutes;
	part += minutes * 60000 + (int64_t)sec * 1000;
	if (part < 0 || part >= TIME_END_MS) /* by its offset */
		return -EINVAL;
	*ms = part;
	return 0;
}
