/* SPDX-License-Identifier: Apache-2.0 */
#include "part/mood.h"

#include <stddef.h>

#include "base/check.h"
#include "part/fact.h"

enum mood
mood_of(const char *value)
{
	static const struct {
		const char *word;
		enum mood mood;
	} words[] = {
	    {"up", MOOD_GOOD},
	    {"active", MOOD_GOOD},
	    {"backup", MOOD_GOOD},
	    {"standby", MOOD_GOOD},
	    {"ok", MOOD_GOOD},
	    {"syncing", MOOD_WAITING},
	    {"behind", MOOD_WAITING},
	    {"unknown", MOOD_WAITING},
	    {"init", MOOD_WAITING},
	    {"leaving", MOOD_WAITING},
	    {"restarting", MOOD_WAITING},
	    {"starting", MOOD_WAITING},
	    {"drain", MOOD_WAITING},
	    {"yes", MOOD_WAITING},
	    {"trial", MOOD_WAITING},
	    {"off", MOOD_WAITING},
	    {"note", MOOD_WAITING},
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (fact_is(value, words[i].word))
			return words[i].mood;
	}
	return MOOD_BAD;
}
