/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/load.h"

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

#define ANSWER_MAX 1024
#define TICK_NS	   MS_NS
#define PAUSE_NS   (50 * MS_NS) /* before a client that failed tries again */

enum stage { CLOSED, CONNECTING, IDLE, WAITING };

struct client {
	enum stage stage;
	int fd;
	bool kept;  /* an answer has come on this connection */
	bool again; /* the request at hand has been asked before */
	int64_t every_ns;
	mono_t due;  /* of the next request; of the retry, if `again` */
	mono_t sent; /* the request at hand, first time */
	uint64_t id;
	size_t len;
	char text[ANSWER_MAX];
};

struct load {
	struct load_conf conf;
	struct crowd crowd; /* its lock is for what follows */
	uint64_t last_id;
	mono_t turn; /* of the thread, the last one */
	struct load_sum sum;
	mono_t oldest, answered, failed;
	uint64_t *untold; /* writes acknowledged; NULL: nobody writes */
	size_t n_untold;
	size_t n;
	struct client client[];
};

const char *
load_fate_name(enum load_fate f)
{
	static const char *const names[LOAD_FATES] = {
	    [LOAD_FAIL_CONNECT] = "not connected",
	    [LOAD_FAIL_BROKEN] = "broken off",
	    [LOAD_FAIL_TIMEOUT] = "unanswered",
	    [LOAD_FAIL_STATUS] = "wrong status",
	    [LOAD_FAIL_WRONG] = "wrong answer",
	};

	return names[f];
}

static void
hang_up(struct client *c)
{
	crowd_hang_up(c->fd);
	c->fd = -1;
	c->stage = CLOSED;
	c->kept = false;
}

/* The request at hand has come to its end; the next is due in its rhythm. */
static void
conclude(struct client *c, mono_t now)
{
	c->again = false;
	c->sent = MONO_NEVER;
	c->due = mono_add(c->due, c->every_ns);
	if (mono_before(c->due, now))
		c->due = mono_add(now, c->every_ns);
}

static void
fail(struct load *l, struct client *c, enum load_fate fate, mono_t now)
{
	hang_up(c);
	conclude(c, now);
	c->due = mono_add(now, c->every_ns > PAUSE_NS ? c->every_ns : PAUSE_NS);
	l->failed = now;
	l->sum.failed[fate]++;
	l->sum.failures++;
	l->sum.requests++;
}

/* The connection ended, or could not be made, without our doing. */
static void
broke(struct load *l, struct client *c, mono_t now)
{
	bool kept = c->kept, asked = c->stage == WAITING;
	bool connecting = c->stage == CONNECTING;

	if (kept) {
		l->failed = now;
		l->sum.broken++;
	}
	if (asked && kept && c->len == 0 && !c->again && l->untold == NULL) {
		hang_up(c);
		l->sum.retried++;
		c->again = true;
		c->due = now;
	} else if (asked) {
		fail(l, c, LOAD_FAIL_BROKEN, now);
	} else if (connecting) {
		fail(l, c, LOAD_FAIL_CONNECT, now);
	} else {
		hang_up(c); /* idle: the next request opens another */
	}
}

static void
ask(struct load *l, struct client *c, mono_t now)
{
	char text[160], body[32];
	int n;

	c->id = ++l->last_id;
	c->len = 0;
	c->stage = WAITING;
	if (l->untold == NULL) {
		n = snprintf(text, sizeof(text),
		    "GET /load?id=%" PRIu64 " HTTP/1.1\r\nHost: load\r\n\r\n", c->id);
	} else {
		n = snprintf(body, sizeof(body), "%" PRIu64 "\n", c->id);
		n = snprintf(text, sizeof(text),
		    "POST /write?id=%" PRIu64 " HTTP/1.1\r\nHost: load\r\n"
		    "Content-Length: %d\r\n\r\n%s",
		    c->id, n, body);
	}
	if (send(c->fd, text, (size_t)n, MSG_NOSIGNAL) != n)
		broke(l, c, now);
}

static void
dial(struct load *l, struct client *c, mono_t now)
{
	c->stage = CONNECTING;
	c->fd = crowd_dial(&l->crowd, c);
	if (c->fd < 0)
		fail(l, c, LOAD_FAIL_CONNECT, now);
}

static void
connected(struct load *l, struct client *c, mono_t now)
{
	if (crowd_dialled(&l->crowd, c->fd, c, EPOLLIN | EPOLLRDHUP))
		ask(l, c, now);
	else
		broke(l, c, now);
}

static void
answered(struct load *l, struct client *c, mono_t now)
{
	uint64_t took = (uint64_t)(mono_sub(now, c->sent) / US_NS);

	l->sum.requests++;
	if (took > l->sum.slowest_us)
		l->sum.slowest_us = took;
	l->answered = now;
	if (l->untold != NULL)
		l->untold[l->n_untold++] = c->id; /* there is room: see may_ask() */
	c->kept = true;
	c->stage = IDLE;
	conclude(c, now);
}

