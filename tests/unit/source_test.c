/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_test.c - the table of sources under a writer and readers, its places, keys,
 * the ring, and what the core refuses. What it makes of news is source_sim's.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/sources/source_core.h"
#include "proxy/sources/source_map.h"

#define ENTRIES 1000
#define KEYS	64
#define ROUNDS	20000

static struct source_table
new_table(void **memory)
{
	struct source_table t;

	*memory = calloc(1, source_table_bytes(ENTRIES));
	assert_non_null(*memory);
	source_table_open(&t, *memory, ENTRIES);
	return t;
}

static struct source_key
key_of(uint64_t i)
{
	return (struct source_key){{i % 4, i}};
}

static void
put(struct source_table *t, uint64_t i, uint64_t server)
{
	struct source_key key = key_of(i);
	uint32_t at = source_table_seek(t, &key);

	if (at == SOURCE_NOWHERE)
		at = source_table_place(t, &key);
	source_table_put(t, at,
	    &(struct source_entry){
		.key = key, .server = server, .version = server, .used_s = 1});
}

/* ---- the table ------------------------------------------------------------------ */

static void
test_life(void **state)
{
	struct source_entry e = {.server = 99};
	struct source_key key = key_of(5);
	struct source_table t, again;
	void *memory;

	(void)state;
	t = new_table(&memory);
	assert_false(source_table_find(&t, &key, &e)); /* nobody has claimed it */
	assert_false(source_table_claim(&t, 7));
	put(&t, 5, 3);
	assert_true(source_table_find(&t, &key, &e));
	assert_int_equal(e.server, 3);
	source_table_open(&again, memory, ENTRIES); /* the next process */
	assert_true(source_table_claim(&again, 8));
	assert_true(source_table_find(&again, &key, &e));
	/* One that died in the middle of writing. */
	atomic_store(&t.slot[source_table_seek(&t, &key)].turn, 77);
	assert_false(source_table_find(&t, &key, &e));
	assert_int_equal(e.server, 3); /* untouched */
	assert_true(source_table_claim(&again, 8));
	assert_false(source_table_find(&t, &key, &e));
	put(&t, 5, 4);
	assert_true(source_table_find(&t, &key, &e));
	/* Another layout. */
	atomic_store(&t.head->layout, 1);
	assert_false(source_table_find(&t, &key, &e));
	assert_false(source_table_claim(&again, 8));
	assert_false(source_table_find(&t, &key, &e));
	free(memory);
}

/* So many find a place without driving anybody out. */
static void
test_places(void **state)
{
	struct source_table t;
	struct source_entry e;
	void *memory;
	unsigned n = 0;

	(void)state;
	t = new_table(&memory);
	(void)source_table_claim(&t, 7);
	for (uint64_t i = 0; i < ENTRIES; i++)
		put(&t, i, i + 1);
	for (uint64_t i = 0; i < ENTRIES; i++) {
		struct source_key key = key_of(i);

		n += source_table_find(&t, &key, &e) && e.server == i + 1;
	}
	assert_int_equal(n, ENTRIES);
	free(memory);
}

struct race {
	struct source_table table;
	atomic_bool over;
	atomic_uint wrong, seen;
};

static void *
read_on(void *arg)
{
	struct race *r = arg;
	struct source_entry e;

	for (uint64_t i = 0; !atomic_load(&r->over); i = (i + 1) % KEYS) {
		struct source_key key = key_of(i);

		if (!source_table_find(&r->table, &key, &e))
			continue;
		(void)atomic_fetch_add(&r->seen, 1);
		/* Whatever was written belongs together. */
		if (e.server != e.version || e.server % KEYS != i || e.key.half[1] != i)
			(void)atomic_fetch_add(&r->wrong, 1);
	}
	return NULL;
}

