/* SPDX-License-Identifier: Apache-2.0 */
/* What a drill makes of a cluster file: failures, forecasts, schedules, and less. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "lab/drill.h"
#include "lab/ledger.h"
#include "lab/schedule.h"
#include "parse.h"
#include "supervisor/supervisor.h"

const struct part_program part_programs[] = {{.name = NULL}};

#define MISHAPS 400

static const char site[] =
    "cluster: t\n"
    "networks: {main: 10.0.0.0/24, sync: {subnet: 10.0.9.0/24, dedicated: true},\n"
    "  twice: {subnet: 10.0.8.0/24, redundant: true}}\n"
    "zones: [rack-a, rack-b, empty]\n"
    "hosts:\n"
    "  lb1: {main: 10.0.0.11, sync: 10.0.9.11, zone: rack-a}\n"
    "  lb2: {main: 10.0.0.12, sync: 10.0.9.12, zone: rack-b}\n"
    "  web1: {main: 10.0.0.21, twice: 10.0.8.21, zone: rack-a}\n"
    "floating_ips:\n"
    "  www: {address: 10.0.0.10, hosts: [lb1, lb2]}\n"
    "services:\n"
    "  site: {listen: www:80, servers: [web1:8080], check: /health}\n";

static const struct mishap *
find(const struct mishap *m, size_t n, const char *name)
{
	char text[MISHAP_NAME_LEN];

	for (size_t i = 0; i < n; i++) {
		mishap_name(&m[i], text, sizeof(text));
		if (strcmp(text, name) == 0)
			return &m[i];
	}
	return NULL;
}

static void
test_mishaps(void **state)
{
	static const struct {
		const char *name;
		bool there;
		enum forecast forecast;
	} rows[] = {
	    {"host-off:lb1", true, FORECAST_SURVIVES},
	    {"host-off:web1", true, FORECAST_ENDS}, /* the only server */
	    {"host-paused:web1", true, FORECAST_ENDS},
	    {"server-killed:web1", true, FORECAST_ENDS},
	    {"server-slow:web1", true, FORECAST_SURVIVES},
	    {"server-killed:lb1", false, FORECAST_NONE},
	    {"graceful-stop:lb2", true, FORECAST_SURVIVES},
	    {"graceful-stop:web1", false, FORECAST_NONE}, /* runs no part */
	    {"link-down:lb1/main", true, FORECAST_SURVIVES},
	    {"link-deaf:web1/main", true, FORECAST_ENDS},
	    {"link-down:lb2/sync", true, FORECAST_SURVIVES},
	    {"link-down:web1/twice", false, FORECAST_NONE}, /* redundant */
	    {"network-down:main", true, FORECAST_ENDS},
	    {"network-down:sync", true, FORECAST_SURVIVES},
	    {"network-down:twice", false, FORECAST_NONE},
	    {"heartbeat-cut:main", true, FORECAST_SURVIVES},
	    {"heartbeat-cut:sync", false, FORECAST_NONE},
	    {"zone-off:rack-a", true, FORECAST_ENDS},
	    {"zone-off:rack-b", true, FORECAST_SURVIVES},
	    {"zone-off:empty", false, FORECAST_NONE},
	    {"part-killed:lb1/vip", true, FORECAST_SURVIVES},
	    {"part-down:lb1/proxy", true, FORECAST_SURVIVES},
	    {"part-killed:web1/vip", false, FORECAST_NONE},
	    {"reload", true, FORECAST_SURVIVES},
	    {"upgrade", true, FORECAST_SURVIVES},
	    {"move", false, FORECAST_NONE}, /* only by role */
	    {"soak", false, FORECAST_NONE},
	};
	const struct cluster *c = parse(site);
	struct topology *t = topology_new(c);
	struct mishap m[MISHAPS];
	size_t n = mishap_list(c, m, MISHAPS);
	long goal = mishap_goal(t, cluster_service(c, "site"));

	(void)state;
	assert_in_range(n, 1, MISHAPS);
	assert_int_equal(mishap_list(c, NULL, 0), n);
	assert_true(goal >= 0);
	assert_ptr_equal(drill_service(c), cluster_service(c, "site"));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct mishap *found = find(m, n, rows[i].name);

		if ((found != NULL) != rows[i].there)
			fail_msg("%s", rows[i].name);
		if (found != NULL &&
		    mishap_forecast(t, found, (size_t)goal) != rows[i].forecast)
			fail_msg("forecast of %s", rows[i].name);
	}
	topology_free(t);
	cluster_unref(c);
}

/* What ends the service only by a database was not there to be broken; the database's
 * program is not that of the server beside it. */
