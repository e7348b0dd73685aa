/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a part as rows, the store of facts, the sockets that are held. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/refuse.h"
#include "os/starved.h"
#include "parse.h"
#include "supervisor/facts.h"
#include "supervisor/handover_wire.h"
#include "supervisor/parts.h"
#include "supervisor/sockets.h"
#include "supervisor/supervisor.h"
#include "supervisor/supervisor_core.h"

const struct part_program part_programs[] = {{.name = NULL}};

/*
 * One row: at `ms` the event (with its slot) is fed; `acts` are the actions expected,
 * as letters with their slot: Spawn, Ping, Activate, Yield, sTop, Kill, and what the
 * status is then, if it changed: o(ff) s(tarting) u(p) r(estarting) d(own).
 */
struct row {
	int ms;
	enum sup_ev_type type;
	unsigned slot;
	const char *acts;
};

#define NO SUP_NOBODY

static void
describe(const struct sup *s, const struct sup_out *out, char text[static 64])
{
	size_t n = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < out->n; i++) {
		const struct sup_act *a = &out->act[i];

		if (i > 0)
			text[n++] = ' ';
		if (a->type == SUP_ACT_STATUS)
			text[n++] = "osurd"[s->status];
		else
			n += (size_t)snprintf(
			    text + n, 64 - n, "%c%u", "SPAYTK"[a->type], a -> slot);
		text[n] = '\0';
	}
}

static void
play(const struct sup_conf *conf, const struct row *row, size_t n)
{
	struct sup_out out;
	char got[64];
	struct sup s;

	sup_init(&s, conf);
	for (size_t i = 0; i < n; i++) {
		const struct sup_ev ev = {.type = row[i].type, .slot = row[i].slot};

		sup_input(&s, (mono_t){SEC_NS + row[i].ms * MS_NS}, &ev, &out);
		assert_true(sup_check(&s));
		describe(&s, &out, got);
		if (strcmp(got, row[i].acts) != 0)
			fail_msg(
			    "row %zu: \"%s\" instead of \"%s\"", i, got, row[i].acts);
	}
}

static const struct sup_conf with_spare = {
    .spare = true, .ping_ns = 20 * MS_NS, .hang_ns = 80 * MS_NS, .stop_ns = SEC_NS};
static const struct sup_conf alone = {
    .ping_ns = 20 * MS_NS, .hang_ns = 80 * MS_NS, .stop_ns = SEC_NS};

static void
test_spare_takes_over(void **state)
{
	static const struct row rows[] = {
	    {0, SUP_EV_WANT, NO, "s S0"},
	    {5, SUP_EV_READY, 0, "A0 P0 u S1"},
	    {9, SUP_EV_READY, 1, ""},
	    {10, SUP_EV_PONG, 0, ""},
	    /* The link breaks before the process is reaped: it counts once. */
	    {20, SUP_EV_BROKEN, 0, "K0 A1 P1"},
	    {21, SUP_EV_DIED, 0, "S0"},
	    {25, SUP_EV_READY, 0, ""},
	    /* The second death in a row: the next spare waits 10 ms. */
	    {30, SUP_EV_DIED, 1, "A0 P0"},
	    {39, SUP_EV_TICK, NO, ""},
	    {40, SUP_EV_TICK, NO, "S1"},
	};

	(void)state;
	play(&with_spare, rows, ARRAY_LEN(rows));
}

static void
test_hang(void **state)
{
	static const struct row rows[] = {
	    {0, SUP_EV_WANT, NO, "s S0"},
	    {5, SUP_EV_READY, 0, "A0 P0 u"},
	    {6, SUP_EV_PONG, 0, ""},
	    {26, SUP_EV_TICK, NO, "P0"},
	    {36, SUP_EV_TICK, NO, ""},
	    /* Five seconds of pause cost one slice of eight. */
	    {5046, SUP_EV_TICK, NO, ""},
	    {5056, SUP_EV_TICK, NO, ""},
	    {5066, SUP_EV_TICK, NO, ""},
	    {5076, SUP_EV_TICK, NO, ""},
	    {5086, SUP_EV_TICK, NO, ""},
	    {5096, SUP_EV_TICK, NO, ""},
	    {5105, SUP_EV_TICK, NO, ""},
	    {5106, SUP_EV_TICK, NO, "K0 r S1"},
	    {5107, SUP_EV_DIED, 0, ""},
	    {5110, SUP_EV_READY, 1, "A1 P1 u"},
	};

	(void)state;
	play(&alone, rows, ARRAY_LEN(rows));
}

