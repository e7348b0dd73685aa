/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What rules a cluster file makes: the fate of packets, which change closes something,
 * what nft is told and tells.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "firewall/nft_json.h"
#include "firewall/rules.h"
#include "firewall/track_room.h"
#include "parse.h"

#define BYTES ((size_t)64 << 20)

#define HEAD                                                                \
	"cluster: x\n"                                                      \
	"networks:\n"                                                       \
	"  internet: 198.51.100.0/24\n"                                     \
	"  edge: 10.0.1.0/24\n"                                             \
	"  dmz: 10.0.2.0/24\n"                                              \
	"  dmz6: 2001:db8:2::/64\n"                                         \
	"  failover: {subnet: 10.0.9.0/24, dedicated: true}\n"              \
	"hosts:\n"                                                          \
	"  fw1: {edge: 10.0.1.11, dmz: 10.0.2.11, failover: 10.0.9.11}\n"   \
	"  fw2: {edge: 10.0.1.12, dmz: 10.0.2.12, failover: 10.0.9.12}\n"   \
	"  lb1: {dmz: 10.0.2.21}\n"                                         \
	"  lb2: {dmz: 10.0.2.22}\n"                                         \
	"  web1: {dmz: 10.0.2.31, dmz6: \"2001:db8:2::31\"}\n"              \
	"  web2: {dmz: 10.0.2.32}\n"                                        \
	"floating_ips:\n"                                                   \
	"  www: {address: 10.0.2.20, hosts: [lb1, lb2], check: {ping: "     \
	"10.0.2.10}}\n"                                                     \
	"  out: {address: 10.0.1.10, hosts: [fw1, fw2], group: firewall}\n" \
	"  in: {address: 10.0.2.10, hosts: [fw1, fw2], group: firewall}\n"  \
	"services:\n"                                                       \
	"  site:\n"                                                         \
	"    listen: [www:80, www:443]\n"                                   \
	"    servers: [web1:3000, web2:3000]\n"                             \
	"    check: {path: /health, port: 3001}\n"

#define WALL                                                              \
	"firewall:\n"                                                     \
	"  hosts: [fw1, fw2]\n"                                           \
	"  sync: failover\n"                                              \
	"  deny: {from: 203.0.113.66, to: any}\n"                         \
	"  allow:\n"                                                      \
	"    - {from: internet, to: site, limit: 9/s}\n"                  \
	"    - {from: internet, to: out, ports: 2222, nat: {to: "         \
	"\"web1:22\"}}\n"                                                 \
	"    - {from: internet, to: web1, ports: [8000-8010, 8005-8020, " \
	"53/udp]}\n"                                                      \
	"    - {from: dmz, to: internet, nat: masquerade}\n"              \
	"    - {from: dmz6, to: any, proto: icmp}\n"

#define OWN "host_firewall: true\n"

struct list {
	const struct cluster *c;
	struct arena *a;
	struct rule_list l;
};

static void
list_init_of(struct list *x, const char *text, const char *host)
{
	x->c = parse(text);
	x->a = arena_new(BYTES);
	assert_non_null(x->a);
	assert_int_equal(rules_build(x->c, cluster_host(x->c, host), x->a, &x->l), 0);
}

static void
list_done(struct list *x)
{
	arena_free(x->a);
	cluster_unref(x->c);
}

/* ---- fates ---------------------------------------------------------------------- */

struct row {
	const char *host, *src, *dst;
	uint8_t proto;
	uint16_t port;
	bool forward, accepted;
	const char *why; /* of the rule that decides */
};

