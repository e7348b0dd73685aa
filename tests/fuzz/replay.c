/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over every file of the corpus folder given, without libFuzzer. */

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int
replay(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *buf;
	long size;
	size_t n;

	if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (size = ftell(f)) < 0) {
		perror(path);
		return -1;
	}
	rewind(f);
	/* Exactly as large as the input, so that ASan sees the first byte past it. */
	buf = malloc(size > 0 ? (size_t)size : 1);
	if (buf == NULL)
		abort();
	n = fread(buf, 1, (size_t)size, f);
	(void)fclose(f);
	(void)LLVMFuzzerTestOneInput(buf, n);
	free(buf);
	return 0;
}

int
main(int argc, char **argv)
{
	char path[4096];
	unsigned n = 0;
	struct dirent *e;
	DIR *d = argc > 1 ? opendir(argv[1]) : NULL;

	if (d == NULL) {
		(void)fprintf(stderr, "usage: %s CORPUS-FOLDER\n", argv[0]);
		return 2;
	}
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", argv[1], e->d_name);
		if (replay(path) != 0)
			return 1;
		n++;
	}
	(void)closedir(d);
	(void)printf("%u inputs replayed\n", n);
	return n == 0;
}
