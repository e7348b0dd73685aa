/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ip.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

size_t
ip_len(const struct ip *ip)
{
	return ip->family == AF_INET ? 4 : 16;
}

bool
ip_equal(const struct ip *a, const struct ip *b)
{
	return ip_compare(a, b) == 0;
}

int
ip_compare(const struct ip *a, const struct ip *b)
{
	if (a->family != b->family)
		return a->family == AF_INET || b->family == 0 ? -1 : 1;
	return memcmp(a->byte, b->byte, ip_len(a));
}

static uint8_t
mask_byte(unsigned bits, size_t i)
{
	size_t first = i * 8;

	if (bits >= first + 8)
		return 0xff;
	if (bits <= first)
		return 0;
	return (uint8_t)(0xff00U >> (bits - first) & 0xff);
}

bool
ip_in_net(const struct ip *ip, const struct ip_net *net)
{
	if (ip->family != net->ip.family)
		return false;
	for (size_t i = 0; i < ip_len(ip); i++) {
		if ((ip->byte[i] ^ net->ip.byte[i]) & mask_byte(net->bits, i))
			return false;
	}
	return true;
}

bool
ip_is_link_local(const struct ip *ip)
{
	if (ip->family == AF_INET)
		return ip->byte[0] == 169 && ip->byte[1] == 254;
	return ip->byte[0] == 0xfe && (ip->byte[1] & 0xc0) == 0x80;
}

int
ip_parse(struct ip *ip, const char *s)
{
	struct ip r = {.family = strchr(s, ':') != NULL ? AF_INET6 : AF_INET};

	if (inet_pton(r.family, s, r.byte) != 1)
		return -EINVAL;
	*ip = r;
	return 0;
}

/* A decimal number without sign or leading zeros, at most `max`. */
static int
number(const char *s, unsigned max, unsigned *out)
{
	unsigned v = 0;

	if (*s == '\0' || (s[0] == '0' && s[1] != '\0'))
		return -EINVAL;
	for (; *s != '\0'; s++) {
		if (*s < '0' || *s > '9')
			return -EINVAL;
		v = v * 10 + (unsigned)(*s - '0');
		if (v > max)
			return -EINVAL;
	}
	*out = v;
	return 0;
}

/* Splits `s` before `at` into a copy; -EINVAL if it does not fit. */
static int
head(char buf[static IP_STR_LEN], const char *s, const char *at)
{
	size_t n = (size_t)(at - s);

	if (n >= IP_STR_LEN)
		return -EINVAL;
	memcpy(buf, s, n);
	buf[n] = '\0';
	return 0;
}

int
ip_net_parse(struct ip_net *net, const char *s)
{
	const char *slash = strchr(s, '/');
	char buf[IP_STR_LEN];
	struct ip_net r;
	unsigned bits;

	if (slash == NULL || head(buf, s, slash) != 0 || ip_parse(&r.ip, buf) != 0)
		return -EINVAL;
	if (number(slash + 1, (unsigned)ip_len(&r.ip) * 8, &bits) != 0)
		return -EINVAL;
	for (size_t i = 0; i < ip_len(&r.ip); i++) {
		if (r.ip.byte[i] & ~mask_byte(bits, i))
			return -EINVAL;
	}
	r.bits = (uint8_t)bits;
	*net = r;
	return 0;
}

int
ip_endpoint_parse(struct ip_endpoint *e, const char *s)
{
	const char *colon = strrchr(s, ':');
	const char *start = s, *end = colon;
	char buf[IP_STR_LEN];
	struct ip_endpoint r;
	unsigned port;

	if (colon == NULL || number(colon + 1, 65535, &port) != 0)
		return -EINVAL;
	if (*s == '[') {
		if (colon == s || colon[-1] != ']')
			return -EINVAL;
		start++;
		end--;
	}
	if (head(buf, start, end) != 0 || ip_parse(&r.ip, buf) != 0)
		return -EINVAL;
	if ((r.ip.family == AF_INET6) != (*s == '['))
		return -EINVAL;
	r.port = (uint16_t)port;
	*e = r;
	return 0;
}

const char *
ip_format(const struct ip *ip, char buf[static IP_STR_LEN])
{
	if (ip->family == 0 || inet_ntop(ip->family, ip->byte, buf, IP_STR_LEN) == NULL)
		(void)snprintf(buf, IP_STR_LEN, "none");
	return buf;
}

const char *
ip_endpoint_format(const struct ip_endpoint *e, char buf[static IP_ENDPOINT_LEN])
{
	char ip[IP_STR_LEN];

	(void)snprintf(buf, IP_ENDPOINT_LEN,
	    e->ip.family == AF_INET6 ? "[%s]:%u" : "%s:%u", ip_format(&e->ip, ip),
	    (unsigned)e->port);
	return buf;
}

socklen_t
ip_to_sockaddr(const struct ip_endpoint *e, struct sockaddr_storage *ss)
{
	memset(ss, 0, sizeof(*ss));
	if (e->ip.family == AF_INET) {
		struct sockaddr_in sin = {
		    .sin_family = AF_INET, .sin_port = htons(e->port)};

		memcpy(&sin.sin_addr, e->ip.byte, 4);
		memcpy(ss, &sin, sizeof(sin));
		return sizeof(sin);
	}
	struct sockaddr_in6 sin6 = {
	    .sin6_family = AF_INET6, .sin6_port = htons(e->port)};

	memcpy(&sin6.sin6_addr, e->ip.byte, 16);
	memcpy(ss, &sin6, sizeof(sin6));
	return sizeof(sin6);
}

struct ip_endpoint
ip_from_sockaddr(const struct sockaddr_storage *ss)
{
	struct ip_endpoint e = {0};

	if (ss->ss_family == AF_INET) {
		struct sockaddr_in sin;

		memcpy(&sin, ss, sizeof(sin));
		e.ip.family = AF_INET;
		memcpy(e.ip.byte, &sin.sin_addr, 4);
		e.port = ntohs(sin.sin_port);
	} else if (ss->ss_family == AF_INET6) {
		struct sockaddr_in6 sin6;

		memcpy(&sin6, ss, sizeof(sin6));
		e.ip.family = AF_INET6;
		memcpy(e.ip.byte, &sin6.sin6_addr, 16);
		e.port = ntohs(sin6.sin6_port);
	}
	return e;
}
