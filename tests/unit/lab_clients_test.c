/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clients that measure, against a server that misbehaves to order: what each of
 * them counts is what it was given.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lab/flows.h"
#include "lab/load.h"
#include "lab/probe.h"
#include "lab/web.h"
#include "supervisor/supervisor.h"

const struct part_program part_programs[] = {{.name = NULL}};

#define PATIENCE_NS (20 * SEC_NS)
#define FIRST	    64 /* bytes of an endless body */

enum mood {
	WELL,
	HANGS_UP, /* after the second answer of a connection, without a third */
	HALF,	  /* an answer breaks off */
	ANOTHERS, /* the answer to another request */
	FAILS,	  /* 500 */
	SPOILS,	  /* a wrong byte in a body that does not end */
	ENDS,	  /* a body that was not to end */
};

struct fake {
	enum mood mood;
	int listener;
	struct ip_endpoint at;
	pthread_t thread;
	_Atomic bool stop;
	_Atomic unsigned writes, asked;
};

static void
say(int fd, const char *text, size_t len)
{
	(void)!send(fd, text, len, MSG_NOSIGNAL);
}

/* The start of an endless body; false: the connection ends. */
static bool
flow(const struct fake *s, int fd)
{
	char text[FIRST];

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)web_byte(i);
	if (s->mood == SPOILS)
		text[FIRST / 2] ^= 1;
	say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", 44);
	say(fd, text, sizeof(text));
	return s->mood != ENDS;
}

static bool
answer(const struct fake *s, int fd, uint64_t id, unsigned count)
{
	char text[160], body[40];
	int n;

	if (s->mood == HANGS_UP && count > 2)
		return false;
	if (s->mood == ANOTHERS)
		id += 1000;
	n = snprintf(body, sizeof(body), "w id=%" PRIu64 "\n", id);
	n = snprintf(text, sizeof(text), "HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s",
	    s->mood == FAILS ? "500 No" : "200 OK", n, body);
	say(fd, text, s->mood == HALF ? (size_t)n - 5 : (size_t)n);
	return s->mood != HALF;
}

/* One connection after the other, which is enough for one client. */
static void *
serve(void *arg)
{
	struct fake *s = arg;
	char text[1024];
	int fd;

	while ((fd = accept(s->listener, NULL, NULL)) >= 0) {
		unsigned count = 0;
		ssize_t n;

		while ((n = recv(fd, text, sizeof(text) - 1, 0)) > 0) {
			const char *id;

			text[n] = '\0';
			id = strstr(text, "id=");
			atomic_fetch_add(&s->asked, 1);
			if (strncmp(text, "POST", 4) == 0)
				atomic_fetch_add(&s->writes, 1);
			if (id == NULL
				? !flow(s, fd)
				: !answer(s, fd, strtoull(id + 3, NULL, 10), ++count))
				break;
		}
		(void)close(fd);
	}
	return NULL;
}