static const struct row rows[] = {
    /* through the firewall */
    {"fw1", "203.0.113.9", "10.0.2.20", IPPROTO_TCP, 443, true, true,
	"allow 1: internet to site"},
    {"fw1", "198.51.100.7", "10.0.2.20", IPPROTO_TCP, 80, true, true,
	"allow 1: internet to site"},
    {"fw1", "203.0.113.9", "10.0.2.20", IPPROTO_TCP, 81, true, false,
	"no row of allow says so"},
    {"fw1", "203.0.113.9", "10.0.2.20", IPPROTO_UDP, 80, true, false,
	"no row of allow says so"},
    {"fw1", "10.0.1.7", "10.0.2.20", IPPROTO_TCP, 80, true, false,
	"no row of allow says so"},
    {"fw1", "203.0.113.66", "10.0.2.20", IPPROTO_TCP, 80, true, false,
	"deny 1: 203.0.113.66 to any"},
    {"fw1", "127.0.0.1", "10.0.2.20", IPPROTO_TCP, 80, true, false,
	"a source that nobody can have"},
    {"fw1", "203.0.113.9", "10.0.1.10", IPPROTO_TCP, 2222, true, true,
	"allow 2: internet to out"},
    {"fw1", "203.0.113.9", "10.0.2.31", IPPROTO_TCP, 22, true, false,
	"no row of allow says so"},
    {"fw1", "203.0.113.9", "10.0.2.31", IPPROTO_TCP, 8020, true, true,
	"allow 3: internet to web1"},
    {"fw1", "203.0.113.9", "10.0.2.31", IPPROTO_TCP, 8021, true, false,
	"no row of allow says so"},
    {"fw1", "203.0.113.9", "10.0.2.31", IPPROTO_UDP, 53, true, true,
	"allow 3: internet to web1"},
    {"fw1", "2001:db8:ffff::1", "2001:db8:2::31", IPPROTO_TCP, 8000, true, true,
	"allow 3: internet to web1"},
    {"fw1", "10.0.2.31", "192.0.2.1", IPPROTO_UDP, 123, true, true,
	"allow 4: dmz to internet"},
    {"fw1", "10.0.2.31", "10.0.9.11", IPPROTO_UDP, 123, true, false,
	"no row of allow says so"},
    {"fw1", "2001:db8:2::31", "2001:db8:9::1", IPPROTO_ICMPV6, 0, true, true,
	"allow 5: dmz6 to any"},
    {"fw1", "2001:db8:2::31", "2001:db8:9::1", IPPROTO_ICMP, 0, true, false,
	"no row of allow says so"},
    /* to a host: what the file implies */
    {"lb1", "203.0.113.9", "10.0.2.20", IPPROTO_TCP, 443, false, true,
	"clients of service site"},
    {"lb1", "203.0.113.9", "10.0.2.21", IPPROTO_TCP, 443, false, false,
	"nothing in the file implies it"},
    {"lb1", "10.0.2.22", "224.0.0.18", 112, 0, false, true,
	"heartbeats of floating IP www"},
    {"lb1", "10.0.2.31", "224.0.0.18", 112, 0, false, false,
	"broadcast and multicast, unlogged"},
    {"lb1", "10.0.2.31", "10.0.2.21", IPPROTO_TCP, 22, false, true, "administrators"},
    {"lb1", "203.0.113.9", "10.0.2.21", IPPROTO_TCP, 22, false, false,
	"nothing in the file implies it"},
    {"web1", "10.0.2.22", "10.0.2.31", IPPROTO_TCP, 3000, false, true,
	"load balancers of service site"},
    {"web1", "10.0.2.22", "10.0.2.31", IPPROTO_TCP, 3001, false, true,
	"checks of site"},
    {"web1", "10.0.2.32", "10.0.2.31", IPPROTO_TCP, 3000, false, false,
	"nothing in the file implies it"},
    {"web1", "203.0.113.9", "10.0.2.31", IPPROTO_TCP, 22, false, true,
	"the firewall lets it through to this host"},
    {"web1", "203.0.113.9", "10.0.2.31", IPPROTO_TCP, 8001, false, true,
	"the firewall lets it through to this host"},
    {"web2", "203.0.113.9", "10.0.2.32", IPPROTO_TCP, 8001, false, false,
	"nothing in the file implies it"},
    {"fw2", "10.0.9.11", "10.0.9.12", IPPROTO_UDP, FIREWALL_SYNC_PORT, false, true,
	"state of the firewall's connections over failover"},
    {"fw2", "10.0.2.31", "10.0.9.12", IPPROTO_UDP, FIREWALL_SYNC_PORT, false, false,
	"nothing in the file implies it"},
};

