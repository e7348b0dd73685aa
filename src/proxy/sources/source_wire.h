/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_wire.h - what load balancers tell each other of sources. Version 1.
 *
 * One UDP datagram of one service:
 *
 *	"9src"  version  kind  0 0  service (8)  sender's epoch (16)  number (8)
 *	sealed ... tag (16)
 *
 * The first 40 bytes are in the clear and authenticated. `service` is a hash of its
 * name. An epoch is drawn at random when a process begins to act; within one, numbers
 * only grow. A greeting (kind 1) is sealed for the sender's epoch and makes two
 * processes know each other's; data (kind 2) is sealed for both epochs, so nothing of
 * another life of either can be replayed.
 */
#ifndef NINES_PROXY_SOURCE_WIRE_H
#define NINES_PROXY_SOURCE_WIRE_H

#include "base/check.h"
#include "base/wire.h"
#include "proxy/sources/source_table.h"

#define SOURCE_VERSION	    1
#define SOURCE_EPOCH_LEN    16
#define SOURCE_HEADER_LEN   40
#define SOURCE_TAG_LEN	    16
#define SOURCE_DATAGRAM_MAX 1400 /* fits a network of 1,500 bytes, over IPv6 too */
#define SOURCE_PAYLOAD_MAX  (SOURCE_DATAGRAM_MAX - SOURCE_HEADER_LEN - SOURCE_TAG_LEN)
#define SOURCE_DATA_LEN	    28
#define SOURCE_RECORD_LEN   36
#define SOURCE_VERSION_TOP                                        \
	(INT64_MAX / 2) /* of a record: no time of day comes near \
			 */
#define SOURCE_RECORDS_MAX ((SOURCE_PAYLOAD_MAX - SOURCE_DATA_LEN) / SOURCE_RECORD_LEN)

enum source_kind { SOURCE_HELLO = 1, SOURCE_DATA = 2 };

struct source_epoch {
	uint8_t byte[SOURCE_EPOCH_LEN];
};

struct source_header {
	uint8_t version;
	uint8_t kind;
	uint64_t service;
	struct source_epoch from;
	uint64_t number;
};

/* 0; -EPROTO: not ours or cut short; -EPROTONOSUPPORT: of another version, which is
 * then in h->version. */
int source_header_decode(
    struct source_header *h, const uint8_t *p, size_t len) MUST_CHECK;
void source_header_encode(
    const struct source_header *h, uint8_t p[static SOURCE_HEADER_LEN]);

/* Who answers with the nonce that he was sent is alive now. */
struct source_hello {
	uint64_t nonce; /* to be sent back */
	uint64_t echo;	/* what was last heard from the receiver; 0: nothing */
	bool open;	/* the sender hears the receiver's data */
};

int source_hello_decode(
    struct source_hello *h, const uint8_t *p, size_t len) MUST_CHECK;
void source_hello_encode(const struct source_hello *h, struct wr *w);

/*
 * Each change of a host's table has a number. A datagram tells all that was changed
 * after `after` up to `upto`, as far as the receiver cannot know it.
 */
struct source_data {
	uint64_t ack; /* all of the receiver's changes up to this one are here */
	uint64_t after, upto;
	uint16_t n;  /* records follow */
	bool agreed; /* there is nothing more to tell now */
};

/* As struct source_entry, with the time since it was last used. */
struct source_record {
	struct source_key key;
	uint64_t server, version;
	uint32_t age_s;
};

void source_data_encode(const struct source_data *d, struct wr *w);
/* Reads the head; the records stay in `r`, and there are d->n of them, or it fails. */
int source_data_decode(struct source_data *d, struct rd *r) MUST_CHECK;

void source_record_encode(const struct source_record *s, struct wr *w);
/* -EPROTO: it cannot be one. */
int source_record_decode(struct source_record *s, struct rd *r) MUST_CHECK;

#endif /* NINES_PROXY_SOURCE_WIRE_H */
