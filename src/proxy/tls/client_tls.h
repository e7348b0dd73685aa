/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_tls.h - a client before its first request: it shakes hands. Private to the
 * room.
 */
#ifndef NINES_PROXY_CLIENT_TLS_H
#define NINES_PROXY_CLIENT_TLS_H

#include <stdbool.h>

struct client;
struct worker;

bool client_shakes_hands(const struct client *c);
void client_tls_done(const struct client *c); /* it ends: was TLS the reason? */
void client_handshake(struct worker *w, struct client *c);

#endif /* NINES_PROXY_CLIENT_TLS_H */
