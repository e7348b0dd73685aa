/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/crowd.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "lab/probe.h"
#include "os/netns.h"

#define EVENTS_BATCH 64

static void *
run(void *arg)
{
	struct crowd *c = arg;
	const struct timespec wait = {0, c->conf.tick_ns};
	struct epoll_event ev[EVENTS_BATCH];

	if (c->conf.netns != NULL && netns_enter(c->conf.netns) != 0)
		return NULL;
	while (!atomic_load_explicit(&c->stop, memory_order_relaxed)) {
		int n = epoll_pwait2(c->ep, ev, EVENTS_BATCH, &wait, NULL);
		mono_t now = probe_clock();

		(void)pthread_mutex_lock(&c->lock);
		for (int i = 0; i < n; i++)
			c->conf.ready(c->conf.self, ev[i].data.ptr, now);
		c->conf.tick(c->conf.self, now);
		(void)pthread_mutex_unlock(&c->lock);
	}
	return NULL;
}

static void
discard(struct crowd *c)
{
	if (c->ep >= 0)
		(void)close(c->ep);
	(void)pthread_mutex_destroy(&c->lock);
}

int
crowd_start(
    struct crowd *c, const struct crowd_conf *conf, const struct ip_endpoint *target)
{
	int err;

	c->conf = *conf;
	c->to_len = ip_to_sockaddr(target, &c->to);
	c->stop = false;
	(void)pthread_mutex_init(&c->lock, NULL);
	c->ep = epoll_create1(EPOLL_CLOEXEC);
	err = c->ep < 0 ? errno : pthread_create(&c->thread, NULL, run, c);
	if (err != 0)
		discard(c);
	return -err;
}

void
crowd_stop(struct crowd *c)
{
	atomic_store_explicit(&c->stop, true, memory_order_relaxed);
	(void)pthread_join(c->thread, NULL);
	discard(c);
}

int
crowd_dial(const struct crowd *c, void *client)
{
	struct epoll_event e = {.events = EPOLLOUT, .data.ptr = client};
	int fd = socket(c->to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	static const int one = 1;
	int err;

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if ((connect(fd, (const struct sockaddr *)&c->to, c->to_len) != 0 &&
		errno != EINPROGRESS) ||
	    epoll_ctl(c->ep, EPOLL_CTL_ADD, fd, &e) != 0) {
		err = -errno;
		crowd_hang_up(fd);
		return err;
	}
	return fd;
}

bool
crowd_dialled(const struct crowd *c, int fd, void *client, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = client};
	socklen_t len = sizeof(int);
	int err = 0;

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) == 0 && err == 0 &&
	       epoll_ctl(c->ep, EPOLL_CTL_MOD, fd, &e) == 0;
}

void
crowd_hang_up(int fd)
{
	static const struct linger abort_at_close = {.l_onoff = 1, .l_linger = 0};

	if (fd < 0)
		return;
	(void)setsockopt(
	    fd, SOL_SOCKET, SO_LINGER, &abort_at_close, sizeof(abort_at_close));
	(void)close(fd);
}
