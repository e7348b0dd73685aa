/* SPDX-License-Identifier: Apache-2.0 */
#include "config/service_breaker.h"

#include "base/mono.h"
#include "config/sections.h"
#include "config/switch.h"

static const struct key breaker_key[] = {
    {
	.name = "errors",
	.kind = VALUE_PERCENT,
	FIELD(struct breaker_conf, errors),
	.min = 1,
	.max = 100,
	.preset = "50%",
	.doc = "Answers of a group that open it: failures, and status 500 and above.",
    },
    {
	.name = "requests",
	.kind = VALUE_COUNT,
	FIELD(struct breaker_conf, requests),
	.min = 1,
	.max = 1000000,
	.preset = "20",
	.doc = "Of fewer answers nothing is concluded.",
    },
    {
	.name = "window",
	.kind = VALUE_DURATION,
	FIELD(struct breaker_conf, window_ns),
	.min = 100 * MS_NS,
	.max = 3600 * SEC_NS,
	.preset = "10s",
	.doc = "How far back they are counted.",
    },
    {
	.name = "open",
	.kind = VALUE_DURATION,
	FIELD(struct breaker_conf, open_ns),
	.min = 10 * MS_NS,
	.max = 3600 * SEC_NS,
	.preset = "5s",
	.doc = "How long requests are then refused with 503.",
    },
    {
	.name = "trials",
	.kind = VALUE_COUNT,
	FIELD(struct breaker_conf, trials),
	.min = 1,
	.max = 1000,
	.preset = "3",
	.doc = "Requests that pass after that: if all of them are answered well it "
	       "closes, with the first error it opens again.",
    },
};

static bool
scalar_breaker(struct reader *r, const struct yaml *node, void *base)
{
	return switch_read(
	    r, &breaker_section, node, base, "breaker: {errors: 50%, open: 5s}");
}

static void
finish_breaker(struct reader *r, const struct yaml *node, void *base, uint64_t given)
{
	struct breaker_conf *b = base;

	(void)r;
	(void)node;
	(void)given;
	b->on = true;
}

static const char *
absent_breaker(const void *base)
{
	return ((const struct breaker_conf *)base)->on ? NULL : "";
}

static bool
brief_breaker(const void *base, struct sbuf *out)
{
	return switch_write(&breaker_section, base, out);
}

const struct section breaker_section = {
    .what = "breaker",
    .doc = "Stops asking a group of servers that answers with errors.",
    KEYS(breaker_key),
    .scalar = scalar_breaker,
    .scalar_schema = SWITCH_SCHEMA,
    .scalar_syntax = SWITCH_SYNTAX,
    .finish = finish_breaker,
    .absent = absent_breaker,
    .brief = brief_breaker,
};

void
breaker_finish(struct reader *r, const struct yaml *node, struct service *s)
{
	if (s->breaker.on && s->mode == MODE_TCP)
		(void)reader_error(r, yaml_get(node, "breaker")->key, "key-conflict",
		    "\"breaker\" makes no sense in mode tcp: there are no answers");
}
