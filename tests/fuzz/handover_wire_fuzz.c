/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a former supervisor's state; what is accepted encodes to the same bytes.
 */

#include <string.h>

#include "supervisor/handover_wire.h"
#include "supervisor/supervisor.h"

const struct part_program part_programs[] = {{.name = NULL}};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t out[HANDOVER_RECORD_MAX];
	struct rd r = {.p = data, .left = len};
	static struct handover_record rec;

	while (r.left > 0) {
		const uint8_t *start = r.p;
		struct wr w = {.p = out, .left = sizeof(out)};

		if (handover_decode(&r, &rec) != 0)
			break;
		handover_encode(&w, &rec);
		ASSERT(!w.bad && sizeof(out) - w.left == (size_t)(r.p - start));
		ASSERT(memcmp(out, start, sizeof(out) - w.left) == 0);
	}
	return 0;
}
