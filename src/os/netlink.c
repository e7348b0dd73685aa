/* SPDX-License-Identifier: Apache-2.0 */
#include "os/netlink.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/inet_diag.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/netlink_talk.h"

#ifndef IFA_PROTO /* linux 5.18 */
#define IFA_PROTO 11
#endif

enum {
	BUF_SIZE = 32768, /* the kernel fills at most this much per answer */
	REQ_SIZE = 256,	  /* more than any request below */
};

struct netlink {
	struct mnl_socket *sock;
	unsigned seq;
	uint8_t buf[BUF_SIZE];
};

struct netlink *
netlink_open(void)
{
	struct netlink *nl = calloc(1, sizeof(*nl));

	if (nl == NULL)
		return NULL;
	nl->sock = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (nl->sock == NULL || mnl_socket_bind(nl->sock, 0, MNL_SOCKET_AUTOPID) < 0) {
		int err = errno;

		netlink_close(nl);
		errno = err;
		return NULL;
	}
	return nl;
}

void
netlink_close(struct netlink *nl)
{
	if (nl == NULL)
		return;
	if (nl->sock != NULL)
		(void)mnl_socket_close(nl->sock);
	free(nl);
}

int
netlink_talk(struct netlink *nl, struct nlmsghdr *h, mnl_cb_t cb, void *arg)
{
	unsigned port = mnl_socket_get_portid(nl->sock);
	int more = MNL_CB_OK;

	h->nlmsg_seq = ++nl->seq;
	if (mnl_socket_sendto(nl->sock, h, h->nlmsg_len) < 0)
		return -errno;
	while (more == MNL_CB_OK) {
		ssize_t n = mnl_socket_recvfrom(nl->sock, nl->buf, sizeof(nl->buf));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		/* Bounds of every message are libmnl's to check; parts that belong to
		 * another request (after an interrupted dump) are refused by number. */
		more = mnl_cb_run(nl->buf, (size_t)n, h->nlmsg_seq, port, cb, arg);
	}
	return more == MNL_CB_ERROR ? -errno : 0;
}

/* Attributes of one message by type; longer types are skipped. */
struct attrs {
	const struct nlattr *at[IFLA_MAX + 1];
	unsigned max;
};

static int
keep_attr(const struct nlattr *a, void *arg)
{
	struct attrs *t = arg;

	if (mnl_attr_get_type(a) <= t->max)
		t->at[mnl_attr_get_type(a)] = a;
	return MNL_CB_OK;
}

/* The attribute's bytes if it is at least `len` long, else NULL. */
static const void *
attr_bytes(const struct attrs *t, unsigned type, size_t len)
{
	const struct nlattr *a = t->at[type];

	if (a == NULL || mnl_attr_get_payload_len(a) < len)
		return NULL;
	return mnl_attr_get_payload(a);
}

struct link_walk {
	void (*cb)(void *arg, const struct netlink_link *);
	void *arg;
};

static int
on_link(const struct nlmsghdr *h, void *arg)
{
	const unsigned running = IFF_UP | IFF_RUNNING;
	const struct link_walk *w = arg;
	struct attrs t = {.max = IFLA_MAX};
	struct netlink_link link = {0};
	const struct ifinfomsg *m;
	const uint8_t *mac;
	size_t len;

	if (h->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(h) < sizeof(*m))
		return MNL_CB_OK;
	m = mnl_nlmsg_get_payload(h);
	if (mnl_attr_parse(h, sizeof(*m), keep_attr, &t) < 0 ||
	    t.at[IFLA_IFNAME] == NULL)
		return MNL_CB_OK;
	link.index = (unsigned)m->ifi_index;
	link.up = (m->ifi_flags & running) == running;
	len = mnl_attr_get_payload_len(t.at[IFLA_IFNAME]);
	if (len >= sizeof(link.name))
		len = sizeof(link.name) - 1;
	memcpy(link.name, mnl_attr_get_payload(t.at[IFLA_IFNAME]), len);
	mac = attr_bytes(&t, IFLA_ADDRESS, sizeof(link.mac));
	if (mac != NULL && (m->ifi_flags & IFF_LOOPBACK) == 0) {
		memcpy(link.mac, mac, sizeof(link.mac));
		link.has_mac = true;
	}
	w->cb(w->arg, &link);
	return MNL_CB_OK;
}

