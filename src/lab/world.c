/* SPDX-License-Identifier: Apache-2.0 */
/* A world's life: what it consists of, what runs in it, and its end. */
#include "lab/world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/control.h"
#include "config/writer.h"
#include "lab/cables.h"
#include "lab/peers.h"
#include "lab/ways.h"
#include "lab/web.h"
#include "os/child.h"
#include "os/netns.h"
#include "os/wgkey.h"
#include "os/whole.h"
#include "part/part.h"
#include "supervisor/parts.h"

#define FILE_MAX ((size_t)1 << 20)
#define KEY_LEN	 ((size_t)32)
#define DISK_MIB 16 /* of each host */

int
world_index(const struct world *w, const struct host *h)
{
	for (size_t i = 0; i < w->n_hosts; i++) {
		if (w->host[i].host == h)
			return (int)i;
	}
	return -1;
}

int
world_init(
    struct world *w, const char *name, const struct cluster *c, enum engine engine)
{
	*w = (struct world){.engine = engine, .n_hosts = c->n_hosts};
	if (c->n_hosts > OWNERS_HOSTS_MAX)
		return -E2BIG;
	if (strlen(name) > WORLD_NAME_MAX)
		return -ENAMETOOLONG;
	(void)snprintf(w->name, sizeof(w->name), "%s", name);
	(void)snprintf(w->dir, sizeof(w->dir), "%s/%s", WORLD_DIR, name);
	(void)snprintf(w->key, sizeof(w->key), "%s/key", w->dir);
	(void)snprintf(w->vpn_key, sizeof(w->vpn_key), "%s/vpn.key", w->dir);
	(void)snprintf(w->sw, sizeof(w->sw), "nines-%s-switch", name);
	if (readlink("/proc/self/exe", w->self, sizeof(w->self) - 1) < 0)
		return -errno;
	w->outside = ways_outside(c);
	(void)snprintf(w->internet, sizeof(w->internet), "nines-%s-internet", name);
	w->nginx = access("/usr/sbin/nginx", X_OK) == 0;
	for (size_t i = 0; i < c->n_hosts; i++) {
		struct world_host *h = &w->host[i];

		h->host = &c->host[i];
		(void)snprintf(
		    h->ns, sizeof(h->ns), "nines-%s-%s", name, c->host[i].name);
		h->balances = parts_any(c, h->host);
		h->serves = cluster_has_server_at(c, h->host);
	}
	if ((mkdir(WORLD_DIR, 0755) != 0 && errno != EEXIST) ||
	    mkdir(w->dir, 0755) != 0)
		return -errno;
	w->cluster = cluster_ref(c);
	return 0;
}

void
world_done(struct world *w)
{
	cluster_unref(w->cluster);
	w->cluster = NULL;
}

/* Copies what is to differ; all else is shared with the original. */
struct variant {
	struct cluster cluster;
	struct floating_ip *floating_ip;
	struct service *service;
	struct vpn *vpn;
	struct vpn_peer *peer;	/* of the VPN that has a guest */
	struct server **server; /* one array per service */
};

static void
variant_done(struct variant *v, size_t n_services)
{
	for (size_t i = 0; v->server != NULL && i < n_services; i++)
		free(v->server[i]);
	free(v->server);
	free(v->service);
	free(v->vpn);
	free(v->peer);
	free(v->floating_ip);
}

static int
vary_weights(struct variant *v, const struct cluster *c)
{
	for (size_t i = 0; i < c->n_services; i++) {
		const struct service *s = &c->service[i];

		v->server[i] = calloc(s->n_servers + 1, sizeof(*s->server));
		if (v->server[i] == NULL)
			return -ENOMEM;
		for (size_t k = 0; k < s->n_servers; k++) {
			v->server[i][k] = s->server[k];
			if (s->server[k].weight > 0 && s->server[k].weight < 1000)
				v->server[i][k].weight++;
		}
		v->service[i].server = v->server[i];
	}
	return 0;
}

