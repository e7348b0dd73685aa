/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remote_tunnel.h - the tunnel of remote.h: keys, addresses, wireguard-go (private to
 * lab/).
 */
#ifndef NINES_LAB_REMOTE_TUNNEL_H
#define NINES_LAB_REMOTE_TUNNEL_H

#include <sys/types.h>

#include "lab/remote.h"

#define REMOTE_PORT 7 /* echo, RFC 862 */

struct remote_tunnel {
	pid_t pid; /* of wireguard-go */
	char interface[16], socket[64];
	char client[WORLD_NS_LEN]; /* namespaces: where the tunnel begins ... */
	char host[WORLD_NS_LEN];   /* ... and of the host in `reach` */
	struct ip_endpoint from, to;
};

/* 0 or -errno with `why`; closed in either case by remote_tunnel_close(). */
int remote_tunnel_open(struct remote_tunnel *t, struct world *w,
    char why[static REMOTE_WHY_LEN]) MUST_CHECK;
void remote_tunnel_close(struct remote_tunnel *t);

#endif /* NINES_LAB_REMOTE_TUNNEL_H */
