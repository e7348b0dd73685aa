/* SPDX-License-Identifier: Apache-2.0 */
/*
 * picture_data.h - what databases, volumes and the console are called in a picture
 * (private to topology/).
 */
#ifndef NINES_TOPOLOGY_PICTURE_DATA_H
#define NINES_TOPOLOGY_PICTURE_DATA_H

#include "base/sbuf.h"
#include "topology/model.h"

struct picture_data {
	const struct host *first; /* of its hosts: it stands above that one's tier */
	size_t goal;		  /* how it stands; SIZE_MAX: none */
};

/* Number `i` of them, with "orders postgresql: db1 db2 db3 (late)" added to `text`;
 * false after the last. */
bool picture_data_at(
    const struct topology *t, size_t i, struct picture_data *out, struct sbuf *text);

/* True if something ends it that it must survive: looked for only when it is drawn. */
bool picture_data_weak(const struct topology *t, const struct picture_data *data);

#endif /* NINES_TOPOLOGY_PICTURE_DATA_H */
