/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_ticket.h - keys of session tickets that need no talk between load balancers.
 *
 * All of them have the same private key. From it and the number of the present epoch
 * (TLS_TICKET_EPOCH seconds each) everybody derives the same keys; the neighbouring
 * epochs are accepted, since clocks differ. Whoever gets the private key can read
 * tickets of the past, so they are given in TLS 1.3 only: there a resumed session has
 * a key exchange of its own, and stays secret.
 */
#ifndef NINES_PROXY_TLS_TICKET_H
#define NINES_PROXY_TLS_TICKET_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

#define TLS_TICKET_EPOCH 43200 /* seconds: 12 h */
#define TLS_TICKET_NAME	 16
#define TLS_TICKET_KEY	 32

struct tls_ticket_key {
	unsigned char name[TLS_TICKET_NAME], aes[TLS_TICKET_KEY], mac[TLS_TICKET_KEY];
};

struct tls_tickets {
	unsigned char secret[32];
	EVP_CIPHER *cipher;
	pthread_mutex_t
	    lock; /* of what follows: keys are derived when an epoch begins */
	int64_t epoch;
	struct tls_ticket_key key[3]; /* epoch - 1, epoch, epoch + 1 */
};

/* 0 or -errno. The secret is that of `key`; what else a session depends on, such as the
 * authorities of clients, is `context`: without it a session would outlive a change. */
int tls_tickets_init(struct tls_tickets *t, const EVP_PKEY *key, const void *context,
    size_t len) MUST_CHECK;
void tls_tickets_done(struct tls_tickets *t);

/* The key of `epoch`. 0 or -ENOMEM. */
int tls_tickets_derive(
    const struct tls_tickets *t, int64_t epoch, struct tls_ticket_key *key) MUST_CHECK;

/* What OpenSSL hands over to have one ticket sealed or opened. */
struct tls_ticket_work {
	unsigned char *name;
	unsigned char *iv;
	EVP_CIPHER_CTX *cipher;
	EVP_MAC_CTX *mac;
};

/* As SSL_CTX_set_tlsext_ticket_key_evp_cb() describes its callback, `now` in seconds
 * since the epoch. Sealing: 1, or -1 on failure. Opening: 1; 2 if it is good but of the
 * last epoch, so a new one is due; 0 if no key opens it; -1 on failure. */
int tls_tickets_seal(
    struct tls_tickets *t, int64_t now, const struct tls_ticket_work *w);
int tls_tickets_open(
    struct tls_tickets *t, int64_t now, const struct tls_ticket_work *w);

#endif /* NINES_PROXY_TLS_TICKET_H */
