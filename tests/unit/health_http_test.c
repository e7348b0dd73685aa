/* SPDX-License-Identifier: Apache-2.0 */
/* What an answer to an HTTP check means, one row each, cut at every place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/check.h"
#include "health/health_http.h"

#define OK "HTTP/1.1 200 OK\r\n"

static const struct row {
	const char *answer;
	const char *text; /* wanted, or NULL */
	bool head;
	enum health_http_verdict verdict; /* once the connection has ended */
	unsigned status;
} rows[] = {
    {OK "\r\n", NULL, false, HEALTH_HTTP_GOOD, 200},
    {"HTTP/1.0 302 Found\r\nLocation: /\r\n\r\n", NULL, false, HEALTH_HTTP_GOOD, 302},
    {"HTTP/1.1 204\r\n\r\n", NULL, false, HEALTH_HTTP_GOOD, 204},
    {"HTTP/1.1 200 OK\n\n", NULL, false, HEALTH_HTTP_GOOD, 200},
    {"HTTP/1.1 500 Oops\r\n\r\n", NULL, false, HEALTH_HTTP_STATUS, 500},
    {"HTTP/1.1 404 No\r\n\r\nfine", "fine", false, HEALTH_HTTP_STATUS, 404},
    {"HTTP/1.1 101 Switching\r\n\r\n", NULL, false, HEALTH_HTTP_STATUS, 101},
    {"HTTP/1.1 100 Continue\r\n\r\n" OK "\r\n", NULL, false, HEALTH_HTTP_GOOD, 200},
    {"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 503 No\r\n\r\n", NULL, false,
	HEALTH_HTTP_STATUS, 503},
    {"SSH-2.0-OpenSSH\r\n", NULL, false, HEALTH_HTTP_NOT_HTTP, 0},
    {"220 mail ready", NULL, false, HEALTH_HTTP_NOT_HTTP, 0},
    {"HTTP/2.0 200 OK\r\n\r\n", NULL, false, HEALTH_HTTP_NOT_HTTP, 0},
    {"HTTP/1.1 2000 OK\r\n\r\n", NULL, false, HEALTH_HTTP_NOT_HTTP, 0},
    {"HTTP/1.1 20\r\n\r\n", NULL, false, HEALTH_HTTP_NOT_HTTP, 0},
    {"\r\n", NULL, false, HEALTH_HTTP_NOT_HTTP, 0},
    {"", NULL, false, HEALTH_HTTP_SHORT, 0},
    {OK, NULL, false, HEALTH_HTTP_SHORT, 200},
    {OK "Content-Length: 5\r\n\r\nabcde", "bcd", false, HEALTH_HTTP_GOOD, 200},
    {OK "content-length:\t5 \r\n\r\nabcde", "e", false, HEALTH_HTTP_GOOD, 200},
    {OK "Content-Length: 5\r\n\r\nabcdefg", "f", false, HEALTH_HTTP_NO_TEXT, 200},
    {OK "Content-Length: 0\r\n\r\n", "f", false, HEALTH_HTTP_NO_TEXT, 200},
    {OK "Content-Length: 9\r\n\r\nabcde", "f", false, HEALTH_HTTP_SHORT, 200},
    {OK "Content-Length: x\r\n\r\nabcde", "a", false, HEALTH_HTTP_BROKEN, 200},
    {OK "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", "b", false,
	HEALTH_HTTP_BROKEN, 200},
    {OK "Content-Length: 99999999999999999999999\r\n\r\na", "b", false,
	HEALTH_HTTP_BROKEN, 200},
    {OK "\r\nup to the end", "the end", false, HEALTH_HTTP_GOOD, 200},
    {OK "\r\nup to the end", "no end", false, HEALTH_HTTP_NO_TEXT, 200},
    {OK "\r\naaaaaab", "aaab", false, HEALTH_HTTP_GOOD, 200},
    {OK "Content-Length: 5\r\n\r\n", "a", true, HEALTH_HTTP_NO_TEXT, 200},
    {OK "Transfer-Encoding: chunked\r\n\r\n2\r\nst\r\n4;x=y\r\natus\r\n0\r\n\r\n",
	"status", false, HEALTH_HTTP_GOOD, 200},
    {OK "Transfer-Encoding: gzip, Chunked\r\nContent-Length: 1\r\n\r\nA\r\n0123456789"
	"\r\n0\r\n\r\n",
	"9", false, HEALTH_HTTP_GOOD, 200},
    {OK "Transfer-Encoding: chunked\r\n\r\n2\r\nst\r\n0\r\n\r\nstatus", "status", false,
	HEALTH_HTTP_NO_TEXT, 200},
    {OK "Transfer-Encoding: chunked\r\n\r\n2\r\nstatus\r\n0\r\n\r\n", "status", false,
	HEALTH_HTTP_BROKEN, 200},
    {OK "Transfer-Encoding: chunked\r\n\r\nzz\r\n", "a", false, HEALTH_HTTP_BROKEN,
	200},
    {OK "Transfer-Encoding: chunked\r\n\r\n11111111111111111\r\n", "a", false,
	HEALTH_HTTP_BROKEN, 200},
    {OK "Transfer-Encoding: chunked\r\n\r\n2\r\ns", "a", false, HEALTH_HTTP_SHORT, 200},
};

