/* SPDX-License-Identifier: Apache-2.0 */
#include "health/health_icmp.h"

#include "base/wire.h"

enum { ECHO4 = 8, ECHO4_REPLY = 0, ECHO6 = 128, ECHO6_REPLY = 129 };

#define IPV4_HEADER_MIN 20

/* RFC 1071; `len` is even. */
static uint16_t
checksum(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	sum = (sum >> 16) + (sum & 0xffff);
	sum += sum >> 16;
	return (uint16_t)(~sum & 0xffff);
}

static void
put(const struct health_echo *e, bool v6, uint16_t sum, uint8_t *buf)
{
	struct wr w = {.p = buf, .left = HEALTH_ICMP_LEN};

	wr_u8(&w, v6 ? ECHO6 : ECHO4);
	wr_u8(&w, 0);
	wr_u16(&w, sum);
	wr_u16(&w, e->id);
	wr_u16(&w, e->seq);
	wr_u64(&w, e->cookie);
	ASSERT(!w.bad && w.left == 0);
}

void
health_icmp_encode(
    const struct health_echo *e, bool v6, uint8_t buf[static HEALTH_ICMP_LEN])
{
	put(e, v6, 0, buf);
	if (!v6)
		put(e, v6, checksum(buf, HEALTH_ICMP_LEN), buf);
}

bool
health_icmp_decode(struct health_echo *e, bool v6, const uint8_t *p, size_t len)
{
	struct rd r = {.p = p, .left = len};
	struct health_echo got;
	uint8_t type, code;

	if (!v6) {
		size_t header = len > 0 ? (size_t)(p[0] & 0xf) * 4 : 0;

		if (header < IPV4_HEADER_MIN)
			return false;
		(void)rd_take(&r, header);
	}
	if (!v6 && !r.bad && r.left == HEALTH_ICMP_LEN &&
	    checksum(r.p, HEALTH_ICMP_LEN) != 0)
		return false;
	type = rd_u8(&r);
	code = rd_u8(&r);
	(void)rd_u16(&r);
	got.id = rd_u16(&r);
	got.seq = rd_u16(&r);
	got.cookie = rd_u64(&r);
	if (!rd_done(&r) || type != (v6 ? ECHO6_REPLY : ECHO4_REPLY) || code != 0)
		return false;
	*e = got;
	return true;
}
