/* SPDX-License-Identifier: Apache-2.0 */
#include "os/whole.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int
whole_write(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/* As the file was that it replaces, and on the disk before that goes. */
static int
settle(int fd, const struct stat *like)
{
	if (fchmod(fd, like->st_mode & 07777) != 0 ||
	    fchown(fd, like->st_uid, like->st_gid) != 0 || fsync(fd) != 0)
		return -errno;
	return 0;
}

/* `like` may be NULL. */
static int
put(const char *path, mode_t mode, const struct stat *like, const struct sbuf *text)
{
	char draft[PATH_MAX];
	int fd, err;

	if (text->bad)
		return -EFBIG;
	if (snprintf(draft, sizeof(draft), "%s.new", path) >= (int)sizeof(draft))
		return -ENAMETOOLONG;
	fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return -errno;
	err = whole_write(fd, sbuf_text(text), text->len);
	if (err == 0 && like != NULL)
		err = settle(fd, like);
	if (close(fd) != 0 && err == 0)
		err = -errno;
	if (err == 0 && rename(draft, path) != 0)
		err = -errno;
	if (err != 0)
		(void)unlink(draft);
	return err;
}

int
whole_file(const char *path, mode_t mode, const struct sbuf *text)
{
	return put(path, mode, NULL, text);
}

int
whole_replace(const char *path, const struct sbuf *text)
{
	struct stat old;

	return stat(path, &old) == 0 ? put(path, 0600, &old, text) : -errno;
}
