/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request.c - one worker between clients and servers that live in the same process, so
 * that callgrind can count the instructions of a request: they do not depend on how
 * busy the machine is. bench/request.sh builds and runs it.
 *
 *	request_bench KIND SERVERS REQUESTS [KEY: VALUE ...]
 *
 * KIND is http or h2 (of the clients); the rest are keys of the service, such as
 * "balance: least-connections". Prints how many requests were answered.
 *
 *	request_bench idle SERVERS CONNECTIONS [KEY: VALUE ...]
 *
 * As many clients, in processes of their own, ask once, stay, and ask once more when
 * all of them are there. Prints what memory the worker had for them.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proxy/control/gen.h"
#include "proxy/sources/source_map.h"
#include "proxy/worker.h"

#define CONNS	 64 /* of clients that speak HTTP/1 */
#define STREAMS	 64 /* of the one connection of HTTP/2 */
#define CROWDS	 16 /* processes of clients that stay */
#define EVENTS	 256
#define TEXT_MAX 65536

#define GET "GET / HTTP/1.1\r\nHost: 10.91.0.2\r\n\r\n"

struct end {
	int fd;
	bool server, listener;
};

struct bench {
	int epfd, notify;
	bool h2;
	unsigned long left, due, answered;
	uint32_t next_stream;
	char answer[512];
	size_t answer_len;
	uint8_t frame[9]; /* of HTTP/2: the head that is coming in */
	size_t n_frame, skip;
	struct gen *gen;
	struct ip_endpoint at;
	struct worker *worker;
	struct source_map *sources; /* NULL: the service has no table of them */
};

static struct end *
watch(struct bench *b, int fd, bool server, bool listener)
{
	struct end *p = calloc(1, sizeof(*p));
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = p};

	ASSERT(p != NULL && fd >= 0);
	*p = (struct end){fd, server, listener};
	ASSERT(epoll_ctl(b->epfd, EPOLL_CTL_ADD, fd, &e) == 0);
	return p;
}

static int
listen_on(struct ip_endpoint *at)
{
	struct sockaddr_storage ss;
	socklen_t len = ip_to_sockaddr(at, &ss);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	ASSERT(fd >= 0 && bind(fd, (struct sockaddr *)&ss, len) == 0);
	ASSERT(listen(fd, 4096) == 0);
	len = sizeof(ss);
	ASSERT(getsockname(fd, (struct sockaddr *)&ss, &len) == 0);
	*at = ip_from_sockaddr(&ss);
	return fd;
}

static void
send_all(int fd, const void *p, size_t n)
{
	ASSERT(send(fd, p, n, MSG_NOSIGNAL) == (ssize_t)n); /* it is little */
}

/* ---- clients ------------------------------------------------------------------- */

/* GET / of the next stream; its fields are in HPACK's table but for the host. */
static size_t
h2_request(struct bench *b, char *out)
{
	static const char block[] = "\x82\x84\x86\x41\x09"
				    "10.91.0.2";
	uint32_t id = b->next_stream;
	size_t len = sizeof(block) - 1;
	const char head[9] = {0, 0, (char)len, 1, 5, (char)(id >> 24), (char)(id >> 16),
	    (char)(id >> 8), (char)id};

	b->next_stream += 2;
	memcpy(out, head, sizeof(head));
	memcpy(out + sizeof(head), block, len);
	return sizeof(head) + len;
}

static void
ask(struct bench *b, int fd, unsigned n)
{
	char text[STREAMS * 64];
	size_t len = 0;

	for (; n > 0 && b->left > 0; n--, b->left--) {
		if (b->h2) {
			len += h2_request(b, text + len);
			continue;
		}
		memcpy(text + len, GET, sizeof(GET) - 1);
		len += sizeof(GET) - 1;
	}
	if (len > 0)
		send_all(fd, text, len);
}

static void
connect_client(struct bench *b)
{
	/* The preface, settings with a wide window, and one for the connection. */
	static const char hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
				    "\0\0\6\4\0\0\0\0\0"
				    "\0\4\x3f\xff\xff\xff"
				    "\0\0\4\10\0\0\0\0\0"
				    "\x3f\xff\xff\xff";
	struct sockaddr_storage ss;
	socklen_t len = ip_to_sockaddr(&b->at, &ss);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ASSERT(fd >= 0 && connect(fd, (struct sockaddr *)&ss, len) == 0);
	(void)watch(b, fd, false, false);
	if (b->h2)
		send_all(fd, hello, sizeof(hello) - 1);
	ask(b, fd, b->h2 ? STREAMS : 1);
}

