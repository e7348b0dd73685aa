/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a log: what is made of it is a history. */
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "cli/history.h"
#include "cli/outages.h"
#include "cli/verbs.h"

const struct verb verbs[] = {{.name = NULL}};

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	static struct outages o;
	struct history_error error;
	struct history h;
	struct sbuf out;
	int err = 0;

	o = (struct outages){.lines = 0};
	sbuf_init(&out, (size_t)1 << 24);
	while (len > 0 && err == 0) {
		const uint8_t *end = memchr(p, '\n', len);
		size_t n = end != NULL ? (size_t)(end - p) : len;

		err = outages_line(&o, (const char *)p, n, &out);
		n += end != NULL;
		p += n;
		len -= n;
	}
	outages_end(&o, &out);
	if (err == 0 && !out.bad && o.to_ms > o.from_ms)
		ASSERT(history_parse(&h, sbuf_text(&out), out.len, &error) == 0);
	sbuf_done(&out);
	return 0;
}
