/* SPDX-License-Identifier: Apache-2.0 */
#include "config/service_list.h"

static void
take(struct reader *r, const struct yaml *item, const struct service **list, size_t *n)
{
	const struct service *s = look_up(r, item, NAME_SERVICE);

	if (s == NULL)
		return;
	for (size_t i = 0; i < *n; i++) {
		if (list[i] == s) {
			(void)reader_error(r, item, "duplicate-service",
			    "service \"%s\" is listed twice", s->name);
			return;
		}
	}
	list[(*n)++] = s;
}

const struct service *const *
service_list_read(struct reader *r, const struct yaml *node, size_t *n)
{
	size_t all;
	const struct yaml *item = yaml_items(node, &all);
	const struct service **list = arena_array(r->arena, all, sizeof(*list));

	*n = 0;
	for (size_t i = 0; i < all && list != NULL; i++, item = item->next)
		take(r, item, list, n);
	return list;
}

void
service_list_write(const struct service *const *service, size_t n, struct sbuf *out)
{
	for (size_t i = 0; i < n; i++)
		sbuf_printf(out, "%s%s", i > 0 ? ", " : "[", service[i]->name);
	sbuf_puts(out, n > 0 ? "]" : "");
}
