/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service_breaker.h - `breaker` of a service. Private to config/.
 */
#ifndef NINES_CONFIG_SERVICE_BREAKER_H
#define NINES_CONFIG_SERVICE_BREAKER_H

#include "config/reader.h"

extern const struct section breaker_section;

#define BREAKER_KEY                                                               \
	{                                                                         \
		.name = "breaker", .kind = VALUE_SECTION,                         \
		.offset = offsetof(struct service, breaker),                      \
		.section = &breaker_section,                                      \
		.doc = "Ask a group of servers nothing for a while when most of " \
		       "its answers are errors.",                                 \
	}

/* What it asks of the rest of the service. */
void breaker_finish(struct reader *r, const struct yaml *node, struct service *s);

#endif /* NINES_CONFIG_SERVICE_BREAKER_H */
