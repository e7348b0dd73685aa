/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/tls/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy/servers/service.h"
#include "proxy/servers/upstream.h"
#include "proxy/side.h"
#include "proxy/tls/tls_channel.h"
#include "proxy/tls/tls_client.h"
#include "proxy/tls/tls_handover.h"
#include "proxy/tls/tls_io.h"
#include "proxy/tls/tls_peer.h"
#include "proxy/tls/tls_site.h"
#include "proxy/worker_inside.h"

#define RECORD	 TLS_RECORD_DATA
#define OVERHEAD 128 /* what any version and cipher adds to a record */

struct tls {
	struct tls_end end;
	SSL *ssl;
	int error;	   /* of the socket */
	const char *wrong; /* what ended it, in OpenSSL's words; NULL: nothing did */
	bool established;
	struct tls_site *site; /* until then */
	struct upstream *up;   /* towards a server; or NULL */
	/* A client's handshake, after which OpenSSL may not be needed any more: */
	bool counting; /* records: it gets one after the other */
	uint8_t header[TLS_RECORD_HEADER];
	uint8_t n_header; /* bytes of it */
	uint16_t left;	  /* bytes behind it that are still to come */
	struct tls_handover handover;
};

static struct tls_io *
io_of(const struct tls *t)
{
	return t->end.w->tls;
}

/* ---- the BIO --------------------------------------------------------------------- */

/* What of `n` bytes at `p` belongs to the record at hand. */
static size_t
count_bytes(struct tls *t, const char *p, size_t n)
{
	size_t used = 0, part;

	while (used < n && t->n_header < TLS_RECORD_HEADER) {
		t->header[t->n_header++] = (uint8_t)p[used++];
		if (t->n_header == TLS_RECORD_HEADER)
			t->left = (uint16_t)(t->header[3] << 8 | t->header[4]);
	}
	part = n - used < t->left ? n - used : t->left;
	t->left = (uint16_t)(t->left - part);
	if (t->n_header == TLS_RECORD_HEADER && t->left == 0)
		t->n_header = 0;
	return used + part;
}

/* From what was received; behind the handshake's last record comes what is not
 * OpenSSL's. */
static int
feed(struct tls *t, char *p, size_t n)
{
	struct tls_io *io = io_of(t);

	if (n > io->end - io->at)
		n = io->end - io->at;
	if (t->counting)
		n = count_bytes(t, io->in + io->at, n);
	memcpy(p, io->in + io->at, n);
	tls_used(io, n);
	return (int)n;
}

/* No call when epoll has not said that there is something: most reads of a record are
 * followed by one that would find nothing. */
static ssize_t
take(struct tls *t, char *p, size_t n)
{
	struct side *s = t->end.side;
	ssize_t got;

	if (!s->fresh)
		return -EAGAIN;
	do
		got = recv(s->fd, p, n, 0);
	while (got < 0 && errno == EINTR);
	/* Behind a FIN no edge comes: the 0 must be read for. */
	if (got < (ssize_t)n && !(got > 0 && s->rdhup))
		s->fresh = false;
	t->end.ended = got == 0;
	return got < 0 ? -errno : got;
}

static int
bio_read(BIO *bio, char *p, int n)
{
	struct tls *t = BIO_get_data(bio);
	const struct tls_io *io = io_of(t);
	ssize_t got;

	BIO_clear_retry_flags(bio);
	if (io->at < io->end)
		return feed(t, p, (size_t)n);
	if (t->end.ended || t->error != 0)
		return 0;
	got =
	    t->counting ? tls_receive(&t->end, TLS_RECORD_WIRE) : take(t, p, (size_t)n);
	if (got > 0)
		return t->counting ? feed(t, p, (size_t)n) : (int)got;
	if (got == -EAGAIN)
		BIO_set_retry_read(bio);
	else if (got < 0)
		t->error = (int)-got;
	return got == 0 ? 0 : -1;
}