/* Frames that end a stream, in the `n` bytes at `p`. */
static unsigned
h2_ended(struct bench *b, const uint8_t *p, size_t n)
{
	unsigned ended = 0;

	for (size_t i = 0; i < n;) {
		size_t some = b->skip < n - i ? b->skip : n - i;

		i += some;
		b->skip -= some;
		if (b->skip > 0 || i == n)
			break;
		b->frame[b->n_frame++] = p[i++];
		if (b->n_frame < sizeof(b->frame))
			continue;
		b->n_frame = 0;
		b->skip =
		    (size_t)b->frame[0] << 16 | (size_t)b->frame[1] << 8 | b->frame[2];
		ASSERT(b->frame[3] != 3 && b->frame[3] != 7); /* reset, goaway */
		ended += b->frame[3] <= 1 && (b->frame[4] & 1) != 0;
	}
	return ended;
}

static void
heard(struct bench *b, int fd)
{
	char text[TEXT_MAX];
	ssize_t n = recv(fd, text, sizeof(text), MSG_DONTWAIT);
	unsigned ended;

	if (n < 0 && errno == EAGAIN)
		return;
	ASSERT(n > 0);
	if (b->h2) {
		ended = h2_ended(b, (const uint8_t *)text, (size_t)n);
	} else {
		ASSERT(memcmp(text, "HTTP/1.1 200 ", 13) == 0);
		ended = 1; /* small answers come whole over loopback */
	}
	b->answered += ended;
	ask(b, fd, ended);
}

/* ---- servers ------------------------------------------------------------------- */

/* Requests come whole; with `pipeline` there may be several. */
static void
answer(const struct bench *b, int fd, const char *text, size_t len)
{
	const char *end = text;

	while ((end = memmem(end, len - (size_t)(end - text), "\r\n\r\n", 4)) != NULL) {
		send_all(fd, b->answer, b->answer_len);
		end += 4;
	}
}

