/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nft_run.h - the program nft, run to its end.
 */
#ifndef NINES_FIREWALL_NFT_RUN_H
#define NINES_FIREWALL_NFT_RUN_H

#include <stddef.h>

#include "base/sbuf.h"
#include "firewall/nft_json.h"

#define NFT_WHY_LEN 160 /* with the NUL */

/* Loads a transaction: all of it or nothing. 0, or -errno and why. */
int nft_load(const char *json, char why[static NFT_WHY_LEN]) MUST_CHECK;

/* What the kernel has of our table now. 0, or -errno and why. */
int nft_list(struct nft_state *out, char why[static NFT_WHY_LEN]) MUST_CHECK;

#endif /* NINES_FIREWALL_NFT_RUN_H */
