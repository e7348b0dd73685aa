/* SPDX-License-Identifier: Apache-2.0 */
#include "config/schema.h"

#include <string.h>

static bool
letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
digit(char c)
{
	return c >= '0' && c <= '9';
}

/* A name has a letter, or it could be taken for a number or an address. */
bool
name_valid(const char *s)
{
	bool has_letter = false;
	size_t n = 0;

	if (!letter(*s) && !digit(*s))
		return false;
	for (; *s != '\0'; s++, n++) {
		has_letter |= letter(*s);
		if (!letter(*s) && !digit(*s) && strchr("-_.", *s) == NULL)
			return false;
	}
	return has_letter && n <= CLUSTER_NAME_MAX;
}

uint64_t
field_get(const void *base, const struct key *k)
{
	const char *p = (const char *)base + k->offset;
	uint64_t v64;
	uint32_t v32;
	uint16_t v16;

	switch (k->size) {
	case 1:
		return (uint8_t)*p;
	case 2:
		memcpy(&v16, p, sizeof(v16));
		return v16;
	case 4:
		memcpy(&v32, p, sizeof(v32));
		return v32;
	default:
		ASSERT(k->size == 8);
		memcpy(&v64, p, sizeof(v64));
		return v64;
	}
}

void
field_set(void *base, const struct key *k, uint64_t v)
{
	char *p = (char *)base + k->offset;
	uint8_t v8 = (uint8_t)v;
	uint16_t v16 = (uint16_t)v;
	uint32_t v32 = (uint32_t)v;

	switch (k->size) {
	case 1:
		memcpy(p, &v8, sizeof(v8));
		break;
	case 2:
		memcpy(p, &v16, sizeof(v16));
		break;
	case 4:
		memcpy(p, &v32, sizeof(v32));
		break;
	default:
		ASSERT(k->size == 8);
		memcpy(p, &v, sizeof(v));
	}
}

const void *
field_pointer(const void *base, size_t offset)
{
	const void *p;

	memcpy(&p, (const char *)base + offset, sizeof(p));
	return p;
}
