/* SPDX-License-Identifier: Apache-2.0 */
/* gateway_probe.h - asks neighbours whether they are there, and hears their answers
 * (private to gateway/). */
#ifndef NINES_GATEWAY_GATEWAY_PROBE_H
#define NINES_GATEWAY_GATEWAY_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/ip.h"
#include "base/loop.h"

struct gateway_probe {
	struct loop *loop;
	int arp, nd;
	struct loop_fd *arp_watch, *nd_watch;
	/* `ip` answered on interface `index`; `mac` is NULL where it was not said. */
	void (*heard)(
	    void *arg, const struct ip *ip, unsigned index, const uint8_t *mac);
	void *arg;
};

struct gateway_question {
	struct ip to;
	unsigned index;	  /* of the interface */
	struct ip from;	  /* our address and ... */
	uint8_t mac[6];	  /* ... MAC there */
	bool everyone;	  /* it may have moved: ask all of the link, not only ... */
	uint8_t there[6]; /* ... where it was last */
};

/* `heard` and `arg` are set by the caller, the rest here. */
int gateway_probe_open(struct gateway_probe *p, struct loop *loop) MUST_CHECK;
void gateway_probe_close(struct gateway_probe *p);
/* A question that cannot be sent will find no answer, which is what it says. */
void gateway_probe_ask(struct gateway_probe *p, const struct gateway_question *q);

#endif /* NINES_GATEWAY_GATEWAY_PROBE_H */
