/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/owners.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lab/probe.h"
#include "os/netns.h"

#define EVENTS_MAX 65536
#define LO_INDEX   1 /* in every namespace */

struct owners {
	size_t n;
	struct ip address;
	struct pollfd fd[OWNERS_HOSTS_MAX + 1]; /* the last ends the thread */
	uint32_t holding; /* interfaces say so; the thread's own */
	pthread_t thread;
	pthread_mutex_t lock; /* for what follows */
	uint32_t seen, muted;
	struct owner_event *event;
	size_t n_events;
};

/* Called with the lock held. */
static void
note(struct owners *o, mono_t at)
{
	uint32_t holders = o->seen & ~o->muted;
	struct owner_event *last = o->n_events > 0 ? &o->event[o->n_events - 1] : NULL;

	ASSERT(o->event != NULL);
	if (last != NULL && last->holders == holders)
		return;
	if (o->n_events == EVENTS_MAX) {
		(void)memmove(o->event, o->event + EVENTS_MAX / 2,
		    EVENTS_MAX / 2 * sizeof(*o->event));
		o->n_events = EVENTS_MAX / 2;
	}
	o->event[o->n_events++] = (struct owner_event){at, holders};
}

struct match {
	const struct owners *o;
	bool found;
};

static int
compare(const struct nlattr *attr, void *arg)
{
	struct match *m = arg;
	const struct ip *ip = &m->o->address;
	/* IPv4 has both attributes, and IFA_ADDRESS may be the far end's. */
	uint16_t wanted = ip->family == AF_INET6 ? IFA_ADDRESS : IFA_LOCAL;

	if (mnl_attr_get_type(attr) == wanted &&
	    mnl_attr_get_payload_len(attr) == ip_len(ip) &&
	    memcmp(mnl_attr_get_payload(attr), ip->byte, ip_len(ip)) == 0)
		m->found = true;
	return MNL_CB_OK;
}

static bool
is_address(const struct owners *o, const struct nlmsghdr *h)
{
	const struct ifaddrmsg *a = mnl_nlmsg_get_payload(h);
	struct match m = {.o = o};

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*a))
		return false;
	if (a->ifa_index == LO_INDEX || a->ifa_family != o->address.family)
		return false;
	if (mnl_attr_parse(h, sizeof(*a), compare, &m) < 0)
		return false;
	return m.found;
}

