/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/tls/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy/conn.h"
#include "proxy/tls/tls_peer.h"
#include "proxy/tls/tls_site.h"

#define RECORD	 16384 /* RFC 8446 section 5.1: bytes in one record, at most */
#define OVERHEAD 128   /* what any version and cipher adds to it */

/* What a worker's TLS connections share, since one of them is served at a time. */
struct tls_io {
	BIO_METHOD *method;
	size_t len;	      /* of `wire` */
	char wire[BUF_LARGE]; /* encrypted in this turn, not yet sent */
	char plain[RECORD];   /* pieces that go into one record */
};

struct tls {
	SSL *ssl;
	struct worker *w;
	struct side *side; /* as the present turn names it: a side may be moved */
	struct buf *out;   /* encrypted, and the socket did not take it */
	size_t owed; /* bytes in `out` of which the caller thinks he has them still */
	int error;   /* of the socket */
	bool ended;  /* it read 0 */
	bool established;
	struct tls_site *site; /* until then */
	struct upstream *up;   /* towards a server; or NULL */
};

/* ---- the BIO --------------------------------------------------------------------- */

/* No call when epoll has not said that there is something: most reads of a record are
 * followed by one that would find nothing. */
static int
bio_read(BIO *bio, char *p, int n)
{
	struct tls *t = BIO_get_data(bio);
	struct side *s = t->side;
	ssize_t got = -1;

	BIO_clear_retry_flags(bio);
	if (t->ended || t->error != 0)
		return 0;
	errno = EAGAIN;
	if (s->fresh) {
		do
			got = recv(s->fd, p, (size_t)n, 0);
		while (got < 0 && errno == EINTR);
	}
	/* Behind a FIN no edge comes: the 0 must be read for. */
	if (got < n && !(got > 0 && s->rdhup))
		s->fresh = false;
	if (got > 0)
		return (int)got;
	if (got == 0)
		t->ended = true;
	else if (errno == EAGAIN)
		BIO_set_retry_read(bio);
	else
		t->error = errno;
	return got == 0 ? 0 : -1;
}

static int
bio_write(BIO *bio, const char *p, int n)
{
	struct tls *t = BIO_get_data(bio);
	struct tls_io *io = t->w->tls;
	size_t room = sizeof(io->wire) - io->len;

	BIO_clear_retry_flags(bio);
	if ((size_t)n > room) {
		BIO_set_retry_write(bio);
		return -1;
	}
	memcpy(io->wire + io->len, p, (size_t)n);
	io->len += (size_t)n;
	return n;
}

static long
bio_ctrl(BIO *bio, int what, long n, void *p)
{
	const struct tls *t = BIO_get_data(bio);

	(void)n;
	(void)p;
	if (what == BIO_CTRL_EOF)
		return t->ended;
	return what == BIO_CTRL_FLUSH;
}

static int
bio_create(BIO *bio)
{
	BIO_set_init(bio, 1);
	return 1;
}

static struct tls_io *
io_new(void)
{
	struct tls_io *io = malloc(sizeof(*io));

	if (io == NULL)
		return NULL;
	io->len = 0;
	io->method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "side");
	if (io->method != NULL && BIO_meth_set_read(io->method, bio_read) == 1 &&
	    BIO_meth_set_write(io->method, bio_write) == 1 &&
	    BIO_meth_set_ctrl(io->method, bio_ctrl) == 1 &&
	    BIO_meth_set_create(io->method, bio_create) == 1)
		return io;
	tls_io_free(io);
	return NULL;
}

void
tls_io_free(struct tls_io *io)
{
	if (io == NULL)
		return;
	BIO_meth_free(io->method);
	free(io);
}

/* ---- turns ----------------------------------------------------------------------- */

static struct tls *
enter(struct side *s)
{
	struct tls *t = s->layer;

	t->side = s;
	ASSERT(t->w->tls->len == 0);
	return t;
}

