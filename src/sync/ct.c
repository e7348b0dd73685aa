/* SPDX-License-Identifier: Apache-2.0 */
#include "sync/ct.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/filter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sync/ct_filter.h"

enum {
	EVENTS_BUFFER = 64 << 20, /* bytes of events that may wait for us */
	ANSWERS_BUFFER = 4 << 20,
	EVENT_MAX = 2048, /* bytes of one */
	EVENTS_ONCE = 64, /* read by one system call */
	EVENT_ROUNDS = 8,
	DUMP_MAX = 64 << 10,
	ORDERS_MAX = 128,
	ROUNDS_MAX = 3, /* of trying another way */
};

struct job {
	struct flow flow;
	enum ct_order order;
	uint32_t tag;
	int err; /* of the last round */
};

struct ct {
	struct mnl_socket *events, *orders, *dump;
	struct ip own[CT_OWN_MAX];
	size_t n_own;
	uint32_t seq;
	bool dumping, broken;
	struct job job[ORDERS_MAX];
	size_t n_jobs;
	struct mmsghdr msg[EVENTS_ONCE];
	struct iovec iov[EVENTS_ONCE];
	uint8_t event[EVENTS_ONCE][EVENT_MAX];
	uint8_t portion[DUMP_MAX];
	uint8_t batch[ORDERS_MAX * 3 * CT_MESSAGE_MAX];
};

static struct mnl_socket *
open_socket(unsigned groups, int buffer)
{
	struct mnl_socket *s =
	    mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int fd, one = 1;

	if (s == NULL)
		return NULL;
	fd = mnl_socket_get_fd(s);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof(buffer));
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	if (mnl_socket_bind(s, groups, MNL_SOCKET_AUTOPID) == 0)
		return s;
	(void)mnl_socket_close(s);
	return NULL;
}

struct ct *
ct_open(void)
{
	/* Without NFNLGRP_CONNTRACK_NEW: a flow nobody has answered is not shared, and
	 * the kernel need not even write those messages. */
	const unsigned groups = 1U << (NFNLGRP_CONNTRACK_UPDATE - 1) |
				1U << (NFNLGRP_CONNTRACK_DESTROY - 1);
	struct ct *ct = calloc(1, sizeof(*ct));
	int err;

	if (ct == NULL)
		return NULL;
	for (size_t i = 0; i < EVENTS_ONCE; i++) {
		ct->iov[i] = (struct iovec){ct->event[i], EVENT_MAX};
		ct->msg[i].msg_hdr =
		    (struct msghdr){.msg_iov = &ct->iov[i], .msg_iovlen = 1};
	}
	ct->orders = open_socket(0, ANSWERS_BUFFER);
	ct->dump = open_socket(0, ANSWERS_BUFFER);
	ct->events = open_socket(groups, EVENTS_BUFFER);
	if (ct->orders != NULL && ct->dump != NULL && ct->events != NULL)
		return ct;
	err = errno;
	ct_close(ct);
	errno = err;
	return NULL;
}

void
ct_close(struct ct *ct)
{
	struct mnl_socket *const s[] = {ct != NULL ? ct->events : NULL,
	    ct != NULL ? ct->orders : NULL, ct != NULL ? ct->dump : NULL};

	for (size_t i = 0; i < ARRAY_LEN(s); i++) {
		if (s[i] != NULL)
			(void)mnl_socket_close(s[i]);
	}
	free(ct);
}

int
ct_set_own(struct ct *ct, const struct ip *own, size_t n)
{
	struct sock_filter *code = calloc(CT_FILTER_MAX, sizeof(*code));
	struct sock_fprog program = {.filter = code};
	int err = 0;

	if (code == NULL)
		return -ENOMEM;
	ct->n_own = n < CT_OWN_MAX ? n : CT_OWN_MAX;
	memcpy(ct->own, own, ct->n_own * sizeof(*own));
	program.len = (unsigned short)ct_filter_make(
	    code, mnl_socket_get_portid(ct->orders), ct->own, ct->n_own);
	if (program.len == 0)
		err = -E2BIG;
	else if (setsockopt(mnl_socket_get_fd(ct->events), SOL_SOCKET, SO_ATTACH_FILTER,
		     &program, sizeof(program)) != 0)
		err = -errno;
	free(code);
	return err;
}

/* ---- events --------------------------------------------------------------------- */

int
ct_events_fd(const struct ct *ct)
{
	return mnl_socket_get_fd(ct->events);
}

/* The kernel's own messages are not malformed; what is not ours is skipped. */
static void
one_event(struct ct *ct, struct rd r,
    void (*cb)(void *arg, bool gone, const struct flow *f), void *arg)
{
	const uint32_t self = mnl_socket_get_portid(ct->orders);
	struct ct_message m;
	enum ct_kind kind;
	struct flow f;
	int result;

	while (ct_next(&r, &m)) {
		if (m.port == self || ct_decode(&m, &kind, &f, &result) != 0)
			continue;
		if ((kind == CT_FLOW || kind == CT_GONE) &&
		    !ct_filter_own(&f, ct->own, ct->n_own))
			cb(arg, kind == CT_GONE, &f);
	}
}

int
ct_events(
    struct ct *ct, void (*cb)(void *arg, bool gone, const struct flow *f), void *arg)
{
	bool lost = false;
	int n = EVENTS_ONCE;

