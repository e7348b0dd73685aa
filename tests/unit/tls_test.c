/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of tickets that agree without talk; OpenSSL's large blocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <string.h>

#include "proxy/tls/tls_memory.h"
#include "proxy/tls/tls_ticket.h"

#define NOON INT64_C(1800000000) /* some time */

static EVP_PKEY *
make_key(void)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");

	assert_non_null(key);
	return key;
}

/* Seals at `then` with `a` and tells what `b` says of it at `now`. */
static int
pass(struct tls_tickets *a, int64_t then, struct tls_tickets *b, int64_t now)
{
	EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
	EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *mac = EVP_MAC_CTX_new(hmac);
	unsigned char name[TLS_TICKET_NAME], iv[EVP_MAX_IV_LENGTH];
	const struct tls_ticket_work work = {name, iv, cipher, mac};
	unsigned char text[16] = "fifteen letters", sealed[32], opened[32];
	int r, n, m;

	assert_int_equal(tls_tickets_seal(a, then, &work), 1);
	assert_int_equal(EVP_EncryptUpdate(cipher, sealed, &n, text, 16), 1);
	assert_int_equal(EVP_EncryptFinal_ex(cipher, sealed + n, &m), 1);
	r = tls_tickets_open(b, now, &work);
	if (r > 0) {
		assert_int_equal(EVP_DecryptUpdate(cipher, opened, &n, sealed, 32), 1);
		assert_int_equal(EVP_DecryptFinal_ex(cipher, opened + n, &m), 1);
		assert_memory_equal(opened, text, 16);
	}
	EVP_CIPHER_CTX_free(cipher);
	EVP_MAC_CTX_free(mac);
	EVP_MAC_free(hmac);
	return r;
}

static void
test_tickets(void **state)
{
	EVP_PKEY *key = make_key(), *stranger = make_key();
	struct tls_tickets here, there, other, changed;
	int64_t epoch = TLS_TICKET_EPOCH;

	(void)state;
	assert_int_equal(tls_tickets_init(&here, key, "", 0), 0);
	assert_int_equal(tls_tickets_init(&there, key, "", 0), 0);
	assert_int_equal(tls_tickets_init(&other, stranger, "", 0), 0);
	assert_int_equal(tls_tickets_init(&changed, key, "authority", 9), 0);
	assert_int_equal(pass(&here, NOON, &there, NOON), 1);
	assert_int_equal(
	    pass(&here, NOON, &there, NOON + epoch), 2); /* and a new one */
	assert_int_equal(pass(&here, NOON, &there, NOON + 2 * epoch), 0);
	assert_int_equal(
	    pass(&here, NOON, &there, NOON - epoch), 1); /* its clock is late */
	assert_int_equal(pass(&here, NOON, &there, NOON - 2 * epoch), 0);
	assert_int_equal(pass(&here, NOON, &other, NOON), 0);
	assert_int_equal(pass(&here, NOON, &changed, NOON), 0);
	tls_tickets_done(&here);
	tls_tickets_done(&there);
	tls_tickets_done(&other);
	tls_tickets_done(&changed);
	EVP_PKEY_free(key);
	EVP_PKEY_free(stranger);
}

static bool
all_are(const unsigned char *p, size_t n, unsigned char c)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] != c)
			return false;
	}
	return true;
}

/* From one kind of memory to the other and back, and more than a thread keeps. */
static void
test_memory(void **state)
{
	static const size_t sizes[] = {
	    10, 5000, 20000, 100000, 24576, 24577, 4096, 4095, 1};
	unsigned char *p = OPENSSL_malloc(1), *many[600];
	size_t had = 1;

	(void)state;
	assert_non_null(p);
	*p = 'a';
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		p = OPENSSL_realloc(p, sizes[i]);
		assert_non_null(p);
		assert_true(all_are(p, had < sizes[i] ? had : sizes[i], 'a'));
		memset(p, 'a', sizes[i]);
		had = sizes[i];
	}
	OPENSSL_free(p);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 600; i++) {
			many[i] = OPENSSL_malloc(17000);
			assert_non_null(many[i]);
			memset(many[i], (int)(i & 0xff), 17000);
		}
		for (unsigned i = 0; i < 600; i++) {
			assert_true(all_are(many[i], 17000, (unsigned char)(i & 0xff)));
			OPENSSL_free(many[i]);
		}
	}
	assert_null(OPENSSL_realloc(OPENSSL_malloc(5000), 0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_tickets),
	    cmocka_unit_test(test_memory),
	};

	tls_memory_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
