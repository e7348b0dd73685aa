/* SPDX-License-Identifier: Apache-2.0 */
#include "os/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/netns.h"

#define EXIT_NO_EXEC 127

/* After fork(): only calls that are safe there. */
NORETURN static void
become(const struct child *c, int in, int out)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	sigset_t none;

	(void)setsid();
	for (int s = 1; s < SIGRTMIN; s++)
		(void)sigaction(s, &dfl, NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (c->netns != NULL && netns_enter(c->netns) != 0)
		_exit(EXIT_NO_EXEC);
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(EXIT_NO_EXEC);
	(void)close_range(3, ~0U, 0);
	(void)execvp(c->argv[0], (char *const *)(uintptr_t)c->argv);
	_exit(EXIT_NO_EXEC);
}

static pid_t
spawn(const struct child *c, int in, int out)
{
	pid_t pid = fork();

	if (pid == 0)
		become(c, in, out);
	return pid < 0 ? -errno : pid;
}

/* Writes `input` and reads all output at the same time, so that neither blocks. */
static int
converse(int in, int from, const char *input, struct sbuf *out)
{
	size_t left = input != NULL ? strlen(input) : 0;
	char buf[4096];

	if (left == 0) {
		(void)close(in);
		in = -1;
	}
	for (;;) {
		struct pollfd p[2] = {
		    {.fd = from, .events = POLLIN}, {.fd = in, .events = POLLOUT}};
		ssize_t n;

		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return -errno;
		if (in >= 0 && p[1].revents != 0) {
			n = write(in, input, left);
			if (n > 0) {
				input += n;
				left -= (size_t)n;
			}
			if (left == 0 || (n < 0 && errno != EAGAIN)) {
				(void)close(in);
				in = -1;
			}
		}
		if (p[0].revents == 0)
			continue;
		n = read(from, buf, sizeof(buf));
		if (n > 0 && out != NULL)
			sbuf_put(out, buf, (size_t)n);
		if (n == 0 || (n < 0 && errno != EINTR))
			break;
	}
	if (in >= 0)
		(void)close(in);
	return 0;
}

static int
reap(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int
child_run(const struct child *c, struct sbuf *out)
{
	int in[2], from[2], err, status;
	pid_t pid;

	if (pipe2(in, O_CLOEXEC) != 0)
		return -errno;
	if (pipe2(from, O_CLOEXEC) != 0) {
		err = -errno;
		(void)close(in[0]);
		(void)close(in[1]);
		return err;
	}
	pid = spawn(c, in[0], from[1]);
	(void)close(in[0]);
	(void)close(from[1]);
	if (pid < 0) {
		(void)close(in[1]);
		(void)close(from[0]);
		return pid;
	}
	(void)fcntl(in[1], F_SETFL, O_NONBLOCK);
	err = converse(in[1], from[0], c->input, out);
	(void)close(from[0]);
	status = reap(pid);
	return err != 0 ? err : status;
}

pid_t
child_start(const struct child *c)
{
	int in = open("/dev/null", O_RDONLY | O_CLOEXEC), out, err;
	pid_t pid;

	if (in < 0)
		return -errno;
	out = open(c->log != NULL ? c->log : "/dev/null",
	    O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (out < 0) {
		err = -errno;
		(void)close(in);
		return err;
	}
	pid = spawn(c, in, out);
	(void)close(in);
	(void)close(out);
	return pid;
}
