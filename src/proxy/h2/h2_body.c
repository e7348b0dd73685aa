/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/h2/h2_body.h"

#include <string.h>

#define LOW_WATER    (BUF_LARGE / 2)
#define FRAME_HEADER 9

static void
put(struct bufs *bufs, struct buf **b)
{
	buf_put(bufs, *b);
	*b = NULL;
}

size_t
h2_reserve(struct bufs *bufs, struct buf **b, size_t want)
{
	struct buf *old = *b, *new;
	size_t len = old != NULL ? old->len : 0, room;

	if (old != NULL && old->cap - old->off - len >= want)
		return want;
	if (old != NULL && old->off > 0) {
		memmove(old->data, buf_bytes(old), len);
		old->off = 0;
	}
	if (old == NULL || (old->cap < BUF_LARGE && old->cap - len < want)) {
		new = buf_get(bufs, len + want < BUF_LARGE ? len + want : BUF_LARGE);
		if (new != NULL && old != NULL) {
			memcpy(new->data, old->data, len);
			new->len = (uint32_t)len;
			buf_put(bufs, old);
		}
		if (new != NULL)
			*b = new;
	}
	if (*b == NULL)
		return 0;
	room = (*b)->cap - (*b)->len;
	return room < want ? room : want;
}

static bool
append(struct bufs *bufs, struct buf **b, const void *p, size_t len)
{
	if (h2_reserve(bufs, b, len) < len)
		return false;
	memcpy(buf_bytes(*b) + (*b)->len, p, len);
	(*b)->len += (uint32_t)len;
	return true;
}

/* Coming in */

bool
h2_in_put(struct bufs *bufs, struct h2_in *in, const void *p, size_t len)
{
	return len == 0 || append(bufs, &in->data, p, len);
}

bool
h2_in_trailer(struct bufs *bufs, struct h2_in *in, const char *p, size_t len)
{
	return len == 0 || append(bufs, &in->trailer, p, len);
}

/* The last chunk and the trailer, if they fit. */
static size_t
read_end(struct h2_in *in, char *p, size_t n)
{
	size_t len = in->trailer != NULL ? in->trailer->len : 0, i = 0;

	if (n < len + sizeof("0\r\n\r\n") - 1)
		return 0;
	p[i++] = '0';
	p[i++] = '\r';
	p[i++] = '\n';
	if (len > 0)
		memcpy(p + i, buf_bytes(in->trailer), len);
	i += len;
	p[i++] = '\r';
	p[i++] = '\n';
	in->end_read = true;
	return i;
}

size_t
h2_in_read(struct bufs *bufs, struct h2_in *in, char *p, size_t n, size_t *used)
{
	size_t len = 0;

	*used = 0;
	if (in->data != NULL) {
		*used = in->data->len;
		if (in->chunked) {
			len = h2_write_chunk(buf_bytes(in->data), used, p, n);
		} else {
			*used = len = *used < n ? *used : n;
			memcpy(p, buf_bytes(in->data), len);
		}
		buf_drop(in->data, *used);
		if (in->data->len == 0)
			put(bufs, &in->data);
	}
	if (in->data == NULL && in->ended && in->chunked && !in->end_read)
		len += read_end(in, p + len, n - len);
	return len;
}

bool
h2_in_ready(const struct h2_in *in)
{
	return in->data != NULL || (in->ended && !in->sized && !in->end_read);
}

bool
h2_in_over(const struct h2_in *in)
{
	return in->ended && in->data == NULL && (!in->chunked || in->end_read);
}

void
h2_in_drop(struct bufs *bufs, struct h2_in *in)
{
	put(bufs, &in->data);
	put(bufs, &in->trailer);
}

/* Going out */

ssize_t
h2_out_take(struct bufs *bufs, struct h2_out *out, const char *p, size_t len)
{
	size_t n = h2_reserve(bufs, &out->data, len), data, before;
	char *at;

	if (n == 0)
		return 0;
	at = buf_bytes(out->data) + out->data->len;
	if (out->body.framing != HTTP1_CHUNKED) {
		n = data = http1_body_pass(&out->body, p, n);
		memcpy(at, p, n);
	} else {
		before = http1_body_trailer(&out->body);
		memcpy(at, p, n);
		n = http1_body_dechunk(&out->body, at, n, &data);
		/* The trailer's bytes are the last ones: they did not move. */
		before = http1_body_trailer(&out->body) - before;
		if (before > 0 && !append(bufs, &out->trailer, at + n - before, before))
			return -1;
	}
	out->data->len += (uint32_t)data;
	out->complete = out->body.done;
	return out->body.error == HTTP1_OK ? (ssize_t)n : -1;
}

/* True if there are fields behind the body. */
static bool
submit_trailer(struct h2_out *out, nghttp2_session *ng, int32_t id)
{
	nghttp2_nv SCRATCH nv[H2_NV_MAX];
	size_t n;

	if (out->trailer == NULL)
		return false;
	n = h2_trailer_fields(buf_bytes(out->trailer), out->trailer->len, nv);
	return n > 0 && nghttp2_submit_trailer(ng, id, nv, n) == 0;
}

/* How many bytes, at most `length`, the next DATA frame has. */
static ssize_t
/* The signature is nghttp2's. NOLINTNEXTLINE(readability-function-size) */
frame_data(nghttp2_session *ng, int32_t id, uint8_t *p, size_t length, uint32_t *flags,
    nghttp2_data_source *source, void *user)
{
	struct h2_out *out = source->ptr;
	size_t len = out->data != NULL ? out->data->len : 0;
	size_t n = len < length ? len : length;

	(void)p;
	(void)user;
	if (n == 0 && !out->complete) {
		out->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (n < len || !out->complete)
		return (ssize_t)n;
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (submit_trailer(out, ng, id))
		*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
	return (ssize_t)n;
}

nghttp2_data_provider
h2_out_provider(struct h2_out *out)
{
	return (nghttp2_data_provider){
	    .source = {.ptr = out}, .read_callback = frame_data};
}

int
h2_out_copy(struct bufs *bufs, struct h2_out *out, const uint8_t *header, size_t length,
    struct buf *to)
{
	if (to->cap - to->len < FRAME_HEADER + length)
		return NGHTTP2_ERR_WOULDBLOCK;
	memcpy(to->data + to->len, header, FRAME_HEADER);
	to->len += FRAME_HEADER;
	if (length == 0)
		return 0;
	memcpy(to->data + to->len, buf_bytes(out->data), length);
	to->len += (uint32_t)length;
	buf_drop(out->data, length);
	if (out->data->len == 0)
		put(bufs, &out->data);
	return 0;
}

bool
h2_out_low(const struct h2_out *out)
{
	return out->data == NULL || out->data->len <= LOW_WATER;
}

void
h2_out_resume(struct h2_out *out, nghttp2_session *ng, int32_t id)
{
	if (!out->deferred)
		return;
	out->deferred = false;
	(void)nghttp2_session_resume_data(ng, id);
}

void
h2_out_drop(struct bufs *bufs, struct h2_out *out)
{
	put(bufs, &out->data);
	put(bufs, &out->trailer);
}
