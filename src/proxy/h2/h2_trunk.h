/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_trunk.h - the inside of HTTP/2 with servers: trunks and places. Private to h2_*.c.
 *
 * A trunk is a connection to a server, a place the stream of one request on it, which
 * to the exchange (http.c) looks like a server connection of its own: what that sends
 * as HTTP/1.1 goes out as a stream, whose answer it reads as HTTP/1.1.
 *
 * A place has two owners: nghttp2, from the request until on_stream_close, and the side
 * of the exchange, until side_close(). Whoever leaves last frees it. A trunk that has
 * ended lives on without a socket until the last side has left.
 */
#ifndef NINES_PROXY_H2_TRUNK_H
#define NINES_PROXY_H2_TRUNK_H

#include "proxy/h2/h2_stream.h"
#include "proxy/wheel.h"

#define H2_LOOK_NS (250 * MS_NS) /* at one that has requests */

struct h2_trunk {
	struct side s;	   /* the connection */
	struct list link;  /* upstream->trunks, or h2_worker->ended_trunks */
	struct list dirty; /* h2_worker->dirty_trunks */
	struct list places;
	struct worker *w;
	struct upstream *up;
	nghttp2_session *ng;	 /* NULL: not connected yet, or over */
	unsigned n;		 /* places */
	unsigned resets;	 /* requests that were taken back */
	bool greeted;		 /* its SETTINGS are in: requests may go out */
	bool answered;		 /* at least one request */
	bool closing;		 /* takes no more */
	bool over;		 /* nothing more is sent or read */
	struct h2_gather gather; /* the header block that is coming in */
	struct buf *gathered;
	struct buf *unsent; /* framed, and not taken by the socket */
	struct wheel_timer timer;
	mono_t heard;  /* something; or it had nothing to say until then */
	mono_t pinged; /* 0: it was not asked whether it lives */
};

struct h2_place {
	struct list link; /* trunk->places, or h2_worker->free_places */
	struct h2_trunk *t;
	struct server_conn *sc; /* NULL: has gone */
	int32_t id;		/* of the stream; 0: not asked yet */
	bool to_head;		/* the request is a HEAD */
	bool answered;		/* the final head is in */
	bool closed;		/* nghttp2 has done with it */
	bool refused;		/* the server says that it did nothing */
	int error;		/* of reading; 0: none */
	struct buf *head;	/* of answers, not read yet */
	struct h2_in in;
	struct h2_out out;
};

/* h2_server.c: places. `s` is to be the side of `sc`; NULL: no memory. */
struct h2_place *h2_place_new(struct h2_trunk *t, struct server_conn *sc);
/* The header block in trunk->gather is whole. `ended`: nothing follows. */
void h2_place_head(struct h2_place *p, bool ended);
void h2_place_data(struct h2_place *p, const uint8_t *bytes, size_t len);
void h2_place_end(struct h2_place *p); /* END_STREAM */
/* Something that was in `out` has been framed. */
void h2_place_drained(struct h2_place *p);
void h2_place_closed(struct h2_place *p, uint32_t error);
/* The trunk is over; `p` may be gone afterwards. */
void h2_place_abandon(struct h2_place *p, int error);

extern const struct transport h2_place_transport;

/* h2_trunk.c */
void h2_trunk_dirty(struct h2_trunk *t);
/* What it takes at a time. Before the server has said so, what it said last. */
unsigned h2_trunk_room(const struct h2_trunk *t);
/* h2_trunk_run.c */
/* Speaks HTTP/2 on what is connected. 0, -EPROTO or -ENOMEM. */
int h2_trunk_begin(struct h2_trunk *t) MUST_CHECK;

#endif /* NINES_PROXY_H2_TRUNK_H */
