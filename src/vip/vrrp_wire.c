/* SPDX-License-Identifier: Apache-2.0 */
/* Sections are those of RFC 9568 unless another RFC is named. */
#include "vip/vrrp_wire.h"

#include <errno.h>
#include <string.h>

#include "base/wire.h"

enum { TYPE_ADVERTISEMENT = 1, HEAD_LEN = 8, CHECKSUM_AT = 6 };

static size_t
address_len(uint8_t family)
{
	return family == AF_INET ? 4 : 16;
}

static bool
is_multicast(const struct ip *ip)
{
	if (ip->family == AF_INET)
		return (ip->byte[0] & 0xf0) == 0xe0;
	return ip->byte[0] == 0xff;
}

/* 5.1.1.2, 5.1.2.2: 224.0.0.18 and ff02::12 */
struct ip
vrrp_group(uint8_t family)
{
	if (family == AF_INET)
		return (struct ip){.family = AF_INET, .byte = {224, 0, 0, 18}};
	return (struct ip){.family = AF_INET6, .byte = {0xff, 2, [15] = 0x12}};
}

static uint32_t
sum_words(uint32_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	if (len % 2 != 0)
		sum += (uint32_t)p[len - 1] << 8;
	return sum;
}

/*
 * 5.2.8: version 3 covers the pseudo-header, also with IPv4; version 2 (RFC 3768,
 * 5.3.8) the message alone. A message that holds its right checksum gives 0.
 */
static uint16_t
checksum(
    uint8_t version, const struct vrrp_envelope *env, const uint8_t *msg, size_t len)
{
	uint32_t sum = 0;

	if (version == 3) {
		sum = sum_words(sum, env->src.byte, address_len(env->src.family));
		sum = sum_words(sum, env->dst.byte, address_len(env->dst.family));
		sum += VRRP_PROTO + (uint32_t)len;
	}
	sum = sum_words(sum, msg, len);
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

int
vrrp_ipv4_open(struct vrrp_envelope *env, const uint8_t **msg, size_t *msg_len,
    const void *packet, size_t len)
{
	struct rd r = {.p = packet, .left = len};
	struct vrrp_envelope e = {.src.family = AF_INET, .dst.family = AF_INET};
	uint8_t kind = rd_u8(&r), proto;
	size_t head = (size_t)(kind & 15) * 4, total;
	uint16_t fragment;

	(void)rd_u8(&r); /* type of service */
	total = rd_u16(&r);
	(void)rd_u16(&r); /* identification */
	fragment = rd_u16(&r);
	e.ttl = rd_u8(&r);
	proto = rd_u8(&r);
	(void)rd_u16(&r); /* checksum: the kernel's business */
	rd_bytes(&r, e.src.byte, 4);
	rd_bytes(&r, e.dst.byte, 4);
	if (r.bad || kind >> 4 != 4 || head < 20 || total < head || total > len)
		return -EBADMSG;
	if (proto != VRRP_PROTO || (fragment & 0x1fff) != 0)
		return -EBADMSG;
	*env = e;
	*msg = (const uint8_t *)packet + head;
	*msg_len = total - head;
	return 0;
}

/* The head behind version and type, whose meaning the version decides. */
static int
decode_body(struct rd *r, struct vrrp_advert *a, uint8_t family)
{
	a->vrid = rd_u8(r);
	a->prio = rd_u8(r);
	a->n_addresses = rd_u8(r);
	if (a->version == 3) {
		a->adv_cs = rd_u16(r) & 0x0fff; /* 5.2.6: reserved bits are ignored */
	} else {
		uint8_t auth = rd_u8(r);

		a->adv_cs = (uint16_t)(rd_u8(r) * 100);
		if (auth > VRRP_AUTH_TEXT)
			return -EPERM;
		a->auth = (enum vrrp_auth)auth;
	}
	(void)rd_u16(r); /* the checksum was verified over the whole */
	if (a->n_addresses > VRRP_ADDR_MAX)
		return -EBADMSG;
	for (size_t i = 0; i < a->n_addresses; i++) {
		a->address[i].family = family;
		rd_bytes(r, a->address[i].byte, address_len(family));
	}
	if (a->version == 2)
		rd_bytes(r, a->password, VRRP_AUTH_LEN);
	if (!rd_done(r) || a->vrid == 0 || a->adv_cs == 0 || a->n_addresses == 0)
		return -EBADMSG;
	return 0;
}

int
vrrp_decode(struct vrrp_advert *adv, const struct vrrp_envelope *env, const void *msg,
    size_t len)
{
	struct rd r = {.p = msg, .left = len};
	struct vrrp_advert a = {0};
	uint8_t kind = rd_u8(&r);
	int err;

	if (env->src.family != env->dst.family ||
	    (env->src.family != AF_INET && env->src.family != AF_INET6))
		return -EBADMSG;
	/*
	 * 7.1: not forwarded by a router. Over unicast, peers send what they like
	 * (keepalived: hop limit 64 with IPv6), so this holds for the group only.
	 */
	if (is_multicast(&env->dst) && env->ttl != VRRP_TTL)
		return -EPERM;
	a.version = kind >> 4;
	if (a.version != 3 && (a.version != 2 || env->src.family != AF_INET))
		return -EPROTONOSUPPORT;
	if ((kind & 15) != TYPE_ADVERTISEMENT)
		return -EPROTONOSUPPORT;
	if (len < HEAD_LEN)
		return -EBADMSG;
	if (checksum(a.version, env, msg, len) != 0)
		return -EILSEQ;
	err = decode_body(&r, &a, env->src.family);
	if (err != 0)
		return err;
	*adv = a;
	return 0;
}

size_t
vrrp_encode(const struct vrrp_advert *adv, const struct vrrp_envelope *env,
    uint8_t *buf, size_t size)
{
	struct wr w = {.p = buf, .left = size};
	size_t len;
	uint16_t sum;

	if (adv->vrid == 0 || adv->adv_cs == 0 || adv->adv_cs > VRRP_ADV_CS_MAX ||
	    adv->n_addresses == 0 || adv->n_addresses > VRRP_ADDR_MAX)
		return 0;
	if (adv->version == 2 ? env->src.family != AF_INET || adv->adv_cs % 100 != 0
			      : adv->version != 3 || adv->auth != VRRP_AUTH_NONE)
		return 0;
	wr_u8(&w, (uint8_t)(adv->version << 4 | TYPE_ADVERTISEMENT));
	wr_u8(&w, adv->vrid);
	wr_u8(&w, adv->prio);
	wr_u8(&w, adv->n_addresses);
	if (adv->version == 3) {
		wr_u16(&w, adv->adv_cs);
	} else {
		wr_u8(&w, (uint8_t)adv->auth);
		wr_u8(&w, (uint8_t)(adv->adv_cs / 100));
	}
	wr_u16(&w, 0);
	for (size_t i = 0; i < adv->n_addresses; i++) {
		if (adv->address[i].family != env->src.family)
			return 0;
		wr_bytes(&w, adv->address[i].byte, address_len(env->src.family));
	}
	if (adv->version == 2)
		wr_bytes(&w, adv->password, VRRP_AUTH_LEN);
	if (w.bad)
		return 0;
	len = size - w.left;
	sum = checksum(adv->version, env, buf, len);
	buf[CHECKSUM_AT] = (uint8_t)(sum >> 8);
	buf[CHECKSUM_AT + 1] = (uint8_t)(sum & 0xff);
	return len;
}
