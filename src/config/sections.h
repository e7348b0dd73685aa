/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sections.h - what the section_*.c files share with each other and with the root.
 *
 * Private to config/.
 */
#ifndef NINES_CONFIG_SECTIONS_H
#define NINES_CONFIG_SECTIONS_H

#include <stdbool.h>

#include "base/sbuf.h"
#include "config/schema.h"

extern const struct form network_form;
extern const struct form zones_form;

/* Whether the file's networks are the one that `network: CIDR` makes. */
bool only_main_network(const void *cluster);
bool other_networks(const void *cluster);

/* After all networks: sorts them for network_of() and reports overlaps. */
void complete_networks(struct reader *r);

/* After all floating IPs: what concerns several of them. */
void complete_floating_ips(struct reader *r);

/* After all sections: what `gateways` takes from the others. */
void complete_gateways(struct reader *r);

/* True if an address of `h` is wrong, which was reported: do not add to it. */
bool host_unclear(const struct host *h);

/* True if `name` means something else among the keys of a host. */
bool host_key_is_reserved(const char *name);

/* True if the file need not say what `base` has at `k`. */
bool key_is_preset(const struct key *k, const void *base);

/* The value at `k` of `base`, in flow style; nothing if there is none. */
void write_value(const struct key *k, const void *base, struct sbuf *out);

/* A line or a block for key `k` of `base`, as cluster_write() has it. */
void write_key(
    const struct key *k, const void *base, bool full, int indent, struct sbuf *out);

/* The keys of a section that has no mappings within, as one flow mapping. */
void write_flow(const struct section *s, const void *base, bool full, struct sbuf *out);

/* A scalar in flow style, in quotes where it needs them. */
void write_text(struct sbuf *out, const char *s);

#endif /* NINES_CONFIG_SECTIONS_H */
