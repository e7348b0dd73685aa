/* SPDX-License-Identifier: Apache-2.0 */
#include "config/yaml.h"

#include <libfyaml.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/names.h"

struct builder {
	struct arena *arena;
	struct diag_list *diags;
	struct yaml *root;
	struct yaml *open[YAML_DEPTH_MAX]; /* the collections around the next node */
	struct yaml *last[YAML_DEPTH_MAX]; /* their last child so far */
	struct yaml *key[YAML_DEPTH_MAX];  /* the key that waits for its value */
	size_t depth, nodes;
	unsigned documents;
};

static bool
refuse(struct builder *b, const struct yaml *at, const char *code, const char *text)
{
	struct diag *d =
	    diag_add(b->diags, DIAG_ERROR, code, at->line, at->column, "%s", text);

	if (d != NULL)
		d->width = at->width;
	return false;
}

static struct yaml
place_of(const struct fy_mark *start, const struct fy_mark *end)
{
	struct yaml y = {.line = 1, .column = 1, .width = 1};

	if (start == NULL)
		return y;
	y.line = (unsigned)start->line + 1;
	y.column = (unsigned)start->column + 1;
	if (end != NULL && end->line == start->line && end->column > start->column)
		y.width = (unsigned)(end->column - start->column);
	return y;
}

/* The sigil in front of an anchor's or alias's name is not a part of its token. */
static bool
refuse_token(struct builder *b, struct fy_token *t, const char *code, const char *text)
{
	struct yaml at = place_of(fy_token_start_mark(t), fy_token_end_mark(t));

	if (at.column > 1) {
		at.column--;
		at.width++;
	}
	return refuse(b, &at, code, text);
}

static bool
is_null(const char *s)
{
	return *s == '\0' || strcmp(s, "~") == 0 || strcmp(s, "null") == 0 ||
	       strcmp(s, "Null") == 0 || strcmp(s, "NULL") == 0;
}

static bool
take_text(struct builder *b, struct fy_token *t, struct yaml *y)
{
	enum fy_scalar_style style = fy_token_scalar_style(t);
	size_t len;
	const char *s = fy_token_get_text(t, &len);

	if (s == NULL)
		return refuse(b, y, "yaml", "cannot read this value");
	if (memchr(s, '\0', len) != NULL)
		return refuse(b, y, "yaml", "a value cannot contain a NUL character");
	if (style == FYSS_LITERAL || style == FYSS_FOLDED)
		return refuse(b, y, "yaml", "block texts are not part of the language");
	y->text = arena_strndup(b->arena, s, len);
	if (y->text == NULL)
		return refuse(b, y, "too-large", "the file is too large");
	y->quoted = style != FYSS_PLAIN;
	y->kind = !y->quoted && is_null(y->text) ? YAML_EMPTY : YAML_SCALAR;
	return true;
}

/* Links `n` to the collection that is open: as a key, a value, an item or the root. */
static bool
attach(struct builder *b, struct yaml *n)
{
	struct yaml *parent = b->depth > 0 ? b->open[b->depth - 1] : NULL;
	size_t d = b->depth - 1;

	if (parent == NULL) {
		b->root = n;
		return true;
	}
	if (parent->kind == YAML_MAP && b->key[d] == NULL) {
		if (n->kind != YAML_SCALAR)
			return refuse(b, n, "yaml", "a key must be a plain word");
		b->key[d] = n;
		return true;
	}
	n->key = b->key[d];
	b->key[d] = NULL;
	if (n->kind == YAML_EMPTY && n->key != NULL) {
		n->line = n->key->line;
		n->column = n->key->column;
		n->width = n->key->width;
	}
	if (b->last[d] == NULL)
		parent->first = n;
	else
		b->last[d]->next = n;
	b->last[d] = n;
	parent->n++;
	return true;
}

