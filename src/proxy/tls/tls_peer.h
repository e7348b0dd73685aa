/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_peer.h - what a service asks of servers that speak TLS. Private to the room.
 */
#ifndef NINES_PROXY_TLS_PEER_H
#define NINES_PROXY_TLS_PEER_H

#include "config/cluster.h"
#include "proxy/tls/tls_load.h"

struct tls_peer;
struct upstream;

/* As tls_site_new(), for `conf->server_tls`. */
int tls_peer_new(struct tls_peer **out, const struct service *conf,
    const struct tls_source *from, char why[static TLS_WHY_LEN]) MUST_CHECK;
struct tls_peer *tls_peer_ref(struct tls_peer *p); /* NULL is fine */
void tls_peer_unref(struct tls_peer *p);	   /* NULL is fine */

SSL_CTX *tls_peer_context(const struct tls_peer *p);

/* Before the handshake: whom we expect, and the session of last time. `up` must outlive
 * the connection. 0 or -ENOMEM. */
int tls_peer_prepare(
    const struct tls_peer *p, SSL *ssl, struct upstream *up) MUST_CHECK;

/* What `up` keeps of its last session; NULL is fine. */
void tls_peer_forget(SSL_SESSION *session);

#endif /* NINES_PROXY_TLS_PEER_H */
