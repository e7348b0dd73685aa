/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ct_wire.h - the kernel's connection tracking messages (ctnetlink) to and from flows.
 *
 * Attributes that are not known here are skipped; flows that could not be rebuilt in
 * another kernel (GRE, SCTP, DCCP, zones of one direction) are told apart from messages
 * that make no sense. Netlink is in host byte order, most values within are not.
 */
#ifndef NINES_SYNC_CT_WIRE_H
#define NINES_SYNC_CT_WIRE_H

#include "base/check.h"
#include "base/wire.h"
#include "sync/flow.h"

#define CT_MESSAGE_MAX 512 /* bytes that ct_encode() needs at most */

/* One netlink message. */
struct ct_message {
	uint16_t type, flags;
	uint32_t seq;
	uint32_t port; /* who caused it; 0: traffic, or time */
	struct rd body;
};

/* The next message of `r`, which is cut off its front; false at the end or when what
 * is left is no message (r->bad). */
bool ct_next(struct rd *r, struct ct_message *m);

enum ct_kind {
	CT_FLOW,  /* *f is new, changed, or part of a dump */
	CT_GONE,  /* *f is no more: only its tuples count */
	CT_DONE,  /* the end of a dump */
	CT_RESULT /* of the request m->seq; *result is 0 or -errno */
};

/*
 * What `m` says. Returns 0, -ENOTSUP for a flow or message that is none of ours, or
 * -EPROTO for one that makes no sense.
 */
int ct_decode(const struct ct_message *m, enum ct_kind *kind, struct flow *f,
    int *result) MUST_CHECK;

enum ct_order {
	CT_CREATE,	/* fails with -EEXIST if there is such a flow */
	CT_CHANGE,	/* of a flow that is there, -ENOENT otherwise; never its NAT */
	CT_DELETE,	/* the flow with this first tuple */
	CT_DELETE_REPLY /* the flow whose answers have this reply tuple */
};

/* Appends the request; w->bad if there was no room. */
void ct_encode(struct wr *w, enum ct_order order, const struct flow *f, uint32_t seq);

/* Asks for all flows there are. */
void ct_encode_dump(struct wr *w, uint32_t seq);

#endif /* NINES_SYNC_CT_WIRE_H */
