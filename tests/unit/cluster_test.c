/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_test.c - what a cluster file means: defaults, resolution, lookups, changes.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/diag.h"
#include "base/mono.h"
#include "base/sbuf.h"
#include "config/cluster.h"
#include "config/config_diff.h"
#include "config/names.h"
#include "config/units.h"
#include "config/writer.h"
#include "parse.h"

#define OUT_MAX ((size_t)1 << 20)

#define HOSTS                    \
	"cluster: shop\n"        \
	"network: 10.0.0.0/24\n" \
	"hosts:\n"               \
	"  lb1: 10.0.0.11\n"     \
	"  lb2: 10.0.0.12\n"     \
	"  web1: 10.0.0.21\n"    \
	"  web2: 10.0.0.22\n"

#define WWW               \
	"floating_ips:\n" \
	"  www: {address: 10.0.0.10, hosts: [lb1, lb2]}\n"

#define SITE                   \
	"services:\n"          \
	"  site:\n"            \
	"    listen: www:80\n" \
	"    servers: [web1:8080, web2:8080]\n"

#define PAIR HOSTS WWW SITE

static void
assert_ip(const struct ip *ip, const char *expected)
{
	char text[IP_STR_LEN];

	assert_string_equal(ip_format(ip, text), expected);
}

static void
test_defaults(void **state)
{
	const struct cluster *c = parse(PAIR);
	const struct floating_ip *f = cluster_floating_ip(c, "www");
	const struct service *s = cluster_service(c, "site");

	(void)state;
	assert_string_equal(c->name, "shop");
	assert_int_equal(c->workers, 0);
	assert_string_equal(c->network[0].name, "main");
	assert_false(f->failback);
	assert_int_equal(f->heartbeat_ns, 100 * MS_NS);
	assert_int_equal(f->vrid, 10);
	assert_int_equal(f->version, 3);
	assert_int_equal(f->transport, VRRP_MULTICAST);
	assert_int_equal(f->priority[0], 254);
	assert_int_equal(f->priority[1], 253);
	assert_int_equal(f->check.type, CHECK_NONE);
	assert_null(f->group);
	assert_int_equal(s->mode, MODE_HTTP);
	assert_int_equal(s->balance, BALANCE_ROUND_ROBIN);
	assert_int_equal(s->check.type, CHECK_TCP);
	assert_int_equal(s->check.every_ns, SEC_NS);
	assert_int_equal(s->check.timeout_ns, SEC_NS);
	assert_int_equal(s->check.fall, 3);
	assert_int_equal(s->check.rise, 2);
	assert_int_equal(s->queue_size, 1000);
	assert_int_equal(s->queue_timeout_ns, 5 * SEC_NS);
	assert_int_equal(s->connect_timeout_ns, SEC_NS);
	assert_int_equal(s->head_timeout_ns, 10 * SEC_NS);
	assert_int_equal(s->idle_timeout_ns, 60 * SEC_NS);
	assert_int_equal(s->server_timeout_ns, 60 * SEC_NS);
	assert_int_equal(s->drain_timeout_ns, 30 * SEC_NS);
	assert_int_equal(s->retries, 2);
	assert_int_equal(s->pool, 64);
	assert_int_equal(s->send_proxy, 0);
	assert_int_equal(s->log, LOG_MODE_OFF);
	assert_int_equal(s->server[0].weight, 1);
	assert_false(s->server[0].backup);
	cluster_unref(c);
}

static void
test_pair_is_resolved(void **state)
{
	const struct cluster *c = parse(PAIR);
	const struct service *s = cluster_service(c, "site");
	const struct host *lb1 = cluster_host(c, "lb1"),
			  *web1 = cluster_host(c, "web1");

	(void)state;
	assert_int_equal(c->n_hosts, 4);
	assert_int_equal(lb1->index, 0);
	assert_int_equal(web1->index, 2);
	assert_int_equal(web1->place.line, 6);
	assert_int_equal(web1->place.column, 3);
	assert_int_equal(s->n_listen, 1);
	assert_ip(&s->listen[0].at.ip, "10.0.0.10");
	assert_int_equal(s->listen[0].at.port, 80);
	assert_ptr_equal(s->listen[0].floating_ip, cluster_floating_ip(c, "www"));
	assert_null(s->listen[0].host);
	assert_int_equal(s->n_servers, 2);
	assert_string_equal(s->server[0].name, "web1:8080");
	assert_ptr_equal(s->server[0].host, web1);
	assert_ip(&s->server[0].at.ip, "10.0.0.21");
	assert_int_equal(s->server[0].at.port, 8080);
	assert_true(service_on_host(s, lb1));
	assert_false(service_on_host(s, web1));
	assert_null(cluster_host(c, "web9"));
	assert_null(cluster_service(c, "www"));
	cluster_unref(c);
}

