/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/gateway_probe.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/neighbour_wire.h"

enum { READS_MAX = 64, PACKET_MAX = 512 };

/* ---- IPv4: ARP ----------------------------------------------------------------- */

static void
on_arp(void *arg, unsigned events)
{
	struct gateway_probe *p = arg;

	(void)events;
	for (unsigned i = 0; i < READS_MAX; i++) {
		struct sockaddr_ll from = {0};
		socklen_t len = sizeof(from);
		uint8_t buf[PACKET_MAX], mac[6];
		ssize_t n = recvfrom(p->arp, buf, sizeof(buf), MSG_DONTWAIT,
		    (struct sockaddr *)&from, &len);
		struct ip ip;

		if (n < 0)
			return;
		if (neighbour_arp_decode(buf, (size_t)n, &ip, mac))
			p->heard(p->arg, &ip, (unsigned)from.sll_ifindex, mac);
	}
}

/* On a link of many hosts most ARP is questions: the kernel drops them for us. */
static int
open_arp(void)
{
	struct sock_filter only_replies[] = {
	    BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 6),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 2, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, PACKET_MAX),
	    BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog filter = {
	    .len = ARRAY_LEN(only_replies), .filter = only_replies};
	const struct sockaddr_ll any = {
	    .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ARP)};
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) !=
		0 ||
	    bind(fd, (const struct sockaddr *)&any, sizeof(any)) != 0) {
		err = -errno;
		(void)close(fd);
		return err;
	}
	return fd;
}

static void
ask_arp(struct gateway_probe *p, const struct gateway_question *q)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
	    .sll_protocol = htons(ETH_P_ARP),
	    .sll_ifindex = (int)q->index,
	    .sll_halen = 6};
	uint8_t buf[NEIGHBOUR_ARP_LEN];

	if (q->everyone)
		memset(to.sll_addr, 0xff, 6);
	else
		memcpy(to.sll_addr, q->there, 6);
	neighbour_arp_encode(buf, &q->to, &q->from, q->mac);
	(void)sendto(p->arp, buf, sizeof(buf), MSG_DONTWAIT,
	    (const struct sockaddr *)&to, sizeof(to));
}

/* ---- IPv6: neighbour discovery ------------------------------------------------- */

/* The interface it came by; 0 if it crossed a router (RFC 4861, 7.1.2). */
static unsigned
arrived_by(struct msghdr *m)
{
	unsigned index = 0;
	int hops = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		struct in6_pktinfo info;

		if (c->cmsg_level != IPPROTO_IPV6)
			continue;
		if (c->cmsg_type == IPV6_HOPLIMIT)
			memcpy(&hops, CMSG_DATA(c), sizeof(hops));
		if (c->cmsg_type == IPV6_PKTINFO) {
			memcpy(&info, CMSG_DATA(c), sizeof(info));
			index = info.ipi6_ifindex;
		}
	}
	return hops == NEIGHBOUR_HOP_LIMIT ? index : 0;
}

static void
on_nd(void *arg, unsigned events)
{
	struct gateway_probe *p = arg;

	(void)events;
	for (unsigned i = 0; i < READS_MAX; i++) {
		uint8_t buf[PACKET_MAX];
		uint8_t control[256] __attribute__((aligned(8)));
		struct iovec iov = {buf, sizeof(buf)};
		struct msghdr m = {.msg_iov = &iov,
		    .msg_iovlen = 1,
		    .msg_control = control,
		    .msg_controllen = sizeof(control)};
		ssize_t n = recvmsg(p->nd, &m, MSG_DONTWAIT);
		unsigned index;
		struct ip ip;

		if (n < 0)
			return;
		index = arrived_by(&m);
		if (index != 0 && neighbour_advert_decode(buf, (size_t)n, &ip))
			p->heard(p->arg, &ip, index, NULL);
	}
}

static int
set(int fd, int option, int value)
{
	return setsockopt(fd, IPPROTO_IPV6, option, &value, sizeof(value));
}

static int
open_nd(void)
{
	int fd =
	    socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMPV6);
	struct icmp6_filter only;
	int err;

	if (fd < 0)
		return -errno;
	ICMP6_FILTER_SETBLOCKALL(&only);
	ICMP6_FILTER_SETPASS(ND_NEIGHBOR_ADVERT, &only);
	if (setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &only, sizeof(only)) != 0 ||
	    set(fd, IPV6_UNICAST_HOPS, NEIGHBOUR_HOP_LIMIT) != 0 ||
	    set(fd, IPV6_MULTICAST_HOPS, NEIGHBOUR_HOP_LIMIT) != 0 ||
	    set(fd, IPV6_RECVHOPLIMIT, 1) != 0 || set(fd, IPV6_RECVPKTINFO, 1) != 0) {
		err = -errno;
		(void)close(fd);
		return err;
	}
	return fd;
}

static void
ask_nd(struct gateway_probe *p, const struct gateway_question *q)
{
	const struct ip group = neighbour_solicited_node(&q->to);
	struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_scope_id = q->index};
	struct in6_pktinfo info = {.ipi6_ifindex = q->index};
	uint8_t control[CMSG_SPACE(sizeof(info))] __attribute__((aligned(8))) = {0};
	uint8_t buf[NEIGHBOUR_SOLICIT_LEN];
	struct iovec iov = {buf, sizeof(buf)};
	struct msghdr m = {.msg_name = &to,
	    .msg_namelen = sizeof(to),
	    .msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = control,
	    .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	/* The answer comes to where we ask from; link-local is asked from there. */
	if (!ip_is_link_local(&q->to))
		memcpy(&info.ipi6_addr, q->from.byte, 16);
	c->cmsg_level = IPPROTO_IPV6;
	c->cmsg_type = IPV6_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(c), &info, sizeof(info));
	memcpy(&to.sin6_addr, q->everyone ? group.byte : q->to.byte, 16);
	neighbour_solicit_encode(buf, &q->to, q->mac);
	(void)sendmsg(p->nd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* ---- both ---------------------------------------------------------------------- */

int
gateway_probe_open(struct gateway_probe *p, struct loop *loop)
{
	p->loop = loop;
	p->nd = -1;
	p->arp = open_arp();
	if (p->arp < 0)
		return p->arp;
	p->nd = open_nd(); /* without IPv6 on this machine nobody will ask */
	if (p->nd < 0 && p->nd != -EAFNOSUPPORT)
		return p->nd;
	p->arp_watch = loop_watch(loop, p->arp, LOOP_IN, on_arp, p);
	if (p->nd >= 0)
		p->nd_watch = loop_watch(loop, p->nd, LOOP_IN, on_nd, p);
	if (p->arp_watch == NULL || (p->nd >= 0 && p->nd_watch == NULL))
		return -ENOMEM;
	return 0;
}

void
gateway_probe_close(struct gateway_probe *p)
{
	loop_unwatch(p->arp_watch);
	loop_unwatch(p->nd_watch);
	p->arp_watch = p->nd_watch = NULL;
	if (p->arp >= 0)
		(void)close(p->arp);
	if (p->nd >= 0)
		(void)close(p->nd);
	p->arp = p->nd = -1;
}

void
gateway_probe_ask(struct gateway_probe *p, const struct gateway_question *q)
{
	if (q->to.family == AF_INET)
		ask_arp(p, q);
	else if (p->nd >= 0)
		ask_nd(p, q);
}