static void
serve(struct bench *b, struct end *p)
{
	char text[TEXT_MAX];
	ssize_t n;
	int fd;

	if (p->listener) {
		while ((fd = accept4(p->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
			(void)watch(b, fd, true, false);
		return;
	}
	n = recv(p->fd, text, sizeof(text), MSG_DONTWAIT);
	if (n > 0)
		answer(b, p->fd, text, (size_t)n);
	else if (n == 0 || errno != EAGAIN)
		(void)close(p->fd);
}

/* What the control thread does with what a worker says of sources. */
static void
learn_sources(struct bench *b)
{
	struct source_ring *ring =
	    b->sources != NULL ? worker_sources(b->worker) : NULL;
	struct source_news news;
	struct timespec now;

	if (ring == NULL || !source_ring_open(ring))
		return;
	ASSERT(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
	while (source_ring_get(ring, &news)) {
		const struct source_entry e = {.key = news.key,
		    .server = news.server,
		    .version = 1,
		    .used_s = (uint32_t)now.tv_sec};
		uint32_t i = source_table_seek(&b->sources->table, &news.key);

		if (i == SOURCE_NOWHERE)
			i = source_table_place(&b->sources->table, &news.key);
		source_table_put(&b->sources->table, i, &e);
	}
}

static void
run(struct bench *b, unsigned long until)
{
	struct epoll_event e[EVENTS];
	int n;

	while (b->answered < until) {
		n = epoll_wait(b->epfd, e, EVENTS, 10000);
		ASSERT(n > 0);
		for (int i = 0; i < n; i++) {
			struct end *p = e[i].data.ptr;

			if (p->server)
				serve(b, p);
			else
				heard(b, p->fd);
		}
		learn_sources(b);
	}
}

/* ---- the worker ---------------------------------------------------------------- */

static void
build(struct bench *b, unsigned servers, uint16_t port, char **keys, int n_keys)
{
	size_t cap = 1024 + (size_t)servers * 32 + (size_t)n_keys * 256;
	char *text = malloc(cap);
	const struct cluster *c;
	struct diag_list diags;
	struct sbuf why;
	int n;

	ASSERT(text != NULL);
	n = snprintf(text, cap,
	    "cluster: b\nnetwork: 127.0.0.0/8\nhosts: {lb: 127.0.0.1}\nservices:\n"
	    "  site:\n    listen: lb:%u\n    http2: true\n",
	    b->at.port);
	for (int i = 0; i < n_keys; i++)
		n += snprintf(text + n, cap - (size_t)n, "    %.250s\n", keys[i]);
	n += snprintf(text + n, cap - (size_t)n, "    servers:\n");
	for (unsigned i = 0; i < servers; i++)
		n += snprintf(text + n, cap - (size_t)n, "    - 127.1.%u.%u:%u\n",
		    i / 250, i % 250 + 1, port);
	diag_init(&diags, "bench");
	c = cluster_parse(text, (size_t)n, &diags);
	if (c == NULL) {
		sbuf_init(&why, 1 << 16);
		diag_render(&diags, text, (size_t)n, false, &why);
		(void)fputs(sbuf_text(&why), stderr);
		exit(2);
	}
	b->gen = gen_new(c, cluster_host(c, "lb"), 1, NULL, NULL, NULL);
	ASSERT(b->gen != NULL);
}

static void
open_sources(struct bench *b)
{
	const struct source_conf *conf = &b->gen->service[0].conf->balancing.source;
	int fd;

	if (!sticky_has_table(&b->gen->service[0].conf->balancing))
		return;
	fd = memfd_create("sources", MFD_CLOEXEC);
	ASSERT(fd >= 0);
	ASSERT(ftruncate(fd, (off_t)source_table_bytes(conf->size)) == 0);
	b->sources = source_map_new(fd, conf, 1);
	ASSERT(b->sources != NULL);
	(void)source_table_claim(&b->sources->table, 1);
}

static void
start(struct bench *b, int listener)
{
	struct worker_conf conf = {.all = &b->worker, .n_all = 1, .seed = 1};
	struct lsock *sock = lsock_new(listener);
	struct view *v = view_new(b->gen, 1);

	ASSERT(sock != NULL && v != NULL);
	conf.notify = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	v->accepting = true;
	open_sources(b);
	v->sources[0] = source_map_ref(b->sources);
	v->listener[0].at = b->at;
	v->listener[0].sock[0] = sock;
	ASSERT(worker_start(&b->worker, &conf) == 0);
	worker_show(b->worker, v);
}

/* ---- clients that stay ----------------------------------------------------------- */

struct crowd {
	pid_t pid;
	int tell[2], hear[2]; /* a byte is a round */
};

static unsigned long
descriptors(void)
{
	struct rlimit r;

	ASSERT(getrlimit(RLIMIT_NOFILE, &r) == 0);
	r.rlim_cur = r.rlim_max;
	ASSERT(setrlimit(RLIMIT_NOFILE, &r) == 0);
	return r.rlim_max;
}

static unsigned long
resident_kib(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "re");
	unsigned long kib = 0;
	char line[256];

	ASSERT(f != NULL);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, "Private_Dirty:", 14) == 0)
			kib = strtoul(line + 14, NULL, 10);
	}
	(void)fclose(f);
	return kib;
}

/* From an address of its own, which has 28,000 ports. */
static int
stay(const struct bench *b, unsigned crowd)
{
	struct ip_endpoint from = {0};
	struct sockaddr_storage ss;
	char text[IP_STR_LEN];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len;

	(void)snprintf(text, sizeof(text), "127.0.1.%u", crowd + 1);
	ASSERT(fd >= 0 && ip_parse(&from.ip, text) == 0);
	len = ip_to_sockaddr(&from, &ss);
	ASSERT(bind(fd, (struct sockaddr *)&ss, len) == 0);
	len = ip_to_sockaddr(&b->at, &ss);
	ASSERT(connect(fd, (struct sockaddr *)&ss, len) == 0);
	return fd;
}

static void
ask_once(int fd)
{
	char text[4096];

	send_all(fd, GET, sizeof(GET) - 1);
	ASSERT(recv(fd, text, sizeof(text), 0) > 0);
	ASSERT(memcmp(text, "HTTP/1.1 200 ", 13) == 0);
}

