/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/flows.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lab/probe.h"
#include "lab/web.h"
#include "os/netns.h"

#define HEAD_MAX     1024
#define READ_MAX     16384
#define EVENTS_BATCH 64
#define TICK_NS	     (5 * MS_NS)
#define RETRY_NS     (100 * MS_NS) /* between attempts to open one */
#define ALIVE_NS     (300 * MS_NS) /* a flow that goes on is not silent for so long */

enum stage { CLOSED, CONNECTING, HEAD, BODY };

struct flow {
	enum flow_kind kind;
	enum stage stage;
	int fd;
	mono_t due;  /* CLOSED: of the next attempt */
	mono_t last; /* a byte came, or the attempt began */
	uint64_t at; /* in the body */
	size_t len;
	char head[HEAD_MAX];
};

struct flows {
	const char *netns;
	struct sockaddr_storage to;
	socklen_t to_len;
	int ep;
	_Atomic bool stop;
	pthread_t thread;
	pthread_mutex_t lock; /* for what follows */
	struct flow_sum sum[FLOW_KINDS];
	size_t n;
	struct flow flow[];
};

const char *
flow_kind_name(enum flow_kind k)
{
	static const char *const names[FLOW_KINDS] = {
	    [FLOW_DOWNLOAD] = "downloads",
	    [FLOW_PUSH] = "pushes",
	};

	return names[k];
}

static void
hang_up(struct flow *c, mono_t now)
{
	static const struct linger abort_at_close = {.l_onoff = 1, .l_linger = 0};

	if (c->fd >= 0) {
		(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &abort_at_close,
		    sizeof(abort_at_close));
		(void)close(c->fd);
	}
	c->fd = -1;
	c->stage = CLOSED;
	c->due = mono_add(now, RETRY_NS);
}

static void
broke(struct flows *f, struct flow *c, mono_t now)
{
	if (c->stage == BODY)
		f->sum[c->kind].broken++;
	else
		f->sum[c->kind].refused++;
	hang_up(c, now);
}

static void
dial(struct flows *f, struct flow *c, mono_t now)
{
	struct epoll_event e = {.events = EPOLLOUT, .data.ptr = c};

	c->fd = socket(f->to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	c->stage = CONNECTING;
	c->last = now;
	c->len = 0;
	c->at = 0;
	if (c->fd < 0 ||
	    (connect(c->fd, (const struct sockaddr *)&f->to, f->to_len) != 0 &&
		errno != EINPROGRESS) ||
	    epoll_ctl(f->ep, EPOLL_CTL_ADD, c->fd, &e) != 0)
		broke(f, c, now);
}

static void
ask(struct flows *f, struct flow *c, mono_t now)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
	socklen_t len = sizeof(int);
	char text[128];
	int err = 0, n;

	n = snprintf(text, sizeof(text), "GET /%s HTTP/1.1\r\nHost: flows\r\n\r\n",
	    c->kind == FLOW_PUSH ? "push" : "download");
	c->stage = HEAD;
	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0 || err != 0 ||
	    send(c->fd, text, (size_t)n, MSG_NOSIGNAL) != n ||
	    epoll_ctl(f->ep, EPOLL_CTL_MOD, c->fd, &e) != 0)
		broke(f, c, now);
}

static void
check_body(struct flows *f, struct flow *c, const char *text, size_t len, mono_t now)
{
	struct flow_sum *sum = &f->sum[c->kind];
	int64_t silence = mono_sub(now, c->last);

	for (size_t i = 0; i < len; i++) {
		if ((uint8_t)text[i] == web_byte(c->at + i))
			continue;
		sum->corrupt++;
		hang_up(c, now);
		return;
	}
	if (c->at > 0 && silence > sum->silence_ns)
		sum->silence_ns = silence;
	c->at += len;
	c->last = now;
	sum->bytes += len;
}

static void
check_head(struct flows *f, struct flow *c, mono_t now)
{
	char *end = memmem(c->head, c->len, "\r\n\r\n", 4);
	size_t used;

	if (end == NULL) {
		if (c->len == HEAD_MAX)
			broke(f, c, now);
		return;
	}
	used = (size_t)(end + 4 - c->head);
	if (c->len < 12 || memcmp(c->head, "HTTP/1.", 7) != 0 ||
	    memcmp(c->head + 8, " 200", 4) != 0) {
		broke(f, c, now); /* such as 503 while no server is up */
		return;
	}
	c->stage = BODY;
	check_body(f, c, c->head + used, c->len - used, now);
}

