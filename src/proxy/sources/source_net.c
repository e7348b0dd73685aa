/* SPDX-License-Identifier: Apache-2.0 */
/* source_net.c - the load balancers' messages about sources: keys, sockets, datagrams.
 */
#include <errno.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "proxy/sources/source_shell.h"

enum { KEY_FILE_MAX = 256, INFO_MAX = 256, COMPLAINT_S = 30, READS_MAX = 256 };

/* ---- complaints ----------------------------------------------------------------- */

/* One line, and then at most one each half minute, whatever an attacker sends. */
static void
complain(struct source_sync *ss, struct source_complaints *c,
    enum source_complaint what, const struct ip *from)
{
	static const char *const text[] = {
	    [COMPLAIN_FORM] = "no message of nines, or a truncated one",
	    [COMPLAIN_VERSION] = "another version: upgrade both hosts",
	    [COMPLAIN_SEAL] = "forged, or key_file is not the same on both hosts",
	    [COMPLAIN_STRANGER] = "from no load balancer of such a service",
	};
	mono_t now = loop_now(ss->loop);
	char ip[IP_STR_LEN];

	c->n[what]++;
	if (c->told[what].ns != 0 &&
	    mono_sub(now, c->told[what]) < COMPLAINT_S * SEC_NS)
		return;
	log_event(LOG_WARN, "refused_datagram",
	    "about=sources from=%s why=\"%s\" n=%llu", ip_format(from, ip), text[what],
	    (unsigned long long)c->n[what]);
	c->told[what] = now;
	c->n[what] = 0;
}

/* Said in the log when it is new. */
PRINTF(2, 3)
static void
refuse(struct source_service *s, const char *fmt, ...)
{
	char text[SOURCE_WHY_LEN];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (strcmp(text, s->why) != 0)
		log_event(LOG_ERR, "sources_not_shared", "service=%s why=\"%s\"",
		    s->name, text);
	memcpy(s->why, text, sizeof(text));
}

/* ---- keys ----------------------------------------------------------------------- */

static bool
read_secret(struct source_service *s, const char *path)
{
	int fd = part_file(s->all->part, path);
	char text[KEY_FILE_MAX];
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) != 0) {
		refuse(s,
		    "%.60s: %s. (umask 077; openssl rand -hex 32 > %.60s) on one host, "
		    "and copy it to the others",
		    path, strerror(fd < 0 ? -fd : errno), path);
		return false;
	}
	n = pread(fd, text, sizeof(text), 0);
	if ((st.st_mode & 077) != 0)
		refuse(s, "%.60s must be readable by root alone: chmod 600 %.60s", path,
		    path);
	else if (n < 0 || !seal_secret_parse(text, (size_t)n, s->secret))
		refuse(s,
		    "%.60s must hold 64 hexadecimal digits: (umask 077; openssl rand "
		    "-hex 32 > %.60s)",
		    path, path);
	else
		s->why[0] = '\0';
	OPENSSL_cleanse(text, sizeof(text));
	return s->why[0] == '\0';
}

/* A greeting's key depends on the sender's epoch only: `peer` NULL. */
static struct seal *
new_seal(const struct source_service *s, const char *from, const char *to,
    const struct source_epoch *sender, const struct source_epoch *peer)
{
	uint8_t salt[2 * SOURCE_EPOCH_LEN];
	char info[INFO_MAX];

	memcpy(salt, sender->byte, SOURCE_EPOCH_LEN);
	if (peer != NULL)
		memcpy(salt + SOURCE_EPOCH_LEN, peer->byte, SOURCE_EPOCH_LEN);
	(void)snprintf(info, sizeof(info), "nines sources %d %s %s %s %s",
	    SOURCE_VERSION, peer != NULL ? "data" : "greeting", s->name, from, to);
	return seal_new(SEAL_AES_256_GCM, s->secret, salt,
	    peer != NULL ? sizeof(salt) : SOURCE_EPOCH_LEN, info);
}

