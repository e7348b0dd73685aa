/* SPDX-License-Identifier: Apache-2.0 */
/*
 * section_console.c - `console`: where people see the cluster.
 */
#include "config/host_list.h"
#include "config/listen_at.h"
#include "config/reader.h"
#include "config/sections.h"
#include "config/survive.h"

#define HOSTS_MAX 16

/* ---- listen, on ---------------------------------------------------------------- */

static void
read_listen(struct reader *r, const struct yaml *node, void *base)
{
	struct console *c = base;
	struct listen_at t;

	if (listen_at_read(r, node, &t) &&
	    listen_at_claim_all(r, node, &t, "the", "console"))
		c->listen = t;
}

static void
write_listen(const void *base, struct sbuf *out)
{
	const struct console *c = base;

	listen_at_write(&c->listen, out);
}

static const struct form listen_form = {
    .read = read_listen,
    .write = write_listen,
    .schema = LISTEN_AT_SCHEMA,
    .syntax = LISTEN_AT_SYNTAX,
};

/* Those that may have the address. */
static const struct host *const *
listeners(const struct listen_at *t, size_t *n)
{
	*n = 0;
	if (t->fip != NULL) {
		*n = t->fip->n_hosts;
		return t->fip->host;
	}
	*n = t->host != NULL;
	return &t->host;
}

static const struct hosts_rule on_rule = {
    .count = offsetof(struct console, n_hosts),
    .max = HOSTS_MAX,
    .one_to = "a console has",
    .what = "hosts",
};

static void
derive_on(const void *base, struct sbuf *out)
{
	const struct console *c = base;
	size_t n;
	const struct host *const *host = listeners(&c->listen, &n);

	for (size_t i = 0; i < n; i++)
		sbuf_printf(out, "%s%s", i > 0 ? ", " : "[", host[i]->name);
	sbuf_puts(out, n > 0 ? "]" : "");
}

static void
read_survive(struct reader *r, const struct yaml *node, void *base)
{
	struct console *c = base;

	c->must_survive = survive_read(r, node);
}

static void
write_survive(const void *base, struct sbuf *out)
{
	const struct console *c = base;

	survive_write(c->must_survive, out);
}

static const struct form survive_form = {
    .read = read_survive,
    .write = write_survive,
    .schema = SURVIVE_SCHEMA,
    .syntax = SURVIVE_SYNTAX,
};

static const struct key console_key[] = {
    {
	.name = "listen",
	.kind = VALUE_FORM,
	.required = true,
	.form = &listen_form,
	.doc = "A floating IP or a host, and a port.",
    },
    {
	.name = "on",
	.kind = VALUE_HOSTS,
	HOSTS_FIELD(struct console, host, &on_rule),
	.derived = derive_on,
	.derived_doc = "the hosts of `listen`",
	.doc = "The hosts that it runs on: those that may have its address.",
    },
    {
	.name = "must_survive",
	.kind = VALUE_FORM,
	.preset = "host",
	.form = &survive_form,
	.doc = "Single failures that must not end it, for `nines spof`.",
    },
};

/* Who has the address without the console answers nothing; who has the console without
 * the address is never asked. */
static void
check_hosts(struct reader *r, const struct yaml *node, const struct console *c)
{
	size_t n;
	const struct host *const *host = listeners(&c->listen, &n);
	const struct yaml *on = yaml_get(node, "on");
	const struct host *wrong = NULL;

	for (size_t i = 0; i < c->n_hosts; i++) {
		if (!host_list_has(host, n, c->host[i]))
			wrong = c->host[i];
	}
	for (size_t i = 0; i < n && wrong == NULL; i++) {
		if (!host_list_has(c->host, c->n_hosts, host[i]))
			wrong = host[i];
	}
	if (wrong == NULL)
		return;
	if (c->listen.fip == NULL)
		diag_hint(reader_error(r, on, "not-floating",
			      "the console listens at the address of host \"%s\", "
			      "which does not move",
			      c->listen.host->name),
		    "listen on a floating IP of the console's hosts");
	else
		diag_hint(reader_error(r, on, "console-hosts",
			      "the console and floating IP \"%s\" have different "
			      "hosts: \"%s\"",
			      c->listen.fip->name, wrong->name),
		    "list the same hosts for both, or leave out \"on\"");
}

static void
finish_console(struct reader *r, const struct yaml *node, void *base, uint64_t given)
{
	struct console *c = base;
	const struct yaml *on = yaml_get(node, "on");
	size_t listed = 0;

	(void)given;
	if (node->key != NULL)
		c->place = (struct place){node->key->line, node->key->column};
	if (on != NULL)
		(void)yaml_items(on, &listed);
	if (c->listen.fip == NULL && c->listen.host == NULL) /* which was reported */
		return;
	if (on == NULL)
		c->host = listeners(&c->listen, &c->n_hosts);
	else if (c->n_hosts == listed && listed > 0)
		check_hosts(r, node, c);
}

static const char *
console_absent(const void *base)
{
	const struct console *c = base;

	return c->n_hosts == 0 ? "" : NULL;
}

const struct section console_section = {
    .what = "console",
    .doc = "Where people see the cluster: for `nines spof`.",
    KEYS(console_key),
    .shorthand = "listen",
    .finish = finish_console,
    .absent = console_absent,
};
