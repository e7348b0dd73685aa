/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service_compression.h - `compression` of a service. Private to config/.
 */
#ifndef NINES_CONFIG_SERVICE_COMPRESSION_H
#define NINES_CONFIG_SERVICE_COMPRESSION_H

#include "config/reader.h"

extern const struct section compression_section;

#define COMPRESSION_KEY                                                              \
	{                                                                            \
		.name = "compression", .kind = VALUE_SECTION,                        \
		.offset = offsetof(struct service, compression),                     \
		.section = &compression_section,                                     \
		.doc = "Compress answers for clients that ask for it. Read about "   \
		       "BREACH before answers with secrets in them are compressed.", \
	}

/* What it asks of the rest of the service. */
void compression_finish(struct reader *r, const struct yaml *node, struct service *s);

#endif /* NINES_CONFIG_SERVICE_COMPRESSION_H */
