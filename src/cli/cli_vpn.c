/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vpn key, add, revoke, list: who may come in.
 *
 * Clients stand in the cluster file and nowhere else; add and revoke edit it, and
 * `nines reload` on each gateway applies it. A client's private key is made here,
 * printed once, and kept by nobody.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mono.h"
#include "cli/cli.h"
#include "cli/control.h"
#include "cli/qr.h"
#include "cli/source.h"
#include "cli/verbs.h"
#include "cli/vpn_edit.h"
#include "os/wgkey.h"
#include "os/whole.h"

#define DEFAULT_FILE "/etc/nines/cluster.yaml"
#define TEXT_MAX     ((size_t)64 << 10)

struct options {
	const char *file, *vpn, *public_key, *run_dir;
	bool qr, json;
	const char *word; /* after the subverb; or NULL */
};

struct work {
	const struct options *o;
	struct source source;
	const struct vpn *vpn;
};

PRINTF(1, 2)
static int
refuse(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)fputs("nines vpn: ", stderr);
	(void)vfprintf(stderr, fmt, ap);
	(void)fputs("\n", stderr);
	va_end(ap);
	return EXIT_NEGATIVE;
}

/* ---- the cluster file ---------------------------------------------------------- */

/* The one that was named, or the only one. */
static bool
choose(struct work *w, const char *name)
{
	const struct cluster *c = w->source.cluster;

	for (size_t i = 0; i < c->n_vpns; i++) {
		if (name == NULL ? c->n_vpns == 1 : strcmp(c->vpn[i].name, name) == 0)
			w->vpn = &c->vpn[i];
	}
	if (w->vpn != NULL)
		return true;
	if (c->n_vpns == 0)
		(void)refuse("%s has no section \"vpn\"", w->o->file);
	else if (name == NULL)
		(void)refuse("%s has several VPNs: say which by --vpn", w->o->file);
	else
		(void)refuse("%s has no VPN named \"%s\"", w->o->file, name);
	return false;
}

static bool
work_init(struct work *w, const struct options *o, const char *vpn)
{
	*w = (struct work){.o = o};
	return source_load(&w->source, o->file) && choose(w, vpn);
}

static int
explain_edit(const struct work *w, int err, const char *name)
{
	const char *file = w->o->file;

	if (err == -EEXIST)
		return refuse(
		    "VPN \"%s\" has a client named \"%s\" already", w->vpn->name, name);
	if (err == -ENOENT)
		return refuse(
		    "VPN \"%s\" has no client named \"%s\"", w->vpn->name, name);
	if (err == -ENOTSUP)
		return refuse("cannot edit this layout of %s: do it by hand", file);
	return refuse("%s: %s", file, strerror(-err));
}

static void
say_next(const struct work *w)
{
	(void)fprintf(stderr, "Now copy %s to", w->o->file);
	for (size_t i = 0; i < w->vpn->n_hosts; i++)
		(void)fprintf(
		    stderr, "%s %s", i > 0 ? " and" : "", w->vpn->host[i]->name);
	(void)fprintf(stderr, ", and say `nines reload` on each.\n");
}

/* ---- key ----------------------------------------------------------------------- */

static int
make_key(const char *path, uint8_t public_key[static WGKEY_LEN])
{
	uint8_t key[WGKEY_LEN];
	char text[WGKEY_TEXT_LEN];
	int err = wgkey_make(key), fd;

	if (err == 0)
		err = wgkey_public(public_key, key);
	if (err != 0)
		return err;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	(void)base64_encode(key, sizeof(key), text);
	err = whole_write(fd, text, strlen(text));
	if (err == 0)
		err = whole_write(fd, "\n", 1);
	if (err == 0 && fsync(fd) != 0)
		err = -errno;
	if (close(fd) != 0 && err == 0)
		err = -errno;
	explicit_bzero(key, sizeof(key));
	explicit_bzero(text, sizeof(text));
	return err;
}

static int
vpn_key(const struct options *o)
{
	uint8_t public_key[WGKEY_LEN];
	char text[WGKEY_TEXT_LEN];
	struct work w;
	int status = EXIT_NEGATIVE, err;

	if (work_init(&w, o, o->word != NULL ? o->word : o->vpn)) {
		err = make_key(w.vpn->key_file, public_key);
		if (err == -EEXIST)
			(void)refuse("%s is there already; a new key would lock out "
				     "all clients",
			    w.vpn->key_file);
		else if (err == -ENOENT)
			(void)refuse("the folder of %s is not there: make it, as "
				     "`mkdir -m 755 -p /etc/nines` does",
			    w.vpn->key_file);
		else if (err != 0)
			(void)refuse("%s: %s", w.vpn->key_file, strerror(-err));
		else
			status = 0;
	}
	if (status == 0) {
		(void)printf(
		    "%s\n", base64_encode(public_key, sizeof(public_key), text));
		(void)fprintf(stderr,
		    "%s is the private key of all gateways, and this its public one. "
		    "Copy it to\nthe same place on each, readable by root only.\n",
		    w.vpn->key_file);
	}
	source_done(&w.source);
	return status;
}

