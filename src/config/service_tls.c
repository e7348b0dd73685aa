/* SPDX-License-Identifier: Apache-2.0 */
#include "config/service_tls.h"

#include <inttypes.h>
#include <string.h>

#include "base/mono.h"
#include "config/cluster_files.h"
#include "config/sections.h"
#include "config/switch.h"
#include "config/units.h"

#define CERTIFICATES_MAX 10000
#define HSTS_MAX	 ((int64_t)10 * 365 * 86400 * SEC_NS)

/* ---- certificate: a file or several --------------------------------------------- */

static bool
file_name(struct reader *r, const struct yaml *node, const char **out)
{
	const struct key key = {.name = "certificate", .kind = VALUE_FILE};

	*out = NULL;
	read_value(r, &key, node, (void *)out);
	if (*out == NULL)
		return false;
	if (strlen(*out) > CLUSTER_PATH_MAX - strlen(OCSP_SUFFIX)) {
		(void)reader_error(r, node, "bad-text",
		    "the name of a file has at most %zu characters",
		    CLUSTER_PATH_MAX - strlen(OCSP_SUFFIX));
		return false;
	}
	return true;
}

static void
read_certificates(struct reader *r, const struct yaml *node, void *base)
{
	struct tls_conf *tls = base;
	size_t n;
	const struct yaml *item = yaml_items(node, &n);
	const char **list;

	if (n == 0 || n > CERTIFICATES_MAX) {
		(void)reader_error(r, node, n == 0 ? "empty-value" : "out-of-range",
		    n == 0 ? "\"certificate\" is empty"
			   : "a service has at most 10000 certificates");
		return;
	}
	list = arena_array(r->arena, n, sizeof(*list));
	for (size_t i = 0; list != NULL && i < n; i++, item = item->next) {
		if (file_name(r, item, &list[tls->n_certificates]))
			tls->n_certificates++;
	}
	tls->certificate = list;
}

static void
write_certificates(const void *base, struct sbuf *out)
{
	const struct tls_conf *tls = base;
	const char *sep = "";

	if (tls->n_certificates == 0)
		return;
	if (tls->n_certificates == 1) {
		write_text(out, tls->certificate[0]);
		return;
	}
	sbuf_puts(out, "[");
	for (size_t i = 0; i < tls->n_certificates; i++) {
		sbuf_puts(out, sep);
		write_text(out, tls->certificate[i]);
		sep = ", ";
	}
	sbuf_puts(out, "]");
}

static const struct form certificate_form = {
    .read = read_certificates,
    .write = write_certificates,
    .schema = "{\"anyOf\":[{\"type\":\"string\",\"pattern\":\"^/\"},{\"type\":"
	      "\"array\",\"minItems\":1,\"items\":{\"type\":\"string\",\"pattern\":"
	      "\"^/\"}}]}",
    .syntax = "FILE or [FILE, ...]",
};

/* ---- plain: ports ---------------------------------------------------------------- */

static void
read_plain(struct reader *r, const struct yaml *node, void *base)
{
	struct tls_conf *tls = base;
	size_t n;
	const struct yaml *item = yaml_items(node, &n);
	uint16_t *list = arena_array(r->arena, n + 1, sizeof(*list));

	for (size_t i = 0; list != NULL && i < n; i++, item = item->next) {
		int64_t port;

		if (!want_scalar(r, item, "a port"))
			continue;
		if (count_parse(&port, item->text) != 0 || port < 1 || port > 65535)
			(void)reader_error(r, item, "bad-port",
			    "\"%.16s\" is not a port, 1 to 65535", item->text);
		else
			list[tls->n_plain++] = (uint16_t)port;
	}
	tls->plain = list;
}

static void
write_plain(const void *base, struct sbuf *out)
{
	const struct tls_conf *tls = base;
	const char *sep = "";

	if (tls->n_plain == 1) {
		sbuf_printf(out, "%u", tls->plain[0]);
		return;
	}
	sbuf_puts(out, "[");
	for (size_t i = 0; i < tls->n_plain; i++) {
		sbuf_printf(out, "%s%u", sep, tls->plain[i]);
		sep = ", ";
	}
	sbuf_puts(out, "]");
}

static const struct form plain_form = {
    .read = read_plain,
    .write = write_plain,
    .schema = "{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"array\",\"items\":{"
	      "\"type\":\"integer\",\"minimum\":1,\"maximum\":65535}}]}",
    .syntax = "PORT or [PORT, ...]",
};

/* ---- tls ------------------------------------------------------------------------- */

static const struct word version_word[] = {
    {"1.2", TLS_1_2, "TLS 1.2 and later"},
    {"1.3", TLS_1_3, "TLS 1.3 only"},
    {0},
};

