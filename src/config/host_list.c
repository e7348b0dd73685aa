/* SPDX-License-Identifier: Apache-2.0 */
#include "config/host_list.h"

#include <string.h>

bool
host_list_has(const struct host *const *host, size_t n, const struct host *h)
{
	for (size_t i = 0; i < n; i++) {
		if (host[i] == h)
			return true;
	}
	return false;
}

const struct host *
host_list_not_on(const struct host *const *host, size_t n, const struct network *net)
{
	for (size_t i = 0; i < n; i++) {
		if (host_address_on(host[i], net) == NULL)
			return host[i];
	}
	return NULL;
}

const struct network *
host_list_network(const struct host *const *host, size_t n)
{
	const struct network *found = NULL;

	for (size_t i = 0; n > 0 && i < host[0]->n_addresses; i++) {
		const struct network *net = host[0]->address[i].network;

		if (net == NULL || host_list_not_on(host, n, net) != NULL)
			continue;
		if (net->dedicated)
			return net;
		if (found == NULL)
			found = net;
	}
	return found;
}

static void
keep(const struct key *k, void *base, const struct host *const *host, size_t n)
{
	memcpy((char *)base + k->offset, &host, sizeof(host));
	memcpy((char *)base + k->hosts->count, &n, sizeof(n));
}

void
host_list_read(
    struct reader *r, const struct key *k, const struct yaml *node, void *base)
{
	const struct hosts_rule *rule = k->hosts;
	const struct host **host;
	size_t n, kept = 0;
	const struct yaml *item = yaml_items(node, &n);

	if (n > rule->max || (k->required && (n == 0 || node->kind == YAML_EMPTY))) {
		(void)reader_error(r, node, "out-of-range", "%s 1 to %zu %s",
		    rule->one_to, rule->max, rule->what);
		return;
	}
	host = arena_array(r->arena, n, sizeof(*host));
	if (host == NULL)
		return;
	for (size_t i = 0; i < n; i++, item = item->next) {
		const struct host *h = look_up(r, item, NAME_HOST);

		if (h == NULL)
			continue;
		if (host_list_has(host, kept, h)) {
			(void)reader_error(r, item, "duplicate-host",
			    "host \"%s\" is listed twice", h->name);
			continue;
		}
		host[kept++] = h;
		if (rule->look != NULL)
			rule->look(r, item, h, base);
	}
	keep(k, base, host, kept);
	if (n == 1 && rule->lonely != NULL)
		diag_hint(reader_warning(r, node, "one-host", "there is only one host"),
		    "%s", rule->lonely);
}

void
host_list_write(const struct key *k, const void *base, struct sbuf *out)
{
	const struct host *const *host;
	size_t n;

	memcpy(&host, (const char *)base + k->offset, sizeof(host));
	memcpy(&n, (const char *)base + k->hosts->count, sizeof(n));
	for (size_t i = 0; i < n; i++)
		sbuf_printf(out, "%s%s", i > 0 ? ", " : "[", host[i]->name);
	if (n > 0)
		sbuf_puts(out, "]");
}
