/* SPDX-License-Identifier: Apache-2.0 */
#include "firewall/track_room.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define SYSCTL "/proc/sys/net/netfilter/nf_conntrack_"

enum track_room
track_room_judge(enum track_room was, long count, long most)
{
	const int64_t per_mille = most > 0 ? (int64_t)count * 1000 / most : 0;

	if (per_mille >= 990 || (was == TRACK_FULL && per_mille >= 950))
		return TRACK_FULL;
	if (per_mille >= 900 || (was != TRACK_ROOM && per_mille >= 800))
		return TRACK_TIGHT;
	return TRACK_ROOM;
}

static int
read_number(const char *path, long *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[32];
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	if (n <= 0)
		return -EIO;
	text[n] = '\0';
	*out = strtol(text, NULL, 10);
	return 0;
}

int
track_room_look(long *count, long *most)
{
	int err = read_number(SYSCTL "max", most);

	return err == 0 ? read_number(SYSCTL "count", count) : err;
}
