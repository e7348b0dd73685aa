/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who comes through the firewall to a service: rows, and random rows against every
 * address that they could tell apart.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "firewall/passage.h"
#include "firewall/rules.h"
#include "parse.h"

#define BYTES	 ((size_t)64 << 20)
#define ROUNDS	 300
#define ROWS_MAX 5

#define HEAD                                                                    \
	"cluster: x\n"                                                          \
	"networks:\n"                                                           \
	"  internet: 198.51.100.0/24\n"                                         \
	"  dmz: 10.0.2.0/24\n"                                                  \
	"  office: 10.0.3.0/24\n"                                               \
	"hosts:\n"                                                              \
	"  fw1: {internet: 198.51.100.11, dmz: 10.0.2.11, office: 10.0.3.11}\n" \
	"  lb1: {dmz: 10.0.2.21}\n"                                             \
	"  web1: {dmz: 10.0.2.31}\n"                                            \
	"floating_ips:\n"                                                       \
	"  www: {address: 10.0.2.20, hosts: lb1}\n"                             \
	"  pub: {address: 198.51.100.20, hosts: fw1}\n"                         \
	"services: {site: {listen: www:80, servers: [web1:80]}}\n"              \
	"firewall:\n"                                                           \
	"  hosts: fw1\n"                                                        \
	"  outside: internet\n"

#define ALLOW "  allow: [{from: internet, to: site}]\n"

#define DENY_LINE 17 /* of the first row */

struct row {
	const char *what;
	const char *rows;
	enum passage_who who, undenied;
	unsigned line; /* of the row of deny; 0: none */
};

static const struct row rows[] = {
    {"let in", ALLOW, PASSAGE_OUTSIDE, PASSAGE_OUTSIDE, 0},
    {"no row", "", PASSAGE_NOBODY, PASSAGE_NOBODY, 0},
    {"a row of others", "  allow: [{from: internet, to: web1, ports: 80}]\n",
	PASSAGE_NOBODY, PASSAGE_NOBODY, 0},
    {"another port", "  allow: [{from: internet, to: www, ports: 81}]\n",
	PASSAGE_NOBODY, PASSAGE_NOBODY, 0},
    {"another protocol", "  allow: [{from: internet, to: www, proto: icmp}]\n",
	PASSAGE_NOBODY, PASSAGE_NOBODY, 0},
    {"only the office", "  allow: [{from: office, to: site}]\n", PASSAGE_INSIDE,
	PASSAGE_INSIDE, 0},
    {"one address outside", "  allow: [{from: 203.0.113.7, to: site}]\n",
	PASSAGE_OUTSIDE, PASSAGE_OUTSIDE, 0},
    {"one that is refused",
	"  deny:\n    - {from: 203.0.113.0/24, to: any}\n"
	"  allow: [{from: 203.0.113.7, to: site}]\n",
	PASSAGE_NOBODY, PASSAGE_OUTSIDE, DENY_LINE + 1},
    {"all but one are refused",
	"  deny:\n    - {from: [0.0.0.0/1, 128.0.0.0/2, 192.0.0.0/8], to: any}\n" ALLOW,
	PASSAGE_OUTSIDE, PASSAGE_OUTSIDE, 0},
    {"everybody is refused, by two rows",
	"  deny:\n    - {from: 0.0.0.0/1, to: any}\n"
	"    - {from: 128.0.0.0/1, to: site}\n" ALLOW,
	PASSAGE_NOBODY, PASSAGE_OUTSIDE, DENY_LINE + 1},
    {"by two rows, of which one is of another port",
	"  deny:\n    - {from: 0.0.0.0/1, to: any}\n"
	"    - {from: 128.0.0.0/1, to: www, ports: 443}\n" ALLOW,
	PASSAGE_OUTSIDE, PASSAGE_OUTSIDE, 0},
    {"the outside is refused, the office is not",
	"  deny: [{from: internet, to: any}]\n"
	"  allow: [{from: any, to: site}]\n",
	PASSAGE_INSIDE, PASSAGE_OUTSIDE, DENY_LINE},
    {"translated from another address and port",
	"  allow: [{from: internet, to: pub, ports: 8080, nat: {to: "
	"\"10.0.2.20:80\"}}]\n",
	PASSAGE_OUTSIDE, PASSAGE_OUTSIDE, 0},
    {"translated to another port",
	"  allow: [{from: internet, to: pub, ports: 8080, nat: {to: "
	"\"10.0.2.20:81\"}}]\n",
	PASSAGE_NOBODY, PASSAGE_NOBODY, 0},
    {"translated, and refused",
	"  deny: [{from: any, to: site}]\n"
	"  allow: [{from: internet, to: pub, ports: 8080, nat: {to: "
	"\"10.0.2.20:80\"}}]\n",
	PASSAGE_NOBODY, PASSAGE_OUTSIDE, DENY_LINE},
};

