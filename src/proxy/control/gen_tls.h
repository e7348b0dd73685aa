/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gen_tls.h - the certificates of a generation. For the control thread.
 */
#ifndef NINES_PROXY_GEN_TLS_H
#define NINES_PROXY_GEN_TLS_H

#include "proxy/control/view.h"
#include "proxy/tls/tls_load.h"

/*
 * Fills in what `gs` shows to clients and asks of servers. What cannot be read from
 * `files` (NULL: nothing can, now) is taken over from `old`, the same service's in the
 * generation before (or NULL), and gs->tls_why says so.
 */
void gen_tls_build(struct gen *g, struct gen_service *gs, const struct gen_service *old,
    const struct tls_source *files);
void gen_tls_free(struct gen_service *gs);

#define TLS_FACT_LEN (TLS_WHY_LEN + 8)

/* Writes the fact about `gs`: "" if it has no TLS, "ok [until DATE]", "warn WHY", "down
 * WHY". */
void gen_tls_fact(const struct gen_service *gs, char text[static TLS_FACT_LEN]);

#endif /* NINES_PROXY_GEN_TLS_H */
