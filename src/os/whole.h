/* SPDX-License-Identifier: Apache-2.0 */
/*
 * whole.h - texts that are written to their last byte, or not at all.
 */
#ifndef NINES_OS_WHOLE_H
#define NINES_OS_WHOLE_H

#include <stddef.h>
#include <sys/types.h>

#include "base/check.h"
#include "base/sbuf.h"

/* To a descriptor that may take less at a time; 0 or -errno. */
int whole_write(int fd, const char *text, size_t len) MUST_CHECK;

/*
 * A new file with `mode`, as the umask has it, in the place of any at `path`: written
 * beside it (PATH.new) and moved there, so that nobody reads half of it and a failure
 * leaves the old one. 0 or -errno, -EFBIG if the text outgrew its buffer.
 */
int whole_file(const char *path, mode_t mode, const struct sbuf *text) MUST_CHECK;

/* The same in the place of a file that is there: its owner and mode stay, and the text
 * is on the disk before the old one goes. */
int whole_replace(const char *path, const struct sbuf *text) MUST_CHECK;

#endif /* NINES_OS_WHOLE_H */
