/* SPDX-License-Identifier: Apache-2.0 */
/* The access log: the line, byte for byte, and rings that lose nothing they took. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/access_log.h"

#define TEXT(s)                  \
	{                        \
		s, sizeof(s) - 1 \
	}

static const struct access_entry http = {
    .time_us = INT64_C(1795244400123456), /* 2026-11-21 07:00:00.123456 */
    .service = "site",
    .client = "192.0.2.7",
    .client_port = 40312,
    .server = "web1:8080",
    .method = TEXT("GET"),
    .host = TEXT("example.org"),
    .target = TEXT("/a?b"),
    .major = 1,
    .minor = 1,
    .status = 200,
    .bytes_in = 80,
    .bytes_out = UINT64_MAX,
    .total_us = 812,
    .first_us = 790,
    .end = "ok",
};

static const char *
format(const struct access_entry *e)
{
	static char line[ACCESS_LINE_MAX + 1];
	size_t n = access_format(line, e);

	assert_in_range(n, 1, ACCESS_LINE_MAX);
	assert_int_equal(line[n - 1], '\n');
	line[n - 1] = '\0';
	assert_null(strchr(line, '\n'));
	return line;
}

static void
lines(void **state)
{
	struct access_entry e = http;

	(void)state;
	assert_string_equal(format(&e),
	    "2026-11-21T07:00:00.123456Z access service=site client=192.0.2.7:40312 "
	    "server=web1:8080 method=\"GET\" host=\"example.org\" target=\"/a?b\" "
	    "version=1.1 status=200 in=80 out=18446744073709551615 total_us=812 "
	    "wait_us=0 connect_us=0 first_us=790 retries=0 end=ok");
	e.id = (struct access_text)TEXT("7f\"3a");
	assert_non_null(
	    strstr(format(&e), " version=1.1 status=200 id=\"7f\\x223a\" in=80 "));
	e.client = "2001:db8::7";
	e.server = NULL;
	e.method.p = NULL;
	e.bytes_out = 0;
	e.total_us = -1;
	e.end = "client-abort";
	assert_string_equal(format(&e),
	    "2026-11-21T07:00:00.123456Z access service=site "
	    "client=[2001:db8::7]:40312 server=- in=80 out=0 total_us=0 wait_us=0 "
	    "connect_us=0 first_us=790 retries=0 end=client-abort");
}

static void
dates(void **state)
{
	static const struct {
		int64_t second;
		const char *text;
	} rows[] = {
	    {0, "1970-01-01T00:00:00"},
	    {INT64_C(951782399), "2000-02-28T23:59:59"},
	    {INT64_C(951782400), "2000-02-29T00:00:00"},
	    {INT64_C(951868800), "2000-03-01T00:00:00"},
	    {INT64_C(1709164800), "2024-02-29T00:00:00"},
	    {INT64_C(1735689599), "2024-12-31T23:59:59"},
	    {INT64_C(4107542400), "2100-03-01T00:00:00"},
	};
	struct access_entry e = http;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		e.time_us = rows[i].second * 1000000;
		assert_memory_equal(format(&e), rows[i].text, 19);
	}
}

/* A client cannot forge a field or a line, nor make a line too long. */
static void
hostile(void **state)
{
	static char big[9000];
	struct access_entry e = http;
	const char *line;

	(void)state;
	e.target = (struct access_text)TEXT("/\" status=500\n\\\x7f\xff\0");
	assert_non_null(strstr(format(&e),
	    " target=\"/\\x22 status=500\\x0a\\x5c\\x7f\\xff\\x00\" version"));
	memset(big, 'x', sizeof(big));
	e.target = (struct access_text){big, 1024};
	assert_null(strstr(format(&e), "..."));
	e.target = (struct access_text){big, 1025};
	assert_non_null(strstr(format(&e), "xxx...\" version="));
	/* Everything at its longest still leaves the line whole. */
	memset(big, '\n', sizeof(big) - 1);
	e.rewritten = (struct access_text)TEXT("/\"new");
	assert_non_null(strstr(format(&e), "...\" rewritten=\"/\\x22new\" version="));
	e.method = e.host = e.target = e.id = e.rewritten =
	    (struct access_text){big, sizeof(big)};
	e.bytes_in = e.bytes_out = UINT64_MAX;
	e.total_us = e.wait_us = e.connect_us = e.first_us = INT64_MAX;
	e.retries = UINT32_MAX;
	e.service = e.server =
	    "a-name-of-sixty-three-characters-which-is-the-longest-there-is.";
	e.client = "2001:db8:1111:2222:3333:4444:5555:6666";
	line = format(&e);
	assert_string_equal(line + strlen(line) - 7, " end=ok");
}