NORETURN static void
be_crowd(const struct bench *b, const struct crowd *c, unsigned nth, unsigned long n)
{
	int *fd = calloc(n, sizeof(*fd));
	char byte;

	ASSERT(fd != NULL);
	while (read(c->tell[0], &byte, 1) == 1) {
		for (unsigned long i = 0; i < n; i++) {
			if (fd[i] == 0)
				fd[i] = stay(b, nth);
			ask_once(fd[i]);
		}
		ASSERT(write(c->hear[1], &byte, 1) == 1);
	}
	exit(0);
}

static struct crowd
new_crowd(const struct bench *b, unsigned nth, unsigned long n)
{
	struct crowd c = {0};

	ASSERT(pipe(c.tell) == 0 && pipe(c.hear) == 0);
	c.pid = fork();
	ASSERT(c.pid >= 0);
	if (c.pid == 0) {
		(void)close(c.tell[1]);
		be_crowd(b, &c, nth, n);
	}
	(void)close(c.tell[0]);
	return c;
}

static void
one_round(const struct crowd c[static CROWDS])
{
	char byte = 0;

	for (unsigned i = 0; i < CROWDS; i++)
		ASSERT(write(c[i].tell[1], &byte, 1) == 1);
	for (unsigned i = 0; i < CROWDS; i++)
		ASSERT(read(c[i].hear[0], &byte, 1) == 1);
}

static int
idle(struct bench *b, unsigned long n, int listener)
{
	unsigned long most = descriptors(), before, after;
	struct crowd c[CROWDS];
	pid_t server;

	if (n + 1000 > most) {
		(void)fprintf(
		    stderr, "a process may have %lu descriptors: ulimit -Hn\n", most);
		return 2;
	}
	server = fork();
	ASSERT(server >= 0);
	if (server == 0)
		run(b, ULONG_MAX);
	for (unsigned i = 0; i < CROWDS; i++)
		c[i] = new_crowd(b, i, n / CROWDS);
	start(b, listener);
	before = resident_kib();
	one_round(c);
	after = resident_kib();
	one_round(c); /* all of them are still served */
	(void)printf("%lu connections: %lu KiB, %lu bytes each\n", n / CROWDS * CROWDS,
	    after - before, (after - before) * 1024 / n);
	/* The last first: later ones have copies of the pipes of earlier ones. */
	for (unsigned i = CROWDS; i-- > 0;) {
		(void)close(c[i].tell[1]);
		ASSERT(waitpid(c[i].pid, NULL, 0) == c[i].pid);
	}
	(void)kill(server, SIGTERM);
	ASSERT(waitpid(server, NULL, 0) == server);
	return 0;
}

static int
requests(struct bench *b, unsigned long n, int listener)
{
	start(b, listener);
	b->left = n;
	for (unsigned i = 0; i < (b->h2 ? 1 : CONNS); i++)
		connect_client(b);
	run(b, n);
	(void)printf("requests %lu\n", b->answered);
	return 0;
}

int
main(int argc, char **argv)
{
	struct bench b = {.next_stream = 1};
	struct ip_endpoint at = {0};
	unsigned servers = argc > 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
	unsigned long n = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
	int listener, r;

	if (servers == 0 || n == 0) {
		(void)fprintf(stderr,
		    "request_bench http|h2|idle SERVERS REQUESTS [KEY: VALUE ...]\n");
		return 2;
	}
	b.h2 = strcmp(argv[1], "h2") == 0;
	b.answer_len = (size_t)snprintf(b.answer, sizeof(b.answer),
	    "HTTP/1.1 200 OK\r\nContent-Length: 128\r\n\r\n%0128d", 0);
	b.epfd = epoll_create1(EPOLL_CLOEXEC);
	ASSERT(ip_parse(&at.ip, "0.0.0.0") == 0);
	(void)watch(&b, listen_on(&at), true, true);
	ASSERT(ip_parse(&b.at.ip, "127.0.0.1") == 0);
	listener = listen_on(&b.at);
	build(&b, servers, at.port, argv + 4, argc - 4);
	r = strcmp(argv[1], "idle") == 0 ? idle(&b, n, listener)
					 : requests(&b, n, listener);
	if (b.worker != NULL) {
		workers_end(&b.worker, 1);
		workers_free(&b.worker, 1);
	}
	return r;
}