/* A slice without a processor does not count; for three times as long as is allowed. */
static void
test_starved(void **state)
{
	static struct row rows[6 + 2 * SUP_PARDONS + SUP_SLICES] = {
	    {0, SUP_EV_WANT, NO, "s S0"},
	    {5, SUP_EV_READY, 0, "A0 P0 u"},
	    {6, SUP_EV_PONG, 0, ""},
	    {26, SUP_EV_TICK, NO, "P0"},
	    {30, SUP_EV_STARVED, 0, ""}, /* not at the end of a slice: nothing */
	    {36, SUP_EV_TICK, NO, ""},
	};
	size_t n = 6;
	int ms = 36;

	(void)state;
	for (unsigned i = 0; i < SUP_PARDONS; i++) {
		ms += 10;
		rows[n++] = (struct row){ms, SUP_EV_STARVED, 0, ""};
		rows[n++] = (struct row){ms, SUP_EV_TICK, NO, ""};
	}
	for (unsigned i = 1; i < SUP_SLICES - 1; i++) {
		ms += 10;
		rows[n++] = (struct row){ms, SUP_EV_TICK, NO, ""};
	}
	ms += 10;
	rows[n++] = (struct row){ms, SUP_EV_STARVED, 0, ""}; /* no more of it */
	rows[n++] = (struct row){ms, SUP_EV_TICK, NO, "K0 r S1"};
	play(&alone, rows, n);
}

/* A child that always wants to run. */
static pid_t
spinner(int policy)
{
	const struct sched_param param = {0};
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)sched_setscheduler(0, policy, &param);
	for (volatile unsigned n = 0;;)
		n++;
}

/* Two on one processor, one of which the kernel serves only when nobody else asks. */
static void
test_starved_look(void **state)
{
	struct starved s = {0};
	cpu_set_t all, one;
	pid_t greedy, humble;
	size_t cpu = 0;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	while (!CPU_ISSET(cpu, &all))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	greedy = spinner(SCHED_OTHER);
	humble = spinner(SCHED_IDLE);
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
	assert_false(starved_look(&s, humble, 20 * MS_NS));
	for (bool seen = false; !seen;) { /* in vain: the time-out of the whole test */
		(void)usleep(20000);
		seen = starved_look(&s, humble, 20 * MS_NS);
	}
	assert_true(starved_wants(humble));
	assert_int_equal(kill(humble, SIGSTOP), 0);
	assert_int_equal(waitpid(humble, NULL, WUNTRACED), humble);
	assert_false(starved_wants(humble));
	assert_false(starved_look(&s, humble, 20 * MS_NS)); /* does not want to run */
	assert_int_equal(kill(humble, SIGKILL) | kill(greedy, SIGKILL), 0);
	assert_int_equal(waitpid(humble, NULL, 0), humble);
	assert_int_equal(waitpid(greedy, NULL, 0), greedy);
	assert_false(starved_look(&s, humble, 20 * MS_NS)); /* is not there */
	assert_false(starved_wants(humble));
}

static void
test_crash_loop(void **state)
{
	static const struct row rows[] = {
	    {0, SUP_EV_WANT, NO, "s S0"},
	    {1, SUP_EV_READY, 0, "A0 P0 u"},
	    {10, SUP_EV_DIED, 0, "r S0"},
	    {11, SUP_EV_READY, 0, "A0 P0 u"},
	    {20, SUP_EV_DIED, 0, "r"},
	    {30, SUP_EV_TICK, NO, "S0"},
	    {31, SUP_EV_READY, 0, "A0 P0 u"},
	    {40, SUP_EV_DIED, 0, "d"},
	    {140, SUP_EV_TICK, NO, "S0"},
	    {150, SUP_EV_READY, 0, "A0 P0"},
	    {151, SUP_EV_PONG, 0, ""},
	    {5149, SUP_EV_TICK, NO, "P0"},
	    {5149, SUP_EV_PONG, 0, ""},
	    {5150, SUP_EV_TICK, NO, "u"},
	};

	(void)state;
	play(&alone, rows, ARRAY_LEN(rows));
}

