/* SPDX-License-Identifier: Apache-2.0 */
#include "os/setting.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int
open_setting(const char *name, int flags)
{
	char path[SETTING_NAME_LEN + sizeof("/proc/sys/net/")];
	int n = snprintf(path, sizeof(path), "/proc/sys/net/%s", name), fd;

	if ((size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int
setting_write(const char *name, const char *value)
{
	int fd = open_setting(name, O_WRONLY), err = 0;

	if (fd < 0)
		return fd;
	if (write(fd, value, strlen(value)) < 0)
		err = -errno;
	(void)close(fd);
	return err;
}

int
setting_read(const char *name, char value[static SETTING_VALUE_LEN])
{
	int fd = open_setting(name, O_RDONLY), err;
	ssize_t n;

	if (fd < 0)
		return fd;
	n = read(fd, value, SETTING_VALUE_LEN - 1);
	err = n < 0 ? -errno : 0;
	(void)close(fd);
	if (err != 0)
		return err;
	value[n] = '\0';
	value[strcspn(value, "\n")] = '\0';
	return 0;
}

int64_t
setting_number(const char *name)
{
	char value[SETTING_VALUE_LEN], *end;
	int err = setting_read(name, value);
	int64_t n;

	if (err != 0)
		return err;
	n = strtoll(value, &end, 10);
	return end != value && *end == '\0' && n >= 0 ? n : -EINVAL;
}
