/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf.h - programs for the kernel.
 */
#ifndef NINES_OS_BPF_H
#define NINES_OS_BPF_H

#include <linux/bpf.h>
#include <stddef.h>

#include "base/check.h"

/* A descriptor of the program at `insn`, `n` instructions of struct bpf_insn's layout;
 * or -errno: -EPERM and -ENOSYS where the kernel does not allow BPF. */
int bpf_load(enum bpf_prog_type type, const void *insn, size_t n) MUST_CHECK;

#endif /* NINES_OS_BPF_H */
