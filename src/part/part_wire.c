/* SPDX-License-Identifier: Apache-2.0 */
#include "part/part_wire.h"

#include <errno.h>

#include "base/wire.h"

static const struct {
	const char *name;
	bool to_part;
	enum part_fd fd;
	size_t text_max;
} table[] = {
#define X(name, to_part, fd, text) [PART_##name] = {#name, to_part, fd, text},
    PART_MSGS(X)
#undef X
};

int
part_msg_decode(
    struct part_msg *m, const void *buf, size_t len, bool to_part, bool has_fd)
{
	struct rd r = {.p = buf, .left = len};
	struct part_msg in = {0};
	uint8_t version = rd_u8(&r), type = rd_u8(&r);

	in.id = rd_u64(&r);
	in.code = rd_u32(&r);
	rd_str(&r, in.key, sizeof(in.key));
	rd_str(&r, in.value, sizeof(in.value));
	in.text_len = r.left;
	in.text = (const char *)rd_take(&r, r.left);
	if (!rd_done(&r) || version != PART_WIRE_VERSION || type >= ARRAY_LEN(table))
		return -EBADMSG;
	if (table[type].to_part != to_part || in.text_len > table[type].text_max)
		return -EBADMSG;
	if (table[type].fd != PART_FD_MAYBE &&
	    has_fd != (table[type].fd == PART_FD_ONE))
		return -EBADMSG;
	in.type = (enum part_msg_type)type;
	*m = in;
	return 0;
}

size_t
part_msg_encode(const struct part_msg *m, uint8_t buf[static PART_MSG_MAX])
{
	struct wr w = {.p = buf, .left = PART_MSG_MAX};

	ASSERT(m->text_len <= table[m->type].text_max);
	wr_u8(&w, PART_WIRE_VERSION);
	wr_u8(&w, (uint8_t)m->type);
	wr_u64(&w, m->id);
	wr_u32(&w, m->code);
	wr_str(&w, m->key);
	wr_str(&w, m->value);
	wr_bytes(&w, m->text, m->text_len);
	ASSERT(!w.bad);
	return PART_MSG_MAX - w.left;
}

const char *
part_msg_name(enum part_msg_type type)
{
	return table[type].name;
}

enum part_fd
part_msg_fd(enum part_msg_type type)
{
	return table[type].fd;
}
