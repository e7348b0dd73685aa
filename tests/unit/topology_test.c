/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a cluster file comes to: which single failures end which service.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mono.h"
#include "parse.h"
#include "topology/avail.h"
#include "topology/topology.h"

#define HEAD                                                  \
	"cluster: x\n"                                        \
	"networks: {front: 10.0.1.0/24, back: 10.0.2.0/24}\n" \
	"zones: [a, b]\n"                                     \
	"hosts:\n"                                            \
	"  lb1: {front: 10.0.1.1, back: 10.0.2.1, zone: a}\n" \
	"  lb2: {front: 10.0.1.2, back: 10.0.2.2, zone: b}\n" \
	"  web1: {back: 10.0.2.11, zone: a}\n"                \
	"  web2: {back: 10.0.2.12, zone: b}\n"                \
	"  web3: {back: 10.0.2.13, zone: b}\n"

#define FOLLOWED                                          \
	"floating_ips:\n"                                 \
	"  www: {address: 10.0.1.10, hosts: [lb1, lb2], " \
	"follow: [site]}\n"
#define FIXED             \
	"floating_ips:\n" \
	"  www: {address: 10.0.1.10, hosts: [lb1, lb2]}\n"

#define SITE "services:\n  site:\n    listen: www:80\n"

#define SECURE                                      \
	"services:\n  site:\n    listen: www:443\n" \
	"    servers: [web1:80, web2:80]\n"

#define NEEDY	       HEAD FOLLOWED SITE "    servers: [web1:80, web2:80]\n"
#define DATABASE(keys) NEEDY "databases: {d: {engine: mariadb, hosts: " keys "}}\n"
#define VOLUME(keys)   NEEDY "volumes: {v: {size: 1GiB, hosts: " keys "}}\n"

#define EDGE                                                                      \
	"cluster: x\n"                                                            \
	"networks: {out: 198.51.100.0/24, edge: 10.0.0.0/24, dmz: 10.0.1.0/24}\n" \
	"hosts:\n"                                                                \
	"  gw1: {out: 198.51.100.2, edge: 10.0.0.2}\n"                            \
	"  gw2: {out: 198.51.100.3, edge: 10.0.0.3}\n"                            \
	"  fw1: {edge: 10.0.0.11, dmz: 10.0.1.11}\n"                              \
	"  fw2: {edge: 10.0.0.12, dmz: 10.0.1.12}\n"                              \
	"  lb1: {dmz: 10.0.1.21}\n"                                               \
	"  lb2: {dmz: 10.0.1.22}\n"                                               \
	"floating_ips:\n"                                                         \
	"  fwo: {address: 10.0.0.10, hosts: [fw1, fw2], group: fw}\n"             \
	"  fwi: {address: 10.0.1.10, hosts: [fw1, fw2], group: fw}\n"             \
	"  www: {address: 10.0.1.20, hosts: [lb1, lb2]}\n"                        \
	"services: {site: {listen: www:80, servers: [lb1:80, lb2:80]}}\n"

struct row {
	const char *what;
	const char *text;
	const char *lethal; /* the single failures that end `site`, in order */
};

