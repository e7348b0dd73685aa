/* SPDX-License-Identifier: Apache-2.0 */
/*
 * section_external.c - `external`: what services need that is not in the file.
 */
#include <string.h>

#include "config/reader.h"
#include "config/sections.h"
#include "config/service_list.h"

#define PLACES_MAX 64

static const struct word kind_word[] = {
    {"dns", EXTERNAL_DNS, "name servers that must answer"},
    {"upstream", EXTERNAL_UPSTREAM, "providers that packets must come through"},
    {"api", EXTERNAL_API, "a service of others that requests turn to"},
    {"other", EXTERNAL_OTHER, "anything else"},
    {0},
};

/* An address or a name, as one would type it: spof prints it and takes it back. */
static const char *
at_fault(const char *name, const char *text)
{
	(void)name;
	for (const char *p = text; *p != '\0'; p++) {
		if (*p <= ' ' || *p == ',' || *p == '"')
			return "addresses or names, without blanks, commas and quotes";
	}
	return *text != '\0' ? NULL : "addresses or names";
}

static void
read_needed_by(struct reader *r, const struct yaml *node, void *base)
{
	struct external *e = base;

	e->service = service_list_read(r, node, &e->n_services);
}

static void
write_needed_by(const void *base, struct sbuf *out)
{
	const struct external *e = base;

	service_list_write(e->service, e->n_services, out);
}

static const struct form needed_by_form = {
    .read = read_needed_by,
    .write = write_needed_by,
    .schema = SERVICE_LIST_SCHEMA,
    .syntax = SERVICE_LIST_SYNTAX,
};

static const struct key external_key[] = {
    {
	.name = "kind",
	.kind = VALUE_WORD,
	.required = true,
	FIELD(struct external, kind),
	.words = kind_word,
	.doc = "What it is, for the words of `nines spof`.",
    },
    {
	.name = "at",
	.kind = VALUE_TEXTS,
	FIELD(struct external, at),
	.fault = at_fault,
	.doc = "The places that it can be had from, each an address or a name; hosts "
	       "of this file by their names or addresses. Without: one, that fails as "
	       "a whole.",
    },
    {
	.name = "needs",
	.kind = VALUE_COUNT,
	FIELD(struct external, needs),
	.min = 1,
	.max = PLACES_MAX,
	.preset = "1",
	.doc = "How many of the places must work.",
    },
    {
	.name = "needed_by",
	.kind = VALUE_FORM,
	.form = &needed_by_form,
	.doc = "The services that end without it. Without: all of them.",
    },
};

static void
check_places(struct reader *r, const struct yaml *at, const struct external *e)
{
	size_t n = 0;
	const struct yaml *item = at != NULL ? yaml_items(at, &n) : NULL;

	if (n > PLACES_MAX)
		(void)reader_error(r, at, "out-of-range",
		    "\"%s\" has at most %d places", e->name, PLACES_MAX);
	for (size_t i = 0; i < n && n == e->at.n; i++, item = item->next) {
		for (size_t k = 0; k < i; k++) {
			if (strcmp(e->at.text[i], e->at.text[k]) == 0)
				(void)reader_error(r, item, "duplicate-place",
				    "\"%s\" is listed twice: one place is no spare "
				    "for itself",
				    e->at.text[i]);
		}
	}
}

static void
finish_external(struct reader *r, const struct yaml *node, void *base, uint64_t given)
{
	struct external *e = base;
	size_t places = e->at.n > 0 ? e->at.n : 1;
	const struct yaml *at = yaml_get(node, "at");

	(void)given;
	check_places(r, at, e);
	/* What was wrong about `at` has been said. */
	if (e->needs > places && (at == NULL || e->at.n > 0))
		diag_hint(reader_error(r, yaml_get(node, "needs"), "out-of-range",
			      "\"%s\" needs %u places and has %zu", e->name, e->needs,
			      places),
		    "list them all: at: [ADDRESS, ...]");
}

const struct section external_section = {
    .what = "external thing",
    .doc = "What services need that others run: for `nines spof`.",
    KEYS(external_key),
    .finish = finish_external,
};
