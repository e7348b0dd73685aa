/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fact.h - splitting facts into words. The vocabulary is docs/facts.md.
 */
#ifndef NINES_PART_FACT_H
#define NINES_PART_FACT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"

#define FACT_WORDS    4
#define FACT_WORD_LEN 160

struct fact_words {
	size_t n;
	char word[FACT_WORDS][FACT_WORD_LEN];
};

/* Splits at single spaces; false if there are too many or too long words. */
bool fact_split(struct fact_words *w, const char *text) MUST_CHECK;

/* True if the first word of `value` is `word`. */
bool fact_is(const char *value, const char *word);

#endif /* NINES_PART_FACT_H */
