/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_shell.h - what source_sync.c and source_net.c share. Private to the two.
 */
#ifndef NINES_PROXY_SOURCE_SHELL_H
#define NINES_PROXY_SOURCE_SHELL_H

#include "base/list.h"
#include "os/seal.h"
#include "proxy/sources/source_core.h"
#include "proxy/sources/source_sync.h"

_Static_assert(SOURCE_PEERS_MAX + 1 == STICKY_HOSTS_MAX, "the file's limit is ours");
_Static_assert(SOURCE_TAG_LEN == SEAL_TAG_LEN, "the datagram has room for the tag");

#define SOURCE_WHY_LEN 200

/* What is wrong with datagrams: one line in the log tells of many. */
enum source_complaint {
	COMPLAIN_FORM,
	COMPLAIN_VERSION,
	COMPLAIN_SEAL,
	COMPLAIN_STRANGER,
	COMPLAIN_N
};

struct source_complaints {
	mono_t told[COMPLAIN_N];
	uint64_t n[COMPLAIN_N]; /* since */
};

/* Another load balancer of a service. */
struct source_host {
	char name[CLUSTER_NAME_MAX + 1];
	struct ip ip;
	struct seal *hello_out, *hello_in, *data_out, *data_in;
	struct source_epoch hello_epoch, data_epoch; /* the keys are for */
	mono_t met;				     /* its present life */
	bool agreed; /* has been, in this life of both */
};

/* One service's table. */
struct source_service {
	struct list link; /* source_sync.services */
	struct source_sync *all;
	char name[CLUSTER_NAME_MAX + 1];
	uint64_t hash;		 /* of the name, for datagrams */
	uint32_t id;		 /* among the services of this process */
	bool wanted;		 /* by the present file */
	struct source_conf conf; /* without what points into a cluster */
	int fd;			 /* the memory; -1: not here yet */
	unsigned size;		 /* of it; 0 at first */
	struct source_map *map;
	struct source_map *core_map; /* where the core's table is */
	struct source_core core;     /* of the process that acts, once `map` is there */
	struct source_link *changes;
	bool running;
	mono_t began;
	uint8_t secret[SEAL_SECRET_LEN];
	bool has_secret;
	char me[CLUSTER_NAME_MAX + 1];
	struct ip self;
	struct source_port *port; /* NULL: none */
	struct source_host host[SOURCE_PEERS_MAX];
	size_t n_hosts;
	struct source_complaints complaints;
	stats_t *stats;
	char why[SOURCE_WHY_LEN];  /* nobody is told anything; "" */
	char told[SOURCE_WHY_LEN]; /* the fact, as published last */
};

/* The socket at an address of this host, for all services that use it. */
struct source_port {
	struct list link;
	struct source_sync *all;
	struct ip ip;
	int fd;
	struct loop_fd *watch;
	unsigned users;
	struct source_complaints complaints; /* about nobody's datagrams */
};

struct source_sync {
	struct part *part;
	struct loop *loop;
	void (*changed)(void *arg);
	void *arg;
	struct list services, ports;
	struct loop_timer tick;
	mono_t shown; /* facts and counters */
	uint32_t last_id;
	bool active;
};

/* ---- source_net.c ---- */

/* Takes key and addresses; why it cannot is in s->why. A new life towards all peers,
 * unless everything is as it was. */
void source_net_config(struct source_service *s, const struct cluster *c,
    const struct service *conf, const struct host *me);
/* The core runs from now on: a life of its own. */
void source_net_begin(struct source_service *s);
void source_net_close(struct source_service *s);
/* Sends what the core has to say to everybody. */
void source_net_send(struct source_service *s);

#endif /* NINES_PROXY_SOURCE_SHELL_H */
