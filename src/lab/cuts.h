/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cuts.h - failures of cables and switches (private to lab/): rows of the table in
 * cases.c. Each is injected for the host and network of its harm, and undone by the
 * function named with it.
 */
#ifndef NINES_LAB_CUTS_H
#define NINES_LAB_CUTS_H

#include "lab/drill.h"

/* The interface goes down, in the host. */
int cut_link(struct drill *d, struct harm *h) MUST_CHECK;
int mend_link(struct drill *d, struct harm *h) MUST_CHECK;

/* The switch drops packets, and nobody's cable looks broken; uncut() ends all four. */
int cut_silently(struct drill *d, struct harm *h) MUST_CHECK;  /* both ways */
int cut_hearing(struct drill *d, struct harm *h) MUST_CHECK;   /* to the host */
int cut_speaking(struct drill *d, struct harm *h) MUST_CHECK;  /* from the host */
int cut_heartbeat(struct drill *d, struct harm *h) MUST_CHECK; /* VRRP, everybody's */
int cut_heartbeat_in(struct drill *d, struct harm *h) MUST_CHECK;
int cut_heartbeat_out(struct drill *d, struct harm *h) MUST_CHECK;
int uncut(struct drill *d, struct harm *h) MUST_CHECK;

/* The switch loses power: no cable of its network has a carrier. */
int cut_network(struct drill *d, struct harm *h) MUST_CHECK;
int mend_network(struct drill *d, struct harm *h) MUST_CHECK;

#endif /* NINES_LAB_CUTS_H */
