/* SPDX-License-Identifier: Apache-2.0 */
/* Checks by a program of the site: exit status 0 is healthy. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "health/health_probe.h"

#define PROGRAMS_MAX 1024 /* at once; hung ones that cannot be killed count */
#define SAID_LEN     80
#define READS_MAX    64
#define ENV_MAX	     6
#define ENV_LEN	     256
#define PATH_ENV     "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct program {
	struct probe probe;
	struct list link; /* env->programs */
	struct probe_env *env;
	pid_t pid;
	int pidfd, out; /* out: what it writes */
	struct loop_fd *pid_watch, *out_watch;
	bool aborted;	     /* nobody waits for the result: killed, to be reaped */
	char said[SAID_LEN]; /* the beginning of what it wrote */
	size_t said_len;
};

static void
program_free(struct program *x)
{
	loop_unwatch(x->pid_watch);
	loop_unwatch(x->out_watch);
	if (x->pidfd >= 0)
		(void)close(x->pidfd);
	if (x->out >= 0)
		(void)close(x->out);
	list_remove(&x->link);
	x->env->n_programs--;
	free(x);
}

/* The whole group: a shell's children, too. */
static void
kill_group(const struct program *x)
{
	(void)kill(-x->pid, SIGKILL);
}

static void
program_abort(struct probe *p)
{
	struct program *x = CONTAINER(p, struct program, probe);

	x->aborted = true;
	kill_group(x);
	loop_unwatch(x->out_watch);
	x->out_watch = NULL;
}

/* Reads all there is, so that the program never waits for us; keeps the beginning. */
static void
listen_to(struct program *x)
{
	char buf[4096];

	for (unsigned i = 0; i < READS_MAX; i++) {
		ssize_t n = read(x->out, buf, sizeof(buf));
		size_t room = sizeof(x->said) - 1 - x->said_len, keep;

		if (n <= 0) {
			if (n == 0 || errno != EAGAIN) { /* it closed its output */
				loop_unwatch(x->out_watch);
				x->out_watch = NULL;
			}
			return;
		}
		keep = (size_t)n < room ? (size_t)n : room;
		memcpy(x->said + x->said_len, buf, keep);
		x->said_len += keep;
	}
}

static void
on_output(void *arg, unsigned events)
{
	(void)events;
	listen_to(arg);
}

/* The first line that it wrote, made fit for a fact. */
static void
first_line(struct program *x)
{
	size_t n = strcspn(x->said, "\r\n");

	x->said[n] = '\0';
	for (size_t i = 0; i < n; i++) {
		if ((unsigned char)x->said[i] < ' ' || (unsigned char)x->said[i] > '~')
			x->said[i] = '?';
	}
}

static void
on_exit_of(void *arg, unsigned events)
{
	struct program *x = arg;
	struct probe_job job = x->probe.job;
	char why[HEALTH_WHY_LEN] = "";
	siginfo_t si = {0};
	bool good;

	(void)events;
	if (waitid(P_PIDFD, (id_t)x->pidfd, &si, WEXITED | WNOHANG | WNOWAIT) != 0 ||
	    si.si_pid == 0)
		return;
	/* What it left running would go on for ever. Before the zombie is gone: until
	 * then nobody else's group can have its number. */
	kill_group(x);
	(void)waitid(P_PIDFD, (id_t)x->pidfd, &si, WEXITED | WNOHANG);
	if (x->aborted) {
		program_free(x);
		return;
	}
	if (x->out_watch != NULL)
		listen_to(x);
	first_line(x);
	good = si.si_code == CLD_EXITED && si.si_status == 0;
	if (si.si_code == CLD_EXITED)
		(void)snprintf(why, sizeof(why), "exit status %d%s%s", si.si_status,
		    x->said[0] != '\0' ? ": " : "", x->said);
	else
		(void)snprintf(
		    why, sizeof(why), "ended by SIG%s", sigabbrev_np(si.si_status));
	program_free(x);
	job.done(job.arg, good ? PROBE_GOOD : PROBE_BAD, why);
}

/* ---- begin ---------------------------------------------------------------------- */

struct words {
	char text[ENV_MAX][ENV_LEN];
	char *envp[ENV_MAX + 2];
	size_t n;
};

PRINTF(2, 3)
static void
add_word(struct words *w, const char *fmt, ...)
{
	va_list ap;

	ASSERT(w->n < ENV_MAX);
	va_start(ap, fmt);
	(void)vsnprintf(w->text[w->n], ENV_LEN, fmt, ap);
	va_end(ap);
	w->envp[w->n] = w->text[w->n];
	w->n++;
}

