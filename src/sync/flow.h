/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flow.h - one tracked connection, as the kernel tells of it and as peers are told.
 *
 * What can be carried over to another kernel: addresses before and after translation,
 * state, time left, mark. The kernel neither tells nor takes a TCP connection's window;
 * it learns that from the next packets.
 */
#ifndef NINES_SYNC_FLOW_H
#define NINES_SYNC_FLOW_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

/* What a message says of a flow, beside its tuples. */
#define FLOW_STATUS   1U
#define FLOW_TIMEOUT  2U
#define FLOW_MARK     4U
#define FLOW_TCP      8U
#define FLOW_SEQ_ADJ  16U
#define FLOW_SYNPROXY 32U
#define FLOW_HAS_ALL  63U

/* Of IPS_*, what concerns another kernel. */
#define FLOW_SEEN_REPLY 2U
#define FLOW_ASSURED	4U
#define FLOW_CONFIRMED	8U
#define FLOW_SRC_NAT	16U
#define FLOW_DST_NAT	32U
#define FLOW_ADJUSTED	64U
#define FLOW_STATUS_ALL 126U

/* States of enum tcp_conntrack. */
enum {
	FLOW_TCP_SYN_SENT = 1,
	FLOW_TCP_SYN_RECV = 2,
	FLOW_TCP_ESTABLISHED = 3,
	FLOW_TCP_FIN_WAIT = 4,
	FLOW_TCP_CLOSE_WAIT = 5,
	FLOW_TCP_LAST_ACK = 6,
	FLOW_TCP_TIME_WAIT = 7,
	FLOW_TCP_CLOSE = 8,
	FLOW_TCP_SYN_SENT2 = 9,
};

/* Addresses in network order; IPv4 uses the first four bytes, and the rest is zero.
 * ICMP: `src_port` is the identifier, `dst_port` the type and the code. */
struct flow_tuple {
	uint8_t src[16], dst[16];
	uint16_t src_port, dst_port;
};

struct flow_adjust {
	uint32_t pos, before, after;
};

struct flow {
	struct flow_tuple orig, reply;
	uint16_t zone;
	uint8_t family; /* AF_INET, AF_INET6 */
	uint8_t proto;
	uint8_t has; /* FLOW_STATUS ...: which of what follows is meant */
	uint8_t status;
	uint8_t tcp_state;
	uint8_t tcp_flags[2], tcp_wscale[2]; /* of the original side, of the reply's */
	uint32_t timeout_s;
	uint32_t mark;
	struct flow_adjust adjust[2]; /* sequence numbers that NAT or a SYN proxy
					 moves */
	uint32_t isn, its, ts_off;    /* of a SYN proxy */
};

/* What names a flow: protocol, zone, the tuple of its first packet. */
static inline bool
flow_same(const struct flow *a, const struct flow *b)
{
	return a->proto == b->proto && a->family == b->family && a->zone == b->zone &&
	       memcmp(&a->orig, &b->orig, sizeof(a->orig)) == 0;
}

/* Adds what `news` says to `f`, which is the same flow. */
static inline void
flow_merge(struct flow *f, const struct flow *news)
{
	f->reply = news->reply;
	f->has |= news->has;
	if ((news->has & FLOW_STATUS) != 0)
		f->status |= news->status; /* the kernel never takes one back */
	if ((news->has & FLOW_TIMEOUT) != 0)
		f->timeout_s = news->timeout_s;
	if ((news->has & FLOW_MARK) != 0)
		f->mark = news->mark;
	if ((news->has & FLOW_TCP) != 0) {
		f->tcp_state = news->tcp_state;
		memcpy(f->tcp_flags, news->tcp_flags, sizeof(f->tcp_flags));
		memcpy(f->tcp_wscale, news->tcp_wscale, sizeof(f->tcp_wscale));
	}
	if ((news->has & FLOW_SEQ_ADJ) != 0)
		memcpy(f->adjust, news->adjust, sizeof(f->adjust));
	if ((news->has & FLOW_SYNPROXY) != 0) {
		f->isn = news->isn;
		f->its = news->its;
		f->ts_off = news->ts_off;
	}
}

#endif /* NINES_SYNC_FLOW_H */
