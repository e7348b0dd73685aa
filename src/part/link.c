/* SPDX-License-Identifier: Apache-2.0 */
#include "part/link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/list.h"

#define BATCH 64 /* packets read in one wake-up, so that nobody else starves */

struct packet {
	struct list node;
	int fd; /* ours, or -1 */
	size_t len;
	uint8_t bytes[];
};

struct link {
	struct loop *loop;
	struct loop_fd *watch;
	struct loop_timer failed; /* tells the owner of a failure, from the loop */
	const struct link_ops *ops;
	void *arg;
	const char *why; /* broken; not yet told while `failed` is set */
	struct list queue;
	unsigned queued;
	int fd;
	bool is_part;
	bool closed; /* freed by the outermost caller on the stack */
	unsigned depth;
	uint8_t buf[PART_MSG_MAX + 1]; /* one more: a longer packet shows */
};

static void
tell(void *arg)
{
	struct link *l = arg;

	l->ops->broken(l->arg, l->why);
}

static void
fail(struct link *l, const char *why)
{
	if (l->why != NULL)
		return;
	l->why = why;
	loop_unwatch(l->watch);
	l->watch = NULL;
	loop_timer_set(l->loop, &l->failed, loop_now(l->loop));
}

static void
packet_free(struct packet *p)
{
	if (p->fd >= 0)
		(void)close(p->fd);
	free(p);
}

/* 0, or -errno; -EAGAIN if the kernel has no room. */
static int
transmit(struct link *l, const uint8_t *bytes, size_t len, int fd)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = control.space;
		msg.msg_controllen = sizeof(control.space);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	do
		n = sendmsg(l->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static void
enqueue(struct link *l, const uint8_t *bytes, size_t len, int fd)
{
	struct packet *p;

	if (l->queued == LINK_QUEUE_MAX) {
		fail(l, "does not read its messages");
		return;
	}
	p = malloc(sizeof(*p) + len);
	if (p == NULL) {
		fail(l, "no memory for a message");
		return;
	}
	list_init(&p->node);
	p->len = len;
	memcpy(p->bytes, bytes, len);
	p->fd = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
	if (fd >= 0 && p->fd < 0) {
		packet_free(p);
		fail(l, "no descriptor for a message");
		return;
	}
	list_append(&l->queue, &p->node);
	l->queued++;
	loop_rewatch(l->watch, LOOP_IN | LOOP_OUT);
}

void
link_send(struct link *l, const struct part_msg *m, int fd)
{
	uint8_t bytes[PART_MSG_MAX];
	size_t len;
	int err = -EAGAIN;

	if (l->why != NULL)
		return;
	len = part_msg_encode(m, bytes);
	if (l->queued == 0)
		err = transmit(l, bytes, len, fd);
	if (err == -EAGAIN || err == -ENOBUFS)
		enqueue(l, bytes, len, fd);
	else if (err != 0)
		fail(l, "is gone");
}

static void
flush(struct link *l)
{
	LIST_EACH(n, next, &l->queue)
	{
		struct packet *p = CONTAINER(n, struct packet, node);
		int err = transmit(l, p->bytes, p->len, p->fd);

		if (err == -EAGAIN || err == -ENOBUFS)
			return;
		if (err != 0) {
			fail(l, "is gone");
			return;
		}
		list_remove(&p->node);
		l->queued--;
		packet_free(p);
	}
	loop_rewatch(l->watch, LOOP_IN);
}

/* The first descriptor of a packet; further ones, which nobody sends, are closed. */
static int
take_fd(struct msghdr *msg)
{
	int fd = -1, got;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL;
	     c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; CMSG_LEN((i + 1) * sizeof(int)) <= c->cmsg_len;
		     i++) {
			memcpy(&got, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (fd < 0)
				fd = got;
			else
				(void)close(got);
		}
	}
	return fd;
}

/* One packet; false if there is none (any more). */
static bool
receive(struct link *l)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(4 * sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = l->buf, .iov_len = sizeof(l->buf)};
	struct msghdr msg = {.msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = control.space,
	    .msg_controllen = sizeof(control.space)};
	struct part_msg m;
	ssize_t n;
	int fd;

	n = recvmsg(l->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			fail(l, "is gone");
		return false;
	}
	fd = take_fd(&msg);
	if (n == 0) {
		fail(l, "is gone");
	} else if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ||
		   part_msg_decode(&m, l->buf, (size_t)n, l->is_part, fd >= 0) != 0) {
		fail(l, "sent a malformed message");
	} else {
		l->ops->message(l->arg, &m, fd);
		return true;
	}
	if (fd >= 0)
		(void)close(fd);
	return false;
}

static void
on_ready(void *arg, unsigned events)
{
	struct link *l = arg;

	l->depth++;
	if (events & LOOP_OUT)
		flush(l);
	if (events & (LOOP_IN | LOOP_HUP)) {
		for (unsigned i = 0; i < BATCH && !l->closed && l->why == NULL; i++) {
			if (!receive(l))
				break;
		}
	}
	l->depth--;
	if (l->closed)
		free(l);
}

struct link *
link_open(
    struct loop *loop, int fd, bool is_part, const struct link_ops *ops, void *arg)
{
	struct link *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->loop = loop;
	l->fd = fd;
	l->is_part = is_part;
	l->ops = ops;
	l->arg = arg;
	list_init(&l->queue);
	l->failed = (struct loop_timer){.cb = tell, .arg = l};
	l->watch = loop_watch(loop, fd, LOOP_IN, on_ready, l);
	if (l->watch == NULL) {
		free(l);
		return NULL;
	}
	return l;
}

bool
link_idle(const struct link *l)
{
	return l->queued == 0 && l->why == NULL;
}

int
link_fd(const struct link *l)
{
	return l->fd;
}

void
link_close(struct link *l)
{
	if (l == NULL)
		return;
	loop_timer_clear(l->loop, &l->failed);
	loop_unwatch(l->watch);
	l->watch = NULL;
	LIST_EACH(n, next, &l->queue)
	packet_free(CONTAINER(n, struct packet, node));
	list_init(&l->queue);
	(void)close(l->fd);
	l->why = "is closed";
	l->closed = true;
	if (l->depth == 0)
		free(l);
}
