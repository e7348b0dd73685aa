/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/request/squeeze.h"

#include <brotli/encode.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

/* What the libraries would take at high levels is 35 MiB for a stream. Small windows
 * keep Brotli to its small tables (of 16 bits they are chains in banks). */
#define BROTLI_WINDOW 16
#define ZSTD_WINDOW   17
#define ZSTD_TABLE    16 /* bits of its hash and chain tables */
#define GZIP_FORMAT   16 /* as deflateInit2() wants to be told */
#define GZIP_MEMORY   8	 /* its default: 256 KiB in all */
#define SPARE	      8	 /* of each coding */

struct squeeze {
	struct squeeze *next; /* in the pool */
	enum coding coding;
	unsigned level;
	union {
		z_stream z;
		BrotliEncoderState *br;
		ZSTD_CCtx *zstd;
	} u;
};

static void
squeeze_free(struct squeeze *s)
{
	if (s->coding == CODING_GZIP)
		(void)deflateEnd(&s->u.z);
	if (s->coding == CODING_BR)
		BrotliEncoderDestroyInstance(s->u.br);
	if (s->coding == CODING_ZSTD)
		(void)ZSTD_freeCCtx(s->u.zstd);
	free(s);
}

/* Its memory, which is what is worth keeping. */
static struct squeeze *
squeeze_new(enum coding coding, unsigned level)
{
	struct squeeze *s = calloc(1, sizeof(*s));
	bool ok = false;

	if (s == NULL)
		return NULL;
	s->coding = coding;
	s->level = level;
	if (coding == CODING_GZIP)
		ok = deflateInit2(&s->u.z, (int)level, Z_DEFLATED,
			 MAX_WBITS + GZIP_FORMAT, GZIP_MEMORY,
			 Z_DEFAULT_STRATEGY) == Z_OK;
	if (coding == CODING_BR) {
		s->u.br = BrotliEncoderCreateInstance(NULL, NULL, NULL);
		ok = s->u.br != NULL;
	}
	if (coding == CODING_ZSTD) {
		s->u.zstd = ZSTD_createCCtx();
		ok = s->u.zstd != NULL;
	}
	if (ok)
		return s;
	free(s);
	return NULL;
}

static bool
zstd_set(ZSTD_CCtx *zstd, ZSTD_cParameter what, int value)
{
	return !ZSTD_isError(ZSTD_CCtx_setParameter(zstd, what, value));
}

/* What holds for the next stream. */
static bool
set_level(struct squeeze *s, unsigned level)
{
	bool changed = s->level != level;

	s->level = level;
	switch (s->coding) {
	case CODING_GZIP:
		return !changed ||
		       deflateParams(&s->u.z, (int)level, Z_DEFAULT_STRATEGY) == Z_OK;
	case CODING_BR:
		return BrotliEncoderSetParameter(
			   s->u.br, BROTLI_PARAM_QUALITY, level) &&
		       BrotliEncoderSetParameter(
			   s->u.br, BROTLI_PARAM_LGWIN, BROTLI_WINDOW);
	case CODING_ZSTD:
		return zstd_set(s->u.zstd, ZSTD_c_compressionLevel, (int)level) &&
		       zstd_set(s->u.zstd, ZSTD_c_windowLog, ZSTD_WINDOW) &&
		       zstd_set(s->u.zstd, ZSTD_c_hashLog, ZSTD_TABLE) &&
		       zstd_set(s->u.zstd, ZSTD_c_chainLog, ZSTD_TABLE);
	case CODING_IDENTITY:
	case CODING_N:
	default:
		return false;
	}
}

struct squeeze *
squeeze_get(struct squeeze_pool *pool, enum coding coding, unsigned level)
{
	struct squeeze *s = pool->free[coding];

	if (s != NULL) {
		pool->free[coding] = s->next;
		pool->n_free[coding]--;
	} else {
		s = squeeze_new(coding, level);
	}
	if (s != NULL && !set_level(s, level)) {
		squeeze_free(s);
		s = NULL;
	}
	pool->n += s != NULL;
	return s;
}

