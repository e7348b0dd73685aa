/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/tls/tls_channel.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy/side.h"
#include "proxy/worker_inside.h"

struct tls_channel {
	struct tls_end end;
	struct tls_key read, write;
	struct tls_hearing hearing;
	uint16_t skip; /* bytes of the record at hand that its reader has already */
	bool over;     /* nothing more will come */
	bool mute;     /* nothing more may be said */
	bool asked;    /* for a new key of ours */
	uint8_t why;   /* enum tls_alert: ours, with an error of -EPROTO */
	int error;     /* -errno: it cannot be read any more */
	char name[40]; /* end.name, if it fits: "" else */
};

/* What became of the record at the front of `in`. */
enum taken {
	TAKEN,	       /* go on */
	TAKEN_IN_PART, /* its reader has no room for the rest */
	TAKEN_NOTHING, /* it is not all there */
	TAKEN_LAST     /* the end, or an error */
};

/* ---- what we say ----------------------------------------------------------------- */

static struct tls_io *
io_of(const struct tls_channel *c)
{
	return c->end.w->tls;
}

/* A record in `wire`, which has room for it. */
static int
seal(struct tls_channel *c, enum tls_content type, struct tls_pieces *from, size_t len)
{
	struct tls_io *io = io_of(c);
	int r;

	ASSERT(sizeof(io->wire) - io->len >= len + TLS_RECORD_EXTRA);
	r = tls_seal(
	    io->ciphers, &c->write, type, from, len, (uint8_t *)io->wire + io->len);
	if (r == 0)
		io->len += len + TLS_RECORD_EXTRA;
	return r;
}

static int
say(struct tls_channel *c, enum tls_content type, const uint8_t *p, size_t len)
{
	const struct iovec v = {(void *)(uintptr_t)p, len};
	struct tls_pieces from = {.iov = &v, .n = 1};

	return seal(c, type, &from, len);
}

/* RFC 8446 section 4.6.3: the next record of ours has a new key. */
static int
renew(struct tls_channel *c)
{
	uint8_t message[TLS_KEY_UPDATE_LEN];
	int r;

	tls_record_key_update(message);
	r = say(c, TLS_HANDSHAKE, message, sizeof(message));
	c->asked = false;
	return r == 0 ? tls_key_update(io_of(c)->ciphers, &c->write) : r;
}

/* Section 6.2: says why, and that was it. */
static enum taken
refuse(struct tls_channel *c, enum tls_alert why)
{
	const uint8_t alert[2] = {2, (uint8_t)why};

	if (!c->mute)
		(void)say(c, TLS_ALERT, alert, sizeof(alert));
	c->mute = true;
	c->why = (uint8_t)why;
	c->error = -EPROTO;
	return TAKEN_LAST;
}

/* ---- what we hear ---------------------------------------------------------------- */

static enum taken
obey(struct tls_channel *c, enum tls_heard heard, enum tls_alert alert)
{
	switch (heard) {
	case TLS_HEARD_END:
		c->over = true;
		return TAKEN_LAST;
	case TLS_HEARD_FAILED:
		c->mute = true;
		c->error = -ECONNRESET;
		return TAKEN_LAST;
	case TLS_HEARD_WRONG:
		return refuse(c, alert);
	case TLS_HEARD_ASKED:
	case TLS_HEARD_UPDATE:
		if (tls_key_update(io_of(c)->ciphers, &c->read) != 0)
			return refuse(c, TLS_INTERNAL_ERROR);
		/* Else with the next data: an answer for each question would be a way
		 * to fill our memory. */
		c->asked = c->asked || heard == TLS_HEARD_ASKED;
		if (c->asked && c->end.out == NULL && !c->mute && renew(c) != 0)
			return refuse(c, TLS_INTERNAL_ERROR);
		return TAKEN;
	case TLS_HEARD_DATA:
	case TLS_HEARD_NOTHING:
		break;
	}
	return TAKEN;
}

