/* SPDX-License-Identifier: Apache-2.0 */
/* Gateways: what the file comes to on a host, the core step by step, questions and
 * answers of neighbours as bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/diag.h"
#include "config/cluster.h"
#include "gateway/gateway_core.h"
#include "gateway/neighbour_wire.h"
#include "parse.h"

/* ---- the plan ------------------------------------------------------------------ */

#define HOSTS                                                                         \
	"cluster: edge\n"                                                             \
	"networks:\n"                                                                 \
	"  internet: 198.51.100.0/24\n"                                               \
	"  edge: 10.0.1.0/24\n"                                                       \
	"  edge6: 2001:db8:2::/64\n"                                                  \
	"  dmz: 10.0.2.0/24\n"                                                        \
	"hosts:\n"                                                                    \
	"  web1: {dmz: 10.0.2.31}\n"                                                  \
	"  gw1: {internet: 198.51.100.2, edge: 10.0.1.2, edge6: \"2001:db8:2::2\"}\n" \
	"  gw2: {internet: 198.51.100.3, edge: 10.0.1.3, edge6: \"2001:db8:2::3\"}\n" \
	"  fw1: {edge: 10.0.1.11, edge6: \"2001:db8:2::11\", dmz: 10.0.2.11}\n"

/* The second firewall without IPv6, and with it. */
#define NETWORKS HOSTS "  fw2: {edge: 10.0.1.12, dmz: 10.0.2.12}\n"
#define NETWORKS6 \
	HOSTS     \
	"  fw2: {edge: 10.0.1.12, edge6: \"2001:db8:2::12\", dmz: 10.0.2.12}\n"

#define FLOATING                                                             \
	"floating_ips:\n"                                                    \
	"  gw1-in: {address: 10.0.1.4, hosts: [gw1, gw2], failback: true}\n" \
	"  shared: {address: 10.0.1.6, hosts: [gw2, fw1]}\n"                 \
	"  fw-out: {address: 10.0.1.10, hosts: [fw1, fw2]}\n"

#define GATEWAYS                                            \
	"gateways:\n"                                       \
	"  hosts: [gw1, gw2]\n"                             \
	"  between: [internet, [edge, edge6]]\n"            \
	"  upstream: [198.51.100.1, 198.51.100.254]\n"      \
	"  routes: {dmz: fw-out, 10.9.0.0/16: [fw1, fw2], " \
	"\"2001:db8:7::/64\": [fw1, fw2]}\n"                \
	"  for: [fw1, fw2]\n"

static bool
hop_is(const struct gateway_plan_route *r, size_t i, const char *text)
{
	struct ip ip;

	return i < r->n_hops && ip_parse(&ip, text) == 0 &&
	       ip_equal(&ip, &r->hop[i].ip);
}

static void
test_plan_of_gateway(void **state)
{
	const struct cluster *c = parse(NETWORKS FLOATING GATEWAYS);
	struct gateway_plan plan;

	(void)state;
	assert_true(gateway_plan(c, cluster_host(c, "gw1"), &plan));
	assert_true(plan.forwards);
	assert_int_equal(plan.n_routes, 4);
	assert_int_equal(plan.route[0].to.bits, 0);
	assert_int_equal(plan.route[0].n_hops, 2);
	assert_true(hop_is(&plan.route[0], 1, "198.51.100.254"));
	assert_int_equal(plan.route[1].to.bits, 24);
	assert_int_equal(plan.route[1].n_hops, 1);
	assert_true(hop_is(&plan.route[1], 0, "10.0.1.10"));
	assert_true(hop_is(&plan.route[2], 0, "10.0.1.11"));
	assert_true(hop_is(&plan.route[2], 1, "10.0.1.12"));
	/* fw2 has no IPv6 address: it is no next hop for that family. */
	assert_int_equal(plan.route[3].n_hops, 1);
	assert_true(hop_is(&plan.route[3], 0, "2001:db8:2::11"));
	cluster_unref(c);
}

