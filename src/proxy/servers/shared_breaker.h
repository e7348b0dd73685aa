/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shared_breaker.h - the breaker (breaker.h) of a group of servers, which all workers
 * share: its figures are the process's, however many workers there are.
 *
 * While it is closed, whether a request may pass is one load; what became of it takes
 * the lock.
 */
#ifndef NINES_PROXY_SHARED_BREAKER_H
#define NINES_PROXY_SHARED_BREAKER_H

#include "base/check.h"
#include "proxy/servers/breaker.h"

struct shared_breaker;

struct shared_breaker *shared_breaker_new(void) MUST_CHECK; /* NULL: no memory */
struct shared_breaker *shared_breaker_ref(struct shared_breaker *b); /* NULL is fine */
void shared_breaker_unref(struct shared_breaker *b);		     /* NULL is fine */

/* As breaker_allows() and breaker_answer(); NULL allows everything. */
bool shared_breaker_allows(
    struct shared_breaker *b, const struct breaker_conf *conf, mono_t now);
bool shared_breaker_answer(
    struct shared_breaker *b, const struct breaker_conf *conf, mono_t now, bool good);

#endif /* NINES_PROXY_SHARED_BREAKER_H */