/* As sendmsg(2) to the socket. Returns what it took, or -errno. */
static ssize_t
transmit(const struct tls *t, const char *p, size_t n)
{
	ssize_t sent;

	do
		sent = send(t->side->fd, p, n, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return errno == EAGAIN ? 0 : -errno;
	return sent;
}

/* Keeps `n` bytes behind what waits already. 0 or -ENOBUFS. */
static int
keep(struct tls *t, const char *p, size_t n)
{
	struct buf *old = t->out, *b;
	size_t had = old != NULL ? old->len : 0;

	if (had + n > BUF_LARGE)
		return -ENOBUFS;
	b = buf_get(&t->w->bufs, had + n);
	if (b == NULL)
		return -ENOBUFS;
	if (had > 0)
		memcpy(b->data, buf_bytes(old), had);
	memcpy(b->data + had, p, n);
	b->len = (uint32_t)(had + n);
	buf_put(&t->w->bufs, old);
	t->out = b;
	return 0;
}

static int
flush_out(struct tls *t)
{
	ssize_t n = transmit(t, buf_bytes(t->out), t->out->len);

	if (n < 0)
		return (int)n;
	buf_drop(t->out, (size_t)n);
	if (t->out->len > 0)
		return -EAGAIN;
	buf_put(&t->w->bufs, t->out);
	t->out = NULL;
	return 0;
}

/* Ends the turn: sends what OpenSSL has written. 0, -EAGAIN if something of it has to
 * wait, another -errno if nothing goes any more. */
static int
leave(struct tls *t)
{
	struct tls_io *io = t->w->tls;
	size_t len = io->len;
	ssize_t n = 0;
	int r = t->out != NULL ? flush_out(t) : 0;

	io->len = 0;
	if (r != 0 && r != -EAGAIN)
		return r;
	if (len == 0)
		return r;
	if (r == 0)
		n = transmit(t, io->wire, len);
	if (n < 0)
		return (int)n;
	if ((size_t)n == len)
		return 0;
	r = keep(t, io->wire + n, len - (size_t)n);
	return r != 0 ? r : -EAGAIN;
}

/* What an SSL_*() that returned `r` means: 0 the end, else -errno. The thread's queue
 * of errors is left empty, as the next call expects it. */
static int
verdict(struct tls *t, int r)
{
	switch (SSL_get_error(t->ssl, r)) {
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return -EAGAIN;
	default:
		break;
	}
	ERR_clear_error();
	t->established = false; /* nothing more may be said */
	if (t->error != 0)
		return -t->error;
	return t->ended ? -ECONNRESET : -EPROTO;
}

/* ---- the transport --------------------------------------------------------------- */

static ssize_t
fail(int err)
{
	errno = -err;
	return -1;
}

static ssize_t
tls_recv(struct side *s, void *p, size_t n)
{
	struct tls *t = enter(s);
	int r, got = SSL_read(t->ssl, p, n < RECORD ? (int)n : RECORD);

	if (got > 0 && !s->fresh && SSL_has_pending(t->ssl) == 0)
		s->readable = false; /* the next byte raises an edge */
	r = got > 0 ? 0 : verdict(t, got);
	/* Alerts and updates of keys, which nobody waits for. */
	if (t->w->tls->len > 0)
		(void)leave(t);
	if (got > 0)
		return got;
	return r == 0 ? 0 : fail(r);
}

/* The next bytes that go into one record: from `at` of the pieces on. */
static const char *
gather(const struct iovec *iov, size_t n, size_t at, char *scratch, size_t *len)
{
	size_t max = *len, got = 0, part;

	for (; n > 0 && at >= iov->iov_len; n--, iov++)
		at -= iov->iov_len;
	if (n == 0) {
		*len = 0;
		return NULL;
	}
	if (n == 1 || iov->iov_len - at >= max) {
		if (iov->iov_len - at < max)
			*len = iov->iov_len - at;
		return (const char *)iov->iov_base + at;
	}
	for (; n > 0 && got < max; n--, iov++) {
		part = iov->iov_len - at < max - got ? iov->iov_len - at : max - got;
		memcpy(scratch + got, (const char *)iov->iov_base + at, part);
		got += part;
		at = 0;
	}
	*len = got;
	return scratch;
}

/* Encrypts from `at` on as much as the wire holds. Returns how much, or -errno. */
static ssize_t
encrypt(struct tls *t, const struct iovec *iov, size_t n, size_t at)
{
	struct tls_io *io = t->w->tls;
	size_t done = 0;

	while (sizeof(io->wire) - io->len > OVERHEAD) {
		size_t room = sizeof(io->wire) - io->len - OVERHEAD;
		size_t len = room < RECORD ? room : RECORD;
		const char *p = gather(iov, n, at + done, io->plain, &len);
		int r;

		if (len == 0)
			break;
		r = SSL_write(t->ssl, p, (int)len);
		if (r <= 0) {
			r = verdict(t, r);
			return r == 0 ? -EPIPE : r;
		}
		done += (size_t)r;
	}
	return (ssize_t)done;
}

/*
 * What the socket does not take of a batch was encrypted already and cannot be taken
 * back: it is kept, and the caller is told that all of the batch waits. He comes again
 * with the same bytes first, as with any socket, and they are passed over once the rest
 * has gone.
 */
static ssize_t
tls_send(struct side *s, const struct iovec *iov, size_t n)
{
	struct tls *t = enter(s);
	size_t taken = 0;
	ssize_t batch;
	int r;

	if (t->out != NULL) {
		r = flush_out(t);
		if (r != 0)
			return fail(r);
		taken = t->owed;
		t->owed = 0;
	}
	for (;;) {
		batch = encrypt(t, iov, n, taken);
		r = leave(t);
		if (batch < 0)
			return fail((int)batch);
		if (r == -EAGAIN) {
			t->owed = (size_t)batch;
			return taken > 0 ? (ssize_t)taken : fail(-EAGAIN);
		}
		if (r != 0)
			return fail(r);
		if (batch == 0)
			return (ssize_t)taken;
		taken += (size_t)batch;
	}
}

static void
say_goodbye(struct side *s)
{
	struct tls *t = enter(s);

	if (!t->established || t->out != NULL || s->broken || s->gone)
		return;
	t->established = false;
	if (SSL_shutdown(t->ssl) < 0)
		ERR_clear_error();
	(void)leave(t);
}

static void
tls_shut(struct side *s)
{
	say_goodbye(s);
	(void)shutdown(s->fd, SHUT_WR);
}

static bool
tls_quiet(struct side *s)
{
	struct tls *t = enter(s);
	char c;
	int r;

	if (!s->readable)
		return true;
	r = SSL_peek(t->ssl, &c, 1);
	if (r <= 0)
		r = verdict(t, r);
	if (t->w->tls->len > 0)
		(void)leave(t);
	if (r != -EAGAIN)
		return false;
	s->readable = false;
	return true;
}

static void
tls_close(struct worker *w, struct side *s)
{
	struct tls *t = s->layer;

	say_goodbye(s);
	/* Sessions are in tickets: none is lost for want of a proper end. */
	SSL_free(t->ssl);
	tls_site_unref(t->site);
	buf_put(&w->bufs, t->out);
	free(t);
	s->layer = NULL;
}

static const struct transport transport = {
    .recv = tls_recv,
    .send = tls_send,
    .shut = tls_shut,
    .quiet = tls_quiet,
    .close = tls_close,
};

/* ---- beginning ------------------------------------------------------------------- */

static int
attach(struct worker *w, struct side *s, SSL_CTX *ctx, struct tls **out)
{
	struct tls *t;
	BIO *bio;

	if (w->tls == NULL)
		w->tls = io_new();
	if (w->tls == NULL)
		return -ENOMEM;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return -ENOMEM;
	t->w = w;
	t->side = s;
	t->ssl = SSL_new(ctx);
	bio = t->ssl != NULL ? BIO_new(w->tls->method) : NULL;
	if (bio == NULL) {
		ERR_clear_error();
		SSL_free(t->ssl);
		free(t);
		return -ENOMEM;
	}
	BIO_set_data(bio, t);
	SSL_set_bio(t->ssl, bio, bio);
	s->via = &transport;
	s->layer = *out = t;
	return 0;
}

int
tls_accept(struct worker *w, struct side *s, struct tls_site *site)
{
	struct tls *t;
	int r = attach(w, s, tls_site_context(site), &t);

	if (r != 0)
		return r;
	t->site = tls_site_ref(site);
	SSL_set_accept_state(t->ssl);
	return 0;
}

int
tls_connect(struct worker *w, struct side *s, struct upstream *up)
{
	struct tls_peer *peer = up->service->server_tls;
	struct tls *t;
	int r = attach(w, s, tls_peer_context(peer), &t);

	if (r != 0)
		return r;
	t->up = up;
	if (tls_peer_prepare(peer, t->ssl, up) == 0)
		return 0;
	return -ENOMEM; /* side_close() frees it */
}

int
tls_preface(struct side *s, const void *bytes, size_t len)
{
	return keep(s->layer, bytes, len);
}

int
tls_handshake(struct side *s)
{
	struct tls *t = enter(s);
	int r = SSL_do_handshake(t->ssl), sent;

	r = r == 1 ? 0 : verdict(t, r);
	if (r == 0 && !SSL_is_init_finished(t->ssl))
		r = -EPROTO; /* the peer said goodbye instead */
	sent = leave(t);
	if (sent != 0 && sent != -EAGAIN)
		return sent;
	if (r != 0)
		return r;
	t->established = true;
	tls_site_unref(t->site);
	t->site = NULL;
	s->readable = true;
	return 0;
}

/* ---- questions ------------------------------------------------------------------- */

bool
tls_under(const struct side *s)
{
	return s->via == &transport;
}

bool
tls_resumed(const struct side *s)
{
	const struct tls *t = s->layer;

	return SSL_session_reused(t->ssl) == 1;
}

enum tls_protocol
tls_protocol(const struct side *s)
{
	const struct tls *t = s->layer;
	const unsigned char *name;
	unsigned len;

	SSL_get0_alpn_selected(t->ssl, &name, &len);
	return len == 2 && memcmp(name, "h2", 2) == 0 ? TLS_PROTOCOL_HTTP2
						      : TLS_PROTOCOL_HTTP1;
}

const char *
tls_name(const struct side *s)
{
	const struct tls *t = s->layer;
	const char *name = SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name);

	return name != NULL ? name : "";
}

X509 *
tls_shown(const struct side *s)
{
	const struct tls *t = s->layer;

	return SSL_get_verify_result(t->ssl) == X509_V_OK
		   ? SSL_get1_peer_certificate(t->ssl)
		   : NULL;
}

const char *
tls_why(void)
{
	const char *why = ERR_reason_error_string(ERR_peek_last_error());

	ERR_clear_error();
	return why != NULL ? why : "OpenSSL does not say why";
}
