/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base64.h - RFC 4648 base64 with padding, as keys are written.
 */
#ifndef NINES_BASE_BASE64_H
#define NINES_BASE_BASE64_H

#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

/* Characters that `n` bytes make, with the NUL. */
#define BASE64_LEN(n) (((n) + 2) / 3 * 4 + 1)

/*
 * Decodes the whole of `s` into exactly `n` bytes; -EINVAL for anything else, also for
 * one that another text would say (set bits behind the last byte).
 */
int base64_decode(uint8_t *out, size_t n, const char *s) MUST_CHECK;

/* Writes BASE64_LEN(n) characters to `out`; returns it. */
const char *base64_encode(const uint8_t *in, size_t n, char *out);

#endif /* NINES_BASE_BASE64_H */