int
netlink_links(
    struct netlink *nl, void (*cb)(void *arg, const struct netlink_link *), void *arg)
{
	uint8_t req[REQ_SIZE] __attribute__((aligned(4)));
	struct link_walk w = {cb, arg};
	struct nlmsghdr *h = mnl_nlmsg_put_header(req);
	struct ifinfomsg *m;

	h->nlmsg_type = RTM_GETLINK;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ifi_family = AF_UNSPEC;
	return netlink_talk(nl, h, on_link, &w);
}

struct addr_walk {
	void (*cb)(void *arg, const struct netlink_addr *);
	void *arg;
};

static int
on_addr(const struct nlmsghdr *h, void *arg)
{
	const struct addr_walk *w = arg;
	struct attrs t = {.max = IFLA_MAX};
	struct netlink_addr addr = {0};
	const struct ifaddrmsg *m;
	const uint8_t *proto;
	const void *ip, *wide;
	uint32_t flags;
	size_t len;

	if (h->nlmsg_type != RTM_NEWADDR || mnl_nlmsg_get_payload_len(h) < sizeof(*m))
		return MNL_CB_OK;
	m = mnl_nlmsg_get_payload(h);
	if (m->ifa_family != AF_INET && m->ifa_family != AF_INET6)
		return MNL_CB_OK;
	if (mnl_attr_parse(h, sizeof(*m), keep_attr, &t) < 0)
		return MNL_CB_OK;
	len = m->ifa_family == AF_INET ? 4 : 16;
	ip = attr_bytes(&t, IFA_LOCAL, len);
	if (ip == NULL)
		ip = attr_bytes(&t, IFA_ADDRESS, len);
	if (ip == NULL)
		return MNL_CB_OK;
	addr.ip.family = m->ifa_family;
	memcpy(addr.ip.byte, ip, len);
	addr.index = m->ifa_index;
	proto = attr_bytes(&t, IFA_PROTO, 1);
	addr.ours = proto != NULL && *proto == NETLINK_ADDR_PROTO;
	flags = m->ifa_flags;
	wide = attr_bytes(&t, IFA_FLAGS, sizeof(flags));
	if (wide != NULL)
		memcpy(&flags, wide, sizeof(flags));
	addr.usable = (flags & IFA_F_DADFAILED) == 0 &&
		      (flags & (IFA_F_TENTATIVE | IFA_F_OPTIMISTIC)) != IFA_F_TENTATIVE;
	w->cb(w->arg, &addr);
	return MNL_CB_OK;
}

int
netlink_addrs(
    struct netlink *nl, void (*cb)(void *arg, const struct netlink_addr *), void *arg)
{
	uint8_t req[REQ_SIZE] __attribute__((aligned(4)));
	struct addr_walk w = {cb, arg};
	struct nlmsghdr *h = mnl_nlmsg_put_header(req);
	struct ifaddrmsg *m;

	h->nlmsg_type = RTM_GETADDR;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ifa_family = AF_UNSPEC;
	return netlink_talk(nl, h, on_addr, &w);
}

static struct nlmsghdr *
put_addr(void *buf, uint16_t type, uint16_t flags, unsigned index, const struct ip *ip)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct ifaddrmsg *m;

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ifa_family = ip->family;
	m->ifa_prefixlen = (uint8_t)(ip_len(ip) * 8);
	m->ifa_index = index;
	mnl_attr_put(h, IFA_LOCAL, ip_len(ip), ip->byte);
	mnl_attr_put(h, IFA_ADDRESS, ip_len(ip), ip->byte);
	return h;
}

