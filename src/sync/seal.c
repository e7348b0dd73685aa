/* SPDX-License-Identifier: Apache-2.0 */
#include "sync/seal.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <stdio.h>
#include <stdlib.h>

enum { KEY_LEN = 32, NONCE_LEN = 12, INFO_MAX = 192 };

struct seal {
	EVP_CIPHER_CTX *ctx;
	bool sealing; /* what the context is set up for */
	bool ready;
	uint8_t key[KEY_LEN];
};

static int
derive(uint8_t key[static KEY_LEN], const uint8_t *secret, const uint8_t *salt,
    size_t salt_len, char *info)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL;
	union {
		const uint8_t *in;
		void *param; /* OpenSSL's type is for both directions */
	} s = {.in = secret}, t = {.in = salt};
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
	    OSSL_PARAM_construct_octet_string(
		OSSL_KDF_PARAM_KEY, s.param, SEAL_SECRET_LEN),
	    OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, t.param, salt_len),
	    OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, strlen(info)),
	    OSSL_PARAM_construct_end(),
	};
	int ok = ctx != NULL && EVP_KDF_derive(ctx, key, KEY_LEN, params) == 1;

	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return ok ? 0 : -EIO;
}

struct seal *
seal_new(const uint8_t secret[static SEAL_SECRET_LEN], const char *from, const char *to,
    const struct sync_epoch *sender, const struct sync_epoch *peer)
{
	struct seal *s = calloc(1, sizeof(*s));
	uint8_t salt[2 * SYNC_EPOCH_LEN];
	char info[INFO_MAX];

	if (s == NULL)
		return NULL;
	memcpy(salt, sender->byte, SYNC_EPOCH_LEN);
	if (peer != NULL)
		memcpy(salt + SYNC_EPOCH_LEN, peer->byte, SYNC_EPOCH_LEN);
	(void)snprintf(info, sizeof(info), "nines state sync %d %s %s %s", SYNC_VERSION,
	    peer != NULL ? "data" : "greeting", from, to);
	s->ctx = EVP_CIPHER_CTX_new();
	if (s->ctx == NULL ||
	    derive(s->key, secret, salt, peer != NULL ? sizeof(salt) : SYNC_EPOCH_LEN,
		info) != 0) {
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

/* The key schedule is worked out once: later calls give the nonce only. */
static bool
set_up(struct seal *s, uint64_t seq, bool sealing)
{
	const bool first = !s->ready || s->sealing != sealing;
	uint8_t nonce[NONCE_LEN] = {0};
	struct wr w = {.p = nonce + 4, .left = 8};

	wr_u64(&w, seq);
	s->ready = true;
	s->sealing = sealing;
	return EVP_CipherInit_ex(s->ctx, first ? EVP_aes_256_gcm() : NULL, NULL,
		   first ? s->key : NULL, nonce, sealing) == 1;
}

int
seal_close(struct seal *s, const struct sync_header *h, const uint8_t *payload,
    size_t len, uint8_t *datagram)
{
	uint8_t *body = datagram + SYNC_HEADER_LEN;
	int n, last;

	sync_header_encode(h, datagram);
	if (!set_up(s, h->seq, true) ||
	    EVP_CipherUpdate(s->ctx, NULL, &n, datagram, SYNC_HEADER_LEN) != 1 ||
	    EVP_CipherUpdate(s->ctx, body, &n, payload, (int)len) != 1 ||
	    EVP_CipherFinal_ex(s->ctx, body + n, &last) != 1 ||
	    EVP_CIPHER_CTX_ctrl(
		s->ctx, EVP_CTRL_AEAD_GET_TAG, SYNC_TAG_LEN, body + len) != 1)
		return -EIO;
	return 0;
}

int
seal_open(struct seal *s, const struct sync_header *h, const uint8_t *datagram,
    size_t n, uint8_t payload[static SYNC_PAYLOAD_MAX], size_t *len)
{
	const uint8_t *body = datagram + SYNC_HEADER_LEN;
	uint8_t tag[SYNC_TAG_LEN], rest[SYNC_TAG_LEN];
	int got, last;

	if (n < SYNC_HEADER_LEN + SYNC_TAG_LEN || n > SYNC_DATAGRAM_MAX)
		return -EBADMSG;
	n -= SYNC_HEADER_LEN + SYNC_TAG_LEN;
	memcpy(tag, body + n, sizeof(tag));
	if (!set_up(s, h->seq, false) ||
	    EVP_CipherUpdate(s->ctx, NULL, &got, datagram, SYNC_HEADER_LEN) != 1 ||
	    EVP_CipherUpdate(s->ctx, payload, &got, body, (int)n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(s->ctx, EVP_CTRL_AEAD_SET_TAG, SYNC_TAG_LEN, tag) !=
		1 ||
	    EVP_CipherFinal_ex(s->ctx, rest, &last) != 1)
		return -EBADMSG;
	*len = n;
	return 0;
}
