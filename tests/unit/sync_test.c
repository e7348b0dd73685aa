/* SPDX-License-Identifier: Apache-2.0 */
/* What peers say, what the kernel says, and how it is sealed. */
#include <errno.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "sync/ct_wire.h"
#include "sync/sync_core.h"
#include "sync/sync_seal.h"

static void
turn(struct flow *f)
{
	memcpy(f->reply.src, f->orig.dst, 16);
	memcpy(f->reply.dst, f->orig.src, 16);
	f->reply.src_port = f->orig.dst_port;
	f->reply.dst_port = f->orig.src_port;
}

/* A web connection: 10.0.0.1:1234 -> 192.0.2.1:80. */
static struct flow
tcp4(void)
{
	struct flow f = {.family = AF_INET,
	    .proto = IPPROTO_TCP,
	    .has = FLOW_STATUS | FLOW_TIMEOUT | FLOW_TCP,
	    .status = FLOW_SEEN_REPLY | FLOW_ASSURED | FLOW_CONFIRMED,
	    .tcp_state = FLOW_TCP_ESTABLISHED,
	    .tcp_flags = {0x03, 0x01},
	    .tcp_wscale = {7, 10},
	    .timeout_s = 432000};

	memcpy(f.orig.src, (uint8_t[]){10, 0, 0, 1}, 4);
	memcpy(f.orig.dst, (uint8_t[]){192, 0, 2, 1}, 4);
	f.orig.src_port = 1234;
	f.orig.dst_port = 80;
	turn(&f);
	return f;
}

static struct flow
snat(void)
{
	struct flow f = tcp4();

	f.status |= FLOW_SRC_NAT;
	memcpy(f.reply.dst, (uint8_t[]){198, 51, 100, 1}, 4);
	f.reply.dst_port = 5555;
	return f;
}

static struct flow
dnat(void)
{
	struct flow f = tcp4();

	f.status |= FLOW_DST_NAT;
	memcpy(f.reply.src, (uint8_t[]){10, 0, 9, 9}, 4);
	f.reply.src_port = 8080;
	return f;
}

static struct flow
everything(void)
{
	struct flow f = snat();

	f.zone = 3;
	f.has = FLOW_HAS_ALL;
	f.status |= FLOW_ADJUSTED;
	f.mark = 0xdeadbeef;
	f.adjust[0] = (struct flow_adjust){1, 2, 3};
	f.adjust[1] = (struct flow_adjust){4, 5, 6};
	f.isn = 7;
	f.its = 8;
	f.ts_off = 9;
	return f;
}

static struct flow
udp6(void)
{
	struct flow f = {.family = AF_INET6,
	    .proto = IPPROTO_UDP,
	    .has = FLOW_STATUS | FLOW_TIMEOUT,
	    .status = FLOW_SEEN_REPLY | FLOW_CONFIRMED,
	    .timeout_s = 30};

	memset(f.orig.src, 0x20, 16);
	memset(f.orig.dst, 0x21, 16);
	f.orig.src_port = 1;
	f.orig.dst_port = 53;
	turn(&f);
	return f;
}

static struct flow
ping4(void)
{
	struct flow f = udp6();

	f.family = AF_INET;
	f.proto = IPPROTO_ICMP;
	memset(f.orig.src + 4, 0, 12);
	memset(f.orig.dst + 4, 0, 12);
	f.orig.src_port = 77; /* its identifier */
	f.orig.dst_port = 8 << 8;
	turn(&f);
	f.reply.src_port = 77;
	f.reply.dst_port = 0;
	return f;
}

static struct flow (*const row[])(void) = {tcp4, snat, dnat, everything, udp6, ping4};

/* ---- between hosts -------------------------------------------------------------- */

static void
test_records(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_LEN(row); i++) {
		const struct flow f = row[i / 2]();
		const bool gone = i % 2 == 1;
		uint8_t buf[SYNC_RECORD_MAX];
		struct wr w = {.p = buf, .left = sizeof(buf)};
		struct flow got;
		bool was_gone;
		size_t len;

		sync_record_encode(&f, gone, &w);
		assert_false(w.bad);
		len = (size_t)(w.p - buf);
		for (size_t cut = 0; cut <= len; cut++) {
			struct rd r = {.p = buf, .left = cut};

			assert_int_equal(sync_record_decode(&got, &was_gone, &r),
			    cut < len ? -EPROTO : 0);
		}
		assert_int_equal(was_gone, gone);
		assert_true(flow_same(&got, &f));
		if (!gone)
			assert_memory_equal(&got, &f, sizeof(f));
	}
}