static const struct row rows[] = {
    {"a pair that follows its service",
	HEAD FOLLOWED SITE "    servers: [web1:80, web2:80]\n",
	"network front, network back"},
    {"without `follow` a balancer that lost its servers keeps the address",
	HEAD FIXED SITE "    servers: [web1:80, web2:80]\n",
	"network front, network back, link lb1 back, link lb2 back"},
    {"one server", HEAD FOLLOWED SITE "    servers: [web1:80]\n",
	"zone a, network front, network back, host web1, link web1 back, "
	"server site web1:80"},
    {"both servers in a zone", HEAD FOLLOWED SITE "    servers: [web2:80, web3:80]\n",
	"zone b, network front, network back"},
    {"capacity for all but one",
	HEAD FOLLOWED SITE "    servers: [web1:80, web2:80, web3:80]\n    needs: 2\n",
	"zone b, network front, network back"},
    {"no capacity to spare",
	HEAD FOLLOWED SITE "    servers: [web1:80, web2:80]\n    needs: 2\n",
	"zone a, zone b, network front, network back, host web1, host web2, "
	"link web1 back, link web2 back, server site web1:80, server site web2:80"},
    {"a backup that joins too late for two",
	HEAD FOLLOWED SITE
	"    servers: [web1:80, web2:80, {at: web3:80, backup: true}]\n    needs: 2\n",
	"zone a, zone b, network front, network back, host web1, host web2, "
	"link web1 back, link web2 back, server site web1:80, server site web2:80"},
    {"a backup that joins in time",
	HEAD FOLLOWED SITE
	"    servers: [web1:80, web2:80, {at: web3:80, backup: true}]\n    needs: 2\n"
	"    backup_below: 100%\n",
	"zone b, network front, network back"},
    {"the only name server, which others run",
	HEAD FOLLOWED SITE "    servers: [web1:80, web2:80]\n"
			   "external: {names: {kind: dns, at: 192.0.2.53}}\n",
	"network front, network back, outside 192.0.2.53"},
    {"one of two name servers is enough",
	HEAD FOLLOWED SITE
	"    servers: [web1:80, web2:80]\n"
	"external: {names: {kind: dns, at: [192.0.2.53, 192.0.2.54]}}\n",
	"network front, network back"},
    {"two of three places must work",
	HEAD FOLLOWED SITE "    servers: [web1:80, web2:80]\n"
			   "external: {x: {kind: other, at: [a, b, c], needs: 2}}\n",
	"network front, network back"},
    {"two of two",
	HEAD FOLLOWED SITE "    servers: [web1:80, web2:80]\n"
			   "external: {x: {kind: other, at: [a, b], needs: 2}}\n",
	"network front, network back, outside a, outside b"},
    {"a place shared by two things is one thing",
	HEAD FOLLOWED SITE "    servers: [web1:80, web2:80]\n"
			   "external: {x: {kind: dns, at: [a, b]}, y: {kind: api, at: "
			   "a}}\n",
	"network front, network back, outside a"},
    {"a place that is a host of the file, by name",
	HEAD FOLLOWED SITE "    servers: [web1:80, web2:80]\n"
			   "external: {x: {kind: dns, at: web3}}\n",
	"zone b, network front, network back, host web3"},
    {"and by its address",
	HEAD FOLLOWED SITE "    servers: [web1:80, web2:80]\n"
			   "external: {x: {kind: dns, at: [10.0.2.12, 10.0.2.13]}}\n",
	"zone b, network front, network back"},
    {"a thing without places", /* that another service needs as well */
	HEAD FOLLOWED "services:\n"
		      "  site: {listen: www:80, servers: [web1:80, web2:80]}\n"
		      "  other: {listen: www:81, servers: [web1:81]}\n"
		      "external: {x: {kind: other, needed_by: [site, other]}}\n",
	"network front, network back, outside x"},
    {"what only another service needs",
	HEAD FOLLOWED "services:\n"
		      "  site: {listen: www:80, servers: [web1:80, web2:80]}\n"
		      "  other: {listen: www:81, servers: [web1:81]}\n"
		      "external: {x: {kind: other, needed_by: [other]}}\n",
	"network front, network back"},
    {"nobody looks whether servers are there: clients find out by waiting",
	HEAD FOLLOWED SITE "    servers: [web1:80, web2:80]\n    check: none\n",
	"zone a, zone b, network front, network back, host web1, host web2, "
	"link web1 back, link web2 back"},
    {"and nobody helps them",
	HEAD FOLLOWED SITE
	"    servers: [web1:80, web2:80]\n    check: none\n    retries: 0\n",
	"zone a, zone b, network front, network back, host web1, host web2, "
	"link web1 back, link web2 back, server site web1:80, server site web2:80"},
    {"a server without weight is none",
	HEAD FOLLOWED SITE "    servers: [web1:80, {at: web2:80, weight: 0}]\n",
	"zone a, network front, network back, host web1, link web1 back, "
	"server site web1:80"},
    {"on one host's own address",
	HEAD FOLLOWED
	"services:\n  site: {listen: lb1:80, servers: [web1:80, web2:80]}\n",
	"zone a, network front, network back, host lb1, link lb1 front, link lb1 back, "
	"part lb1 proxy"},
    {"a server that is the service itself does not count",
	HEAD FOLLOWED SITE "    servers: [web1:80, 10.0.1.10:80]\n",
	"zone a, network front, network back, host web1, link web1 back, "
	"server site web1:80"},
    {"nor one that another service sends back",
	HEAD FOLLOWED "services:\n"
		      "  site: {listen: www:80, servers: [web1:80, 10.0.1.10:81]}\n"
		      "  other: {listen: www:81, servers: [10.0.1.10:82]}\n"
		      "  third: {listen: www:82, servers: [10.0.1.10:80]}\n",
	"zone a, network front, network back, host web1, link web1 back, "
	"server site web1:80"},
    {"one that sends some elsewhere does",
	HEAD FOLLOWED "services:\n"
		      "  site: {listen: www:80, servers: [web1:80, 10.0.1.10:81]}\n"
		      "  other: {listen: www:81, servers: [10.0.1.10:80, web2:80]}\n",
	"network front"},
    {"a server that is another service needs the servers of that",
	HEAD FOLLOWED "services:\n"
		      "  site: {listen: www:80, servers: [10.0.1.10:81]}\n"
		      "  inner: {listen: www:81, servers: [web2:80, web3:80]}\n",
	"zone b, network front, network back, link lb1 back, link lb2 back"},
    {"two of them back each other",
	HEAD FOLLOWED
	"services:\n"
	"  site: {listen: www:80, servers: [10.0.1.10:81, 10.0.1.10:82]}\n"
	"  inner: {listen: www:81, servers: [web1:80]}\n"
	"  other: {listen: www:82, servers: [web2:80]}\n",
	"network front, network back, link lb1 back, link lb2 back"},
    {"at a host's own address",
	HEAD FOLLOWED "services:\n"
		      "  site: {listen: www:80, servers: [lb1:81, lb2:81]}\n"
		      "  one: {listen: lb1:81, servers: [web1:80]}\n"
		      "  two: {listen: lb2:81, servers: [web1:80]}\n",
	"zone a, network front, network back, host web1, link web1 back"},
    {"servers on the balancers themselves",
	HEAD FOLLOWED SITE "    servers: [lb1:8080, lb2:8080]\n", "network front"},
    {"a server that the file knows by its address only",
	HEAD FOLLOWED SITE "    servers: [192.0.2.1:80]\n",
	"network front, outside 192.0.2.1"},
    {"servers by the addresses of hosts that share a zone",
	HEAD FOLLOWED SITE "    servers: [10.0.2.12:80, 10.0.2.13:80]\n",
	"zone b, network front, network back"},
    {"one of them, beside its name",
	HEAD FOLLOWED SITE "    servers: [10.0.2.12:80, web2:81]\n",
	"zone b, network front, network back, host web2, link web2 back"},
    {"a group that a route needs",
	HEAD FOLLOWED SITE "    servers: [web1:80, web2:80]\n"
			   "    groups: {api: [web3:80], idle: [web3:81]}\n"
			   "    routes: [{prefix: /api, to: api}]\n",
	"zone b, network front, network back, host web3, link web3 back, "
	"server site web3:80"},
    {"through two gateways and two firewalls",
	EDGE "gateways: {hosts: [gw1, gw2], between: [out, edge]}\n"
	     "firewall: {hosts: [fw1, fw2], allow: [{from: any, to: site}]}\n",
	"network out, network edge, network dmz"},
    {"one gateway, one router outside",
	EDGE "gateways: {hosts: [gw1], between: [out, edge], upstream: 198.51.100.1}\n"
	     "firewall: {hosts: [fw1, fw2], allow: [{from: any, to: site}]}\n",
	"network out, network edge, network dmz, host gw1, link gw1 out, "
	"link gw1 edge, outside 198.51.100.1"},
    {"two addresses that one service listens on are both needed",
	HEAD
	"floating_ips:\n"
	"  www: {address: 10.0.1.10, hosts: [lb1, lb2], follow: [site]}\n"
	"  two: {address: 10.0.1.20, hosts: lb1, follow: [site]}\n"
	"services: {site: {listen: [www:80, two:80], servers: [web1:80, web2:80]}}\n",
	"zone a, network front, network back, host lb1, link lb1 front, link lb1 back, "
	"part lb1 vip, part lb1 proxy"},
    {"an address follows with its group",
	HEAD
	"floating_ips:\n"
	"  www: {address: 10.0.1.10, hosts: [lb1, lb2], group: g}\n"
	"  two: {address: 10.0.1.20, hosts: [lb1, lb2], group: g, follow: [site]}\n"
	"services: {site: {listen: www:80, servers: [web1:80, web2:80]}}\n",
	"network front, network back"},
    {"a certificate that somebody must think of",
	HEAD FOLLOWED SECURE "    tls: /site.pem\n",
	"network front, network back, certificate /site.pem"},
    {"one that a program renews",
	HEAD FOLLOWED SECURE "    tls: {certificate: /site.pem, renewal: automatic}\n",
	"network front, network back"},
    {"two, for names of their own or keys of their own: both are shown",
	HEAD FOLLOWED SECURE "    tls: [/b.pem, /a.pem, /b.pem]\n",
	"network front, network back, certificate /a.pem, certificate /b.pem"},
    {"authorities without which clients and servers are refused",
	HEAD FOLLOWED SECURE "    tls: {certificate: /site.pem, client_ca: /ca.pem}\n"
			     "    server_tls: {ca: /ca2.pem, renewal: automatic}\n",
	"network front, network back, certificate /ca.pem, certificate /site.pem"},
    {"authorities that nobody must come from",
	HEAD FOLLOWED SECURE "    tls: {certificate: /site.pem, client_ca: /ca.pem, "
			     "client_verify: optional}\n"
			     "    server_tls: {ca: /ca2.pem}\n",
	"network front, network back, certificate /ca2.pem, certificate /site.pem"},
    {"what another service's program renews is renewed",
	HEAD FOLLOWED SECURE "    tls: [/site.pem, /own.pem]\n"
			     "  other: {listen: www:444, servers: [web1:80], tls:\n"
			     "    {certificate: /site.pem, renewal: automatic}}\n",
	"network front, network back, certificate /own.pem"},
    {"certificates of what the servers do themselves",
	HEAD FOLLOWED SECURE "    tls: passthrough\n", "network front, network back"},
    {"a program behind a socket on each balancer",
	HEAD FIXED SITE "    servers: [{unix: /run/app.sock}]\n",
	"network front, server site /run/app.sock lb1, "
	"server site /run/app.sock lb2"},
    {"a server that is another floating address",
	HEAD "floating_ips:\n"
	     "  www: {address: 10.0.1.10, hosts: [lb1, lb2], follow: [site]}\n"
	     "  app: {address: 10.0.2.20, hosts: [web1, web2]}\n"
	     "services: {site: {listen: www:80, servers: [app:80]}}\n",
	"network front, network back"},
    {"a database of three: two of its votes in one zone",
	DATABASE("[web1, web2, web3]"), "zone b, network front, network back"},
    {"which has one in each", DATABASE("[web1, web2, lb1]"),
	"zone a, network front, network back"},
    {"of which one may be the primary",
	DATABASE("[web1, {at: web2, delay: 1h}, {at: lb2, delay: 1h}]"),
	"zone a, zone b, network front, network back, host web1, link web1 back, "
	"database d web1"},
    {"of two hosts neither may go on alone, and synchronous writes wait for both",
	DATABASE("[web1, web2]"),
	"zone a, zone b, network front, network back, host web1, host web2, "
	"link web1 back, link web2 back, database d web1, database d web2"},
    {"asynchronous ones do not", DATABASE("[web1, web2], durability: asynchronous"),
	"zone a, zone b, network front, network back, host web1, host web2, "
	"link web1 back, link web2 back"},
    {"at the address of one host", DATABASE("[web1, web2, lb1], listen: lb2:3306"),
	"zone a, zone b, network front, network back, host lb2, link lb2 front, "
	"link lb2 back"},
    {"at an address that leaves a host, but not for want of a way",
	DATABASE("[web1, web2, web3], listen: www:3306, needed_by: site"),
	"zone b, network front, network back"},
    {"that nobody but another needs",
	HEAD FOLLOWED "services:\n"
		      "  site: {listen: www:80, servers: [web1:80, web2:80]}\n"
		      "  other: {listen: www:81, servers: [web1:81]}\n"
		      "databases: {d: {engine: mariadb, hosts: web3, needed_by: "
		      "other}}\n",
	"network front, network back"},
    {"a volume of two goes on with either", VOLUME("[web1, web2]"),
	"network front, network back"},
    {"unless one zone takes both", VOLUME("[web2, web3]"),
	"zone b, network front, network back"},
    {"a volume of three with two", VOLUME("[web1, web2, web3]"),
	"zone b, network front, network back"},
};

