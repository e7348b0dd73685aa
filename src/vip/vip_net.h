/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vip_net.h - the raw sockets that carry VRRP: one per interface and family, shared
 * by the routers there.
 */
#ifndef NINES_VIP_VIP_NET_H
#define NINES_VIP_VIP_NET_H

#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/ip.h"
#include "base/loop.h"
#include "vip/vrrp_wire.h"

struct vip_nets; /* all sockets of the part */
struct vip_net;

/* `cb` gets every sound advert, in order of arrival. */
struct vip_nets *vip_nets_new(struct loop *loop,
    void (*cb)(void *arg, unsigned index, const struct vrrp_envelope *env,
	const struct vrrp_advert *adv),
    void *arg) MUST_CHECK;
void vip_nets_free(struct vip_nets *nets); /* all must have been put; NULL is fine */

/* The socket for interface `index` named `name`; NULL with errno set. */
struct vip_net *vip_net_get(
    struct vip_nets *nets, unsigned index, const char *name, uint8_t family) MUST_CHECK;
void vip_net_put(struct vip_net *net); /* NULL is fine */

/* Hears everything that has arrived by now. */
void vip_net_drain(struct vip_net *net);

/* Sends from src to dst; 0 or -errno. */
int vip_net_send(struct vip_net *net, const struct ip *src, const struct ip *dst,
    const struct vrrp_advert *adv) MUST_CHECK;

#endif /* NINES_VIP_VIP_NET_H */
