/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handover.h - a supervisor's state, on its way to the program that goes on in its
 * place (private to supervisor/). The state is a memory file of handover_wire.h's
 * records; descriptors stay open over the exec under their numbers.
 */
#ifndef NINES_SUPERVISOR_HANDOVER_H
#define NINES_SUPERVISOR_HANDOVER_H

#include "supervisor/tree.h"

/*
 * The state as it is now: a descriptor, to be closed by the caller, or -errno.
 * `program` is the running program, for going back to it, and `client` who waits for an
 * answer, or -1. -EBUSY: a process is just starting or ending, or does not read its
 * messages.
 */
int handover_write(const struct tree *t, int program, int client) MUST_CHECK;

/* Whether the descriptors named in `state` survive an exec. Safe in a forked child. */
int handover_inherit(int state, bool survive) MUST_CHECK;

/* 0 if `state` can be understood and its cluster file read; nothing is changed. */
int handover_check(int state) MUST_CHECK;

/*
 * Fills a tree that is otherwise empty: handover_options() what `nines run` is told,
 * handover_resume() all the rest, with the loop there already. 0, or -errno: there is
 * nothing for it but to go back.
 */
int handover_options(struct tree *t, int state) MUST_CHECK;
int handover_resume(struct tree *t, int state) MUST_CHECK;

/* Adds to `state` what has changed since. */
void handover_note_fact(
    int state, mono_t now, const char *by, const char *key, const char *value);

#endif /* NINES_SUPERVISOR_HANDOVER_H */
