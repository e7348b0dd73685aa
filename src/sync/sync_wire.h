/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync_wire.h - what hosts that share connections say to each other. Version 1.
 *
 * One UDP datagram:
 *
 *	"9syn"  version  kind  0 0  sender's epoch (16)  number (8)  sealed ... tag (16)
 *
 * The first 32 bytes are in the clear and authenticated. An epoch is drawn at random
 * when a process starts; within one, numbers only grow. A greeting (kind 1) is sealed
 * for the sender's epoch and makes two processes know each other's; data (kind 2) is
 * sealed for both epochs, so nothing of another life of either can be replayed.
 *
 * Data: role, acknowledgement, the snapshot it belongs to, records of flows.
 */
#ifndef NINES_SYNC_SYNC_WIRE_H
#define NINES_SYNC_SYNC_WIRE_H

#include "base/check.h"
#include "base/wire.h"
#include "sync/flow.h"

#define SYNC_VERSION	   1
#define SYNC_EPOCH_LEN	   16
#define SYNC_HEADER_LEN	   32
#define SYNC_TAG_LEN	   16
#define SYNC_DATAGRAM_MAX  1400 /* fits a network of 1,500 bytes, over IPv6 too */
#define SYNC_PAYLOAD_MAX   (SYNC_DATAGRAM_MAX - SYNC_HEADER_LEN - SYNC_TAG_LEN)
#define SYNC_DATA_HEAD_LEN 30
#define SYNC_HELLO_LEN	   20
#define SYNC_RECORD_MAX	   125 /* bytes of one flow */

enum sync_kind { SYNC_HELLO = 1, SYNC_DATA = 2 };

struct sync_epoch {
	uint8_t byte[SYNC_EPOCH_LEN];
};

struct sync_header {
	uint8_t version;
	uint8_t kind;
	struct sync_epoch from;
	uint64_t seq;
};

/* 0; -EPROTO: not ours or cut short; -EPROTONOSUPPORT: of another version, which is
 * then in h->version. */
int sync_header_decode(struct sync_header *h, const uint8_t *p, size_t len) MUST_CHECK;
void sync_header_encode(const struct sync_header *h, uint8_t p[static SYNC_HEADER_LEN]);

struct sync_hello {
	bool open;		/* the sender has a session with us already */
	struct sync_epoch echo; /* ours, as far as the sender knows; zeros: unknown */
};

int sync_hello_decode(struct sync_hello *h, const uint8_t *p, size_t len) MUST_CHECK;
void sync_hello_encode(const struct sync_hello *h, struct wr *w);

struct sync_data {
	bool acting;	   /* the sender has the floating addresses */
	bool snapshot_end; /* all of snapshot `snapshot` has arrived */
	uint16_t delay_us; /* since what `ack` names arrived; 65535: that or longer */
	uint32_t snapshot; /* 0: none yet */
	uint32_t useless;  /* the receiver's snapshot that cannot be used; 0: none */
	uint64_t ack;	   /* the highest number that arrived; 0: none */
	uint64_t ack_bits; /* bit i: so did `ack` - 1 - i */
	uint16_t n;	   /* records follow */
};

void sync_data_encode(const struct sync_data *d, struct wr *w);
/* Reads the head; the records stay in `r`. */
int sync_data_decode(struct sync_data *d, struct rd *r) MUST_CHECK;

/* `gone`: only the flow's name matters. w->bad if it did not fit. */
void sync_record_encode(const struct flow *f, bool gone, struct wr *w);
int sync_record_decode(struct flow *f, bool *gone, struct rd *r) MUST_CHECK;

#endif /* NINES_SYNC_SYNC_WIRE_H */
