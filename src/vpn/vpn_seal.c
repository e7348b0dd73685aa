/* SPDX-License-Identifier: Apache-2.0 */
#include "vpn/vpn_seal.h"

#include <errno.h>

#include "os/seal.h"

_Static_assert(VPN_TAG_LEN == SEAL_TAG_LEN, "the datagram has room for the tag");
_Static_assert(VPN_KEY_LEN == SEAL_SECRET_LEN, "a private key is a secret");

/* There are few messages, and each says which session it is of: no key is kept. */
static struct seal *
session_seal(const uint8_t *key, const struct vpn_envelope *e)
{
	return seal_new(SEAL_CHACHA20_POLY1305, key, e->session, VPN_SESSION_LEN,
	    "nines vpn sync 1");
}

ssize_t
vpn_seal(const uint8_t key[static VPN_KEY_LEN], const struct vpn_msg *m,
    uint8_t out[static VPN_DATAGRAM_MAX])
{
	struct seal *s = session_seal(key, &m->envelope);
	uint8_t body[VPN_BODY_MAX];
	size_t len = vpn_wire_put_body(m, body);
	int err = -ENOMEM;

	vpn_wire_put_envelope(&m->envelope, out);
	if (s != NULL)
		err =
		    seal_close(s, m->envelope.number, out, VPN_ENVELOPE_LEN, body, len);
	seal_free(s);
	return err == 0 ? (ssize_t)(VPN_ENVELOPE_LEN + len + VPN_TAG_LEN) : err;
}

int
vpn_open(const uint8_t key[static VPN_KEY_LEN], const uint8_t *in, size_t len,
    struct vpn_msg *m)
{
	struct vpn_msg v = {.active = false};
	uint8_t body[VPN_BODY_MAX];
	struct seal *s;
	int err;

	err = vpn_wire_get_envelope(&v.envelope, in, len);
	if (err != 0)
		return err;
	if (len < VPN_ENVELOPE_LEN + VPN_TAG_LEN || len > VPN_DATAGRAM_MAX)
		return -EBADMSG;
	s = session_seal(key, &v.envelope);
	err = s != NULL
		  ? seal_open(s, v.envelope.number, in, len, VPN_ENVELOPE_LEN, body)
		  : -ENOMEM;
	seal_free(s);
	if (err != 0)
		return -EKEYREJECTED;
	err = vpn_wire_get_body(&v, body, len - VPN_ENVELOPE_LEN - VPN_TAG_LEN);
	if (err == 0)
		*m = v;
	return err;
}