static void
test_fates(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		struct packet p = {.proto = r->proto, .port = r->port};
		struct packet_fate fate;
		struct list x;

		list_init_of(&x, HEAD WALL OWN, r->host);
		assert_int_equal(ip_parse(&p.src, r->src), 0);
		assert_int_equal(ip_parse(&p.dst, r->dst), 0);
		rules_eval(&x.l, &p, r->forward, &fate);
		if (fate.accepted != r->accepted || fate.rule == NULL ||
		    strcmp(fate.rule->why, r->why) != 0)
			fail_msg("row %zu: %d, %s", i, fate.accepted,
			    fate.rule != NULL ? fate.rule->why : "no rule");
		list_done(&x);
	}
}

/* Pings that a check sends to a floating IP are not among those that are limited. */
static void
test_pings_of_checks(void **state)
{
	struct packet p = {.proto = IPPROTO_ICMP, .echo = true};
	struct packet_fate fate;
	struct list x;

	(void)state;
	list_init_of(&x, HEAD WALL OWN, "fw2");
	assert_int_equal(ip_parse(&p.src, "10.0.2.22"), 0);
	assert_int_equal(ip_parse(&p.dst, "10.0.2.10"), 0);
	rules_eval(&x.l, &p, false, &fate);
	assert_string_equal(fate.rule->why, "checks of www");
	assert_int_equal(fate.rule->rate.count, 0);
	assert_int_equal(ip_parse(&p.src, "10.0.2.31"), 0);
	rules_eval(&x.l, &p, false, &fate);
	assert_string_equal(fate.rule->why, "pings, some");
	list_done(&x);
}

/* Unknown TCP in the middle: no reset from a firewall, but one from a balancer, so
 * that clients ask again at once. */
static void
test_midstream(void **state)
{
	struct packet p = {.proto = IPPROTO_TCP, .port = 443, .midstream = true};
	struct packet_fate fate;
	struct list x;

	(void)state;
	assert_int_equal(ip_parse(&p.src, "203.0.113.9"), 0);
	list_init_of(&x, HEAD WALL OWN, "fw1");
	assert_int_equal(ip_parse(&p.dst, "10.0.1.10"), 0);
	rules_eval(&x.l, &p, false, &fate);
	assert_false(fate.accepted);
	assert_int_equal(fate.rule->chain, RULES_GUARD);
	assert_int_equal(ip_parse(&p.dst, "10.0.2.20"), 0);
	rules_eval(&x.l, &p, true, &fate);
	assert_false(fate.accepted);
	list_done(&x);
	list_init_of(&x, HEAD WALL OWN, "lb1");
	rules_eval(&x.l, &p, false, &fate);
	assert_true(fate.accepted);
	list_done(&x);
}

static void
test_translation(void **state)
{
	struct packet p = {.proto = IPPROTO_TCP, .port = 2222};
	char text[IP_ENDPOINT_LEN];
	struct packet_fate fate;
	struct list x;

	(void)state;
	list_init_of(&x, HEAD WALL, "fw1");
	assert_int_equal(ip_parse(&p.src, "203.0.113.9"), 0);
	assert_int_equal(ip_parse(&p.dst, "10.0.1.10"), 0);
	rules_eval(&x.l, &p, true, &fate);
	assert_non_null(fate.dnat);
	assert_string_equal(ip_endpoint_format(&fate.dnat->nat, text), "10.0.2.31:22");
	assert_int_equal(ip_parse(&p.src, "10.0.2.31"), 0);
	assert_int_equal(ip_parse(&p.dst, "192.0.2.1"), 0);
	rules_eval(&x.l, &p, true, &fate);
	assert_non_null(fate.snat);
	assert_string_equal(ip_format(&fate.snat->nat.ip, text), "10.0.1.10");
	list_done(&x);
}

