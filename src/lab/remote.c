/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/remote.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lab/remote_tunnel.h"
#include "os/netns.h"

#define SAMPLES	 ((size_t)1 << 17) /* 20 minutes */
#define SLOW_NS	 (50 * MS_NS)
#define LATE_NS	 (50 * MS_NS) /* what was not sent in time is left out */
#define TEXT_MAX 64

struct remote {
	struct remote_tunnel tunnel;
	int asks, answers; /* sockets: his, and that of the host in `reach` */
	struct sockaddr_storage to;
	socklen_t to_len;
	_Atomic bool stop;
	bool running;
	pthread_t thread;
	pthread_mutex_t lock;	     /* for what follows */
	struct probe_sample *sample; /* number i at i % SAMPLES */
	uint64_t sent, oldest;	     /* the oldest that may still be answered */
};

/* ---- both ends ----------------------------------------------------------------- */

static struct probe_sample *
sample_of(struct remote *r, uint64_t id)
{
	return &r->sample[id % SAMPLES];
}

static void
finish(struct remote *r, uint64_t id, enum probe_result result, mono_t now)
{
	struct probe_sample *s = sample_of(r, id);

	if (atomic_load_explicit(&s->result, memory_order_relaxed) != PROBE_WAITING)
		return;
	s->took_us = (uint32_t)(mono_sub(now, s->sent) / US_NS);
	atomic_store_explicit(&s->result, (uint8_t)result, memory_order_relaxed);
}

static void
ask(struct remote *r, mono_t now)
{
	uint64_t id = r->sent++;
	struct probe_sample *s = sample_of(r, id);

	s->sent = now;
	s->took_us = 0;
	atomic_store_explicit(&s->result, PROBE_WAITING, memory_order_relaxed);
	if (sendto(r->asks, &id, sizeof(id), MSG_NOSIGNAL | MSG_DONTWAIT,
		(const struct sockaddr *)&r->to, r->to_len) != sizeof(id))
		finish(r, id, PROBE_LOCAL, now);
}

static void
hear(struct remote *r, mono_t now)
{
	uint64_t id;

	while (recv(r->asks, &id, sizeof(id), MSG_DONTWAIT) == sizeof(id)) {
		if (id >= r->oldest && id < r->sent)
			finish(r, id, PROBE_OK, now);
	}
}

static void
give_up_old(struct remote *r, mono_t now)
{
	for (; r->oldest < r->sent; r->oldest++) {
		if (mono_sub(now, sample_of(r, r->oldest)->sent) < PROBE_TIMEOUT_NS)
			return;
		finish(r, r->oldest, PROBE_TIMEOUT, now);
	}
}

/* The host in `reach`: sends back what it gets. */
static void
echo(const struct remote *r)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	char text[TEXT_MAX];
	ssize_t n;

	while ((n = recvfrom(r->answers, text, sizeof(text), MSG_DONTWAIT,
		    (struct sockaddr *)&from, &len)) >= 0) {
		(void)!sendto(r->answers, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT,
		    (const struct sockaddr *)&from, len);
		len = sizeof(from);
	}
}

static void *
run(void *arg)
{
	struct remote *r = arg;
	struct pollfd p[] = {
	    {.fd = r->asks, .events = POLLIN}, {.fd = r->answers, .events = POLLIN}};
	mono_t now = probe_clock(), next = now;

	probe_realtime();
	while (!atomic_load_explicit(&r->stop, memory_order_relaxed)) {
		int64_t left = mono_sub(next, now);
		struct timespec ts = {0, left > 0 ? left : 0};

		(void)ppoll(p, ARRAY_LEN(p), &ts, NULL);
		now = probe_clock();
		echo(r);
		(void)pthread_mutex_lock(&r->lock);
		hear(r, now);
		if (!mono_before(now, next)) {
			ask(r, now);
			next = mono_add(next, REMOTE_EVERY_NS);
			if (mono_sub(now, next) > LATE_NS)
				next = mono_add(now, REMOTE_EVERY_NS);
		}
		give_up_old(r, now);
		(void)pthread_mutex_unlock(&r->lock);
	}
	return NULL;
}

/* ---- its life ------------------------------------------------------------------ */

