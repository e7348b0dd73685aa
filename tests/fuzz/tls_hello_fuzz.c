/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_hello_fuzz.c - any bytes as the beginning of a connection.
 *
 * The verdict on a part is "more" or that on the whole, and a name is one.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/tls/tls_hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
must(bool e)
{
	if (!e)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char whole[TLS_HELLO_NAME] = "", part[TLS_HELLO_NAME];
	int r = tls_hello_name(data, len, whole);
	size_t step = len / 64 + 1;

	for (const char *p = whole; *p != '\0'; p++)
		must(*p > ' ' && *p < 0x7f);
	for (size_t n = 0; n < len; n += step) {
		/* As large as what is read: an access beyond it shows. */
		uint8_t *copy = malloc(n > 0 ? n : 1);
		int some;

		if (copy == NULL)
			break;
		memcpy(copy, data, n);
		some = tls_hello_name(copy, n, part);
		must(some == -EAGAIN || some == r);
		must(some != 0 || strcmp(part, whole) == 0);
		free(copy);
	}
	return 0;
}