/* The single failures that end `goal`, in order. */
static void
lethal(const struct topology *t, size_t goal, char *found, size_t size)
{
	found[0] = '\0';
	for (size_t k = 0; k < topology_n_failures(t); k++) {
		size_t len = strlen(found);

		if (!topology_survives(t, &k, 1, goal))
			(void)snprintf(found + len, size - len, "%s%s",
			    len > 0 ? ", " : "", topology_failure(t, k)->name);
	}
}

static void
test_single_failures(void **state)
{
	char found[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct cluster *c = parse(rows[i].text);
		struct topology *t = topology_new(c);

		assert_non_null(t);
		assert_string_equal(topology_goal(t, 0)->name, "site");
		lethal(t, 0, found, sizeof(found));
		if (strcmp(found, rows[i].lethal) != 0)
			print_message("%s:\n", rows[i].what);
		assert_string_equal(found, rows[i].lethal);
		assert_true(topology_survives(t, NULL, 0, 0));
		topology_free(t);
		cluster_unref(c);
	}
}

/* Two gateways, two firewalls; `more` addresses of theirs, what the gateways say. */
#define WAY(more, gateways)                                                            \
	"cluster: x\n"                                                                 \
	"networks: {internet: 198.51.100.0/24, edge: 10.0.0.0/24, lan: 10.0.1.0/24}\n" \
	"hosts:\n"                                                                     \
	"  gw1: {internet: 198.51.100.2, edge: 10.0.0.2}\n"                            \
	"  gw2: {internet: 198.51.100.3, edge: 10.0.0.3}\n"                            \
	"  fw1: {edge: 10.0.0.11, lan: 10.0.1.11}\n"                                   \
	"  fw2: {edge: 10.0.0.12, lan: 10.0.1.12}\n"                                   \
	"  lb1: {lan: 10.0.1.21}\n"                                                    \
	"  lb2: {lan: 10.0.1.22}\n"                                                    \
	"floating_ips:\n"                                                              \
	"  www: {address: 10.0.1.20, hosts: [lb1, lb2]}\n"                             \
	"  fwo: {address: 10.0.0.10, hosts: [fw1, fw2], group: fw}\n" more             \
	"firewall: {hosts: [fw1, fw2], allow: [{from: any, to: site}]}\n"              \
	"gateways: {hosts: [gw1, gw2], between: [internet, edge]" gateways "}\n"       \
	"services: {site: {listen: www:80, servers: [lb1:81, lb2:81], check: /h}}\n"