/* ---- changes -------------------------------------------------------------------- */

static void
test_closes(void **state)
{
	static const struct {
		const char *before, *after;
		bool closes;
	} row[] = {
	    {NULL, OWN, true},
	    {"", OWN, true},
	    {OWN, OWN, false},
	    {OWN, "", false},
	    {OWN, "host_firewall: {allow: {from: any, ports: 9100}}\n", false},
	    {"host_firewall: {allow: {from: any, ports: 9100}}\n", OWN, true},
	    {"host_firewall: {allow: {from: dmz, ports: 9100}}\n",
		"host_firewall: {allow: {from: any, ports: 9000-9200}}\n", false},
	    {"host_firewall: {allow: {from: any, ports: 9000-9200}}\n",
		"host_firewall: {allow: {from: dmz, ports: 9100}}\n", true},
	    {OWN, "host_firewall: {management: {from: 192.0.2.1}}\n", true},
	    {"host_firewall: {management: {from: 192.0.2.1}}\n", OWN, true},
	    {"host_firewall: {management: {from: 10.0.2.7}}\n", OWN, false},
	    {OWN, "host_firewall: {reverse_path: strict}\n", true},
	    {"host_firewall: {reverse_path: strict}\n", OWN, true},
	    {OWN, "host_firewall: {log: off, confirm: 5s}\n", false},
	};
	char text[4096];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		struct list before = {.c = NULL}, after;

		if (row[i].before != NULL) {
			(void)snprintf(text, sizeof(text), "%s%s", HEAD, row[i].before);
			list_init_of(&before, text, "web1");
		}
		(void)snprintf(text, sizeof(text), "%s%s", HEAD, row[i].after);
		list_init_of(&after, text, "web1");
		if (rules_close(before.c != NULL ? &before.l : NULL, &after.l) !=
		    row[i].closes)
			fail_msg("row %zu", i);
		list_done(&after);
		if (before.c != NULL)
			list_done(&before);
	}
}

/* ---- nft ------------------------------------------------------------------------ */

static void
test_digest(void **state)
{
	char a[NFT_DIGEST_LEN], b[NFT_DIGEST_LEN];
	struct list x, y;

	(void)state;
	list_init_of(&x, HEAD WALL OWN, "web1");
	list_init_of(&y, "# a line more\n" HEAD WALL OWN, "web1");
	nft_digest(&x.l, a);
	nft_digest(&y.l, b);
	assert_string_equal(a, b); /* lines are no part of what a rule does */
	list_done(&y);
	list_init_of(&y, HEAD WALL "host_firewall: {reverse_path: strict}\n", "web1");
	nft_digest(&y.l, b);
	assert_string_not_equal(a, b);
	list_done(&x);
	list_done(&y);
}

