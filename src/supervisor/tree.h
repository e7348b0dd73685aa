/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree.h - the supervisor's state, shared by its files (private to supervisor/).
 *
 *	supervisor.c	start, signals, leaving in good order
 *	generation.c	the cluster file, read again and again
 *	process.c	processes of parts: what supervisor_core.h decides, done
 *	enter.c		the other side of exec: from `nines part NAME` to its main
 *	control.c	the control socket
 *	drains.c	what an operator has drained
 *	switches.c	to which groups he has switched services
 *	weights.c	and which weights he has given servers
 *	takers.c	and whether that leaves anybody to work
 *	judge.c		is all well?
 *	upgrade.h	giving way to the program that lies at our path now
 *	handover.h	the state that goes with it
 */
#ifndef NINES_SUPERVISOR_TREE_H
#define NINES_SUPERVISOR_TREE_H

#include <sys/types.h>

#include "base/list.h"
#include "base/loop.h"
#include "config/cluster.h"
#include "os/starved.h"
#include "part/link.h"
#include "supervisor/facts.h"
#include "supervisor/parts.h"
#include "supervisor/sockets.h"
#include "supervisor/supervisor_core.h"

struct sbuf;
struct tree;
struct upgrade;

struct process {
	struct child *child;
	struct link *link;
	struct loop_fd *exit_watch; /* on the pidfd */
	int pidfd;
	pid_t pid;	     /* 0: none */
	uint64_t generation; /* adopted; 0: none yet */
	uint64_t told;	     /* it has said what it found out about this one ... */
	uint64_t asked;	     /* and what it makes of the others' findings ... */
	uint64_t agreed;     /* which it has said as well */
	bool fresh;	     /* of the program that an upgrade tries */
	struct starved starved;
};

/* One part that runs, or could run, on this host. */
struct child {
	struct tree *tree;
	const struct part_row *row;
	struct sup core;
	struct process process[SUP_SLOTS];
	struct loop_timer timer;
	bool stopping;	  /* was told to leave for good */
	bool more;	  /* its processes have the row's `more_cap` */
	unsigned workers; /* the file's, when they were started */
};

/* Somebody on the control socket waits for an answer. */
struct client;

struct tree {
	struct loop *loop;
	const char *file, *run_dir, *log_level;
	const char *host_option; /* --host, or NULL */
	const struct cluster *cluster;
	const struct host *me;
	int config_fd;	/* sealed memfd with the text of `cluster` */
	int program_fd; /* what parts are started from; -1: our own program */
	uint64_t generation;
	char *refused; /* diagnostics of the last refused file, or NULL */
	struct facts facts;
	struct sockets sockets;
	struct child child[PARTS_MAX];
	mono_t started;
	bool stopping;
	struct loop_timer stop_timer;
	char *notify_path;   /* the service manager's socket, or NULL */
	int64_t watchdog_ns; /* how often it wants to hear of us; 0: never */
	struct loop_timer watchdog;
	/* upgrade.c */
	const char *program;	 /* its path */
	char **argv;		 /* with the program's name */
	struct upgrade *upgrade; /* under way, or NULL */
	int former_fd;		 /* the program before this one, while it may return */
	int state_fd;		 /* the state that it would return to; or -1 */
	struct loop_timer trial;
	char former[32], failed[32]; /* versions; "": none */
	char my_name[CLUSTER_NAME_MAX + 1];
	/* control.c */
	int control_fd;
	struct loop_fd *control_watch;
	struct list clients;
	uint64_t next_order;
};

/* process.c */
void child_init(struct child *c, struct tree *t, const struct part_row *row);
/* As the current generation says: starts, reconfigures or stops. */
void child_adopt(struct child *c);
void child_stop(struct child *c);
/* New processes take the place of those it has, without a gap. */
void child_replace(struct child *c);
/* It runs already; and one of its processes, whose link is `link_fd`. */
void child_resume(
    struct child *c, enum sup_status status, unsigned restarts, bool more);
int child_resume_process(struct child *c, unsigned slot, const struct process *from,
    int link_fd, enum sup_proc_state state, bool acting) MUST_CHECK;
/* At once: kill -9. */
void child_kill(struct child *c);
/* Undoes what killed processes of it may have left on the machine. */
void child_release(struct child *c);
/* The acting process's link, or NULL. */
struct link *child_acting_link(const struct child *c);
/* True when its processes have adopted the current generation, and what they found out
 * at once is among the facts. */
