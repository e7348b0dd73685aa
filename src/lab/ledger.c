/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/ledger.h"

#include "base/check.h"

void
ledger_init(struct ledger *l, uint8_t *found, size_t size)
{
	*l = (struct ledger){.found = found, .size = size};
}

static void
enter(struct ledger *l, unsigned journal, uint64_t write)
{
	uint8_t *found;

	if (write >= l->size) {
		l->sum.torn++;
		return;
	}
	found = &l->found[write];
	if (*found == 0) {
		*found = (uint8_t)(journal + 1);
		return;
	}
	if (l->sum.repeated++ == 0) {
		l->sum.repeated_write = write;
		l->sum.first_in = *found - 1U;
		l->sum.again_in = journal;
	}
}

void
ledger_journal(struct ledger *l, unsigned journal, const char *text, size_t len)
{
	ASSERT(journal < LEDGER_JOURNALS);
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c == '\n') {
			if (l->line[journal].bad || !l->line[journal].begun)
				l->sum.torn++;
			else
				enter(l, journal, l->line[journal].number);
			l->line[journal].number = 0;
			l->line[journal].begun = l->line[journal].bad = false;
		} else if (c < '0' || c > '9' || l->line[journal].number >= l->size) {
			l->line[journal].bad = true;
		} else {
			l->line[journal].number =
			    l->line[journal].number * 10 + (uint64_t)(c - '0');
			l->line[journal].begun = true;
		}
	}
}

void
ledger_acknowledged(struct ledger *l, const uint64_t *write, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		l->sum.acknowledged++;
		if (write[i] < l->size && l->found[write[i]] != 0)
			continue;
		if (l->sum.lost++ == 0)
			l->sum.lost_write = write[i];
	}
}

void
ledger_take(struct ledger *l, struct ledger_sum *sum)
{
	*sum = l->sum;
	l->sum = (struct ledger_sum){0};
}

uint64_t
ledger_wrong(const struct ledger_sum *sum)
{
	return sum->lost + sum->repeated + sum->torn;
}