#define INNER "  fwi: {address: 10.0.1.10, hosts: [fw1, fw2], group: fw}\n"
#define NETS  "network internet, network edge, network lan"

/* Where the gateways' routes lead, and whom hosts behind the firewall can know. */
static void
test_ways_in(void **state)
{
	static const struct row ways[] = {
	    {"by floating addresses on both sides", WAY(INNER, ""), NETS},
	    {"said so", WAY(INNER, ", routes: {lan: fwo}"), NETS},
	    {"to one firewall", WAY(INNER, ", routes: {lan: fw2}"),
		NETS ", host fw2, link fw2 edge, link fw2 lan"},
	    {"to both of them", WAY(INNER, ", routes: {lan: [fw1, fw2]}"), NETS},
	    {"to a router that is not in the file",
		WAY(INNER, ", routes: {lan: 10.0.0.99}"), NETS ", outside 10.0.0.99"},
	    {"without one on the inside", WAY("", ", routes: {lan: fwo}"),
		NETS
		", host fw1, host fw2, link fw1 edge, link fw1 lan, link fw2 edge, "
		"link fw2 lan, part fw1 vip, part fw2 vip"},
	};
	char found[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		const struct cluster *c = parse(ways[i].text);
		struct topology *t = topology_new(c);

		assert_non_null(t);
		lethal(t, 0, found, sizeof(found));
		if (strcmp(found, ways[i].lethal) != 0)
			print_message("%s:\n", ways[i].what);
		assert_string_equal(found, ways[i].lethal);
		topology_free(t);
		cluster_unref(c);
	}
}

