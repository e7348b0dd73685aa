/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/servers/shared_breaker.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/refs.h"

struct shared_breaker {
	atomic_uint refs;
	atomic_bool closed; /* as in `b` */
	pthread_mutex_t lock;
	struct breaker b;
};

struct shared_breaker *
shared_breaker_new(void)
{
	struct shared_breaker *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return NULL;
	atomic_init(&b->refs, 1);
	atomic_init(&b->closed, true);
	(void)pthread_mutex_init(&b->lock, NULL); /* cannot fail without attributes */
	return b;
}

struct shared_breaker *
shared_breaker_ref(struct shared_breaker *b)
{
	if (b != NULL)
		refs_take(&b->refs);
	return b;
}

void
shared_breaker_unref(struct shared_breaker *b)
{
	if (b == NULL || !refs_drop(&b->refs))
		return;
	(void)pthread_mutex_destroy(&b->lock);
	free(b);
}

static void
leave(struct shared_breaker *b)
{
	atomic_store_explicit(
	    &b->closed, b->b.state == BREAKER_CLOSED, memory_order_relaxed);
	(void)pthread_mutex_unlock(&b->lock);
}

bool
shared_breaker_allows(
    struct shared_breaker *b, const struct breaker_conf *conf, mono_t now)
{
	bool yes;

	if (b == NULL || atomic_load_explicit(&b->closed, memory_order_relaxed))
		return true;
	(void)pthread_mutex_lock(&b->lock);
	yes = breaker_allows(&b->b, conf, now);
	leave(b);
	return yes;
}

bool
shared_breaker_answer(
    struct shared_breaker *b, const struct breaker_conf *conf, mono_t now, bool good)
{
	bool opened;

	if (b == NULL)
		return false;
	(void)pthread_mutex_lock(&b->lock);
	opened = breaker_answer(&b->b, conf, now, good);
	leave(b);
	return opened;
}
