/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/tls/tls_load.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

const char *
tls_why(void)
{
	const char *why = ERR_reason_error_string(ERR_peek_last_error());

	ERR_clear_error();
	return why != NULL ? why : "OpenSSL does not say why";
}

static int
explain(char why[static TLS_WHY_LEN], const char *path, const char *what, int err)
{
	(void)snprintf(why, TLS_WHY_LEN, "%.120s: %s", path, what);
	return err;
}

static int
read_all(struct tls_bytes *b, int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return -errno;
	if ((uint64_t)st.st_size > TLS_FILE_MAX)
		return -EFBIG;
	b->open_to_all = (st.st_mode & S_IROTH) != 0;
	b->p = malloc((size_t)st.st_size + 1);
	if (b->p == NULL)
		return -ENOMEM;
	while (b->len < (size_t)st.st_size) {
		ssize_t n = pread(
		    fd, b->p + b->len, (size_t)st.st_size - b->len, (off_t)b->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		b->len += (size_t)n;
	}
	return b->len > 0 ? 0 : -ENODATA;
}

int
tls_bytes_read(struct tls_bytes *b, const struct tls_source *from, const char *path,
    char why[static TLS_WHY_LEN])
{
	int fd = from->open(from->arg, path), r;

	*b = (struct tls_bytes){0};
	r = fd >= 0 ? read_all(b, fd) : fd;
	if (r == 0)
		return 0;
	tls_bytes_done(b);
	return explain(why, path, r == -ENODATA ? "is empty" : strerror(-r), r);
}

void
tls_bytes_done(struct tls_bytes *b)
{
	if (b->p != NULL)
		OPENSSL_cleanse(b->p, b->len);
	free(b->p);
	*b = (struct tls_bytes){0};
}

/* Nobody is there to be asked for one. */
static int
no_password(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return 0;
}

static int
read_chain(struct tls_pair *p, BIO *bio)
{
	X509 *cert;

	p->leaf = PEM_read_bio_X509_AUX(bio, NULL, no_password, NULL);
	if (p->leaf == NULL)
		return -EBADMSG;
	p->chain = sk_X509_new_null();
	if (p->chain == NULL)
		return -ENOMEM;
	while ((cert = PEM_read_bio_X509(bio, NULL, no_password, NULL)) != NULL) {
		if (sk_X509_push(p->chain, cert) == 0) {
			X509_free(cert);
			return -ENOMEM;
		}
	}
	/* The end is a lack of a further beginning. */
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return -EBADMSG;
	ERR_clear_error();
	return 0;
}

int
tls_pair_read(struct tls_pair *p, const struct tls_bytes *b, const char *path,
    char why[static TLS_WHY_LEN])
{
	BIO *bio = BIO_new_mem_buf(b->p, (int)b->len);
	int r = bio != NULL ? 0 : -ENOMEM;

	*p = (struct tls_pair){0};
	ERR_clear_error();
	if (r == 0)
		r = read_chain(p, bio);
	if (r != 0)
		(void)explain(
		    why, path, p->leaf == NULL ? "has no certificate" : tls_why(), r);
	BIO_free(bio);
	if (r == 0) {
		bio = BIO_new_mem_buf(b->p, (int)b->len);
		if (bio != NULL)
			p->key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
		BIO_free(bio);
		if (p->key == NULL)
			r = explain(why, path, "has no key without password", -EBADMSG);
		else if (X509_check_private_key(p->leaf, p->key) != 1)
			r = explain(
			    why, path, "its key is not the certificate's", -EBADMSG);
	}
	ERR_clear_error();
	if (r != 0)
		tls_pair_done(p);
	return r;
}

void
tls_pair_done(struct tls_pair *p)
{
	X509_free(p->leaf);
	sk_X509_pop_free(p->chain, X509_free);
	EVP_PKEY_free(p->key);
	*p = (struct tls_pair){0};
}

static int
trust_one(SSL_CTX *ctx, X509 *cert, bool server)
{
	if (X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), cert) != 1)
		return -EBADMSG;
	return !server || SSL_CTX_add_client_CA(ctx, cert) == 1 ? 0 : -ENOMEM;
}

int
tls_trust(SSL_CTX *ctx, const struct tls_bytes *b, bool server, const char *path,
    char why[static TLS_WHY_LEN])
{
	BIO *bio = BIO_new_mem_buf(b->p, (int)b->len);
	unsigned n = 0;
	int r = bio != NULL ? 0 : -ENOMEM;
	X509 *cert;

	ERR_clear_error();
	while (r == 0 &&
	       (cert = PEM_read_bio_X509_AUX(bio, NULL, no_password, NULL)) != NULL) {
		r = trust_one(ctx, cert, server);
		X509_free(cert);
		n++;
	}
	BIO_free(bio);
	if (r != 0)
		return explain(why, path, tls_why(), r);
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return explain(why, path, tls_why(), -EBADMSG);
	ERR_clear_error();
	return n > 0 ? 0 : explain(why, path, "has no certificate", -EBADMSG);
}

int64_t
tls_expires(const X509 *cert)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) != 1)
		return 0;
	return timegm(&tm);
}
