/* SPDX-License-Identifier: Apache-2.0 */
/* nft_state.c - what `nft -j list` says of our table. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "firewall/nft_json.h"

static bool
ours(const json_t *item)
{
	const char *table = json_string_value(json_object_get(item, "table"));

	return table != NULL && strcmp(table, NFT_TABLE) == 0;
}

static bool
after(const char *text, const char *prefix, const char **rest)
{
	size_t len = strlen(prefix);

	if (text == NULL || strncmp(text, prefix, len) != 0)
		return false;
	*rest = text + len;
	return true;
}

static void
copy(char *out, size_t size, const char *s)
{
	size_t len = strnlen(s, size - 1);

	memcpy(out, s, len);
	out[len] = '\0';
}

static void
read_mark(const json_t *counter, struct nft_state *out)
{
	const char *name = json_string_value(json_object_get(counter, "name")), *rest;

	if (after(name, "gen_", &rest))
		copy(out->digest, sizeof(out->digest), rest);
	else if (after(name, "undone_", &rest))
		copy(out->undone, sizeof(out->undone), rest);
}

static void
read_trial(const json_t *set, struct nft_state *out)
{
	const char *name = json_string_value(json_object_get(set, "name"));
	const json_t *list = json_object_get(set, "elem"), *item;
	size_t i;

	if (name == NULL || strcmp(name, "trial") != 0)
		return;
	out->trial = true;
	json_array_foreach(list, i, item)
	{
		json_int_t left = json_integer_value(
		    json_object_get(json_object_get(item, "elem"), "expires"));

		/* Of the last second nft shows 0. */
		if (left + 1 > (json_int_t)out->trial_s)
			out->trial_s = left < 86400 ? (unsigned)left + 1 : 86400;
	}
}

/* A comment is the rule's id and what people read. */
static void
read_count(const json_t *rule, struct nft_count *c)
{
	const char *comment = json_string_value(json_object_get(rule, "comment"));
	const json_t *list = json_object_get(rule, "expr"), *item;
	size_t i;

	c->id[0] = '\0';
	if (comment == NULL || strcspn(comment, " ") != RULE_ID_LEN - 1)
		return;
	json_array_foreach(list, i, item)
	{
		const json_t *counter = json_object_get(item, "counter");

		if (!json_is_object(counter))
			continue;
		copy(c->id, sizeof(c->id), comment);
		c->packets =
		    (uint64_t)json_integer_value(json_object_get(counter, "packets"));
		c->bytes =
		    (uint64_t)json_integer_value(json_object_get(counter, "bytes"));
	}
}

static int
by_id(const void *a, const void *b)
{
	return strcmp(
	    ((const struct nft_count *)a)->id, ((const struct nft_count *)b)->id);
}

/* The same rule in several places counts once, with all of it. */
static void
join(struct nft_state *s)
{
	size_t n = 0;

	if (s->n > 0)
		qsort(s->count, s->n, sizeof(*s->count), by_id);
	for (size_t i = 0; i < s->n; i++) {
		if (n > 0 && strcmp(s->count[n - 1].id, s->count[i].id) == 0) {
			s->count[n - 1].packets += s->count[i].packets;
			s->count[n - 1].bytes += s->count[i].bytes;
		} else {
			s->count[n++] = s->count[i];
		}
	}
	s->rules = s->n;
	s->n = n;
}

static void
read_item(const json_t *item, struct nft_state *out)
{
	const json_t *table = json_object_get(item, "table");
	const json_t *counter = json_object_get(item, "counter");
	const json_t *set = json_object_get(item, "set");
	const json_t *rule = json_object_get(item, "rule");
	const char *name = json_string_value(json_object_get(table, "name"));

	if (name != NULL && strcmp(name, NFT_TABLE) == 0)
		out->present = true;
	if (ours(counter))
		read_mark(counter, out);
	if (ours(set))
		read_trial(set, out);
	if (ours(rule)) {
		read_count(rule, &out->count[out->n]);
		out->n += out->count[out->n].id[0] != '\0';
	}
}

int
nft_state_read(const char *json, size_t len, struct nft_state *out)
{
	json_t *root = json_loadb(json, len, 0, NULL);
	const json_t *list = json_object_get(root, "nftables"), *item;
	struct nft_state s = {.present = false};
	size_t i;

	if (!json_is_array(list)) {
		json_decref(root);
		return -EBADMSG;
	}
	s.count = calloc(json_array_size(list) + 1, sizeof(*s.count));
	if (s.count == NULL) {
		json_decref(root);
		return -ENOMEM;
	}
	json_array_foreach(list, i, item)
	{
		read_item(item, &s);
	}
	json_decref(root);
	join(&s);
	*out = s;
	return 0;
}

void
nft_state_done(struct nft_state *s)
{
	free(s->count);
	*s = (struct nft_state){.present = false};
}

const struct nft_count *
nft_state_count(const struct nft_state *s, const char *id)
{
	struct nft_count key = {.packets = 0};

	if (s->n == 0)
		return NULL;
	copy(key.id, sizeof(key.id), id);
	return bsearch(&key, s->count, s->n, sizeof(key), by_id);
}
