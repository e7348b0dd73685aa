/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an answer of a neighbour: refused, or an address that can be one. The
 * first byte says which protocol. */
#include <string.h>

#include "gateway/neighbour_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	struct ip ip = {.family = 0};
	uint8_t mac[6] = {0xff};

	if (len == 0)
		return 0;
	if (p[0] == 4) {
		if (!neighbour_arp_decode(p + 1, len - 1, &ip, mac))
			ASSERT(ip.family == 0 && mac[0] == 0xff);
		else
			ASSERT(ip.family == AF_INET && (mac[0] & 1) == 0 && len > 28);
	} else {
		if (!neighbour_advert_decode(p + 1, len - 1, &ip))
			ASSERT(ip.family == 0);
		else
			ASSERT(ip.family == AF_INET6 && ip.byte[0] != 0xff && len > 24);
	}
	return 0;
}