#define GATEWAYS                                                                  \
	"cluster: x\n"                                                            \
	"networks: {out: 198.51.100.0/24, edge: 10.0.0.0/24, lan: 10.0.1.0/24}\n" \
	"hosts:\n"                                                                \
	"  gw1: {out: 198.51.100.2, edge: 10.0.0.2}\n"                            \
	"  gw2: {out: 198.51.100.3, edge: 10.0.0.3}\n"                            \
	"  fw1: {edge: 10.0.0.11, lan: 10.0.1.11}\n"                              \
	"  fw2: {edge: 10.0.0.12, lan: 10.0.1.12}\n"                              \
	"firewall: {hosts: [fw1, fw2], allow: [{from: any, to: lan}]}\n"          \
	"gateways: {hosts: [gw1, gw2], between: [out, edge]}\n"
#define ADDRESSES                                                        \
	"floating_ips:\n"                                                \
	"  fwo: {address: 10.0.0.10, hosts: [fw1, fw2], group: fw}\n"    \
	"  fwi: {address: 10.0.1.10, hosts: [fw1, fw2], group: fw}\n"    \
	"  in: {address: 10.0.0.20, hosts: [gw1, gw2], group: inside}\n" \
	"  vpn: {address: 198.51.100.10, hosts: [gw1, gw2], group: "