static int
bound(const char *netns, const struct ip_endpoint *at)
{
	struct sockaddr_storage ss;
	socklen_t len = ip_to_sockaddr(at, &ss);
	int fd = netns_socket(netns, ss.ss_family, SOCK_DGRAM, 0), err;

	if (fd < 0 || bind(fd, (const struct sockaddr *)&ss, len) == 0)
		return fd;
	err = -errno;
	(void)close(fd);
	return err;
}

static int
begin(struct remote *r, struct world *w, char why[static REMOTE_WHY_LEN])
{
	int err = remote_tunnel_open(&r->tunnel, w, why);

	if (err != 0)
		return err;
	r->to_len = ip_to_sockaddr(&r->tunnel.to, &r->to);
	r->asks = bound(r->tunnel.client, &r->tunnel.from);
	r->answers = bound(r->tunnel.host, &r->tunnel.to);
	err = r->asks < 0 ? r->asks : r->answers < 0 ? r->answers : 0;
	if (err == 0)
		err = -pthread_create(&r->thread, NULL, run, r);
	r->running = err == 0;
	if (err != 0)
		(void)snprintf(why, REMOTE_WHY_LEN, "%s", strerror(-err));
	return err;
}

struct remote *
remote_start(struct world *w, char why[static REMOTE_WHY_LEN])
{
	struct remote *r = calloc(1, sizeof(*r));

	(void)snprintf(why, REMOTE_WHY_LEN, "%s", strerror(ENOMEM));
	if (r == NULL)
		return NULL;
	r->asks = r->answers = -1;
	(void)pthread_mutex_init(&r->lock, NULL);
	r->sample = calloc(SAMPLES, sizeof(*r->sample));
	if (r->sample == NULL || begin(r, w, why) != 0) {
		remote_stop(r);
		return NULL;
	}
	return r;
}

void
remote_stop(struct remote *r)
{
	if (r == NULL)
		return;
	atomic_store_explicit(&r->stop, true, memory_order_relaxed);
	if (r->running)
		(void)pthread_join(r->thread, NULL);
	if (r->asks >= 0)
		(void)close(r->asks);
	if (r->answers >= 0)
		(void)close(r->answers);
	remote_tunnel_close(&r->tunnel);
	(void)pthread_mutex_destroy(&r->lock);
	free(r->sample);
	free(r);
}

/* ---- what he saw --------------------------------------------------------------- */

int64_t
remote_steady_ns(struct remote *r)
{
	mono_t now = probe_clock(), since = now;

	(void)pthread_mutex_lock(&r->lock);
	for (uint64_t i = r->sent; i > 0 && r->sent - i < SAMPLES; i--) {
		const struct probe_sample *s = sample_of(r, i - 1);
		uint8_t is = atomic_load_explicit(&s->result, memory_order_relaxed);

		/* What is on its way says nothing yet, unless it waits for long. */
		if (is != PROBE_OK &&
		    (is != PROBE_WAITING || mono_sub(now, s->sent) > SLOW_NS))
			break;
		if (is == PROBE_OK)
			since = s->sent;
	}
	(void)pthread_mutex_unlock(&r->lock);
	return mono_sub(now, since);
}

void
remote_measure(struct remote *r, mono_t from, mono_t to, struct probe_sum *sum)
{
	struct probe_sample *copy;
	uint64_t first;
	size_t n;

	*sum = (struct probe_sum){0};
	(void)pthread_mutex_lock(&r->lock);
	first = r->sent;
	while (first > 0 && r->sent - first < SAMPLES &&
	       !mono_before(sample_of(r, first - 1)->sent, from))
		first--;
	n = (size_t)(r->sent - first);
	copy = calloc(n + 1, sizeof(*copy));
	if (copy == NULL)
		n = 0;
	for (size_t i = 0; i < n; i++) {
		const struct probe_sample *s = sample_of(r, first + i);

		copy[i].sent = s->sent;
		copy[i].took_us = s->took_us;
		atomic_store_explicit(&copy[i].result,
		    atomic_load_explicit(&s->result, memory_order_relaxed),
		    memory_order_relaxed);
	}
	(void)pthread_mutex_unlock(&r->lock);
	if (copy != NULL)
		probe_measure(copy, n, from, to, sum, NULL);
	free(copy);
}
