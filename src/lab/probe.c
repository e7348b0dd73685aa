/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <inttypes.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "os/netns.h"

#define SAMPLES	     (1U << 20) /* more than 17 minutes; older ones are overwritten */
#define SLOTS	     1024	/* in flight; more than PROBE_TIMEOUT_NS needs */
#define ANSWER_MAX   1024
#define PRIORITY     30
#define LATE_NS	     (5 * MS_NS) /* later than that, sending starts a new rhythm */
#define EVENTS_BATCH 64
#define SOURCES	     16
#define SLOW_NS	     (120 * MS_NS) /* an answer may take so long, and all is well */

struct slot {
	int fd; /* -1: free */
	bool connected;
	uint64_t id;
	size_t len;
	char text[ANSWER_MAX];
};

struct prober {
	struct sockaddr_storage to;
	socklen_t to_len;
	int ep;
	_Atomic bool stop;
	_Atomic uint64_t sent; /* number of the next probe */
	uint64_t oldest;       /* no probe before it is in flight */
	pthread_t thread;
	mono_t answered;   /* the last one that was; the thread's own */
	const char *netns; /* until the thread has entered it */
	struct probe_sample *sample;
	struct ip_endpoint source[SOURCES]; /* taken in turn, if there are several */
	size_t n_sources;
	struct slot slot[SLOTS];
};

mono_t
probe_clock(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (mono_t){ts.tv_sec * SEC_NS + ts.tv_nsec};
}

void
probe_realtime(void)
{
	struct sched_param p = {.sched_priority = PRIORITY};

	/* Without the right to it results are only noisier, not wrong. */
	(void)sched_setscheduler(0, SCHED_FIFO, &p);
	(void)prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL);
}

const char *
probe_result_name(enum probe_result r)
{
	static const char *const names[PROBE_RESULTS] = {
	    [PROBE_WAITING] = "waiting",
	    [PROBE_OK] = "answered",
	    [PROBE_REFUSED] = "refused",
	    [PROBE_RESET] = "reset",
	    [PROBE_CLOSED] = "closed",
	    [PROBE_TIMEOUT] = "unanswered",
	    [PROBE_STATUS] = "wrong status",
	    [PROBE_WRONG] = "wrong answer",
	    [PROBE_LOCAL] = "not sendable",
	};

	return names[r];
}

enum probe_result
probe_judge(const char *text, uint64_t id)
{
	const char *body = strstr(text, "\r\n\r\n"), *mark;
	char want[40];

	if (body == NULL)
		return PROBE_WAITING;
	if (strncmp(text, "HTTP/1.", 7) != 0 || strncmp(text + 8, " 200 ", 5) != 0)
		return PROBE_STATUS;
	mark = strstr(body, "id=");
	if (mark == NULL || strchr(mark, '\n') == NULL)
		return PROBE_WAITING;
	(void)snprintf(want, sizeof(want), "id=%" PRIu64 "\n", id);
	return strcmp(mark, want) == 0 ? PROBE_OK : PROBE_WRONG;
}

static struct slot *
slot_of(struct prober *p, uint64_t id)
{
	return &p->slot[id % SLOTS];
}

static void
finish(struct prober *p, uint64_t id, enum probe_result r)
{
	struct probe_sample *s = &p->sample[id % SAMPLES];
	struct slot *slot = slot_of(p, id);
	mono_t now;

	if (slot->fd >= 0)
		(void)close(slot->fd);
	slot->fd = -1;
	now = probe_clock();
	if (r == PROBE_OK)
		p->answered = now;
	s->took_us = (uint32_t)(mono_sub(now, s->sent) / US_NS);
	atomic_store_explicit(&s->result, (uint8_t)r, memory_order_release);
}

/* The addresses of this namespace, for probes to come from. */
static void
find_sources(struct prober *p)
{
	struct ifaddrs *list, *a;

	if (getifaddrs(&list) != 0)
		return;
	for (a = list; a != NULL && p->n_sources < SOURCES; a = a->ifa_next) {
		struct sockaddr_storage ss = {.ss_family = AF_UNSPEC};

		if (a->ifa_addr == NULL || a->ifa_addr->sa_family != AF_INET ||
		    p->to.ss_family != AF_INET || (a->ifa_flags & IFF_LOOPBACK) != 0)
			continue;
		memcpy(&ss, a->ifa_addr, sizeof(struct sockaddr_in));
		p->source[p->n_sources++] = ip_from_sockaddr(&ss);
	}
	freeifaddrs(list);
}

