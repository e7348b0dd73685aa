/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An agent says one line and closes; we say nothing. That it cannot be reached tells
 * nothing of the server: for that there are checks. After a while its last percentage
 * is too old to go by, but who asked for a drain or maintenance has to end it.
 */
#include "health/health_agent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"

static void on_timer(void *arg);

static void
hang_up(struct agent *a)
{
	/* As checks do: no TIME_WAIT on this side. */
	const struct linger reset = {.l_onoff = 1};

	if (a->fd < 0)
		return;
	loop_unwatch(a->watch);
	a->watch = NULL;
	(void)setsockopt(a->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	(void)close(a->fd);
	a->fd = -1;
}

static bool
same_words(const struct health_agent *a, const struct health_agent *b)
{
	return a->percent == b->percent && a->order == b->order && a->down == b->down &&
	       strcmp(a->why, b->why) == 0;
}

/* The question is over; `why` is NULL if there was an answer. */
static void
over(struct agent *a, const char *why)
{
	struct health_agent was = a->said;
	char at[IP_ENDPOINT_LEN];

	hang_up(a);
	if (why == NULL && health_agent_decode(&a->said, a->line, a->len) != 0)
		why = "it says nothing that is known";
	a->missing = why == NULL ? 0 : a->missing + (a->missing < HEALTH_AGENT_SILENT);
	if (why != NULL && a->missing == HEALTH_AGENT_SILENT - 1)
		log_event(LOG_WARN, "agent_silent", "at=%s why=\"%s\"",
		    ip_endpoint_format(&a->at, at), why);
	if (a->missing == HEALTH_AGENT_SILENT)
		a->said.percent = 100;
	loop_timer_set(a->loop, &a->timer, a->due);
	if (!same_words(&was, &a->said))
		a->changed(a->arg);
}

static void
on_ready(void *arg, unsigned events)
{
	struct agent *a = arg;
	ssize_t n;

	(void)events;
	do
		n = recv(a->fd, a->line + a->len, sizeof(a->line) - a->len, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n > 0)
		a->len += (size_t)n;
	if (n > 0 && a->len < sizeof(a->line) && !health_agent_whole(a->line, a->len))
		return;
	over(a, n < 0 ? strerror(errno) : a->len == 0 ? "it closed at once" : NULL);
}

static int
ask(struct agent *a)
{
	struct sockaddr_storage ss;
	socklen_t len = ip_to_sockaddr(&a->at, &ss);

	a->len = 0;
	a->fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (a->fd < 0)
		return -errno;
	if (connect(a->fd, (const struct sockaddr *)&ss, len) != 0 &&
	    errno != EINPROGRESS)
		return -errno;
	a->watch = loop_watch(a->loop, a->fd, LOOP_IN, on_ready, a);
	return a->watch != NULL ? 0 : -ENOMEM;
}

static void
on_timer(void *arg)
{
	struct agent *a = arg;
	mono_t now = loop_now(a->loop);
	int r;

	if (a->fd >= 0) {
		over(a, "no answer in time");
		return;
	}
	a->due = mono_add(now, a->conf.every_ns);
	r = ask(a);
	if (r != 0)
		over(a, strerror(-r));
	else
		loop_timer_set(a->loop, &a->timer, mono_add(now, a->conf.timeout_ns));
}

struct agent *
agent_new(struct loop *loop, const struct agent_conf *conf, const struct ip *at,
    const struct health_agent *said)
{
	struct agent *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->loop = loop;
	a->conf = *conf;
	a->at = (struct ip_endpoint){.ip = *at, .port = conf->port};
	a->said = *said;
	a->fd = -1;
	a->timer = (struct loop_timer){.cb = on_timer, .arg = a};
	loop_timer_set(loop, &a->timer, loop_now(loop));
	return a;
}

void
agent_free(struct agent *a)
{
	if (a == NULL)
		return;
	hang_up(a);
	loop_timer_clear(a->loop, &a->timer);
	free(a);
}

bool
agent_same(const struct agent *a, const struct agent_conf *conf, const struct ip *at)
{
	return a->conf.port == conf->port && a->conf.every_ns == conf->every_ns &&
	       a->conf.timeout_ns == conf->timeout_ns && ip_equal(&a->at.ip, at);
}
