/* SPDX-License-Identifier: Apache-2.0 */
/*
 * side.h - one end of a connection, and the flow of a body from one end to another.
 * Private to the room.
 *
 * A side is registered with epoll once, edge-triggered, for everything; `readable` and
 * `writable` remember the edges until the kernel says EAGAIN. It holds a buffer only
 * while it has bytes that nobody has used yet, a flow only while it has bytes that the
 * sink did not take: a body of any size passes in constant memory.
 */
#ifndef NINES_PROXY_SIDE_H
#define NINES_PROXY_SIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/check.h"
#include "proxy/buf.h"
#include "proxy/http1/http1.h"

struct press;
struct side;
struct worker;

#define PIPES_MAX  64			  /* a worker's pipes for splice(2) */
#define PIPE_SIZE  ((size_t)512 * 1024)	  /* 64 of them: half of what a user may have */
#define SPLICE_MIN ((uint64_t)128 * 1024) /* bytes to come that are worth a pipe */

#define FLOW_TURN                                                                  \
	((uint64_t)1024 * 1024)		/* bytes; other connections wait meanwhile \
					 */
#define BURST_MIN ((uint64_t)16 * 1024) /* the same, when the next ones come */

enum side_kind {
	SIDE_WAKE,
	SIDE_LISTENER,
	SIDE_CLIENT,
	SIDE_SERVER,
	SIDE_LANE,
	SIDE_TRUNK
};

/*
 * What lies between a side and the network when it is not just a socket: TLS, or a
 * stream of an HTTP/2 connection. All of it behaves as a socket that does not block,
 * so that whoever reads and sends need not know.
 */
struct transport {
	/* As recv(2): bytes; 0 at the end; -1 with errno, EAGAIN for "not yet". */
	ssize_t (*recv)(struct side *s, void *p, size_t n);
	/* As sendmsg(2). What it took is gone from the caller's point of view; after a
	 * short count or EAGAIN, `writable` is set again when there is room. */
	ssize_t (*send)(struct side *s, const struct iovec *iov, size_t n);
	/* As shutdown(2) of the sending half. */
	void (*shut)(struct side *s);
	/* False if bytes or an end wait to be read; may read ahead. */
	bool (*quiet)(struct side *s);
	/* Frees side.layer. The socket, if there is one, is closed afterwards. */
	void (*close)(struct worker *w, struct side *s);
};

struct side {
	int fd; /* -1: closed, or a stream */
	uint8_t kind;
	bool readable, writable;
	bool fresh;  /* since it last ran dry the socket got something: for layers */
	bool rdhup;  /* a FIN is in: read until 0 */
	bool last;   /* what is sent now is the end: its FIN goes with it */
	bool eof;    /* read 0 */
	bool gone;   /* both ways closed, or reset: nothing more will be taken */
	bool failed; /* cannot be read; `error` says why */
	bool broken; /* cannot be written; `error` says why */
	int error;
	struct buf *in;		     /* read and not yet used */
	const struct transport *via; /* NULL: the socket itself */
	void *layer;		     /* what belongs to `via` */
};

struct pipe {
	struct pipe *next;
	int fd[2];
	size_t len; /* bytes in it */
};

struct flow {
	struct http1_body body;
	bool dechunk;
	bool bulk;	     /* much comes at once: splice */
	bool shut;	     /* its end was passed on */
	bool more;	     /* its turn ended before what can be moved did */
	struct buf *out;     /* taken from the source, not yet by the sink */
	struct pipe *pipe;   /* the same */
	struct press *press; /* compresses it (press.h); or NULL */
	uint64_t bytes;
	uint64_t burst; /* the same, since the source last ran dry */
};

enum flow_result {
	FLOW_WAIT, /* for the source or the sink */
	FLOW_DONE, /* all of the body has been taken by the sink */
	FLOW_EOF,  /* the source ended before the body did */
	FLOW_BAD,  /* the body is malformed */
	FLOW_SOURCE_FAILED,
	FLOW_SINK_FAILED
};

int side_watch(struct worker *w, struct side *s);
/* What epoll reported. */
void side_event(struct side *s, uint32_t events);
void side_close(struct worker *w, struct side *s);
int side_error(const struct side *s); /* why its socket did not connect */

/* Says to the other end that nothing more will be sent. */
void side_shut(struct side *s);

/* True if nothing is waiting to be read, not even an end. */
bool side_quiet(struct side *s);

/*
 * What has been read and not used, else what has arrived; side_more() gives at least
 * one byte more than there was. NULL: nothing. The caller says by side_rest() how much
 * of it he used; that gives -ENOBUFS when the rest cannot be kept.
 */
struct buf *side_data(struct worker *w, struct side *s);
struct buf *side_more(struct worker *w, struct side *s);
int side_rest(struct worker *w, struct side *s, struct buf *b, size_t used);

/* Sends what fits; 0 if nothing does or the side is broken. */
ssize_t side_send(struct side *s, const struct iovec *iov, size_t n);

void flow_init(struct flow *f, enum http1_framing framing, uint64_t length);
void flow_done(struct worker *w, struct flow *f); /* gives back what it holds */
/* True if the sink took all that the flow holds. */
bool flow_flush(struct worker *w, struct flow *f, struct side *dst);
bool flow_pending(const struct flow *f);

/* Moves what can be moved from `src` to `dst`, but in one turn no more than FLOW_TURN:
 * then `more` is set, and the caller comes again without waiting for an event. */
enum flow_result flow_pump(
    struct worker *w, struct flow *f, struct side *src, struct side *dst);

#endif /* NINES_PROXY_SIDE_H */
