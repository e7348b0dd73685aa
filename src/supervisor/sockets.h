/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sockets.h - privileged sockets kept over the death of the part that uses them
 * (private to supervisor/). Names are those of part_socket().
 */
#ifndef NINES_SUPERVISOR_SOCKETS_H
#define NINES_SUPERVISOR_SOCKETS_H

#include "base/list.h"
#include "config/cluster.h"

#define SOCKETS_MAX 65536

#define SOCKETS_NAME 80 /* with the NUL */

struct held {
	struct list node;
	int fd;
	char name[SOCKETS_NAME];
};

struct sockets {
	struct list all;
	size_t n;
};

void sockets_init(struct sockets *s);
void sockets_done(struct sockets *s);

/*
 * The socket of that name, opened if it is not held already; stays owned by `s`.
 * -EPERM for a name that the cluster file does not give this host, -EINVAL for one that
 * is not in the closed list, or another -errno of the kernel.
 */
int sockets_get(struct sockets *s, const struct cluster *c, const struct host *me,
    const char *name) MUST_CHECK;
/* One that is open already; takes `fd`. */
int sockets_put(struct sockets *s, const char *name, int fd) MUST_CHECK;
/* The one behind `h`, from NULL to NULL. */
const struct held *sockets_next(const struct sockets *s, const struct held *h);
/* Closes what the cluster file no longer gives this host. */
void sockets_adopt(struct sockets *s, const struct cluster *c, const struct host *me);
void sockets_drop(struct sockets *s, const char *name);

#endif /* NINES_SUPERVISOR_SOCKETS_H */
