/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service_guard.c - who is served by a service at all, and how much of it.
 */
#include <string.h>

#include "base/mono.h"
#include "config/reader.h"
#include "config/sections.h"
#include "config/service_parts.h"
#include "config/units.h"

#define RATE_MAX 10000000

/* ---- rate ---------------------------------------------------------------------- */

static const struct {
	const char *name;
	int64_t ns;
} unit[] = {{"s", SEC_NS}, {"m", 60 * SEC_NS}, {"h", 3600 * SEC_NS}};

/* "100/s" */
static void
read_requests(struct reader *r, const struct yaml *node, void *base)
{
	struct guard_conf *g = &((struct service *)base)->guard;
	const char *slash;
	char number[16];
	int64_t n = 0;

	if (!want_scalar(r, node, "a rate such as 100/s"))
		return;
	slash = strchr(node->text, '/');
	for (size_t i = 0; slash != NULL && i < ARRAY_LEN(unit); i++) {
		if (strcmp(slash + 1, unit[i].name) == 0)
			g->per_ns = unit[i].ns;
	}
	if (slash == NULL || g->per_ns == 0 ||
	    (size_t)(slash - node->text) >= sizeof(number)) {
		diag_hint(reader_error(r, node, "bad-number",
			      "\"requests\" takes a number for each second, minute or "
			      "hour"),
		    "such as 100/s, 30/m, 1000/h");
		return;
	}
	memcpy(number, node->text, (size_t)(slash - node->text));
	number[slash - node->text] = '\0';
	if (count_parse(&n, number) != 0 || n < 1 || n > RATE_MAX)
		(void)reader_error(
		    r, node, "out-of-range", "\"requests\" is 1 to %d", RATE_MAX);
	else
		g->requests = (unsigned)n;
}

static void
write_requests(const void *base, struct sbuf *out)
{
	const struct guard_conf *g = &((const struct service *)base)->guard;

	for (size_t i = 0; g->requests > 0 && i < ARRAY_LEN(unit); i++) {
		if (unit[i].ns == g->per_ns)
			sbuf_printf(out, "%u/%s", g->requests, unit[i].name);
	}
}

static const struct form requests_form = {
    .read = read_requests,
    .write = write_requests,
    .schema = "{\"type\":\"string\",\"pattern\":\"^[0-9]+/[smh]$\"}",
    .syntax = "N/s, N/m or N/h",
};

enum { RATE_KEY_BURST = 1 };

static void
derive_burst(const void *base, struct sbuf *out)
{
	const struct service *s = base;

	if (s->guard.requests > 0)
		sbuf_printf(out, "%u", s->guard.requests);
}

static const struct key rate_key[] = {
    {
	.name = "requests",
	.kind = VALUE_FORM,
	.form = &requests_form,
	.doc = "Requests of one source; more are answered 429.",
    },
    [RATE_KEY_BURST] =
	{
	    .name = "burst",
	    .kind = VALUE_COUNT,
	    FIELD(struct service, guard.burst),
	    .min = 1,
	    .max = RATE_MAX,
	    .doc = "How many of them may come at once.",
	    .derived = derive_burst,
	    .derived_doc = "as many as `requests`",
	},
    {
	.name = "connections",
	.kind = VALUE_COUNT,
	FIELD(struct service, guard.connections),
	.max = RATE_MAX,
	.preset = "0",
	.doc = "Connections of one source at a time; more are closed. 0: any number.",
    },
};

static void
finish_rate(struct reader *r, const struct yaml *node, void *base, uint64_t given)
{
	struct guard_conf *g = &((struct service *)base)->guard;
	bool burst = (given & 1U << RATE_KEY_BURST) != 0;

	if (!burst)
		g->burst = g->requests;
	else if ((given & 1) == 0)
		(void)reader_error(r, yaml_get(node, "burst")->key, "key-conflict",
		    "\"burst\" makes no sense without \"requests\"");
}

static const char *
rate_absent(const void *base)
{
	const struct guard_conf *g = &((const struct service *)base)->guard;

	return g->requests == 0 && g->connections == 0 ? "" : NULL;
}

const struct section rate_section = {
    .what = "rate",
    .doc = "A source is an IPv4 address, or an IPv6 network of 64 bits.",
    KEYS(rate_key),
    .finish = finish_rate,
    .absent = rate_absent,
};

/* ---- the whole ----------------------------------------------------------------- */

static void
only_http(struct reader *r, const struct yaml *node, const char *key)
{
	const struct yaml *value = yaml_get(node, key);

	if (value != NULL)
		(void)reader_error(r, value->key, "key-conflict",
		    "\"%s\" makes no sense in mode tcp", key);
}

void
guard_finish(struct reader *r, const struct yaml *node, struct service *s)
{
	struct guard_conf *g = &s->guard;
	const struct yaml *accept = yaml_get(node, "accept_proxy");

	g->any = g->allow.n + g->deny.n + g->trusted.n > 0 || g->requests > 0 ||
		 g->max_body > 0;
	if (g->accept_proxy && g->trusted.n == 0)
		diag_hint(reader_error(r, accept->key, "missing-key",
			      "\"accept_proxy\" needs \"trusted\""),
		    "trusted: [10.0.0.0/24], where such connections come from");
	if (s->mode != MODE_TCP)
		return;
	if (g->max_body > 0)
		only_http(r, node, "max_body");
	if (g->request_id)
		only_http(r, node, "request_id");
}
