/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/flows.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "lab/crowd.h"
#include "lab/probe.h"
#include "lab/web.h"

#define HEAD_MAX 1024
#define READ_MAX 16384
#define TICK_NS	 (5 * MS_NS)
#define RETRY_NS (100 * MS_NS) /* between attempts to open one */
#define ALIVE_NS (300 * MS_NS) /* a flow that goes on is not silent for so long */

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
	struct crowd crowd; /* its lock is for what follows */
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
	crowd_hang_up(c->fd);
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
	c->fd = crowd_dial(&f->crowd, c);
	c->stage = CONNECTING;
	c->last = now;
	c->len = 0;
	c->at = 0;
	if (c->fd < 0)
		broke(f, c, now);
}

static void
ask(struct flows *f, struct flow *c, mono_t now)
{
	char text[128];
	int n;

	n = snprintf(text, sizeof(text), "GET /%s HTTP/1.1\r\nHost: flows\r\n\r\n",
	    c->kind == FLOW_PUSH ? "push" : "download");
	c->stage = HEAD;
	if (!crowd_dialled(&f->crowd, c->fd, c, EPOLLIN) ||
	    send(c->fd, text, (size_t)n, MSG_NOSIGNAL) != n)
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
ready(void *self, void *flow, mono_t now)
{
	struct flows *f = self;
	struct flow *c = flow;

	if (c->stage == CONNECTING)
		ask(f, c, now);
	else if (c->stage != CLOSED)
		hear(f, c, now);
}

static void
tick(void *self, mono_t now)
{
	struct flows *f = self;

	for (size_t i = 0; i < f->n; i++) {
		struct flow *c = &f->flow[i];

		if (c->stage == CLOSED && !mono_before(now, c->due))
			dial(f, c, now);
		else if (c->stage != CLOSED && mono_sub(now, c->last) > FLOW_DEAD_NS)
			broke(f, c, now);
	}
}

struct flows *
flows_start(const char *netns, const struct ip_endpoint *target,
    const unsigned number[FLOW_KINDS])
{
	size_t n = number[FLOW_DOWNLOAD] + number[FLOW_PUSH];
	struct flows *f = calloc(1, sizeof(*f) + n * sizeof(f->flow[0]));
	const struct crowd_conf crowd = {netns, TICK_NS, ready, tick, f};
	int err;

	if (f == NULL)
		return NULL;
	f->n = n;
	for (size_t i = 0; i < n; i++) {
		f->flow[i].kind = i < number[FLOW_DOWNLOAD] ? FLOW_DOWNLOAD : FLOW_PUSH;
		f->flow[i].fd = -1;
		f->flow[i].due = probe_clock();
	}
	err = crowd_start(&f->crowd, &crowd, target);
	if (err != 0) {
		free(f);
		errno = -err;
		return NULL;
	}
	return f;
}

void
flows_stop(struct flows *f)
{
	if (f == NULL)
		return;
	crowd_stop(&f->crowd);
	for (size_t i = 0; i < f->n; i++)
		hang_up(&f->flow[i], probe_clock());
	free(f);
}

void
flows_take(struct flows *f, struct flow_sum sum[FLOW_KINDS])
{
	(void)pthread_mutex_lock(&f->crowd.lock);
	memcpy(sum, f->sum, sizeof(f->sum));
	memset(f->sum, 0, sizeof(f->sum));
	(void)pthread_mutex_unlock(&f->crowd.lock);
}

void
flows_renew(struct flows *f)
{
	mono_t now = probe_clock();

	(void)pthread_mutex_lock(&f->crowd.lock);
	for (size_t i = 0; i < f->n; i++)
		hang_up(&f->flow[i], now);
	(void)pthread_mutex_unlock(&f->crowd.lock);
}

bool
flows_steady(struct flows *f)
{
	mono_t now = probe_clock();
	bool steady = true;

	(void)pthread_mutex_lock(&f->crowd.lock);
	for (size_t i = 0; i < f->n; i++) {
		if (f->flow[i].stage != BODY ||
		    mono_sub(now, f->flow[i].last) > ALIVE_NS)
			steady = false;
	}
	(void)pthread_mutex_unlock(&f->crowd.lock);
	return steady;
}
