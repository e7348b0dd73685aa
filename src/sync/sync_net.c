/* SPDX-License-Identifier: Apache-2.0 */
/* The part's side towards its peers: key, socket, datagrams. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "sync/sync_shell.h"

enum {
	SOCKET_BUFFER = 16 << 20,
	BATCH = SYNC_BATCH,
	KEY_FILE_MAX = 256,
	COMPLAINT_S = 30,
};

/* ---- complaints ----------------------------------------------------------------- */

/* One line, and then at most one each half minute, whatever an attacker sends. */
static void
complain(struct sync_shell *sh, struct complaints *c, enum complaint what,
    const struct ip *from, unsigned version)
{
	static const char *const text[] = {
	    [COMPLAINT_FORM] = "no message of nines, or a truncated one",
	    [COMPLAINT_VERSION] = "another version: upgrade both hosts",
	    [COMPLAINT_SEAL] = "forged, or key_file is not the same on both hosts",
	    [COMPLAINT_REPLAY] = "replayed, or overtaken by a later one",
	    [COMPLAINT_STRANGER] = "from an address that is no host of the firewall",
	};
	mono_t now = loop_now(sh->loop);
	char ip[IP_STR_LEN];

	c->n[what]++;
	if (c->told[what].ns != 0 &&
	    mono_sub(now, c->told[what]) < COMPLAINT_S * SEC_NS)
		return;
	log_event(what == COMPLAINT_REPLAY ? LOG_INFO : LOG_WARN, "refused_datagram",
	    "from=%s why=\"%s\" version=%u n=%llu", ip_format(from, ip), text[what],
	    version, (unsigned long long)c->n[what]);
	c->told[what] = now;
	c->n[what] = 0;
}

/* ---- the key -------------------------------------------------------------------- */

/* Said in the log when it is new. */
PRINTF(2, 3)
static void
refuse(struct sync_shell *sh, const char *fmt, ...)
{
	char text[SYNC_WHY_LEN];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (strcmp(text, sh->why_not) != 0)
		log_event(LOG_ERR, "no_sync", "why=\"%s\"", text);
	memcpy(sh->why_not, text, sizeof(text));
}

static bool
read_key(struct sync_shell *sh, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char text[KEY_FILE_MAX];
	struct stat st;
	ssize_t n = -1;
	bool good;

	if (fd < 0 || fstat(fd, &st) != 0) {
		refuse(sh,
		    "%s: %s. (umask 077; openssl rand -hex 32 > %s) on one host, and "
		    "copy it to the others",
		    path, strerror(errno), path);
		if (fd >= 0)
			(void)close(fd);
		return false;
	}
	good = S_ISREG(st.st_mode) && st.st_uid == 0 && (st.st_mode & 077) == 0;
	if (good)
		n = read(fd, text, sizeof(text));
	(void)close(fd);
	if (!good)
		refuse(sh,
		    "%s must be a file that only root can read: chown root %s; chmod "
		    "600 %s",
		    path, path, path);
	else if (n < 0 || !seal_secret_parse(text, (size_t)n, sh->secret))
		refuse(sh,
		    "%s must hold 64 hexadecimal digits: (umask 077; openssl rand -hex "
		    "32 > %s)",
		    path, path);
	else
		sh->why_not[0] = '\0';
	OPENSSL_cleanse(text, sizeof(text));
	return sh->why_not[0] == '\0';
}

/* ---- keys of a session ---------------------------------------------------------- */

static void
forget_keys(struct sync_host *h)
{
	seal_free(h->hello_in);
	seal_free(h->hello_out);
	seal_free(h->data_in);
	seal_free(h->data_out);
	h->hello_in = h->hello_out = h->data_in = h->data_out = NULL;
}

/* For greetings from an epoch that we may not know yet. */
static struct seal *
hello_key(struct sync_shell *sh, struct sync_host *h, const struct sync_epoch *from)
{
	if (h->hello_in != NULL && memcmp(&h->hello_epoch, from, sizeof(*from)) == 0)
		return h->hello_in;
	seal_free(h->hello_in);
	h->hello_in = sync_seal_new(sh->secret, h->name, sh->me->name, from, NULL);
	h->hello_epoch = *from;
	return h->hello_in;
}

