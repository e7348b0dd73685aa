/* SPDX-License-Identifier: Apache-2.0 */
#include "config/service_http2.h"

static void
exclude(struct reader *r, const struct yaml *node, const char *key, const char *why)
{
	(void)reader_error(
	    r, yaml_get(node, key)->key, "key-conflict", "\"%s\" %s", key, why);
}

void
service_http2_finish(struct reader *r, const struct yaml *node, struct service *s)
{
	static const char http[] = "needs mode http: in mode tcp nothing is understood";

	if (s->mode != MODE_HTTP) {
		/* Without being asked for, it is simply not there. */
		if (s->http2 && yaml_get(node, "http2") != NULL)
			exclude(r, node, "http2", http);
		if (s->server_http2)
			exclude(r, node, "server_http2", http);
		return;
	}
	if (!s->server_http2)
		return;
	if (s->send_proxy != 0)
		exclude(r, node, "server_http2",
		    "and \"proxy_protocol\" exclude each other");
	if (s->pipeline > 1)
		exclude(r, node, "server_http2", "and \"pipeline\" exclude each other");
}