/* Without a choice the kernel chooses. The port is found when it connects. */
static void
choose_source(const struct prober *p, int fd, uint64_t id)
{
	static const int one = 1;
	struct ip_endpoint from;
	struct sockaddr_storage ss;
	socklen_t len;

	if (p->n_sources < 2)
		return;
	from = p->source[id % p->n_sources];
	from.port = 0;
	len = ip_to_sockaddr(&from, &ss);
	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	(void)!bind(fd, (const struct sockaddr *)&ss, len);
}

static void
send_probe(struct prober *p, mono_t now)
{
	/* A reset at the end, or a client this busy would run out of ports. */
	static const struct linger abort_at_close = {.l_onoff = 1, .l_linger = 0};
	uint64_t id = atomic_load_explicit(&p->sent, memory_order_relaxed);
	struct probe_sample *s = &p->sample[id % SAMPLES];
	struct slot *slot = slot_of(p, id);
	struct epoll_event e = {.events = EPOLLOUT, .data.u64 = id};

	s->sent = now;
	atomic_store_explicit(&s->result, PROBE_WAITING, memory_order_relaxed);
	slot->id = id;
	slot->len = 0;
	slot->connected = false;
	slot->fd =
	    socket(p->to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	atomic_store_explicit(&p->sent, id + 1, memory_order_release);
	if (slot->fd < 0) {
		finish(p, id, PROBE_LOCAL);
		return;
	}
	(void)setsockopt(
	    slot->fd, SOL_SOCKET, SO_LINGER, &abort_at_close, sizeof(abort_at_close));
	choose_source(p, slot->fd, id);
	if (connect(slot->fd, (const struct sockaddr *)&p->to, p->to_len) != 0 &&
	    errno != EINPROGRESS)
		finish(p, id, errno == ECONNREFUSED ? PROBE_REFUSED : PROBE_LOCAL);
	else if (epoll_ctl(p->ep, EPOLL_CTL_ADD, slot->fd, &e) != 0)
		finish(p, id, PROBE_LOCAL);
}

static void
ask(struct prober *p, struct slot *slot)
{
	struct epoll_event e = {.events = EPOLLIN, .data.u64 = slot->id};
	socklen_t len = sizeof(int);
	char text[128];
	int err = 0, n;

	(void)getsockopt(slot->fd, SOL_SOCKET, SO_ERROR, &err, &len);
	if (err != 0) {
		finish(p, slot->id,
		    err == ECONNREFUSED ? PROBE_REFUSED
		    : err == ECONNRESET ? PROBE_RESET
					: PROBE_LOCAL);
		return;
	}
	n = snprintf(text, sizeof(text),
	    "GET /probe?id=%" PRIu64
	    " HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n",
	    slot->id);
	slot->connected = true;
	if (send(slot->fd, text, (size_t)n, MSG_NOSIGNAL) != n)
		finish(p, slot->id, PROBE_RESET);
	else if (epoll_ctl(p->ep, EPOLL_CTL_MOD, slot->fd, &e) != 0)
		finish(p, slot->id, PROBE_LOCAL);
}

static void
listen_to(struct prober *p, struct slot *slot)
{
	ssize_t n =
	    recv(slot->fd, slot->text + slot->len, ANSWER_MAX - 1 - slot->len, 0);
	enum probe_result r;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		finish(p, slot->id, n == 0 ? PROBE_CLOSED : PROBE_RESET);
		return;
	}
	slot->len += (size_t)n;
	slot->text[slot->len] = '\0';
	r = probe_judge(slot->text, slot->id);
	if (r != PROBE_WAITING)
		finish(p, slot->id, r);
	else if (slot->len == ANSWER_MAX - 1)
		finish(p, slot->id, PROBE_WRONG);
}

