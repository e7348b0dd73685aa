/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wgkey.h - WireGuard's keys: X25519, 32 bytes, base64 in files.
 */
#ifndef NINES_OS_WGKEY_H
#define NINES_OS_WGKEY_H

#include <stdint.h>

#include "base/base64.h"
#include "base/check.h"

#define WGKEY_LEN      32
#define WGKEY_TEXT_LEN BASE64_LEN(WGKEY_LEN)

/* A new private key. 0 or -errno. */
int wgkey_make(uint8_t key[static WGKEY_LEN]) MUST_CHECK;

/* The public key of a private one; -EINVAL if it is none. */
int wgkey_public(
    uint8_t out[static WGKEY_LEN], const uint8_t key[static WGKEY_LEN]) MUST_CHECK;

/*
 * Reads the private key in `fd`, from its beginning. -EPERM: others than its owner may
 * read or write the file. -EINVAL: it is no key.
 */
int wgkey_read(int fd, uint8_t key[static WGKEY_LEN]) MUST_CHECK;

#endif /* NINES_OS_WGKEY_H */
