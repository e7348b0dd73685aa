/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy_accept_fuzz.c - any bytes as a PROXY header: the verdict does not depend on how
 * they were cut, what is used lies inside, and what is refused leaves nothing behind.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "proxy/proxy_accept_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct ip_endpoint from = {0}, again;
	size_t used = 0, used_again, whole;
	int rc = proxy_accept_decode(data, len, &from, &used);

	ASSERT(rc == 0 || rc == -EAGAIN || rc == -EBADMSG);
	ASSERT(rc != 0 || (used > 0 && used <= len && used <= PROXY_ACCEPT_MAX));
	ASSERT(rc == 0 || (used == 0 && from.ip.family == 0));
	ASSERT(rc != -EAGAIN || len < PROXY_ACCEPT_MAX);
	whole = rc == 0 ? used : len;
	for (size_t cut = 0; cut < whole && cut < PROXY_ACCEPT_MAX; cut++) {
		uint8_t *copy = malloc(cut > 0 ? cut : 1); /* ASan guards its end */
		int part;

		ASSERT(copy != NULL);
		memcpy(copy, data, cut);
		again = (struct ip_endpoint){0};
		used_again = 0;
		part = proxy_accept_decode(copy, cut, &again, &used_again);
		free(copy);
		ASSERT(part == -EAGAIN || (part == rc && rc == -EBADMSG));
	}
	return 0;
}
