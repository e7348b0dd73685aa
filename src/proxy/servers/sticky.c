/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/servers/sticky.h"

#include <string.h>

#include "base/check.h"

#define ATTRIBUTES "; Path=/; HttpOnly; SameSite=Lax"

struct sip {
	uint64_t v[4];
};

static uint64_t
rotate(uint64_t x, unsigned n)
{
	return x << n | x >> (64 - n);
}

static void
sip_rounds(struct sip *s, unsigned n)
{
	uint64_t *v = s->v;

	while (n-- > 0) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] = rotate(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] = rotate(v[2], 32);
	}
}

static void
sip_word(struct sip *s, uint64_t m)
{
	s->v[3] ^= m;
	sip_rounds(s, 2);
	s->v[0] ^= m;
}

static uint64_t
little_endian(const uint8_t *p, size_t n)
{
	uint64_t m = 0;

	for (size_t i = 0; i < n; i++)
		m |= (uint64_t)p[i] << (8 * i);
	return m;
}

struct sticky_token
sticky_hash(const struct sticky_key *key, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	struct sip s = {{key->k[0] ^ UINT64_C(0x736f6d6570736575),
	    key->k[1] ^ UINT64_C(0x646f72616e646f6d) ^ 0xee,
	    key->k[0] ^ UINT64_C(0x6c7967656e657261),
	    key->k[1] ^ UINT64_C(0x7465646279746573)}};
	struct sticky_token t;
	size_t i = 0;

	for (; i + 8 <= len; i += 8)
		sip_word(&s, little_endian(p + i, 8));
	sip_word(&s, little_endian(p + i, len - i) | (uint64_t)len << 56);
	s.v[2] ^= 0xee;
	sip_rounds(&s, 4);
	t.t[0] = s.v[0] ^ s.v[1] ^ s.v[2] ^ s.v[3];
	s.v[1] ^= 0xdd;
	sip_rounds(&s, 4);
	t.t[1] = s.v[0] ^ s.v[1] ^ s.v[2] ^ s.v[3];
	return t;
}

struct sticky_key
sticky_derive(
    const char *cluster, const char *service, const void *secret, size_t secret_len)
{
	struct sticky_key k = {{0, 0}};
	struct sticky_token t;

	if (secret_len > 0) {
		t = sticky_hash(&k, secret, secret_len);
		k = (struct sticky_key){{t.t[0], t.t[1]}};
	}
	t = sticky_hash(&k, cluster, strlen(cluster));
	k = (struct sticky_key){{t.t[0], t.t[1]}};
	t = sticky_hash(&k, service, strlen(service));
	return (struct sticky_key){{t.t[0], t.t[1]}};
}

bool
sticky_equal(const struct sticky_token *a, const struct sticky_token *b)
{
	return ((a->t[0] ^ b->t[0]) | (a->t[1] ^ b->t[1])) == 0;
}

void
sticky_format(const struct sticky_token *t, char out[static STICKY_LEN])
{
	for (size_t i = 0; i < STICKY_LEN; i++)
		out[i] = "0123456789abcdef"[t->t[i / 16] >> (60 - 4 * (i % 16)) & 15];
}

bool
sticky_parse(struct sticky_token *t, const char *text, size_t len)
{
	struct sticky_token r = {{0, 0}};

	if (len != STICKY_LEN)
		return false;
	for (size_t i = 0; i < STICKY_LEN; i++) {
		char c = text[i];
		unsigned digit;

		if (c >= '0' && c <= '9')
			digit = (unsigned)(c - '0');
		else if (c >= 'a' && c <= 'f')
			digit = (unsigned)(c - 'a') + 10;
		else
			return false;
		r.t[i / 16] = r.t[i / 16] << 4 | digit;
	}
	*t = r;
	return true;
}

static size_t
append(char *out, size_t at, const char *text, size_t len)
{
	ASSERT(at + len <= STICKY_LINE_MAX);
	memcpy(out + at, text, len);
	return at + len;
}

size_t
sticky_line(char out[static STICKY_LINE_MAX], const char *name,
    const struct sticky_token *t, bool secure)
{
	static const char field[] = "Set-Cookie: ", attributes[] = ATTRIBUTES "\r\n",
			  attributes_tls[] = ATTRIBUTES "; Secure\r\n";
	char value[STICKY_LEN];
	size_t n = append(out, 0, field, sizeof(field) - 1);

	sticky_format(t, value);
	n = append(out, n, name, strlen(name));
	n = append(out, n, "=", 1);
	n = append(out, n, value, sizeof(value));
	if (secure)
		return append(out, n, attributes_tls, sizeof(attributes_tls) - 1);
	return append(out, n, attributes, sizeof(attributes) - 1);
}
