/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as messages of the kernel: refused, or a flow that can be ordered again. */
#include <stdlib.h>

#include "sync/ct_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len);

static void
try_orders(const struct flow *f)
{
	uint8_t buf[CT_MESSAGE_MAX];
	enum ct_kind kind;
	struct flow again;
	int result;

	for (unsigned order = CT_CREATE; order <= CT_DELETE_REPLY; order++) {
		struct wr w = {.p = buf, .left = sizeof(buf)};
		struct ct_message m;
		struct rd r;

		ct_encode(&w, (enum ct_order)order, f, 1);
		ASSERT(!w.bad);
		r = (struct rd){.p = buf, .left = (size_t)(w.p - buf)};
		ASSERT(ct_next(&r, &m) && rd_done(&r));
		if (order != CT_CREATE && order != CT_CHANGE)
			continue;
		ASSERT(ct_decode(&m, &kind, &again, &result) == 0);
		ASSERT(kind == CT_FLOW && flow_same(f, &again));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	struct rd r = {.p = p, .left = len};
	struct ct_message m;
	enum ct_kind kind;
	struct flow f;
	int result;

	while (ct_next(&r, &m)) {
		if (ct_decode(&m, &kind, &f, &result) != 0)
			continue;
		if (kind == CT_FLOW)
			try_orders(&f);
		else
			ASSERT(kind != CT_RESULT || result <= 0);
	}
	return 0;
}
