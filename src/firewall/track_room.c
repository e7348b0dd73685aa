/* SPDX-License-Identifier: Apache-2.0 */
#include "firewall/track_room.h"

#include "os/setting.h"

enum track_room
track_room_judge(enum track_room was, int64_t count, int64_t most)
{
	const int64_t per_mille = most > 0 ? count * 1000 / most : 0;

	if (per_mille >= 990 || (was == TRACK_FULL && per_mille >= 950))
		return TRACK_FULL;
	if (per_mille >= 900 || (was != TRACK_ROOM && per_mille >= 800))
		return TRACK_TIGHT;
	return TRACK_ROOM;
}

int
track_room_look(int64_t *count, int64_t *most)
{
	*most = setting_number("netfilter/nf_conntrack_max");
	if (*most < 0)
		return (int)*most;
	*count = setting_number("netfilter/nf_conntrack_count");
	return *count < 0 ? (int)*count : 0;
}
