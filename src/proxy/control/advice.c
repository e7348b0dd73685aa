/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/control/advice.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/setting.h"
#include "proxy/servers/dial.h"

/* What does not fit is left out: the first sentence is the gravest. */
static void PRINTF(2, 3) say(char text[static ADVICE_LEN], const char *fmt, ...)
{
	size_t len = strlen(text), gap = len > 0 ? 2 : 0;
	va_list ap;
	int n;

	if (len + gap >= ADVICE_LEN)
		return;
	va_start(ap, fmt);
	n = vsnprintf(text + len + gap, ADVICE_LEN - len - gap, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= ADVICE_LEN - len - gap)
		text[len] = '\0';
	else if (gap > 0)
		memcpy(text + len, "; ", gap);
}

static void
check_files(char text[static ADVICE_LEN])
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < ADVICE_FILES)
		say(text,
		    "only %llu descriptors, about half as many connections: raise "
		    "LimitNOFILE",
		    (unsigned long long)limit.rlim_cur);
}

static void
check_backlog(
    char text[static ADVICE_LEN], const struct cluster *c, const struct host *me)
{
	int64_t max = setting_number("core/somaxconn");

	for (size_t i = 0; i < c->n_services && max > 0; i++) {
		const struct service *s = &c->service[i];

		if (s->backlog <= max || !service_on_host(s, me))
			continue;
		say(text,
		    "%s: net.core.somaxconn %" PRId64 " cuts its backlog %u: sysctl -w "
		    "net.core.somaxconn=%u",
		    s->name, max, s->backlog, s->backlog);
		return;
	}
}

static bool
is_here(const struct ip *ip)
{
	const struct ip_endpoint at = {.ip = *ip};
	struct sockaddr_storage ss;
	socklen_t len = ip_to_sockaddr(&at, &ss);
	int fd = socket(ip->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool here;

	if (fd < 0)
		return true; /* not what is the matter now */
	here =
	    bind(fd, (const struct sockaddr *)&ss, len) == 0 || errno != EADDRNOTAVAIL;
	(void)close(fd);
	return here;
}

static void
check_sources(
    char text[static ADVICE_LEN], const struct cluster *c, const struct host *me)
{
	struct ip source;

	for (size_t i = 0; i < c->n_services; i++) {
		const struct service *s = &c->service[i];
		char at[IP_STR_LEN];

		if (service_on_host(s, me) && service_source(s, me, &source) &&
		    !is_here(&source))
			say(text, "%s: its source %s is not on this host", s->name,
			    ip_format(&source, at));
	}
}

void
advice_give(
    char text[static ADVICE_LEN], const struct cluster *c, const struct host *me)
{
	text[0] = '\0';
	check_files(text);
	check_sources(text, c, me);
	check_backlog(text, c, me);
}
