/* SPDX-License-Identifier: Apache-2.0 */
#include "os/fib.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "os/netlink_talk.h"

/*
 * A resilient group spreads flows over its buckets. One that returns gets buckets that
 * were idle for so long, and after UNBALANCED_S its share of the busy ones, too: it
 * would wait forever in a network that never sleeps. (Both in the kernel's clock_t.)
 */
enum { BUCKETS = 1024, IDLE_S = 10, UNBALANCED_S = 300, CLOCK_T_HZ = 100 };

enum { REQ_SIZE = 1024 };

union req {
	uint8_t byte[REQ_SIZE];
	struct nlmsghdr align;
};

/* Attributes of a message by type; longer types are skipped. */
struct attrs {
	const struct nlattr *at[RTA_MAX + 1];
};

static int
keep_attr(const struct nlattr *a, void *arg)
{
	struct attrs *t = arg;

	if (mnl_attr_get_type(a) <= RTA_MAX)
		t->at[mnl_attr_get_type(a)] = a;
	return MNL_CB_OK;
}

static uint32_t
attr_u32(const struct attrs *t, unsigned type)
{
	const struct nlattr *a = t->at[type];

	return a != NULL && mnl_attr_get_payload_len(a) >= 4 ? mnl_attr_get_u32(a) : 0;
}

/* The address of `family` in attribute `type`; of family 0 if there is none. */
static struct ip
attr_ip(const struct attrs *t, unsigned type, uint8_t family)
{
	const struct nlattr *a = t->at[type];
	struct ip ip = {.family = family};

	if ((family != AF_INET && family != AF_INET6) || a == NULL ||
	    mnl_attr_get_payload_len(a) != ip_len(&ip))
		return (struct ip){0};
	memcpy(ip.byte, mnl_attr_get_payload(a), ip_len(&ip));
	return ip;
}

/* ---- next hops ----------------------------------------------------------------- */

static struct nlmsghdr *
put_nexthop(union req *req, uint16_t type, uint16_t flags, uint8_t family, uint32_t id)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(req->byte);
	struct nhmsg *m;

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->nh_family = family;
	if (type == RTM_NEWNEXTHOP)
		m->nh_protocol = FIB_PROTO;
	mnl_attr_put_u32(h, NHA_ID, id);
	return h;
}

int
fib_hop_set(struct netlink *nl, uint32_t id, const struct ip *ip, unsigned index)
{
	union req req;
	struct nlmsghdr *h = put_nexthop(
	    &req, RTM_NEWNEXTHOP, NLM_F_CREATE | NLM_F_REPLACE, ip->family, id);

	mnl_attr_put_u32(h, NHA_OIF, index);
	mnl_attr_put(h, NHA_GATEWAY, ip_len(ip), ip->byte);
	return netlink_talk(nl, h, NULL, NULL);
}

int
fib_group_set(struct netlink *nl, uint32_t id, const uint32_t *member, size_t n,
    enum fib_kind kind)
{
	struct nexthop_grp group[FIB_GROUP_MAX] = {{0}};
	union req req;
	struct nlmsghdr *h = put_nexthop(
	    &req, RTM_NEWNEXTHOP, NLM_F_CREATE | NLM_F_REPLACE, AF_UNSPEC, id);
	struct nlattr *nest;

	if (n == 0 || n > FIB_GROUP_MAX)
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		group[i].id = member[i];
	mnl_attr_put(h, NHA_GROUP, n * sizeof(group[0]), group);
	if (kind == FIB_RESILIENT) {
		mnl_attr_put_u16(h, NHA_GROUP_TYPE, NEXTHOP_GRP_TYPE_RES);
		nest = mnl_attr_nest_start(h, NHA_RES_GROUP);
		mnl_attr_put_u16(h, NHA_RES_GROUP_BUCKETS, BUCKETS);
		mnl_attr_put_u32(h, NHA_RES_GROUP_IDLE_TIMER, IDLE_S * CLOCK_T_HZ);
		mnl_attr_put_u32(
		    h, NHA_RES_GROUP_UNBALANCED_TIMER, UNBALANCED_S * CLOCK_T_HZ);
		mnl_attr_nest_end(h, nest);
	}
	return netlink_talk(nl, h, NULL, NULL);
}

