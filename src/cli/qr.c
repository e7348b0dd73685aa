/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/qr.h"

#include <errno.h>
#include <qrencode.h>

#define QUIET	 4 /* light dots around it: ISO/IEC 18004, 9.1 */
#define LIGHT_ON "\033[40;37m"
#define PLAIN	 "\033[0m"

static bool
is_light(const QRcode *qr, int x, int y)
{
	if (x < 0 || y < 0 || x >= qr->width || y >= qr->width)
		return true;
	return (qr->data[y * qr->width + x] & 1) == 0;
}

int
qr_draw(const char *text, struct sbuf *out)
{
	static const char *const block[2][2] = {{" ", "▄"}, {"▀", "█"}};
	QRcode *qr = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);

	if (qr == NULL)
		return errno == ERANGE ? -ERANGE : -ENOMEM;
	for (int y = -QUIET; y < qr->width + QUIET; y += 2) {
		sbuf_puts(out, LIGHT_ON);
		for (int x = -QUIET; x < qr->width + QUIET; x++)
			sbuf_puts(
			    out, block[is_light(qr, x, y)][is_light(qr, x, y + 1)]);
		sbuf_puts(out, PLAIN "\n");
	}
	QRcode_free(qr);
	return 0;
}
