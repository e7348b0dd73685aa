/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/control/gen_tls.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/log.h"
#include "proxy/tls/tls_peer.h"
#include "proxy/tls/tls_site.h"

static void
complain(struct gen *g, struct gen_service *gs, bool failed, const char *why)
{
	const char *copy = arena_strndup(g->memory, why, strlen(why));

	log_event(failed ? LOG_ERR : LOG_WARN, "tls", "service=%s %s=\"%s\"",
	    gs->conf->name, failed ? "error" : "warning", why);
	gs->tls_failed = gs->tls_failed || failed;
	if (copy != NULL)
		gs->tls_why = copy;
}

static void
take_over(struct gen_service *gs, const struct gen_service *old)
{
	if (gs->tls == NULL && gs->conf->tls.mode == TLS_TERMINATE)
		gs->tls = tls_site_ref(old->tls);
	if (gs->server_tls == NULL && gs->conf->server_tls.on)
		gs->server_tls = tls_peer_ref(old->server_tls);
}

/* Nothing was read this time: what was wrong still is. */
static void
stay_wrong(struct gen *g, struct gen_service *gs, const struct gen_service *old)
{
	const char *why = arena_strndup(g->memory, old->tls_why, strlen(old->tls_why));

	gs->tls_failed = old->tls_failed;
	if (why != NULL)
		gs->tls_why = why;
}

void
gen_tls_build(struct gen *g, struct gen_service *gs, const struct gen_service *old,
    const struct tls_source *files)
{
	const struct service *conf = gs->conf;
	char why[TLS_WHY_LEN];

	gs->tls_why = "";
	if (files != NULL && conf->tls.mode == TLS_TERMINATE) {
		int r = tls_site_new(&gs->tls, conf, files, why);

		if (why[0] != '\0')
			complain(g, gs, r != 0, why);
	}
	if (files != NULL && conf->server_tls.on &&
	    tls_peer_new(&gs->server_tls, conf, files, why) != 0)
		complain(g, gs, true, why);
	if (old != NULL && old->here && files == NULL)
		stay_wrong(g, gs, old);
	if (old != NULL && old->here)
		take_over(gs, old);
}

void
gen_tls_free(struct gen_service *gs)
{
	tls_site_unref(gs->tls);
	tls_peer_unref(gs->server_tls);
}

/* RFC 5280 section 4.1.2.5: dates are of UTC. */
static void
tell_good(const struct gen_service *gs, char text[static TLS_FACT_LEN])
{
	time_t end = gs->tls != NULL ? (time_t)tls_site_expires(gs->tls) : 0;
	struct tm tm;

	if (end == 0 || gmtime_r(&end, &tm) == NULL ||
	    strftime(text, TLS_FACT_LEN, "ok until %Y-%m-%d", &tm) == 0)
		(void)snprintf(text, TLS_FACT_LEN, "ok");
}

void
gen_tls_fact(const struct gen_service *gs, char text[static TLS_FACT_LEN])
{
	bool clients = gs->conf->tls.mode == TLS_TERMINATE;
	bool servers = gs->conf->server_tls.on;
	bool missing =
	    (clients && gs->tls == NULL) || (servers && gs->server_tls == NULL);

	if (!clients && !servers)
		text[0] = '\0';
	else if (gs->tls_why[0] == '\0' && !missing)
		tell_good(gs, text);
	else
		(void)snprintf(text, TLS_FACT_LEN, "%s %s",
		    missing	     ? "down"
		    : gs->tls_failed ? "warn"
				     : "note",
		    gs->tls_why);
}