static void
test_plan_of_client(void **state)
{
	const struct cluster *c = parse(NETWORKS FLOATING GATEWAYS);
	struct gateway_plan plan;

	(void)state;
	assert_true(gateway_plan(c, cluster_host(c, "fw1"), &plan));
	assert_false(plan.forwards);
	assert_int_equal(plan.n_routes, 2);
	/* gw1's floating address; gw2 has none that only gateways back. */
	assert_int_equal(plan.route[0].n_hops, 2);
	assert_true(hop_is(&plan.route[0], 0, "10.0.1.4"));
	assert_true(hop_is(&plan.route[0], 1, "10.0.1.3"));
	assert_true(hop_is(&plan.route[1], 0, "2001:db8:2::2"));
	assert_true(gateway_plan(c, cluster_host(c, "fw2"), &plan));
	assert_int_equal(plan.n_routes, 1);
	assert_false(gateway_plan(c, cluster_host(c, "web1"), &plan));
	assert_int_equal(plan.n_routes, 0);
	cluster_unref(c);
}

/* Clients of a VPN are found where its other address is. */
static void
test_plan_of_vpn(void **state)
{
	const struct cluster *c = parse(NETWORKS FLOATING
	    "  vpn-out: {address: 198.51.100.9, hosts: [gw1, gw2], group: vpn}\n"
	    "  vpn-in: {address: 10.0.1.9, hosts: [gw1, gw2], group: vpn}\n" GATEWAYS
	    "vpn:\n"
	    "  office: {hosts: [gw1, gw2], listen: \"vpn-out:51820\", subnet: "
	    "10.8.0.0/24, reach: edge}\n");
	struct gateway_plan plan;

	(void)state;
	assert_true(gateway_plan(c, cluster_host(c, "fw1"), &plan));
	assert_int_equal(plan.n_routes, 3);
	assert_int_equal(plan.route[2].to.bits, 24);
	assert_int_equal(plan.route[2].n_hops, 1);
	assert_true(hop_is(&plan.route[2], 0, "10.0.1.9"));
	assert_true(gateway_plan(c, cluster_host(c, "gw1"), &plan));
	assert_int_equal(plan.n_routes, 4); /* it has them itself */
	cluster_unref(c);
}

static void
test_plan_without_gateways(void **state)
{
	const struct cluster *c = parse(NETWORKS FLOATING);
	struct gateway_plan plan;

	(void)state;
	assert_false(gateway_plan(c, cluster_host(c, "gw1"), &plan));
	assert_int_equal(plan.n_routes, 0);
	cluster_unref(c);
}

#define FIREWALL                \
	"firewall:\n"           \
	"  hosts: [fw1, fw2]\n" \
	"  allow: [{from: any, to: dmz}]\n"

/* What a firewall in the file implies
 */
static void
test_derived(void **state)
{
	const struct cluster *c =
	    parse(NETWORKS6 FLOATING "gateways:\n"
				     "  hosts: [gw1, gw2]\n"
				     "  between: [internet, [edge, edge6]]\n" FIREWALL);
	const struct gateways *g = &c->gateways;
	struct gateway_plan plan;

	(void)state;
	assert_int_equal(g->n_clients, 2);
	assert_ptr_equal(g->client[1], cluster_host(c, "fw2"));
	assert_int_equal(g->n_routes, 1);
	assert_string_equal(g->route[0].text, "dmz");
	assert_true(gateway_plan(c, cluster_host(c, "gw2"), &plan));
	assert_int_equal(plan.n_routes, 1);
	assert_true(hop_is(&plan.route[0], 0, "10.0.1.10"));
	cluster_unref(c);
}

/* What is said is not added to. */
static void
test_nothing_derived(void **state)
{
	const struct cluster *c =
	    parse(NETWORKS6 FLOATING "gateways:\n"
				     "  hosts: [gw1, gw2]\n"
				     "  between: [internet, [edge, edge6]]\n"
				     "  routes: {10.9.0.0/16: fw1}\n"
				     "  for: []\n" FIREWALL);

	(void)state;
	assert_int_equal(c->gateways.n_clients, 0);
	assert_int_equal(c->gateways.n_routes, 1);
	assert_string_equal(c->gateways.route[0].text, "10.9.0.0/16");
	cluster_unref(c);
}

