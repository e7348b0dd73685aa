/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where clients may go: a table of our own in the packet filter, loaded as a whole. It
 * only ever refuses, so that it agrees with any firewall beside it.
 */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "os/child.h"
#include "os/netlink.h"
#include "os/setting.h"
#include "vpn/vpn_shell.h"

#define TABLE	  "inet nines_vpn"
#define RULES_MAX ((size_t)1 << 20)

static const char *
family(const struct ip *ip)
{
	return ip->family == AF_INET6 ? "ip6" : "ip";
}

/* One rule for each network of `reach`: anonymous sets do not take what overlaps. */
static void
reach_rules(const struct vpn *v, const char *side, struct sbuf *out)
{
	char text[IP_STR_LEN];

	for (size_t i = 0; i < v->reach.n; i++) {
		const struct ip_net *net = &v->reach.net[i];

		sbuf_printf(out, "\t\t%s %s %s/%u accept\n", family(&net->ip), side,
		    ip_format(&net->ip, text), net->bits);
	}
}

static void
own_chains(const struct vpn *v, struct sbuf *out)
{
	char text[IP_STR_LEN];

	sbuf_printf(out, "\tchain from_%zu {\n", v->index);
	reach_rules(v, "daddr", out);
	sbuf_puts(out, "\t\tcounter drop\n\t}\n");
	sbuf_printf(out, "\tchain to_%zu {\n\t\tct state established,related accept\n",
	    v->index);
	reach_rules(v, "saddr", out);
	sbuf_puts(out, "\t\tcounter drop\n\t}\n");
	/* This host is no way round: it is like any other, but for pings in the tunnel.
	 */
	sbuf_printf(out,
	    "\tchain local_%zu {\n\t\tct state established,related accept\n"
	    "\t\t%s daddr %s meta l4proto { icmp, ipv6-icmp } accept\n",
	    v->index, family(&v->address), ip_format(&v->address, text));
	reach_rules(v, "daddr", out);
	sbuf_puts(out, "\t\tcounter drop\n\t}\n");
	sbuf_printf(out,
	    "\tchain source_%zu {\n\t\t%s saddr set %s\n"
	    "\t\tfib saddr type local accept\n\t\tcounter drop\n\t}\n",
	    v->index, family(&v->listen.ip), ip_format(&v->listen.ip, text));
}

static void
forward_rules(const struct vpn *v, struct sbuf *out)
{
	sbuf_printf(out,
	    "\t\tiifname \"%s\" tcp flags & (syn | rst) == syn "
	    "tcp option maxseg size set rt mtu\n"
	    "\t\toifname \"%s\" tcp flags & (syn | rst) == syn "
	    "tcp option maxseg size set rt mtu\n"
	    "\t\tiifname \"%s\" jump from_%zu\n"
	    "\t\toifname \"%s\" jump to_%zu\n",
	    v->interface, v->interface, v->interface, v->index, v->interface, v->index);
}

static void
masquerade_rules(const struct vpn *v, struct sbuf *out)
{
	char text[IP_STR_LEN];

	if (v->masquerade)
		sbuf_printf(out, "\t\toifname != \"%s\" %s saddr %s/%u masquerade\n",
		    v->interface, family(&v->subnet.ip), ip_format(&v->subnet.ip, text),
		    v->subnet.bits);
}

#define EACH_VPN(v, c, me)                                                            \
	for (const struct vpn *v = (c)->vpn, *v##_end = v + (c)->n_vpns; v < v##_end; \
	     v++)                                                                     \
		if (vpn_on_host(v, me))

void
vpn_rules_text(const struct cluster *c, const struct host *me, struct sbuf *out)
{
	sbuf_puts(out, "table " TABLE "\ndelete table " TABLE "\ntable " TABLE " {\n");
	EACH_VPN(v, c, me)
	own_chains(v, out);
	sbuf_puts(out,
	    "\tchain forward {\n"
	    "\t\ttype filter hook forward priority filter; policy accept;\n");
	EACH_VPN(v, c, me)
	forward_rules(v, out);
	sbuf_puts(out, "\t}\n\tchain input {\n"
		       "\t\ttype filter hook input priority filter; policy accept;\n");
	EACH_VPN(v, c, me)
	sbuf_printf(out, "\t\tiifname \"%s\" jump local_%zu\n", v->interface, v->index);
	/*
	 * What WireGuard says first to a client has the source that the route gives it,
	 * this host's own address; the client would answer there from then on, and with
	 * the next failover to nobody. Where that address is not here, it says nothing
	 * at all, whatever has become of us. Before connection tracking, which shall
	 * know only one address of it.
	 */
	sbuf_puts(out, "\t}\n\tchain output {\n"
		       "\t\ttype filter hook output priority raw; policy accept;\n");
	EACH_VPN(v, c, me)
	sbuf_printf(out, "\t\tmeta mark 0x%08x udp sport %u jump source_%zu\n",
	    vpn_mark(v), v->listen.port, v->index);
	sbuf_puts(out, "\t}\n\tchain postrouting {\n\t\ttype nat hook postrouting "
		       "priority srcnat; policy accept;\n");
	EACH_VPN(v, c, me)
	masquerade_rules(v, out);
	sbuf_puts(out, "\t}\n}\n");
}

