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

#endif /* NINES_CONFIG_SERVICE_PARTS_H */
