/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world.h - a whole cluster on one machine (private to lab/).
 *
 * Each host of the file is a network namespace, each network a bridge in a namespace
 * of its own (the switch), each cable a veth pair, with a client on every network
 * that is not dedicated. Hosts that serve run nginx, or the built-in server of web.h
 * where there is none; hosts that play a part run the program under test.
 *
 * Everything is named after the world (`nines-NAME-...`) and a directory tells what
 * there is, so that world_destroy() can remove it all for another process, also
 * after the one that made it was killed.
 */
#ifndef NINES_LAB_WORLD_H
#define NINES_LAB_WORLD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/check.h"
#include "base/sbuf.h"
#include "config/cluster.h"
#include "lab/owners.h"

#define WORLD_DIR      "/run/nines-lab"
#define WORLD_NAME_MAX 40
#define WORLD_NS_LEN   128
#define WORLD_PATH_LEN 256

enum engine { ENGINE_NINES, ENGINE_KEEPALIVED };

struct world_host {
	const struct host *host;
	char ns[WORLD_NS_LEN];
	bool balances; /* runs the program under test, as it has a part to play */
	bool serves;   /* runs a web server */
	pid_t run;     /* nines run, or keepalived; 0: not running */
	pid_t proxy;   /* haproxy; 0: not running, or ENGINE_NINES */
	pid_t web;
	pid_t back; /* the built-in server behind nginx; 0: not running */
};

/* A client of a VPN that the file does not know: the drill's own. */
struct world_guest {
	const struct vpn *vpn; /* NULL: there is none */
	uint8_t key[VPN_KEY_LEN];
	struct vpn_peer peer;
};

struct world {
	char name[WORLD_NAME_MAX + 1];
	char dir[WORLD_PATH_LEN];
	char key[WORLD_PATH_LEN + 16]; /* file with the firewalls' secret */
	char vpn_key[WORLD_PATH_LEN + 16];
	struct world_guest guest;
	const struct cluster *cluster; /* one reference */
	enum engine engine;
	int64_t heartbeat_ns; /* instead of the file's; 0: the file's */
	bool nginx;	      /* is installed */
	char self[WORLD_PATH_LEN];
	char sw[WORLD_NS_LEN];	       /* the switch's namespace */
	const struct network *outside; /* where clients come from (ways.h); or NULL */
	char internet[WORLD_NS_LEN];   /* the router on it, before the client */
	struct world_host host[OWNERS_HOSTS_MAX];
	size_t n_hosts;
};

/* How a file differs from what the lab was started with. */
struct world_change {
	int64_t heartbeat_ns; /* of all floating addresses; 0: unchanged */
	bool weights;	      /* another weight for every server */
	bool failback;	      /* every floating address returns */
};

/*
 * Takes a reference on `c`. 0; -E2BIG for more hosts than a lab has room for;
 * -EEXIST if there is such a world already (also a dead one).
 */
int world_init(struct world *w, const char *name, const struct cluster *c,
    enum engine engine) MUST_CHECK;
void world_done(struct world *w);

/* The functions below say in `why` what went wrong; 0 or -errno. */

/* Namespaces, cables, addresses and the file; runs nothing yet. */
int world_build(
    struct world *w, const struct world_change *change, struct sbuf *why) MUST_CHECK;
/* Starts everything on every host. */
int world_run(struct world *w, struct sbuf *why) MUST_CHECK;

/* The file with `change` applied, in place of the one there is. */
int world_write_file(struct world *w, const struct world_change *change) MUST_CHECK;

int world_start_balancer(struct world *w, size_t host) MUST_CHECK;
int world_start_web(struct world *w, size_t host) MUST_CHECK;

/* Kills every process on the host, and collects those that were ours. */
void world_kill_host(struct world *w, size_t host);
void world_kill(pid_t *pid, int signo); /* and collects it; 0 afterwards */

/* The interface of `host` on `net` inside the host, and the switch's end of it. */
void world_interface(
    const struct world *w, size_t host, const struct network *net, char name[16]);
void world_port(
    const struct world *w, size_t host, const struct network *net, char name[16]);

/* Every cable of a network, at the switch, as if it had lost or got power. */
int world_power(struct world *w, const struct network *net, bool on) MUST_CHECK;

/* Leaves no room on the file system where the program keeps its run directory. */
int world_fill(struct world *w, size_t host, bool full) MUST_CHECK;

/* All cables of a host, at the switch. */
int world_plug(struct world *w, size_t host, bool in) MUST_CHECK;
/* Do all cables of a host work? A switch takes a moment to notice. */
bool world_plugged(const struct world *w, size_t host);
/* Routes of a host as they are to be; lost with the link, so again after it. */
int world_routes(struct world *w, size_t host) MUST_CHECK;
/* What a reboot would clear: floating addresses on its interfaces. */
int world_flush(struct world *w, size_t host) MUST_CHECK;

/* The namespace of the client on `net`; of the one who asks services with NULL. */
void world_client(
    const struct world *w, const struct network *net, char ns[WORLD_NS_LEN]);

/*
 * An order for `nines run` of a host (see docs/operations.md), at most four words,
 * ended by NULL. `answer` may be NULL. -EPROTO: it was refused.
 */
int world_order(
    struct world *w, size_t host, const char *const *words, json_t **answer) MUST_CHECK;
/* The process of a part, acting; 0 if there is none. `state` (may be NULL): in a word.
 */
pid_t world_part(
    struct world *w, size_t host, const char *part, char *state, size_t size);
/* True when every part of the host is up and knows what the other hosts told it. */
bool world_ready(struct world *w, size_t host);

/* Index of a host; -1 for NULL or a stranger. */
int world_index(const struct world *w, const struct host *h);

/*
 * Ends every process in the namespaces of the world `name`, removes the namespaces
 * and the directory. Needs no struct world. -ENOENT: no such world.
 */
int world_destroy(const char *name) MUST_CHECK;

/* Calls `cb` with each namespace that the world `name` lists. */
int world_each_ns(
    const char *name, void (*cb)(void *arg, const char *ns), void *arg) MUST_CHECK;

#endif /* NINES_LAB_WORLD_H */
