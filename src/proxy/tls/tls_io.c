/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/tls/tls_io.h"

#include <errno.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy/side.h"
#include "proxy/tls/tls.h"
#include "proxy/tls/tls_channel.h"
#include "proxy/tls/tls_cipher.h"
#include "proxy/worker_inside.h"

#define BURST	   256	  /* handshakes at once */
#define TRIM_PAUSE SEC_NS /* it costs milliseconds */

struct tls_io *
tls_io_new(BIO_METHOD *method)
{
	struct tls_io *io = malloc(sizeof(*io));

	if (io == NULL) {
		BIO_meth_free(method);
		return NULL;
	}
	io->len = io->at = io->end = 0;
	io->loaded = io->changed = false;
	io->shaking = io->most = 0;
	io->trimmed = (mono_t){0};
	io->ciphers = NULL;
	io->method = method;
	pool_init(&io->channels, tls_channel_size());
	if (method != NULL && tls_ciphers_new(&io->ciphers) == 0)
		return io;
	tls_io_free(io);
	return NULL;
}

void
tls_io_free(struct tls_io *io)
{
	if (io == NULL)
		return;
	pool_done(&io->channels);
	tls_ciphers_free(io->ciphers);
	BIO_meth_free(io->method);
	OPENSSL_cleanse(io->plain, sizeof(io->plain));
	free(io);
}

/* ---- turns ----------------------------------------------------------------------- */

void *
tls_enter(struct side *s)
{
	struct tls_end *e = s->layer;
	struct tls_io *io = e->w->tls;

	e->side = s;
	ASSERT(io->len == 0 && !io->loaded);
	return e;
}

void
tls_load(struct tls_end *e)
{
	struct tls_io *io = e->w->tls;

	io->loaded = true;
	io->changed = false;
	io->at = 0;
	io->end = e->n_held;
	if (e->held != NULL)
		memcpy(io->in, e->held, e->n_held);
}

void
tls_used(struct tls_io *io, size_t n)
{
	ASSERT(n <= io->end - io->at);
	io->at += n;
	io->changed = true;
}

/* What was received and not used is the connection's until it has another turn. */
static int
hold(struct tls_end *e)
{
	struct tls_io *io = e->w->tls;
	size_t n = io->end - io->at;
	const char *p = io->in + io->at;

	io->loaded = false;
	if (!io->changed)
		return 0;
	/* The region of tls_memory.h: nothing so large in the heap. */
	OPENSSL_free(e->held);
	e->held = NULL;
	e->n_held = 0;
	if (n == 0)
		return 0;
	ASSERT(n <= TLS_RECORD_WIRE);
	e->held = OPENSSL_memdup(p, n);
	if (e->held == NULL)
		return -ENOMEM;
	e->n_held = (uint16_t)n;
	return 0;
}

ssize_t
tls_receive(struct tls_end *e, size_t max)
{
	struct tls_io *io = e->w->tls;
	struct side *s = e->side;
	ssize_t got;

	if (e->ended)
		return 0;
	if (!s->fresh)
		return -EAGAIN;
	if (io->at > 0) {
		memmove(io->in, io->in + io->at, io->end - io->at);
		io->end -= io->at;
		io->at = 0;
	}
	if (max > sizeof(io->in) - io->end)
		max = sizeof(io->in) - io->end;
	ASSERT(max > 0);
	do
		got = recv(s->fd, io->in + io->end, max, 0);
	while (got < 0 && errno == EINTR);
	/* Behind a FIN no edge comes: the 0 must be read for. */
	if (got < (ssize_t)max && !(got > 0 && s->rdhup))
		s->fresh = false;
	if (got > 0) {
		io->end += (size_t)got;
		io->changed = true;
	}
	e->ended = got == 0;
	return got < 0 ? -errno : got;
}