/* The record at the front of `in`; of its data up to `room` bytes go to `p`. */
static enum taken
take_record(struct tls_channel *c, uint8_t *p, size_t room, size_t *got)
{
	struct tls_io *io = io_of(c);
	const uint8_t *in = (const uint8_t *)io->in + io->at;
	size_t len, n, part;
	enum tls_alert alert = tls_record_length(in, io->end - io->at, &len);
	enum tls_heard heard;
	uint8_t *out, type;
	ssize_t plain;

	*got = 0;
	if (alert != 0)
		return refuse(c, alert);
	if (len == 0 || len > io->end - io->at)
		return TAKEN_NOTHING;
	out = c->skip == 0 && room + TLS_RECORD_HEADER + TLS_RECORD_TAG >= len
		  ? p
		  : (uint8_t *)io->plain;
	plain = tls_open(io->ciphers, &c->read, in, len, out);
	if (plain < 0)
		return refuse(
		    c, plain == -EBADMSG ? TLS_BAD_RECORD_MAC : TLS_INTERNAL_ERROR);
	alert = tls_record_inner(out, (size_t)plain, &n, &type);
	if (alert != 0)
		return refuse(c, alert);
	heard = tls_record_hear(&c->hearing, type, out, n, &alert);
	if (heard == TLS_HEARD_DATA) {
		ASSERT(c->skip < n);
		part = n - c->skip < room ? n - c->skip : room;
		if (out != p)
			memcpy(p, out + c->skip, part);
		*got = part;
		c->skip = (uint16_t)(c->skip + part);
		if (c->skip < n)
			return TAKEN_IN_PART; /* it is opened again when there is */
	}
	c->skip = 0;
	tls_used(io, len);
	tls_key_took(&c->read);
	return obey(c, heard, alert);
}

/* As much as one call to the kernel gives. */
static bool
receive(struct tls_channel *c, size_t room)
{
	struct tls_io *io = io_of(c);
	size_t have = io->end - io->at;
	/* Not more than the reader has room for, or else one record: so is what the
	 * connection keeps limited. */
	size_t max = (room > TLS_RECORD_WIRE ? room : TLS_RECORD_WIRE) - have;
	ssize_t n = tls_receive(&c->end, max);

	if (n > 0)
		return true;
	/* An end without close_notify is one: HTTP knows how long its bodies are. */
	if (n == 0)
		c->over = true;
	else if (n != -EAGAIN)
		c->error = (int)n;
	return false;
}

/* Data, up to `room` bytes. 0; -EAGAIN: none are there; another -errno. */
static int
pull(struct tls_channel *c, uint8_t *p, size_t room, size_t *got)
{
	enum taken taken = TAKEN;
	size_t part;

	*got = 0;
	while (c->error == 0 && !c->over) {
		taken = take_record(c, p + *got, room - *got, &part);
		*got += part;
		if (taken == TAKEN_IN_PART)
			return 0;
		if (taken == TAKEN_NOTHING && (*got > 0 || !receive(c, room)))
			break;
	}
	if (*got > 0)
		return 0;
	if (c->error != 0)
		return c->error;
	return c->over ? 0 : -EAGAIN;
}

/* ---- the transport --------------------------------------------------------------- */

/* Nobody waits for what a reading turn says, nor for what stands behind the end. */
static void
leave(struct tls_channel *c)
{
	struct tls_io *io = io_of(c);

	if (c->over || c->error != 0)
		tls_used(io, io->end - io->at);
	if (tls_leave(&c->end) == -ENOMEM && c->error == 0)
		c->error = -ENOMEM;
}

static ssize_t
channel_recv(struct side *s, void *p, size_t n)
{
	struct tls_channel *c = tls_enter(s);
	const struct tls_io *io = io_of(c);
	size_t got, len;
	int r;

	tls_load(&c->end);
	r = pull(c, p, n, &got);
	/* The next byte raises an edge, unless something is here already. */
	if (got > 0 && !s->fresh && !c->over && c->error == 0 &&
	    (tls_record_length(
		 (const uint8_t *)io->in + io->at, io->end - io->at, &len) == 0 &&
		(len == 0 || len > io->end - io->at)))
		s->readable = false;
	leave(c);
	return r == 0 ? (ssize_t)got : tls_fail(r);
}

static bool
channel_quiet(struct side *s)
{
	struct tls_channel *c = tls_enter(s);
	size_t got;
	int r;

	if (!s->readable)
		return true;
	tls_load(&c->end);
	r = pull(c, (uint8_t *)io_of(c)->plain, 0, &got);
	leave(c);
	if (r != -EAGAIN)
		return false;
	s->readable = false;
	return true;
}

