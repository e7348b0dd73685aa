/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config_diff.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/arena.h"
#include "config/names.h"
#include "config/sections.h"

#define NAMES_MAX ((size_t)256 << 20) /* bytes of the tables of names */
#define KEY_MAX	  CLUSTER_FILE_MAX    /* bytes of one key's value */

struct diff {
	void (*each)(const struct config_change *, void *);
	void *arg;
	struct arena *arena;
	int n;
};

static void
report(struct diff *d, enum config_change_kind kind, const char *what, const char *name,
    const char *keys)
{
	const struct config_change change = {
	    .kind = kind, .what = what, .name = name, .keys = keys};

	d->each(&change, d->arg);
	if (d->n < INT_MAX)
		d->n++;
}

static bool
same_key(const struct key *k, const void *a, const void *b)
{
	struct sbuf x, y;
	bool same;

	sbuf_init(&x, KEY_MAX);
	sbuf_init(&y, KEY_MAX);
	write_key(k, a, true, 0, &x);
	write_key(k, b, true, 0, &y);
	same = strcmp(sbuf_text(&x), sbuf_text(&y)) == 0 && !x.bad && !y.bad;
	sbuf_done(&x);
	sbuf_done(&y);
	return same;
}

static bool
same_other(const struct section *s, const void *a, const void *b)
{
	struct sbuf x, y;
	bool same;

	if (s->write_other == NULL)
		return true;
	sbuf_init(&x, KEY_MAX);
	sbuf_init(&y, KEY_MAX);
	s->write_other(a, &x, 0);
	s->write_other(b, &y, 0);
	same = strcmp(sbuf_text(&x), sbuf_text(&y)) == 0;
	sbuf_done(&x);
	sbuf_done(&y);
	return same;
}

static void
compare(struct diff *d, const struct section *s, const void *before, const void *after)
{
	const char *sep = "";
	struct sbuf keys;

	sbuf_init(&keys, KEY_MAX);
	if (!same_other(s, before, after)) {
		sbuf_puts(&keys, "addresses");
		sep = ", ";
	}
	for (size_t i = 0; i < s->n_keys; i++) {
		if (same_key(&s->key[i], before, after))
			continue;
		sbuf_printf(&keys, "%s%s", sep, s->key[i].name);
		sep = ", ";
	}
	if (keys.len > 0)
		report(d, CHANGE_CHANGED, s->what, field_pointer(after, 0),
		    sbuf_text(&keys));
	sbuf_done(&keys);
}

static const char *
element(const struct key *k, const void *cluster, size_t i)
{
	const char *array = field_pointer(cluster, k->offset);

	return array + i * k->many->size;
}

static size_t
count(const struct key *k, const void *cluster)
{
	size_t n;

	memcpy(&n, (const char *)cluster + k->many->count, sizeof(n));
	return n;
}

static void
index_elements(
    const struct key *k, const void *cluster, struct arena *a, struct names *t)
{
	names_init(t, a);
	for (size_t i = 0; i < count(k, cluster); i++) {
		const char *e = element(k, cluster, i);

		(void)names_put(t, field_pointer(e, 0), (void *)(uintptr_t)e);
	}
}

static void
compare_maps(struct diff *d, const struct key *k, const struct cluster *before,
    const struct cluster *after)
{
	const struct section *s = k->many->section;
	struct names old, new;

	index_elements(k, before, d->arena, &old);
	index_elements(k, after, d->arena, &new);
	if (arena_failed(d->arena))
		return;
	for (size_t i = 0; i < count(k, after); i++) {
		const char *e = element(k, after, i), *name = field_pointer(e, 0);
		const void *was = names_get(&old, name);

		if (was == NULL)
			report(d, CHANGE_ADDED, s->what, name, "");
		else
			compare(d, s, was, e);
	}
	for (size_t i = 0; i < count(k, before); i++) {
		const char *name = field_pointer(element(k, before, i), 0);

		if (names_get(&new, name) == NULL)
			report(d, CHANGE_REMOVED, s->what, name, "");
	}
}

int
config_diff(const struct cluster *before, const struct cluster *after,
    void (*each)(const struct config_change *, void *), void *arg)
{
	struct diff d = {.each = each, .arg = arg, .arena = arena_new(NAMES_MAX)};
	bool failed;

	if (d.arena == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < root_section.n_keys; i++) {
		const struct key *k = &root_section.key[i];

		if (k->kind == VALUE_MAP)
			compare_maps(&d, k, before, after);
		/* The short form of `networks` is no setting of its own. */
		else if (k->applies == NULL && !same_key(k, before, after))
			report(&d, CHANGE_CHANGED, k->name, NULL, "");
	}
	failed = arena_failed(d.arena);
	arena_free(d.arena);
	return failed ? -ENOMEM : d.n;
}

static void
summarise(const struct config_change *c, void *arg)
{
	static const char *const verb[] = {
	    [CHANGE_ADDED] = "added",
	    [CHANGE_REMOVED] = "removed",
	    [CHANGE_CHANGED] = "changed",
	};
	struct sbuf *out = arg;

	sbuf_printf(out, "%s%s", out->len > 0 ? ", " : "", c->what);
	if (c->name != NULL)
		sbuf_printf(out, " %s", c->name);
	sbuf_printf(out, " %s", verb[c->kind]);
	if (*c->keys != '\0')
		sbuf_printf(out, " (%s)", c->keys);
}

void
config_diff_summary(
    const struct cluster *before, const struct cluster *after, struct sbuf *out)
{
	struct sbuf list;
	int n;

	sbuf_init(&list, KEY_MAX);
	n = config_diff(before, after, summarise, &list);
	if (n < 0)
		sbuf_puts(out, "changes unknown: out of memory");
	else
		sbuf_puts(out, n == 0 ? "nothing changed" : sbuf_text(&list));
	sbuf_done(&list);
}
