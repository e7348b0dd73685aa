/* SPDX-License-Identifier: Apache-2.0 */
#include "vpn/wg_genl.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/wireguard.h>
#include <string.h>
#include <unistd.h>

#define MESSAGE_MAX 16384 /* of a request; the kernel takes what fits a packet */
#define ANSWER_MAX  65536

/* libmnl's own loops do not pass -Wconversion. */
#define EACH_ATTR(a, from, end)                                                \
	for (const struct nlattr *a = (from), *a##_end = (end);                \
	     mnl_attr_ok(a, (int)((const char *)a##_end - (const char *)(a))); \
	     (a) = mnl_attr_next(a))
#define EACH_OF(a, h)                                                            \
	EACH_ATTR(a, mnl_nlmsg_get_payload_offset(h, sizeof(struct genlmsghdr)), \
	    mnl_nlmsg_get_payload_tail(h))
#define EACH_NESTED(a, nest) EACH_ATTR(a, mnl_attr_get_payload(nest), nest_end(nest))

static const struct nlattr *
nest_end(const struct nlattr *nest)
{
	const char *payload = mnl_attr_get_payload(nest);

	return (const void *)(payload + mnl_attr_get_payload_len(nest));
}

struct genl {
	struct mnl_socket *sock;
	uint16_t family; /* of "wireguard" */
	unsigned seq;
	uint8_t buf[ANSWER_MAX];
};

static int
talk(struct genl *g, struct nlmsghdr *h, mnl_cb_t cb, void *arg)
{
	int more = MNL_CB_OK;

	h->nlmsg_seq = ++g->seq;
	if (mnl_socket_sendto(g->sock, h, h->nlmsg_len) < 0)
		return -errno;
	while (more == MNL_CB_OK) {
		ssize_t n = mnl_socket_recvfrom(g->sock, g->buf, sizeof(g->buf));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		more = mnl_cb_run(g->buf, (size_t)n, h->nlmsg_seq,
		    mnl_socket_get_portid(g->sock), cb, arg);
	}
	return more == MNL_CB_ERROR ? -errno : 0;
}

static struct nlmsghdr *
put_head(void *buf, uint16_t family, uint16_t flags, uint8_t cmd, uint8_t version)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct genlmsghdr *m;

	h->nlmsg_type = family;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->cmd = cmd;
	m->version = version;
	return h;
}

static int
keep_family(const struct nlmsghdr *h, void *arg)
{
	uint16_t *family = arg;

	EACH_OF(a, h)
	{
		if (mnl_attr_get_type(a) == CTRL_ATTR_FAMILY_ID &&
		    mnl_attr_validate(a, MNL_TYPE_U16) >= 0)
			*family = mnl_attr_get_u16(a);
	}
	return MNL_CB_OK;
}

static void
genl_close(struct genl *g)
{
	if (g->sock != NULL)
		(void)mnl_socket_close(g->sock);
	explicit_bzero(g->buf, sizeof(g->buf)); /* the private key was in it */
}

/* -ENOENT: this kernel has no WireGuard, or its module is not loaded. */
static int
genl_open(struct genl *g)
{
	uint8_t req[256] __attribute__((aligned(4)));
	struct nlmsghdr *h;
	int err;

	g->seq = 0;
	g->family = 0;
	g->sock = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
	if (g->sock == NULL)
		return -errno;
	if (mnl_socket_bind(g->sock, 0, MNL_SOCKET_AUTOPID) < 0) {
		err = -errno;
	} else {
		h = put_head(req, GENL_ID_CTRL, NLM_F_ACK, CTRL_CMD_GETFAMILY, 1);
		mnl_attr_put_strz(h, CTRL_ATTR_FAMILY_NAME, WG_GENL_NAME);
		err = talk(g, h, keep_family, &g->family);
	}
	if (err == 0 && g->family == 0)
		err = -ENOENT;
	if (err != 0)
		genl_close(g);
	return err;
}

/* ---- reading ------------------------------------------------------------------- */

/* The attribute's bytes, if there are at least `len`. */
static const void *
bytes(const struct nlattr *a, size_t len)
{
	return mnl_attr_get_payload_len(a) >= len ? mnl_attr_get_payload(a) : NULL;
}

static void
get_u16(const struct nlattr *a, uint16_t *out)
{
	const void *p = bytes(a, sizeof(*out));

	if (p != NULL)
		memcpy(out, p, sizeof(*out));
}

static void
get_u32(const struct nlattr *a, uint32_t *out)
{
	const void *p = bytes(a, sizeof(*out));

	if (p != NULL)
		memcpy(out, p, sizeof(*out));
}

static void
get_u64(const struct nlattr *a, uint64_t *out)
{
	const void *p = bytes(a, sizeof(*out));

	if (p != NULL)
		memcpy(out, p, sizeof(*out));
}

static void
get_allowed(struct wg_peer *p, const struct nlattr *list)
{
	EACH_NESTED(item, list)
	{
		struct ip_net net = {.bits = 0};
		uint16_t family = 0;
		const void *ip = NULL;
		size_t ip_size = 0;

		EACH_NESTED(a, item)
		{
			unsigned type = mnl_attr_get_type(a);

			if (type == WGALLOWEDIP_A_FAMILY) {
				get_u16(a, &family);
			} else if (type == WGALLOWEDIP_A_IPADDR) {
				ip = mnl_attr_get_payload(a);
				ip_size = mnl_attr_get_payload_len(a);
			} else if (type == WGALLOWEDIP_A_CIDR_MASK &&
				   bytes(a, 1) != NULL) {
				net.bits = mnl_attr_get_u8(a);
			}
		}
		if ((family != AF_INET || ip_size != 4) &&
		    (family != AF_INET6 || ip_size != 16))
			continue;
		net.ip.family = (uint8_t)family;
		memcpy(net.ip.byte, ip, ip_size);
		if (p->n_allowed++ == 0)
			p->allowed = net;
	}
}

static void
get_endpoint(struct wg_peer *p, const struct nlattr *a)
{
	struct sockaddr_storage ss = {.ss_family = AF_UNSPEC};
	size_t len = mnl_attr_get_payload_len(a);

	if (len > sizeof(ss))
		return;
	memcpy(&ss, mnl_attr_get_payload(a), len);
	if ((ss.ss_family == AF_INET && len >= sizeof(struct sockaddr_in)) ||
	    (ss.ss_family == AF_INET6 && len >= sizeof(struct sockaddr_in6)))
		p->at = ip_from_sockaddr(&ss);
}

static void
get_handshake(struct wg_peer *p, const struct nlattr *a)
{
	const void *seconds = bytes(a, sizeof(int64_t));

	if (seconds != NULL) /* struct __kernel_timespec begins with them */
		memcpy(&p->handshake_s, seconds, sizeof(p->handshake_s));
}

/* A peer, or more of the one before: a long list goes on in the next message. */
static int
get_peer(struct wg_state *s, const struct nlattr *item)
{
	struct wg_peer p = {.keepalive_s = 0}, *known;
	uint16_t keepalive = 0;
	bool has_key = false;

	EACH_NESTED(a, item)
	{
		unsigned type = mnl_attr_get_type(a);
		const void *key = NULL;

		if (type == WGPEER_A_PUBLIC_KEY)
			key = bytes(a, sizeof(p.key));
		else if (type == WGPEER_A_ENDPOINT)
			get_endpoint(&p, a);
		else if (type == WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL)
			get_u16(a, &keepalive);
		else if (type == WGPEER_A_LAST_HANDSHAKE_TIME)
			get_handshake(&p, a);
		else if (type == WGPEER_A_RX_BYTES)
			get_u64(a, &p.received);
		else if (type == WGPEER_A_TX_BYTES)
			get_u64(a, &p.sent);
		else if (type == WGPEER_A_ALLOWEDIPS)
			get_allowed(&p, a);
		if (key != NULL) {
			memcpy(p.key, key, sizeof(p.key));
			has_key = true;
		}
	}
	if (!has_key)
		return 0;
	p.keepalive_s = keepalive;
	known = s->n_peers > 0 ? &s->peer[s->n_peers - 1] : NULL;
	if (known != NULL && memcmp(known->key, p.key, sizeof(p.key)) == 0) {
		known->n_allowed += p.n_allowed;
		return 0;
	}
	if (s->peer == NULL || s->n_peers == s->room)
		return -E2BIG;
	s->peer[s->n_peers++] = p;
	return 0;
}

int
wg_genl_decode(struct wg_state *s, const struct nlmsghdr *h)
{
	const void *key;
	int err = 0;

	if (mnl_nlmsg_get_payload_len(h) < sizeof(struct genlmsghdr))
		return -EBADMSG;
	EACH_OF(a, h)
	{
		unsigned type = mnl_attr_get_type(a);

		key = type == WGDEVICE_A_PRIVATE_KEY ? bytes(a, sizeof(s->key)) : NULL;
		if (key != NULL)
			memcpy(s->key, key, sizeof(s->key));
		else if (type == WGDEVICE_A_LISTEN_PORT)
			get_u16(a, &s->port);
		else if (type == WGDEVICE_A_FWMARK)
			get_u32(a, &s->mark);
		if (type != WGDEVICE_A_PEERS)
			continue;
		EACH_NESTED(item, a)
		{
			if (err == 0)
				err = get_peer(s, item);
		}
	}
	return err;
}

static int
on_state(const struct nlmsghdr *h, void *arg)
{
	int err = wg_genl_decode(arg, h);

	if (err == 0)
		return MNL_CB_OK;
	errno = -err;
	return MNL_CB_ERROR;
}

int
wg_genl_state(const char *name, struct wg_state *s)
{
	uint8_t req[256] __attribute__((aligned(4)));
	struct nlmsghdr *h;
	struct genl g;
	int err = genl_open(&g);

	if (err != 0)
		return err;
	memset(s->key, 0, sizeof(s->key));
	s->port = 0;
	s->mark = 0;
	s->n_peers = 0;
	h = put_head(
	    req, g.family, NLM_F_DUMP | NLM_F_ACK, WG_CMD_GET_DEVICE, WG_GENL_VERSION);
	mnl_attr_put_strz(h, WGDEVICE_A_IFNAME, name);
	err = talk(&g, h, on_state, s);
	genl_close(&g);
	return err;
}

bool
wg_genl_is_there(const char *name)
{
	struct wg_state none = {.room = 0};
	int err = wg_genl_state(name, &none);

	return err == 0 || err == -E2BIG;
}

/* ---- writing ------------------------------------------------------------------- */

static bool
put_allowed(struct nlmsghdr *h, size_t size, const struct ip *ip)
{
	struct nlattr *list = mnl_attr_nest_start_check(h, size, WGPEER_A_ALLOWEDIPS);
	struct nlattr *item =
	    list != NULL ? mnl_attr_nest_start_check(h, size, 0) : NULL;

	if (item == NULL ||
	    !mnl_attr_put_u16_check(h, size, WGALLOWEDIP_A_FAMILY, ip->family) ||
	    !mnl_attr_put_check(h, size, WGALLOWEDIP_A_IPADDR, ip_len(ip), ip->byte) ||
	    !mnl_attr_put_u8_check(
		h, size, WGALLOWEDIP_A_CIDR_MASK, (uint8_t)(ip_len(ip) * 8)))
		return false;
	mnl_attr_nest_end(h, item);
	mnl_attr_nest_end(h, list);
	return true;
}

static bool
put_endpoint(struct nlmsghdr *h, size_t size, const struct ip_endpoint *at)
{
	struct sockaddr_storage ss;
	socklen_t len = ip_to_sockaddr(at, &ss);

	return mnl_attr_put_check(h, size, WGPEER_A_ENDPOINT, len, &ss);
}

static bool
put_peer(struct nlmsghdr *h, size_t size, const struct wg_peer_change *p)
{
	struct nlattr *item = mnl_attr_nest_start_check(h, size, 0);
	uint32_t flags = WGPEER_F_UPDATE_ONLY;

	if (p->remove)
		flags = WGPEER_F_REMOVE_ME;
	else if (p->set_allowed)
		flags = WGPEER_F_REPLACE_ALLOWEDIPS;
	if (item == NULL ||
	    !mnl_attr_put_check(h, size, WGPEER_A_PUBLIC_KEY, sizeof(p->key), p->key) ||
	    !mnl_attr_put_u32_check(h, size, WGPEER_A_FLAGS, flags) ||
	    (p->set_at && !put_endpoint(h, size, &p->at)) ||
	    (p->keepalive_s != WG_KEEPALIVE_STAYS &&
		!mnl_attr_put_u16_check(h, size, WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL,
		    (uint16_t)p->keepalive_s)) ||
	    (p->set_allowed && !put_allowed(h, size, &p->allowed)))
		return false;
	mnl_attr_nest_end(h, item);
	return true;
}

struct nlmsghdr *
wg_genl_encode(void *buf, size_t size, uint16_t family, const char *name,
    const struct wg_change *c, size_t *next)
{
	struct nlmsghdr *h =
	    put_head(buf, family, NLM_F_ACK, WG_CMD_SET_DEVICE, WG_GENL_VERSION);
	struct nlattr *list;

	mnl_attr_put_strz(h, WGDEVICE_A_IFNAME, name);
	if (*next == 0 && c->set_key)
		mnl_attr_put(h, WGDEVICE_A_PRIVATE_KEY, sizeof(c->key), c->key);
	if (*next == 0 && c->set_port)
		mnl_attr_put_u16(h, WGDEVICE_A_LISTEN_PORT, c->port);
	if (*next == 0 && c->set_mark)
		mnl_attr_put_u32(h, WGDEVICE_A_FWMARK, c->mark);
	list = mnl_attr_nest_start(h, WGDEVICE_A_PEERS);
	while (*next < c->n_peers) {
		uint32_t before = h->nlmsg_len;

		if (!put_peer(h, size, &c->peer[*next])) {
			h->nlmsg_len = before; /* it goes into the next message */
			break;
		}
		(*next)++;
	}
	mnl_attr_nest_end(h, list);
	return h;
}

int
wg_genl_change(const char *name, const struct wg_change *c)
{
	uint8_t req[MESSAGE_MAX] __attribute__((aligned(4)));
	struct genl g;
	size_t next = 0;
	int err = genl_open(&g);

	if (err != 0)
		return err;
	do {
		struct nlmsghdr *h =
		    wg_genl_encode(req, sizeof(req), g.family, name, c, &next);

		err = talk(&g, h, NULL, NULL);
	} while (err == 0 && next < c->n_peers);
	genl_close(&g);
	explicit_bzero(req, sizeof(req));
	return err;
}
