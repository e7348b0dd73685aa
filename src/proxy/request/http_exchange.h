/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_exchange.h - what the files of an exchange have of each other: http.c its life
 * and the server's answer, http_own.c answers without a server, http_up.c the request's
 * way to the server. Private to http*.c.
 */
#ifndef NINES_PROXY_HTTP_EXCHANGE_H
#define NINES_PROXY_HTTP_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>

#include "proxy/client.h"
#include "proxy/counters.h"
#include "proxy/listener.h"
#include "proxy/request/route.h"
#include "proxy/servers/service.h"
#include "proxy/worker_inside.h"

#define SMALL_BODY 1024 /* goes out in one piece with its head */

/* http.c */
/* Sends `head` bytes of w->out and `n` of body; what the client does not take waits in
 * `down`. */
void http_send_answer(
    struct worker *w, struct client *c, size_t head, const char *body, size_t n);
/* The answer's body, from whoever gives it. */
void http_pump_down(struct worker *w, struct client *c);

/* http_own.c */
/* What the route says instead of a server; its head begins with the `n` bytes of
 * w->out. */
void http_send_own(
    struct worker *w, struct client *c, size_t n, struct route_text body);
/* What is left of a page of our own. True if all of it is out. */
bool http_push_page(struct worker *w, struct client *c);

/* http_up.c */
/* The request, as far as there is some of it and the server takes it. False: the
 * exchange is over or has gone elsewhere. */
bool http_pump_up(struct worker *w, struct client *c);

/* True if the connection is to end when it can. */
static inline bool
http_must_leave(const struct worker *w, const struct client *c)
{
	return w->view->stopping || c->listener->leaving || c->service->gone;
}

/* Counts what both flows have moved. */
static inline void
http_settle(struct client *c)
{
	stats_t *counter = c->service->counter;

	stats_add(&counter[SVC_BYTES_IN], c->up.bytes);
	stats_add(&counter[SVC_BYTES_OUT], c->down.bytes);
	c->up.bytes = c->down.bytes = 0;
}

/* Something of the body that was kept is still to be sent. */
static inline bool
http_kept_waits(const struct client *c)
{
	return c->kept != NULL && c->kept_sent < c->kept->len;
}

static inline void
http_count_status(struct client *c, unsigned status)
{
	if (status >= 100 && status <= 599)
		count(c->service->counter, SVC_RESPONSES_1XX + status / 100 - 1);
}

#endif /* NINES_PROXY_HTTP_EXCHANGE_H */
