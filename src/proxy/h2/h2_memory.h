/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_memory.h - memory for nghttp2, which asks for a dozen small pieces per stream and
 * gives them back with it. A worker keeps what was given back by size, the last used
 * first, up to H2_MEMORY_KEPT bytes; larger pieces come from the system. One thread.
 */
#ifndef NINES_PROXY_H2_MEMORY_H
#define NINES_PROXY_H2_MEMORY_H

#include <nghttp2/nghttp2.h>
#include <stddef.h>

#define H2_MEMORY_STEP	  ((size_t)64)
#define H2_MEMORY_CLASSES 16 /* of 1, 2, ... steps */
#define H2_MEMORY_KEPT	  ((size_t)1024 * 1024)

struct h2_piece;

struct h2_memory {
	struct h2_piece *free[H2_MEMORY_CLASSES];
	size_t kept; /* bytes in those lists */
	nghttp2_mem mem;
};

/* For nghttp2_session_*_new3(). The address sanitizer looks at every piece by itself.
 */
static inline nghttp2_mem *
h2_memory_for(struct h2_memory *m)
{
#ifdef __has_feature
	return __has_feature(address_sanitizer) ? NULL : &m->mem;
#elif defined(__SANITIZE_ADDRESS__)
	(void)m;
	return NULL;
#else
	return &m->mem;
#endif
}

void h2_memory_init(struct h2_memory *m); /* it must not move afterwards */
void h2_memory_done(struct h2_memory *m); /* after everything was given back */

#endif /* NINES_PROXY_H2_MEMORY_H */
