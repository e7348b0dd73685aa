/* SPDX-License-Identifier: Apache-2.0 */
#include "config/writer.h"

#include <inttypes.h>
#include <string.h>

#include "config/host_list.h"
#include "config/sections.h"
#include "config/units.h"

#define VALUE_MAX  ((size_t)1 << 20) /* bytes of one value */
#define INDENT	   2
#define FLOW_WIDTH 60 /* a mapping that fits stands on one line */

/* ---- scalars ------------------------------------------------------------------- */

/* Characters that mean nothing to YAML anywhere in a plain scalar. */
static bool
plain(const char *s)
{
	static const char safe[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "0123456789/_.-+=@:";
	size_t len = strlen(s);

	return len > 0 && strspn(s, safe) == len && strchr("-+=@:", *s) == NULL &&
	       s[len - 1] != ':' && strcmp(s, "null") != 0 && strcmp(s, "Null") != 0 &&
	       strcmp(s, "NULL") != 0;
}

void
write_text(struct sbuf *out, const char *s)
{
	if (plain(s))
		sbuf_puts(out, s);
	else
		sbuf_json(out, s); /* JSON strings are YAML */
}

static void
write_word(const struct key *k, const void *base, struct sbuf *out)
{
	uint64_t v = field_get(base, k);

	for (const struct word *w = k->words; w->name != NULL; w++) {
		if (w->what != NULL && w->value == v) {
			sbuf_puts(out, w->name);
			return;
		}
	}
}

static void
write_texts(const char *const *text, size_t n, struct sbuf *out)
{
	if (n > 1)
		sbuf_puts(out, "[");
	for (size_t i = 0; i < n; i++) {
		sbuf_puts(out, i > 0 ? ", " : "");
		write_text(out, text[i]);
	}
	if (n > 1)
		sbuf_puts(out, "]");
}

static void
write_pairs(const struct pairs *p, struct sbuf *out)
{
	for (size_t i = 0; i < p->n; i++) {
		sbuf_puts(out, i > 0 ? ", " : "{");
		write_text(out, p->pair[i].name);
		sbuf_puts(out, ": ");
		write_text(out, p->pair[i].value);
	}
	if (p->n > 0)
		sbuf_puts(out, "}");
}

/* The values of kinds that hold several. */
static void
write_several(const struct key *k, const void *base, struct sbuf *out)
{
	const void *at = (const char *)base + k->offset;
	const struct texts *t = at;
	const struct nets *n = at;

	if (k->kind == VALUE_TEXTS)
		write_texts(t->text, t->n, out);
	else if (k->kind == VALUE_NETS)
		write_texts(n->text, n->n, out);
	else if (k->kind == VALUE_HOSTS)
		host_list_write(k, base, out);
	else
		write_pairs(at, out);
}

void
write_value(const struct key *k, const void *base, struct sbuf *out)
{
	char duration[UNITS_LEN];
	const char *text;
	const void *inner;

	switch (k->kind) {
	case VALUE_FLAG:
		sbuf_puts(out, field_get(base, k) != 0 ? "true" : "false");
		break;
	case VALUE_COUNT:
		if (field_get(base, k) >= (uint64_t)k->min)
			sbuf_printf(out, "%" PRIu64, field_get(base, k));
		break;
	case VALUE_PERCENT:
		sbuf_printf(out, "%" PRIu64 "%%", field_get(base, k));
		break;
	case VALUE_DURATION:
		sbuf_puts(out, duration_format((int64_t)field_get(base, k), duration));
		break;
	case VALUE_WORD:
		write_word(k, base, out);
		break;
	case VALUE_NAME:
	case VALUE_TOKEN:
	case VALUE_TEXT:
	case VALUE_TARGET:
	case VALUE_AUTHORITY:
	case VALUE_FILE:
		text = field_pointer(base, k->offset);
		if (text != NULL)
			write_text(out, text);
		break;
	case VALUE_TEXTS:
	case VALUE_PAIRS:
	case VALUE_NETS:
	case VALUE_HOSTS:
		write_several(k, base, out);
		break;
	case VALUE_FORM:
		k->form->write(base, out);
		break;
	case VALUE_SECTION:
		inner = (const char *)base + k->offset;
		text = k->section->absent != NULL ? k->section->absent(inner) : NULL;
		if (text != NULL)
			sbuf_puts(out, text);
		else if (k->section->brief != NULL)
			(void)k->section->brief(inner, out);
		break;
	case VALUE_LIST:
	case VALUE_MAP:
	case VALUE_LATER:
	default:
		break;
	}
}

bool
key_is_preset(const struct key *k, const void *base)
{
	struct sbuf is, preset;
	bool same;

	if (k->applies != NULL && !k->applies(base))
		return true;
	sbuf_init(&is, VALUE_MAX);
	sbuf_init(&preset, VALUE_MAX);
	write_value(k, base, &is);
	if (k->derived != NULL)
		k->derived(base, &preset);
	else if (k->kind == VALUE_PERCENT && k->preset != NULL)
		sbuf_puts(&preset, k->preset);
	else if (k->preset != NULL)
		write_text(&preset, k->preset);
	same = strcmp(sbuf_text(&is), sbuf_text(&preset)) == 0;
	sbuf_done(&is);
	sbuf_done(&preset);
	return same;
}

/* ---- sections ------------------------------------------------------------------ */

static void write_section(
    const struct section *s, const void *base, bool full, int indent, struct sbuf *out);

static void
write_line(const char *name, const char *value, int indent, struct sbuf *out)
{
	if (*value != '\0')
		sbuf_printf(out, "%*s%s: %s\n", indent, "", name, value);
}

void
write_flow(const struct section *s, const void *base, bool full, struct sbuf *out)
{
	const char *sep = "";
	struct sbuf value;

	sbuf_puts(out, "{");
	for (size_t i = 0; i < s->n_keys; i++) {
		const struct key *k = &s->key[i];

		if (k->applies != NULL && !k->applies(base))
			continue;
		if (!full && !k->required && key_is_preset(k, base))
			continue;
		sbuf_init(&value, VALUE_MAX);
		write_value(k, base, &value);
		if (value.len > 0) {
			sbuf_printf(out, "%s%s: %s", sep, k->name, sbuf_text(&value));
			sep = ", ";
		}
		sbuf_done(&value);
	}
	sbuf_puts(out, "}");
}

/* Mappings within need lines of their own. */
static bool
fits_flow(const struct section *s)
{
	for (size_t i = 0; i < s->n_keys; i++) {
		if (s->key[i].kind == VALUE_LIST || s->key[i].kind == VALUE_MAP ||
		    s->key[i].kind == VALUE_SECTION)
			return false;
	}
	return true;
}

/* As short as it can be said: brief, on one line, or a line for each key. */
static void
write_subsection(
    const struct key *k, const void *base, bool full, int indent, struct sbuf *out)
{
	const struct section *s = k->section;
	const char *absent = s->absent != NULL ? s->absent(base) : NULL;
	struct sbuf text;
	bool brief;

	if (absent != NULL) {
		write_line(k->name, absent, indent, out);
		return;
	}
	sbuf_init(&text, VALUE_MAX);
	brief = !full && s->brief != NULL && s->brief(base, &text);
	if (!brief)
		write_flow(s, base, full, &text);
	if (text.len > FLOW_WIDTH || (!brief && !fits_flow(s))) {
		sbuf_done(&text);
		sbuf_init(&text, VALUE_MAX);
		write_section(s, base, full, indent + INDENT, &text);
		if (text.len > 0)
			sbuf_printf(
			    out, "%*s%s:\n%s", indent, "", k->name, sbuf_text(&text));
	} else if (strcmp(sbuf_text(&text), "{}") != 0) {
		write_line(k->name, sbuf_text(&text), indent, out);
	}
	sbuf_done(&text);
}

static void
write_many(
    const struct key *k, const void *base, bool full, int indent, struct sbuf *out)
{
	const struct many *m = k->many;
	const char *element = field_pointer(base, k->offset), *name;
	size_t n;

	memcpy(&n, (const char *)base + m->count, sizeof(n));
	if (n == 0)
		return;
	sbuf_printf(out, "%*s%s:\n", indent, "", k->name);
	indent += INDENT;
	for (size_t i = 0; i < n; i++, element += m->size) {
		struct sbuf text;
		bool brief;

		sbuf_init(&text, VALUE_MAX);
		brief = m->section->brief != NULL && m->section->brief(element, &text);
		name = field_pointer(element, 0);
		sbuf_printf(out, "%*s", indent, "");
		if (k->kind == VALUE_LIST && !brief)
			write_flow(m->section, element, false, &text);
		if (k->kind == VALUE_LIST)
			sbuf_printf(out, "- %s\n", sbuf_text(&text));
		else if (brief)
			sbuf_printf(out, "%s: %s\n", name, sbuf_text(&text));
		else
			sbuf_printf(out, "%s:\n", name);
		if (k->kind == VALUE_MAP && !brief)
			write_section(m->section, element, full, indent + INDENT, out);
		sbuf_done(&text);
	}
}

void
write_key(
    const struct key *k, const void *base, bool full, int indent, struct sbuf *out)
{
	const void *inner = (const char *)base + k->offset;
	struct sbuf text;

	if (k->kind == VALUE_LATER || (k->applies != NULL && !k->applies(base)))
		return;
	if (k->kind == VALUE_LIST || k->kind == VALUE_MAP) {
		write_many(k, base, full, indent, out);
		return;
	}
	if (!full && !k->required && k->preset != NULL && key_is_preset(k, base))
		return;
	if (k->kind == VALUE_SECTION) {
		write_subsection(k, inner, full, indent, out);
		return;
	}
	if (!full && !k->required && key_is_preset(k, base))
		return;
	sbuf_init(&text, VALUE_MAX);
	write_value(k, base, &text);
	write_line(k->name, sbuf_text(&text), indent, out);
	sbuf_done(&text);
}

static void
write_section(
    const struct section *s, const void *base, bool full, int indent, struct sbuf *out)
{
	if (s->write_other != NULL)
		s->write_other(base, out, indent);
	for (size_t i = 0; i < s->n_keys; i++)
		write_key(&s->key[i], base, full, indent, out);
}

void
cluster_write(const struct cluster *c, bool full, struct sbuf *out)
{
	write_section(&root_section, c, full, 0, out);
}
