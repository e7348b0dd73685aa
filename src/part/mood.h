/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mood.h - what the first word of a fact's value says of its subject, for all who show
 * facts or judge by them. The vocabulary is docs/facts.md.
 */
#ifndef NINES_PART_MOOD_H
#define NINES_PART_MOOD_H

/* What no part calls good or waiting is bad. */
enum mood { MOOD_GOOD, MOOD_WAITING, MOOD_BAD };

enum mood mood_of(const char *value);

#endif /* NINES_PART_MOOD_H */
