/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/history.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_SHOWN 40

/* While things of a kind were watched. */
struct period {
	int64_t from_ms, to_ms;
	unsigned things[AVAIL_KINDS];
};

struct parse {
	struct history *history;
	struct period *period;
	size_t n_periods;
	bool outages; /* the second time over: they may come before what was watched */
	struct history_error *error;
};

static int PRINTF(2, 3) refuse(struct parse *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(p->error->text, sizeof(p->error->text), fmt, ap);
	va_end(ap);
	/* Nothing in a file may steer a terminal. */
	for (char *c = p->error->text; *c != '\0'; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	}
	return -EINVAL;
}

static int
kind_of(struct parse *p, const char *name, unsigned *kind)
{
	for (*kind = 0; *kind < AVAIL_KINDS; ++*kind) {
		if (strcmp(availability_kind_name[*kind], name) == 0)
			return 0;
	}
	return refuse(p,
	    "\"%.*s\" is no kind of thing that fails; `availability` in the manual of "
	    "the cluster file lists them: host, link, server, ...",
	    NAME_MAX_SHOWN, name);
}

/* The member `key` as a moment. */
static int
moment(struct parse *p, const json_t *line, const char *key, int64_t *ms)
{
	const char *text = json_string_value(json_object_get(line, key));

	if (text == NULL)
		return refuse(p,
		    "\"%s\" is missing: say a moment such as \"2026-11-21T07:00:00Z\"",
		    key);
	if (history_time(ms, text) != 0)
		return refuse(p,
		    "\"%s\": \"%.*s\" is no moment such as \"2026-11-21T07:00:00Z\"",
		    key, NAME_MAX_SHOWN, text);
	return 0;
}

/* ---- what was watched ---------------------------------------------------------- */

static int
count_things(struct parse *p, json_t *watched, struct period *period)
{
	const char *name;
	json_t *number;
	unsigned kind;
	int err;

	json_object_foreach(watched, name, number)
	{
		json_int_t n = json_integer_value(number);

		err = kind_of(p, name, &kind);
		if (err != 0)
			return err;
		if (!json_is_integer(number) || n < 1 || n > HISTORY_THINGS_MAX)
			return refuse(p,
			    "\"watched\": of \"%s\" say how many, from 1 to %d", name,
			    HISTORY_THINGS_MAX);
		period->things[kind] = (unsigned)n;
	}
	return 0;
}

static int
take_period(struct parse *p, const json_t *line, json_t *watched)
{
	struct period *period = &p->period[p->n_periods];
	int err;

	if (p->n_periods == HISTORY_PERIODS)
		return refuse(
		    p, "only %d lines may say what was \"watched\"", HISTORY_PERIODS);
	if (!json_is_object(watched))
		return refuse(p,
		    "\"watched\" says how many of each kind, such as {\"host\": 12}");
	*period = (struct period){.from_ms = 0};
	err = count_things(p, watched, period);
	if (err == 0)
		err = moment(p, line, "from", &period->from_ms);
	if (err == 0)
		err = moment(p, line, "to", &period->to_ms);
	if (err == 0 && period->to_ms <= period->from_ms)
		err = refuse(p, "\"to\" is not after \"from\"");
	if (err != 0)
		return err;
	for (unsigned i = 0; i < AVAIL_KINDS; i++)
		p->history->kind[i].watched_s +=
		    (double)period->things[i] *
		    (double)(period->to_ms - period->from_ms) / 1000;
	p->n_periods++;
	return 0;
}

/* ---- outages ------------------------------------------------------------------- */

static const struct period *
period_of(const struct parse *p, unsigned kind, int64_t at_ms)
{
	for (size_t i = 0; i < p->n_periods; i++) {
		const struct period *period = &p->period[i];

		if (period->things[kind] > 0 && at_ms >= period->from_ms &&
		    at_ms <= period->to_ms)
			return period;
	}
	return NULL;
}

static int
take_outage(struct parse *p, const json_t *line, const char *kind_name)
{
	const json_t *up = json_object_get(line, "up");
	const struct period *period;
	struct history_kind *seen;
	int64_t down_ms, up_ms;
	unsigned kind;
	int err = kind_of(p, kind_name, &kind);

	if (err == 0 && json_string_length(json_object_get(line, "name")) == 0)
		err = refuse(p, "\"name\" is missing: what was down");
	if (err == 0)
		err = moment(p, line, "down", &down_ms);
	if (err != 0)
		return err;
	period = period_of(p, kind, down_ms);
	if (period == NULL)
		return refuse(p,
		    "no line says that a %s was \"watched\" at that time: a rate needs "
		    "to know how long nothing happened",
		    kind_name);
	up_ms = period->to_ms; /* it lasts */
	if (!json_is_null(up))
		err = moment(p, line, "up", &up_ms);
	if (err == 0 && up_ms < down_ms)
		err = refuse(p, "\"up\" is before \"down\"");
	if (err != 0)
		return err;
	seen = &p->history->kind[kind];
	seen->outages++;
	seen->repairs += !json_is_null(up);
	seen->down_s += (double)(up_ms - down_ms) / 1000;
	return 0;
}

/* ---- lines --------------------------------------------------------------------- */

static int
take_object(struct parse *p, const json_t *line)
{
	json_t *watched = json_object_get(line, "watched");
	const char *kind = json_string_value(json_object_get(line, "kind"));

	if (watched == NULL && kind == NULL)
		return refuse(p,
		    "neither what was \"watched\" nor the \"kind\" of what "
		    "was down");
	if (watched != NULL)
		return p->outages ? 0 : take_period(p, line, watched);
	return p->outages ? take_outage(p, line, kind) : 0;
}

static bool
is_blank(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (strchr(" \t\r", text[i]) == NULL || text[i] == '\0')
			return false;
	}
	return true;
}

static int
take_line(struct parse *p, const char *text, size_t len)
{
	json_error_t why;
	json_t *line;
	int err;

	if (is_blank(text, len))
		return 0;
	line = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	if (line == NULL && json_error_code(&why) == json_error_out_of_memory)
		return -ENOMEM;
	if (line == NULL)
		return refuse(p, "no JSON: %s", why.text);
	err = json_is_object(line) ? take_object(p, line)
				   : refuse(p, "is not an object, {...}");
	json_decref(line);
	return err;
}

static int
take_lines(struct parse *p, const char *text, size_t len)
{
	p->error->line = 0;
	while (len > 0) {
		const char *end = memchr(text, '\n', len);
		size_t n = end != NULL ? (size_t)(end - text) : len;
		int err;

		p->error->line++;
		err = take_line(p, text, n);
		if (err != 0)
			return err;
		n += end != NULL;
		text += n;
		len -= n;
	}
	return 0;
}

int
history_parse(
    struct history *h, const char *text, size_t len, struct history_error *error)
{
	struct history read = {.kind = {{0}}};
	struct parse p = {.history = &read, .error = error};
	int err;

	*error = (struct history_error){.line = 0};
	p.period = calloc(HISTORY_PERIODS, sizeof(*p.period));
	if (p.period == NULL)
		return -ENOMEM;
	err = take_lines(&p, text, len);
	p.outages = true;
	if (err == 0)
		err = take_lines(&p, text, len);
	free(p.period);
	if (err == 0)
		*h = read;
	return err;
}