static void
hear(struct flows *f, struct flow *c, mono_t now)
{
	char text[READ_MAX];
	bool head = c->stage == HEAD;
	ssize_t n = head ? recv(c->fd, c->head + c->len, HEAD_MAX - c->len, 0)
			 : recv(c->fd, text, sizeof(text), 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		broke(f, c, now);
	} else if (head) {
		c->len += (size_t)n;
		check_head(f, c, now);
	} else {
		check_body(f, c, text, (size_t)n, now);
	}
}

static void
tick(struct flows *f, mono_t now)
{
	for (size_t i = 0; i < f->n; i++) {
		struct flow *c = &f->flow[i];

		if (c->stage == CLOSED && !mono_before(now, c->due))
			dial(f, c, now);
		else if (c->stage != CLOSED && mono_sub(now, c->last) > FLOW_DEAD_NS)
			broke(f, c, now);
	}
}

static void *
run(void *arg)
{
	static const struct timespec wait = {0, TICK_NS};
	struct epoll_event ev[EVENTS_BATCH];
	struct flows *f = arg;

	if (f->netns != NULL && netns_enter(f->netns) != 0)
		return NULL;
	while (!atomic_load_explicit(&f->stop, memory_order_relaxed)) {
		int n = epoll_pwait2(f->ep, ev, EVENTS_BATCH, &wait, NULL);
		mono_t now = probe_clock();

		(void)pthread_mutex_lock(&f->lock);
		for (int i = 0; i < n; i++) {
			struct flow *c = ev[i].data.ptr;

			if (c->stage == CONNECTING)
				ask(f, c, now);
			else if (c->stage != CLOSED)
				hear(f, c, now);
		}
		tick(f, now);
		(void)pthread_mutex_unlock(&f->lock);
	}
	for (size_t i = 0; i < f->n; i++)
		hang_up(&f->flow[i], probe_clock());
	return NULL;
}

static void
discard(struct flows *f)
{
	if (f->ep >= 0)
		(void)close(f->ep);
	(void)pthread_mutex_destroy(&f->lock);
	free(f);
}

struct flows *
flows_start(const char *netns, const struct ip_endpoint *target,
    const unsigned number[FLOW_KINDS])
{
	size_t n = number[FLOW_DOWNLOAD] + number[FLOW_PUSH];
	struct flows *f = calloc(1, sizeof(*f) + n * sizeof(f->flow[0]));
	int err;

	if (f == NULL)
		return NULL;
	f->netns = netns;
	f->n = n;
	f->to_len = ip_to_sockaddr(target, &f->to);
	(void)pthread_mutex_init(&f->lock, NULL);
	for (size_t i = 0; i < n; i++) {
		f->flow[i].kind = i < number[FLOW_DOWNLOAD] ? FLOW_DOWNLOAD : FLOW_PUSH;
		f->flow[i].fd = -1;
		f->flow[i].due = probe_clock();
	}
	f->ep = epoll_create1(EPOLL_CLOEXEC);
	err = f->ep < 0 ? errno : pthread_create(&f->thread, NULL, run, f);
	if (err != 0) {
		discard(f);
		errno = err;
		return NULL;
	}
	return f;
}

void
flows_stop(struct flows *f)
{
	if (f == NULL)
		return;
	atomic_store_explicit(&f->stop, true, memory_order_relaxed);
	(void)pthread_join(f->thread, NULL);
	discard(f);
}

void
flows_take(struct flows *f, struct flow_sum sum[FLOW_KINDS])
{
	(void)pthread_mutex_lock(&f->lock);
	memcpy(sum, f->sum, sizeof(f->sum));
	memset(f->sum, 0, sizeof(f->sum));
	(void)pthread_mutex_unlock(&f->lock);
}

void
flows_renew(struct flows *f)
{
	mono_t now = probe_clock();

	(void)pthread_mutex_lock(&f->lock);
	for (size_t i = 0; i < f->n; i++)
		hang_up(&f->flow[i], now);
	(void)pthread_mutex_unlock(&f->lock);
}

bool
flows_steady(struct flows *f)
{
	mono_t now = probe_clock();
	bool steady = true;

	(void)pthread_mutex_lock(&f->lock);
	for (size_t i = 0; i < f->n; i++) {
		if (f->flow[i].stage != BODY ||
		    mono_sub(now, f->flow[i].last) > ALIVE_NS)
			steady = false;
	}
	(void)pthread_mutex_unlock(&f->lock);
	return steady;
}