int
netlink_addr_set(
    struct netlink *nl, unsigned index, const struct ip *ip, unsigned valid_s)
{
	/* Never a preferred source, and no duplicate address detection: that would keep
	 * an IPv6 address silent for a second, and the election has settled the matter.
	 */
	const uint32_t flags =
	    IFA_F_NOPREFIXROUTE | (ip->family == AF_INET6 ? IFA_F_NODAD : 0);
	const struct ifa_cacheinfo life = {
	    .ifa_prefered = 0, .ifa_valid = valid_s != 0 ? valid_s : UINT32_MAX};
	uint8_t req[REQ_SIZE] __attribute__((aligned(4)));
	struct nlmsghdr *h;

	h = put_addr(req, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, index, ip);
	mnl_attr_put_u32(h, IFA_FLAGS, flags);
	mnl_attr_put(h, IFA_CACHEINFO, sizeof(life), &life);
	mnl_attr_put_u8(h, IFA_PROTO, NETLINK_ADDR_PROTO);
	return netlink_talk(nl, h, NULL, NULL);
}

int
netlink_addr_del(struct netlink *nl, unsigned index, const struct ip *ip)
{
	uint8_t req[REQ_SIZE] __attribute__((aligned(4)));
	int err =
	    netlink_talk(nl, put_addr(req, RTM_DELADDR, 0, index, ip), NULL, NULL);

	return err == -EADDRNOTAVAIL || err == -ENODEV ? 0 : err;
}

struct tcp_look {
	const struct ip *ip;
	bool found;
};

static int
on_tcp(const struct nlmsghdr *h, void *arg)
{
	struct tcp_look *look = arg;
	const struct inet_diag_msg *m;

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*m))
		return MNL_CB_OK;
	m = mnl_nlmsg_get_payload(h);
	if (memcmp(m->id.idiag_src, look->ip->byte, ip_len(look->ip)) != 0)
		return MNL_CB_OK;
	look->found = true;
	return MNL_CB_STOP;
}

int
netlink_tcp_open(const struct ip *ip)
{
	uint8_t req[REQ_SIZE] __attribute__((aligned(4)));
	struct netlink nl = {.sock = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC)};
	struct tcp_look look = {.ip = ip};
	struct nlmsghdr *h = mnl_nlmsg_put_header(req);
	struct inet_diag_req_v2 *m;
	int err;

	if (nl.sock == NULL)
		return -errno;
	h->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->sdiag_family = ip->family;
	m->sdiag_protocol = IPPROTO_TCP;
	m->idiag_states = 1U << TCP_ESTABLISHED | 1U << TCP_FIN_WAIT1 |
			  1U << TCP_CLOSE_WAIT | 1U << TCP_LAST_ACK | 1U << TCP_CLOSING;
	err = mnl_socket_bind(nl.sock, 0, MNL_SOCKET_AUTOPID) < 0
		  ? -errno
		  : netlink_talk(&nl, h, on_tcp, &look);
	(void)mnl_socket_close(nl.sock); /* what is left of the answer goes with it */
	return err != 0 ? err : look.found;
}

int
netlink_events_open(void)
{
	struct sockaddr_nl sa = {.nl_family = AF_NETLINK,
	    .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR};
	int fd =
	    socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&sa, sizeof(sa)) != 0) {
		int err = -errno;

		(void)close(fd);
		return err;
	}
	return fd;
}

bool
netlink_drain(int fd)
{
	uint8_t buf[4096];
	bool any = false;

	for (;;) {
		ssize_t n = recv(fd, buf, sizeof(buf), MSG_TRUNC);

		if (n >= 0 || errno == ENOBUFS)
			any = true; /* ENOBUFS: some were lost, which says as much */
		else if (errno != EINTR)
			return any;
	}
}
