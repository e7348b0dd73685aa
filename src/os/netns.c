/* SPDX-License-Identifier: Apache-2.0 */
#include "os/netns.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/setting.h"

#define PIDS_MAX 4096

static int
open_named(const char *name)
{
	char path[256];
	int fd, n = snprintf(path, sizeof(path), "/run/netns/%s", name);

	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int
netns_enter(const char *name)
{
	int fd = open_named(name), err = 0;

	if (fd < 0)
		return fd;
	if (setns(fd, CLONE_NEWNET) != 0)
		err = -errno;
	(void)close(fd);
	return err;
}

/* Enters and returns a descriptor of the namespace left, for leave(). */
static int
visit(const char *name)
{
	int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), err;

	if (home < 0)
		return -errno;
	err = netns_enter(name);
	if (err == 0)
		return home;
	(void)close(home);
	return err;
}

static void
leave(int home)
{
	int err = setns(home, CLONE_NEWNET);

	(void)close(home);
	ASSERT(err == 0); /* going on in a stranger's namespace would be worse */
}

int
netns_socket(const char *name, int domain, int type, int protocol)
{
	int home = visit(name), fd;

	if (home < 0)
		return home;
	fd = socket(domain, type | SOCK_CLOEXEC, protocol);
	if (fd < 0)
		fd = -errno;
	leave(home);
	return fd;
}

int
netns_link_set(const char *name, const char *interface, bool up)
{
	int fd = netns_socket(name, AF_INET, SOCK_DGRAM, 0), err = 0;
	struct ifreq r = {0};

	if (fd < 0)
		return fd;
	(void)snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", interface);
	if (ioctl(fd, SIOCGIFFLAGS, &r) != 0) {
		err = -errno;
	} else {
		r.ifr_flags =
		    (short)(up ? r.ifr_flags | IFF_UP : r.ifr_flags & ~IFF_UP);
		if (ioctl(fd, SIOCSIFFLAGS, &r) != 0)
			err = -errno;
	}
	(void)close(fd);
	return err;
}

bool
netns_link_running(const char *name, const char *interface)
{
	int fd = netns_socket(name, AF_INET, SOCK_DGRAM, 0);
	struct ifreq r = {0};
	bool running;

	if (fd < 0)
		return false;
	(void)snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", interface);
	running = ioctl(fd, SIOCGIFFLAGS, &r) == 0 && (r.ifr_flags & IFF_RUNNING) != 0;
	(void)close(fd);
	return running;
}

int
netns_setting(const char *name, const char *setting, const char *value)
{
	int home = visit(name), err;

	if (home < 0)
		return home;
	err = setting_write(setting, value);
	leave(home);
	return err;
}

static bool
is_named(pid_t pid, const char *comm)
{
	char path[64], text[32];
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return strcmp(text, comm) == 0;
}

static int
by_pid(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return x < y ? -1 : x > y;
}

/* The processes in the namespace, oldest first (as far as pids tell). */
static int
members(const char *name, pid_t *pid)
{
	struct stat want, st;
	struct dirent *e;
	char path[300];
	int n = 0;
	DIR *d;

	(void)snprintf(path, sizeof(path), "/run/netns/%s", name);
	if (stat(path, &want) != 0)
		return -errno;
	d = opendir("/proc");
	if (d == NULL)
		return -errno;
	while (n < PIDS_MAX && (e = readdir(d)) != NULL) {
		long id = strtol(e->d_name, NULL, 10);

		if (id <= 0)
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%ld/ns/net", id);
		if (stat(path, &st) == 0 && st.st_ino == want.st_ino &&
		    st.st_dev == want.st_dev)
			pid[n++] = (pid_t)id;
	}
	(void)closedir(d);
	qsort(pid, (size_t)n, sizeof(*pid), by_pid);
	return n;
}

int
netns_signal(const char *name, int signo, const char *comm, pid_t spare)
{
	pid_t *pid = calloc(PIDS_MAX, sizeof(*pid));
	int n, reached = 0;

	if (pid == NULL)
		return -ENOMEM;
	n = members(name, pid);
	for (int i = 0; i < n; i++) {
		if (pid[i] == spare || pid[i] == getpid())
			continue;
		if (comm != NULL && !is_named(pid[i], comm))
			continue;
		if (kill(pid[i], signo) == 0)
			reached++;
	}
	free(pid);
	return n < 0 ? n : reached;
}
