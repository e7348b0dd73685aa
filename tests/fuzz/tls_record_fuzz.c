/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_record_fuzz.c - any bytes as records of a peer whose handshake is over.
 *
 * The bytes are read twice: as they are, whole and in part, as records on the wire; and
 * as the insides of records (length, type, bytes, padding), which are sealed, opened
 * and heard. What was sealed comes out as it went in, and no forged bit passes.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/tls/tls_cipher.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
must(bool e)
{
	if (!e)
		abort();
}

/* As large as what was received: an access beyond it shows. */
static uint8_t *
copy_of(const uint8_t *data, size_t n)
{
	uint8_t *p = malloc(n > 0 ? n : 1);

	must(p != NULL);
	if (n > 0)
		memcpy(p, data, n);
	return p;
}

static void
read_wire(struct tls_ciphers *c, struct tls_key *in, const uint8_t *data, size_t len)
{
	size_t whole, part;
	enum tls_alert alert = tls_record_length(data, len, &whole);

	for (size_t n = 0; n < len && n < 8; n++) {
		uint8_t *p = copy_of(data, n);
		enum tls_alert some = tls_record_length(p, n, &part);

		must(some == 0 || some == alert);
		must(part == 0 || part == whole);
		free(p);
	}
	if (alert == 0 && whole > 0 && whole <= len) {
		uint8_t *p = copy_of(data, whole), *out = malloc(whole);

		must(out != NULL && tls_open(c, in, p, whole, out) == -EBADMSG);
		free(out);
		free(p);
	}
}

static void
pass(struct tls_ciphers *c, struct tls_key *out, struct tls_key *in,
    const uint8_t *data, size_t n, struct tls_hearing *h)
{
	const struct iovec v[] = {{(void *)(uintptr_t)data, n / 2},
	    {(void *)(uintptr_t)(data + n / 2), n - n / 2}};
	struct tls_pieces from = {.iov = v, .n = 2};
	uint8_t *wire = malloc(n + TLS_RECORD_EXTRA), *open = malloc(n + 1);
	uint8_t content = TLS_DATA, type;
	enum tls_alert alert = 0;
	size_t len;

	must(wire != NULL && open != NULL);
	/* The inside is the bytes themselves: their last that is not 0 is the type. */
	must(tls_seal(c, out, content, &from, n, wire) == 0);
	must(tls_record_length(wire, n + TLS_RECORD_EXTRA, &len) == 0);
	must(len == n + TLS_RECORD_EXTRA);
	wire[len - 1 - n % len] ^= 1;
	must(tls_open(c, in, wire, len, open) == -EBADMSG);
	wire[len - 1 - n % len] ^= 1;
	must(tls_open(c, in, wire, len, open) == (ssize_t)n + 1);
	tls_key_took(in);
	must(memcmp(open, data, n) == 0 && open[n] == content);
	if (tls_record_inner(open, n, &len, &type) == 0) {
		enum tls_heard heard;

		must(len < n && open[len] == type && type != 0);
		heard = tls_record_hear(h, type, open, len, &alert);
		must((alert != 0) == (heard == TLS_HEARD_WRONG));
		must(heard != TLS_HEARD_DATA || len > 0);
		must(h->have <= TLS_KEY_UPDATE_LEN &&
		     h->idle <= TLS_RECORD_IDLE_MAX + 1);
		if (heard == TLS_HEARD_UPDATE || heard == TLS_HEARD_ASKED) {
			must(tls_key_update(c, in) == 0);
			must(tls_key_update(c, out) == 0);
		}
		if (heard == TLS_HEARD_WRONG)
			*h = (struct tls_hearing){0};
	}
	free(wire);
	free(open);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t secret[TLS_SECRET_MAX] = {1};
	const struct tls_suite *suite =
	    tls_suite_find((uint16_t)(0x1301 + (len > 0 ? data[0] % 3 : 0)));
	struct tls_hearing h = {0};
	struct tls_ciphers *c;
	struct tls_key out, in;

	must(tls_ciphers_new(&c) == 0);
	must(tls_key_init(c, &out, suite, secret) == 0);
	must(tls_key_init(c, &in, suite, secret) == 0);
	read_wire(c, &in, data, len);
	while (len > 1) {
		size_t n = (size_t)data[0] << 8 | data[1];

		data += 2;
		len -= 2;
		n = n < len ? n : len;
		n = n < TLS_RECORD_DATA ? n : TLS_RECORD_DATA;
		pass(c, &out, &in, data, n, &h);
		data += n;
		len -= n;
	}
	tls_key_done(c, &out);
	tls_key_done(c, &in);
	tls_ciphers_free(c);
	return 0;
}
