/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service_parts.h - the larger keys of a service, each in a file of its own.
 *
 * Private to config/.
 */
#ifndef NINES_CONFIG_SERVICE_PARTS_H
#define NINES_CONFIG_SERVICE_PARTS_H

#include "config/schema.h"

extern const struct section server_section;

/* service_group.c: `groups`, and what joins them with `servers` */
extern const struct many service_groups;

extern const struct form active_form;

#define GROUPS_KEY                                                                     \
	{                                                                              \
		.name = "groups", .kind = VALUE_MAP,                                   \
		.offset = offsetof(struct service, extra), .many = &service_groups,    \
		.doc = "More groups of servers, by name, for `routes` to choose from." \
	}

/* Before the keys of `s` are read: its groups' names are known from then on. */
void groups_begin(struct reader *r, const struct yaml *node, struct service *s);
/* After them: checks `servers` and `groups`, and fills `group` and `server`. */
void groups_finish(struct reader *r, const struct yaml *node, struct service *s);

/* service_route.c: `routes`, and changes of heads */
extern const struct many service_routes;
extern const struct section answer_headers_section;

const char *field_set_fault(const char *name, const char *text);
const char *field_add_fault(const char *name, const char *text);
const char *field_remove_fault(const char *name, const char *text);

/* What a service and a route have in common; `type` is the struct of either. */
#define HEADER_KEYS(type)                                                      \
	{                                                                      \
	    .name = "set_headers",                                             \
	    .kind = VALUE_PAIRS,                                               \
	    FIELD(type, request.set),                                          \
	    .fault = field_set_fault,                                          \
	    .doc = "Header fields of requests, in place of any of that name.", \
	},                                                                     \
	    {                                                                  \
		.name = "add_headers",                                         \
		.kind = VALUE_PAIRS,                                           \
		FIELD(type, request.add),                                      \
		.fault = field_add_fault,                                      \
		.doc = "Header fields of requests, beside any of that name.",  \
	    },                                                                 \
	    {                                                                  \
		.name = "remove_headers",                                      \
		.kind = VALUE_TEXTS,                                           \
		FIELD(type, request.remove),                                   \
		.fault = field_remove_fault,                                   \
		.doc = "Header fields that leave requests.",                   \
	    },                                                                 \
	{                                                                      \
		.name = "answer_headers", .kind = VALUE_SECTION,               \
		.offset = offsetof(type, response),                            \
		.section = &answer_headers_section,                            \
		.doc = "Changes of the header fields of answers.",             \
	}

/* After groups_finish(). */
void routes_finish(struct reader *r, const struct yaml *node, struct service *s);

#endif /* NINES_CONFIG_SERVICE_PARTS_H */
