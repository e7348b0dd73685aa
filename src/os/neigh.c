/* SPDX-License-Identifier: Apache-2.0 */
#include "os/neigh.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <string.h>

#include "base/wire.h"

static const uint8_t everyone[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t all_nodes_mac[6] = {0x33, 0x33, 0, 0, 0, 1};
static const uint8_t all_nodes[16] = {0xff, 2, [15] = 1};

int
neigh_open(void)
{
	/* Protocol 0: nothing is received. */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

static void
put_arp(struct wr *w, const struct ip *ip, const uint8_t *mac)
{
	wr_bytes(w, everyone, 6);
	wr_bytes(w, mac, 6);
	wr_u16(w, ETHERTYPE_ARP);
	wr_u16(w, 1); /* Ethernet */
	wr_u16(w, ETHERTYPE_IP);
	wr_u8(w, 6);
	wr_u8(w, 4);
	wr_u16(w, 1); /* request */
	wr_bytes(w, mac, 6);
	wr_bytes(w, ip->byte, 4);
	wr_bytes(w, everyone, 6);
	wr_bytes(w, ip->byte, 4);
}

/* RFC 4443, 2.3: one's complement over pseudo-header and message. */
static uint16_t
icmp6_checksum(const uint8_t *addresses, const uint8_t *msg, size_t len)
{
	uint32_t sum = 58 + (uint32_t)len;

	for (size_t i = 0; i < 32; i += 2)
		sum += (uint32_t)addresses[i] << 8 | addresses[i + 1];
	for (size_t i = 0; i < len; i += 2)
		sum += (uint32_t)msg[i] << 8 | msg[i + 1];
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

enum {
	NA_LEN = 32,
	NA_AT = 14 + 40,
	NA_CHECKSUM_AT = NA_AT + 2,
	NA_ADDRESSES_AT = 14 + 8
};

static void
put_na(struct wr *w, const struct ip *ip, const uint8_t *mac)
{
	wr_bytes(w, all_nodes_mac, 6);
	wr_bytes(w, mac, 6);
	wr_u16(w, ETHERTYPE_IPV6);
	wr_u32(w, 0x60000000);
	wr_u16(w, NA_LEN);
	wr_u8(w, 58); /* ICMPv6 */
	wr_u8(w, 255);
	wr_bytes(w, ip->byte, 16);
	wr_bytes(w, all_nodes, 16);
	wr_u8(w, 136); /* neighbour advertisement */
	wr_u8(w, 0);
	wr_u16(w, 0);
	wr_u32(w, 0x20000000); /* override */
	wr_bytes(w, ip->byte, 16);
	wr_u8(w, 2); /* target link-layer address */
	wr_u8(w, 1);
	wr_bytes(w, mac, 6);
}

size_t
neigh_frame(const struct ip *ip, const uint8_t mac[static 6],
    uint8_t buf[static NEIGH_FRAME_MAX])
{
	struct wr w = {.p = buf, .left = NEIGH_FRAME_MAX};
	uint16_t sum;

	if (ip->family == AF_INET) {
		put_arp(&w, ip, mac);
	} else {
		put_na(&w, ip, mac);
		sum = icmp6_checksum(buf + NA_ADDRESSES_AT, buf + NA_AT, NA_LEN);
		buf[NA_CHECKSUM_AT] = (uint8_t)(sum >> 8);
		buf[NA_CHECKSUM_AT + 1] = (uint8_t)(sum & 0xff);
	}
	ASSERT(!w.bad);
	return NEIGH_FRAME_MAX - w.left;
}

int
neigh_announce(int fd, unsigned index, const uint8_t mac[static 6], const struct ip *ip)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
	    .sll_ifindex = (int)index,
	    .sll_halen = 6,
	    .sll_protocol =
		htons(ip->family == AF_INET ? ETHERTYPE_ARP : ETHERTYPE_IPV6)};
	uint8_t frame[NEIGH_FRAME_MAX];
	size_t len = neigh_frame(ip, mac, frame);

	memcpy(to.sll_addr, frame, 6);
	if (sendto(fd, frame, len, 0, (const struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	return 0;
}
