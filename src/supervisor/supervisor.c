/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <ifaddrs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/diag.h"
#include "base/log.h"
#include "os/priv.h"
#include "supervisor/tree.h"

#define DEFAULT_FILE	"/etc/nines/cluster.yaml"
#define DEFAULT_RUN_DIR "/run/nines"
#define REPORT_MAX	((size_t)1 << 20)
#define OWN_ADDRESSES	256

#define EXIT_BAD_FILE 1
#define EXIT_BAD_USE  2

/* Reads a whole file of at most CLUSTER_FILE_MAX bytes; the caller frees. */
static char *
read_file(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *text;
	ssize_t n;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) != 0 || st.st_size < 0) {
		(void)close(fd);
		return NULL;
	}
	if ((size_t)st.st_size > CLUSTER_FILE_MAX) {
		(void)close(fd);
		errno = EFBIG;
		return NULL;
	}
	text = malloc((size_t)st.st_size + 1);
	*len = 0;
	while (text != NULL && *len < (size_t)st.st_size) {
		n = read(fd, text + *len, (size_t)st.st_size - *len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) /* cut while we read: what is there is what counts */
			break;
		*len += (size_t)n;
	}
	(void)close(fd);
	return text;
}

static int
seal(const char *text, size_t len)
{
	int fd = memfd_create("cluster", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	size_t off = 0;

	while (fd >= 0 && off < len) {
		ssize_t n = write(fd, text + off, len - off);

		if (n < 0 && errno != EINTR)
			break;
		off += n > 0 ? (size_t)n : 0;
	}
	if (fd >= 0 && (off < len || fcntl(fd, F_ADD_SEALS,
					 F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW |
					     F_SEAL_WRITE) != 0)) {
		(void)close(fd);
		return -EIO;
	}
	return fd >= 0 ? fd : -errno;
}

/* The host whose addresses are ours; the finding goes to `diags` if there is none. */
static const struct host *
find_me(const struct tree *t, const struct cluster *c, struct diag_list *diags)
{
	struct ip own[OWN_ADDRESSES];
	struct ifaddrs *list;
	size_t n = 0;
	const struct host *me;

	if (t->host_option != NULL) {
		me = cluster_host(c, t->host_option);
		if (me == NULL)
			(void)diag_add(diags, DIAG_ERROR, "unknown-host", 0, 0,
			    "no host named \"%s\" (given by --host)", t->host_option);
		return me;
	}
	if (getifaddrs(&list) != 0)
		list = NULL;
	for (struct ifaddrs *i = list; i != NULL && n < OWN_ADDRESSES;
	     i = i->ifa_next) {
		struct sockaddr_storage ss = {0};
		size_t len;

		if (i->ifa_addr == NULL || (i->ifa_addr->sa_family != AF_INET &&
					       i->ifa_addr->sa_family != AF_INET6))
			continue;
		len = i->ifa_addr->sa_family == AF_INET ? sizeof(struct sockaddr_in)
							: sizeof(struct sockaddr_in6);
		memcpy(&ss, i->ifa_addr, len);
		own[n++] = ip_from_sockaddr(&ss).ip;
	}
	freeifaddrs(list);
	me = cluster_host_by_address(c, own, n);
	if (me == NULL)
		(void)diag_add(diags, DIAG_ERROR, "no-own-host", 0, 0,
		    "no single host of the file has an address of this machine; "
		    "say which one it is with --host NAME");
	return me;
}

static char *
render(const struct diag_list *diags, const char *text, size_t len)
{
	struct sbuf b;
	char *s;

	sbuf_init(&b, REPORT_MAX);
	diag_render(diags, text, len, false, &b);
	s = strdup(sbuf_text(&b));
	sbuf_done(&b);
	return s;
}

/* Takes over `c` as the new generation. */
static void
adopt(struct tree *t, const struct cluster *c, const struct host *me, int fd)
{
	cluster_unref(t->cluster);
	if (t->generation > 0)
		(void)close(t->config_fd);
	t->cluster = c;
	t->me = me;
	t->config_fd = fd;
	t->generation++;
	free(t->refused);
	t->refused = NULL;
}

/* The file as a new generation; 0, or -EINVAL with the findings in *report. */
static int
load(struct tree *t, char **report)
{
	struct diag_list diags;
	const struct cluster *c = NULL;
	const struct host *me = NULL;
	size_t len = 0;
	char *text = read_file(t->file, &len);
	int fd = -1;

	diag_init(&diags, t->file);
	if (text == NULL)
		(void)diag_add(&diags, DIAG_ERROR, "unreadable", 0, 0,
		    "cannot be read: %s", strerror(errno));
	else
		c = cluster_parse(text, len, &diags);
	if (c != NULL)
		me = find_me(t, c, &diags);
	if (me != NULL) {
		fd = seal(text, len);
		if (fd < 0)
			(void)diag_add(&diags, DIAG_ERROR, "memory", 0, 0,
			    "cannot be kept: %s", strerror(-fd));
	}
	*report = render(&diags, text, len);
	diag_done(&diags);
	free(text);
	if (fd < 0) {
		cluster_unref(c);
		return -EINVAL;
	}
	adopt(t, c, me, fd);
	return 0;
}

int
tree_reload(struct tree *t, char **report)
{
	const struct cluster *before = cluster_ref(t->cluster);
	char *text = NULL;
	int err = load(t, report);

	if (err != 0) {
		free(t->refused);
		t->refused = *report != NULL ? strdup(*report) : NULL;
		log_event(LOG_ERR, "reload", "result=refused file=%s", t->file);
		cluster_unref(before);
		return err;
	}
	log_event(LOG_INFO, "reload", "result=ok generation=%llu",
	    (unsigned long long)t->generation);
	if (asprintf(&text, "%sgeneration %llu is in use",
		*report != NULL ? *report : "",
		(unsigned long long)t->generation) >= 0) {
		free(*report);
		*report = text;
	}
	for (size_t i = 0; i < PARTS_MAX; i++)
		child_adopt(&t->child[i]);
	cluster_unref(before);
	return 0;
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
	for (size_t i = 0; i < PARTS_MAX; i++)
		child_kill(&t->child[i]);
	finish(t);
}

void
tree_stop(struct tree *t)
{
	if (t->stopping)
		return;
	t->stopping = true;
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

/* Tells the service manager, if there is one, without its library. */
static void
notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	size_t len = path != NULL ? strlen(path) : 0;
	socklen_t size;
	int fd;

	if (len < 2 || len >= sizeof(sun.sun_path))
		return;
	memcpy(sun.sun_path, path, len);
	if (sun.sun_path[0] == '@') /* an abstract name */
		sun.sun_path[0] = '\0';
	size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&sun,
		size) < 0)
		log_event(LOG_WARN, "notify", "error=\"%s\"", strerror(errno));
	(void)close(fd);
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

