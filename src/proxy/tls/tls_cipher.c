/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/tls/tls_cipher.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"

#define ENGINES	   256	/* two for each of the 128 busiest connections: 300 KiB */
#define GATHER_MAX 2048 /* bytes that are rather copied than encrypted in pieces */
#define INFO_MAX   32	/* of HKDF-Expand-Label, without context */

enum { SHA256, SHA384, HASHES };
enum { SUITES = 3 };

struct tls_suite {
	const char *name; /* of the cipher */
	uint16_t id;
	uint8_t key_len;
	uint8_t hash;
	uint8_t secret_len;
};

static const struct tls_suite suites[SUITES] = {
    {"AES-128-GCM", 0x1301, 16, SHA256, 32},
    {"AES-256-GCM", 0x1302, 32, SHA384, 48},
    {"ChaCha20-Poly1305", 0x1303, 32, SHA256, 32},
};

struct tls_engine {
	struct list link;    /* the first was used last */
	struct tls_key *key; /* whose it is; or NULL */
	EVP_CIPHER_CTX *ctx;
	const struct tls_suite *suite; /* what it is set up for; or NULL */
};

struct tls_ciphers {
	EVP_CIPHER *cipher[SUITES];
	EVP_MAC_CTX *hmac[HASHES];
	struct list engines;
	size_t n_engines;
	uint8_t scratch[GATHER_MAX + 1];
};

const struct tls_suite *
tls_suite_find(uint16_t id)
{
	for (size_t i = 0; i < SUITES; i++) {
		if (suites[i].id == id)
			return &suites[i];
	}
	return NULL;
}

size_t
tls_suite_secret_len(const struct tls_suite *s)
{
	return s->secret_len;
}

/* ---- what a worker has ----------------------------------------------------------- */