static void
forget_keys(struct source_host *h)
{
	seal_free(h->hello_in);
	seal_free(h->hello_out);
	seal_free(h->data_in);
	seal_free(h->data_out);
	h->hello_in = h->hello_out = h->data_in = h->data_out = NULL;
}

static bool
same_epoch(const struct source_epoch *a, const struct source_epoch *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* For greetings from an epoch that we may not know yet. */
static struct seal *
hello_key(
    struct source_service *s, struct source_host *h, const struct source_epoch *from)
{
	if (h->hello_in != NULL && same_epoch(&h->hello_epoch, from))
		return h->hello_in;
	seal_free(h->hello_in);
	h->hello_in = new_seal(s, h->name, s->me, from, NULL);
	h->hello_epoch = *from;
	return h->hello_in;
}

static bool
data_keys(
    struct source_service *s, struct source_host *h, const struct source_epoch *peer)
{
	if (h->data_in != NULL && h->data_out != NULL &&
	    same_epoch(&h->data_epoch, peer))
		return true;
	seal_free(h->data_in);
	seal_free(h->data_out);
	h->data_in = new_seal(s, h->name, s->me, peer, &s->core.epoch);
	h->data_out = new_seal(s, s->me, h->name, &s->core.epoch, peer);
	h->data_epoch = *peer;
	return h->data_in != NULL && h->data_out != NULL;
}

/* ---- receiving ------------------------------------------------------------------ */

/* NULL: it is of another life of it, or of us. */
static struct seal *
key_for(struct source_service *s, unsigned k, const struct source_header *h)
{
	const struct source_peer *p = &s->core.peer[k];

	if (h->kind == SOURCE_HELLO)
		return hello_key(s, &s->host[k], &h->from);
	if (!p->met || !same_epoch(&p->epoch, &h->from) ||
	    !data_keys(s, &s->host[k], &h->from))
		return NULL;
	return s->host[k].data_in;
}

static void
use(struct source_service *s, unsigned k, const struct source_header *h,
    const uint8_t *payload, size_t len)
{
	mono_t now = loop_now(s->all->loop);
	struct source_hello hello;
	int err;

	if (h->kind == SOURCE_HELLO) {
		err = source_hello_decode(&hello, payload, len);
		if (err == 0 &&
		    source_core_greeted(&s->core, now, k, &h->from, &hello)) {
			s->host[k].met = now;
			s->host[k].agreed = false;
		}
	} else {
		err = source_core_heard(&s->core, now, k, h->number, payload, len);
	}
	if (err == -EPROTO)
		complain(s->all, &s->complaints, COMPLAIN_FORM, &s->host[k].ip);
}

/* While one of two begins another life, what was sealed for the one before arrives. */
static bool
settling(const struct source_service *s, unsigned k)
{
	const struct source_peer *p = &s->core.peer[k];

	return !p->open ||
	       mono_sub(loop_now(s->all->loop), s->host[k].met) < 5 * SEC_NS;
}

static struct source_service *
find_service(struct source_port *port, uint64_t hash)
{
	LIST_EACH(n, tmp, &port->all->services)
	{
		struct source_service *s = CONTAINER(n, struct source_service, link);

		if (s->hash == hash && s->port == port && s->running)
			return s;
	}
	return NULL;
}

static void
hear(struct source_port *port, const struct ip *from, const uint8_t *p, size_t n)
{
	uint8_t payload[SOURCE_PAYLOAD_MAX];
	struct source_header h = {.version = SOURCE_VERSION};
	struct source_service *s;
	struct seal *key;
	unsigned k = 0;
	int err = source_header_decode(&h, p, n);

	if (err != 0 || n > SOURCE_DATAGRAM_MAX) {
		complain(port->all, &port->complaints,
		    err == -EPROTONOSUPPORT ? COMPLAIN_VERSION : COMPLAIN_FORM, from);
		return;
	}
	s = find_service(port, h.service);
	while (s != NULL && k < s->n_hosts && !ip_equal(&s->host[k].ip, from))
		k++;
	if (s == NULL || k == s->n_hosts) {
		complain(port->all, &port->complaints, COMPLAIN_STRANGER, from);
		return;
	}
	key = key_for(s, k, &h);
	if (key == NULL)
		s->core.peer[k].greet = true;
	else if (seal_open(key, h.number, p, n, SOURCE_HEADER_LEN, payload) == 0)
		use(s, k, &h, payload, n - SOURCE_HEADER_LEN - SOURCE_TAG_LEN);
	else if (h.kind == SOURCE_HELLO || !settling(s, k))
		complain(s->all, &s->complaints, COMPLAIN_SEAL, from);
}

static void
on_readable(void *arg, unsigned events)
{
	struct source_port *port = arg;
	uint8_t buf[SOURCE_DATAGRAM_MAX + 1];

	(void)events;
	for (unsigned i = 0; i < READS_MAX; i++) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss);
		ssize_t n = recvfrom(port->fd, buf, sizeof(buf), MSG_DONTWAIT,
		    (struct sockaddr *)&ss, &len);
		struct ip_endpoint from;

		if (n < 0)
			break;
		from = ip_from_sockaddr(&ss);
		hear(port, &from.ip, buf, (size_t)n);
	}
	source_sync_pump(port->all);
}

