/* SPDX-License-Identifier: Apache-2.0 */
/* vpn_test.c - WireGuard's two languages, what is changed, and the sealed messages. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <libmnl/libmnl.h>
#include <linux/genetlink.h>

#include "base/diag.h"
#include "parse.h"
#include "vpn/vpn_core.h"
#include "vpn/vpn_seal.h"
#include "vpn/vpn_shell.h"
#include "vpn/wg_genl.h"
#include "vpn/wg_uapi.h"

#define K1 "0101010101010101010101010101010101010101010101010101010101010101"
#define K2 "0202020202020202020202020202020202020202020202020202020202020202"

static struct ip
ip(const char *text)
{
	struct ip v;

	assert_int_equal(ip_parse(&v, text), 0);
	return v;
}

static struct ip_endpoint
endpoint(const char *text)
{
	struct ip_endpoint v;

	assert_int_equal(ip_endpoint_parse(&v, text), 0);
	return v;
}

/* ---- wg_uapi ------------------------------------------------------------------- */

static void
test_uapi_state(void **state)
{
	static const char text[] =
	    "private_key=" K2 "\nlisten_port=51820\nfwmark=77\n"
	    "public_key=" K1 "\npreshared_key=" K2 "\nprotocol_version=1\n"
	    "endpoint=[2001:db8::1]:4000\nlast_handshake_time_sec=1700000000\n"
	    "last_handshake_time_nsec=5\ntx_bytes=18446744073709551615\nrx_bytes=7\n"
	    "persistent_keepalive_interval=25\nallowed_ip=10.8.0.2/32\n"
	    "allowed_ip=10.9.0.0/16\n"
	    "public_key=" K2 "\nendpoint=[fe80::1%eth0]:9\nnew_thing=1\nerrno=0\n\n";
	struct wg_peer peer[2];
	struct wg_state s = {.peer = peer, .room = 2};
	const struct ip_endpoint at = endpoint("[2001:db8::1]:4000");

	(void)state;
	assert_true(wg_uapi_whole(text, sizeof(text) - 1));
	assert_false(wg_uapi_whole(text, sizeof(text) - 2));
	assert_int_equal(wg_uapi_state(&s, text, sizeof(text) - 1), 0);
	assert_int_equal(s.key[31], 2);
	assert_int_equal(s.port, 51820);
	assert_int_equal(s.mark, 77);
	assert_int_equal(s.n_peers, 2);
	assert_int_equal(peer[0].key[0], 1);
	assert_true(ip_equal(&peer[0].at.ip, &at.ip));
	assert_int_equal(peer[0].at.port, 4000);
	assert_int_equal(peer[0].handshake_s, 1700000000);
	assert_true(peer[0].sent == UINT64_MAX);
	assert_int_equal(peer[0].received, 7);
	assert_int_equal(peer[0].keepalive_s, 25);
	assert_int_equal(peer[0].n_allowed, 2);
	assert_int_equal(peer[0].allowed.bits, 32);
	assert_int_equal(peer[1].at.ip.family, 0); /* of no use elsewhere */
	s.room = 1;
	assert_int_equal(wg_uapi_state(&s, text, sizeof(text) - 1), -E2BIG);
}

static void
test_uapi_bad(void **state)
{
	static const struct {
		const char *text;
		int err;
	} rows[] = {
	    {"errno=0\n\n", 0},
	    {"errno=1\n\n", -1},
	    {"errno=-22\n\n", -22},
	    {"errno=5000\n\n", -EBADMSG},
	    {"errno=\n\n", -EBADMSG},
	    {"errno=x\n\n", -EBADMSG},
	    {"", -EBADMSG},
	    {"\n", -EBADMSG},
	    {"listen_port=1\n\n", -EBADMSG}, /* it breaks off */
	    {"listen_port=65536\nerrno=0\n\n", -EBADMSG},
	    {"listen_port=-1\nerrno=0\n\n", -EBADMSG},
	    {"listen_port= 1\nerrno=0\n\n", -EBADMSG},
	    {"fwmark=4294967296\nerrno=0\n\n", -EBADMSG},
	    {"fwmark=4294967295\nerrno=0\n\n", 0},
	    {"private_key=01\nerrno=0\n\n", -EBADMSG},
	    {"private_key=" K1 "0\nerrno=0\n\n", -EBADMSG},
	    {"public_key=zz" K1 "\nerrno=0\n\n", -EBADMSG},
	    {"public_key=" K1 "\nrx_bytes=18446744073709551616\nerrno=0\n\n", -EBADMSG},
	    {"public_key=" K1 "\nallowed_ip=10.0.0.1/8\nerrno=0\n\n", -EBADMSG},
	    {"public_key=" K1 "\npersistent_keepalive_interval=70000\nerrno=0\n\n",
		-EBADMSG},
	    {"no equals sign\nerrno=0\n\n", -EBADMSG},
	};
	struct wg_peer peer[1];
	struct wg_state s = {.peer = peer, .room = 1};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int err = wg_uapi_state(&s, rows[i].text, strlen(rows[i].text));

		if (err != rows[i].err)
			print_error("%s: %d\n", rows[i].text, err);
		assert_int_equal(err, rows[i].err);
	}
	assert_int_equal(wg_uapi_result("errno=0\n\n", 9), 0);
	assert_int_equal(wg_uapi_result("errno=19\n\n", 10), -19);
	assert_int_equal(wg_uapi_result("x=1\n\n", 5), -EBADMSG);
}

