/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vpn_edit.h - clients put into a cluster file and taken out of it.
 *
 * What people wrote, comments and layout, stays as it is: lines or an item are added or
 * removed, in the style that is there. The result is not trusted: it must parse, and
 * mean the same but for this one client.
 */
#ifndef NINES_CLI_VPN_EDIT_H
#define NINES_CLI_VPN_EDIT_H

#include "base/sbuf.h"
#include "config/cluster.h"

/*
 * `text` with client `p` (name, key, address) in VPN `vpn`. 0; -EEXIST: it has one of
 * that name; -ENOENT: no such VPN; -ENOTSUP: a layout that is beyond us, and somebody
 * must do it by hand; -EINVAL: `text` is no cluster file; -ENOMEM.
 */
int vpn_edit_add(const char *text, const char *vpn, const struct vpn_peer *p,
    struct sbuf *out) MUST_CHECK;

/* Without client `name`; also -ENOENT if there is none. */
int vpn_edit_remove(
    const char *text, const char *vpn, const char *name, struct sbuf *out) MUST_CHECK;

/* "{public_key: ..., address: ...}" */
void vpn_edit_value(const struct vpn_peer *p, struct sbuf *out);

#endif /* NINES_CLI_VPN_EDIT_H */
