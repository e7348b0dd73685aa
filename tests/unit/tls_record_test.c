/* SPDX-License-Identifier: Apache-2.0 */
/* The record layer of TLS 1.3: the traces of RFC 8448, what peers may say, keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/tls/tls_cipher.h"

#define AES128 0x1301
#define AES256 0x1302
#define CHACHA 0x1303

static struct tls_ciphers *
make_ciphers(void)
{
	struct tls_ciphers *c = NULL;

	assert_int_equal(tls_ciphers_new(&c), 0);
	return c;
}

static size_t
unhex(const char *text, uint8_t *out)
{
	size_t n = 0;

	for (; text[0] != '\0'; text += 2, n++) {
		const char byte[] = {text[0], text[1], '\0'};

		out[n] = (uint8_t)strtoul(byte, NULL, 16);
	}
	return n;
}

static void
seal_bytes(struct tls_ciphers *c, struct tls_key *k, enum tls_content type,
    const void *p, size_t len, uint8_t *out)
{
	const struct iovec v = {(void *)(uintptr_t)p, len};
	struct tls_pieces from = {.iov = &v, .n = 1};

	assert_int_equal(tls_seal(c, k, type, &from, len, out), 0);
}

/* RFC 8448 section 3: what both sides say behind the handshake. */
static const struct trace {
	const char *secret, *key, *iv, *data, *alert;
	uint64_t seq; /* of the data: the server has sent a ticket before */
} traces[] = {
    {.secret = "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5",
	.key = "17422dda596ed5d9acd890e3c63f5051",
	.iv = "5b78923dee08579033e523d9",
	.data = "1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819"
		"a8a5b46b395bd54a9a20441e2b62974e1f5a6292a2977014bd1e3deae63aeebb216949"
		"15e4",
	.alert = "1703030013c9872760655666b74d7ff1153efd6db6d0b0e3"},
    {.secret = "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643",
	.key = "9f02283b6c9c07efc26bb9f2ac92e356",
	.iv = "cf782b88dd83549aadf1e984",
	.data = "17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efa"
		"f97d90e6dffc602dcb501a59a8fcc49c4bf2e5f0a21c0047c2abf332540dd032e167c2"
		"955d",
	.alert = "1703030013b58fd67166ebf599d24720cfbe7efa7a8864a9",
	.seq = 1}};

static void
test_rfc8448(void **state)
{
	static const uint8_t goodbye[2] = {1, 0};
	struct tls_ciphers *c = make_ciphers();
	uint8_t said[50];

	(void)state;
	for (size_t i = 0; i < sizeof(said); i++)
		said[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(traces) / sizeof(traces[0]); i++) {
		const struct trace *t = &traces[i];
		uint8_t secret[32], wire[128], sealed[128], open[128], type;
		size_t len, n = unhex(t->data, wire);
		struct tls_key out, in;

		(void)unhex(t->secret, secret);
		assert_int_equal(
		    tls_key_init(c, &out, tls_suite_find(AES128), secret), 0);
		assert_int_equal(
		    tls_key_init(c, &in, tls_suite_find(AES128), secret), 0);
		assert_int_equal(unhex(t->key, sealed), 16);
		assert_memory_equal(out.key, sealed, 16);
		assert_int_equal(unhex(t->iv, sealed), 12);
		assert_memory_equal(out.iv, sealed, 12);
		out.seq = in.seq = t->seq;

		seal_bytes(c, &out, TLS_DATA, said, sizeof(said), sealed);
		assert_int_equal(n, sizeof(said) + TLS_RECORD_EXTRA);
		assert_memory_equal(sealed, wire, n);
		assert_int_equal(tls_record_length(wire, n, &len), 0);
		assert_int_equal(len, n);
		assert_int_equal(tls_open(c, &in, wire, n, open), sizeof(said) + 1);
		tls_key_took(&in);
		assert_int_equal(
		    tls_record_inner(open, sizeof(said) + 1, &len, &type), 0);
		assert_int_equal(type, TLS_DATA);
		assert_int_equal(len, sizeof(said));
		assert_memory_equal(open, said, len);

		n = unhex(t->alert, wire);
		seal_bytes(c, &out, TLS_ALERT, goodbye, sizeof(goodbye), sealed);
		assert_memory_equal(sealed, wire, n);
		assert_int_equal(tls_open(c, &in, wire, n, open), sizeof(goodbye) + 1);
		tls_key_done(c, &out);
		tls_key_done(c, &in);
	}
	tls_ciphers_free(c);
}

