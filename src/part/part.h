/* SPDX-License-Identifier: Apache-2.0 */
/*
 * part.h - a part's side of its life: configuration, facts, sockets, orders.
 *
 * A part is a process started by the supervisor (`nines part NAME`, descriptor 3 is
 * its SOCK_SEQPACKET link). part_main() runs its loop and calls the part's table of
 * functions, all from the loop's thread. A part may be started as a *spare*: it is
 * configured and has its sockets and facts, but must not act (accept, advertise,
 * check) before `activate`. When the acting process dies or hangs, the supervisor
 * activates the spare within a fraction of a millisecond.
 *
 * Facts are what parts know of each other: a key and a value, published once, kept by
 * the supervisor, handed to each part whose table row subscribes to a prefix of the
 * key (and replayed to a part that starts, its own facts included, before
 * `activate`). An empty value withdraws. The vocabulary is in docs/facts.md; the
 * helpers of fact.h build and split keys.
 */
#ifndef NINES_PART_PART_H
#define NINES_PART_PART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/loop.h"
#include "base/stats.h"
#include "config/cluster.h"

#define FACT_KEY_LEN   192 /* with the NUL */
#define FACT_VALUE_LEN 256 /* with the NUL */
#define PART_REPLY_MAX 60000

struct part; /* the link to the supervisor */

struct part_ops {
	/* Before the first configuration: keep `p`. Returns 0 or -errno (fatal). */
	int (*start)(void *self, struct part *p);
	/*
	 * A new generation; the part takes its own reference with cluster_ref() if it
	 * keeps `c`. `me` is inside `c`. The supervisor has validated the file; the
	 * part must cope. First called before `activate`.
	 */
	void (*config)(void *self, const struct cluster *c, const struct host *me);
	/* A fact of a subscribed prefix was published, changed or withdrawn (""). */
	void (*fact)(void *self, const char *key, const char *value);
	/* A socket asked for by part_socket() arrived; `fd` is the part's to close, or
	 * -errno says why there is none. */
	void (*socket)(void *self, const char *name, int fd);
	/* Act from now on. Called once: at start, or when a spare takes over. */
	void (*activate)(void *self);
	/* An operator's order, `argv` as typed (such as {"move", "www", "lb2"}). Answer
	 * exactly once, now or later, by part_reply(p, id, ...). */
	void (*command)(void *self, uint64_t id, const char *const *argv, size_t argc);
	/* Leave in good order, then call part_stopped(). The supervisor waits. */
	void (*stop)(void *self);
	/*
	 * A successor is ready to act, with the same sockets and facts: act no more,
	 * undo nothing, call part_yielded(), finish what was begun and then call
	 * part_stopped(). NULL: the process ends at once, as if it had died. Nothing is
	 * heard of what it publishes any more.
	 */
	void (*yield)(void *self);
	/* True if the part is alive in all its threads; NULL: the loop's answer is
	 * enough. Called for each of the supervisor's pings; false answers nothing. */
	bool (*alive)(void *self);
};

/*
 * Runs the part on descriptor 3 until it was stopped or the supervisor is gone.
 * Returns the exit status. `self` is passed to every function of `ops`.
 */
int part_main(const char *name, const struct part_ops *ops, void *self);

struct loop *part_loop(struct part *p);
struct stats *part_stats(struct part *p); /* never NULL */

/* Publishes; too long a key is a bug, too long a value is cut. Repeating a value is
 * harmless: the supervisor passes on only what changed. A spare is not heard before
 * ops->activate(): publish from there on. */
void part_publish(struct part *p, const char *key, const char *fmt, ...) PRINTF(3, 4);

/*
 * Asks for a socket that the supervisor opens (or still holds from the last run of
 * this part). Names, a closed list, checked against the cluster file:
 *
 *	tcp/ADDRESS:PORT/N   listening, SO_REUSEPORT member N, non-blocking, IP_FREEBIND
 *	ping/4, ping/6	     raw ICMP
 *	memory/SERVICE/BYTES a memory file, zero at first, for what is to outlive the
 *			     process; kept over `nines upgrade`, not over a reboot
 *
 * The answer comes by ops->socket(); of what was asked for in ops->config(), before
 * ops->activate().
 */
void part_socket(struct part *p, const char *name);
/* The part needs it no longer: the supervisor closes its copy. */
void part_socket_drop(struct part *p, const char *name);

/*
 * During ops->config(): a file that the cluster file names (cluster_files()), opened
 * for reading by the supervisor when it read the cluster file. Stays the part's link's;
 * -errno says why it could not be opened, -ENOENT also that it is no such file.
 */
int part_file(const struct part *p, const char *path) MUST_CHECK;

/* `json` is one JSON value (may be NULL); with ok false, `error` says what to do. */
void part_reply(
    struct part *p, uint64_t id, bool ok, const char *error, const char *json);

void part_stopped(struct part *p);
void part_yielded(struct part *p);

#endif /* NINES_PART_PART_H */
