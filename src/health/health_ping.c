/* SPDX-License-Identifier: Apache-2.0 */
/* Checks by ICMP echo, all over one raw socket per family. */
#include <errno.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "health/health_icmp.h"
#include "health/health_probe.h"

#define PACKET_MAX 2048
#define READS_MAX  64

struct ping {
	struct probe probe;
	struct list link; /* env->echoes */
	uint16_t seq;
};

static void
ping_free(struct ping *g)
{
	list_remove(&g->link);
	free(g);
}

static void
ping_abort(struct probe *p)
{
	ping_free(CONTAINER(p, struct ping, probe));
}

static void
heard(struct probe_env *env, const struct health_echo *e, const struct ip *from)
{
	if (e->id != env->echo_id || e->cookie != env->echo_cookie)
		return;
	LIST_EACH(l, tmp, &env->echoes)
	{
		struct ping *g = CONTAINER(l, struct ping, link);
		struct probe_job job = g->probe.job;

		if (g->seq == e->seq && ip_equal(from, &job.check->ping)) {
			ping_free(g);
			job.done(job.arg, PROBE_GOOD, "");
			return;
		}
	}
}

static void
drain(struct probe_env *env, int fd, bool v6)
{
	for (unsigned i = 0; i < READS_MAX; i++) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss);
		uint8_t buf[PACKET_MAX];
		ssize_t n = recvfrom(
		    fd, buf, sizeof(buf), MSG_DONTWAIT, (struct sockaddr *)&ss, &len);
		struct health_echo e;
		struct ip from;

		if (n < 0)
			return;
		from = ip_from_sockaddr(&ss).ip;
		if (health_icmp_decode(&e, v6, buf, (size_t)n))
			heard(env, &e, &from);
	}
}

static void
on_ping4(void *arg, unsigned events)
{
	struct probe_env *env = arg;

	(void)events;
	drain(env, env->ping4, false);
}

static void
on_ping6(void *arg, unsigned events)
{
	struct probe_env *env = arg;

	(void)events;
	drain(env, env->ping6, true);
}

/* A raw socket hears all ICMP of the host; the kernel sorts out what we do not want.
 * Should it refuse, the decoder does. */
static void
filter(bool v6, int fd)
{
	struct icmp_filter only4 = {.data = ~(1U << ICMP_ECHOREPLY)};
	struct icmp6_filter only6;

	ICMP6_FILTER_SETBLOCKALL(&only6);
	ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &only6);
	if (v6)
		(void)setsockopt(
		    fd, IPPROTO_ICMPV6, ICMP6_FILTER, &only6, sizeof(only6));
	else
		(void)setsockopt(fd, SOL_RAW, ICMP_FILTER, &only4, sizeof(only4));
}

void
probe_ping_socket(struct probe_env *env, bool v6, int fd)
{
	int *mine = v6 ? &env->ping6 : &env->ping4;
	struct loop_fd **watch = v6 ? &env->ping6_watch : &env->ping4_watch;

	if (*mine >= 0) {
		(void)close(fd);
		return;
	}
	filter(v6, fd);
	*mine = fd;
	*watch = loop_watch(env->loop, fd, LOOP_IN, v6 ? on_ping6 : on_ping4, env);
	if (*watch == NULL) {
		(void)close(fd);
		*mine = -1;
	}
}

void
probe_ping_close(struct probe_env *env)
{
	loop_unwatch(env->ping4_watch);
	loop_unwatch(env->ping6_watch);
	env->ping4_watch = env->ping6_watch = NULL;
	if (env->ping4 >= 0)
		(void)close(env->ping4);
	if (env->ping6 >= 0)
		(void)close(env->ping6);
	env->ping4 = env->ping6 = -1;
}

struct probe *
probe_ping_begin(struct probe_env *env, const struct probe_job *job,
    enum probe_result *result, char why[static HEALTH_WHY_LEN])
{
	struct ip_endpoint to = {.ip = job->check->ping};
	bool v6 = to.ip.family == AF_INET6;
	int fd = v6 ? env->ping6 : env->ping4;
	uint8_t buf[HEALTH_ICMP_LEN];
	struct sockaddr_storage ss;
	socklen_t len = ip_to_sockaddr(&to, &ss);
	struct ping *g;

	if (fd < 0) {
		(void)snprintf(why, HEALTH_WHY_LEN, "no socket for pings");
		*result = PROBE_VOID;
		return NULL;
	}
	g = calloc(1, sizeof(*g));
	if (g == NULL) {
		*result = probe_error(ENOMEM, why);
		return NULL;
	}
	g->probe.job = *job;
	g->probe.abort = ping_abort;
	g->seq = ++env->echo_seq;
	list_init(&g->link);
	health_icmp_encode(
	    &(struct health_echo){
		.id = env->echo_id, .seq = g->seq, .cookie = env->echo_cookie},
	    v6, buf);
	if (sendto(fd, buf, sizeof(buf), MSG_DONTWAIT | MSG_NOSIGNAL,
		(const struct sockaddr *)&ss, len) < 0) {
		*result = probe_error(errno, why);
		free(g);
		return NULL;
	}
	list_append(&env->echoes, &g->link);
	return &g->probe;
}
