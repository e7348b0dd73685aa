/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/control/gen_page.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "proxy/request/route.h"

/* The same file's text in the generation before; or NULL. */
static const struct route_text *
old_page(const struct gen_service *old, const char *path)
{
	for (size_t i = 0; old != NULL && old->page != NULL && i < old->conf->n_routes;
	     i++) {
		const char *was = old->conf->route[i].answer.body_file;

		if (was != NULL && strcmp(was, path) == 0 && old->page[i].p != NULL)
			return &old->page[i];
	}
	return NULL;
}

static void
keep(struct gen *g, struct route_text *page, const void *p, size_t len)
{
	char *copy = arena_array(g->memory, 1, len + 1);

	if (copy == NULL)
		return;
	memcpy(copy, p, len);
	*page = (struct route_text){copy, len};
}

static void
complain(struct gen *g, struct gen_service *gs, const char *why)
{
	const char *copy = arena_strndup(g->memory, why, strlen(why));

	log_event(LOG_WARN, "page", "service=%s warning=\"%s\"", gs->conf->name, why);
	gs->page_failed = true;
	if (copy != NULL)
		gs->page_why = copy;
}

static void
read_page(struct gen *g, struct gen_service *gs, struct route_text *page,
    const char *path, const struct tls_source *files)
{
	char why[TLS_WHY_LEN];
	struct tls_bytes b;

	if (tls_bytes_read(&b, files, path, why) != 0) {
		complain(g, gs, why);
		return;
	}
	if (b.len <= PAGE_MAX) {
		keep(g, page, b.p, b.len);
	} else {
		(void)snprintf(why, sizeof(why), "%.120s: has more than 1 MiB", path);
		complain(g, gs, why);
	}
	tls_bytes_done(&b);
}

void
gen_page_build(struct gen *g, struct gen_service *gs, const struct gen_service *old,
    const struct tls_source *files)
{
	const struct service *conf = gs->conf;

	gs->page_why =
	    files == NULL && old != NULL && old->page_failed
		? arena_strndup(g->memory, old->page_why, strlen(old->page_why))
		: "";
	gs->page_failed = gs->page_why != NULL && gs->page_why[0] != '\0';
	gs->page = arena_array(g->memory, conf->n_routes + 1, sizeof(*gs->page));
	for (size_t i = 0; gs->page != NULL && i < conf->n_routes; i++) {
		const char *path = conf->route[i].answer.body_file;
		const char *text = conf->route[i].answer.body;
		struct route_text *page = &gs->page[i];
		const struct route_text *was;

		if (text != NULL)
			*page = (struct route_text){text, strlen(text)};
		if (path == NULL)
			continue;
		if (files != NULL)
			read_page(g, gs, page, path, files);
		was = page->p == NULL ? old_page(old, path) : NULL;
		if (was != NULL)
			keep(g, page, was->p, was->len);
	}
}

void
gen_page_fact(const struct gen_service *gs, char text[static PAGE_FACT_LEN])
{
	text[0] = '\0';
	if (gs->page_failed)
		(void)snprintf(text, PAGE_FACT_LEN, "warn %s", gs->page_why);
}
