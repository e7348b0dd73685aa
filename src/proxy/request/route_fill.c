/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/request/route_fill.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "proxy/http1/http1_out.h"

static void
put_visible(struct http1_out *o, struct route_text t)
{
	for (size_t i = 0; i < t.len; i++) {
		if (t.p[i] > 0x20 && t.p[i] < 0x7f)
			http1_put(o, &t.p[i], 1);
	}
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
put_filled(struct http1_out *o, const char *text, const struct fill *f)
{
	const char *end;

	while (*text != '\0') {
		size_t plain = strcspn(text, "{");
		enum fill_word word;

		http1_put(o, text, plain);
		text += plain;
		if (*text == '\0')
			return;
		word = word_at(text, &end);
		if (word == FILL_N) { /* which the reader of the file refuses */
			http1_put(o, text++, 1);
			continue;
		}
		put_visible(o, f->word[word]);
		text = end;
	}
}

int
fill_text(const char *text, const struct fill *f, char *out, size_t cap)
{
	struct http1_out o = {.p = out, .cap = cap};

	put_filled(&o, text, f);
	return http1_out_len(&o);
}

int
fill_fields(const struct pairs *fields, const struct fill *f, char *out, size_t cap)
{
	struct http1_out o = {.p = out, .cap = cap};

	for (size_t i = 0; i < fields->n; i++) {
		http1_put(&o, fields->pair[i].name, strlen(fields->pair[i].name));
		http1_put(&o, ": ", 2);
		put_filled(&o, fields->pair[i].value, f);
		http1_put(&o, "\r\n", 2);
	}
	return http1_out_len(&o);
}

int
fill_target(const char *to, struct route_text path, struct route_text query, size_t cut,
    char *out, size_t cap)
{
	struct http1_out o = {.p = out, .cap = cap};
	size_t len = strlen(to);
	bool rest = cut < path.len, slash = rest && path.p[cut] == '/';

	/* Exactly one slash where the two meet. */
	if (slash && len > 0 && to[len - 1] == '/')
		len--;
	http1_put(&o, to, len);
	if (rest && !slash && (len == 0 || to[len - 1] != '/'))
		http1_put(&o, "/", 1);
	http1_put(&o, path.p + cut, path.len - cut);
	http1_put(&o, query.p, query.len);
	return http1_out_len(&o);
}
