/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health_probe.h - one check of one target, once (private to health/).
 *
 * Probes do not know about time: whoever began one ends it when it takes too long.
 */
#ifndef NINES_HEALTH_HEALTH_PROBE_H
#define NINES_HEALTH_HEALTH_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/ip.h"
#include "base/list.h"
#include "base/loop.h"
#include "config/cluster.h"

#define HEALTH_WHY_LEN 160 /* with the NUL */

enum probe_result {
	PROBE_GOOD,
	PROBE_BAD,  /* `why` says what a person should know */
	PROBE_VOID, /* this host could not ask; `why` says what it lacks */
};

/* What all probes share. */
struct probe_env {
	struct loop *loop;
	struct ssl_ctx_st *tls, *tls_verify; /* made when first needed */
	struct list lingering;		     /* connections whose result is known */
	unsigned n_lingering;
	struct list echoes; /* pings under way */
	int ping4, ping6;   /* raw sockets, -1: none yet */
	struct loop_fd *ping4_watch, *ping6_watch;
	uint16_t echo_id, echo_seq;
	uint64_t echo_cookie;
	struct list programs; /* exec, those killed but not yet gone included */
	unsigned n_programs;
};

/* Everything lives at least as long as the probe. */
struct probe_job {
	const struct check_conf *check;
	struct ip_endpoint at;
	const char *unix_path;	      /* NULL: at `at` */
	struct ip source;	      /* where from; family 0: anywhere */
	unsigned send_proxy;	      /* version of a PROXY header in front; 0: none */
	const char *service, *server; /* or NULL ... */
	const char *floating_ip;      /* ... and this */
	/* Called once, after probe_begin(), unless aborted; the probe is gone then. */
	void (*done)(void *arg, enum probe_result result, const char *why);
	/* Called before that, if there is a connection, which took `ns`. */
	void (*connected)(void *arg, int64_t ns);
	void *arg;
};

struct probe {
	struct probe_job job;
	void (*abort)(struct probe *p);
};

void probe_env_init(struct probe_env *env, struct loop *loop);
/* No probe may be under way. Kills programs that are left. */
void probe_env_done(struct probe_env *env);

/* NULL: it ended at once with *result, and `why` if that is not PROBE_GOOD. */
struct probe *probe_begin(struct probe_env *env, const struct probe_job *job,
    enum probe_result *result, char why[static HEALTH_WHY_LEN]) MUST_CHECK;
/* NULL is fine. */
void probe_abort(struct probe *p);

/* ---- for the kinds of probes --------------------------------------------------- */

/* PROBE_VOID or PROBE_BAD, and words for `err`, an errno of a system call. */
enum probe_result probe_error(int err, char why[static HEALTH_WHY_LEN]);

struct probe *probe_stream_begin(struct probe_env *env, const struct probe_job *job,
    enum probe_result *result, char why[static HEALTH_WHY_LEN]) MUST_CHECK;
struct probe *probe_exec_begin(struct probe_env *env, const struct probe_job *job,
    enum probe_result *result, char why[static HEALTH_WHY_LEN]) MUST_CHECK;
struct probe *probe_ping_begin(struct probe_env *env, const struct probe_job *job,
    enum probe_result *result, char why[static HEALTH_WHY_LEN]) MUST_CHECK;

/* A raw ICMP socket arrived; it is the environment's from now on. */
void probe_ping_socket(struct probe_env *env, bool v6, int fd);
void probe_ping_close(struct probe_env *env);
void probe_stream_close(struct probe_env *env);
void probe_exec_kill(struct probe_env *env);

#endif /* NINES_HEALTH_HEALTH_PROBE_H */
