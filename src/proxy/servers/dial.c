/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/servers/dial.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mono.h"
#include "proxy/servers/service.h"
#include "proxy/servers/upstream.h"

static int
set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) == 0 ? 0 : -errno;
}

/*
 * The kernel gives up a peer after `ns`: data that is not acknowledged by
 * TCP_USER_TIMEOUT, a silent connection by probes that begin at half of the time and
 * whose patience is the same time-out. What cannot be set is only slower to be noticed.
 */
static void
set_patience(int fd, int64_t ns)
{
	int64_t ms = ns / MS_NS < INT_MAX ? ns / MS_NS : INT_MAX;
	int idle = ms / 2000 > 1 ? (int)(ms / 2000) : 1;
	int every = ms / 8000 > 1 ? (int)(ms / 8000) : 1;

	(void)set(fd, SOL_SOCKET, SO_KEEPALIVE, ms > 0);
	(void)set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)ms);
	if (ms == 0)
		return;
	(void)set(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle < 32767 ? idle : 32767);
	(void)set(fd, IPPROTO_TCP, TCP_KEEPINTVL, every < 32767 ? every : 32767);
}

void
dial_tune_listener(int listener, const struct service *conf)
{
	(void)set(listener, IPPROTO_TCP, TCP_NODELAY, 1);
	set_patience(listener, conf->peer_timeout_ns);
	(void)listen(
	    listener, (int)conf->backlog); /* once more: the same, but for it */
}

/* 0 or -errno. The port is chosen by connect(), for each destination anew: otherwise
 * some 28,000 connections would be all that one source could have. */
static int
bind_source(int fd, const struct ip *ip)
{
	const struct ip_endpoint at = {.ip = *ip};
	struct sockaddr_storage ss;
	socklen_t len = ip_to_sockaddr(&at, &ss);

	(void)set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	return bind(fd, (const struct sockaddr *)&ss, len) == 0 ? 0 : -errno;
}

/* The client's own address. One of the other family cannot be had. */
static int
bind_client(int fd, const struct upstream *up, const struct ip *client)
{
	bool v6 = client->family == AF_INET6;

	if (client->family != up->conf->at.ip.family)
		return 0;
	if (set(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP,
		v6 ? IPV6_TRANSPARENT : IP_TRANSPARENT, 1) != 0)
		return -EADDRNOTAVAIL;
	return bind_source(fd, client);
}

static int
prepare_tcp(int fd, const struct upstream *up, const struct ip_endpoint *client)
{
	const struct wservice *s = up->service;
	struct ip source;

	(void)set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_patience(fd, s->conf->peer_timeout_ns);
	if (s->conf->transparent)
		return bind_client(fd, up, &client->ip);
	if (service_source(s->conf, s->gen->me, &source))
		return bind_source(fd, &source);
	return 0;
}

static int
connect_unix(int fd, const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	size_t len = strlen(path);

	ASSERT(len < sizeof(sun.sun_path)); /* the file was checked */
	memcpy(sun.sun_path, path, len + 1);
	return connect(fd, (const struct sockaddr *)&sun, sizeof(sun));
}

int
dial_server(const struct upstream *up, const struct ip_endpoint *client)
{
	const char *path = up->conf->unix_path;
	int family = path != NULL ? AF_UNIX : up->address.ss_family, err = 0, fd;

	fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (path == NULL)
		err = prepare_tcp(fd, up, client);
	if (err == 0 &&
	    (path != NULL ? connect_unix(fd, path)
			  : connect(fd, (const struct sockaddr *)&up->address,
				up->address_len)) != 0 &&
	    errno != EINPROGRESS)
		err = -errno;
	if (err == 0)
		return fd;
	(void)close(fd);
	return err;
}
