/* SPDX-License-Identifier: Apache-2.0 */
/* plural.h - "1 host", "2 hosts": printf("%zu host%s", n, plural(n)). */
#ifndef NINES_BASE_PLURAL_H
#define NINES_BASE_PLURAL_H

#include <stdint.h>

static inline const char *
plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

#endif /* NINES_BASE_PLURAL_H */
