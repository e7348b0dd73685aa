/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cluster file as generations: each is read, checked and sealed whole, and only
 * then takes the place of the one before.
 */
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/diag.h"
#include "base/log.h"
#include "config/config_diff.h"
#include "part/sealed.h"
#include "supervisor/tree.h"

#define REPORT_MAX    ((size_t)1 << 20)
#define OWN_ADDRESSES 256

/* What a reading found; done() frees what was not taken out of it. */
struct reading {
	char *text;
	size_t len;
	struct diag_list diags;
	const struct cluster *cluster;
	const struct host *me;
	int fd;
};

static int
read_open(struct reading *r, int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if ((size_t)st.st_size > CLUSTER_FILE_MAX)
		return -EFBIG;
	r->text = malloc((size_t)st.st_size + 1);
	if (r->text == NULL)
		return -ENOMEM;
	while (r->len < (size_t)st.st_size) {
		ssize_t n = read(fd, r->text + r->len, (size_t)st.st_size - r->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0) /* cut while we read: what is there is what counts */
			break;
		r->len += (size_t)n;
	}
	return 0;
}

static int
read_file(struct reading *r, const char *path)
{
	/* NONBLOCK: a named pipe in its place must not hold us up. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), err;

	if (fd < 0)
		return -errno;
	err = read_open(r, fd);
	(void)close(fd);
	return err;
}

static size_t
own_addresses(struct ip own[static OWN_ADDRESSES])
{
	struct ifaddrs *list;
	size_t n = 0;

	if (getifaddrs(&list) != 0)
		return 0;
	for (struct ifaddrs *i = list; i != NULL && n < OWN_ADDRESSES;
	     i = i->ifa_next) {
		struct sockaddr_storage ss = {0};

		if (i->ifa_addr == NULL)
			continue;
		if (i->ifa_addr->sa_family == AF_INET)
			memcpy(&ss, i->ifa_addr, sizeof(struct sockaddr_in));
		else if (i->ifa_addr->sa_family == AF_INET6)
			memcpy(&ss, i->ifa_addr, sizeof(struct sockaddr_in6));
		else
			continue;
		own[n++] = ip_from_sockaddr(&ss).ip;
	}
	freeifaddrs(list);
	return n;
}

/* The host that we are; the finding is added if there is none. */
static const struct host *
find_me(const struct tree *t, struct reading *r)
{
	struct ip own[OWN_ADDRESSES];
	const struct host *me;

	if (t->host_option != NULL) {
		me = cluster_host(r->cluster, t->host_option);
		if (me == NULL)
			(void)diag_add(&r->diags, DIAG_ERROR, "unknown-host", 0, 0,
			    "no host named \"%s\" (given by --host)", t->host_option);
		return me;
	}
	me = cluster_host_by_address(r->cluster, own, own_addresses(own));
	/* An interface that is away just now does not make us somebody else. */
	if (me == NULL && t->me != NULL)
		me = cluster_host(r->cluster, t->me->name);
	if (me == NULL)
		(void)diag_add(&r->diags, DIAG_ERROR, "no-own-host", 0, 0,
		    "no single host of the file has an address of this machine; "
		    "say which one it is with --host NAME");
	return me;
}

/* 0, or -EINVAL with the reasons among the findings. */
static int
read_generation(const struct tree *t, struct reading *r)
{
	int err;

	*r = (struct reading){.fd = -1};
	diag_init(&r->diags, t->file);
	err = read_file(r, t->file);
	if (err != 0) {
		(void)diag_add(&r->diags, DIAG_ERROR, "unreadable", 0, 0,
		    "cannot be read: %s", strerror(-err));
		return -EINVAL;
	}
	r->cluster = cluster_parse(r->text, r->len, &r->diags);
	if (r->cluster == NULL)
		return -EINVAL;
	r->me = find_me(t, r);
	if (r->me == NULL)
		return -EINVAL;
	r->fd = sealed_new(r->text, r->len);
	if (r->fd < 0) {
		(void)diag_add(&r->diags, DIAG_ERROR, "memory", 0, 0,
		    "cannot be kept: %s", strerror(-r->fd));
		return -EINVAL;
	}
	return 0;
}

static void
reading_done(struct reading *r)
{
	diag_done(&r->diags);
	free(r->text);
	cluster_unref(r->cluster);
	if (r->fd >= 0)
		(void)close(r->fd);
}

static void
adopt(struct tree *t, struct reading *r)
{
	cluster_unref(t->cluster);
	if (t->config_fd >= 0)
		(void)close(t->config_fd);
	t->cluster = r->cluster;
	t->me = r->me;
	t->config_fd = r->fd;
	t->generation++;
	free(t->refused);
	t->refused = NULL;
	r->cluster = NULL;
	r->fd = -1;
}

/* The same, and what is to be said of it. */
static int
read_reported(const struct tree *t, struct reading *r, struct sbuf *report)
{
	int err = read_generation(t, r);

	sbuf_init(report, REPORT_MAX);
	diag_render(&r->diags, r->text, r->len, false, report);
	return err;
}

static char *
take_text(struct sbuf *b)
{
	char *text = strdup(sbuf_text(b));

	sbuf_done(b);
	return text;
}

int
tree_load(struct tree *t, char **report)
{
	struct reading r;
	struct sbuf b;
	int err = read_reported(t, &r, &b);

	*report = take_text(&b);
	if (err == 0)
		adopt(t, &r);
	reading_done(&r);
	return err;
}

static void
refuse(struct tree *t, const char *report)
{
	free(t->refused);
	t->refused = report != NULL ? strdup(report) : NULL;
	log_event(LOG_ERR, "reload", "result=refused file=%s", t->file);
}

/* What comes after "generation N: ". */
static void
apply(struct tree *t, struct reading *r, struct sbuf *b)
{
	struct sbuf change;

	sbuf_init(&change, REPORT_MAX);
	config_diff_summary(t->cluster, r->cluster, &change);
	if (t->me != NULL && strcmp(t->me->name, r->me->name) != 0)
		sbuf_printf(&change, ", this host is now %s", r->me->name);
	adopt(t, r);
	sbuf_printf(b, "generation %llu: %s", (unsigned long long)t->generation,
	    sbuf_text(&change));
	log_event(LOG_INFO, "reload", "result=ok generation=%llu change=\"%s\"",
	    (unsigned long long)t->generation, sbuf_text(&change));
	sbuf_done(&change);
	drains_adopt(t);
	switches_adopt(t);
	weights_adopt(t);
	sockets_adopt(&t->sockets, t->cluster, t->me);
	for (size_t i = 0; i < PARTS_MAX; i++)
		child_adopt(&t->child[i]);
}

int
tree_reload(struct tree *t, char **report)
{
	struct reading r;
	struct sbuf b;
	int err = read_reported(t, &r, &b);

	if (err == 0)
		apply(t, &r, &b);
	*report = take_text(&b);
	if (err != 0)
		refuse(t, *report);
	reading_done(&r);
	return err;
}
