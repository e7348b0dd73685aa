/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.h - HTTP's side of a client: one exchange after another. Private to the room.
 */
#ifndef NINES_PROXY_HTTP_H
#define NINES_PROXY_HTTP_H

#include "base/check.h"
#include "proxy/http1/http1.h"

struct client;
struct worker;

void http_idle(struct worker *w, struct client *c);
void http_next(struct worker *w, struct client *c);
void http_connected(struct worker *w, struct client *c);
void http_pump(struct worker *w, struct client *c);
void http_refuse(struct worker *w, struct client *c, unsigned status, const char *why);
void http_refuse_head(struct worker *w, struct client *c, enum http1_error e);
void http_linger(struct worker *w, struct client *c);
void http_forget_request(struct worker *w, struct client *c);

/* http_request.c: the head as servers get it, from w->head and `p`, in c->req. 0 or
 * -ENOBUFS. */
int http_write_request(struct worker *w, struct client *c, const char *p) MUST_CHECK;
void http_hash_request(struct worker *w, struct client *c, const char *p);

#endif /* NINES_PROXY_HTTP_H */
