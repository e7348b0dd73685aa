/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.h - what the forms of a report have in common (private to lab/).
 */
#ifndef NINES_LAB_REPORT_H
#define NINES_LAB_REPORT_H

#include "lab/drill.h"

struct spread {
	double min, median, max;
};

/* All rounds of one case or failure. Times in ms. */
struct report_group {
	const struct drill_round *first;
	size_t n, unsettled, doubtful;
	size_t played, survived; /* in how many rounds clients were served */
	struct spread outage, back, two, two_back, none, recovery;
	struct spread remote; /* the outage through the VPN, where somebody asks so */
	bool has_remote;
	uint64_t failed, retried, broken, requests;
	uint64_t probes_failed;
	struct flow_sum flows[FLOW_KINDS];
	uint64_t writes, writes_unanswered, writes_lost, writes_repeated;
	unsigned moves;
};

/* All rounds named as round `first` is; false: that is not the first of them. */
bool report_gather(
    const struct drill_report *r, size_t first, struct report_group *g) MUST_CHECK;

/* "survives", "ends", "?": what the analysis says. */
const char *report_forecast(enum forecast f);

/* "survives", "ends", "both", or "nothing" where it was not played. */
const char *report_seen(const struct report_group *g);

/* What the writes of all rounds came to: one line. */
void report_writes(const struct drill_report *r, FILE *f);

/* What all failures of the list came to, a line each. */
void report_conclude(const struct drill_report *r, FILE *f);

/* The table of failures that were made from the file. */
void report_failures(const struct drill_report *r, FILE *f, bool colour);

#endif /* NINES_LAB_REPORT_H */