static EVP_MAC_CTX *
new_hmac(const char *digest)
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);
	EVP_MAC_CTX *ctx = mac != NULL ? EVP_MAC_CTX_new(mac) : NULL;
	OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(
				   OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t)digest, 0),
	    OSSL_PARAM_construct_end()};

	EVP_MAC_free(mac); /* the context has a reference */
	if (ctx != NULL && EVP_MAC_CTX_set_params(ctx, params) != 1) {
		EVP_MAC_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

int
tls_ciphers_new(struct tls_ciphers **out)
{
	struct tls_ciphers *c = calloc(1, sizeof(*c));
	bool ok;

	if (c == NULL)
		return -ENOMEM;
	list_init(&c->engines);
	c->hmac[SHA256] = new_hmac("SHA2-256");
	c->hmac[SHA384] = new_hmac("SHA2-384");
	ok = c->hmac[SHA256] != NULL && c->hmac[SHA384] != NULL;
	for (size_t i = 0; i < SUITES; i++) {
		c->cipher[i] = EVP_CIPHER_fetch(NULL, suites[i].name, NULL);
		ok = ok && c->cipher[i] != NULL;
	}
	if (ok) {
		*out = c;
		return 0;
	}
	ERR_clear_error();
	tls_ciphers_free(c);
	return -ENOMEM;
}

void
tls_ciphers_free(struct tls_ciphers *c)
{
	if (c == NULL)
		return;
	LIST_EACH(n, next, &c->engines)
	{
		struct tls_engine *e = (struct tls_engine *)(void *)n;

		ASSERT(e->key == NULL);
		EVP_CIPHER_CTX_free(e->ctx);
		free(e);
	}
	for (size_t i = 0; i < SUITES; i++)
		EVP_CIPHER_free(c->cipher[i]);
	for (size_t i = 0; i < HASHES; i++)
		EVP_MAC_CTX_free(c->hmac[i]);
	OPENSSL_cleanse(c->scratch, sizeof(c->scratch));
	free(c);
}

/* ---- keys ------------------------------------------------------------------------ */

/*
 * HKDF-Expand-Label (RFC 8446 section 7.1) without context, for not more bytes than
 * the hash has: of RFC 5869's blocks that is the first.
 */
static int
expand(struct tls_ciphers *c, const struct tls_key *k, const char *label, uint8_t *out,
    size_t len)
{
	EVP_MAC_CTX *hmac = c->hmac[k->suite->hash];
	size_t n = strlen(label), got = 0;
	uint8_t info[INFO_MAX], block[TLS_SECRET_MAX];
	int r = -EIO;

	ASSERT(n + 11 <= sizeof(info) && len <= k->suite->secret_len);
	info[0] = 0;
	info[1] = (uint8_t)len;
	info[2] = (uint8_t)(n + 6);
	memcpy(info + 3, "tls13 ", 6);
	memcpy(info + 9, label, n);
	info[9 + n] = 0;
	info[10 + n] = 1;
	if (EVP_MAC_init(hmac, k->secret, k->suite->secret_len, NULL) == 1 &&
	    EVP_MAC_update(hmac, info, n + 11) == 1 &&
	    EVP_MAC_final(hmac, block, &got, sizeof(block)) == 1 && got >= len) {
		memcpy(out, block, len);
		r = 0;
	}
	OPENSSL_cleanse(block, sizeof(block));
	return r;
}

static int
derive(struct tls_ciphers *c, struct tls_key *k)
{
	int r = expand(c, k, "key", k->key, k->suite->key_len);

	if (r == 0)
		r = expand(c, k, "iv", k->iv, sizeof(k->iv));
	k->seq = 0;
	return r;
}

/* Nothing of the key stays in the engine, which is the next one to be taken. */
static void
detach(struct tls_ciphers *c, struct tls_key *k)
{
	struct tls_engine *e = k->engine;

	if (e == NULL)
		return;
	(void)EVP_CIPHER_CTX_reset(e->ctx);
	e->suite = NULL;
	e->key = NULL;
	k->engine = NULL;
	list_remove(&e->link);
	list_append(&c->engines, &e->link);
}

int
tls_key_init(struct tls_ciphers *c, struct tls_key *k, const struct tls_suite *s,
    const uint8_t *secret)
{
	*k = (struct tls_key){.suite = s};
	memcpy(k->secret, secret, s->secret_len);
	return derive(c, k);
}

void
tls_key_done(struct tls_ciphers *c, struct tls_key *k)
{
	detach(c, k);
	OPENSSL_cleanse(k, sizeof(*k));
}

int
tls_key_update(struct tls_ciphers *c, struct tls_key *k)
{
	int r = expand(c, k, "traffic upd", k->secret, k->suite->secret_len);

	detach(c, k);
	return r == 0 ? derive(c, k) : r;
}

/* ---- engines --------------------------------------------------------------------- */

static struct tls_engine *
take_engine(struct tls_ciphers *c)
{
	struct tls_engine *e = (struct tls_engine *)(void *)c->engines.prev;

	if (c->n_engines == ENGINES || (!list_empty(&c->engines) && e->key == NULL))
		return e;
	e = calloc(1, sizeof(*e));
	if (e == NULL)
		return NULL;
	e->ctx = EVP_CIPHER_CTX_new();
	if (e->ctx == NULL) {
		free(e);
		return NULL;
	}
	list_init(&e->link);
	list_append(&c->engines, &e->link);
	c->n_engines++;
	return e;
}

/* The key's engine, set to its next record; NULL on failure. */
static EVP_CIPHER_CTX *
start(struct tls_ciphers *c, struct tls_key *k, int encrypt)
{
	struct tls_engine *e = k->engine != NULL ? k->engine : take_engine(c);
	const EVP_CIPHER *cipher = NULL;
	uint8_t nonce[TLS_RECORD_NONCE];

	if (e == NULL)
		return NULL;
	if (c->engines.next != &e->link) {
		list_remove(&e->link);
		list_prepend(&c->engines, &e->link);
	}
	tls_record_nonce(k->iv, k->seq, nonce);
	if (k->engine != NULL)
		return EVP_CipherInit_ex(e->ctx, NULL, NULL, NULL, nonce, -1) == 1
			   ? e->ctx
			   : NULL;
	if (e->key != NULL)
		e->key->engine = NULL;
	e->key = k;
	k->engine = e;
	if (e->suite != k->suite)
		cipher = c->cipher[k->suite - suites];
	e->suite = k->suite;
	return EVP_CipherInit_ex(e->ctx, cipher, NULL, k->key, nonce, encrypt) == 1
		   ? e->ctx
		   : NULL;
}

/* ---- records --------------------------------------------------------------------- */

static int
broken(struct tls_ciphers *c, struct tls_key *k)
{
	ERR_clear_error();
	detach(c, k);
	return -EIO;
}

/* The next piece, at most `max` bytes of it. */
static const uint8_t *
next_piece(struct tls_pieces *from, size_t max, size_t *len)
{
	const uint8_t *p;

	while (from->n > 0 && from->at == from->iov->iov_len) {
		from->iov++;
		from->n--;
		from->at = 0;
	}
	ASSERT(from->n > 0);
	p = (const uint8_t *)from->iov->iov_base + from->at;
	*len = from->iov->iov_len - from->at;
	if (*len > max)
		*len = max;
	from->at += *len;
	return p;
}

/* Encrypts `len` bytes of `from` and the type. */
static bool
encrypt(struct tls_ciphers *c, EVP_CIPHER_CTX *ctx, uint8_t type,
    struct tls_pieces *from, size_t len, uint8_t *out)
{
	size_t part;
	int n;

	if (len <= GATHER_MAX) {
		for (size_t at = 0; at < len; at += part) {
			const uint8_t *p = next_piece(from, len - at, &part);

			memcpy(c->scratch + at, p, part);
		}
		c->scratch[len] = type;
		return EVP_CipherUpdate(ctx, out, &n, c->scratch, (int)len + 1) == 1 &&
		       (size_t)n == len + 1;
	}
	for (; len > 0; len -= part) {
		const uint8_t *p = next_piece(from, len, &part);

		if (EVP_CipherUpdate(ctx, out, &n, p, (int)part) != 1 ||
		    (size_t)n != part)
			return false;
		out += part;
	}
	return EVP_CipherUpdate(ctx, out, &n, &type, 1) == 1 && n == 1;
}

int
tls_seal(struct tls_ciphers *c, struct tls_key *k, enum tls_content type,
    struct tls_pieces *from, size_t len, uint8_t *out)
{
	EVP_CIPHER_CTX *ctx = start(c, k, 1);
	uint8_t *body = out + TLS_RECORD_HEADER, *tag = body + len + 1;
	int n;

	ASSERT(len <= TLS_RECORD_DATA);
	tls_record_header(out, len);
	if (ctx == NULL ||
	    EVP_CipherUpdate(ctx, NULL, &n, out, TLS_RECORD_HEADER) != 1 ||
	    !encrypt(c, ctx, (uint8_t)type, from, len, body) ||
	    EVP_CipherFinal_ex(ctx, tag, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TLS_RECORD_TAG, tag) != 1)
		return broken(c, k);
	k->seq++;
	return 0;
}

ssize_t
tls_open(struct tls_ciphers *c, struct tls_key *k, const uint8_t *p, size_t len,
    uint8_t *out)
{
	EVP_CIPHER_CTX *ctx = start(c, k, 0);
	size_t body = len - TLS_RECORD_HEADER - TLS_RECORD_TAG;
	const uint8_t *tag = p + len - TLS_RECORD_TAG;
	int n, end;

	ASSERT(len > TLS_RECORD_HEADER + TLS_RECORD_TAG && len <= TLS_RECORD_WIRE);
	if (ctx == NULL ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TLS_RECORD_TAG,
		(void *)(uintptr_t)tag) != 1 ||
	    EVP_CipherUpdate(ctx, NULL, &n, p, TLS_RECORD_HEADER) != 1 ||
	    EVP_CipherUpdate(ctx, out, &n, p + TLS_RECORD_HEADER, (int)body) != 1 ||
	    (size_t)n != body)
		return broken(c, k);
	/* Here lies the difference between what the peer said and what was forged. */
	if (EVP_CipherFinal_ex(ctx, out + n, &end) != 1) {
		(void)broken(c, k);
		return -EBADMSG;
	}
	return n;
}
