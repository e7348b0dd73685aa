/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ip.h - IPv4 and IPv6 addresses, networks and endpoints as values.
 */
#ifndef NINES_BASE_IP_H
#define NINES_BASE_IP_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/check.h"

#define IP_STR_LEN	46		     /* with the NUL */
#define IP_ENDPOINT_LEN (IP_STR_LEN + 2 + 6) /* "[address]:65535" and the NUL */

struct ip {
	uint8_t family;	  /* AF_INET, AF_INET6; 0: none */
	uint8_t byte[16]; /* network order; an IPv4 address uses the first four */
};

struct ip_net {
	struct ip ip; /* host bits are zero */
	uint8_t bits;
};

struct ip_endpoint {
	struct ip ip;
	uint16_t port; /* host order */
};

/* 4 or 16. */
size_t ip_len(const struct ip *ip);
bool ip_equal(const struct ip *a, const struct ip *b);
/* <0, 0, >0: IPv4 before IPv6, then by value. */
int ip_compare(const struct ip *a, const struct ip *b);
bool ip_in_net(const struct ip *ip, const struct ip_net *net);
bool ip_is_link_local(const struct ip *ip); /* fe80::/10 or 169.254/16 */

/* Whole strings only; 0 or -EINVAL. A network with host bits set is -EINVAL. */
int ip_parse(struct ip *ip, const char *s) MUST_CHECK;
int ip_net_parse(struct ip_net *net, const char *s) MUST_CHECK;
/* "192.0.2.1:80", "[2001:db8::1]:80". */
int ip_endpoint_parse(struct ip_endpoint *e, const char *s) MUST_CHECK;

/* Return `buf`. */
const char *ip_format(const struct ip *ip, char buf[static IP_STR_LEN]);
const char *ip_endpoint_format(
    const struct ip_endpoint *e, char buf[static IP_ENDPOINT_LEN]);

/* To and from the kernel's form. ip_from_sockaddr() gives family 0 for others. */
socklen_t ip_to_sockaddr(const struct ip_endpoint *e, struct sockaddr_storage *ss);
struct ip_endpoint ip_from_sockaddr(const struct sockaddr_storage *ss);

#endif /* NINES_BASE_IP_H */