#define OFFICE(hosts, listen, reach)                                            \
	"vpn: {office: {hosts: " hosts ", listen: '" listen ":51820', subnet: " \
	"10.8.0.0/24, reach: " reach "}}\n"

/* What ends people's way in, and on to where they may go. */
static void
test_vpns(void **state)
{
	static const struct row vpns[] = {
	    {"on both sides by an address that moves with the other",
		GATEWAYS ADDRESSES "inside}\n" OFFICE("[gw1, gw2]", "vpn", "edge"),
		"network out, network edge"},
	    {"it stays on a gateway that has lost the way on",
		GATEWAYS ADDRESSES "alone}\n" OFFICE("[gw1, gw2]", "vpn", "edge"),
		"network out, network edge, link gw1 edge, link gw2 edge"},
	    {"beyond the firewall",
		GATEWAYS ADDRESSES "inside}\n" OFFICE("[gw1, gw2]", "vpn", "lan"),
		"network out, network edge, network lan"},
	    {"beyond the firewall, and it stays",
		GATEWAYS ADDRESSES "alone}\n" OFFICE("[gw1, gw2]", "vpn", "10.0.1.7"),
		"network out, network edge, network lan, link gw1 edge, link gw2 edge"},
	    {"nowhere in the file: only in",
		GATEWAYS ADDRESSES
		"alone}\n" OFFICE("[gw1, gw2]", "vpn", "10.9.0.0/16"),
		"network out"},
	};
	char found[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(vpns) / sizeof(vpns[0]); i++) {
		const struct cluster *c = parse(vpns[i].text);
		struct topology *t = topology_new(c);
		size_t goal = 0;

		assert_non_null(t);
		while (strcmp(topology_goal(t, goal)->what, "VPN") != 0)
			goal++;
		lethal(t, goal, found, sizeof(found));
		if (strcmp(found, vpns[i].lethal) != 0)
			print_message("%s:\n", vpns[i].what);
		assert_string_equal(found, vpns[i].lethal);
		topology_free(t);
		cluster_unref(c);
	}
}