static int
run_nft(const char *text, char why[static WG_WHY_LEN])
{
	static const char *const argv[] = {"nft", "-f", "-", NULL};
	const struct child nft = {.argv = argv, .input = text};
	struct sbuf out;
	int status;

	sbuf_init(&out, RULES_MAX);
	status = child_run(&nft, &out);
	if (status == 127)
		(void)snprintf(why, WG_WHY_LEN,
		    "cannot run nft, which keeps clients within bounds: install "
		    "nftables");
	else if (status != 0)
		(void)snprintf(why, WG_WHY_LEN, "nft refuses the rules: %.100s",
		    out.len > 0 ? sbuf_text(&out) : strerror(status < 0 ? -status : 0));
	why[strcspn(why, "\n")] = '\0';
	sbuf_done(&out);
	return status == 0 ? 0 : status < 0 ? status : -EIO;
}

/* ---- forwarding ---------------------------------------------------------------- */

static void
forward(const char *setting)
{
	int err = setting_write(setting, "1");

	if (err != 0)
		log_event(LOG_WARN, "forwarding", "path=/proc/sys/net/%s error=\"%s\"",
		    setting, strerror(-err));
}

static void
forward_from(const char *interface)
{
	char name[SETTING_NAME_LEN];

	(void)snprintf(name, sizeof(name), "ipv4/conf/%s/forwarding", interface);
	forward(name);
}

struct look {
	const struct vpn_shell *sh;
	const struct vpn *vpn;
};

/* True if clients of `v` come in elsewhere. */
static bool
is_inside(const struct vpn *v, const struct network *net)
{
	return !net->dedicated &&
	       (v->floating_ip == NULL || net != v->floating_ip->network);
}

static void
on_addr(void *arg, const struct netlink_addr *a)
{
	const struct look *k = arg;
	const struct host *me = k->sh->me;
	char name[IF_NAMESIZE];

	for (size_t i = 0; i < me->n_addresses; i++) {
		if (is_inside(k->vpn, me->address[i].network) &&
		    ip_equal(&me->address[i].ip, &a->ip) &&
		    if_indextoname(a->index, name) != NULL)
			forward_from(name);
	}
}

/*
 * Packets are forwarded that come in from the tunnel and from the inside, which is
 * every network of this host but the one that clients come in from. The other
 * interfaces stay as they are: this host becomes no router for all the world.
 */
void
vpn_rules_forward(const struct vpn_shell *sh, const struct vpn *v)
{
	struct look k = {.sh = sh, .vpn = v};
	struct netlink *nl;

	if (v->subnet.ip.family == AF_INET6) { /* there is no less of it */
		forward("ipv6/conf/all/forwarding");
		return;
	}
	forward_from(v->interface);
	nl = netlink_open();
	if (nl == NULL || netlink_addrs(nl, on_addr, &k) != 0)
		log_event(LOG_WARN, "forwarding", "error=\"no addresses\"");
	netlink_close(nl);
}

int
vpn_rules_load(const struct vpn_shell *sh, char why[static WG_WHY_LEN])
{
	struct sbuf text;
	int err;

	sbuf_init(&text, RULES_MAX);
	vpn_rules_text(sh->cluster, sh->me, &text);
	err = text.bad ? -ENOMEM : run_nft(sbuf_text(&text), why);
	sbuf_done(&text);
	return err;
}

void
vpn_rules_remove(void)
{
	char why[WG_WHY_LEN] = "";

	if (run_nft("table " TABLE "\ndelete table " TABLE "\n", why) != 0)
		log_event(LOG_WARN, "rules", "error=\"%s\"", why);
}
