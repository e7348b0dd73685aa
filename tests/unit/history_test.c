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
#include "cli/outages.h"
#include "cli/verbs.h"

const struct verb verbs[] = {{.name = NULL}};

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
	    {"1970-01-01T00:00:00+00:01", -1},
	    {"2199-12-31T23:59:59-00:01", -1},
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

#define AT(time)	       "2026-03-01T" time ".250000Z info supervisor event="
#define FACT(time, key, value) AT(time) "fact by=x key=\"" key "\" value=\"" value "\""

/* Lines up to NULL. */
static int
feed(struct outages *o, const char *const *line, struct sbuf *out)
{
	int err = 0;

	for (; *line != NULL && err == 0; line++)
		err = outages_line(o, *line, strlen(*line), out);
	outages_end(o, out);
	return err;
}

static void
test_log(void **state)
{
	static const char *const log[] = {
	    "-- Boot 7 --",
	    AT("00:00:00") "start pid=1",
	    FACT("00:00:01", "server site web1:80", "unknown"),
	    FACT("00:00:02", "server site web1:80", "up"),
	    FACT("00:00:03", "part vip", "up"),
	    FACT("00:01:00", "server site web1:80", "down said \"no\" twice"),
	    FACT("00:01:30", "server site web1:80", "down refused"),
	    FACT("00:02:00", "part vip", "restarting"),
	    FACT("00:03:00", "server site web1:80", "up"),
	    FACT("00:04:00", "gateway next-hop 10.0.0.1", "down nobody answers"),
	    FACT("00:04:30", "gateway route 0.0.0.0/0", "down nobody answers"),
	    FACT("00:04:40", "server ", "down"),
	    "event=fact key=\"part x\" value=\"down\"",
	    AT("12:00:00") "stop why=\"asked\"",
	    NULL,
	};
	static const char wanted[] =
	    "{\"kind\": \"server\", \"name\": \"site web1:80\", \"down\": "
	    "\"2026-03-01T00:01:00.250Z\", \"up\": \"2026-03-01T00:03:00.250Z\"}\n"
	    "{\"kind\": \"outside\", \"name\": \"10.0.0.1\", \"down\": "
	    "\"2026-03-01T00:04:00.250Z\", \"up\": null}\n"
	    "{\"watched\": {\"part\": 1}, \"from\": \"2026-03-01T00:00:00.250Z\", "
	    "\"to\": \"2026-03-01T12:00:00.250Z\"}\n"
	    "{\"watched\": {\"server\": 1}, \"from\": \"2026-03-01T00:00:00.250Z\", "
	    "\"to\": \"2026-03-01T12:00:00.250Z\"}\n"
	    "{\"watched\": {\"outside\": 1}, \"from\": \"2026-03-01T00:00:00.250Z\", "
	    "\"to\": \"2026-03-01T12:00:00.250Z\"}\n";
	static struct outages o;
	struct history_error error;
	struct history h;
	struct sbuf out;

	(void)state;
	sbuf_init(&out, 65536);
	assert_int_equal(feed(&o, log, &out), 0);
	assert_string_equal(sbuf_text(&out), wanted);
	assert_int_equal(history_parse(&h, sbuf_text(&out), out.len, &error), 0);
	assert_int_equal(h.kind[AVAIL_SERVER].outages, 1);
	assert_true(h.kind[AVAIL_SERVER].down_s == 120);
	assert_int_equal(h.kind[AVAIL_OUTSIDE].repairs, 0);
	sbuf_done(&out);
}

#define SILENT "down no answer within 500 ms (3 of 3)"
#define OUTAGE(kind, name, from, to)                                           \
	"{\"kind\": \"" kind "\", \"name\": \"" name                           \
	"\", \"down\": \"2026-03-01T" from ".250Z\", \"up\": \"2026-03-01T" to \
	".250Z\"}\n"