static bool
session_keys(struct sync_shell *sh, struct sync_host *h, const struct sync_epoch *peer)
{
	if (h->data_in != NULL && h->data_out != NULL &&
	    memcmp(&h->data_epoch, peer, sizeof(*peer)) == 0)
		return true;
	seal_free(h->data_in);
	seal_free(h->data_out);
	h->data_in =
	    sync_seal_new(sh->secret, h->name, sh->me->name, peer, &sh->core.epoch);
	h->data_out =
	    sync_seal_new(sh->secret, sh->me->name, h->name, &sh->core.epoch, peer);
	h->data_epoch = *peer;
	return h->data_in != NULL && h->data_out != NULL;
}

/* ---- receiving ------------------------------------------------------------------ */

static struct seal *
key_for(struct sync_shell *sh, unsigned k, const struct sync_header *h)
{
	const struct sync_peer *p = &sh->core.peer[k];

	if (h->kind == SYNC_HELLO)
		return hello_key(sh, &sh->host[k], &h->from);
	if (!p->open || memcmp(&p->epoch, &h->from, sizeof(h->from)) != 0)
		return NULL; /* another life of it, or of us */
	return session_keys(sh, &sh->host[k], &h->from) ? sh->host[k].data_in : NULL;
}

static void
use(struct sync_shell *sh, unsigned k, const struct sync_header *h,
    const uint8_t *payload, size_t len)
{
	struct complaints *c = &sh->host[k].complaints;
	mono_t now = loop_now(sh->loop);
	struct sync_hello hello;
	int err;

	if (h->kind == SYNC_HELLO) {
		err = sync_hello_decode(&hello, payload, len);
		if (err == 0)
			sync_greeted(&sh->core, now, k, &h->from, &hello);
	} else {
		err = sync_heard(&sh->core, now, k, h->seq, payload, len);
	}
	if (err == -EALREADY)
		complain(sh, c, COMPLAINT_REPLAY, &sh->host[k].ip, h->version);
	else if (err != 0)
		complain(sh, c, COMPLAINT_FORM, &sh->host[k].ip, h->version);
}

/* While a session begins, what was sealed for the one before still arrives. */
static bool
settling(const struct sync_shell *sh, unsigned k)
{
	const struct sync_peer *p = &sh->core.peer[k];

	return !p->open || mono_sub(loop_now(sh->loop), p->opened) < SEC_NS;
}

static void
hear(struct sync_shell *sh, const struct ip *from, const uint8_t *p, size_t n)
{
	uint8_t payload[SYNC_PAYLOAD_MAX];
	struct complaints *c = &sh->complaints;
	struct sync_header h = {.version = SYNC_VERSION};
	unsigned k = 0;
	struct seal *key;
	size_t len;
	int err;

	while (k < SYNC_PEERS_MAX && !ip_equal(&sh->host[k].ip, from))
		k++;
	if (k == SYNC_PEERS_MAX) {
		complain(sh, c, COMPLAINT_STRANGER, from, 0);
		return;
	}
	c = &sh->host[k].complaints;
	err = sync_header_decode(&h, p, n);
	if (err != 0) {
		complain(sh, c,
		    err == -EPROTONOSUPPORT ? COMPLAINT_VERSION : COMPLAINT_FORM, from,
		    h.version);
		return;
	}
	key = key_for(sh, k, &h);
	if (key == NULL) {
		if (!settling(sh, k))
			complain(sh, c, COMPLAINT_REPLAY, from, h.version);
		sh->core.peer[k].greet = true;
	} else if (sync_seal_open(key, &h, p, n, payload, &len) != 0) {
		if (h.kind == SYNC_HELLO || !settling(sh, k))
			complain(sh, c, COMPLAINT_SEAL, from, h.version);
	} else {
		use(sh, k, &h, payload, len);
	}
}

