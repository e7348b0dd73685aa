/* SPDX-License-Identifier: Apache-2.0 */
/* What the lab concludes from what it saw, and the peers' configurations. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "lab/file.h"
#include "lab/owners.h"
#include "lab/peers.h"
#include "lab/probe.h"
#include "lab/ways.h"
#include "lab/web.h"
#include "parse.h"
#include "supervisor/supervisor.h"

const struct part_program part_programs[] = {{.name = NULL}};

static mono_t
at(int64_t ms)
{
	return (mono_t){ms * MS_NS};
}

static void
test_owners(void **state)
{
	static const struct {
		struct owner_event event[6];
		size_t n;
		int64_t from, to, two, none;
		unsigned moves;
	} rows[] = {
	    /* nothing happens */
	    {{{{0}, 1}}, 1, 100, 200, 0, 0, 0},
	    /* before the window does not count */
	    {{{{0}, 1}, {{50 * MS_NS}, 3}, {{90 * MS_NS}, 2}}, 3, 100, 200, 0, 0, 0},
	    /* a gap of 30, then another host */
	    {{{{0}, 1}, {{110 * MS_NS}, 0}, {{140 * MS_NS}, 2}}, 3, 100, 200, 0, 30, 1},
	    /* both for 20, and both until the end */
	    {{{{0}, 1}, {{110 * MS_NS}, 3}, {{130 * MS_NS}, 1}, {{190 * MS_NS}, 3}}, 4,
		100, 200, 30, 0, 2},
	    /* two since before the window: only the part inside */
	    {{{{0}, 3}, {{120 * MS_NS}, 2}}, 2, 100, 200, 20, 0, 0},
	    /* what comes after it does not count */
	    {{{{0}, 1}, {{200 * MS_NS}, 0}, {{300 * MS_NS}, 2}}, 3, 100, 200, 0, 0, 0},
	    /* two until after the window: only the part inside */
	    {{{{0}, 3}, {{250 * MS_NS}, 1}}, 2, 100, 200, 100, 0, 0},
	    /* two hosts get it at once */
	    {{{{0}, 0}, {{150 * MS_NS}, 3}}, 2, 100, 200, 50, 50, 2},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct owners_sum s;

		owners_measure(
		    rows[i].event, rows[i].n, at(rows[i].from), at(rows[i].to), &s);
		assert_int_equal(s.two_ns, rows[i].two * MS_NS);
		assert_int_equal(s.none_ns, rows[i].none * MS_NS);
		assert_int_equal(s.moves, rows[i].moves);
	}
}

/* One letter a millisecond: + answered, R refused, T no answer, . still waiting. */
static size_t
samples(struct probe_sample *s, const char *text)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++) {
		s[i].sent = at((int64_t)i);
		s[i].took_us = (uint32_t)i;
		atomic_init(&s[i].result, (uint8_t)(text[i] == '+'   ? PROBE_OK
						    : text[i] == 'R' ? PROBE_REFUSED
						    : text[i] == 'T' ? PROBE_TIMEOUT
								     : PROBE_WAITING));
	}
	return n;
}

static void
test_outages(void **state)
{
	static const struct {
		const char *text;
		int64_t from, to;
		int64_t outage;
		unsigned outages, failed;
		enum probe_result first;
	} rows[] = {
	    {"++++++++++", 0, 10, 0, 0, 0, PROBE_OK},
	    {"+++RRT++++", 0, 10, 3, 1, 3, PROBE_REFUSED},
	    /* from the first that failed to the first answered: 1 and 2 */
	    {"+T++RR++++", 0, 10, 3, 2, 3, PROBE_TIMEOUT},
	    /* one that still waits neither ends an outage nor begins one */
	    {"+.+TT.T+.+", 0, 10, 4, 1, 3, PROBE_TIMEOUT},
	    /* not answered before the end: until the end */
	    {"+++++++TTT", 0, 10, 3, 1, 3, PROBE_TIMEOUT},
	    /* only what was sent inside the window */
	    {"TT++++TT++", 2, 6, 0, 0, 0, PROBE_OK},
	    {"TT++++TT++", 1, 7, 2, 2, 2, PROBE_TIMEOUT},
	};
	struct probe_sample s[16];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct outage outage[4];
		struct outage_list list = {.outage = outage, .max = 4};
		struct probe_sum sum;
		size_t count = samples(s, rows[i].text);

		probe_measure(s, count, at(rows[i].from), at(rows[i].to), &sum, &list);
		assert_int_equal(sum.outage_ns, rows[i].outage * MS_NS);
		assert_int_equal(sum.outages, rows[i].outages);
		assert_int_equal(sum.failed, rows[i].failed);
		assert_int_equal(list.n, rows[i].outages);
		if (list.n > 0)
			assert_int_equal(outage[0].first, rows[i].first);
	}
}