/* A server's address is on a network that all load balancers share with it. */
static void
test_server_address(void **state)
{
	static const struct {
		const char *web, *expected;
	} row[] = {
	    {"{back: 10.1.0.21}", "10.1.0.21"},
	    {"{front: 10.0.0.21, back: 10.1.0.21}", "10.0.0.21"},
	    {"{back: 10.1.0.21, front: 10.0.0.21}", "10.1.0.21"},
	    {"{sync: 10.2.0.21, back: 10.1.0.21}", "10.1.0.21"},
	    {"{only1: 10.3.0.21, back: 10.1.0.21}", "10.1.0.21"},
	    {"{sync: 10.2.0.21}", "10.2.0.21"},
	};
	char text[2048];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		const struct cluster *c;

		(void)snprintf(text, sizeof(text),
		    "cluster: shop\n"
		    "networks:\n"
		    "  sync: {subnet: 10.2.0.0/24, dedicated: true}\n"
		    "  front: 10.0.0.0/24\n"
		    "  back: 10.1.0.0/24\n"
		    "  only1: 10.3.0.0/24\n"
		    "hosts:\n"
		    "  lb1: {sync: 10.2.0.1, front: 10.0.0.1, back: 10.1.0.1, "
		    "only1: 10.3.0.1}\n"
		    "  lb2: {sync: 10.2.0.2, front: 10.0.0.2, back: 10.1.0.2}\n"
		    "  web: %s\n"
		    "floating_ips:\n"
		    "  www: {address: 10.0.0.10, hosts: [lb1, lb2]}\n"
		    "services:\n"
		    "  site: {listen: \"www:80\", servers: \"web:80\"}\n",
		    row[i].web);
		c = parse(text);
		assert_ip(&c->service[0].server[0].at.ip, row[i].expected);
		cluster_unref(c);
	}
}

static void
test_listeners(void **state)
{
	const struct cluster *c =
	    parse(HOSTS "floating_ips:\n"
			"  www: {address: [10.0.0.10, 10.0.0.9], hosts: [lb1, lb2]}\n"
			"services:\n"
			"  site:\n"
			"    listen: [www:80, lb1:81, 10.0.0.12:82, 10.0.0.9:83]\n"
			"    servers: [\"10.9.9.9:80\", \"[2001:db8::1]:80\", www:90, "
			"\"10.0.0.12:84\"]\n");
	const struct service *s = &c->service[0];
	const struct host *lb1 = cluster_host(c, "lb1"), *lb2 = cluster_host(c, "lb2");

	(void)state;
	assert_int_equal(s->n_listen, 5);
	assert_ip(&s->listen[0].at.ip, "10.0.0.10");
	assert_ip(&s->listen[1].at.ip, "10.0.0.9");
	assert_int_equal(s->listen[1].at.port, 80);
	assert_ptr_equal(s->listen[2].host, lb1);
	assert_ptr_equal(s->listen[3].host, lb2);
	assert_int_equal(s->listen[3].at.port, 82);
	assert_ptr_equal(s->listen[4].floating_ip, cluster_floating_ip(c, "www"));
	assert_ip(&s->listen[4].at.ip, "10.0.0.9");
	assert_true(listener_on_host(&s->listen[0], lb2));
	assert_true(listener_on_host(&s->listen[2], lb1));
	assert_false(listener_on_host(&s->listen[2], lb2));
	assert_null(s->server[0].host);
	assert_ip(&s->server[0].at.ip, "10.9.9.9");
	assert_ip(&s->server[1].at.ip, "2001:db8::1");
	assert_ip(&s->server[2].at.ip, "10.0.0.10");
	assert_null(s->server[2].host);
	assert_ptr_equal(s->server[3].host, lb2);
	cluster_unref(c);
}

