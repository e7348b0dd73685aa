/* SPDX-License-Identifier: Apache-2.0 */
#include "config/service_compression.h"

#include <string.h>

#include "config/sections.h"
#include "config/switch.h"
#include "config/units.h"

#define MINIMUM_MAX (INT64_C(1) << 30)

static const struct {
	const char *name;
	enum coding coding;
} known[] = {{"zstd", CODING_ZSTD}, {"br", CODING_BR}, {"gzip", CODING_GZIP}};

static const char *const default_codings[] = {"zstd", "br", "gzip"};

/* What is text, however it is called; images, films and archives are small already.
 * Not text/event-stream: it gains little, and stays for hours. */
static const char *const default_types[] = {"text/html", "text/css", "text/plain",
    "text/javascript", "text/xml", "text/csv", "text/markdown", "application/json",
    "application/javascript", "application/xml", "application/manifest+json",
    "application/ld+json", "application/problem+json", "application/rss+xml",
    "application/atom+xml", "application/xhtml+xml", "application/wasm",
    "image/svg+xml", "font/ttf", "font/otf"};

static const char *
coding_fault(const char *name, const char *text)
{
	(void)name;
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (strcmp(known[i].name, text) == 0)
			return NULL;
	}
	return "zstd, br and gzip";
}

static const char *
type_fault(const char *name, const char *text)
{
	const char *star = strchr(text, '*');

	(void)name;
	if (strchr(text, '/') == NULL || text[strcspn(text, " \t;,")] != '\0' ||
	    (star != NULL && strchr(star + 1, '*') != NULL))
		return "media types such as text/html or text/*, without parameters";
	return NULL;
}

static void
write_list(const char *const *text, size_t n, struct sbuf *out)
{
	for (size_t i = 0; i < n; i++) {
		sbuf_puts(out, i == 0 ? "[" : ", ");
		write_text(out, text[i]);
	}
	sbuf_puts(out, "]");
}

static void
derive_codings(const void *base, struct sbuf *out)
{
	(void)base;
	write_list(default_codings, ARRAY_LEN(default_codings), out);
}

static void
derive_types(const void *base, struct sbuf *out)
{
	(void)base;
	write_list(default_types, ARRAY_LEN(default_types), out);
}

static void
read_minimum(struct reader *r, const struct yaml *node, void *base)
{
	struct compression_conf *c = base;
	int64_t bytes;

	if (!want_scalar(r, node, "a size such as 1KiB"))
		return;
	if (size_parse(&bytes, node->text) != 0)
		diag_hint(reader_error(r, node, "bad-number",
			      "\"minimum\" takes a size with its unit"),
		    "such as 512B, 1KiB, 1MB");
	else if (bytes > MINIMUM_MAX)
		(void)reader_error(
		    r, node, "out-of-range", "\"minimum\" is at most 1GiB");
	else
		c->minimum = (uint64_t)bytes;
}

static void
write_minimum(const void *base, struct sbuf *out)
{
	const struct compression_conf *c = base;
	char text[UNITS_LEN];

	sbuf_puts(out, size_format((int64_t)c->minimum, text));
}

static const struct form minimum_form = {
    .read = read_minimum,
    .write = write_minimum,
    .schema = "{\"type\":\"string\",\"pattern\":\"^[0-9]+([KMG]i?)?B$\"}",
    .syntax = "a size such as 1KiB",
};

enum { KEY_CODINGS, KEY_TYPES };

static const struct key compression_key[] = {
    [KEY_CODINGS] =
	{
	    .name = "codings",
	    .kind = VALUE_TEXTS,
	    FIELD(struct compression_conf, codings),
	    .fault = coding_fault,
	    .doc = "What is offered; the first of those that a client likes best.",
	    .derived = derive_codings,
	    .derived_doc = "zstd, br, gzip",
	},
    [KEY_TYPES] =
	{
	    .name = "types",
	    .kind = VALUE_TEXTS,
	    FIELD(struct compression_conf, types),
	    .fault = type_fault,
	    .doc = "Which answers, by their Content-Type; one `*` stands for anything.",
	    .derived = derive_types,
	    .derived_doc = "HTML, CSS, plain text, JSON, JavaScript, XML, SVG, "
			   "WebAssembly, plain fonts",
	},
    {
	.name = "minimum",
	.kind = VALUE_FORM,
	.preset = "1KiB",
	.form = &minimum_form,
	.doc = "Smaller answers stay as they are; of one that does not say its length "
	       "the size is not known.",
    },
    {
	.name = "level",
	.kind = VALUE_COUNT,
	FIELD(struct compression_conf, level),
	.min = 1,
	.max = 9,
	.preset = "4",
	.doc = "1 is fast, 9 small.",
    },
    {
	.name = "streams",
	.kind = VALUE_COUNT,
	FIELD(struct compression_conf, streams),
	.min = 1,
	.max = 100000,
	.preset = "128",
	.doc = "Answers compressed at a time, by each worker; more pass as they are.",
    },
};

static bool
scalar_compression(struct reader *r, const struct yaml *node, void *base)
{
	return switch_read(r, &compression_section, node, base,
	    "compression: {types: [text/*, application/json]}");
}

static void
order_codings(struct reader *r, const struct yaml *node, struct compression_conf *c)
{
	const struct texts *t = &c->codings;

	for (size_t i = 0; i < t->n; i++) {
		bool again = false;

		for (size_t k = 0; k < i; k++)
			again = again || strcmp(t->text[i], t->text[k]) == 0;
		if (again) {
			(void)reader_error(r, yaml_get(node, "codings"),
			    "duplicate-key", "\"codings\" names %s twice", t->text[i]);
			return;
		}
		for (size_t k = 0; k < ARRAY_LEN(known); k++) {
			if (strcmp(known[k].name, t->text[i]) == 0)
				c->order[c->n_codings++] = known[k].coding;
		}
	}
}

static void
finish_compression(
    struct reader *r, const struct yaml *node, void *base, uint64_t given)
{
	struct compression_conf *c = base;

	c->on = true;
	if ((given & 1U << KEY_CODINGS) == 0)
		c->codings =
		    (struct texts){default_codings, ARRAY_LEN(default_codings)};
	if ((given & 1U << KEY_TYPES) == 0)
		c->types = (struct texts){default_types, ARRAY_LEN(default_types)};
	order_codings(r, node, c);
}

static const char *
absent_compression(const void *base)
{
	return ((const struct compression_conf *)base)->on ? NULL : "";
}

static bool
brief_compression(const void *base, struct sbuf *out)
{
	return switch_write(&compression_section, base, out);
}

const struct section compression_section = {
    .what = "compression",
    .doc = "Compression of answers.",
    KEYS(compression_key),
    .scalar = scalar_compression,
    .scalar_schema = SWITCH_SCHEMA,
    .scalar_syntax = SWITCH_SYNTAX,
    .finish = finish_compression,
    .absent = absent_compression,
    .brief = brief_compression,
};

void
compression_finish(struct reader *r, const struct yaml *node, struct service *s)
{
	if (s->compression.on && s->mode == MODE_TCP)
		(void)reader_error(r, yaml_get(node, "compression")->key,
		    "key-conflict", "\"compression\" makes no sense in mode tcp");
}
