/* SPDX-License-Identifier: Apache-2.0 */
#include "part/heard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

struct heard *
heard_find(const struct list *facts, const char *key)
{
	HEARD_EACH(h, facts)
	{
		if (strcmp(h->key, key) == 0)
			return h;
	}
	return NULL;
}

const char *
heard_value(const struct list *facts, const char *key)
{
	const struct heard *h = heard_find(facts, key);

	return h != NULL ? h->value : "";
}

struct heard *
heard_note(struct list *facts, const char *key, const char *value)
{
	struct heard *h = heard_find(facts, key);

	if (h == NULL) {
		h = calloc(1, sizeof(*h));
		if (h == NULL) {
			log_event(LOG_ERR, "no_memory", "fact=\"%s\"", key);
			return NULL;
		}
		(void)snprintf(h->key, sizeof(h->key), "%s", key);
		list_append(facts, &h->link);
	}
	(void)snprintf(h->value, sizeof(h->value), "%s", value);
	return h;
}

void
heard_drop(struct heard *h)
{
	list_remove(&h->link);
	free(h);
}

void
heard_clear(struct list *facts)
{
	HEARD_EACH(h, facts)
	heard_drop(h);
}