/* ---- the core ------------------------------------------------------------------ */

static const struct gateway_conf conf = {
    .heartbeat_ns = 100 * MS_NS, .fall = 2, .rise = 3};

struct bench {
	struct gateway_core g;
	struct gateway_out out;
	mono_t now;
};

/* Two hops in one set. */
static void
begin(struct bench *b)
{
	b->now = (mono_t){SEC_NS};
	gateway_core_init(&b->g, &conf);
	(void)gateway_core_add_hop(&b->g, b->now, NULL);
	(void)gateway_core_add_hop(&b->g, b->now, NULL);
	(void)gateway_core_add_set(&b->g, b->now, 3, 0);
}

static void
give(struct bench *b, enum gateway_ev_type type, unsigned hop, bool up)
{
	const struct gateway_ev ev = {.type = type, .hop = hop, .up = up};

	gateway_core_input(&b->g, b->now, &ev, &b->out);
	assert_true(gateway_core_check(&b->g));
}

/* One question to each, which the hops of `answer` answer. Returns sets that changed.
 */
static uint64_t
beat(struct bench *b, uint64_t answer)
{
	uint64_t sets;

	for (unsigned i = 0; i < b->g.n_hops; i++) {
		if (b->g.hop[i].link && mono_before(b->now, b->g.hop[i].due))
			b->now = b->g.hop[i].due;
	}
	give(b, GATEWAY_EV_TICK, 0, false);
	sets = b->out.sets;
	b->now = mono_add(b->now, MS_NS);
	for (unsigned i = 0; i < b->g.n_hops; i++) {
		if ((answer & GATEWAY_BIT(i)) == 0)
			continue;
		give(b, GATEWAY_EV_ANSWER, i, false);
		sets |= b->out.sets;
	}
	return sets;
}

static void
test_unknown_is_used(void **state)
{
	struct bench b;

	(void)state;
	begin(&b);
	assert_int_equal(b.g.set[0].live, 3);
	assert_int_equal(beat(&b, 1), 0);
	assert_int_equal(b.g.hop[0].state, GATEWAY_UP);
	assert_int_equal(b.g.hop[1].state, GATEWAY_UNKNOWN);
}

static void
test_fall_and_rise(void **state)
{
	struct bench b;

	(void)state;
	begin(&b);
	(void)beat(&b, 3);
	assert_int_equal(beat(&b, 1), 0); /* asked, no answer yet */
	assert_int_equal(beat(&b, 1), 0); /* one miss */
	assert_int_equal(beat(&b, 1), 1); /* two: out at once */
	assert_int_equal(b.g.set[0].live, 1);
	assert_int_equal(b.g.hop[1].state, GATEWAY_DOWN);
	assert_int_equal(beat(&b, 3), 0);
	assert_int_equal(beat(&b, 3), 0);
	assert_int_equal(beat(&b, 3), 1); /* the third answer */
	assert_int_equal(b.g.set[0].live, 3);
}

static void
test_broken_row_begins_anew(void **state)
{
	struct bench b;

	(void)state;
	begin(&b);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(beat(&b, i % 2 == 0 ? 3 : 1), 0);
	assert_int_equal(b.g.hop[1].state, GATEWAY_UP);
}

static void
test_last_one_stays(void **state)
{
	struct bench b;

	(void)state;
	begin(&b);
	(void)beat(&b, 3);
	for (unsigned i = 0; i < 4; i++)
		(void)beat(&b, 2);
	assert_int_equal(b.g.set[0].live, 2);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(beat(&b, 0), 0);
	assert_int_equal(b.g.set[0].live, 2);
	assert_true(b.g.fit); /* for a second */
	for (unsigned i = 0; i < 12; i++)
		(void)beat(&b, 0);
	assert_false(b.g.fit);
	/* The other one is back first. */
	for (unsigned i = 0; i < 3; i++)
		(void)beat(&b, 1);
	assert_int_equal(b.g.set[0].live, 1);
	assert_true(b.g.fit);
}

