/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_hello.h - the name in the first message of a TLS client, for who passes it
 * through (RFC 8446 section 4.1.2, RFC 6066 section 3). Pure.
 */
#ifndef NINES_PROXY_TLS_HELLO_H
#define NINES_PROXY_TLS_HELLO_H

#include <stddef.h>

#include "base/check.h"

#define TLS_HELLO_MAX  16384 /* bytes of a hello; clients send less than 2,500 */
#define TLS_HELLO_NAME 256   /* with the NUL */

/*
 * Reads the `len` bytes with which a connection begins. 0: all of the hello that
 * matters is there, and `name` is what it asks for, "" if nothing. -EAGAIN: more is
 * needed. -EBADMSG: it is no hello. `name` is written on 0 only.
 */
int tls_hello_name(
    const void *bytes, size_t len, char name[static TLS_HELLO_NAME]) MUST_CHECK;

#endif /* NINES_PROXY_TLS_HELLO_H */