/* ---- sending -------------------------------------------------------------------- */

/* What does not leave now is lost like what is lost on the way, and told again. */
static void
send_to(struct source_service *s, unsigned k)
{
	struct source_host *host = &s->host[k];
	const struct ip_endpoint at = {host->ip, STICKY_SYNC_PORT};
	uint8_t payload[SOURCE_PAYLOAD_MAX], out[SOURCE_DATAGRAM_MAX];
	mono_t now = loop_now(s->all->loop);
	struct sockaddr_storage to;
	socklen_t to_len = ip_to_sockaddr(&at, &to);
	struct source_header h;
	struct seal *key;
	size_t len;

	while (source_core_next(&s->core, now, k, &h, payload, &len)) {
		h.service = s->hash;
		if (h.kind == SOURCE_HELLO)
			key = host->hello_out;
		else if (data_keys(s, host, &s->core.peer[k].epoch))
			key = host->data_out;
		else
			key = NULL;
		source_header_encode(&h, out);
		if (key == NULL || seal_close(key, h.number, out, SOURCE_HEADER_LEN,
				       payload, len) != 0)
			continue;
		(void)sendto(s->port->fd, out, SOURCE_HEADER_LEN + len + SOURCE_TAG_LEN,
		    MSG_DONTWAIT, (const struct sockaddr *)&to, to_len);
	}
}

void
source_net_send(struct source_service *s)
{
	for (unsigned k = 0; k < s->n_hosts && s->port != NULL && s->running; k++)
		send_to(s, k);
}

/* ---- sockets -------------------------------------------------------------------- */

static int
open_socket(const struct ip *self)
{
	const struct ip_endpoint at = {*self, STICKY_SYNC_PORT};
	const int one = 1, size = 4 << 20;
	struct sockaddr_storage ss;
	socklen_t len = ip_to_sockaddr(&at, &ss);
	int fd = socket(self->family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int err;

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (self->family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &one, sizeof(one));
	else
		(void)setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&ss, len) == 0)
		return fd;
	err = -errno;
	(void)close(fd);
	return err;
}

static void
put_port(struct source_port *port)
{
	if (port == NULL || --port->users > 0)
		return;
	loop_unwatch(port->watch);
	(void)close(port->fd);
	list_remove(&port->link);
	free(port);
}

static struct source_port *
new_port(struct source_sync *ss, const struct ip *ip, int *err)
{
	struct source_port *port = calloc(1, sizeof(*port));

	*err = -ENOMEM;
	if (port == NULL)
		return NULL;
	*port = (struct source_port){.all = ss, .ip = *ip, .users = 1};
	list_init(&port->link);
	port->fd = open_socket(ip);
	*err = port->fd < 0 ? port->fd : -ENOMEM;
	if (port->fd >= 0)
		port->watch =
		    loop_watch(ss->loop, port->fd, LOOP_IN, on_readable, port);
	if (port->watch != NULL) {
		list_append(&ss->ports, &port->link);
		return port;
	}
	if (port->fd >= 0)
		(void)close(port->fd);
	free(port);
	return NULL;
}

