/* SPDX-License-Identifier: Apache-2.0 */
#include "config/export.h"

#include <inttypes.h>
#include <string.h>

#include "config/schema.h"
#include "config/units.h"

#define TEXT_MAX 4096

/* What several keys share. Patterns are ECMA-262, as JSON Schema demands. */
static const struct {
	const char *name, *schema;
} definition[] = {
    {"name", "{\"type\":[\"string\",\"number\"],"
	     "\"pattern\":\"^[A-Za-z0-9][A-Za-z0-9._-]*$\",\"maxLength\":63}"},
    {"names", "{\"anyOf\":[{\"$ref\":\"#/$defs/name\"},{\"type\":\"array\","
	      "\"items\":{\"$ref\":\"#/$defs/name\"},\"minItems\":1}]}"},
    {"address", "{\"type\":\"string\",\"pattern\":\"^[0-9a-fA-F.:]+$\"}"},
    {"addresses", "{\"anyOf\":[{\"$ref\":\"#/$defs/address\"},{\"type\":\"array\","
		  "\"items\":{\"$ref\":\"#/$defs/address\"},\"minItems\":1}]}"},
    {"endpoint", "{\"type\":\"string\",\"pattern\":\"^.+:[0-9]+$\"}"},
    {"endpoints", "{\"anyOf\":[{\"$ref\":\"#/$defs/endpoint\"},{\"type\":\"array\","
		  "\"items\":{\"$ref\":\"#/$defs/endpoint\"},\"minItems\":1}]}"},
    {"priorities", "{\"type\":\"array\",\"items\":{\"type\":\"integer\",\"minimum\":1,"
		   "\"maximum\":254},\"minItems\":1}"},
    {"texts", "{\"anyOf\":[{\"type\":[\"string\",\"number\"]},{\"type\":\"array\","
	      "\"items\":{\"type\":[\"string\",\"number\"]},\"minItems\":1}]}"},
    {"duration", "{\"type\":\"string\",\"pattern\":\"^[0-9]+(us|ms|s|m|h|d)$\"}"},
};

/* ---- JSON Schema --------------------------------------------------------------- */

static void section_schema(const struct section *s, struct sbuf *out);

static void
words_schema(const struct key *k, struct sbuf *out)
{
	const char *sep = "", *end;

	sbuf_puts(out, "{\"enum\":[");
	for (const struct word *w = k->words; w->name != NULL; w++) {
		if (w->what == NULL)
			continue;
		sbuf_puts(out, sep);
		sbuf_json(out, w->name);
		end = w->name + strspn(w->name, "0123456789");
		if (*end == '\0') /* a YAML reader makes a number of it */
			sbuf_printf(out, ",%s", w->name);
		sep = ",";
	}
	sbuf_puts(out, "]}");
}

static void
value_schema(const struct key *k, struct sbuf *out)
{
	switch (k->kind) {
	case VALUE_FLAG:
		sbuf_puts(out, "{\"type\":\"boolean\"}");
		break;
	case VALUE_COUNT:
		sbuf_printf(out,
		    "{\"type\":\"integer\",\"minimum\":%" PRId64 ",\"maximum\":%" PRId64
		    "}",
		    k->min, k->max);
		break;
	case VALUE_PERCENT:
		sbuf_puts(out, "{\"type\":\"string\",\"pattern\":\"^[0-9]+%$\"}");
		break;
	case VALUE_DURATION:
		sbuf_puts(out, "{\"$ref\":\"#/$defs/duration\"}");
		break;
	case VALUE_WORD:
		words_schema(k, out);
		break;
	case VALUE_NAME:
		sbuf_puts(out, "{\"$ref\":\"#/$defs/name\"}");
		break;
	case VALUE_TARGET:
	case VALUE_FILE:
		sbuf_puts(out, "{\"type\":\"string\",\"pattern\":\"^/\"}");
		break;
	case VALUE_TEXTS:
	case VALUE_NETS:
		sbuf_puts(out, "{\"$ref\":\"#/$defs/texts\"}");
		break;
	case VALUE_HOSTS:
		sbuf_puts(out, "{\"$ref\":\"#/$defs/names\"}");
		break;
	case VALUE_PAIRS:
		sbuf_puts(out, "{\"type\":\"object\",\"minProperties\":1,"
			       "\"additionalProperties\":"
			       "{\"type\":[\"string\",\"number\"]}}");
		break;
	case VALUE_FORM:
		sbuf_puts(out, k->form->schema);
		break;
	case VALUE_SECTION:
		section_schema(k->section, out);
		break;
	case VALUE_LIST:
		sbuf_puts(
		    out, "{\"anyOf\":[{\"type\":\"array\",\"minItems\":1,\"items\":");
		section_schema(k->many->section, out);
		sbuf_puts(out, "},");
		section_schema(k->many->section, out);
		sbuf_puts(out, "]}");
		break;
	case VALUE_MAP:
		sbuf_puts(out, "{\"type\":\"object\",\"propertyNames\":"
			       "{\"$ref\":\"#/$defs/name\"},\"additionalProperties\":");
		section_schema(k->many->section, out);
		sbuf_puts(out, "}");
		break;
	case VALUE_TOKEN:
	case VALUE_TEXT:
	case VALUE_AUTHORITY:
	case VALUE_LATER:
	default:
		sbuf_puts(out, "{\"type\":[\"string\",\"number\"],\"minLength\":1}");
	}
}