static void
test_link(void **state)
{
	struct bench b;

	(void)state;
	begin(&b);
	(void)beat(&b, 3);
	give(&b, GATEWAY_EV_LINK, 1, false);
	assert_int_equal(b.out.sets, 1);
	assert_int_equal(b.g.set[0].live, 1);
	(void)beat(&b, 1);
	assert_int_equal(b.out.probe & 2, 0);
	give(&b, GATEWAY_EV_ANSWER, 1, false); /* out of the queue: too late */
	assert_int_equal(b.g.hop[1].state, GATEWAY_DOWN);
	give(&b, GATEWAY_EV_LINK, 0, false);
	assert_true(b.out.fit);
	assert_false(b.g.fit); /* without a link there is nothing to wait for */
	give(&b, GATEWAY_EV_LINK, 0, true);
	give(&b, GATEWAY_EV_LINK, 1, true);
	assert_int_equal(b.g.hop[0].state, GATEWAY_DOWN);
	for (unsigned i = 0; i < 3; i++)
		(void)beat(&b, 3);
	assert_int_equal(b.g.set[0].live, 3);
	assert_true(b.g.fit);
}

/* Whoever is used is asked often enough that its silence is known within a heartbeat;
 * who has fallen is left in peace. */
static void
test_pace(void **state)
{
	const struct gateway_conf fast = {
	    .heartbeat_ns = 10 * MS_NS, .fall = 1, .rise = 1};
	struct bench b;
	mono_t silent;

	(void)state;
	begin(&b);
	(void)beat(&b, 3);
	silent = b.now;
	while (b.g.hop[1].state != GATEWAY_DOWN) {
		b.now = gateway_core_deadline(&b.g);
		give(&b, GATEWAY_EV_TICK, 0, false);
		give(&b, GATEWAY_EV_ANSWER, 0, false);
	}
	assert_true(mono_sub(b.now, silent) < conf.heartbeat_ns);
	assert_int_equal(mono_sub(b.g.hop[1].due, b.now), conf.heartbeat_ns);
	assert_int_equal(mono_sub(b.g.hop[0].due, b.now), conf.heartbeat_ns / 4);
	for (unsigned i = 0; i < conf.rise; i++) {
		b.now = b.g.hop[1].due;
		give(&b, GATEWAY_EV_TICK, 0, false);
		give(&b, GATEWAY_EV_ANSWER, 1, false);
	}
	assert_int_equal(b.g.hop[1].state, GATEWAY_UP);
	assert_int_equal(mono_sub(b.g.hop[1].due, b.now), conf.heartbeat_ns / 4);
	assert_int_equal(gateway_core_pace(&fast, GATEWAY_UP), GATEWAY_ASK_MIN_NS);
}

static void
test_late_caller(void **state)
{
	struct bench b;

	(void)state;
	begin(&b);
	(void)beat(&b, 3);
	for (unsigned i = 0; i < 5; i++) { /* slept for ten heartbeats each time */
		b.now = mono_add(b.now, SEC_NS);
		assert_int_equal(beat(&b, 3), 0);
	}
	assert_int_equal(b.g.set[0].live, 3);
}

static void
test_restart(void **state)
{
	const struct gateway_next was = {.state = GATEWAY_DOWN, .link = true};
	struct bench b;

	(void)state;
	begin(&b);
	gateway_core_init(&b.g, &conf);
	(void)gateway_core_add_hop(&b.g, b.now, NULL);
	(void)gateway_core_add_hop(&b.g, b.now, &was);
	(void)gateway_core_add_set(&b.g, b.now, 3, 1);
	assert_int_equal(b.g.set[0].live, 1);
	assert_int_equal(beat(&b, 1), 0);
}

/* ---- bytes --------------------------------------------------------------------- */