/* The guest beside those whom the file lets in. */
static int
add_guest(struct variant *v, const struct world_guest *g)
{
	struct vpn *vpn;

	if (g->vpn == NULL)
		return 0;
	vpn = &v->vpn[g->vpn->index];
	v->peer = calloc(vpn->n_peers + 1, sizeof(*v->peer));
	if (v->peer == NULL)
		return -ENOMEM;
	if (vpn->n_peers > 0)
		memcpy(v->peer, vpn->peer, vpn->n_peers * sizeof(*v->peer));
	v->peer[vpn->n_peers++] = g->peer;
	vpn->peer = v->peer;
	return 0;
}

static int
variant_init(
    struct variant *v, const struct world *w, const struct world_change *change)
{
	const struct cluster *c = w->cluster;

	*v = (struct variant){.cluster = *c};
	v->floating_ip = calloc(c->n_floating_ips + 1, sizeof(*v->floating_ip));
	v->service = calloc(c->n_services + 1, sizeof(*v->service));
	v->vpn = calloc(c->n_vpns + 1, sizeof(*v->vpn));
	v->server = calloc(c->n_services + 1, sizeof(*v->server));
	if (v->floating_ip == NULL || v->service == NULL || v->server == NULL ||
	    v->vpn == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_floating_ips; i++) {
		v->floating_ip[i] = c->floating_ip[i];
		if (change->heartbeat_ns > 0)
			v->floating_ip[i].heartbeat_ns = change->heartbeat_ns;
		if (change->failback)
			v->floating_ip[i].failback = true;
	}
	for (size_t i = 0; i < c->n_services; i++)
		v->service[i] = c->service[i];
	/* Nobody is there to confirm rules, and nobody to be locked out. */
	v->cluster.host_firewall.confirm_ns = 0;
	/* The file's secrets are not here, and not wanted here. */
	if (c->firewall.sync != NULL)
		v->cluster.firewall.key_file = w->key;
	for (size_t i = 0; i < c->n_vpns; i++) {
		v->vpn[i] = c->vpn[i];
		v->vpn[i].key_file = w->vpn_key;
	}
	v->cluster.vpn = v->vpn;
	v->cluster.floating_ip = v->floating_ip;
	v->cluster.host_firewall.confirm_ns = 0; /* nobody can be locked out of it */
	v->cluster.service = v->service;
	if (add_guest(v, &w->guest) != 0)
		return -ENOMEM;
	return change->weights ? vary_weights(v, c) : 0;
}

int
world_write_file(struct world *w, const struct world_change *change)
{
	char path[WORLD_PATH_LEN + 16];
	struct variant v;
	struct sbuf text;
	int err;

	(void)snprintf(path, sizeof(path), "%s/cluster.yaml", w->dir);
	sbuf_init(&text, FILE_MAX);
	err = variant_init(&v, w, change);
	if (err == 0)
		cluster_write(&v.cluster, true, &text);
	variant_done(&v, w->cluster->n_services);
	if (err == 0)
		err = whole_file(path, 0644, &text);
	sbuf_done(&text);
	return err;
}

static void
log_path(const struct world *w, size_t host, const char *what, char *path, size_t size)
{
	(void)snprintf(path, size, "%s/%s.%s", w->dir, w->host[host].host->name, what);
}

static int
start_back(struct world *w, size_t host, const char *dir, const char *log)
{
	struct world_host *h = &w->host[host];
	const char *argv[] = {
	    w->self, "lab", "web", h->host->name, dir, WEB_BACK, NULL};
	struct child child = {.argv = argv, .netns = h->ns, .log = log};
	pid_t pid = child_start(&child);

	if (pid < 0)
		return pid;
	h->back = pid;
	return 0;
}

