/* SPDX-License-Identifier: Apache-2.0 */
/* vpn.h - the part `vpn`: WireGuard gateways that stand in for each other. */
#ifndef NINES_VPN_VPN_H
#define NINES_VPN_VPN_H

int vpn_main(void);

#endif /* NINES_VPN_VPN_H */
