/* SPDX-License-Identifier: Apache-2.0 */
#include "config/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* From the largest, so that formatting takes the first that divides. */
static const struct unit {
	const char *name;
	int64_t ns;
} unit[] = {
    {"d", INT64_C(86400000000000)},
    {"h", INT64_C(3600000000000)},
    {"m", INT64_C(60000000000)},
    {"s", INT64_C(1000000000)},
    {"ms", INT64_C(1000000)},
    {"us", INT64_C(1000)},
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

int
duration_parse(int64_t *ns, const char *s)
{
	const char *end;
	int64_t v;
	int rc = digits(&v, s, &end);

	if (rc < 0)
		return rc;
	if (*end == '\0')
		return -ENODATA;
	for (size_t i = 0; i < ARRAY_LEN(unit); i++) {
		if (strcmp(end, unit[i].name) != 0)
			continue;
		return __builtin_mul_overflow(v, unit[i].ns, ns) ? -ERANGE : 0;
	}
	return -EINVAL;
}

const char *
duration_format(int64_t ns, char buf[static DURATION_LEN])
{
	for (size_t i = 0; i < ARRAY_LEN(unit); i++) {
		if (ns == 0 ? strcmp(unit[i].name, "s") != 0 : ns % unit[i].ns != 0)
			continue;
		(void)snprintf(
		    buf, DURATION_LEN, "%" PRId64 "%s", ns / unit[i].ns, unit[i].name);
		return buf;
	}
	ASSERT(ns % 1000 == 0);
	return buf;
}

/* The binary ones first, so that formatting prefers them. */
static const struct {
	const char *name;
	int64_t bytes;
} size_unit[] = {
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

int
size_parse(int64_t *bytes, const char *s)
{
	const char *end;
	int64_t v;
	int rc = digits(&v, s, &end);

	if (rc < 0)
		return rc;
	if (*end == '\0')
		return -ENODATA;
	for (size_t i = 0; i < ARRAY_LEN(size_unit); i++) {
		if (strcmp(end, size_unit[i].name) != 0)
			continue;
		return __builtin_mul_overflow(v, size_unit[i].bytes, bytes) ? -ERANGE
									    : 0;
	}
	return -EINVAL;
}

const char *
size_format(int64_t bytes, char buf[static SIZE_LEN])
{
	for (size_t i = 0; i < ARRAY_LEN(size_unit); i++) {
		if (bytes == 0 ? size_unit[i].bytes != 1
			       : bytes % size_unit[i].bytes != 0)
			continue;
		(void)snprintf(buf, SIZE_LEN, "%" PRId64 "%s",
		    bytes / size_unit[i].bytes, size_unit[i].name);
		break;
	}
	return buf;
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