static void
test_data_is_not_run(void **state)
{
	static const struct {
		const char *name;
		enum forecast forecast;
	} rows[] = {
	    {"host-off:web1", FORECAST_NOT_RUN},
	    {"server-killed:web1", FORECAST_SURVIVES},
	    {"host-off:web2", FORECAST_SURVIVES},
	    {"network-down:main", FORECAST_ENDS},
	};
	const struct cluster *c =
	    parse("cluster: t\nnetwork: 10.0.0.0/24\n"
		  "hosts: {lb1: 10.0.0.11, lb2: 10.0.0.12, web1: 10.0.0.21, web2: "
		  "10.0.0.22}\n"
		  "floating_ips: {www: {address: 10.0.0.10, hosts: [lb1, lb2]}}\n"
		  "services: {site: {listen: www:80, servers: [web1:80, web2:80]}}\n"
		  "databases: {d: {engine: mariadb, hosts: web1}}\n");
	struct topology *t = topology_new(c);
	struct mishap m[MISHAPS];
	size_t n = mishap_list(c, m, MISHAPS);
	long goal = mishap_goal(t, cluster_service(c, "site"));

	(void)state;
	assert_in_range(n, 1, MISHAPS);
	assert_true(goal >= 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct mishap *found = find(m, n, rows[i].name);

		assert_non_null(found);
		if (mishap_forecast(t, found, (size_t)goal) != rows[i].forecast)
			fail_msg("forecast of %s", rows[i].name);
	}
	topology_free(t);
	cluster_unref(c);
}

/* Every name stands for one failure: a report is resumed by names. */
static void
test_names(void **state)
{
	const struct cluster *c = parse(site);
	struct mishap m[MISHAPS];
	size_t n = mishap_list(c, m, MISHAPS);
	char name[MISHAP_NAME_LEN], small[8];

	(void)state;
	for (size_t i = 0; i < n; i++) {
		mishap_name(&m[i], name, sizeof(name));
		assert_ptr_equal(find(m, n, name), &m[i]);
	}
	mishap_name(&m[0], small, sizeof(small));
	assert_int_equal(strlen(small), sizeof(small) - 1);
	cluster_unref(c);
}

