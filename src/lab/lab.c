/* SPDX-License-Identifier: Apache-2.0 */
/* The verb `lab`: a world that stays until `nines lab down`. */

#include "lab/lab.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/verbs.h"
#include "lab/file.h"
#include "lab/probe.h"
#include "lab/web.h"
#include "lab/world.h"
#include "os/netns.h"

#define READY_NS (20 * SEC_NS)

struct request {
	const char *file, *name; /* of the world; NULL: the cluster's */
	int argc;		 /* what follows FILE */
	char **argv;
	const struct cluster *cluster;
};

/* Until all parts are up everywhere; false: that took too long. */
static bool
wait_ready(struct world *w)
{
	static const struct timespec pause = {0, 20 * MS_NS};
	mono_t end = mono_add(probe_clock(), READY_NS);

	for (size_t i = 0; i < w->n_hosts;) {
		if (!w->host[i].balances || world_ready(w, i))
			i++;
		else if (!mono_before(probe_clock(), end))
			return false;
		else
			(void)nanosleep(&pause, NULL);
	}
	return true;
}

static int
report_up(struct world *w)
{
	bool ready = wait_ready(w);

	(void)printf(
	    "%zu host%s up as nines-%s-*; logs and run directories are in %s\n",
	    w->n_hosts, w->n_hosts == 1 ? " is" : "s are", w->name, w->dir);
	if (!ready)
		(void)fprintf(stderr,
		    "nines lab: not every part is up after %d s: see the logs\n",
		    (int)(READY_NS / SEC_NS));
	return !ready;
}

static int
up(struct request *r)
{
	static const struct world_change none = {0};
	struct world w;
	struct sbuf why;
	int err, status = 1;

	if (!file_ready("lab", false))
		return 1;
	err = world_init(&w, r->name, r->cluster, ENGINE_NINES);
	if (err != 0) {
		(void)fprintf(stderr, "nines lab: %s/%s: %s%s\n", WORLD_DIR, r->name,
		    strerror(-err),
		    err == -EEXIST ? "; `nines lab down` removes it" : "");
		world_done(&w);
		return 1;
	}
	sbuf_init(&why, 65536);
	err = world_build(&w, &none, &why);
	if (err == 0)
		err = world_run(&w, &why);
	if (err != 0) {
		(void)fprintf(stderr, "nines lab: %s\n", sbuf_text(&why));
		(void)!world_destroy(r->name);
	} else {
		status = report_up(&w);
	}
	sbuf_done(&why);
	world_done(&w);
	return status;
}

static int
down(struct request *r)
{
	int err = world_destroy(r->name);

	if (err == 0)
		return 0;
	(void)fprintf(stderr, "nines lab: %s: %s\n", r->name,
	    err == -ENOENT ? "there is no such lab" : strerror(-err));
	return 1;
}

/* So that `nines status` needs neither --run-dir nor this program's path. */
static void
at_home(const struct request *r)
{
	const char *path = getenv("PATH");
	char self[WORLD_PATH_LEN], dir[WORLD_PATH_LEN + 128], all[8192];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *end;

	(void)snprintf(
	    dir, sizeof(dir), "%s/%s/%s.run", WORLD_DIR, r->name, r->argv[0]);
	(void)setenv(CLI_RUN_DIR_VARIABLE, dir, 1);
	self[n > 0 ? n : 0] = '\0';
	end = strrchr(self, '/');
	if (end == NULL)
		return;
	*end = '\0';
	n = snprintf(all, sizeof(all), "%s:%s", self, path != NULL ? path : "/bin");
	if (n > 0 && (size_t)n < sizeof(all))
		(void)setenv("PATH", all, 1);
}

static int
execute(struct request *r)
{
	char ns[WORLD_NS_LEN];
	int err;

	if (r->argc < 2)
		return verb_usage(verb_find(verbs, "lab"));
	(void)snprintf(ns, sizeof(ns), "nines-%s-%s", r->name, r->argv[0]);
	err = netns_enter(ns);
	if (err != 0) {
		(void)fprintf(stderr, "nines lab: %s: %s\n", ns,
		    err == -ENOENT ? "no such host, or the lab is not up"
				   : strerror(-err));
		return 1;
	}
	at_home(r);
	(void)execvp(r->argv[1], r->argv + 1);
	(void)fprintf(stderr, "nines lab: %s: %s\n", r->argv[1], strerror(errno));
	return 127;
}

static void
print_ns(void *arg, const char *ns)
{
	int n = netns_signal(ns, 0, NULL, 0);

	(void)arg;
	(void)printf("%-32s %d process%s\n", ns, n, n == 1 ? "" : "es");
}

static int
status(struct request *r)
{
	int err = world_each_ns(r->name, print_ns, NULL);

	if (err == 0)
		return 0;
	(void)printf("the lab %s is not up\n", r->name);
	return 1;
}

int
lab_main(int argc, char **argv)
{
	static const struct {
		const char *word;
		int (*run)(struct request *r);
		bool loads;
	} verbs_of_lab[] = {
	    {"up", up, true},
	    {"down", down, true},
	    {"exec", execute, true},
	    {"status", status, true},
	};
	struct request r = {0};
	int result;

	(void)signal(SIGPIPE, SIG_IGN);
	if (argc >= 2 && strcmp(argv[1], "web") == 0)
		return web_main(argc - 1, argv + 1);
	if (argc >= 5 && strcmp(argv[2], "--name") == 0) {
		r.name = argv[3];
		argv[3] = argv[1];
		argv += 2;
		argc -= 2;
	}
	for (size_t i = 0; argc >= 3 && i < ARRAY_LEN(verbs_of_lab); i++) {
		if (strcmp(argv[1], verbs_of_lab[i].word) != 0)
			continue;
		r.file = argv[2];
		r.argc = argc - 3;
		r.argv = argv + 3;
		r.cluster = file_load(r.file);
		if (r.cluster == NULL)
			return 1;
		if (r.name == NULL)
			r.name = r.cluster->name;
		result = verbs_of_lab[i].run(&r);
		cluster_unref(r.cluster);
		return result;
	}
	return verb_usage(verb_find(verbs, "lab"));
}
