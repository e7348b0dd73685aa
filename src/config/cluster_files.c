/* SPDX-License-Identifier: Apache-2.0 */
#include "config/cluster_files.h"

#include <stdio.h>

bool
service_port_has_tls(const struct service *s, uint16_t port)
{
	if (s->tls.mode != TLS_TERMINATE)
		return false;
	for (size_t i = 0; i < s->tls.n_plain; i++) {
		if (s->tls.plain[i] == port)
			return false;
	}
	return true;
}

static void
vpn_files(const struct cluster *c, const struct host *me,
    void (*each)(void *arg, const char *path, bool optional), void *arg)
{
	for (size_t i = 0; i < c->n_vpns; i++) {
		if (vpn_on_host(&c->vpn[i], me))
			each(arg, c->vpn[i].key_file, false);
	}
}

void
cluster_files(const struct cluster *c, const struct host *me,
    void (*each)(void *arg, const char *path, bool optional), void *arg)
{
	char ocsp[CLUSTER_PATH_MAX + 1];

	for (size_t i = 0; i < c->n_services; i++) {
		const struct service *s = &c->service[i];

		if (!service_on_host(s, me))
			continue;
		for (size_t k = 0; k < s->tls.n_certificates; k++) {
			each(arg, s->tls.certificate[k], false);
			(void)snprintf(ocsp, sizeof(ocsp), "%s%s",
			    s->tls.certificate[k], OCSP_SUFFIX);
			each(arg, ocsp, true);
		}
		if (s->tls.client_ca != NULL)
			each(arg, s->tls.client_ca, false);
		if (s->server_tls.ca != NULL)
			each(arg, s->server_tls.ca, false);
		if (s->balancing.sticky_secret != NULL)
			each(arg, s->balancing.sticky_secret, false);
		if (sticky_has_table(&s->balancing))
			each(arg, s->balancing.source.key_file, false);
		for (size_t k = 0; k < s->n_routes; k++) {
			if (s->route[k].answer.body_file != NULL)
				each(arg, s->route[k].answer.body_file, false);
		}
	}
	vpn_files(c, me, each, arg);
}
