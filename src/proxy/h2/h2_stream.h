/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_stream.h - the inside of HTTP/2: sessions and streams. Private to h2_*.c.
 *
 * A stream has two owners: nghttp2, from HEADERS until on_stream_close, and its
 * client, until side_close(). Whoever leaves last frees it. A stream whose client has
 * gone may still have the end of an answer to send.
 */
#ifndef NINES_PROXY_H2_STREAM_H
#define NINES_PROXY_H2_STREAM_H

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "proxy/h2/h2.h"
#include "proxy/h2/h2_body.h"
#include "proxy/h2/h2_budget.h"
#include "proxy/h2/h2_head.h"
#include "proxy/h2/h2_memory.h"
#include "proxy/side.h"

struct client;
struct worker;

struct h2_stream {
	struct list link; /* session->streams, or worker->free */
	struct h2_session *session;
	struct client *client; /* NULL: has gone */
	int32_t id;
	bool closed;	   /* nghttp2 has done with it */
	bool answered;	   /* the answer's head is nghttp2's */
	struct h2_in in;   /* the request's body */
	struct h2_out out; /* the answer's */
};

enum h2_phase {
	H2_GREETING, /* until the client's SETTINGS are in */
	H2_HEAD,     /* within a header block */
	H2_BUSY,
	H2_IDLE
};

struct h2_session {
	nghttp2_session *ng;
	struct worker *worker;
	struct client *conn;
	struct list link; /* h2_worker->dirty */
	struct list streams;
	unsigned n_streams;
	struct h2_gather gather; /* the header block that is coming in */
	struct buf *gathered;	 /* its memory; NULL: there is none */
	struct buf *out;	 /* framed, and not taken by the socket */
	enum h2_phase phase;	 /* that its timer is set for */
	bool greeted;		 /* the client's preface and SETTINGS are in */
	bool draining;		 /* the end was announced */
	bool refused;		 /* GOAWAY goes out, and nothing more is read */
	bool failed;		 /* nghttp2 cannot go on */
	bool moved;		 /* in this turn the client took something */
	struct h2_budget resets, control;
};

struct h2_worker {
	nghttp2_session_callbacks *callbacks; /* NULL: there was no session yet */
	nghttp2_option *option;
	nghttp2_session_callbacks *trunk_callbacks; /* the same */
	struct h2_memory memory;
	struct list dirty; /* sessions that may have something to send */
	struct list free;  /* streams */
	size_t n_free;
	struct list dirty_trunks; /* with something to do */
	struct list ended_trunks; /* over; somebody may still read */
	struct list free_places;
	size_t n_free_places;
	struct http1_head head;	  /* of the answer that is being translated */
	nghttp2_nv nv[H2_NV_MAX]; /* the same */
};

extern const struct transport h2_transport;

/* h2_stream.c */
struct h2_stream *h2_stream_new(struct h2_session *h, int32_t id);
void h2_stream_closed(struct h2_stream *st, uint32_t error);
void h2_stream_abandon(struct h2_stream *st); /* the connection is gone */
/* The head in session->gather is whole. */
void h2_stream_request(struct h2_stream *st);
void h2_stream_trailer(struct h2_stream *st);
void h2_stream_end(struct h2_stream *st); /* END_STREAM */
/* Body, at most what the windows allow. */
void h2_stream_data(struct h2_stream *st, const uint8_t *p, size_t len);
/* Something that was in `out` has been framed. */
void h2_stream_drained(struct h2_stream *st);

/* h2_worker.c */
int h2_worker_init(struct worker *w) MUST_CHECK; /* 0 or -ENOMEM */
/* Gathers frames behind what `b` has until it is full or there are no more. 0 or -EIO:
 * nghttp2 cannot go on. */
int h2_collect(nghttp2_session *ng, struct buf *b) MUST_CHECK;
/* h2_session.c */
void h2_dirty(struct h2_session *h);
void h2_spend(struct h2_session *h, struct h2_budget *b);

#endif /* NINES_PROXY_H2_STREAM_H */
