/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is all well on this host? The one judgement behind `nines status`, its --json and
 * `nines reload`.
 */
#include <stdio.h>
#include <string.h>

#include "base/sbuf.h"
#include "part/fact.h"
#include "part/mood.h"
#include "supervisor/tree.h"

#define LIST_MAX ((size_t)64 << 20)

#define KEPT	"what was there before stays in use"
#define NOTHING "there is nothing to use instead"

/* When a reload speaks of what is bad. */
enum telling {
	LATER,	/* found out in time, by looking: `nines status` tells */
	IF_NEW, /* it was well before */
	ALWAYS, /* the file asks for it, and it cannot be had */
};

/* Facts that count; the first row that fits. What no row names is no health. */
static const struct row {
	const char *prefix;
	enum telling telling;
	/* For one who has just reloaded: of what it is said, and what follows. */
	const char *what, *if_warn, *if_down;
} rows[] = {
    {"part ", IF_NEW, "part", NULL, NULL},
    {"proxy listen", ALWAYS, "listening at", NULL,
	"nobody is served there; `ss -ltnp` shows who has it, a reload tries again"},
    {"proxy tls ", ALWAYS, "TLS of service", KEPT, NOTHING},
    {"proxy page ", ALWAYS, "a page of service", KEPT, NOTHING},
    {"proxy sticky ", ALWAYS, "the sticky secret of service", KEPT, NOTHING},
    {"proxy sources ", LATER, NULL, NULL, NULL},
    {"firewall rules", IF_NEW, "the rules:", NULL, "what was there before holds"},
    {"firewall ", LATER, NULL, NULL, NULL},
    {"vip ", IF_NEW, "floating address", NULL, NULL},
    {"vpn ", IF_NEW, "VPN", NULL, NULL},
    {"check ", LATER, NULL, NULL, NULL},
    {"gateway forward", LATER, NULL, NULL, NULL},
    {"gateway route ", LATER, NULL, NULL, NULL},
    {"gateway next-hop ", LATER, NULL, NULL, NULL},
    {"sync ", LATER, NULL, NULL, NULL},
    {"service ", LATER, NULL, NULL, NULL},
    {"server ", LATER, NULL, NULL, NULL},
};

/* The row of a fact that is bad, or NULL: all is well with it. */
static const struct row *
bad(const struct fact *f)
{
	if (mood_of(f->value) != MOOD_BAD)
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (strncmp(f->key, rows[i].prefix, strlen(rows[i].prefix)) == 0)
			return &rows[i];
	}
	return NULL;
}

void
judge_json(const struct tree *t, struct sbuf *out)
{
	const char *sep = "";
	struct sbuf why;

	sbuf_init(&why, LIST_MAX);
	if (t->refused != NULL) {
		sbuf_puts(
		    &why, "\"the cluster file on disk has errors and is not in use\"");
		sep = ",";
	}
	LIST_EACH(n, tmp, &t->facts.all)
	{
		const struct fact *f = CONTAINER(n, struct fact, node);
		char text[FACT_KEY_LEN + FACT_VALUE_LEN + 2];

		if (bad(f) == NULL)
			continue;
		(void)snprintf(text, sizeof(text), "%s: %s", f->key, f->value);
		sbuf_puts(&why, sep);
		sbuf_json(&why, text);
		sep = ",";
	}
	sbuf_printf(out, ",\"healthy\":%s,\"why\":[%s]",
	    why.len == 0 ? "true" : "false", sbuf_text(&why));
	sbuf_done(&why);
}

char *
judge_before(const struct tree *t)
{
	struct sbuf keys;
	char *text;

	sbuf_init(&keys, LIST_MAX);
	sbuf_puts(&keys, "\n");
	LIST_EACH(n, tmp, &t->facts.all)
	{
		const struct fact *f = CONTAINER(n, struct fact, node);
		const struct row *row = bad(f);

		if (row != NULL && row->telling == IF_NEW)
			sbuf_printf(&keys, "%s\n", f->key);
	}
	text = strdup(sbuf_text(&keys));
	sbuf_done(&keys);
	return text;
}

static bool
is_told(const struct row *row, const char *before, const char *key)
{
	char line[FACT_KEY_LEN + 2];

	if (row == NULL || row->telling == LATER)
		return false;
	(void)snprintf(line, sizeof(line), "\n%s\n", key);
	return row->telling == ALWAYS || before == NULL || strstr(before, line) == NULL;
}

/* "TLS of service site: /etc/site.pem: No such file (there is nothing ...)" */
static void
tell(const struct fact *f, const struct row *row, struct sbuf *out)
{
	const char *name = f->key + strlen(row->prefix), *value = f->value;
	const char *then = fact_is(value, "warn") ? row->if_warn : row->if_down;

	if (then != NULL) /* which tells more than the first word */
		value += strcspn(value, " ");
	sbuf_printf(out, "\n%s%s%s%s%s%s", row->what, name[0] != '\0' ? " " : "", name,
	    name[0] != '\0' ? ":" : "", value[0] == ' ' ? "" : " ", value);
	if (then != NULL)
		sbuf_printf(out, " (%s)", then);
}

void
judge_reload(const struct tree *t, const char *before, struct sbuf *out)
{
	LIST_EACH(n, tmp, &t->facts.all)
	{
		const struct fact *f = CONTAINER(n, struct fact, node);
		const struct row *row = bad(f);

		if (is_told(row, before, f->key))
			tell(f, row, out);
	}
}
