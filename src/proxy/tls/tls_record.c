/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/tls/tls_record.h"

#include <stdbool.h>
#include <string.h>

enum { KEY_UPDATE = 24 }; /* RFC 8446 section 4 */

enum tls_alert
tls_record_length(const uint8_t *p, size_t n, size_t *len)
{
	size_t body;

	*len = 0;
	/* Section 5: behind the handshake everything is encrypted, and looks like data.
	 * The version is "ignored for all purposes". */
	if (n > 0 && p[0] != TLS_DATA)
		return TLS_UNEXPECTED_MESSAGE;
	if (n < TLS_RECORD_HEADER)
		return 0;
	body = (size_t)p[3] << 8 | p[4];
	if (body > TLS_RECORD_WIRE - TLS_RECORD_HEADER)
		return TLS_RECORD_OVERFLOW;
	if (body <= TLS_RECORD_TAG)
		return TLS_BAD_RECORD_MAC; /* not even room for the type */
	*len = TLS_RECORD_HEADER + body;
	return 0;
}

void
tls_record_header(uint8_t out[static TLS_RECORD_HEADER], size_t len)
{
	size_t body = len + 1 + TLS_RECORD_TAG;

	out[0] = TLS_DATA;
	out[1] = out[2] = 3;
	out[3] = (uint8_t)(body >> 8);
	out[4] = (uint8_t)body;
}

void
tls_record_nonce(const uint8_t iv[static TLS_RECORD_NONCE], uint64_t seq,
    uint8_t out[static TLS_RECORD_NONCE])
{
	memcpy(out, iv, TLS_RECORD_NONCE);
	for (size_t i = TLS_RECORD_NONCE; seq != 0; seq >>= 8)
		out[--i] ^= (uint8_t)seq;
}

enum tls_alert
tls_record_inner(const uint8_t *p, size_t n, size_t *len, uint8_t *type)
{
	if (n > TLS_RECORD_DATA + 1)
		return TLS_RECORD_OVERFLOW;
	while (n > 0 && p[n - 1] == 0)
		n--;
	if (n == 0)
		return TLS_UNEXPECTED_MESSAGE; /* section 5.4 */
	*len = n - 1;
	*type = p[n - 1];
	return 0;
}

static enum tls_heard
wrong(enum tls_alert *out, enum tls_alert alert)
{
	*out = alert;
	return TLS_HEARD_WRONG;
}

static enum tls_heard
hear_alert(const uint8_t *p, size_t n, enum tls_alert *alert)
{
	if (n != 2)
		return wrong(alert, TLS_DECODE_ERROR);
	/* Section 6: the level says nothing. */
	if (p[1] == TLS_CLOSE_NOTIFY)
		return TLS_HEARD_END;
	return p[1] == TLS_USER_CANCELED ? TLS_HEARD_NOTHING : TLS_HEARD_FAILED;
}

/* Clients have nothing else to say: they are not asked for certificates any more. */
static enum tls_heard
hear_message(struct tls_hearing *h, const uint8_t *p, size_t n, enum tls_alert *alert)
{
	static const uint8_t head[] = {KEY_UPDATE, 0, 0, 1};

	if (n == 0)
		return wrong(alert, TLS_UNEXPECTED_MESSAGE); /* section 5.1 */
	for (; n > 0 && h->have < TLS_KEY_UPDATE_LEN; n--)
		h->message[h->have++] = *p++;
	if (h->message[0] != KEY_UPDATE)
		return wrong(alert, TLS_UNEXPECTED_MESSAGE);
	if (memcmp(h->message, head, h->have < sizeof(head) ? h->have : sizeof(head)) !=
	    0)
		return wrong(alert, TLS_DECODE_ERROR);
	if (h->have < TLS_KEY_UPDATE_LEN)
		return TLS_HEARD_NOTHING;
	h->have = 0;
	if (n > 0)
		return wrong(alert, TLS_UNEXPECTED_MESSAGE); /* under which key? */
	if (h->message[4] > 1)
		return wrong(alert, TLS_ILLEGAL_PARAMETER);
	return h->message[4] == 1 ? TLS_HEARD_ASKED : TLS_HEARD_UPDATE;
}

enum tls_heard
tls_record_hear(struct tls_hearing *h, uint8_t type, const uint8_t *p, size_t n,
    enum tls_alert *alert)
{
	/* Section 5.1: nothing comes between the pieces of a message. */
	if (h->have > 0 && type != TLS_HANDSHAKE)
		return wrong(alert, TLS_UNEXPECTED_MESSAGE);
	if (type == TLS_DATA && n > 0) {
		h->idle = 0;
		return TLS_HEARD_DATA;
	}
	if (++h->idle > TLS_RECORD_IDLE_MAX)
		return wrong(alert, TLS_UNEXPECTED_MESSAGE);
	switch (type) {
	case TLS_DATA:
		return TLS_HEARD_NOTHING;
	case TLS_ALERT:
		return hear_alert(p, n, alert);
	case TLS_HANDSHAKE:
		return hear_message(h, p, n, alert);
	default:
		return wrong(alert, TLS_UNEXPECTED_MESSAGE);
	}
}

const char *
tls_alert_text(enum tls_alert alert)
{
	switch (alert) {
	case TLS_UNEXPECTED_MESSAGE:
		return "a record that may not come now (unexpected_message)";
	case TLS_BAD_RECORD_MAC:
		return "a forged, repeated or damaged record (bad_record_mac)";
	case TLS_RECORD_OVERFLOW:
		return "a record that is too long (record_overflow)";
	case TLS_ILLEGAL_PARAMETER:
		return "a message with a wrong value (illegal_parameter)";
	case TLS_DECODE_ERROR:
		return "a malformed message (decode_error)";
	case TLS_INTERNAL_ERROR:
		return "it could not be decrypted here (internal_error)";
	case TLS_CLOSE_NOTIFY:
	case TLS_USER_CANCELED:
		break;
	}
	return "nothing is wrong with it";
}

void
tls_record_key_update(uint8_t out[static TLS_KEY_UPDATE_LEN])
{
	static const uint8_t message[TLS_KEY_UPDATE_LEN] = {KEY_UPDATE, 0, 0, 1, 0};

	memcpy(out, message, sizeof(message));
}