static void
receive(struct sync_shell *sh)
{
	struct sockaddr_storage from[BATCH];
	struct iovec iov[BATCH];
	struct mmsghdr msg[BATCH];
	int n;

	for (size_t i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){sh->inbox[i], sizeof(sh->inbox[i])};
		msg[i] = (struct mmsghdr){.msg_hdr = {.msg_name = &from[i],
					      .msg_namelen = sizeof(from[i]),
					      .msg_iov = &iov[i],
					      .msg_iovlen = 1}};
	}
	n = recvmmsg(sh->fd, msg, BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++) {
		const struct ip_endpoint at = ip_from_sockaddr(&from[i]);

		hear(sh, &at.ip, sh->inbox[i], msg[i].msg_len);
	}
}

static void
on_readable(void *arg, unsigned events)
{
	struct sync_shell *sh = arg;

	(void)events;
	receive(sh); /* the rest after these are in the kernel, and acknowledged */
	sync_shell_pump(sh);
}

/* ---- sending -------------------------------------------------------------------- */

struct out {
	uint8_t buf[BATCH][SYNC_DATAGRAM_MAX];
	struct iovec iov[BATCH];
	struct mmsghdr msg[BATCH];
	unsigned n;
};

/* What does not leave now is lost like what is lost on the way, and told again. */
static void
send_off(struct sync_shell *sh, struct out *o)
{
	unsigned done = 0;

	while (done < o->n) {
		int n = sendmmsg(sh->fd, o->msg + done, o->n - done, MSG_DONTWAIT);

		done += n > 0 ? (unsigned)n : 1;
	}
	o->n = 0;
}

static void
send_to(struct sync_shell *sh, unsigned k, struct out *o)
{
	struct sync_host *host = &sh->host[k];
	const struct ip_endpoint at = {host->ip, FIREWALL_SYNC_PORT};
	uint8_t payload[SYNC_PAYLOAD_MAX];
	struct sockaddr_storage to;
	socklen_t to_len = ip_to_sockaddr(&at, &to);
	struct sync_header h;
	struct seal *key;
	size_t len;

	while (sync_next(&sh->core, loop_now(sh->loop), k, &h, payload, &len)) {
		if (h.kind == SYNC_HELLO)
			key = host->hello_out;
		else if (session_keys(sh, host, &sh->core.peer[k].epoch))
			key = host->data_out;
		else
			key = NULL;
		if (key == NULL ||
		    sync_seal_close(key, &h, payload, len, o->buf[o->n]) != 0)
			continue;
		o->iov[o->n] =
		    (struct iovec){o->buf[o->n], SYNC_HEADER_LEN + len + SYNC_TAG_LEN};
		o->msg[o->n] = (struct mmsghdr){.msg_hdr = {.msg_name = &to,
						    .msg_namelen = to_len,
						    .msg_iov = &o->iov[o->n],
						    .msg_iovlen = 1}};
		if (++o->n == BATCH)
			send_off(sh, o);
	}
	send_off(sh, o);
}

void
sync_net_send(struct sync_shell *sh)
{
	struct out o;

	o.n = 0;
	for (unsigned k = 0; k < SYNC_PEERS_MAX && sh->fd >= 0; k++) {
		if (sh->core.peer[k].present)
			send_to(sh, k, &o);
	}
}

/* ---- configuration -------------------------------------------------------------- */

static int
open_socket(const struct ip *self)
{
	const struct ip_endpoint at = {*self, FIREWALL_SYNC_PORT};
	const int one = 1, size = SOCKET_BUFFER, bulk = 0x10 /* low delay */;
	struct sockaddr_storage ss;
	socklen_t len = ip_to_sockaddr(&at, &ss);
	int fd = socket(self->family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	(void)setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &one, sizeof(one));
	(void)setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &one, sizeof(one));
	(void)setsockopt(fd, IPPROTO_IP, IP_TOS, &bulk, sizeof(bulk));
	if (bind(fd, (struct sockaddr *)&ss, len) != 0) {
		int err = errno;

		(void)close(fd);
		return -err;
	}
	return fd;
}

static bool
open_net(struct sync_shell *sh)
{
	sh->fd = open_socket(&sh->self);
	if (sh->fd >= 0)
		sh->watch = loop_watch(sh->loop, sh->fd, LOOP_IN, on_readable, sh);
	if (sh->watch != NULL)
		return true;
	refuse(sh, "no socket: %s", sh->fd < 0 ? strerror(-sh->fd) : "no memory");
	if (sh->fd >= 0)
		(void)close(sh->fd);
	sh->fd = -1;
	return false;
}