/* As send(2) to the socket. Returns what it took, or -errno. */
static ssize_t
transmit(const struct tls_end *e, const char *p, size_t n)
{
	ssize_t sent;

	do
		sent = send(e->side->fd, p, n, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return errno == EAGAIN ? 0 : -errno;
	return sent;
}

int
tls_keep(struct tls_end *e, const char *p, size_t n)
{
	struct buf *old = e->out, *b;
	size_t had = old != NULL ? old->len : 0;

	if (had + n > BUF_LARGE)
		return -ENOBUFS;
	b = buf_get(&e->w->bufs, had + n);
	if (b == NULL)
		return -ENOBUFS;
	if (had > 0)
		memcpy(b->data, buf_bytes(old), had);
	memcpy(b->data + had, p, n);
	b->len = (uint32_t)(had + n);
	buf_put(&e->w->bufs, old);
	e->out = b;
	return 0;
}

int
tls_flush(struct tls_end *e)
{
	ssize_t n = transmit(e, buf_bytes(e->out), e->out->len);

	if (n < 0)
		return (int)n;
	buf_drop(e->out, (size_t)n);
	if (e->out->len > 0)
		return -EAGAIN;
	buf_put(&e->w->bufs, e->out);
	e->out = NULL;
	return 0;
}

/* Sends what the turn has encrypted, behind what waits. */
static int
send_wire(struct tls_end *e)
{
	struct tls_io *io = e->w->tls;
	size_t len = io->len;
	ssize_t n = 0;
	int r = e->out != NULL ? tls_flush(e) : 0;

	io->len = 0;
	if (r != 0 && r != -EAGAIN)
		return r;
	if (len == 0)
		return r;
	if (r == 0)
		n = transmit(e, io->wire, len);
	if (n < 0)
		return (int)n;
	if ((size_t)n == len)
		return 0;
	r = tls_keep(e, io->wire + n, len - (size_t)n);
	return r != 0 ? r : -EAGAIN;
}

int
tls_leave(struct tls_end *e)
{
	struct tls_io *io = e->w->tls;
	int held = io->loaded ? hold(e) : 0;
	int sent = io->len > 0 ? send_wire(e) : 0;

	return held != 0 ? held : sent;
}

/*
 * What the socket does not take of a batch was encrypted already and cannot be taken
 * back: it is kept, and the caller is told that all of the batch waits. He comes again
 * with the same bytes first, as with any socket, and they are passed over once the rest
 * has gone.
 */
ssize_t
tls_send(struct tls_end *e, const struct iovec *iov, size_t n, tls_encrypt *encrypt)
{
	size_t taken, given = 0;
	ssize_t batch;
	int r = e->out != NULL ? tls_flush(e) : 0;

	if (r != 0)
		return tls_fail(r);
	for (size_t i = 0; i < n; i++)
		given += iov[i].iov_len;
	/* A turn that only read may have sent it already. */
	taken = e->owed < given ? e->owed : given;
	e->owed -= (uint32_t)taken;
	while (taken < given) {
		batch = encrypt(e, iov, n, taken);
		r = send_wire(e);
		if (batch < 0)
			return tls_fail((int)batch);
		if (r == -EAGAIN) {
			e->owed = (uint32_t)batch;
			return taken > 0 ? (ssize_t)taken : tls_fail(-EAGAIN);
		}
		if (r != 0)
			return tls_fail(r);
		taken += (size_t)batch;
	}
	return (ssize_t)taken;
}

void
tls_end_done(struct tls_end *e)
{
	buf_put(&e->w->bufs, e->out);
	OPENSSL_free(e->held);
	free(e->name);
	free(e->lines);
	e->out = NULL;
	e->held = e->name = e->lines = NULL;
}

/* ---- after a burst --------------------------------------------------------------- */

void
tls_shakes(struct worker *w)
{
	struct tls_io *io = w->tls;

	if (++io->shaking > io->most)
		io->most = io->shaking;
}

/*
 * A handshake is some hundred small pieces of memory, most of which the C library keeps
 * for later when they are freed. Connections that stay need none of them (pool.h), so
 * that after a burst nearly all of it can go back.
 */
void
tls_shook(struct worker *w)
{
	struct tls_io *io = w->tls;

	io->shaking--;
	if (io->most < BURST || io->shaking > io->most / 4 ||
	    mono_sub(w->now, io->trimmed) < TRIM_PAUSE)
		return;
	(void)malloc_trim(0);
	io->trimmed = w->now;
	io->most = io->shaking;
}
