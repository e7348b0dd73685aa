/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spof.h - `nines spof`: what was worked out, and its forms (private to cli/).
 */
#ifndef NINES_CLI_SPOF_H
#define NINES_CLI_SPOF_H

#include <stdio.h>

#include "base/sbuf.h"
#include "cli/certificates.h"
#include "topology/avail.h"
#include "topology/findings.h"
#include "topology/history.h"
#include "topology/pairs.h"
#include "topology/topology.h"

#define SPOF_WITHOUT_MAX 1000
#define SPOF_ORDER_MAX	 8
#define SPOF_OUTPUT_MAX	 ((size_t)256 << 20)

struct spof {
	const char *file;
	const struct sbuf *source;
	const struct cluster *cluster;
	struct topology *topology;
	struct findings findings;
	size_t without[SPOF_WITHOUT_MAX]; /* failures that are taken as given */
	size_t n_without;
	unsigned order;		     /* 1 .. SPOF_ORDER_MAX */
	struct failure_pairs *pairs; /* of each goal; NULL: of no interest */
	struct certificates certificates;
	const char *history_file; /* NULL: none */
	struct history history;
	struct availability_conf rates; /* of the file, then after `history` */
	struct failover_outage outage;	/* all -1: nothing was measured */
	struct avail *avail;		/* of each goal */
	bool colour;
};

/* "host=180d/1h,server=10d/5m" into `rates`; says itself what is wrong. */
bool spof_read_rates(const char *text, struct availability_conf *rates);
/* What was seen (history.h); says itself what is wrong. */
bool spof_read_history(const char *path, struct history *history);
void spof_history_text(const struct spof *s, struct sbuf *out);
void spof_history_json(const struct spof *s, struct sbuf *out);
/* What `nines drill --json` wrote. */
bool spof_read_measured(const char *path, struct failover_outage *outage);

#define SPOF_CLASSES 4
/* "any one host": what a kind of failure is called where it is survived. */
extern const char *const spof_class[SPOF_CLASSES];
/* Bit i: goal `goal` survives each failure of class i; `n` is how many there are. */
unsigned spof_survived(const struct spof *s, size_t goal, size_t n[SPOF_CLASSES]);

void spof_text(const struct spof *s, struct sbuf *out);
void spof_json(const struct spof *s, struct sbuf *out);
void spof_sarif(const struct spof *s, struct sbuf *out);

#endif /* NINES_CLI_SPOF_H */
