/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Laid by `ip -batch`, one run per namespace. The switch's end of a cable is named
 * hHnN (host H, network N) or cN (the client on N), the host's end ethN, a bridge brN.
 */
#include "lab/cables.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lab/ways.h"
#include "os/child.h"
#include "os/netns.h"
#include "supervisor/parts.h"

#define BATCH_MAX ((size_t)1 << 20)
#define CLIENTS	  16 /* addresses of the client outside */

static size_t
network_index(const struct world *w, const struct network *net)
{
	return (size_t)(net - w->cluster->network);
}

void
world_interface(
    const struct world *w, size_t host, const struct network *net, char name[16])
{
	const struct host_address *a = host_address_on(w->host[host].host, net);

	if (a != NULL && a->interface != NULL)
		(void)snprintf(name, 16, "%s", a->interface);
	else
		(void)snprintf(name, 16, "eth%zu", network_index(w, net));
}

void
world_port(const struct world *w, size_t host, const struct network *net, char name[16])
{
	(void)snprintf(
	    name, 16, "h%un%u", (unsigned)host, (unsigned)network_index(w, net));
}

/*
 * `client` is who comes from outside; where there is no outside, who is on the network
 * of the first floating address.
 */
void
world_client(const struct world *w, const struct network *net, char ns[WORLD_NS_LEN])
{
	const struct cluster *c = w->cluster;
	const struct network *first = w->outside != NULL ? NULL
				      : c->n_floating_ips > 0
					  ? c->floating_ip[0].network
					  : &c->network[0];
	bool plain = net == NULL || net == first;

	(void)snprintf(ns, WORLD_NS_LEN, "nines-%s-client%s%s", w->name,
	    plain ? "" : "-", plain ? "" : net->name);
}

static bool
is_taken(const struct cluster *c, const struct ip *ip)
{
	for (size_t i = 0; i < c->n_hosts; i++) {
		for (size_t k = 0; k < c->host[i].n_addresses; k++) {
			if (ip_equal(&c->host[i].address[k].ip, ip))
				return true;
		}
	}
	for (size_t i = 0; i < c->n_floating_ips; i++) {
		for (size_t k = 0; k < c->floating_ip[i].n_addresses; k++) {
			if (ip_equal(&c->floating_ip[i].address[k], ip))
				return true;
		}
	}
	return false;
}

