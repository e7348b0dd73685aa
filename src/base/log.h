/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - one line per event on stderr, as key=value.
 *
 *	2026-11-21T07:00:00.123456Z info vip event=state ip=www from=backup to=active
 *
 * `event` is a short constant word; `fmt` gives the fields (values with spaces in
 * double quotes). Shells log; cores and libraries return errors instead. A burst of
 * one event is cut to LOG_BURST lines a second, and the next line that passes tells
 * how many were dropped. Safe from several threads; never blocks for long: a full
 * pipe drops the line and counts it.
 */
#ifndef NINES_BASE_LOG_H
#define NINES_BASE_LOG_H

#include "base/check.h"

#define LOG_BURST 20 /* lines of one event in one second */

enum log_level { LOG_ERR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* `part` is kept by reference. Lines above `level` are not written. */
void log_init(const char *part, enum log_level level);

void log_event(enum log_level level, const char *event, const char *fmt, ...)
    PRINTF(3, 4);

#endif /* NINES_BASE_LOG_H */
