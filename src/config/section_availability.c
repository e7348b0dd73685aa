/* SPDX-License-Identifier: Apache-2.0 */
/*
 * section_availability.c - `availability`, and a service's `must_survive`: what
 * `nines spof` reckons with.
 */
#include <string.h>

#include "base/mono.h"
#include "config/reader.h"
#include "config/sections.h"
#include "config/service_parts.h"
#include "config/survive.h"

/* ---- must_survive -------------------------------------------------------------- */

static const struct word survive_word[] = {
    {"none", 0, "no failure at all"},
    {"host", SURVIVE_HOST, "any one host, and any part, link or server of one"},
    {"zone", SURVIVE_ZONE | SURVIVE_HOST, "any one zone; so any one host, too"},
    {"network", SURVIVE_NETWORK, "any one network"},
    {"external", SURVIVE_EXTERNAL,
	"any one place of an external thing, and any one certificate"},
    {0},
};

unsigned
survive_read(struct reader *r, const struct yaml *node)
{
	const struct key item_key = {.name = "must_survive",
	    .kind = VALUE_WORD,
	    .size = sizeof(unsigned),
	    .words = survive_word};
	unsigned all = 0;
	bool none = false;
	size_t n;
	const struct yaml *item = yaml_items(node, &n);

	for (size_t i = 0; i < n; i++, item = item->next) {
		unsigned bits = 0;

		read_value(r, &item_key, item, &bits);
		all |= bits;
		none = none ||
		       (item->kind == YAML_SCALAR && strcmp(item->text, "none") == 0);
	}
	if (none && n > 1)
		diag_hint(reader_error(r, node, "key-conflict",
			      "\"none\" and something else to survive"),
		    "leave out one of them");
	return all;
}

void
survive_write(unsigned bits, struct sbuf *out)
{
	const char *said[3];
	size_t n = 0;

	if ((bits & (SURVIVE_HOST | SURVIVE_ZONE)) != 0)
		said[n++] = (bits & SURVIVE_ZONE) != 0 ? "zone" : "host";
	if ((bits & SURVIVE_NETWORK) != 0)
		said[n++] = "network";
	if ((bits & SURVIVE_EXTERNAL) != 0)
		said[n++] = "external";
	sbuf_puts(out, n == 0 ? "none" : n > 1 ? "[" : "");
	for (size_t i = 0; i < n; i++)
		sbuf_printf(out, "%s%s", i > 0 ? ", " : "", said[i]);
	sbuf_puts(out, n > 1 ? "]" : "");
}

static void
read_must_survive(struct reader *r, const struct yaml *node, void *base)
{
	struct service *s = base;

	s->must_survive = survive_read(r, node);
}

static void
write_must_survive(const void *base, struct sbuf *out)
{
	const struct service *s = base;

	survive_write(s->must_survive, out);
}

const struct form must_survive_form = {
    .read = read_must_survive,
    .write = write_must_survive,
    .schema = SURVIVE_SCHEMA,
    .syntax = SURVIVE_SYNTAX,
};

#define DAY_NS (86400 * SEC_NS)

/* ---- availability -------------------------------------------------------------- */

const char *const availability_kind_name[AVAIL_KINDS] = {
    [AVAIL_HOST] = "host",
    [AVAIL_PART] = "part",
    [AVAIL_LINK] = "link",
    [AVAIL_NETWORK] = "network",
    [AVAIL_ZONE] = "zone",
    [AVAIL_SERVER] = "server",
    [AVAIL_OUTSIDE] = "outside",
    [AVAIL_CERTIFICATE] = "certificate",
};

#define RATE_KEYS(between, repair)                                                  \
	{                                                                           \
		{                                                                   \
		    .name = "mtbf",                                                 \
		    .kind = VALUE_DURATION,                                         \
		    FIELD(struct availability_rate, mtbf_ns),                       \
		    .min = 60 * SEC_NS,                                             \
		    .max = 36500 * DAY_NS,                                          \
		    .preset = (between),                                            \
		    .doc = "Mean time from the repair of one to its next failure.", \
		},                                                                  \
		    {                                                               \
			.name = "mttr",                                             \
			.kind = VALUE_DURATION,                                     \
			FIELD(struct availability_rate, mttr_ns),                   \
			.max = 3650 * DAY_NS,                                       \
			.preset = (repair),                                         \
			.doc = "Mean time from its failure to its repair.",         \
		    },                                                              \
	}

/* Where these come from is in docs/spof.md. */
static const struct key rate_key[AVAIL_KINDS][2] = {
    [AVAIL_HOST] = RATE_KEYS("600d", "4h"),
    [AVAIL_PART] = RATE_KEYS("300d", "5m"),
    [AVAIL_LINK] = RATE_KEYS("5000d", "4h"),
    [AVAIL_NETWORK] = RATE_KEYS("5000d", "4h"),
    [AVAIL_ZONE] = RATE_KEYS("700d", "4h"),
    [AVAIL_SERVER] = RATE_KEYS("30d", "10m"),
    [AVAIL_OUTSIDE] = RATE_KEYS("600d", "4h"),
    [AVAIL_CERTIFICATE] = RATE_KEYS("3650d", "4h"),
};

#define RATE_SECTION(kind)                                               \
	[kind] = {                                                       \
	    .what = "rate",                                              \
	    .doc = "How often it fails, and how long until it is back.", \
	    .key = rate_key[kind],                                       \
	    .n_keys = 2,                                                 \
	}

static const struct section rate_section_of[AVAIL_KINDS] = {
    RATE_SECTION(AVAIL_HOST),
    RATE_SECTION(AVAIL_PART),
    RATE_SECTION(AVAIL_LINK),
    RATE_SECTION(AVAIL_NETWORK),
    RATE_SECTION(AVAIL_ZONE),
    RATE_SECTION(AVAIL_SERVER),
    RATE_SECTION(AVAIL_OUTSIDE),
    RATE_SECTION(AVAIL_CERTIFICATE),
};

#define RATE(key, which, text)                                             \
	{                                                                  \
		.name = (key), .kind = VALUE_SECTION,                      \
		.offset = offsetof(struct availability_conf, rate[which]), \
		.section = &rate_section_of[which], .doc = (text),         \
	}

static const struct key availability_key[] = {
    RATE("host", AVAIL_HOST, "A machine, from power to kernel."),
    RATE("part", AVAIL_PART, "A part of nines, beyond what its spare covers."),
    RATE("link", AVAIL_LINK, "A host's cable and interface on one network."),
    RATE("network", AVAIL_NETWORK, "A network as a whole, such as its switch."),
    RATE("zone", AVAIL_ZONE, "All of a zone at once: its power, its rack, its site."),
    RATE("server", AVAIL_SERVER, "The program that answers on a server's port."),
    RATE("outside", AVAIL_OUTSIDE, "What the file names by address alone."),
    RATE("certificate", AVAIL_CERTIFICATE,
	"A certificate that ended before somebody renewed it."),
};

const struct section availability_section = {
    .what = "availability",
    .doc = "How often things fail, for `nines spof`.",
    KEYS(availability_key),
};
