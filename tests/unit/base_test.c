/* SPDX-License-Identifier: Apache-2.0 */
/* The ground floor: arena, strings, findings, addresses, codecs, counters, loop. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/diag.h"
#include "base/ip.h"
#include "base/list.h"
#include "base/loop.h"
#include "base/rng.h"
#include "base/sbuf.h"
#include "base/stats.h"
#include "base/wire.h"

static void
test_arena(void **state)
{
	struct arena *a = arena_new(100000);
	char *p, *q;

	(void)state;
	p = arena_strndup(a, "hello world", 5);
	assert_string_equal(p, "hello");
	q = arena_array(a, 10, 1000);
	assert_non_null(q);
	for (size_t i = 0; i < 10000; i++)
		assert_int_equal(q[i], 0);
	assert_int_equal((uintptr_t)q % _Alignof(max_align_t), 0);
	assert_false(arena_failed(a));
	assert_null(arena_array(a, SIZE_MAX / 2, 3));
	assert_true(arena_failed(a));
	assert_null(arena_alloc(a, 35000 + 60000));
	assert_null(arena_alloc(a, SIZE_MAX));
	assert_non_null(arena_alloc(a, 34000));
	arena_free(a);
	arena_free(NULL);
}

static void
test_sbuf(void **state)
{
	struct sbuf b;

	(void)state;
	sbuf_init(&b, 20);
	assert_string_equal(sbuf_text(&b), "");
	sbuf_printf(&b, "%d+%s", 12, "ab");
	assert_string_equal(sbuf_text(&b), "12+ab");
	sbuf_puts(&b, "0123456789abcde");
	assert_int_equal(b.len, 20);
	assert_false(b.bad);
	sbuf_puts(&b, "x");
	assert_true(b.bad);
	assert_int_equal(b.len, 20);
	sbuf_done(&b);

	sbuf_init(&b, 1000);
	sbuf_json(&b, "a\"b\\c\n\x7f\xff\xc3\xa9\xe2\x82");
	assert_string_equal(sbuf_text(&b),
	    "\"a\\\"b\\\\c\\u000a\\u007f\\ufffd\xc3\xa9\\ufffd\\ufffd\"");
	sbuf_done(&b);
}

static void
test_diag(void **state)
{
	static const char source[] = "one\ntwo web4\nthree\n";
	struct diag_list l;
	struct diag *d;
	struct sbuf b;

	(void)state;
	diag_init(&l, "cluster.yaml");
	(void)diag_add(&l, DIAG_WARNING, "late", 3, 1, "later");
	d = diag_add(
	    &l, DIAG_ERROR, "unknown-host", 2, 5, "no host named \"%s\"", "web4");
	d->width = 4;
	diag_hint(d, "did you mean \"%s\"?", "web1");
	sbuf_init(&b, 10000);
	diag_render(&l, source, sizeof(source) - 1, false, &b);
	assert_string_equal(sbuf_text(&b),
	    "cluster.yaml:2:5: error: no host named \"web4\"\n"
	    "    2 | two web4\n"
	    "      |     ^~~~ did you mean \"web1\"?\n"
	    "cluster.yaml:3:1: warning: later\n"
	    "    3 | three\n"
	    "      | ^\n");
	sbuf_done(&b);
	for (int i = 0; i < DIAG_MAX + 5; i++)
		(void)diag_add(&l, DIAG_ERROR, "many", 9, 9, "past the end");
	assert_int_equal(l.n, DIAG_MAX);
	assert_int_equal(l.dropped, 7);
	assert_int_equal(l.errors, DIAG_MAX + 6);
	sbuf_init(&b, 100000);
	diag_render(&l, source, sizeof(source) - 1, true, &b);
	diag_json(&l, &b);
	assert_false(b.bad);
	sbuf_done(&b);
	diag_done(&l);
}

static void
test_ip(void **state)
{
	static const char *const bad_net[] = {"10.0.0.0", "10.0.0.1/24", "10.0.0.0/33",
	    "10.0.0.0/024", "10.0.0.0/", "x/8", "2001:db8::/129", "10.0.0.0/+8"};
	static const char *const bad_end[] = {"10.0.0.1", "10.0.0.1:", "10.0.0.1:65536",
	    "2001:db8::1:80", "[10.0.0.1]:80", "[::1:80", "]:80", ":80",
	    "10.0.0.1:080"};
	char buf[IP_ENDPOINT_LEN];
	struct sockaddr_storage ss;
	struct ip_endpoint e, back;
	struct ip_net net;
	struct ip ip;

	(void)state;
	assert_int_equal(ip_net_parse(&net, "10.0.0.128/25"), 0);
	assert_int_equal(ip_parse(&ip, "10.0.0.130"), 0);
	assert_true(ip_in_net(&ip, &net));
	assert_int_equal(ip_parse(&ip, "10.0.0.127"), 0);
	assert_false(ip_in_net(&ip, &net));
	assert_int_equal(ip_parse(&ip, "::1"), 0);
	assert_false(ip_in_net(&ip, &net));
	assert_int_equal(ip_net_parse(&net, "::/0"), 0);
	assert_true(ip_in_net(&ip, &net));
	for (size_t i = 0; i < ARRAY_LEN(bad_net); i++)
		assert_int_not_equal(ip_net_parse(&net, bad_net[i]), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad_end); i++)
		assert_int_not_equal(ip_endpoint_parse(&e, bad_end[i]), 0);
	assert_int_equal(ip_endpoint_parse(&e, "[2001:db8::1]:443"), 0);
	assert_string_equal(ip_endpoint_format(&e, buf), "[2001:db8::1]:443");
	assert_int_equal(ip_to_sockaddr(&e, &ss), sizeof(struct sockaddr_in6));
	back = ip_from_sockaddr(&ss);
	assert_true(ip_equal(&e.ip, &back.ip) && back.port == 443);
	assert_int_equal(ip_endpoint_parse(&e, "192.0.2.1:80"), 0);
	assert_string_equal(ip_endpoint_format(&e, buf), "192.0.2.1:80");
	assert_int_equal(ip_to_sockaddr(&e, &ss), sizeof(struct sockaddr_in));
	back = ip_from_sockaddr(&ss);
	assert_true(ip_equal(&e.ip, &back.ip) && back.port == 80);
	assert_true(ip_compare(&e.ip, &ip) < 0 && ip_compare(&ip, &e.ip) > 0);
}

static void
test_base64(void **state)
{
	static const struct {
		const char *bytes, *text;
	} rows[] = {/* RFC 4648, 10 */
	    {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"},
	    {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"},
	    {"\xff\xfe\xfd", "//79"}};
	static const char *const bad[] = {"", "Zg=", "Zg",
	    "Zg==Zg==", "Zh==", "Z===", "=g==", "Zm8=", "Z g=", "Zg=\n"};
	char text[BASE64_LEN(6)];
	uint8_t bytes[6];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t n = strlen(rows[i].bytes);

		assert_string_equal(
		    base64_encode((const uint8_t *)rows[i].bytes, n, text),
		    rows[i].text);
		assert_int_equal(base64_decode(bytes, n, rows[i].text), 0);
		assert_memory_equal(bytes, rows[i].bytes, n);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(base64_decode(bytes, 1, bad[i]), -EINVAL);
}

