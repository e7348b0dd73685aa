/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load for firewalls that share connections (bench/sync.py).
 *
 *	serve ADDRESS PORT PORTS
 *		echoes, and closes when the client does
 *	rate ADDRESS PORT PORTS RATE SECS
 *		whole connections: open, 16 bytes, answer, close
 *	fill N
 *		N answered UDP flows into this kernel's table
 *	churn RATE SECS
 *		TCP flows that begin, close and end in this kernel's table, without a
 *		packet
 *	watch NS NS PORT
 *		until a signal: when flows were established in the first namespace
 *		and known in the second
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "sync/ct_wire.h"

enum { BATCH = 64, OPEN_MAX_FLOWS = 20000, FDS = 1 << 17 };

static double
now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static long
whole(const char *s)
{
	return strtol(s, NULL, 10);
}

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static void
many_files(void)
{
	struct rlimit l;

	(void)getrlimit(RLIMIT_NOFILE, &l);
	l.rlim_cur = l.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &l);
	(void)signal(SIGPIPE, SIG_IGN);
}

static struct sockaddr_in
address(const char *ip, unsigned port)
{
	struct sockaddr_in a = {
	    .sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

	if (inet_pton(AF_INET, ip, &a.sin_addr) != 1)
		die(ip);
	return a;
}

static void
watch(int ep, int op, int fd, unsigned events)
{
	struct epoll_event e = {.events = events, .data.fd = fd};

	(void)epoll_ctl(ep, op, fd, &e);
}

static int
serve(char **arg)
{
	static bool listening[FDS];
	int ep = epoll_create1(0), one = 1;
	char buf[4096];

	for (unsigned i = 0; i < (unsigned)whole(arg[2]); i++) {
		struct sockaddr_in a = address(arg[0], (unsigned)whole(arg[1]) + i);
		int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

		(void)setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		if (bind(s, (struct sockaddr *)&a, sizeof(a)) != 0 ||
		    listen(s, 65535) != 0)
			die("listen");
		listening[s] = true;
		watch(ep, EPOLL_CTL_ADD, s, EPOLLIN);
	}
	for (;;) {
		struct epoll_event ev[256];
		int n = epoll_wait(ep, ev, 256, -1);

		for (int i = 0; i < n; i++) {
			int c, fd = ev[i].data.fd;
			ssize_t len;

			if (listening[fd]) {
				while (
				    (c = accept4(fd, NULL, NULL, SOCK_NONBLOCK)) >= 0)
					watch(ep, EPOLL_CTL_ADD, c, EPOLLIN);
				continue;
			}
			len = recv(fd, buf, sizeof(buf), 0);
			if (len > 0)
				(void)send(fd, buf, (size_t)len, 0);
			else if (len == 0 || errno != EAGAIN)
				(void)close(fd);
		}
	}
}

static int
rate(char **arg)
{
	static char state[FDS];
	const unsigned port = (unsigned)whole(arg[1]), ports = (unsigned)whole(arg[2]);
	const double per_s = strtod(arg[3], NULL), start = now(),
		     end = start + strtod(arg[4], NULL);
	long begun = 0, done = 0, failed = 0, open_now = 0;
	int ep = epoll_create1(0);
	char buf[64] = "0123456789abcdef";

	for (;;) {
		struct epoll_event ev[256];
		double t = now();
		long want = t < end ? (long)((t - start) * per_s) : begun;

		if (t >= end && (open_now == 0 || t >= end + 2))
			break;
		for (int b = 0; begun < want && b < 200 && open_now < OPEN_MAX_FLOWS;
		     b++) {
			struct sockaddr_in a =
			    address(arg[0], port + (unsigned)begun % ports);
			int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

			begun++;
			if (s < 0 ||
			    (connect(s, (struct sockaddr *)&a, sizeof(a)) != 0 &&
				errno != EINPROGRESS)) {
				failed++;
				if (s >= 0)
					(void)close(s);
				continue;
			}
			state[s] = 1;
			open_now++;
			watch(ep, EPOLL_CTL_ADD, s, EPOLLOUT);
		}
		int n = epoll_wait(ep, ev, 256, 1);

		for (int i = 0; i < n; i++) {
			int s = ev[i].data.fd;

			if (state[s] == 1 && send(s, buf, 16, 0) == 16) {
				state[s] = 2;
				watch(ep, EPOLL_CTL_MOD, s, EPOLLIN);
				continue;
			}
			if (state[s] == 2 && recv(s, buf, sizeof(buf), 0) > 0)
				done++;
			else
				failed++;
			open_now--;
			(void)close(s);
		}
	}
	(void)printf("{\"begun\":%ld,\"done\":%ld,\"failed\":%ld,\"per_s\":%.0f}\n",
	    begun, done, failed, (double)done / (now() - start));
	return 0;
}

/* ---- straight into the table ---------------------------------------------------- */

static struct flow
flow_number(uint32_t i, uint8_t proto)
{
	struct flow f = {.family = AF_INET,
	    .proto = proto,
	    .has = FLOW_STATUS | FLOW_TIMEOUT,
	    .status = FLOW_SEEN_REPLY | FLOW_ASSURED | FLOW_CONFIRMED,
	    .timeout_s = 900};
	const uint8_t client[4] = {
	    100, (uint8_t)(64 + (i >> 30)), (uint8_t)(i >> 22), (uint8_t)(i >> 14)};
	const uint8_t server[4] = {10, 30, 0, 10};

	memcpy(f.orig.src, client, 4);
	memcpy(f.orig.dst, server, 4);
	f.orig.src_port = (uint16_t)(20000 + (i & 16383));
	f.orig.dst_port = 80;
	memcpy(f.reply.src, server, 4);
	memcpy(f.reply.dst, client, 4);
	f.reply.src_port = 80;
	f.reply.dst_port = f.orig.src_port;
	if (proto == IPPROTO_TCP) {
		f.has |= FLOW_TCP;
		f.tcp_state = FLOW_TCP_ESTABLISHED;
	}
	return f;
}

struct table {
	struct mnl_socket *nl;
	uint8_t buf[BATCH * CT_MESSAGE_MAX];
	struct wr w;
	long failed;
};

static void
table_flush(struct table *t)
{
	uint8_t answer[8192];
	ssize_t n;

	if (t->w.p != t->buf &&
	    mnl_socket_sendto(t->nl, t->buf, (size_t)(t->w.p - t->buf)) < 0)
		die("netlink");
	while ((n = recv(mnl_socket_get_fd(t->nl), answer, sizeof(answer),
		    MSG_DONTWAIT)) > 0)
		t->failed++;
	t->w = (struct wr){.p = t->buf, .left = sizeof(t->buf)};
}

static void
table_order(struct table *t, enum ct_order order, const struct flow *f)
{
	if (t->w.left < CT_MESSAGE_MAX)
		table_flush(t);
	ct_encode(&t->w, order, f, 1);
}

static void
table_open(struct table *t)
{
	t->nl = mnl_socket_open(NETLINK_NETFILTER);
	if (t->nl == NULL || mnl_socket_bind(t->nl, 0, MNL_SOCKET_AUTOPID) != 0)
		die("netlink");
	t->w = (struct wr){.p = t->buf, .left = sizeof(t->buf)};
}

static int
fill(char **arg)
{
	static struct table t;
	double start = now();
	long n = whole(arg[0]);

	table_open(&t);
	for (long i = 0; i < n; i++) {
		struct flow f = flow_number((uint32_t)i, IPPROTO_UDP);

		table_order(&t, CT_CREATE, &f);
	}
	table_flush(&t);
	(void)printf("{\"filled\":%ld,\"failed\":%ld,\"secs\":%.3f}\n", n, t.failed,
	    now() - start);
	return 0;
}

/* Each lives for LIFE others: as many are in the table at a time. */
static int
churn(char **arg)
{
	enum { LIFE = 2000 };
	static struct table t;
	const double per_s = strtod(arg[0], NULL), start = now(),
		     end = start + strtod(arg[1], NULL);
	long i = 0;

	table_open(&t);
	for (double at = start; at < end; at = now()) {
		long want = (long)((at - start) * per_s);

		for (; i < want; i++) {
			struct flow f = flow_number((uint32_t)i, IPPROTO_TCP);

			f.tcp_state = FLOW_TCP_SYN_RECV;
			table_order(&t, CT_CREATE, &f);
			f.tcp_state = FLOW_TCP_ESTABLISHED;
			table_order(&t, CT_CHANGE, &f);
			if (i < LIFE)
				continue;
			f = flow_number((uint32_t)(i - LIFE), IPPROTO_TCP);
			f.tcp_state = FLOW_TCP_TIME_WAIT;
			table_order(&t, CT_CHANGE, &f);
			table_order(&t, CT_DELETE, &f);
		}
		table_flush(&t);
		(void)usleep(500);
	}
	(void)printf("{\"churned\":%ld,\"failed\":%ld,\"per_s\":%.0f,\"left\":%d}\n", i,
	    t.failed, (double)i / (now() - start), LIFE);
	return 0;
}

/* ---- how long until the other kernel knows ----------------------------------------
 */

enum { WATCH_PORTS = 64, WATCH_FLOWS = WATCH_PORTS << 16 };

static volatile sig_atomic_t watching = 1;

static void
watch_no_more(int signo)
{
	(void)signo;
	watching = 0;
}

/* Events of the namespace, heard by this process whatever namespace it is in. */
static int
watch_open(const char *space)
{
	const int size = 64 << 20;
	struct mnl_socket *nl;
	char path[256];
	int fd;

	(void)snprintf(path, sizeof(path), "/run/netns/%s", space);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) != 0)
		die(path);
	(void)close(fd);
	nl = mnl_socket_open(NETLINK_NETFILTER);
	if (nl == NULL || mnl_socket_bind(nl,
			      1U << (NFNLGRP_CONNTRACK_NEW - 1) |
				  1U << (NFNLGRP_CONNTRACK_UPDATE - 1),
			      MNL_SOCKET_AUTOPID) != 0)
		die("netlink");
	fd = mnl_socket_get_fd(nl);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	return fd;
}

