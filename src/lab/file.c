/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/file.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mono.h"
#include "cli/source.h"
#include "config/units.h"
#include "lab/peers.h"

#define TAIL_BYTES 1500

const struct cluster *
file_load(const char *path)
{
	const struct cluster *c;
	struct source s;

	if (source_read(&s, path))
		source_print_findings(&s);
	c = s.cluster;
	s.cluster = NULL;
	source_done(&s);
	return c;
}

static bool
is_program(const char *name)
{
	static const char *const dirs[] = {"/usr/sbin", "/usr/bin", "/sbin", "/bin"};
	char path[256];

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dirs[i], name);
		if (access(path, X_OK) == 0)
			return true;
	}
	return false;
}

bool
file_ready(const char *verb, bool peers)
{
	if (geteuid() != 0) {
		(void)fprintf(stderr,
		    "nines %s: network namespaces are root's; try sudo\n", verb);
		return false;
	}
	if (!is_program("ip") || !is_program("nft")) {
		(void)fprintf(stderr,
		    "nines %s: needs the programs ip and nft: apt install iproute2 "
		    "nftables\n",
		    verb);
		return false;
	}
	if (peers && !peers_installed()) {
		(void)fprintf(stderr,
		    "nines %s: needs the peers: apt install keepalived haproxy\n",
		    verb);
		return false;
	}
	return true;
}

bool
file_number(const char *text, int64_t min, int64_t max, int64_t *n)
{
	char *end;
	long v;

	errno = 0;
	v = strtol(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || v < min || v > max)
		return false;
	*n = v;
	return true;
}

bool
file_span(const char *text, int64_t *ns)
{
	int64_t n;

	if (duration_parse(&n, text) != 0 || n < SEC_NS || n % SEC_NS != 0 ||
	    n > INT64_C(24) * 3600 * SEC_NS)
		return false;
	*ns = n;
	return true;
}

bool
file_heartbeat(const char *text, int64_t *ns)
{
	int64_t n;

	/* The unit of VRRP, and the most that nines allows (cluster.h). */
	if (duration_parse(&n, text) != 0 || n < CS_NS || n > 40 * SEC_NS ||
	    n % CS_NS != 0)
		return false;
	*ns = n;
	return true;
}

static void
tail(const char *path, const char *name, FILE *f)
{
	char buf[TAIL_BYTES + 1], *start = buf;
	FILE *in = fopen(path, "re");
	size_t n;

	if (in == NULL)
		return;
	if (fseek(in, -TAIL_BYTES, SEEK_END) == 0) {
		n = fread(buf, 1, TAIL_BYTES, in);
		buf[n] = '\0';
		start = strchr(buf, '\n');
		start = start != NULL ? start + 1 : buf;
	} else {
		rewind(in);
		n = fread(buf, 1, TAIL_BYTES, in);
		buf[n] = '\0';
	}
	(void)fclose(in);
	if (start[0] != '\0')
		(void)fprintf(f, "--- %s\n%s", name, start);
}

void
file_tails(const char *dir, FILE *f)
{
	struct dirent **entry;
	int n = scandir(dir, &entry, NULL, alphasort);
	char path[600];

	for (int i = 0; i < n; i++) {
		size_t len = strlen(entry[i]->d_name);

		(void)snprintf(path, sizeof(path), "%s/%s", dir, entry[i]->d_name);
		if (len > 4 && strcmp(entry[i]->d_name + len - 4, ".log") == 0)
			tail(path, entry[i]->d_name, f);
		free(entry[i]);
	}
	if (n >= 0)
		free(entry);
}