/* Any length, in any pieces, with every suite, over updates of keys; each byte of a
 * record counts, and so does its number. */
static void
test_suites(void **state)
{
	static const uint16_t ids[] = {AES128, AES256, CHACHA};
	static const size_t lens[] = {0, 1, 15, 16, 2047, 2048, 2049, 9000, 16384};
	struct tls_ciphers *c = make_ciphers();
	static uint8_t plain[16384], wire[TLS_RECORD_WIRE], open[TLS_RECORD_WIRE];
	uint8_t secret[TLS_SECRET_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (uint8_t)(i * 7 + (i >> 8));
	memset(secret, 9, sizeof(secret));
	for (size_t s = 0; s < sizeof(ids) / sizeof(ids[0]); s++) {
		struct tls_key out, in;
		const struct tls_suite *suite = tls_suite_find(ids[s]);

		assert_int_equal(tls_key_init(c, &out, suite, secret), 0);
		assert_int_equal(tls_key_init(c, &in, suite, secret), 0);
		for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
			size_t len = lens[i], cut = len / 3, n, inner;
			const struct iovec v[] = {
			    {plain, cut}, {plain, 0}, {plain + cut, len - cut}};
			struct tls_pieces from = {.iov = v, .n = 3};
			uint8_t type;

			assert_int_equal(
			    tls_seal(c, &out, TLS_DATA, &from, len, wire), 0);
			assert_int_equal(tls_record_length(wire, sizeof(wire), &n), 0);
			assert_int_equal(n, len + TLS_RECORD_EXTRA);
			/* A forged one changes nothing of the good one's fate. */
			for (size_t at = 0; at < n; at += n / 5 + 1) {
				wire[at] ^= 1;
				assert_int_equal(
				    tls_open(c, &in, wire, n, open), -EBADMSG);
				wire[at] ^= 1;
			}
			assert_int_equal(tls_open(c, &in, wire, n, open), len + 1);
			tls_key_took(&in);
			assert_int_equal(
			    tls_record_inner(open, len + 1, &inner, &type), 0);
			assert_int_equal(inner, len);
			assert_memory_equal(open, plain, len);
			assert_int_equal(tls_open(c, &in, wire, n, open), -EBADMSG);
			if (i % 3 == 0) {
				assert_int_equal(tls_key_update(c, &out), 0);
				assert_int_equal(tls_key_update(c, &in), 0);
				assert_int_equal(out.seq, 0);
			}
		}
		tls_key_done(c, &out);
		tls_key_done(c, &in);
	}
	assert_null(tls_suite_find(0x1304)); /* AES-CCM: OpenSSL's */
	assert_null(tls_suite_find(0xc02f));
	tls_ciphers_free(c);
}

/* More connections than engines: whoever lost his gets another. */
static void
test_many(void **state)
{
	enum { MANY = 700 };
	struct tls_ciphers *c = make_ciphers();
	struct tls_key *out = calloc(MANY, sizeof(*out)),
		       *in = calloc(MANY, sizeof(*in));
	uint8_t secret[TLS_SECRET_MAX] = {0}, wire[64], open[64];

	(void)state;
	assert_true(out != NULL && in != NULL);
	for (size_t i = 0; i < MANY; i++) {
		const struct tls_suite *s = tls_suite_find((uint16_t)(AES128 + i % 3));

		secret[0] = (uint8_t)i;
		secret[1] = (uint8_t)(i >> 8);
		assert_int_equal(tls_key_init(c, &out[i], s, secret), 0);
		assert_int_equal(tls_key_init(c, &in[i], s, secret), 0);
	}
	for (size_t round = 0; round < 3; round++) {
		for (size_t k = 0; k < MANY; k++) {
			size_t i = k * 31 % MANY;

			seal_bytes(c, &out[i], TLS_DATA, &i, sizeof(i), wire);
			assert_int_equal(tls_open(c, &in[i], wire,
					     sizeof(i) + TLS_RECORD_EXTRA, open),
			    sizeof(i) + 1);
			tls_key_took(&in[i]);
			assert_memory_equal(open, &i, sizeof(i));
		}
	}
	for (size_t i = 0; i < MANY; i++) {
		tls_key_done(c, &out[i]);
		tls_key_done(c, &in[i]);
		assert_int_equal(out[i].secret[0] | out[i].key[0] | out[i].iv[0], 0);
	}
	free(out);
	free(in);
	tls_ciphers_free(c);
}

