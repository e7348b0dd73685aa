/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/control/gen_coded.h"

#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "proxy/request/coding.h"
#include "proxy/request/route.h"
#include "proxy/request/squeeze.h"

struct coder {
	struct gen *g;
	const struct compression_conf *conf;
	struct squeeze_pool pool;
	size_t left; /* of the budget */
};

/* Fields of the route that would not be true of other bytes, or that say it all. */
static bool
forbids(const struct pairs *put)
{
	static const char *const field[] = {"content-type", "content-encoding",
	    "cache-control", "etag", "vary", "content-md5", "digest", "content-digest",
	    "repr-digest"};

	for (size_t i = 0; i < put->n; i++) {
		for (size_t k = 0; k < ARRAY_LEN(field); k++) {
			if (strcasecmp(put->pair[i].name, field[k]) == 0)
				return true;
		}
	}
	return false;
}

static bool
fits(const struct compression_conf *conf, const struct route *r,
    const struct route_text *page)
{
	return conf->on && page->p != NULL && page->len >= conf->minimum &&
	       r->answer.status >= 200 && coding_type_fits(conf, r->answer.type) &&
	       !forbids(&r->to_client.put);
}

/* True if all of it fits into `io`. */
static bool
squeeze_all(struct squeeze *s, struct squeeze_io *io)
{
	return squeeze_run(s, SQUEEZE_MORE, io) == 1 && io->in_len == 0 &&
	       squeeze_run(s, SQUEEZE_END, io) == 1;
}

/* Nothing where it would not be smaller. */
static void
encode(struct coder *k, enum coding coding, const struct route_text *page,
    struct route_text *out)
{
	struct squeeze *s = squeeze_get(&k->pool, coding, k->conf->level);
	char *room = arena_array(k->g->memory, 1, page->len);
	struct squeeze_io io = {
	    .in = page->p, .in_len = page->len, .out = room, .out_len = page->len - 1};

	if (s != NULL && room != NULL && squeeze_all(s, &io))
		*out = (struct route_text){room, (size_t)(io.out - room)};
	squeeze_put(&k->pool, s);
}

/* The same text, by the same rules, in the generation before; or NULL. */
static const struct route_codes *
old_codes(const struct gen_service *old, const struct compression_conf *conf,
    const struct route_text *page)
{
	if (old == NULL || old->page == NULL || old->codes == NULL ||
	    !old->conf->compression.on || old->conf->compression.level != conf->level)
		return NULL;
	for (size_t i = 0; i < old->conf->n_routes; i++) {
		const struct route_text *was = &old->page[i];

		if (old->codes[i].any && was->p != NULL && was->len == page->len &&
		    memcmp(was->p, page->p, page->len) == 0)
			return &old->codes[i];
	}
	return NULL;
}

static void
take_over(struct coder *k, const struct route_text *was, struct route_text *out)
{
	char *copy;

	if (was->p == NULL)
		return;
	copy = arena_array(k->g->memory, 1, was->len + 1);
	if (copy == NULL)
		return;
	memcpy(copy, was->p, was->len);
	*out = (struct route_text){copy, was->len};
}

static void
build(struct coder *k, const struct gen_service *old, const struct route_text *page,
    struct route_codes *codes)
{
	const struct route_codes *was = old_codes(old, k->conf, page);

	for (unsigned i = 0; i < k->conf->n_codings; i++) {
		enum coding coding = k->conf->order[i];
		struct route_text *out = &codes->text[coding];

		if (was != NULL)
			take_over(k, &was->text[coding], out);
		if (out->p == NULL && page->len <= k->left) {
			k->left -= page->len;
			encode(k, coding, page, out);
		}
		codes->any = codes->any || out->p != NULL;
	}
}

void
gen_coded_build(struct gen *g, struct gen_service *gs, const struct gen_service *old)
{
	struct coder k = {.g = g, .conf = &gs->conf->compression, .left = CODED_BUDGET};

	if (gs->page == NULL)
		return;
	gs->codes = arena_array(g->memory, gs->conf->n_routes + 1, sizeof(*gs->codes));
	for (size_t i = 0; gs->codes != NULL && i < gs->conf->n_routes; i++) {
		if (fits(k.conf, &gs->conf->route[i], &gs->page[i]))
			build(&k, old, &gs->page[i], &gs->codes[i]);
	}
	squeeze_pool_done(&k.pool);
}