static void
test_leaving(void **state)
{
	static const struct row rows[] = {
	    {0, SUP_EV_WANT, NO, "s S0"},
	    {1, SUP_EV_READY, 0, "A0 P0 u S1"},
	    {2, SUP_EV_UNWANT, NO, "T0 T1"},
	    /* It lets go of its link before it ends: no reason to kill it. */
	    {3, SUP_EV_BROKEN, 0, ""},
	    {4, SUP_EV_DIED, 0, ""},
	    /* The other does not listen. */
	    {900, SUP_EV_TICK, NO, ""},
	    {910, SUP_EV_KILL, 1, "K1"},
	    {911, SUP_EV_DIED, 1, "o"},
	    {912, SUP_EV_DIED, 1, ""},
	    {913, SUP_EV_WANT, NO, "s S0"},
	    {914, SUP_EV_UNWANT, NO, "T0"},
	    {915, SUP_EV_WANT, NO, "S1"},
	    {916, SUP_EV_DIED, 0, ""},
	};

	(void)state;
	play(&with_spare, rows, ARRAY_LEN(rows));
}

static void
test_replaced(void **state)
{
	static const struct row rows[] = {
	    {0, SUP_EV_WANT, NO, "s S0"},
	    {1, SUP_EV_READY, 0, "A0 P0 u S1"},
	    {2, SUP_EV_READY, 1, ""},
	    {3, SUP_EV_PONG, 0, ""},
	    {4, SUP_EV_REPLACE, NO, "T1"},
	    {5, SUP_EV_DIED, 1, "S1"},
	    {10, SUP_EV_READY, 1, "Y0"},
	    {11, SUP_EV_YIELDED, 0, "A1 P1 S2"},
	    {12, SUP_EV_PONG, 1, ""},
	    {13, SUP_EV_READY, 2, ""},
	    /* Once more, while the first is not yet done: nowhere for a spare. */
	    {20, SUP_EV_REPLACE, NO, "T2"},
	    {21, SUP_EV_DIED, 2, "S2"},
	    {25, SUP_EV_READY, 2, "Y1"},
	    /* What dies instead of saying so has yielded as well. */
	    {26, SUP_EV_DIED, 1, "A2 P2 S1"},
	    {27, SUP_EV_READY, 1, ""},
	    {28, SUP_EV_PONG, 2, ""},
	    {29, SUP_EV_DIED, 0, ""},
	};
	static const struct row hung[] = {
	    {0, SUP_EV_WANT, NO, "s S0"},
	    {1, SUP_EV_READY, 0, "A0 P0 u"},
	    {2, SUP_EV_PONG, 0, ""},
	    {3, SUP_EV_REPLACE, NO, "S1"},
	    {4, SUP_EV_READY, 1, "Y0"},
	    {44, SUP_EV_TICK, NO, ""},
	    {84, SUP_EV_TICK, NO, ""},
	    {124, SUP_EV_TICK, NO, ""},
	    {164, SUP_EV_TICK, NO, ""},
	    {204, SUP_EV_TICK, NO, ""},
	    {244, SUP_EV_TICK, NO, ""},
	    {284, SUP_EV_TICK, NO, ""},
	    {324, SUP_EV_TICK, NO, "K0 A1 P1"},
	    {325, SUP_EV_DIED, 0, ""},
	};

	(void)state;
	play(&with_spare, rows, ARRAY_LEN(rows));
	play(&alone, hung, ARRAY_LEN(hung));
}

static void
test_facts(void **state)
{
	static struct facts f;
	char key[FACT_KEY_LEN];
	unsigned n = 0;

	(void)state;
	facts_init(&f);
	assert_true(facts_set(&f, (mono_t){1}, "vip", "vip www", "active"));
	assert_false(facts_set(&f, (mono_t){2}, "vip", "vip www", "active"));
	assert_true(facts_set(&f, (mono_t){3}, "vip", "vip www", "backup"));
	assert_string_equal(facts_get(&f, "vip www"), "backup");
	assert_string_equal(facts_get(&f, "vip ww"), "");
	assert_false(facts_set(&f, (mono_t){4}, "vip", "vip none", ""));
	assert_true(facts_set(&f, (mono_t){5}, "vip", "vip www", ""));
	assert_string_equal(facts_get(&f, "vip www"), "");
	/* More keys than buckets, and no more than the limit. */
	for (unsigned i = 0; i <= FACTS_MAX; i++) {
		(void)snprintf(key, sizeof(key), "vip %u", i);
		assert_int_equal(
		    facts_set(&f, (mono_t){6}, "vip", key, "up"), i < FACTS_MAX);
	}
	LIST_EACH(node, tmp, &f.all)
	{
		(void)snprintf(key, sizeof(key), "vip %u", n++);
		assert_string_equal(CONTAINER(node, struct fact, node)->key, key);
	}
	assert_int_equal(n, FACTS_MAX);
	facts_done(&f);
}

