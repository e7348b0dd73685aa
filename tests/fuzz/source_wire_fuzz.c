/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as what another load balancer may say of sources: refused, or said again
 * the same way; and heard by a host with a session, whose table stays sound. */
#include <errno.h>
#include <stdlib.h>

#include "proxy/sources/source_core.h"

#define ENTRIES 32

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len);

static void
try_header(const uint8_t *p, size_t len)
{
	uint8_t again[SOURCE_HEADER_LEN];
	struct source_header h;

	if (source_header_decode(&h, p, len) != 0)
		return;
	source_header_encode(&h, again);
	ASSERT(memcmp(again, p, sizeof(again)) == 0);
}

static void
try_hello(const uint8_t *p, size_t len)
{
	uint8_t again[SOURCE_PAYLOAD_MAX];
	struct wr w = {.p = again, .left = sizeof(again)};
	struct source_hello h;

	if (source_hello_decode(&h, p, len) != 0)
		return;
	source_hello_encode(&h, &w);
	ASSERT(sizeof(again) - w.left == len && memcmp(again, p, len) == 0);
}

static void
try_data(const uint8_t *p, size_t len)
{
	uint8_t again[SOURCE_PAYLOAD_MAX];
	struct wr w = {.p = again, .left = sizeof(again)};
	struct rd r = {.p = p, .left = len};
	struct source_record s;
	struct source_data d;

	if (source_data_decode(&d, &r) != 0)
		return;
	source_data_encode(&d, &w);
	for (unsigned i = 0; i < d.n; i++) {
		if (source_record_decode(&s, &r) != 0)
			return;
		source_record_encode(&s, &w);
	}
	ASSERT(!w.bad && sizeof(again) - w.left == len);
	ASSERT(memcmp(again, p, len) == 0);
}

static void
try_core(const uint8_t *p, size_t len)
{
	const struct source_epoch mine = {{1}}, theirs = {{2}};
	void *memory = calloc(1, source_table_bytes(ENTRIES));
	struct source_link *link = calloc(source_table_slots(ENTRIES), sizeof(*link));
	struct source_core *c = calloc(1, sizeof(*c));
	uint8_t payload[SOURCE_PAYLOAD_MAX];
	struct source_table table;
	struct source_header h;
	mono_t now = {SEC_NS};
	size_t n;

	ASSERT(memory != NULL && link != NULL && c != NULL);
	source_table_open(&table, memory, ENTRIES);
	(void)source_table_claim(&table, 7);
	source_core_init(c, &table, link, ENTRIES, 60, 7);
	source_core_begin(c, &mine);
	source_core_add(c, 0);
	(void)source_core_greeted(c, now, 0, &theirs,
	    &(struct source_hello){.nonce = 1, .echo = c->peer[0].nonce});
	for (uint64_t number = 1; number < 4; number++) {
		ASSERT(source_core_heard(c, now, 0, number, p, len) != -EALREADY);
		ASSERT(source_core_check(c));
		source_core_served(c, now, 1000,
		    &(struct source_key){{number % 2, number}}, number, 0);
		while (source_core_next(c, now, 0, &h, payload, &n))
			ASSERT(n <= sizeof(payload));
		now = mono_add(now, 500 * MS_NS);
		source_core_tick(c, now);
	}
	ASSERT(source_core_check(c));
	free(c);
	free(link);
	free(memory);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	if (len == 0 || len > SOURCE_PAYLOAD_MAX)
		return 0;
	try_header(p, len);
	try_hello(p, len);
	try_data(p, len);
	try_core(p, len);
	return 0;
}
