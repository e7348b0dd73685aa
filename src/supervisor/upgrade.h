/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upgrade.h - a running supervisor gives its place to the program that now lies at its
 * path (private to supervisor/). In this order, so that whatever is wrong with the new
 * program shows where going back is easy:
 *
 *	1. rehearsal	the new program starts once, reads the state, and ends
 *	2. the parts	their processes are replaced by those of the new program; it is
 *			watched for a while that none dies
 *	3. the exec	this process becomes the new program, with all descriptors; a
 *			crash within a while execs the old one again
 *
 * If anything fails, the old program goes on with parts of its own, and says why.
 */
#ifndef NINES_SUPERVISOR_UPGRADE_H
#define NINES_SUPERVISOR_UPGRADE_H

#include <signal.h>

#include "supervisor/tree.h"

/* Begins; control_upgraded() tells how it ended. 0, or -errno with *why (static). */
int upgrade_start(struct tree *t, const char **why) MUST_CHECK;

/* A part's process got ready, yielded or ended: a step may be done. */
void upgrade_progress(struct tree *t);

/* A process that was started from `program_fd` died. */
void upgrade_lost(struct tree *t, const char *part, const siginfo_t *info);

/* The order to stop ends it, as if it had never begun. */
void upgrade_cancel(struct tree *t);

/* The other side of the exec. The state's descriptor; -1: this is an ordinary start. */
int upgrade_arrive(struct tree *t);
/* It cannot be resumed: back to the old program. Returns if there is none. */
void upgrade_go_back(const struct tree *t, int state);
/* It was resumed: from now on it is proven. */
void upgrade_settle_in(struct tree *t, int state);

/* `nines part rehearse DESCRIPTOR`: the exit status. */
int upgrade_rehearse(const char *descriptor);

#endif /* NINES_SUPERVISOR_UPGRADE_H */
