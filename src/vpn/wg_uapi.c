/* SPDX-License-Identifier: Apache-2.0 */
#include "vpn/wg_uapi.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/hex.h"

#define VALUE_MAX 128 /* of the values that we look at */
#define ERRNO_MAX 4095

/* ---- writing ------------------------------------------------------------------- */

static void
put_key(struct sbuf *out, const char *name, const uint8_t *key)
{
	sbuf_printf(out, "%s=", name);
	sbuf_hex(out, key, VPN_KEY_LEN);
	sbuf_puts(out, "\n");
}

static void
put_peer(struct sbuf *out, const struct wg_peer_change *p)
{
	char text[IP_ENDPOINT_LEN];

	put_key(out, "public_key", p->key);
	if (p->remove) {
		sbuf_puts(out, "remove=true\n");
		return;
	}
	if (!p->set_allowed) /* a peer that is gone meanwhile must not come back */
		sbuf_puts(out, "update_only=true\n");
	if (p->set_at)
		sbuf_printf(out, "endpoint=%s\n", ip_endpoint_format(&p->at, text));
	if (p->keepalive_s != WG_KEEPALIVE_STAYS)
		sbuf_printf(out, "persistent_keepalive_interval=%d\n", p->keepalive_s);
	if (p->set_allowed)
		sbuf_printf(out, "replace_allowed_ips=true\nallowed_ip=%s/%zu\n",
		    ip_format(&p->allowed, text), ip_len(&p->allowed) * 8);
}

void
wg_uapi_set(const struct wg_change *c, struct sbuf *out)
{
	sbuf_puts(out, "set=1\n");
	if (c->set_key)
		put_key(out, "private_key", c->key);
	if (c->set_port)
		sbuf_printf(out, "listen_port=%u\n", c->port);
	if (c->set_mark)
		sbuf_printf(out, "fwmark=%" PRIu32 "\n", c->mark);
	for (size_t i = 0; i < c->n_peers; i++)
		put_peer(out, &c->peer[i]);
	sbuf_puts(out, "\n");
}

/* ---- reading ------------------------------------------------------------------- */

struct line {
	const char *key;
	size_t key_len;
	char value[VALUE_MAX];
};

/* The next line, cut at the first '='; false at the end and at what is no line. */
static bool
next_line(const char **text, const char *end, struct line *l)
{
	const char *stop, *eq;
	size_t n;

	stop = *text < end ? memchr(*text, '\n', (size_t)(end - *text)) : NULL;
	if (stop == NULL || stop == *text)
		return false;
	eq = memchr(*text, '=', (size_t)(stop - *text));
	if (eq == NULL)
		return false;
	l->key = *text;
	l->key_len = (size_t)(eq - *text);
	n = (size_t)(stop - eq - 1);
	if (n >= sizeof(l->value)) /* none of those that we look at */
		n = 0;
	memcpy(l->value, eq + 1, n);
	l->value[n] = '\0';
	*text = stop + 1;
	return strlen(l->value) == n; /* no NUL within */
}

static bool
is(const struct line *l, const char *key)
{
	return strlen(key) == l->key_len && memcmp(l->key, key, l->key_len) == 0;
}

/* Digits alone, up to `max`. */
static bool
read_number(const char *s, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++) {
		unsigned digit = (unsigned)(unsigned char)*s - '0';

		if (digit > 9 || v > (max - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*out = v;
	return true;
}

static bool
read_key(const char *s, uint8_t key[static VPN_KEY_LEN])
{
	return strlen(s) == (size_t)2 * VPN_KEY_LEN && hex_bytes(s, key, VPN_KEY_LEN);
}

/* Keys of the interface itself. */
static bool
read_device(struct wg_state *s, const struct line *l)
{
	uint64_t v;

	if (is(l, "private_key"))
		return read_key(l->value, s->key);
	if (is(l, "listen_port")) {
		if (!read_number(l->value, UINT16_MAX, &v))
			return false;
		s->port = (uint16_t)v;
	} else if (is(l, "fwmark")) {
		if (!read_number(l->value, UINT32_MAX, &v))
			return false;
		s->mark = (uint32_t)v;
	}
	return true;
}

static bool
read_allowed(struct wg_peer *p, const char *value)
{
	struct ip_net net;

	if (ip_net_parse(&net, value) != 0)
		return false;
	if (p->n_allowed++ == 0)
		p->allowed = net;
	return true;
}

static bool
read_peer(struct wg_peer *p, const struct line *l)
{
	uint64_t v;

	if (is(l, "endpoint")) {
		/* One with a scope (link-local) means nothing to another host. */
		if (ip_endpoint_parse(&p->at, l->value) != 0)
			p->at = (struct ip_endpoint){0};
		return true;
	}
	if (is(l, "allowed_ip"))
		return read_allowed(p, l->value);
	if (is(l, "last_handshake_time_sec")) {
		if (!read_number(l->value, INT64_MAX, &v))
			return false;
		p->handshake_s = (int64_t)v;
	} else if (is(l, "rx_bytes")) {
		return read_number(l->value, UINT64_MAX, &p->received);
	} else if (is(l, "tx_bytes")) {
		return read_number(l->value, UINT64_MAX, &p->sent);
	} else if (is(l, "persistent_keepalive_interval")) {
		if (!read_number(l->value, UINT16_MAX, &v))
			return false;
		p->keepalive_s = (unsigned)v;
	}
	return true;
}

static int
read_errno(const struct line *l)
{
	const char *digits = l->value[0] == '-' ? l->value + 1 : l->value;
	uint64_t v;

	if (!read_number(digits, ERRNO_MAX, &v))
		return -EBADMSG;
	return -(int)v;
}

bool
wg_uapi_whole(const char *text, size_t len)
{
	return len >= 2 && text[len - 1] == '\n' && text[len - 2] == '\n';
}

int
wg_uapi_state(struct wg_state *s, const char *text, size_t len)
{
	const char *end = text + len;
	struct wg_peer *peer = NULL;
	struct line l = {.key_len = 0};

	memset(s->key, 0, sizeof(s->key));
	s->port = 0;
	s->mark = 0;
	s->n_peers = 0;
	while (next_line(&text, end, &l)) {
		if (is(&l, "errno"))
			return read_errno(&l);
		if (is(&l, "public_key")) {
			if (s->n_peers == s->room)
				return -E2BIG;
			peer = &s->peer[s->n_peers++];
			*peer = (struct wg_peer){0};
			if (!read_key(l.value, peer->key))
				return -EBADMSG;
		} else if (peer != NULL ? !read_peer(peer, &l) : !read_device(s, &l)) {
			return -EBADMSG;
		}
	}
	return -EBADMSG;
}

int
wg_uapi_result(const char *text, size_t len)
{
	const char *end = text + len;
	struct line l = {.key_len = 0};

	while (next_line(&text, end, &l)) {
		if (is(&l, "errno"))
			return read_errno(&l);
	}
	return -EBADMSG;
}
