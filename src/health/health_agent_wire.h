/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health_agent_wire.h - what a server's agent says of itself: one line, as HAProxy's
 * agent-check takes it.
 *
 * Words between blanks or commas, in any order and case: a percentage of the server's
 * weight; `ready`, `drain`, `maint`; `up`, `down`, `stopped`, `fail` or `failed`; then
 * perhaps `#` and a reason for people. What it does not mention stays as it was. A
 * word that is not known is passed over, for agents may say more than we ask.
 *
 * Pure.
 */
#ifndef NINES_HEALTH_HEALTH_AGENT_WIRE_H
#define NINES_HEALTH_HEALTH_AGENT_WIRE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"

#define HEALTH_AGENT_LINE_MAX 256 /* bytes that are read */
#define HEALTH_AGENT_WHY_LEN  64  /* with the NUL */

enum health_agent_order { AGENT_READY, AGENT_DRAIN, AGENT_MAINT };

struct health_agent {
	unsigned percent; /* of the weight, 0 .. 100 */
	enum health_agent_order order;
	bool down;
	char why[HEALTH_AGENT_WHY_LEN]; /* printable, of `down` and `maint`; or "" */
};

/* What holds while nothing was said: all of the weight. */
void health_agent_init(struct health_agent *a);

/* Takes in the first line of `len` bytes; its end may be the end of them. 0, or
 * -EBADMSG: nothing in it is known, and `a` is as it was. */
int health_agent_decode(struct health_agent *a, const char *p, size_t len) MUST_CHECK;

/* True if a whole line stands at `p`. */
bool health_agent_whole(const char *p, size_t len);

#endif /* NINES_HEALTH_HEALTH_AGENT_WIRE_H */
