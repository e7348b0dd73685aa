/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dial.h - sockets to servers and the options of sockets to clients. Private to the
 * room.
 */
#ifndef NINES_PROXY_DIAL_H
#define NINES_PROXY_DIAL_H

#include <stdbool.h>

#include "base/check.h"
#include "base/ip.h"
#include "config/cluster.h"

struct upstream;

/*
 * A socket that connects to `up`, or has; -errno. -EADDRNOTAVAIL: the source that the
 * file asks for cannot be had here. `client` is who it is opened for.
 */
int dial_server(const struct upstream *up, const struct ip_endpoint *client) MUST_CHECK;

/* What the sockets that `listener` accepts inherit from it, and its backlog: thus
 * accepting takes no call for any of it. */
void dial_tune_listener(int listener, const struct service *conf);

#endif /* NINES_PROXY_DIAL_H */
