/* SPDX-License-Identifier: Apache-2.0 */
#include "part/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct file {
	char *path;
	int fd; /* or -errno */
};

int
files_open(const char *path)
{
	/* NONBLOCK: a named pipe in its place must not hold us up. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	(void)close(fd);
	return -EINVAL;
}

void
files_init(struct files *f)
{
	*f = (struct files){0};
}

void
files_done(struct files *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free(f->file[i].path);
		if (f->file[i].fd >= 0)
			(void)close(f->file[i].fd);
	}
	free(f->file);
	files_init(f);
}

static struct file *
new_file(struct files *f)
{
	size_t room = f->room * 2 + 16;
	struct file *all;

	if (f->n < f->room)
		return &f->file[f->n];
	if (room > FILES_MAX)
		return NULL;
	all = realloc(f->file, room * sizeof(*all));
	if (all == NULL)
		return NULL;
	f->file = all;
	f->room = room;
	return &all[f->n];
}

void
files_add(struct files *f, const char *path, size_t len, int fd)
{
	struct file *file = new_file(f);
	char *copy = file != NULL ? strndup(path, len) : NULL;

	if (copy == NULL) {
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	*file = (struct file){copy, fd};
	f->n++;
}

int
files_find(const struct files *f, const char *path)
{
	for (size_t i = 0; i < f->n; i++) {
		if (strcmp(f->file[i].path, path) == 0)
			return f->file[i].fd;
	}
	return -ENOENT;
}