static void
test_handover(void **state)
{
	struct handover_record rec = {.type = HANDOVER_PROCESS,
	    .number = {1, 2, 1, 4711, 9, UINT64_MAX, 3},
	    .key = "proxy",
	    .value = "",
	    .by = "supervisor"};
	struct handover_record back;
	uint8_t bytes[HANDOVER_RECORD_MAX];
	struct wr w = {.p = bytes, .left = sizeof(bytes)};
	struct rd r;
	size_t len;

	(void)state;
	handover_encode(&w, &rec);
	assert_false(w.bad);
	len = sizeof(bytes) - w.left;
	r = (struct rd){.p = bytes, .left = len};
	assert_int_equal(handover_decode(&r, &back), 0);
	assert_true(rd_done(&r) && back.type == HANDOVER_PROCESS);
	assert_memory_equal(back.number, rec.number, sizeof(rec.number));
	assert_string_equal(back.key, "proxy");
	assert_string_equal(back.by, "supervisor");
	for (size_t n = 0; n < len; n++) {
		r = (struct rd){.p = bytes, .left = n};
		assert_int_equal(handover_decode(&r, &back), -EBADMSG);
	}
	for (size_t i = 0; i < 2; i++) { /* another version, an unknown type */
		bytes[i] += HANDOVER_TYPES;
		r = (struct rd){.p = bytes, .left = len};
		assert_int_equal(handover_decode(&r, &back), -EBADMSG);
		bytes[i] -= HANDOVER_TYPES;
	}
	/* The longest there may be. */
	memset(rec.key, 'k', sizeof(rec.key) - 1);
	memset(rec.by, 'b', sizeof(rec.by) - 1);
	memset(rec.value, 'v', sizeof(rec.value) - 1);
	w = (struct wr){.p = bytes, .left = sizeof(bytes)};
	handover_encode(&w, &rec);
	assert_false(w.bad);
}

static const char *const files[] = {
    "cluster: t\nnetwork: 127.0.0.0/8\nhosts: {a: 127.0.0.1, b: 127.0.0.2}\n"
    "floating_ips: {www: {address: 127.0.9.9, hosts: [a, b]}}\n"
    "services:\n  s: {listen: [www:65480, a:65481, b:65482], servers: [b:1]}\n"
    "  t: {listen: b:1, servers: [b:2], sticky: {by: source, sync: main}}\n"
    "  u: {listen: a:2, servers: [b:2], sticky: {by: source, sync: main}}\n",
    "cluster: t\nnetwork: 127.0.0.0/8\nhosts: {a: 127.0.0.1, b: 127.0.0.2}\n"
    "floating_ips: {www: {address: 127.0.9.9, hosts: [a, b]}}\n"
    "services:\n  s: {listen: [www:65480], servers: [b:1]}\n",
};

static void
test_sockets(void **state)
{
	static const struct {
		const char *name;
		int result; /* 0: a descriptor */
	} rows[] = {
	    {"tcp/127.0.9.9:65480/0", 0},
	    {"tcp/127.0.9.9:65480/1", 0},
	    {"tcp/127.0.0.1:65481/0", 0},
	    {"tcp/127.0.0.2:65482/0", -EPERM},
	    {"tcp/127.0.9.9:22/0", -EPERM},
	    {"memory/u/4096", 0},
	    {"memory/t/4096", -EPERM}, /* another host's */
	    {"memory/s/4096", -EPERM}, /* it has no table */
	    {"memory/u/0", -EINVAL},
	    {"memory/u/67108865", -EINVAL},
	    {"memory/u/4096x", -EINVAL},
	    {"memory/u/", -EINVAL},
	    {"memory/u", -EINVAL},
	    {"memory//4096", -EPERM},
	    {"tcp/127.0.9.9:65480", -EINVAL},
	    {"tcp/127.0.9.9:65480/", -EINVAL},
	    {"tcp/127.0.9.9:65480/-1", -EINVAL},
	    {"tcp/127.0.9.9:65480/1024", -EINVAL},
	    {"tcp/127.0.9.9:65480/1x", -EINVAL},
	    {"tcp//0", -EINVAL},
	    {"udp/127.0.9.9:65480/0", -EINVAL},
	    {"ping/5", -EINVAL},
	    {"", -EINVAL},
	};
	const struct cluster *c = parse(files[0]), *later = parse(files[1]);
	struct sockets s;
	int fd;

	(void)state;
	sockets_init(&s);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		fd = sockets_get(&s, c, cluster_host(c, "a"), rows[i].name, 0);
		if (rows[i].result != 0 ? fd != rows[i].result : fd < 0)
			fail_msg("%s: %d", rows[i].name, fd);
	}
	assert_int_equal(s.n, 4);
	/* Held: the same again, also over a generation that still gives it. */
	fd = sockets_get(&s, c, cluster_host(c, "a"), rows[0].name, 1);
	sockets_adopt(&s, later, cluster_host(later, "a"));
	assert_int_equal(s.n, 2);
	assert_int_equal(
	    sockets_get(&s, later, cluster_host(later, "a"), rows[0].name, 1), fd);
	sockets_drop(&s, rows[1].name);
	sockets_drop(&s, rows[1].name);
	assert_int_equal(s.n, 1);
	sockets_done(&s);
	cluster_unref(c);
	cluster_unref(later);
}

