/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/request/route_fill.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

struct out {
	char *p;
	size_t len, cap;
	bool bad;
};

static void
put(struct out *o, const char *s, size_t len)
{
	if (o->bad || o->cap - o->len < len) {
		o->bad = true;
		return;
	}
	memcpy(o->p + o->len, s, len);
	o->len += len;
}

static void
put_visible(struct out *o, struct route_text t)
{
	for (size_t i = 0; i < t.len; i++) {
		if (t.p[i] > 0x20 && t.p[i] < 0x7f)
			put(o, &t.p[i], 1);
	}
}

static int
result(const struct out *o)
{
	return o->bad ? -ENOBUFS : (int)o->len;
}

/* The word in braces at `p`, and where it ends; FILL_N: none. */
static enum fill_word
word_at(const char *p, const char **end)
{
	static const char *const name[FILL_N] = {
#define X(id, name) [id] = "{" name "}",
	    FILL_WORDS(X)
#undef X
	};

	for (int i = 0; i < FILL_N; i++) {
		size_t len = strlen(name[i]);

		*end = p + len;
		if (strncmp(p, name[i], len) == 0)
			return (enum fill_word)i;
	}
	return FILL_N;
}

static void
put_filled(struct out *o, const char *text, const struct fill *f)
{
	const char *end;

	while (*text != '\0') {
		size_t plain = strcspn(text, "{");
		enum fill_word word;

		put(o, text, plain);
		text += plain;
		if (*text == '\0')
			return;
		word = word_at(text, &end);
		if (word == FILL_N) { /* which the reader of the file refuses */
			put(o, text++, 1);
			continue;
		}
		put_visible(o, f->word[word]);
		text = end;
	}
}

int
fill_text(const char *text, const struct fill *f, char *out, size_t cap)
{
	struct out o = {.p = out, .cap = cap};

	put_filled(&o, text, f);
	return result(&o);
}

int
fill_fields(const struct pairs *fields, const struct fill *f, char *out, size_t cap)
{
	struct out o = {.p = out, .cap = cap};

	for (size_t i = 0; i < fields->n; i++) {
		put(&o, fields->pair[i].name, strlen(fields->pair[i].name));
		put(&o, ": ", 2);
		put_filled(&o, fields->pair[i].value, f);
		put(&o, "\r\n", 2);
	}
	return result(&o);
}

int
fill_target(const char *to, struct route_text path, struct route_text query, size_t cut,
    char *out, size_t cap)
{
	struct out o = {.p = out, .cap = cap};
	size_t len = strlen(to);
	bool rest = cut < path.len, slash = rest && path.p[cut] == '/';

	/* Exactly one slash where the two meet. */
	if (slash && len > 0 && to[len - 1] == '/')
		len--;
	put(&o, to, len);
	if (rest && !slash && (len == 0 || to[len - 1] != '/'))
		put(&o, "/", 1);
	put(&o, path.p + cut, path.len - cut);
	put(&o, query.p, query.len);
	return result(&o);
}