static void
fill_change(struct wg_change *c, struct wg_peer_change *p)
{
	memset(c, 0, sizeof(*c));
	memset(p, 0, 3 * sizeof(*p));
	*c = (struct wg_change){.set_key = true,
	    .set_port = true,
	    .set_mark = true,
	    .port = 51820,
	    .mark = 7,
	    .peer = p,
	    .n_peers = 3,
	    .room = 3};
	memset(c->key, 1, sizeof(c->key));
	memset(p[0].key, 2, sizeof(p[0].key));
	p[0].remove = true;
	memset(p[1].key, 1, sizeof(p[1].key));
	p[1].set_allowed = true;
	p[1].allowed = ip("10.8.0.2");
	p[1].keepalive_s = WG_KEEPALIVE_STAYS;
	memset(p[2].key, 2, sizeof(p[2].key));
	p[2].set_at = true;
	p[2].at = endpoint("192.0.2.1:9");
	p[2].keepalive_s = 1;
}

static void
test_uapi_set(void **state)
{
	struct wg_peer_change p[3];
	struct wg_change c;
	struct sbuf out;

	(void)state;
	fill_change(&c, p);
	sbuf_init(&out, WG_UAPI_MAX(3));
	wg_uapi_set(&c, &out);
	assert_string_equal(sbuf_text(&out),
	    "set=1\nprivate_key=" K1 "\nlisten_port=51820\nfwmark=7\n"
	    "public_key=" K2 "\nremove=true\n"
	    "public_key=" K1 "\nreplace_allowed_ips=true\nallowed_ip=10.8.0.2/32\n"
	    "public_key=" K2 "\nupdate_only=true\nendpoint=192.0.2.1:9\n"
	    "persistent_keepalive_interval=1\n\n");
	sbuf_done(&out);
}

/* ---- wg_genl ------------------------------------------------------------------- */

/* What we write, the kernel would read: the same attributes as in its answers. */
static void
test_genl(void **state)
{
	uint8_t buf[1024] __attribute__((aligned(4)));
	struct wg_peer_change p[3];
	struct wg_peer peer[3];
	struct wg_state s = {.peer = peer, .room = 3};
	struct wg_change c;
	size_t next = 0;
	struct nlmsghdr *h;

	(void)state;
	fill_change(&c, p);
	h = wg_genl_encode(buf, sizeof(buf), 40, "wg-office", &c, &next);
	assert_int_equal(next, 3);
	assert_int_equal(h->nlmsg_type, 40);
	assert_true(h->nlmsg_len <= sizeof(buf));
	assert_int_equal(wg_genl_decode(&s, h), 0);
	assert_int_equal(s.port, 51820);
	assert_int_equal(s.mark, 7);
	assert_int_equal(s.key[5], 1);
	assert_int_equal(s.n_peers, 3);
	assert_int_equal(peer[0].key[0], 2);
	assert_true(ip_equal(&peer[1].allowed.ip, &p[1].allowed));
	assert_int_equal(peer[1].allowed.bits, 32);
	assert_int_equal(peer[1].n_allowed, 1);
	assert_true(ip_equal(&peer[2].at.ip, &p[2].at.ip));
	assert_int_equal(peer[2].at.port, 9);
	assert_int_equal(peer[2].keepalive_s, 1);
	s.room = 2;
	s.n_peers = 0;
	assert_int_equal(wg_genl_decode(&s, h), -E2BIG);
}