static void
test_pairs(void **state)
{
	const struct cluster *c =
	    parse(HEAD FOLLOWED SITE "    servers: [web1:80, web2:80]\n");
	struct topology *t = topology_new(c);
	const char *const ends[][2] = {{"host lb1", "host lb2"},
	    {"part lb1 proxy", "link lb2 front"}, {"zone a", "host web2"},
	    {"part lb1 vip", "part lb2 vip"}};
	const char *const goes_on[][2] = {{"host lb1", "host web2"},
	    {"link lb1 front", "link lb1 back"}, {"part lb1 health", "host web1"},
	    {"zone a", "part lb1 vip"}};

	(void)state;
	assert_non_null(t);
	for (size_t i = 0; i < 4; i++) {
		for (unsigned k = 0; k < 2; k++) {
			const char *const *pair = k == 0 ? ends[i] : goes_on[i];
			long a = topology_find_failure(t, pair[0]);
			long b = topology_find_failure(t, pair[1]);
			size_t failed[2] = {(size_t)a, (size_t)b};

			assert_true(a >= 0 && b >= 0);
			assert_int_equal(topology_survives(t, failed, 2, 0), k == 1);
		}
	}
	assert_int_equal(topology_find_failure(t, "host nobody"), -1);
	topology_free(t);
	cluster_unref(c);
}

/* Goals of their own, by what they are called; what ends each of them alone. */
static void
test_data_goals(void **state)
{
	static const struct {
		const char *what, *name, *lethal;
	} goal[] = {
	    {"service", "site", "zone b, network front, network back"},
	    {"database", "d", "zone b, network back"},
	    {"reads of database", "d", "network back"},
	    {"data of database", "d", ""},
	    {"volume", "v", ""},
	    {"data of volume", "v", ""},
	    {"console", "x",
		"zone a, network front, host lb1, link lb1 front, console lb1"},
	    {"floating IP", "other", "network back"},
	};
	const struct cluster *c = parse(HEAD
	    "floating_ips:\n"
	    "  www: {address: 10.0.1.10, hosts: [lb1, lb2], follow: [site]}\n"
	    "  data: {address: 10.0.2.50, hosts: [web1, web2]}\n"
	    "  other: {address: 10.0.2.51, hosts: [web1, web2]}\n" SITE
	    "    servers: [web1:80, web2:80]\n"
	    "databases: {d: {engine: mariadb, hosts: [web1, web2, {at: web3, delay: "
	    "1h}], listen: {write: data:1, read: data:2}}}\n"
	    "volumes: {v: {size: 1GiB, hosts: [web1, web2]}}\nconsole: lb1:81\n");
	struct topology *t = topology_new(c);
	size_t zone_b;

	(void)state;
	assert_non_null(t);
	assert_int_equal(topology_n_goals(t), sizeof(goal) / sizeof(goal[0]));
	for (size_t i = 0; i < sizeof(goal) / sizeof(goal[0]); i++) {
		char found[1024] = "";

		assert_string_equal(topology_goal(t, i)->what, goal[i].what);
		assert_string_equal(topology_goal(t, i)->name, goal[i].name);
		for (size_t k = 0; k < topology_n_failures(t); k++) {
			size_t len = strlen(found);

			if (!topology_survives(t, &k, 1, i))
				(void)snprintf(found + len, sizeof(found) - len, "%s%s",
				    len > 0 ? ", " : "", topology_failure(t, k)->name);
		}
		assert_string_equal(found, goal[i].lethal);
	}
	zone_b = (size_t)topology_find_failure(t, "zone b");
	assert_false(topology_survives(t, &zone_b, 1, 0));
	assert_true(topology_survives_as_run(t, &zone_b, 1, 0));
	topology_free(t);
	cluster_unref(c);
}

static bool
near(double a, double b)
{
	return a - b < 1e-12 && b - a < 1e-12;
}

