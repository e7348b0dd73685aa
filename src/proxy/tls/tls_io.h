/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_io.h - what connections with TLS have in common, whoever encrypts: OpenSSL
 * (tls.c) or we (tls_channel.c). Private to the room.
 *
 * A turn begins with tls_enter(), and tls_load() if it reads, and ends with
 * tls_leave(). Within it what was received lies in the worker's `in`, and what is to be
 * sent in `wire`: it goes out in one call when the turn is over. Between turns a
 * connection keeps what it could not use or the socket did not take, and nothing else.
 */
#ifndef NINES_PROXY_TLS_IO_H
#define NINES_PROXY_TLS_IO_H

#include <errno.h>
#include <openssl/bio.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/mono.h"
#include "proxy/buf.h"
#include "proxy/pool.h"
#include "proxy/tls/tls_record.h"

struct iovec;
struct side;
struct tls_ciphers;
struct worker;

/* A worker's. */
struct tls_io {
	BIO_METHOD *method;
	struct tls_ciphers *ciphers;
	struct pool channels; /* of tls_channel.c */
	size_t shaking, most; /* handshakes under way; the same since trimmed */
	mono_t trimmed;	      /* when what handshakes leave was last given back */
	size_t len;	      /* of `wire` */
	char wire[BUF_LARGE]; /* encrypted in this turn, not yet sent */
	size_t at, end; /* of `in`: in [at .. end) nobody has used the bytes yet */
	bool loaded, changed; /* `in` is a connection's; and not what it held before */
	char in[BUF_LARGE];
	char plain[TLS_RECORD_WIRE]; /* a record for which its reader has no room */
};

/* A connection's; what owns it begins with it. */
struct tls_end {
	struct worker *w;
	struct side *side; /* as the present turn names it: a side may be moved */
	struct buf *out;   /* encrypted, and the socket did not take it */
	char *held;	   /* received and not yet used: at most TLS_RECORD_WIRE */
	char *name;	   /* that the client asked for; NULL: none */
	char *lines;	   /* of the certificate that it has shown; NULL: none */
	uint32_t owed; /* bytes in `out` of which the caller thinks he has them still */
	uint16_t n_held, n_lines;
	bool ended; /* the socket read 0 */
	bool resumed;
	bool http2; /* was agreed upon */
};

/* Owns `method`, also on failure. */
struct tls_io *tls_io_new(BIO_METHOD *method);

/* The side's layer, for a turn. */
void *tls_enter(struct side *s);
/* Puts into `in` what the connection holds. */
void tls_load(struct tls_end *e);
/* The first `n` bytes of `in` were used. */
void tls_used(struct tls_io *io, size_t n);

/*
 * Ends the turn: sends what has been encrypted, keeps what of `in` was not used. 0;
 * -EAGAIN if something has to wait; another -errno if nothing goes any more.
 */
int tls_leave(struct tls_end *e);

/* Receives up to `max` bytes behind what is in `in`, if epoll has said that there is
 * something. How many; 0 the end; -errno. */
ssize_t tls_receive(struct tls_end *e, size_t max);

/* Keeps `n` bytes behind what waits already. 0 or -ENOBUFS. */
int tls_keep(struct tls_end *e, const char *p, size_t n) MUST_CHECK;
/* Sends what waits. 0, -EAGAIN or another -errno. */
int tls_flush(struct tls_end *e) MUST_CHECK;

/* Encrypts bytes from `at` of the pieces on as the wire holds. How many, or -errno. */
typedef ssize_t tls_encrypt(
    struct tls_end *e, const struct iovec *iov, size_t n, size_t at);
/* A transport's send(), which `encrypt` does the work of. */
ssize_t tls_send(
    struct tls_end *e, const struct iovec *iov, size_t n, tls_encrypt *encrypt);

void tls_end_done(struct tls_end *e);

/* A client's handshake begins; ends. */
void tls_shakes(struct worker *w);
void tls_shook(struct worker *w);

/* As a transport's functions do. */
static inline ssize_t
tls_fail(int err)
{
	errno = -err;
	return -1;
}

#endif /* NINES_PROXY_TLS_IO_H */
