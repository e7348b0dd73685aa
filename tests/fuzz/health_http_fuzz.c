/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as the answer to a check: the first byte says what is wanted and how the
 * rest is cut. However it is cut, the verdict is the same.
 */
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "health/health_http.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len);

static struct health_http
read_by(const char *p, size_t len, size_t step, uint8_t how)
{
	static const char *const text[] = {NULL, "ok", "aab", "status"};
	struct health_http h;

	health_http_init(&h, &(struct health_http_want){.status_min = 200,
				 .status_max = 399,
				 .text = text[how & 3],
				 .head = (how & 4) != 0});
	for (size_t at = 0; at < len; at += step)
		(void)health_http_feed(&h, p + at, len - at < step ? len - at : step);
	(void)health_http_end(&h);
	return h;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	struct health_http whole, cut;

	if (len == 0)
		return 0;
	whole = read_by((const char *)p + 1, len - 1, len, p[0]);
	cut = read_by((const char *)p + 1, len - 1, (size_t)(p[0] >> 3) + 1, p[0]);
	ASSERT(whole.verdict == cut.verdict && whole.status == cut.status);
	ASSERT(whole.verdict != HEALTH_HTTP_MORE);
	return 0;
}
