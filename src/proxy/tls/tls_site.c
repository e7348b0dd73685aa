/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/tls/tls_site.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/sbuf.h"
#include "config/cluster.h"
#include "config/cluster_files.h"
#include "proxy/tls/tls.h"
#include "proxy/tls/tls_handover.h"
#include "proxy/tls/tls_ticket.h"
#include "proxy/worker.h"

#define NAME_LEN  254 /* RFC 1035 section 2.3.4, with a NUL */
#define NAMES_MAX 65536

/*
 * What OpenSSL would choose, without what has no forward secrecy, and without groups
 * whose cost a client could choose to be ours (ffdhe8192).
 */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"
#define GROUPS	"X25519:P-256:P-384"

/* A name and who answers to it; sorted by name. */
struct host_name {
	char *name;
	SSL_CTX *ctx;
};

/* The authority's word that a certificate is still good. */
struct staple {
	const X509 *leaf;
	unsigned char *der;
	int len;
	int64_t until;
};

struct tls_site {
	atomic_uint refs;
	const struct service *conf; /* while it is made */
	SSL_CTX **ctx; /* at least one; the first is for names of nobody's */
	size_t n_ctx;
	struct host_name *name;
	size_t n_names;
	struct staple *staple;
	size_t n_staples;
	struct tls_tickets *tickets; /* NULL: none */
	int64_t expires;
	bool http2;
};

/* ---- in the handshake ------------------------------------------------------------ */