static int
level_of(const char *name)
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
	int err = priv_realtime(10);

	if (err != 0)
		log_event(LOG_WARN, "realtime", "error=\"%s\"", strerror(-err));
	err = priv_lock_memory();
	if (err != 0)
		log_event(LOG_WARN, "memory-lock", "error=\"%s\"", strerror(-err));
	err = priv_raise_files();
	if (err != 0)
		log_event(LOG_WARN, "descriptors", "error=\"%s\"", strerror(-err));
}

static int
run(struct tree *t)
{
	static const int signals[] = {SIGHUP, SIGTERM, SIGINT};
	struct loop_signal *sig[ARRAY_LEN(signals)];

	for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
		sig[i] = loop_signal_new(t->loop, signals[i], on_signal, t);
		if (sig[i] == NULL)
			return -ENOMEM;
	}
	prepare_process();
	for (size_t i = 0; i < PARTS_MAX; i++)
		child_init(&t->child[i], t, &parts[i]);
	for (size_t i = 0; i < PARTS_MAX; i++)
		child_adopt(&t->child[i]);
	notify("READY=1");
	loop_run(t->loop);
	notify("STOPPING=1");
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
	int err = load(t, &report);

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

int
supervisor_main(int argc, char **argv)
{
	struct tree *t = calloc(1, sizeof(*t));
	int status;

	if (t == NULL)
		return EXIT_BAD_FILE;
	t->file = DEFAULT_FILE;
	t->run_dir = DEFAULT_RUN_DIR;
	t->log_level = "info";
	if (parse_options(t, argc, argv) != 0 || level_of(t->log_level) < 0) {
		(void)fprintf(stderr,
		    "usage: nines run [--host NAME] [-f FILE] [--run-dir DIR] "
		    "[--log-level error|warning|info|debug]\n");
		free(t);
		return EXIT_BAD_USE;
	}
	log_init("supervisor", (enum log_level)level_of(t->log_level));
	facts_init(&t->facts);
	sockets_init(&t->sockets);
	status = open_tree(t);
	if (status == 0) {
		t->started = loop_clock(t->loop);
		status = run(t) == 0 ? 0 : EXIT_BAD_FILE;
	}
	sockets_done(&t->sockets);
	facts_done(&t->facts);
	cluster_unref(t->cluster);
	free(t->refused);
	free(t);
	return status;
}

int
supervisor_part_main(int argc, char **argv)
{
	const struct part_row *row = argc >= 2 ? parts_find(argv[1]) : NULL;
	const struct part_program *program =
	    row != NULL ? parts_program(row->name) : NULL;
	int level = argc >= 3 ? level_of(argv[2]) : LOG_INFO;
	int err;

	if (program == NULL || level < 0) {
		(void)fprintf(stderr, "nines part: parts are started by `nines run`\n");
		return EXIT_BAD_USE;
	}
	log_init(row->name, (enum log_level)level);
	err = priv_drop(row->user, row->caps, row->n_caps);
	if (err == 0)
		err = priv_filter_syscalls();
	if (err != 0) {
		log_event(LOG_ERR, "privileges", "error=\"%s\"", strerror(-err));
		return 1;
	}
	return program->main();
}