int
world_start_web(struct world *w, size_t host)
{
	struct world_host *h = &w->host[host];
	char dir[WORLD_PATH_LEN + 80], conf[WORLD_PATH_LEN + 80];
	char log[WORLD_PATH_LEN + 80], port[16][8];
	const char *argv[24] = {w->self, "lab", "web", h->host->name, dir};
	struct child child = {.argv = argv, .netns = h->ns, .log = log};
	size_t n = 5, k = 0;
	struct sbuf text;
	pid_t pid;
	int err;

	log_path(w, host, "web", dir, sizeof(dir));
	log_path(w, host, "web.conf", conf, sizeof(conf));
	log_path(w, host, "web.log", log, sizeof(log));
	if (mkdir(dir, 0755) != 0 && errno != EEXIST)
		return -errno;
	if (w->nginx) {
		sbuf_init(&text, FILE_MAX);
		web_nginx_conf(w->cluster, h->host, dir, &text);
		err = whole_file(conf, 0644, &text);
		sbuf_done(&text);
		if (err != 0)
			return err;
		argv[0] = "/usr/sbin/nginx";
		argv[1] = "-c";
		argv[2] = conf;
		argv[3] = "-e";
		argv[4] = "stderr";
	}
	for (size_t i = 0; !w->nginx && i < w->cluster->n_services; i++) {
		const struct service *s = &w->cluster->service[i];

		for (size_t j = 0; j < s->n_servers && k < ARRAY_LEN(port); j++) {
			if (s->server[j].host != h->host)
				continue;
			(void)snprintf(port[k], sizeof(port[k]), "%u",
			    (unsigned)s->server[j].at.port);
			argv[n++] = port[k++];
		}
	}
	pid = child_start(&child);
	if (pid < 0)
		return pid;
	h->web = pid;
	return w->nginx && h->back == 0 ? start_back(w, host, dir, log) : 0;
}

static int
start_nines(struct world *w, size_t host)
{
	struct world_host *h = &w->host[host];
	char file[WORLD_PATH_LEN + 16], dir[WORLD_PATH_LEN + 80];
	char log[WORLD_PATH_LEN + 80];
	const char *argv[] = {w->self, "run", "--host", h->host->name, "-f", file,
	    "--run-dir", dir, NULL};
	struct child child = {.argv = argv, .netns = h->ns, .log = log};
	pid_t pid;

	(void)snprintf(file, sizeof(file), "%s/cluster.yaml", w->dir);
	log_path(w, host, "run", dir, sizeof(dir));
	log_path(w, host, "log", log, sizeof(log));
	pid = child_start(&child);
	if (pid < 0)
		return pid;
	h->run = pid;
	return 0;
}

int
world_start_balancer(struct world *w, size_t host)
{
	return w->engine == ENGINE_NINES ? start_nines(w, host) : peers_start(w, host);
}

/* A file system of its own for what the program writes, so that it can be full. */
static int
mount_disk(const struct world *w, size_t host)
{
	char dir[WORLD_PATH_LEN + 80], options[40];

	(void)snprintf(options, sizeof(options), "size=%dm,mode=755", DISK_MIB);
	log_path(w, host, "run", dir, sizeof(dir));
	if (mkdir(dir, 0755) != 0 && errno != EEXIST)
		return -errno;
	return mount("none", dir, "tmpfs", MS_NOSUID | MS_NODEV, options) == 0 ? 0
									       : -errno;
}

int
world_fill(struct world *w, size_t host, bool full)
{
	static const char zeros[65536];
	char dir[WORLD_PATH_LEN + 80], path[WORLD_PATH_LEN + 96];
	ssize_t n = 1;
	int fd, err;

	log_path(w, host, "run", dir, sizeof(dir));
	(void)snprintf(path, sizeof(path), "%s/full", dir);
	if (!full)
		return unlink(path) == 0 ? 0 : -errno;
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	for (size_t i = 0; i <= (size_t)DISK_MIB * 16 && n > 0; i++)
		n = write(fd, zeros, sizeof(zeros));
	err = n < 0 ? errno : 0;
	(void)close(fd);
	if (err == ENOSPC)
		return 0;
	(void)unlink(path); /* it has no disk of its own: leave the machine's alone */
	return -ENODEV;
}

static int
write_secret(const char *path, struct sbuf *text)
{
	int err = whole_file(path, 0600, text);

	sbuf_done(text);
	return err;
}