/* ---- add ----------------------------------------------------------------------- */

static bool
is_taken(const struct vpn *v, const struct ip *ip)
{
	if (ip_equal(ip, &v->address))
		return true;
	for (size_t i = 0; i < v->n_peers; i++) {
		if (ip_equal(ip, &v->peer[i].address))
			return true;
	}
	return false;
}

/* The first address of the subnet that nobody has. */
static bool
free_address(const struct vpn *v, struct ip *out)
{
	size_t last = ip_len(&v->subnet.ip) - 1;
	unsigned host_bits = (unsigned)(last + 1) * 8 - v->subnet.bits;
	/* One more than can be taken, and all of a small subnet but its ends. */
	unsigned most = host_bits < 16 ? (1U << host_bits) - 2 : VPN_PEERS_MAX + 2;

	for (unsigned n = 1; n <= most; n++) {
		struct ip ip = v->subnet.ip;

		ip.byte[last] = (uint8_t)(ip.byte[last] | (n & 0xff));
		ip.byte[last - 1] = (uint8_t)(ip.byte[last - 1] | n >> 8);
		if (is_taken(v, &ip))
			continue;
		*out = ip;
		return true;
	}
	return false;
}

static bool
read_public(const struct vpn *v, uint8_t out[static WGKEY_LEN])
{
	uint8_t key[WGKEY_LEN];
	int fd = open(v->key_file, O_RDONLY | O_CLOEXEC);
	int err = fd < 0 ? -errno : wgkey_read(fd, key);

	if (fd >= 0)
		(void)close(fd);
	if (err == 0)
		err = wgkey_public(out, key);
	explicit_bzero(key, sizeof(key));
	if (err == -EPERM)
		(void)refuse("others may read %s: chmod 600 it", v->key_file);
	else if (err == -ENOENT)
		(void)refuse("%s is not there: `nines vpn key %s` makes it, or say "
			     "this on a gateway that has it",
		    v->key_file, v->name);
	else if (err != 0)
		(void)refuse("%s: %s", v->key_file, strerror(-err));
	return err == 0;
}

static void
put_list(struct sbuf *out, const struct texts *t)
{
	for (size_t i = 0; i < t->n; i++)
		sbuf_printf(out, "%s%s", i > 0 ? ", " : "", t->text[i]);
}

/* The client's configuration, as every WireGuard program reads it. */
static void
client_text(const struct vpn *v, const struct vpn_peer *p, const char *private_key,
    const uint8_t *gateway, struct sbuf *out)
{
	char key[WGKEY_TEXT_LEN], ip[IP_ENDPOINT_LEN];

	sbuf_printf(out, "[Interface]\nPrivateKey = %s\nAddress = %s/%zu\n",
	    private_key, ip_format(&p->address, ip), ip_len(&p->address) * 8);
	if (v->dns.n > 0) {
		sbuf_puts(out, "DNS = ");
		put_list(out, &v->dns);
		sbuf_puts(out, "\n");
	}
	sbuf_printf(out, "MTU = %u\n\n[Peer]\nPublicKey = %s\nEndpoint = ", v->mtu,
	    base64_encode(gateway, WGKEY_LEN, key));
	sbuf_puts(out,
	    v->endpoint != NULL ? v->endpoint : ip_endpoint_format(&v->listen, ip));
	sbuf_printf(out, "\nAllowedIPs = %s/%zu", ip_format(&v->address, ip),
	    ip_len(&v->address) * 8);
	for (size_t i = 0; i < v->reach.n; i++)
		sbuf_printf(out, ", %s/%u", ip_format(&v->reach.net[i].ip, ip),
		    v->reach.net[i].bits);
	sbuf_puts(out, "\n");
	if (v->keepalive_ns > 0)
		sbuf_printf(out, "PersistentKeepalive = %lld\n",
		    (long long)(v->keepalive_ns / SEC_NS));
}

static void
hand_out(const struct work *w, const struct sbuf *text)
{
	struct sbuf code;
	int err;

	(void)fputs(sbuf_text(text), stdout);
	if (w->o->public_key != NULL || (!w->o->qr && isatty(STDOUT_FILENO) == 0))
		return;
	sbuf_init(&code, TEXT_MAX);
	err = qr_draw(sbuf_text(text), &code);
	if (err == 0)
		(void)printf("\n%s", sbuf_text(&code));
	else
		(void)fprintf(stderr, "no QR code: %s\n", strerror(-err));
	if (code.p != NULL)
		explicit_bzero(code.p, code.len);
	sbuf_done(&code);
}