static void
test_checks(void **state)
{
	static const struct {
		const char *text;
		enum check_type type;
		const char *path;
		unsigned status_min, status_max;
	} row[] = {
	    {"tcp", CHECK_TCP, "/", 200, 399},
	    {"none", CHECK_NONE, "/", 200, 399},
	    {"/health?full=1", CHECK_HTTP, "/health?full=1", 200, 399},
	    {"{every: 10ms}", CHECK_TCP, "/", 200, 399},
	    {"{tcp: true, port: 9}", CHECK_TCP, "/", 200, 399},
	    {"{status: 204}", CHECK_HTTP, "/", 204, 204},
	    {"{path: /x, status: 200-299}", CHECK_HTTP, "/x", 200, 299},
	    {"{https: true}", CHECK_HTTPS, "/", 200, 399},
	    {"{https: false, path: /x}", CHECK_HTTP, "/x", 200, 399},
	    {"{exec: /bin/true}", CHECK_EXEC, "/", 200, 399},
	};
	char text[2048];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		const struct cluster *c;
		const struct check_conf *check;

		(void)snprintf(text, sizeof(text), PAIR "    check: %s\n", row[i].text);
		c = parse(text);
		check = &c->service[0].check;
		assert_int_equal(check->type, row[i].type);
		assert_string_equal(check->path, row[i].path);
		assert_int_equal(check->status_min, row[i].status_min);
		assert_int_equal(check->status_max, row[i].status_max);
		cluster_unref(c);
	}
}

static void
test_exec(void **state)
{
	const struct cluster *c =
	    parse(PAIR "    check: {exec: '/bin/check  -v web'}\n"
		       "  api:\n"
		       "    listen: www:81\n"
		       "    servers: web1:81\n"
		       "    check: {exec: [/bin/check, 'a b']}\n");
	const struct check_conf *one = &c->service[0].check;
	const struct check_conf *two = &c->service[1].check;

	(void)state;
	assert_int_equal(one->n_exec, 3);
	assert_string_equal(one->exec[0], "/bin/check");
	assert_string_equal(one->exec[1], "-v");
	assert_string_equal(one->exec[2], "web");
	assert_null(one->exec[3]);
	assert_int_equal(two->n_exec, 2);
	assert_string_equal(two->exec[1], "a b");
	cluster_unref(c);
}

static void
test_service_keys(void **state)
{
	const struct cluster *c =
	    parse(HOSTS WWW "services:\n"
			    "  site:\n"
			    "    mode: tcp\n"
			    "    listen: www:80\n"
			    "    servers:\n"
			    "      - {at: web1:8080, weight: 0, max_connections: 7}\n"
			    "      - {at: web2:8080, backup: true}\n"
			    "      - lb1:8080\n"
			    "    balance: {hash: source}\n"
			    "    queue: 0\n"
			    "    proxy_protocol: v2\n"
			    "    log: {sample: 100}\n"
			    "  api:\n"
			    "    listen: www:81\n"
			    "    servers: web1:81\n"
			    "    balance: {hash: header X-Shard}\n"
			    "    timeouts: {idle: 7s}\n"
			    "    log: full\n"
			    "workers: 3\n");
	const struct service *s = &c->service[0], *api = &c->service[1];

	(void)state;
	assert_int_equal(c->workers, 3);
	assert_int_equal(s->mode, MODE_TCP);
	assert_int_equal(s->idle_timeout_ns, 3600 * SEC_NS);
	assert_int_equal(s->balance, BALANCE_HASH);
	assert_int_equal(s->balancing.hash_key, HASH_SOURCE);
	assert_int_equal(s->queue_size, 0);
	assert_int_equal(s->queue_timeout_ns, 5 * SEC_NS);
	assert_int_equal(s->send_proxy, 2);
	assert_int_equal(s->log, LOG_MODE_SAMPLED);
	assert_int_equal(s->log_sample, 100);
	assert_int_equal(s->server[0].weight, 0);
	assert_int_equal(s->server[0].max_connections, 7);
	assert_true(s->server[1].backup);
	assert_int_equal(api->balancing.hash_key, HASH_HEADER);
	assert_string_equal(api->balancing.hash_name, "X-Shard");
	assert_int_equal(api->idle_timeout_ns, 7 * SEC_NS);
	assert_int_equal(api->log, LOG_MODE_FULL);
	cluster_unref(c);
}