static void
test_listing(void **state)
{
	static const char json[] =
	    "{\"nftables\":[{\"metainfo\":{}},"
	    "{\"table\":{\"family\":\"inet\",\"name\":\"nines_fw\"}},"
	    "{\"counter\":{\"table\":\"nines_fw\",\"name\":\"gen_0123456789abcdef\"}},"
	    "{\"counter\":{\"table\":\"other\",\"name\":\"undone_x\"}},"
	    "{\"set\":{\"table\":\"nines_fw\",\"name\":\"trial\",\"elem\":"
	    "[{\"elem\":{\"val\":\"ipv4\",\"expires\":7}}]}},"
	    "{\"rule\":{\"table\":\"nines_fw\",\"comment\":\"aabbccddeeff why\","
	    "\"expr\":[{\"drop\":null},{\"counter\":{\"packets\":3,\"bytes\":180}}]}},"
	    "{\"rule\":{\"table\":\"nines_fw\",\"comment\":\"aabbccddeeff again\","
	    "\"expr\":[{\"counter\":{\"packets\":1,\"bytes\":20}}]}},"
	    "{\"rule\":{\"table\":\"nines_fw\",\"comment\":\"short\",\"expr\":4}},"
	    "{\"rule\":{\"table\":\"nines_fw\"}},17,null]}";
	static const char *const bad[] = {
	    "", "{", "[]", "{\"nftables\":3}", "null", "{\"nftables\":[}"};
	const struct nft_count *n;
	struct nft_state s;

	(void)state;
	assert_int_equal(nft_state_read(json, strlen(json), &s), 0);
	assert_true(s.present && s.trial);
	assert_int_equal(s.trial_s, 8);
	assert_string_equal(s.digest, "0123456789abcdef");
	assert_string_equal(s.undone, "");
	assert_int_equal(s.rules, 2);
	n = nft_state_count(&s, "aabbccddeeff");
	assert_non_null(n);
	assert_int_equal(n->packets, 4);
	assert_int_equal(n->bytes, 200);
	assert_null(nft_state_count(&s, "aabbccddeefe"));
	nft_state_done(&s);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_not_equal(nft_state_read(bad[i], strlen(bad[i]), &s), 0);
}

/* The number of rules that a load makes is what a look at the kernel is held to. */
static void
test_load_counts(void **state)
{
	char digest[NFT_DIGEST_LEN];
	struct nft_load load;
	struct sbuf out;
	struct list x;
	size_t n = 0;

	(void)state;
	list_init_of(&x, HEAD WALL OWN, "fw1");
	nft_digest(&x.l, digest);
	load = (struct nft_load){.rules = &x.l,
	    .host = &x.l,
	    .before = &x.l,
	    .trial_s = 5,
	    .digest = digest};
	sbuf_init(&out, BYTES);
	assert_int_equal(nft_json_load(&load, &out), x.l.n + x.l.count[RULES_HOST]);
	for (const char *p = sbuf_text(&out); (p = strstr(p, "\"comment\"")) != NULL;
	     p++)
		n++;
	assert_int_equal(n, x.l.n + x.l.count[RULES_HOST]);
	sbuf_done(&out);
	list_done(&x);
}

/* ---- room for connections ------------------------------------------------------- */

static void
test_track_room(void **state)
{
	static const struct {
		enum track_room was;
		long count, most;
		enum track_room is;
	} row[] = {
	    {TRACK_ROOM, 0, 1000, TRACK_ROOM}, {TRACK_ROOM, 899, 1000, TRACK_ROOM},
	    {TRACK_ROOM, 900, 1000, TRACK_TIGHT}, {TRACK_ROOM, 990, 1000, TRACK_FULL},
	    {TRACK_TIGHT, 800, 1000, TRACK_TIGHT}, {TRACK_TIGHT, 799, 1000, TRACK_ROOM},
	    {TRACK_FULL, 950, 1000, TRACK_FULL}, {TRACK_FULL, 949, 1000, TRACK_TIGHT},
	    {TRACK_FULL, 799, 1000, TRACK_ROOM},
	    {TRACK_FULL, 2000, 1000, TRACK_FULL}, /* the limit was lowered */
	    {TRACK_FULL, 5, 0, TRACK_ROOM},	  /* there is none */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(row); i++)
		assert_int_equal(
		    track_room_judge(row[i].was, row[i].count, row[i].most), row[i].is);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fates),
	    cmocka_unit_test(test_pings_of_checks),
	    cmocka_unit_test(test_midstream),
	    cmocka_unit_test(test_translation),
	    cmocka_unit_test(test_closes),
	    cmocka_unit_test(test_digest),
	    cmocka_unit_test(test_listing),
	    cmocka_unit_test(test_load_counts),
	    cmocka_unit_test(test_track_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
