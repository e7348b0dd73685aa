/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/vpn_edit.h"

#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/diag.h"
#include "config/config_diff.h"
#include "config/yaml.h"

#define TREE_MAX ((size_t)1 << 30)

struct edit {
	const char *text;
	size_t len;
	struct arena *arena;
	const struct yaml *vpn, *peers; /* values; peers: NULL if there are none */
};

/* ---- places in the text -------------------------------------------------------- */

static size_t
line_start(const struct edit *e, unsigned line)
{
	const char *p = e->text;

	for (unsigned i = 1; i < line && p != NULL; i++) {
		p = strchr(p, '\n');
		p = p != NULL ? p + 1 : NULL;
	}
	return p != NULL ? (size_t)(p - e->text) : e->len;
}

static size_t
place_of(const struct edit *e, const struct yaml *node)
{
	size_t at = line_start(e, node->line) + node->column - 1;

	return at < e->len ? at : e->len;
}

/* The end of the line that `at` is in, behind its newline. */
static size_t
line_end(const struct edit *e, size_t at)
{
	const char *p = strchr(e->text + at, '\n');

	return p != NULL ? (size_t)(p - e->text) + 1 : e->len;
}

static bool
in_braces(const struct edit *e, const struct yaml *node)
{
	return e->text[place_of(e, node)] == '{';
}

/*
 * Behind the last line, from the one with `at` on, that is indented by `least` or more
 * and has something else than a comment.
 */
static size_t
block_end(const struct edit *e, size_t at, size_t least)
{
	size_t end = line_end(e, at);

	for (size_t next = end; next < e->len; next = line_end(e, next)) {
		size_t indent = strspn(e->text + next, " ");
		char first = e->text[next + indent];

		if (first == '\n' || first == '\r' || first == '#')
			continue;
		if (first == '\0' || indent < least)
			break;
		end = line_end(e, next);
	}
	return end;
}

/* The brace that closes the one at `at`; SIZE_MAX: not found. */
static size_t
closing_brace(const struct edit *e, size_t at)
{
	unsigned depth = 0;
	char quote = '\0';

	for (size_t i = at; i < e->len; i++) {
		char c = e->text[i];

		if (quote != '\0') {
			if (quote == '"' && c == '\\')
				i++;
			else if (c == quote)
				quote = '\0';
		} else if (c == '"' || c == '\'') {
			quote = c;
		} else if (c == '#' && strchr(" \t\n", e->text[i - 1]) != NULL) {
			i = line_end(e, i) - 1;
		} else if (c == '{' || c == '[') {
			depth++;
		} else if ((c == '}' || c == ']') && --depth == 0) {
			return i;
		}
	}
	return SIZE_MAX;
}

/* ---- the tree ------------------------------------------------------------------ */

static int
edit_init(struct edit *e, const char *text, const char *vpn)
{
	struct diag_list diags;
	const struct yaml *root, *all;

	*e = (struct edit){
	    .text = text, .len = strlen(text), .arena = arena_new(TREE_MAX)};
	if (e->arena == NULL)
		return -ENOMEM;
	diag_init(&diags, "");
	root = yaml_parse(text, e->len, e->arena, &diags);
	diag_done(&diags);
	if (root == NULL || root->kind != YAML_MAP)
		return -EINVAL;
	all = yaml_get(root, "vpn");
	e->vpn = all != NULL ? yaml_get(all, vpn) : NULL;
	if (e->vpn == NULL || e->vpn->kind != YAML_MAP || e->vpn->first == NULL)
		return -ENOENT;
	e->peers = yaml_get(e->vpn, "peers");
	return e->peers == NULL || e->peers->kind == YAML_MAP ? 0 : -ENOTSUP;
}

static void
edit_done(struct edit *e)
{
	arena_free(e->arena);
}

/* `text` with what stands in [from, to) replaced. */
static void
replace(
    const struct edit *e, size_t from, size_t to, const char *with, struct sbuf *out)
{
	sbuf_put(out, e->text, from);
	sbuf_puts(out, with);
	sbuf_put(out, e->text + to, e->len - to);
}

/* ---- add ----------------------------------------------------------------------- */