static void
test_record_refusals(void **state)
{
	static const struct {
		size_t at;
		uint8_t to;
	} damage[] = {
	    {0, 0x21},	      /* gone, and still with a state */
	    {0, 0x00},	      /* TCP without a state */
	    {1, 0},	      /* no protocol */
	    {1, IPPROTO_UDP}, /* UDP with the state of TCP */
	    {14, 0x81},	      /* a status that is none of ours */
	};
	const struct flow f = tcp4();
	struct flow got;
	bool gone;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(damage); i++) {
		uint8_t buf[SYNC_RECORD_MAX] = {0};
		struct wr w = {.p = buf, .left = sizeof(buf)};
		struct rd r = {.p = buf, .left = sizeof(buf)};

		sync_record_encode(&f, false, &w);
		buf[damage[i].at] = damage[i].to;
		assert_int_equal(sync_record_decode(&got, &gone, &r), -EPROTO);
	}
}

static void
test_headers(void **state)
{
	const struct sync_header h = {.version = SYNC_VERSION,
	    .kind = SYNC_DATA,
	    .from = {{1, 2, 3}},
	    .seq = 1234567890123};
	uint8_t p[SYNC_HEADER_LEN + SYNC_TAG_LEN] = {0};
	struct sync_header got;

	(void)state;
	sync_header_encode(&h, p);
	assert_int_equal(sync_header_decode(&got, p, sizeof(p)), 0);
	assert_int_equal(got.seq, h.seq);
	assert_memory_equal(&got.from, &h.from, sizeof(h.from));
	for (size_t cut = 0; cut < sizeof(p); cut++)
		assert_int_equal(sync_header_decode(&got, p, cut), -EPROTO);
	p[4] = 2;
	assert_int_equal(sync_header_decode(&got, p, sizeof(p)), -EPROTONOSUPPORT);
	assert_int_equal(got.version, 2);
	p[4] = SYNC_VERSION;
	p[5] = 3;
	assert_int_equal(sync_header_decode(&got, p, sizeof(p)), -EPROTO);
	p[5] = SYNC_DATA;
	p[6] = 1;
	assert_int_equal(sync_header_decode(&got, p, sizeof(p)), -EPROTO);
	p[6] = 0;
	p[0] = 'x';
	assert_int_equal(sync_header_decode(&got, p, sizeof(p)), -EPROTO);
}

/* ---- seals ---------------------------------------------------------------------- */

static void
test_seals(void **state)
{
	const uint8_t secret[SEAL_SECRET_LEN] = {1}, other[SEAL_SECRET_LEN] = {2};
	const struct sync_epoch a = {{1}}, b = {{2}}, c = {{3}};
	struct seal *out = sync_seal_new(secret, "fw1", "fw2", &a, &b);
	struct seal *wrong[] = {
	    sync_seal_new(other, "fw1", "fw2", &a, &b),	   /* another secret */
	    sync_seal_new(secret, "fw2", "fw1", &a, &b),   /* the other direction */
	    sync_seal_new(secret, "fw1", "fw2", &a, &c),   /* an earlier life of ours */
	    sync_seal_new(secret, "fw1", "fw2", &c, &b),   /* one of theirs */
	    sync_seal_new(secret, "fw1", "fw2", &a, NULL), /* a greeting's */
	};
	struct seal *in = sync_seal_new(secret, "fw1", "fw2", &a, &b);
	const struct sync_header h = {
	    .version = SYNC_VERSION, .kind = SYNC_DATA, .from = a, .seq = 5};
	struct sync_header later = h;
	uint8_t text[] = "state", p[SYNC_DATAGRAM_MAX], got[SYNC_PAYLOAD_MAX];
	size_t n = SYNC_HEADER_LEN + sizeof(text) + SYNC_TAG_LEN, len;

	(void)state;
	assert_int_equal(sync_seal_close(out, &h, text, sizeof(text), p), 0);
	assert_int_equal(sync_seal_open(in, &h, p, n, got, &len), 0);
	assert_int_equal(len, sizeof(text));
	assert_memory_equal(got, text, len);
	for (size_t i = 0; i < n; i++) { /* header included */
		p[i] ^= 1;
		assert_int_equal(sync_seal_open(in, &h, p, n, got, &len), -EBADMSG);
		p[i] ^= 1;
		assert_int_equal(sync_seal_open(in, &h, p, i, got, &len), -EBADMSG);
	}
	later.seq++;
	assert_int_equal(sync_seal_open(in, &later, p, n, got, &len), -EBADMSG);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		assert_int_equal(
		    sync_seal_open(wrong[i], &h, p, n, got, &len), -EBADMSG);
		seal_free(wrong[i]);
	}
	assert_int_equal(sync_seal_open(in, &h, p, n, got, &len), 0);
	seal_free(in);
	seal_free(out);
}

