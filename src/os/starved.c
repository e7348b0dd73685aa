/* SPDX-License-Identifier: Apache-2.0 */
#include "os/starved.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The beginning of a file of /proc as text; false if there is none. */
static bool
read_proc(pid_t pid, const char *name, char *text, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, size - 1);
	(void)close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	return true;
}

bool
starved_wants(pid_t tid)
{
	char stat[512];
	const char *state;

	/* proc(5): "pid (name) state ...", and the name may contain anything. */
	if (!read_proc(tid, "stat", stat, sizeof(stat)))
		return false;
	state = strrchr(stat, ')');
	return state != NULL && strncmp(state, ") R", 3) == 0;
}

bool
starved_look(struct starved *s, pid_t pid, int64_t ns)
{
	int64_t before = s->cpu_ns;
	char sched[128];

	if (!read_proc(pid, "schedstat", sched, sizeof(sched)))
		return false;
	s->cpu_ns = strtoll(sched, NULL, 10);
	return before > 0 && s->cpu_ns - before < ns / 2 && starved_wants(pid);
}
