/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netlink.h - interfaces, addresses and their changes, over rtnetlink (libmnl).
 *
 * Calls are synchronous: the kernel answers a request before sendto() returns, so
 * nothing here waits for anybody. Errors are -errno, as the kernel gave them.
 */
#ifndef NINES_OS_NETLINK_H
#define NINES_OS_NETLINK_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/ip.h"

/* IFA_PROTO of addresses that nines installs: who finds one knows whose it is. */
#define NETLINK_ADDR_PROTO 0x6e

struct netlink;

struct netlink_link {
	unsigned index;
	char name[IF_NAMESIZE];
	bool up; /* administratively, and the carrier is there */
	uint8_t mac[6];
	bool has_mac; /* an Ethernet-like link */
};

struct netlink_addr {
	struct ip ip;
	unsigned index; /* of its interface */
	bool ours;	/* tagged NETLINK_ADDR_PROTO */
	bool usable;	/* duplicate address detection is done, and found none */
};

struct netlink *netlink_open(void) MUST_CHECK; /* NULL with errno set */
void netlink_close(struct netlink *nl);	       /* NULL is fine */

int netlink_links(struct netlink *nl,
    void (*cb)(void *arg, const struct netlink_link *), void *arg) MUST_CHECK;
int netlink_addrs(struct netlink *nl,
    void (*cb)(void *arg, const struct netlink_addr *), void *arg) MUST_CHECK;

/*
 * Installs `ip` alone (no route for a network), never chosen as a source, tagged as
 * ours. The kernel removes it by itself after `valid_s` seconds (0: never); doing it
 * again renews it.
 */
int netlink_addr_set(struct netlink *nl, unsigned index, const struct ip *ip,
    unsigned valid_s) MUST_CHECK;
/* 0 also if it was not there. */
int netlink_addr_del(
    struct netlink *nl, unsigned index, const struct ip *ip) MUST_CHECK;

/* 1 if a TCP connection with the local address `ip` is open, 0 if none is. */
int netlink_tcp_open(const struct ip *ip) MUST_CHECK;

/*
 * A non-blocking descriptor that becomes readable when a link or an address changed.
 * netlink_drain() reads it empty; true if there was anything (lost messages included):
 * look again at what matters.
 */
int netlink_events_open(void) MUST_CHECK;
bool netlink_drain(int fd);

#endif /* NINES_OS_NETLINK_H */
