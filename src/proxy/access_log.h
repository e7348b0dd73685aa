/* SPDX-License-Identifier: Apache-2.0 */
/*
 * access_log.h - one line per request or connection, without ever making a worker wait.
 *
 *	2026-11-21T07:00:00.123456Z access service=site client=192.0.2.7:40312
 *	server=web1:8080 method="GET" host="example.org" target="/a?b" version=1.1
 *	status=200 id="7f3a" in=80 out=5120 total_us=812 wait_us=0 connect_us=0
 *	first_us=790 retries=0 end=ok
 *
 * (one line). Text that came from a client stands in double quotes; what could end the
 * quotes or the line is written as \xHH. A worker formats a line and puts it into its
 * own ring; one thread of the part writes the rings out. A full ring drops the line and
 * counts it.
 */
#ifndef NINES_PROXY_ACCESS_LOG_H
#define NINES_PROXY_ACCESS_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

#define ACCESS_LINE_MAX 3072 /* longer targets and hosts are cut, marked by "..." */

/* Bytes that need not end with NUL; p NULL: there is none. */
struct access_text {
	const char *p;
	size_t len;
};

struct access_entry {
	int64_t time_us;     /* of its end, since 1970 (UTC) */
	const char *service; /* its name */
	const char *client;  /* address as text */
	uint16_t client_port;
	const char *server; /* its name; NULL: none was reached */
	/* http; in tcp mode there is no method, and these four are left out */
	struct access_text method, host, target;
	struct access_text
	    rewritten;	       /* the target that the server got; p NULL: the same */
	struct access_text id; /* what X-Request-Id says; left out if it is empty */
	uint8_t major, minor;  /* of the client's HTTP */
	uint16_t status;       /* 0: none was sent */
	uint64_t bytes_in, bytes_out; /* from and to the client */
	/* In all; in the queue; until the server was connected; until its first byte.
	 */
	int64_t total_us, wait_us, connect_us, first_us;
	unsigned retries;
	const char *end; /* one word, such as ok, client-abort, server-abort, timeout */
};

/* Returns the length with its '\n'. Pure. */
size_t access_format(char out[static ACCESS_LINE_MAX], const struct access_entry *e);

/* One producer, one consumer. */
struct access_ring {
	char *data;
	size_t size;
	_Alignas(64) atomic_size_t head; /* bytes ever put; the worker's */
	size_t tail_seen;		 /* the worker's last look at `tail` */
	_Atomic uint64_t dropped;	 /* lines */
	_Alignas(64) atomic_size_t tail; /* bytes ever written out; the consumer's */
};

/* `data` has `size` bytes, a power of two of at least ACCESS_LINE_MAX. */
void access_ring_init(struct access_ring *r, char *data, size_t size);

/* By the worker. False: full, dropped and counted. */
bool access_ring_put(struct access_ring *r, const char *line, size_t len);

/*
 * By the consumer: writes what is there to `fd`, whole lines at a time, and does not
 * wait even if `fd` is blocking. Returns 0 when the ring was empty at last; -EAGAIN
 * when `fd` takes no more now: go on with this ring before another one, since a line
 * may be half written; or -errno.
 */
int access_ring_drain(struct access_ring *r, int fd) MUST_CHECK;

uint64_t access_ring_dropped(const struct access_ring *r);

#endif /* NINES_PROXY_ACCESS_LOG_H */