static void
test_slowest(void **state)
{
	struct probe_sample s[16];
	struct probe_sum sum;
	size_t n = samples(s, "+++T");

	(void)state;
	probe_measure(s, n, at(0), at(10), &sum, NULL);
	assert_int_equal(sum.slowest_us, 2); /* the one that failed took longer */
	assert_int_equal(sum.answered, 3);
}

static void
test_judge(void **state)
{
	static const struct {
		const char *text;
		enum probe_result want;
	} rows[] = {
	    {"", PROBE_WAITING},
	    {"HTTP/1.1 200 OK\r\nA: b\r\n", PROBE_WAITING},
	    {"HTTP/1.1 200 OK\r\n\r\nweb1 id=", PROBE_WAITING},
	    {"HTTP/1.1 200 OK\r\n\r\nweb1 id=7", PROBE_WAITING},
	    {"HTTP/1.1 200 OK\r\n\r\nweb1 id=7\n", PROBE_OK},
	    {"HTTP/1.0 200 OK\r\nid=9\r\n\r\nweb1 id=7\n", PROBE_OK},
	    {"HTTP/1.1 200 OK\r\n\r\nweb1 id=77\n", PROBE_WRONG},
	    {"HTTP/1.1 200 OK\r\n\r\nweb1 id=7\nmore", PROBE_WRONG},
	    {"HTTP/1.1 503 No\r\n\r\n", PROBE_STATUS},
	    {"HTTP/1.1 2000 No\r\n\r\nid=7\n", PROBE_STATUS},
	    {"SSH-2.0\r\n\r\n 200 id=7\n", PROBE_STATUS},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(probe_judge(rows[i].text, 7), rows[i].want);
}

static void
test_numbers(void **state)
{
	int64_t n = -1;

	(void)state;
	assert_true(file_heartbeat("10ms", &n));
	assert_int_equal(n, 10 * MS_NS);
	assert_true(file_heartbeat("40s", &n));
	assert_int_equal(n, 40 * SEC_NS);
	assert_false(file_heartbeat("41s", &n));
	assert_false(file_heartbeat("5ms", &n));
	assert_false(file_heartbeat("15ms", &n)); /* no whole centisecond */
	assert_false(file_heartbeat("10", &n));
	assert_false(file_heartbeat("10ms ", &n));
	assert_false(file_heartbeat("", &n));
	assert_false(file_heartbeat("99999999999999999999s", &n));
	assert_int_equal(n, 40 * SEC_NS); /* untouched by those refused */
	assert_true(file_number("7", 1, 9, &n));
	assert_false(file_number("10", 1, 9, &n));
	assert_false(file_number("7x", 1, 9, &n));
}

static const char pair[] = "cluster: t\nnetwork: 10.0.0.0/24\n"
			   "hosts: {lb1: 10.0.0.11, lb2: 10.0.0.12, web1: 10.0.0.21}\n"
			   "floating_ips:\n"
			   "  www: {address: 10.0.0.10, hosts: [lb1, lb2], "
			   "heartbeat: 250ms}\n"
			   "services:\n"
			   "  site: {listen: www:80, servers: [web1:8080], "
			   "check: /health}\n";

/* Two gateways, two firewalls, two balancers, one behind the other. */
static const char chain[] =
    "cluster: t\n"
    "networks: {internet: 198.51.100.0/24, edge: 10.0.1.0/24, dmz: 10.0.2.0/24,\n"
    "  sync: {subnet: 10.0.9.0/24, dedicated: true}, away: 10.0.7.0/24}\n"
    "hosts:\n"
    "  gw1: {internet: 198.51.100.2, edge: 10.0.1.2}\n"
    "  gw2: {internet: 198.51.100.3, edge: 10.0.1.3}\n"
    "  fw1: {edge: 10.0.1.11, dmz: 10.0.2.11, sync: 10.0.9.11}\n"
    "  fw2: {edge: 10.0.1.12, dmz: 10.0.2.12, sync: 10.0.9.12}\n"
    "  lb1: {dmz: 10.0.2.21, sync: 10.0.9.21}\n"
    "  lb2: {dmz: 10.0.2.22, sync: 10.0.9.22}\n"
    "  far: 10.0.7.1\n"
    "floating_ips:\n"
    "  www: {address: 10.0.2.20, hosts: [lb1, lb2]}\n"
    "  out1: {address: 198.51.100.12, hosts: [gw1, gw2]}\n"
    "  in1: {address: 10.0.1.22, hosts: [gw1, gw2]}\n"
    "  in2: {address: 10.0.1.23, hosts: [gw2, gw1]}\n"
    "  fwout: {address: 10.0.1.10, hosts: [fw1, fw2]}\n"
    "  fwin: {address: 10.0.2.10, hosts: [fw1, fw2]}\n"
    "services:\n"
    "  site: {listen: www:80, servers: [lb1:8080]}\n";

static const struct network *
network(const struct cluster *c, const char *name)
{
	for (size_t i = 0; i < c->n_networks; i++) {
		if (strcmp(c->network[i].name, name) == 0)
			return &c->network[i];
	}
	fail();
	return NULL;
}

/* Next hops are floating addresses where the routers have some, and all of them. */
static void
test_ways(void **state)
{
	static const struct {
		const char *host, *to; /* no host: from outside */
		const char *hop[3];
	} rows[] = {
	    {NULL, "dmz", {"198.51.100.12"}},
	    {NULL, "edge", {"198.51.100.12"}},
	    {NULL, "internet", {NULL}},
	    {NULL, "away", {NULL}}, /* nobody goes there */
	    {"gw1", "dmz", {"10.0.1.10"}},
	    {"fw2", "internet", {"10.0.1.22", "10.0.1.23"}},
	    {"lb1", "internet", {"10.0.2.10"}},
	    {"lb1", "edge", {"10.0.2.10"}},
	    {"lb1", "dmz", {NULL}},
	    {"lb1", "sync", {NULL}},
	    {"far", "dmz", {NULL}},
	};
	const struct cluster *c = parse(chain);
	char text[IP_STR_LEN];
	struct way way;

	(void)state;
	assert_string_equal(ways_outside(c)->name, "internet");
	assert_true(ways_passes(c, cluster_host(c, "gw2")));
	assert_false(ways_passes(c, cluster_host(c, "lb1")));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct network *to = network(c, rows[i].to);
		size_t n = 0;

		if (rows[i].host == NULL)
			ways_from(c, ways_outside(c), to, &way);
		else
			ways_find(c, cluster_host(c, rows[i].host), to, &way);
		for (; rows[i].hop[n] != NULL; n++) {
			assert_true(n < way.n_hops);
			assert_string_equal(
			    ip_format(&way.hop[n], text), rows[i].hop[n]);
		}
		assert_int_equal(way.n_hops, n);
	}
	cluster_unref(c);
	c = parse(pair);
	assert_null(ways_outside(c));
	cluster_unref(c);
}