static int
compare_names(const void *a, const void *b)
{
	const struct host_name *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static SSL_CTX *
find_name(const struct tls_site *s, char *name)
{
	const struct host_name key = {.name = name},
			       *found = bsearch(&key, s->name, s->n_names,
				   sizeof(*s->name), compare_names);

	return found != NULL ? found->ctx : NULL;
}

/* Its own certificate, else that of `*.` and what follows its first label. */
static SSL_CTX *
find_context(const struct tls_site *s, const char *asked)
{
	char name[NAME_LEN + 1];
	size_t len = strlen(asked);
	char *dot;
	SSL_CTX *ctx;

	if (len >= NAME_LEN)
		return NULL;
	for (size_t i = 0; i <= len; i++)
		name[i] = asked[i] >= 'A' && asked[i] <= 'Z' ? (char)(asked[i] + 32)
							     : asked[i];
	if (len > 0 && name[len - 1] == '.')
		name[len - 1] = '\0';
	ctx = find_name(s, name);
	dot = strchr(name, '.');
	if (ctx != NULL || dot == NULL || dot == name)
		return ctx;
	dot[-1] = '*';
	return find_name(s, dot - 1);
}

static int
on_server_name(SSL *ssl, int *alert, void *arg)
{
	const struct tls_site *s = arg;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	SSL_CTX *ctx = name != NULL ? find_context(s, name) : NULL;

	(void)alert;
	if (ctx != NULL && ctx != SSL_get_SSL_CTX(ssl) &&
	    SSL_set_SSL_CTX(ssl, ctx) == NULL)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	return SSL_TLSEXT_ERR_OK;
}

/* RFC 7301 section 3.2: no protocol in common ends the handshake. */
static int
on_alpn(SSL *ssl, const unsigned char **out, unsigned char *len,
    const unsigned char *offered, unsigned n, void *arg)
{
	static const unsigned char both[] = "\x02h2\x08http/1.1";
	const struct tls_site *s = arg;
	size_t skip = s->http2 ? 0 : 3;

	(void)ssl;
	if (SSL_select_next_proto((unsigned char **)(uintptr_t)out, len, both + skip,
		(unsigned)(sizeof(both) - 1 - skip), offered,
		n) == OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_OK;
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int
on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
    EVP_MAC_CTX *mac, int encrypt)
{
	const struct tls_site *s = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	const struct tls_ticket_work work = {
	    .name = name, .iv = iv, .cipher = cipher, .mac = mac};
	int64_t now = worker_wall_us() / 1000000;

	if (s->tickets == NULL || SSL_version(ssl) < TLS1_3_VERSION)
		return 0;
	return encrypt ? tls_tickets_seal(s->tickets, now, &work)
		       : tls_tickets_open(s->tickets, now, &work);
}

/* An answer that has expired is worse than none: some clients give up on it. */
static int
on_status(SSL *ssl, void *arg)
{
	const struct tls_site *s = arg;
	const X509 *leaf = SSL_get_certificate(ssl);

	for (size_t i = 0; i < s->n_staples; i++) {
		const struct staple *st = &s->staple[i];
		unsigned char *copy;

		if (st->leaf != leaf || worker_wall_us() / 1000000 >= st->until)
			continue;
		copy = OPENSSL_memdup(st->der, (size_t)st->len);
		if (copy == NULL)
			break;
		(void)SSL_set_tlsext_status_ocsp_resp(ssl, copy, st->len);
		return SSL_TLSEXT_ERR_OK;
	}
	return SSL_TLSEXT_ERR_NOACK;
}

/* ---- a context ------------------------------------------------------------------- */

/* Those of TLS 1.3 have a list of their own. */
static bool
set_ciphers(SSL_CTX *ctx, const char *list)
{
	struct sbuf old, new;
	bool ok;

	sbuf_init(&old, 4096);
	sbuf_init(&new, 4096);
	for (const char *p = list; *p != '\0';) {
		size_t len = strcspn(p, ":");
		struct sbuf *to = strncmp(p, "TLS_", 4) == 0 ? &new : &old;

		sbuf_puts(to, to->len > 0 ? ":" : "");
		sbuf_put(to, p, len);
		p += len + (p[len] == ':');
	}
	ok = !old.bad && !new.bad &&
	     (new.len == 0 || SSL_CTX_set_ciphersuites(ctx, sbuf_text(&new)) == 1) &&
	     SSL_CTX_set_cipher_list(ctx, old.len > 0 ? sbuf_text(&old) : CIPHERS) == 1;
	sbuf_done(&old);
	sbuf_done(&new);
	return ok;
}

static void
set_callbacks(struct tls_site *s, SSL_CTX *ctx)
{
	(void)SSL_CTX_set_app_data(ctx, s);
	tls_handover_watch(ctx);
	(void)SSL_CTX_set_tlsext_servername_callback(ctx, on_server_name);
	(void)SSL_CTX_set_tlsext_servername_arg(ctx, s);
	(void)SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
	(void)SSL_CTX_set_tlsext_status_cb(ctx, on_status);
	(void)SSL_CTX_set_tlsext_status_arg(ctx, s);
	if (s->conf->mode == MODE_HTTP)
		SSL_CTX_set_alpn_select_cb(ctx, on_alpn, s);
}

/* 0 or -EINVAL: only the ciphers can be wrong. */
static int
set_rules(struct tls_site *s, SSL_CTX *ctx)
{
	const struct tls_conf *conf = &s->conf->tls;
	const char *name = s->conf->name;
	size_t len = strlen(name);

	(void)SSL_CTX_set_min_proto_version(
	    ctx, conf->min_version == TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
	(void)SSL_CTX_set_options(
	    ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
		     SSL_OP_PRIORITIZE_CHACHA | SSL_OP_IGNORE_UNEXPECTED_EOF |
		     SSL_OP_NO_COMPRESSION);
	/* Idle connections have no buffers; a record is read with what follows it. */
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS |
					SSL_MODE_ENABLE_PARTIAL_WRITE |
					SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(ctx, 1);
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_num_tickets(ctx, conf->tickets ? 1 : 0);
	if (!conf->tickets)
		(void)SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	/* A session is of use at its own service only. */
	(void)SSL_CTX_set_session_id_context(ctx, (const unsigned char *)name,
	    (unsigned)(len < SSL_MAX_SID_CTX_LENGTH ? len : SSL_MAX_SID_CTX_LENGTH));
	/* SSL_CTX_set1_groups_list(), whose cast loses a const. */
	if (SSL_CTX_ctrl(ctx, SSL_CTRL_SET_GROUPS_LIST, 0, (void *)(uintptr_t)GROUPS) !=
	    1)
		return -EINVAL;
	return set_ciphers(ctx, conf->ciphers != NULL ? conf->ciphers : CIPHERS)
		   ? 0
		   : -EINVAL;
}

static int
set_clients(const struct tls_site *s, SSL_CTX *ctx, const struct tls_bytes *ca,
    char why[static TLS_WHY_LEN])
{
	const struct tls_conf *conf = &s->conf->tls;
	int how = SSL_VERIFY_PEER;

	if (conf->client_verify == CLIENT_VERIFY_OFF)
		return 0;
	if (conf->client_verify == CLIENT_VERIFY_REQUIRED)
		how |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	SSL_CTX_set_verify(ctx, how, NULL);
	return tls_trust(ctx, ca, true, conf->client_ca, why);
}

static int
new_context(struct tls_site *s, const struct tls_bytes *ca, SSL_CTX **out,
    char why[static TLS_WHY_LEN])
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	int r;

	if (ctx == NULL) {
		(void)snprintf(why, TLS_WHY_LEN, "%s", tls_why());
		return -ENOMEM;
	}
	r = set_rules(s, ctx);
	if (r != 0)
		(void)snprintf(why, TLS_WHY_LEN, "ciphers: %s", tls_why());
	else
		r = set_clients(s, ctx, ca, why);
	if (r != 0) {
		SSL_CTX_free(ctx);
		return r;
	}
	set_callbacks(s, ctx);
	s->ctx[s->n_ctx++] = *out = ctx;
	return 0;
}

/* ---- names ----------------------------------------------------------------------- */

static int
add_name(struct tls_site *s, const ASN1_STRING *text, SSL_CTX *ctx)
{
	const char *p = (const char *)ASN1_STRING_get0_data(text);
	size_t len = (size_t)ASN1_STRING_length(text);
	struct host_name *all;
	char *name;

	if (len == 0 || len >= NAME_LEN || memchr(p, '\0', len) != NULL ||
	    s->n_names == NAMES_MAX)
		return 0;
	all = realloc(s->name, (s->n_names + 1) * sizeof(*all));
	if (all == NULL)
		return -ENOMEM;
	s->name = all;
	name = strndup(p, len);
	if (name == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < len; i++) {
		if (name[i] >= 'A' && name[i] <= 'Z')
			name[i] = (char)(name[i] + 32);
	}
	/* Of two certificates for one name the first in the file counts. */
	for (size_t i = 0; i < s->n_names; i++) {
		if (strcmp(all[i].name, name) == 0) {
			free(name);
			return 0;
		}
	}
	all[s->n_names++] = (struct host_name){name, ctx};
	return 0;
}

/* RFC 6125 section 6.4.4: the common name counts where there is no other. */
static int
add_names(struct tls_site *s, X509 *leaf, SSL_CTX *ctx)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	const X509_NAME *subject = X509_get_subject_name(leaf);
	int r = 0, at;

	for (int i = 0; r == 0 && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);

		if (g->type == GEN_DNS)
			r = add_name(s, g->d.dNSName, ctx);
	}
	at = names == NULL ? X509_NAME_get_index_by_NID(subject, NID_commonName, -1)
			   : -1;
	if (r == 0 && at >= 0)
		r = add_name(
		    s, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)), ctx);
	GENERAL_NAMES_free(names);
	return r;
}