static void
test_wire(void **state)
{
	uint8_t buf[40];
	struct wr w = {.p = buf, .left = sizeof(buf)};
	struct rd r;
	char s[6];

	(void)state;
	wr_u8(&w, 1);
	wr_u16(&w, 0x0203);
	wr_u32(&w, 0x04050607);
	wr_u64(&w, UINT64_C(0x08090a0b0c0d0e0f));
	wr_str(&w, "hello");
	assert_false(w.bad);
	r = (struct rd){.p = buf, .left = sizeof(buf) - w.left};
	assert_int_equal(rd_u8(&r), 1);
	assert_int_equal(rd_u16(&r), 0x0203);
	assert_int_equal(rd_u32(&r), 0x04050607);
	assert_true(rd_u64(&r) == UINT64_C(0x08090a0b0c0d0e0f));
	rd_str(&r, s, sizeof(s));
	assert_string_equal(s, "hello");
	assert_true(rd_done(&r));
	assert_int_equal(rd_u8(&r), 0);
	assert_false(rd_done(&r));

	r = (struct rd){.p = buf + 15, .left = 7};
	rd_str(&r, s, 5); /* no room for the NUL */
	assert_true(r.bad);
	assert_string_equal(s, "");
	buf[18] = '\0';
	r = (struct rd){.p = buf + 15, .left = 7};
	rd_str(&r, s, sizeof(s));
	assert_true(r.bad);
	w = (struct wr){.p = buf, .left = 3};
	wr_u32(&w, 1);
	wr_u8(&w, 1);
	assert_true(w.bad);
	assert_int_equal(w.left, 3);
}

