/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "supervisor/handover.h"

#define REHEARSAL_NS (5 * SEC_NS)
#define PARTS_NS     (20 * SEC_NS) /* until all of the new program are ready */
#define WATCH_NS     (2 * SEC_NS)  /* nobody dies for so long: it is good */
#define RETRY_NS     (50 * MS_NS)
#define RETRIES	     100
#define HANG_SECONDS 5	 /* of the new supervisor in its first WATCH_NS */
#define FORMER_FD    511 /* the former program, where a signal handler finds it */

#define STATE_VARIABLE	"NINES_HANDOVER"
#define FAILED_VARIABLE "NINES_FAILED_VERSION"
#define READY		"ready "

enum stage { STAGE_REHEARSAL, STAGE_PARTS, STAGE_WATCH };

struct upgrade {
	struct tree *tree;
	enum stage stage;
	int program; /* the new one */
	pid_t pid;   /* of the rehearsal */
	int pidfd, said;
	struct loop_fd *ended;
	struct loop_timer timer;
	unsigned retries;
};

static void
replace_all(struct tree *t)
{
	for (size_t i = 0; i < PARTS_MAX; i++)
		child_replace(&t->child[i]);
}

static void
end_rehearsal(struct upgrade *u)
{
	loop_unwatch(u->ended);
	u->ended = NULL;
	if (u->pid > 0) {
		(void)kill(u->pid, SIGKILL);
		(void)waitpid(u->pid, NULL, 0);
	}
	u->pid = 0;
	if (u->pidfd >= 0)
		(void)close(u->pidfd);
	if (u->said >= 0)
		(void)close(u->said);
	u->pidfd = u->said = -1;
}

static void
upgrade_free(struct upgrade *u)
{
	end_rehearsal(u);
	loop_timer_clear(u->tree->loop, &u->timer);
	u->tree->upgrade = NULL;
	if (u->tree->program_fd == u->program)
		u->tree->program_fd = -1;
	(void)close(u->program);
	free(u);
}

/* The old program goes on; what is running of the new one is replaced. */
static void
fail(struct upgrade *u, const char *why)
{
	struct tree *t = u->tree;
	bool begun = u->stage != STAGE_REHEARSAL;

	log_event(LOG_ERR, "upgrade", "result=refused why=\"%s\"", why);
	upgrade_free(u);
	if (begun)
		replace_all(t);
	control_upgraded(t, false, why);
}

static void
wait_for(struct upgrade *u, int64_t ns)
{
	struct loop *loop = u->tree->loop;

	loop_timer_set(loop, &u->timer, mono_add(loop_now(loop), ns));
}

/* ---- 3. the exec ---------------------------------------------------------------- */

static void
block_signals(int how)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGHUP);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigprocmask(how, &set, NULL);
}

/* Becomes `program`; returns -errno if that fails, with all as it was. */
static int
become(const struct tree *t, int program, int state)
{
	char number[16];
	int err = handover_inherit(state, true);

	(void)snprintf(number, sizeof(number), "%d", state);
	if (err == 0 &&
	    (fcntl(state, F_SETFD, 0) != 0 || setenv(STATE_VARIABLE, number, 1) != 0))
		err = -errno;
	if (err != 0)
		return err;
	block_signals(SIG_BLOCK); /* until somebody hears them again */
	(void)execveat(program, "", t->argv, environ, AT_EMPTY_PATH);
	err = -errno;
	block_signals(SIG_UNBLOCK);
	(void)unsetenv(STATE_VARIABLE);
	(void)!handover_inherit(state, false);
	return err;
}

static void
take_over(struct upgrade *u)
{
	struct tree *t = u->tree;
	int own = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), err = own, state;
	char why[160];

	if (own >= 0) {
		state = handover_write(t, own, control_upgrade_client(t));
		err = state < 0 ? state : become(t, u->program, state);
		if (state >= 0)
			(void)close(state);
		(void)close(own);
	}
	if (err == -EBUSY && ++u->retries < RETRIES) {
		wait_for(u, RETRY_NS);
		return;
	}
	(void)snprintf(
	    why, sizeof(why), "the new program cannot take over: %s", strerror(-err));
	fail(u, why);
}

/* ---- 2. the parts --------------------------------------------------------------- */

static bool
all_settled(const struct tree *t)
{
	for (size_t i = 0; i < PARTS_MAX; i++) {
		const struct sup *core = &t->child[i].core;

		if (core->status != SUP_OFF && !sup_is_settled(core))
			return false;
	}
	return true;
}

void
upgrade_progress(struct tree *t)
{
	struct upgrade *u = t->upgrade;

	if (u == NULL || u->stage != STAGE_PARTS || !all_settled(t))
		return;
	u->stage = STAGE_WATCH;
	wait_for(u, WATCH_NS);
}

void
upgrade_lost(struct tree *t, const char *part, const siginfo_t *info)
{
	char why[160];

	if (t->upgrade == NULL)
		return;
	(void)snprintf(why, sizeof(why),
	    "part %s of the new program died of %s %d; the log says more", part,
	    info->si_code == CLD_EXITED ? "status" : "signal", info->si_status);
	fail(t->upgrade, why);
}

