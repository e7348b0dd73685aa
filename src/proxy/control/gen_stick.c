/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/control/gen_stick.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/log.h"

static void
complain(struct gen *g, struct gen_service *gs, const char *why)
{
	const char *copy = arena_strndup(g->memory, why, strlen(why));

	log_event(LOG_WARN, "sticky", "service=%s warning=\"%s\"", gs->conf->name, why);
	if (copy != NULL)
		gs->stick_why = copy;
}

static bool
read_secret(struct gen *g, struct gen_service *gs, const struct tls_source *files)
{
	const char *path = gs->conf->balancing.sticky_secret;
	char why[TLS_WHY_LEN];
	struct tls_bytes b;
	bool fits;

	if (tls_bytes_read(&b, files, path, why) != 0) {
		complain(g, gs, why);
		return false;
	}
	fits = b.len >= STICK_SECRET_MIN && b.len <= STICK_SECRET_MAX;
	if (fits)
		gs->stick_key =
		    sticky_derive(g->cluster->name, gs->conf->name, b.p, b.len);
	else
		(void)snprintf(why, sizeof(why), "%.120s: must have %zu to %zu bytes",
		    path, STICK_SECRET_MIN, STICK_SECRET_MAX);
	if (fits && b.open_to_all)
		(void)snprintf(why, sizeof(why),
		    "%.120s: everybody on this host may read it: chmod 600", path);
	if (!fits || b.open_to_all)
		complain(g, gs, why);
	tls_bytes_done(&b);
	return fits;
}

void
gen_stick_build(struct gen *g, struct gen_service *gs, const struct gen_service *old,
    const struct tls_source *files)
{
	const struct balance_conf *conf = &gs->conf->balancing;
	bool kept =
	    old != NULL && old->here && old->conf->balancing.sticky_secret != NULL;

	gs->stick_why = "";
	gs->stick_key = sticky_derive(g->cluster->name, gs->conf->name, "", 0);
	if (conf->sticky_secret == NULL)
		return;
	if (files != NULL && read_secret(g, gs, files))
		return;
	if (kept)
		gs->stick_key = old->stick_key;
	if (kept && files == NULL && old->stick_why[0] != '\0')
		gs->stick_why =
		    arena_strndup(g->memory, old->stick_why, strlen(old->stick_why));
	if (gs->stick_why == NULL)
		gs->stick_why = "";
}

void
gen_stick_fact(const struct gen_service *gs, char text[static STICK_FACT_LEN])
{
	text[0] = '\0';
	if (gs->stick_why[0] != '\0')
		(void)snprintf(text, STICK_FACT_LEN, "warn %s", gs->stick_why);
}
