/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other side of exec: `nines part NAME LEVEL [more | release HOST]`, with the link
 * (or the cluster file, for release) as descriptor 3; with `more` it gets the row's
 * `more_cap`, too. Everything that a part is not to have is given up here, before any
 * of its code runs.
 */
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "os/priv.h"
#include "part/sealed.h"
#include "part/state.h"
#include "supervisor/parts.h"
#include "supervisor/supervisor.h"
#include "supervisor/tree.h"
#include "supervisor/upgrade.h"

#define GIVEN_FD     3
#define EXIT_BAD_USE 2
#define WRITES_MAX   8

static void
warn(const char *event, int err)
{
	if (err != 0)
		log_event(LOG_WARN, event, "error=\"%s\"", strerror(-err));
}

static bool
keeps(const struct part_row *row, int cap)
{
	for (size_t i = 0; i < row->n_caps; i++) {
		if (row->caps[i] == cap)
			return true;
	}
	return false;
}

/* With a folder for what it keeps over reboots, if it keeps something. */
static int
confine_writes(const struct part_row *row)
{
	const char *writes[WRITES_MAX + 2] = {NULL};
	size_t n = 0;

	if (row->state && mkdir(state_folder(), 0700) != 0 && errno != EEXIST)
		warn("state_folder", -errno);
	for (; n < WRITES_MAX && row->writes[n] != NULL; n++)
		writes[n] = row->writes[n];
	if (row->state)
		writes[n] = state_folder();
	return priv_write_only_below(writes);
}

/* 0 or -errno. What only makes it slower or less confined is told and borne. */
static int
confine(const struct part_row *row, bool more)
{
	int caps[PARTS_CAPS + 1], err;
	size_t n = row->n_caps;

	if (chdir("/") != 0)
		return -errno;
	if (row->nice != 0 && setpriority(PRIO_PROCESS, 0, row->nice) != 0)
		log_event(LOG_DEBUG, "nice", "refused=%d", row->nice);
	if (row->realtime > 0) {
		warn("realtime", priv_realtime(row->realtime));
		warn("realtime", priv_allow_realtime(row->realtime));
	}
	if (row->writes != NULL)
		warn("landlock", confine_writes(row));
	memcpy(caps, row->caps, sizeof(row->caps));
	if (more)
		caps[n++] = row->more_cap;
	err = priv_drop(row->user, caps, n);
	return err == 0 ? priv_filter_syscalls(keeps(row, CAP_BPF)) : err;
}

static int
release(const struct part_program *program, const char *host)
{
	const char *why = NULL;
	const struct cluster *c = sealed_cluster(GIVEN_FD, &why);
	const struct host *me = c != NULL ? cluster_host(c, host) : NULL;
	int err;

	if (me == NULL || program->release == NULL) {
		log_event(LOG_ERR, "release", "error=\"%s\"",
		    why != NULL ? why : "nothing to release");
		cluster_unref(c);
		return 1;
	}
	err = program->release(c, me);
	warn("release", err);
	cluster_unref(c);
	return err == 0 ? 0 : 1;
}

int
supervisor_part_main(int argc, char **argv)
{
	const struct part_row *row = argc >= 2 ? parts_find(argv[1]) : NULL;
	const struct part_program *program =
	    row != NULL ? parts_program(row->name) : NULL;
	int level = argc >= 3 ? tree_log_level(argv[2]) : LOG_INFO;
	int err;

	if (argc == 3 && strcmp(argv[1], "rehearse") == 0)
		return upgrade_rehearse(argv[2]);
	if (program == NULL || level < 0) {
		(void)fprintf(stderr, "nines part: parts are started by `nines run`\n");
		return EXIT_BAD_USE;
	}
	log_init(row->name, (enum log_level)level);
	err = confine(row, argc == 4 && strcmp(argv[3], "more") == 0);
	if (err != 0) {
		log_event(LOG_ERR, "privileges", "error=\"%s\"", strerror(-err));
		return 1;
	}
	if (argc == 5 && strcmp(argv[3], "release") == 0)
		return release(program, argv[4]);
	return program->main();
}
