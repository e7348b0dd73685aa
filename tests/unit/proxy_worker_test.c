/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workers as the control thread drives them, over loopback: client connections here,
 * two small servers in threads of their own. Run under ThreadSanitizer, too: views
 * change while requests pass.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "parse.h"
#include "proxy/control/gen.h"
#include "proxy/counters.h"
#include "proxy/worker.h"

#define WORKERS 2
#define PEERS	64

/* A server: answers each request with its letter, "/hang" never. */
struct backend {
	int listener, holder; /* of the port, for as long as the test lasts */
	uint16_t port;
	char letter;
	pthread_t thread;
	atomic_bool end, hangs;
	atomic_int answered, busy, most;
	int think_ms;
};

struct lab {
	struct backend server[2];
	const struct cluster *cluster;
	struct gen *gen;
	struct lsock *sock[WORKERS];
	struct ip_endpoint at;
	struct worker *worker[WORKERS];
	int notify;
};

static int
bind_to(struct ip_endpoint *at)
{
	struct sockaddr_storage ss;
	socklen_t len = ip_to_sockaddr(at, &ss);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
	    one = 1;

	assert_true(fd >= 0);
	assert_int_equal(
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	len = sizeof(ss);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	*at = ip_from_sockaddr(&ss);
	return fd;
}

static int
listen_on(struct ip_endpoint *at)
{
	int fd = bind_to(at);

	assert_int_equal(listen(fd, 128), 0);
	return fd;
}

static void
answer(struct backend *s, int fd, const char *request)
{
	char text[64];
	int now;

	if (strncmp(request, "GET /hang", 9) == 0)
		return;
	now = atomic_fetch_add(&s->busy, 1) + 1;
	if (now > atomic_load(&s->most))
		atomic_store(&s->most, now);
	if (s->think_ms > 0)
		(void)poll(NULL, 0, s->think_ms);
	while (atomic_load(&s->hangs) && !atomic_load(&s->end))
		(void)poll(NULL, 0, 1);
	(void)snprintf(text, sizeof(text),
	    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%c", s->letter);
	atomic_fetch_sub(&s->busy, 1);
	atomic_fetch_add(&s->answered, 1);
	assert_true(send(fd, text, strlen(text), MSG_NOSIGNAL) > 0);
}

static void
serve(struct backend *s, struct pollfd *p)
{
	char request[1024];
	ssize_t n = recv(p->fd, request, sizeof(request) - 1, 0);

	if (n <= 0) {
		(void)close(p->fd);
		p->fd = -1;
		return;
	}
	request[n] = '\0'; /* heads come whole over loopback */
	answer(s, p->fd, request);
}

static void *
run_server(void *arg)
{
	struct backend *s = arg;
	struct pollfd p[PEERS] = {{.fd = s->listener, .events = POLLIN}};
	nfds_t n = 1;

	while (!atomic_load(&s->end)) {
		if (poll(p, n, 10) <= 0)
			continue;
		for (nfds_t i = 1; i < n; i++) {
			if (p[i].revents != 0)
				serve(s, &p[i]);
		}
		for (nfds_t i = n; i-- > 1;) {
			if (p[i].fd < 0)
				p[i] = p[--n];
		}
		if ((p[0].revents & POLLIN) != 0 && n < PEERS)
			p[n++] = (struct pollfd){
			    .fd = accept(s->listener, NULL, NULL), .events = POLLIN};
	}
	for (nfds_t i = 0; i < n; i++) {
		if (p[i].fd >= 0)
			(void)close(p[i].fd);
	}
	return NULL;
}

static void
start_server(struct backend *s, char letter)
{
	struct ip_endpoint at = {0};

	assert_int_equal(ip_parse(&at.ip, "127.0.0.1"), 0);
	memset(s, 0, sizeof(*s));
	s->letter = letter;
	/* Nobody else may have the port when the server is gone. */
	s->holder = bind_to(&at);
	s->listener = listen_on(&at);
	s->port = at.port;
	assert_int_equal(pthread_create(&s->thread, NULL, run_server, s), 0);
}

static void
end_server(struct backend *s)
{
	if (s->letter == '\0')
		return;
	atomic_store(&s->end, true);
	assert_int_equal(pthread_join(s->thread, NULL), 0);
	s->letter = '\0';
}

static void
build_gen(struct lab *l, const char *more)
{
	struct gen *old = l->gen;
	char text[1024];

	(void)snprintf(text, sizeof(text),
	    "cluster: t\nnetwork: 127.0.0.0/8\nhosts: {lb: 127.0.0.1}\nservices:\n"
	    "  site:\n    listen: lb:%u\n    servers:\n"
	    "    - {at: \"127.0.0.1:%u\"%s}\n    - {at: \"127.0.0.1:%u\"%s}\n",
	    l->at.port, l->server[0].port, more, l->server[1].port, more);
	cluster_unref(l->cluster);
	l->cluster = parse(text);
	l->gen = gen_new(
	    l->cluster, cluster_host(l->cluster, "lb"), WORKERS, NULL, old, NULL);
	assert_non_null(l->gen);
	gen_unref(old);
}

static struct view *
new_view(struct lab *l)
{
	struct view *v = view_new(l->gen, 1);

	assert_non_null(v);
	v->accepting = true;
	v->listener[0].at = l->at;
	for (unsigned w = 0; w < WORKERS; w++)
		v->listener[0].sock[w] = lsock_ref(l->sock[w]);
	return v;
}

static void
show(struct lab *l, struct view *v)
{
	for (unsigned w = 0; w < WORKERS; w++)
		worker_show(l->worker[w], view_ref(v));
	view_unref(v);
}

static void
open_lab(struct lab *l, const char *more)
{
	struct worker_conf conf = {.all = l->worker, .n_all = WORKERS, .seed = 1};

	memset(l, 0, sizeof(*l));
	start_server(&l->server[0], 'a');
	start_server(&l->server[1], 'b');
	assert_int_equal(ip_parse(&l->at.ip, "127.0.0.1"), 0);
	for (unsigned w = 0; w < WORKERS; w++) {
		int fd = listen_on(&l->at);

		l->sock[w] = lsock_new(fd);
		assert_non_null(l->sock[w]);
	}
	l->notify = conf.notify = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	build_gen(l, more);
	for (conf.index = 0; conf.index < WORKERS; conf.index++)
		assert_int_equal(worker_start(&l->worker[conf.index], &conf), 0);
	show(l, new_view(l));
}

static void
close_lab(struct lab *l)
{
	workers_end(l->worker, WORKERS);
	workers_free(l->worker, WORKERS);
	for (unsigned w = 0; w < WORKERS; w++)
		lsock_unref(l->sock[w]);
	gen_unref(l->gen);
	cluster_unref(l->cluster);
	for (size_t i = 0; i < ARRAY_LEN(l->server); i++) {
		end_server(&l->server[i]);
		(void)close(l->server[i].holder);
	}
	(void)close(l->notify);
}

static int
client(const struct lab *l)
{
	struct sockaddr_storage ss;
	socklen_t len = ip_to_sockaddr(&l->at, &ss);
	struct timeval patience = {.tv_sec = 10};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&ss, len) != 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

static void
ask(int fd, const char *path)
{
	char text[128];

	(void)snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: t\r\n\r\n", path);
	assert_true(
	    send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
}

/* The letter of the answer; 0 if it is another than 200; -1: none came. `*last` says
 * that the connection ends with it. */
static int
hear(int fd, bool *last)
{
	char text[1024];
	size_t n = 0;
	const char *end;

	for (;;) {
		ssize_t r = recv(fd, text + n, sizeof(text) - 1 - n, 0);

		if (r <= 0)
			return -1;
		n += (size_t)r;
		text[n] = '\0';
		end = strstr(text, "\r\n\r\n");
		if (end != NULL && end[4] != '\0')
			break;
	}
	*last = strstr(text, "Connection: close") != NULL;
	return strncmp(text, "HTTP/1.1 200", 12) == 0 ? end[4] : 0;
}

static int
once(const struct lab *l, const char *path)
{
	bool last = false;
	int fd = client(l), r;

	assert_true(fd >= 0);
	ask(fd, path);
	r = hear(fd, &last);
	(void)close(fd);
	return r;
}

static uint64_t
failures(const struct lab *l)
{
	int error;

	return gen_failures(l->gen, 0, 0, &error) + gen_failures(l->gen, 0, 1, &error);
}

static void
test_keeps_connections(void **state)
{
	struct lab l;
	bool last = false;
	int fd, first, a = 0;

	(void)state;
	open_lab(&l, "");
	fd = client(&l);
	ask(fd, "/");
	first = hear(fd, &last);
	for (int i = 0; i < 10; i++) {
		ask(fd, "/");
		a += hear(fd, &last) == first;
		assert_false(last);
	}
	assert_int_equal(a, 5); /* round robin */
	(void)close(fd);
	close_lab(&l);
}

static void
test_survives_a_dead_server(void **state)
{
	struct lab l;
	struct pollfd p;

	(void)state;
	open_lab(&l, "");
	end_server(&l.server[0]);
	for (int i = 0; i < 20; i++)
		assert_int_equal(once(&l, "/"), 'b');
	/* Out of rotation after one failed connection of each worker. */
	assert_in_range(failures(&l), 1, WORKERS);
	p = (struct pollfd){.fd = l.notify, .events = POLLIN};
	assert_int_equal(poll(&p, 1, 5000), 1);
	close_lab(&l);
}

static void
test_refuses_when_all_are_down(void **state)
{
	struct lab l;
	struct view *v;

	(void)state;
	open_lab(&l, "");
	v = new_view(&l);
	v->server[0] = v->server[1] = SERVER_DOWN;
	show(&l, v);
	assert_int_equal(once(&l, "/"), 0);
	end_server(&l.server[0]);
	end_server(&l.server[1]);
	show(&l, new_view(&l));
	assert_int_equal(once(&l, "/"), 0);
	close_lab(&l);
}

/* A request hangs on a server; the verdict that it is down takes it to the other. */
static void
test_rescues_from_a_hung_server(void **state)
{
	struct lab l;
	struct view *v;
	bool last = false;
	int fd;

	(void)state;
	open_lab(&l, "");
	v = new_view(&l);
	v->server[1] = SERVER_DOWN;
	show(&l, v);
	assert_int_equal(once(&l, "/"), 'a');
	atomic_store(&l.server[0].hangs, true);
	fd = client(&l);
	ask(fd, "/");
	while (atomic_load(&l.server[0].busy) == 0)
		(void)poll(NULL, 0, 1);
	v = new_view(&l);
	v->server[0] = SERVER_DOWN;
	v->server[1] = SERVER_UP;
	show(&l, v);
	assert_int_equal(hear(fd, &last), 'b');
	atomic_store(&l.server[0].hangs, false);
	(void)close(fd);
	close_lab(&l);
}

/* A request waits in vain: the server is doubted, which is no failure yet. */
static void
test_doubts_a_silent_server(void **state)
{
	struct lab l;
	uint64_t doubts = 0;
	int fd;

	(void)state;
	open_lab(&l, "");
	show(&l, new_view(&l));
	fd = client(&l);
	ask(fd, "/hang");
	for (int i = 0; i < 10000 && doubts == 0; i++) {
		(void)poll(NULL, 0, 1);
		doubts = gen_doubts(l.gen, 0, 0) + gen_doubts(l.gen, 0, 1);
	}
	assert_int_equal(doubts, 1);
	/* Another server is asked meanwhile, and nobody doubts the last one left. */
	assert_true(once(&l, "/") > 0);
	assert_int_equal(failures(&l), 0);
	(void)close(fd);
	close_lab(&l);
}

static void
test_drains(void **state)
{
	struct lab l;
	struct view *v;

	(void)state;
	open_lab(&l, "");
	v = new_view(&l);
	v->server[0] = SERVER_UP | SERVER_DRAINING;
	show(&l, v);
	assert_int_equal(once(&l, "/"), 'b');
	for (int i = 0; i < 10; i++)
		assert_int_equal(once(&l, "/"), 'b');
	show(&l, new_view(&l));
	for (int i = 0, a = 0; a == 0; i++) {
		assert_true(i < 100);
		a = once(&l, "/") == 'a';
	}
	close_lab(&l);
}

/* Two workers share a limit of one: never two at once, and none waits for ever. */
static void *
limited_client(void *arg)
{
	const struct lab *l = arg;
	intptr_t ok = 0;

	for (int i = 0; i < 10; i++) {
		int r = once(l, "/");

		ok += r == 'a' || r == 'b';
	}
	return (void *)ok;
}

static void
test_limits(void **state)
{
	pthread_t thread[8];
	struct lab l;
	void *ok;

	(void)state;
	open_lab(&l, ", max_connections: 1");
	l.server[0].think_ms = l.server[1].think_ms = 1;
	for (size_t i = 0; i < ARRAY_LEN(thread); i++)
		assert_int_equal(
		    pthread_create(&thread[i], NULL, limited_client, &l), 0);
	for (size_t i = 0; i < ARRAY_LEN(thread); i++) {
		assert_int_equal(pthread_join(thread[i], &ok), 0);
		assert_int_equal((intptr_t)ok, 10);
	}
	assert_int_equal(atomic_load(&l.server[0].most), 1);
	assert_int_equal(atomic_load(&l.server[1].most), 1);
	close_lab(&l);
}

struct load {
	const struct lab *l;
	atomic_bool end;
	atomic_int ok, failed;
};

static void *
keep_asking(void *arg)
{
	struct load *load = arg;
	int fd = -1;

	while (!atomic_load(&load->end)) {
		bool last = false;
		int r;

		if (fd < 0)
			fd = client(load->l);
		ask(fd, "/");
		r = hear(fd, &last);
		if (r == 'a' || r == 'b')
			atomic_fetch_add(&load->ok, 1);
		else
			atomic_fetch_add(&load->failed, 1);
		if (last || r <= 0) {
			(void)close(fd);
			fd = -1;
		}
	}
	if (fd >= 0)
		(void)close(fd);
	return NULL;
}

/* Every kind of news while requests pass: none fails. */
static void
test_views_change_under_load(void **state)
{
	struct load load = {0};
	pthread_t thread[4];
	struct lab l;

	(void)state;
	open_lab(&l, "");
	load.l = &l;
	for (size_t i = 0; i < ARRAY_LEN(thread); i++)
		assert_int_equal(
		    pthread_create(&thread[i], NULL, keep_asking, &load), 0);
	for (int i = 0; i < 60 || atomic_load(&load.ok) < 500; i++) {
		struct view *v;

		if (i % 3 == 0)
			build_gen(
			    &l, i % 2 == 0 ? ", weight: 2" : ", max_connections: 9");
		v = new_view(&l);
		v->server[i % 2] =
		    i % 5 == 0 ? SERVER_DOWN : SERVER_UP | SERVER_DRAINING;
		v->listener[0].leaving = i % 4 == 0;
		show(&l, v);
		(void)poll(NULL, 0, 3);
		assert_true(i < 10000);
	}
	atomic_store(&load.end, true);
	for (size_t i = 0; i < ARRAY_LEN(thread); i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	assert_int_equal(atomic_load(&load.failed), 0);
	close_lab(&l);
}

/* Leaving: the answer says that it is the last, and nothing is open at the end. */
static void
test_stops(void **state)
{
	struct lab l;
	struct view *v;
	bool last = false;
	int fd;

	(void)state;
	open_lab(&l, "");
	fd = client(&l);
	ask(fd, "/");
	assert_true(hear(fd, &last) > 0 && !last);
	v = new_view(&l);
	v->accepting = false;
	v->stopping = true;
	show(&l, v);
	/* The news may arrive between two requests. */
	for (int i = 0; i < 100 && !last; i++) {
		ask(fd, "/");
		assert_true(hear(fd, &last) > 0);
	}
	assert_true(last);
	for (int i = 0; i < 5000; i++) {
		if (worker_done(l.worker[0]) && worker_done(l.worker[1]))
			break;
		(void)poll(NULL, 0, 1);
	}
	assert_true(worker_done(l.worker[0]) && worker_done(l.worker[1]));
	(void)close(fd);
	close_lab(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_keeps_connections),
	    cmocka_unit_test(test_survives_a_dead_server),
	    cmocka_unit_test(test_refuses_when_all_are_down),
	    cmocka_unit_test(test_rescues_from_a_hung_server),
	    cmocka_unit_test(test_doubts_a_silent_server),
	    cmocka_unit_test(test_drains),
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_views_change_under_load),
	    cmocka_unit_test(test_stops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
