/* SPDX-License-Identifier: Apache-2.0 */
#include "part/fact.h"

#include <string.h>

bool
fact_split(struct fact_words *w, const char *text)
{
	struct fact_words r = {0};
	const char *p = text;

	for (;;) {
		size_t len = strcspn(p, " ");

		if (len == 0 || len >= FACT_WORD_LEN || r.n == FACT_WORDS)
			return false;
		memcpy(r.word[r.n++], p, len);
		p += len;
		if (*p == '\0')
			break;
		p++;
	}
	*w = r;
	return true;
}

bool
fact_is(const char *value, const char *word)
{
	size_t len = strlen(word);

	return strncmp(value, word, len) == 0 &&
	       (value[len] == '\0' || value[len] == ' ');
}
