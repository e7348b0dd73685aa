/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_conf.h - the part of cluster.h about TLS.
 */
#ifndef NINES_CONFIG_TLS_CONF_H
#define NINES_CONFIG_TLS_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/routing.h"

enum tls_mode { TLS_OFF, TLS_TERMINATE, TLS_PASSTHROUGH };
enum tls_version { TLS_1_2, TLS_1_3 };
/* Who sees to it that there is another certificate before one ends. */
enum tls_renewal { RENEWAL_BY_HAND, RENEWAL_AUTOMATIC };
enum client_verify {
	CLIENT_VERIFY_OFF,
	CLIENT_VERIFY_OPTIONAL,
	CLIENT_VERIFY_REQUIRED
};

/* What clients get. All but `mode` counts for TLS_TERMINATE only. */
struct tls_conf {
	enum tls_mode mode;
	const char *const *certificate; /* PEM files with chain and key */
	size_t n_certificates;
	enum tls_version min_version;
	const char *ciphers; /* as OpenSSL writes them; NULL: its choice */
	struct place ciphers_at;
	const char *client_ca; /* PEM file; NULL: none */
	enum client_verify client_verify;
	const uint16_t *plain; /* ports without TLS */
	size_t n_plain;
	bool redirect;		  /* from them to https */
	bool tickets;		  /* sessions may be resumed */
	int64_t hsts_ns;	  /* Strict-Transport-Security; 0: not sent */
	enum tls_renewal renewal; /* of all files named here */
};

/* What servers get. */
struct server_tls_conf {
	bool on;
	bool verify;
	const char *ca;	  /* PEM file; NULL: the system's store */
	const char *name; /* in the certificate; NULL: the server's host or address */
	enum tls_renewal renewal; /* of `ca` */
};

#endif /* NINES_CONFIG_TLS_CONF_H */