static void
drop_host(struct sync_shell *sh, unsigned k)
{
	char key[FACT_KEY_LEN];

	if (!sh->core.peer[k].present)
		return;
	(void)snprintf(key, sizeof(key), "sync peer %s", sh->host[k].name);
	part_publish(sh->part, key, "%s", "");
	sync_peer_drop(&sh->core, k);
	forget_keys(&sh->host[k]);
	sh->host[k] = (struct sync_host){.stats = NULL};
}

void
sync_net_close(struct sync_shell *sh)
{
	for (unsigned k = 0; k < SYNC_PEERS_MAX; k++)
		drop_host(sh, k);
	loop_unwatch(sh->watch);
	sh->watch = NULL;
	if (sh->fd >= 0)
		(void)close(sh->fd);
	sh->fd = -1;
	OPENSSL_cleanse(sh->secret, sizeof(sh->secret));
	sh->has_secret = false;
}

static bool
still_peer(const struct firewall_conf *f, const struct sync_host *h)
{
	for (size_t i = 0; i < f->n_hosts; i++) {
		const struct host_address *a = host_address_on(f->host[i], f->sync);

		if (strcmp(f->host[i]->name, h->name) == 0)
			return a != NULL && ip_equal(&a->ip, &h->ip);
	}
	return false;
}

static void
add_host(struct sync_shell *sh, const struct host *host, const struct ip *ip)
{
	unsigned k = 0, vacant = SYNC_PEERS_MAX;
	struct sync_host *h;

	for (k = 0; k < SYNC_PEERS_MAX; k++) {
		if (!sh->core.peer[k].present)
			vacant = vacant < k ? vacant : k;
		else if (strcmp(sh->host[k].name, host->name) == 0)
			return;
	}
	if (vacant == SYNC_PEERS_MAX) {
		log_event(LOG_ERR, "too_many_hosts",
		    "host=%s what=\"state is shared by at most %d hosts\"", host->name,
		    SYNC_PEERS_MAX + 1);
		return;
	}
	h = &sh->host[vacant];
	*h = (struct sync_host){.ip = *ip};
	(void)snprintf(h->name, sizeof(h->name), "%s", host->name);
	h->hello_out =
	    sync_seal_new(sh->secret, sh->me->name, h->name, &sh->core.epoch, NULL);
	sync_peer_add(&sh->core, vacant);
}

/* A changed key or own address begins anew; peers that stay notice nothing else. */
void
sync_net_config(struct sync_shell *sh, const struct firewall_conf *f)
{
	const struct host_address *self = host_address_on(sh->me, f->sync);
	uint8_t before[SEAL_SECRET_LEN];
	bool had = sh->has_secret;

	memcpy(before, sh->secret, sizeof(before));
	sh->has_secret = self != NULL && read_key(sh, f->key_file);
	if (!sh->has_secret || !had ||
	    memcmp(before, sh->secret, sizeof(before)) != 0 ||
	    !ip_equal(&sh->self, &self->ip)) {
		bool has = sh->has_secret;
		uint8_t now[SEAL_SECRET_LEN];

		memcpy(now, sh->secret, sizeof(now));
		sync_net_close(sh);
		memcpy(sh->secret, now, sizeof(now));
		OPENSSL_cleanse(now, sizeof(now));
		sh->has_secret = has;
	}
	OPENSSL_cleanse(before, sizeof(before));
	if (!sh->has_secret)
		return;
	sh->self = self->ip;
	if (sh->fd < 0 && !open_net(sh))
		return;
	for (unsigned k = 0; k < SYNC_PEERS_MAX; k++) {
		if (sh->core.peer[k].present && !still_peer(f, &sh->host[k]))
			drop_host(sh, k);
	}
	for (size_t i = 0; i < f->n_hosts; i++) {
		const struct host_address *a = host_address_on(f->host[i], f->sync);

		if (f->host[i] != sh->me && a != NULL)
			add_host(sh, f->host[i], &a->ip);
	}
}