static void
replace_parts(struct upgrade *u)
{
	u->stage = STAGE_PARTS;
	u->tree->program_fd = u->program;
	wait_for(u, PARTS_NS);
	replace_all(u->tree);
	upgrade_progress(u->tree);
}

/* ---- 1. the rehearsal ----------------------------------------------------------- */

int
upgrade_rehearse(const char *descriptor)
{
	char *end;
	long fd = strtol(descriptor, &end, 10);
	int err =
	    *end == '\0' && fd > 2 && fd < INT32_MAX ? handover_check((int)fd) : -EBADF;

	if (err == 0)
		(void)printf(READY "%s\n", NINES_VERSION);
	else
		(void)printf("nines %s cannot go on from here: %s\n", NINES_VERSION,
		    err == -EBADMSG  ? "the state of the old program is of another kind"
		    : err == -EINVAL ? "it refuses the cluster file"
				     : strerror(-err));
	return err == 0 && fflush(stdout) == 0 ? 0 : 1;
}

/* The first line, fit to be shown. */
static void
read_said(int fd, char *line, size_t size)
{
	ssize_t n = read(fd, line, size - 1);

	line[n > 0 ? n : 0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	for (char *p = line; *p != '\0'; p++)
		*p = *p >= ' ' && *p <= '~' ? *p : '.';
}

static void
on_rehearsed(void *arg, unsigned events)
{
	struct upgrade *u = arg;
	siginfo_t info = {0};
	char said[200], why[280];

	(void)events;
	if (waitid(P_PIDFD, (id_t)u->pidfd, &info, WEXITED | WNOHANG) != 0 ||
	    info.si_pid == 0)
		return;
	u->pid = 0;
	read_said(u->said, said, sizeof(said));
	end_rehearsal(u);
	if (info.si_code == CLD_EXITED && info.si_status == 0 &&
	    strncmp(said, READY, strlen(READY)) == 0) {
		log_event(LOG_INFO, "upgrade", "from=%s to=%s", NINES_VERSION,
		    said + strlen(READY));
		replace_parts(u);
		return;
	}
	(void)snprintf(why, sizeof(why), "%s does not start: %s (%s %d)",
	    u->tree->program, said[0] != '\0' ? said : "it says nothing",
	    info.si_code == CLD_EXITED ? "status" : "signal", info.si_status);
	fail(u, why);
}

NORETURN static void
rehearse(int program, int state, int out)
{
	const char *argv[] = {"nines", "part", "rehearse", NULL, NULL};
	char number[16];

	(void)snprintf(number, sizeof(number), "%d", state);
	argv[3] = number;
	(void)setsid();
	if (handover_inherit(state, true) != 0 || fcntl(state, F_SETFD, 0) != 0 ||
	    dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0)
		_exit(126);
	(void)execveat(
	    program, "", (char *const *)(uintptr_t)argv, environ, AT_EMPTY_PATH);
	(void)dprintf(STDOUT_FILENO, "%s\n", strerror(errno));
	_exit(127);
}

static int
start_rehearsal(struct upgrade *u)
{
	int state = handover_write(u->tree, -1, -1), out[2];

	if (state < 0)
		return state;
	if (pipe2(out, O_CLOEXEC | O_NONBLOCK) != 0) {
		(void)close(state);
		return -errno;
	}
	u->said = out[0];
	u->pid = fork();
	if (u->pid == 0)
		rehearse(u->program, state, out[1]);
	(void)close(state);
	(void)close(out[1]);
	if (u->pid < 0)
		return -errno;
	u->pidfd = pidfd_open(u->pid, 0);
	if (u->pidfd < 0)
		return -errno;
	u->ended = loop_watch(u->tree->loop, u->pidfd, LOOP_IN, on_rehearsed, u);
	return u->ended != NULL ? 0 : -ENOMEM;
}

static void
on_timer(void *arg)
{
	struct upgrade *u = arg;

	switch (u->stage) {
	case STAGE_REHEARSAL:
		fail(u, "the new program does not start: it says nothing for 5 s");
		break;
	case STAGE_PARTS:
		fail(u, "the parts of the new program did not get ready in time");
		break;
	case STAGE_WATCH:
		take_over(u);
		break;
	}
}

int
upgrade_start(struct tree *t, const char **why)
{
	struct upgrade *u;
	int program, err;

	*why = "an upgrade is under way";
	if (t->upgrade != NULL || t->state_fd >= 0)
		return -EBUSY;
	program = open(t->program, O_RDONLY | O_CLOEXEC);
	u = program >= 0 ? calloc(1, sizeof(*u)) : NULL;
	if (u == NULL) {
		err = -errno;
		*why = strerror(errno);
		if (program >= 0)
			(void)close(program);
		return err;
	}
	*u = (struct upgrade){.tree = t,
	    .program = program,
	    .pidfd = -1,
	    .said = -1,
	    .timer = {.cb = on_timer, .arg = u}};
	t->upgrade = u;
	err = start_rehearsal(u);
	if (err == 0) {
		wait_for(u, REHEARSAL_NS);
		return 0;
	}
	*why = err == -EBUSY ? "a part is just starting or ending; ask again"
			     : strerror(-err);
	upgrade_free(u);
	return err;
}

void
upgrade_cancel(struct tree *t)
{
	if (t->upgrade == NULL)
		return;
	upgrade_free(t->upgrade);
	control_upgraded(t, false, "the host stops");
}

/* ---- the new program ------------------------------------------------------------ */

int
upgrade_arrive(struct tree *t)
{
	const char *number = getenv(STATE_VARIABLE), *failed = getenv(FAILED_VARIABLE);
	long fd = number != NULL ? strtol(number, NULL, 10) : -1;

	if (failed != NULL)
		(void)snprintf(t->failed, sizeof(t->failed), "%s", failed);
	(void)unsetenv(STATE_VARIABLE);
	(void)unsetenv(FAILED_VARIABLE);
	return fd > 2 && fd < INT32_MAX ? (int)fd : -1;
}

void
upgrade_go_back(const struct tree *t, int state)
{
	if (t->former_fd < 0 || t->failed[0] != '\0')
		return;
	(void)setenv(FAILED_VARIABLE, NINES_VERSION, 1);
	(void)become(t, t->former_fd, state);
}

static const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGALRM};

