/* SPDX-License-Identifier: Apache-2.0 */
/* VRRP bytes: what keepalived 2.2.7 sent, byte for byte, and what must be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vip/vrrp_wire.h"

/* Captured; IPv4 rows are whole packets, IPv6 rows the message alone. */
static const struct row {
	const char *what;
	const char *src, *dst;
	const char *hex;
	uint8_t version, prio;
	uint16_t adv_cs;
	const char *address[2];
	const char *password;
} rows[] = {
    {"v2 multicast", "10.9.0.1", "224.0.0.18",
	"213396020001"
	"33ee0a0900640a0900650000000000000000",
	2, 150, 100, {"10.9.0.100", "10.9.0.101"}, NULL},
    {"v2 resignation", "10.9.0.1", "224.0.0.18",
	"2133000200"
	"01c9ee0a0900640a0900650000000000000000",
	2, 0, 100, {"10.9.0.100", "10.9.0.101"}, NULL},
    {"v2 password", "10.9.0.1", "224.0.0.18",
	"213396020101c56f0a0900640a0900657365637265743132", 2, 150, 100,
	{"10.9.0.100", "10.9.0.101"}, "secret12"},
    {"v2 unicast", "10.9.0.1", "10.9.0.2",
	"21339602000133ee0a0900640a0900650000000000000000", 2, 150, 100,
	{"10.9.0.100", "10.9.0.101"}, NULL},
    {"v3 at 10 ms", "10.9.0.1", "224.0.0.18", "31339602000139510a0900640a090065", 3,
	150, 1, {"10.9.0.100", "10.9.0.101"}, NULL},
    {"v3 resignation", "10.9.0.1", "224.0.0.18", "313300020001cf510a0900640a090065", 3,
	0, 1, {"10.9.0.100", "10.9.0.101"}, NULL},
    {"v3 at 1 s", "10.9.0.1", "224.0.0.18", "31339602006438ee0a0900640a090065", 3, 150,
	100, {"10.9.0.100", "10.9.0.101"}, NULL},
    {"v3 unicast", "10.9.0.1", "10.9.0.2", "31339602000a0f500a0900640a090065", 3, 150,
	10, {"10.9.0.100", "10.9.0.101"}, NULL},
    {"v3 IPv6", "fe80::d8d9:3aff:fe38:1691", "ff02::12",
	"31339602000a1513fe800000000000000000000000000051fd0000090000000000000000000001"
	"00",
	3, 150, 10, {"fe80::51", "fd00:9::100"}, NULL},
    {"v3 IPv6 unicast", "fd00:9::1", "fd00:9::2",
	"31339602000a4135fe800000000000000000000000000051fd0000090000000000000000000001"
	"00",
	3, 150, 10, {"fe80::51", "fd00:9::100"}, NULL},
    {"v3 IPv6 resignation", "fd00:9::1", "fd00:9::2",
	"31330002000ad735fe800000000000000000000000000051fd0000090000000000000000000001"
	"00",
	3, 0, 10, {"fe80::51", "fd00:9::100"}, NULL},
};

static size_t
unhex(uint8_t *buf, const char *hex)
{
	size_t n = strlen(hex) / 2;
	unsigned byte;

	for (size_t i = 0; i < n; i++) {
		assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
		buf[i] = (uint8_t)byte;
	}
	return n;
}

static struct vrrp_envelope
envelope(const struct row *r, uint8_t ttl)
{
	struct vrrp_envelope env = {.ttl = ttl};

	assert_int_equal(ip_parse(&env.src, r->src), 0);
	assert_int_equal(ip_parse(&env.dst, r->dst), 0);
	return env;
}

static void
test_captures(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		struct vrrp_envelope env = envelope(r, VRRP_TTL);
		uint8_t msg[VRRP_PACKET_MAX], back[VRRP_PACKET_MAX];
		size_t len = unhex(msg, r->hex);
		struct vrrp_advert a;

		print_message("%s\n", r->what);
		assert_int_equal(vrrp_decode(&a, &env, msg, len), 0);
		assert_int_equal(a.version, r->version);
		assert_int_equal(a.vrid, 51);
		assert_int_equal(a.prio, r->prio);
		assert_int_equal(a.adv_cs, r->adv_cs);
		assert_int_equal(a.n_addresses, 2);
		for (size_t k = 0; k < 2; k++) {
			struct ip ip;

			assert_int_equal(ip_parse(&ip, r->address[k]), 0);
			assert_true(ip_equal(&ip, &a.address[k]));
		}
		assert_int_equal(a.auth, r->password != NULL ? VRRP_AUTH_TEXT : 0);
		if (r->password != NULL)
			assert_memory_equal(a.password, r->password, VRRP_AUTH_LEN);
		assert_int_equal(vrrp_encode(&a, &env, back, sizeof(back)), len);
		assert_memory_equal(back, msg, len);
	}
}

/* Every single-bit error, every other length. */
static void
test_damage(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct vrrp_envelope env = envelope(&rows[i], VRRP_TTL);
		uint8_t msg[VRRP_PACKET_MAX] = {0};
		size_t len = unhex(msg, rows[i].hex);
		struct vrrp_advert a = {.vrid = 9};

		for (size_t bit = 0; bit < len * 8; bit++) {
			msg[bit / 8] ^= (uint8_t)(1U << bit % 8);
			assert_int_not_equal(vrrp_decode(&a, &env, msg, len), 0);
			msg[bit / 8] ^= (uint8_t)(1U << bit % 8);
		}
		for (size_t n = 0; n < sizeof(msg); n++) {
			if (n != len)
				assert_int_not_equal(vrrp_decode(&a, &env, msg, n), 0);
		}
		assert_int_equal(a.vrid, 9); /* untouched by all this */
	}
}

