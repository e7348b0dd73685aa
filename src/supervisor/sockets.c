/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "os/refuse.h"

#define BACKLOG 65535 /* the kernel cuts it to net.core.somaxconn */
#define MEMBERS 1024  /* of one SO_REUSEPORT group */

#define MEMORY_PREFIX "memory/"
#define MEMORY_MAX    ((size_t)64 << 20)

void
sockets_init(struct sockets *s)
{
	s->n = 0;
	list_init(&s->all);
}

static void
release(struct sockets *s, struct held *h)
{
	list_remove(&h->node);
	(void)close(h->fd);
	free(h);
	s->n--;
}

/* For good, not to be handed over. The proxy has a moment to take who has begun to
 * connect. */
static void
give_up(struct sockets *s, struct held *h)
{
	int err = strncmp(h->name, "tcp/", strlen("tcp/")) == 0 ? refuse_new(h->fd) : 0;

	if (err != 0)
		log_event(LOG_WARN, "refuse", "name=%s error=\"%s\"", h->name,
		    strerror(-err));
	release(s, h);
}

void
sockets_done(struct sockets *s)
{
	LIST_EACH(n, tmp, &s->all)
	release(s, CONTAINER(n, struct held, node));
}

static struct held *
find(struct sockets *s, const char *name)
{
	LIST_EACH(n, tmp, &s->all)
	{
		struct held *h = CONTAINER(n, struct held, node);

		if (strcmp(h->name, name) == 0)
			return h;
	}
	return NULL;
}

/* "tcp/ADDRESS:PORT/N" -> the endpoint; -EINVAL if it is not of that form. */
static int
parse_tcp(const char *name, struct ip_endpoint *at)
{
	const char *start = name + strlen("tcp/"), *slash = strrchr(start, '/');
	char text[IP_ENDPOINT_LEN];
	unsigned long member;
	char *end;

	if (slash == NULL || (size_t)(slash - start) >= sizeof(text))
		return -EINVAL;
	if (slash[1] < '0' || slash[1] > '9')
		return -EINVAL;
	member = strtoul(slash + 1, &end, 10);
	if (*end != '\0' || member >= MEMBERS)
		return -EINVAL;
	memcpy(text, start, (size_t)(slash - start));
	text[slash - start] = '\0';
	return ip_endpoint_parse(at, text);
}

static bool
is_listener(
    const struct cluster *c, const struct host *me, const struct ip_endpoint *at)
{
	for (size_t i = 0; i < c->n_services; i++) {
		for (size_t k = 0; k < c->service[i].n_listen; k++) {
			const struct listener *l = &c->service[i].listen[k];

			if (ip_equal(&l->at.ip, &at->ip) && l->at.port == at->port &&
			    listener_on_host(l, me))
				return true;
		}
	}
	return false;
}

static int
set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

static int
listen_tcp(const struct ip_endpoint *at)
{
	struct sockaddr_storage ss;
	socklen_t len = ip_to_sockaddr(at, &ss);
	bool v6 = at->ip.family == AF_INET6;
	int fd, err;

	fd = socket(at->ip.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/*
	 * A standby listens before it owns the address (FREEBIND). TCP_NODELAY is
	 * inherited by accepted sockets, which saves the worker a call for each.
	 */
	if (set(fd, SOL_SOCKET, SO_REUSEADDR, 1) != 0 ||
	    set(fd, SOL_SOCKET, SO_REUSEPORT, 1) != 0 ||
	    set(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_FREEBIND : IP_FREEBIND,
		1) != 0 ||
	    set(fd, IPPROTO_TCP, TCP_NODELAY, 1) != 0 ||
	    bind(fd, (const struct sockaddr *)&ss, len) != 0 ||
	    listen(fd, BACKLOG) != 0)
		err = -errno;
	else
		err = refuse_none(fd); /* as an older one did that is closing */
	if (err != 0)
		(void)close(fd);
	return err != 0 ? err : fd;
}

static int
open_ping(const char *family)
{
	int fd;

	if (strcmp(family, "4") == 0)
		fd = socket(
		    AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMP);
	else if (strcmp(family, "6") == 0)
		fd = socket(
		    AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMPV6);
	else
		return -EINVAL;
	return fd >= 0 ? fd : -errno;
}

static bool
is_ping(const char *name)
{
	return strncmp(name, "ping/", strlen("ping/")) == 0;
}

static bool
is_memory(const char *name)
{
	return strncmp(name, MEMORY_PREFIX, strlen(MEMORY_PREFIX)) == 0;
}

/* "memory/SERVICE/BYTES" -> both; -EINVAL if it is not of that form. */
static int
parse_memory(const char *name, char service[static SOCKETS_NAME], size_t *bytes)
{
	const char *start = name + strlen(MEMORY_PREFIX), *slash = strchr(start, '/');
	char *end;

	if (slash == NULL || slash[1] < '1' || slash[1] > '9')
		return -EINVAL;
	ASSERT((size_t)(slash - start) < SOCKETS_NAME);
	memcpy(service, start, (size_t)(slash - start));
	service[slash - start] = '\0';
	*bytes = strtoul(slash + 1, &end, 10);
	return *end == '\0' && *bytes <= MEMORY_MAX ? 0 : -EINVAL;
}

/* A service here that keeps a table of sources. */
static bool
needs_memory(const struct cluster *c, const struct host *me, const char *service)
{
	const struct service *s = cluster_service(c, service);

	return s != NULL && service_on_host(s, me) && sticky_has_table(&s->balancing);
}

/* It can be written, but neither grow nor shrink below those who have it mapped. */
static int
open_memory(const struct cluster *c, const struct host *me, const char *name)
{
	char service[SOCKETS_NAME];
	size_t bytes;
	int fd, err = parse_memory(name, service, &bytes);

	if (err != 0)
		return err;
	if (!needs_memory(c, me, service))
		return -EPERM;
	fd = memfd_create("table", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)bytes) == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
		return fd;
	err = -errno;
	(void)close(fd);
	return err;
}

