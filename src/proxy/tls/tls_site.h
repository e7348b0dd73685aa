/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_site.h - what a service shows to clients: certificates and the rules of its
 * handshakes. Private to the room.
 *
 * Made by the control thread as a part of a generation, immutable, used by all workers.
 */
#ifndef NINES_PROXY_TLS_SITE_H
#define NINES_PROXY_TLS_SITE_H

#include "config/cluster.h"
#include "proxy/tls/tls_load.h"

struct tls_site;

/*
 * Reads what `conf->tls` names. 0 with one reference in *out, and in `why` what should
 * be better ("" if all is well); or -errno, and why there is none.
 */
int tls_site_new(struct tls_site **out, const struct service *conf,
    const struct tls_source *from, char why[static TLS_WHY_LEN]) MUST_CHECK;
struct tls_site *tls_site_ref(struct tls_site *s); /* NULL is fine */
void tls_site_unref(struct tls_site *s);	   /* NULL is fine */

/* For new connections. It must not outlive a reference until the handshake is over. */
SSL_CTX *tls_site_context(const struct tls_site *s);

/* When the first of its certificates expires, in seconds since the epoch. */
int64_t tls_site_expires(const struct tls_site *s);

#endif /* NINES_PROXY_TLS_SITE_H */