static void
test_list(void **state)
{
	struct list l, n[3];
	int seen = 0;

	(void)state;
	list_init(&l);
	assert_true(list_empty(&l));
	for (int i = 0; i < 3; i++) {
		list_init(&n[i]);
		list_append(&l, &n[i]);
	}
	list_remove(&n[0]);
	list_remove(&n[0]);
	list_prepend(&l, &n[0]);
	LIST_EACH(it, tmp, &l)
	{
		assert_ptr_equal(it, &n[seen]);
		seen++;
		list_remove(it);
	}
	assert_int_equal(seen, 3);
	assert_true(list_empty(&l));
}

static void
test_rng(void **state)
{
	struct rng a = {7}, b = {7};
	unsigned count[5] = {0};

	(void)state;
	for (int i = 0; i < 5000; i++) {
		uint32_t v = rng_below(&a, 5);

		assert_int_equal(v, rng_below(&b, 5));
		assert_true(v < 5);
		count[v]++;
	}
	for (int i = 0; i < 5; i++)
		assert_in_range(count[i], 850, 1150);
}

static void
sum(void *arg, const char *name, const char *label, unsigned writer, const char *field,
    uint64_t value)
{
	uint64_t *total = arg;

	(void)writer;
	if (strcmp(name, "proxy") == 0 && strcmp(label, "service=site") == 0 &&
	    strcmp(field, "requests") == 0)
		*total += value;
}

static void
test_stats(void **state)
{
	static const char *const fields[] = {"requests", "errors"};
	int fd = memfd_create("stats", MFD_CLOEXEC);
	struct stats *w, *r;
	uint64_t total = 0;
	stats_t *a, *b;

	(void)state;
	assert_int_equal(ftruncate(fd, (off_t)STATS_SIZE), 0);
	w = stats_create(fd);
	assert_non_null(w);
	a = stats_block(w, "proxy", "service=site", 0, fields, 2);
	b = stats_block(w, "proxy", "service=site", 1, fields, 2);
	assert_ptr_not_equal(a, b);
	assert_int_equal((uintptr_t)a % 64, 0);
	assert_ptr_equal(a, stats_block(w, "proxy", "service=site", 0, fields, 2));
	stats_add(&a[0], 3);
	stats_add(&b[0], 4);
	stats_set(&b[1], 100);
	r = stats_open(fd);
	assert_non_null(r);
	stats_each(r, sum, &total);
	assert_int_equal(total, 7);
	stats_close(w);
	w = stats_create(fd); /* a part that restarts keeps its counters */
	a = stats_block(w, "proxy", "service=site", 0, fields, 2);
	assert_int_equal(stats_get(a), 3);
	for (unsigned i = 2; stats_block(w, "proxy", "x", i, fields, 2) != NULL; i++)
		assert_true(i < STATS_SIZE / 64); /* full at some time, without harm */
	stats_close(w);
	stats_close(r);
	(void)close(fd);
}

