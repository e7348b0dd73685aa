/* SPDX-License-Identifier: Apache-2.0 */
/*
 * side.c - one end of a connection: reading, sending, and the flow of a body from one
 * to another in constant memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "proxy/request/press.h"
#include "proxy/worker_inside.h"

int
side_watch(struct worker *w, struct side *s)
{
	struct epoll_event e = {
	    .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = s};

	return epoll_ctl(w->epfd, EPOLL_CTL_ADD, s->fd, &e) == 0 ? 0 : -errno;
}

void
side_event(struct side *s, uint32_t events)
{
	if ((events & EPOLLIN) != 0)
		s->readable = s->fresh = true;
	if ((events & EPOLLOUT) != 0)
		s->writable = true;
	if ((events & EPOLLRDHUP) != 0)
		s->readable = s->fresh = s->rdhup = true;
	/* What came before a reset is still read; recv() then tells the error. */
	if ((events & (EPOLLERR | EPOLLHUP)) != 0)
		s->readable = s->writable = s->fresh = s->rdhup = s->gone = true;
}

void
side_close(struct worker *w, struct side *s)
{
	if (s->via != NULL)
		s->via->close(w, s);
	s->via = NULL;
	if (s->fd >= 0)
		(void)close(s->fd);
	s->fd = -1;
	buf_put(&w->bufs, s->in);
	s->in = NULL;
	s->readable = s->writable = false;
}

int
side_error(const struct side *s)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		return errno;
	return error != 0 ? error : ECONNRESET;
}

/* It cannot be read any more. */
static void
fail(struct side *s, int error)
{
	s->failed = true;
	s->error = error;
	s->readable = false;
}

/* It takes no more; there may still be something to read. */
static void
snap(struct side *s, int error)
{
	s->broken = true;
	s->error = error;
	s->writable = false;
}

static ssize_t
take(struct side *s, void *p, size_t n)
{
	return s->via != NULL ? s->via->recv(s, p, n) : recv(s->fd, p, n, 0);
}

/* Appends to `b` what has arrived. True if something did. */
static bool
receive(struct side *s, struct buf *b)
{
	size_t room = b->cap - b->off - b->len;
	ssize_t n;

	if (!s->readable || s->eof || s->failed)
		return false;
	ASSERT(room > 0);
	do
		n = take(s, b->data + b->off + b->len, room);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		b->len += (uint32_t)n;
		/* A short read drained the socket: the next byte raises a new edge.
		 * Behind a FIN there is none, so that the 0 must be read for; of what
		 * lies in other layers the socket knows nothing. */
		if ((size_t)n < room && !s->rdhup && s->via == NULL)
			s->readable = false;
		return true;
	}
	s->readable = false;
	if (n == 0)
		s->eof = true;
	else if (errno != EAGAIN)
		fail(s, errno);
	return false;
}

/* True if nothing is waiting to be read, not even an end. After splice(2) only the
 * kernel knows. */
bool
side_quiet(struct side *s)
{
	char c;

	if (s->in != NULL || s->rdhup || s->eof || s->failed)
		return false;
	if (s->via != NULL)
		return s->via->quiet(s);
	if (s->readable && recv(s->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
	    errno == EAGAIN)
		s->readable = false;
	return !s->readable;
}

/*
 * What has been read and not used, else what has arrived, in the scratch buffer; NULL
 * if there is nothing. The caller says by side_rest() how much it used.
 */
struct buf *
side_data(struct worker *w, struct side *s)
{
	struct buf *b = w->bufs.scratch;

	if (s->in != NULL)
		return s->in;
	b->off = b->len = 0;
	return receive(s, b) ? b : NULL;
}

/* The same, and at least one byte more than there was; NULL if none arrived. */
struct buf *
side_more(struct worker *w, struct side *s)
{
	struct buf *b = w->bufs.scratch;

	if (s->in == NULL)
		return side_data(w, s);
	if (s->in->cap < BUF_LARGE) {
		b->off = 0;
		b->len = s->in->len;
		memcpy(b->data, buf_bytes(s->in), b->len);
		if (!receive(s, b))
			return NULL;
		buf_put(&w->bufs, s->in);
		s->in = NULL;
		return b;
	}
	b = s->in;
	if (b->off > 0) {
		memmove(b->data, buf_bytes(b), b->len);
		b->off = 0;
	}
	return b->len < b->cap && receive(s, b) ? b : NULL;
}

/* Of `b`, which came from side_data() or side_more(), `used` bytes are done with.
 * 0, or -ENOBUFS when the rest cannot be kept. */
int
side_rest(struct worker *w, struct side *s, struct buf *b, size_t used)
{
	if (s->in == b) {
		buf_drop(b, used);
		if (b->len == 0) {
			buf_put(&w->bufs, b);
			s->in = NULL;
		}
		return 0;
	}
	if (b->len == used)
		return 0;
	s->in = buf_keep(&w->bufs, buf_bytes(b) + used, b->len - used);
	if (s->in != NULL)
		return 0;
	fail(s, ENOBUFS);
	return -ENOBUFS;
}

void
side_shut(struct side *s)
{
	if (s->via != NULL)
		s->via->shut(s);
	else
		(void)shutdown(s->fd, SHUT_WR);
}

static ssize_t
give(struct side *s, const struct iovec *iov, size_t n)
{
	struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = n};
	int flags = MSG_NOSIGNAL | (s->last ? MSG_MORE : 0);

	if (s->via != NULL)
		return s->via->send(s, iov, n);
	return n == 1 ? send(s->fd, iov->iov_base, iov->iov_len, flags)
		      : sendmsg(s->fd, &m, flags);
}