static bool
add_node(struct builder *b, struct fy_event *e, enum yaml_kind kind)
{
	struct yaml at = place_of(fy_event_start_mark(e), fy_event_end_mark(e));
	struct yaml *n;

	if (fy_event_get_anchor_token(e) != NULL)
		return refuse_token(b, fy_event_get_anchor_token(e), "anchor",
		    "anchors are not part of the language");
	if (fy_event_get_tag_token(e) != NULL)
		return refuse_token(b, fy_event_get_tag_token(e), "tag",
		    "tags are not part of the language");
	if (b->nodes++ == YAML_NODES_MAX)
		return refuse(b, &at, "too-large", "the file has too many values");
	n = arena_alloc(b->arena, sizeof(*n));
	if (n == NULL)
		return refuse(b, &at, "too-large", "the file is too large");
	*n = at;
	n->kind = kind;
	if (kind == YAML_SCALAR && !take_text(b, e->scalar.value, n))
		return false;
	if (!attach(b, n))
		return false;
	if (kind == YAML_SCALAR)
		return true;
	n->width = 1; /* a collection may end many lines further down */
	if (b->depth == YAML_DEPTH_MAX)
		return refuse(b, n, "too-deep", "too many levels");
	b->open[b->depth] = n;
	b->last[b->depth] = NULL;
	b->key[b->depth] = NULL;
	b->depth++;
	return true;
}

/* Reports keys that stand twice in `map` and leaves the later ones out. */
static void
drop_duplicates(struct builder *b, struct yaml *map)
{
	struct yaml **link = &map->first, *n;
	const struct yaml *first;
	struct names keys;
	struct diag *d;

	ASSERT(map != NULL);
	names_init(&keys, b->arena);
	while ((n = *link) != NULL) {
		first = names_put(&keys, n->key->text, n);
		if (first == NULL) {
			link = &n->next;
			continue;
		}
		d = diag_add(b->diags, DIAG_ERROR, "duplicate-key", n->key->line,
		    n->key->column, "\"%.64s\" is given twice", n->key->text);
		if (d != NULL)
			d->width = n->key->width;
		diag_hint(d, "the first one is on line %u", first->key->line);
		*link = n->next;
		map->n--;
	}
}

static bool
take(struct builder *b, struct fy_event *e)
{
	struct yaml at;

	switch (e->type) {
	case FYET_SCALAR:
		return add_node(b, e, YAML_SCALAR);
	case FYET_SEQUENCE_START:
		return add_node(b, e, YAML_LIST);
	case FYET_MAPPING_START:
		return add_node(b, e, YAML_MAP);
	case FYET_MAPPING_END:
		b->depth--;
		drop_duplicates(b, b->open[b->depth]);
		return true;
	case FYET_SEQUENCE_END:
		b->depth--;
		return true;
	case FYET_ALIAS:
		return refuse_token(b, e->alias.anchor, "anchor",
		    "aliases are not part of the language");
	case FYET_DOCUMENT_START:
		at = place_of(fy_event_start_mark(e), NULL);
		if (b->documents++ > 0)
			return refuse(b, &at, "yaml", "a cluster file is one document");
		return true;
	case FYET_NONE:
	case FYET_STREAM_START:
	case FYET_STREAM_END:
	case FYET_DOCUMENT_END:
	default:
		return true;
	}
}

/*
 * Length of the UTF-8 sequence at `p`, of at most `left` bytes (RFC 3629); 0 if it is
 * none, or a character that has no business in a file of lines.
 */
static size_t
character(const unsigned char *p, size_t left)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t c = *p;
	size_t n;

	if (c < 0x80)
		return (c >= 0x20 && c != 0x7f) || c == '\t' || c == '\n' || c == '\r';
	n = c >= 0xf0 && c < 0xf8 ? 4 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xc0 ? 2 : 0;
	if (n == 0 || c >= 0xf8 || n > left)
		return 0;
	c &= 0xffU >> (n + 1);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	/* C1 controls; line and paragraph separators; the byte order mark */
	return c < 0xa0 || c == 0x2028 || c == 0x2029 || c == 0xfeff ? 0 : n;
}

/* What some editors put before the first character. */
static bool
begins_with_mark(const unsigned char *p, size_t len)
{
	return len >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0;
}

/*
 * Refuses what libfyaml 0.7.12 should never see. Fuzzing found it looping for ever in a
 * directive; and what no person typed on purpose it need not try to understand.
 */