static void
test_stats_bad(void **state)
{
	int fd = memfd_create("stats", MFD_CLOEXEC);
	uint64_t total = 0;
	struct stats *w;
	uint32_t *raw;

	(void)state;
	assert_null(stats_open(fd));
	assert_int_equal(ftruncate(fd, (off_t)STATS_SIZE), 0);
	assert_null(stats_open(fd)); /* no magic */
	w = stats_create(fd);
	assert_non_null(stats_block(
	    w, "proxy", "service=site", 0, (const char *const[]){"requests"}, 1));
	raw = mmap(NULL, STATS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	for (size_t i = 0; i < 4; i++) {
		uint32_t keep = raw[16 + i];

		raw[16 + i] = UINT32_MAX - 63; /* size, writer, n, values */
		stats_each(w, sum, &total);
		raw[16 + i] = keep;
	}
	(void)munmap(raw, STATS_SIZE);
	stats_close(w);
	(void)close(fd);
}

struct ticks {
	struct loop *loop;
	struct loop_timer t[50];
	mono_t last;
	unsigned fired;
	struct loop_fd *fd;
	int pair[2];
	bool heard;
};

static struct ticks *ticks; /* the callbacks of this test share it */

static void
on_due(void *arg)
{
	struct loop_timer *t = arg;

	assert_false(mono_before(t->due, ticks->last)); /* in order */
	assert_false(mono_before(loop_now(ticks->loop), t->due));
	ticks->last = t->due;
	ticks->fired++;
	if (t == &ticks->t[10]) /* the handlers of others may be removed meanwhile */
		loop_timer_clear(ticks->loop, &ticks->t[49]);
}

static void
test_timers(void **state)
{
	struct ticks k = {.loop = loop_new()};
	struct rng r = {3};
	mono_t now;

	(void)state;
	ticks = &k;
	now = loop_clock(k.loop);
	for (size_t i = 0; i < ARRAY_LEN(k.t); i++) {
		k.t[i].cb = on_due;
		k.t[i].arg = &k.t[i];
		loop_timer_set(k.loop, &k.t[i],
		    mono_add(now, 20 * MS_NS + rng_below(&r, 9000000)));
	}
	k.t[10].due = now;
	loop_timer_set(k.loop, &k.t[10], now); /* moved to the front */
	loop_timer_set(k.loop, &k.t[20], MONO_NEVER);
	loop_timer_clear(k.loop, &k.t[20]);
	loop_run(k.loop); /* ends by itself when no timer is left */
	assert_int_equal(k.fired, 48);
	loop_free(k.loop);
}

static void
on_readable(void *arg, unsigned events)
{
	struct ticks *k = arg;
	char c;

	if (events & LOOP_HUP) {
		loop_unwatch(k->fd);
		return;
	}
	assert_true(events & LOOP_IN);
	assert_int_equal(read(k->pair[0], &c, 1), 1);
	k->heard = true;
	(void)shutdown(k->pair[1], SHUT_WR);
}

static void
on_silence(void *arg)
{
	struct ticks *k = arg;

	/* The byte was there when this came due: it has been heard first. */
	assert_true(k->heard);
	k->fired++;
}

static void
on_signal(void *arg, int signo)
{
	struct ticks *k = arg;

	assert_int_equal(signo, SIGUSR1);
	k->fired += 100;
	loop_stop(k->loop);
}

static void
test_fds_and_signals(void **state)
{
	struct ticks k = {.loop = loop_new()};
	struct loop_signal *sig;

	(void)state;
	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, k.pair),
	    0);
	k.fd = loop_watch(k.loop, k.pair[0], LOOP_IN, on_readable, &k);
	assert_non_null(k.fd);
	k.t[0].cb = on_silence;
	k.t[0].arg = &k;
	loop_timer_set(k.loop, &k.t[0], loop_clock(k.loop));
	assert_int_equal(write(k.pair[1], "x", 1), 1);
	loop_run(k.loop);
	assert_int_equal(k.fired, 1);

	sig = loop_signal_new(k.loop, SIGUSR1, on_signal, &k);
	assert_non_null(sig);
	k.t[0].cb = on_due;
	ticks = &k;
	k.t[0].arg = &k.t[0];
	loop_timer_set(k.loop, &k.t[0], mono_add(loop_clock(k.loop), 60 * SEC_NS));
	assert_int_equal(raise(SIGUSR1), 0);
	loop_run(k.loop);
	assert_int_equal(k.fired, 101);
	loop_timer_clear(k.loop, &k.t[0]);
	loop_signal_free(sig);
	loop_free(k.loop);
	(void)close(k.pair[0]);
	(void)close(k.pair[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_arena),
	    cmocka_unit_test(test_sbuf),
	    cmocka_unit_test(test_diag),
	    cmocka_unit_test(test_ip),
	    cmocka_unit_test(test_base64),
	    cmocka_unit_test(test_wire),
	    cmocka_unit_test(test_list),
	    cmocka_unit_test(test_rng),
	    cmocka_unit_test(test_stats),
	    cmocka_unit_test(test_stats_bad),
	    cmocka_unit_test(test_timers),
	    cmocka_unit_test(test_fds_and_signals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