/* Many clients take several messages, and none is lost. */
static void
test_genl_many(void **state)
{
	enum { MANY = 100, SIZE = 512 };
	uint8_t buf[SIZE + 256] __attribute__((aligned(4)));
	struct wg_peer_change p[MANY];
	struct wg_peer peer[MANY];
	struct wg_state s = {.peer = peer, .room = MANY};
	struct wg_change c = {.peer = p, .n_peers = MANY, .room = MANY};
	size_t next = 0, messages = 0;

	(void)state;
	memset(p, 0, sizeof(p));
	for (size_t i = 0; i < MANY; i++) {
		p[i].key[0] = (uint8_t)(i + 1);
		p[i].set_allowed = p[i].set_at = true;
		p[i].allowed = ip("fd00::1");
		p[i].at = endpoint("[2001:db8::1]:1");
	}
	for (size_t before = 0; next < MANY; before = next, messages++) {
		struct nlmsghdr *h = wg_genl_encode(buf, SIZE, 40, "wg0", &c, &next);

		assert_true(next > before);
		assert_true(h->nlmsg_len <= SIZE);
		assert_int_equal(wg_genl_decode(&s, h), 0);
	}
	assert_true(messages > 10);
	assert_int_equal(s.n_peers, MANY);
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(peer[i].key[0], i + 1);
}

/* ---- wg_compare ---------------------------------------------------------------- */

static void
test_compare(void **state)
{
	struct wg_peer has[2] = {{.n_allowed = 1}, {.n_allowed = 1}};
	struct vpn_peer wants[2] = {{.name = "a"}, {.name = "b"}};
	struct wg_peer_change p[4];
	struct wg_state s = {.port = 1, .mark = 2, .peer = has, .n_peers = 2};
	struct wg_wish w = {.port = 1, .mark = 2, .peer = wants, .n_peers = 2};
	struct wg_change c = {.peer = p, .room = 4};

	(void)state;
	has[0].key[0] = wants[0].key[0] = 1;
	has[1].key[0] = wants[1].key[0] = 2;
	wants[0].address = has[0].allowed.ip = ip("10.8.0.2");
	wants[1].address = has[1].allowed.ip = ip("10.8.0.3");
	has[0].allowed.bits = has[1].allowed.bits = 32;
	wg_compare(&s, &w, &c);
	assert_false(c.set_key || c.set_port || c.set_mark);
	assert_int_equal(c.n_peers, 0);
	/* Another one, who takes over the address of the first. */
	wants[0].key[0] = 3;
	w.port = 9;
	w.key[0] = 1;
	wg_compare(&s, &w, &c);
	assert_true(c.set_key && c.set_port && !c.set_mark);
	assert_int_equal(c.n_peers, 2);
	assert_true(p[0].remove && p[0].key[0] == 1);
	assert_true(p[1].set_allowed && p[1].key[0] == 3);
	/* Whoever may say more than his address has that taken away. */
	wants[0].key[0] = 1;
	has[1].n_allowed = 2;
	wg_compare(&s, &w, &c);
	assert_int_equal(c.n_peers, 1);
	assert_true(p[0].set_allowed && p[0].key[0] == 2);
}

/* ---- messages ------------------------------------------------------------------ */

static struct vpn_msg
message(size_t n)
{
	struct vpn_msg m;

	memset(&m, 0, sizeof(m));
	memset(m.envelope.session, 7, sizeof(m.envelope.session));
	m.envelope.number = 12;
	(void)snprintf(m.from, sizeof(m.from), "gw1");
	(void)snprintf(m.to, sizeof(m.to), "gw2");
	memset(m.echo, 8, sizeof(m.echo));
	m.wall_ns = 1700000000 * SEC_NS;
	m.active = true;
	m.n_entries = (uint8_t)n;
	for (size_t i = 0; i < n; i++) {
		m.entry[i].key[0] = (uint8_t)i;
		m.entry[i].at =
		    endpoint(i % 2 == 0 ? "192.0.2.1:9" : "[2001:db8::1]:10");
		m.entry[i].age_s = i == 0 ? VPN_AGE_NEVER : (uint32_t)i;
	}
	return m;
}