/* Reads all that host `i` has to say. */
static void
hear(struct owners *o, size_t i)
{
	char buf[32768] __attribute__((aligned(NLMSG_ALIGNTO)));
	ssize_t got;

	while ((got = recv(o->fd[i].fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
		const struct nlmsghdr *h = (const struct nlmsghdr *)(const void *)buf;
		int left = (int)got;

		for (; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
			if (h->nlmsg_type == RTM_NEWADDR && is_address(o, h))
				o->holding |= UINT32_C(1) << i;
			else if (h->nlmsg_type == RTM_DELADDR && is_address(o, h))
				o->holding &= ~(UINT32_C(1) << i);
		}
	}
}

static void *
watch(void *arg)
{
	struct owners *o = arg;

	probe_realtime();
	while (o->fd[o->n].revents == 0) {
		mono_t now;

		if (poll(o->fd, o->n + 1, -1) < 0 && errno != EINTR)
			break;
		now = probe_clock();
		for (size_t i = 0; i < o->n; i++) {
			if (o->fd[i].revents != 0)
				hear(o, i);
		}
		(void)pthread_mutex_lock(&o->lock);
		o->seen = o->holding;
		note(o, now);
		(void)pthread_mutex_unlock(&o->lock);
	}
	return NULL;
}

/* Subscribes, then asks for what is there already. */
static int
subscribe(const struct owners *o, const char *netns)
{
	struct sockaddr_nl sa = {.nl_family = AF_NETLINK,
	    .nl_groups =
		o->address.family == AF_INET ? RTMGRP_IPV4_IFADDR : RTMGRP_IPV6_IFADDR};
	int fd = netns_socket(netns, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), err;
	char buf[256] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct ifaddrmsg *a;

	if (fd < 0)
		return fd;
	h->nlmsg_type = RTM_GETADDR;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	a = mnl_nlmsg_put_extra_header(h, sizeof(*a));
	a->ifa_family = o->address.family;
	if (bind(fd, (const struct sockaddr *)&sa, sizeof(sa)) != 0 ||
	    send(fd, h, h->nlmsg_len, 0) < 0) {
		err = -errno;
		(void)close(fd);
		return err;
	}
	return fd;
}

static void
discard(struct owners *o)
{
	for (size_t i = 0; i <= o->n; i++) {
		if (o->fd[i].fd >= 0)
			(void)close(o->fd[i].fd);
	}
	(void)pthread_mutex_destroy(&o->lock);
	free(o->event);
	free(o);
}

struct owners *
owners_start(const char *const netns[], size_t n, const struct ip *address)
{
	struct owners *o = calloc(1, sizeof(*o));
	int err = 0;

	ASSERT(n > 0 && n <= OWNERS_HOSTS_MAX);
	if (o == NULL)
		return NULL;
	o->n = n;
	o->address = *address;
	(void)pthread_mutex_init(&o->lock, NULL);
	o->event = calloc(EVENTS_MAX, sizeof(*o->event));
	for (size_t i = 0; i < n; i++) {
		o->fd[i] = (struct pollfd){subscribe(o, netns[i]), POLLIN, 0};
		if (o->fd[i].fd < 0)
			err = -o->fd[i].fd;
	}
	o->fd[n] = (struct pollfd){eventfd(0, EFD_CLOEXEC), POLLIN, 0};
	if (o->event == NULL || o->fd[n].fd < 0)
		err = errno;
	if (err == 0)
		err = pthread_create(&o->thread, NULL, watch, o);
	if (err != 0) {
		discard(o);
		errno = err;
		return NULL;
	}
	return o;
}

void
owners_stop(struct owners *o)
{
	if (o == NULL)
		return;
	(void)eventfd_write(o->fd[o->n].fd, 1);
	(void)pthread_join(o->thread, NULL);
	discard(o);
}

void
owners_mute(struct owners *o, size_t host, bool mute)
{
	uint32_t bit = UINT32_C(1) << host;

	(void)pthread_mutex_lock(&o->lock);
	o->muted = mute ? o->muted | bit : o->muted & ~bit;
	note(o, probe_clock());
	(void)pthread_mutex_unlock(&o->lock);
}

uint32_t
owners_now(struct owners *o)
{
	uint32_t holders;

	(void)pthread_mutex_lock(&o->lock);
	holders = o->seen & ~o->muted;
	(void)pthread_mutex_unlock(&o->lock);
	return holders;
}

size_t
owners_events(struct owners *o, mono_t from, struct owner_event *events, size_t max)
{
	size_t i, n = 0;

	(void)pthread_mutex_lock(&o->lock);
	i = o->n_events;
	while (i > 0 && !mono_before(o->event[i - 1].at, from))
		i--;
	if (i > 0)
		i--;
	for (; i < o->n_events && n < max; i++)
		events[n++] = o->event[i];
	(void)pthread_mutex_unlock(&o->lock);
	return n;
}

void
owners_measure(const struct owner_event *events, size_t n, mono_t from, mono_t to,
    struct owners_sum *sum)
{
	uint32_t before = 0;

	*sum = (struct owners_sum){0};
	for (size_t i = 0; i < n; i++) {
		mono_t start = events[i].at, end = i + 1 < n ? events[i + 1].at : to;
		int count = __builtin_popcount(events[i].holders);

		if (!mono_before(start, to))
			break;
		if (!mono_before(start, from))
			sum->moves +=
			    (unsigned)__builtin_popcount(events[i].holders & ~before);
		before = events[i].holders;
		start = mono_before(start, from) ? from : start;
		end = mono_min(end, to);
		if (!mono_before(start, end))
			continue;
		if (count > 1)
			sum->two_ns += mono_sub(end, start);
		else if (count == 0)
			sum->none_ns += mono_sub(end, start);
	}
}
