/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link.h - one end of a supervisor-part link: packets in, packets out, descriptors.
 *
 * Sending never blocks: what the kernel does not take at once waits in a bounded queue.
 * A peer that lets the queue run full, or sends what the table does not allow, has a
 * broken link: `broken` is called once, from the loop, and nothing is sent any more.
 */
#ifndef NINES_PART_LINK_H
#define NINES_PART_LINK_H

#include "base/loop.h"
#include "part/part_wire.h"

#define LINK_QUEUE_MAX 8192 /* packets */

struct link;

struct link_ops {
	/* `fd` is -1 or now the callee's to close. The callee may link_close(). */
	void (*message)(void *arg, const struct part_msg *m, int fd);
	/* `why` is static text. The link must be closed by its owner, now or later. */
	void (*broken)(void *arg, const char *why);
};

/* Takes over `fd` (SOCK_SEQPACKET). `is_part`: this is the part's end. NULL: no memory.
 */
struct link *link_open(struct loop *loop, int fd, bool is_part,
    const struct link_ops *ops, void *arg) MUST_CHECK;
void link_close(struct link *l); /* NULL is fine */

/* True if all that was sent is the kernel's. Only then another program can go on with
 * the descriptor. */
bool link_idle(const struct link *l);
int link_fd(const struct link *l); /* stays the link's */

/* `fd` is -1 or a descriptor to send along; it stays the caller's. */
void link_send(struct link *l, const struct part_msg *m, int fd);

#endif /* NINES_PART_LINK_H */