/* The schema of a value with its description beside it. */
static void
key_schema(const struct key *k, struct sbuf *out)
{
	sbuf_json(out, k->name);
	sbuf_puts(out, ":{\"description\":");
	sbuf_json(out, k->doc);
	if (k->preset != NULL) {
		sbuf_puts(out, ",\"default\":");
		if (k->kind == VALUE_FLAG || k->kind == VALUE_COUNT)
			sbuf_puts(out, k->preset);
		else
			sbuf_json(out, k->preset);
	}
	sbuf_puts(out, ",\"allOf\":[");
	value_schema(k, out);
	sbuf_puts(out, "]}");
}

static void
mapping_schema(const struct section *s, struct sbuf *out)
{
	const char *sep = "";

	sbuf_puts(out, "{\"type\":\"object\",\"description\":");
	sbuf_json(out, s->doc);
	sbuf_printf(out, ",\"additionalProperties\":%s,\"properties\":{",
	    s->other_schema != NULL ? s->other_schema : "false");
	for (size_t i = 0; i < s->n_keys; i++) {
		if (s->key[i].kind == VALUE_LATER)
			continue;
		sbuf_puts(out, sep);
		key_schema(&s->key[i], out);
		sep = ",";
	}
	sbuf_puts(out, "},\"required\":[");
	sep = "";
	for (size_t i = 0; i < s->n_keys; i++) {
		if (!s->key[i].required)
			continue;
		sbuf_puts(out, sep);
		sbuf_json(out, s->key[i].name);
		sep = ",";
	}
	sbuf_puts(out, "]}");
}

static void
section_schema(const struct section *s, struct sbuf *out)
{
	const struct key *k = NULL;

	for (size_t i = 0; i < s->n_keys && s->shorthand != NULL; i++) {
		if (strcmp(s->key[i].name, s->shorthand) == 0)
			k = &s->key[i];
	}
	if (k == NULL && s->scalar_schema == NULL) {
		mapping_schema(s, out);
		return;
	}
	sbuf_puts(out, "{\"anyOf\":[");
	if (k != NULL)
		value_schema(k, out);
	else
		sbuf_puts(out, s->scalar_schema);
	sbuf_puts(out, ",");
	mapping_schema(s, out);
	sbuf_puts(out, "]}");
}

void
export_json_schema(struct sbuf *out)
{
	struct sbuf root;

	sbuf_init(&root, (size_t)TEXT_MAX * 64);
	mapping_schema(&root_section, &root);
	sbuf_puts(out, "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\","
		       "\"title\":\"nines cluster file\",\"$defs\":{\"network\":");
	section_schema(&network_section, out);
	for (size_t i = 0; i < ARRAY_LEN(definition); i++)
		sbuf_printf(
		    out, ",\"%s\":%s", definition[i].name, definition[i].schema);
	sbuf_printf(out, "},%s\n", sbuf_text(&root) + 1); /* its members, without '{' */
	out->bad |= root.bad;
	sbuf_done(&root);
}

/* ---- the manual ---------------------------------------------------------------- */

static void
words_syntax(const struct key *k, struct sbuf *out)
{
	const char *sep = "";

	for (const struct word *w = k->words; w->name != NULL; w++) {
		if (w->what == NULL)
			continue;
		sbuf_printf(out, "%s`%s`", sep, w->name);
		sep = ", ";
	}
}

