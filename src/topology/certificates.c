/* SPDX-License-Identifier: Apache-2.0 */
/*
 * certificates.c - certificates as things that fail: by ending before somebody has
 * thought of the next one.
 *
 * A service needs every certificate that it shows, since each is for names of its own
 * or for clients of its own; that another one is still good helps nobody who is shown
 * this one. Likewise the authorities without which clients or servers are refused. What
 * several services name is one thing, and ends all of them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/cluster_files.h"
#include "topology/build.h"
#include "topology/causes.h"

#define PREFIX	    "certificate "
#define NAME_LEN    (sizeof(PREFIX) + CLUSTER_PATH_MAX)
#define NAMES_SHOWN 4

/* One file that a service names. */
struct use {
	const char *file;
	enum tls_renewal renewal;
};

/* File `i` of `s`; false after the last. */
static bool
use_at(const struct service *s, size_t i, struct use *use)
{
	const struct tls_conf *tls = &s->tls;
	const struct server_tls_conf *server = &s->server_tls;
	bool clients = tls->mode == TLS_TERMINATE,
	     refused = clients && tls->client_verify == CLIENT_VERIFY_REQUIRED;
	const struct use authority[] = {{refused ? tls->client_ca : NULL, tls->renewal},
	    {server->ca, server->renewal}};
	size_t n = clients ? tls->n_certificates : 0;

	if (i < n) {
		*use = (struct use){tls->certificate[i], tls->renewal};
		return true;
	}
	i -= n;
	for (size_t k = 0; k < ARRAY_LEN(authority); k++) {
		if (authority[k].file == NULL)
			continue;
		if (i == 0) {
			*use = authority[k];
			return true;
		}
		i--;
	}
	return false;
}

static bool
names(const struct service *s, const char *file)
{
	struct use use;

	for (size_t i = 0; use_at(s, i, &use); i++) {
		if (strcmp(use.file, file) == 0)
			return true;
	}
	return false;
}

/* ---- leaves -------------------------------------------------------------------- */

static int
by_file(const void *a, const void *b)
{
	const struct build_certificate *x = a, *y = b;

	return strcmp(x->file, y->file);
}

/* All files of all services, those that several name once. */
static void
collect(struct build *b)
{
	struct build_certificate *list;
	size_t n = 0;
	struct use use;

	for (size_t i = 0; i < b->c->n_services; i++) {
		for (size_t k = 0; use_at(&b->c->service[i], k, &use); k++)
			n++;
	}
	list = arena_array(b->t->arena, n + 1, sizeof(*list));
	if (list == NULL || n == 0)
		return;
	n = 0;
	for (size_t i = 0; i < b->c->n_services; i++) {
		for (size_t k = 0; use_at(&b->c->service[i], k, &use); k++)
			list[n++] = (struct build_certificate){.file = use.file,
			    .automatic = use.renewal == RENEWAL_AUTOMATIC};
	}
	qsort(list, n, sizeof(*list), by_file);
	b->certificate = list;
	b->n_certificates = 1;
	for (size_t i = 1; i < n; i++) {
		struct build_certificate *last = &list[b->n_certificates - 1];

		/* Who renews it for one renews it for all. */
		if (strcmp(list[i].file, last->file) == 0)
			last->automatic = last->automatic || list[i].automatic;
		else
			list[b->n_certificates++] = list[i];
	}
}

void
build_certificates(struct build *b)
{
	char name[NAME_LEN];

	collect(b);
	for (size_t i = 0; i < b->n_certificates; i++) {
		struct build_certificate *one = &b->certificate[i];

		one->node = GRAPH_NONE;
		if (one->automatic)
			continue;
		(void)snprintf(name, sizeof(name), PREFIX "%s", one->file);
		one->node = build_failure(b,
		    (struct failure){.kind = AVAIL_CERTIFICATE, .file = one->file},
		    name);
	}
}

void
build_push_certificates(struct build *b, const struct service *s)
{
	struct use use;

	for (size_t i = 0; b->n_certificates > 0 && use_at(s, i, &use); i++) {
		const struct build_certificate key = {.file = use.file},
					       *found = bsearch(&key, b->certificate,
						   b->n_certificates, sizeof(key),
						   by_file);

		if (found != NULL)
			graph_push(b->g, found->node);
	}
}

/* ---- why one is a single point of failure -------------------------------------- */

/* The services that `file` ends, "site, shop"; the first of them. */
static const struct service *
who_names(const struct cluster *c, const char *file, struct sbuf *all, size_t *n)
{
	const struct service *first = NULL;

	*n = 0;
	for (size_t i = 0; i < c->n_services; i++) {
		const struct service *s = &c->service[i];

		if (!names(s, file))
			continue;
		if (first == NULL)
			first = s;
		if (++*n <= NAMES_SHOWN)
			sbuf_printf(all, "%s%s", *n > 1 ? ", " : "", s->name);
	}
	if (*n > NAMES_SHOWN)
		sbuf_printf(all, " and %zu more", *n - NAMES_SHOWN);
	return first;
}

/* Those of one service are one finding, and those that the same services share. */
void
cause_of_certificate(struct drafts *d, const struct failure *f, struct cause *out)
{
	const struct service *first;
	struct sbuf all;
	size_t n;

	sbuf_init(&all, TOPOLOGY_MAX);
	first = who_names(d->t->cluster, f->file, &all, &n);
	ASSERT(first != NULL);
	out->code = N215;
	out->place = first->place;
	out->width = (unsigned)strlen(first->name);
	out->reason =
	    n > 1 ? draft_text(d,
			"it is renewed by hand, and shared: when nobody thinks of it, "
			"%s end at once, on every load balancer",
			sbuf_text(&all))
		  : "it is renewed by hand: when nobody thinks of it, it ends on every "
		    "load balancer at once";
	out->change = n > 1
			  ? "let a program renew it and say renewal: automatic beside "
			    "it, or give each service its own"
			  : "let a program renew it and say renewal: automatic "
			    "beside it";
	sbuf_done(&all);
}
