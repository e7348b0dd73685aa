/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/facts.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void
facts_init(struct facts *f)
{
	*f = (struct facts){.n = 0};
	list_init(&f->all);
}

static struct fact **
find(const struct facts *f, const char *key)
{
	struct fact *const *at;
	uint32_t h = 2166136261U; /* FNV-1a */

	for (const char *p = key; *p != '\0'; p++)
		h = (h ^ (unsigned char)*p) * 16777619U;
	at = &f->bucket[h % FACTS_BUCKETS];
	while (*at != NULL && strcmp((*at)->key, key) != 0)
		at = &(*at)->next;
	return (struct fact **)(uintptr_t)at;
}

static void
drop(struct facts *f, struct fact **at)
{
	struct fact *gone = *at;

	*at = gone->next;
	list_remove(&gone->node);
	free(gone);
	f->n--;
}

void
facts_done(struct facts *f)
{
	LIST_EACH(n, tmp, &f->all)
	free(CONTAINER(n, struct fact, node));
	facts_init(f);
}

static void
copy(char *dst, size_t size, const char *src)
{
	size_t len = strnlen(src, size - 1);

	memcpy(dst, src, len);
	dst[len] = '\0';
}

bool
facts_set(
    struct facts *f, mono_t now, const char *by, const char *key, const char *value)
{
	struct fact **at = find(f, key);

	if (*at == NULL) {
		if (value[0] == '\0' || f->n == FACTS_MAX)
			return false;
		*at = calloc(1, sizeof(**at));
		if (*at == NULL)
			return false;
		copy((*at)->key, sizeof((*at)->key), key);
		list_init(&(*at)->node);
		list_append(&f->all, &(*at)->node);
		f->n++;
	} else if (strcmp((*at)->value, value) == 0) {
		return false;
	}
	if (value[0] == '\0') {
		drop(f, at);
		return true;
	}
	copy((*at)->value, sizeof((*at)->value), value);
	(*at)->by = by;
	(*at)->since = now;
	return true;
}

const char *
facts_get(const struct facts *f, const char *key)
{
	const struct fact *fact = *find(f, key);

	return fact != NULL ? fact->value : "";
}
