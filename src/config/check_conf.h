/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_conf.h - the part of cluster.h about checks of servers and floating addresses.
 */
#ifndef NINES_CONFIG_CHECK_CONF_H
#define NINES_CONFIG_CHECK_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"

enum check_type {
	CHECK_NONE,
	CHECK_TCP,
	CHECK_HTTP,
	CHECK_HTTPS,
	CHECK_EXEC,
	CHECK_PING
};

/* Written as `check: tcp`, `check: /path`, or a mapping. */
struct check_conf {
	enum check_type type;
	int64_t every_ns; /* 10 ms .. 1 h */
	int64_t
	    timeout_ns; /* at least 1 ms; may exceed `every`: checks do not overlap */
	unsigned fall, rise; /* 1 .. 100 */
	uint16_t port;	     /* 0: the server's own */
	/* http, https */
	const char *method; /* "GET" */
	const char *path;   /* "/" */
	const char *host;   /* Host header; NULL: address and port checked */
	unsigned status_min, status_max; /* 200 .. 399 unless the file says otherwise */
	const char *body;		 /* must occur in the answer; or NULL */
	bool verify; /* https: verify the certificate against the system's store */
	/* exec: argv of `n_exec` words, NULL-terminated; healthy: exit status 0 */
	const char *const *exec;
	size_t n_exec;
	/* ping */
	struct ip ping; /* the address pinged */
};

#endif /* NINES_CONFIG_CHECK_CONF_H */
