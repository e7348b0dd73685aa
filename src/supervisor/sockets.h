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
	unsigned askers; /* set of numbers of those who have asked for it */
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
 * `asker` is a number of who wants it, below 32.
 * -EPERM for a name that the cluster file does not give this host, -EINVAL for one that
 * is not in the closed list, or another -errno of the kernel.
 */
int sockets_get(struct sockets *s, const struct cluster *c, const struct host *me,
    const char *name, unsigned asker) MUST_CHECK;
/* `asker` is somebody else from now on, who has not asked for anything yet. */
void sockets_forget_asker(struct sockets *s, unsigned asker);
/* Closes what begins with `prefix` and `asker` has not asked for: nobody accepts there
 * any more, and what the kernel sends there would wait in vain. */
void sockets_keep_for(struct sockets *s, const char *prefix, unsigned asker);
/* One that is open already; takes `fd`. `askers` is a set of numbers. */
int sockets_put(
    struct sockets *s, const char *name, int fd, unsigned askers) MUST_CHECK;
/* The one behind `h`, from NULL to NULL. */
const struct held *sockets_next(const struct sockets *s, const struct held *h);
/* Gives up what the cluster file does not give this host any more. */
void sockets_adopt(struct sockets *s, const struct cluster *c, const struct host *me);
/* Gives up one: as long as others have it open it completes the handshakes that have
 * begun, and answers no new ones. */
void sockets_drop(struct sockets *s, const char *name);

#endif /* NINES_SUPERVISOR_SOCKETS_H */
