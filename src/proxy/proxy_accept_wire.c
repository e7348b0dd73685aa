/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/proxy_accept_wire.h"

#include <errno.h>
#include <string.h>

#include "base/wire.h"

#define LINE_MAX_1 107 /* of version 1, with its CRLF */
#define FIXED_2	   16  /* of version 2: what every header has */
#define COMMAND_2  0xf /* the low half of the byte with the version */

static const uint8_t signature[12] = {
    '\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};

/* ---- version 1 ----------------------------------------------------------------- */

/* The next word of the line, of at most `max` characters, with the space or CR behind
 * it taken; false: there is none like that. */
static bool
word(struct rd *r, char end, char *out, size_t max)
{
	size_t n = 0;

	while (n < r->left && r->p[n] != (uint8_t)end)
		n++;
	if (n == 0 || n > max || n == r->left)
		return false;
	memcpy(out, r->p, n);
	out[n] = '\0';
	return rd_take(r, n + 1) != NULL && memchr(out, 0, n) == NULL;
}

static bool
port(const char *s, uint16_t *out)
{
	uint32_t n = 0;

	if (s[0] == '0' && s[1] != '\0')
		return false;
	for (; *s != '\0'; s++) {
		if (*s < '0' || *s > '9')
			return false;
		n = n * 10 + (uint32_t)(*s - '0');
		if (n > 65535)
			return false;
	}
	*out = (uint16_t)n;
	return true;
}

static int
decode_line(const uint8_t *p, size_t len, struct ip_endpoint *from)
{
	struct rd r = {.p = p, .left = len};
	struct ip_endpoint source = {0};
	char kind[8], text[IP_STR_LEN], number[6];
	uint16_t to_port;
	struct ip to;
	uint8_t family;

	if (!word(&r, ' ', kind, 5) || strcmp(kind, "PROXY") != 0)
		return -EBADMSG;
	if (r.left >= 7 && memcmp(r.p, "UNKNOWN", 7) == 0 &&
	    (r.p[7] == ' ' || r.p[7] == '\r'))
		return 0; /* the rest of the line is to be ignored */
	if (!word(&r, ' ', kind, 4))
		return -EBADMSG;
	family = strcmp(kind, "TCP4") == 0 ? AF_INET : AF_INET6;
	if (family == AF_INET6 && strcmp(kind, "TCP6") != 0)
		return -EBADMSG;
	if (!word(&r, ' ', text, IP_STR_LEN - 1) || ip_parse(&source.ip, text) != 0 ||
	    !word(&r, ' ', text, IP_STR_LEN - 1) || ip_parse(&to, text) != 0 ||
	    source.ip.family != family || to.family != family ||
	    !word(&r, ' ', number, 5) || !port(number, &source.port) ||
	    !word(&r, '\r', number, 5) || !port(number, &to_port) || r.left != 1)
		return -EBADMSG;
	*from = source;
	return 0;
}

static int
decode_text(const uint8_t *p, size_t len, struct ip_endpoint *from, size_t *used)
{
	size_t n = len < LINE_MAX_1 ? len : LINE_MAX_1, line;
	const uint8_t *end = memchr(p, '\n', n);
	int rc;

	if (end == NULL)
		return n == LINE_MAX_1 ? -EBADMSG : -EAGAIN;
	line = (size_t)(end - p) + 1;
	if (line < 2 || end[-1] != '\r')
		return -EBADMSG;
	rc = decode_line(p, line, from);
	if (rc == 0)
		*used = line;
	return rc;
}

/* ---- version 2 ----------------------------------------------------------------- */

static int
decode_binary(const uint8_t *p, size_t len, struct ip_endpoint *from, size_t *used)
{
	struct rd r = {.p = p, .left = len};
	struct ip_endpoint source = {0};
	uint8_t command, kind;
	size_t rest, address;

	(void)rd_take(&r, sizeof(signature));
	command = rd_u8(&r);
	kind = rd_u8(&r);
	rest = rd_u16(&r);
	if (r.bad)
		return -EAGAIN;
	if (command >> 4 != 2 || (command & COMMAND_2) > 1 || kind >> 4 > 3 ||
	    (kind & 0xf) > 2 || rest > PROXY_ACCEPT_MAX - FIXED_2)
		return -EBADMSG;
	if (r.left < rest)
		return -EAGAIN;
	address = kind >> 4 == 1 ? 4 : 16;
	if ((command & COMMAND_2) == 1 && (kind == 0x11 || kind == 0x21)) {
		if (rest < 2 * address + 4)
			return -EBADMSG;
		source.ip.family = kind == 0x11 ? AF_INET : AF_INET6;
		rd_bytes(&r, source.ip.byte, address);
		(void)rd_take(&r, address);
		source.port = rd_u16(&r);
		*from = source;
	}
	*used = FIXED_2 + rest;
	return 0;
}

int
proxy_accept_decode(
    const uint8_t *p, size_t len, struct ip_endpoint *from, size_t *used)
{
	static const char text[] = "PROXY ";
	size_t n = len < sizeof(signature) ? len : sizeof(signature);
	size_t m = len < sizeof(text) - 1 ? len : sizeof(text) - 1;

	if (memcmp(p, signature, n) == 0)
		return n < sizeof(signature) ? -EAGAIN
					     : decode_binary(p, len, from, used);
	if (memcmp(p, text, m) != 0)
		return -EBADMSG;
	return m < sizeof(text) - 1 ? -EAGAIN : decode_text(p, len, from, used);
}
