/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/supervisor.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "os/priv.h"
#include "part/state.h"
#include "supervisor/handover.h"
#include "supervisor/tree.h"
#include "supervisor/upgrade.h"

#define DEFAULT_FILE	"/etc/nines/cluster.yaml"
#define DEFAULT_RUN_DIR "/run/nines"
/* Below the vip part's: its heartbeats matter more than our bookkeeping. */
#define REALTIME_PRIORITY 10

#define EXIT_BAD_FILE 1
#define EXIT_BAD_USE  2

/* Tells the service manager, if there is one, without its library. */
static void
notify(const struct tree *t, const char *state)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	size_t len = t->notify_path != NULL ? strlen(t->notify_path) : 0;
	socklen_t size;
	int fd;

	if (len < 2 || len >= sizeof(sun.sun_path))
		return;
	memcpy(sun.sun_path, t->notify_path, len);
	if (sun.sun_path[0] == '@') /* an abstract name */
		sun.sun_path[0] = '\0';
	size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL,
		(const struct sockaddr *)&sun, size) < 0)
		log_event(LOG_WARN, "notify", "error=\"%s\"", strerror(errno));
	(void)close(fd);
}

static void
finish(struct tree *t)
{
	loop_timer_clear(t->loop, &t->stop_timer);
	loop_stop(t->loop);
}

/* Parts leave one after the other, so that addresses have moved before the proxy ends.
 */
void
tree_progress(struct tree *t)
{
	bool off = true;

	if (!t->stopping) {
		control_progress(t);
		upgrade_progress(t);
		return;
	}
	for (unsigned order = 0; order < PARTS_MAX && off; order++) {
		for (size_t i = 0; i < PARTS_MAX; i++) {
			if (t->child[i].row->stop_order != order)
				continue;
			child_stop(&t->child[i]);
			off = off && sup_is_off(&t->child[i].core);
		}
	}
	if (off)
		finish(t);
}

static void
on_stop_timeout(void *arg)
{
	struct tree *t = arg;

	log_event(LOG_WARN, "stop", "why=\"parts did not leave in time\"");
	for (size_t i = 0; i < PARTS_MAX; i++) {
		if (sup_is_off(&t->child[i].core))
			continue;
		child_kill(&t->child[i]);
		child_release(&t->child[i]);
	}
	finish(t);
}

void
tree_stop(struct tree *t)
{
	if (t->stopping)
		return;
	t->stopping = true;
	upgrade_cancel(t);
	notify(t, "STOPPING=1");
	tree_publish(t, "supervisor", "host stopping", "yes");
	t->stop_timer = (struct loop_timer){.cb = on_stop_timeout, .arg = t};
	loop_timer_set(t->loop, &t->stop_timer,
	    mono_add(loop_now(t->loop), PARTS_MAX * parts_stop_ns(t->cluster)));
	tree_progress(t);
}

static void
on_signal(void *arg, int signo)
{
	struct tree *t = arg;
	char *report = NULL;

	if (signo == SIGHUP) {
		if (!t->stopping && tree_reload(t, &report) != 0 && report != NULL)
			(void)fputs(report, stderr);
		free(report);
		return;
	}
	if (t->stopping) /* asked twice: at once */
		on_stop_timeout(t);
	else
		tree_stop(t);
}

/* The service manager restarts a supervisor that hangs, as we do with parts. */
static void
on_watchdog(void *arg)
{
	struct tree *t = arg;

	notify(t, "WATCHDOG=1");
	loop_timer_set(
	    t->loop, &t->watchdog, mono_add(loop_now(t->loop), t->watchdog_ns));
}

/* What the service manager has told us is not for the parts. */
static void
take_environment(struct tree *t)
{
	const char *path = getenv("NOTIFY_SOCKET"), *us = getenv("WATCHDOG_USEC");
	long long interval = us != NULL ? strtoll(us, NULL, 10) : 0;

	if (path != NULL)
		t->notify_path = strdup(path);
	if (interval > 0 && interval < LLONG_MAX / US_NS)
		t->watchdog_ns = interval * US_NS / 3;
	/* A reader of our log that is gone is no reason to end; parts inherit this. */
	(void)signal(SIGPIPE, SIG_IGN);
	(void)unsetenv("NOTIFY_SOCKET");
	(void)unsetenv("WATCHDOG_USEC");
	(void)unsetenv("WATCHDOG_PID");
}

static int
parse_options(struct tree *t, int argc, char **argv)
{
	static const struct option options[] = {
	    {"host", required_argument, NULL, 'h'},
	    {"file", required_argument, NULL, 'f'},
	    {"run-dir", required_argument, NULL, 'r'},
	    {"log-level", required_argument, NULL, 'l'},
	    {NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "f:", options, NULL)) != -1) {
		if (c == 'h')
			t->host_option = optarg;
		else if (c == 'f')
			t->file = optarg;
		else if (c == 'r')
			t->run_dir = optarg;
		else if (c == 'l')
			t->log_level = optarg;
		else
			return -EINVAL;
	}
	return optind == argc ? 0 : -EINVAL;
}

int
tree_log_level(const char *name)
{
	static const char *const names[] = {"error", "warning", "info", "debug"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(names[i], name) == 0)
			return (int)i;
	}
	return -EINVAL;
}

/* What makes a 10 ms heartbeat possible; without it we are merely slower. */
static void
prepare_process(void)
{
	int err = priv_realtime(REALTIME_PRIORITY);

	if (err != 0)
		log_event(LOG_WARN, "realtime", "error=\"%s\"", strerror(-err));
	err = priv_lock_memory();
	if (err != 0)
		log_event(LOG_WARN, "memory-lock", "error=\"%s\"", strerror(-err));
	err = priv_raise_files();
	if (err != 0)
		log_event(LOG_WARN, "descriptors", "error=\"%s\"", strerror(-err));
	err = priv_spare_from_oom();
	if (err != 0)
		log_event(LOG_DEBUG, "oom-score", "error=\"%s\"", strerror(-err));
}

