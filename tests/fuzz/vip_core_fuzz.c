/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the history of a router: no event in any state may break it. */
#include "vip/vip_core.h"
#include "vip/vrrp_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len);

enum { HEAD = 4, STEP = 6 };

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	struct vip_conf conf = {
	    .vrid = 1, .self = {.family = AF_INET, .byte = {0, 0, 0, 7}}};
	bool installed = false;
	struct vip_out out;
	struct vip v;
	mono_t now = {1};

	if (len < HEAD)
		return 0;
	conf.prio = p[0];
	conf.adv_cs = (uint16_t)(1 + (p[1] << 4 | p[2] >> 4));
	conf.version = p[2] & 1 ? 2 : 3;
	conf.preempt = p[2] & 2;
	conf.grouped = p[2] & 4;
	if (vip_init(&v, &conf, (enum vip_level)(p[3] & 3)) != 0)
		return 0;
	p += HEAD;
	len -= HEAD;
	for (; len >= STEP; p += STEP, len -= STEP) {
		struct vip_ev ev = {
		    .type = (enum vip_ev_type)(p[0] % (VIP_EV_YIELD + 1)),
		    .level = (enum vip_level)(p[1] & 3),
		    .to = {.family = AF_INET, .byte = {0, 0, 0, p[2]}}};

		ev.adv = (struct vip_advert){p[1], (uint16_t)(p[3] << 4), ev.to};
		now = mono_add(now, (int64_t)p[4] * p[5] * MS_NS / 4);
		vip_input(&v, now, &ev, &out);
		ASSERT(vip_check(&v));
		for (unsigned i = 0; i < out.n; i++) {
			enum vip_act_type t = out.act[i].type;

			if (t == VIP_ACT_TAKE)
				installed = true;
			else if (t == VIP_ACT_LEAVE || t == VIP_ACT_DROP)
				installed = false;
			ASSERT(t != VIP_ACT_ANNOUNCE || installed);
		}
		ASSERT(vip_holds(&v) == installed);
	}
	return 0;
}
