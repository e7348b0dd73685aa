/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway_shell.h - the part around its core (private to gateway/).
 *
 * gateway_part.c knows the part's life and carries out what the core decides;
 * gateway_table.c makes hops, sets and routes of the cluster file, and keeps the
 * kernel's forwarding as they are; gateway_settings.c keeps the kernel's settings.
 */
#ifndef NINES_GATEWAY_GATEWAY_SHELL_H
#define NINES_GATEWAY_GATEWAY_SHELL_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/loop.h"
#include "gateway/gateway_core.h"
#include "gateway/gateway_probe.h"
#include "os/fib.h"
#include "os/links.h"
#include "part/heard.h"
#include "part/part.h"

/* Where default routes are: beside the system's own, which stays as it is. */
#define GATEWAY_TABLE	      110
#define GATEWAY_METRIC	      20
#define GATEWAY_RULE_SPECIFIC 32000 /* main, but for its default route; then ... */
#define GATEWAY_RULE_DEFAULT  32001 /* ... ours */
#define GATEWAY_AUDIT_NS      SEC_NS
#define GATEWAY_LEAVE_NS      SEC_NS

#define GATEWAY_FORWARD "gateway forward" /* the fact of this host's fitness */

/* A next hop. Its place among the others is its number in the core. */
struct gateway_at {
	struct gateway_hop at;
	const struct host_address *own; /* ours on its network */
	uint32_t id;
	bool installed; /* the kernel knows it by `id` ... */
	bool refused;	/* ... or did not want it, which was said */
	/* The interface as the kernel last told; index 0: there is none. */
	unsigned index;
	char interface[IF_NAMESIZE];
	uint8_t mac[6];
	bool ethernet, up;
	uint8_t there[6]; /* where it answered last */
	bool there_known;
};

struct gateway_table {
	struct gateway_at hop[GATEWAY_HOPS];
	unsigned n_hops;
	/* A set's place is its number in the core. */
	uint32_t group[GATEWAY_SETS];
	uint64_t member[GATEWAY_SETS];
	bool installed[GATEWAY_SETS];
	unsigned n_sets;
	struct fib_route route[GATEWAY_SETS];
	unsigned set_of[GATEWAY_SETS];
	bool routed[GATEWAY_SETS], refused[GATEWAY_SETS];
	unsigned n_routes;
};

struct gateway_shell {
	struct part *part;
	struct loop *loop;
	const struct cluster *cluster;
	const struct host *me;
	struct gateway_plan plan;
	struct netlink *nl;
	struct gateway_probe probe;
	int events; /* netlink: links and addresses changed */
	struct loop_fd *events_watch;
	struct gateway_core core;
	struct gateway_table table;
	enum fib_kind kind;
	struct loop_timer due, audit, leave;
	struct list facts; /* ours, as the supervisor knows them: struct heard */
	bool acting, sides_up;
};

/* ---- gateway_part.c: facts ---- */

/* Publishes, and remembers that it is wanted. */
void gateway_tell(struct gateway_shell *sh, const char *key, const char *fmt, ...)
    PRINTF(3, 4);
void gateway_untell(struct gateway_shell *sh, struct heard *t);

/* ---- gateway_table.c ---- */

/* Makes table and core of the plan; what the kernel and the old core know of it stays.
 */
void gateway_table_make(struct gateway_shell *sh, const struct links *links);
/* Notes each hop's interface; true if one changed in a way that matters. */
bool gateway_table_look(struct gateway_shell *sh, const struct links *links);
/* Makes the kernel have what the table says, and nothing else of ours. */
void gateway_table_install(struct gateway_shell *sh);
/* One set uses other hops from now on. */
void gateway_table_set(struct gateway_shell *sh, unsigned set);
/* The kernel still has it all; what it lost is made again. */
void gateway_table_audit(struct gateway_shell *sh);
/* Everything of ours leaves the kernel: rules first, so that the system's own default
 * route is in force before ours is gone. */
void gateway_table_remove(struct gateway_shell *sh);

/* ---- gateway_settings.c ---- */

/* Makes the kernel forward as it should; what was there before is kept in facts. */
void gateway_settings_make(struct gateway_shell *sh, const struct links *links);
/* Puts back what is not wanted any more; all of it: `everything`. */
void gateway_settings_back(struct gateway_shell *sh, bool everything);

#endif /* NINES_GATEWAY_GATEWAY_SHELL_H */
