/* SPDX-License-Identifier: Apache-2.0 */
/* What agents say, line by line. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/check.h"
#include "health/health_agent_wire.h"

/* Before each line: 40% drain, down, "old". */
static const struct row {
	const char *line;
	int error;
	unsigned percent;
	enum health_agent_order order;
	bool down;
	const char *why;
} rows[] = {
    {"75%\n", 0, 75, AGENT_DRAIN, true, ""},
    {"75.9%", 0, 75, AGENT_DRAIN, true, ""},
    {"0%\r\n", 0, 0, AGENT_DRAIN, true, ""},
    {"150%\n", 0, 100, AGENT_DRAIN, true, ""},
    {"9999%\n", 0, 100, AGENT_DRAIN, true, ""},
    {"ready\n", 0, 40, AGENT_READY, true, ""},
    {"up ready 100%\n", 0, 100, AGENT_READY, false, ""},
    {"UP,Ready,\t12%\n", 0, 12, AGENT_READY, false, ""},
    {"  up\n", 0, 40, AGENT_DRAIN, false, ""},
    {"maint\n", 0, 40, AGENT_MAINT, true, ""},
    {"maint # disk \"full\"\x07\n", 0, 40, AGENT_MAINT, true, "disk .full.."},
    {"down#because", 0, 40, AGENT_DRAIN, true, "because"},
    {"stopped\n", 0, 40, AGENT_DRAIN, true, ""},
    {"up fail\n", 0, 40, AGENT_DRAIN, true, ""},
    {"failed up\n", 0, 40, AGENT_DRAIN, false, ""},
    {"ready maxconn:30 50%\n", 0, 50, AGENT_READY, true, ""},
    {"up\ndown\n", 0, 40, AGENT_DRAIN, false, ""},
    /* Nothing that is known */
    {.line = "", .error = -EBADMSG},
    {.line = "\n", .error = -EBADMSG},
    {.line = "# up\n", .error = -EBADMSG},
    {.line = "hello\n", .error = -EBADMSG},
    {.line = "75\n", .error = -EBADMSG},
    {.line = "-5%\n", .error = -EBADMSG},
    {.line = "%\n", .error = -EBADMSG},
    {.line = "99999%\n", .error = -EBADMSG},
    {.line = "5%%\n", .error = -EBADMSG},
    {.line = "upp down2\n", .error = -EBADMSG},
    {.line = "HTTP/1.1 200 OK\r\n", .error = -EBADMSG},
};

static void
test_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		struct health_agent before = {40, AGENT_DRAIN, true, "old"}, a = before;

		print_message("%s", r->line);
		assert_int_equal(
		    health_agent_decode(&a, r->line, strlen(r->line)), r->error);
		if (r->error != 0) {
			assert_memory_equal(&a, &before, sizeof(a));
			continue;
		}
		assert_int_equal(a.percent, r->percent);
		assert_int_equal(a.order, r->order);
		assert_int_equal(a.down, r->down);
		assert_string_equal(a.why, r->why);
	}
}

static void
test_long_reason(void **state)
{
	static const char down[] = {'d', 'o', 'w', 'n', ' ', '#'};
	char line[HEALTH_AGENT_LINE_MAX];
	struct health_agent a;

	(void)state;
	memset(line, 'x', sizeof(line));
	memcpy(line, down, sizeof(down));
	health_agent_init(&a);
	assert_false(health_agent_whole(line, sizeof(line)));
	assert_int_equal(health_agent_decode(&a, line, sizeof(line)), 0);
	assert_true(a.down);
	assert_int_equal(a.percent, 100);
	assert_int_equal(strlen(a.why), HEALTH_AGENT_WHY_LEN - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_lines),
	    cmocka_unit_test(test_long_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
