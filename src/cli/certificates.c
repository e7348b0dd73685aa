/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/certificates.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static bool
read_end(const char *path, struct certificate *one)
{
	FILE *f = fopen(path, "re");
	X509 *cert =
	    f != NULL ? PEM_read_X509_AUX(f, NULL, NULL, (void *)(uintptr_t) "") : NULL;
	const ASN1_TIME *end = cert != NULL ? X509_get0_notAfter(cert) : NULL;
	int seconds = 0;
	struct tm day;
	bool ok = end != NULL &&
		  ASN1_TIME_diff(&one->days_left, &seconds, NULL, end) == 1 &&
		  ASN1_TIME_to_tm(end, &day) == 1 &&
		  strftime(one->until, sizeof(one->until), "%Y-%m-%d", &day) > 0;

	if (ok && one->days_left == 0 && seconds < 0)
		one->days_left = -1;
	X509_free(cert);
	ERR_clear_error();
	if (f != NULL)
		(void)fclose(f);
	return ok;
}

void
certificates_read(const struct cluster *c, struct certificates *list)
{
	size_t n = 0;

	*list = (struct certificates){0};
	for (size_t i = 0; i < c->n_services; i++)
		n += c->service[i].tls.n_certificates;
	list->item = calloc(n > 0 ? n : 1, sizeof(*list->item));
	for (size_t i = 0; i < c->n_services && list->item != NULL; i++) {
		const struct service *s = &c->service[i];

		for (size_t k = 0; k < s->tls.n_certificates; k++) {
			struct certificate *one = &list->item[list->n];

			*one = (struct certificate){
			    .service = s, .file = s->tls.certificate[k]};
			list->n += read_end(one->file, one);
		}
	}
}

void
certificates_done(struct certificates *list)
{
	free(list->item);
	*list = (struct certificates){0};
}
