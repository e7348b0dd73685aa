/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service_http2.h - what HTTP/2 asks of the rest of a service. Private to config/.
 */
#ifndef NINES_CONFIG_SERVICE_HTTP2_H
#define NINES_CONFIG_SERVICE_HTTP2_H

#include "config/reader.h"

/* After service_tls_finish(), which fills in `http2`. */
void service_http2_finish(struct reader *r, const struct yaml *node, struct service *s);

#endif /* NINES_CONFIG_SERVICE_HTTP2_H */
