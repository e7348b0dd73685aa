/* SPDX-License-Identifier: Apache-2.0 */
#include "config/reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "config/host_list.h"
#include "config/units.h"

#define MESSAGE_MAX 256

/* ---- findings ------------------------------------------------------------------ */

static PRINTF(5, 0) struct diag *finding(struct reader *r, enum diag_severity severity,
    const struct yaml *at, const char *code, const char *fmt, va_list ap)
{
	char text[MESSAGE_MAX];
	struct diag *d;

	if (r->diags->n == DIAG_MAX) /* only counted: save the work */
		return diag_add(r->diags, severity, code, 0, 0, "%s", "");
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	for (char *p = text; *p != '\0'; p++) { /* the file must not steer a terminal */
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	}
	d = diag_add(r->diags, severity, code, at->line, at->column, "%s", text);
	if (d != NULL)
		d->width = at->width;
	return d;
}

struct diag *
reader_error(
    struct reader *r, const struct yaml *at, const char *code, const char *fmt, ...)
{
	struct diag *d;
	va_list ap;

	va_start(ap, fmt);
	d = finding(r, DIAG_ERROR, at, code, fmt, ap);
	va_end(ap);
	return d;
}

struct diag *
reader_warning(
    struct reader *r, const struct yaml *at, const char *code, const char *fmt, ...)
{
	struct diag *d;
	va_list ap;

	va_start(ap, fmt);
	d = finding(r, DIAG_WARNING, at, code, fmt, ap);
	va_end(ap);
	return d;
}

void
mark_part(struct diag *d, const struct yaml *at, size_t from, size_t len)
{
	if (d == NULL || from + len > at->width)
		return;
	d->column += (unsigned)from;
	d->width = len > 0 ? (unsigned)len : 1;
}

void
suggest(struct reader *r, struct diag *d, enum name_space space, const char *name)
{
	const char *near;

	if (d == NULL)
		return;
	near = names_nearest(&r->names[space], name);
	if (near != NULL)
		diag_hint(d, "did you mean \"%s\"?", near);
}

bool
want_scalar(struct reader *r, const struct yaml *node, const char *expected)
{
	if (node->kind == YAML_SCALAR)
		return true;
	if (node->kind == YAML_EMPTY)
		(void)reader_error(
		    r, node, "empty-value", "no value; expected %s", expected);
	else
		(void)reader_error(r, node, "wrong-type", "expected %s, not a %s",
		    expected, node->kind == YAML_LIST ? "list" : "mapping");
	return false;
}

const char *
name_space_what(enum name_space space)
{
	static const char *const what[] = {
	    [NAME_NETWORK] = "network",
	    [NAME_HOST] = "host",
	    [NAME_FLOATING_IP] = "floating IP",
	    [NAME_SERVICE] = "service",
	    [NAME_ZONE] = "zone",
	    [NAME_GROUP] = "group",
	    [NAME_VPN] = "VPN",
	    [NAME_EXTERNAL] = "external thing",
	    [NAME_DATABASE] = "database",
	    [NAME_VOLUME] = "volume",
	    [NAME_PEER] = "peer",
	};

	return what[space];
}

void *
look_up(struct reader *r, const struct yaml *node, enum name_space space)
{
	static const char *const code[] = {
	    [NAME_NETWORK] = "unknown-network",
	    [NAME_HOST] = "unknown-host",
	    [NAME_SERVICE] = "unknown-service",
	    [NAME_ZONE] = "unknown-zone",
	    [NAME_GROUP] = "unknown-group",
	};
	const char *what = name_space_what(space);
	char expected[64];
	void *thing;

	(void)snprintf(expected, sizeof(expected), "the name of a %s", what);
	ASSERT(space < ARRAY_LEN(code) && code[space] != NULL);
	if (!want_scalar(r, node, expected))
		return NULL;
	thing = names_get(&r->names[space], node->text);
	if (thing == NULL)
		suggest(r,
		    reader_error(r, node, code[space], "no %s named \"%.64s\"", what,
			node->text),
		    space, node->text);
	return thing;
}

/* ---- scalars ------------------------------------------------------------------- */

