/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outages.h - a history (history.h) from the log of `nines run` (private to cli/).
 *
 * Of the facts that the log tells, these are about things that fail: servers and next
 * hops as this host checked them, and its own parts. Lines that are not of the log are
 * passed over.
 *
 * A server that refuses or answers badly is a program that failed, on a host that is
 * there. Of one that is silent nobody knows; but where all programs of a host are, two
 * at least, or the network says that nobody is there, it is the host (or its link),
 * and an outage of that instead of theirs.
 */
#ifndef NINES_CLI_OUTAGES_H
#define NINES_CLI_OUTAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/sbuf.h"
#include "config/availability_conf.h"

#define OUTAGES_THINGS 8192 /* a power of two; half of them are used */

/* What a server that is down says of its host. */
enum outages_sign {
	SIGN_ALIVE, /* that it is there */
	SIGN_SILENT,
	SIGN_GONE /* that it is not */
};

struct outages_thing {
	enum availability_kind kind;
	char *name;		/* NULL: a free slot */
	int64_t down_ms;	/* since when; -1: it is not down */
	enum outages_sign sign; /* AVAIL_SERVER, while it is down */
	bool with_host;		/* its outage is one of its host */
	bool late;		/* its host is back, and it was not yet */
};

struct outages {
	struct outages_thing thing[OUTAGES_THINGS];
	size_t n_things;
	size_t things[AVAIL_KINDS];
	uint64_t lines; /* of the log */
	int64_t from_ms, to_ms;
};

/*
 * The next line, without its end; what has ended by it is added to `out`. 0; -EINVAL:
 * it is an hour or more before the last, so not of the same log; -E2BIG: more things
 * than there is room for; -ENOMEM. `o` begins as zeros.
 */
int outages_line(
    struct outages *o, const char *line, size_t len, struct sbuf *out) MUST_CHECK;

/* What lasts, and what was watched; frees what `o` holds. */
void outages_end(struct outages *o, struct sbuf *out);
#endif /* NINES_CLI_OUTAGES_H */
