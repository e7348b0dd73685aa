/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy.h - the data plane: HTTP and TCP load balancing.
 *
 * A part (part/part.h) of one control thread and some worker threads. The control
 * thread turns the cluster file, facts and sockets into an immutable view (view.h);
 * each worker (worker.h) accepts on listening sockets of its own and serves its
 * connections alone.
 */
#ifndef NINES_PROXY_PROXY_H
#define NINES_PROXY_PROXY_H

/* The part `proxy`; returns the exit status of its process. */
int proxy_main(void);

#endif /* NINES_PROXY_PROXY_H */