static const struct word verify_word[] = {
    {"off", CLIENT_VERIFY_OFF, "clients show no certificate"},
    {"optional", CLIENT_VERIFY_OPTIONAL, "what a client shows must be valid"},
    {"required", CLIENT_VERIFY_REQUIRED, "who shows none is refused"},
    {0},
};

static const struct word renewal_word[] = {
    {"by-hand", RENEWAL_BY_HAND, "somebody must think of it"},
    {"automatic", RENEWAL_AUTOMATIC, "a program does, and is watched"},
    {0},
};

static void
derive_verify(const void *base, struct sbuf *out)
{
	const struct tls_conf *tls = base;

	sbuf_puts(out, tls->client_ca != NULL ? "required" : "off");
}

static const struct key tls_key[] = {
    {
	.name = "certificate",
	.kind = VALUE_FORM,
	.required = true,
	.form = &certificate_form,
	.doc = "PEM files, each with a certificate, its chain and its key. Of "
	       "several, the name that a client asks for chooses; the first is "
	       "for the others.",
    },
    {
	.name = "client_ca",
	.kind = VALUE_FILE,
	FIELD(struct tls_conf, client_ca),
	.doc = "PEM file with the authorities that certificates of clients come "
	       "from.",
    },
    {
	.name = "client_verify",
	.kind = VALUE_WORD,
	FIELD(struct tls_conf, client_verify),
	.words = verify_word,
	.doc = "Whether clients must show a certificate.",
	.derived = derive_verify,
	.derived_doc = "required where `client_ca` is given",
    },
    {
	.name = "min_version",
	.kind = VALUE_WORD,
	FIELD(struct tls_conf, min_version),
	.preset = "1.2",
	.words = version_word,
	.doc = "The oldest version that is spoken.",
    },
    {
	.name = "ciphers",
	.kind = VALUE_TEXT,
	FIELD(struct tls_conf, ciphers),
	.doc = "Cipher suites, between colons, in OpenSSL's names; those of TLS 1.3 "
	       "begin with TLS_. Default: OpenSSL's, those with forward secrecy.",
    },
    {
	.name = "plain",
	.kind = VALUE_FORM,
	.preset = "80",
	.form = &plain_form,
	.doc = "Ports of `listen` on which there is no TLS.",
    },
    {
	.name = "redirect",
	.kind = VALUE_FLAG,
	FIELD(struct tls_conf, redirect),
	.preset = "true",
	.doc = "Requests on plain ports are sent to https by a 308.",
    },
    {
	.name = "hsts",
	.kind = VALUE_DURATION,
	FIELD(struct tls_conf, hsts_ns),
	.max = HSTS_MAX,
	.preset = "0s",
	.doc = "Strict-Transport-Security: browsers use nothing but TLS for so long; "
	       "0: not sent.",
    },
    {
	.name = "tickets",
	.kind = VALUE_FLAG,
	FIELD(struct tls_conf, tickets),
	.preset = "true",
	.doc = "Sessions of TLS 1.3 may be resumed, on any of the load balancers.",
    },
    {
	.name = "renewal",
	.kind = VALUE_WORD,
	FIELD(struct tls_conf, renewal),
	.preset = "by-hand",
	.words = renewal_word,
	.doc = "How the files named here are renewed, for `nines spof`; changes "
	       "nothing that runs.",
    },
};

static bool
scalar_tls(struct reader *r, const struct yaml *node, void *base)
{
	struct tls_conf *tls = base;

	if (node->kind != YAML_SCALAR || strcmp(node->text, "passthrough") != 0)
		return false;
	tls->mode = TLS_PASSTHROUGH;
	r->service->mode = MODE_TCP;
	return true;
}

static void
finish_tls(struct reader *r, const struct yaml *node, void *base, uint64_t given)
{
	const struct yaml *verify = yaml_get(node, "client_verify");
	const struct yaml *ca = yaml_get(node, "client_ca");
	const struct yaml *ciphers = yaml_get(node, "ciphers");
	struct tls_conf *tls = base;

	if (ciphers != NULL)
		tls->ciphers_at = (struct place){
		    ciphers->line, ciphers->column + (ciphers->quoted ? 1 : 0)};
	tls->mode = TLS_TERMINATE;
	if (verify == NULL && tls->client_ca != NULL)
		tls->client_verify = CLIENT_VERIFY_REQUIRED;
	else if (tls->client_verify != CLIENT_VERIFY_OFF && ca == NULL)
		diag_hint(reader_error(r, verify, "missing-key",
			      "to verify clients, \"client_ca\" is needed"),
		    "client_ca: a PEM file with the authority's certificate");
	(void)given;
}

static bool
brief_tls(const void *base, struct sbuf *out)
{
	const struct tls_conf *tls = base;

	for (size_t i = 1; i < ARRAY_LEN(tls_key); i++) {
		if (!key_is_preset(&tls_key[i], tls))
			return false;
	}
	write_certificates(tls, out);
	return true;
}

