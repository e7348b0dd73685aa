/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an IP packet with VRRP inside: refused, or said again the same way. */
#include <string.h>

#include "vip/vrrp_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	struct vrrp_envelope env = {.src.family = AF_INET6, .dst.family = AF_INET6};
	struct vrrp_advert a, b;
	uint8_t buf[VRRP_PACKET_MAX];
	const uint8_t *msg = p;
	size_t n = len;

	if (len > 0 && p[0] >> 4 == 4) {
		if (vrrp_ipv4_open(&env, &msg, &n, p, len) != 0)
			return 0;
	} else {
		if (len < 40)
			return 0;
		env.ttl = p[7];
		memcpy(env.src.byte, p + 8, 16);
		memcpy(env.dst.byte, p + 24, 16);
		msg = p + 40;
		n = len - 40;
	}
	if (vrrp_decode(&a, &env, msg, n) != 0)
		return 0;
	n = vrrp_encode(&a, &env, buf, sizeof(buf));
	/* Version 2 can say more than 40 s; what we do not say, we still hear. */
	ASSERT(n > 0 || a.adv_cs > VRRP_ADV_CS_MAX);
	if (n == 0)
		return 0;
	ASSERT(vrrp_decode(&b, &env, buf, n) == 0);
	ASSERT(a.version == b.version && a.vrid == b.vrid && a.prio == b.prio);
	ASSERT(a.adv_cs == b.adv_cs && a.n_addresses == b.n_addresses);
	ASSERT(memcmp(a.address, b.address, sizeof(a.address)) == 0);
	ASSERT(a.auth == b.auth && memcmp(a.password, b.password, VRRP_AUTH_LEN) == 0);
	return 0;
}
