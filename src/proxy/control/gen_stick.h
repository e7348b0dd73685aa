/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gen_stick.h - what sticky cookies are made with, as part of a generation (gen.h).
 */
#ifndef NINES_PROXY_GEN_STICK_H
#define NINES_PROXY_GEN_STICK_H

#include "proxy/control/view.h"
#include "proxy/tls/tls_load.h"

#define STICK_SECRET_MIN ((size_t)16) /* bytes of the file */
#define STICK_SECRET_MAX ((size_t)4096)
#define STICK_FACT_LEN	 256

/*
 * Fills in gs->stick_key: from the names, and from the secret where the file names one
 * (`files` NULL: nothing to be read now). One that cannot be read stays as in `old`,
 * the same service in the generation before (or NULL), and gs->stick_why says so.
 */
void gen_stick_build(struct gen *g, struct gen_service *gs,
    const struct gen_service *old, const struct tls_source *files);

/* What the fact `proxy sticky SERVICE` says; "" if nothing is to be told. */
void gen_stick_fact(const struct gen_service *gs, char text[static STICK_FACT_LEN]);

#endif /* NINES_PROXY_GEN_STICK_H */