static void
test_matches(void **state)
{
	static const struct {
		const char *name, *pattern;
		bool want;
	} rows[] = {
	    {"host-off:lb1", "host-off", true},
	    {"host-off:lb1", "host-off:lb1", true},
	    {"host-off:lb12", "host-off:lb1", false},
	    {"host-off:lb12", "host-off:lb1*", true},
	    {"link-down:lb1/main", "link-down:lb1", true},
	    {"link-down:lb1/main", "link-down:lb1/main", true},
	    {"link-down:lb1/main", "link", false},
	    {"link-down:lb1/main", "link*", true},
	    {"host-off:lb1", "*", true},
	    {"host-off", "host-off:lb1", false},
	    {"host-off", "", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(mishap_matches(rows[i].name, rows[i].pattern,
				     strlen(rows[i].pattern)),
		    rows[i].want);
}

/* ---- schedules ------------------------------------------------------------------ */

/* Numbers 0 and 1 never together; 9 never. */
static bool
may(void *arg, const size_t *which, size_t n)
{
	unsigned seen = 0;

	(void)arg;
	for (size_t i = 0; i < n; i++)
		seen |= 1U << which[i];
	return (seen & 3) != 3 && (seen & 1U << 9) == 0;
}

static void
test_schedule(void **state)
{
	const struct chances chances = {.n = 10, .may = may};
	struct event event[SCHEDULE_MAX], again[SCHEDULE_MAX];

	(void)state;
	for (uint64_t seed = 1; seed <= 200; seed++) {
		struct rng a = {seed}, b = {seed};
		size_t n = schedule_make(&a, &chances, 120000, event, SCHEDULE_MAX);

		assert_in_range(n, 5, 400);
		assert_int_equal(
		    schedule_make(&b, &chances, 120000, again, SCHEDULE_MAX), n);
		assert_memory_equal(event, again, n * sizeof(*event));
		for (size_t i = 0; i < n; i++) {
			size_t which[SCHEDULE_MAX], busy = 0;

			assert_true(event[i].at_ms < 120000 && event[i].hold_ms > 0);
			assert_true(i == 0 || event[i].at_ms > event[i - 1].at_ms);
			for (size_t k = 0; k <= i; k++) {
				if (event[k].at_ms + event[k].hold_ms +
					SCHEDULE_RECOVER_MS >
				    event[i].at_ms)
					which[busy++] = event[k].which;
			}
			assert_true(busy <= SCHEDULE_AT_ONCE);
			assert_true(may(NULL, which, busy));
		}
	}
}

/* Fails while all of `culprit` (a bit each) are kept. */
struct trial {
	uint64_t culprit;
	size_t n;
	unsigned runs, stop_at;
};

static int
fails(void *arg, const bool *keep)
{
	struct trial *t = arg;

	if (++t->runs == t->stop_at)
		return -EINTR;
	for (size_t i = 0; i < t->n; i++) {
		if ((t->culprit >> i & 1) != 0 && !keep[i])
			return 0;
	}
	return 1;
}

static void
test_shrink(void **state)
{
	static const struct {
		uint64_t culprit;
		size_t n;
	} rows[] = {
	    {0x1, 1},
	    {0x8, 10},
	    {0x8000000000000001, 64},
	    {0x20010, 20},
	    {0x7, 3},
	    {0x10040008, 40},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct trial t = {.culprit = rows[i].culprit, .n = rows[i].n};
		bool keep[64];

		memset(keep, true, sizeof(keep));
		assert_int_equal(schedule_shrink(t.n, keep, fails, &t, 500), 0);
		for (size_t k = 0; k < t.n; k++)
			assert_int_equal(keep[k], t.culprit >> k & 1);
		assert_true(t.runs < 120);
	}
}

/* Few tries: still a schedule that fails, if not the shortest; and it can be stopped.
 */
static void
test_shrink_limits(void **state)
{
	struct trial t = {.culprit = 0x10040008, .n = 40};
	bool keep[64];

	(void)state;
	memset(keep, true, sizeof(keep));
	assert_int_equal(schedule_shrink(t.n, keep, fails, &t, 7), 0);
	assert_int_equal(t.runs, 7);
	assert_int_equal(fails(&t, keep), 1);
	t.runs = 0;
	t.stop_at = 3;
	assert_int_equal(schedule_shrink(t.n, keep, fails, &t, 100), -EINTR);
}

static void
test_ledger(void **state)
{
	static const struct {
		const char *journal[4]; /* pieces, of journals 0, 1, 0, 1 */
		uint64_t acknowledged[4];
		size_t n;
		uint64_t lost, repeated, torn;
	} rows[] = {
	    {{"1\n2\n", "3\n"}, {1, 2, 3}, 3, 0, 0, 0},
	    /* not acknowledged, and carried out: nobody was promised anything */
	    {{"1\n2\n"}, {1}, 1, 0, 0, 0},
	    /* in pieces */
	    {{"1", "7\n5", "2\n", "\n"}, {12, 7, 5}, 3, 0, 0, 0},
	    /* promised, and in no journal */
	    {{"1\n", "3\n"}, {1, 2, 4}, 3, 2, 0, 0},
	    /* half a line is no write yet */
	    {{"2"}, {2}, 1, 1, 0, 0},
	    /* in two journals; twice in one; acknowledged or not */
	    {{"1\n", "1\n"}, {1}, 1, 0, 1, 0},
	    {{"5\n5\n5\n"}, {0}, 0, 0, 2, 0},
	    {{"6\n", "7\n", "7\n", "6\n"}, {6}, 1, 0, 2, 0},
	    /* what no writer wrote */
	    {{"\n", "x\n", "1 \n", "-1\n"}, {0}, 0, 0, 0, 4},
	    {{"16\n", "99999999999999999999999999\n"}, {0}, 0, 0, 0, 2},
	    /* acknowledged though it cannot be */
	    {{"1\n"}, {1, 16, UINT64_MAX}, 3, 2, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint8_t found[16] = {0};
		struct ledger_sum sum;
		struct ledger l;

		ledger_init(&l, found, sizeof(found));
		for (unsigned k = 0; k < 4 && rows[i].journal[k] != NULL; k++)
			ledger_journal(
			    &l, k % 2, rows[i].journal[k], strlen(rows[i].journal[k]));
		ledger_acknowledged(&l, rows[i].acknowledged, rows[i].n);
		ledger_take(&l, &sum);
		assert_int_equal(sum.acknowledged, rows[i].n);
		assert_int_equal(sum.lost, rows[i].lost);
		assert_int_equal(sum.repeated, rows[i].repeated);
		assert_int_equal(sum.torn, rows[i].torn);
		assert_int_equal(
		    ledger_wrong(&sum), rows[i].lost + rows[i].repeated + rows[i].torn);
		ledger_take(&l, &sum);
		assert_int_equal(sum.acknowledged + ledger_wrong(&sum), 0);
	}
}

/* Who is to blame is named: the first of them. */
static void
test_ledger_names(void **state)
{
	static const uint64_t told[] = {3, 9, 8};
	uint8_t found[16] = {0};
	struct ledger_sum sum;
	struct ledger l;

	(void)state;
	ledger_init(&l, found, sizeof(found));
	ledger_journal(&l, 2, "3\n4\n", 4);
	ledger_journal(&l, 7, "4\n3\n", 4);
	ledger_acknowledged(&l, told, ARRAY_LEN(told));
	ledger_take(&l, &sum);
	assert_int_equal(sum.lost_write, 9);
	assert_int_equal(sum.repeated_write, 4);
	assert_int_equal(sum.first_in, 2);
	assert_int_equal(sum.again_in, 7);
	/* What is found later is a repetition all the same. */
	ledger_journal(&l, 0, "4\n", 2);
	ledger_take(&l, &sum);
	assert_int_equal(sum.repeated, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_mishaps),
	    cmocka_unit_test(test_data_is_not_run),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_matches),
	    cmocka_unit_test(test_schedule),
	    cmocka_unit_test(test_shrink),
	    cmocka_unit_test(test_shrink_limits),
	    cmocka_unit_test(test_ledger),
	    cmocka_unit_test(test_ledger_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