static struct source_port *
get_port(struct source_sync *ss, const struct ip *ip, int *err)
{
	LIST_EACH(n, tmp, &ss->ports)
	{
		struct source_port *port = CONTAINER(n, struct source_port, link);

		if (!ip_equal(&port->ip, ip))
			continue;
		port->users++;
		return port;
	}
	return new_port(ss, ip, err);
}

/* ---- configuration -------------------------------------------------------------- */

void
source_net_close(struct source_service *s)
{
	put_port(s->port);
	s->port = NULL;
	for (size_t k = 0; k < s->n_hosts; k++)
		forget_keys(&s->host[k]);
}

void
source_net_begin(struct source_service *s)
{
	struct source_epoch epoch;
	int err = 0;

	source_net_close(s);
	if (!s->has_secret || !s->running)
		return;
	if (getrandom(epoch.byte, sizeof(epoch.byte), 0) != sizeof(epoch.byte)) {
		refuse(s, "no random numbers");
		return;
	}
	source_core_begin(&s->core, &epoch);
	s->port = get_port(s->all, &s->self, &err);
	if (s->port == NULL) {
		char ip[IP_STR_LEN];

		refuse(
		    s, "no socket at %s: %s", ip_format(&s->self, ip), strerror(-err));
		return;
	}
	for (unsigned k = 0; k < s->n_hosts; k++) {
		struct source_host *h = &s->host[k];

		h->hello_out = new_seal(s, s->me, h->name, &epoch, NULL);
		source_core_add(&s->core, k);
	}
}

/* The other load balancers, as the file has them now. */
static size_t
list_hosts(const struct cluster *c, const struct service *conf, const struct host *me,
    struct source_host host[static SOURCE_PEERS_MAX])
{
	const struct network *net = conf->balancing.source.sync;
	size_t n = 0;

	for (size_t i = 0; i < c->n_hosts && n < SOURCE_PEERS_MAX; i++) {
		const struct host *h = &c->host[i];
		const struct host_address *a = host_address_on(h, net);

		if (h == me || a == NULL || !service_on_host(conf, h))
			continue;
		host[n] = (struct source_host){.ip = a->ip};
		(void)snprintf(host[n].name, sizeof(host[n].name), "%s", h->name);
		n++;
	}
	return n;
}

static bool
same_hosts(const struct source_service *s, const struct source_host *host, size_t n)
{
	if (n != s->n_hosts)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(s->host[i].name, host[i].name) != 0 ||
		    !ip_equal(&s->host[i].ip, &host[i].ip))
			return false;
	}
	return true;
}

void
source_net_config(struct source_service *s, const struct cluster *c,
    const struct service *conf, const struct host *me)
{
	const struct host_address *self =
	    host_address_on(me, conf->balancing.source.sync);
	struct source_host host[SOURCE_PEERS_MAX] = {{.name = ""}};
	size_t n = list_hosts(c, conf, me, host);
	uint8_t before[SEAL_SECRET_LEN];
	bool had = s->has_secret, same;

	memcpy(before, s->secret, sizeof(before));
	s->has_secret = self != NULL && read_secret(s, conf->balancing.source.key_file);
	same = had && s->has_secret && s->port != NULL &&
	       memcmp(before, s->secret, sizeof(before)) == 0 &&
	       ip_equal(&s->self, &self->ip) && same_hosts(s, host, n);
	OPENSSL_cleanse(before, sizeof(before));
	if (same)
		return;
	source_net_close(s);
	if (self != NULL)
		s->self = self->ip;
	(void)snprintf(s->me, sizeof(s->me), "%s", me->name);
	memcpy(s->host, host, sizeof(s->host));
	s->n_hosts = n;
	source_net_begin(s);
}