int
fib_nexthop_del(struct netlink *nl, uint32_t id)
{
	union req req;
	int err = netlink_talk(
	    nl, put_nexthop(&req, RTM_DELNEXTHOP, 0, AF_UNSPEC, id), NULL, NULL);

	return err == -ENOENT ? 0 : err;
}

struct nexthop_walk {
	void (*cb)(void *arg, const struct fib_nexthop *);
	void *arg;
};

/* False: a group larger than ours are. */
static bool
read_group(const struct nlattr *a, struct fib_nexthop *nh)
{
	size_t n = mnl_attr_get_payload_len(a) / sizeof(struct nexthop_grp);
	const uint8_t *p = mnl_attr_get_payload(a);
	struct nexthop_grp member;

	if (n > FIB_GROUP_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		memcpy(&member, p + i * sizeof(member), sizeof(member));
		nh->member[nh->n_members++] = member.id;
	}
	return true;
}

static int
on_nexthop(const struct nlmsghdr *h, void *arg)
{
	const struct nexthop_walk *w = arg;
	struct fib_nexthop nh = {0};
	struct attrs t = {{NULL}};
	const struct nhmsg *m;

	if (h->nlmsg_type != RTM_NEWNEXTHOP ||
	    mnl_nlmsg_get_payload_len(h) < sizeof(*m))
		return MNL_CB_OK;
	m = mnl_nlmsg_get_payload(h);
	if (m->nh_protocol != FIB_PROTO ||
	    mnl_attr_parse(h, sizeof(*m), keep_attr, &t) < 0)
		return MNL_CB_OK;
	nh.id = attr_u32(&t, NHA_ID);
	nh.index = attr_u32(&t, NHA_OIF);
	nh.ip = attr_ip(&t, NHA_GATEWAY, m->nh_family);
	if (t.at[NHA_GROUP] == NULL || read_group(t.at[NHA_GROUP], &nh))
		w->cb(w->arg, &nh);
	return MNL_CB_OK;
}

int
fib_nexthops(
    struct netlink *nl, void (*cb)(void *arg, const struct fib_nexthop *), void *arg)
{
	struct nexthop_walk w = {cb, arg};
	union req req;
	struct nlmsghdr *h = mnl_nlmsg_put_header(req.byte);

	h->nlmsg_type = RTM_GETNEXTHOP;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	(void)mnl_nlmsg_put_extra_header(h, sizeof(struct nhmsg));
	return netlink_talk(nl, h, on_nexthop, &w);
}

/* ---- routes -------------------------------------------------------------------- */

static struct nlmsghdr *
put_route(union req *req, uint16_t type, uint16_t flags, const struct fib_route *r)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(req->byte);
	struct rtmsg *m;

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->rtm_family = r->to.ip.family;
	m->rtm_dst_len = r->to.bits;
	m->rtm_protocol = FIB_PROTO;
	m->rtm_type = RTN_UNICAST;
	m->rtm_scope = type == RTM_NEWROUTE ? RT_SCOPE_UNIVERSE : RT_SCOPE_NOWHERE;
	m->rtm_table = r->table < 256 ? (uint8_t)r->table : RT_TABLE_UNSPEC;
	mnl_attr_put_u32(h, RTA_TABLE, r->table);
	mnl_attr_put_u32(h, RTA_PRIORITY, r->metric);
	if (r->to.bits > 0)
		mnl_attr_put(h, RTA_DST, ip_len(&r->to.ip), r->to.ip.byte);
	if (type == RTM_NEWROUTE)
		mnl_attr_put_u32(h, RTA_NH_ID, r->group);
	return h;
}

