/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wg_uapi_fuzz.c - any bytes as the answer of a WireGuard program: what is accepted is
 * within bounds, and what it says can be said back.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "vpn/wg_uapi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define ROOM 4

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = malloc(len + 1); /* ASan guards its end */
	struct wg_peer *peer = calloc(ROOM, sizeof(*peer));
	struct wg_state s = {.peer = peer, .room = ROOM};
	int err, result;

	ASSERT(text != NULL && peer != NULL);
	memcpy(text, data, len);
	text[len] = '\0';
	(void)wg_uapi_whole(text, len);
	err = wg_uapi_state(&s, text, len);
	result = wg_uapi_result(text, len);
	ASSERT(err <= 0 && result <= 0 && s.n_peers <= ROOM);
	ASSERT(err != 0 || result == 0);
	for (size_t i = 0; i < s.n_peers; i++) {
		const struct wg_peer *p = &peer[i];

		ASSERT(p->at.ip.family == 0 || p->at.ip.family == AF_INET ||
		       p->at.ip.family == AF_INET6);
		ASSERT(p->handshake_s >= 0 && p->keepalive_s <= UINT16_MAX);
		ASSERT((p->n_allowed == 0) == (p->allowed.ip.family == 0));
	}
	free(peer);
	free(text);
	return 0;
}
