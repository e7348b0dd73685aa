/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync_shell.h - the part around sync_core: its kernel, its peers, its life. Private to
 * sync/.
 */
#ifndef NINES_SYNC_SYNC_SHELL_H
#define NINES_SYNC_SYNC_SHELL_H

#include <netinet/in.h>

#include "part/part.h"
#include "sync/ct.h"
#include "sync/sync_core.h"
#include "sync/sync_seal.h"

_Static_assert(SYNC_PEERS_MAX + 1 == FIREWALL_SYNC_HOSTS, "the file's limit is ours");

#define SYNC_ROLES_MAX 64 /* floating addresses of a firewall */
#define SYNC_WHY_LEN   200
#define SYNC_BATCH     32 /* datagrams of one system call */

/* What is wrong with datagrams: one line in the log tells of many. */
enum complaint {
	COMPLAINT_FORM,
	COMPLAINT_VERSION,
	COMPLAINT_SEAL,
	COMPLAINT_REPLAY,
	COMPLAINT_STRANGER,
	COMPLAINTS
};

struct complaints {
	mono_t told[COMPLAINTS];
	uint64_t n[COMPLAINTS]; /* since */
};

struct sync_host {
	char name[CLUSTER_NAME_MAX + 1];
	struct ip ip;
	struct seal *hello_out, *hello_in, *data_out, *data_in;
	struct sync_epoch hello_epoch, data_epoch; /* the keys are for */
	struct complaints complaints;
	bool was_open, was_settled, was_acting;
	stats_t *stats;
};

struct sync_shell {
	struct part *part;
	struct loop *loop;
	const struct cluster *cluster;
	const struct host *me;
	bool active;   /* the part is to act */
	bool stopping; /* what is to be told is told, then we go */
	bool stopped;
	mono_t stop_by;
	/* core */
	struct sync core;
	void *memory;
	size_t memory_bytes;
	struct loop_timer tick, second;
	/* Real time: the priority that we were given (0: none), and are now. */
	int priority, prompt;
	bool busy;	/* with news, more than is decent in real time */
	int64_t cpu_ns; /* used until the last second */
	mono_t cpu_at;
	/* kernel */
	struct ct *ct;
	struct loop_fd *ct_watch;
	struct loop_timer pause; /* after events were read: more come together */
	int64_t pause_ns;
	uint64_t events_per_ms; /* of late */
	bool dumping, dump_again;
	struct loop_timer dump;
	mono_t audit; /* the next dump without a reason */
	uint64_t events, lost_events, dumps;
	uint32_t refused; /* orders since the last second */
	int refused_why;
	mono_t refused_told;
	/* peers */
	uint8_t secret[SEAL_SECRET_LEN];
	bool has_secret;
	char why_not[SYNC_WHY_LEN]; /* there is no session */
	char state[SYNC_WHY_LEN];   /* as published */
	mono_t patience;	    /* until then, peers may be about to answer */
	struct ip self;
	int fd;
	struct loop_fd *watch;
	struct sync_host host[SYNC_PEERS_MAX];
	/* Peers that an earlier process has published; "": none. */
	char told[SYNC_PEERS_MAX][CLUSTER_NAME_MAX + 1];
	struct complaints complaints; /* about nobody we know */
	uint8_t inbox[SYNC_BATCH][SYNC_DATAGRAM_MAX + 1];
	/* facts */
	char role[SYNC_ROLES_MAX][CLUSTER_NAME_MAX + 1];
	bool role_active[SYNC_ROLES_MAX];
	size_t n_roles;
};

/* Orders to the kernel, then datagrams, then the timer: after everything else. */
void sync_shell_pump(struct sync_shell *sh);

/* ---- sync_net.c ---- */

/* Takes the key, the addresses and the peers from the file. Why it failed is in
 * sh->why_not. */
void sync_net_config(struct sync_shell *sh, const struct firewall_conf *f);
void sync_net_close(struct sync_shell *sh);
/* Sends what the core has to say to everybody. */
void sync_net_send(struct sync_shell *sh);

/* ---- sync_kernel.c ---- */

int sync_kernel_open(struct sync_shell *sh) MUST_CHECK;
void sync_kernel_close(struct sync_shell *sh);
/* Carries out the core's orders. */
void sync_kernel_orders(struct sync_shell *sh);
void sync_kernel_dump(struct sync_shell *sh);
/* How many flows the kernel may have. */
uint32_t sync_kernel_limit(void);

#endif /* NINES_SYNC_SYNC_SHELL_H */
