/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gen_coded.h - own pages in the codings that clients may ask for, as part of a
 * generation (gen.h): compressed once, when the file is read.
 */
#ifndef NINES_PROXY_GEN_CODED_H
#define NINES_PROXY_GEN_CODED_H

#include "proxy/control/view.h"

/* Bytes that are compressed at a time: some tens of milliseconds of the control thread.
 * What goes beyond is sent as it is. */
#define CODED_BUDGET ((size_t)512 << 10)

/* After gen_page_build(). What `old` (or NULL) has of the same text is taken over. */
void gen_coded_build(
    struct gen *g, struct gen_service *gs, const struct gen_service *old);

#endif /* NINES_PROXY_GEN_CODED_H */