static void
full_ring(void **state)
{
	static char data[4096];
	struct access_ring r;
	char line[2000], got[9000];
	int fd[2];

	(void)state;
	memset(line, 'a', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	assert_int_equal(pipe2(fd, O_NONBLOCK), 0);
	access_ring_init(&r, data, sizeof(data));
	assert_int_equal(access_ring_drain(&r, fd[1]), 0);
	for (int round = 0; round < 20; round++) {
		assert_true(access_ring_put(&r, line, sizeof(line)));
		assert_true(access_ring_put(&r, line, sizeof(line)));
		assert_false(access_ring_put(&r, line, sizeof(line)));
		assert_int_equal(access_ring_dropped(&r), round + 1);
		assert_int_equal(access_ring_drain(&r, fd[1]), 0);
		assert_int_equal(read(fd[0], got, sizeof(got)), 4000);
		assert_memory_equal(got, line, sizeof(line));
		assert_memory_equal(got + 2000, line, sizeof(line));
	}
	(void)close(fd[0]);
	(void)close(fd[1]);
}

/* A blocking pipe that nobody reads must not stop the consumer. */
static void
full_pipe(void **state)
{
	char *data = malloc(1 << 20), line[100], got[65536];
	struct access_ring r;
	size_t put = 0, had = 0;
	ssize_t n;
	int fd[2];

	(void)state;
	assert_non_null(data);
	memset(line, 'b', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	assert_int_equal(pipe(fd), 0);
	access_ring_init(&r, data, 1 << 20);
	while (access_ring_put(&r, line, sizeof(line)))
		put += sizeof(line);
	assert_int_equal(access_ring_drain(&r, fd[1]), -EAGAIN);
	while (had < put) {
		n = read(fd[0], got, sizeof(got));
		assert_true(n > 0);
		/* Whole lines only were written. */
		assert_int_equal(n % (ssize_t)sizeof(line), 0);
		had += (size_t)n;
		(void)!access_ring_drain(&r, fd[1]);
	}
	assert_int_equal(had, put);
	(void)close(fd[0]);
	assert_int_equal(access_ring_drain(&r, fd[1]), 0);
	(void)close(fd[1]);
	free(data);
}

#define THREAD_LINES 200000U

static void *
produce(void *arg)
{
	struct access_ring *r = arg;
	char line[32];

	for (unsigned i = 0; i < THREAD_LINES; i++) {
		int n = snprintf(line, sizeof(line), "%0*u\n", (int)(i % 13) + 6, i);

		while (!access_ring_put(r, line, (size_t)n))
			;
	}
	return NULL;
}

/* Under TSan this is the proof of the orderings. */
static void
two_threads(void **state)
{
	static char data[4096];
	struct access_ring r;
	pthread_t thread;
	char path[] = "/tmp/access_log_testXXXXXX", line[64];
	int fd = mkstemp(path);
	unsigned next = 0;
	FILE *f;

	(void)state;
	assert_true(fd >= 0);
	(void)unlink(path);
	access_ring_init(&r, data, sizeof(data));
	assert_int_equal(pthread_create(&thread, NULL, produce, &r), 0);
	while (atomic_load(&r.tail) == 0 || pthread_tryjoin_np(thread, NULL) != 0)
		assert_int_equal(access_ring_drain(&r, fd), 0);
	assert_int_equal(access_ring_drain(&r, fd), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	f = fdopen(fd, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL)
		assert_int_equal(strtoul(line, NULL, 10), next++);
	assert_int_equal(next, THREAD_LINES);
	(void)fclose(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lines),
	    cmocka_unit_test(dates),
	    cmocka_unit_test(hostile),
	    cmocka_unit_test(full_ring),
	    cmocka_unit_test(full_pipe),
	    cmocka_unit_test(two_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