static void
read_flag(struct reader *r, const struct key *k, const struct yaml *node, void *base)
{
	bool v = strcmp(node->text, "true") == 0;

	if (!v && strcmp(node->text, "false") != 0)
		diag_hint(reader_error(r, node, "bad-flag",
			      "\"%s\" is either true or false", k->name),
		    "write true or false");
	field_set(base, k, v);
}

static void
read_count(struct reader *r, const struct key *k, const struct yaml *node, void *base)
{
	int64_t v = 0;
	int rc = count_parse(&v, node->text);

	if (rc == -EINVAL)
		(void)reader_error(r, node, "bad-number",
		    "\"%s\" takes a whole number, %" PRId64 " to %" PRId64, k->name,
		    k->min, k->max);
	else if (rc == -ERANGE || v < k->min || v > k->max)
		(void)reader_error(r, node, "out-of-range",
		    "\"%s\" is %" PRId64 " to %" PRId64, k->name, k->min, k->max);
	else
		field_set(base, k, (uint64_t)v);
}

static void
read_percent(struct reader *r, const struct key *k, const struct yaml *node, void *base)
{
	size_t len = strlen(node->text);
	char text[16] = "";
	int64_t v = 0;

	if (len > 1 && len <= sizeof(text) && node->text[len - 1] == '%')
		memcpy(text, node->text, len - 1);
	if (count_parse(&v, text) != 0)
		diag_hint(
		    reader_error(r, node, "bad-number",
			"\"%s\" takes a percentage, %" PRId64 "%% to %" PRId64 "%%",
			k->name, k->min, k->max),
		    "such as 50%%");
	else if (v < k->min || v > k->max)
		(void)reader_error(r, node, "out-of-range",
		    "\"%s\" is %" PRId64 "%% to %" PRId64 "%%", k->name, k->min,
		    k->max);
	else
		field_set(base, k, (uint64_t)v);
}

static void
read_duration(
    struct reader *r, const struct key *k, const struct yaml *node, void *base)
{
	char low[UNITS_LEN], high[UNITS_LEN];
	int64_t v = 0;
	int rc = duration_parse(&v, node->text);

	if (rc == -ENODATA) {
		diag_hint(reader_error(r, node, "no-unit",
			      "\"%s\" is a duration and needs a unit", k->name),
		    "write %.16sms or %.16ss", node->text, node->text);
	} else if (rc == -EINVAL) {
		diag_hint(reader_error(r, node, "bad-duration",
			      "\"%s\" takes a whole number with a unit", k->name),
		    "units are us, ms, s, m, h and d");
	} else if (rc == -ERANGE || v < k->min || v > k->max) {
		(void)reader_error(r, node, "out-of-range", "\"%s\" is %s to %s",
		    k->name, duration_format(k->min, low),
		    duration_format(k->max, high));
	} else {
		field_set(base, k, (uint64_t)v);
	}
}

static void
hint_words(struct diag *d, const struct word *words)
{
	struct sbuf list;
	const char *sep = "";

	sbuf_init(&list, MESSAGE_MAX);
	for (const struct word *w = words; w->name != NULL; w++) {
		if (w->what == NULL)
			continue;
		sbuf_printf(&list, "%s%s", sep, w->name);
		sep = ", ";
	}
	diag_hint(d, "one of %s", sbuf_text(&list));
	sbuf_done(&list);
}

static void
read_word(struct reader *r, const struct key *k, const struct yaml *node, void *base)
{
	const char *near = NULL;
	const struct word *w;
	struct diag *d;

	for (w = k->words; w->name != NULL; w++) {
		if (strcmp(w->name, node->text) == 0)
			break;
		if (w->what != NULL)
			near = name_nearer(node->text, near, w->name);
	}
	if (w->name == NULL) {
		d = reader_error(r, node, "bad-word", "\"%s\" cannot be \"%.64s\"",
		    k->name, node->text);
		if (near != NULL)
			diag_hint(d, "did you mean \"%s\"?", near);
		else
			hint_words(d, k->words);
	} else if (w->what == NULL) {
		(void)reader_error(r, node, "not-available",
		    "\"%s: %s\" is not available in this version", k->name, w->name);
	} else {
		field_set(base, k, w->value);
	}
}