bool child_is_current(const struct child *c);
/* When all are current: the same of what its processes make of the others' facts, which
 * they are asked for. */
bool child_has_agreed(struct child *c);
const char *child_status(const struct child *c);

/* Publishes to the store and to whoever subscribed. */
void tree_publish(struct tree *t, const char *by, const char *key, const char *value);
/* Withdraws all that `by` has published. */
void tree_withdraw(struct tree *t, const char *by);

/* generation.c */
/* Reads the file as the first generation. 0, or -EINVAL; findings as below. */
int tree_load(struct tree *t, char **report) MUST_CHECK;
/* Reads the file again. 0, or -EINVAL with the findings (heap text) in *report;
 * on success *report says what changed. *report may be NULL: no memory. */
int tree_reload(struct tree *t, char **report) MUST_CHECK;

/* supervisor.c */
/* -EINVAL if there is no such level. */
int tree_log_level(const char *name) MUST_CHECK;
void tree_stop(struct tree *t);
/* A process is gone or has adopted a generation: something may be finished now. */
void tree_progress(struct tree *t);

/* drains.c */
/* Orders of operators are facts that begin with `prefix`; RUN_DIR/file keeps them. */
void orders_save(const struct tree *t, const char *file, const char *prefix);
/* Calls `each` with every line, which it may change. */
void orders_load(struct tree *t, const char *file, void (*each)(struct tree *, char *));
/* True if `name` is a host or a server; else the nearest such name, if any is near,
 * goes to *near. */
bool drains_known(const struct cluster *cl, const char *name, const char **near);
/* True if this changed something. */
bool drains_set(struct tree *t, const char *name, bool drain);
/* What an earlier supervisor on this run directory had. */
void drains_load(struct tree *t);
/* Forgets what the present generation does not know. */
void drains_adopt(struct tree *t);

/* switches.c */
/* What is not known, "service" or "group"; NULL: both are. */
const char *switches_unknown(
    const struct cluster *c, const char *service, const char *group);
/* True if this changed something. */
bool switches_set(struct tree *t, const char *service, const char *group);
/* True if a server of the group is up. */
bool switches_served(const struct tree *t, const char *service, const char *group);
void switches_load(struct tree *t);
void switches_adopt(struct tree *t);

/* weights.c */
#define WEIGHT_OF_FILE "file" /* in place of a number: what the cluster file says */
bool weights_valid(const char *weight);
/* What is not known, "service" or "server"; NULL: both are. `server` may be a host. */
const char *weights_unknown(
    const struct cluster *c, const char *service, const char *server);
/* True if this changed something. */
bool weights_set(
    struct tree *t, const char *service, const char *server, const char *weight);
void weights_load(struct tree *t);
void weights_adopt(struct tree *t);

/* takers.c */
/* By its own name, or its host's. */
bool server_is_named(const struct server *s, const char *name);
/* Of which services (of one, unless NULL) `name` leaves nobody to take new work, as a
 * line for people; heap text. NULL: of none. */
char *takers_warning(
    const struct tree *t, const char *service, const char *name) MUST_CHECK;

/* judge.c: what facts say of anything that is not well; `nines status` exits by it */
/* ,"healthy":BOOL,"why":["KEY: VALUE", ...] */
void judge_json(const struct tree *t, struct sbuf *out);
/* What judge_reload() will compare with: heap text. NULL: no memory. */
char *judge_before(const struct tree *t) MUST_CHECK;
/* What a reload answers: what the file asks for and cannot be had, and what was well
 * before; each begins a line. What only time shows, such as checks, is left out. */
void judge_reload(const struct tree *t, const char *before, struct sbuf *out);

/* control.c */
int control_open(struct tree *t) MUST_CHECK;
/* `control_fd` listens already. */
int control_resume(struct tree *t) MUST_CHECK;
/* Somebody who waits for the end of an upgrade: a descriptor of him, or -1. */
int control_upgrade_client(const struct tree *t) MUST_CHECK;
int control_resume_client(struct tree *t, int fd) MUST_CHECK;
void control_upgraded(struct tree *t, bool ok, const char *text);
void control_close(struct tree *t);
/* The answer of a part to order `id`. */
void control_reply(struct tree *t, const struct part_msg *m);
/* Nobody will answer by `asked`, which is not NULL. */
void control_lost(struct tree *t, const struct link *asked);
void control_progress(struct tree *t);

#endif /* NINES_SUPERVISOR_TREE_H */
