/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a history: what is taken adds up, and what is refused names a line. */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "cli/history.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	struct availability_conf rates = {.rate = {{0}}};
	struct history_error error;
	struct history h;
	int err = history_parse(&h, (const char *)p, len, &error);

	if (err != 0) {
		ASSERT(err != -EINVAL || (error.line > 0 && error.text[0] != '\0'));
		return 0;
	}
	for (unsigned i = 0; i < AVAIL_KINDS; i++) {
		ASSERT(h.kind[i].repairs <= h.kind[i].outages);
		ASSERT(h.kind[i].outages == 0 || h.kind[i].watched_s > 0);
		ASSERT(isfinite(h.kind[i].watched_s) && h.kind[i].down_s >= 0);
	}
	history_apply(&h, &rates);
	for (unsigned i = 0; i < AVAIL_KINDS; i++)
		ASSERT(rates.rate[i].mtbf_ns >= 0 && rates.rate[i].mttr_ns >= 0);
	return 0;
}