	for (unsigned round = 0; round < EVENT_ROUNDS && n == EVENTS_ONCE; round++) {
		n = recvmmsg(mnl_socket_get_fd(ct->events), ct->msg, EVENTS_ONCE,
		    MSG_DONTWAIT, NULL);
		if (n < 0)
			return errno == ENOBUFS || lost ? -ENOBUFS : 0;
		for (int i = 0; i < n; i++) {
			const struct rd r = {
			    .p = ct->event[i], .left = ct->msg[i].msg_len};

			lost |= (ct->msg[i].msg_hdr.msg_flags & MSG_TRUNC) != 0;
			one_event(ct, r, cb, arg);
		}
	}
	if (lost)
		return -ENOBUFS;
	return n == EVENTS_ONCE ? 1 : 0;
}

/* ---- the whole table ------------------------------------------------------------ */

int
ct_dump_begin(struct ct *ct)
{
	struct wr w = {.p = ct->portion, .left = sizeof(ct->portion)};

	/* What is left of one that was given up. */
	while (recv(mnl_socket_get_fd(ct->dump), ct->portion, sizeof(ct->portion),
		   MSG_DONTWAIT) > 0)
		;
	w.p = ct->portion;
	ct_encode_dump(&w, ++ct->seq);
	ct->broken = false;
	return mnl_socket_sendto(ct->dump, ct->portion, (size_t)(w.p - ct->portion)) < 0
		   ? -errno
		   : 0;
}

int
ct_dump_step(struct ct *ct, void (*cb)(void *arg, const struct flow *f), void *arg)
{
	ssize_t n = recv(mnl_socket_get_fd(ct->dump), ct->portion, sizeof(ct->portion),
	    MSG_DONTWAIT);
	struct rd r = {.p = ct->portion, .left = n > 0 ? (size_t)n : 0};
	struct ct_message m;
	enum ct_kind kind;
	struct flow f;
	int result;

	if (n < 0)
		return -errno;
	while (ct_next(&r, &m)) {
		ct->broken |= (m.flags & NLM_F_DUMP_INTR) != 0;
		if (ct_decode(&m, &kind, &f, &result) != 0)
			continue;
		if (kind == CT_DONE)
			return ct->broken ? -EINTR : 0;
		if (kind == CT_RESULT)
			return result != 0 ? result : -EPROTO;
		if (kind == CT_FLOW && !ct_filter_own(&f, ct->own, ct->n_own))
			cb(arg, &f);
	}
	return 1;
}

/* ---- orders --------------------------------------------------------------------- */

bool
ct_full(const struct ct *ct)
{
	return ct->n_jobs == ORDERS_MAX;
}

void
ct_order(struct ct *ct, enum ct_order order, const struct flow *f, uint32_t tag)
{
	ASSERT(!ct_full(ct));
	ct->job[ct->n_jobs++] = (struct job){.flow = *f, .order = order, .tag = tag};
}

/* Sends all jobs as one message; job i has the number `base` + i. */
static int
send_jobs(struct ct *ct, uint32_t base)
{
	struct wr w = {.p = ct->batch, .left = sizeof(ct->batch)};

	for (size_t i = 0; i < ct->n_jobs; i++) {
		const struct job *j = &ct->job[i];

		if (j->err == -EEXIST) {
			/* Something else has one of its tuples: not any more. */
			ct_encode(&w, CT_DELETE, &j->flow, 0);
			ct_encode(&w, CT_DELETE_REPLY, &j->flow, 0);
		}
		ct_encode(&w, j->order, &j->flow, base + (uint32_t)i);
	}
	ASSERT(!w.bad);
	return mnl_socket_sendto(ct->orders, ct->batch, (size_t)(w.p - ct->batch)) < 0
		   ? -errno
		   : 0;
}

/* The kernel has answered when the sending is done, and only says what failed. */
static void
read_failures(struct ct *ct, uint32_t base)
{
	const int fd = mnl_socket_get_fd(ct->orders);
	struct ct_message m;
	enum ct_kind kind;
	struct flow f;
	ssize_t n;
	int result;

	for (size_t i = 0; i < ct->n_jobs; i++)
		ct->job[i].err = 0;
	while ((n = recv(fd, ct->portion, sizeof(ct->portion), MSG_DONTWAIT)) > 0) {
		struct rd r = {.p = ct->portion, .left = (size_t)n};

		while (ct_next(&r, &m)) {
			uint32_t i = m.seq - base;

			if (ct_decode(&m, &kind, &f, &result) == 0 &&
			    kind == CT_RESULT && i < ct->n_jobs)
				ct->job[i].err = result;
		}
	}
}

/* True if `j` may succeed another way. */
static bool
another_way(struct job *j)
{
	if (j->order == CT_CHANGE && j->err != 0) {
		/* -ENOENT: it is gone; else it is there in another shape. */
		j->order = CT_CREATE;
		return true;
	}
	return j->order == CT_CREATE && j->err == -EEXIST;
}

void
ct_flush(struct ct *ct,
    void (*refused)(void *arg, uint32_t tag, const struct flow *f, int err), void *arg)
{
	for (unsigned round = 1; ct->n_jobs > 0; round++) {
		const uint32_t base = ct->seq + 1;
		size_t again = 0;
		int err;

		ct->seq += (uint32_t)ct->n_jobs;
		err = send_jobs(ct, base);
		if (err == 0)
			read_failures(ct, base);
		for (size_t i = 0; i < ct->n_jobs; i++) {
			struct job *j = &ct->job[i];

			if (err != 0)
				j->err = err;
			if (j->err == 0 || j->order == CT_DELETE)
				continue;
			if (err == 0 && round < ROUNDS_MAX && another_way(j))
				ct->job[again++] = *j;
			else
				refused(arg, j->tag, &j->flow, j->err);
		}
		ct->n_jobs = again;
	}
}
