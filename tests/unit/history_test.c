/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What outages that were seen do to the rates: moments, lines, and figures that were
 * worked out by hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mono.h"
#include "cli/history.h"

#define DAY_NS (86400 * SEC_NS)
#define SINCE \
	", \"from\": \"2026-01-01T00:00:00Z\", \"to\": \"2026-01-31T00:00:00Z\"}\n"
#define HOSTS "{\"watched\": {\"host\": 4}" SINCE
#define DOWN \
	"{\"kind\": \"host\", \"name\": \"web1\", \"down\": \"2026-01-02T00:00:00Z\""

static void
test_moments(void **state)
{
	static const struct {
		const char *text;
		int64_t ms; /* -1: is none */
	} row[] = {
	    {"1970-01-01T00:00:00Z", 0},
	    {"1970-01-01T00:00:00.5Z", 500},
	    {"2026-11-21T07:00:00Z", 1795244400000},
	    {"2026-11-21t07:00:00.1239z", 1795244400123},
	    {"2026-11-21T08:30:00+01:30", 1795244400000},
	    {"2026-11-20T23:00:00-08:00", 1795244400000},
	    {"2000-02-29T00:00:00Z", 951782400000},
	    {"2016-12-31T23:59:60Z", 1483228800000},
	    {"2199-12-31T23:59:59Z", 7258118399000},
	    {"1969-12-31T23:59:59Z", -1},
	    {"2026-02-29T00:00:00Z", -1},
	    {"2100-02-29T00:00:00Z", -1},
	    {"2026-13-01T00:00:00Z", -1},
	    {"2026-00-01T00:00:00Z", -1},
	    {"2026-01-01T24:00:00Z", -1},
	    {"2026-01-01T00:60:00Z", -1},
	    {"2026-01-01T00:00:61Z", -1},
	    {"2026-01-01T00:00:00", -1},
	    {"2026-01-01T00:00:00.Z", -1},
	    {"2026-01-01T00:00:00+0100", -1},
	    {"2026-01-01T00:00:00+24:00", -1},
	    {"2026-01-01T00:00:00Z ", -1},
	    {"2026-01-01 00:00:00Z", -1},
	    {"2026-01-01", -1},
	    {"", -1},
	};
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		int err = history_time(&ms, row[i].text);

		if ((err == 0) != (row[i].ms >= 0) || (err == 0 && ms != row[i].ms))
			print_message("%s\n", row[i].text);
		assert_int_equal(err, row[i].ms >= 0 ? 0 : -22);
		if (err == 0)
			assert_int_equal(ms, row[i].ms);
	}
}

static void
test_rates(void **state)
{
	static const struct availability_rate before = {
	    600 * DAY_NS, 4 * 3600 * SEC_NS};
	static const struct {
		struct history_kind seen;
		int64_t mtbf_days, mttr_s;
	} row[] = {
	    {{.watched_s = 0}, 600, 14400},
	    /* A quiet month of one host is worth thirty days, not eternity. */
	    {{.watched_s = 30 * 86400.0}, 630, 14400},
	    {{.watched_s = 2400 * 86400.0}, 3000, 14400},
	    /* (600 + 2440 - 40) / 4; (4 h + 960 h) / 4 */
	    {{.watched_s = 2440 * 86400.0,
		 .down_s = 40 * 86400,
		 .outages = 3,
		 .repairs = 3},
		750, 241 * 3600},
	    /* One of them lasts: it is no repair yet, and its time counts. */
	    {{.watched_s = 2440 * 86400.0,
		 .down_s = 41 * 86400,
		 .outages = 3,
		 .repairs = 2},
		749, 988 * 1200},
	    {{.watched_s = 1, .down_s = 100, .outages = 1, .repairs = 1}, 300, 7250},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct availability_rate r = history_rate(&row[i].seen, &before);

		assert_int_equal(r.mtbf_ns / DAY_NS, row[i].mtbf_days);
		assert_int_equal(r.mttr_ns / SEC_NS, row[i].mttr_s);
	}
}

/* However much was seen, what comes out is a rate that the cluster file may have. */
static void
test_limits(void **state)
{
	const struct availability_rate most = {36500 * DAY_NS, 3650 * DAY_NS};
	const struct history_kind ages = {.watched_s = 1e300};
	const struct history_kind storm = {
	    .watched_s = 3600, .down_s = 3600, .outages = UINT32_MAX, .repairs = 1};
	struct availability_conf rates = {.rate = {{0}}};
	struct history h = {.kind = {{0}}};

	(void)state;
	assert_int_equal(history_rate(&ages, &most).mtbf_ns, 36500 * DAY_NS);
	assert_int_equal(history_rate(&storm, &most).mtbf_ns, 60 * SEC_NS);
	rates.rate[AVAIL_HOST] = rates.rate[AVAIL_ZONE] = most;
	h.kind[AVAIL_HOST] = storm;
	history_apply(&h, &rates);
	assert_int_equal(rates.rate[AVAIL_HOST].mtbf_ns, 60 * SEC_NS);
	assert_int_equal(rates.rate[AVAIL_ZONE].mtbf_ns, 36500 * DAY_NS);
}