static void
test_floating_ip_keys(void **state)
{
	const struct cluster *c = parse(HOSTS
	    "floating_ips:\n"
	    "  old:\n"
	    "    address: 10.0.0.10\n"
	    "    hosts: [lb1, lb2]\n"
	    "    vrrp: {id: 51, version: 2, transport: unicast, priority: [200, 100],\n"
	    "           password_file: /etc/nines/vrrp}\n"
	    "    follow: site\n"
	    "  new:\n"
	    "    address: 10.0.0.13\n"
	    "    hosts: [lb2, lb1]\n"
	    "    failback: true\n"
	    "    heartbeat: 10ms\n"
	    "    check: {ping: 10.0.0.1, every: 10ms}\n"
	    "services:\n"
	    "  site: {listen: \"old:80\", servers: \"web1:80\"}\n");
	const struct floating_ip *old = &c->floating_ip[0], *new = &c->floating_ip[1];

	(void)state;
	assert_int_equal(old->vrid, 51);
	assert_int_equal(old->version, 2);
	assert_int_equal(old->transport, VRRP_UNICAST);
	assert_int_equal(old->heartbeat_ns, SEC_NS);
	assert_int_equal(old->priority[1], 100);
	assert_string_equal(old->password_file, "/etc/nines/vrrp");
	assert_int_equal(old->n_follow, 1);
	assert_ptr_equal(old->follow[0], cluster_service(c, "site"));
	assert_true(new->failback);
	assert_int_equal(new->heartbeat_ns, 10 * MS_NS);
	assert_int_equal(new->check.type, CHECK_PING);
	assert_ip(&new->check.ping, "10.0.0.1");
	assert_int_equal(floating_ip_rank(new, cluster_host(c, "lb2")), 0);
	assert_int_equal(floating_ip_rank(new, cluster_host(c, "web1")), -1);
	cluster_unref(c);
}

static void
test_host_by_address(void **state)
{
	const struct cluster *c = parse(PAIR);
	struct ip ip[3];

	(void)state;
	assert_int_equal(ip_parse(&ip[0], "127.0.0.1"), 0);
	assert_int_equal(ip_parse(&ip[1], "10.0.0.12"), 0);
	assert_int_equal(ip_parse(&ip[2], "10.0.0.21"), 0);
	assert_ptr_equal(cluster_host_by_address(c, ip, 2), cluster_host(c, "lb2"));
	assert_null(cluster_host_by_address(c, ip, 3)); /* two hosts */
	assert_null(cluster_host_by_address(c, ip, 1));
	assert_null(cluster_host_by_address(c, ip, 0));
	cluster_unref(c);
}

static void
test_references(void **state)
{
	const struct cluster *c = parse(PAIR);

	(void)state;
	assert_ptr_equal(cluster_ref(c), c);
	cluster_unref(c);
	assert_string_equal(c->name, "shop"); /* the sanitizer would tell */
	cluster_unref(c);
	cluster_unref(NULL);
}

static void
test_durations(void **state)
{
	static const struct {
		const char *text;
		int rc;
		int64_t ns;
	} row[] = {
	    {"10ms", 0, 10 * MS_NS},
	    {"250us", 0, 250 * US_NS},
	    {"1s", 0, SEC_NS},
	    {"90s", 0, 90 * SEC_NS},
	    {"5m", 0, 300 * SEC_NS},
	    {"1h", 0, 3600 * SEC_NS},
	    {"30d", 0, 2592000 * SEC_NS},
	    {"0s", 0, 0},
	    {"10", -ENODATA, 0},
	    {"", -EINVAL, 0},
	    {"s", -EINVAL, 0},
	    {"-1s", -EINVAL, 0},
	    {"1.5s", -EINVAL, 0},
	    {"1 s", -EINVAL, 0},
	    {"1S", -EINVAL, 0},
	    {"1w", -EINVAL, 0},
	    {"106752d", -ERANGE, 0},
	    {"99999999999999999999s", -ERANGE, 0},
	};
	char text[UNITS_LEN];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		int64_t ns = -1, again;

		assert_int_equal(duration_parse(&ns, row[i].text), row[i].rc);
		if (row[i].rc != 0)
			continue;
		assert_int_equal(ns, row[i].ns);
		assert_int_equal(duration_parse(&again, duration_format(ns, text)), 0);
		assert_int_equal(again, ns);
	}
	assert_string_equal(duration_format(90 * SEC_NS, text), "90s");
	assert_string_equal(duration_format(120 * SEC_NS, text), "2m");
}