static const uint8_t arp_question[NEIGHBOUR_ARP_LEN] = {0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0,
    0, 0, 1, 10, 0, 1, 11, 0, 0, 0, 0, 0, 0, 10, 0, 1, 4};
static const uint8_t arp_answer[NEIGHBOUR_ARP_LEN] = {0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0,
    0, 0, 7, 10, 0, 1, 4, 2, 0, 0, 0, 0, 1, 10, 0, 1, 11};

static void
test_arp(void **state)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
	uint8_t buf[64] = {0}, there[6];
	struct ip to, from, ip;

	(void)state;
	assert_int_equal(ip_parse(&to, "10.0.1.4"), 0);
	assert_int_equal(ip_parse(&from, "10.0.1.11"), 0);
	neighbour_arp_encode(buf, &to, &from, mac);
	assert_memory_equal(buf, arp_question, sizeof(arp_question));
	assert_false(neighbour_arp_decode(buf, NEIGHBOUR_ARP_LEN, &ip, there));
	memcpy(buf, arp_answer, sizeof(arp_answer));
	for (size_t n = 0; n < NEIGHBOUR_ARP_LEN; n++)
		assert_false(neighbour_arp_decode(buf, n, &ip, there));
	/* Padded to the smallest frame of Ethernet. */
	assert_true(neighbour_arp_decode(buf, 46, &ip, there));
	assert_true(ip_equal(&ip, &to));
	assert_int_equal(there[5], 7);
	for (size_t i = 0; i < 8; i++) { /* every field of the head counts */
		buf[i] ^= 1;
		assert_false(neighbour_arp_decode(buf, 46, &ip, there));
		buf[i] ^= 1;
	}
	buf[8] |= 1; /* nobody's address is a group's */
	assert_false(neighbour_arp_decode(buf, 46, &ip, there));
}

static void
test_discovery(void **state)
{
	static const uint8_t here[8] = {1, 1, 2, 0, 0, 0, 0, 1};
	uint8_t buf[NEIGHBOUR_SOLICIT_LEN] = {0};
	struct ip to, ip, group;

	(void)state;
	assert_int_equal(ip_parse(&to, "2001:db8:2::12:3456"), 0);
	assert_int_equal(ip_parse(&group, "ff02::1:ff12:3456"), 0);
	ip = neighbour_solicited_node(&to);
	assert_true(ip_equal(&ip, &group));
	neighbour_solicit_encode(buf, &to, here + 2);
	assert_int_equal(buf[0], 135);
	assert_memory_equal(buf + 24, here, sizeof(here));
	assert_memory_equal(buf + 8, to.byte, 16);
	assert_false(neighbour_advert_decode(buf, NEIGHBOUR_SOLICIT_LEN, &ip));
	buf[0] = 136;
	for (size_t n = 0; n < 24; n++)
		assert_false(neighbour_advert_decode(buf, n, &ip));
	assert_true(neighbour_advert_decode(buf, 32, &ip));
	assert_true(ip_equal(&ip, &to));
	buf[1] = 1;
	assert_false(neighbour_advert_decode(buf, 32, &ip));
	buf[1] = 0;
	buf[8] = 0xff;
	assert_false(neighbour_advert_decode(buf, 32, &ip));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_plan_of_gateway),
	    cmocka_unit_test(test_plan_of_client),
	    cmocka_unit_test(test_plan_of_vpn),
	    cmocka_unit_test(test_plan_without_gateways),
	    cmocka_unit_test(test_derived),
	    cmocka_unit_test(test_nothing_derived),
	    cmocka_unit_test(test_unknown_is_used),
	    cmocka_unit_test(test_fall_and_rise),
	    cmocka_unit_test(test_broken_row_begins_anew),
	    cmocka_unit_test(test_last_one_stays),
	    cmocka_unit_test(test_link),
	    cmocka_unit_test(test_pace),
	    cmocka_unit_test(test_late_caller),
	    cmocka_unit_test(test_restart),
	    cmocka_unit_test(test_arp),
	    cmocka_unit_test(test_discovery),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
