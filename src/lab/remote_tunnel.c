/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/remote_tunnel.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lab/cables.h"
#include "os/child.h"
#include "os/wgkey.h"

#define PROGRAM	   "/usr/bin/wireguard-go"
#define SOCKETS	   "/var/run/wireguard" /* where it puts them */
#define PATIENCE   250			/* times 20 ms, until it listens */
#define GOODBYE	   100			/* times 20 ms, until it has ended */
#define TABLE	   51820 /* of routes, for what comes from the tunnel's end */
#define BATCH_MAX  4096
#define ANSWER_MAX 256
#define PEER_NAME  "nines-drill"

static int PRINTF(3, 4)
    explain(char why[static REMOTE_WHY_LEN], int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, REMOTE_WHY_LEN, fmt, ap);
	va_end(ap);
	return err;
}

/* ---- the invitation ------------------------------------------------------------ */

/* The first network that clients of `v` may go to, where somebody is to be asked. */
static const struct network *
reached(const struct cluster *c, const struct vpn *v)
{
	for (size_t i = 0; i < c->n_networks; i++) {
		const struct network *net = &c->network[i];

		for (size_t k = 0; k < v->reach.n && !net->dedicated; k++) {
			const struct ip_net *to = &v->reach.net[k];

			if (to->ip.family == AF_INET && to->bits <= net->subnet.bits &&
			    net->subnet.ip.family == AF_INET &&
			    ip_in_net(&net->subnet.ip, to))
				return net;
		}
	}
	return NULL;
}

static bool
is_taken(const struct vpn *v, const struct ip *ip)
{
	bool taken = ip_equal(ip, &v->address);

	for (size_t i = 0; i < v->n_peers; i++)
		taken = taken || ip_equal(ip, &v->peer[i].address);
	return taken;
}

/* The highest free address of the VPN but the last, which is everybody's. */
static bool
free_address(const struct vpn *v, struct ip *ip)
{
	unsigned host_bits = 32U - v->subnet.bits;

	*ip = v->subnet.ip;
	if (ip->family != AF_INET || host_bits < 2)
		return false;
	for (unsigned bit = v->subnet.bits; bit < 31; bit++)
		ip->byte[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	while (is_taken(v, ip)) {
		for (size_t i = 4; i-- > 0;) {
			if (ip->byte[i]-- != 0)
				break;
		}
		if (!ip_in_net(ip, &v->subnet) || ip_equal(ip, &v->subnet.ip))
			return false;
	}
	return true;
}

bool
remote_invite(struct world *w, char why[static REMOTE_WHY_LEN])
{
	const struct cluster *c = w->cluster;
	struct world_guest *g = &w->guest;
	const struct vpn *v = c->n_vpns > 0 ? &c->vpn[0] : NULL;

	why[0] = '\0';
	if (v == NULL)
		return false;
	if (w->outside == NULL || reached(c, v) == NULL ||
	    v->n_peers >= VPN_PEERS_MAX || !free_address(v, &g->peer.address))
		(void)explain(
		    why, 0, "in this lab nobody is outside, or in its \"reach\"");
	else if (wgkey_make(g->key) != 0 || wgkey_public(g->peer.key, g->key) != 0)
		(void)explain(why, 0, "no key");
	if (why[0] != '\0')
		return false;
	g->peer.name = PEER_NAME;
	g->vpn = v;
	return true;
}

/* ---- wireguard-go -------------------------------------------------------------- */

static void
put_hex(struct sbuf *out, const char *name, const uint8_t key[static WGKEY_LEN])
{
	sbuf_printf(out, "%s=", name);
	sbuf_hex(out, key, WGKEY_LEN);
	sbuf_puts(out, "\n");
}

static int
gateway_key(const struct world *w, uint8_t public[static WGKEY_LEN])
{
	int fd = open(w->vpn_key, O_RDONLY | O_CLOEXEC), err;
	uint8_t key[WGKEY_LEN];

	if (fd < 0)
		return -errno;
	err = wgkey_read(fd, key);
	(void)close(fd);
	return err == 0 ? wgkey_public(public, key) : err;
}

/* A connection to it, as soon as it listens; or -errno. */
static int
reach_program(const struct remote_tunnel *t)
{
	static const struct timespec moment = {0, 20 * MS_NS};
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), err = -ETIMEDOUT;

	(void)snprintf(to.sun_path, sizeof(to.sun_path), "%s", t->socket);
	for (int i = 0; fd >= 0 && i < PATIENCE; i++) {
		if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
			return fd;
		err = -errno;
		(void)nanosleep(&moment, NULL);
	}
	err = fd < 0 ? -errno : err;
	if (fd >= 0)
		(void)close(fd);
	return err;
}

