/* SPDX-License-Identifier: Apache-2.0 */
/*
 * part_wire.h - messages between the supervisor and a part.
 *
 * One SOCK_SEQPACKET link per process, so that a message is a packet. All messages have
 * one shape (a number, a code, two short strings, a text); the table says what each
 * may carry and whether a descriptor travels with it. A packet that does not fit the
 * table ends the sender's link. Layout, big endian:
 *
 *	u8 version = 1 | u8 type | u64 id | u32 code | str key | str value | text
 *
 * where str is a 16-bit length and its bytes, and text is the rest of the packet.
 */
#ifndef NINES_PART_PART_WIRE_H
#define NINES_PART_PART_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "config/cluster_files.h"
#include "part/part.h"

#define PART_WIRE_VERSION 1
#define PART_PATH_MAX	  CLUSTER_PATH_MAX
#define PART_MSG_MAX	  (PART_REPLY_MAX + 1024)

enum part_fd { PART_FD_NONE, PART_FD_ONE, PART_FD_MAYBE };

/*
 *	name	     to the part?  descriptor	   longest text
 * id, code, key, value and text mean, where not said otherwise, nothing.
 */
#define PART_MSGS(X)                                                                  \
	X(CONFIG, true, PART_FD_ONE, 0) /* id generation, key host, fd sealed text */ \
	X(STATS, true, PART_FD_ONE, 0)	/* fd counters */                             \
	X(FACT, true, PART_FD_NONE, 0)	/* key, value */                              \
	X(ACTIVATE, true, PART_FD_NONE, 0)   /* from spare to acting */               \
	X(SOCKET, true, PART_FD_MAYBE, 0)    /* key name, code errno, fd */           \
	X(COMMAND, true, PART_FD_NONE, 1024) /* id, text words between tabs */        \
	X(PING, true, PART_FD_NONE, 0)	     /* id */                                 \
	X(STOP, true, PART_FD_NONE, 0)                                                \
	X(READY, false, PART_FD_NONE, 0)       /* id generation */                    \
	X(PUBLISH, false, PART_FD_NONE, 0)     /* key, value */                       \
	X(SOCKET_WANT, false, PART_FD_NONE, 0) /* key name */                         \
	X(SOCKET_DROP, false, PART_FD_NONE, 0) /* key name */                         \
	X(REPLY, false, PART_FD_NONE,                                                 \
	    PART_REPLY_MAX)		/* id, code ok, value error, text */          \
	X(PONG, false, PART_FD_NONE, 0) /* id */                                      \
	X(STOPPED, false, PART_FD_NONE, 0)                                            \
	X(YIELD, true, PART_FD_NONE, 0)	   /* a successor is ready */                 \
	X(YIELDED, false, PART_FD_NONE, 0) /* it may act */                           \
	X(FILE, true, PART_FD_MAYBE,                                                  \
	    PART_PATH_MAX) /* code errno, text path, fd; before its CONFIG */

enum part_msg_type {
#define X(name, to_part, fd, text) PART_##name,
	PART_MSGS(X)
#undef X
};

struct part_msg {
	enum part_msg_type type;
	uint64_t id;
	uint32_t code;
	char key[FACT_KEY_LEN];
	char value[FACT_VALUE_LEN];
	const char *text; /* decoded: inside the packet, not NUL-terminated */
	size_t text_len;
};

/*
 * 0, or -EBADMSG with *m untouched: wrong version or direction, unknown type, a string
 * too long or with a NUL inside, a text longer than the table allows, a descriptor too
 * many or too few.
 */
int part_msg_decode(struct part_msg *m, const void *buf, size_t len, bool to_part,
    bool has_fd) MUST_CHECK;

/* Writes at most PART_MSG_MAX bytes to `buf`; returns how many. The message must be one
 * that decodes; anything else is a bug. */
size_t part_msg_encode(const struct part_msg *m, uint8_t buf[static PART_MSG_MAX]);

const char *part_msg_name(enum part_msg_type type);
enum part_fd part_msg_fd(enum part_msg_type type);

#endif /* NINES_PART_PART_WIRE_H */
