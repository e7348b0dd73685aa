/* SPDX-License-Identifier: Apache-2.0 */
#include "vip/vip_net.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"

enum { PACKET_MAX = 2048, BATCH_MAX = 256 };

struct vip_nets {
	struct loop *loop;
	void (*cb)(void *arg, unsigned index, const struct vrrp_envelope *env,
	    const struct vrrp_advert *adv);
	void *arg;
	struct list all;
};

struct vip_net {
	struct list link;
	struct vip_nets *nets;
	struct loop_fd *watch;
	unsigned index;
	unsigned refs;
	uint8_t family;
	int fd;
};

struct vip_nets *
vip_nets_new(struct loop *loop,
    void (*cb)(void *arg, unsigned index, const struct vrrp_envelope *env,
	const struct vrrp_advert *adv),
    void *arg)
{
	struct vip_nets *nets = calloc(1, sizeof(*nets));

	if (nets == NULL)
		return NULL;
	nets->loop = loop;
	nets->cb = cb;
	nets->arg = arg;
	list_init(&nets->all);
	return nets;
}

void
vip_nets_free(struct vip_nets *nets)
{
	if (nets == NULL)
		return;
	ASSERT(list_empty(&nets->all));
	free(nets);
}

static int
set_int(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value));
}

static int
set_up4(int fd, unsigned index)
{
	struct ip_mreqn group = {.imr_ifindex = (int)index};
	struct ip ip = vrrp_group(AF_INET);

	memcpy(&group.imr_multiaddr, ip.byte, 4);
	return set_int(fd, IPPROTO_IP, IP_TTL, VRRP_TTL) |
	       set_int(fd, IPPROTO_IP, IP_MULTICAST_TTL, VRRP_TTL) |
	       set_int(fd, IPPROTO_IP, IP_MULTICAST_LOOP, 0) |
	       set_int(fd, IPPROTO_IP, IP_TOS, VRRP_TOS) |
	       setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group));
}

static int
set_up6(int fd, unsigned index)
{
	struct ipv6_mreq group = {.ipv6mr_interface = index};
	struct ip ip = vrrp_group(AF_INET6);

	memcpy(&group.ipv6mr_multiaddr, ip.byte, 16);
	return set_int(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, VRRP_TTL) |
	       set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, VRRP_TTL) |
	       set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0) |
	       set_int(fd, IPPROTO_IPV6, IPV6_TCLASS, VRRP_TOS) |
	       set_int(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1) |
	       set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) |
	       setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &group, sizeof(group));
}

static int
open_socket(unsigned index, const char *name, uint8_t family)
{
	int fd = socket(family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, VRRP_PROTO);

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name,
		(socklen_t)(strlen(name) + 1)) != 0 ||
	    set_int(fd, SOL_SOCKET, SO_PRIORITY, 6) != 0 ||
	    (family == AF_INET ? set_up4(fd, index) : set_up6(fd, index)) != 0) {
		int err = errno;

		(void)close(fd);
		errno = err;
		return -1;
	}
	return fd;
}

/* IPv6 raw sockets give no IP head; the kernel says it beside the message. */
static void
read_control(struct msghdr *m, struct vrrp_envelope *env)
{
	struct in6_pktinfo info;
	int hops;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != IPPROTO_IPV6)
			continue;
		if (c->cmsg_type == IPV6_PKTINFO &&
		    c->cmsg_len >= CMSG_LEN(sizeof(info))) {
			memcpy(&info, CMSG_DATA(c), sizeof(info));
			env->dst.family = AF_INET6;
			memcpy(env->dst.byte, &info.ipi6_addr, 16);
		} else if (c->cmsg_type == IPV6_HOPLIMIT &&
			   c->cmsg_len >= CMSG_LEN(sizeof(hops))) {
			memcpy(&hops, CMSG_DATA(c), sizeof(hops));
			env->ttl = (uint8_t)hops;
		}
	}
}

static void
hear(struct vip_net *net, struct msghdr *m, const uint8_t *packet, size_t len)
{
	struct sockaddr_storage from;
	struct vrrp_envelope env = {0};
	struct vrrp_advert adv;
	const uint8_t *msg = packet;
	char src[IP_STR_LEN];
	int err = 0;

	if (net->family == AF_INET) {
		err = vrrp_ipv4_open(&env, &msg, &len, packet, len);
	} else {
		memcpy(&from, m->msg_name, sizeof(from));
		env.src = ip_from_sockaddr(&from).ip;
		read_control(m, &env);
	}
	if (err == 0)
		err = vrrp_decode(&adv, &env, msg, len);
	if (err != 0) {
		log_event(LOG_WARN, "vrrp_refused", "from=%s why=\"%s\"",
		    env.src.family != 0 ? ip_format(&env.src, src) : "?",
		    strerror(-err));
		return;
	}
	net->nets->cb(net->nets->arg, net->index, &env, &adv);
}