/* A new pair, or the public key that was given. */
static int
client_key(
    const struct options *o, struct vpn_peer *p, char text[static WGKEY_TEXT_LEN])
{
	uint8_t key[WGKEY_LEN];
	int err;

	if (o->public_key != NULL) {
		(void)snprintf(text, WGKEY_TEXT_LEN, "(the one you have)");
		return base64_decode(p->key, sizeof(p->key), o->public_key);
	}
	err = wgkey_make(key);
	if (err == 0)
		err = wgkey_public(p->key, key);
	(void)base64_encode(key, sizeof(key), text);
	explicit_bzero(key, sizeof(key));
	return err;
}

static int
add_to(const struct work *w)
{
	struct vpn_peer p = {.name = w->o->word};
	char private_key[WGKEY_TEXT_LEN];
	uint8_t gateway[WGKEY_LEN];
	struct sbuf after, text;
	int err;

	if (!read_public(w->vpn, gateway))
		return EXIT_NEGATIVE;
	if (!free_address(w->vpn, &p.address))
		return refuse("the subnet of VPN \"%s\" is full", w->vpn->name);
	if (client_key(w->o, &p, private_key) != 0)
		return refuse("not a WireGuard public key");
	sbuf_init(&after, CLUSTER_FILE_MAX);
	sbuf_init(&text, TEXT_MAX);
	err = vpn_edit_add(sbuf_text(&w->source.text), w->vpn->name, &p, &after);
	if (err == 0)
		err = whole_replace(w->o->file, &after);
	if (err == 0) {
		client_text(w->vpn, &p, private_key, gateway, &text);
		hand_out(w, &text);
		(void)fprintf(stderr,
		    "\nThis is all there is of %s's private key: hand it over, and "
		    "keep no copy.\n",
		    p.name);
		say_next(w);
		explicit_bzero(text.p, text.len);
	}
	explicit_bzero(private_key, sizeof(private_key));
	sbuf_done(&after);
	sbuf_done(&text);
	return err == 0 ? 0 : explain_edit(w, err, p.name);
}

static int
vpn_add(const struct options *o)
{
	static const char fit[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "0123456789-_.";
	struct work w;
	int status = EXIT_NEGATIVE;

	if (o->word[strspn(o->word, fit)] != '\0' || o->word[0] == '\0' ||
	    strlen(o->word) > CLUSTER_NAME_MAX)
		return refuse("\"%s\" is no name for a client: letters, digits, \"-\", "
			      "\"_\" and \".\"",
		    o->word);
	if (work_init(&w, o, o->vpn))
		status = add_to(&w);
	source_done(&w.source);
	return status;
}

/* ---- revoke -------------------------------------------------------------------- */

static int
vpn_revoke(const struct options *o)
{
	struct sbuf after;
	struct work w;
	int status = EXIT_NEGATIVE, err;

	sbuf_init(&after, CLUSTER_FILE_MAX);
	if (work_init(&w, o, o->vpn)) {
		err = vpn_edit_remove(
		    sbuf_text(&w.source.text), w.vpn->name, o->word, &after);
		if (err == 0)
			err = whole_replace(o->file, &after);
		status = err == 0 ? 0 : explain_edit(&w, err, o->word);
		if (err == 0)
			say_next(&w);
	}
	source_done(&w.source);
	sbuf_done(&after);
	return status;
}

/* ---- list ---------------------------------------------------------------------- */

static void
print_bytes(const json_t *n)
{
	static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double v = (double)json_integer_value(n);
	size_t i = 0;

	if (n == NULL) {
		(void)printf(" %12s", "-");
		return;
	}
	for (; v >= 1024 && i + 1 < ARRAY_LEN(unit); i++)
		v /= 1024;
	(void)printf(" %8.*f %3s", i > 0 ? 1 : 0, v, unit[i]);
}

static void
print_age(const json_t *seconds)
{
	long long s = (long long)json_integer_value(seconds);

	if (seconds == NULL)
		(void)printf(" %14s", "never");
	else if (s < 120)
		(void)printf(" %10lld s ago", s);
	else if (s < 7200)
		(void)printf(" %8lld min ago", s / 60);
	else
		(void)printf(" %10lld h ago", s / 3600);
}

static const char *
text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL ? s : "-";
}

static void
print_peers(const json_t *result)
{
	const json_t *peers = json_object_get(result, "peers"), *p;
	size_t i;

	json_array_foreach(peers, i, p)
	{
		(void)printf("  %-16s %-15s %-21s", text_of(p, "name"),
		    text_of(p, "address"), text_of(p, "endpoint"));
		print_age(json_object_get(p, "handshake_age_s"));
		print_bytes(json_object_get(p, "received"));
		print_bytes(json_object_get(p, "sent"));
		(void)printf("\n");
	}
}