static int
open_named(const struct cluster *c, const struct host *me, const char *name)
{
	struct ip_endpoint at;

	if (is_ping(name))
		return open_ping(name + strlen("ping/"));
	if (is_memory(name))
		return open_memory(c, me, name);
	if (strncmp(name, "tcp/", strlen("tcp/")) != 0 || parse_tcp(name, &at) != 0)
		return -EINVAL;
	return is_listener(c, me, &at) ? listen_tcp(&at) : -EPERM;
}

int
sockets_put(struct sockets *s, const char *name, int fd, unsigned askers)
{
	size_t len = strlen(name);
	struct held *h;

	if (len >= SOCKETS_NAME || s->n == SOCKETS_MAX)
		return -EINVAL;
	h = calloc(1, sizeof(*h));
	if (h == NULL)
		return -ENOMEM;
	h->fd = fd;
	h->askers = askers;
	memcpy(h->name, name, len + 1);
	list_init(&h->node);
	list_append(&s->all, &h->node);
	s->n++;
	return 0;
}

void
sockets_forget_asker(struct sockets *s, unsigned asker)
{
	LIST_EACH(n, tmp, &s->all)
	CONTAINER(n, struct held, node)->askers &= ~(1U << asker);
}

void
sockets_keep_for(struct sockets *s, const char *prefix, unsigned asker)
{
	LIST_EACH(n, tmp, &s->all)
	{
		struct held *h = CONTAINER(n, struct held, node);

		if (strncmp(h->name, prefix, strlen(prefix)) != 0 ||
		    (h->askers & 1U << asker) != 0)
			continue;
		/* Others may have it open still, who do not accept either. */
		(void)shutdown(h->fd, SHUT_RD);
		release(s, h);
	}
}

int
sockets_get(struct sockets *s, const struct cluster *c, const struct host *me,
    const char *name, unsigned asker)
{
	struct held *h = find(s, name);
	int fd, err;

	ASSERT(asker < 32);
	if (h != NULL) {
		h->askers |= 1U << asker;
		return h->fd;
	}
	if (strlen(name) >= SOCKETS_NAME)
		return -EINVAL;
	fd = open_named(c, me, name);
	if (fd < 0)
		return fd;
	err = sockets_put(s, name, fd, 1U << asker);
	if (err != 0)
		(void)close(fd);
	return err != 0 ? err : fd;
}

const struct held *
sockets_next(const struct sockets *s, const struct held *h)
{
	struct list *next = h != NULL ? h->node.next : s->all.next;

	return next != &s->all ? CONTAINER(next, struct held, node) : NULL;
}

void
sockets_drop(struct sockets *s, const char *name)
{
	struct held *h = find(s, name);

	if (h != NULL)
		give_up(s, h);
}

/* Whether the cluster file still gives this host what it was opened for. */
static bool
is_wanted(const struct cluster *c, const struct host *me, const char *name)
{
	char service[SOCKETS_NAME];
	struct ip_endpoint at;
	size_t bytes;

	if (is_ping(name))
		return true;
	if (is_memory(name)) {
		ASSERT(parse_memory(name, service, &bytes) == 0);
		return needs_memory(c, me, service);
	}
	ASSERT(parse_tcp(name, &at) == 0); /* it was opened by that name */
	return is_listener(c, me, &at);
}

void
sockets_adopt(struct sockets *s, const struct cluster *c, const struct host *me)
{
	LIST_EACH(n, tmp, &s->all)
	{
		struct held *h = CONTAINER(n, struct held, node);

		if (!is_wanted(c, me, h->name))
			give_up(s, h);
	}
}
