/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as what a peer may say: refused, or said again the same way; and heard by a
 * host with a session, whose table stays sound. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "sync/sync_core.h"

#define FLOWS 64

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len);

static void
try_header(const uint8_t *p, size_t len)
{
	uint8_t again[SYNC_HEADER_LEN];
	struct sync_header h;

	if (sync_header_decode(&h, p, len) != 0)
		return;
	sync_header_encode(&h, again);
	ASSERT(memcmp(again, p, sizeof(again)) == 0);
}

static void
try_data(const uint8_t *p, size_t len)
{
	uint8_t again[SYNC_RECORD_MAX];
	struct rd r = {.p = p, .left = len};
	struct sync_data d;
	struct flow f;
	bool gone;

	if (sync_data_decode(&d, &r) != 0)
		return;
	while (r.left > 0) {
		const uint8_t *from = r.p;
		struct wr w = {.p = again, .left = sizeof(again)};

		if (sync_record_decode(&f, &gone, &r) != 0)
			return;
		sync_record_encode(&f, gone, &w);
		ASSERT(!w.bad && w.p - again == r.p - from);
		ASSERT(memcmp(again, from, (size_t)(r.p - from)) == 0);
	}
}

static void
try_core(const uint8_t *p, size_t len)
{
	const struct sync_epoch mine = {{1}}, theirs = {{2}};
	const struct sync_hello hello = {.open = true, .echo = mine};
	void *memory = calloc(1, sync_table_bytes(FLOWS));
	struct sync *s = calloc(1, sizeof(*s));
	uint8_t payload[SYNC_PAYLOAD_MAX];
	mono_t now = {SEC_NS};
	struct sync_header h;
	enum ct_order order;
	struct flow f;
	size_t n;

	ASSERT(memory != NULL && s != NULL);
	sync_init(s, memory, FLOWS, &mine, 7);
	sync_peer_add(s, 0);
	sync_greeted(s, now, 0, &theirs, &hello);
	sync_role(s, now, len % 2 == 1);
	for (uint64_t seq = 1; seq < 3; seq++) {
		ASSERT(sync_heard(s, now, 0, seq, p, len) != -EALREADY);
		while (sync_order(s, &order, &f) != 0)
			;
		ASSERT(sync_check(s));
		while (sync_next(s, now, 0, &h, payload, &n))
			ASSERT(n <= sizeof(payload));
		now = mono_add(now, 10 * MS_NS);
		sync_tick(s, now);
	}
	ASSERT(sync_check(s));
	free(s);
	free(memory);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	struct sync_hello hello;

	if (len == 0 || len > SYNC_PAYLOAD_MAX)
		return 0;
	try_header(p, len);
	if (sync_hello_decode(&hello, p, len) == 0)
		ASSERT(len == SYNC_HELLO_LEN);
	try_data(p, len);
	try_core(p, len);
	return 0;
}
