/* SPDX-License-Identifier: Apache-2.0 */
#include "sync/sync_seal.h"

#include <errno.h>
#include <stdio.h>

enum { INFO_MAX = 192 };

struct seal *
sync_seal_new(const uint8_t secret[static SEAL_SECRET_LEN], const char *from,
    const char *to, const struct sync_epoch *sender, const struct sync_epoch *peer)
{
	uint8_t salt[2 * SYNC_EPOCH_LEN];
	char info[INFO_MAX];

	memcpy(salt, sender->byte, SYNC_EPOCH_LEN);
	if (peer != NULL)
		memcpy(salt + SYNC_EPOCH_LEN, peer->byte, SYNC_EPOCH_LEN);
	(void)snprintf(info, sizeof(info), "nines state sync %d %s %s %s", SYNC_VERSION,
	    peer != NULL ? "data" : "greeting", from, to);
	return seal_new(SEAL_AES_256_GCM, secret, salt,
	    peer != NULL ? sizeof(salt) : SYNC_EPOCH_LEN, info);
}

int
sync_seal_close(struct seal *s, const struct sync_header *h, const uint8_t *payload,
    size_t len, uint8_t *datagram)
{
	sync_header_encode(h, datagram);
	return seal_close(s, h->seq, datagram, SYNC_HEADER_LEN, payload, len);
}

int
sync_seal_open(struct seal *s, const struct sync_header *h, const uint8_t *datagram,
    size_t n, uint8_t payload[static SYNC_PAYLOAD_MAX], size_t *len)
{
	int err;

	if (n > SYNC_DATAGRAM_MAX)
		return -EBADMSG;
	err = seal_open(s, h->seq, datagram, n, SYNC_HEADER_LEN, payload);
	if (err == 0)
		*len = n - SYNC_HEADER_LEN - SYNC_TAG_LEN;
	return err;
}