/* Sends what fits; 0 if nothing does or the side has failed. */
ssize_t
side_send(struct side *s, const struct iovec *iov, size_t n)
{
	size_t want = 0;
	ssize_t sent;

	if (!s->writable || s->broken)
		return 0;
	for (size_t i = 0; i < n; i++)
		want += iov[i].iov_len;
	do
		sent = give(s, iov, n);
	while (sent < 0 && errno == EINTR);
	if (sent < 0) {
		s->writable = false;
		if (errno != EAGAIN)
			snap(s, errno);
		return 0;
	}
	if ((size_t)sent < want)
		s->writable = false;
	return sent;
}

void
flow_init(struct flow *f, enum http1_framing framing, uint64_t length)
{
	ASSERT(f->out == NULL && f->pipe == NULL && f->press == NULL);
	*f = (struct flow){0};
	http1_body_init(&f->body, framing, length);
}

static void
pipe_put(struct worker *w, struct pipe *p)
{
	if (p->len == 0) {
		p->next = w->pipes;
		w->pipes = p;
		return;
	}
	(void)close(p->fd[0]);
	(void)close(p->fd[1]);
	free(p);
	w->n_pipes--;
}

static struct pipe *
pipe_get(struct worker *w)
{
	struct pipe *p = w->pipes;

	if (p != NULL) {
		w->pipes = p->next;
		return p;
	}
	if (w->n_pipes == PIPES_MAX)
		return NULL;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return NULL;
	if (pipe2(p->fd, O_NONBLOCK | O_CLOEXEC) != 0) {
		free(p);
		return NULL;
	}
	(void)fcntl(
	    p->fd[1], F_SETPIPE_SZ, (int)PIPE_SIZE); /* or what the system gives */
	w->n_pipes++;
	return p;
}

/* Gives back what the flow holds. */
void
flow_done(struct worker *w, struct flow *f)
{
	buf_put(&w->bufs, f->out);
	f->out = NULL;
	if (f->pipe != NULL)
		pipe_put(w, f->pipe);
	f->pipe = NULL;
	if (f->press != NULL)
		press_free(w, f->press);
	f->press = NULL;
}

bool
flow_pending(const struct flow *f)
{
	return f->out != NULL || (f->pipe != NULL && f->pipe->len > 0);
}

