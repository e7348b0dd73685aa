/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http1.h - HTTP/1.0 and 1.1 heads and bodies, read in place and never guessed at.
 *
 * Pure: no I/O, clock, allocation or logging. A head is parsed over the contiguous
 * bytes of a buffer into slices of it (struct http1_head, valid as long as the
 * bytes), its framing is decided by RFC 9112 section 6.3, and a forwarded head is
 * written from it with hop-by-hop fields left out. A body is followed by a small
 * state machine that says how many of the bytes at hand belong to it.
 *
 * What two readers could understand differently is refused (RFC 9112 section 11.2):
 * bare LF or CR, obs-fold, space before a colon, repeated or malformed
 * Content-Length, Content-Length beside Transfer-Encoding, codings other than
 * chunked, more than one Host, NUL and other control characters.
 */
#ifndef NINES_PROXY_HTTP1_H
#define NINES_PROXY_HTTP1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

#define HTTP1_HEAD_MAX	    32768 /* bytes of a head, its empty line included */
#define HTTP1_TARGET_MAX    16384
#define HTTP1_FIELDS_MAX    128
#define HTTP1_NOMINEE_MAX   16	 /* fields that Connection may name */
#define HTTP1_TRAILER_MAX   8192 /* bytes of a trailer section */
#define HTTP1_CHUNK_EXT_MAX 256	 /* bytes of a chunk-size line behind the size */
/* What a forwarded head may be longer than the one it was made from. */
#define HTTP1_FORWARD_EXTRA 512

enum http1_error {
	HTTP1_OK,
	HTTP1_BAD_LINE,		 /* 400 malformed start line */
	HTTP1_BAD_TARGET,	 /* 400 */
	HTTP1_BAD_VERSION,	 /* 505 */
	HTTP1_BAD_FIELD,	 /* 400 malformed field line */
	HTTP1_BARE_LF,		 /* 400 */
	HTTP1_OBS_FOLD,		 /* 400 */
	HTTP1_BAD_LENGTH,	 /* 400 repeated or malformed Content-Length */
	HTTP1_LENGTH_AND_CODING, /* 400 both kinds of framing */
	HTTP1_BAD_CODING,     /* 400 Transfer-Encoding that is not chunked at its end */
	HTTP1_UNKNOWN_CODING, /* 501 */
	HTTP1_BAD_HOST,	      /* 400 missing, repeated, or another than the target's */
	HTTP1_BAD_METHOD,     /* 501 CONNECT: this is not a forward proxy */
	HTTP1_LONG_TARGET,    /* 414 */
	HTTP1_LONG_HEAD,      /* 431 */
	HTTP1_BAD_CHUNK,      /* 400 malformed chunk */
	HTTP1_LONG_TRAILER,   /* 431 */
	HTTP1_N_ERRORS
};

struct http1_reason {
	uint16_t status;  /* what a client is told */
	const char *text; /* one line for people */
};

/* Of every error, HTTP1_OK included. */
const struct http1_reason *http1_reason(enum http1_error e);
/* "Bad Gateway" of 502; "Unknown" where there is none. */
const char *http1_phrase(unsigned status);

enum http1_method {
	HTTP1_GET,
	HTTP1_HEAD,
	HTTP1_OPTIONS,
	HTTP1_TRACE,
	HTTP1_PUT,
	HTTP1_DELETE,
	HTTP1_POST,
	HTTP1_CONNECT,
	HTTP1_OTHER
};

/* RFC 9110 section 9.2.2: asking twice does what asking once does. */
static inline bool
http1_idempotent(enum http1_method m)
{
	return m <= HTTP1_DELETE;
}

enum http1_framing {
	HTTP1_NO_BODY,
	HTTP1_LENGTH,
	HTTP1_CHUNKED,
	HTTP1_UNTIL_CLOSE, /* responses only */
	HTTP1_TUNNEL	   /* after 101 */
};

/* The fields this program itself has to know. */
enum http1_name {
	HTTP1_N_OTHER,
	HTTP1_N_CONNECTION,
	HTTP1_N_CONTENT_LENGTH,
	HTTP1_N_TRANSFER_ENCODING,
	HTTP1_N_HOST,
	HTTP1_N_EXPECT,
	HTTP1_N_UPGRADE,
	HTTP1_N_KEEP_ALIVE,
	HTTP1_N_PROXY_CONNECTION,
	HTTP1_N_TE,
	HTTP1_N_X_FORWARDED_FOR,
	HTTP1_N_X_FORWARDED_PROTO,
	HTTP1_N_FORWARDED
};

struct http1_slice {
	uint32_t off, len;
};

struct http1_field {
	struct http1_slice name, value; /* value without the space around it */
	uint32_t line, end;		/* the line with its CRLF is [line, end) */
	enum http1_name id;
	bool hop; /* ends here: not forwarded (RFC 9110 section 7.6.1) */
};

