/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync_core.h - keeps the connections of several kernels the same.
 *
 * Every host has a table of the flows it knows. The host that acts (it has the floating
 * addresses) is right about them: what its kernel reports it tells the others, who put
 * it into their kernels at once, so that nothing is left to do when one takes over.
 * What is told is always the latest state of a flow: each flow is on a list of news for
 * each peer, goes into a datagram, and stays with that datagram until it was
 * acknowledged; a lost datagram makes its flows news again. So there is no log that
 * could overflow, and a peer that was away is told everything (a snapshot), after which
 * it removes what it has beyond that.
 *
 * A host that stands by repeats nothing of what its kernel loses by time: the flow is
 * put back as long as a peer acts and has not ended it. What it sees pass by itself (a
 * straggler of a planned move) it tells as a hint, which only adds or advances.
 *
 * Pure: time, events and datagrams come in as arguments, datagrams and orders to the
 * kernel are fetched. Loss of events is repaired by a dump of the kernel's table,
 * between sync_dump_begin() and sync_dump_end(), while events go on.
 */
#ifndef NINES_SYNC_SYNC_CORE_H
#define NINES_SYNC_SYNC_CORE_H

#include "base/mono.h"
#include "sync/ct_wire.h"
#include "sync/sync_table.h"
#include "sync/sync_wire.h"

#define SYNC_RETIRED 8
#define SYNC_WINDOW  128 /* datagrams with news that wait for an acknowledgement */

/* A datagram under way, and the flows it told of. */
struct sync_slot {
	struct sync_list flows;
	uint64_t seq;
	mono_t sent;
};

/* What happened; for counters and status. All but the last three only grow. */
struct sync_figures {
	uint64_t sent, records, lost; /* datagrams, flows told, datagrams not heard */
	uint64_t received, heard;     /* datagrams, flows heard of */
	uint64_t late;		      /* datagrams replayed or overtaken: not used */
	uint64_t snapshots;
	uint64_t lags;	  /* flows whose arrival was measured ... */
	uint64_t lag_us;  /* ... after so long in sum ... */
	uint64_t lag_max; /* ... and at most; of the time since sync_lag_reset() */
};

struct sync_peer {
	bool present; /* there is such a peer */
	bool open;    /* we know each other's epoch: data may flow */
	bool acting;
	struct sync_epoch epoch; /* of the session, or of the last one */
	struct sync_epoch echo;	 /* heard last: what our greetings answer to */
	struct sync_epoch retired[SYNC_RETIRED];
	unsigned n_retired;
	mono_t opened, heard, spoke, greeted;
	bool greet; /* at the next occasion, as often as is decent */
	bool speak; /* there is something to say without news */
	/* What we tell. */
	uint64_t seq; /* last used */
	struct sync_list news;
	struct sync_slot slot[SYNC_WINDOW];
	unsigned first, flying; /* slots in use: a ring */
	int64_t rtt_ns, rto_ns;
	uint32_t snapshot; /* number of ours; 0: none yet */
	uint32_t scan;	   /* entries before it are in the snapshot; 0: all are */
	uint32_t waiting;  /* flows in it that are not acknowledged */
	/* What we hear. */
	uint64_t rx_seq, rx_bits;
	mono_t rx_at;
	unsigned unacked; /* datagrams with flows */
	uint32_t rx_snapshot, rx_mark;
	uint32_t
	    rx_useless; /* this one was heard while we acted, or before a silence */
	bool rx_end;	/* the snapshot is complete, and was applied */
	struct sync_figures figures;
};

struct sync {
	struct sync_table table;
	struct sync_peer peer[SYNC_PEERS_MAX];
	struct sync_epoch epoch;
	uint64_t seq_floor; /* of peers to come */
	bool acting;
	struct sync_list orders, refused; /* of the kernel's side */
	mono_t retry;
	uint32_t marks; /* of snapshots heard */
	uint32_t dump;	/* of the kernel's table */
	bool dumping, dump_whole;
	bool complete; /* all that the kernel had at our start is in the table */
	uint32_t sweep_snapshot, sweep_dump; /* next entry; 0: nothing to sweep */
	uint32_t sweep_mark;
	unsigned sweep_side; /* whose snapshot it was */
	uint64_t overflow;   /* flows that found no room in the table */
	uint64_t restored;   /* flows that a kernel lost and was given again */
	uint64_t swept;	     /* flows that were here and not in a snapshot */
};

/* `memory`: sync_table_bytes(flows) zeroed bytes, which stay the caller's. `epoch` and
 * `seed` are random. */
void sync_init(struct sync *s, void *memory, uint32_t flows,
    const struct sync_epoch *epoch, uint64_t seed);

void sync_peer_add(struct sync *s, unsigned peer);
void sync_peer_drop(struct sync *s, unsigned peer);
void sync_role(struct sync *s, mono_t now, bool acting);

/* The kernel reports *f as new or changed, or as gone. */
void sync_event(struct sync *s, mono_t now, bool gone, const struct flow *f);

/* Between begin and end every flow of the kernel is given to sync_dumped(), and events
 * as they come: those read before an answer of the dump was fetched go first. */
void sync_dump_begin(struct sync *s);
void sync_dumped(struct sync *s, mono_t now, const struct flow *f);
/* `whole`: nothing was left out, so that what was not seen is gone. */
void sync_dump_end(struct sync *s, bool whole);

/*
 * The next order to the kernel, into *f and *what; returns the flow's number, or 0 if
 * there is none. An order counts as done unless sync_refused() is told its number
 * before anything else is: it is tried again after a while.
 */
uint32_t sync_order(struct sync *s, enum ct_order *what, struct flow *f);
void sync_refused(struct sync *s, mono_t now, uint32_t i);

/* A greeting of `peer`, sent in epoch *from. */
void sync_greeted(struct sync *s, mono_t now, unsigned peer,
    const struct sync_epoch *from, const struct sync_hello *h);

/*
 * The payload of datagram `seq`, sealed for both epochs. 0; -EALREADY: it came before,
 * or too late, and is to be ignored; -EPROTO: it makes no sense.
 */
int sync_heard(struct sync *s, mono_t now, unsigned peer, uint64_t seq,
    const uint8_t *payload, size_t len) MUST_CHECK;

/*
 * The next datagram for `peer`: its header and `*len` bytes of payload, of at most
 * SYNC_PAYLOAD_MAX. False: nothing to say now. Orders are to be carried out first: what
 * is acknowledged is in the kernel.
 */
bool sync_next(struct sync *s, mono_t now, unsigned peer, struct sync_header *h,
    uint8_t payload[static SYNC_PAYLOAD_MAX], size_t *len) MUST_CHECK;

/* What time brings, and long work in small portions. */
void sync_tick(struct sync *s, mono_t now);
mono_t sync_deadline(const struct sync *s, mono_t now);

/* How many of the table's flows `peer` has confirmed. */
uint32_t sync_told(const struct sync *s, unsigned peer);
/* All that there is has been told to `peer`. */
bool sync_settled(const struct sync *s, unsigned peer);
/* A whole table is on its way, in either direction, or being swept. */
bool sync_bulk(const struct sync *s);
/* A peer acts and this host does not. */
bool sync_follows(const struct sync *s);

/* True if the invariants hold. For tests; reads everything. */
bool sync_check(const struct sync *s);

#endif /* NINES_SYNC_SYNC_CORE_H */
