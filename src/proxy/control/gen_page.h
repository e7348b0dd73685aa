/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gen_page.h - the pages that routes answer with, as part of a generation (gen.h).
 */
#ifndef NINES_PROXY_GEN_PAGE_H
#define NINES_PROXY_GEN_PAGE_H

#include "proxy/control/view.h"
#include "proxy/tls/tls_load.h"

#define PAGE_MAX      ((size_t)1 << 20) /* bytes */
#define PAGE_FACT_LEN 256

/*
 * Fills in gs->page: the texts of the file, and what `files` has (NULL: nothing to be
 * read now). What cannot be read stays as in `old`, the same service in the generation
 * before (or NULL), and gs->page_why says so; without that, a page says its status.
 */
void gen_page_build(struct gen *g, struct gen_service *gs,
    const struct gen_service *old, const struct tls_source *files);

/* What the fact `proxy page SERVICE` says; "" if nothing is to be told. */
void gen_page_fact(const struct gen_service *gs, char text[static PAGE_FACT_LEN]);

#endif /* NINES_PROXY_GEN_PAGE_H */