/* One page of a VPN's clients; *next is where the next begins, 0 after the last. */
static int
list_page(const struct options *o, const char *vpn, json_int_t *next)
{
	char from[24], verb[] = "vpn-list", name[CLUSTER_NAME_MAX + 1];
	char *argv[] = {verb, name, from};
	const json_t *result;
	json_t *answer;
	int err;

	(void)snprintf(from, sizeof(from), "%lld", (long long)*next);
	(void)snprintf(name, sizeof(name), "%s", vpn);
	err = control_ask(o->run_dir, 3, argv, &answer);
	if (err != 0)
		return control_explain(o->run_dir, err);
	if (!json_is_true(json_object_get(answer, "ok"))) {
		err = refuse("%s: %s", vpn, text_of(answer, "error"));
		json_decref(answer);
		return err;
	}
	result = json_object_get(answer, "result");
	if (o->json) {
		(void)json_dumpf(result, stdout, JSON_COMPACT | JSON_SORT_KEYS);
		(void)printf("\n");
	} else if (*next == 0) {
		(void)printf("%s on %s: %s\n  %-16s %-15s %-21s %14s %12s %12s\n", vpn,
		    text_of(result, "host"), text_of(result, "state"), "client",
		    "address", "where", "handshake", "received", "sent");
	}
	if (!o->json)
		print_peers(result);
	*next = json_integer_value(json_object_get(result, "next"));
	json_decref(answer);
	return 0;
}

static int
list_whole(const struct options *o, const char *vpn)
{
	json_int_t next = 0;
	int status;

	do
		status = list_page(o, vpn, &next);
	while (status == 0 && next > 0);
	return status;
}

static int
vpn_list(const struct options *o)
{
	char status_verb[] = "status", *argv[] = {status_verb};
	json_t *answer;
	const json_t *facts, *fact;
	size_t i, n = 0;
	int status = 0, err = control_ask(o->run_dir, 1, argv, &answer);

	if (err != 0)
		return control_explain(o->run_dir, err);
	facts = json_object_get(answer, "facts");
	json_array_foreach(facts, i, fact)
	{
		const char *key = text_of(fact, "key");

		if (strncmp(key, "vpn ", 4) != 0 || strchr(key + 4, ' ') != NULL ||
		    (o->word != NULL && strcmp(o->word, key + 4) != 0))
			continue;
		n++;
		if (status == 0)
			status = list_whole(o, key + 4);
	}
	json_decref(answer);
	if (n > 0)
		return status;
	return o->word != NULL ? refuse("this host has no VPN named \"%s\"", o->word)
			       : refuse("this host is no VPN gateway");
}

/* ---- arguments ----------------------------------------------------------------- */

static const struct {
	const char *name;
	int words; /* after it; -1: one or none */
	int (*run)(const struct options *);
} subverbs[] = {
    {"key", -1, vpn_key},
    {"add", 1, vpn_add},
    {"revoke", 1, vpn_revoke},
    {"list", -1, vpn_list},
};

static bool
parse_options(int argc, char **argv, struct options *o)
{
	static const struct option options[] = {
	    {"vpn", required_argument, NULL, 'v'},
	    {"public-key", required_argument, NULL, 'p'},
	    {"run-dir", required_argument, NULL, 'r'},
	    {"qr", no_argument, NULL, 'q'},
	    {"json", no_argument, NULL, 'j'},
	    {NULL, 0, NULL, 0},
	};
	int c;

	*o = (struct options){.file = DEFAULT_FILE, .run_dir = cli_run_dir()};
	while ((c = getopt_long(argc, argv, "f:", options, NULL)) != -1) {
		if (c == 'f')
			o->file = optarg;
		else if (c == 'v')
			o->vpn = optarg;
		else if (c == 'p')
			o->public_key = optarg;
		else if (c == 'r')
			o->run_dir = optarg;
		else if (c == 'q')
			o->qr = true;
		else if (c == 'j')
			o->json = true;
		else
			return false;
	}
	return true;
}

int
cli_vpn(int argc, char **argv)
{
	const struct verb *v = verb_find(verbs, argv[0]);
	struct options o;
	int words;

	if (!parse_options(argc, argv, &o) || optind == argc)
		return verb_usage(v);
	words = argc - optind - 1;
	o.word = words > 0 ? argv[optind + 1] : NULL;
	for (size_t i = 0; i < ARRAY_LEN(subverbs); i++) {
		if (strcmp(subverbs[i].name, argv[optind]) != 0)
			continue;
		if (subverbs[i].words < 0 ? words <= 1 : words == subverbs[i].words)
			return subverbs[i].run(&o);
	}
	return verb_usage(v);
}