/* As much as the wire holds, from `at` of the pieces on. */
static ssize_t
encrypt(struct tls_end *e, const struct iovec *iov, size_t n, size_t at)
{
	struct tls_channel *c = (struct tls_channel *)e;
	const struct tls_io *io = io_of(c);
	struct tls_pieces from = {.iov = iov, .n = n};
	size_t left = 0, done = 0;
	int r;

	if (c->mute)
		return -EPIPE;
	for (size_t i = 0; i < n; i++)
		left += iov[i].iov_len;
	ASSERT(at <= left);
	left -= at;
	for (; from.n > 0 && at >= from.iov->iov_len; from.n--, from.iov++)
		at -= from.iov->iov_len;
	from.at = at;
	while (left > 0) {
		size_t room = sizeof(io->wire) - io->len;
		size_t len = left < TLS_RECORD_DATA ? left : TLS_RECORD_DATA;

		if (room < 2 * TLS_RECORD_EXTRA + TLS_KEY_UPDATE_LEN + 1)
			break;
		if (c->asked || c->write.seq >= TLS_KEY_RECORDS) {
			r = renew(c);
			room = sizeof(io->wire) - io->len;
			if (r != 0)
				return r;
		}
		if (len > room - TLS_RECORD_EXTRA)
			len = room - TLS_RECORD_EXTRA;
		r = seal(c, TLS_DATA, &from, len);
		if (r != 0)
			return r;
		done += len;
		left -= len;
	}
	return (ssize_t)done;
}

static ssize_t
channel_send(struct side *s, const struct iovec *iov, size_t n)
{
	struct tls_channel *c = tls_enter(s);

	return tls_send(&c->end, iov, n, encrypt);
}

static void
say_goodbye(struct side *s)
{
	static const uint8_t alert[2] = {1, TLS_CLOSE_NOTIFY};
	struct tls_channel *c = tls_enter(s);

	if (c->mute || c->end.out != NULL || s->broken || s->gone)
		return;
	c->mute = true;
	if (say(c, TLS_ALERT, alert, sizeof(alert)) == 0)
		(void)tls_leave(&c->end);
}

static void
channel_shut(struct side *s)
{
	say_goodbye(s);
	(void)shutdown(s->fd, SHUT_WR);
}

static void
channel_close(struct worker *w, struct side *s)
{
	struct tls_channel *c = s->layer;

	say_goodbye(s);
	tls_key_done(w->tls->ciphers, &c->read);
	tls_key_done(w->tls->ciphers, &c->write);
	tls_end_done(&c->end);
	pool_put(&w->tls->channels, c);
	s->layer = NULL;
}

static const struct transport transport = {
    .recv = channel_recv,
    .send = channel_send,
    .shut = channel_shut,
    .quiet = channel_quiet,
    .close = channel_close,
};

/* Most names are short, and one of its own in the heap for each connection would hold a
 * page that handshakes have left. */
static void
keep_name(struct tls_channel *c)
{
	size_t len = c->end.name != NULL ? strlen(c->end.name) : 0;

	if (len == 0 || len >= sizeof(c->name))
		return;
	memcpy(c->name, c->end.name, len + 1);
	free(c->end.name);
	c->end.name = NULL;
}

const char *
tls_channel_name(const struct side *s)
{
	const struct tls_channel *c = s->layer;

	return c->end.name != NULL ? c->end.name : c->name;
}

const char *
tls_channel_wrong(const struct side *s)
{
	const struct tls_channel *c = s->layer;

	return c->error == -EPROTO ? tls_alert_text((enum tls_alert)c->why) : NULL;
}

size_t
tls_channel_size(void)
{
	return sizeof(struct tls_channel);
}

int
tls_channel_take(struct side *s, struct tls_end *from, const struct tls_handover *h,
    const struct tls_suite *suite)
{
	struct tls_io *io = from->w->tls;
	struct tls_channel *c = pool_get(&io->channels);
	struct tls_ciphers *ciphers = io->ciphers;
	int r;

	if (c == NULL)
		return -ENOMEM;
	*c = (struct tls_channel){0};
	r = tls_key_init(ciphers, &c->read, suite, h->client);
	if (r == 0)
		r = tls_key_init(ciphers, &c->write, suite, h->server);
	if (r != 0) {
		tls_key_done(ciphers, &c->read);
		tls_key_done(ciphers, &c->write);
		pool_put(&io->channels, c);
		return r;
	}
	c->write.seq = h->sent;
	c->end = *from;
	from->out = NULL;
	from->held = from->name = from->lines = NULL;
	keep_name(c);
	s->via = &transport;
	s->layer = c;
	return 0;
}

bool
tls_channel_under(const struct side *s)
{
	return s->via == &transport;
}