/* The first name of a certificate, as the key of its like with another kind of key. */
static SSL_CTX *
sibling(const struct tls_site *s, X509 *leaf, const EVP_PKEY *key)
{
	for (size_t i = 0; i < s->n_ctx; i++) {
		SSL_CTX *ctx = s->ctx[i];
		bool same = false, taken = false;
		long more;

		for (more = SSL_CTX_set_current_cert(ctx, SSL_CERT_SET_FIRST); more;
		     more = SSL_CTX_set_current_cert(ctx, SSL_CERT_SET_NEXT)) {
			const X509 *have = SSL_CTX_get0_certificate(ctx);
			const EVP_PKEY *other = SSL_CTX_get0_privatekey(ctx);

			if (have == NULL || other == NULL)
				break;
			taken |=
			    EVP_PKEY_get_base_id(other) == EVP_PKEY_get_base_id(key);
			same |= X509_NAME_cmp(X509_get_subject_name(have),
				    X509_get_subject_name(leaf)) == 0;
		}
		if (same && !taken)
			return ctx;
	}
	return NULL;
}

/* ---- making it ------------------------------------------------------------------- */

static void
add_staple(struct tls_site *s, const struct tls_source *from, const char *certificate,
    const X509 *leaf)
{
	char path[CLUSTER_PATH_MAX + 1], why[TLS_WHY_LEN];
	struct tls_bytes b;
	const unsigned char *p;
	OCSP_RESPONSE *response;
	OCSP_BASICRESP *basic;
	ASN1_GENERALIZEDTIME *next = NULL;
	struct tm tm;

	(void)snprintf(path, sizeof(path), "%s%s", certificate, OCSP_SUFFIX);
	if (tls_bytes_read(&b, from, path, why) != 0)
		return;
	p = b.p;
	response = d2i_OCSP_RESPONSE(NULL, &p, (long)b.len);
	basic = response != NULL ? OCSP_response_get1_basic(response) : NULL;
	if (basic != NULL && OCSP_resp_count(basic) > 0)
		(void)OCSP_single_get0_status(
		    OCSP_resp_get0(basic, 0), NULL, NULL, NULL, &next);
	if (next != NULL && ASN1_TIME_to_tm(next, &tm) == 1) {
		s->staple[s->n_staples++] = (struct staple){
		    leaf, OPENSSL_memdup(b.p, b.len), (int)b.len, timegm(&tm)};
		if (s->staple[s->n_staples - 1].der == NULL)
			s->n_staples--;
	}
	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(response);
	ERR_clear_error();
	tls_bytes_done(&b);
}

