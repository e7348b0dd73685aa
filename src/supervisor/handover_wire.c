/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/handover_wire.h"

#include <errno.h>

void
handover_encode(struct wr *w, const struct handover_record *rec)
{
	wr_u8(w, HANDOVER_VERSION);
	wr_u8(w, (uint8_t)rec->type);
	for (unsigned i = 0; i < HANDOVER_NUMBERS; i++)
		wr_u64(w, rec->number[i]);
	wr_str(w, rec->key);
	wr_str(w, rec->value);
	wr_str(w, rec->by);
}

int
handover_decode(struct rd *r, struct handover_record *rec)
{
	uint8_t version = rd_u8(r), type = rd_u8(r);

	for (unsigned i = 0; i < HANDOVER_NUMBERS; i++)
		rec->number[i] = rd_u64(r);
	rd_str(r, rec->key, sizeof(rec->key));
	rd_str(r, rec->value, sizeof(rec->value));
	rd_str(r, rec->by, sizeof(rec->by));
	if (r->bad || version != HANDOVER_VERSION || type >= HANDOVER_TYPES)
		return -EBADMSG;
	rec->type = (enum handover_type)type;
	return 0;
}