/* The environment says already what the former program has to know. */
static void
on_crash(int signo)
{
	static const char *const argv[] = {"nines", "run", NULL};

	(void)execveat(
	    FORMER_FD, "", (char *const *)(uintptr_t)argv, environ, AT_EMPTY_PATH);
	(void)signal(signo, SIG_DFL);
	(void)raise(signo);
}

static void
set_handlers(void (*handler)(int))
{
	struct sigaction sa = {.sa_handler = handler, .sa_flags = SA_NODEFER};

	(void)sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < ARRAY_LEN(crashes); i++)
		(void)sigaction(crashes[i], &sa, NULL);
}

/* What an operator may want to know: versions, and who finishes still. */
static void
describe(const struct tree *t, char *text, size_t size)
{
	size_t len = (size_t)snprintf(
	    text, size, "%s goes on in the place of %s", NINES_VERSION, t->former);

	for (size_t i = 0; i < PARTS_MAX; i++) {
		const struct child *c = &t->child[i];

		for (unsigned k = 0; k < SUP_SLOTS && len < size; k++) {
			if (c->core.proc[k].state == SUP_PROC_YIELDED)
				len += (size_t)snprintf(text + len, size - len,
				    "; %s %d finishes its connections", c->row->name,
				    (int)c->process[k].pid);
		}
	}
}

static void
end_trial(struct tree *t)
{
	loop_timer_clear(t->loop, &t->trial);
	(void)alarm(0);
	set_handlers(SIG_DFL);
	(void)unsetenv(STATE_VARIABLE);
	(void)unsetenv(FAILED_VARIABLE);
	(void)!handover_inherit(t->state_fd, false);
	(void)close(t->state_fd);
	(void)close(FORMER_FD);
	(void)close(t->former_fd);
	t->state_fd = t->former_fd = -1;
}

static void
on_proven(void *arg)
{
	struct tree *t = arg;
	char text[512];

	end_trial(t);
	describe(t, text, sizeof(text));
	log_event(
	    LOG_INFO, "upgrade", "result=ok from=%s to=%s", t->former, NINES_VERSION);
	control_upgraded(t, true, text);
}

/* For a while a crash is answered by the former program; what it would have to know
 * is added to `state`. */
static void
begin_trial(struct tree *t, int state)
{
	char number[16];

	(void)snprintf(number, sizeof(number), "%d", state);
	t->state_fd = state;
	if (fcntl(FORMER_FD, F_GETFD) < 0 &&
	    dup3(t->former_fd, FORMER_FD, O_CLOEXEC) >= 0 &&
	    setenv(STATE_VARIABLE, number, 1) == 0 &&
	    setenv(FAILED_VARIABLE, NINES_VERSION, 1) == 0) {
		set_handlers(on_crash);
		(void)alarm(HANG_SECONDS);
	}
	t->trial = (struct loop_timer){.cb = on_proven, .arg = t};
	loop_timer_set(t->loop, &t->trial, mono_add(loop_clock(t->loop), WATCH_NS));
}

/* The new program could not go on: its parts are replaced by ours. */
static void
resume_former(struct tree *t, int state)
{
	char text[160], *report = NULL;

	(void)!handover_inherit(state, false);
	(void)close(state);
	(void)close(t->former_fd);
	t->former_fd = -1;
	(void)snprintf(text, sizeof(text),
	    "nines %s failed as supervisor; %s goes on, and the log says more",
	    t->failed, NINES_VERSION);
	log_event(LOG_ERR, "upgrade", "result=failed why=\"%s\"", text);
	replace_all(t);
	(void)!tree_reload(t, &report); /* what it may have adopted meanwhile */
	free(report);
	control_upgraded(t, false, text);
}

void
upgrade_settle_in(struct tree *t, int state)
{
	block_signals(SIG_UNBLOCK);
	if (t->failed[0] != '\0')
		resume_former(t, state);
	else
		begin_trial(t, state);
}
