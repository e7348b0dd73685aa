/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vpn_shell.h - the inside of the part `vpn`: its tunnels (private to vpn/).
 */
#ifndef NINES_VPN_VPN_SHELL_H
#define NINES_VPN_VPN_SHELL_H

#include "base/list.h"
#include "part/part.h"
#include "vpn/vpn_core.h"
#include "vpn/wg_dev.h"

struct vpn_shell {
	struct part *part;
	struct loop *loop;
	const struct cluster *cluster;
	const struct host *me;
	struct list tunnels;
	struct list heard; /* facts "vip NAME": struct heard */
	bool acting;
	char rules[WG_WHY_LEN]; /* why the packet filter is not as it must be, or "" */
};

/* One VPN on this host. */
struct tunnel {
	struct list link; /* vpn_shell.tunnels */
	struct vpn_shell *shell;
	const struct vpn *vpn;
	bool seen;    /* in the generation that is being adopted */
	bool has_key; /* `key` is the file's */
	uint8_t key[VPN_KEY_LEN];
	uint8_t public_key[VPN_KEY_LEN];
	struct wg_dev *dev; /* NULL: there is none, and `why` tells */
	char why[WG_WHY_LEN];
	mono_t started;
	mono_t lost;	    /* when a wireguard-go has ended */
	char interface[16]; /* the name under which it was made, "": it was not */
	struct ip address;  /* and what it was given */
	uint8_t bits;
	struct vpn_core core;
	struct vpn_place *place;
	struct wg_state state; /* as it was read last */
	struct loop_timer timer;
	int sync_fd; /* or -1 */
	struct loop_fd *sync_watch;
	struct ip_endpoint sync_at;
	int64_t skew_ns; /* of the other gateway's clock */
	unsigned forged; /* messages that were not made with our key, in a row */
	char said[FACT_VALUE_LEN], said_sync[FACT_VALUE_LEN];
};

/* NULL: no memory. */
struct tunnel *tunnel_new(struct vpn_shell *sh, const struct vpn *v) MUST_CHECK;
/* With `remove` interface, sessions and all go; else all stays as it is. */
void tunnel_free(struct tunnel *t, bool remove);

/* Takes over generation and key file: during ops->config(). */
void tunnel_adopt(struct tunnel *t, const struct vpn *v);

/* Makes it so. While acting; again after whatever changed. */
void tunnel_apply(struct tunnel *t);

/* The address of `listen` came or went, or the packet filter is another. */
void tunnel_judge(struct tunnel *t);

/* A JSON object with the clients from number `from` on, as many as fit a reply. */
void tunnel_list(struct tunnel *t, size_t from, struct sbuf *out);

/* True if the address of `listen` is here. */
bool vpn_shell_has_address(const struct vpn_shell *sh, const struct vpn *v);

/* vpn_sync.c: messages between the gateways. */
void vpn_sync_open(struct tunnel *t);
void vpn_sync_close(struct tunnel *t);
void vpn_sync_send(struct tunnel *t);
int64_t vpn_sync_wall(void); /* nanoseconds of the wall clock */
/* A new session for the core: later ones compare greater. 0 or -errno. */
int vpn_sync_session(uint8_t session[static VPN_SESSION_LEN]) MUST_CHECK;

/* On what WireGuard itself sends. */
static inline uint32_t
vpn_mark(const struct vpn *v)
{
	return UINT32_C(0x6e770000) | v->listen.port;
}

/* vpn_rules.c: the packet filter of all tunnels of this host; 0 or -errno with `why`.
 */
int vpn_rules_load(const struct vpn_shell *sh, char why[static WG_WHY_LEN]) MUST_CHECK;
void vpn_rules_remove(void);

/* Switches forwarding on where clients of `v` go and come back from. */
void vpn_rules_forward(const struct vpn_shell *sh, const struct vpn *v);

/* For the tests: the text for `nft -f -`. */
void vpn_rules_text(const struct cluster *c, const struct host *me, struct sbuf *out);

#endif /* NINES_VPN_VPN_SHELL_H */
