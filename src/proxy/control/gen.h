/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gen.h - building a generation (view.h) from a cluster file. For the control thread.
 */
#ifndef NINES_PROXY_GEN_H
#define NINES_PROXY_GEN_H

#include "proxy/control/view.h"
#include "proxy/tls/tls_load.h"

#define GEN_NOWHERE SIZE_MAX

/*
 * A generation of one reference for `n_workers`; NULL if there is no memory. Counters
 * are blocks of `stats`; without it (a spare must not write to the segment of the
 * process that acts), or where that is full, they count for nobody. Limits go on from
 * those of `old` (may be NULL), since connections go on. Certificates are read from
 * `files`; where that fails, or is NULL, those of `old` stay.
 */
struct gen *gen_new(const struct cluster *c, const struct host *me, unsigned n_workers,
    struct stats *stats, const struct gen *old,
    const struct tls_source *files) MUST_CHECK;

/* The index in view.server of a server of a service that is here; or GEN_NOWHERE. */
size_t gen_find(const struct gen *g, const char *service, const char *server);

/* Sets what counts the present to 0: the process that counted it is gone. */
void gen_reset_gauges(struct gen *g);

/* Failures of real traffic that took server `j` of service `i` out of rotation. */
uint64_t gen_failures(const struct gen *g, size_t i, size_t j, int *last_errno);
/* How often its clients doubted that it would ever answer. */
uint64_t gen_doubts(const struct gen *g, size_t i, size_t j);

#endif /* NINES_PROXY_GEN_H */