/* Only hosts fail, each of them a tenth of the time. */
static void
test_availability(void **state)
{
	const struct cluster *c =
	    parse(HEAD FOLLOWED SITE "    servers: [web1:80, web2:80]\n");
	const struct failover_outage outage = {SEC_NS, SEC_NS, SEC_NS};
	struct availability_conf rates = {0};
	struct topology *t = topology_new(c);
	struct avail a;
	const double q = 0.1, pair = 1 - q * q, three = 1 - q * q * q;
	size_t lb2;

	(void)state;
	assert_non_null(t);
	for (unsigned i = 0; i < AVAIL_KINDS; i++)
		rates.rate[i] = (struct availability_rate){3600 * SEC_NS, 0};
	rates.rate[AVAIL_HOST] = (struct availability_rate){9 * SEC_NS, SEC_NS};
	assert_int_equal(avail_work_out(t, &rates, &outage, NULL, 0, &a), 0);
	assert_true(a.known);
	assert_true(near(a.down, 1 - pair * pair));
	assert_true(near(a.without_kind[AVAIL_HOST], 0));
	assert_int_equal(a.kind, AVAIL_HOST);
	assert_int_equal(a.n_twins, 2);
	assert_true(near(a.twin[0].down, 1 - pair * three));
	assert_true(near(a.twin[1].down, 1 - pair * three));
	/* One host fails every 10 s, and a link, a zone and two parts every hour. */
	assert_true(near(a.failovers, 0.1 + 4.0 / 3600));
	lb2 = (size_t)topology_find_failure(t, "host lb2");
	assert_int_equal(avail_work_out(t, &rates, NULL, &lb2, 1, &a), 0);
	assert_true(near(a.down, 1 - (1 - q) * pair));
	topology_free(t);
	cluster_unref(c);
}

/* What has failed is the same thing in the model with one more host. */
static void
test_twins(void **state)
{
	const struct cluster *c =
	    parse(HEAD FOLLOWED SITE "    servers: [web1:80, web2:80]\n"
				     "external: {x: {kind: dns, at: [a, b]}}\n");
	struct availability_conf rates = {0};
	struct topology *t = topology_new(c);
	struct avail a;
	size_t gone;

	(void)state;
	assert_non_null(t);
	for (unsigned i = 0; i < AVAIL_KINDS; i++)
		rates.rate[i] = (struct availability_rate){3600 * SEC_NS, 0};
	rates.rate[AVAIL_OUTSIDE] = (struct availability_rate){9 * SEC_NS, SEC_NS};
	rates.rate[AVAIL_HOST] = (struct availability_rate){99 * SEC_NS, SEC_NS};
	gone = (size_t)topology_find_failure(t, "outside a");
	assert_int_equal(avail_work_out(t, &rates, NULL, &gone, 1, &a), 0);
	assert_int_equal(a.n_twins, 2);
	assert_true(a.twin[0].down > 0.1); /* b is all that is left, whoever helps */
	topology_free(t);
	cluster_unref(c);
}

/* Never more digits than one. */
static void
test_digits(void **state)
{
	static const struct {
		double down;
		const char *percent, *a_year;
	} row[] = {
	    {0, "100 %", "0 ms"},
	    {3.3e-5, "99.997 %", "20 min"},
	    {9.6e-6, "99.999 %", "5 min"},
	    {1.04e-4, "99.99 %", "50 min"},
	    {0.0123, "99 %", "4 days"},
	    {0.3, "70 %", "100 days"},
	    {1e-9, "99.9999999 %", "30 ms"},
	    {1, "0 %", "400 days"},
	};
	char text[AVAIL_TEXT_LEN];

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		assert_string_equal(avail_percent(row[i].down, text), row[i].percent);
		assert_string_equal(avail_a_year(row[i].down, text), row[i].a_year);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_single_failures),
	    cmocka_unit_test(test_vpns),
	    cmocka_unit_test(test_ways_in),
	    cmocka_unit_test(test_pairs),
	    cmocka_unit_test(test_data_goals),
	    cmocka_unit_test(test_availability),
	    cmocka_unit_test(test_twins),
	    cmocka_unit_test(test_digits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