static void
hear(struct load *l, struct client *c, mono_t now)
{
	ssize_t n = recv(c->fd, c->text + c->len, ANSWER_MAX - 1 - c->len, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || c->stage == IDLE) {
		broke(l, c, now); /* an answer without a question is no answer */
		return;
	}
	c->len += (size_t)n;
	c->text[c->len] = '\0';
	switch (probe_judge(c->text, c->id)) {
	case PROBE_OK:
		answered(l, c, now);
		break;
	case PROBE_WAITING:
		if (c->len == ANSWER_MAX - 1)
			fail(l, c, LOAD_FAIL_WRONG, now);
		break;
	case PROBE_STATUS:
		fail(l, c, LOAD_FAIL_STATUS, now);
		break;
	case PROBE_REFUSED:
	case PROBE_RESET:
	case PROBE_CLOSED:
	case PROBE_TIMEOUT:
	case PROBE_WRONG:
	case PROBE_LOCAL:
	case PROBE_RESULTS:
		fail(l, c, LOAD_FAIL_WRONG, now);
		break;
	}
}

/* Is there room for what every client has been promised, and may be promised? */
static bool
may_ask(const struct load *l)
{
	return l->untold == NULL ||
	       (l->n_untold + l->n <= LOAD_UNTOLD && l->last_id < l->conf.writes_max);
}

static void
ready(void *self, void *client, mono_t now)
{
	struct load *l = self;
	struct client *c = client;

	if (c->stage == CONNECTING)
		connected(l, c, now);
	else if (c->stage != CLOSED)
		hear(l, c, now);
}

/* What time alone brings about. */
static void
tick(void *self, mono_t now)
{
	struct load *l = self;

	if (mono_sub(now, l->turn) > l->sum.pause_ns)
		l->sum.pause_ns = mono_sub(now, l->turn);
	l->turn = now;
	l->oldest = MONO_NEVER;
	for (size_t i = 0; i < l->n; i++) {
		struct client *c = &l->client[i];
		bool due = !mono_before(now, c->due);

		if (!mono_is_never(c->sent) &&
		    mono_sub(now, c->sent) > LOAD_TIMEOUT_NS) {
			if (c->kept)
				l->sum.broken++;
			fail(l, c,
			    c->stage == CONNECTING ? LOAD_FAIL_CONNECT
						   : LOAD_FAIL_TIMEOUT,
			    now);
		} else if (due && may_ask(l) &&
			   (c->stage == CLOSED || c->stage == IDLE)) {
			if (!c->again)
				c->sent = now;
			if (c->stage == CLOSED)
				dial(l, c, now);
			else
				ask(l, c, now);
		}
		l->oldest = mono_min(l->oldest, c->sent);
	}
}

struct load *
load_start(const struct load_conf *conf)
{
	size_t n = conf->busy + conf->held;
	struct load *l = calloc(1, sizeof(*l) + n * sizeof(l->client[0]));
	const struct crowd_conf crowd = {conf->netns, TICK_NS, ready, tick, l};
	mono_t now = probe_clock();
	int err;

	if (l == NULL)
		return NULL;
	l->conf = *conf;
	l->n = n;
	l->oldest = MONO_NEVER;
	for (size_t i = 0; i < n; i++) {
		struct client *c = &l->client[i];
		bool busy = i < conf->busy;
		size_t k = busy ? i : i - conf->busy;
		size_t of = busy ? conf->busy : conf->held;

		c->fd = -1;
		c->sent = MONO_NEVER;
		c->every_ns = busy ? conf->busy_every_ns : conf->held_every_ns;
		/* Spread evenly, so that they do not ask all at once. */
		c->due = mono_add(now, c->every_ns * (int64_t)k / (int64_t)of);
	}
	l->answered = l->failed = l->turn = now;
	if (conf->writes_max > 0)
		l->untold = calloc(LOAD_UNTOLD, sizeof(*l->untold));
	err = conf->writes_max > 0 && l->untold == NULL
		  ? -ENOMEM
		  : crowd_start(&l->crowd, &crowd, &conf->target);
	if (err != 0) {
		free(l->untold);
		free(l);
		errno = -err;
		return NULL;
	}
	return l;
}

void
load_stop(struct load *l)
{
	if (l == NULL)
		return;
	crowd_stop(&l->crowd);
	for (size_t i = 0; i < l->n; i++)
		hang_up(&l->client[i]);
	free(l->untold);
	free(l);
}

void
load_take(struct load *l, struct load_sum *sum)
{
	(void)pthread_mutex_lock(&l->crowd.lock);
	*sum = l->sum;
	l->sum = (struct load_sum){0};
	(void)pthread_mutex_unlock(&l->crowd.lock);
}

void
load_renew(struct load *l)
{
	(void)pthread_mutex_lock(&l->crowd.lock);
	for (size_t i = 0; i < l->n; i++) {
		if (l->client[i].stage == IDLE)
			hang_up(&l->client[i]);
	}
	(void)pthread_mutex_unlock(&l->crowd.lock);
}

static mono_t
look(struct load *l, const mono_t *at)
{
	mono_t t;

	(void)pthread_mutex_lock(&l->crowd.lock);
	t = *at;
	(void)pthread_mutex_unlock(&l->crowd.lock);
	return t;
}

mono_t
load_oldest(struct load *l)
{
	return look(l, &l->oldest);
}

mono_t
load_answered(struct load *l)
{
	return look(l, &l->answered);
}

mono_t
load_failed(struct load *l)
{
	return look(l, &l->failed);
}

size_t
load_acknowledged(struct load *l, uint64_t *id, size_t max)
{
	size_t n;

	(void)pthread_mutex_lock(&l->crowd.lock);
	n = l->n_untold < max ? l->n_untold : max;
	l->n_untold -= n;
	if (n > 0)
		(void)memcpy(id, &l->untold[l->n_untold], n * sizeof(*id));
	(void)pthread_mutex_unlock(&l->crowd.lock);
	return n;
}