static void
give_up_old(struct prober *p, mono_t now)
{
	uint64_t sent = atomic_load_explicit(&p->sent, memory_order_relaxed);

	for (; p->oldest < sent; p->oldest++) {
		struct probe_sample *s = &p->sample[p->oldest % SAMPLES];

		if (slot_of(p, p->oldest)->fd < 0)
			continue;
		if (mono_sub(now, s->sent) < PROBE_TIMEOUT_NS)
			return;
		finish(p, p->oldest, PROBE_TIMEOUT);
	}
}

static void
serve(struct prober *p, int64_t wait_ns)
{
	struct timespec ts = {wait_ns / SEC_NS, wait_ns % SEC_NS};
	struct epoll_event ev[EVENTS_BATCH];
	int n = epoll_pwait2(p->ep, ev, EVENTS_BATCH, &ts, NULL);

	for (int i = 0; i < n; i++) {
		struct slot *slot = slot_of(p, ev[i].data.u64);

		if (slot->fd < 0 || slot->id != ev[i].data.u64)
			continue;
		if (slot->connected)
			listen_to(p, slot);
		else
			ask(p, slot);
	}
}

static int64_t
interval_ns(const struct prober *p, mono_t now)
{
	return mono_sub(now, p->answered) < PROBE_PATIENCE_NS ? PROBE_EVERY_NS
							      : PROBE_RARELY_NS;
}

static void *
run(void *arg)
{
	struct prober *p = arg;
	mono_t now, next;

	if (netns_enter(p->netns) != 0)
		return NULL;
	find_sources(p);
	probe_realtime();
	now = next = p->answered = probe_clock();
	while (!atomic_load_explicit(&p->stop, memory_order_relaxed)) {
		if (!mono_before(now, next)) {
			send_probe(p, now);
			next = mono_add(next, interval_ns(p, now));
			if (mono_sub(now, next) > LATE_NS)
				next = mono_add(now, PROBE_EVERY_NS);
		}
		give_up_old(p, now);
		now = probe_clock();
		serve(p, mono_before(now, next) ? mono_sub(next, now) : 0);
		now = probe_clock();
	}
	for (size_t i = 0; i < SLOTS; i++) {
		if (p->slot[i].fd >= 0)
			(void)close(p->slot[i].fd);
	}
	return NULL;
}

static void
discard(struct prober *p)
{
	if (p->ep >= 0)
		(void)close(p->ep);
	free(p->sample);
	free(p);
}

struct prober *
prober_start(const char *netns, const struct ip_endpoint *target)
{
	struct prober *p = calloc(1, sizeof(*p));
	int err = 0;

	if (p == NULL)
		return NULL;
	for (size_t i = 0; i < SLOTS; i++)
		p->slot[i].fd = -1;
	p->netns = netns;
	p->to_len = ip_to_sockaddr(target, &p->to);
	p->sample = calloc(SAMPLES, sizeof(*p->sample));
	p->ep = epoll_create1(EPOLL_CLOEXEC);
	if (p->sample == NULL || p->ep < 0)
		err = errno;
	else
		err = pthread_create(&p->thread, NULL, run, p);
	if (err != 0) {
		discard(p);
		errno = err;
		return NULL;
	}
	return p;
}

void
prober_stop(struct prober *p)
{
	if (p == NULL)
		return;
	atomic_store_explicit(&p->stop, true, memory_order_relaxed);
	(void)pthread_join(p->thread, NULL);
	discard(p);
}

int64_t
prober_steady_ns(struct prober *p)
{
	uint64_t i = atomic_load_explicit(&p->sent, memory_order_acquire), n = 0;
	mono_t now = probe_clock(), since = now;

	for (; i > 0 && n < SAMPLES / 2; n++) {
		const struct probe_sample *s = &p->sample[--i % SAMPLES];
		uint8_t r = atomic_load_explicit(&s->result, memory_order_acquire);

		/* Those still in flight say nothing yet, unless they wait for long. */
		if (r == PROBE_WAITING && mono_sub(now, s->sent) > SLOW_NS)
			break;
		if (r != PROBE_WAITING && r != PROBE_OK)
			break;
		since = s->sent;
	}
	return mono_sub(now, since);
}

