/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ledger.h - writes that were acknowledged, against the journals of the servers
 * (private to lab/). Pure.
 *
 * A write has a number. A server appends it to its journal before it says 200, so an
 * acknowledged write that is in no journal is lost; one that is in two journals, or
 * twice in one, was carried out twice, acknowledged or not. Somebody on the way
 * repeated what may not be repeated (RFC 9110 section 9.2.2).
 */
#ifndef NINES_LAB_LEDGER_H
#define NINES_LAB_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEDGER_JOURNALS 32

struct ledger_sum {
	uint64_t acknowledged;
	uint64_t lost;	   /* acknowledged, and in no journal */
	uint64_t repeated; /* times that a number was found again */
	uint64_t torn;	   /* lines that are no number of a write */
	/* The first of each, for people. */
	uint64_t lost_write, repeated_write;
	unsigned first_in, again_in; /* journals of repeated_write */
};

struct ledger {
	uint8_t *found; /* of each write: 0, or 1 + the journal it was first found in */
	size_t size;	/* writes with room in it; the caller's memory, all 0 */
	struct {
		uint64_t number;
		bool begun, bad;
	} line[LEDGER_JOURNALS]; /* of each journal, the one that is not complete */
	struct ledger_sum sum;	 /* since ledger_take() */
};

void ledger_init(struct ledger *l, uint8_t *found, size_t size);

/* What was appended to `journal` (below LEDGER_JOURNALS), lines in any pieces. */
void ledger_journal(struct ledger *l, unsigned journal, const char *text, size_t len);

/*
 * Writes that were acknowledged. The journals must have been read since: what they do
 * not have now is lost.
 */
void ledger_acknowledged(struct ledger *l, const uint64_t *write, size_t n);

/* The sum since the last call. */
void ledger_take(struct ledger *l, struct ledger_sum *sum);

/* Everything that should not be. */
uint64_t ledger_wrong(const struct ledger_sum *sum);

#endif /* NINES_LAB_LEDGER_H */
