/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/parts.h"

#include <linux/capability.h>
#include <string.h>

#include "base/mono.h"

static bool
vip_wanted(const struct cluster *c, const struct host *me)
{
	for (size_t i = 0; i < c->n_floating_ips; i++) {
		if (floating_ip_rank(&c->floating_ip[i], me) >= 0)
			return true;
	}
	return false;
}

static bool
proxy_wanted(const struct cluster *c, const struct host *me)
{
	for (size_t i = 0; i < c->n_services; i++) {
		if (service_on_host(&c->service[i], me))
			return true;
	}
	return false;
}

/* Connections to servers from the clients' addresses. */
static bool
proxy_transparent(const struct cluster *c, const struct host *me)
{
	for (size_t i = 0; i < c->n_services; i++) {
		if (c->service[i].transparent && service_on_host(&c->service[i], me))
			return true;
	}
	return false;
}

static bool
health_wanted(const struct cluster *c, const struct host *me)
{
	return vip_wanted(c, me) || proxy_wanted(c, me);
}

static bool
gateway_wanted(const struct cluster *c, const struct host *me)
{
	return gateways_have(&c->gateways, me) || gateways_serve(&c->gateways, me);
}

/*
 * A hung vip part holds an address that the others take after three heartbeats of
 * silence: the spare must be at work before that. Not below what a busy machine needs
 * to schedule a real-time process.
 */
static int64_t
vip_hang(const struct cluster *c, const struct host *me)
{
	int64_t least = 200 * MS_NS, floor = 15 * MS_NS;

	for (size_t i = 0; i < c->n_floating_ips; i++) {
		const struct floating_ip *f = &c->floating_ip[i];

		if (floating_ip_rank(f, me) >= 0 && f->heartbeat_ns * 3 / 2 < least)
			least = f->heartbeat_ns * 3 / 2;
	}
	return least > floor ? least : floor;
}

/* Its death breaks connections, so it is given what a starved machine may need. */
static int64_t
proxy_hang(const struct cluster *c, const struct host *me)
{
	(void)c;
	(void)me;
	return 300 * MS_NS;
}

static int64_t
health_hang(const struct cluster *c, const struct host *me)
{
	(void)c;
	(void)me;
	return 2 * SEC_NS;
}

static bool
vpn_wanted(const struct cluster *c, const struct host *me)
{
	for (size_t i = 0; i < c->n_vpns; i++) {
		if (vpn_on_host(&c->vpn[i], me))
			return true;
	}
	return false;
}

static bool
sync_wanted(const struct cluster *c, const struct host *me)
{
	for (size_t i = 0; i < c->firewall.n_hosts; i++) {
		if (c->firewall.host[i] == me)
			return c->firewall.sync != NULL;
	}
	return false;
}

/* It waits two seconds for a wireguard-go that hangs, and for nft. */
static int64_t
vpn_hang(const struct cluster *c, const struct host *me)
{
	(void)c;
	(void)me;
	return 10 * SEC_NS;
}

/* The kernel lets nobody at its table while somebody empties it, which takes seconds
 * with a large one: a new process would wait as long, and would know nothing. */
static int64_t
sync_hang(const struct cluster *c, const struct host *me)
{
	(void)c;
	(void)me;
	return 10 * SEC_NS;
}

static bool
firewall_wanted(const struct cluster *c, const struct host *me)
{
	for (size_t i = 0; i < c->firewall.n_hosts; i++) {
		if (c->firewall.host[i] == me)
			return true;
	}
	return c->host_firewall.enabled;
}

/* It waits for nft, which has all of a large rule set to do. */
static int64_t
firewall_hang(const struct cluster *c, const struct host *me)
{
	(void)c;
	(void)me;
	return 30 * SEC_NS;
}

/* Interface settings; the null device for the programs it runs. */
static const char *const vip_writes[] = {"/proc/sys/net", "/dev/null", NULL};
static const char *const sync_writes[] = {"/proc/sys/net", NULL};
static const char *const firewall_writes[] = {"/proc/sys/net", "/dev/null", NULL};
static const char *const nothing[] = {NULL};
/* And the sockets and the device of its wireguard-go. */
static const char *const vpn_writes[] = {
    "/proc/sys/net", "/dev/null", "/dev/net/tun", "/run", NULL};

/* Lists of a row, which end and count by themselves. */
#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})
#define CAPS(...)              \
	.caps = {__VA_ARGS__}, \
	.n_caps = sizeof((const int[]){__VA_ARGS__}) / sizeof(int)

/*
 * vip stays root for its settings in /proc/sys, without a capability to make use of
 * it. health runs the users' programs, which may want to write what `nobody` may.
 */
