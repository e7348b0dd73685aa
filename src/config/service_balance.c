/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service_balance.c - how a service spreads its requests: `balance`, and servers that
 * are left out.
 */
#include <string.h>

#include "base/mono.h"
#include "config/reader.h"
#include "config/sections.h"
#include "config/service_parts.h"

#define BOUND_MAX 1000 /* per cent */

/* ---- balance ------------------------------------------------------------------- */

static const struct word balance_word[] = {
    {"round-robin", BALANCE_ROUND_ROBIN, "in turn, by weight"},
    {"least-connections", BALANCE_LEAST_CONNECTIONS, "to the least busy, by weight"},
    {"random", BALANCE_RANDOM, "the less busy of two taken at random"},
    {"hash", BALANCE_HASH, "the same server for the same client address"},
    {"idle-capacity", BALANCE_IDLE_CAPACITY,
	"by weight, less to those that answer slowly"},
    {0},
};

static const struct key balance_key = {
    .name = "balance",
    .kind = VALUE_WORD,
    FIELD(struct service, balance),
    .words = balance_word,
};

/* "header NAME" and "cookie NAME"; false: `word` is not what stands there. */
static bool
read_named(struct reader *r, const struct yaml *node, struct service *s,
    const char *word, enum hash_key key)
{
	const struct key name_key = {.name = "hash",
	    .kind = VALUE_TOKEN,
	    FIELD(struct service, balancing.hash_name)};
	size_t len = strlen(word);
	struct yaml name = *node;

	if (strncmp(node->text, word, len) != 0 || node->text[len] != ' ')
		return false;
	s->balancing.hash_key = key;
	name.text = node->text + len + strspn(node->text + len, " ");
	read_value(r, &name_key, &name, s);
	return true;
}

static void
read_hash_key(struct reader *r, const struct yaml *node, struct service *s)
{
	if (!want_scalar(r, node, "source, path, header NAME or cookie NAME"))
		return;
	if (strcmp(node->text, "source") == 0)
		s->balancing.hash_key = HASH_SOURCE;
	else if (strcmp(node->text, "path") == 0)
		s->balancing.hash_key = HASH_PATH;
	else if (!read_named(r, node, s, "header", HASH_HEADER) &&
		 !read_named(r, node, s, "cookie", HASH_COOKIE))
		diag_hint(reader_error(
			      r, node, "bad-word", "cannot hash \"%.64s\"", node->text),
		    "source, path, or header or cookie and its name");
}

/* "1.25": up to two decimals, as per cent. False: it is no such thing. */
static bool
parse_bound(const char *text, unsigned *percent)
{
	unsigned v = 0, digits = 0;
	bool point = false;

	for (; *text != '\0' && v <= BOUND_MAX; text++) {
		if (*text == '.' && !point && digits == 0 && v > 0) {
			point = true;
			continue;
		}
		if (*text < '0' || *text > '9' || digits == 2)
			return false;
		v = v * 10 + (unsigned)(*text - '0');
		digits += point;
	}
	while (digits++ < 2)
		v *= 10;
	*percent = v;
	return v > 100 && v <= BOUND_MAX;
}

static void
read_bound(struct reader *r, const struct yaml *node, struct service *s)
{
	if (want_scalar(r, node, "a number such as 1.25") &&
	    !parse_bound(node->text, &s->balancing.hash_bound))
		diag_hint(reader_error(r, node, "out-of-range",
			      "\"bound\" is 1.01 to %d.00", BOUND_MAX / 100),
		    "1.25: no server has more than 1.25 times the average");
}

void
balance_unknown_keys(struct reader *r, const struct yaml *node, const char *where,
    const struct yaml *a, const struct yaml *b)
{
	for (const struct yaml *n = node->first; n != NULL; n = n->next) {
		if (n != a && n != b)
			(void)reader_error(r, n->key, "unknown-key",
			    "unknown key \"%.64s\" in %s", n->key->text, where);
	}
}

static void
read_hash(struct reader *r, const struct yaml *node, struct service *s)
{
	const struct yaml *by = yaml_get(node, "by"), *bound = yaml_get(node, "bound");

	s->balance = BALANCE_HASH;
	if (node->kind != YAML_MAP) {
		read_hash_key(r, node, s);
		return;
	}
	balance_unknown_keys(r, node, "hash", by, bound);
	if (by == NULL)
		diag_hint(reader_error(r, node, "missing-key", "\"hash\" lacks \"by\""),
		    "by: source, path, header NAME or cookie NAME");
	else
		read_hash_key(r, by, s);
	if (bound != NULL)
		read_bound(r, bound, s);
}