static void
environment(struct words *w, const struct probe_job *job)
{
	char address[IP_STR_LEN];

	*w = (struct words){.n = 0};
	if (job->service != NULL)
		add_word(w, "NINES_SERVICE=%s", job->service);
	if (job->server != NULL)
		add_word(w, "NINES_SERVER=%s", job->server);
	if (job->floating_ip != NULL)
		add_word(w, "NINES_FLOATING_IP=%s", job->floating_ip);
	add_word(w, "NINES_ADDRESS=%s",
	    job->unix_path != NULL ? job->unix_path : ip_format(&job->at.ip, address));
	if (job->at.port != 0)
		add_word(w, "NINES_PORT=%u", job->at.port);
	add_word(w, "%s", PATH_ENV);
}

/* 0 or an error number, as posix_spawn() has it. */
static int
spawn(pid_t *pid, const struct probe_job *job, int out)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	struct words w;
	sigset_t all, none;
	int err;

	environment(&w, job);
	(void)sigfillset(&all);
	(void)sigemptyset(&none);
	err = posix_spawn_file_actions_init(&files);
	if (err != 0)
		return err;
	err = posix_spawnattr_init(&attr);
	if (err != 0) {
		(void)posix_spawn_file_actions_destroy(&files);
		return err;
	}
	(void)posix_spawnattr_setflags(&attr,
	    POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	(void)posix_spawnattr_setpgroup(&attr, 0);
	(void)posix_spawnattr_setsigdefault(&attr, &all);
	(void)posix_spawnattr_setsigmask(&attr, &none);
	err = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	if (err == 0)
		err = posix_spawn_file_actions_adddup2(&files, out, 1);
	if (err == 0)
		err = posix_spawn_file_actions_adddup2(&files, out, 2);
	if (err == 0)
		err = posix_spawn_file_actions_addclosefrom_np(&files, 3);
	if (err == 0)
		err = posix_spawn(pid, job->check->exec[0], &files, &attr,
		    (char *const *)(uintptr_t)job->check->exec, w.envp);
	(void)posix_spawnattr_destroy(&attr);
	(void)posix_spawn_file_actions_destroy(&files);
	return err;
}

/* Starts and watches it; 0 or -errno. A child that cannot be watched is killed. */
static int
start_program(struct program *x)
{
	int pipe_fd[2], err;

	if (pipe2(pipe_fd, O_CLOEXEC) != 0)
		return -errno;
	x->out = pipe_fd[0];
	/* Only our end: programs do not expect to be told to try again. */
	(void)fcntl(x->out, F_SETFL, O_NONBLOCK);
	err = -spawn(&x->pid, &x->probe.job, pipe_fd[1]);
	(void)close(pipe_fd[1]);
	if (err != 0)
		return err;
	x->pidfd = pidfd_open(x->pid, 0);
	if (x->pidfd >= 0) {
		x->pid_watch =
		    loop_watch(x->env->loop, x->pidfd, LOOP_IN, on_exit_of, x);
		x->out_watch = loop_watch(x->env->loop, x->out, LOOP_IN, on_output, x);
	}
	if (x->pid_watch != NULL && x->out_watch != NULL)
		return 0;
	kill_group(x);
	(void)waitpid(x->pid, NULL, 0);
	return -ENOMEM;
}

struct probe *
probe_exec_begin(struct probe_env *env, const struct probe_job *job,
    enum probe_result *result, char why[static HEALTH_WHY_LEN])
{
	struct program *x = NULL;
	int err = -EAGAIN;

	if (env->n_programs < PROGRAMS_MAX)
		x = calloc(1, sizeof(*x));
	if (x == NULL) {
		*result = probe_error(EAGAIN, why);
		return NULL;
	}
	x->probe.job = *job;
	x->probe.abort = program_abort;
	x->env = env;
	x->pidfd = x->out = -1;
	list_init(&x->link);
	list_append(&env->programs, &x->link);
	env->n_programs++;
	err = start_program(x);
	if (err == 0)
		return &x->probe;
	*result = probe_error(-err, why);
	if (*result == PROBE_BAD) /* not there, not to be run: as good as failing */
		(void)snprintf(why, HEALTH_WHY_LEN, "cannot run %.80s: %s",
		    job->check->exec[0], strerror(-err));
	program_free(x);
	return NULL;
}

/* At the end of the part: nothing is left running. */
void
probe_exec_kill(struct probe_env *env)
{
	LIST_EACH(l, tmp, &env->programs)
	{
		struct program *x = CONTAINER(l, struct program, link);

		kill_group(x);
		program_free(x);
	}
}
