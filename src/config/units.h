/* SPDX-License-Identifier: Apache-2.0 */
/*
 * units.h - numbers, durations and sizes as a person writes them. Pure.
 */
#ifndef NINES_CONFIG_UNITS_H
#define NINES_CONFIG_UNITS_H

#include <stdint.h>

#include "base/check.h"

#define UNITS_LEN 24 /* the longest text with its NUL */

/*
 * "250ms", "1s", "5m", "1h", "30d": a whole number and a unit. 0, -EINVAL (no such
 * thing), -ENODATA (a number without its unit) or -ERANGE.
 */
int duration_parse(int64_t *ns, const char *s) MUST_CHECK;

/* In the largest unit that divides `ns`, which must be whole microseconds. Returns buf.
 */
const char *duration_format(int64_t ns, char buf[static UNITS_LEN]);

/*
 * "512B", "1KiB", "10MB", "1GiB": a whole number and a unit; 0, -EINVAL, -ENODATA (a
 * number without its unit) or -ERANGE.
 */
int size_parse(int64_t *bytes, const char *s) MUST_CHECK;

/* In the largest unit that divides `bytes`. Returns buf. */
const char *size_format(int64_t bytes, char buf[static UNITS_LEN]);

/* Decimal digits only; 0, -EINVAL or -ERANGE (above INT64_MAX). */
int count_parse(int64_t *n, const char *s) MUST_CHECK;

#endif /* NINES_CONFIG_UNITS_H */
