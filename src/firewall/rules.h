/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rules.h - what a host lets through, as a list of rules; and what it would do with a
 * packet.
 *
 * rules_build() makes the list of the cluster file: on a firewall what passes through
 * it, on every host with `host_firewall` what it accepts itself. Each rule knows the
 * line of the file that caused it and says why it is there. nft_json.h writes the list
 * for the kernel, rules_eval() walks it as the kernel does, `nines firewall show`
 * prints it.
 *
 * Pure: the result depends on the arguments alone and lives in the caller's arena.
 */
#ifndef NINES_FIREWALL_RULES_H
#define NINES_FIREWALL_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "config/cluster.h"
#include "topology/flows.h"

#define RULE_ID_LEN 13 /* with the NUL */

/* In the order in which a packet meets them. */
enum rule_chain {
	RULES_RAW,     /* before the kernel follows connections */
	RULES_DNAT,    /* new destinations */
	RULES_FORWARD, /* through this host */
	RULES_GUARD,   /* to this host's addresses that stand for others */
	RULES_HOST,    /* to this host */
	RULES_SNAT,    /* new sources */
	RULES_CHAINS
};

/* What must be true beside the addresses and ports. */
enum rule_test {
	RULE_ALWAYS,
	RULE_NEW,	  /* begins a connection */
	RULE_ESTABLISHED, /* belongs to one, or is an error about one */
	RULE_INVALID,	  /* can belong to none */
	RULE_LOOPBACK,
	RULE_MIDSTREAM, /* TCP of a connection that nobody here has seen begin */
	RULE_FORGED,	/* the source is not reached by the way it came */
	RULE_UNROUTED,	/* the source is not reached at all */
	RULE_SYN,	/* TCP, before the kernel follows connections */
	RULE_HANDSHAKE, /* of a SYN proxy */
	RULE_NEIGHBOUR, /* ICMPv6 that finds neighbours, routers, groups */
	RULE_GROUPS,	/* IGMP */
	RULE_DHCP6,	/* answers of a DHCPv6 server */
	RULE_ECHO,	/* a ping */
	RULE_TO_MANY,	/* broadcast, multicast */
	RULE_TESTS
};

enum rule_verdict {
	RULE_ACCEPT,
	RULE_DROP,
	RULE_LOG,	/* and go on */
	RULE_LIMIT,	/* drop what is more than `rate` of one source */
	RULE_NOTRACK,	/* and go on */
	RULE_SYNPROXY,	/* answer the handshake here */
	RULE_TO,	/* the destination becomes `nat` */
	RULE_FROM,	/* the source becomes `nat` */
	RULE_MASQUERADE /* the source becomes the address of the interface */
};

struct rule {
	char id[RULE_ID_LEN]; /* of what it does: the same in the next generation */
	enum rule_chain chain;
	enum rule_test test;
	enum rule_verdict verdict;
	uint8_t family;			/* 0: both */
	struct net_list src, dst;	/* all of `family` */
	uint8_t proto;			/* 0: any; IPPROTO_ICMP: as the family has it */
	const struct port_range *ports; /* of the destination, all of `proto` */
	size_t n_ports;
	struct rate rate; /* RULE_ACCEPT with one: no more than that */
	struct ip_endpoint nat;
	struct ip_net via; /* RULE_FROM: where the route's next hop is; family 0: any */
	/* RULE_ACCEPT of what RULE_TO sent here: how it came. */
	const struct rule *translated;
	struct place place; /* line 0: of no line */
	const char *why;
};

struct rule_list {
	struct rule *rule;
	size_t n;
	size_t count[RULES_CHAINS];
};

/* 0, or -ENOMEM if the arena is full. A host that filters nothing has no rules. */
int rules_build(const struct cluster *c, const struct host *me, struct arena *a,
    struct rule_list *out) MUST_CHECK;

/* True if `me` is to have rules. */
bool rules_wanted(const struct cluster *c, const struct host *me);

/*
 * True if `before` may let something to this host in that `after` does not. It may say
 * so without need; never the other way round. `before` NULL: all was let in.
 */
bool rules_close(const struct rule_list *before, const struct rule_list *after);

/* A packet that begins a connection, unless `midstream`. */
struct packet {
	struct ip src, dst;
	uint8_t proto;
	uint16_t port;	/* of the destination; 0: the protocol has none */
	bool midstream; /* TCP without SYN, of no known connection */
	bool echo;	/* an ICMP echo request */
};

struct packet_fate {
	bool accepted;
	const struct rule *rule;	/* that decided; NULL: the end of the chain */
	const struct rule *dnat, *snat; /* or NULL */
	const struct rule *limit;	/* as long as it is not exceeded; or NULL */
};

/*
 * What becomes of `p`, which passes through this host (`forward`) or is for it. Forged
 * sources and exceeded limits aside. A chain without rules lets pass.
 */
void rules_eval(const struct rule_list *l, const struct packet *p, bool forward,
    struct packet_fate *fate);

const char *rule_chain_name(enum rule_chain chain);

/* "tcp from 10.0.0.0/24 to 10.0.1.1 port 80": what the rule is about. */
void rule_describe(const struct rule *r, struct sbuf *out);

#endif /* NINES_FIREWALL_RULES_H */
