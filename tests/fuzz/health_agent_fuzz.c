/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as what an agent says: it stays within its limits, and saying the same
 * again changes nothing. */
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "health/health_agent_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	struct health_agent a, b;

	if (len > HEALTH_AGENT_LINE_MAX)
		len = HEALTH_AGENT_LINE_MAX;
	health_agent_init(&a);
	if (health_agent_decode(&a, (const char *)p, len) != 0)
		return 0;
	ASSERT(a.percent <= 100 && a.order <= AGENT_MAINT);
	ASSERT(strnlen(a.why, sizeof(a.why)) < sizeof(a.why));
	for (const char *c = a.why; *c != '\0'; c++)
		ASSERT(*c >= ' ' && *c <= '~' && *c != '"');
	b = a;
	ASSERT(health_agent_decode(&b, (const char *)p, len) == 0);
	ASSERT(a.percent == b.percent && a.order == b.order && a.down == b.down);
	return 0;
}