static const char *
absent_tls(const void *base)
{
	const struct tls_conf *tls = base;

	if (tls->mode == TLS_OFF)
		return "";
	return tls->mode == TLS_PASSTHROUGH ? "passthrough" : NULL;
}

const struct section tls_section = {
    .what = "tls",
    .doc = "TLS towards clients. `passthrough`: the servers do it; mode tcp.",
    KEYS(tls_key),
    .shorthand = "certificate",
    .scalar = scalar_tls,
    .scalar_schema = "{\"const\":\"passthrough\"}",
    .scalar_syntax = "passthrough",
    .finish = finish_tls,
    .absent = absent_tls,
    .brief = brief_tls,
};

/* ---- server_tls ------------------------------------------------------------------ */

static const struct key server_tls_key[] = {
    {
	.name = "verify",
	.kind = VALUE_FLAG,
	FIELD(struct server_tls_conf, verify),
	.preset = "true",
	.doc = "Whether servers must show a certificate that is valid for `name`.",
    },
    {
	.name = "ca",
	.kind = VALUE_FILE,
	FIELD(struct server_tls_conf, ca),
	.doc = "PEM file with the authorities that it may come from. Default: the "
	       "system's.",
    },
    {
	.name = "name",
	.kind = VALUE_AUTHORITY,
	FIELD(struct server_tls_conf, name),
	.doc = "The name that servers are asked for and must show. Default: the name "
	       "of the server's host, or its address.",
    },
    {
	.name = "renewal",
	.kind = VALUE_WORD,
	FIELD(struct server_tls_conf, renewal),
	.preset = "by-hand",
	.words = renewal_word,
	.doc = "How `ca` is renewed, for `nines spof`; changes nothing that runs.",
    },
};

static bool
scalar_server_tls(struct reader *r, const struct yaml *node, void *base)
{
	return switch_read(r, &server_tls_section, node, base,
	    "server_tls: {ca: /etc/ssl/ca.pem, name: web.example.com}");
}

static void
finish_server_tls(struct reader *r, const struct yaml *node, void *base, uint64_t given)
{
	struct server_tls_conf *tls = base;

	(void)given;
	tls->on = true;
	if (!tls->verify && tls->ca != NULL)
		(void)reader_error(r, yaml_get(node, "ca")->key, "key-conflict",
		    "\"ca\" makes no sense where nothing is verified");
}

static const char *
absent_server_tls(const void *base)
{
	const struct server_tls_conf *tls = base;

	return tls->on ? NULL : "";
}

static bool
brief_server_tls(const void *base, struct sbuf *out)
{
	return switch_write(&server_tls_section, base, out);
}

const struct section server_tls_section = {
    .what = "server_tls",
    .doc = "TLS towards servers.",
    KEYS(server_tls_key),
    .scalar = scalar_server_tls,
    .scalar_schema = SWITCH_SCHEMA,
    .scalar_syntax = SWITCH_SYNTAX,
    .finish = finish_server_tls,
    .absent = absent_server_tls,
    .brief = brief_server_tls,
};

/* ---- together -------------------------------------------------------------------- */

static bool
has_tls_port(const struct service *s)
{
	for (size_t i = 0; i < s->n_listen; i++) {
		if (service_port_has_tls(s, s->listen[i].at.port))
			return true;
	}
	return false;
}

static bool
wants_http2(const struct service *s)
{
	return s->tls.mode == TLS_TERMINATE && s->mode == MODE_HTTP;
}

void
service_tls_http2(const void *base, struct sbuf *out)
{
	sbuf_puts(out, wants_http2(base) ? "true" : "false");
}

void
service_tls_finish(struct reader *r, const struct yaml *node, struct service *s)
{
	const struct yaml *tls = yaml_get(node, "tls"), *mode = yaml_get(node, "mode");

	if (yaml_get(node, "http2") == NULL)
		s->http2 = wants_http2(s);
	if (s->tls.mode == TLS_PASSTHROUGH && mode != NULL &&
	    (mode->kind != YAML_SCALAR || strcmp(mode->text, "tcp") != 0))
		diag_hint(reader_error(r, tls, "key-conflict",
			      "what is passed through cannot be understood"),
		    "mode: tcp, or leave it out");
	if (s->tls.mode == TLS_TERMINATE && s->n_listen > 0 && !has_tls_port(s))
		diag_hint(reader_warning(r, tls->key, "no-tls-port",
			      "service \"%s\" listens on plain ports only", s->name),
		    "listen on port 443 as well, or name other ports in \"plain\"");
	if (s->server_tls.on && s->tls.mode == TLS_PASSTHROUGH)
		(void)reader_error(r, yaml_get(node, "server_tls")->key, "key-conflict",
		    "what is passed through is encrypted already");
}