static int
bio_write(BIO *bio, const char *p, int n)
{
	struct tls *t = BIO_get_data(bio);
	struct tls_io *io = io_of(t);
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
		return t->end.ended;
	return what == BIO_CTRL_FLUSH;
}

static int
bio_create(BIO *bio)
{
	BIO_set_init(bio, 1);
	return 1;
}

static BIO_METHOD *
new_method(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "side");

	if (m != NULL && BIO_meth_set_read(m, bio_read) == 1 &&
	    BIO_meth_set_write(m, bio_write) == 1 &&
	    BIO_meth_set_ctrl(m, bio_ctrl) == 1 &&
	    BIO_meth_set_create(m, bio_create) == 1)
		return m;
	BIO_meth_free(m);
	return NULL;
}

/* ---- turns ----------------------------------------------------------------------- */

/* The first error of the thread's queue, unless all there is to it is that the peer has
 * closed the connection. The text is OpenSSL's, and stays. */
static const char *
complaint(void)
{
	unsigned long e = ERR_peek_error();

	if (e == 0 || ERR_GET_REASON(e) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		return NULL;
	return ERR_reason_error_string(e);
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
	t->wrong = complaint();
	ERR_clear_error();
	t->established = false; /* nothing more may be said */
	if (t->error != 0)
		return -t->error;
	return t->end.ended ? -ECONNRESET : -EPROTO;
}

/* ---- the transport --------------------------------------------------------------- */

/* Nobody waits for alerts and updates of keys, which is all that reading may say. */
static void
leave(struct tls *t)
{
	if (tls_leave(&t->end) == -ENOMEM)
		t->error = ENOMEM;
}

static ssize_t
ssl_recv(struct side *s, void *p, size_t n)
{
	struct tls *t = tls_enter(s);
	int r, got;

	tls_load(&t->end);
	got = SSL_read(t->ssl, p, n < RECORD ? (int)n : RECORD);
	if (got > 0 && !s->fresh && io_of(t)->at == io_of(t)->end &&
	    SSL_has_pending(t->ssl) == 0)
		s->readable = false; /* the next byte raises an edge */
	r = got > 0 ? 0 : verdict(t, got);
	leave(t);
	if (got > 0)
		return got;
	return r == 0 ? 0 : tls_fail(r);
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

/* As much as the wire holds, from `at` of the pieces on. */
static ssize_t
encrypt(struct tls_end *e, const struct iovec *iov, size_t n, size_t at)
{
	struct tls *t = (struct tls *)e;
	struct tls_io *io = io_of(t);
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

static ssize_t
ssl_send(struct side *s, const struct iovec *iov, size_t n)
{
	struct tls *t = tls_enter(s);

	return tls_send(&t->end, iov, n, encrypt);
}

static void
say_goodbye(struct side *s)
{
	struct tls *t = tls_enter(s);

	if (!t->established || t->end.out != NULL || s->broken || s->gone)
		return;
	t->established = false;
	if (SSL_shutdown(t->ssl) < 0)
		ERR_clear_error();
	(void)tls_leave(&t->end);
}

static void
ssl_shut(struct side *s)
{
	say_goodbye(s);
	(void)shutdown(s->fd, SHUT_WR);
}

static bool
ssl_quiet(struct side *s)
{
	struct tls *t = tls_enter(s);
	char c;
	int r;

	if (!s->readable)
		return true;
	tls_load(&t->end);
	r = SSL_peek(t->ssl, &c, 1);
	if (r <= 0)
		r = verdict(t, r);
	leave(t);
	if (r != -EAGAIN)
		return false;
	s->readable = false;
	return true;
}

/* A client's handshake is over, one way or another. */
static void
shook(struct tls *t)
{
	if (t->site == NULL)
		return;
	tls_shook(t->end.w);
	tls_site_unref(t->site);
	t->site = NULL;
}

static void
tls_free(struct tls *t)
{
	/* Sessions are in tickets: none is lost for want of a proper end. */
	SSL_free(t->ssl);
	shook(t);
	tls_end_done(&t->end);
	tls_handover_done(&t->handover);
	free(t);
}

static void
ssl_close(struct worker *w, struct side *s)
{
	(void)w;
	say_goodbye(s);
	tls_free(s->layer);
	s->layer = NULL;
}

static const struct transport transport = {
    .recv = ssl_recv,
    .send = ssl_send,
    .shut = ssl_shut,
    .quiet = ssl_quiet,
    .close = ssl_close,
};

/* ---- beginning ------------------------------------------------------------------- */

static int
attach(struct worker *w, struct side *s, SSL_CTX *ctx, struct tls **out)
{
	struct tls *t;
	BIO *bio;

	if (w->tls == NULL)
		w->tls = tls_io_new(new_method());
	if (w->tls == NULL)
		return -ENOMEM;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return -ENOMEM;
	t->end.w = w;
	t->end.side = s;
	t->ssl = SSL_new(ctx);
	bio = t->ssl != NULL ? BIO_new(w->tls->method) : NULL;
	if (bio == NULL) {
		ERR_clear_error();
		tls_free(t);
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
	t->counting = true;
	tls_shakes(w);
	tls_handover_begin(&t->handover, t->ssl);
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
	return tls_keep(s->layer, bytes, len);
}

/* What is asked about the handshake later. 0 or -ENOMEM. */
static int
remember(struct tls *t)
{
	const char *name = SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name);
	const unsigned char *protocol;
	unsigned len;

	SSL_get0_alpn_selected(t->ssl, &protocol, &len);
	t->end.http2 = len == 2 && memcmp(protocol, "h2", 2) == 0;
	t->end.resumed = SSL_session_reused(t->ssl) == 1;
	if (t->up != NULL)
		return 0;
	if (name != NULL && (t->end.name = strdup(name)) == NULL)
		return -ENOMEM;
	return tls_client_remember(&t->end, t->ssl);
}

/* The handshake is over. 0 or -errno. */
static int
establish(struct tls *t)
{
	struct side *s = t->end.side;
	const struct tls_suite *suite = NULL;
	int r = remember(t);

	t->established = r == 0;
	shook(t);
	s->readable = true;
	if (r == 0 && t->counting && t->n_header == 0)
		suite = tls_handover_suite(&t->handover, t->ssl);
	t->counting = false;
	if (suite != NULL) {
		r = tls_channel_take(s, &t->end, &t->handover, suite);
		if (r == 0)
			tls_free(t);
	} else {
		tls_handover_done(&t->handover);
	}
	return r;
}

int
tls_handshake(struct side *s)
{
	struct tls *t = tls_enter(s);
	int r, sent;

	tls_load(&t->end);
	r = SSL_do_handshake(t->ssl);
	r = r == 1 ? 0 : verdict(t, r);
	if (r == 0 && !SSL_is_init_finished(t->ssl))
		r = -EPROTO; /* the peer said goodbye instead */
	sent = tls_leave(&t->end);
	if (sent == 0 && t->end.out != NULL)
		sent = tls_flush(&t->end); /* what an earlier turn has said */
	if (sent != 0 && sent != -EAGAIN)
		return sent;
	return r != 0 ? r : establish(t);
}

/* ---- questions ------------------------------------------------------------------- */

bool
tls_under(const struct side *s)
{
	return s->via == &transport || tls_channel_under(s);
}

const char *
tls_wrong(const struct side *s)
{
	if (tls_channel_under(s))
		return tls_channel_wrong(s);
	return ((const struct tls *)s->layer)->wrong;
}

static const struct tls_end *
end_of(const struct side *s)
{
	return s->layer; /* whoever encrypts */
}

bool
tls_resumed(const struct side *s)
{
	return end_of(s)->resumed;
}

enum tls_protocol
tls_protocol(const struct side *s)
{
	return end_of(s)->http2 ? TLS_PROTOCOL_HTTP2 : TLS_PROTOCOL_HTTP1;
}

const char *
tls_name(const struct side *s)
{
	const char *name = end_of(s)->name;

	if (tls_channel_under(s))
		return tls_channel_name(s);
	return name != NULL ? name : "";
}
