/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handover_wire.h - what a supervisor leaves to the program that takes its place.
 *
 * A sequence of records of one shape in a memory file; the table says what each means.
 * Both programs are of this project, but not of one version: a record that the reader
 * does not know makes it refuse, and the old program goes on. Layout, big endian:
 *
 *	u8 version = 1 | u8 type | u64 number[7] | str key | str value | str by
 *
 * where str is a 16-bit length and its bytes.
 */
#ifndef NINES_SUPERVISOR_HANDOVER_WIRE_H
#define NINES_SUPERVISOR_HANDOVER_WIRE_H

#include "base/wire.h"
#include "part/part.h"

#define HANDOVER_VERSION  1
#define HANDOVER_NUMBERS  7
#define HANDOVER_TEXT_LEN 4096 /* of a value, with the NUL: a path */
#define HANDOVER_RECORD_MAX \
	(2 + 8 * HANDOVER_NUMBERS + 3 * 2 + 2 * FACT_KEY_LEN + HANDOVER_TEXT_LEN)

/*	name	what stands in it */
#define HANDOVER_RECORDS(X)                                                   \
	X(OPTION)  /* key name, value */                                      \
	X(TREE)	   /* key host, value version; generation, next order, start, \
		      interval of the watchdog */                             \
	X(FD)	   /* key what for; descriptor */                             \
	X(FACT)	   /* key, value, by; since. The last one of a key holds */   \
	X(SOCKET)  /* key name; descriptor */                                 \
	X(PART)	   /* key name; status, restarts, has `more` */               \
	X(PROCESS) /* key part; slot, state, acts, pid, pidfd, link, generation */

enum handover_type {
#define X(name) HANDOVER_##name,
	HANDOVER_RECORDS(X)
#undef X
	    HANDOVER_TYPES
};

struct handover_record {
	enum handover_type type;
	uint64_t number[HANDOVER_NUMBERS];
	char key[FACT_KEY_LEN];
	char value[HANDOVER_TEXT_LEN];
	char by[FACT_KEY_LEN];
};

/* Texts must fit; anything else is a bug. */
void handover_encode(struct wr *w, const struct handover_record *rec);

/* 0, or -EBADMSG with *rec of no meaning. */
int handover_decode(struct rd *r, struct handover_record *rec) MUST_CHECK;

#endif /* NINES_SUPERVISOR_HANDOVER_WIRE_H */