static void
key_syntax(const struct key *k, struct sbuf *out)
{
	char low[UNITS_LEN], high[UNITS_LEN];

	switch (k->kind) {
	case VALUE_FLAG:
		sbuf_puts(out, "`true`, `false`");
		break;
	case VALUE_COUNT:
		sbuf_printf(out, "%" PRId64 " to %" PRId64, k->min, k->max);
		break;
	case VALUE_PERCENT:
		sbuf_printf(out, "%" PRId64 "%% to %" PRId64 "%%", k->min, k->max);
		break;
	case VALUE_DURATION:
		sbuf_printf(out, "%s to %s", duration_format(k->min, low),
		    duration_format(k->max, high));
		break;
	case VALUE_WORD:
		words_syntax(k, out);
		break;
	case VALUE_NAME:
		sbuf_puts(out, "a name");
		break;
	case VALUE_TOKEN:
		sbuf_puts(out, "a word");
		break;
	case VALUE_TEXT:
		sbuf_puts(out, "a text");
		break;
	case VALUE_TARGET:
		sbuf_puts(out, "a path");
		break;
	case VALUE_AUTHORITY:
		sbuf_puts(out, "a host name");
		break;
	case VALUE_FILE:
		sbuf_puts(out, "a file name");
		break;
	case VALUE_TEXTS:
		sbuf_puts(out, "a text or a list of them");
		break;
	case VALUE_PAIRS:
		sbuf_puts(out, "{NAME: text, ...}");
		break;
	case VALUE_NETS:
		sbuf_puts(out, "a network, an address or a list of them");
		break;
	case VALUE_HOSTS:
		sbuf_puts(out, "[HOST, ...]");
		break;
	case VALUE_FORM:
		sbuf_puts(out, k->form->syntax);
		break;
	case VALUE_LIST:
		sbuf_printf(out, "a list, see below");
		break;
	case VALUE_MAP:
		sbuf_printf(out, "NAME: %s, ...; see below", k->many->section->what);
		break;
	case VALUE_SECTION:
	case VALUE_LATER:
	default:
		sbuf_puts(out, "see below");
	}
}

static void
key_default(const struct key *k, struct sbuf *out)
{
	if (k->required)
		sbuf_puts(out, "required");
	else if (k->derived_doc != NULL)
		sbuf_puts(out, k->derived_doc);
	else if (k->preset != NULL)
		sbuf_printf(out, "`%s`", k->preset);
}

static void
word_rows(const struct key *k, struct sbuf *out)
{
	for (const struct word *w = k->words; w->name != NULL; w++) {
		if (w->what != NULL)
			sbuf_printf(out, " `%s`: %s.", w->name, w->what);
	}
}

/* One section: its heading, its table, and then what is within. `path` names it. */
static void
section_table(const struct section *s, const char *path, struct sbuf *out)
{
	sbuf_printf(out, "\n### %s\n\n%s", *path != '\0' ? path : "The file", s->doc);
	if (s->shorthand != NULL)
		sbuf_printf(out, " A value alone stands for `%s`.", s->shorthand);
	if (s->scalar_syntax != NULL)
		sbuf_printf(out, " Instead of a mapping: %s.", s->scalar_syntax);
	if (s->other_syntax != NULL)
		sbuf_printf(out, " Any other key: %s.", s->other_syntax);
	sbuf_puts(out,
	    "\n\n| key | value | default | meaning |\n| --- | --- | --- | --- |\n");
	for (size_t i = 0; i < s->n_keys; i++) {
		const struct key *k = &s->key[i];

		if (k->kind == VALUE_LATER)
			continue;
		sbuf_printf(out, "| `%s` | ", k->name);
		key_syntax(k, out);
		sbuf_puts(out, " | ");
		key_default(k, out);
		sbuf_printf(out, " | %s", k->doc);
		if (k->kind == VALUE_WORD)
			word_rows(k, out);
		sbuf_puts(out, " |\n");
	}
}

static void
section_tables(const struct section *s, const char *path, struct sbuf *out)
{
	section_table(s, path, out);
	for (size_t i = 0; i < s->n_keys; i++) {
		const struct key *k = &s->key[i];
		const struct section *inner =
		    k->many != NULL ? k->many->section : k->section;
		struct sbuf name;

		if (inner == NULL)
			continue;
		sbuf_init(&name, TEXT_MAX);
		sbuf_printf(&name, "%s%s%s", path, *path != '\0' ? "." : "", k->name);
		section_tables(inner, sbuf_text(&name), out);
		sbuf_done(&name);
	}
}

void
export_markdown(struct sbuf *out)
{
	section_tables(&root_section, "", out);
}
