/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/tls/tls_client.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "proxy/side.h"
#include "proxy/tls/tls.h"
#include "proxy/tls/tls_io.h"

#define NAME_LEN   1024 /* of a subject or an issuer; longer ones are left out */
#define SERIAL_MAX 64	/* bytes; RFC 5280 section 4.1.2.2 allows 20 */

struct lines {
	char *p;
	size_t len;
};

static void
put(struct lines *l, const char *name, const char *value, size_t len)
{
	int n = snprintf(l->p + l->len, TLS_CLIENT_LINES_MAX - l->len,
	    "X-Client-Cert-%s: %.*s\r\n", name, (int)len, value);

	ASSERT(n > 0 && (size_t)n < TLS_CLIENT_LINES_MAX - l->len);
	l->len += (size_t)n;
}

static void
put_hex(struct lines *l, const char *name, const unsigned char *bytes, size_t n)
{
	static const char digit[] = "0123456789abcdef";
	char text[2 * SERIAL_MAX];

	if (n > SERIAL_MAX)
		return;
	for (size_t i = 0; i < n; i++) {
		text[2 * i] = digit[bytes[i] >> 4];
		text[2 * i + 1] = digit[bytes[i] & 15];
	}
	put(l, name, text, 2 * n);
}

/* RFC 4514, in ASCII: nothing in a name can end the line. */
static void
put_name(struct lines *l, const char *what, const X509_NAME *name)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long n;

	if (bio == NULL)
		return;
	if (X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0) {
		n = BIO_get_mem_data(bio, &text);
		if (n > 0 && n <= NAME_LEN)
			put(l, what, text, (size_t)n);
	}
	(void)BIO_free(bio);
}

static size_t
describe(X509 *cert, char out[static TLS_CLIENT_LINES_MAX])
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(cert);
	struct lines l = {.p = out};
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	put_name(&l, "Subject", X509_get_subject_name(cert));
	put_name(&l, "Issuer", X509_get_issuer_name(cert));
	put_hex(&l, "Serial", ASN1_STRING_get0_data(serial),
	    (size_t)ASN1_STRING_length(serial));
	if (X509_digest(cert, EVP_sha256(), digest, &n) == 1)
		put_hex(&l, "Fingerprint", digest, n);
	put(&l, "Verified", "yes", 3);
	ERR_clear_error();
	return l.len;
}

int
tls_client_remember(struct tls_end *e, SSL *ssl)
{
	X509 *cert = SSL_get_verify_result(ssl) == X509_V_OK
			 ? SSL_get1_peer_certificate(ssl)
			 : NULL;
	char lines[TLS_CLIENT_LINES_MAX];
	size_t n;

	if (cert == NULL)
		return 0;
	n = describe(cert, lines);
	X509_free(cert);
	e->lines = malloc(n);
	if (e->lines == NULL)
		return -ENOMEM;
	memcpy(e->lines, lines, n);
	e->n_lines = (uint16_t)n;
	return 0;
}

size_t
tls_client_lines(const struct side *s, char out[static TLS_CLIENT_LINES_MAX])
{
	const struct tls_end *e = s->layer;

	if (e->lines == NULL)
		return 0;
	memcpy(out, e->lines, e->n_lines);
	return e->n_lines;
}
