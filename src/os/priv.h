/* SPDX-License-Identifier: Apache-2.0 */
/*
 * priv.h - giving up privileges, scheduling and memory for parts.
 */
#ifndef NINES_OS_PRIV_H
#define NINES_OS_PRIV_H

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"

/*
 * Sets no_new_privs, drops supplementary groups, becomes `user` (NULL: stays who it is)
 * and keeps only the `n` capabilities, which a child it starts has too. For ever.
 * 0 or -errno; -ENOENT: no such user.
 */
int priv_drop(const char *user, const int *caps, size_t n) MUST_CHECK;

/*
 * Refuses, with EPERM and for ever, the system calls that no part has any business
 * with (loading kernel code, mounting, tracing others, changing the clock, ...). With
 * `bpf` the process may load BPF programs, as far as its capabilities let it.
 */
int priv_filter_syscalls(bool bpf) MUST_CHECK;

/*
 * Forbids, for ever and for children too, to change the file system anywhere but below
 * the paths of `writable` (NULL ends; those that do not exist are left out). Sets
 * no_new_privs. Files opened before stay open. 0 also where the kernel has no landlock.
 */
int priv_write_only_below(const char *const *writable) MUST_CHECK;

/* SCHED_FIFO at `priority` (1..99) for this thread, a normal process again at 0;
 * children start as normal. */
int priv_realtime(int priority) MUST_CHECK;
/* This process may go on changing between 0 and `priority` without privileges. */
int priv_allow_realtime(int priority) MUST_CHECK;

/* Locks present and future pages once they are touched. */
int priv_lock_memory(void) MUST_CHECK;

/* Nearly the last to be killed when memory runs out; children inherit it. */
int priv_spare_from_oom(void) MUST_CHECK;

/* As many descriptors as the hard limit allows. */
int priv_raise_files(void) MUST_CHECK;

#endif /* NINES_OS_PRIV_H */
