/* SPDX-License-Identifier: Apache-2.0 */
#include "config/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct unit {
	const char *name;
	int64_t is; /* in what is counted */
};

/* From the largest, so that formatting takes the first that divides. */
static const struct unit time_unit[] = {
    {"d", INT64_C(86400000000000)},
    {"h", INT64_C(3600000000000)},
    {"m", INT64_C(60000000000)},
    {"s", INT64_C(1000000000)},
    {"ms", INT64_C(1000000)},
    {"us", INT64_C(1000)},
};

/* The binary ones first, so that formatting prefers them. */
static const struct unit size_unit[] = {
    {"TiB", INT64_C(1) << 40},
    {"GiB", INT64_C(1) << 30},
    {"MiB", INT64_C(1) << 20},
    {"KiB", INT64_C(1) << 10},
    {"TB", INT64_C(1000000000000)},
    {"GB", INT64_C(1000000000)},
    {"MB", INT64_C(1000000)},
    {"KB", INT64_C(1000)},
    {"B", 1},
};

/* Reads digits up to `*end`. */
static int
digits(int64_t *n, const char *s, const char **end)
{
	int64_t v = 0;

	if (*s < '0' || *s > '9')
		return -EINVAL;
	for (; *s >= '0' && *s <= '9'; s++) {
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, *s - '0', &v))
			return -ERANGE;
	}
	*n = v;
	*end = s;
	return 0;
}

static int
parse(const struct unit *unit, size_t n_units, int64_t *n, const char *s)
{
	const char *end;
	int64_t v;
	int rc = digits(&v, s, &end);

	if (rc < 0)
		return rc;
	if (*end == '\0')
		return -ENODATA;
	for (size_t i = 0; i < n_units; i++) {
		if (strcmp(end, unit[i].name) == 0)
			return __builtin_mul_overflow(v, unit[i].is, n) ? -ERANGE : 0;
	}
	return -EINVAL;
}

/* In the first unit that divides `n`; all of them divide 0, which is in `zero`. */
static const char *
format(const struct unit *unit, size_t n_units, const char *zero, int64_t n,
    char buf[static UNITS_LEN])
{
	size_t i = 0;

	while (n == 0 ? strcmp(unit[i].name, zero) != 0 : n % unit[i].is != 0) {
		i++;
		ASSERT(i < n_units);
	}
	(void)snprintf(buf, UNITS_LEN, "%" PRId64 "%s", n / unit[i].is, unit[i].name);
	return buf;
}

int
duration_parse(int64_t *ns, const char *s)
{
	return parse(time_unit, ARRAY_LEN(time_unit), ns, s);
}

const char *
duration_format(int64_t ns, char buf[static UNITS_LEN])
{
	return format(time_unit, ARRAY_LEN(time_unit), "s", ns, buf);
}

int
size_parse(int64_t *bytes, const char *s)
{
	return parse(size_unit, ARRAY_LEN(size_unit), bytes, s);
}

const char *
size_format(int64_t bytes, char buf[static UNITS_LEN])
{
	return format(size_unit, ARRAY_LEN(size_unit), "B", bytes, buf);
}

int
count_parse(int64_t *n, const char *s)
{
	const char *end;
	int64_t v;
	int rc = digits(&v, s, &end);

	if (rc < 0)
		return rc;
	if (*end != '\0')
		return -EINVAL;
	*n = v;
	return 0;
}
