/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files.h - files that the cluster file names, on their way from the supervisor, which
 * may open them, to a part, which may not.
 */
#ifndef NINES_PART_FILES_H
#define NINES_PART_FILES_H

#include <stddef.h>

#include "base/check.h"

#define FILES_MAX 65536 /* of one generation */

struct files {
	struct file *file;
	size_t n, room;
};

/* Opens a regular file for reading; -errno. */
int files_open(const char *path) MUST_CHECK;

void files_init(struct files *f);
void files_done(struct files *f); /* closes them all; f is empty afterwards */

/* Takes over `fd`, or -errno that tells why there is none; forgets it without memory.
 */
void files_add(struct files *f, const char *path, size_t len, int fd);

/* What was added for `path` first; -ENOENT if nothing was. */
int files_find(const struct files *f, const char *path) MUST_CHECK;

#endif /* NINES_PART_FILES_H */
