/* SPDX-License-Identifier: Apache-2.0 */
/*
 * volume_conf.h - the part of cluster.h about replicated block devices, with the same
 * life.
 *
 * Nothing here changes what runs: `nines spof` reasons with it.
 */
#ifndef NINES_CONFIG_VOLUME_CONF_H
#define NINES_CONFIG_VOLUME_CONF_H

#include <stddef.h>
#include <stdint.h>

#include "config/replicated_conf.h"

#define VOLUME_HOSTS_MAX 3

/* When a write is done, in DRBD's letters. */
enum volume_protocol {
	PROTOCOL_C, /* it is on the disks of all that are connected */
	PROTOCOL_B, /* it is on one, and in the memory of the others */
	PROTOCOL_A  /* it is on one, and in its buffer to the others */
};

struct volume {
	struct replicated of; /* first: its name is that of the element. 2 or 3 hosts */
	uint64_t size;	      /* bytes */
	enum volume_protocol protocol;
};

#endif /* NINES_CONFIG_VOLUME_CONF_H */
