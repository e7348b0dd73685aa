/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/request/https.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mono.h"
#include "config/cluster_files.h"
#include "proxy/client.h"
#include "proxy/http1/http1_sense.h"
#include "proxy/listener.h"
#include "proxy/servers/service.h"

/* Where TLS is: on the address that the request came to, if there. 0: nowhere. */
static uint16_t
tls_port(const struct service *s, const struct ip *ip)
{
	uint16_t port = 0;

	for (size_t i = 0; i < s->n_listen; i++) {
		const struct ip_endpoint *l = &s->listen[i].at;

		if (!service_port_has_tls(s, l->port))
			continue;
		if (ip_equal(&l->ip, ip))
			return l->port;
		if (port == 0)
			port = l->port;
	}
	return port;
}

/* Without the port; an IPv6 address is in brackets (RFC 3986 section 3.2.2). */
static size_t
host_len(const char *host, size_t len)
{
	for (size_t i = len; i-- > 0 && host[i] != ']';) {
		if (host[i] == ':')
			return i;
	}
	return len;
}

/* RFC 9110 section 15.4.9: with 308 the method stays. */
int
https_answer(const struct client *c, const struct http1_head *h, const char *p,
    char *out, size_t size, unsigned *status)
{
	struct http1_slice host = h->host, rest = h->target;
	uint16_t port = tls_port(c->service->conf, &c->listener->at.ip);
	bool origin = p[rest.off] == '/';
	char suffix[8] = "";
	int n;

	if (port != 443)
		(void)snprintf(suffix, sizeof(suffix), ":%u", port);
	if ((!origin && !http1_split_absolute(p, h->target, &host, &rest)) ||
	    host.len == 0 || port == 0) {
		*status = 400;
		n = snprintf(
		    out, size, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n");
	} else {
		*status = 308;
		n = snprintf(out, size,
		    "HTTP/1.1 308 Permanent Redirect\r\nContent-Length: 0\r\n"
		    "Location: https://%.*s%s%s%.*s\r\n",
		    (int)host_len(p + host.off, host.len), p + host.off, suffix,
		    rest.len > 0 && p[rest.off] == '/' ? "" : "/", (int)rest.len,
		    p + rest.off);
	}
	return n > 0 && (size_t)n < size ? n : -ENOBUFS;
}

size_t
https_hsts(const struct client *c, char *out, size_t size)
{
	int64_t ns = c->service->conf->tls.hsts_ns;
	int n;

	/* RFC 6797 section 7.2: never where somebody could have changed it. */
	if (!c->https || ns == 0)
		return 0;
	n = snprintf(out, size, HSTS_NAME ": max-age=%" PRId64 "\r\n", ns / SEC_NS);
	return n > 0 && (size_t)n < size ? (size_t)n : 0;
}

size_t
https_add_hsts(const struct client *c, const struct http1_head *h, const char *p,
    char *out, size_t len, size_t size)
{
	if (http1_field_value(h, p, HSTS_NAME).len > 0)
		return len;
	/* In place of the empty line, which follows again. */
	len -= 2;
	len += https_hsts(c, out + len, size - len - 2);
	out[len++] = '\r';
	out[len++] = '\n';
	return len;
}