const struct part_row parts[PARTS_MAX] = {
    {.name = "vip",
	.wanted = vip_wanted,
	.spare = true,
	.hang_ns = vip_hang,
	/* CAP_BPF: the steering of connections after a planned move. */
	CAPS(CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_NICE, CAP_IPC_LOCK, CAP_BPF),
	.realtime = 50,
	.writes = vip_writes,
	.subscribe = LIST("part ", "proxy ", "service ", "check ", "host ", "admin ",
	    "vip ", "gateway ", "firewall ", "sync state"),
	.publish = LIST("vip "),
	.stop_order = 0},
    {.name = "proxy",
	.wanted = proxy_wanted,
	.spare = true,
	.hang_ns = proxy_hang,
	.user = "nobody",
	.wants_more = proxy_transparent,
	.workers = true,
	.more_cap = CAP_NET_RAW, /* IP_TRANSPARENT takes it or CAP_NET_ADMIN */
	.nice = -5,
	.writes = nothing,
	.subscribe = LIST("server ", "service ", "host ", "admin ", "switch ", "vip ",
	    "weight ", "passive ", "agent ", "connect "),
	.publish = LIST("proxy ", "passive "),
	.sockets = LIST("tcp/", "memory/"),
	.files = true,
	.stop_order = 1},
    {.name = "health",
	.wanted = health_wanted,
	.hang_ns = health_hang,
	.user = "nobody",
	.nice = -5,
	.subscribe = LIST("server ", "service ", "check ", "passive ", "admin ",
	    "agent ", "connect ", "switch "),
	.publish = LIST("server ", "service ", "check ", "agent ", "connect "),
	.sockets = LIST("ping/"),
	.stop_order = 2},
    {.name = "firewall",
	.wanted = firewall_wanted,
	.hang_ns = firewall_hang,
	CAPS(CAP_NET_ADMIN),
	.state = true,
	.writes = firewall_writes,
	.subscribe = LIST("firewall rules", "firewall table", "host "),
	.publish = LIST("firewall rules", "firewall table"),
	.stop_order = 4},
    {.name = "gateway",
	.wanted = gateway_wanted,
	.hang_ns = health_hang,
	CAPS(CAP_NET_ADMIN, CAP_NET_RAW),
	.nice = -10,
	.writes = vip_writes,
	.subscribe = LIST("gateway "),
	.publish = LIST("gateway "),
	.stop_order = 3}, /* addresses leave while it forwards */
    {.name = "vpn",
	.wanted = vpn_wanted,
	.hang_ns = vpn_hang,
	CAPS(CAP_NET_ADMIN),
	.nice = -5,
	.writes = vpn_writes,
	.subscribe = LIST("vip ", "vpn "),
	.publish = LIST("vpn "),
	.files = true,
	.stop_order = 2},
    {.name = "sync",
	.wanted = sync_wanted,
	.hang_ns = sync_hang,
	CAPS(CAP_NET_ADMIN),
	.realtime = 5, /* below the supervisor; see sync_part.c */
	.nice = -10,
	.writes = sync_writes,
	.subscribe = LIST("vip ", "sync "),
	.publish = LIST("sync "),
	.stop_order = 3},
};

bool
parts_wants_more(
    const struct part_row *row, const struct cluster *c, const struct host *me)
{
	return row->wants_more != NULL && row->wants_more(c, me);
}

bool
parts_any(const struct cluster *c, const struct host *me)
{
	for (size_t i = 0; i < PARTS_MAX; i++) {
		if (parts[i].wanted(c, me))
			return true;
	}
	return false;
}

const struct part_row *
parts_find(const char *name)
{
	for (size_t i = 0; i < PARTS_MAX; i++) {
		if (strcmp(parts[i].name, name) == 0)
			return &parts[i];
	}
	return NULL;
}

bool
parts_prefix(const char *const *prefixes, const char *text)
{
	for (; prefixes != NULL && *prefixes != NULL; prefixes++) {
		if (strncmp(text, *prefixes, strlen(*prefixes)) == 0)
			return true;
	}
	return false;
}

int64_t
parts_stop_ns(const struct cluster *c)
{
	int64_t longest = SEC_NS;

	for (size_t i = 0; i < c->n_services; i++) {
		if (c->service[i].drain_timeout_ns > longest)
			longest = c->service[i].drain_timeout_ns;
	}
	return longest + 2 * SEC_NS;
}

const struct part_program *
parts_program(const char *name)
{
	for (const struct part_program *p = part_programs; p->name != NULL; p++) {
		if (strcmp(p->name, name) == 0)
			return p;
	}
	return NULL;
}
