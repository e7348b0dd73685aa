/* SPDX-License-Identifier: Apache-2.0 */
/*
 * track_room.h - whether the kernel's table of connections has room for more.
 *
 * When it is full, the kernel drops the first packet of every new connection, which
 * from outside looks like a service that answers some and not others.
 */
#ifndef NINES_FIREWALL_TRACK_ROOM_H
#define NINES_FIREWALL_TRACK_ROOM_H

#include <stdint.h>

#include "base/check.h"

enum track_room { TRACK_ROOM, TRACK_TIGHT, TRACK_FULL };

/* What `count` connections of `most` are, after `was`: it takes fewer to be well again
 * than it took to be not. `most` <= 0: there is no limit. */
enum track_room track_room_judge(enum track_room was, int64_t count, int64_t most);

/* What this network namespace has and may have. -ENOENT: nothing is tracked here. */
int track_room_look(int64_t *count, int64_t *most) MUST_CHECK;

#endif /* NINES_FIREWALL_TRACK_ROOM_H */
