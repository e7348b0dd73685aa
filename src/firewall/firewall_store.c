/* SPDX-License-Identifier: Apache-2.0 */
#include "firewall/firewall_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sbuf.h"
#include "config/writer.h"
#include "os/whole.h"
#include "part/state.h"

#define PATH_LEN 4096

static void
path_of(char out[static PATH_LEN], const struct cluster *c, const struct host *me,
    const char *suffix)
{
	(void)snprintf(out, PATH_LEN, "%s/firewall-%s-%s.yaml%s", state_folder(),
	    c->name, me->name, suffix);
}

static int
sync_folder(void)
{
	int fd = open(state_folder(), O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (fsync(fd) != 0)
		err = -errno;
	(void)close(fd);
	return err;
}

int
firewall_store_put(const struct cluster *c, const struct host *me)
{
	char path[PATH_LEN], fresh[PATH_LEN];
	struct sbuf text;
	int fd, err;

	path_of(path, c, me, "");
	path_of(fresh, c, me, ".new");
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	sbuf_init(&text, CLUSTER_FILE_MAX);
	cluster_write(c, true, &text);
	err = text.bad ? -EFBIG : whole_write(fd, sbuf_text(&text), text.len);
	if (err == 0 && fsync(fd) != 0)
		err = -errno;
	sbuf_done(&text);
	(void)close(fd);
	if (err == 0 && rename(fresh, path) != 0)
		err = -errno;
	if (err == 0)
		err = sync_folder();
	else
		(void)unlink(fresh);
	return err;
}

const struct cluster *
firewall_store_get(const struct cluster *c, const struct host *me)
{
	const struct cluster *stored = NULL;
	char path[PATH_LEN], buf[65536];
	struct diag_list diags;
	struct sbuf text;
	ssize_t n;
	int fd;

	path_of(path, c, me, "");
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	sbuf_init(&text, CLUSTER_FILE_MAX + 1);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		sbuf_put(&text, buf, (size_t)n);
	(void)close(fd);
	diag_init(&diags, path);
	if (n == 0 && !text.bad)
		stored = cluster_parse(sbuf_text(&text), text.len, &diags);
	diag_done(&diags);
	sbuf_done(&text);
	return stored;
}

void
firewall_store_clear(const struct cluster *c, const struct host *me)
{
	char path[PATH_LEN];

	path_of(path, c, me, "");
	(void)unlink(path);
}