struct http1_head {
	uint32_t len;  /* bytes, the empty line included */
	uint8_t minor; /* HTTP/1.minor */
	enum http1_error error;
	/* request */
	enum http1_method method;
	struct http1_slice method_text, target;
	struct http1_slice host; /* value of Host; len 0: none */
	bool expect_continue;
	/* response */
	uint16_t status;
	/* both */
	enum http1_framing framing;
	uint64_t length; /* HTTP1_LENGTH */
	bool keep_alive; /* the sender is ready to go on */
	bool upgrade;	 /* asks for, or with 101 agrees to, another protocol */
	unsigned n_fields;
	struct http1_field field[HTTP1_FIELDS_MAX];
};

/*
 * Reads a head at the start of `p`. 0: whole, `head` is filled in. -EAGAIN: not yet
 * whole. -EBADMSG: refused, head->error says why and nothing else of `head` counts.
 * Empty lines before a request are the caller's to skip (http1_skip_crlf()).
 */
int http1_parse_request(struct http1_head *head, const char *p, size_t len) MUST_CHECK;
/* `to` is the method of the request that is answered: HEAD has no body. */
int http1_parse_response(struct http1_head *head, const char *p, size_t len,
    enum http1_method to) MUST_CHECK;

/* Length of the CRLFs at the start (RFC 9112 section 2.2); at most two are skipped. */
size_t http1_skip_crlf(const char *p, size_t len);

/* The value of the first field of that name (any case); len 0: none. */
struct http1_slice http1_field_value(
    const struct http1_head *head, const char *p, const char *name);

/* What else changes in a head. */
struct http1_edit {
	const char *const *drop; /* names of fields that leave, in any case */
	size_t n_drop;
	const char *const *also; /* and more of them */
	size_t n_also;
	const char *prefix; /* in lower case: fields that begin so leave; or NULL */
	const char *extra;  /* whole lines that are added */
	size_t extra_len;
	const char *more; /* and some behind them */
	size_t more_len;
	bool has_host;	    /* one of them is Host, which `drop` names */
	const char *target; /* of a request, in origin form; or NULL: as it is */
	size_t target_len;
};

/* The value of the first cookie of that name (RFC 6265, 4.2.1); len 0: none. */
struct http1_slice http1_cookie(
    const struct http1_head *head, const char *p, const char *name);

struct http1_via {
	const char *client; /* address as text, no brackets */
	const char *proto;  /* "http", "https" */
	const char *local;  /* Host for an HTTP/1.0 request that has none */
	bool close;	    /* ask the next hop to close */
	bool fresh;	    /* what is there of forwarding fields is not believed */
	const struct http1_edit *edit; /* NULL: none */
};

/*
 * Writes the head that goes on to a server, or to a client of version HTTP/1.minor,
 * to `out`. Returns its length, or -ENOBUFS; head->len + HTTP1_FORWARD_EXTRA bytes
 * always suffice, and with an edit its extra_len, more_len and target_len more.
 */
int http1_forward_request(const struct http1_head *head, const char *p,
    const struct http1_via *via, char *out, size_t cap) MUST_CHECK;
/* `dechunk`: the body is passed on without its chunks, so the field that says so goes.
 */
struct http1_answer {
	uint8_t minor;	 /* of the client */
	bool keep_alive; /* the connection goes on after this response */
	bool dechunk;
	const struct http1_edit *edit; /* NULL: none; not for interim answers */
};
int http1_forward_response(const struct http1_head *head, const char *p,
    const struct http1_answer *a, char *out, size_t cap) MUST_CHECK;

/* Where a body stands. Zero-initialised it is an empty body. */
struct http1_body {
	enum http1_framing framing;
	uint8_t state; /* chunked: part of the grammar */
	bool done;
	bool padded;   /* chunked: a size may end in spaces, as old servers write it */
	uint16_t line; /* chunked: bytes of this line or trailer section */
	uint64_t left; /* bytes of the body, or of the chunk, still to come */
	enum http1_error error;
};

void http1_body_init(struct http1_body *b, enum http1_framing framing, uint64_t length);

/*
 * Follows the body through the `len` bytes at `p` and returns how many of them belong
 * to the message. `b->done` says that it ended with them. Bad chunks set b->error;
 * the bytes before are still counted. Never called again after either.
 */
size_t http1_body_pass(struct http1_body *b, const char *p, size_t len) MUST_CHECK;

/*
 * The same for a chunked body, and moves the data inside chunks together at the start
 * of `p`; `*data` is their length.
 */
size_t http1_body_dechunk(
    struct http1_body *b, char *p, size_t len, size_t *data) MUST_CHECK;

/* Bytes of the trailer section that have been passed, with the empty line at its end;
 * they are the last ones of those that were. */
size_t http1_body_trailer(const struct http1_body *b);

#endif /* NINES_PROXY_HTTP1_H */
