/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/tls/tls_ticket.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <string.h>

/* The secret: a digest of the private key's encoding and of the context. */
static int
digest(struct tls_tickets *t, const EVP_PKEY *key, const void *context, size_t len)
{
	unsigned char *der = NULL;
	int n = i2d_PrivateKey(key, &der);
	EVP_MD_CTX *md = n > 0 ? EVP_MD_CTX_new() : NULL;
	bool ok;

	ok = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
	     EVP_DigestUpdate(md, der, (size_t)n) == 1 &&
	     EVP_DigestUpdate(md, context, len) == 1 &&
	     EVP_DigestFinal_ex(md, t->secret, NULL) == 1;
	EVP_MD_CTX_free(md);
	if (n > 0)
		OPENSSL_clear_free(der, (size_t)n);
	return ok ? 0 : -ENOMEM;
}

int
tls_tickets_init(
    struct tls_tickets *t, const EVP_PKEY *key, const void *context, size_t len)
{
	int r;

	*t = (struct tls_tickets){.epoch = INT64_MIN};
	r = -pthread_mutex_init(&t->lock, NULL);
	if (r != 0)
		return r;
	t->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
	r = t->cipher != NULL ? digest(t, key, context, len) : -ENOMEM;
	if (r != 0)
		tls_tickets_done(t);
	return r;
}

void
tls_tickets_done(struct tls_tickets *t)
{
	EVP_CIPHER_free(t->cipher);
	(void)pthread_mutex_destroy(&t->lock);
	OPENSSL_cleanse(t, sizeof(*t));
}

int
tls_tickets_derive(
    const struct tls_tickets *t, int64_t epoch, struct tls_ticket_key *key)
{
	static const char label[] = "nines session ticket";
	unsigned char info[sizeof(label) + 8];
	char hash[] = "SHA256";
	OSSL_PARAM param[] = {
	    OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, hash, 0),
	    OSSL_PARAM_construct_octet_string(
		OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)t->secret, sizeof(t->secret)),
	    OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, sizeof(info)),
	    OSSL_PARAM_construct_end()};
	unsigned char out[TLS_TICKET_NAME + 2 * TLS_TICKET_KEY];
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL;
	bool ok;

	memcpy(info, label, sizeof(label));
	for (unsigned i = 0; i < 8; i++)
		info[sizeof(label) + i] = (unsigned char)((uint64_t)epoch >> 8 * i);
	ok = ctx != NULL && EVP_KDF_derive(ctx, out, sizeof(out), param) == 1;
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	if (!ok)
		return -ENOMEM;
	memcpy(key->name, out, TLS_TICKET_NAME);
	memcpy(key->aes, out + TLS_TICKET_NAME, TLS_TICKET_KEY);
	memcpy(key->mac, out + TLS_TICKET_NAME + TLS_TICKET_KEY, TLS_TICKET_KEY);
	OPENSSL_cleanse(out, sizeof(out));
	return 0;
}

/* Copies the keys of the epochs around `now`. */
static int
present_keys(struct tls_tickets *t, int64_t now, struct tls_ticket_key key[static 3])
{
	int64_t epoch = now / TLS_TICKET_EPOCH;
	int r = 0;

	(void)pthread_mutex_lock(&t->lock);
	for (int i = 0; i < 3 && r == 0 && t->epoch != epoch; i++)
		r = tls_tickets_derive(t, epoch - 1 + i, &t->key[i]);
	t->epoch = r == 0 ? epoch : INT64_MIN;
	memcpy(key, t->key, sizeof(t->key));
	(void)pthread_mutex_unlock(&t->lock);
	return r;
}

static bool
set_mac(EVP_MAC_CTX *mac, struct tls_ticket_key *key)
{
	char hash[] = "SHA256";
	const OSSL_PARAM param[] = {OSSL_PARAM_construct_octet_string(
					OSSL_MAC_PARAM_KEY, key->mac, sizeof(key->mac)),
	    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, hash, 0),
	    OSSL_PARAM_construct_end()};

	return EVP_MAC_CTX_set_params(mac, param) == 1;
}

int
tls_tickets_seal(struct tls_tickets *t, int64_t now, const struct tls_ticket_work *w)
{
	struct tls_ticket_key key[3];
	bool ok = false;

	if (present_keys(t, now, key) == 0) {
		memcpy(w->name, key[1].name, sizeof(key[1].name));
		ok = RAND_bytes(w->iv, EVP_CIPHER_get_iv_length(t->cipher)) == 1 &&
		     EVP_EncryptInit_ex(
			 w->cipher, t->cipher, NULL, key[1].aes, w->iv) == 1 &&
		     set_mac(w->mac, &key[1]);
	}
	OPENSSL_cleanse(key, sizeof(key));
	return ok ? 1 : -1;
}

int
tls_tickets_open(struct tls_tickets *t, int64_t now, const struct tls_ticket_work *w)
{
	struct tls_ticket_key key[3];
	int result = present_keys(t, now, key) == 0 ? 0 : -1;

	for (int i = 0; i < 3 && result == 0; i++) {
		if (memcmp(w->name, key[i].name, sizeof(key[i].name)) != 0)
			continue;
		if (EVP_DecryptInit_ex(w->cipher, t->cipher, NULL, key[i].aes, w->iv) !=
			1 ||
		    !set_mac(w->mac, &key[i]))
			result = -1;
		else
			result = i == 0 ? 2 : 1;
	}
	OPENSSL_cleanse(key, sizeof(key));
	return result;
}
