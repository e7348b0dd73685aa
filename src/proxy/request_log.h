/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request_log.h - a request's or connection's line for the access log. Private to the
 * room.
 */
#ifndef NINES_PROXY_REQUEST_LOG_H
#define NINES_PROXY_REQUEST_LOG_H

#include "proxy/client.h"

/* Decides, when a request or connection begins, whether it leaves a line. */
void log_begin(struct worker *w, struct client *c);
void log_line(struct worker *w, struct client *c, const char *end);

/* The end of it. `end` is one constant word. */
static inline void
log_end(struct worker *w, struct client *c, const char *end)
{
	if (c->log)
		log_line(w, c, end);
}

#endif /* NINES_PROXY_REQUEST_LOG_H */
