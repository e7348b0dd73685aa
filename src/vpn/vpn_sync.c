/* SPDX-License-Identifier: Apache-2.0 */
/* The gateways' messages to each other: socket, sealing, the wall clock. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "vpn/vpn_seal.h"
#include "vpn/vpn_shell.h"

#define READS_MAX  256	/* in one go, so that the loop gets on */
#define FORGED_MAX 1000 /* where counting them ends */

int64_t
vpn_sync_wall(void)
{
	struct timespec ts;

	return clock_gettime(CLOCK_REALTIME, &ts) == 0 ? ts.tv_sec * SEC_NS + ts.tv_nsec
						       : 0;
}

int
vpn_sync_session(uint8_t session[static VPN_SESSION_LEN])
{
	uint64_t wall = (uint64_t)vpn_sync_wall();

	for (size_t i = 0; i < 8; i++)
		session[i] = (uint8_t)(wall >> (56 - 8 * i) & 0xff);
	return getrandom(session + 8, VPN_SESSION_LEN - 8, 0) == VPN_SESSION_LEN - 8
		   ? 0
		   : -EIO;
}

static bool
address_on_sync(const struct vpn *v, const char *host, struct ip_endpoint *at)
{
	for (size_t i = 0; i < v->n_hosts && v->sync != NULL; i++) {
		const struct host_address *a = host_address_on(v->host[i], v->sync);

		if (strcmp(v->host[i]->name, host) != 0 || a == NULL)
			continue;
		*at = (struct ip_endpoint){.ip = a->ip, .port = v->sync_port};
		return true;
	}
	return false;
}

static void
hear(struct tunnel *t, const uint8_t *data, size_t len)
{
	struct vpn_msg m = {.active = false};
	int err = vpn_open(t->key, data, len, &m);
	int64_t wall = vpn_sync_wall();
	uint8_t session[VPN_SESSION_LEN];

	if (err == 0) {
		t->forged = 0;
		if (vpn_core_heard(&t->core, loop_now(t->shell->loop), &m))
			t->skew_ns = m.wall_ns - wall;
		if (t->core.renew && vpn_sync_session(session) == 0)
			vpn_core_renew(&t->core, session);
		return;
	}
	/* Once; a peer that goes on with it is a line in the status. */
	if (t->forged == 0)
		log_event(LOG_WARN, "sync", "vpn=%s why=\"%s\"", t->vpn->name,
		    err == -EKEYREJECTED ? "a message was made with another key"
		    : err == -EPROTO	 ? "a message of another version"
					 : "a malformed message");
	if (t->forged < FORGED_MAX)
		t->forged++;
}

static void
on_sync(void *arg, unsigned events)
{
	struct tunnel *t = arg;
	uint8_t buf[VPN_DATAGRAM_MAX + 1];

	(void)events;
	for (unsigned i = 0; i < READS_MAX; i++) {
		ssize_t n = recv(t->sync_fd, buf, sizeof(buf), MSG_DONTWAIT);

		if (n < 0)
			break;
		if (t->has_key)
			hear(t, buf, (size_t)n);
	}
	vpn_sync_send(t);
}

static int
bound(const struct ip_endpoint *at)
{
	struct sockaddr_storage ss;
	socklen_t len = ip_to_sockaddr(at, &ss);
	int fd = socket(at->ip.family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&ss, len) != 0) {
		int err = -errno;

		(void)close(fd);
		return err;
	}
	return fd;
}

void
vpn_sync_open(struct tunnel *t)
{
	struct ip_endpoint at;

	if (!address_on_sync(t->vpn, t->shell->me->name, &at)) {
		vpn_sync_close(t);
		return;
	}
	if (t->sync_fd >= 0 && ip_equal(&at.ip, &t->sync_at.ip) &&
	    at.port == t->sync_at.port)
		return;
	vpn_sync_close(t);
	t->sync_fd = bound(&at);
	if (t->sync_fd < 0) {
		log_event(LOG_ERR, "sync", "vpn=%s why=\"%s\"", t->vpn->name,
		    strerror(-t->sync_fd));
		t->sync_fd = -1;
		return;
	}
	t->sync_at = at;
	t->sync_watch = loop_watch(t->shell->loop, t->sync_fd, LOOP_IN, on_sync, t);
	if (t->sync_watch == NULL)
		vpn_sync_close(t);
}

void
vpn_sync_close(struct tunnel *t)
{
	loop_unwatch(t->sync_watch);
	t->sync_watch = NULL;
	if (t->sync_fd >= 0)
		(void)close(t->sync_fd);
	t->sync_fd = -1;
}

/* What does not get through is said again: the core repeats itself. */
void
vpn_sync_send(struct tunnel *t)
{
	struct vpn_msg m = {.active = false};
	uint8_t out[VPN_DATAGRAM_MAX];

	while (vpn_core_next(&t->core, loop_now(t->shell->loop), &m)) {
		struct sockaddr_storage ss;
		struct ip_endpoint at;
		socklen_t ss_len;
		ssize_t len;

		if (t->sync_fd < 0 || !t->has_key ||
		    !address_on_sync(t->vpn, m.to, &at))
			continue;
		m.wall_ns = vpn_sync_wall();
		len = vpn_seal(t->key, &m, out);
		if (len < 0)
			continue;
		ss_len = ip_to_sockaddr(&at, &ss);
		(void)sendto(t->sync_fd, out, (size_t)len, MSG_DONTWAIT,
		    (const struct sockaddr *)&ss, ss_len);
	}
}
