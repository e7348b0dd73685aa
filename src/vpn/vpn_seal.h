/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vpn_seal.h - seals and opens the messages of vpn_wire.h.
 *
 * ChaCha20-Poly1305 (RFC 8439) with a key for each session of a sender: HKDF-SHA256
 * (RFC 5869) of the VPN's private key, which all gateways have, salted with the
 * session. The nonce is the message's number, so that none is used twice.
 */
#ifndef NINES_VPN_VPN_SEAL_H
#define NINES_VPN_VPN_SEAL_H

#include <sys/types.h>

#include "vpn/vpn_wire.h"

/* Writes a datagram of at most VPN_DATAGRAM_MAX bytes. Its length, or -errno. */
ssize_t vpn_seal(const uint8_t key[static VPN_KEY_LEN], const struct vpn_msg *m,
    uint8_t out[static VPN_DATAGRAM_MAX]) MUST_CHECK;

/* 0; -EBADMSG, -EPROTO as vpn_wire.h; -EKEYREJECTED: not made with this key. */
int vpn_open(const uint8_t key[static VPN_KEY_LEN], const uint8_t *in, size_t len,
    struct vpn_msg *m) MUST_CHECK;

#endif /* NINES_VPN_VPN_SEAL_H */
