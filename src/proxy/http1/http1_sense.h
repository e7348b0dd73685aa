/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http1_sense.h - what the fields of a head mean, private to http1*.c.
 *
 * Called once the head is whole and every line of it is well formed.
 */
#ifndef NINES_PROXY_HTTP1_SENSE_H
#define NINES_PROXY_HTTP1_SENSE_H

#include "proxy/http1/http1.h"

enum http1_name http1_name_id(const char *p, size_t len);

/* Fill in framing, keep-alive, upgrade, host and the hop marks; or say what is wrong.
 */
enum http1_error http1_sense_request(struct http1_head *head, const char *p) MUST_CHECK;
enum http1_error http1_sense_response(
    struct http1_head *head, const char *p, enum http1_method to) MUST_CHECK;

/*
 * An absolute target: *host becomes its authority, *rest its path and query, which may
 * be empty. False if it is none, or a malformed one.
 */
bool http1_split_absolute(const char *p, struct http1_slice target,
    struct http1_slice *host, struct http1_slice *rest) MUST_CHECK;

/* The next element of the comma-separated list `*s` without space around it, which may
 * be empty; false at its end. */
bool http1_list_next(const char *p, struct http1_slice *s, struct http1_slice *element);

#endif /* NINES_PROXY_HTTP1_SENSE_H */
