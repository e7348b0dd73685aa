/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.h - assertions and small compiler contracts.
 *
 * ASSERT() states something that only a bug in this program can break. It is
 * compiled into release builds and ends the process; the supervisor restarts
 * the part. It must never depend on input: what a peer, a client or a file sent
 * is refused with an error, or one datagram would end both hosts of a pair.
 */
#ifndef NINES_BASE_CHECK_H
#define NINES_BASE_CHECK_H

#define MUST_CHECK   __attribute__((warn_unused_result))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))
#define NORETURN     __attribute__((noreturn))

/* Of a large local that is written before it is read, where every request passes:
 * release builds clear all others (-ftrivial-auto-var-init=zero). */
#define SCRATCH __attribute__((uninitialized))

#define ASSERT(e) ((e) ? (void)0 : check_failed(#e, __FILE__, __LINE__, __func__))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The struct that embeds `member` at `p`. */
#define CONTAINER(p, type, member) \
	((type *)(void *)((char *)(p)-offsetof(type, member)))

/* Writes one line to stderr and aborts. */
NORETURN __attribute__((cold)) void check_failed(
    const char *expr, const char *file, int line, const char *func);

#endif /* NINES_BASE_CHECK_H */