static int
use_pair(struct tls_site *s, const struct tls_pair *p, const struct tls_bytes *ca,
    const char *path, char why[static TLS_WHY_LEN])
{
	SSL_CTX *ctx = sibling(s, p->leaf, p->key);
	int64_t expires = tls_expires(p->leaf);
	int r = ctx != NULL ? 0 : new_context(s, ca, &ctx, why);

	if (r != 0)
		return r;
	if (SSL_CTX_use_cert_and_key(ctx, p->leaf, p->key, p->chain, 0) != 1) {
		(void)snprintf(why, TLS_WHY_LEN, "%.120s: %s", path, tls_why());
		return -EBADMSG;
	}
	if (s->expires == 0 || expires < s->expires)
		s->expires = expires;
	return add_names(s, p->leaf, ctx);
}

static int
add_certificate(struct tls_site *s, const char *path, const struct tls_source *from,
    const struct tls_bytes *ca, char why[static TLS_WHY_LEN])
{
	char complaint[TLS_WHY_LEN] = "";
	struct tls_bytes b;
	struct tls_pair p;
	int r = tls_bytes_read(&b, from, path, complaint);

	if (r == 0) {
		r = tls_pair_read(&p, &b, path, complaint);
		if (r == 0 && b.open_to_all)
			(void)snprintf(complaint, sizeof(complaint),
			    "%.120s: everybody may read its key: chmod o-r", path);
		tls_bytes_done(&b);
	}
	if (r != 0) {
		memcpy(why, complaint, TLS_WHY_LEN);
		return r;
	}
	if (complaint[0] != '\0')
		memcpy(why, complaint, TLS_WHY_LEN);
	r = use_pair(s, &p, ca, path, why);
	if (r == 0)
		add_staple(s, from, path, p.leaf);
	if (r == 0 && s->tickets == NULL && s->conf->tls.tickets) {
		s->tickets = calloc(1, sizeof(*s->tickets));
		r = s->tickets != NULL
			? tls_tickets_init(s->tickets, p.key,
			      ca->len > 0 ? (const void *)ca->p : "", ca->len)
			: -ENOMEM;
		if (r != 0) {
			free(s->tickets);
			s->tickets = NULL;
		}
	}
	tls_pair_done(&p);
	return r;
}

static int
build(struct tls_site *s, const struct tls_source *from, char why[static TLS_WHY_LEN])
{
	const struct tls_conf *conf = &s->conf->tls;
	struct tls_bytes ca = {0};
	int r = 0;

	s->ctx = calloc(conf->n_certificates, sizeof(SSL_CTX *));
	s->staple = calloc(conf->n_certificates, sizeof(*s->staple));
	if (s->ctx == NULL || s->staple == NULL)
		r = -ENOMEM;
	if (r == 0 && conf->client_verify != CLIENT_VERIFY_OFF)
		r = tls_bytes_read(&ca, from, conf->client_ca, why);
	for (size_t i = 0; r == 0 && i < conf->n_certificates; i++)
		r = add_certificate(s, conf->certificate[i], from, &ca, why);
	tls_bytes_done(&ca);
	if (r == 0)
		qsort(s->name, s->n_names, sizeof(*s->name), compare_names);
	return r;
}

int
tls_site_new(struct tls_site **out, const struct service *conf,
    const struct tls_source *from, char why[static TLS_WHY_LEN])
{
	struct tls_site *s = calloc(1, sizeof(*s));
	int r;

	why[0] = '\0';
	if (s == NULL)
		return -ENOMEM;
	atomic_init(&s->refs, 1);
	s->conf = conf;
	s->http2 = conf->http2;
	r = build(s, from, why);
	s->conf = NULL;
	if (r == 0) {
		*out = s;
		return 0;
	}
	if (why[0] == '\0')
		(void)snprintf(why, TLS_WHY_LEN, "%s", strerror(-r));
	tls_site_unref(s);
	return r;
}

struct tls_site *
tls_site_ref(struct tls_site *s)
{
	if (s != NULL)
		(void)atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

void
tls_site_unref(struct tls_site *s)
{
	if (s == NULL || atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	for (size_t i = 0; i < s->n_ctx; i++)
		SSL_CTX_free(s->ctx[i]);
	for (size_t i = 0; i < s->n_names; i++)
		free(s->name[i].name);
	for (size_t i = 0; i < s->n_staples; i++)
		OPENSSL_free(s->staple[i].der);
	if (s->tickets != NULL)
		tls_tickets_done(s->tickets);
	free(s->tickets);
	free(s->staple);
	free(s->name);
	free(s->ctx);
	free(s);
}

SSL_CTX *
tls_site_context(const struct tls_site *s)
{
	return s->ctx[0];
}

int64_t
tls_site_expires(const struct tls_site *s)
{
	return s->expires;
}
