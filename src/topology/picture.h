/* SPDX-License-Identifier: Apache-2.0 */
/*
 * picture.h - a cluster as a picture: tiers of hosts, networks, floating addresses, and
 * in red what ends something alone.
 */
#ifndef NINES_TOPOLOGY_PICTURE_H
#define NINES_TOPOLOGY_PICTURE_H

#include "base/sbuf.h"
#include "topology/findings.h"

#define PICTURE_TEXT_HOSTS 16 /* more than these do not fit a terminal */

/* One SVG element with everything in it. -ENOMEM. */
int picture_svg(const struct topology *t, const struct findings *findings,
    const size_t *failed, size_t n_failed, struct sbuf *out) MUST_CHECK;

/* The same in lines of at most 80 columns, with colours if asked for. Nothing if there
 * are more hosts than PICTURE_TEXT_HOSTS. -ENOMEM. */
int picture_text(const struct topology *t, const size_t *failed, size_t n_failed,
    bool colour, struct sbuf *out) MUST_CHECK;

#endif /* NINES_TOPOLOGY_PICTURE_H */
