/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_sync.h - the source tables of this host's services, for the control thread.
 *
 * For each service with `sticky: {by: source, sync: ...}`: its memory, which the
 * supervisor keeps (part_socket()), its core, and the other load balancers' news. Only
 * the process that acts writes the memory and talks to others; a spare and a process
 * that has yielded show it to their workers.
 */
#ifndef NINES_PROXY_SOURCE_SYNC_H
#define NINES_PROXY_SOURCE_SYNC_H

#include "config/cluster.h"
#include "part/part.h"
#include "proxy/sources/source_map.h"

struct source_sync;

/* `changed` is called when source_sync_map() has something new to say. NULL: no memory.
 */
struct source_sync *source_sync_new(
    struct part *part, void (*changed)(void *arg), void *arg) MUST_CHECK;
void source_sync_free(struct source_sync *ss); /* NULL is fine */

/* During ops->config(): services that stay keep what they know. */
void source_sync_config(
    struct source_sync *ss, const struct cluster *c, const struct host *me);
/* True if the socket was one of its memories; takes `fd` then. */
bool source_sync_socket(struct source_sync *ss, const char *name, int fd);

void source_sync_activate(struct source_sync *ss);
/* A successor writes from now on. */
void source_sync_yield(struct source_sync *ss);

/* What the workers of `service` may read; NULL: nothing (yet). Not a reference. */
struct source_map *source_sync_map(
    const struct source_sync *ss, const struct service *service);

/* What a worker has to say. It is told to others by source_sync_pump(). */
void source_sync_news(struct source_sync *ss, const struct source_news *news);
void source_sync_pump(struct source_sync *ss);

#endif /* NINES_PROXY_SOURCE_SYNC_H */