void
vpn_edit_value(const struct vpn_peer *p, struct sbuf *out)
{
	char key[BASE64_LEN(VPN_KEY_LEN)], ip[IP_STR_LEN];
	const char *quote = p->address.family == AF_INET6 ? "\"" : "";

	sbuf_printf(out, "{public_key: \"%s\", address: %s%s%s}",
	    base64_encode(p->key, sizeof(p->key), key), quote,
	    ip_format(&p->address, ip), quote);
}

/* Before the closing brace of the mapping at `node`, behind its last item. */
static int
add_in_braces(
    const struct edit *e, const struct yaml *node, const char *item, struct sbuf *out)
{
	size_t open = place_of(e, node), close = closing_brace(e, open), at = close;
	struct sbuf with;

	if (close == SIZE_MAX)
		return -ENOTSUP;
	while (at > open + 1 && strchr(" \t\r\n", e->text[at - 1]) != NULL)
		at--;
	sbuf_init(&with, CLUSTER_FILE_MAX);
	if (node->first != NULL)
		sbuf_puts(&with, e->text[at - 1] == ',' ? " " : ", ");
	sbuf_puts(&with, item);
	replace(e, at, node->first != NULL ? at : close, sbuf_text(&with), out);
	sbuf_done(&with);
	return 0;
}

/* A line, or two, at the end of the block that begins with key `first`. */
static int
add_lines(
    const struct edit *e, const struct yaml *first, const char *lines, struct sbuf *out)
{
	size_t key = place_of(e, first->key);
	size_t end = block_end(e, key, first->key->column - 1);
	struct sbuf with;

	sbuf_init(&with, CLUSTER_FILE_MAX);
	if (end > 0 && e->text[end - 1] != '\n')
		sbuf_puts(&with, "\n");
	sbuf_puts(&with, lines);
	replace(e, end, end, sbuf_text(&with), out);
	sbuf_done(&with);
	return 0;
}

static int
add(const struct edit *e, const struct vpn_peer *p, struct sbuf *out)
{
	const struct yaml *first =
	    e->peers != NULL && e->peers->first != NULL ? e->peers->first : NULL;
	struct sbuf value, item;
	int err, indent;

	sbuf_init(&value, CLUSTER_FILE_MAX);
	sbuf_init(&item, CLUSTER_FILE_MAX);
	vpn_edit_value(p, &value);
	if (e->peers != NULL && in_braces(e, e->peers)) {
		sbuf_printf(&item, "%s: %s", p->name, sbuf_text(&value));
		err = add_in_braces(e, e->peers, sbuf_text(&item), out);
	} else if (first != NULL) {
		indent = (int)first->key->column - 1;
		sbuf_printf(
		    &item, "%*s%s: %s\n", indent, "", p->name, sbuf_text(&value));
		err = add_lines(e, first, sbuf_text(&item), out);
	} else if (in_braces(e, e->vpn)) {
		sbuf_printf(&item, "peers: {%s: %s}", p->name, sbuf_text(&value));
		err = add_in_braces(e, e->vpn, sbuf_text(&item), out);
	} else {
		indent = (int)e->vpn->first->key->column - 1;
		sbuf_printf(&item, "%*speers:\n%*s%s: %s\n", indent, "", indent + 2, "",
		    p->name, sbuf_text(&value));
		err = add_lines(e, e->vpn->first, sbuf_text(&item), out);
	}
	sbuf_done(&value);
	sbuf_done(&item);
	return err;
}

/* ---- remove -------------------------------------------------------------------- */

/* An item and the comma before or behind it. */
static int
remove_in_braces(const struct edit *e, const struct yaml *peer, struct sbuf *out)
{
	size_t from = place_of(e, peer->key), to;

	if (!in_braces(e, peer))
		return -ENOTSUP;
	to = closing_brace(e, place_of(e, peer));
	if (to == SIZE_MAX)
		return -ENOTSUP;
	to++;
	if (peer->next != NULL) {
		to += strspn(e->text + to, " \t\r\n");
		if (e->text[to] == ',')
			to++;
		to += strspn(e->text + to, " \t");
	} else {
		while (from > 0 && strchr(" \t\r\n", e->text[from - 1]) != NULL)
			from--;
		if (e->text[from - 1] == ',')
			from--;
	}
	replace(e, from, to, "", out);
	return 0;
}

