/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/tls/tls_handover.h"

#include <openssl/crypto.h>
#include <string.h>

#include "base/hex.h"

/* The bytes of a secret; 0 if the text is not what we know. */
static uint8_t
read_secret(const char *p, uint8_t out[static TLS_SECRET_MAX])
{
	size_t n = strlen(p) / 2;

	if (n > TLS_SECRET_MAX || !hex_bytes(p, out, n) || p[2 * n] != '\0')
		return 0;
	return (uint8_t)n;
}

/* A line is LABEL, the client's random, the secret: in hexadecimal digits. */
static void
on_secret(const SSL *ssl, const char *line)
{
	static const char client[] = "CLIENT_TRAFFIC_SECRET_0 ",
			  server[] = "SERVER_TRAFFIC_SECRET_0 ";
	struct tls_handover *h = SSL_get_app_data(ssl);
	const char *secret = strrchr(line, ' ');

	if (h == NULL || secret == NULL)
		return;
	if (strncmp(line, client, sizeof(client) - 1) == 0) {
		h->n_client = read_secret(secret + 1, h->client);
	} else if (strncmp(line, server, sizeof(server) - 1) == 0) {
		h->n_server = read_secret(secret + 1, h->server);
		h->sent = 0;
	}
}

/* What is said before the secret is there is under other keys. */
static void
/* The signature is OpenSSL's. NOLINTNEXTLINE(readability-function-size) */
on_message(
    int write, int version, int content, const void *p, size_t len, SSL *ssl, void *arg)
{
	struct tls_handover *h = SSL_get_app_data(ssl);

	(void)version;
	(void)p;
	(void)len;
	(void)arg;
	if (h != NULL && write == 1 && content == SSL3_RT_HEADER)
		h->sent++;
}

void
tls_handover_watch(SSL_CTX *ctx)
{
	SSL_CTX_set_keylog_callback(ctx, on_secret);
	SSL_CTX_set_msg_callback(ctx, on_message);
}

void
tls_handover_begin(struct tls_handover *h, SSL *ssl)
{
	(void)SSL_set_app_data(ssl, h);
}

void
tls_handover_done(struct tls_handover *h)
{
	OPENSSL_cleanse(h, sizeof(*h));
}

const struct tls_suite *
tls_handover_suite(const struct tls_handover *h, SSL *ssl)
{
	const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
	const struct tls_suite *suite = NULL;

	if (SSL_version(ssl) == TLS1_3_VERSION && cipher != NULL)
		suite = tls_suite_find(SSL_CIPHER_get_protocol_id(cipher));
	if (suite == NULL || h->n_client != tls_suite_secret_len(suite) ||
	    h->n_server != h->n_client || SSL_has_pending(ssl) == 1)
		return NULL;
	return suite;
}
