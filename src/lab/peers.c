/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/peers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/child.h"
#include "os/whole.h"

#define CONF_MAX   ((size_t)1 << 20)
#define KEEPALIVED "/usr/sbin/keepalived"
#define HAPROXY	   "/usr/sbin/haproxy"

bool
peers_installed(void)
{
	return access(KEEPALIVED, X_OK) == 0 && access(HAPROXY, X_OK) == 0;
}

static void
backend(const struct service *s, struct sbuf *out)
{
	const struct check_conf *k = &s->check;
	char at[IP_ENDPOINT_LEN];

	sbuf_printf(out, " balance roundrobin\n");
	if (k->type == CHECK_HTTP)
		sbuf_printf(out, " option httpchk %s %s\n", k->method, k->path);
	for (size_t i = 0; i < s->n_servers; i++)
		sbuf_printf(out,
		    " server s%zu %s check inter %" PRId64 "ms fall %u rise %u%s\n", i,
		    ip_endpoint_format(&s->server[i].at, at), k->every_ns / MS_NS,
		    k->fall, k->rise, s->server[i].backup ? " backup" : "");
}

void
peers_haproxy_conf(const struct cluster *c, const struct host *h, struct sbuf *out)
{
	char at[IP_ENDPOINT_LEN];

	sbuf_puts(out, "global\n maxconn 4000\n"
		       "defaults\n timeout connect 2s\n timeout client 60s\n"
		       " timeout server 60s\n retries 3\n option redispatch\n");
	for (size_t i = 0; i < c->n_services; i++) {
		const struct service *s = &c->service[i];

		if (!service_on_host(s, h))
			continue;
		sbuf_printf(out, "listen %s\n mode %s\n", s->name,
		    s->mode == MODE_HTTP ? "http" : "tcp");
		for (size_t k = 0; k < s->n_listen; k++)
			sbuf_printf(out, " bind %s\n",
			    ip_endpoint_format(&s->listen[k].at, at));
		backend(s, out);
	}
}

void
peers_keepalived_conf(
    const struct world *w, size_t host, const char *check, struct sbuf *out)
{
	const struct cluster *c = w->cluster;
	const struct host *h = w->host[host].host;
	char interface[16], ip[IP_STR_LEN];

	sbuf_printf(out,
	    "global_defs {\n router_id %s\n script_user root\n}\n"
	    "vrrp_script alive {\n script \"%s\"\n interval 1\n timeout 1\n"
	    " rise 1\n fall 1\n}\n",
	    h->name, check);
	for (size_t i = 0; i < c->n_floating_ips; i++) {
		const struct floating_ip *f = &c->floating_ip[i];
		int rank = floating_ip_rank(f, h);
		int64_t cs =
		    (w->heartbeat_ns > 0 ? w->heartbeat_ns : f->heartbeat_ns) / CS_NS;

		if (rank < 0)
			continue;
		world_interface(w, host, f->network, interface);
		sbuf_printf(out,
		    "vrrp_instance %s {\n state BACKUP\n version 3\n interface %s\n"
		    " virtual_router_id %u\n priority %d\n"
		    " advert_int %" PRId64 ".%02" PRId64 "\n%s",
		    f->name, interface, (unsigned)f->vrid, 150 - 50 * rank, cs / 100,
		    cs % 100, f->failback ? "" : " nopreempt\n");
		sbuf_puts(out, " virtual_ipaddress {\n");
		for (size_t k = 0; k < f->n_addresses; k++)
			sbuf_printf(out, "  %s/%u dev %s\n",
			    ip_format(&f->address[k], ip),
			    (unsigned)f->network->subnet.bits, interface);
		sbuf_puts(out, " }\n track_script {\n  alive\n }\n}\n");
	}
}

/* Writes its configuration, and frees that. */
static int
start(const struct child *child, const char *conf, struct sbuf *text, pid_t *pid)
{
	int err = whole_file(conf, 0644, text);
	pid_t started = err == 0 ? child_start(child) : err;

	sbuf_done(text);
	if (started < 0)
		return started;
	*pid = started;
	return 0;
}

static void
path_of(const struct world *w, size_t host, const char *what, char *path)
{
	(void)snprintf(path, WORLD_PATH_LEN + 80, "%s/%s.%s", w->dir,
	    w->host[host].host->name, what);
}

static int
start_haproxy(struct world *w, size_t host)
{
	char conf[WORLD_PATH_LEN + 80], log[WORLD_PATH_LEN + 80];
	const char *argv[] = {HAPROXY, "-db", "-f", conf, NULL};
	struct child child = {.argv = argv, .netns = w->host[host].ns, .log = log};
	struct sbuf text;

	path_of(w, host, "haproxy", conf);
	path_of(w, host, "haproxy.log", log);
	sbuf_init(&text, CONF_MAX);
	peers_haproxy_conf(w->cluster, w->host[host].host, &text);
	return start(&child, conf, &text, &w->host[host].proxy);
}

/* The usual look at a process: it exists and is not a zombie. */
static int
write_check(const struct world *w, size_t host, const char *path)
{
	struct sbuf text;
	int err, pid = (int)w->host[host].proxy;

	sbuf_init(&text, CONF_MAX);
	sbuf_printf(&text,
	    "#!/bin/sh\ntest -e /proc/%d/cmdline &&\n"
	    "\t! grep -q '^State:.Z' /proc/%d/status\n",
	    pid, pid);
	err = whole_file(path, 0755, &text);
	sbuf_done(&text);
	return err;
}

static int
start_keepalived(struct world *w, size_t host, const char *check)
{
	char conf[WORLD_PATH_LEN + 80], log[WORLD_PATH_LEN + 80];
	char pid1[WORLD_PATH_LEN + 80], pid2[WORLD_PATH_LEN + 80];
	const char *argv[] = {
	    KEEPALIVED, "-n", "-l", "-P", "-f", conf, "-p", pid1, "-r", pid2, NULL};
	struct child child = {.argv = argv, .netns = w->host[host].ns, .log = log};
	struct sbuf text;

	path_of(w, host, "keepalived", conf);
	path_of(w, host, "keepalived.log", log);
	path_of(w, host, "keepalived.pid", pid1);
	path_of(w, host, "vrrp.pid", pid2);
	(void)unlink(pid1); /* one left by a killed run would be believed */
	(void)unlink(pid2);
	sbuf_init(&text, CONF_MAX);
	peers_keepalived_conf(w, host, check, &text);
	return start(&child, conf, &text, &w->host[host].run);
}

int
peers_start(struct world *w, size_t host)
{
	char check[WORLD_PATH_LEN + 80];
	int err = 0;

	path_of(w, host, "check", check);
	if (w->host[host].proxy == 0) {
		err = start_haproxy(w, host);
		if (err == 0)
			err = write_check(w, host, check);
	}
	if (err == 0 && w->host[host].run == 0)
		err = start_keepalived(w, host, check);
	return err;
}
