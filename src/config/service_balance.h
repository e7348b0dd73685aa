/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service_balance.h - how a service spreads its requests: what cluster.h says of it.
 */
#ifndef NINES_CONFIG_SERVICE_BALANCE_H
#define NINES_CONFIG_SERVICE_BALANCE_H

#include <stdbool.h>
#include <stdint.h>

struct network;

#define SERVER_WEIGHT_MAX 1000
#define STICKY_HOSTS_MAX  8
#define STICKY_SYNC_PORT  3782 /* UDP, between load balancers, on `sync` */

enum balance {
	BALANCE_ROUND_ROBIN,
	BALANCE_LEAST_CONNECTIONS,
	BALANCE_RANDOM,
	BALANCE_HASH,
	BALANCE_IDLE_CAPACITY
};

enum hash_key { HASH_SOURCE, HASH_PATH, HASH_HEADER, HASH_COOKIE };

/* Servers that real traffic finds worse than the others of their group. */
struct outlier_conf {
	unsigned errors; /* in a row; 0: never ejected */
	int64_t every_ns;
	int64_t eject_ns;
	unsigned max_ejected; /* per cent of a group */
	unsigned slow;	      /* times the others' median; 0: however slow */
};

/* A server's own word on itself, at a port beside the service. */
struct agent_conf {
	uint16_t port; /* 0: nobody is asked */
	int64_t every_ns;
	int64_t timeout_ns;
};

/* A second server is asked what the first takes long to answer. */
struct hedge_conf {
	int64_t after_ns;    /* 0: see below */
	unsigned percentile; /* of the times of answers; 0 with no `after`: never */
	unsigned budget;     /* per cent of requests */
};

/* A table of sources and their servers, the same on all load balancers. */
struct source_conf {
	const struct network *sync; /* where they tell each other; NULL: no table */
	const char *key_file;
	unsigned size;
	int64_t expire_ns;
	unsigned prefix6; /* bits of an IPv6 address */
};

struct balance_conf {
	/* BALANCE_HASH */
	enum hash_key hash_key;
	const char *hash_name;	   /* of the header or cookie */
	unsigned hash_bound;	   /* per cent of the average load; 0: no bound */
	const char *sticky;	   /* name of the cookie; or NULL */
	const char *sticky_secret; /* file that its values are made with; or NULL */
	bool sticky_source;	   /* BALANCE_HASH, unless there is a table */
	struct source_conf source;
	int64_t slow_start_ns; /* 0: all at once */
	unsigned backup_below; /* per cent of active servers; 0: when none is left */
	bool backup_full;      /* and when all active ones are full */
	unsigned panic_below;  /* per cent of servers; 0: never */
	unsigned retry_budget; /* per cent of requests */
	struct outlier_conf outlier;
	struct agent_conf agent;
	struct hedge_conf hedge;
};

/* `sticky: {by: source, sync: NETWORK}` */
bool sticky_has_table(const struct balance_conf *b);

#endif /* NINES_CONFIG_SERVICE_BALANCE_H */