/* ---- the kernel ----------------------------------------------------------------- */

static int
decode(const uint8_t *p, size_t len, struct flow *f, enum ct_kind *kind)
{
	struct rd r = {.p = p, .left = len};
	struct ct_message m;
	int result;

	if (!ct_next(&r, &m))
		return -EPROTO;
	return ct_decode(&m, kind, f, &result);
}

static void
test_kernel(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		const struct flow f = row[i]();
		uint8_t buf[CT_MESSAGE_MAX];
		struct wr w = {.p = buf, .left = sizeof(buf)};
		enum ct_kind kind;
		struct flow got;
		size_t len;

		ct_encode(&w, CT_CHANGE, &f, 1);
		assert_false(w.bad);
		len = (size_t)(w.p - buf);
		assert_int_equal(decode(buf, len, &got, &kind), 0);
		assert_int_equal(kind, CT_FLOW);
		assert_true(flow_same(&got, &f));
		assert_memory_equal(&got.reply, &f.reply, sizeof(f.reply));
		assert_int_equal(got.timeout_s, f.timeout_s);
		assert_int_equal(got.mark, f.mark);
		assert_int_equal(got.tcp_state, f.tcp_state);
		assert_memory_equal(got.adjust, f.adjust, sizeof(f.adjust));
		for (size_t cut = 0; cut < len; cut++)
			assert_int_equal(decode(buf, cut, &got, &kind), -EPROTO);
	}
}

/* The kernel translates itself when a flow is created, from the plain answer. */
static void
test_translation(void **state)
{
	const struct flow f = snat();
	uint8_t buf[CT_MESSAGE_MAX];
	struct wr w = {.p = buf, .left = sizeof(buf)};
	enum ct_kind kind;
	struct flow got;

	(void)state;
	ct_encode(&w, CT_CREATE, &f, 1);
	assert_int_equal(decode(buf, (size_t)(w.p - buf), &got, &kind), 0);
	assert_memory_equal(got.reply.dst, f.orig.src, 16);
	assert_int_equal(got.reply.dst_port, f.orig.src_port);
	assert_non_null(memmem(buf, sizeof(buf), f.reply.dst, 4));
}

static void
test_unknown(void **state)
{
	const struct flow f = tcp4();
	uint8_t buf[CT_MESSAGE_MAX], more[] = {8, 0, 200, 0, 1, 2, 3, 4};
	struct wr w = {.p = buf, .left = sizeof(buf)};
	enum ct_kind kind;
	struct flow got;
	uint32_t len;

	(void)state;
	ct_encode(&w, CT_CHANGE, &f, 1);
	wr_bytes(&w, more, sizeof(more));
	len = (uint32_t)(w.p - buf);
	memcpy(buf, &len, sizeof(len));
	assert_int_equal(decode(buf, len, &got, &kind), 0);
	assert_true(flow_same(&got, &f));
	buf[len - 8] = 3; /* shorter than itself */
	assert_int_equal(decode(buf, len, &got, &kind), -EPROTO);
	buf[len - 8] = 9; /* longer than the message */
	assert_int_equal(decode(buf, len, &got, &kind), -EPROTO);
}

static void
test_unfollowed(void **state)
{
	struct flow f = udp6(), got;
	uint8_t buf[CT_MESSAGE_MAX];
	struct wr w = {.p = buf, .left = sizeof(buf)};
	enum ct_kind kind;

	(void)state;
	f.proto = IPPROTO_SCTP;
	ct_encode(&w, CT_CHANGE, &f, 1);
	assert_int_equal(decode(buf, (size_t)(w.p - buf), &got, &kind), -ENOTSUP);
}

/* ---- two hosts ------------------------------------------------------------------ */

struct pair {
	struct sync s[2];
	void *memory[2];
	mono_t now;
};

static void
pair_open(struct pair *p)
{
	const struct sync_epoch epoch[2] = {{{1}}, {{2}}};

	p->now.ns = SEC_NS;
	for (unsigned i = 0; i < 2; i++) {
		const struct sync_hello hello = {.open = true, .echo = epoch[i]};

		p->memory[i] = calloc(1, sync_table_bytes(100));
		assert_non_null(p->memory[i]);
		sync_init(&p->s[i], p->memory[i], 100, &epoch[i], 1);
		sync_peer_add(&p->s[i], 0);
		sync_greeted(&p->s[i], p->now, 0, &epoch[1 - i], &hello);
	}
	sync_role(&p->s[0], p->now, true);
}

static void
pair_close(struct pair *p)
{
	free(p->memory[0]);
	free(p->memory[1]);
}