/* A secret of the lab's own, for what its hosts share. */
static int
write_key(struct world *w)
{
	uint8_t random[KEY_LEN];
	struct sbuf text;

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	sbuf_init(&text, FILE_MAX);
	sbuf_hex(&text, random, sizeof(random));
	sbuf_puts(&text, "\n");
	return write_secret(w->key, &text);
}

/* Of the gateways of all VPNs. */
static int
write_vpn_key(struct world *w)
{
	uint8_t key[WGKEY_LEN];
	char digits[WGKEY_TEXT_LEN];
	struct sbuf text;
	int err = wgkey_make(key);

	if (err != 0)
		return err;
	sbuf_init(&text, FILE_MAX);
	sbuf_puts(&text, base64_encode(key, sizeof(key), digits));
	return write_secret(w->vpn_key, &text);
}

int
world_build(struct world *w, const struct world_change *change, struct sbuf *why)
{
	int err = cables_lay(w, why);

	w->heartbeat_ns = change->heartbeat_ns;
	if (err != 0)
		return err;
	for (size_t i = 0; i < w->n_hosts; i++) {
		err = w->host[i].balances ? mount_disk(w, i) : 0;
		if (err != 0) {
			sbuf_printf(why, "cannot mount a disk for %s: %s",
			    w->host[i].host->name, strerror(-err));
			return err;
		}
	}
	err = write_key(w);
	if (err == 0 && w->cluster->n_vpns > 0)
		err = write_vpn_key(w);
	if (err == 0)
		err = world_write_file(w, change);
	if (err != 0)
		sbuf_printf(why, "%s/cluster.yaml: %s", w->dir, strerror(-err));
	return err;
}

int
world_run(struct world *w, struct sbuf *why)
{
	for (size_t i = 0; i < w->n_hosts; i++) {
		int err = w->host[i].serves ? world_start_web(w, i) : 0;

		if (err == 0 && w->host[i].balances)
			err = world_start_balancer(w, i);
		if (err != 0) {
			sbuf_printf(why, "cannot start what %s runs: %s",
			    w->host[i].host->name, strerror(-err));
			return err;
		}
	}
	return 0;
}

void
world_kill(pid_t *pid, int signo)
{
	if (*pid <= 0)
		return;
	(void)kill(*pid, signo);
	while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
		;
	*pid = 0;
}

void
world_kill_host(struct world *w, size_t host)
{
	struct world_host *h = &w->host[host];

	/* Twice: what the first round killed may just have been starting others. */
	(void)netns_signal(h->ns, SIGKILL, NULL, 0);
	(void)netns_signal(h->ns, SIGKILL, NULL, 0);
	world_kill(&h->run, SIGKILL);
	world_kill(&h->proxy, SIGKILL);
	world_kill(&h->web, SIGKILL);
	world_kill(&h->back, SIGKILL);
}

int
world_order(struct world *w, size_t host, const char *const *words, json_t **answer)
{
	char dir[WORLD_PATH_LEN + 80], *argv[4] = {NULL};
	json_t *got = NULL;
	int argc = 0, err;

	log_path(w, host, "run", dir, sizeof(dir));
	while (argc < (int)ARRAY_LEN(argv) && words[argc] != NULL) {
		argv[argc] = (char *)(uintptr_t)words[argc];
		argc++;
	}
	err = control_ask(dir, argc, argv, &got);
	if (err != 0)
		return err;
	if (!json_is_true(json_object_get(got, "ok")))
		err = -EPROTO;
	if (answer != NULL)
		*answer = got;
	else
		json_decref(got);
	return err;
}

pid_t
world_part(struct world *w, size_t host, const char *part, char *state, size_t size)
{
	static const char *const words[] = {"status", NULL};
	const json_t *p;
	json_t *status = NULL;
	pid_t pid = 0;
	size_t i;

	if (state != NULL)
		state[0] = '\0';
	if (world_order(w, host, words, &status) == 0) {
		json_array_foreach(json_object_get(status, "parts"), i, p)
		{
			const char *name =
			    json_string_value(json_object_get(p, "name"));

			const char *is = json_string_value(json_object_get(p, "state"));

			if (name == NULL || strcmp(name, part) != 0)
				continue;
			pid = (pid_t)json_integer_value(json_object_get(p, "pid"));
			if (state != NULL && is != NULL)
				(void)snprintf(state, size, "%s", is);
		}
	}
	json_decref(status);
	return pid;
}