static void
test_file(void **state)
{
	/* An outage before the line that says what was watched, an empty line, one
	 * outage that lasts, a kind of which nothing was seen, a last line without end.
	 */
	static const char text[] =
	    DOWN ", \"up\": \"2026-01-02T06:00:00Z\"}\n"
		 "\r\n"
		 "{\"watched\": {\"host\": 4, \"network\": 2}, \"by\": \"lb1\"" SINCE
		 "{\"kind\": \"host\", \"name\": \"web2\", \"down\": "
		 "\"2026-01-30T00:00:00Z\", \"up\": null}";
	struct history_error error;
	struct history h;

	(void)state;
	assert_int_equal(history_parse(&h, text, sizeof(text) - 1, &error), 0);
	assert_true(h.kind[AVAIL_HOST].watched_s == 4 * 30 * 86400.0);
	assert_true(h.kind[AVAIL_HOST].down_s == 6 * 3600 + 86400.0);
	assert_int_equal(h.kind[AVAIL_HOST].outages, 2);
	assert_int_equal(h.kind[AVAIL_HOST].repairs, 1);
	assert_true(h.kind[AVAIL_NETWORK].watched_s == 2 * 30 * 86400.0);
	assert_int_equal(h.kind[AVAIL_NETWORK].outages, 0);
	assert_true(h.kind[AVAIL_ZONE].watched_s == 0);
	assert_int_equal(history_parse(&h, "", 0, &error), 0);
	assert_int_equal(h.kind[AVAIL_HOST].outages, 0);
}

static void
test_refusals(void **state)
{
	static const struct {
		const char *text;
		unsigned line;
		const char *says;
	} row[] = {
	    {"x\n", 1, "no JSON"},
	    {HOSTS "\n[1]\n", 3, "not an object"},
	    {HOSTS "{}\n", 2, "neither"},
	    {"{\"watched\": 12" SINCE, 1, "how many of each kind"},
	    {"{\"watched\": {\"disk\": 12}" SINCE, 1, "\"disk\" is no kind"},
	    {"{\"watched\": {\"host\": 0}" SINCE, 1, "from 1 to"},
	    {"{\"watched\": {\"host\": 1.5}" SINCE, 1, "from 1 to"},
	    {"{\"watched\": {\"host\": 1000001}" SINCE, 1, "from 1 to"},
	    {"{\"watched\": {\"host\": 1, \"host\": 2}" SINCE, 1, "no JSON"},
	    {"{\"watched\": {\"host\": 1}, \"from\": \"2026-01-01T00:00:00Z\"}\n", 1,
		"\"to\" is missing"},
	    {"{\"watched\": {\"host\": 1}, \"from\": \"2026-01-01T00:00:00Z\", \"to\": "
	     "\"2026-01-01T00:00:00Z\"}\n",
		1, "not after"},
	    {"{\"watched\": {\"host\": 1}, \"from\": \"yesterday\\u001b[m\"}\n", 1,
		"\"yesterday?[m\" is no moment"},
	    {HOSTS "{\"kind\": \"disk\"}\n", 2, "no kind"},
	    {HOSTS "{\"kind\": \"host\", \"down\": 1}\n", 2, "\"name\" is missing"},
	    {HOSTS "{\"kind\": \"host\", \"name\": \"web1\"}\n", 2,
		"\"down\" is missing"},
	    {HOSTS DOWN "}\n", 2, "\"up\" is missing"},
	    {HOSTS DOWN ", \"up\": \"2026-01-01T00:00:00Z\"}\n", 2, "before"},
	    {DOWN ", \"up\": null}\n", 1, "\"watched\""},
	    {"{\"watched\": {\"link\": 4}" SINCE DOWN ", \"up\": null}\n", 2,
		"\"watched\""},
	    {HOSTS "{\"kind\": \"host\", \"name\": \"x\", \"down\": "
		   "\"2026-02-02T00:00:00Z\", \"up\": null}\n",
		2, "\"watched\""},
	};
	struct history_error error;

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct history h = {.kind = {{.outages = 77}}};
		int err = history_parse(&h, row[i].text, strlen(row[i].text), &error);

		if (err == 0 || error.line != row[i].line ||
		    strstr(error.text, row[i].says) == NULL)
			print_message(
			    "%s: %u: %s\n", row[i].text, error.line, error.text);
		assert_int_equal(err, -22);
		assert_int_equal(error.line, row[i].line);
		assert_non_null(strstr(error.text, row[i].says));
		assert_int_equal(h.kind[0].outages, 77);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_moments),
	    cmocka_unit_test(test_rates),
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_file),
	    cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
