/* SPDX-License-Identifier: Apache-2.0 */
/* What `nines spof --history` heard, and what became of the rates. */

#include <errno.h>
#include <string.h>

#include "base/mono.h"
#include "base/plural.h"
#include "cli/history.h"
#include "cli/source.h"
#include "cli/spof.h"

#define DAY_S 86400.0

bool
spof_read_history(const char *path, struct history *history)
{
	struct history_error error = {.line = 0};
	struct sbuf text;
	int err = -EIO;
	bool read;

	sbuf_init(&text, HISTORY_FILE_MAX);
	read = cli_read_file(path, &text);
	if (read)
		err = history_parse(history, sbuf_text(&text), text.len, &error);
	sbuf_done(&text);
	if (err == -EINVAL)
		(void)fprintf(
		    stderr, "nines: %s:%u: %s\n", path, error.line, error.text);
	else if (read && err != 0)
		(void)fprintf(stderr, "nines: %s: %s\n", path, strerror(-err));
	return err == 0;
}

/* "700 d", in one digit like all that follows from it. */
static void
put_time(double s, struct sbuf *out)
{
	static const struct {
		double s;
		const char *name;
	} unit[] = {{DAY_S, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
	size_t i = 0;

	while (i + 1 < ARRAY_LEN(unit) && avail_digit(s) < unit[i].s)
		i++;
	sbuf_printf(out, "%.0f %s", avail_digit(s / unit[i].s), unit[i].name);
}

void
spof_history_text(const struct spof *s, struct sbuf *out)
{
	if (s->history_file == NULL)
		return;
	sbuf_printf(out,
	    "\nrates after %s (what the file says counts as one outage):\n",
	    s->history_file);
	for (unsigned i = 0; i < AVAIL_KINDS; i++) {
		const struct history_kind *seen = &s->history.kind[i];
		const struct availability_rate *rate = &s->rates.rate[i];

		if (!(seen->watched_s > 0))
			continue;
		sbuf_printf(out, "  %-12s fails every ", availability_kind_name[i]);
		put_time((double)rate->mtbf_ns / (double)SEC_NS, out);
		sbuf_puts(out, ", back after ");
		put_time((double)rate->mttr_ns / (double)SEC_NS, out);
		sbuf_printf(
		    out, ": %u outage%s in ", seen->outages, plural(seen->outages));
		put_time(seen->watched_s, out);
		sbuf_puts(out, " of watching\n");
	}
	for (unsigned i = 0, n = 0; i < AVAIL_KINDS; i++) {
		if (s->history.kind[i].watched_s > 0)
			continue;
		sbuf_printf(out, "%s%s", n++ == 0 ? "  not watched: " : ", ",
		    availability_kind_name[i]);
	}
	sbuf_puts(out, "\n");
}

void
spof_history_json(const struct spof *s, struct sbuf *out)
{
	const char *sep = "";

	if (s->history_file == NULL)
		return;
	sbuf_puts(out, ",\n\"history\":[");
	for (unsigned i = 0; i < AVAIL_KINDS; i++) {
		const struct history_kind *seen = &s->history.kind[i];
		const struct availability_rate *rate = &s->rates.rate[i];

		if (!(seen->watched_s > 0))
			continue;
		sbuf_printf(out,
		    "%s{\"kind\":\"%s\",\"outages\":%u,\"repairs\":%u,"
		    "\"watched_days\":%.0f,\"mtbf_s\":%.1g,\"mttr_s\":%.1g}",
		    sep, availability_kind_name[i], seen->outages, seen->repairs,
		    seen->watched_s / DAY_S, (double)rate->mtbf_ns / (double)SEC_NS,
		    (double)rate->mttr_ns / (double)SEC_NS);
		sep = ",";
	}
	sbuf_puts(out, "]");
}