static void
test_race(void **state)
{
	struct race r = {.wrong = 0};
	pthread_t reader[2];
	void *memory;

	(void)state;
	r.table = new_table(&memory);
	(void)source_table_claim(&r.table, 7);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&reader[i], NULL, read_on, &r), 0);
	/* Slots change hands all the time. */
	for (uint64_t i = 0; i < ROUNDS || atomic_load(&r.seen) == 0; i++) {
		struct source_key key = key_of(rng_mix(i) % KEYS);
		uint32_t at = source_table_seek(&r.table, &key);

		if (at != SOURCE_NOWHERE && i % 3 == 0)
			source_table_clear(&r.table, at);
		else
			put(&r.table, key.half[1], (i % 1000 + 1) * KEYS + key.half[1]);
	}
	atomic_store(&r.over, true);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(pthread_join(reader[i], NULL), 0);
	assert_int_equal(atomic_load(&r.wrong), 0);
	free(memory);
}

/* ---- keys, maps and the ring ---------------------------------------------------- */

static void
test_keys(void **state)
{
	static const struct {
		const char *a, *b;
		unsigned prefix;
		bool same;
	} rows[] = {
	    {"192.0.2.1", "192.0.2.1", 64, true},
	    {"192.0.2.1", "192.0.2.2", 64, false},
	    {"192.0.2.1", "::ffff:192.0.2.1", 64, true},
	    {"::ffff:192.0.2.1", "::ffff:192.0.2.2", 64, false},
	    {"2001:db8::1", "2001:db8::2", 64, true},
	    {"2001:db8::1", "2001:db8:0:1::1", 64, false},
	    {"2001:db8:0:1::", "2001:db8:0:2::", 56, true},
	    {"2001:db8:0:100::", "2001:db8:0:200::", 56, false},
	    {"2001:db8::1:0", "2001:db8::1:1", 112, true},
	    {"2001:db8::1:0", "2001:db8::2:0", 112, false},
	    {"2001:db8::1", "2001:db8::2", 128, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct source_map m = {.prefix6 = rows[i].prefix};
		struct source_key a, b;
		struct ip ip;

		assert_int_equal(ip_parse(&ip, rows[i].a), 0);
		a = source_key_of(&m, &ip);
		assert_int_equal(ip_parse(&ip, rows[i].b), 0);
		b = source_key_of(&m, &ip);
		if ((memcmp(&a, &b, sizeof(a)) == 0) != rows[i].same)
			fail_msg("%s and %s", rows[i].a, rows[i].b);
	}
}

static void
test_map(void **state)
{
	const struct source_conf conf = {
	    .size = ENTRIES, .expire_ns = 800 * SEC_NS, .prefix6 = 64};
	int fd = memfd_create("test", MFD_CLOEXEC);
	struct source_key key = key_of(1);
	struct source_map *m;
	bool renew;

	(void)state;
	assert_int_equal(ftruncate(fd, (off_t)source_table_bytes(ENTRIES)), 0);
	m = source_map_new(fd, &conf, 4);
	assert_non_null(m);
	(void)close(fd);
	(void)source_table_claim(&m->table, 7);
	assert_int_equal(source_map_find(m, &key, 1, &renew), 0);
	assert_true(renew);
	put(&m->table, 1, 5);					  /* at second 1 */
	assert_int_equal(source_map_find(m, &key, 0, &renew), 5); /* a late clock */
	assert_false(renew);
	assert_int_equal(source_map_find(m, &key, 101, &renew), 5);
	assert_false(renew);
	assert_int_equal(source_map_find(m, &key, 102, &renew), 5);
	assert_true(renew);
	assert_int_equal(source_map_find(m, &key, 801, &renew), 5);
	assert_int_equal(source_map_find(m, &key, 802, &renew), 0);
	source_map_unref(source_map_ref(m));
	source_map_unref(m);
}

static void *
put_news(void *arg)
{
	struct source_ring *r = arg;

	for (uint64_t i = 1; i <= ROUNDS;) {
		uint32_t head = atomic_load(&r->head);
		const struct source_news news = {.server = i, .saw = ~i};

		(void)!source_ring_put(r, &news);
		i += atomic_load(&r->head) != head; /* full: again */
	}
	return NULL;
}

static void
test_ring(void **state)
{
	struct source_ring *r = source_ring_new();
	struct source_news news;
	pthread_t writer;
	uint64_t next = 1;

	(void)state;
	assert_non_null(r);
	assert_false(source_ring_told(r));
	assert_int_equal(pthread_create(&writer, NULL, put_news, r), 0);
	while (next <= ROUNDS) {
		/* What is put after this is told again. */
		if (!source_ring_open(r))
			continue;
		while (source_ring_get(r, &news)) {
			assert_int_equal(news.server, next);
			assert_int_equal(news.saw, ~next);
			next++;
		}
	}
	assert_int_equal(pthread_join(writer, NULL), 0);
	(void)source_ring_open(r);
	for (uint64_t i = 0; i < SOURCE_RING; i++) /* the first is told */
		assert_true(source_ring_put(r, &news) == (i == 0));
	assert_false(source_ring_put(r, &news));
	assert_true(atomic_load(&r->dropped) > 0);
	source_ring_free(r);
}

/* ---- the core ------------------------------------------------------------------- */

static void
test_refusals(void **state)
{
	const struct source_epoch mine = {{1}}, theirs = {{2}};
	struct source_link *link = calloc(source_table_slots(ENTRIES), sizeof(*link));
	struct source_core *c = calloc(1, sizeof(*c));
	uint8_t payload[SOURCE_PAYLOAD_MAX];
	struct wr w = {.p = payload, .left = sizeof(payload)};
	struct source_table t;
	mono_t now = {SEC_NS};
	void *memory;
	size_t len;

	(void)state;
	assert_true(link != NULL && c != NULL);
	t = new_table(&memory);
	(void)source_table_claim(&t, 7);
	source_core_init(c, &t, link, ENTRIES, 60, 7);
	source_core_begin(c, &mine);
	source_core_add(c, 0);
	source_data_encode(&(struct source_data){.upto = 1, .n = 1}, &w);
	source_record_encode(
	    &(struct source_record){.key = key_of(1), .server = 3, .version = 9}, &w);
	len = sizeof(payload) - w.left;
	/* Nobody we know; then an old word of his; then himself. */
	assert_int_equal(source_core_heard(c, now, 0, 1, payload, len), -EALREADY);
	assert_false(source_core_greeted(
	    c, now, 0, &theirs, &(struct source_hello){.nonce = 1, .echo = 1}));
	assert_int_equal(source_core_heard(c, now, 0, 1, payload, len), -EALREADY);
	assert_true(source_core_greeted(c, now, 0, &theirs,
	    &(struct source_hello){.nonce = 1, .echo = c->peer[0].nonce}));
	assert_int_equal(source_core_heard(c, now, 0, 1, payload, len), 0);
	assert_int_equal(c->n, 1);
	assert_int_equal(source_core_heard(c, now, 0, 1, payload, len), -EALREADY);
	assert_int_equal(source_core_heard(c, now, 0, 2, payload, len - 1), -EPROTO);
	assert_true(source_core_check(c));
	free(c);
	free(link);
	free(memory);
}

/* Of a full table the oldest goes, and hardly anybody else. */
static void
test_full(void **state)
{
	struct source_link *link = calloc(source_table_slots(ENTRIES), sizeof(*link));
	struct source_core *c = calloc(1, sizeof(*c));
	struct source_table t;
	struct source_entry e;
	unsigned missing = 0;
	void *memory;

	(void)state;
	assert_true(link != NULL && c != NULL);
	t = new_table(&memory);
	(void)source_table_claim(&t, 7);
	source_core_init(c, &t, link, ENTRIES, 60, 7);
	for (uint64_t i = 1; i <= ROUNDS; i++) {
		struct source_key key = key_of(i);

		source_core_served(c, (mono_t){SEC_NS}, i, &key, 3, 0);
	}
	assert_true(source_core_check(c));
	for (uint64_t i = ROUNDS - ENTRIES + 1; i <= ROUNDS; i++) {
		struct source_key key = key_of(i);

		missing += !source_table_find(&t, &key, &e);
	}
	assert_in_range(missing, 0, 2);
	free(c);
	free(link);
	free(memory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_life),
	    cmocka_unit_test(test_places),
	    cmocka_unit_test(test_race),
	    cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_map),
	    cmocka_unit_test(test_ring),
	    cmocka_unit_test(test_refusals),
	    cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