static void
test_headers(void **state)
{
	static const struct {
		uint8_t bytes[5];
		size_t n, len;
		enum tls_alert alert;
	} row[] = {
	    {{23, 3, 3, 0, 17}, 5, 22, 0},
	    {{23, 9, 9, 0, 17}, 5, 22, 0}, /* the version says nothing */
	    {{23, 3, 3, 0, 17}, 4, 0, 0},
	    {{0}, 0, 0, 0},
	    {{23, 3, 3, 0x41, 0}, 5, 16645, 0},
	    {{23, 3, 3, 0x41, 1}, 5, 0, TLS_RECORD_OVERFLOW},
	    {{23, 3, 3, 0xff, 0xff}, 5, 0, TLS_RECORD_OVERFLOW},
	    {{23, 3, 3, 0, 16}, 5, 0, TLS_BAD_RECORD_MAC},
	    {{23, 3, 3, 0, 0}, 5, 0, TLS_BAD_RECORD_MAC},
	    {{21, 3, 3, 0, 2}, 5, 0, TLS_UNEXPECTED_MESSAGE},
	    {{20, 3, 3, 0, 1}, 1, 0, TLS_UNEXPECTED_MESSAGE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		size_t len = 1;

		assert_int_equal(
		    tls_record_length(row[i].bytes, row[i].n, &len), row[i].alert);
		assert_int_equal(len, row[i].len);
	}
}

static void
test_inner(void **state)
{
	static uint8_t p[TLS_RECORD_DATA + 2] = {'a', 'b', TLS_DATA};
	size_t len;
	uint8_t type;

	(void)state;
	for (size_t n = 3; n <= TLS_RECORD_DATA + 1; n += 4095) {
		assert_int_equal(tls_record_inner(p, n, &len, &type), 0);
		assert_int_equal(len, 2);
		assert_int_equal(type, TLS_DATA);
	}
	assert_int_equal(
	    tls_record_inner(p, TLS_RECORD_DATA + 2, &len, &type), TLS_RECORD_OVERFLOW);
	assert_int_equal(
	    tls_record_inner(p + 3, 100, &len, &type), TLS_UNEXPECTED_MESSAGE);
	assert_int_equal(tls_record_inner(p + 2, 1, &len, &type), 0);
	assert_int_equal(len, 0);
}

/* What is heard of records, one after the other. */
static const struct heard {
	const char *name;
	struct {
		uint8_t type;
		const char *bytes;
		size_t n;
		enum tls_heard heard;
		enum tls_alert alert;
	} record[4];
} conversations[] = {
    {"data", {{TLS_DATA, "x", 1, TLS_HEARD_DATA, 0}}},
    {"nothing", {{TLS_DATA, "", 0, TLS_HEARD_NOTHING, 0}}},
    {"the end", {{TLS_ALERT, "\1\0", 2, TLS_HEARD_END, 0}}},
    {"the level says nothing", {{TLS_ALERT, "\2\0", 2, TLS_HEARD_END, 0}}},
    {"canceled", {{TLS_ALERT, "\1\132", 2, TLS_HEARD_NOTHING, 0},
		     {TLS_ALERT, "\1\0", 2, TLS_HEARD_END, 0}}},
    {"failure", {{TLS_ALERT, "\1\50", 2, TLS_HEARD_FAILED, 0}}},
    {"half an alert", {{TLS_ALERT, "\1", 1, TLS_HEARD_WRONG, TLS_DECODE_ERROR}}},
    {"two alerts", {{TLS_ALERT, "\1\0\1\0", 4, TLS_HEARD_WRONG, TLS_DECODE_ERROR}}},
    {"update", {{TLS_HANDSHAKE, "\30\0\0\1\0", 5, TLS_HEARD_UPDATE, 0},
		   {TLS_HANDSHAKE, "\30\0\0\1\1", 5, TLS_HEARD_ASKED, 0}}},
    {"update in pieces", {{TLS_HANDSHAKE, "\30\0", 2, TLS_HEARD_NOTHING, 0},
			     {TLS_HANDSHAKE, "\0", 1, TLS_HEARD_NOTHING, 0},
			     {TLS_HANDSHAKE, "\1\1", 2, TLS_HEARD_ASKED, 0},
			     {TLS_DATA, "x", 1, TLS_HEARD_DATA, 0}}},
    {"data within", {{TLS_HANDSHAKE, "\30", 1, TLS_HEARD_NOTHING, 0},
			{TLS_DATA, "x", 1, TLS_HEARD_WRONG, TLS_UNEXPECTED_MESSAGE}}},
    {"two updates", {{TLS_HANDSHAKE, "\30\0\0\1\0\30\0\0\1\0", 10, TLS_HEARD_WRONG,
			TLS_UNEXPECTED_MESSAGE}}},
    {"no such answer",
	{{TLS_HANDSHAKE, "\30\0\0\1\2", 5, TLS_HEARD_WRONG, TLS_ILLEGAL_PARAMETER}}},
    {"too long",
	{{TLS_HANDSHAKE, "\30\0\0\2\0\0", 6, TLS_HEARD_WRONG, TLS_DECODE_ERROR}}},
    {"far too long", {{TLS_HANDSHAKE, "\30\1", 2, TLS_HEARD_WRONG, TLS_DECODE_ERROR}}},
    {"a hello",
	{{TLS_HANDSHAKE, "\1\0\0\1\0", 5, TLS_HEARD_WRONG, TLS_UNEXPECTED_MESSAGE}}},
    {"a certificate",
	{{TLS_HANDSHAKE, "\13", 1, TLS_HEARD_WRONG, TLS_UNEXPECTED_MESSAGE}}},
    {"an empty message",
	{{TLS_HANDSHAKE, "", 0, TLS_HEARD_WRONG, TLS_UNEXPECTED_MESSAGE}}},
    {"change of ciphers", {{20, "\1", 1, TLS_HEARD_WRONG, TLS_UNEXPECTED_MESSAGE}}},
    {"heartbeat", {{24, "\1", 1, TLS_HEARD_WRONG, TLS_UNEXPECTED_MESSAGE}}},
};

static void
test_hearing(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(conversations) / sizeof(conversations[0]); i++) {
		const struct heard *row = &conversations[i];
		struct tls_hearing h = {0};

		for (size_t k = 0; k < 4 && row->record[k].bytes != NULL; k++) {
			enum tls_alert alert = 0;
			enum tls_heard got = tls_record_hear(&h, row->record[k].type,
			    (const uint8_t *)row->record[k].bytes, row->record[k].n,
			    &alert);

			if (got != row->record[k].heard ||
			    alert != row->record[k].alert)
				fail_msg("%s: record %zu: %d, alert %d", row->name, k,
				    (int)got, (int)alert);
		}
	}
}

