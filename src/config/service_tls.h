/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service_tls.h - the keys `tls` and `server_tls` of a service.
 *
 * Private to config/.
 */
#ifndef NINES_CONFIG_SERVICE_TLS_H
#define NINES_CONFIG_SERVICE_TLS_H

#include "config/reader.h"

extern const struct section tls_section;
extern const struct section server_tls_section;

/* The default of `http2`: browsers speak it over TLS only. */
void service_tls_http2(const void *base, struct sbuf *out);

/* What `tls` and `server_tls` ask of the rest of the service. */
void service_tls_finish(struct reader *r, const struct yaml *node, struct service *s);

#endif /* NINES_CONFIG_SERVICE_TLS_H */
