/* SPDX-License-Identifier: Apache-2.0 */
#include "part/sealed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/whole.h"

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

int
sealed_new(const char *text, size_t len)
{
	int fd = memfd_create("cluster", MFD_CLOEXEC | MFD_ALLOW_SEALING), err;

	if (fd < 0)
		return -errno;
	err = whole_write(fd, text, len);
	if (err == 0 && fcntl(fd, F_ADD_SEALS, SEALS) != 0)
		err = -errno;
	if (err == 0)
		return fd;
	(void)close(fd);
	return err;
}

const struct cluster *
sealed_cluster(int fd, const char **why)
{
	const struct cluster *c;
	struct diag_list diags;
	struct stat st;
	void *text;

	/* Without the seals a shrinking file would be a SIGBUS. */
	if (fcntl(fd, F_GET_SEALS) != SEALS || fstat(fd, &st) != 0 || st.st_size <= 0 ||
	    (size_t)st.st_size > CLUSTER_FILE_MAX) {
		*why = "not a sealed cluster file";
		return NULL;
	}
	text = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (text == MAP_FAILED) {
		*why = strerror(errno);
		return NULL;
	}
	diag_init(&diags, "cluster file");
	c = cluster_parse(text, (size_t)st.st_size, &diags);
	if (c == NULL) /* the supervisor has accepted this very text */
		*why = "no memory";
	diag_done(&diags);
	(void)munmap(text, (size_t)st.st_size);
	return c;
}
