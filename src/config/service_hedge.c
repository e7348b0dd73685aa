/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service_hedge.c - `hedge`: when a second server is asked the same.
 */
#include <string.h>

#include "base/mono.h"
#include "config/cluster.h"
#include "config/reader.h"
#include "config/sections.h"
#include "config/service_parts.h"
#include "config/units.h"

#define AFTER_MIN (1 * MS_NS)
#define AFTER_MAX (60 * SEC_NS)

static bool
is_percentile(const char *s, unsigned *n)
{
	if (s[0] != 'p' || strlen(s) != 3 || s[1] < '5' || s[1] > '9' || s[2] < '0' ||
	    s[2] > '9')
		return false;
	*n = (unsigned)(s[1] - '0') * 10 + (unsigned)(s[2] - '0');
	return true;
}

static void
read_after(struct reader *r, const struct yaml *node, void *base)
{
	const struct key time_key = {.name = "after",
	    .kind = VALUE_DURATION,
	    FIELD(struct hedge_conf, after_ns),
	    .min = AFTER_MIN,
	    .max = AFTER_MAX};
	struct hedge_conf *c = base;

	if (node->kind == YAML_SCALAR && node->text[0] == 'p') {
		if (!is_percentile(node->text, &c->percentile))
			diag_hint(reader_error(r, node, "bad-word",
				      "\"after\" has no \"%.32s\"", node->text),
			    "a time such as 50ms, or p50 to p99 of the answers' times");
		return;
	}
	read_value(r, &time_key, node, base);
}

static void
write_after(const void *base, struct sbuf *out)
{
	const struct key time_key = {.name = "after",
	    .kind = VALUE_DURATION,
	    FIELD(struct hedge_conf, after_ns)};
	const struct hedge_conf *c = base;

	if (c->percentile > 0)
		sbuf_printf(out, "p%u", c->percentile);
	else if (c->after_ns > 0)
		write_value(&time_key, base, out);
}

static const struct form after_form = {
    .read = read_after,
    .write = write_after,
    .schema = "{\"type\":\"string\",\"pattern\":\"^(p[5-9][0-9]|[0-9]+ *(ms|s|m))$\"}",
    .syntax = "DURATION or p50 to p99",
};

static const struct key hedge_key[] = {
    {
	.name = "after",
	.kind = VALUE_FORM,
	.required = true,
	.form = &after_form,
	.doc = "How long the first server may take; `p95`: as long as 95 of 100 "
	       "answers took lately.",
    },
    {
	.name = "budget",
	.kind = VALUE_PERCENT,
	FIELD(struct hedge_conf, budget),
	.min = 1,
	.max = 50,
	.preset = "5%",
	.doc = "Of all requests, how many may be asked twice.",
    },
};

static const char *
hedge_absent(const void *base)
{
	const struct hedge_conf *c = base;

	return c->after_ns == 0 && c->percentile == 0 ? "" : NULL;
}

const struct section hedge_section = {
    .what = "hedge",
    .doc = "Ask a second server what takes long to answer; who answers first counts. "
	   "Only what may be asked twice and has no body.",
    KEYS(hedge_key),
    .shorthand = "after",
    .absent = hedge_absent,
};

void
hedge_finish(struct reader *r, const struct yaml *node, struct service *s)
{
	const struct yaml *hedge = yaml_get(node, "hedge");

	if (hedge == NULL || s->balancing.hedge.budget == 0)
		return;
	if (s->mode == MODE_TCP)
		(void)reader_error(r, hedge->key, "key-conflict",
		    "\"hedge\" needs mode http: in mode tcp nothing is understood");
	else if (s->pipeline > 1)
		(void)reader_error(r, hedge->key, "key-conflict",
		    "\"hedge\" and \"pipeline\" exclude each other");
}