/* Brotli's encoder cannot begin anew. */
static bool
reset(struct squeeze *s)
{
	if (s->coding == CODING_GZIP)
		return deflateReset(&s->u.z) == Z_OK;
	return s->coding == CODING_ZSTD &&
	       !ZSTD_isError(ZSTD_CCtx_reset(s->u.zstd, ZSTD_reset_session_only));
}

void
squeeze_put(struct squeeze_pool *pool, struct squeeze *s)
{
	if (s == NULL)
		return;
	pool->n--;
	if (pool->n_free[s->coding] >= SPARE || !reset(s)) {
		squeeze_free(s);
		return;
	}
	s->next = pool->free[s->coding];
	pool->free[s->coding] = s;
	pool->n_free[s->coding]++;
}

void
squeeze_pool_done(struct squeeze_pool *pool)
{
	for (size_t i = 0; i < CODING_N; i++) {
		struct squeeze *s;

		while ((s = pool->free[i]) != NULL) {
			pool->free[i] = s->next;
			squeeze_free(s);
		}
		pool->n_free[i] = 0;
	}
}

static int
run_gzip(z_stream *z, enum squeeze_op op, struct squeeze_io *io)
{
	static const int flush[] = {[SQUEEZE_MORE] = Z_NO_FLUSH,
	    [SQUEEZE_FLUSH] = Z_SYNC_FLUSH,
	    [SQUEEZE_END] = Z_FINISH};
	int r;

	z->next_in = (Bytef *)(uintptr_t)io->in;
	z->avail_in = (uInt)io->in_len;
	z->next_out = (Bytef *)io->out;
	z->avail_out = (uInt)io->out_len;
	r = deflate(z, flush[op]);
	io->in = (const char *)z->next_in;
	io->in_len = z->avail_in;
	io->out = (char *)z->next_out;
	io->out_len = z->avail_out;
	if (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR)
		return -EIO;
	if (op == SQUEEZE_END)
		return r == Z_STREAM_END;
	return io->in_len == 0 && io->out_len > 0;
}

static int
run_brotli(BrotliEncoderState *br, enum squeeze_op op, struct squeeze_io *io)
{
	static const BrotliEncoderOperation operation[] = {
	    [SQUEEZE_MORE] = BROTLI_OPERATION_PROCESS,
	    [SQUEEZE_FLUSH] = BROTLI_OPERATION_FLUSH,
	    [SQUEEZE_END] = BROTLI_OPERATION_FINISH};
	const uint8_t *in = (const uint8_t *)io->in;
	uint8_t *out = (uint8_t *)io->out;
	BROTLI_BOOL ok = BrotliEncoderCompressStream(
	    br, operation[op], &io->in_len, &in, &io->out_len, &out, NULL);

	io->in = (const char *)in;
	io->out = (char *)out;
	if (!ok)
		return -EIO;
	if (op == SQUEEZE_END)
		return BrotliEncoderIsFinished(br);
	return io->in_len == 0 && !BrotliEncoderHasMoreOutput(br);
}

static int
run_zstd(ZSTD_CCtx *zstd, enum squeeze_op op, struct squeeze_io *io)
{
	static const ZSTD_EndDirective directive[] = {[SQUEEZE_MORE] = ZSTD_e_continue,
	    [SQUEEZE_FLUSH] = ZSTD_e_flush,
	    [SQUEEZE_END] = ZSTD_e_end};
	ZSTD_inBuffer in = {io->in, io->in_len, 0};
	ZSTD_outBuffer out = {io->out, io->out_len, 0};
	size_t left = ZSTD_compressStream2(zstd, &out, &in, directive[op]);

	io->in += in.pos;
	io->in_len -= in.pos;
	io->out += out.pos;
	io->out_len -= out.pos;
	if (ZSTD_isError(left))
		return -EIO;
	return op == SQUEEZE_MORE ? io->in_len == 0 : left == 0;
}

int
squeeze_run(struct squeeze *s, enum squeeze_op op, struct squeeze_io *io)
{
	if (s->coding == CODING_GZIP)
		return run_gzip(&s->u.z, op, io);
	if (s->coding == CODING_BR)
		return run_brotli(s->u.br, op, io);
	return run_zstd(s->u.zstd, op, io);
}