/* The highest address of `net` that the file leaves free, not its broadcast address. */
static struct ip
client_address(const struct cluster *c, const struct network *net)
{
	struct ip ip = net->subnet.ip;
	size_t len = ip_len(&ip);

	for (size_t bit = net->subnet.bits; bit < len * 8; bit++)
		ip.byte[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	do {
		for (size_t i = len; i-- > 0;) {
			if (ip.byte[i]-- != 0)
				break;
		}
	} while (is_taken(c, &ip));
	return ip;
}

static struct ip
free_internet_address(const struct world *w)
{
	struct ip ip = client_address(w->cluster, w->outside);

	ip.byte[ip_len(&ip) - 1]--; /* the client of that network has the highest */
	while (is_taken(w->cluster, &ip))
		ip.byte[ip_len(&ip) - 1]--;
	return ip;
}

/*
 * Of the router outside, on the network that it shares with the cluster: where the
 * gateways look for it.
 */
static struct ip
internet_address(const struct world *w)
{
	const struct gateway_via *up = &w->cluster->gateways.upstream;

	for (size_t i = 0; i < up->n_hops; i++) {
		if (up->hop[i].network == w->outside &&
		    !is_taken(w->cluster, &up->hop[i].ip))
			return up->hop[i].ip;
	}
	return free_internet_address(w);
}

static bool
has_part(const struct cluster *c, const struct host *h, const char *part)
{
	const struct part_row *row = parts_find(part);

	return row != NULL && row->wanted(c, h);
}

/* Does a part of this host set its routes? */
static bool
sees_to_routes(const struct cluster *c, const struct host *h)
{
	return has_part(c, h, "gateway");
}

/* And does one turn forwarding on? */
static bool
sees_to_forwarding(const struct cluster *c, const struct host *h)
{
	return (gateways_have(&c->gateways, h) && has_part(c, h, "gateway")) ||
	       has_part(c, h, "firewall");
}

/* A network of nobody's, for the router outside (.1) and the client behind it. */
static const char *
client_subnet(const struct cluster *c)
{
	static const char *const subnet[] = {"203.0.113", "192.0.2", "198.18.0"};
	char text[IP_STR_LEN];
	struct ip ip;

	for (size_t i = 0; i < ARRAY_LEN(subnet); i++) {
		bool used = false;

		(void)snprintf(text, sizeof(text), "%s.1", subnet[i]);
		if (ip_parse(&ip, text) != 0)
			continue;
		for (size_t k = 0; k < c->n_networks; k++)
			used |= ip_in_net(&ip, &c->network[k].subnet);
		if (!used)
			return subnet[i];
	}
	return subnet[0];
}

static int
batch(const char *ns, const struct sbuf *text, struct sbuf *why)
{
	const char *argv[] = {"ip", "-batch", "-", NULL};
	struct child child = {.argv = argv, .netns = ns, .input = sbuf_text(text)};
	int status;

	if (text->bad)
		return -ENOMEM;
	status = child_run(&child, why);
	if (status == 0)
		return 0;
	return status < 0 ? status : -EIO;
}

/* So that another process can clean up: before anything else exists. */
static int
list_namespaces(const struct world *w)
{
	char path[WORLD_PATH_LEN + 16], ns[WORLD_NS_LEN];
	FILE *f;
	int err = 0;

	(void)snprintf(path, sizeof(path), "%s/namespaces", w->dir);
	f = fopen(path, "we");
	if (f == NULL)
		return -errno;
	(void)fprintf(f, "%s\n", w->sw);
	for (size_t i = 0; i < w->n_hosts; i++)
		(void)fprintf(f, "%s\n", w->host[i].ns);
	for (size_t i = 0; i < w->cluster->n_networks; i++) {
		if (w->cluster->network[i].dedicated)
			continue;
		world_client(w, &w->cluster->network[i], ns);
		(void)fprintf(f, "%s\n", ns);
	}
	if (w->outside != NULL) {
		world_client(w, NULL, ns);
		(void)fprintf(f, "%s\n%s\n", w->internet, ns);
	}
	if (ferror(f) != 0)
		err = -EIO;
	if (fclose(f) != 0)
		err = -errno;
	return err;
}

/* Namespaces and both ends of every cable. */
static void
plan_hardware(const struct world *w, struct sbuf *out)
{
	const struct cluster *c = w->cluster;
	char port[16], interface[16], ns[WORLD_NS_LEN];

	sbuf_printf(out, "netns add %s\n", w->sw);
	for (size_t i = 0; i < w->n_hosts; i++) {
		const struct host *h = w->host[i].host;

		sbuf_printf(out, "netns add %s\n", w->host[i].ns);
		for (size_t k = 0; k < h->n_addresses; k++) {
			world_port(w, i, h->address[k].network, port);
			world_interface(w, i, h->address[k].network, interface);
			sbuf_printf(out,
			    "link add %s netns %s type veth peer name %s netns %s\n",
			    port, w->sw, interface, w->host[i].ns);
		}
	}
	for (size_t i = 0; i < c->n_networks; i++) {
		if (c->network[i].dedicated)
			continue;
		world_client(w, &c->network[i], ns);
		sbuf_printf(out,
		    "netns add %s\n"
		    "link add c%zu netns %s type veth peer name eth%zu netns %s\n",
		    ns, i, w->sw, i, ns);
	}
	if (w->outside != NULL) {
		world_client(w, NULL, ns);
		sbuf_printf(out,
		    "netns add %s\nnetns add %s\n"
		    "link add internet netns %s type veth peer name eth0 netns %s\n"
		    "link add eth1 netns %s type veth peer name eth0 netns %s\n",
		    w->internet, ns, w->sw, w->internet, w->internet, ns);
	}
}

static void
plan_switch(const struct world *w, struct sbuf *out)
{
	const struct cluster *c = w->cluster;
	char port[16];

	for (size_t i = 0; i < c->n_networks; i++) {
		/* Without snooping: VRRP's multicast goes everywhere, as on a plain
		 * switch. */
		sbuf_printf(out,
		    "link add br%zu type bridge mcast_snooping 0 stp_state 0\n"
		    "link set br%zu up\n",
		    i, i);
		if (!c->network[i].dedicated)
			sbuf_printf(out, "link set c%zu master br%zu up\n", i, i);
	}
	if (w->outside != NULL)
		sbuf_printf(out, "link set internet master br%zu up\n",
		    network_index(w, w->outside));
	for (size_t i = 0; i < w->n_hosts; i++) {
		const struct host *h = w->host[i].host;

		for (size_t k = 0; k < h->n_addresses; k++) {
			world_port(w, i, h->address[k].network, port);
			sbuf_printf(out, "link set %s master br%zu up\n", port,
			    network_index(w, h->address[k].network));
		}
	}
}

/*
 * Cubic, Linux's default, by route, since a namespace may not choose what the machine
 * has restricted; and figures must not depend on what this machine prefers.
 */
static void
plan_route(
    const struct network *net, const struct ip *ip, const char *dev, struct sbuf *out)
{
	char subnet[IP_STR_LEN], src[IP_STR_LEN];

	if (net->subnet.ip.family != AF_INET)
		return;
	sbuf_printf(out,
	    "route replace %s/%u dev %s proto kernel scope link src %s "
	    "congctl cubic\n",
	    ip_format(&net->subnet.ip, subnet), (unsigned)net->subnet.bits, dev,
	    ip_format(ip, src));
}

/* A route to `to`, NULL for all else, over every next hop of `way`. */
static void
plan_way(
    const struct network *to, const struct way *way, const char *more, struct sbuf *out)
{
	char ip[IP_STR_LEN];

	if (way->n_hops == 0)
		return;
	if (to == NULL)
		sbuf_printf(out, "route replace default%s", more);
	else
		sbuf_printf(out, "route replace %s/%u%s", ip_format(&to->subnet.ip, ip),
		    (unsigned)to->subnet.bits, more);
	for (size_t i = 0; i < way->n_hops; i++)
		sbuf_printf(out, "%s via %s", way->n_hops > 1 ? " nexthop" : "",
		    ip_format(&way->hop[i], ip));
	sbuf_puts(out, "\n");
}

/*
 * What is beyond the networks that `h` is on. Not where its parts see to it: a route
 * of ours would hide that they do not.
 */
static void
plan_ways(const struct world *w, const struct host *h, struct sbuf *out)
{
	const struct cluster *c = w->cluster;
	struct way way;

	if (w->outside == NULL || sees_to_routes(c, h))
		return;
	for (size_t i = 0; i < c->n_networks; i++) {
		if (c->network[i].dedicated || &c->network[i] == w->outside)
			continue;
		ways_find(c, h, &c->network[i], &way);
		if (way.by != &c->network[i])
			plan_way(&c->network[i], &way, "", out);
	}
	if (host_address_on(h, w->outside) != NULL)
		way = (struct way){w->outside, {internet_address(w)}, 1};
	else
		ways_find(c, h, w->outside, &way);
	plan_way(NULL, &way, " congctl cubic", out);
}

static void
plan_address(
    const struct network *net, const struct ip *ip, const char *dev, struct sbuf *out)
{
	char text[IP_STR_LEN];

	sbuf_printf(out, "address add %s/%u dev %s%s\nlink set %s up\n",
	    ip_format(ip, text), (unsigned)net->subnet.bits, dev,
	    ip->family == AF_INET6 ? " nodad" : "", dev);
}

int
world_routes(struct world *w, size_t host)
{
	const struct host *h = w->host[host].host;
	char interface[16];
	struct sbuf text;
	int err;

	sbuf_init(&text, BATCH_MAX);
	for (size_t k = 0; k < h->n_addresses; k++) {
		world_interface(w, host, h->address[k].network, interface);
		plan_route(h->address[k].network, &h->address[k].ip, interface, &text);
	}
	plan_ways(w, h, &text);
	err = batch(w->host[host].ns, &text, NULL);
	sbuf_done(&text);
	return err;
}

static bool
has_ipv6(const struct cluster *c)
{
	for (size_t i = 0; i < c->n_networks; i++) {
		if (c->network[i].subnet.ip.family == AF_INET6)
			return true;
	}
	return false;
}

static int
set_up_kernel(const struct world *w, const char *ns, bool quiet)
{
	/* Nines needs none of these: they are for the peers and for many clients. */
	int err = netns_setting(ns, "ipv4/ip_nonlocal_bind", "1");

	if (err == 0)
		err = netns_setting(ns, "ipv4/ip_local_port_range", "1024 65535");
	if (err == 0)
		err = netns_setting(ns, "core/somaxconn", "8192");
	if (err == 0)
		err = netns_setting(ns, "ipv4/tcp_max_syn_backlog", "8192");
	if (quiet || !has_ipv6(w->cluster)) {
		/* No chatter of IPv6 where nothing uses it; it may not exist at all. */
		(void)!netns_setting(ns, "ipv6/conf/all/disable_ipv6", "1");
		(void)!netns_setting(ns, "ipv6/conf/default/disable_ipv6", "1");
	} else /* or IPv6 addresses of hosts would be gone with the link, unlike IPv4's
		*/
		(void)!netns_setting(ns, "ipv6/conf/all/keep_addr_on_down", "1");
	return err;
}

static int
lay_host(struct world *w, size_t host, struct sbuf *why)
{
	const struct host *h = w->host[host].host;
	int err = set_up_kernel(w, w->host[host].ns, false);
	char interface[16];
	struct sbuf text;

	sbuf_init(&text, BATCH_MAX);
	sbuf_puts(&text, "link set lo up\n");
	for (size_t k = 0; k < h->n_addresses; k++) {
		world_interface(w, host, h->address[k].network, interface);
		plan_address(
		    h->address[k].network, &h->address[k].ip, interface, &text);
		plan_route(h->address[k].network, &h->address[k].ip, interface, &text);
	}
	plan_ways(w, h, &text);
	if (err == 0 && ways_passes(w->cluster, h) &&
	    !sees_to_forwarding(w->cluster, h))
		err = netns_setting(w->host[host].ns, "ipv4/ip_forward", "1");
	if (err == 0)
		err = batch(w->host[host].ns, &text, why);
	sbuf_done(&text);
	return err;
}

static int
lay_client(struct world *w, const struct network *net, struct sbuf *why)
{
	struct ip ip = client_address(w->cluster, net);
	char ns[WORLD_NS_LEN], dev[16];
	struct sbuf text;
	int err;

	world_client(w, net, ns);
	err = set_up_kernel(w, ns, false);
	(void)snprintf(dev, sizeof(dev), "eth%u", (unsigned)network_index(w, net));
	sbuf_init(&text, BATCH_MAX);
	sbuf_puts(&text, "link set lo up\n");
	plan_address(net, &ip, dev, &text);
	plan_route(net, &ip, dev, &text);
	if (err == 0)
		err = batch(ns, &text, why);
	sbuf_done(&text);
	return err;
}

/* The router outside: it knows the way in, over every gateway at once. */
static int
lay_internet(struct world *w, struct sbuf *why)
{
	const struct cluster *c = w->cluster;
	struct ip ip = internet_address(w);
	struct sbuf text;
	struct way way;
	int err;

	err = set_up_kernel(w, w->internet, false);
	if (err == 0)
		err = netns_setting(w->internet, "ipv4/ip_forward", "1");
	if (err == 0) /* by connection, not by host: as providers do */
		err = netns_setting(w->internet, "ipv4/fib_multipath_hash_policy", "1");
	sbuf_init(&text, BATCH_MAX);
	sbuf_puts(&text, "link set lo up\n");
	plan_address(w->outside, &ip, "eth0", &text);
	sbuf_printf(&text, "address add %s.1/24 dev eth1\nlink set eth1 up\n",
	    client_subnet(c));
	for (size_t i = 0; i < c->n_networks; i++) {
		if (c->network[i].dedicated)
			continue;
		ways_from(c, w->outside, &c->network[i], &way);
		plan_way(&c->network[i], &way, "", &text);
	}
	if (err == 0)
		err = batch(w->internet, &text, why);
	sbuf_done(&text);
	return err;
}

static int
lay_outside(struct world *w, struct sbuf *why)
{
	const char *subnet = client_subnet(w->cluster);
	int err = lay_internet(w, why);
	char ns[WORLD_NS_LEN];
	struct sbuf text;

	world_client(w, NULL, ns);
	if (err == 0)
		err = set_up_kernel(w, ns, false);
	sbuf_init(&text, BATCH_MAX);
	sbuf_printf(&text,
	    "link set lo up\nlink set eth0 up\naddress add %s.2/24 dev eth0\n"
	    "route add default congctl cubic via %s.1\n",
	    subnet, subnet);
	/* Many clients: one alone would use its ports again within a minute, sooner
	 * than firewalls forget what was cut off. */
	for (unsigned i = 3; i < 2 + CLIENTS; i++)
		sbuf_printf(&text, "address add %s.%u/24 dev eth0\n", subnet, i);
	if (err == 0)
		err = batch(ns, &text, why);
	sbuf_done(&text);
	return err;
}

struct ip
cables_client_address(const struct world *w, const struct network *net)
{
	return client_address(w->cluster, net);
}

int
cables_way_back(struct world *w, const struct network *net, const struct ip_net *from,
    struct sbuf *why)
{
	const struct network beyond = {.subnet = *from};
	char ns[WORLD_NS_LEN];
	struct sbuf text;
	struct way way;
	int err;

	world_client(w, net, ns);
	ways_from(w->cluster, net, w->outside, &way);
	sbuf_init(&text, BATCH_MAX);
	plan_way(&beyond, &way, "", &text);
	err = batch(ns, &text, why);
	sbuf_done(&text);
	return err;
}

int
cables_lay(struct world *w, struct sbuf *why)
{
	struct sbuf text;
	int err = list_namespaces(w);

	sbuf_init(&text, BATCH_MAX);
	plan_hardware(w, &text);
	if (err == 0)
		err = batch(NULL, &text, why);
	sbuf_done(&text);
	if (err == 0)
		err = set_up_kernel(w, w->sw, true);
	sbuf_init(&text, BATCH_MAX);
	plan_switch(w, &text);
	if (err == 0)
		err = batch(w->sw, &text, why);
	sbuf_done(&text);
	for (size_t i = 0; i < w->n_hosts && err == 0; i++)
		err = lay_host(w, i, why);
	for (size_t i = 0; i < w->cluster->n_networks && err == 0; i++) {
		if (!w->cluster->network[i].dedicated)
			err = lay_client(w, &w->cluster->network[i], why);
	}
	if (w->outside != NULL && err == 0)
		err = lay_outside(w, why);
	if (err != 0)
		sbuf_printf(why, "cannot build the networks: %s", strerror(-err));
	return err;
}

int
world_plug(struct world *w, size_t host, bool in)
{
	const struct host *h = w->host[host].host;
	char port[16];
	int err = 0;

	for (size_t k = 0; k < h->n_addresses && err == 0; k++) {
		world_port(w, host, h->address[k].network, port);
		err = netns_link_set(w->sw, port, in);
	}
	return err;
}

int
world_power(struct world *w, const struct network *net, bool on)
{
	char port[16];
	int err = 0;

	for (size_t i = 0; i < w->n_hosts && err == 0; i++) {
		if (host_address_on(w->host[i].host, net) == NULL)
			continue;
		world_port(w, i, net, port);
		err = netns_link_set(w->sw, port, on);
	}
	if (net == w->outside && err == 0)
		err = netns_link_set(w->sw, "internet", on);
	if (!net->dedicated && err == 0) {
		(void)snprintf(port, sizeof(port), "c%zu", network_index(w, net));
		err = netns_link_set(w->sw, port, on);
	}
	return err;
}

bool
world_plugged(const struct world *w, size_t host)
{
	const struct host *h = w->host[host].host;
	char port[16];

	for (size_t k = 0; k < h->n_addresses; k++) {
		world_port(w, host, h->address[k].network, port);
		if (!netns_link_running(w->sw, port))
			return false;
	}
	return true;
}

int
world_flush(struct world *w, size_t host)
{
	const struct cluster *c = w->cluster;
	char interface[16], text[IP_STR_LEN];
	const char *argv[] = {"ip", "-force", "-batch", "-", NULL};
	struct child child = {.argv = argv, .netns = w->host[host].ns};
	struct sbuf plan;
	int err;

	sbuf_init(&plan, BATCH_MAX);
	for (size_t i = 0; i < c->n_floating_ips; i++) {
		const struct floating_ip *f = &c->floating_ip[i];

		if (floating_ip_rank(f, w->host[host].host) < 0)
			continue;
		world_interface(w, host, f->network, interface);
		for (size_t k = 0; k < f->n_addresses; k++) {
			unsigned host_bits = (unsigned)ip_len(&f->address[k]) * 8;

			(void)ip_format(&f->address[k], text);
			/* Whoever installed it chose one of these lengths. */
			sbuf_printf(&plan,
			    "address del %s/%u dev %s\naddress del %s/%u dev %s\n"
			    "address del %s/%u dev lo\n",
			    text, (unsigned)f->network->subnet.bits, interface, text,
			    host_bits, interface, text, host_bits);
		}
	}
	child.input = sbuf_text(&plan);
	err = plan.bad ? -ENOMEM : child_run(&child, NULL); /* most fail: not there */
	sbuf_done(&plan);
	return err < 0 ? err : 0;
}