int64_t
prober_unserved_ns(struct prober *p)
{
	uint64_t i = atomic_load_explicit(&p->sent, memory_order_acquire), n = 0;
	mono_t now = probe_clock(), since = now;

	for (; i > 0 && n < SAMPLES / 2; n++) {
		const struct probe_sample *s = &p->sample[--i % SAMPLES];

		since = s->sent;
		if (atomic_load_explicit(&s->result, memory_order_acquire) == PROBE_OK)
			break;
	}
	return mono_sub(now, since);
}

struct tally {
	struct probe_sum *sum;
	struct outage_list *list;
	struct outage current;
	bool out;
	mono_t last; /* sent */
};

static void
end_outage(struct tally *t, mono_t at)
{
	t->current.to = at;
	t->sum->outage_ns += mono_sub(at, t->current.from);
	t->sum->outages++;
	if (t->list != NULL && t->list->n < t->list->max)
		t->list->outage[t->list->n++] = t->current;
	t->out = false;
}

static void
count(struct tally *t, const struct probe_sample *s)
{
	enum probe_result r = atomic_load_explicit(&s->result, memory_order_acquire);

	if (t->last.ns != 0 && mono_sub(s->sent, t->last) > t->sum->pause_ns)
		t->sum->pause_ns = mono_sub(s->sent, t->last);
	t->last = s->sent;
	if (r == PROBE_WAITING)
		return;
	t->sum->by[r]++;
	if (r == PROBE_OK) {
		t->sum->answered++;
		if (s->took_us > t->sum->slowest_us)
			t->sum->slowest_us = s->took_us;
		if (t->out)
			end_outage(t, s->sent);
		return;
	}
	t->sum->failed++;
	if (!t->out) {
		t->out = true;
		t->current = (struct outage){.from = s->sent, .first = r};
	}
	t->current.failed++;
}

void
probe_measure(const struct probe_sample *s, size_t n, mono_t from, mono_t to,
    struct probe_sum *sum, struct outage_list *list)
{
	struct tally t = {.sum = sum, .list = list};

	*sum = (struct probe_sum){0};
	for (size_t i = 0; i < n; i++) {
		if (!mono_before(s[i].sent, from) && mono_before(s[i].sent, to))
			count(&t, &s[i]);
	}
	if (t.out)
		end_outage(&t, to);
}

/* The number of the first probe sent at `from` or later, of those remembered. */
static uint64_t
first_since(const struct prober *p, uint64_t end, mono_t from)
{
	uint64_t i = end;

	while (i > 0 && end - i < SAMPLES - SLOTS &&
	       !mono_before(p->sample[(i - 1) % SAMPLES].sent, from))
		i--;
	return i;
}

void
prober_beats(struct prober *p, mono_t from, struct probe_beat *beat, size_t n)
{
	uint64_t end = atomic_load_explicit(&p->sent, memory_order_acquire);

	memset(beat, 0, n * sizeof(*beat));
	for (uint64_t i = first_since(p, end, from); i < end; i++) {
		const struct probe_sample *s = &p->sample[i % SAMPLES];
		uint8_t r = atomic_load_explicit(&s->result, memory_order_acquire);
		int64_t k = mono_sub(s->sent, from) / PROBE_BEAT_NS;

		if (k < 0 || (size_t)k >= n || r == PROBE_WAITING)
			continue;
		if (r == PROBE_OK && beat[k].answered < UINT8_MAX)
			beat[k].answered++;
		else if (r != PROBE_OK && beat[k].failed < UINT8_MAX)
			beat[k].failed++;
	}
}

void
prober_measure(struct prober *p, mono_t from, mono_t to, struct probe_sum *sum,
    struct outage_list *list)
{
	uint64_t end = atomic_load_explicit(&p->sent, memory_order_acquire);
	struct tally t = {.sum = sum, .list = list};

	*sum = (struct probe_sum){0};
	for (uint64_t i = first_since(p, end, from); i < end; i++) {
		if (mono_before(p->sample[i % SAMPLES].sent, to))
			count(&t, &p->sample[i % SAMPLES]);
	}
	if (t.out)
		end_outage(&t, to);
}