static struct health_http h;

/* In pieces of `step` bytes. */
static enum health_http_verdict
read_answer(const struct row *r, size_t step)
{
	size_t len = strlen(r->answer);

	health_http_init(&h, &(struct health_http_want){.status_min = 200,
				 .status_max = 399,
				 .text = r->text,
				 .head = r->head});
	for (size_t at = 0; at < len; at += step)
		(void)health_http_feed(
		    &h, r->answer + at, len - at < step ? len - at : step);
	return health_http_end(&h);
}

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (size_t step = 1; step <= strlen(rows[i].answer) + 1; step++) {
			enum health_http_verdict v = read_answer(&rows[i], step);

			if (v != rows[i].verdict || h.status != rows[i].status)
				fail_msg("%s (by %zu): verdict %d, status %u",
				    rows[i].answer, step, (int)v, h.status);
		}
	}
}

static void
test_early(void **state)
{
	static const char head[] = OK "Content-Length: 1000\r\n\r\n";

	(void)state;
	health_http_init(
	    &h, &(struct health_http_want){.status_min = 200, .status_max = 200});
	assert_int_equal(
	    health_http_feed(&h, head, sizeof(head) - 2), HEALTH_HTTP_MORE);
	assert_int_equal(
	    health_http_feed(&h, head + sizeof(head) - 2, 1), HEALTH_HTTP_GOOD);
}

static void
test_limits(void **state)
{
	static char big[8192];

	(void)state;
	memset(big, 'a', sizeof(big));
	health_http_init(&h, &(struct health_http_want){
				 .status_min = 200, .status_max = 200, .text = "b"});
	(void)health_http_feed(&h, OK, sizeof(OK) - 1);
	for (unsigned i = 0; i < HEALTH_HTTP_HEAD_MAX / sizeof(big); i++)
		(void)health_http_feed(&h, big, sizeof(big));
	assert_int_equal(h.verdict, HEALTH_HTTP_TOO_LONG);

	health_http_init(&h, &(struct health_http_want){
				 .status_min = 200, .status_max = 200, .text = "b"});
	(void)health_http_feed(&h, OK "\r\n", sizeof(OK) + 1);
	for (unsigned i = 0; i < HEALTH_HTTP_BODY_MAX / sizeof(big); i++)
		assert_int_equal(
		    health_http_feed(&h, big, sizeof(big)), HEALTH_HTTP_MORE);
	assert_int_equal(health_http_feed(&h, "b", 1), HEALTH_HTTP_TOO_LONG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rows),
	    cmocka_unit_test(test_early),
	    cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