/* What the hosts tell one another has arrived: the next failure finds it there. */
static bool
in_step(const struct world *w, size_t host, const json_t *status)
{
	const struct host *me = w->host[host].host;
	const char *state = control_fact(status, "sync state");
	char key[FACT_KEY_LEN];

	if (state[0] != '\0' && strcmp(state, "up") != 0)
		return false;
	for (size_t i = 0; i < w->cluster->n_vpns; i++) {
		const struct vpn *v = &w->cluster->vpn[i];

		if (v->sync == NULL || !vpn_on_host(v, me))
			continue;
		(void)snprintf(key, sizeof(key), "vpn %s sync", v->name);
		if (strcmp(control_fact(status, key), "up") != 0)
			return false;
	}
	return true;
}

bool
world_ready(struct world *w, size_t host)
{
	static const char *const words[] = {"status", NULL};
	json_t *status = NULL;
	const json_t *p;
	bool ready;
	size_t i;

	if (w->engine == ENGINE_KEEPALIVED)
		return w->host[host].run > 0;
	ready = world_order(w, host, words, &status) == 0;
	json_array_foreach(json_object_get(status, "parts"), i, p)
	{
		const char *state = json_string_value(json_object_get(p, "state"));

		if (state == NULL || strcmp(state, "up") != 0)
			ready = false;
	}
	ready = ready && in_step(w, host, status);
	json_decref(status);
	return ready;
}

int
world_each_ns(const char *name, void (*cb)(void *arg, const char *ns), void *arg)
{
	char path[WORLD_PATH_LEN], line[WORLD_NS_LEN];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s/namespaces", WORLD_DIR, name);
	f = fopen(path, "re");
	if (f == NULL)
		return -errno;
	while (fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		/* Whatever the file says: nobody else's namespace is touched. */
		if (strncmp(line, "nines-", 6) == 0 && strchr(line, '/') == NULL)
			cb(arg, line);
	}
	(void)fclose(f);
	return 0;
}

static void
destroy_ns(void *arg, const char *ns)
{
	const char *argv[] = {"ip", "netns", "del", ns, NULL};
	struct child child = {.argv = argv};

	(void)arg;
	for (int i = 0; i < 5 && netns_signal(ns, SIGKILL, NULL, 0) > 0; i++)
		;
	(void)!child_run(&child, NULL);
}

/* The disks of a world's hosts; what is still open there goes with its process. */
static void
unmount_disks(const char *dir)
{
	struct dirent **entry;
	char path[WORLD_PATH_LEN + NAME_MAX + 2];
	int n = scandir(dir, &entry, NULL, NULL);

	for (int i = 0; i < n; i++) {
		size_t len = strlen(entry[i]->d_name);

		(void)snprintf(path, sizeof(path), "%s/%s", dir, entry[i]->d_name);
		if (len > 4 && strcmp(entry[i]->d_name + len - 4, ".run") == 0)
			(void)umount2(path, MNT_DETACH);
		free(entry[i]);
	}
	if (n >= 0)
		free(entry);
}

int
world_destroy(const char *name)
{
	char dir[WORLD_PATH_LEN];
	const char *argv[] = {"rm", "-rf", "--one-file-system", dir, NULL};
	struct child child = {.argv = argv};
	struct stat st;
	int err;

	if (name[0] == '\0' || name[0] == '.' || strchr(name, '/') != NULL)
		return -EINVAL;
	(void)snprintf(dir, sizeof(dir), "%s/%s", WORLD_DIR, name);
	if (stat(dir, &st) != 0)
		return -errno;
	err = world_each_ns(name, destroy_ns, NULL);
	if (err != 0 && err != -ENOENT)
		return err;
	unmount_disks(dir);
	err = child_run(&child, NULL);
	return err > 0 ? -EIO : err;
}