static bool
screen(struct builder *b, const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text, *end = p + len;
	struct yaml at = {.line = 1, .column = 1, .width = 1};
	size_t n;

	for (; p < end; p += n, at.column++) {
		n = character(p, (size_t)(end - p));
		/* A carriage return alone would begin a line, too. */
		if (n == 0 || (*p == '\r' && (end - p == 1 || p[1] != '\n')))
			return refuse(b, &at, "bad-character",
			    begins_with_mark(p, (size_t)(end - p))
				? "a byte order mark: save the file as UTF-8 without "
				  "one"
				: "not a printable character in UTF-8");
		if (*p == '%' && at.column == 1)
			return refuse(b, &at, "directive",
			    "directives are not part of the language");
		if (*p == '\n') {
			at.line++;
			at.column = 0;
		}
	}
	return true;
}

/* libfyaml renders its messages as well as collecting them; nobody reads those. */
static void
discard(struct fy_diag *diag, void *user, const char *buf, size_t len)
{
	(void)diag;
	(void)user;
	(void)buf;
	(void)len;
}

static void
report_syntax(struct fy_diag *fy, struct diag_list *diags)
{
	struct fy_diag_error *e;
	void *iter = NULL;
	size_t n = 0;

	/* The first is the cause; what follows are its consequences. */
	while ((e = fy_diag_errors_iterate(fy, &iter)) != NULL && n == 0) {
		(void)diag_add(diags, DIAG_ERROR, "yaml",
		    e->line > 0 ? (unsigned)e->line : 1,
		    e->column > 0 ? (unsigned)e->column : 1, "%s", e->msg);
		n++;
	}
	if (n == 0)
		(void)diag_add(diags, DIAG_ERROR, "yaml", 0, 0, "not valid YAML");
}

static bool
build(struct builder *b, struct fy_parser *p, struct fy_diag *fy)
{
	struct fy_event *e;
	bool ok = true;

	while (ok && (e = fy_parser_parse(p)) != NULL) {
		ok = take(b, e);
		fy_parser_event_free(p, e);
	}
	if (ok && (fy_parser_get_stream_error(p) || b->depth > 0)) {
		report_syntax(fy, b->diags);
		ok = false;
	}
	return ok;
}

const struct yaml *
yaml_parse(const char *text, size_t len, struct arena *a, struct diag_list *diags)
{
	struct builder b = {.arena = a, .diags = diags};
	struct fy_diag_cfg dc;
	struct fy_parse_cfg pc = {.flags = FYPCF_COLLECT_DIAG | FYPCF_DISABLE_MMAP_OPT |
					   FYPCF_DEFAULT_VERSION_1_2 | FYPCF_JSON_NONE};
	struct fy_parser *p;
	bool ok = false;

	if (!screen(&b, text, len))
		return NULL;
	fy_diag_cfg_default(&dc);
	dc.fp = NULL;
	dc.output_fn = discard;
	dc.level = FYET_ERROR;
	pc.diag = fy_diag_create(&dc);
	if (pc.diag == NULL)
		goto out;
	fy_diag_set_collect_errors(pc.diag, true);
	p = fy_parser_create(&pc);
	if (p == NULL)
		goto out_diag;
	if (fy_parser_set_string(p, text, len) == 0)
		ok = build(&b, p, pc.diag);
	fy_parser_destroy(p);
out_diag:
	fy_diag_destroy(pc.diag);
out:
	if (!ok && diags->errors == 0)
		(void)diag_add(
		    diags, DIAG_ERROR, "out-of-memory", 0, 0, "out of memory");
	return ok ? b.root : NULL;
}

const struct yaml *
yaml_get(const struct yaml *map, const char *key)
{
	if (map->kind != YAML_MAP)
		return NULL;
	for (const struct yaml *n = map->first; n != NULL; n = n->next) {
		if (strcmp(n->key->text, key) == 0)
			return n;
	}
	return NULL;
}

const struct yaml *
yaml_items(const struct yaml *node, size_t *n)
{
	if (node->kind == YAML_LIST) {
		*n = node->n;
		return node->first;
	}
	*n = 1;
	return node;
}
