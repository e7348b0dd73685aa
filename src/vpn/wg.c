/* SPDX-License-Identifier: Apache-2.0 */
#include "vpn/wg.h"

#include <string.h>

static const struct wg_peer *
find_state(const struct wg_state *s, const uint8_t *key)
{
	for (size_t i = 0; i < s->n_peers; i++) {
		if (memcmp(s->peer[i].key, key, VPN_KEY_LEN) == 0)
			return &s->peer[i];
	}
	return NULL;
}

static bool
is_wished(const struct wg_wish *w, const uint8_t *key)
{
	for (size_t i = 0; i < w->n_peers; i++) {
		if (memcmp(w->peer[i].key, key, VPN_KEY_LEN) == 0)
			return true;
	}
	return false;
}

static struct wg_peer_change *
add(struct wg_change *out, const uint8_t *key)
{
	struct wg_peer_change *c = &out->peer[out->n_peers++];

	ASSERT(out->n_peers <= out->room);
	*c = (struct wg_peer_change){.keepalive_s = WG_KEEPALIVE_STAYS};
	memcpy(c->key, key, VPN_KEY_LEN);
	return c;
}

static bool
has_address(const struct wg_peer *p, const struct ip *ip)
{
	return p->n_allowed == 1 && ip_equal(&p->allowed.ip, ip) &&
	       p->allowed.bits == ip_len(ip) * 8;
}

void
wg_compare(
    const struct wg_state *state, const struct wg_wish *wish, struct wg_change *out)
{
	out->set_key = memcmp(state->key, wish->key, VPN_KEY_LEN) != 0;
	memcpy(out->key, wish->key, VPN_KEY_LEN);
	out->set_port = state->port != wish->port;
	out->port = wish->port;
	out->set_mark = state->mark != wish->mark;
	out->mark = wish->mark;
	out->n_peers = 0;
	/* Who leaves goes first: an address may pass to another. */
	for (size_t i = 0; i < state->n_peers; i++) {
		if (!is_wished(wish, state->peer[i].key))
			add(out, state->peer[i].key)->remove = true;
	}
	for (size_t i = 0; i < wish->n_peers; i++) {
		const struct vpn_peer *p = &wish->peer[i];
		const struct wg_peer *now = find_state(state, p->key);
		struct wg_peer_change *c;

		if (now != NULL && has_address(now, &p->address))
			continue;
		c = add(out, p->key);
		c->set_allowed = true;
		c->allowed = p->address;
	}
}
