/* SPDX-License-Identifier: Apache-2.0 */
/* gateway.h - the part `gateway`: routes over several next hops, and forwarding. */
#ifndef NINES_GATEWAY_GATEWAY_H
#define NINES_GATEWAY_GATEWAY_H

/* `nines part gateway`; returns the exit status. */
int gateway_main(void);

#endif /* NINES_GATEWAY_GATEWAY_H */