static void
test_ttl(void **state)
{
	struct vrrp_advert a;
	uint8_t msg[VRRP_PACKET_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct vrrp_envelope env = envelope(&rows[i], 64);
		size_t len = unhex(msg, rows[i].hex);
		bool group = strcmp(rows[i].dst, "224.0.0.18") == 0 ||
			     strcmp(rows[i].dst, "ff02::12") == 0;

		assert_int_equal(vrrp_decode(&a, &env, msg, len), group ? -EPERM : 0);
	}
}

/* A message with the right checksum whose content is out of range. */
static int
decode_patched(size_t at, uint8_t value)
{
	struct vrrp_envelope env = envelope(&rows[4], VRRP_TTL);
	struct vrrp_advert a;
	uint8_t msg[64];
	size_t len = unhex(msg, rows[4].hex);
	uint32_t sum = (uint32_t)msg[6] << 8 | msg[7];
	/* RFC 1624: the checksum follows from the change of one word. */
	uint32_t before = (uint32_t)msg[at & ~(size_t)1] << 8 | msg[at | 1], after;

	msg[at] = value;
	after = (uint32_t)msg[at & ~(size_t)1] << 8 | msg[at | 1];
	sum = (~sum & 0xffff) + (~before & 0xffff) + after;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16)) & 0xffff;
	msg[6] = (uint8_t)(sum >> 8);
	msg[7] = (uint8_t)(sum & 0xff);
	return vrrp_decode(&a, &env, msg, len);
}

static void
test_ranges(void **state)
{
	(void)state;
	assert_int_equal(decode_patched(0, 0x31), 0);
	assert_int_equal(decode_patched(0, 0x41), -EPROTONOSUPPORT); /* version */
	assert_int_equal(decode_patched(0, 0x32), -EPROTONOSUPPORT); /* type */
	assert_int_equal(decode_patched(1, 0), -EBADMSG);	     /* vrid */
	assert_int_equal(decode_patched(3, 0), -EBADMSG);	     /* no address */
	assert_int_equal(decode_patched(3, 1), -EBADMSG);
	assert_int_equal(decode_patched(3, 255), -EBADMSG);
	assert_int_equal(decode_patched(5, 0), -EBADMSG); /* interval */
	assert_int_equal(decode_patched(4, 0xf0), 0); /* reserved bits are ignored */
}

static void
test_encode_refuses(void **state)
{
	struct vrrp_envelope env = envelope(&rows[0], VRRP_TTL);
	struct vrrp_advert a = {
	    .version = 2, .vrid = 1, .adv_cs = 100, .n_addresses = 1};
	uint8_t buf[VRRP_PACKET_MAX];

	(void)state;
	a.address[0] = env.src;
	assert_int_equal(vrrp_encode(&a, &env, buf, sizeof(buf)), 20);
	assert_int_equal(vrrp_encode(&a, &env, buf, 19), 0);
	a.adv_cs = 150; /* version 2 speaks in whole seconds */
	assert_int_equal(vrrp_encode(&a, &env, buf, sizeof(buf)), 0);
	a.version = 3;
	assert_int_equal(vrrp_encode(&a, &env, buf, sizeof(buf)), 12);
	a.adv_cs = 4096;
	assert_int_equal(vrrp_encode(&a, &env, buf, sizeof(buf)), 0);
	a.adv_cs = 1;
	a.address[0].family = AF_INET6;
	assert_int_equal(vrrp_encode(&a, &env, buf, sizeof(buf)), 0);
}

static void
test_ipv4_head(void **state)
{
	static const char hex[] =
	    "45c0002400010000ff70d08c0a090001e00000123133960200013951"
	    "0a0900640a090065";
	uint8_t packet[64];
	size_t len = unhex(packet, hex), msg_len;
	struct vrrp_envelope env;
	const uint8_t *msg;

	(void)state;
	assert_int_equal(vrrp_ipv4_open(&env, &msg, &msg_len, packet, len), 0);
	assert_int_equal(env.ttl, 255);
	assert_int_equal(env.src.byte[3], 1);
	assert_int_equal(env.dst.byte[3], 18);
	assert_ptr_equal(msg, packet + 20);
	assert_int_equal(msg_len, 16);
	for (size_t n = 0; n < len; n++)
		assert_int_equal(
		    vrrp_ipv4_open(&env, &msg, &msg_len, packet, n), -EBADMSG);
	packet[9] = 6; /* another protocol */
	assert_int_equal(vrrp_ipv4_open(&env, &msg, &msg_len, packet, len), -EBADMSG);
	packet[9] = VRRP_PROTO;
	packet[0] = 0x44; /* a head shorter than the shortest */
	assert_int_equal(vrrp_ipv4_open(&env, &msg, &msg_len, packet, len), -EBADMSG);
	packet[0] = 0x4f; /* options: the head ends past the packet's length */
	assert_int_equal(vrrp_ipv4_open(&env, &msg, &msg_len, packet, len), -EBADMSG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_captures),
	    cmocka_unit_test(test_damage),
	    cmocka_unit_test(test_ttl),
	    cmocka_unit_test(test_ranges),
	    cmocka_unit_test(test_encode_refuses),
	    cmocka_unit_test(test_ipv4_head),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