/* Records that cost us something and say nothing are limited, unless data come. */
static void
test_flood(void **state)
{
	struct tls_hearing h = {0};
	const uint8_t update[] = {24, 0, 0, 1, 1};
	enum tls_alert alert = 0;

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < TLS_RECORD_IDLE_MAX; i++)
			assert_int_equal(tls_record_hear(&h, TLS_HANDSHAKE, update,
					     sizeof(update), &alert),
			    TLS_HEARD_ASKED);
		assert_int_equal(
		    tls_record_hear(&h, TLS_DATA, update, 1, &alert), TLS_HEARD_DATA);
	}
	for (int i = 0; i < TLS_RECORD_IDLE_MAX; i++)
		assert_int_equal(tls_record_hear(&h, TLS_DATA, update, 0, &alert),
		    TLS_HEARD_NOTHING);
	assert_int_equal(
	    tls_record_hear(&h, TLS_DATA, update, 0, &alert), TLS_HEARD_WRONG);
	assert_int_equal(alert, TLS_UNEXPECTED_MESSAGE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rfc8448),
	    cmocka_unit_test(test_suites),
	    cmocka_unit_test(test_many),
	    cmocka_unit_test(test_headers),
	    cmocka_unit_test(test_inner),
	    cmocka_unit_test(test_hearing),
	    cmocka_unit_test(test_flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