void
vip_net_drain(struct vip_net *net)
{
	uint8_t packet[PACKET_MAX];
	union {
		uint8_t bytes[256];
		struct cmsghdr align;
	} control;
	struct sockaddr_storage from;

	net->refs++; /* what is heard may close it */
	for (unsigned i = 0; i < BATCH_MAX; i++) {
		struct iovec iov = {.iov_base = packet, .iov_len = sizeof(packet)};
		struct msghdr m = {.msg_name = &from,
		    .msg_namelen = sizeof(from),
		    .msg_iov = &iov,
		    .msg_iovlen = 1,
		    .msg_control = &control,
		    .msg_controllen = sizeof(control)};
		ssize_t n = recvmsg(net->fd, &m, 0);

		if (n >= 0)
			hear(net, &m, packet, (size_t)n);
		else if (errno == EAGAIN)
			break;
		/* Else a pending error of an earlier datagram, now reported. */
	}
	vip_net_put(net);
}

static void
on_readable(void *arg, unsigned events)
{
	(void)events;
	vip_net_drain(arg);
}

struct vip_net *
vip_net_get(struct vip_nets *nets, unsigned index, const char *name, uint8_t family)
{
	struct vip_net *net;

	LIST_EACH(n, tmp, &nets->all)
	{
		net = CONTAINER(n, struct vip_net, link);
		if (net->index == index && net->family == family) {
			net->refs++;
			return net;
		}
	}
	net = calloc(1, sizeof(*net));
	if (net == NULL)
		return NULL;
	list_init(&net->link);
	net->nets = nets;
	net->index = index;
	net->family = family;
	net->refs = 1;
	net->fd = open_socket(index, name, family);
	if (net->fd >= 0)
		net->watch = loop_watch(nets->loop, net->fd, LOOP_IN, on_readable, net);
	if (net->watch == NULL) {
		int err = errno;

		vip_net_put(net);
		errno = err;
		return NULL;
	}
	list_append(&nets->all, &net->link);
	return net;
}

void
vip_net_put(struct vip_net *net)
{
	if (net == NULL || --net->refs > 0)
		return;
	list_remove(&net->link);
	loop_unwatch(net->watch);
	if (net->fd >= 0)
		(void)close(net->fd);
	free(net);
}

int
vip_net_send(struct vip_net *net, const struct ip *src, const struct ip *dst,
    const struct vrrp_advert *adv)
{
	const struct vrrp_envelope env = {.src = *src, .dst = *dst, .ttl = VRRP_TTL};
	const struct ip_endpoint to = {.ip = *dst};
	uint8_t buf[VRRP_PACKET_MAX];
	union {
		uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
		struct cmsghdr align;
	} control;
	struct sockaddr_storage ss;
	struct iovec iov = {.iov_base = buf};
	struct msghdr m = {
	    .msg_name = &ss, .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control};
	struct in6_pktinfo info6 = {.ipi6_ifindex = net->index};
	struct in_pktinfo info4 = {.ipi_ifindex = (int)net->index};
	struct cmsghdr *c;

	iov.iov_len = vrrp_encode(adv, &env, buf, sizeof(buf));
	if (iov.iov_len == 0)
		return -EINVAL;
	m.msg_namelen = ip_to_sockaddr(&to, &ss);
	memset(&control, 0, sizeof(control));
	/* The checksum covers the source address, so it is chosen here and not by the
	 * kernel's routing. */
	if (src->family == AF_INET) {
		m.msg_controllen = CMSG_SPACE(sizeof(info4));
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = IPPROTO_IP;
		c->cmsg_type = IP_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info4));
		memcpy(&info4.ipi_spec_dst, src->byte, 4);
		memcpy(CMSG_DATA(c), &info4, sizeof(info4));
	} else {
		m.msg_controllen = CMSG_SPACE(sizeof(info6));
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = IPPROTO_IPV6;
		c->cmsg_type = IPV6_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info6));
		memcpy(&info6.ipi6_addr, src->byte, 16);
		memcpy(CMSG_DATA(c), &info6, sizeof(info6));
	}
	return sendmsg(net->fd, &m, 0) < 0 ? -errno : 0;
}
