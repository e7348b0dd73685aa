/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vip_os.h - what the part does to the machine for a floating address: install it,
 * retire it to the loopback interface while connections finish, remove it, announce
 * it, and steer connections of the previous owner.
 *
 * Functions log what the kernel refuses and go on: a router cannot do better than try
 * again at its next renewal.
 */
#ifndef NINES_VIP_VIP_OS_H
#define NINES_VIP_VIP_OS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/mono.h"
#include "config/cluster.h"
#include "os/netlink.h"

/* The kernel removes an address that was not renewed for so long. */
#define VIP_LIFE_S   2U
#define VIP_RENEW_NS (500 * MS_NS)

struct vip_os {
	struct netlink *nl;
	int neigh;	    /* announcements */
	unsigned loopback;  /* index of `lo` */
	bool steer_refused; /* said once */
};

int vip_os_open(struct vip_os *os) MUST_CHECK;
void vip_os_close(struct vip_os *os);

/* Best effort: lets the interface answer ARP only for addresses that are its own, so
 * that an address on the loopback stays silent. */
void vip_os_own_arp(const char *interface);

/* On the link and nowhere else; again to renew. False: not all are there. */
bool vip_os_install(struct vip_os *os, unsigned index, const struct floating_ip *f);
/* On the loopback and nowhere else; again to renew. */
void vip_os_retire(struct vip_os *os, unsigned index, const struct floating_ip *f);
void vip_os_remove(struct vip_os *os, unsigned index, const struct floating_ip *f);

void vip_os_announce(struct vip_os *os, unsigned index, const uint8_t mac[static 6],
    const struct floating_ip *f);

/* True while TCP connections to the addresses are open here. */
bool vip_os_busy(const struct floating_ip *f);

/* See os/steer.h; `peer` had the addresses before. */
bool vip_os_steer(struct vip_os *os, unsigned index, const struct floating_ip *f,
    const struct ip *peer);
void vip_os_unsteer(unsigned index, const struct floating_ip *f);

#endif /* NINES_VIP_VIP_OS_H */
