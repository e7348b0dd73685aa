/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/neighbour_wire.h"

#include "base/wire.h"

enum { ETHERNET = 1, IPV4 = 0x0800, REQUEST = 1, REPLY = 2 };
enum { SOLICITATION = 135, ADVERTISEMENT = 136, SOURCE_ADDRESS = 1 };

void
neighbour_arp_encode(uint8_t buf[static NEIGHBOUR_ARP_LEN], const struct ip *to,
    const struct ip *from, const uint8_t mac[static 6])
{
	static const uint8_t unknown[6];
	struct wr w = {.p = buf, .left = NEIGHBOUR_ARP_LEN};

	wr_u16(&w, ETHERNET);
	wr_u16(&w, IPV4);
	wr_u8(&w, 6);
	wr_u8(&w, 4);
	wr_u16(&w, REQUEST);
	wr_bytes(&w, mac, 6);
	wr_bytes(&w, from->byte, 4);
	wr_bytes(&w, unknown, 6);
	wr_bytes(&w, to->byte, 4);
	ASSERT(!w.bad && w.left == 0);
}

bool
neighbour_arp_decode(const uint8_t *p, size_t len, struct ip *ip, uint8_t mac[static 6])
{
	struct rd r = {.p = p, .left = len};
	const uint8_t *sender, *address;
	bool kind;

	kind = rd_u16(&r) == ETHERNET;
	kind = rd_u16(&r) == IPV4 && kind;
	kind = rd_u8(&r) == 6 && kind;
	kind = rd_u8(&r) == 4 && kind;
	kind = rd_u16(&r) == REPLY && kind;
	sender = rd_take(&r, 6);
	address = rd_take(&r, 4);
	(void)rd_take(&r, 10); /* the target; what follows is padding of the link */
	if (r.bad || !kind || (sender[0] & 1) != 0)
		return false;
	*ip = (struct ip){.family = AF_INET};
	memcpy(ip->byte, address, 4);
	memcpy(mac, sender, 6);
	return true;
}

void
neighbour_solicit_encode(uint8_t buf[static NEIGHBOUR_SOLICIT_LEN], const struct ip *to,
    const uint8_t mac[static 6])
{
	struct wr w = {.p = buf, .left = NEIGHBOUR_SOLICIT_LEN};

	wr_u8(&w, SOLICITATION);
	wr_u8(&w, 0);
	wr_u16(&w, 0);
	wr_u32(&w, 0);
	wr_bytes(&w, to->byte, 16);
	wr_u8(&w, SOURCE_ADDRESS);
	wr_u8(&w, 1); /* in units of eight bytes */
	wr_bytes(&w, mac, 6);
	ASSERT(!w.bad && w.left == 0);
}

bool
neighbour_advert_decode(const uint8_t *p, size_t len, struct ip *ip)
{
	struct rd r = {.p = p, .left = len};
	const uint8_t *target;
	bool kind;

	kind = rd_u8(&r) == ADVERTISEMENT;
	kind = rd_u8(&r) == 0 && kind;
	(void)rd_take(&r, 6); /* checksum, which the kernel has verified; flags */
	target = rd_take(&r, 16);
	if (r.bad || !kind || target[0] == 0xff)
		return false;
	*ip = (struct ip){.family = AF_INET6};
	memcpy(ip->byte, target, 16);
	return true;
}

struct ip
neighbour_solicited_node(const struct ip *ip)
{
	struct ip group = {
	    .family = AF_INET6, .byte = {0xff, 2, [11] = 1, [12] = 0xff}};

	memcpy(group.byte + 13, ip->byte + 13, 3);
	return group;
}