bool
flow_flush(struct worker *w, struct flow *f, struct side *dst)
{
	ssize_t n;

	if (f->out != NULL) {
		struct iovec v = {buf_bytes(f->out), f->out->len};

		n = side_send(dst, &v, 1);
		buf_drop(f->out, (size_t)n);
		if (f->out->len > 0)
			return false;
		buf_put(&w->bufs, f->out);
		f->out = NULL;
	}
	while (f->pipe != NULL && f->pipe->len > 0) {
		if (!dst->writable || dst->broken)
			return false;
		n = splice(f->pipe->fd[0], NULL, dst->fd, NULL, f->pipe->len,
		    SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
		if (n > 0) {
			f->pipe->len -= (size_t)n;
			continue;
		}
		dst->writable = false;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			snap(dst, errno);
		return false;
	}
	return true;
}

static bool
worth_a_pipe(const struct flow *f, const struct side *src, const struct side *dst)
{
	if (src->in != NULL || src->via != NULL || dst->via != NULL)
		return false;
	if (f->body.framing == HTTP1_LENGTH)
		return f->body.left >= SPLICE_MIN || f->bulk;
	return f->bulk;
}

/* Moves what has arrived into the pipe. False: it has to be copied. */
static bool
splice_in(struct worker *w, struct flow *f, struct side *src)
{
	size_t want = PIPE_SIZE;
	ssize_t n;

	if (f->pipe == NULL)
		f->pipe = pipe_get(w);
	if (f->pipe == NULL) {
		f->bulk = false;
		return false;
	}
	if (f->body.framing == HTTP1_LENGTH && f->body.left < want)
		want = (size_t)f->body.left;
	n = splice(src->fd, NULL, f->pipe->fd[1], NULL, want,
	    SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (n > 0) {
		f->pipe->len += (size_t)n;
		f->bytes += (size_t)n;
		f->burst += (size_t)n;
		f->bulk = true;
		if (f->body.framing == HTTP1_LENGTH) {
			f->body.left -= (uint64_t)n;
			f->body.done = f->body.left == 0;
		}
		return true;
	}
	/* recv() tells the end and errors apart. A small burst ends the bulk. */
	if (n < 0 && (errno == EAGAIN || errno == EINTR) && !src->rdhup)
		src->readable = false;
	f->bulk = f->burst >= BURST_MIN;
	f->burst = 0;
	return false;
}

/* Reads once and sends; what the sink does not take is kept. False: nothing came. */
static bool
copy(struct worker *w, struct flow *f, struct side *src, struct side *dst)
{
	struct buf *b = side_data(w, src);
	size_t used, n;
	ssize_t sent;

	if (b == NULL)
		return false;
	if (f->body.framing == HTTP1_UNTIL_CLOSE || f->body.framing == HTTP1_TUNNEL)
		f->bulk = b->len >= BUF_BODY; /* the rest of it, and what follows */
	if (f->dechunk) {
		used = http1_body_dechunk(&f->body, buf_bytes(b), b->len, &n);
	} else {
		used = http1_body_pass(&f->body, buf_bytes(b), b->len);
		n = used;
	}
	f->bytes += n;
	f->burst += n;
	sent = 0;
	if (n > 0) {
		struct iovec v = {buf_bytes(b), n};

		sent = side_send(dst, &v, 1);
	}
	if ((size_t)sent < n && used == b->len && src->in == b) {
		b->len = (uint32_t)n; /* all of the source's buffer is this flow's */
		buf_drop(b, (size_t)sent);
		f->out = b;
		src->in = NULL;
		return true;
	}
	/* The rest of the source first, if it is short: the scratch is one. */
	if ((size_t)sent < n) {
		struct buf *rest = NULL;

		if (used < b->len && src->in != b) {
			rest = buf_get(&w->bufs, b->len - used);
			if (rest == NULL) {
				fail(src, ENOBUFS);
				return true;
			}
			rest->len = (uint32_t)(b->len - used);
			memcpy(rest->data, buf_bytes(b) + used, rest->len);
		}
		f->out = buf_keep(&w->bufs, buf_bytes(b) + sent, n - (size_t)sent);
		if (f->out == NULL)
			snap(dst, ENOBUFS);
		if (src->in == b)
			(void)side_rest(w, src, b, used);
		else
			src->in = rest;
		return true;
	}
	(void)side_rest(w, src, b, used);
	return true;
}

enum flow_result
flow_pump(struct worker *w, struct flow *f, struct side *src, struct side *dst)
{
	uint64_t end = f->bytes + FLOW_TURN;

	if (f->press != NULL)
		return press_pump(w, f, src, dst);
	f->more = false;
	for (;;) {
		if (!flow_flush(w, f, dst))
			return dst->broken ? FLOW_SINK_FAILED : FLOW_WAIT;
		if (f->body.done) {
			if (f->pipe != NULL) {
				pipe_put(w, f->pipe);
				f->pipe = NULL;
			}
			return FLOW_DONE;
		}
		if (f->body.error != HTTP1_OK)
			return FLOW_BAD;
		if (f->bytes >= end) {
			f->more = true;
			return FLOW_WAIT;
		}
		if (src->readable && worth_a_pipe(f, src, dst) && splice_in(w, f, src))
			continue;
		if (dst->broken)
			return FLOW_SINK_FAILED;
		if (copy(w, f, src, dst))
			continue;
		if (f->pipe != NULL) { /* nobody holds an idle pipe */
			pipe_put(w, f->pipe);
			f->pipe = NULL;
		}
		if (src->failed)
			return FLOW_SOURCE_FAILED;
		return src->eof ? FLOW_EOF : FLOW_WAIT;
	}
}
