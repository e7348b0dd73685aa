/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outlier.h - servers that answer worse than the others of their group.
 *
 * Pure. The owner tells of each answer that came or failed, and lets the windows roll
 * every conf->every_ns. What a server does counts only beside what the others do: when
 * all of them fail, it is not the servers, and nobody is ejected.
 */
#ifndef NINES_PROXY_OUTLIER_H
#define NINES_PROXY_OUTLIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mono.h"
#include "config/service_balance.h"

/* Answers of this window and of the one before. */
struct outlier_tally {
	uint32_t good[2], bad[2];
};

/* Zero-initialised: nothing is known. */
struct outlier_server {
	struct outlier_tally tally;
	unsigned run; /* failures in a row */
	bool out;
	uint8_t times; /* ejected lately: each one takes longer */
	mono_t until;  /* while `out` */
};

struct outlier_group {
	struct outlier_tally tally; /* of all servers */
	size_t n, n_out;
};

/* An answer of `s`. True if it has to leave: it is marked `out` and counted. */
bool outlier_answer(struct outlier_group *g, struct outlier_server *s,
    const struct outlier_conf *conf, mono_t now, bool good);

/*
 * The window ends: for each server first, for its group last. True as above: the server
 * failed at most requests, though not in a row.
 */
bool outlier_roll(struct outlier_group *g, struct outlier_server *s,
    const struct outlier_conf *conf, mono_t now);
void outlier_roll_group(struct outlier_group *g);

/* True, and `s` is in again, if its time is up. */
bool outlier_back(struct outlier_group *g, struct outlier_server *s, mono_t now);

/* Ejects `s` for another reason: it is slow. False: too many are out. */
bool outlier_eject(struct outlier_group *g, struct outlier_server *s,
    const struct outlier_conf *conf, mono_t now);

#endif /* NINES_PROXY_OUTLIER_H */