static void
test_seal(void **state)
{
	uint8_t key[VPN_KEY_LEN] = {1}, other[VPN_KEY_LEN] = {2};
	uint8_t data[VPN_DATAGRAM_MAX];
	struct vpn_msg m = message(VPN_ENTRIES_MAX), n;
	ssize_t len = vpn_seal(key, &m, data);

	(void)state;
	assert_true(len > 0);
	assert_true(len <= 1280 - 40 - 8); /* IPv6's least packet holds it */
	memset(&n, 0, sizeof(n));
	assert_int_equal(vpn_open(key, data, (size_t)len, &n), 0);
	assert_string_equal(n.from, "gw1");
	assert_string_equal(n.to, "gw2");
	assert_memory_equal(n.echo, m.echo, sizeof(n.echo));
	assert_true(n.envelope.number == 12 && n.wall_ns == m.wall_ns && n.active);
	assert_int_equal(n.n_entries, VPN_ENTRIES_MAX);
	for (size_t i = 0; i < VPN_ENTRIES_MAX; i++) {
		assert_memory_equal(n.entry[i].key, m.entry[i].key, VPN_KEY_LEN);
		assert_true(ip_equal(&n.entry[i].at.ip, &m.entry[i].at.ip));
		assert_int_equal(n.entry[i].at.port, m.entry[i].at.port);
		assert_int_equal(n.entry[i].age_s, m.entry[i].age_s);
	}
	assert_int_equal(vpn_open(other, data, (size_t)len, &n), -EKEYREJECTED);
	/* Not a bit of it may differ, in the envelope as little as in the rest. */
	for (ssize_t i = 0; i < len; i++) {
		data[i] ^= 1;
		assert_int_not_equal(vpn_open(key, data, (size_t)len, &n), 0);
		data[i] ^= 1;
	}
	for (ssize_t cut = 0; cut < len; cut++)
		assert_int_not_equal(vpn_open(key, data, (size_t)cut, &n), 0);
	data[2] = 2;
	assert_int_equal(vpn_open(key, data, (size_t)len, &n), -EPROTO);
}

static void
test_body_bad(void **state)
{
	uint8_t body[VPN_BODY_MAX + 1];
	struct vpn_msg m = message(2), n = message(0);
	size_t len = vpn_wire_put_body(&m, body);
	const size_t flags = 2 + 3 + 2 + 3 + VPN_SESSION_LEN + 8;

	(void)state;
	assert_int_equal(vpn_wire_get_body(&n, body, len), 0);
	assert_int_equal(vpn_wire_get_body(&n, body, len - 1), -EBADMSG);
	body[len] = 0;
	assert_int_equal(vpn_wire_get_body(&n, body, len + 1), -EBADMSG);
	body[flags] = 2;
	assert_int_equal(vpn_wire_get_body(&n, body, len), -EBADMSG);
	body[flags] = 1;
	body[flags + 1] = VPN_ENTRIES_MAX + 1;
	assert_int_equal(vpn_wire_get_body(&n, body, len), -EBADMSG);
	body[flags + 1] = 2;
	body[flags + 2 + VPN_KEY_LEN] = 5; /* neither IPv4 nor IPv6 */
	assert_int_equal(vpn_wire_get_body(&n, body, len), -EBADMSG);
	assert_int_equal(n.n_entries, 2); /* what was there before */
}

/* ---- vpn_core ------------------------------------------------------------------ */

/* Gateway `i` of two, with one client. */
static void
begin(struct vpn_core *c, unsigned i, struct vpn_place *place,
    const struct vpn_peer *peer, mono_t now)
{
	static const char *const names[] = {"gw1", "gw2"};
	const uint8_t session[VPN_SESSION_LEN] = {(uint8_t)(i + 1)};

	memset(place, 0, sizeof(*place));
	vpn_core_init(c, names[i], session, now);
	vpn_core_places(c, place, peer, 1);
	vpn_core_others(c, &names[1 - i], 1);
}

/* Two gateways that know each other; returns the messages it took. */
static void
introduce(struct vpn_core *a, struct vpn_core *b, mono_t now)
{
	struct vpn_msg m;

	memset(&m, 0, sizeof(m));
	assert_int_equal(vpn_core_tick(a, now), VPN_NOTHING);
	for (unsigned i = 0; i < 4; i++) {
		while (vpn_core_next(a, now, &m))
			(void)vpn_core_heard(b, now, &m);
		while (vpn_core_next(b, now, &m))
			(void)vpn_core_heard(a, now, &m);
	}
	assert_true(a->other[0].known && b->other[0].known);
}

