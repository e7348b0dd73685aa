/* SPDX-License-Identifier: Apache-2.0 */
#include "config/replicated.h"

#include "config/host_list.h"
#include "config/sections.h"
#include "config/service_list.h"
#include "config/survive.h"

/* ---- over ---------------------------------------------------------------------- */

static void
read_over(struct reader *r, const struct yaml *node, void *base)
{
	struct replicated *d = base;

	d->over = look_up(r, node, NAME_NETWORK);
}

static void
write_over(const void *base, struct sbuf *out)
{
	const struct replicated *d = base;

	if (d->over != NULL)
		sbuf_puts(out, d->over->name);
}

void
replicated_derive_over(const void *base, struct sbuf *out)
{
	const struct replicated *d = base;
	const struct network *net = host_list_network(d->host, d->n_hosts);

	if (net != NULL)
		sbuf_puts(out, net->name);
}

const struct form replicated_over_form = {
    .read = read_over,
    .write = write_over,
    .schema = "{\"$ref\":\"#/$defs/name\"}",
    .syntax = "NETWORK",
};

/* True if a mistake reported elsewhere keeps us from knowing where they are. */
static bool
unclear(const struct reader *r, const struct replicated *d)
{
	for (size_t i = 0; i < d->n_hosts; i++) {
		if (host_unclear(d->host[i]))
			return true;
	}
	return d->n_hosts == 0 || !networks_clear(r);
}

void
replicated_finish(
    struct reader *r, const struct yaml *node, const char *what, struct replicated *d)
{
	const struct yaml *at = yaml_get(node, "over");
	const struct host *h;

	if (at == NULL) {
		d->over = host_list_network(d->host, d->n_hosts);
		if (d->over == NULL && !unclear(r, d))
			diag_hint(reader_error(r, node->key, "no-shared-network",
				      "the hosts of %s \"%s\" are on no common network",
				      what, d->name),
			    "give each of them an address on one network");
		return;
	}
	if (d->over == NULL || unclear(r, d)) /* which was reported */
		return;
	h = host_list_not_on(d->host, d->n_hosts, d->over);
	if (h != NULL)
		(void)reader_error(r, at, "host-not-on-network",
		    "host \"%s\" has no address on network \"%s\"", h->name,
		    d->over->name);
}

/* ---- needed_by ----------------------------------------------------------------- */

static void
read_needed_by(struct reader *r, const struct yaml *node, void *base)
{
	struct replicated *d = base;

	d->service = service_list_read(r, node, &d->n_services);
}

static void
write_needed_by(const void *base, struct sbuf *out)
{
	const struct replicated *d = base;

	service_list_write(d->service, d->n_services, out);
}

const struct form replicated_needed_by_form = {
    .read = read_needed_by,
    .write = write_needed_by,
    .schema = SERVICE_LIST_SCHEMA,
    .syntax = SERVICE_LIST_SYNTAX,
};

/* ---- must_survive -------------------------------------------------------------- */

static void
read_survive(struct reader *r, const struct yaml *node, void *base)
{
	struct replicated *d = base;

	d->must_survive = survive_read(r, node);
}

static void
write_survive(const void *base, struct sbuf *out)
{
	const struct replicated *d = base;

	survive_write(d->must_survive, out);
}

const struct form replicated_survive_form = {
    .read = read_survive,
    .write = write_survive,
    .schema = SURVIVE_SCHEMA,
    .syntax = SURVIVE_SYNTAX,
};