/* Whether all of `s` is made of graphic characters; UTF-8 passes. */
static bool
graphic(const char *s, bool space)
{
	for (; *s != '\0'; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7f || (*s == ' ' && !space))
			return false;
	}
	return true;
}

static bool
token(const char *s)
{
	static const char tchar[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "0123456789!#$%&'*+-.^_`|~"; /* RFC 9110, 5.6.2 */

	return *s != '\0' && s[strspn(s, tchar)] == '\0';
}

/* What is wrong with a text of this kind; NULL if nothing is. */
static const char *
text_fault(enum value_kind kind, const char *s)
{
	switch ((unsigned)kind) {
	case VALUE_NAME:
		return name_valid(s)
			   ? NULL
			   : "a name of letters, digits, \"-\", \"_\" and \".\"";
	case VALUE_TOKEN:
		return token(s) ? NULL : "one word without spaces or separators";
	case VALUE_TARGET:
		return *s == '/' && graphic(s, false) ? NULL : "a path such as /health";
	case VALUE_AUTHORITY:
		return *s != '\0' && graphic(s, false) && strchr(s, '/') == NULL
			   ? NULL
			   : "a host name, with or without a port";
	case VALUE_FILE:
		return *s == '/' && graphic(s, true) ? NULL
						     : "a file name that starts with /";
	default:
		return *s != '\0' && graphic(s, true) ? NULL : "printable text";
	}
}

static void
read_text(struct reader *r, const struct key *k, const struct yaml *node, void *base)
{
	const char *fault = text_fault(k->kind, node->text);
	char *copy;

	if (fault == NULL && k->fault != NULL)
		fault = k->fault(NULL, node->text);
	if (fault != NULL) {
		(void)reader_error(r, node,
		    k->kind == VALUE_NAME ? "bad-name" : "bad-text", "\"%s\" takes %s",
		    k->name, fault);
		return;
	}
	copy = arena_strndup(r->arena, node->text, strlen(node->text));
	memcpy((char *)base + k->offset, &copy, sizeof(copy));
}

static void
read_scalar(struct reader *r, const struct key *k, const struct yaml *node, void *base)
{
	static const struct {
		const char *expected;
		void (*read)(
		    struct reader *, const struct key *, const struct yaml *, void *);
	} by_kind[] = {
	    [VALUE_FLAG] = {"true or false", read_flag},
	    [VALUE_COUNT] = {"a number", read_count},
	    [VALUE_PERCENT] = {"a percentage such as 50%", read_percent},
	    [VALUE_DURATION] = {"a duration such as 100ms", read_duration},
	    [VALUE_WORD] = {"a word", read_word},
	    [VALUE_NAME] = {"a name", read_text},
	    [VALUE_TOKEN] = {"a word", read_text},
	    [VALUE_TEXT] = {"a text", read_text},
	    [VALUE_TARGET] = {"a path such as /health", read_text},
	    [VALUE_AUTHORITY] = {"a host name", read_text},
	    [VALUE_FILE] = {"a file name", read_text},
	};

	ASSERT(k->kind < ARRAY_LEN(by_kind));
	if (want_scalar(r, node, by_kind[k->kind].expected))
		by_kind[k->kind].read(r, k, node, base);
}

/* ---- collections --------------------------------------------------------------- */

static void
set_array(const struct key *k, void *base, const void *array, size_t n)
{
	memcpy((char *)base + k->offset, &array, sizeof(array));
	memcpy((char *)base + k->many->count, &n, sizeof(n));
}

static void *
new_array(struct reader *r, const struct key *k, const struct yaml *node, void *base)
{
	char *array = arena_array(r->arena, node->n, k->many->size);

	if (array != NULL)
		set_array(k, base, array, node->n);
	return array;
}

static void
set_place(const struct many *m, char *element, const struct yaml *at, size_t i)
{
	struct place place = {at->line, at->column};

	memcpy(element + m->place, &place, sizeof(place));
	if (m->index != SIZE_MAX)
		memcpy(element + m->index, &i, sizeof(i));
}

void
declare_names(
    struct reader *r, const struct key *k, const struct yaml *node, void *base)
{
	const struct many *m = k->many;
	const char *what = name_space_what((enum name_space)m->space), *name;
	char *element;
	size_t i = 0;

	if (node->kind != YAML_MAP)
		return;
	element = new_array(r, k, node, base);
	if (element == NULL)
		return;
	for (const struct yaml *n = node->first; n != NULL; n = n->next, i++) {
		if (!name_valid(n->key->text))
			diag_hint(reader_error(r, n->key, "bad-name",
				      "not a name for a %s", what),
			    "letters, digits, \"-\", \"_\" and \".\", at most %d",
			    CLUSTER_NAME_MAX);
		name = arena_strndup(r->arena, n->key->text, strlen(n->key->text));
		if (name == NULL)
			return;
		memcpy(element, &name, sizeof(name));
		set_place(m, element, n->key, i);
		(void)names_put(&r->names[m->space], name, element);
		element += m->size;
	}
}

static void
read_map(struct reader *r, const struct key *k, const struct yaml *node, void *base)
{
	const struct many *m = k->many;
	const char *declared = field_pointer(base, k->offset);

	if (node->kind != YAML_MAP) {
		if (node->kind == YAML_EMPTY)
			(void)reader_error(
			    r, node, "empty-value", "\"%s\" is empty", k->name);
		else
			(void)reader_error(r, node, "wrong-type",
			    "\"%s\" takes a mapping from names to %ss", k->name,
			    m->section->what);
		return;
	}
	for (const struct yaml *n = node->first; n != NULL && declared != NULL;
	     n = n->next, declared += m->size) {
		/* The element is ours until the cluster is complete. */
		read_section(r, m->section, n, (void *)(uintptr_t)declared);
	}
	if (m->complete != NULL)
		m->complete(r);
}

static void
read_list(struct reader *r, const struct key *k, const struct yaml *node, void *base)
{
	const struct many *m = k->many;
	size_t n;
	const struct yaml *item = yaml_items(node, &n);
	struct yaml list = {.n = n};
	char *element;

	if (node->kind == YAML_EMPTY || n == 0) {
		(void)reader_error(r, node, "empty-value", "\"%s\" is empty", k->name);
		return;
	}
	element = new_array(r, k, &list, base);
	for (size_t i = 0; i < n && element != NULL; i++) {
		set_place(m, element, item, i);
		read_section(r, m->section, item, element);
		element += m->size;
		item = item->next;
	}
}

/* ---- lists of scalars ---------------------------------------------------------- */

/* A copy of the text, or NULL with what is wrong with it reported. */
static const char *
copy_text(struct reader *r, const struct key *k, const struct yaml *node,
    const char *name, const char *text)
{
	const char *fault = text_fault(VALUE_TEXT, text);

	if (fault == NULL && k->fault != NULL)
		fault = k->fault(name, text);
	if (fault == NULL)
		return arena_strndup(r->arena, text, strlen(text));
	(void)reader_error(r, node, "bad-text", "\"%s\" takes %s", k->name, fault);
	return NULL;
}

static void
read_texts(struct reader *r, const struct key *k, const struct yaml *node, void *base)
{
	struct texts *t = (void *)((char *)base + k->offset);
	size_t n;
	const struct yaml *item = yaml_items(node, &n);
	const char **text = arena_array(r->arena, n, sizeof(*text));

	if (n == 0)
		(void)reader_error(r, node, "empty-value", "\"%s\" is empty", k->name);
	for (size_t i = 0; i < n && text != NULL; i++, item = item->next) {
		if (want_scalar(r, item, "a text"))
			text[t->n] = copy_text(r, k, item, NULL, item->text);
		t->n += text[t->n] != NULL;
	}
	t->text = text;
}

static void
read_pairs(struct reader *r, const struct key *k, const struct yaml *node, void *base)
{
	struct pairs *p = (void *)((char *)base + k->offset);
	struct pair *pair = arena_array(r->arena, node->n, sizeof(*pair));

	if (node->kind != YAML_MAP || node->n == 0) {
		(void)reader_error(r, node,
		    node->kind == YAML_MAP ? "empty-value" : "wrong-type",
		    "\"%s\" takes a mapping from names to texts", k->name);
		return;
	}
	for (const struct yaml *n = node->first; n != NULL && pair != NULL;
	     n = n->next) {
		const char *name = n->key->text;

		if (!token(name)) {
			(void)reader_error(r, n->key, "bad-text",
			    "\"%s\" takes one word without spaces or separators",
			    k->name);
			continue;
		}
		if (!want_scalar(r, n, "a text"))
			continue;
		pair[p->n].name = arena_strndup(r->arena, name, strlen(name));
		pair[p->n].value = copy_text(r, k, n, name, n->text);
		p->n += pair[p->n].value != NULL;
	}
	p->pair = pair;
}

int
reader_prefix(struct reader *r, const struct yaml *node, struct ip_net *net)
{
	if (ip_net_parse(net, node->text) == 0)
		return 0;
	if (ip_parse(&net->ip, node->text) == 0) {
		net->bits = (uint8_t)(ip_len(&net->ip) * 8);
		return 0;
	}
	if (strpbrk(node->text, "/:") == NULL)
		return -ENOENT;
	diag_hint(reader_error(
		      r, node, "bad-subnet", "\"%.64s\" is not a network", node->text),
	    "such as 10.0.0.0/8, with no bits behind its length");
	return -EINVAL;
}

/* A prefix, an address or the name of a network. */
static bool
read_net(struct reader *r, const struct yaml *node, struct ip_net *net)
{
	const struct network *named;
	int err;

	if (!want_scalar(r, node, "a network"))
		return false;
	err = reader_prefix(r, node, net);
	if (err != -ENOENT)
		return err == 0;
	named = look_up(r, node, NAME_NETWORK);
	if (named == NULL || named->subnet.ip.family == 0)
		return false;
	*net = named->subnet;
	return true;
}

static void
read_nets(struct reader *r, const struct key *k, const struct yaml *node, void *base)
{
	struct nets *t = (void *)((char *)base + k->offset);
	size_t n;
	const struct yaml *item = yaml_items(node, &n);
	struct ip_net *net = arena_array(r->arena, n, sizeof(*net));
	const char **text = arena_array(r->arena, n, sizeof(*text));

	if (n == 0)
		(void)reader_error(r, node, "empty-value", "\"%s\" is empty", k->name);
	if (net == NULL || text == NULL)
		return;
	for (size_t i = 0; i < n; i++, item = item->next) {
		if (!read_net(r, item, &net[t->n]))
			continue;
		text[t->n] = arena_strndup(r->arena, item->text, strlen(item->text));
		t->n += text[t->n] != NULL;
	}
	t->net = net;
	t->text = text;
}

/* ---- sections ------------------------------------------------------------------ */

void
read_value(struct reader *r, const struct key *k, const struct yaml *node, void *base)
{
	switch ((unsigned)k->kind) {
	case VALUE_SECTION:
		read_section(r, k->section, node, (char *)base + k->offset);
		break;
	case VALUE_LIST:
		read_list(r, k, node, base);
		break;
	case VALUE_MAP:
		read_map(r, k, node, base);
		break;
	case VALUE_TEXTS:
		read_texts(r, k, node, base);
		break;
	case VALUE_PAIRS:
		read_pairs(r, k, node, base);
		break;
	case VALUE_NETS:
		read_nets(r, k, node, base);
		break;
	case VALUE_HOSTS:
		host_list_read(r, k, node, base);
		break;
	case VALUE_FORM:
		k->form->read(r, node, base);
		break;
	default:
		read_scalar(r, k, node, base);
	}
}

/* Returns the row that was probably meant, or -1. */
static int
unknown_key(struct reader *r, const struct section *s, const struct yaml *node)
{
	struct diag *d = reader_error(r, node->key, "unknown-key",
	    "unknown key \"%.64s\" in %s", node->key->text, s->what);
	const char *near = NULL, *better;
	int row = -1;

	for (size_t i = 0; i < s->n_keys && d != NULL; i++) {
		if (s->key[i].kind == VALUE_LATER)
			continue;
		better = name_nearer(node->key->text, near, s->key[i].name);
		if (better != near)
			row = (int)i;
		near = better;
	}
	if (near != NULL)
		diag_hint(d, "did you mean \"%s\"?", near);
	return row;
}

/* Which of a section's keys the file has, and which it has under a wrong name. */
struct found {
	const struct yaml *value[64];
	uint64_t given, meant;
};

/* Finds the row of `node` and notes it; handles keys that have none. */
static void
find_row(struct reader *r, const struct section *s, const struct yaml *node, void *base,
    struct found *f)
{
	int row;

	for (size_t i = 0; i < s->n_keys; i++) {
		if (strcmp(s->key[i].name, node->key->text) != 0)
			continue;
		if (s->key[i].kind == VALUE_LATER) {
			(void)reader_error(r, node->key, "not-available",
			    "%s \"%s\" is not available in this version",
			    s == &root_section ? "section" : "key", s->key[i].name);
			return;
		}
		f->value[i] = node;
		f->given |= UINT64_C(1) << i;
		return;
	}
	if (s->other != NULL) {
		s->other(r, node, base);
		return;
	}
	row = unknown_key(r, s, node);
	if (row >= 0)
		f->meant |= UINT64_C(1) << row;
}

static void
read_absent(struct reader *r, const struct section *s, const struct key *k,
    const struct yaml *parent, void *base)
{
	const struct yaml preset = {.kind = YAML_SCALAR, .text = k->preset};
	const struct yaml *at;

	if (k->preset != NULL) {
		read_value(r, k, &preset, base);
	} else if (k->required) {
		at = parent->key != NULL ? parent->key : parent;
		(void)reader_error(r, at, "missing-key", "%s has no \"%s\"",
		    parent->key != NULL && s != &root_section ? parent->key->text
							      : s->what,
		    k->name);
	} else if (k->kind == VALUE_SECTION && k->section->absent == NULL) {
		read_section(r, k->section, NULL, (char *)base + k->offset);
	}
}

static void
read_mapping(
    struct reader *r, const struct section *s, const struct yaml *node, void *base)
{
	struct found f = {.given = 0};

	ASSERT(s->n_keys <= ARRAY_LEN(f.value));
	if (s->begin != NULL)
		s->begin(r, node, base);
	for (const struct yaml *n = node->first; n != NULL; n = n->next)
		find_row(r, s, n, base, &f);
	/* In the order of the table: later keys build on earlier ones. */
	for (size_t i = 0; i < s->n_keys; i++) {
		if (f.value[i] != NULL)
			read_value(r, &s->key[i], f.value[i], base);
		else if ((f.meant & UINT64_C(1) << i) == 0)
			read_absent(r, s, &s->key[i], node, base);
	}
	if (s->finish != NULL)
		s->finish(r, node, base, f.given);
}

void
read_section(
    struct reader *r, const struct section *s, const struct yaml *node, void *base)
{
	const struct yaml absent = {.kind = YAML_MAP};

	if (node == NULL)
		node = &absent;
	if (node->kind == YAML_SCALAR || node->kind == YAML_LIST) {
		struct yaml value = *node, key = {.kind = YAML_SCALAR}, map = *node;

		if (s->scalar != NULL && s->scalar(r, node, base))
			return;
		if (s->shorthand != NULL) {
			key.line = node->line;
			key.column = node->column;
			key.width = node->width;
			key.text = s->shorthand;
			value.key = &key;
			value.next = NULL;
			map.kind = YAML_MAP;
			map.first = &value;
			map.n = 1;
			read_mapping(r, s, &map, base);
			return;
		}
	}
	if (node->kind == YAML_MAP)
		read_mapping(r, s, node, base);
	else if (node->kind == YAML_EMPTY)
		(void)reader_error(r, node, "empty-value", "%s is empty", s->what);
	else
		(void)reader_error(
		    r, node, "wrong-type", "%s takes a mapping", s->what);
}

/* What is switched off does not get in the way of anything. */
static bool
says_no(const struct yaml *node)
{
	return node->kind == YAML_SCALAR && strcmp(node->text, "false") == 0;
}

void
check_applies(struct reader *r, const struct section *s, const struct yaml *node,
    const void *base, const char *why)
{
	const struct yaml *value;

	for (size_t i = 0; i < s->n_keys; i++) {
		if (s->key[i].applies == NULL || s->key[i].applies(base))
			continue;
		value = yaml_get(node, s->key[i].name);
		if (value != NULL && !says_no(value))
			(void)reader_error(r, value->key, "key-conflict",
			    "\"%s\" makes no sense %s", s->key[i].name, why);
	}
}
