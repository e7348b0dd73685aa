/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vip_config.h - what the cluster file means for one floating address on this host.
 */
#ifndef NINES_VIP_VIP_CONFIG_H
#define NINES_VIP_VIP_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/cluster.h"
#include "vip/vip_core.h"
#include "vip/vrrp_wire.h"

#define VIP_PEERS_MAX 16

struct vip_peer {
	const struct host *host;
	struct ip ip;
};

/* Pointers live as long as the cluster. */
struct vip_plan {
	const struct floating_ip *f;
	uint8_t rank;
	uint8_t prio;
	struct ip self;	       /* this host's own address on the network */
	const char *interface; /* NULL: the one that has `self` */
	struct vip_peer peer[VIP_PEERS_MAX];
	size_t n_peers;
	bool needs_proxy; /* some service listens on it */
	bool needs_rules; /* it leads through the firewall that this host is */
	int64_t drain_ns; /* how long connections may finish after a planned leave */
};

/* False if `f` is none of this host's business, or has no address to speak from. */
bool vip_plan_make(struct vip_plan *plan, const struct cluster *c,
    const struct host *me, const struct floating_ip *f);

/*
 * True if a router that runs by `a` may go on by `b` as it stands: what others see
 * on the wire and what is installed is the same. Priority, failback, group, followed
 * services and drain times may differ.
 */
bool vip_plan_compatible(const struct vip_plan *a, const struct vip_plan *b);

/* `self` is the source address of advertisements. */
struct vip_conf vip_plan_conf(const struct vip_plan *plan, const struct ip *self);

/* An advert of `prio` by the plan's address list, version and password. */
struct vrrp_advert vip_plan_advert(const struct vip_plan *plan, uint8_t prio,
    const uint8_t password[static VRRP_AUTH_LEN]);

/* Why an advert of this router must not be heard; NULL if it may. */
const char *vip_plan_refuses(const struct vip_plan *plan,
    const struct vrrp_envelope *env, const struct vrrp_advert *adv,
    const uint8_t password[static VRRP_AUTH_LEN]);

/* True if the advert lists exactly the plan's addresses. */
bool vip_plan_lists(const struct vip_plan *plan, const struct vrrp_advert *adv);

#endif /* NINES_VIP_VIP_CONFIG_H */
