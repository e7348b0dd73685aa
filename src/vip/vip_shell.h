/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vip_shell.h - one router around its core: timers, addresses, words (private to vip/).
 *
 * vip_part.c knows the part's life, facts and orders; vip_router.c carries out what
 * the cores decide.
 */
#ifndef NINES_VIP_VIP_SHELL_H
#define NINES_VIP_VIP_SHELL_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/loop.h"
#include "part/part.h"
#include "vip/vip_config.h"
#include "vip/vip_core.h"
#include "vip/vip_net.h"
#include "vip/vip_os.h"

enum vip_where { VIP_NOWHERE, VIP_ON_LINK, VIP_ON_LOOPBACK };

enum vip_count { COUNT_SENT, COUNT_HEARD, COUNT_REFUSED, COUNT_TAKEN, COUNT_ANNOUNCED };

struct vip_shell {
	struct part *part;
	struct loop *loop;
	const struct cluster *cluster;
	const struct host *me;
	struct vip_os os;
	struct vip_nets *nets;
	struct list routers;
	int events; /* netlink: links and addresses changed */
	struct loop_fd *events_watch;
	bool acting, stopping, stopped;
	struct list facts; /* struct heard */
};

struct vip_router {
	struct list link;
	struct vip_shell *shell;
	struct vip core;
	struct vip_plan plan;
	uint8_t password[VRRP_AUTH_LEN];
	stats_t *count; /* by enum vip_count; NULL: no room */

	/* The interface as the kernel last told; index 0: there is none. */
	unsigned index;
	char interface[IF_NAMESIZE];
	uint8_t mac[6];
	bool link_up;
	struct ip source; /* of advertisements; family 0: none yet */
	struct vip_net *net;

	enum vip_where where;
	char why[FACT_VALUE_LEN]; /* it is not fit */
	bool present; /* an earlier process left the address on the interface */
	bool seen;    /* mark of the sweep over a new configuration */

	struct loop_timer due;	 /* the core's deadline */
	struct loop_timer renew; /* addresses with a short life */
	struct loop_timer leave; /* looks whether connections are left */
	mono_t leave_until, leave_calm;
	struct loop_timer steer; /* ends steering */
	struct ip steer_peer;	 /* family 0: none */

	bool ordered; /* a `move` waits for its answer */
	uint64_t order;
};

/* NULL: out of memory or a configuration that the core refuses. */
struct vip_router *vip_router_new(
    struct vip_shell *sh, const struct vip_plan *plan) MUST_CHECK;
/* Leaves at once. NULL is fine. */
void vip_router_free(struct vip_router *r);

/* Starts, or resumes if `was`, our own fact of an earlier process, says that this host
 * was active a moment ago. */
void vip_router_start(struct vip_router *r, const char *was);
void vip_router_give(struct vip_router *r, const struct vip_ev *ev);
/* A `move` of it, and of all the others of its group. */
void vip_router_move(struct vip_router *r, const struct vip_ev *ev);
/* Hears one advert of its vrid. */
void vip_router_hear(struct vip_router *r, const struct vrrp_envelope *env,
    const struct vrrp_advert *adv);

/* Facts or links changed: how well can this host serve it now? */
void vip_router_judge(struct vip_router *r);
/* The interface fields changed. */
void vip_router_rewire(struct vip_router *r);
void vip_router_publish(struct vip_router *r);

/* The host behind the source of an advert; else the address itself, in `buf`. */
const char *vip_router_host_name(
    const struct vip_router *r, const struct ip *ip, char buf[static IP_STR_LEN]);

/* True if nothing of it is left to finish. */
bool vip_router_idle(const struct vip_router *r);

/* The value of a fact; "" if there is none. */
const char *vip_shell_fact(
    const struct vip_shell *sh, const char *prefix, const char *name);

/* Called by a router that became idle, for the part that waits for it. */
void vip_shell_idle(struct vip_shell *sh);

#endif /* NINES_VIP_VIP_SHELL_H */