/* Everything that waits at `fd`: the first time that a flow is there, and has got as
 * far as `least`. */
static void
watch_read(int fd, unsigned least, unsigned port, double *seen)
{
	uint8_t buf[8192];
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
		struct rd r = {.p = buf, .left = (size_t)n};
		const double at = now();
		struct ct_message m;
		enum ct_kind kind;
		struct flow f;
		int result;

		while (ct_next(&r, &m)) {
			if (ct_decode(&m, &kind, &f, &result) != 0 || kind != CT_FLOW ||
			    f.proto != IPPROTO_TCP || f.tcp_state < least ||
			    f.orig.dst_port - port >= WATCH_PORTS)
				continue;
			double *d =
			    &seen[(f.orig.dst_port - port) << 16 | f.orig.src_port];

			if (*d == 0)
				*d = at;
		}
	}
}

static int
earlier(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* In real time: what is measured are the firewalls, not when this gets a processor. */
static int
watch_both(char **arg)
{
	static double here[WATCH_FLOWS], there[WATCH_FLOWS], late[WATCH_FLOWS];
	const struct sched_param first = {.sched_priority = 60};
	const unsigned port = (unsigned)whole(arg[2]);
	struct pollfd p[2] = {{.fd = watch_open(arg[0]), .events = POLLIN},
	    {.fd = watch_open(arg[1]), .events = POLLIN}};
	size_t n = 0, missing = 0;

	if (sched_setscheduler(0, SCHED_FIFO, &first) != 0 ||
	    mlockall(MCL_CURRENT) != 0)
		die("real time");
	(void)signal(SIGTERM, watch_no_more);
	(void)printf("watching\n");
	(void)fflush(stdout);
	while (watching) {
		(void)poll(p, 2, 100);
		watch_read(p[0].fd, FLOW_TCP_ESTABLISHED, port, here);
		watch_read(p[1].fd, 0, port, there);
	}
	for (size_t i = 0; i < WATCH_FLOWS; i++) {
		if (here[i] != 0 && there[i] != 0)
			late[n++] = (there[i] - here[i]) * 1e3;
		else if (here[i] != 0)
			missing++;
	}
	qsort(late, n, sizeof(late[0]), earlier);
	if (n == 0)
		die("no flows");
	(void)printf("{\"p50_ms\":%.3f,\"p90_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f,"
		     "\"missing\":%zu}\n",
	    late[n / 2], late[n * 9 / 10], late[n * 99 / 100], late[n - 1], missing);
	return 0;
}

int
main(int argc, char **argv)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	many_files();
	if (argc == 5 && strcmp(argv[1], "serve") == 0)
		return serve(argv + 2);
	if (argc == 7 && strcmp(argv[1], "rate") == 0)
		return rate(argv + 2);
	if (argc == 3 && strcmp(argv[1], "fill") == 0)
		return fill(argv + 2);
	if (argc == 4 && strcmp(argv[1], "churn") == 0)
		return churn(argv + 2);
	if (argc == 5 && strcmp(argv[1], "watch") == 0)
		return watch_both(argv + 2);
	(void)fprintf(stderr, "see the head of sync_load.c\n");
	return 2;
}
