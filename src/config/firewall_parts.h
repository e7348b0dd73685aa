/* SPDX-License-Identifier: Apache-2.0 */
/*
 * firewall_parts.h - what `firewall` and `host_firewall` are made of.
 *
 * Private to config/.
 */
#ifndef NINES_CONFIG_FIREWALL_PARTS_H
#define NINES_CONFIG_FIREWALL_PARTS_H

#include "config/reader.h"
#include "config/schema.h"

/* Rows of `allow` and `deny`; those of host_firewall have fewer keys. */
extern const struct section firewall_rule_section;
extern const struct section host_rule_section;

#define FIREWALL_PEERS_SCHEMA "{\"$ref\":\"#/$defs/texts\"}"
#define FIREWALL_PEERS_SYNTAX \
	"any, or NETWORK, HOST, FLOATING-IP, SERVICE, VPN, ADDRESS, PREFIX, or a list"
#define FIREWALL_PORTS_SYNTAX "PORT, LOW-HIGH, PORT/udp, or a list"
#define FIREWALL_RATE_SCHEMA \
	"{\"type\":\"string\",\"pattern\":\"^([0-9]+/[smh]|off)$\"}"

void firewall_read_peers(struct reader *r, const struct yaml *node, struct peers *out);
void firewall_write_peers(const struct peers *p, struct sbuf *out);

void firewall_read_ports(
    struct reader *r, const struct yaml *node, struct port_ranges *out);
void firewall_write_ports(const struct port_ranges *p, struct sbuf *out);

void firewall_read_rate(struct reader *r, const struct yaml *node, struct rate *out);
void firewall_write_rate(const struct rate *rate, struct sbuf *out);

#endif /* NINES_CONFIG_FIREWALL_PARTS_H */
