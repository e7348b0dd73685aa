/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/rules.h"

#include "base/check.h"

const char *
rules_differ(enum forecast forecast, bool served)
{
	if (forecast == FORECAST_SURVIVES && !served)
		return "was to be survived, but clients were not served";
	if (forecast == FORECAST_ENDS && served)
		return "was to end the service, but clients were served";
	return NULL;
}

void
rules_init(struct rules *r)
{
	*r = (struct rules){.deaf_until = {0}};
	for (size_t i = 0; i < RULES_FLOATS_MAX; i++)
		r->two_since[i] = MONO_NEVER;
}

void
rules_deaf(struct rules *r, mono_t now)
{
	r->deaf_until = mono_add(now, RULES_TWO_OWNERS_NS);
}

enum rule
rules_unserved(int64_t ns)
{
	return ns > RULES_UNSERVED_NS ? RULE_UNSERVED : RULE_NONE;
}

enum rule
rules_wrong(struct rules *r, uint64_t more)
{
	r->wrong += more;
	return r->wrong > 0 ? RULE_WRONG : RULE_NONE;
}

enum rule
rules_owners(struct rules *r, size_t which, uint32_t holders, mono_t now)
{
	mono_t *since = &r->two_since[which];

	ASSERT(which < RULES_FLOATS_MAX);
	if ((holders & (holders - 1)) == 0 || mono_before(now, r->deaf_until))
		*since = MONO_NEVER;
	else if (mono_is_never(*since))
		*since = now;
	else if (mono_sub(now, *since) > RULES_TWO_OWNERS_NS)
		return RULE_TWO;
	return RULE_NONE;
}
