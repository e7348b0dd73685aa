/* SPDX-License-Identifier: Apache-2.0 */
#include "config/host_list.h"

bool
host_list_has(const struct host *const *host, size_t n, const struct host *h)
{
	for (size_t i = 0; i < n; i++) {
		if (host[i] == h)
			return true;
	}
	return false;
}

size_t
host_list_read(struct reader *r, const struct yaml *node,
    const struct host_list_rule *rule, const void *base, struct host_list *list)
{
	size_t n;
	const struct yaml *item = yaml_items(node, &n);
	const struct host **host;

	*list = (struct host_list){0};
	if (n > rule->max ||
	    (!rule->may_be_empty && (n == 0 || node->kind == YAML_EMPTY))) {
		(void)reader_error(r, node, "out-of-range", "%s 1 to %zu %s",
		    rule->one_to, rule->max, rule->what);
		return 0;
	}
	host = arena_array(r->arena, n, sizeof(*host));
	if (host == NULL)
		return 0;
	list->host = host;
	for (size_t i = 0; i < n; i++, item = item->next) {
		const struct host *h = look_up(r, item, NAME_HOST);

		if (h == NULL)
			continue;
		if (host_list_has(host, list->n, h)) {
			(void)reader_error(r, item, "duplicate-host",
			    "host \"%s\" is listed twice", h->name);
			continue;
		}
		host[list->n++] = h;
		if (rule->look != NULL)
			rule->look(r, item, h, base);
	}
	return n;
}

void
host_list_write(const struct host *const *host, size_t n, struct sbuf *out)
{
	for (size_t i = 0; i < n; i++)
		sbuf_printf(out, "%s%s", i > 0 ? ", " : "[", host[i]->name);
	if (n > 0)
		sbuf_puts(out, "]");
}
