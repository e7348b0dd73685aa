/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/file.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mono.h"
#include "base/sbuf.h"
#include "lab/peers.h"

#define OUTPUT_MAX ((size_t)1 << 20)
#define TAIL_BYTES 1500

static int
read_all(const char *path, struct sbuf *text)
{
	FILE *f = fopen(path, "re");
	char buf[16384];
	size_t n;
	int err = 0;

	if (f == NULL)
		return -errno;
	while ((n = fread(buf, 1, sizeof(buf), f)) > 0)
		sbuf_put(text, buf, n);
	if (ferror(f) != 0)
		err = -EIO;
	(void)fclose(f);
	return text->bad ? -EFBIG : err;
}

const struct cluster *
file_load(const char *path)
{
	const struct cluster *c = NULL;
	struct diag_list diags;
	struct sbuf text, out;
	int err;

	sbuf_init(&text, CLUSTER_FILE_MAX);
	sbuf_init(&out, OUTPUT_MAX);
	diag_init(&diags, path);
	err = read_all(path, &text);
	if (err != 0) {
		(void)fprintf(stderr, "nines: %s: %s\n", path, strerror(-err));
	} else {
		c = cluster_parse(sbuf_text(&text), text.len, &diags);
		diag_render(&diags, sbuf_text(&text), text.len,
		    isatty(STDERR_FILENO) != 0, &out);
		(void)fputs(sbuf_text(&out), stderr);
	}
	diag_done(&diags);
	sbuf_done(&out);
	sbuf_done(&text);
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
	static const struct {
		const char *unit;
		int64_t ns;
	} units[] = {
	    {"s", SEC_NS}, {"m", INT64_C(60) * SEC_NS}, {"h", INT64_C(3600) * SEC_NS}};
	size_t digits = strspn(text, "0123456789");
	char number[12];
	int64_t n;

	if (digits == 0 || digits >= sizeof(number))
		return false;
	(void)memcpy(number, text, digits);
	number[digits] = '\0';
	if (!file_number(number, 1, 86400, &n))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (strcmp(text + digits, units[i].unit) != 0 ||
		    n * units[i].ns > INT64_C(24) * 3600 * SEC_NS)
			continue;
		*ns = n * units[i].ns;
		return true;
	}
	return false;
}

bool
file_duration(const char *text, int64_t *ns)
{
	size_t digits = strspn(text, "0123456789");
	char number[12];
	int64_t n;

	if (digits == 0 || digits >= sizeof(number))
		return false;
	(void)memcpy(number, text, digits);
	number[digits] = '\0';
	if (!file_number(number, 1, 40000, &n))
		return false;
	if (strcmp(text + digits, "ms") == 0)
		n *= MS_NS;
	else if (strcmp(text + digits, "s") == 0)
		n *= SEC_NS;
	else
		return false;
	/* The unit of VRRP, and the most that nines allows (cluster.h). */
	if (n < CS_NS || n > 40 * SEC_NS || n % CS_NS != 0)
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