/* Side by side is fair only if the peers are told what the file says. */
static void
test_peers(void **state)
{
	static const char *const expected[] = {"bind 10.0.0.10:80\n",
	    "server s0 10.0.0.21:8080 check inter 1000ms fall 3 rise 2\n",
	    "option httpchk GET /health\n", "advert_int 0.25\n", "priority 100\n",
	    "nopreempt\n", "10.0.0.10/24 dev eth0\n", "interface eth0\n"};
	const struct cluster *c = parse(pair);
	struct world w = {.cluster = c, .n_hosts = c->n_hosts};
	struct sbuf text;

	(void)state;
	for (size_t i = 0; i < c->n_hosts; i++)
		w.host[i].host = &c->host[i];
	sbuf_init(&text, 65536);
	peers_haproxy_conf(c, &c->host[1], &text);
	peers_keepalived_conf(&w, 1, "/check", &text);
	for (size_t i = 0; i < ARRAY_LEN(expected); i++)
		assert_non_null(strstr(sbuf_text(&text), expected[i]));
	sbuf_done(&text);

	sbuf_init(&text, 65536);
	web_nginx_conf(c, &c->host[2], "/d", &text);
	assert_non_null(strstr(sbuf_text(&text), "listen 10.0.0.21:8080;"));
	assert_non_null(strstr(sbuf_text(&text), "return 200 \"web1 id=$arg_id\\n\""));
	sbuf_done(&text);
	cluster_unref(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_owners),
	    cmocka_unit_test(test_outages),
	    cmocka_unit_test(test_slowest),
	    cmocka_unit_test(test_judge),
	    cmocka_unit_test(test_numbers),
	    cmocka_unit_test(test_peers),
	    cmocka_unit_test(test_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
