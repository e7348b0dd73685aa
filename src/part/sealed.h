/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sealed.h - the cluster file's text on its way to a part: a sealed memfd, which
 * neither side can change any more, so that all processes work with the same text.
 */
#ifndef NINES_PART_SEALED_H
#define NINES_PART_SEALED_H

#include <stddef.h>

#include "base/check.h"
#include "config/cluster.h"

/* A descriptor with `len` bytes of `text`, to be closed by the caller; or -errno. */
int sealed_new(const char *text, size_t len) MUST_CHECK;

/* NULL with a short reason in *why (static, or valid until the next call of
 * strerror()): the text cannot be had, or there is no memory for the cluster. */
const struct cluster *sealed_cluster(int fd, const char **why) MUST_CHECK;

#endif /* NINES_PART_SEALED_H */
