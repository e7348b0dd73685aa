/* SPDX-License-Identifier: Apache-2.0 */
/* What can be seen of the core from outside: how far it is, and whether it is sound. */
#include "sync/sync_core.h"

uint32_t
sync_told(const struct sync *s, unsigned peer)
{
	const struct sync_peer *p = &s->peer[peer];
	uint32_t open_ones = p->news.n;

	for (unsigned i = 0; i < p->flying; i++)
		open_ones += p->slot[(p->first + i) % SYNC_WINDOW].flows.n;
	if (!p->open || p->snapshot == 0)
		return 0;
	if (p->scan != 0) /* about: entries before `scan` were told */
		open_ones += (uint32_t)((uint64_t)s->table.live *
					(s->table.used - p->scan) / s->table.used);
	return s->table.live > open_ones ? s->table.live - open_ones : 0;
}

bool
sync_settled(const struct sync *s, unsigned peer)
{
	const struct sync_peer *p = &s->peer[peer];

	return !p->open || (p->news.n == 0 && p->flying == 0 && p->scan == 0);
}

bool
sync_bulk(const struct sync *s)
{
	bool bulk = s->sweep_snapshot != 0 || s->sweep_dump != 0;

	for (unsigned k = 0; k < SYNC_PEERS_MAX; k++) {
		const struct sync_peer *p = &s->peer[k];

		if (!p->open)
			continue;
		bulk |= p->scan != 0 || p->waiting > 0;
		bulk |= !s->acting && p->acting && !p->rx_end;
	}
	return bulk;
}

static bool
check_entry(const struct sync *s, const struct sync_entry *e)
{
	if (e->life == SYNC_FREE)
		return !sync_table_listed(e) && e->unconfirmed == 0;
	for (unsigned k = 0; k < SYNC_PEERS_MAX; k++) {
		if (!s->peer[k].open && e->link[1 + k].list != NULL)
			return false;
		if ((e->unconfirmed & 1U << k) != 0 && e->link[1 + k].list == NULL)
			return false;
	}
	return e->life == SYNC_LIVE || sync_table_listed(e) || s->dumping ||
	       s->sweep_dump != 0;
}

bool
sync_check(const struct sync *s)
{
	uint32_t waiting[SYNC_PEERS_MAX] = {0}, live = 0, dead = 0;

	for (uint32_t i = 1; i < s->table.used; i++) {
		const struct sync_entry *e = &s->table.entry[i];

		if (!check_entry(s, e))
			return false;
		live += e->life == SYNC_LIVE;
		dead += e->life == SYNC_DEAD;
		for (unsigned k = 0; k < SYNC_PEERS_MAX; k++)
			waiting[k] += e->unconfirmed >> k & 1U;
	}
	for (unsigned k = 0; k < SYNC_PEERS_MAX; k++) {
		if (waiting[k] != s->peer[k].waiting)
			return false;
	}
	return live == s->table.live && dead == s->table.dead;
}
