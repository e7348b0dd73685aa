/* SPDX-License-Identifier: Apache-2.0 */
/* What all kinds of checks share. */
#include "health/health_probe.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/ssl.h>

void
probe_env_init(struct probe_env *env, struct loop *loop)
{
	*env = (struct probe_env){.loop = loop, .ping4 = -1, .ping6 = -1};
	list_init(&env->lingering);
	list_init(&env->echoes);
	list_init(&env->programs);
	/* Other programs ping too; a number that is not ours is only passed over. */
	(void)!getrandom(&env->echo_id, sizeof(env->echo_id), GRND_NONBLOCK);
	(void)!getrandom(&env->echo_cookie, sizeof(env->echo_cookie), GRND_NONBLOCK);
}

void
probe_env_done(struct probe_env *env)
{
	probe_exec_kill(env);
	probe_ping_close(env);
	probe_stream_close(env);
	SSL_CTX_free(env->tls);
	SSL_CTX_free(env->tls_verify);
	env->tls = env->tls_verify = NULL;
}

enum probe_result
probe_error(int err, char why[static HEALTH_WHY_LEN])
{
	static const struct {
		int err;
		enum probe_result result;
		const char *text;
	} known[] = {
	    {ECONNREFUSED, PROBE_BAD, "connection refused"},
	    {ECONNRESET, PROBE_BAD, "connection reset"},
	    {EPIPE, PROBE_BAD, "connection reset"},
	    {ETIMEDOUT, PROBE_BAD, "no answer to packets"},
	    {EHOSTUNREACH, PROBE_BAD, "host unreachable"},
	    {ENETUNREACH, PROBE_BAD, "no route to its network"},
	    {EMFILE, PROBE_VOID, "this host has no descriptors left"},
	    {ENFILE, PROBE_VOID, "this host has no descriptors left"},
	    {ENOMEM, PROBE_VOID, "this host has no memory left"},
	    {ENOBUFS, PROBE_VOID, "this host has no memory left"},
	    {EAGAIN, PROBE_VOID, "this host has no processes or ports left"},
	    {EADDRNOTAVAIL, PROBE_VOID,
		"this host has no ports left, or not the address of `source`"},
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (known[i].err == err) {
			(void)snprintf(why, HEALTH_WHY_LEN, "%s", known[i].text);
			return known[i].result;
		}
	}
	(void)snprintf(why, HEALTH_WHY_LEN, "%s", strerror(err));
	why[0] = (char)tolower((unsigned char)why[0]);
	return PROBE_BAD;
}

struct probe *
probe_begin(struct probe_env *env, const struct probe_job *job,
    enum probe_result *result, char why[static HEALTH_WHY_LEN])
{
	switch (job->check->type) {
	case CHECK_TCP:
	case CHECK_HTTP:
	case CHECK_HTTPS:
		return probe_stream_begin(env, job, result, why);
	case CHECK_EXEC:
		return probe_exec_begin(env, job, result, why);
	case CHECK_PING:
		return probe_ping_begin(env, job, result, why);
	case CHECK_NONE:
		break;
	}
	*result = PROBE_GOOD;
	return NULL;
}

void
probe_abort(struct probe *p)
{
	if (p != NULL)
		p->abort(p);
}
