/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/check_ciphers.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>

#define NAME_MAX_LEN 128

/* Those of TLS 1.3 have a list of their own. */
static bool
is_new(const char *name)
{
	return strncmp(name, "TLS_", 4) == 0;
}

/* `!kRSA`, `-SHA1`, `+AES`, `@STRENGTH` change the list and name nothing. */
static bool
is_rule(const char *name)
{
	return strchr("!-+@", name[0]) != NULL;
}

static void
complain(const struct tls_conf *tls, size_t at, size_t len, struct diag_list *diags)
{
	struct diag *d = diag_add(diags, DIAG_ERROR, "unknown-ciphers",
	    tls->ciphers_at.line, tls->ciphers_at.column + (unsigned)at,
	    "OpenSSL knows no cipher suite \"%.*s\"", (int)len, tls->ciphers + at);

	diag_hint(d, "`openssl ciphers -s` lists them; they stand between colons");
	if (d != NULL)
		d->width = (unsigned)len;
}

/* One name by itself: in a list, OpenSSL passes over what it does not know. */
static bool
is_known(SSL_CTX *ctx, const char *text, size_t len)
{
	char name[NAME_MAX_LEN];

	if (len == 0 || len >= sizeof(name))
		return false;
	memcpy(name, text, len);
	name[len] = '\0';
	if (is_rule(name))
		return true;
	return (is_new(name) ? SSL_CTX_set_ciphersuites(ctx, name)
			     : SSL_CTX_set_cipher_list(ctx, name)) == 1;
}

static void
check_list(SSL_CTX *ctx, const struct tls_conf *tls, struct diag_list *diags)
{
	const char *list = tls->ciphers;
	size_t errors = diags->errors, len;
	bool old = false;

	for (const char *p = list; *p != '\0'; p += len + (p[len] == ':')) {
		len = strcspn(p, ":");
		old |= !is_new(p);
		if (!is_known(ctx, p, len))
			complain(tls, (size_t)(p - list), len, diags);
	}
	/* All together OpenSSL passes over those of TLS 1.3. */
	if (old && diags->errors == errors && SSL_CTX_set_cipher_list(ctx, list) != 1)
		diag_hint(diag_add(diags, DIAG_ERROR, "unknown-ciphers",
			      tls->ciphers_at.line, tls->ciphers_at.column,
			      "these rules leave no cipher suite for TLS 1.2"),
		    "`openssl ciphers -s -v LIST` shows what a list comes to");
}

void
check_ciphers(const struct cluster *c, struct diag_list *diags)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	for (size_t i = 0; ctx != NULL && i < c->n_services; i++) {
		const struct tls_conf *tls = &c->service[i].tls;

		if (tls->mode == TLS_TERMINATE && tls->ciphers != NULL)
			check_list(ctx, tls, diags);
	}
	SSL_CTX_free(ctx);
	ERR_clear_error();
}