static struct passage
ask(const struct cluster *c, struct arena *a)
{
	struct passage *p;
	size_t n;

	assert_non_null(a);
	assert_int_equal(passages_find(c, a, &p, &n), 0);
	assert_int_equal(n, 1);
	assert_ptr_equal(p->service, &c->service[0]);
	assert_ptr_equal(p->listener, &c->service[0].listen[0]);
	return *p;
}

static void
test_rows(void **state)
{
	char text[4096];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		struct arena *a = arena_new(BYTES);
		const struct cluster *c;
		struct passage p;

		(void)snprintf(text, sizeof(text), "%s%s", HEAD, row->rows);
		c = parse(text);
		p = ask(c, a);
		if (p.who != row->who || p.undenied != row->undenied ||
		    p.deny.line != row->line)
			fail_msg("%s: %d, %d without rows of deny, line %u", row->what,
			    (int)p.who, (int)p.undenied, p.deny.line);
		arena_free(a);
		cluster_unref(c);
	}
}

static void
test_no_firewall(void **state)
{
	const struct cluster *c =
	    parse("cluster: x\nnetwork: 10.0.0.0/24\nhosts: {a: 10.0.0.1}\n"
		  "services: {site: {listen: a:80, servers: [10.0.0.2:80]}}\n");
	struct arena *a = arena_new(BYTES);
	struct passage *p;
	size_t n = 1;

	(void)state;
	assert_int_equal(passages_find(c, a, &p, &n), 0);
	assert_int_equal(n, 0);
	arena_free(a);
	cluster_unref(c);
}

/* ---- random rows --------------------------------------------------------------- */

static void
put_rows(struct rng *r, struct sbuf *out, const char *list)
{
	static const char *const from[] = {
	    "any", "internet", "office", "dmz", "0.0.0.0/1", "128.0.0.0/1"};
	static const char *const to[] = {"any", "site", "www, ports: 80",
	    "www, ports: 70-79", "dmz, proto: tcp", "dmz, proto: udp"};
	unsigned n = rng_below(r, ROWS_MAX);

	if (n > 0)
		sbuf_printf(out, "  %s:\n", list);
	for (unsigned i = 0; i < n; i++) {
		unsigned bits = 24 + rng_below(r, 9), low = rng_below(r, 256);

		if (rng_below(r, 2) == 0)
			sbuf_printf(out, "    - {from: %s, ", from[rng_below(r, 6)]);
		else
			sbuf_printf(out, "    - {from: %s.%u/%u, ",
			    rng_below(r, 2) == 0 ? "203.0.113" : "10.0.3",
			    low & (0xffU << (32 - bits) & 0xff), bits);
		sbuf_printf(out, "to: %s}\n", to[rng_below(r, 6)]);
	}
}

/* Every address of the networks that rows name, and one elsewhere. */
static enum passage_who
brute_force(const struct cluster *c, const struct rule_list *l)
{
	static const char *const net[] = {
	    "203.0.113", "10.0.2", "10.0.3", "198.51.100", "8.8.8", "192.0.2"};
	struct packet p = {
	    .dst = c->service[0].listen[0].at.ip, .proto = IPPROTO_TCP, .port = 80};
	enum passage_who who = PASSAGE_NOBODY, one;
	struct packet_fate fate;
	char text[32];

	for (unsigned i = 0; i < sizeof(net) / sizeof(net[0]); i++) {
		one = i == 1 || i == 2 ? PASSAGE_INSIDE : PASSAGE_OUTSIDE;
		for (unsigned k = 0; k < 256; k++) {
			(void)snprintf(text, sizeof(text), "%s.%u", net[i], k);
			assert_int_equal(ip_parse(&p.src, text), 0);
			rules_eval(l, &p, true, &fate);
			if (fate.accepted && one > who)
				who = one;
		}
	}
	return who;
}

static void
test_random_rows(void **state)
{
	struct rng rng = {rng_mix(1)};
	size_t seen[PASSAGE_OUTSIDE + 1] = {0};

	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct arena *a = arena_new(BYTES);
		const struct cluster *c;
		struct rule_list l;
		struct sbuf text;
		struct passage p;

		sbuf_init(&text, 65536);
		sbuf_puts(&text, HEAD);
		put_rows(&rng, &text, "deny");
		put_rows(&rng, &text, "allow");
		c = parse(sbuf_text(&text));
		p = ask(c, a);
		assert_int_equal(rules_build(c, c->firewall.host[0], a, &l), 0);
		if (p.who != brute_force(c, &l))
			fail_msg("round %u: %d said of\n%s", i, (int)p.who,
			    sbuf_text(&text));
		assert_true(p.undenied >= p.who);
		assert_int_equal(p.deny.line != 0, p.undenied > p.who);
		seen[p.who]++;
		sbuf_done(&text);
		arena_free(a);
		cluster_unref(c);
	}
	for (unsigned i = 0; i <= PASSAGE_OUTSIDE; i++)
		assert_true(seen[i] > ROUNDS / 20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rows),
	    cmocka_unit_test(test_no_firewall),
	    cmocka_unit_test(test_random_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
