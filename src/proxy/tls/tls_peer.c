/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/tls/tls_peer.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/servers/service.h"
#include "proxy/servers/upstream.h"
#include "proxy/tls/tls.h"

struct tls_peer {
	atomic_uint refs;
	SSL_CTX *ctx;
};

/* The worker's own: its server keeps it until the next one comes. */
static int
on_session(SSL *ssl, SSL_SESSION *session)
{
	struct upstream *up = SSL_get_app_data(ssl);

	SSL_SESSION_free(up->session);
	up->session = session;
	return 1;
}

static int
build(struct tls_peer *p, const struct server_tls_conf *conf,
    const struct tls_source *from, char why[static TLS_WHY_LEN])
{
	struct tls_bytes b;
	int r = 0;

	(void)SSL_CTX_set_min_proto_version(p->ctx, TLS1_2_VERSION);
	(void)SSL_CTX_set_options(p->ctx, SSL_OP_NO_RENEGOTIATION);
	(void)SSL_CTX_set_mode(p->ctx, SSL_MODE_RELEASE_BUFFERS |
					   SSL_MODE_ENABLE_PARTIAL_WRITE |
					   SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(p->ctx, 1);
	(void)SSL_CTX_set_session_cache_mode(
	    p->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(p->ctx, on_session);
	if (!conf->verify)
		return 0;
	SSL_CTX_set_verify(p->ctx, SSL_VERIFY_PEER, NULL);
	if (conf->ca == NULL) {
		if (SSL_CTX_set_default_verify_paths(p->ctx) == 1)
			return 0;
		(void)snprintf(why, TLS_WHY_LEN, "%s", tls_why());
		return -EIO;
	}
	r = tls_bytes_read(&b, from, conf->ca, why);
	if (r != 0)
		return r;
	r = tls_trust(p->ctx, &b, false, conf->ca, why);
	tls_bytes_done(&b);
	return r;
}

int
tls_peer_new(struct tls_peer **out, const struct service *conf,
    const struct tls_source *from, char why[static TLS_WHY_LEN])
{
	struct tls_peer *p = calloc(1, sizeof(*p));
	int r = -ENOMEM;

	why[0] = '\0';
	if (p == NULL)
		return r;
	atomic_init(&p->refs, 1);
	p->ctx = SSL_CTX_new(TLS_client_method());
	if (p->ctx != NULL)
		r = build(p, &conf->server_tls, from, why);
	/* Not SSL_ALPN_OFFER both: a service speaks one of them (RFC 7301). */
	if (r == 0 && conf->server_http2 &&
	    SSL_CTX_set_alpn_protos(p->ctx, (const unsigned char *)"\x02h2", 3) != 0)
		r = -ENOMEM;
	if (r == 0) {
		*out = p;
		return 0;
	}
	if (why[0] == '\0')
		(void)snprintf(why, TLS_WHY_LEN, "%s", strerror(-r));
	tls_peer_unref(p);
	return r;
}

struct tls_peer *
tls_peer_ref(struct tls_peer *p)
{
	if (p != NULL)
		(void)atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
	return p;
}

void
tls_peer_unref(struct tls_peer *p)
{
	if (p == NULL || atomic_fetch_sub(&p->refs, 1) != 1)
		return;
	SSL_CTX_free(p->ctx);
	free(p);
}

SSL_CTX *
tls_peer_context(const struct tls_peer *p)
{
	return p->ctx;
}

/* RFC 6066 section 3: addresses are not asked for by name. */
static int
expect_name(SSL *ssl, const char *name)
{
	struct ip ip;

	if (ip_parse(&ip, name) == 0)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1
			   ? 0
			   : -ENOMEM;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	/* SSL_set_tlsext_host_name(), whose cast loses a const. */
	if (SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
		(void *)(uintptr_t)name) != 1)
		return -ENOMEM;
	return SSL_set1_host(ssl, name) == 1 ? 0 : -ENOMEM;
}

int
tls_peer_prepare(const struct tls_peer *p, SSL *ssl, struct upstream *up)
{
	const struct server_tls_conf *conf = &up->service->conf->server_tls;
	const char *name = conf->name;
	char address[IP_STR_LEN];
	int r = 0;

	(void)p;
	if (name == NULL && up->conf->host != NULL)
		name = up->conf->host->name;
	if (name == NULL && up->conf->unix_path == NULL)
		name = ip_format(&up->conf->at.ip, address);
	if (name != NULL)
		r = expect_name(ssl, name);
	(void)SSL_set_app_data(ssl, up);
	if (up->session != NULL)
		(void)SSL_set_session(ssl, up->session);
	SSL_set_connect_state(ssl);
	ERR_clear_error();
	return r;
}

void
tls_peer_forget(SSL_SESSION *session)
{
	SSL_SESSION_free(session);
}
