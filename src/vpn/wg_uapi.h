/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wg_uapi.h - the text protocol of WireGuard programs: `get=1`, `set=1`.
 *
 * Lines KEY=VALUE, an empty line ends a request and an answer, the answer's last line
 * is errno=N. https://www.wireguard.com/xplatform/
 */
#ifndef NINES_VPN_WG_UAPI_H
#define NINES_VPN_WG_UAPI_H

#include "base/sbuf.h"
#include "vpn/wg.h"

#define WG_UAPI_GET "get=1\n\n"

/* Bytes of an answer about `n` peers with one address each, and some to spare. */
#define WG_UAPI_MAX(n) ((size_t)4096 + (size_t)(n)*1024)

/* The request that carries out `c`. */
void wg_uapi_set(const struct wg_change *c, struct sbuf *out);

/* True if `text` is a whole answer: its empty line has come. */
bool wg_uapi_whole(const char *text, size_t len);

/*
 * Reads the answer to WG_UAPI_GET; s->peer and s->room are the caller's. 0, the errno
 * of the answer negated, -EBADMSG for what is no answer, -E2BIG for more peers than
 * there is room. Unknown keys are passed over.
 */
int wg_uapi_state(struct wg_state *s, const char *text, size_t len) MUST_CHECK;

/* The outcome of a set: 0, the errno of the answer negated, or -EBADMSG. */
int wg_uapi_result(const char *text, size_t len) MUST_CHECK;

#endif /* NINES_VPN_WG_UAPI_H */
