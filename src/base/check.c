/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

void
check_failed(const char *expr, const char *file, int line, const char *func)
{
	(void)fprintf(stderr, "%s:%d: %s: broken: %s\n", file, line, func, expr);
	abort();
}
