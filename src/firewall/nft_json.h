/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nft_json.h - rules in the language of the program nft, and what it says of them.
 *
 * All rules stand in one table of our own, which one transaction replaces as a whole:
 * there is no moment without rules, and nobody else's tables are touched. What a rule
 * has counted goes on in the next generation, if the rule is there again.
 *
 * A change of what the host accepts can be on trial: the kernel itself goes back to
 * the rules before when the trial's time is over, whatever has become of us.
 */
#ifndef NINES_FIREWALL_NFT_JSON_H
#define NINES_FIREWALL_NFT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sbuf.h"
#include "firewall/rules.h"

#define NFT_TABLE      "nines_fw"
#define NFT_JSON_MAX   ((size_t)256 << 20) /* bytes of a transaction or a listing */
#define NFT_DIGEST_LEN 17		   /* with the NUL */

/* What a rule has counted. */
struct nft_count {
	char id[RULE_ID_LEN];
	uint64_t packets, bytes;
};

/* The table as it is in the kernel. */
struct nft_state {
	bool present;
	char digest[NFT_DIGEST_LEN]; /* of the generation it was made of; "": unknown */
	char undone[NFT_DIGEST_LEN]; /* of one that was tried and undone; or "" */
	bool trial;		     /* that was begun */
	unsigned trial_s;	     /* what is left of it; 0: it is over */
	struct nft_count *count;     /* sorted by id */
	size_t n;
	size_t rules; /* of ours */
};

/*
 * Reads the answer of `nft -j list table inet nines_fw`, or of `list ruleset`. 0,
 * -EBADMSG or -ENOMEM. What it does not know it passes over.
 */
int nft_state_read(const char *json, size_t len, struct nft_state *out) MUST_CHECK;
void nft_state_done(struct nft_state *s);
const struct nft_count *nft_state_count(const struct nft_state *s, const char *id);

struct nft_load {
	const struct rule_list *rules;
	const struct rule_list *host; /* whose rules for the host hold; NULL: none */
	const char *digest;	      /* of `rules` */
	const char *undone;	      /* or NULL */
	/* On trial for so long; 0: for good. Then `before` is back (NULL: all is let
	 * in, as if there was no firewall on the host). */
	unsigned trial_s;
	const struct rule_list *before;
	const struct nft_state *counts; /* to go on from; or NULL */
	/* The first rules in this kernel: for so long TCP in the middle passes to the
	 * host, until the kernel knows the connections that were there before. */
	unsigned grace_s;
};

/* One transaction for `nft -j -f -`; returns how many rules it makes. */
size_t nft_json_load(const struct nft_load *l, struct sbuf *out);
void nft_json_off(struct sbuf *out);

/* What `rules` come to for the host itself, and all of it. */
void nft_digest(const struct rule_list *rules, char out[static NFT_DIGEST_LEN]);

#endif /* NINES_FIREWALL_NFT_JSON_H */
