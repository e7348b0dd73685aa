/* SPDX-License-Identifier: Apache-2.0 */
/*
 * press.h - a body that is compressed on its way from server to client. Private to the
 * room.
 *
 * It stands in a flow (side.h): what the source has said so far is always complete for
 * the sink, since the coding is flushed whenever the source runs dry; so an answer that
 * is written piece by piece arrives so. One that the sink does not take stops the
 * reading from the source. Towards the sink it is always chunked.
 */
#ifndef NINES_PROXY_PRESS_H
#define NINES_PROXY_PRESS_H

#include "base/check.h"
#include "config/compression_conf.h"
#include "proxy/side.h"

struct press;

/* NULL: no memory, or too many at a time; then the body goes as it is. */
struct press *press_new(
    struct worker *w, enum coding coding, const struct compression_conf *conf);
void press_free(struct worker *w, struct press *z); /* NULL is fine */

/* As flow_pump(), for a flow that has a press. */
enum flow_result press_pump(
    struct worker *w, struct flow *f, struct side *src, struct side *dst);

#endif /* NINES_PROXY_PRESS_H */
