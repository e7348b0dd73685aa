/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_LEN 2048
#define SLOTS	     64

/* The log is the one place besides main.c that may keep state of its own. */
static struct {
	pthread_mutex_t lock; /* guards everything below */
	const char *part;
	enum log_level level;
	struct {
		uint32_t hash;
		time_t second;
		unsigned lines, dropped;
	} slot[SLOTS];
} log_state = {.lock = PTHREAD_MUTEX_INITIALIZER, .part = "nines", .level = LOG_INFO};

void
log_init(const char *part, enum log_level level)
{
	(void)pthread_mutex_lock(&log_state.lock);
	log_state.part = part;
	log_state.level = level;
	(void)pthread_mutex_unlock(&log_state.lock);
}

/* True if this line passes; `*dropped` tells how many before it did not. */
static bool
admit(const char *event, time_t second, unsigned *dropped)
{
	uint32_t h = 2166136261U;

	for (const char *p = event; *p != '\0'; p++)
		h = (h ^ (unsigned char)*p) * 16777619U;
	*dropped = 0;
	if (log_state.slot[h % SLOTS].second != second ||
	    log_state.slot[h % SLOTS].hash != h) {
		*dropped = log_state.slot[h % SLOTS].dropped;
		log_state.slot[h % SLOTS].hash = h;
		log_state.slot[h % SLOTS].second = second;
		log_state.slot[h % SLOTS].lines = 0;
		log_state.slot[h % SLOTS].dropped = 0;
	}
	if (log_state.slot[h % SLOTS].lines >= LOG_BURST) {
		log_state.slot[h % SLOTS].dropped++;
		return false;
	}
	log_state.slot[h % SLOTS].lines++;
	return true;
}

void
log_event(enum log_level level, const char *event, const char *fmt, ...)
{
	static const char *const names[] = {"error", "warning", "info", "debug"};
	char line[LINE_MAX_LEN], when[32];
	unsigned dropped;
	struct timespec ts;
	struct tm tm;
	size_t len;
	va_list ap;
	bool pass;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	(void)pthread_mutex_lock(&log_state.lock);
	pass = level <= log_state.level && admit(event, ts.tv_sec, &dropped);
	(void)pthread_mutex_unlock(&log_state.lock);
	if (!pass)
		return;
	(void)gmtime_r(&ts.tv_sec, &tm);
	(void)strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(line, sizeof(line), "%s.%06ldZ %s %s event=%s ", when,
	    ts.tv_nsec / 1000, names[level], log_state.part, event);
	len = strlen(line);
	va_start(ap, fmt);
	(void)vsnprintf(line + len, sizeof(line) - len - 32, fmt, ap);
	va_end(ap);
	len = strlen(line);
	if (dropped > 0)
		(void)snprintf(
		    line + len, sizeof(line) - len - 1, " dropped=%u", dropped);
	len = strlen(line);
	line[len++] = '\n';
	/* One write, so that lines of several processes do not mix. A log that
	 * cannot be written must not stop what is being logged. */
	if (write(STDERR_FILENO, line, len) < 0)
		return;
}
