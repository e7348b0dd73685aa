/* SPDX-License-Identifier: Apache-2.0 */
/* qr.h - a QR code for a terminal. */
#ifndef NINES_CLI_QR_H
#define NINES_CLI_QR_H

#include "base/check.h"
#include "base/sbuf.h"

/*
 * `text` as a QR code of UTF-8 half blocks, two rows of dots a line, dark on light
 * whatever the terminal's colours are. -ERANGE: more than a code can hold.
 */
int qr_draw(const char *text, struct sbuf *out) MUST_CHECK;

#endif /* NINES_CLI_QR_H */