static void
test_nearest_name(void **state)
{
	static const struct {
		const char *name, *other, *expected;
	} row[] = {
	    {"web4", "web1", "web1"},
	    {"wbe1", "web1", "web1"},
	    {"sitee", "site", "site"},
	    {"database", "site", NULL},
	    {"a", "b", NULL},
	    {"adress", "address", "address"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		const char *found = name_nearer(row[i].name, NULL, row[i].other);

		if (row[i].expected == NULL)
			assert_null(found);
		else
			assert_string_equal(found, row[i].expected);
	}
	assert_string_equal(name_nearer("web4", "wob3", "web1"), "web1");
}

static void
assert_change(const char *before, const char *after, const char *expected)
{
	const struct cluster *a = parse(before), *b = parse(after);
	struct sbuf out;

	sbuf_init(&out, OUT_MAX);
	config_diff_summary(a, b, &out);
	assert_string_equal(sbuf_text(&out), expected);
	sbuf_done(&out);
	cluster_unref(a);
	cluster_unref(b);
}

#define VPN(peers)                                                    \
	"vpn:\n  office: {hosts: [lb1, lb2], listen: \"www:51820\", " \
	"subnet: 10.8.0.0/24, reach: main, peers: {" peers "}}\n"
#define ANN                                                                    \
	"ann: {public_key: \"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\", " \
	"address: 10.8.0.9}"

static void
test_vpn(void **state)
{
	const struct cluster *c = parse(PAIR VPN(ANN)), *without = parse(PAIR VPN(""));
	const struct vpn *v = &c->vpn[0];
	struct sbuf out;

	(void)state;
	assert_int_equal(c->n_vpns, 1);
	assert_ptr_equal(v->floating_ip, cluster_floating_ip(c, "www"));
	assert_ip(&v->listen.ip, "10.0.0.10");
	assert_int_equal(v->listen.port, 51820);
	assert_ip(&v->address, "10.8.0.1");
	assert_string_equal(v->key_file, "/etc/nines/office.key");
	assert_string_equal(v->interface, "wg-office");
	assert_ptr_equal(v->sync, &c->network[0]);
	assert_int_equal(v->sync_port, 52820);
	assert_int_equal(v->keepalive_ns, 25 * SEC_NS);
	assert_int_equal(v->mtu, 1420);
	assert_false(v->masquerade);
	assert_true(vpn_on_host(v, cluster_host(c, "lb2")));
	assert_false(vpn_on_host(v, cluster_host(c, "web1")));
	assert_int_equal(v->n_peers, 1);
	assert_string_equal(v->peer[0].name, "ann");
	assert_int_equal(v->peer[0].key[0], 1);
	assert_ip(&v->peer[0].address, "10.8.0.9");
	sbuf_init(&out, OUT_MAX);
	config_diff_summary(without, c, &out);
	assert_string_equal(sbuf_text(&out), "VPN office changed (peers)");
	sbuf_done(&out);
	cluster_unref(without);
	cluster_unref(c);
}

#define DATA                                                                         \
	"databases:\n  orders: {engine: postgresql, hosts: [web1, 10.0.0.22, {at: "  \
	"lb1, delay: 1h}], listen: www:5432, needed_by: site, electors: [lb1, lb2, " \
	"web1], takeover: 10s}\n"

static void
test_databases(void **state)
{
	const struct cluster *c = parse(PAIR DATA);
	const struct database *d = &c->database[0];

	(void)state;
	assert_int_equal(c->n_databases, 1);
	assert_string_equal(d->of.name, "orders");
	assert_int_equal(d->engine, ENGINE_POSTGRESQL);
	assert_int_equal(d->durability, DURABILITY_SYNCHRONOUS);
	assert_int_equal(d->of.n_hosts, 3);
	assert_ptr_equal(d->of.host[1], cluster_host(c, "web2"));
	assert_ptr_equal(d->copy[2].host, cluster_host(c, "lb1"));
	assert_int_equal(d->copy[0].delay_ns, 0);
	assert_int_equal(d->copy[2].delay_ns, 3600 * SEC_NS);
	assert_ptr_equal(d->of.over, &c->network[0]);
	assert_ptr_equal(d->listen.write.fip, cluster_floating_ip(c, "www"));
	assert_int_equal(d->listen.write.at.port, 5432);
	assert_null(d->listen.read.fip);
	assert_null(d->listen.read.host);
	assert_int_equal(d->of.n_services, 1);
	assert_ptr_equal(d->of.service[0], cluster_service(c, "site"));
	assert_int_equal(d->of.must_survive, SURVIVE_HOST);
	assert_int_equal(d->n_electors, 3);
	assert_ptr_equal(d->elector[1], cluster_host(c, "lb2"));
	assert_ptr_equal(d->votes_over, &c->network[0]);
	assert_int_equal(d->takeover_ns, 10 * SEC_NS);
	cluster_unref(c);
	assert_change(PAIR, PAIR DATA, "database orders added");
	assert_change(PAIR DATA,
	    PAIR "databases:\n  orders: {engine: mariadb, hosts: [web1, web2], "
		 "durability: asynchronous}\n",
	    "database orders changed (engine, hosts, electors, takeover, durability, "
	    "listen, needed_by)");
}

#define VOLUME(keys) "volumes:\n  v: {size: 1GiB, hosts: [web1, web2]" keys "}\n"

static void
test_volumes_and_console(void **state)
{
	const struct cluster *c = parse(PAIR VOLUME("") "console: www:8443\n");
	const struct volume *v = &c->volume[0];

	(void)state;
	assert_int_equal(c->n_volumes, 1);
	assert_int_equal(v->size, 1 << 30);
	assert_int_equal(v->protocol, PROTOCOL_C);
	assert_int_equal(v->of.n_hosts, 2);
	assert_ptr_equal(v->of.over, &c->network[0]);
	assert_int_equal(v->of.n_services, 0);
	assert_ptr_equal(c->console.listen.fip, cluster_floating_ip(c, "www"));
	assert_int_equal(c->console.n_hosts, 2);
	assert_ptr_equal(c->console.host[1], cluster_host(c, "lb2"));
	cluster_unref(c);
	assert_change(PAIR VOLUME(""), PAIR VOLUME(", protocol: B, must_survive: zone"),
	    "volume v changed (protocol, must_survive)");
	assert_change(PAIR, PAIR "console: www:8443\n", "console changed");
	assert_change(
	    PAIR "console: www:8443\n", PAIR "console: lb1:8443\n", "console changed");
}

static void
test_changes(void **state)
{
	(void)state;
	assert_change(PAIR, PAIR, "nothing changed");
	assert_change(PAIR, "# comment\n" PAIR "    check: tcp\n", "nothing changed");
	assert_change(PAIR, PAIR "    check: /health\n    retries: 0\n",
	    "service site changed (check, retries)");
	assert_change(
	    PAIR, PAIR "    timeouts: {idle: 5s}\n", "service site changed (timeouts)");
	assert_change(HOSTS WWW, PAIR, "service site added");
	assert_change(PAIR, HOSTS, "floating IP www removed, service site removed");
	assert_change(PAIR, PAIR "workers: 2\n", "workers changed");
	assert_change(
	    HOSTS WWW SITE, HOSTS "  web3: 10.0.0.23\n" WWW SITE, "host web3 added");
	assert_change(HOSTS "  web3: 10.0.0.23\n", HOSTS "  web3: 10.0.0.24\n",
	    "host web3 changed (addresses)");
	assert_change(HOSTS WWW,
	    HOSTS "floating_ips:\n"
		  "  www: {address: 10.0.0.10, hosts: [lb2, lb1], heartbeat: 10ms}\n",
	    "floating IP www changed (hosts, heartbeat)");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_defaults),
	    cmocka_unit_test(test_pair_is_resolved),
	    cmocka_unit_test(test_server_address),
	    cmocka_unit_test(test_listeners),
	    cmocka_unit_test(test_checks),
	    cmocka_unit_test(test_exec),
	    cmocka_unit_test(test_service_keys),
	    cmocka_unit_test(test_floating_ip_keys),
	    cmocka_unit_test(test_host_by_address),
	    cmocka_unit_test(test_references),
	    cmocka_unit_test(test_durations),
	    cmocka_unit_test(test_nearest_name),
	    cmocka_unit_test(test_vpn),
	    cmocka_unit_test(test_databases),
	    cmocka_unit_test(test_volumes_and_console),
	    cmocka_unit_test(test_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
