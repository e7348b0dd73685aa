/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/check_files.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/plural.h"

#define SOON_DAYS 30

static int
no_password(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return 0;
}

static void
check_expiry(const struct service *s, const char *path, const X509 *cert,
    struct diag_list *diags)
{
	int days = 0, seconds = 0;

	if (ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(cert)) != 1)
		return;
	if (days < 0 || seconds < 0)
		(void)diag_add(diags, DIAG_WARNING, "certificate-expired",
		    s->place.line, s->place.column, "%s has expired", path);
	else if (days < SOON_DAYS)
		(void)diag_add(diags, DIAG_WARNING, "certificate-expires",
		    s->place.line, s->place.column, "%s expires in %d day%s", path,
		    days, plural((uint64_t)days));
}

/* What a load balancer would say of the pair at its start, or at a reload. */
static void
check_key(const struct service *s, const char *path, FILE *f, const X509 *cert,
    struct diag_list *diags)
{
	EVP_PKEY *key;

	rewind(f);
	key = PEM_read_PrivateKey(f, NULL, no_password, NULL);
	if (key == NULL)
		diag_hint(diag_add(diags, DIAG_WARNING, "no-key", s->place.line,
			      s->place.column, "%s has no key without password", path),
		    "the certificate, its chain and its key stand in one file");
	else if (X509_check_private_key(cert, key) != 1)
		diag_hint(
		    diag_add(diags, DIAG_WARNING, "wrong-key", s->place.line,
			s->place.column, "%s: its key is not the certificate's", path),
		    "its first certificate must be the one of the key");
	EVP_PKEY_free(key);
}

/* `ours`: clients are shown it, and so it comes with its key. */
static void
check_certificate(
    const struct service *s, const char *path, bool ours, struct diag_list *diags)
{
	FILE *f = fopen(path, "re");
	X509 *cert = f != NULL ? PEM_read_X509_AUX(f, NULL, no_password, NULL) : NULL;

	if (f == NULL)
		diag_hint(diag_add(diags, DIAG_WARNING, "file-unreadable",
			      s->place.line, s->place.column, "%s cannot be read: %s",
			      path, strerror(errno)),
		    "the load balancers need it");
	else if (cert == NULL)
		(void)diag_add(diags, DIAG_WARNING, "no-certificate", s->place.line,
		    s->place.column, "%s has no certificate", path);
	else
		check_expiry(s, path, cert, diags);
	if (ours && cert != NULL)
		check_key(s, path, f, cert, diags);
	X509_free(cert);
	ERR_clear_error();
	if (f != NULL)
		(void)fclose(f);
}

static void
check_readable(const char *path, const struct place *at, struct diag_list *diags)
{
	FILE *f = fopen(path, "re");

	if (f == NULL)
		diag_hint(
		    diag_add(diags, DIAG_WARNING, "file-unreadable", at->line,
			at->column, "%s cannot be read: %s", path, strerror(errno)),
		    "the load balancers need it");
	if (f != NULL)
		(void)fclose(f);
}

static void
check_program(
    const struct check_conf *check, const struct place *at, struct diag_list *diags)
{
	if (check->type != CHECK_EXEC || access(check->exec[0], X_OK) == 0)
		return;
	diag_hint(diag_add(diags, DIAG_WARNING, "program-missing", at->line, at->column,
		      "%s cannot be run: %s", check->exec[0], strerror(errno)),
	    "every host that checks needs it");
}

void
check_files(const struct cluster *c, struct diag_list *diags)
{
	for (size_t i = 0; i < c->n_services; i++) {
		const struct service *s = &c->service[i];

		for (size_t k = 0; k < s->tls.n_certificates; k++)
			check_certificate(s, s->tls.certificate[k], true, diags);
		if (s->tls.client_ca != NULL)
			check_certificate(s, s->tls.client_ca, false, diags);
		if (s->server_tls.ca != NULL)
			check_certificate(s, s->server_tls.ca, false, diags);
		if (s->balancing.sticky_secret != NULL)
			check_readable(s->balancing.sticky_secret, &s->place, diags);
		if (sticky_has_table(&s->balancing))
			check_readable(s->balancing.source.key_file, &s->place, diags);
		check_program(&s->check, &s->place, diags);
		for (size_t k = 0; k < s->n_routes; k++) {
			if (s->route[k].answer.body_file != NULL)
				check_readable(s->route[k].answer.body_file,
				    &s->route[k].place, diags);
		}
	}
	for (size_t i = 0; i < c->n_floating_ips; i++) {
		const struct floating_ip *ip = &c->floating_ip[i];

		if (ip->password_file != NULL)
			check_readable(ip->password_file, &ip->place, diags);
		check_program(&ip->check, &ip->place, diags);
	}
}
