/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/sbuf.h"
#include "base/stats.h"
#include "cli/cli.h"
#include "cli/verbs.h"

static int
dial(const char *run_dir)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd, err, n;

	n = snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/control.sock", run_dir);
	if (n < 0 || (size_t)n >= sizeof(sun.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) != 0) {
		err = -errno;
		(void)close(fd);
		return err;
	}
	return fd;
}

static int
send_request(int fd, int argc, char **argv)
{
	struct sbuf b;
	int err = 0;

	sbuf_init(&b, 4096);
	for (int i = 0; i < argc; i++)
		sbuf_printf(&b, "%s%s", i > 0 ? "\t" : "", argv[i]);
	sbuf_puts(&b, "\n");
	if (b.bad)
		err = -E2BIG;
	for (size_t off = 0; err == 0 && off < b.len;) {
		ssize_t n = send(fd, b.p + off, b.len - off, MSG_NOSIGNAL);

		if (n >= 0)
			off += (size_t)n;
		else if (errno != EINTR)
			err = -errno;
	}
	sbuf_done(&b);
	return err;
}

static int
read_answer(int fd, struct sbuf *b)
{
	char buf[65536];

	for (;;) {
		ssize_t n = recv(fd, buf, sizeof(buf), 0);

		if (n == 0)
			return b->bad ? -EMSGSIZE : 0;
		if (n > 0)
			sbuf_put(b, buf, (size_t)n);
		else if (errno != EINTR)
			return -errno;
	}
}

int
control_ask(const char *run_dir, int argc, char **argv, json_t **answer)
{
	int fd = dial(run_dir), err;
	struct sbuf b;
	json_t *j;

	if (fd < 0)
		return fd;
	sbuf_init(&b, CONTROL_ANSWER_MAX);
	err = send_request(fd, argc, argv);
	if (err == 0)
		err = read_answer(fd, &b);
	(void)close(fd);
	if (err == 0) {
		j = json_loads(sbuf_text(&b), 0, NULL);
		if (json_is_object(j))
			*answer = j;
		else
			err = -EBADMSG;
		if (err != 0)
			json_decref(j);
	}
	sbuf_done(&b);
	return err;
}

const char *
cli_run_dir(void)
{
	const char *given = getenv(CLI_RUN_DIR_VARIABLE);

	return given != NULL && given[0] == '/' ? given : "/run/nines";
}

const char *
control_fact(const json_t *answer, const char *key)
{
	const json_t *fact;
	size_t i;

	json_array_foreach(json_object_get(answer, "facts"), i, fact)
	{
		const char *k = json_string_value(json_object_get(fact, "key"));
		const char *v = json_string_value(json_object_get(fact, "value"));

		if (k != NULL && v != NULL && strcmp(k, key) == 0)
			return v;
	}
	return "";
}

int
control_explain(const char *run_dir, int err)
{
	switch (-err) {
	case ENOENT:
	case ECONNREFUSED:
		(void)fprintf(stderr,
		    "nines: nobody answers on %s/control.sock: is `nines run` "
		    "running on this host?\n  (systemctl status nines; if it was "
		    "started with another --run-dir, give the same one here)\n",
		    run_dir);
		break;
	case EACCES:
	case EPERM:
		(void)fprintf(stderr,
		    "nines: may not open %s/control.sock: it is root's; try sudo\n",
		    run_dir);
		break;
	case EBADMSG:
	case ECONNRESET:
		(void)fprintf(stderr,
		    "nines: the answer on %s/control.sock broke off: nines run may "
		    "just be "
		    "stopping; ask again\n",
		    run_dir);
		break;
	default:
		(void)fprintf(
		    stderr, "nines: %s/control.sock: %s\n", run_dir, strerror(-err));
		break;
	}
	return EXIT_UNREACHABLE;
}

struct stats *
control_stats(const char *run_dir, const char *part)
{
	char path[4096];
	struct stats *s;
	int fd, n;

	n = snprintf(path, sizeof(path), "%s/%s.stats", run_dir, part);
	if (n < 0 || (size_t)n >= sizeof(path))
		return NULL;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	s = stats_open(fd);
	(void)close(fd);
	return s;
}