int
fib_route_set(struct netlink *nl, const struct fib_route *r, bool fresh)
{
	const uint16_t flags = NLM_F_CREATE | (fresh ? NLM_F_EXCL : NLM_F_REPLACE);
	union req req;

	return netlink_talk(nl, put_route(&req, RTM_NEWROUTE, flags, r), NULL, NULL);
}

int
fib_route_del(struct netlink *nl, const struct fib_route *r)
{
	union req req;
	int err = netlink_talk(nl, put_route(&req, RTM_DELROUTE, 0, r), NULL, NULL);

	return err == -ESRCH || err == -ENOENT ? 0 : err;
}

struct route_walk {
	void (*cb)(void *arg, const struct fib_route *);
	void *arg;
};

static int
on_route(const struct nlmsghdr *h, void *arg)
{
	const struct route_walk *w = arg;
	struct fib_route r = {0};
	struct attrs t = {{NULL}};
	const struct rtmsg *m;

	if (h->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(h) < sizeof(*m))
		return MNL_CB_OK;
	m = mnl_nlmsg_get_payload(h);
	if (m->rtm_protocol != FIB_PROTO || (m->rtm_flags & RTM_F_CLONED) != 0 ||
	    mnl_attr_parse(h, sizeof(*m), keep_attr, &t) < 0)
		return MNL_CB_OK;
	r.to.ip = attr_ip(&t, RTA_DST, m->rtm_family);
	r.to.ip.family = m->rtm_family;
	r.to.bits = m->rtm_dst_len;
	r.table = t.at[RTA_TABLE] != NULL ? attr_u32(&t, RTA_TABLE) : m->rtm_table;
	r.metric = attr_u32(&t, RTA_PRIORITY);
	r.group = attr_u32(&t, RTA_NH_ID);
	w->cb(w->arg, &r);
	return MNL_CB_OK;
}

int
fib_routes(struct netlink *nl, uint8_t family,
    void (*cb)(void *arg, const struct fib_route *), void *arg)
{
	struct route_walk w = {cb, arg};
	union req req;
	struct nlmsghdr *h = mnl_nlmsg_put_header(req.byte);
	struct rtmsg *m;

	h->nlmsg_type = RTM_GETROUTE;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->rtm_family = family;
	return netlink_talk(nl, h, on_route, &w);
}

/* ---- rules --------------------------------------------------------------------- */

static struct nlmsghdr *
put_rule(
    union req *req, uint16_t type, uint8_t family, uint32_t priority, uint32_t table)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(req->byte);
	struct fib_rule_hdr *m;

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->family = family;
	m->action = FR_ACT_TO_TBL;
	m->table = table < 256 ? (uint8_t)table : RT_TABLE_UNSPEC;
	mnl_attr_put_u32(h, FRA_TABLE, table);
	mnl_attr_put_u32(h, FRA_PRIORITY, priority);
	mnl_attr_put_u8(h, FRA_PROTOCOL, FIB_PROTO);
	return h;
}

int
fib_rule_set(struct netlink *nl, uint8_t family, uint32_t priority, uint32_t table,
    bool specific)
{
	union req req;
	struct nlmsghdr *h = put_rule(&req, RTM_NEWRULE, family, priority, table);
	int err;

	h->nlmsg_flags |= NLM_F_CREATE | NLM_F_EXCL;
	if (specific)
		mnl_attr_put_u32(h, FRA_SUPPRESS_PREFIXLEN, 0);
	err = netlink_talk(nl, h, NULL, NULL);
	return err == -EEXIST ? 0 : err;
}

int
fib_rule_del(struct netlink *nl, uint8_t family, uint32_t priority, uint32_t table)
{
	union req req;
	int err = netlink_talk(
	    nl, put_rule(&req, RTM_DELRULE, family, priority, table), NULL, NULL);

	return err == -ENOENT ? 0 : err;
}
