/* SPDX-License-Identifier: Apache-2.0 */
#include "vpn/wg_go.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vpn/wg_uapi.h"

#define OUR_DIR	   "/run/nines-vpn"
#define WG_DIR	   "/run/wireguard"
#define PATH_LEN   sizeof(((struct sockaddr_un *)NULL)->sun_path)
#define BACKLOG	   8
#define WAIT_MS	   2000 /* for an answer; a busy machine starts it in less */
#define UAPI_FD	   3	/* in the child */
#define PATH_ENV   "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define UAPI_ENV   "WG_UAPI_FD=3"
#define SILENT_ENV "WG_PROCESS_FOREGROUND=1" /* no banner, no daemon */

/* The folder for our network namespace, and with `interface` a file in it. */
static int
our_path(char path[static PATH_LEN], const char *interface, const char *suffix)
{
	struct stat st;
	int n;

	if (stat("/proc/self/ns/net", &st) != 0)
		return -errno;
	n = snprintf(path, PATH_LEN, "%s/%llu%s%s%s", OUR_DIR,
	    (unsigned long long)st.st_ino, interface != NULL ? "/" : "",
	    interface != NULL ? interface : "", suffix);
	return n < 0 || (size_t)n >= PATH_LEN ? -ENAMETOOLONG : 0;
}

static int
make_folder(const char *path)
{
	return mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : -errno;
}

/* Where `wg` and the program itself look. In a lab the last host to start has it. */
static int
link_for_wg(const char *path, const char *interface)
{
	char at[PATH_LEN], draft[PATH_LEN];
	int err = make_folder(WG_DIR);

	(void)snprintf(at, sizeof(at), WG_DIR "/%.15s.sock", interface);
	(void)snprintf(draft, sizeof(draft), WG_DIR "/%.15s.%d", interface, getpid());
	if (err != 0)
		return err;
	if (symlink(path, draft) != 0)
		return -errno;
	if (rename(draft, at) == 0)
		return 0;
	err = -errno;
	(void)unlink(draft);
	return err;
}

int
wg_go_connect(const char *interface)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int err = our_path(sun.sun_path, interface, ".sock"), fd;

	if (err != 0)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) == 0)
		return fd;
	err = -errno;
	(void)close(fd);
	return err;
}

/* The socket that it will listen on. */
static int
listening(const char *interface)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd, err = make_folder(OUR_DIR);

	if (err == 0)
		err = our_path(sun.sun_path, NULL, "");
	if (err == 0)
		err = make_folder(sun.sun_path);
	if (err == 0)
		err = our_path(sun.sun_path, interface, ".sock");
	if (err != 0)
		return err;
	(void)unlink(sun.sun_path); /* left over from one that was killed */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&sun, sizeof(sun)) != 0 ||
	    listen(fd, BACKLOG) != 0)
		err = -errno;
	if (err == 0)
		err = link_for_wg(sun.sun_path, interface);
	if (err == 0)
		return fd;
	(void)close(fd);
	return err;
}

/* ---- which process it is ------------------------------------------------------- */

/* When process `pid` began, in ticks since the machine did; 0: there is none, or it is
 * another program. See proc(5). */
static unsigned long long
began(long pid)
{
	static const char comm[] = "(wireguard-go) ";
	char path[64], text[1024], *p;
	int fd, field = 3;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	p = strstr(text, comm);
	for (p = p != NULL ? p + strlen(comm) - 1 : NULL; p != NULL && field < 22;
	     field++)
		p = strchr(p + 1, ' ');
	return p != NULL ? strtoull(p, NULL, 10) : 0;
}

/* A part that comes after us is to find it, and nobody else in its place. */
static void
remember(const char *interface, pid_t pid)
{
	char path[PATH_LEN], text[64];
	int n = snprintf(text, sizeof(text), "%ld %llu\n", (long)pid, began(pid));
	int fd = our_path(path, interface, ".pid") == 0
		     ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)
		     : -1;

	if (fd < 0)
		return;
	if (write(fd, text, (size_t)n) != n)
		(void)unlink(path);
	(void)close(fd);
}

