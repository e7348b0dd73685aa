/* SPDX-License-Identifier: Apache-2.0 */
#include "vip/vip_os.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "os/neigh.h"
#include "os/setting.h"
#include "os/steer.h"
#include "vip/vip.h"
#include "vip/vrrp_wire.h"

int
vip_os_open(struct vip_os *os)
{
	*os = (struct vip_os){.neigh = -1, .loopback = if_nametoindex("lo")};
	os->nl = netlink_open();
	if (os->nl == NULL)
		return -errno;
	os->neigh = neigh_open();
	if (os->neigh < 0) {
		int err = os->neigh;

		vip_os_close(os);
		return err;
	}
	return 0;
}

void
vip_os_close(struct vip_os *os)
{
	netlink_close(os->nl);
	if (os->neigh >= 0)
		(void)close(os->neigh);
	*os = (struct vip_os){.neigh = -1};
}

static void
complain(const char *event, const struct floating_ip *f, int err)
{
	if (err != 0)
		log_event(LOG_ERR, event, "ip=%s why=\"%s\"", f->name, strerror(-err));
}

static void
write_setting(const char *interface, const char *name, const char *value)
{
	char full[SETTING_NAME_LEN];
	int err;

	(void)snprintf(full, sizeof(full), "ipv4/conf/%s/%s", interface, name);
	err = setting_write(full, value);
	if (err != 0)
		log_event(LOG_WARN, "setting_refused",
		    "path=/proc/sys/net/%s why=\"%s\"", full, strerror(-err));
}

void
vip_os_own_arp(const char *interface)
{
	write_setting(interface, "arp_ignore", "1");
	write_setting(interface, "arp_announce", "2");
}

bool
vip_os_install(struct vip_os *os, unsigned index, const struct floating_ip *f)
{
	bool all = true;

	for (size_t i = 0; i < f->n_addresses; i++) {
		int err = netlink_addr_set(os->nl, index, &f->address[i], VIP_LIFE_S);

		complain("address_not_set", f, err);
		if (err != 0)
			all = false;
		complain("address_not_removed", f,
		    netlink_addr_del(os->nl, os->loopback, &f->address[i]));
	}
	return all;
}

/* First the new place, then the old one: the kernel must know the address at every
 * moment, or it would refuse packets of the connections that are to finish. */
void
vip_os_retire(struct vip_os *os, unsigned index, const struct floating_ip *f)
{
	for (size_t i = 0; i < f->n_addresses; i++) {
		complain("address_not_set", f,
		    netlink_addr_set(os->nl, os->loopback, &f->address[i], VIP_LIFE_S));
		complain("address_not_removed", f,
		    netlink_addr_del(os->nl, index, &f->address[i]));
	}
}

void
vip_os_remove(struct vip_os *os, unsigned index, const struct floating_ip *f)
{
	for (size_t i = 0; i < f->n_addresses; i++) {
		complain("address_not_removed", f,
		    netlink_addr_del(os->nl, index, &f->address[i]));
		complain("address_not_removed", f,
		    netlink_addr_del(os->nl, os->loopback, &f->address[i]));
	}
}

void
vip_os_announce(struct vip_os *os, unsigned index, const uint8_t mac[static 6],
    const struct floating_ip *f)
{
	for (size_t i = 0; i < f->n_addresses; i++)
		complain("announce_failed", f,
		    neigh_announce(os->neigh, index, mac, &f->address[i]));
}

bool
vip_os_busy(const struct floating_ip *f)
{
	for (size_t i = 0; i < f->n_addresses; i++) {
		if (netlink_tcp_open(&f->address[i]) != 0)
			return true; /* an error too: better wait than cut */
	}
	return false;
}

/* Unique on an interface as the pair of vrid and family is. */
static uint32_t
steer_handle(const struct floating_ip *f, size_t i)
{
	uint32_t family = f->address[i].family == AF_INET6 ? 0x8000 : 0;

	return (uint32_t)f->vrid << 16 | family | (uint32_t)i;
}

bool
vip_os_steer(struct vip_os *os, unsigned index, const struct floating_ip *f,
    const struct ip *peer)
{
	for (size_t i = 0; i < f->n_addresses; i++) {
		int err = steer_set(index, steer_handle(f, i), &f->address[i], peer);

		if (err == 0)
			continue;
		if (!os->steer_refused)
			log_event(LOG_WARN, "no_steering",
			    "why=\"%s\" effect=\"planned moves cut open connections\"",
			    strerror(-err));
		os->steer_refused = true;
		return false;
	}
	return true;
}

void
vip_os_unsteer(unsigned index, const struct floating_ip *f)
{
	for (size_t i = 0; i < f->n_addresses; i++)
		complain(
		    "steering_not_removed", f, steer_del(index, steer_handle(f, i)));
}

struct release {
	const struct cluster *c;
	const struct host *me;
	struct netlink *nl; /* a second one: the first is in the middle of its answer */
	int err;
};

static void
release_addr(void *arg, const struct netlink_addr *addr)
{
	struct release *r = arg;

	for (size_t i = 0; i < r->c->n_floating_ips; i++) {
		const struct floating_ip *f = &r->c->floating_ip[i];

		if (floating_ip_rank(f, r->me) < 0)
			continue;
		for (size_t j = 0; j < f->n_addresses; j++) {
			int err = 0;

			if (ip_equal(&f->address[j], &addr->ip))
				err = netlink_addr_del(r->nl, addr->index, &addr->ip);
			if (r->err == 0)
				r->err = err;
		}
	}
}

static void
release_link(void *arg, const struct netlink_link *link)
{
	struct release *r = arg;
	int err = steer_clear(link->index);

	if (r->err == 0)
		r->err = err;
}

int
vip_release(const struct cluster *c, const struct host *me)
{
	struct release r = {.c = c, .me = me, .nl = netlink_open()};
	struct netlink *nl = netlink_open();
	int err = -ENOMEM;

	if (nl != NULL && r.nl != NULL) {
		err = netlink_addrs(nl, release_addr, &r);
		if (err == 0)
			err = netlink_links(nl, release_link, &r);
	}
	netlink_close(r.nl);
	netlink_close(nl);
	return err != 0 ? err : r.err;
}
