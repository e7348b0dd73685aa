/* SPDX-License-Identifier: Apache-2.0 */
/* What a drill concludes: its rules, and what its reports make of many rounds. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "lab/report.h"
#include "lab/rules.h"
#include "supervisor/supervisor.h"

const struct part_program part_programs[] = {{.name = NULL}};

static mono_t
at(int64_t ms)
{
	return (mono_t){ms * MS_NS};
}

/* ---- rules --------------------------------------------------------------------- */

static void
test_differ(void **state)
{
	(void)state;
	assert_null(rules_differ(FORECAST_SURVIVES, true));
	assert_null(rules_differ(FORECAST_ENDS, false));
	assert_null(rules_differ(FORECAST_NONE, true));
	assert_null(rules_differ(FORECAST_NONE, false));
	assert_string_equal(rules_differ(FORECAST_SURVIVES, false),
	    "was to be survived, but clients were not served");
	assert_string_equal(rules_differ(FORECAST_ENDS, true),
	    "was to end the service, but clients were served");
}

static void
test_two_owners(void **state)
{
	struct rules r;

	(void)state;
	rules_init(&r);
	/* Longer than 2 s, of the same address, without a break. */
	assert_int_equal(rules_owners(&r, 0, 3, at(0)), RULE_NONE);
	assert_int_equal(rules_owners(&r, 1, 1, at(0)), RULE_NONE);
	assert_int_equal(rules_owners(&r, 0, 3, at(2000)), RULE_NONE);
	assert_int_equal(rules_owners(&r, 0, 3, at(2001)), RULE_TWO);
	assert_int_equal(rules_owners(&r, 1, 6, at(2001)), RULE_NONE);
	assert_int_equal(rules_owners(&r, 0, 2, at(2002)), RULE_NONE);
	assert_int_equal(rules_owners(&r, 0, 3, at(2003)), RULE_NONE);
	assert_int_equal(rules_owners(&r, 0, 0, at(2500)), RULE_NONE);
	assert_int_equal(rules_owners(&r, 0, 3, at(4004)), RULE_NONE);
	assert_int_equal(rules_owners(&r, 0, 3, at(6004)), RULE_NONE);
	assert_int_equal(rules_owners(&r, 0, 3, at(6005)), RULE_TWO);
}

/* Who could not hear the other is given 2 s to notice, and then 2 s more. */
static void
test_deaf(void **state)
{
	struct rules r;

	(void)state;
	rules_init(&r);
	assert_int_equal(rules_owners(&r, 0, 3, at(0)), RULE_NONE);
	rules_deaf(&r, at(1000));
	assert_int_equal(rules_owners(&r, 0, 3, at(2500)), RULE_NONE);
	assert_int_equal(rules_owners(&r, 0, 3, at(2999)), RULE_NONE);
	assert_int_equal(rules_owners(&r, 0, 3, at(3000)), RULE_NONE);
	assert_int_equal(rules_owners(&r, 0, 3, at(5000)), RULE_NONE);
	assert_int_equal(rules_owners(&r, 0, 3, at(5001)), RULE_TWO);
}

static void
test_served_and_wrong(void **state)
{
	struct rules r;

	(void)state;
	rules_init(&r);
	assert_int_equal(rules_unserved(0), RULE_NONE);
	assert_int_equal(rules_unserved(8 * SEC_NS), RULE_NONE);
	assert_int_equal(rules_unserved(8 * SEC_NS + 1), RULE_UNSERVED);
	assert_int_equal(rules_wrong(&r, 0), RULE_NONE);
	assert_int_equal(rules_wrong(&r, 1), RULE_WRONG);
	assert_int_equal(rules_wrong(&r, 0), RULE_WRONG); /* once is enough */
}

/* ---- reports ------------------------------------------------------------------- */