static void
read_balance(struct reader *r, const struct yaml *node, void *base)
{
	const struct yaml *hash = yaml_get(node, "hash");

	if (node->kind != YAML_MAP) {
		read_value(r, &balance_key, node, base);
		return;
	}
	balance_unknown_keys(r, node, "balance", hash, NULL);
	if (hash != NULL)
		read_hash(r, hash, base);
	else if (node->n == 0)
		(void)reader_error(r, node, "empty-value", "\"balance\" is empty");
}

static void
write_balance(const void *base, struct sbuf *out)
{
	static const char *const plain[] = {
	    [HASH_SOURCE] = "source",
	    [HASH_PATH] = "path",
	    [HASH_HEADER] = "\"header ",
	    [HASH_COOKIE] = "\"cookie ",
	};
	const struct service *s = base;
	const struct balance_conf *b = &s->balancing;
	bool named = b->hash_key == HASH_HEADER || b->hash_key == HASH_COOKIE;

	if (s->balance != BALANCE_HASH) {
		write_value(&balance_key, s, out);
		return;
	}
	sbuf_puts(out, b->hash_bound > 0 ? "{hash: {by: " : "{hash: ");
	sbuf_puts(out, plain[b->hash_key]);
	if (named)
		sbuf_printf(out, "%s\"", b->hash_name);
	if (b->hash_bound > 0)
		sbuf_printf(
		    out, ", bound: %u.%02u}", b->hash_bound / 100, b->hash_bound % 100);
	sbuf_puts(out, "}");
}

#define HASH_BY \
	"{\"type\":\"string\",\"pattern\":\"^(source|path|header .+|cookie .+)$\"}"

const struct form balance_form = {
    .read = read_balance,
    .write = write_balance,
    .schema = "{\"anyOf\":[{\"enum\":[\"round-robin\",\"least-connections\","
	      "\"random\",\"hash\",\"idle-capacity\"]},{\"type\":\"object\","
	      "\"required\":[\"hash\"],\"additionalProperties\":false,\"properties\":"
	      "{\"hash\":{\"anyOf\":[" HASH_BY ",{\"type\":\"object\",\"required\":"
	      "[\"by\"],\"additionalProperties\":false,\"properties\":{\"by\":" HASH_BY
	      ",\"bound\":{\"type\":\"number\",\"minimum\":1.01,\"maximum\":10}}}]}}"
	      "}]}",
    .syntax = "round-robin, least-connections, random, idle-capacity, hash, {hash: BY} "
	      "or {hash: {by: BY, bound: 1.25}}; BY is source, path, header NAME or "
	      "cookie NAME",
};

/* ---- outlier ------------------------------------------------------------------- */

static const struct key outlier_key[] = {
    {
	.name = "errors",
	.kind = VALUE_COUNT,
	FIELD(struct outlier_conf, errors),
	.max = 1000,
	.preset = "5",
	.doc = "Failed answers in a row that eject a server while others do better; 0: "
	       "none.",
    },
    {
	.name = "every",
	.kind = VALUE_DURATION,
	FIELD(struct outlier_conf, every_ns),
	.min = SEC_NS,
	.max = 3600 * SEC_NS,
	.preset = "10s",
	.doc = "How far back servers are compared.",
    },
    {
	.name = "eject",
	.kind = VALUE_DURATION,
	FIELD(struct outlier_conf, eject_ns),
	.min = SEC_NS,
	.max = 3600 * SEC_NS,
	.preset = "30s",
	.doc = "For how long; a server that is ejected again stays out longer.",
    },
    {
	.name = "max_ejected",
	.kind = VALUE_PERCENT,
	FIELD(struct outlier_conf, max_ejected),
	.max = 100,
	.preset = "50%",
	.doc = "Of a group, at most.",
    },
    {
	.name = "slow",
	.kind = VALUE_COUNT,
	FIELD(struct outlier_conf, slow),
	.max = 1000,
	.preset = "0",
	.doc = "Ejects a server that takes so many times the median of its group to "
	       "answer; 0: however slow.",
    },
};

const struct section outlier_section = {
    .what = "outlier",
    .doc = "Servers that answer worse than the others are left out.",
    KEYS(outlier_key),
};

/* ---- together ------------------------------------------------------------------ */

void
balance_finish(struct reader *r, const struct yaml *node, struct service *s)
{
	const struct yaml *balance = yaml_get(node, "balance");

	if (s->mode == MODE_TCP && s->balance == BALANCE_HASH &&
	    s->balancing.hash_key != HASH_SOURCE)
		diag_hint(reader_error(r, yaml_get(balance, "hash"), "key-conflict",
			      "in mode tcp there is only the source to hash"),
		    "balance: {hash: source}");
	sticky_finish(r, node, s);
}
