/* SPDX-License-Identifier: Apache-2.0 */
/*
 * balance.h - which server gets the next request: one service, one worker.
 *
 * Pure: the caller brings the memory, the randomness and the news about servers.
 * Servers are known by their index. A server may be picked while it is usable, its
 * weight is not 0, and it is not full; backup servers only while no other server is
 * usable, or as balance_backups() says. Every operation costs at most O(log n), the
 * hash ring's set-up aside.
 */
#ifndef NINES_PROXY_BALANCE_H
#define NINES_PROXY_BALANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"
#include "config/cluster.h"

#define BALANCE_NONE	  (-1) /* no server is usable */
#define BALANCE_FULL	  (-2) /* those that are, are at their limit of connections */
#define BALANCE_TRIED_MAX 16
#define BALANCE_SHARE	  256 /* all of a server's weight */

struct balance_server {
	/* Set by the caller before balance_init(). */
	uint32_t weight; /* 0 .. 1000 */
	bool backup;
	uint64_t id; /* hash of the name: the ring does not depend on the order */
	/* Below: the balancer's. */
	bool usable, full;
	uint32_t share;	 /* of the weight, 1 .. BALANCE_SHARE */
	uint32_t active; /* requests (http) or connections (tcp) of this worker */
	uint64_t key;	 /* order in the heap */
	uint32_t pos;	 /* place in the heap from 1; 0: not in it */
};

struct balance_point {
	uint64_t at;
	uint32_t server;
};

struct balancer {
	enum balance kind;
	struct balance_server *server;
	size_t n;
	struct balance_tier {
		uint32_t *heap; /* indices of servers that may be picked */
		size_t n;
		size_t usable;	 /* full ones included */
		uint64_t weight; /* of those */
		uint64_t turn;	 /* round robin: virtual time; others: a sequence */
	} tier[2];		 /* active servers; backups that have not joined them */
	size_t n_active;	 /* servers that are no backups and have a weight */
	size_t usable_active;
	uint64_t load;	       /* of all servers */
	unsigned backup_below; /* per cent of n_active */
	bool backup_full;
	bool joined;	/* backups are in the first tier */
	unsigned bound; /* hash: per cent of the average load; 0: none */
	struct balance_point *ring;
	size_t n_ring;
};

/* What a request is hashed by, or a server's name; the same on all load balancers. */
uint64_t balance_hash(const void *bytes, size_t len);

/* Points that the ring of these servers needs; 0 unless `kind` is BALANCE_HASH. */
size_t balance_ring_size(
    enum balance kind, const struct balance_server *server, size_t n);

/*
 * `heap` has room for 2 * n indices, `ring` for balance_ring_size() points. All
 * servers start usable with nothing active; `active` is kept for a server whose
 * caller set it (a reload).
 */
void balance_init(struct balancer *b, enum balance kind, struct balance_server *server,
    size_t n, uint32_t *heap, struct balance_point *ring);

/*
 * Which of the servers is the first is chance from here on. Without it every worker of
 * every load balancer begins with the same one, again after each reload, and where
 * requests are few that one gets most of them.
 */
void balance_begin(struct balancer *b, struct rng *rng);

/* Backups join while less than `below` per cent of the others are usable, and with
 * `full` they help out when all of those are full. By default they do neither. */
void balance_backups(struct balancer *b, unsigned below, bool full);

/* Hashing passes over servers with more than `bound` per cent of the average load. */
void balance_bound(struct balancer *b, unsigned bound);

/* By order. The hash ring does not move: for that the balancer is made anew. */
void balance_weight(struct balancer *b, size_t i, uint32_t weight);

/* How much of its weight `i` is worth now. The hash ring does not move. */
void balance_share(struct balancer *b, size_t i, uint32_t share);

/* News: health, drain, a limit reached or left. */
void balance_usable(struct balancer *b, size_t i, bool usable);
void balance_full(struct balancer *b, size_t i, bool full);

/*
 * The server for the next request, none of the `n_tried` ones in `tried`: an index,
 * BALANCE_NONE or BALANCE_FULL. `hash` matters for BALANCE_HASH alone.
 */
int balance_pick(struct balancer *b, struct rng *rng, uint64_t hash,
    const uint32_t *tried, size_t n_tried);

/* True if another one than `i` might be picked. */
bool balance_choice(const struct balancer *b, size_t i);

/* A request went to `i`; it ended. */
void balance_take(struct balancer *b, size_t i);
void balance_put(struct balancer *b, size_t i);

bool balance_check(const struct balancer *b); /* invariants, for tests */

#endif /* NINES_PROXY_BALANCE_H */
