/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls.h - TLS as the layer between a side and its socket. Private to the room.
 *
 * The layer is a struct transport (side.h): once the handshake is over nobody above
 * knows of it. OpenSSL sees a BIO that reads from the socket as long as epoll says that
 * there is something, and writes to memory: what it has written goes out in one call
 * when its turn is over. After a client's handshake of TLS 1.3 a channel takes its
 * place (tls_channel.h).
 */
#ifndef NINES_PROXY_TLS_H
#define NINES_PROXY_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"

struct side;
struct tls_io;
struct tls_peer;
struct tls_site;
struct upstream;
struct worker;

enum tls_protocol { TLS_PROTOCOL_HTTP1, TLS_PROTOCOL_HTTP2 };

/* Puts TLS under `s`, whose handshake is the caller's next deed. 0 or -ENOMEM. */
int tls_accept(struct worker *w, struct side *s, struct tls_site *site) MUST_CHECK;
/* The same towards a server. Its session is resumed, and the next one kept, in `up`.
 */
int tls_connect(struct worker *w, struct side *s, struct upstream *up) MUST_CHECK;

/* Bytes that go out in front of all others: a PROXY header. 0 or -ENOBUFS. */
int tls_preface(struct side *s, const void *bytes, size_t len) MUST_CHECK;

/* Goes on with the handshake: 0 done, -EAGAIN wait for an event of the side, another
 * -errno failed. */
int tls_handshake(struct side *s) MUST_CHECK;

/* Of a side whose handshake is done. */
bool tls_resumed(const struct side *s);
enum tls_protocol tls_protocol(const struct side *s);

/* The name that the client asks for, "" if it asks for none. */
const char *tls_name(const struct side *s);

/* True if the side has TLS under it. */
bool tls_under(const struct side *s);

/* What the peer sent that no peer sends, or what the handshake failed at, for people;
 * NULL: nothing, also where the peer has just left. */
const char *tls_wrong(const struct side *s);

/* A worker's memory for all of this; NULL is fine. */
void tls_io_free(struct tls_io *io);

#endif /* NINES_PROXY_TLS_H */
