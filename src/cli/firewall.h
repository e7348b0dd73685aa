/* SPDX-License-Identifier: Apache-2.0 */
/*
 * firewall.h - `nines firewall` (private to cli/).
 */
#ifndef NINES_CLI_FIREWALL_H
#define NINES_CLI_FIREWALL_H

#include <stdbool.h>

#include "config/cluster.h"
#include "firewall/nft_json.h"
#include "firewall/rules.h"

/* The rules of `host` with the lines that caused them; `state` may be NULL. */
void firewall_show(const struct cluster *c, const struct host *host,
    const struct rule_list *l, const struct nft_state *state);
void firewall_show_json(const struct cluster *c, const struct host *host,
    const struct rule_list *l, const struct nft_state *state);

/* `nines firewall test`: an exit status. */
int firewall_test(
    const struct cluster *c, const char *from, const char *to, const char *port);

#endif /* NINES_CLI_FIREWALL_H */
