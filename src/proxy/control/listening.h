/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listening.h - the listening sockets that the cluster file asks for and the supervisor
 * opens, one for each worker. For the control thread.
 */
#ifndef NINES_PROXY_LISTENING_H
#define NINES_PROXY_LISTENING_H

#include <stdbool.h>
#include <stddef.h>

#include "proxy/control/known.h"
#include "proxy/control/view.h"

#define LISTENERS_MAX 256

struct part;

/* One address to listen at. */
struct want {
	struct ip_endpoint at;
	size_t service;
	const char *floating_ip; /* name, or NULL */
	struct lsock *sock[WORKERS_CAP];
	int error;	/* why one is missing; 0: none is known to be */
	unsigned asked; /* answers that are still to come */
	bool used;	/* by the present file */
};

struct listening {
	struct part *part;
	unsigned n_workers;
	struct want want[LISTENERS_MAX];
	size_t n;
	bool closing;
};

/* Asks for what `c` names for the host `me`, again for what could not be had, and gives
 * back what it does not name. */
void listening_config(
    struct listening *ls, const struct cluster *c, const struct host *me);
/* One arrived, or -errno says why there is none. False: it is no such socket, or one
 * that the file does not name any more; `fd` is the caller's then. */
bool listening_put(struct listening *ls, const char *name, int fd);
/* The listeners of a view, which was made for ls->n of them. */
void listening_fill(const struct listening *ls, const struct known *k, struct view *v);
/* Says by a fact whether all are there, once all have been heard of. */
void listening_publish(const struct listening *ls);
/* Gives all of them back; workers hear of it by the next view. */
void listening_leave(struct listening *ls);
/* Closes this process's copies. */
void listening_done(struct listening *ls);

#endif /* NINES_PROXY_LISTENING_H */
