/* SPDX-License-Identifier: Apache-2.0 */
#include "os/seal.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/wire.h"

enum { KEY_LEN = 32, NONCE_LEN = 12 };

struct seal {
	EVP_CIPHER_CTX *ctx;
	enum seal_cipher cipher;
	bool sealing; /* what the context is set up for */
	bool ready;
	uint8_t key[KEY_LEN];
};

static int
derive(uint8_t key[static KEY_LEN], const uint8_t *secret, const uint8_t *salt,
    size_t salt_len, const char *info)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL;
	union {
		const void *in;
		void *param; /* OpenSSL's type is for both directions */
	} s = {.in = secret}, t = {.in = salt}, i = {.in = info};
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
	    OSSL_PARAM_construct_octet_string(
		OSSL_KDF_PARAM_KEY, s.param, SEAL_SECRET_LEN),
	    OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, t.param, salt_len),
	    OSSL_PARAM_construct_octet_string(
		OSSL_KDF_PARAM_INFO, i.param, strlen(info)),
	    OSSL_PARAM_construct_end(),
	};
	int ok = ctx != NULL && EVP_KDF_derive(ctx, key, KEY_LEN, params) == 1;

	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return ok ? 0 : -EIO;
}

struct seal *
seal_new(enum seal_cipher cipher, const uint8_t secret[static SEAL_SECRET_LEN],
    const uint8_t *salt, size_t salt_len, const char *info)
{
	struct seal *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->cipher = cipher;
	s->ctx = EVP_CIPHER_CTX_new();
	if (s->ctx == NULL || derive(s->key, secret, salt, salt_len, info) != 0) {
		seal_free(s);
		return NULL;
	}
	return s;
}

void
seal_free(struct seal *s)
{
	if (s == NULL)
		return;
	EVP_CIPHER_CTX_free(s->ctx);
	OPENSSL_cleanse(s->key, sizeof(s->key));
	free(s);
}

static const EVP_CIPHER *
algorithm(const struct seal *s)
{
	return s->cipher == SEAL_AES_256_GCM ? EVP_aes_256_gcm()
					     : EVP_chacha20_poly1305();
}

/* The key schedule is worked out once: later calls give the nonce only. */
static bool
set_up(struct seal *s, uint64_t number, bool sealing)
{
	const bool first = !s->ready || s->sealing != sealing;
	uint8_t nonce[NONCE_LEN] = {0};
	struct wr w = {.p = nonce + 4, .left = 8};

	wr_u64(&w, number);
	s->ready = true;
	s->sealing = sealing;
	return EVP_CipherInit_ex(s->ctx, first ? algorithm(s) : NULL, NULL,
		   first ? s->key : NULL, nonce, sealing) == 1;
}

int
seal_close(struct seal *s, uint64_t number, uint8_t *datagram, size_t head,
    const uint8_t *payload, size_t len)
{
	uint8_t *body = datagram + head;
	int n, last;

	if (!set_up(s, number, true) ||
	    EVP_CipherUpdate(s->ctx, NULL, &n, datagram, (int)head) != 1 ||
	    EVP_CipherUpdate(s->ctx, body, &n, payload, (int)len) != 1 ||
	    EVP_CipherFinal_ex(s->ctx, body + n, &last) != 1 ||
	    EVP_CIPHER_CTX_ctrl(
		s->ctx, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG_LEN, body + len) != 1)
		return -EIO;
	return 0;
}

int
seal_open(struct seal *s, uint64_t number, const uint8_t *datagram, size_t n,
    size_t head, uint8_t *payload)
{
	const uint8_t *body = datagram + head;
	uint8_t tag[SEAL_TAG_LEN], rest[SEAL_TAG_LEN];
	int got, last;

	if (n < head + SEAL_TAG_LEN)
		return -EBADMSG;
	n -= head + SEAL_TAG_LEN;
	memcpy(tag, body + n, sizeof(tag));
	if (!set_up(s, number, false) ||
	    EVP_CipherUpdate(s->ctx, NULL, &got, datagram, (int)head) != 1 ||
	    EVP_CipherUpdate(s->ctx, payload, &got, body, (int)n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(s->ctx, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG_LEN, tag) !=
		1 ||
	    EVP_CipherFinal_ex(s->ctx, rest, &last) != 1)
		return -EBADMSG;
	return 0;
}

bool
seal_secret_parse(const char *text, size_t n, uint8_t secret[static SEAL_SECRET_LEN])
{
	uint8_t got[SEAL_SECRET_LEN];

	if (n == SEAL_SECRET_LEN) {
		memcpy(secret, text, n);
		return true;
	}
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		n--;
	if (n != (size_t)2 * SEAL_SECRET_LEN)
		return false;
	if (!hex_bytes(text, got, SEAL_SECRET_LEN))
		return false;
	memcpy(secret, got, sizeof(got));
	return true;
}
