/* SPDX-License-Identifier: Apache-2.0 */
#include "vpn/vpn_seal.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <string.h>

#include "base/wire.h"

#define KEY_LEN	  32
#define NONCE_LEN 12

static int
session_key(const uint8_t *key, const uint8_t *session, uint8_t out[static KEY_LEN])
{
	char digest[] = "SHA256", info[] = "nines vpn sync 1";
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL;
	uint8_t ikm[VPN_KEY_LEN], salt[VPN_SESSION_LEN];
	const OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
	    OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, ikm, sizeof(ikm)),
	    OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, salt, sizeof(salt)),
	    OSSL_PARAM_construct_octet_string(
		OSSL_KDF_PARAM_INFO, info, sizeof(info) - 1),
	    OSSL_PARAM_construct_end(),
	};
	int err = -EIO;

	memcpy(ikm, key, sizeof(ikm));
	memcpy(salt, session, sizeof(salt));
	if (ctx != NULL && EVP_KDF_derive(ctx, out, KEY_LEN, params) == 1)
		err = 0;
	OPENSSL_cleanse(ikm, sizeof(ikm));
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return err;
}

static void
make_nonce(uint64_t number, uint8_t nonce[static NONCE_LEN])
{
	struct wr w = {.p = nonce, .left = NONCE_LEN};

	wr_u32(&w, 0);
	wr_u64(&w, number);
}

/* `ctx` with key and nonce of `e`, for sealing or opening. */
static bool
prepare(EVP_CIPHER_CTX *ctx, const uint8_t *key, const struct vpn_envelope *e, int seal)
{
	uint8_t derived[KEY_LEN], nonce[NONCE_LEN];
	bool ok;

	if (session_key(key, e->session, derived) != 0)
		return false;
	make_nonce(e->number, nonce);
	ok = EVP_CipherInit_ex(
		 ctx, EVP_chacha20_poly1305(), NULL, derived, nonce, seal) == 1;
	OPENSSL_cleanse(derived, sizeof(derived));
	return ok;
}

ssize_t
vpn_seal(const uint8_t key[static VPN_KEY_LEN], const struct vpn_msg *m,
    uint8_t out[static VPN_DATAGRAM_MAX])
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t body[VPN_BODY_MAX], *at = out + VPN_ENVELOPE_LEN;
	int len = (int)vpn_wire_put_body(m, body), n = 0, last = 0;
	bool ok;

	vpn_wire_put_envelope(&m->envelope, out);
	ok =
	    ctx != NULL && prepare(ctx, key, &m->envelope, 1) &&
	    EVP_CipherUpdate(ctx, NULL, &n, out, VPN_ENVELOPE_LEN) == 1 &&
	    EVP_CipherUpdate(ctx, at, &n, body, len) == 1 && n == len &&
	    EVP_CipherFinal_ex(ctx, at + n, &last) == 1 &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, VPN_TAG_LEN, at + len) == 1;
	EVP_CIPHER_CTX_free(ctx);
	return ok ? VPN_ENVELOPE_LEN + len + VPN_TAG_LEN : -EIO;
}

int
vpn_open(const uint8_t key[static VPN_KEY_LEN], const uint8_t *in, size_t len,
    struct vpn_msg *m)
{
	struct vpn_msg v = {.active = false};
	uint8_t body[VPN_BODY_MAX], tag[VPN_TAG_LEN];
	EVP_CIPHER_CTX *ctx;
	int n = 0, last = 0, err;
	size_t body_len;
	bool ok;

	err = vpn_wire_get_envelope(&v.envelope, in, len);
	if (err != 0)
		return err;
	if (len < VPN_ENVELOPE_LEN + VPN_TAG_LEN || len > VPN_DATAGRAM_MAX)
		return -EBADMSG;
	body_len = len - VPN_ENVELOPE_LEN - VPN_TAG_LEN;
	memcpy(tag, in + len - VPN_TAG_LEN, VPN_TAG_LEN);
	ctx = EVP_CIPHER_CTX_new();
	ok = ctx != NULL && prepare(ctx, key, &v.envelope, 0) &&
	     EVP_CipherUpdate(ctx, NULL, &n, in, VPN_ENVELOPE_LEN) == 1 &&
	     EVP_CipherUpdate(ctx, body, &n, in + VPN_ENVELOPE_LEN, (int)body_len) ==
		 1 &&
	     EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, VPN_TAG_LEN, tag) == 1 &&
	     EVP_CipherFinal_ex(ctx, body + n, &last) == 1;
	EVP_CIPHER_CTX_free(ctx);
	if (!ok)
		return -EKEYREJECTED;
	err = vpn_wire_get_body(&v, body, body_len);
	if (err == 0)
		*m = v;
	return err;
}
