/* SPDX-License-Identifier: Apache-2.0 */
/*
 * breaker.h - stops asking a group of servers that answers with errors.
 *
 * Pure. Closed, everything passes, and answers are counted. When too many of them are
 * bad it opens: nothing passes for a while, so that clients hear at once what they
 * would hear late, and the servers can recover. Then it is half open: a few requests
 * pass, and what becomes of them closes it, or opens it for another while.
 */
#ifndef NINES_PROXY_BREAKER_H
#define NINES_PROXY_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mono.h"
#include "config/breaker_conf.h"

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_TRYING };

/* Zero-initialised it is closed and knows nothing. */
struct breaker {
	enum breaker_state state;
	mono_t until;		  /* open, or a trial: its end */
	mono_t half;		  /* closed: when the counts grow old */
	uint32_t good[2], bad[2]; /* of this half of the window and the one before */
	unsigned begun, passed;	  /* trials */
};

/* Whether a request may go to the servers. */
bool breaker_allows(struct breaker *b, const struct breaker_conf *conf, mono_t now);

/* One was answered, or failed. True if that opened it. */
bool breaker_answer(
    struct breaker *b, const struct breaker_conf *conf, mono_t now, bool good);

#endif /* NINES_PROXY_BREAKER_H */
