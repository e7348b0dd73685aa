/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/tls/tls_hello.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { RECORD_HANDSHAKE = 22, RECORD_MAX = 16384 };
enum { CLIENT_HELLO = 1 };
enum { EXTENSION_SERVER_NAME = 0, NAME_HOST = 0 };

/* The handshake's bytes, whatever records they are cut into. Errors stick. */
struct reader {
	const uint8_t *p, *end;
	size_t record;	/* bytes left in it */
	size_t message; /* and in the hello */
	bool more, bad;
};

/* A record's header (RFC 8446 section 5.1); each byte counts as soon as it is there. */
static void
read_record(struct reader *r)
{
	size_t n = (size_t)(r->end - r->p);

	if ((n > 0 && r->p[0] != RECORD_HANDSHAKE) || (n > 1 && r->p[1] != 3)) {
		r->bad = true;
		return;
	}
	if (n < 5) {
		r->more = true;
		return;
	}
	r->record = (size_t)r->p[3] << 8 | r->p[4];
	r->p += 5;
	r->bad = r->record == 0 || r->record > RECORD_MAX;
}

static uint8_t
read_byte(struct reader *r)
{
	if (r->bad || r->more)
		return 0;
	if (r->message == 0)
		r->bad = true; /* something in it is longer than all of it */
	if (!r->bad && r->record == 0)
		read_record(r);
	if (!r->bad && r->p == r->end)
		r->more = true;
	if (r->bad || r->more)
		return 0;
	r->record--;
	r->message--;
	return *r->p++;
}

static size_t
read_number(struct reader *r, unsigned bytes)
{
	size_t n = 0;

	while (bytes-- > 0)
		n = n << 8 | read_byte(r);
	return r->bad || r->more ? 0 : n;
}

static void
skip(struct reader *r, size_t n)
{
	while (n-- > 0 && !r->bad && !r->more)
		(void)read_byte(r);
}

static void
read_host(struct reader *r, size_t len, char name[static TLS_HELLO_NAME])
{
	if (len == 0 || len >= TLS_HELLO_NAME) {
		r->bad = true;
		return;
	}
	for (size_t i = 0; i < len; i++) {
		name[i] = (char)read_byte(r);
		/* RFC 6066: ASCII, and nothing that a name cannot have. */
		if (!r->more && (name[i] <= ' ' || name[i] >= 0x7f))
			r->bad = true;
	}
	name[len] = '\0';
}

/* A list of names, of which those of hosts count, and there is one of them at most. */
static void
read_server_name(struct reader *r, size_t len, char name[static TLS_HELLO_NAME])
{
	size_t list = read_number(r, 2);

	if (!r->more && (list + 2 != len || list < 3)) {
		r->bad = true;
		return;
	}
	while (list >= 3 && !r->bad && !r->more) {
		uint8_t type = read_byte(r);
		size_t n = read_number(r, 2);

		list -= 3;
		if (r->more)
			return;
		if (n > list)
			r->bad = true;
		else if (type == NAME_HOST && name[0] == '\0')
			read_host(r, n, name);
		else
			skip(r, n);
		list -= r->bad ? 0 : n;
	}
	if (!r->more && list != 0)
		r->bad = true;
}

static void
read_extensions(struct reader *r, char name[static TLS_HELLO_NAME])
{
	size_t left = read_number(r, 2);

	if (!r->more && left != r->message)
		r->bad = true;
	while (!r->bad && !r->more && r->message > 0 && name[0] == '\0') {
		size_t type = read_number(r, 2), len = read_number(r, 2);

		if (r->more || len > r->message)
			r->bad = !r->more;
		else if (type == EXTENSION_SERVER_NAME)
			read_server_name(r, len, name);
		else
			skip(r, len);
	}
}

int
tls_hello_name(const void *bytes, size_t len, char name[static TLS_HELLO_NAME])
{
	struct reader r = {
	    .p = bytes, .end = (const uint8_t *)bytes + len, .message = 4};
	char found[TLS_HELLO_NAME] = "";

	if (read_byte(&r) != CLIENT_HELLO && !r.more)
		r.bad = true;
	r.message = read_number(&r, 3);
	if (!r.more && !r.bad && r.message > TLS_HELLO_MAX)
		r.bad = true;
	skip(&r, 2 + 32);	      /* version, random */
	skip(&r, read_number(&r, 1)); /* session */
	skip(&r, read_number(&r, 2)); /* cipher suites */
	skip(&r, read_number(&r, 1)); /* compression */
	if (!r.bad && !r.more && r.message > 0)
		read_extensions(&r, found);
	if (r.bad)
		return -EBADMSG;
	if (r.more)
		return -EAGAIN;
	memcpy(name, found, sizeof(found));
	return 0;
}
