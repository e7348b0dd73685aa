/* SPDX-License-Identifier: Apache-2.0 */
/* Next hops, groups, routes and rules, in a network namespace of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/fib.h"
#include "os/links.h"
#include "os/netlink_talk.h"

enum { TABLE = 110, FIRST = 0x6e000001 };

struct here {
	struct netlink *nl;
	unsigned index; /* of an interface with 10.9.0.1 and fd00:9::1 */
};

static struct ip
address(const char *text)
{
	struct ip ip;

	assert_int_equal(ip_parse(&ip, text), 0);
	return ip;
}

/* A pair of interfaces, both up. */
static void
make_links(struct netlink *nl)
{
	static const char *const name[] = {"here", "there"};
	uint8_t buf[512] __attribute__((aligned(4)));
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct nlattr *info, *data, *peer;

	h->nlmsg_type = RTM_NEWLINK;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
	(void)mnl_nlmsg_put_extra_header(h, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(h, IFLA_IFNAME, name[0]);
	info = mnl_attr_nest_start(h, IFLA_LINKINFO);
	mnl_attr_put_strz(h, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(h, IFLA_INFO_DATA);
	peer = mnl_attr_nest_start(h, VETH_INFO_PEER);
	(void)mnl_nlmsg_put_extra_header(h, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(h, IFLA_IFNAME, name[1]);
	mnl_attr_nest_end(h, peer);
	mnl_attr_nest_end(h, data);
	mnl_attr_nest_end(h, info);
	assert_int_equal(netlink_talk(nl, h, NULL, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(name); i++) {
		struct ifinfomsg *m;

		h = mnl_nlmsg_put_header(buf);
		h->nlmsg_type = RTM_NEWLINK;
		h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
		m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
		m->ifi_flags = m->ifi_change = IFF_UP;
		mnl_attr_put_strz(h, IFLA_IFNAME, name[i]);
		assert_int_equal(netlink_talk(nl, h, NULL, NULL), 0);
	}
}

static void
put_address(struct netlink *nl, unsigned index, const char *text, uint8_t bits)
{
	uint8_t buf[256] __attribute__((aligned(4)));
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct ip ip = address(text);
	struct ifaddrmsg *m;

	h->nlmsg_type = RTM_NEWADDR;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE;
	m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ifa_family = ip.family;
	m->ifa_prefixlen = bits;
	m->ifa_index = index;
	m->ifa_flags = IFA_F_NODAD;
	mnl_attr_put(h, IFA_LOCAL, ip_len(&ip), ip.byte);
	mnl_attr_put(h, IFA_ADDRESS, ip_len(&ip), ip.byte);
	assert_int_equal(netlink_talk(nl, h, NULL, NULL), 0);
}

/* ---- what is there ------------------------------------------------------------- */

struct list {
	struct fib_nexthop nexthop[8];
	size_t n_nexthops;
	struct fib_route route[8];
	size_t n_routes;
};

static void
on_nexthop(void *arg, const struct fib_nexthop *nh)
{
	struct list *l = arg;

	assert_true(l->n_nexthops < ARRAY_LEN(l->nexthop));
	l->nexthop[l->n_nexthops++] = *nh;
}

static void
on_route(void *arg, const struct fib_route *r)
{
	struct list *l = arg;

	assert_true(l->n_routes < ARRAY_LEN(l->route));
	l->route[l->n_routes++] = *r;
}

static struct list
look(struct netlink *nl)
{
	struct list l = {.n_nexthops = 0};

	assert_int_equal(fib_nexthops(nl, on_nexthop, &l), 0);
	assert_int_equal(fib_routes(nl, AF_INET, on_route, &l), 0);
	assert_int_equal(fib_routes(nl, AF_INET6, on_route, &l), 0);
	return l;
}

static const struct fib_nexthop *
find(const struct list *l, uint32_t id)
{
	for (size_t i = 0; i < l->n_nexthops; i++) {
		if (l->nexthop[i].id == id)
			return &l->nexthop[i];
	}
	fail_msg("there is no next hop %u", id);
	abort(); /* which fail_msg() does not tell the compiler */
}

/* ---- tests --------------------------------------------------------------------- */

/* Hops, a group of them, and a route, for both families and both kinds of groups. */
static void
test_route_over_group(void **state)
{
	static const char *const text[][3] = {{"10.9.0.2", "10.9.0.3", "192.0.2.0"},
	    {"fd00:9::2", "fd00:9::3", "2001:db8::"}};
	struct here *here = *state;
	const uint32_t member[] = {FIRST, FIRST + 1};

	for (unsigned i = 0; i < 4; i++) {
		const char *const *t = text[i / 2];
		enum fib_kind kind = i % 2 == 0 ? FIB_RESILIENT : FIB_PLAIN;
		struct fib_route r = {.table = TABLE, .metric = 20, .group = FIRST + 2};
		struct list l;

		r.to.ip = address(t[2]);
		r.to.bits = r.to.ip.family == AF_INET ? 24 : 32;
		for (unsigned k = 0; k < 2; k++) {
			struct ip ip = address(t[k]);

			assert_int_equal(
			    fib_hop_set(here->nl, FIRST + k, &ip, here->index), 0);
		}
		assert_int_equal(
		    fib_group_set(here->nl, FIRST + 2, member, 2, kind), 0);
		assert_int_equal(fib_route_set(here->nl, &r, true), 0);
		assert_int_equal(fib_route_set(here->nl, &r, true), -EEXIST);
		assert_int_equal(fib_route_set(here->nl, &r, false), 0);
		l = look(here->nl);
		assert_int_equal(l.n_nexthops, 3);
		assert_int_equal(l.n_routes, 1);
		assert_int_equal(l.route[0].table, TABLE);
		assert_int_equal(l.route[0].metric, 20);
		assert_int_equal(l.route[0].group, FIRST + 2);
		assert_int_equal(l.route[0].to.bits, r.to.bits);
		assert_true(ip_equal(&l.route[0].to.ip, &r.to.ip));
		assert_int_equal(find(&l, FIRST + 2)->n_members, 2);
		assert_int_equal(find(&l, FIRST)->index, here->index);
		/* One leaves. */
		assert_int_equal(
		    fib_group_set(here->nl, FIRST + 2, member + 1, 1, kind), 0);
		l = look(here->nl);
		assert_int_equal(find(&l, FIRST + 2)->n_members, 1);
		assert_int_equal(find(&l, FIRST + 2)->member[0], FIRST + 1);
		assert_int_equal(l.n_routes, 1);
		for (unsigned k = 0; k < 2; k++) /* the second time there is none */
			assert_int_equal(fib_route_del(here->nl, &r), 0);
		for (unsigned k = 0; k < 2 * 3; k++)
			assert_int_equal(
			    fib_nexthop_del(here->nl, FIRST + 2 - k % 3), 0);
		l = look(here->nl);
		assert_int_equal(l.n_nexthops + l.n_routes, 0);
	}
}

static void
test_refused(void **state)
{
	struct here *here = *state;
	const uint32_t nobody[] = {FIRST + 7};
	struct ip far = address("172.16.0.1");

	assert_true(fib_hop_set(here->nl, FIRST, &far, here->index) < 0);
	assert_true(fib_hop_set(here->nl, FIRST, &far, 9999) < 0);
	assert_true(fib_group_set(here->nl, FIRST, nobody, 1, FIB_PLAIN) < 0);
	assert_int_equal(fib_group_set(here->nl, FIRST, nobody, 0, FIB_PLAIN), -EINVAL);
	assert_int_equal(look(here->nl).n_nexthops, 0);
}

static int
count_rule(const struct nlmsghdr *h, void *arg)
{
	unsigned *n = arg;

	if (h->nlmsg_type == RTM_NEWRULE)
		(*n)++;
	return MNL_CB_OK;
}

static unsigned
rules(struct netlink *nl, uint8_t family)
{
	uint8_t buf[256] __attribute__((aligned(4)));
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct rtmsg *m;
	unsigned n = 0;

	h->nlmsg_type = RTM_GETRULE;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->rtm_family = family;
	assert_int_equal(netlink_talk(nl, h, count_rule, &n), 0);
	return n;
}

static void
test_rules(void **state)
{
	static const uint8_t family[] = {AF_INET, AF_INET6};
	struct here *here = *state;

	for (size_t i = 0; i < ARRAY_LEN(family); i++) {
		unsigned before = rules(here->nl, family[i]);

		for (unsigned k = 0; k < 2; k++) { /* said twice, there once */
			assert_int_equal(
			    fib_rule_set(here->nl, family[i], 32000, FIB_MAIN, true),
			    0);
			assert_int_equal(
			    fib_rule_set(here->nl, family[i], 32001, TABLE, false), 0);
			assert_int_equal(rules(here->nl, family[i]), before + 2);
		}
		for (unsigned k = 0; k < 2; k++) {
			assert_int_equal(
			    fib_rule_del(here->nl, family[i], 32001, TABLE), 0);
			assert_int_equal(
			    fib_rule_del(here->nl, family[i], 32000, FIB_MAIN), 0);
		}
		assert_int_equal(rules(here->nl, family[i]), before);
	}
}

static void
test_links(void **state)
{
	struct here *here = *state;
	struct ip ours = address("10.9.0.1"), other = address("10.9.0.2");
	struct links k;

	assert_int_equal(links_look(here->nl, &k), 0);
	assert_int_equal(links_find(&k, NULL, &ours)->index, here->index);
	assert_int_equal(links_find(&k, "here", &ours)->index, here->index);
	assert_null(links_find(&k, "there", &ours));
	assert_null(links_find(&k, NULL, &other));
	links_free(&k);
}

static unsigned
index_of(struct netlink *nl, const char *name)
{
	struct links k;
	unsigned index = 0;

	assert_int_equal(links_look(nl, &k), 0);
	for (size_t i = 0; i < k.n_links; i++) {
		if (strcmp(k.link[i].name, name) == 0)
			index = k.link[i].index;
	}
	links_free(&k);
	return index;
}

int
main(void)
{
	struct here here = {.nl = NULL};
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_prestate(test_route_over_group, &here),
	    cmocka_unit_test_prestate(test_refused, &here),
	    cmocka_unit_test_prestate(test_rules, &here),
	    cmocka_unit_test_prestate(test_links, &here),
	};
	int failed;

	if (unshare(CLONE_NEWNET) != 0) {
		(void)printf("skipped: network namespaces need root\n");
		return 77;
	}
	here.nl = netlink_open();
	if (here.nl == NULL)
		return 1;
	make_links(here.nl);
	here.index = index_of(here.nl, "here");
	put_address(here.nl, here.index, "10.9.0.1", 24);
	put_address(here.nl, here.index, "fd00:9::1", 64);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	netlink_close(here.nl);
	return failed;
}