static int
remove_peer(const struct edit *e, const struct yaml *peer, struct sbuf *out)
{
	const struct yaml *key = e->peers->n == 1 ? e->peers->key : peer->key;
	size_t from;

	if (in_braces(e, e->peers))
		return remove_in_braces(e, peer, out);
	/* The last one takes `peers:` along, which must not be empty. */
	from = line_start(e, key->line);
	replace(e, from, block_end(e, from, key->column), "", out);
	return 0;
}

/* ---- proof --------------------------------------------------------------------- */

static const struct cluster *
parse(const char *text, size_t len)
{
	struct diag_list diags;
	const struct cluster *c;

	diag_init(&diags, "");
	c = cluster_parse(text, len, &diags);
	diag_done(&diags);
	return c;
}

static const struct vpn *
vpn_named(const struct cluster *c, const char *name)
{
	for (size_t i = 0; i < c->n_vpns; i++) {
		if (strcmp(c->vpn[i].name, name) == 0)
			return &c->vpn[i];
	}
	return NULL;
}

static const struct vpn_peer *
peer_named(const struct vpn *v, const char *name)
{
	for (size_t i = 0; i < v->n_peers; i++) {
		if (strcmp(v->peer[i].name, name) == 0)
			return &v->peer[i];
	}
	return NULL;
}

struct look {
	const char *vpn;
	bool only; /* this VPN's peers and nothing else differ */
};

static void
on_change(const struct config_change *change, void *arg)
{
	struct look *k = arg;

	if (change->kind != CHANGE_CHANGED || strcmp(change->what, "VPN") != 0 ||
	    strcmp(change->name, k->vpn) != 0 || strcmp(change->keys, "peers") != 0)
		k->only = false;
}

/* Every peer of `a` but `name` is in `b`, as it is. */
static bool
kept(const struct vpn *a, const struct vpn *b, const char *name)
{
	for (size_t i = 0; i < a->n_peers; i++) {
		const struct vpn_peer *p = &a->peer[i], *q = peer_named(b, p->name);

		if (strcmp(p->name, name) == 0)
			continue;
		if (q == NULL || memcmp(p->key, q->key, sizeof(p->key)) != 0 ||
		    !ip_equal(&p->address, &q->address))
			return false;
	}
	return true;
}

/* The new text means the old one with, or without, client `name`. */
static int
prove(const char *before, const struct sbuf *after, const char *vpn, const char *name)
{
	const struct cluster *a = parse(before, strlen(before));
	const struct cluster *b = parse(sbuf_text(after), after->len);
	struct look k = {.vpn = vpn, .only = true};
	const struct vpn *v, *w;
	int err = -ENOTSUP;

	if (after->bad)
		err = -ENOMEM;
	else if (a == NULL)
		err = -EINVAL;
	else if (b != NULL && config_diff(a, b, on_change, &k) >= 0) {
		v = vpn_named(a, vpn);
		w = vpn_named(b, vpn);
		if (v != NULL && w != NULL && k.only && kept(v, w, name) &&
		    kept(w, v, name) &&
		    (peer_named(v, name) == NULL) != (peer_named(w, name) == NULL))
			err = 0;
	}
	cluster_unref(a);
	cluster_unref(b);
	return err;
}

int
vpn_edit_add(
    const char *text, const char *vpn, const struct vpn_peer *p, struct sbuf *out)
{
	struct edit e;
	int err = edit_init(&e, text, vpn);

	if (err == 0 && e.peers != NULL && yaml_get(e.peers, p->name) != NULL)
		err = -EEXIST;
	if (err == 0)
		err = add(&e, p, out);
	if (err == 0)
		err = prove(text, out, vpn, p->name);
	edit_done(&e);
	return err;
}

int
vpn_edit_remove(const char *text, const char *vpn, const char *name, struct sbuf *out)
{
	const struct yaml *peer = NULL;
	struct edit e;
	int err = edit_init(&e, text, vpn);

	if (err == 0 && e.peers != NULL)
		peer = yaml_get(e.peers, name);
	if (err == 0 && peer == NULL)
		err = -ENOENT;
	if (err == 0)
		err = remove_peer(&e, peer, out);
	if (err == 0)
		err = prove(text, out, vpn, name);
	edit_done(&e);
	return err;
}