/* The next datagram with data of host 0. */
static size_t
next(struct pair *p, struct sync_header *h, uint8_t *payload)
{
	size_t len;

	do
		assert_true(sync_next(&p->s[0], p->now, 0, h, payload, &len));
	while (h->kind != SYNC_DATA);
	return len;
}

static void
test_replay(void **state)
{
	uint8_t old[SYNC_PAYLOAD_MAX], new[SYNC_PAYLOAD_MAX];
	const struct flow f = tcp4();
	struct sync_header first, second;
	struct flow told;
	enum ct_order order;
	struct pair p;
	size_t old_len, new_len;

	(void)state;
	pair_open(&p);
	sync_event(&p.s[0], p.now, false, &f);
	old_len = next(&p, &first, old);
	sync_event(&p.s[0], p.now, true, &f);
	new_len = next(&p, &second, new);
	assert_int_equal(sync_heard(&p.s[1], p.now, 0, second.seq, new, new_len), 0);
	assert_int_equal(
	    sync_heard(&p.s[1], p.now, 0, first.seq, old, old_len), -EALREADY);
	assert_int_equal(
	    sync_heard(&p.s[1], p.now, 0, second.seq, new, new_len), -EALREADY);
	assert_int_equal(sync_order(&p.s[1], &order, &told), 0);
	pair_close(&p);
}

static void
test_damage(void **state)
{
	uint8_t payload[SYNC_PAYLOAD_MAX];
	const struct flow f = tcp4();
	struct sync_header h;
	struct flow told;
	enum ct_order order;
	struct pair p;
	size_t len;

	(void)state;
	pair_open(&p);
	sync_event(&p.s[0], p.now, false, &f);
	len = next(&p, &h, payload);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(
		    sync_heard(&p.s[1], p.now, 0, h.seq, payload, cut), -EPROTO);
	assert_int_equal(
	    sync_heard(&p.s[1], p.now, 0, h.seq, payload, len + 1), -EPROTO);
	assert_int_equal(sync_order(&p.s[1], &order, &told), 0);
	assert_int_equal(sync_heard(&p.s[1], p.now, 0, h.seq, payload, len), 0);
	assert_int_not_equal(sync_order(&p.s[1], &order, &told), 0);
	assert_int_equal(order, CT_CREATE);
	assert_true(flow_same(&told, &f));
	pair_close(&p);
}

/* A greeting from an epoch that this peer had before is somebody else's. */
static void
test_retired(void **state)
{
	const struct sync_epoch mine = {{1}}, old = {{2}}, now = {{9}};
	const struct sync_hello hello = {.echo = mine};
	struct pair p;

	(void)state;
	pair_open(&p);
	sync_greeted(&p.s[0], p.now, 0, &now, &hello);
	assert_memory_equal(&p.s[0].peer[0].epoch, &now, sizeof(now));
	sync_greeted(&p.s[0], p.now, 0, &old, &hello);
	assert_memory_equal(&p.s[0].peer[0].epoch, &now, sizeof(now));
	pair_close(&p);
}

/* While a peer acts, what time removes here is put back; alone, it is not. */
static void
test_expiry(void **state)
{
	uint8_t payload[SYNC_PAYLOAD_MAX];
	const struct flow f = udp6();
	struct sync_header h;
	struct flow told;
	enum ct_order order;
	struct pair p;
	size_t len;

	(void)state;
	pair_open(&p);
	sync_event(&p.s[0], p.now, false, &f);
	len = next(&p, &h, payload);
	assert_int_equal(sync_heard(&p.s[1], p.now, 0, h.seq, payload, len), 0);
	assert_int_not_equal(sync_order(&p.s[1], &order, &told), 0);
	sync_event(&p.s[1], p.now, true, &f);
	assert_int_not_equal(sync_order(&p.s[1], &order, &told), 0);
	assert_int_equal(order, CT_CREATE);
	p.now = mono_add(p.now, 2 * SEC_NS);
	sync_tick(&p.s[1], p.now);
	assert_false(p.s[1].peer[0].open);
	sync_event(&p.s[1], p.now, true, &f);
	assert_int_equal(sync_order(&p.s[1], &order, &told), 0);
	assert_int_equal(p.s[1].table.live + p.s[1].table.dead, 0);
	pair_close(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_records),
	    cmocka_unit_test(test_record_refusals),
	    cmocka_unit_test(test_headers),
	    cmocka_unit_test(test_seals),
	    cmocka_unit_test(test_kernel),
	    cmocka_unit_test(test_translation),
	    cmocka_unit_test(test_unknown),
	    cmocka_unit_test(test_unfollowed),
	    cmocka_unit_test(test_replay),
	    cmocka_unit_test(test_damage),
	    cmocka_unit_test(test_retired),
	    cmocka_unit_test(test_expiry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