/* Servers that go together are their host; what the host answered for is theirs. */
static void
test_log_of_hosts(void **state)
{
	static const struct {
		const char *what;
		const char *line[12];
		const char *wanted; /* before what was watched */
		size_t hosts;	    /* watched */
	} row[] = {
	    {"all programs of a host are silent",
		{FACT("01:00:00", "server site w:80", "up"),
		    FACT("01:00:00", "server api w:81", "up"),
		    FACT("02:00:00", "server site w:80", SILENT),
		    FACT("02:00:02", "server api w:81", SILENT),
		    FACT("03:00:00", "server site w:80", "up"),
		    FACT("03:00:05", "server api w:81", "up"), NULL},
		OUTAGE("host", "w", "02:00:02", "03:00:00"), 1},
	    {"one of them refuses: the host is there",
		{FACT("01:00:00", "server site w:80", SILENT),
		    FACT("01:00:00", "server api w:81", "down connection refused"),
		    FACT("03:00:00", "server site w:80", "up"),
		    FACT("03:00:00", "server api w:81", "up"), NULL},
		OUTAGE("server", "site w:80", "01:00:00", "03:00:00")
		    OUTAGE("server", "api w:81", "01:00:00", "03:00:00"),
		1},
	    {"a program that does not start again with its host",
		{FACT("01:00:00", "server site w:80", SILENT),
		    FACT("01:00:00", "server api w:81", SILENT),
		    FACT("02:00:00", "server site w:80", "up"),
		    FACT("02:00:01", "server api w:81", "down connection refused"),
		    FACT("03:00:00", "server api w:81", "up"), NULL},
		OUTAGE("host", "w", "01:00:00", "02:00:00")
		    OUTAGE("server", "api w:81", "02:00:00", "03:00:00"),
		1},
	    {"two services of one program are no two",
		{FACT("01:00:00", "server site w:80", SILENT),
		    FACT("01:00:00", "server api w:80", SILENT),
		    FACT("03:00:00", "server site w:80", "up"),
		    FACT("03:00:00", "server api w:80", "up"), NULL},
		OUTAGE("server", "site w:80", "01:00:00", "03:00:00")
		    OUTAGE("server", "api w:80", "01:00:00", "03:00:00"),
		0},
	    {"nobody is there, as the network says, of one program",
		{FACT("01:00:00", "server site w:80", SILENT),
		    FACT("01:00:09", "server site w:80",
			"down host unreachable (9 of 3)"),
		    FACT("03:00:00", "server site w:80", "up"), NULL},
		OUTAGE("host", "w", "01:00:00", "03:00:00"), 1},
	    {"a program that hung long before its host",
		{FACT("01:00:00", "server api w:81", "up"),
		    FACT("01:00:00", "server site w:80", SILENT),
		    FACT("02:00:00", "server api w:81", SILENT),
		    FACT("03:00:00", "server api w:81", "up"),
		    FACT("03:00:00", "server site w:80", "up"), NULL},
		OUTAGE("server", "site w:80", "01:00:00", "02:00:00")
		    OUTAGE("host", "w", "02:00:00", "03:00:00"),
		1},
	    {"an address, and a socket that has no host",
		{FACT("01:00:00", "server site 10.0.0.7:80", SILENT),
		    FACT("01:00:00", "server site 10.0.0.7:81", SILENT),
		    FACT("01:00:00", "server site /run/a:b", SILENT),
		    FACT("02:00:00", "server site 10.0.0.7:80", "up"),
		    FACT("02:00:00", "server site 10.0.0.7:81", "up"),
		    FACT("02:00:00", "server site /run/a:b", "up"), NULL},
		OUTAGE("host", "10.0.0.7", "01:00:00", "02:00:00")
		    OUTAGE("server", "site /run/a:b", "01:00:00", "02:00:00"),
		1},
	};
	static struct outages o;
	struct history_error error;
	struct history h;
	struct sbuf out;

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		size_t hosts;

		o = (struct outages){.lines = 0};
		sbuf_init(&out, 65536);
		assert_int_equal(feed(&o, row[i].line, &out), 0);
		hosts = o.things[AVAIL_HOST];
		if (strncmp(sbuf_text(&out), row[i].wanted, strlen(row[i].wanted)) !=
			0 ||
		    hosts != row[i].hosts)
			fail_msg(
			    "%s: %zu hosts\n%s", row[i].what, hosts, sbuf_text(&out));
		assert_int_equal(
		    history_parse(&h, sbuf_text(&out), out.len, &error), 0);
		sbuf_done(&out);
	}
}

/* Clocks are set back now and then; two logs in one are told. */
static void
test_log_backwards(void **state)
{
	static const char *const set_back[] = {
	    FACT("05:00:00", "part vip", "down"),
	    FACT("04:30:00", "part vip", "up"),
	    NULL,
	};
	static const char *const two_logs[] = {
	    AT("05:00:00") "start", AT("03:59:59") "start", NULL};
	static struct outages o;
	struct sbuf out;

	(void)state;
	sbuf_init(&out, 65536);
	assert_int_equal(feed(&o, set_back, &out), 0);
	assert_non_null(
	    strstr(sbuf_text(&out), "\"up\": \"2026-03-01T05:00:00.250Z\""));
	o = (struct outages){.lines = 0};
	assert_int_equal(feed(&o, two_logs, &out), -22);
	sbuf_done(&out);
}

/* As many things as there is room for, each found again. */
static void
test_log_of_many(void **state)
{
	static struct outages o;
	char line[200];
	struct sbuf out;

	(void)state;
	sbuf_init(&out, 1 << 20);
	for (int i = 0; i <= OUTAGES_THINGS / 2; i++) {
		int n = snprintf(line, sizeof(line),
		    AT("05:00:00") "fact by=x key=\"part %d\" value=\"up\"", i);

		assert_int_equal(outages_line(&o, line, (size_t)n, &out),
		    i < OUTAGES_THINGS / 2 ? 0 : -7);
		if (i < OUTAGES_THINGS / 2)
			assert_int_equal(outages_line(&o, line, (size_t)n, &out), 0);
	}
	assert_int_equal(o.things[AVAIL_PART], OUTAGES_THINGS / 2);
	outages_end(&o, &out);
	sbuf_done(&out);
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
	    cmocka_unit_test(test_log),
	    cmocka_unit_test(test_log_of_hosts),
	    cmocka_unit_test(test_log_backwards),
	    cmocka_unit_test(test_log_of_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