/* Its protocol: https://www.wireguard.com/xplatform/ */
static int
configure(const struct remote_tunnel *t, const struct world *w)
{
	const struct vpn *v = w->guest.vpn;
	char at[IP_ENDPOINT_LEN], to[IP_STR_LEN], answer[ANSWER_MAX] = "";
	uint8_t gateway[WGKEY_LEN];
	struct sbuf text;
	int err = gateway_key(w, gateway), fd;
	ssize_t n = -1;

	if (err != 0)
		return err;
	fd = reach_program(t);
	if (fd < 0)
		return fd;
	sbuf_init(&text, BATCH_MAX);
	sbuf_puts(&text, "set=1\n");
	put_hex(&text, "private_key", w->guest.key);
	put_hex(&text, "public_key", gateway);
	sbuf_printf(&text,
	    "endpoint=%s\npersistent_keepalive_interval=%u\nallowed_ip=%s/32\n\n",
	    ip_endpoint_format(&v->listen, at), (unsigned)(v->keepalive_ns / SEC_NS),
	    ip_format(&t->to.ip, to));
	if (!text.bad && write(fd, sbuf_text(&text), text.len) == (ssize_t)text.len)
		n = read(fd, answer, sizeof(answer) - 1);
	sbuf_done(&text);
	(void)close(fd);
	return n > 0 && strncmp(answer, "errno=0\n", 8) == 0 ? 0 : -EPROTO;
}

/* Only what comes from the tunnel's own address goes into it: others in this namespace
 * ask the same networks, past the VPN. */
static int
route(const struct remote_tunnel *t, const struct world *w, struct sbuf *said)
{
	const char *argv[] = {"ip", "-batch", "-", NULL};
	struct child child = {.argv = argv, .netns = t->client};
	char from[IP_STR_LEN], to[IP_STR_LEN];
	struct sbuf text;
	int status;

	sbuf_init(&text, BATCH_MAX);
	(void)ip_format(&t->from.ip, from);
	sbuf_printf(&text,
	    "address add %s/32 dev %s\nlink set %s up mtu %u\n"
	    "route add %s/32 dev %s table %d\nrule add from %s lookup %d\n",
	    from, t->interface, t->interface, w->guest.vpn->mtu,
	    ip_format(&t->to.ip, to), t->interface, TABLE, from, TABLE);
	child.input = sbuf_text(&text);
	status = child_run(&child, said);
	sbuf_done(&text);
	return status > 0 ? -EIO : status;
}

int
remote_tunnel_open(
    struct remote_tunnel *t, struct world *w, char why[static REMOTE_WHY_LEN])
{
	const struct vpn *v = w->guest.vpn;
	const struct network *net = reached(w->cluster, v);
	const char *argv[] = {PROGRAM, "-f", t->interface, NULL};
	char log[WORLD_PATH_LEN + 16];
	struct child child = {.argv = argv, .netns = t->client, .log = log};
	struct sbuf said;
	int err;

	if (access(PROGRAM, X_OK) != 0)
		return explain(why, -ENOENT, "apt install wireguard-go");
	*t = (struct remote_tunnel){.from = {.ip = w->guest.peer.address}};
	ASSERT(net != NULL);
	t->to = (struct ip_endpoint){
	    .ip = cables_client_address(w, net), .port = REMOTE_PORT};
	(void)snprintf(t->interface, sizeof(t->interface), "nd%d", (int)getpid());
	(void)snprintf(t->socket, sizeof(t->socket), SOCKETS "/%s.sock", t->interface);
	(void)snprintf(log, sizeof(log), "%s/remote.log", w->dir);
	world_client(w, NULL, t->client);
	world_client(w, net, t->host);
	t->pid = child_start(&child);
	if (t->pid < 0)
		return explain(
		    why, t->pid, "cannot start " PROGRAM ": %s", strerror(-t->pid));
	sbuf_init(&said, BATCH_MAX);
	err = configure(t, w);
	if (err == 0)
		err = route(t, w, &said);
	if (err == 0)
		err = cables_way_back(w, net, &v->subnet, &said);
	if (err != 0)
		(void)explain(
		    why, err, "no tunnel: %s %.120s", strerror(-err), sbuf_text(&said));
	sbuf_done(&said);
	return err;
}

/* True once it has ended. */
static bool
ended(const struct remote_tunnel *t)
{
	static const struct timespec moment = {0, 20 * MS_NS};

	for (int i = 0; i < GOODBYE; i++) {
		if (waitpid(t->pid, NULL, WNOHANG) != 0)
			return true;
		(void)nanosleep(&moment, NULL);
	}
	return false;
}

/* It removes its socket, unless it hangs. */
void
remote_tunnel_close(struct remote_tunnel *t)
{
	if (t->pid <= 0)
		return;
	(void)kill(t->pid, SIGTERM);
	if (ended(t)) {
		t->pid = 0;
		return;
	}
	world_kill(&t->pid, SIGKILL);
	(void)unlink(t->socket);
}
