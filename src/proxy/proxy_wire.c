/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/proxy_wire.h"

#include <string.h>

#include "base/wire.h"

static const uint8_t signature[12] = {
    '\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};

static bool
known(const struct ip_endpoint *from, const struct ip_endpoint *to)
{
	return from->ip.family != 0 && from->ip.family == to->ip.family;
}

static void
put_text(struct wr *w, const char *s)
{
	wr_bytes(w, s, strlen(s));
}

static void
put_port(struct wr *w, uint16_t port)
{
	char digit[6];
	size_t i = sizeof(digit);

	do {
		digit[--i] = (char)('0' + port % 10);
		port /= 10;
	} while (port != 0);
	wr_bytes(w, digit + i, sizeof(digit) - i);
}

static void
encode_text(struct wr *w, const struct ip_endpoint *from, const struct ip_endpoint *to)
{
	char text[IP_STR_LEN];

	if (!known(from, to)) {
		put_text(w, "PROXY UNKNOWN\r\n");
		return;
	}
	put_text(w, from->ip.family == AF_INET ? "PROXY TCP4 " : "PROXY TCP6 ");
	put_text(w, ip_format(&from->ip, text));
	wr_u8(w, ' ');
	put_text(w, ip_format(&to->ip, text));
	wr_u8(w, ' ');
	put_port(w, from->port);
	wr_u8(w, ' ');
	put_port(w, to->port);
	put_text(w, "\r\n");
}

static void
encode_binary(
    struct wr *w, const struct ip_endpoint *from, const struct ip_endpoint *to)
{
	size_t len = ip_len(&from->ip);

	wr_bytes(w, signature, sizeof(signature));
	if (!known(from, to)) {
		wr_u8(w, 0x20); /* version 2, LOCAL */
		wr_u8(w, 0);
		wr_u16(w, 0);
		return;
	}
	wr_u8(w, 0x21); /* version 2, PROXY */
	wr_u8(w, from->ip.family == AF_INET ? 0x11 : 0x21);
	wr_u16(w, (uint16_t)(2 * len + 4));
	wr_bytes(w, from->ip.byte, len);
	wr_bytes(w, to->ip.byte, len);
	wr_u16(w, from->port);
	wr_u16(w, to->port);
}

size_t
proxy_wire_encode(unsigned version, const struct ip_endpoint *from,
    const struct ip_endpoint *to, uint8_t *out)
{
	struct wr w = {.p = out, .left = PROXY_WIRE_MAX};

	if (version == 1)
		encode_text(&w, from, to);
	else
		encode_binary(&w, from, to);
	ASSERT(!w.bad);
	return PROXY_WIRE_MAX - w.left;
}