/* Three rounds of one failure, another one between them. */
static void
make_rounds(struct drill_round round[4])
{
	static const int64_t outage[] = {300, 0, 100, 200};

	for (size_t i = 0; i < 4; i++) {
		struct drill_round *r = &round[i];

		*r = (struct drill_round){.generated = true,
		    .played = true,
		    .survived = i != 3,
		    .settled = i < 2,
		    .doubtful = i == 0,
		    .forecast = FORECAST_SURVIVES,
		    .recovered_ns = outage[i] * MS_NS};
		(void)snprintf(r->name, sizeof(r->name), "%s",
		    i == 1 ? "link-down:a" : "host-off:a");
		r->phase[0].probes.outage_ns = outage[i] * MS_NS;
		r->phase[0].probes.failed = (unsigned)outage[i];
		r->phase[1].probes.outage_ns = 7 * MS_NS;
		r->phase[1].probes.failed = 7;
		for (size_t p = 0; p < 2; p++) {
			struct phase *phase = &r->phase[p];

			phase->two_ns = (int64_t)(i + 2 * p) * MS_NS;
			phase->owners.none_ns = 5 * MS_NS;
			phase->owners.moves = 1;
			phase->load.requests = 100;
			phase->load.failures = 10;
			phase->load.retried = 3;
			phase->load.broken = 20;
			phase->flows[FLOW_DOWNLOAD].broken = 2;
			phase->flows[FLOW_PUSH].broken = 4;
			phase->flows[FLOW_PUSH].corrupt = 1;
		}
		r->writes.acknowledged = 50;
		r->writes.lost = i == 2 ? 1 : 0;
		r->writes.repeated = i == 3 ? 2 : 0;
		r->writes_load.failures = 6;
	}
}

static void
test_gather(void **state)
{
	struct drill_round round[4];
	struct drill_report report = {.round = round, .n = 4};
	struct report_group g;

	(void)state;
	make_rounds(round);
	assert_true(report_gather(&report, 0, &g));
	assert_int_equal(g.n, 3);
	assert_int_equal(g.unsettled, 2);
	assert_int_equal(g.doubtful, 1);
	assert_int_equal(g.played, 3);
	assert_int_equal(g.survived, 2);
	assert_true(g.outage.min == 100 && g.outage.median == 200);
	assert_true(g.outage.max == 300 && g.back.max == 7);
	assert_true(g.two.max == 3 && g.two_back.max == 5 && g.none.max == 10);
	assert_true(g.recovery.max == 300);
	assert_int_equal(g.probes_failed, 300 + 100 + 200 + 3 * 7);
	assert_int_equal(g.requests, 600);
	assert_int_equal(g.failed, 60);
	assert_int_equal(g.retried, 18);
	assert_int_equal(g.broken, 120);
	assert_int_equal(g.flows[FLOW_DOWNLOAD].broken, 12);
	assert_int_equal(g.flows[FLOW_PUSH].broken, 24);
	assert_int_equal(g.flows[FLOW_PUSH].corrupt, 6);
	assert_int_equal(g.moves, 6);
	assert_int_equal(g.writes, 150);
	assert_int_equal(g.writes_lost, 1);
	assert_int_equal(g.writes_repeated, 2);
	assert_int_equal(g.writes_unanswered, 18);
	assert_string_equal(report_seen(&g), "both");
	assert_true(report_gather(&report, 1, &g));
	assert_int_equal(g.n, 1);
	assert_string_equal(report_seen(&g), "survives");
	assert_false(report_gather(&report, 2, &g)); /* not the first of them */
	assert_false(report_gather(&report, 3, &g));
}

static void
conclusion_is(const struct drill_report *report, const char *expected)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(f);
	report_conclude(report, f);
	assert_int_equal(fclose(f), 0);
	assert_string_equal(text, expected);
	free(text);
}

static void
test_conclusion(void **state)
{
	struct drill_round round[4];
	struct drill_report report = {.round = round, .n = 2};

	(void)state;
	make_rounds(round);
	conclusion_is(&report,
	    "2 failures: 0 ended the service, 2 were survived, with an outage of at "
	    "most 300 ms\n"
	    "the analysis was right about every one\n"
	    "100 writes were acknowledged, and each is in one journal; 12 were not, "
	    "and none of them was carried out twice\n");
	round[1].forecast = FORECAST_NOT_RUN; /* which proves nothing */
	conclusion_is(&report,
	    "2 failures: 0 ended the service, 2 were survived, with an outage of at "
	    "most 300 ms\n"
	    "the analysis was right about every one it speaks of\n"
	    "100 writes were acknowledged, and each is in one journal; 12 were not, "
	    "and none of them was carried out twice\n");
	report.n = 4;
	conclusion_is(&report,
	    "2 failures: 1 ended the service, 1 was survived, with an outage of at "
	    "most 0 ms\n"
	    "1 went wrong\n"
	    "of 200 writes that were acknowledged 1 are lost; 2 writes were carried "
	    "out twice\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_differ),
	    cmocka_unit_test(test_two_owners),
	    cmocka_unit_test(test_deaf),
	    cmocka_unit_test(test_served_and_wrong),
	    cmocka_unit_test(test_gather),
	    cmocka_unit_test(test_conclusion),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
