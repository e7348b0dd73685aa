/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a packet in each direction; what is accepted encodes to the same bytes.
 */

#include <string.h>

#include "part/part_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t out[PART_MSG_MAX];
	struct part_msg m;

	if (len > PART_MSG_MAX)
		return 0;
	for (unsigned k = 0; k < 4; k++) {
		if (part_msg_decode(&m, data, len, k & 1, k & 2) != 0)
			continue;
		ASSERT(part_msg_encode(&m, out) == len);
		ASSERT(memcmp(out, data, len) == 0);
	}
	return 0;
}
