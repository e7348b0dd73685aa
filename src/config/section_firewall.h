/* SPDX-License-Identifier: Apache-2.0 */
/*
 * section_firewall.h - the sections `firewall` and `host_firewall` of the root.
 *
 * Private to config/.
 */
#ifndef NINES_CONFIG_SECTION_FIREWALL_H
#define NINES_CONFIG_SECTION_FIREWALL_H

#include "config/schema.h"

extern const struct section firewall_section;
extern const struct section host_firewall_section;

#endif /* NINES_CONFIG_SECTION_FIREWALL_H */
