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

static bool
health_wanted(const struct cluster *c, const struct host *me)
{
	return vip_wanted(c, me) || proxy_wanted(c, me);
}

/*
 * A hung vip part holds an address that the others take after three heartbeats of
 * silence: the spare must be at work before that. Not below what a busy machine needs
 * to schedule a real-time process.
 */
static int64_t
vip_hang(const struct cluster *c, const struct host *me)
{
	int64_t least = 500 * MS_NS, floor = 15 * MS_NS;

	for (size_t i = 0; i < c->n_floating_ips; i++) {
		const struct floating_ip *f = &c->floating_ip[i];

		if (floating_ip_rank(f, me) >= 0 && f->heartbeat_ns * 3 / 2 < least)
			least = f->heartbeat_ns * 3 / 2;
	}
	return least > floor ? least : floor;
}

static int64_t
half_second(const struct cluster *c, const struct host *me)
{
	(void)c;
	(void)me;
	return 500 * MS_NS;
}

static int64_t
two_seconds(const struct cluster *c, const struct host *me)
{
	(void)c;
	(void)me;
	return 2 * SEC_NS;
}

const struct part_row parts[PARTS_MAX] = {
    {.name = "vip",
	.wanted = vip_wanted,
	.spare = true,
	.hang_ns = vip_hang,
	.caps = {CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_NICE, CAP_IPC_LOCK},
	.n_caps = 4,
	.subscribe = {"part ", "proxy ", "service ", "check ", "host ", "admin ",
	    "vip "},
	.stop_order = 0},
    {.name = "proxy",
	.wanted = proxy_wanted,
	.spare = true,
	.hang_ns = half_second,
	.user = "nobody",
	.subscribe = {"server ", "service ", "host ", "admin ", "vip ", "passive "},
	.stop_order = 1},
    {.name = "health",
	.wanted = health_wanted,
	.hang_ns = two_seconds,
	.user = "nobody",
	.subscribe = {"server ", "service ", "check ", "passive ", "admin "},
	.stop_order = 2},
};

const struct part_row *
parts_find(const char *name)
{
	for (size_t i = 0; i < PARTS_MAX; i++) {
		if (strcmp(parts[i].name, name) == 0)
			return &parts[i];
	}
	return NULL;
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
