/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vpn_wire_fuzz.c - any bytes as a message between gateways, with the seal broken:
 * envelope and body are read as if they were genuine, what is accepted is written back
 * byte by byte the same, and a core that hears it keeps its invariants.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "vpn/vpn_core.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
hear(const struct vpn_msg *genuine)
{
	static const char *const others[] = {"a", "gw2"};
	const uint8_t session[VPN_SESSION_LEN] = {1};
	struct vpn_peer peer[2] = {{.key = {1}}, {.key = {2}}};
	struct vpn_place place[2] = {{.tell = 0}, {.tell = 0}};
	const mono_t now = {100 * SEC_NS};
	struct vpn_msg m = *genuine, out;
	struct vpn_core c;

	memset(&out, 0, sizeof(out));
	vpn_core_init(&c, "gw1", session, now);
	vpn_core_places(&c, place, peer, 2);
	vpn_core_others(&c, others, 2);
	ASSERT(!vpn_core_heard(&c, now, &m) || memcmp(m.echo, session, 16) == 0);
	memcpy(m.echo, session, sizeof(m.echo)); /* as if it knew us */
	memcpy(m.from, "gw2", 4);
	memcpy(m.to, "gw1", 4);
	ASSERT(vpn_core_heard(&c, now, &m) == !c.renew || c.other[1].known);
	ASSERT(!vpn_core_heard(&c, now, &m)); /* once */
	(void)vpn_core_tick(&c, now);
	while (vpn_core_next(&c, now, &out))
		ASSERT(out.envelope.number > 0);
	ASSERT(vpn_core_check(&c));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct vpn_msg m;
	uint8_t again[VPN_BODY_MAX], envelope[VPN_ENVELOPE_LEN];
	uint8_t *copy = malloc(len + 1); /* ASan guards its end */

	ASSERT(copy != NULL);
	memcpy(copy, data, len);
	memset(&m, 0, sizeof(m));
	if (len >= VPN_ENVELOPE_LEN &&
	    vpn_wire_get_envelope(&m.envelope, copy, len) == 0) {
		vpn_wire_put_envelope(&m.envelope, envelope);
		ASSERT(memcmp(envelope, copy, VPN_ENVELOPE_LEN) == 0);
		if (vpn_wire_get_body(
			&m, copy + VPN_ENVELOPE_LEN, len - VPN_ENVELOPE_LEN) == 0) {
			size_t n = vpn_wire_put_body(&m, again);

			ASSERT(n == len - VPN_ENVELOPE_LEN);
			ASSERT(memcmp(again, copy + VPN_ENVELOPE_LEN, n) == 0);
			hear(&m);
		}
	}
	free(copy);
	return 0;
}
