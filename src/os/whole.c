/* SPDX-License-Identifier: Apache-2.0 */
#include "os/whole.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
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

int
whole_file(const char *path, mode_t mode, const struct sbuf *text)
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
	if (close(fd) != 0 && err == 0)
		err = -errno;
	if (err == 0 && rename(draft, path) != 0)
		err = -errno;
	if (err != 0)
		(void)unlink(draft);
	return err;
}
