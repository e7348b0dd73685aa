/* SPDX-License-Identifier: Apache-2.0 */
/* timers.h - what a timer of a worker's wheel belongs to. */
#ifndef NINES_PROXY_TIMERS_H
#define NINES_PROXY_TIMERS_H

enum timer_kind {
	TIMER_CLIENT,
	TIMER_UPSTREAM,
	TIMER_WATCH,
	TIMER_LANE,
	TIMER_TRUNK,
	TIMER_HEDGE,
	TIMER_LISTENER,
	TIMER_CARE
};

#endif /* NINES_PROXY_TIMERS_H */