void
wg_go_kill(const char *interface)
{
	char path[PATH_LEN], text[64] = "", *end;
	unsigned long long since;
	struct pollfd p;
	long pid;
	int fd;

	if (our_path(path, interface, ".pid") != 0)
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (read(fd, text, sizeof(text) - 1) <= 0)
		text[0] = '\0';
	(void)close(fd);
	(void)unlink(path);
	pid = strtol(text, &end, 10);
	since = strtoull(end, NULL, 10);
	if (pid <= 1 || since == 0)
		return;
	/* From here on the number cannot come to mean another process. */
	p = (struct pollfd){
	    .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
	if (p.fd < 0)
		return;
	if (began(pid) == since &&
	    syscall(SYS_pidfd_send_signal, p.fd, SIGKILL, NULL, 0) == 0)
		(void)poll(&p, 1, WAIT_MS);
	(void)close(p.fd);
	wg_go_reap();
}

/* ---- starting ------------------------------------------------------------------ */

/* A session of its own: neither a signal for us nor our end shall reach it. */
static int
spawn(const char *interface, int fd)
{
	const char *const argv[] = {"wireguard-go", "-f", interface, NULL};
	char path[] = PATH_ENV, uapi[] = UAPI_ENV, silent[] = SILENT_ENV;
	char *const envp[] = {path, uapi, silent, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t all, none;
	pid_t pid;
	int err;

	(void)sigfillset(&all);
	(void)sigemptyset(&none);
	err = posix_spawnattr_init(&attr);
	if (err != 0)
		return -err;
	err = posix_spawn_file_actions_init(&actions);
	if (err == 0) {
		(void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID |
							  POSIX_SPAWN_SETSIGDEF |
							  POSIX_SPAWN_SETSIGMASK);
		(void)posix_spawnattr_setsigdefault(&attr, &all);
		(void)posix_spawnattr_setsigmask(&attr, &none);
		err = posix_spawn_file_actions_adddup2(&actions, fd, UAPI_FD);
		if (err == 0)
			err = posix_spawn_file_actions_addclosefrom_np(
			    &actions, UAPI_FD + 1);
		if (err == 0)
			err = posix_spawnp(&pid, argv[0], &actions, &attr,
			    (char *const *)(uintptr_t)argv, envp);
		if (err == 0)
			remember(interface, pid);
		(void)posix_spawn_file_actions_destroy(&actions);
	}
	(void)posix_spawnattr_destroy(&attr);
	return -err;
}

int
wg_go_start(const char *interface, char why[static WG_WHY_LEN])
{
	int fd, err;

	wg_go_kill(interface); /* it would keep the port */
	fd = listening(interface);
	if (fd < 0) {
		(void)snprintf(why, WG_WHY_LEN, "cannot make a socket in %s: %s",
		    OUR_DIR, strerror(-fd));
		return fd;
	}
	err = spawn(interface, fd);
	(void)close(fd);
	if (err == 0)
		return wg_go_connect(interface);
	if (err == -ENOENT)
		(void)snprintf(why, WG_WHY_LEN,
		    "neither the kernel has WireGuard nor is wireguard-go installed");
	else
		(void)snprintf(
		    why, WG_WHY_LEN, "cannot run wireguard-go: %s", strerror(-err));
	return err;
}

static int
wait_for(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};
	int n = poll(&p, 1, WAIT_MS);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	return n == 0 ? -ETIMEDOUT : 0;
}

int
wg_go_ask(int fd, const char *text, size_t len, struct sbuf *answer)
{
	char buf[16384];
	ssize_t n;
	int err = 0;

	while (len > 0 && err == 0) {
		n = send(fd, text, len, MSG_NOSIGNAL);
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN || errno == EINTR) {
			err = wait_for(fd, POLLOUT);
		} else {
			err = -errno;
		}
	}
	while (err == 0 && !wg_uapi_whole(sbuf_text(answer), answer->len)) {
		n = recv(fd, buf, sizeof(buf), 0);
		if (n > 0)
			sbuf_put(answer, buf, (size_t)n);
		else if (n == 0)
			err = -EPIPE;
		else if (errno == EAGAIN || errno == EINTR)
			err = wait_for(fd, POLLIN);
		else
			err = -errno;
		if (answer->bad)
			err = -E2BIG;
	}
	return err;
}

void
wg_go_reap(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		continue;
}