static int
connect_to(const char *address, uint16_t port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(inet_pton(AF_INET, address, &sin.sin_addr), 1);
	if (connect(fd, (const struct sockaddr *)&sin, sizeof(sin)) == 0)
		return fd;
	(void)close(fd);
	return -errno;
}

/* Not everywhere: a container may lack the permission. */
static bool
can_refuse(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, err;

	assert_int_equal(
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)), 0);
	assert_int_equal(listen(fd, 1), 0);
	err = refuse_new(fd);
	(void)close(fd);
	assert_true(err == 0 || err == -EPERM || err == -ENOSYS);
	return err == 0;
}

/* While a part has it open still, it keeps whom it has; the next one is another. */
static void
test_dropped_listener_refuses(void **state)
{
	const char *name = "tcp/127.0.0.1:65481/0";
	int part, early, taken, later;
	const struct cluster *c;
	const struct host *a;
	struct sockets s;

	(void)state;
	if (!can_refuse())
		skip();
	c = parse(files[0]);
	a = cluster_host(c, "a");
	sockets_init(&s);
	part = dup(sockets_get(&s, c, a, name, 0));
	assert_true(part >= 0);
	early = connect_to("127.0.0.1", 65481);
	assert_true(early >= 0);
	sockets_drop(&s, name);
	assert_int_equal(connect_to("127.0.0.1", 65481), -ECONNREFUSED);
	taken = accept(part, NULL, NULL);
	assert_true(taken >= 0);
	assert_int_equal(write(taken, "x", 1), 1);

	assert_true(sockets_get(&s, c, a, name, 0) >= 0);
	later = connect_to("127.0.0.1", 65481);
	assert_true(later >= 0);
	(void)close(later);
	(void)close(taken);
	(void)close(early);
	(void)close(part);
	sockets_done(&s);
	cluster_unref(c);
}

static void
test_rows_of_parts(void **state)
{
	const struct part_row *proxy = parts_find("proxy");

	(void)state;
	assert_non_null(proxy);
	assert_null(parts_find("nothing"));
	assert_true(parts_prefix(proxy->publish, "passive site web1:80"));
	assert_false(parts_prefix(proxy->publish, "admin web1"));
	assert_false(parts_prefix(proxy->publish, "server site web1:80"));
	assert_false(parts_prefix(proxy->sockets, "ping/4"));
	for (size_t i = 0; i < PARTS_MAX; i++) {
		/* What it subscribed to comes back to it after its death. */
		for (size_t k = 0; parts[i].publish[k] != NULL; k++) {
			if (strcmp(parts[i].publish[k], "proxy ") != 0)
				assert_true(parts_prefix(
				    parts[i].subscribe, parts[i].publish[k]));
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_spare_takes_over),
	    cmocka_unit_test(test_hang),
	    cmocka_unit_test(test_starved),
	    cmocka_unit_test(test_starved_look),
	    cmocka_unit_test(test_crash_loop),
	    cmocka_unit_test(test_leaving),
	    cmocka_unit_test(test_replaced),
	    cmocka_unit_test(test_facts),
	    cmocka_unit_test(test_handover),
	    cmocka_unit_test(test_sockets),
	    cmocka_unit_test(test_dropped_listener_refuses),
	    cmocka_unit_test(test_rows_of_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