static void
test_core_tells_at_once(void **state)
{
	struct vpn_peer peer = {.key = {5}};
	struct vpn_place p1[1], p2[1];
	struct vpn_core a, b;
	mono_t now = {100 * SEC_NS};
	struct ip_endpoint at = endpoint("192.0.2.9:1234");
	struct vpn_msg m;

	(void)state;
	memset(&m, 0, sizeof(m));
	begin(&a, 0, p1, &peer, now);
	begin(&b, 1, p2, &peer, now);
	assert_int_equal(vpn_core_role(&a, now, true), VPN_TAKE);
	introduce(&a, &b, now);
	now = mono_add(now, 100 * MS_NS);
	vpn_core_seen(&a, peer.key, &at, true, now);
	assert_true(vpn_core_next(&a, now, &m));
	assert_int_equal(m.n_entries, 1);
	assert_true(vpn_core_heard(&b, now, &m));
	assert_int_equal(p2[0].at.port, 1234);
	assert_true(vpn_core_alive(&p2[0], now));
	assert_false(vpn_core_alive(&p2[0], mono_add(now, VPN_ALIVE_NS)));
	assert_false(vpn_core_next(&a, now, &m));
	/* Nobody but the active one is listened to, and nothing but clients counts. */
	assert_false(vpn_core_heard(&b, now, &m));
	assert_int_equal(vpn_core_role(&b, now, true), VPN_TAKE);
	assert_int_equal(vpn_core_role(&b, now, true), VPN_NOTHING);
	assert_int_equal(vpn_core_tick(&b, mono_add(now, VPN_CALM_NS)), VPN_CALM);
	assert_int_equal(vpn_core_role(&b, now, false), VPN_LEAVE);
}

/* Who has just come knows where clients are before anybody's next tick. */
static void
test_core_newcomer(void **state)
{
	struct vpn_peer peer = {.key = {5}};
	struct vpn_place p1[1], p2[1];
	struct vpn_core a, b;
	mono_t now = {100 * SEC_NS};
	struct ip_endpoint at = endpoint("192.0.2.9:1234");

	(void)state;
	begin(&a, 0, p1, &peer, now);
	begin(&b, 1, p2, &peer, now);
	assert_int_equal(vpn_core_role(&a, now, true), VPN_TAKE);
	vpn_core_seen(&a, peer.key, &at, true, now);
	introduce(&b, &a, now);
	assert_true(vpn_core_alive(&p2[0], now));
}

/* ---- vpn_rules ----------------------------------------------------------------- */

static void
test_rules(void **state)
{
	static const char file[] =
	    "cluster: c\nnetwork: 10.0.0.0/24\nhosts: {a: 10.0.0.1, b: 10.0.0.2}\n"
	    "floating_ips:\n  v: {address: 10.0.0.9, hosts: [a, b]}\n"
	    "vpn:\n  o: {hosts: [a, b], listen: \"v:51820\", subnet: 10.8.0.0/24, "
	    "reach: [main, \"fd00::/8\"], masquerade: true}\n";
	static const char *const must[] = {
	    "iifname \"wg-o\" jump from_0\n",
	    "oifname \"wg-o\" jump to_0\n",
	    "\t\tip daddr 10.0.0.0/24 accept\n\t\tip6 daddr fd00::/8 accept\n"
	    "\t\tcounter drop\n",
	    "meta mark 0x6e77ca6c udp sport 51820 jump source_0\n",
	    "ip saddr set 10.0.0.9\n\t\tfib saddr type local accept\n\t\tcounter "
	    "drop\n",
	    "oifname != \"wg-o\" ip saddr 10.8.0.0/24 masquerade\n",
	};
	const struct cluster *c = parse(file);
	struct sbuf out;

	(void)state;
	sbuf_init(&out, 65536);
	vpn_rules_text(c, cluster_host(c, "a"), &out);
	for (size_t i = 0; i < ARRAY_LEN(must); i++) {
		if (strstr(sbuf_text(&out), must[i]) == NULL)
			print_error("no %s in\n%s", must[i], sbuf_text(&out));
		assert_non_null(strstr(sbuf_text(&out), must[i]));
	}
	sbuf_done(&out);
	cluster_unref(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_uapi_state),
	    cmocka_unit_test(test_uapi_bad),
	    cmocka_unit_test(test_uapi_set),
	    cmocka_unit_test(test_genl),
	    cmocka_unit_test(test_genl_many),
	    cmocka_unit_test(test_compare),
	    cmocka_unit_test(test_seal),
	    cmocka_unit_test(test_body_bad),
	    cmocka_unit_test(test_core_tells_at_once),
	    cmocka_unit_test(test_core_newcomer),
	    cmocka_unit_test(test_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
