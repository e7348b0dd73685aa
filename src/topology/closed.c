/* SPDX-License-Identifier: Apache-2.0 */
/*
 * closed.c - services behind the gateways and the firewall that nobody outside reaches,
 * whatever works: a row of `allow` that was forgotten, rows of `deny` that leave
 * nothing of it, a route that leads elsewhere. Who passes is found out by the
 * firewall's own rules (firewall/passage.h).
 */
#include "topology/causes.h"

/* A row of deny takes what a row of allow gives. */
static void
advise_deny(struct drafts *d, const struct passage *p, const char *where)
{
	const struct cause cause = {.code = N311,
	    .place = p->deny,
	    .width = 1,
	    .reason = draft_text(d,
		"%s reaches %s: rows of deny, this one among them, "
		"refuse %s whom allow lets in",
		p->who == PASSAGE_INSIDE ? "only who is in this file" : "nobody", where,
		p->undenied == PASSAGE_OUTSIDE ? "everybody outside" : "everybody"),
	    .change = "narrow that row, since deny goes before allow"};

	(void)draft_add(d, &cause, FINDING_WARNING);
}

/* What the firewall says to clients of `p`: nothing if those outside may pass. */
static void
advise_rows(struct drafts *d, const struct passage *p, const struct network *net)
{
	const struct network *outside = d->t->cluster->firewall.outside;
	const struct service *s = p->service;
	const struct spot spot = {s->place, s->name};
	const char *where = draft_text(
	    d, "%s on %s, port %u", s->name, net->name, p->listener->at.port);
	bool some = p->who == PASSAGE_INSIDE;

	if (p->who == PASSAGE_OUTSIDE)
		return;
	if (p->undenied > p->who) {
		advise_deny(d, p, where);
		return;
	}
	draft_say(d, some ? FINDING_NOTE : FINDING_WARNING, N311, spot,
	    draft_text(d,
		"%s beyond the firewall reaches %s: no row of allow lets %s in",
		some ? "only who is in this file" : "nobody", where,
		some ? "the outside" : "anybody"),
	    draft_text(d, "add {from: %s, to: %s} to allow, if clients come from there",
		outside != NULL ? outside->name : "any", s->name));
}

static const struct network *
network_at(const struct listener *l)
{
	if (l->floating_ip != NULL)
		return l->floating_ip->network;
	for (size_t i = 0; l->host != NULL && i < l->host->n_addresses; i++) {
		if (ip_equal(&l->host->address[i].ip, &l->at.ip))
			return l->host->address[i].network;
	}
	return NULL;
}

/* The gateways have no route to `net`, on which none of them is. */
static bool
no_route(const struct cluster *c, const struct network *net)
{
	const struct gateways *gw = &c->gateways;

	if (gw->n_hosts == 0 || host_address_on(gw->host[0], net) != NULL)
		return false;
	for (size_t i = 0; i < gw->n_routes; i++) {
		if (topology_route_leads(&gw->route[i], net))
			return false;
	}
	return true;
}

static void
advise_route(struct drafts *d, const struct service *s, const struct network *net)
{
	const struct spot spot = {s->place, s->name};

	if (no_route(d->t->cluster, net))
		draft_say(d, FINDING_WARNING, N311, spot,
		    draft_text(d,
			"%s: the gateways have no route to %s, which is behind the "
			"firewall",
			s->name, net->name),
		    draft_text(d, "add %s to \"routes\" of the gateways", net->name));
}

void
advise_closed(struct drafts *d)
{
	for (size_t i = 0; i < d->in->n_passages; i++) {
		const struct passage *p = &d->in->passage[i];
		const struct network *net = network_at(p->listener);

		if (net == NULL || !topology_behind_firewall(d->t->cluster, net))
			continue;
		advise_rows(d, p, net);
		advise_route(d, p->service, net);
	}
}
