/* SPDX-License-Identifier: Apache-2.0 */
/* What is done to the machine, in a network namespace of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "os/neigh.h"
#include "os/netlink.h"
#include "os/steer.h"

static struct ip
address(const char *text)
{
	struct ip ip;

	assert_int_equal(ip_parse(&ip, text), 0);
	return ip;
}

/* As keepalived sent it; an IPv6 one as its checksum proves. */
static void
test_frames(void **state)
{
	static const uint8_t mac[6] = {0xda, 0xd9, 0x3a, 0x38, 0x16, 0x91};
	static const uint8_t garp[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xda, 0xd9,
	    0x3a, 0x38, 0x16, 0x91, 0x08, 0x06, 0x00, 0x01, 0x08, 0x00, 0x06, 0x04,
	    0x00, 0x01, 0xda, 0xd9, 0x3a, 0x38, 0x16, 0x91, 0x0a, 0x09, 0x00, 0x64,
	    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0a, 0x09, 0x00, 0x64};
	struct ip v4 = address("10.9.0.100"), v6 = address("fd00:9::100");
	uint8_t buf[NEIGH_FRAME_MAX];
	uint32_t sum = 58 + 32;

	(void)state;
	assert_int_equal(neigh_frame(&v4, mac, buf), sizeof(garp));
	assert_memory_equal(buf, garp, sizeof(garp));
	assert_int_equal(neigh_frame(&v6, mac, buf), 86);
	assert_int_equal(buf[54], 136);
	assert_int_equal(buf[58], 0x20);
	assert_memory_equal(buf + 62, v6.byte, 16);
	assert_memory_equal(buf + 80, mac, 6);
	for (size_t i = 22; i < 86; i += 2)
		sum += (uint32_t)buf[i] << 8 | buf[i + 1];
	assert_int_equal((sum & 0xffff) + (sum >> 16), 0xffff);
}

struct found {
	struct ip ip;
	unsigned index, n;
	bool ours;
};

static void
on_addr(void *arg, const struct netlink_addr *a)
{
	struct found *f = arg;

	if (!ip_equal(&a->ip, &f->ip))
		return;
	f->n++;
	f->index = a->index;
	f->ours = a->ours;
}

static struct found
find(struct netlink *nl, const struct ip *ip)
{
	struct found f = {.ip = *ip};

	assert_int_equal(netlink_addrs(nl, on_addr, &f), 0);
	return f;
}

static void
on_link(void *arg, const struct netlink_link *l)
{
	struct netlink_link *found = arg;

	if (strcmp(l->name, "lo") == 0)
		*found = *l;
}

static void
test_addresses(void **state)
{
	static const char *const texts[] = {"10.9.0.100", "fd00:9::100"};
	int events = netlink_events_open();
	struct netlink *nl = netlink_open();
	struct netlink_link lo = {0};
	struct found f;

	(void)state;
	assert_non_null(nl);
	assert_true(events >= 0);
	assert_int_equal(netlink_links(nl, on_link, &lo), 0);
	assert_int_equal(lo.index, if_nametoindex("lo"));
	assert_true(lo.up);
	assert_false(lo.has_mac);
	(void)netlink_drain(events);
	assert_false(netlink_drain(events));
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct ip ip = address(texts[i]);

		assert_int_equal(netlink_addr_set(nl, lo.index, &ip, 5), 0);
		assert_int_equal(
		    netlink_addr_set(nl, lo.index, &ip, 5), 0); /* renewed */
		f = find(nl, &ip);
		assert_int_equal(f.n, 1);
		assert_int_equal(f.index, lo.index);
		assert_true(f.ours);
		assert_true(netlink_drain(events));
		assert_int_equal(netlink_addr_del(nl, lo.index, &ip), 0);
		assert_int_equal(
		    netlink_addr_del(nl, lo.index, &ip), 0); /* was not there */
		assert_int_equal(find(nl, &ip).n, 0);
		assert_true(netlink_addr_set(nl, 9999, &ip, 5) < 0);
	}
	/* It goes by itself when nobody renews it. */
	f.ip = address(texts[0]);
	assert_int_equal(netlink_addr_set(nl, lo.index, &f.ip, 1), 0);
	for (unsigned i = 0; i < 3000 && find(nl, &f.ip).n > 0; i++)
		(void)usleep(10000);
	assert_int_equal(find(nl, &f.ip).n, 0);
	netlink_close(nl);
	(void)close(events);
}

static void
test_connections(void **state)
{
	struct sockaddr_in sa = {.sin_family = AF_INET};
	struct ip ip = address("127.0.0.1"), other = address("127.0.0.2");
	int server = socket(AF_INET, SOCK_STREAM, 0);
	int client = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(sa);

	(void)state;
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(server, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(server, 1), 0);
	assert_int_equal(getsockname(server, (struct sockaddr *)&sa, &len), 0);
	assert_int_equal(netlink_tcp_open(&ip), 0); /* a listener is no connection */
	assert_int_equal(connect(client, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(netlink_tcp_open(&ip), 1);
	assert_int_equal(netlink_tcp_open(&other), 0);
	(void)close(client);
	(void)close(server);
}

/* The kernel's verifier accepts both programs, and nothing stays behind. */
static void
test_steer(void **state)
{
	unsigned lo = if_nametoindex("lo");
	struct ip v4 = address("10.9.0.100"), peer4 = address("10.9.0.2");
	struct ip v6 = address("fd00:9::100"), peer6 = address("fd00:9::2");
	int err;

	(void)state;
	assert_int_equal(steer_set(lo, 1, &v4, &peer6), -EAFNOSUPPORT);
	assert_int_equal(steer_del(lo, 1), 0); /* no hook yet */
	err = steer_set(lo, 1, &v4, &peer4);
	if (err == -EPERM || err == -ENOSYS)
		skip();
	assert_int_equal(err, 0);
	assert_int_equal(steer_set(lo, 1, &v4, &peer4), 0); /* replaced */
	assert_int_equal(steer_set(lo, 2, &v6, &peer6), 0);
	assert_int_equal(steer_del(lo, 1), 0);
	assert_int_equal(steer_del(lo, 1), 0);
	assert_int_equal(steer_clear(lo), 0);
	assert_int_equal(steer_clear(lo), 0);
}

static void
raise_loopback(void)
{
	struct ifreq r = {.ifr_name = "lo"};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	assert_true(fd >= 0);
	r.ifr_flags = IFF_UP | IFF_RUNNING;
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &r), 0);
	(void)close(fd);
}

int
main(void)
{
	const struct CMUnitTest pure[] = {cmocka_unit_test(test_frames)};
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_addresses),
	    cmocka_unit_test(test_connections),
	    cmocka_unit_test(test_steer),
	};
	int failed = cmocka_run_group_tests(pure, NULL, NULL);

	if (unshare(CLONE_NEWNET) != 0) {
		print_message("no namespace of our own: the rest is skipped\n");
		return failed;
	}
	raise_loopback();
	return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