static void
open_server(struct fake *s, enum mood mood)
{
	struct sockaddr_in to = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(to);

	*s = (struct fake){.mood = mood};
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(s->listener >= 0);
	assert_int_equal(
	    bind(s->listener, (const struct sockaddr *)(const void *)&to, sizeof(to)),
	    0);
	assert_int_equal(listen(s->listener, 16), 0);
	assert_int_equal(
	    getsockname(s->listener, (struct sockaddr *)(void *)&to, &len), 0);
	assert_int_equal(ip_parse(&s->at.ip, "127.0.0.1"), 0);
	s->at.port = ntohs(to.sin_port);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

/* When nobody is connected any more. */
static void
close_server(struct fake *s)
{
	(void)shutdown(s->listener, SHUT_RDWR);
	(void)pthread_join(s->thread, NULL);
	(void)close(s->listener);
}

static void
add_up(struct load_sum *all, const struct load_sum *more)
{
	all->requests += more->requests;
	all->failures += more->failures;
	all->retried += more->retried;
	all->broken += more->broken;
	for (unsigned i = 0; i < LOAD_FATES; i++)
		all->failed[i] += more->failed[i];
}

/* Until `enough` says so of what one client counted. */
static void
run_load_once(enum mood mood, bool writes, bool (*enough)(const struct load_sum *),
    struct load_sum *all, struct fake *s)
{
	static const struct timespec wait = {0, 5 * MS_NS};
	struct load_conf conf = {.busy = 1, .busy_every_ns = 2 * MS_NS};
	mono_t end = mono_add(probe_clock(), PATIENCE_NS);
	struct load_sum more;
	struct load *l;

	open_server(s, mood);
	conf.target = s->at;
	conf.writes_max = writes ? 1000 : 0;
	l = load_start(&conf);
	assert_non_null(l);
	*all = (struct load_sum){0};
	do {
		(void)nanosleep(&wait, NULL);
		load_take(l, &more);
		add_up(all, &more);
	} while (!enough(all) && mono_before(probe_clock(), end));
	load_stop(l);
	close_server(s);
	assert_true(enough(all));
}

/* Again if the machine stood still so long that a request was given up. */
static void
run_load(enum mood mood, bool writes, bool (*enough)(const struct load_sum *),
    struct load_sum *all, struct fake *s)
{
	for (int i = 0; i < 5; i++) {
		run_load_once(mood, writes, enough, all, s);
		if (all->failed[LOAD_FAIL_TIMEOUT] + all->failed[LOAD_FAIL_CONNECT] ==
		    0)
			return;
	}
}

static bool
ten_requests(const struct load_sum *sum)
{
	return sum->requests >= 10;
}

static bool
three_failures(const struct load_sum *sum)
{
	return sum->failures >= 3;
}

static bool
three_broken(const struct load_sum *sum)
{
	return sum->broken >= 3;
}

static void
test_load_well(void **state)
{
	struct load_sum sum;
	struct fake s;

	(void)state;
	run_load(WELL, false, ten_requests, &sum, &s);
	assert_int_equal(sum.failures + sum.retried + sum.broken, 0);
}

/* A kept connection that breaks is asked again, and counts as broken. */
static void
test_load_broken(void **state)
{
	struct load_sum sum;
	struct fake s;

	(void)state;
	run_load(HANGS_UP, false, three_broken, &sum, &s);
	assert_int_equal(sum.failures, 0);
	assert_int_equal(sum.retried, sum.broken);
}

/* A write never is. */
static void
test_writes_broken(void **state)
{
	struct load_sum sum;
	struct fake s;

	(void)state;
	run_load(HANGS_UP, true, three_broken, &sum, &s);
	assert_int_equal(sum.retried, 0);
	assert_int_equal(sum.failed[LOAD_FAIL_BROKEN], sum.failures);
	assert_in_range(sum.failures, sum.broken, sum.broken);
	assert_int_equal(atomic_load(&s.writes), atomic_load(&s.asked));
}

static void
test_load_fates(void **state)
{
	static const struct {
		enum mood mood;
		enum load_fate fate;
	} rows[] = {
	    {HALF, LOAD_FAIL_BROKEN},
	    {ANOTHERS, LOAD_FAIL_WRONG},
	    {FAILS, LOAD_FAIL_STATUS},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct load_sum sum;
		struct fake s;

		run_load(rows[i].mood, false, three_failures, &sum, &s);
		assert_int_equal(sum.failed[rows[i].fate], sum.failures);
		assert_int_equal(sum.requests, sum.failures);
	}
}

/* Only what was answered with 200 was acknowledged, each once. */
static void
test_acknowledged(void **state)
{
	static const struct timespec wait = {0, 5 * MS_NS};
	mono_t end = mono_add(probe_clock(), PATIENCE_NS);
	struct load_conf conf = {.busy = 1, .busy_every_ns = MS_NS, .writes_max = 20};
	uint64_t id[64], seen = 0;
	struct fake s;
	struct load *l;

	(void)state;
	open_server(&s, WELL);
	conf.target = s.at;
	l = load_start(&conf);
	assert_non_null(l);
	while (__builtin_popcountll(seen) < 20 && mono_before(probe_clock(), end)) {
		size_t n = load_acknowledged(l, id, ARRAY_LEN(id));

		for (size_t i = 0; i < n; i++) {
			assert_in_range(id[i], 1, 20);
			assert_int_equal(seen >> id[i] & 1, 0);
			seen |= UINT64_C(1) << id[i];
		}
		(void)nanosleep(&wait, NULL);
	}
	assert_int_equal(seen, (UINT64_C(1) << 21) - 2);
	load_stop(l);
	close_server(&s);
	assert_int_equal(atomic_load(&s.writes), 20); /* and no more than it may */
	open_server(&s, FAILS);
	conf.target = s.at;
	l = load_start(&conf);
	assert_non_null(l);
	while (atomic_load(&s.writes) < 3 && mono_before(probe_clock(), end))
		(void)nanosleep(&wait, NULL);
	assert_int_equal(load_acknowledged(l, id, ARRAY_LEN(id)), 0);
	load_stop(l);
	close_server(&s);
}

static void
test_flows(void **state)
{
	static const struct {
		enum mood mood;
		bool corrupt, broken;
	} rows[] = {{WELL, false, false}, {SPOILS, true, false}, {ENDS, false, true}};
	static const struct timespec wait = {0, 5 * MS_NS};
	static const unsigned number[FLOW_KINDS] = {[FLOW_DOWNLOAD] = 1};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		mono_t end = mono_add(probe_clock(), PATIENCE_NS);
		struct flow_sum all = {0}, more[FLOW_KINDS];
		struct fake s;
		struct flows *f;

		open_server(&s, rows[i].mood);
		f = flows_start(NULL, &s.at, number);
		assert_non_null(f);
		do {
			(void)nanosleep(&wait, NULL);
			flows_take(f, more);
			all.bytes += more[FLOW_DOWNLOAD].bytes;
			all.corrupt += more[FLOW_DOWNLOAD].corrupt;
			all.broken += more[FLOW_DOWNLOAD].broken;
		} while (((all.corrupt > 0) != rows[i].corrupt ||
			     (all.broken > 0) != rows[i].broken ||
			     (all.bytes > 0) == rows[i].corrupt) &&
			 mono_before(probe_clock(), end));
		flows_stop(f);
		close_server(&s);
		assert_int_equal(all.corrupt > 0, rows[i].corrupt);
		assert_int_equal(all.broken > 0, rows[i].broken);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_load_well),
	    cmocka_unit_test(test_load_broken),
	    cmocka_unit_test(test_writes_broken),
	    cmocka_unit_test(test_load_fates),
	    cmocka_unit_test(test_acknowledged),
	    cmocka_unit_test(test_flows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
