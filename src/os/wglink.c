/* SPDX-License-Identifier: Apache-2.0 */
#include "os/wglink.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define REQ_SIZE 512 /* more than any request below */

/* One request and the kernel's word about it. */
static int
request(struct nlmsghdr *h)
{
	struct mnl_socket *sock = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	uint8_t buf[8192];
	ssize_t n = -1;
	int err = 0;

	if (sock == NULL)
		return -errno;
	h->nlmsg_seq = 1;
	h->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	if (mnl_socket_bind(sock, 0, MNL_SOCKET_AUTOPID) == 0 &&
	    mnl_socket_sendto(sock, h, h->nlmsg_len) >= 0)
		n = mnl_socket_recvfrom(sock, buf, sizeof(buf));
	if (n < 0 ||
	    mnl_cb_run(buf, (size_t)n, 1, mnl_socket_get_portid(sock), NULL, NULL) < 0)
		err = -errno;
	(void)mnl_socket_close(sock);
	return err;
}

static struct nlmsghdr *
put_link(void *buf, uint16_t type, const char *name)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *m;

	h->nlmsg_type = type;
	m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ifi_family = AF_UNSPEC;
	mnl_attr_put_strz(h, IFLA_IFNAME, name);
	return h;
}

int
wglink_make(const char *name)
{
	uint8_t buf[REQ_SIZE] __attribute__((aligned(4)));
	struct nlmsghdr *h = put_link(buf, RTM_NEWLINK, name);
	struct nlattr *info;

	h->nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
	info = mnl_attr_nest_start(h, IFLA_LINKINFO);
	mnl_attr_put_strz(h, IFLA_INFO_KIND, "wireguard");
	mnl_attr_nest_end(h, info);
	return request(h);
}

int
wglink_remove(const char *name)
{
	uint8_t buf[REQ_SIZE] __attribute__((aligned(4)));
	int err = request(put_link(buf, RTM_DELLINK, name));

	return err == -ENODEV ? 0 : err;
}

int
wglink_is_up(const char *name)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), up;
	struct ifreq req = {.ifr_flags = 0};

	if (fd < 0)
		return -errno;
	(void)snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", name);
	up =
	    ioctl(fd, SIOCGIFFLAGS, &req) != 0 ? -errno : (req.ifr_flags & IFF_UP) != 0;
	(void)close(fd);
	return up;
}

int
wglink_set_up(const char *name, bool up)
{
	uint8_t buf[REQ_SIZE] __attribute__((aligned(4)));
	struct nlmsghdr *h = put_link(buf, RTM_NEWLINK, name);
	struct ifinfomsg *m = mnl_nlmsg_get_payload(h);

	m->ifi_change = IFF_UP;
	m->ifi_flags = up ? IFF_UP : 0;
	return request(h);
}

int
wglink_set_mtu(const char *name, unsigned mtu)
{
	uint8_t buf[REQ_SIZE] __attribute__((aligned(4)));
	struct nlmsghdr *h = put_link(buf, RTM_NEWLINK, name);

	mnl_attr_put_u32(h, IFLA_MTU, mtu);
	return request(h);
}

int
wglink_set_address(const char *name, const struct ip *ip, unsigned bits)
{
	uint8_t buf[REQ_SIZE] __attribute__((aligned(4)));
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	unsigned index = if_nametoindex(name);
	struct ifaddrmsg *m;

	if (index == 0)
		return -errno;
	h->nlmsg_type = RTM_NEWADDR;
	h->nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
	m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ifa_family = ip->family;
	m->ifa_prefixlen = (uint8_t)bits;
	m->ifa_index = index;
	mnl_attr_put(h, IFA_LOCAL, ip_len(ip), ip->byte);
	mnl_attr_put(h, IFA_ADDRESS, ip_len(ip), ip->byte);
	return request(h);
}