/* Starts what the file asks for. */
static void
begin(struct tree *t)
{
	for (size_t i = 0; i < PARTS_MAX; i++)
		child_init(&t->child[i], t, &parts[i]);
	drains_load(t);
	switches_load(t);
	weights_load(t);
	for (size_t i = 0; i < PARTS_MAX; i++)
		child_adopt(&t->child[i]);
}

/* `state` is what a former program has left, or -1. */
static int
run(struct tree *t, int state)
{
	static const int signals[] = {SIGHUP, SIGTERM, SIGINT};
	struct loop_signal *sig[ARRAY_LEN(signals)];

	for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
		sig[i] = loop_signal_new(t->loop, signals[i], on_signal, t);
		if (sig[i] == NULL)
			return -ENOMEM;
	}
	prepare_process();
	if (state >= 0)
		upgrade_settle_in(t, state);
	else
		begin(t);
	notify(t, "READY=1");
	t->watchdog = (struct loop_timer){.cb = on_watchdog, .arg = t};
	if (t->watchdog_ns > 0)
		on_watchdog(t);
	loop_run(t->loop);
	loop_timer_clear(t->loop, &t->watchdog);
	loop_timer_clear(t->loop, &t->trial);
	control_close(t);
	for (size_t i = 0; i < PARTS_MAX; i++)
		loop_timer_clear(t->loop, &t->child[i].timer);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		loop_signal_free(sig[i]);
	return 0;
}

static int
open_tree(struct tree *t)
{
	char *report = NULL;
	int err = tree_load(t, &report);

	if (report != NULL)
		(void)fputs(report, stderr);
	free(report);
	if (err != 0)
		return EXIT_BAD_FILE;
	if (mkdir(t->run_dir, 0755) != 0 && errno != EEXIST) {
		(void)fprintf(
		    stderr, "nines run: %s: %s\n", t->run_dir, strerror(errno));
		return EXIT_BAD_FILE;
	}
	t->loop = loop_new();
	if (t->loop != NULL)
		t->started = loop_clock(t->loop);
	err = t->loop != NULL ? control_open(t) : -ENOMEM;
	if (err == -EADDRINUSE)
		(void)fprintf(stderr,
		    "nines run: another one answers on %s/control.sock: `nines stop` "
		    "it, or "
		    "give this one another --run-dir\n",
		    t->run_dir);
	else if (err != 0)
		(void)fprintf(stderr, "nines run: %s/control.sock: %s\n", t->run_dir,
		    strerror(-err));
	return err == 0 ? 0 : EXIT_BAD_FILE;
}

/* Goes on where another program has stopped; returns if that cannot be. */
static int
resume_tree(struct tree *t, int state)
{
	int err;

	t->loop = loop_new();
	err = t->loop != NULL ? handover_resume(t, state) : -ENOMEM;
	if (err == 0)
		return 0;
	log_event(LOG_ERR, "upgrade", "result=failed error=\"%s\"", strerror(-err));
	upgrade_go_back(t, state);
	return EXIT_BAD_FILE;
}

/* Where we lie, and what we were called with, for the program that comes after us. */
static int
know_thyself(struct tree *t, int argc, char **argv)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	t->argv = calloc((size_t)argc + 2, sizeof(*t->argv));
	if (n < 0 || t->argv == NULL)
		return -ENOMEM;
	path[n] = '\0';
	t->program = strdup(path);
	t->argv[0] = strdup("nines");
	memcpy(t->argv + 1, argv, (size_t)argc * sizeof(*argv));
	return t->program != NULL && t->argv[0] != NULL ? 0 : -ENOMEM;
}

int
supervisor_main(int argc, char **argv)
{
	struct tree *t = calloc(1, sizeof(*t));
	int status, state;

	if (t == NULL)
		return EXIT_BAD_FILE;
	t->file = DEFAULT_FILE;
	t->run_dir = DEFAULT_RUN_DIR;
	t->log_level = "info";
	t->config_fd = t->program_fd = t->former_fd = t->state_fd = -1;
	take_environment(t);
	state = upgrade_arrive(t);
	if (parse_options(t, argc, argv) != 0 || know_thyself(t, argc, argv) != 0 ||
	    (state >= 0 && handover_options(t, state) != 0) ||
	    tree_log_level(t->log_level) < 0) {
		(void)fprintf(stderr,
		    "usage: nines run [--host NAME] [-f FILE] [--run-dir DIR] "
		    "[--log-level error|warning|info|debug]\n");
		free(t);
		return EXIT_BAD_USE;
	}
	/* Several on one machine must not share what they keep. */
	if (strcmp(t->run_dir, DEFAULT_RUN_DIR) != 0 && getenv(STATE_FOLDER) == NULL)
		(void)setenv(STATE_FOLDER, t->run_dir, 1);
	log_init("supervisor", (enum log_level)tree_log_level(t->log_level));
	facts_init(&t->facts);
	sockets_init(&t->sockets);
	status = state >= 0 ? resume_tree(t, state) : open_tree(t);
	if (status == 0)
		status = run(t, state) == 0 ? 0 : EXIT_BAD_FILE;
	sockets_done(&t->sockets);
	facts_done(&t->facts);
	cluster_unref(t->cluster);
	free(t->refused);
	free(t->notify_path);
	free(t);
	return status;
}
