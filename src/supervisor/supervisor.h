/* SPDX-License-Identifier: Apache-2.0 */
/*
 * supervisor.h - `nines run`: the process tree of one host.
 *
 * Reads the cluster file, starts the parts this host plays, restarts them, keeps their
 * facts and listening sockets, answers the control socket. It is the one process that
 * stays root, parses nothing that comes from a network, and does only what the closed
 * lists of part_wire.h and of the control socket name.
 */
#ifndef NINES_SUPERVISOR_SUPERVISOR_H
#define NINES_SUPERVISOR_SUPERVISOR_H

#include "config/cluster.h"

/*
 * What runs when a part is started. The table, ended by a row without a name, stands in
 * main.c, so that the supervisor includes no part. How a part is run (privileges,
 * facts, spare) is its row in supervisor/parts.c.
 */
struct part_program {
	const char *name;
	int (*main)(void);
	/* Undoes, in a process of its own, what a part that keeps dying may have left
	 * on the machine; 0 or -errno. NULL: it leaves nothing. */
	int (*release)(const struct cluster *c, const struct host *me);
};

extern const struct part_program part_programs[];

/* The verb `run`: argv[0] is the verb. Returns the exit status. */
int supervisor_main(int argc, char **argv);

/* The hidden verb `part NAME`: drops privileges as the part's row says and runs it. */
int supervisor_part_main(int argc, char **argv);

#endif /* NINES_SUPERVISOR_SUPERVISOR_H */
