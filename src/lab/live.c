/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/live.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/control.h"
#include "cli/verbs.h"
#include "lab/probe.h"

#define TARGETS_MAX 16
#define STEPS_MAX   256
#define NAME_LEN    ((size_t)2 * CLUSTER_NAME_MAX)
#define TEXT_LEN    (4 * NAME_LEN)
#define CONNECT_MS  200
#define EVERY_MS    20
#define CALM_NS	    (2 * SEC_NS)  /* watched after each step, and after its undoing */
#define SETTLE_NS   (10 * SEC_NS) /* for what a step is to bring about */
#define UNSERVED_NS SEC_NS	  /* an address may stay unanswered for so long */

enum kind { KILL_PART, DRAIN, LEAVE };

struct step {
	enum kind kind;
	char what[NAME_LEN]; /* part or server; LEAVE: this host */
	pid_t pid;	     /* KILL_PART: the process killed */
};

/* Where clients connect, and since when nobody has answered there. */
struct target {
	struct ip_endpoint at;
	const char *service;
	mono_t answered;
};

struct live {
	struct live_conf conf;
	char host[NAME_LEN]; /* this one */
	struct target target[TARGETS_MAX];
	size_t n_targets;
	struct step step[STEPS_MAX];
	size_t n_steps;
	const char *returns[TARGETS_MAX]; /* floating addresses of this host */
	size_t n_returns;
	int64_t worst_ns;  /* the longest any target was unanswered in this step */
	const char *worst; /* whose */
};

/* ---- this host's nines ---------------------------------------------------------- */

static json_t *
ask(const struct live *l, const char *verb, const char *what)
{
	const char *words[] = {verb, what};
	char *argv[ARRAY_LEN(words)];
	json_t *answer = NULL;
	int argc = 0;

	while (argc < (int)ARRAY_LEN(words) && words[argc] != NULL) {
		argv[argc] = (char *)(uintptr_t)words[argc];
		argc++;
	}
	if (control_ask(l->conf.run_dir, argc, argv, &answer) != 0)
		return NULL;
	return answer;
}

static bool
order(const struct live *l, const char *verb, const char *what)
{
	json_t *answer = ask(l, verb, what);
	const char *error = json_string_value(json_object_get(answer, "error"));
	bool ok = json_is_true(json_object_get(answer, "ok"));

	if (!ok)
		(void)printf("\n  nines %s %s: %s\n", verb, what,
		    error != NULL ? error : "no answer");
	json_decref(answer);
	return ok;
}

/* Copies the value of a fact; "" if there is none. */
static void
fact_of(const json_t *status, const char *prefix, const char *name, char *value)
{
	char key[sizeof("server ") + 2 * NAME_LEN];

	(void)snprintf(key, sizeof(key), "%s %s", prefix, name);
	(void)snprintf(value, NAME_LEN, "%s", control_fact(status, key));
}

static bool
is_active(const struct live *l, const char *floating_ip)
{
	json_t *status = ask(l, "status", NULL);
	char value[NAME_LEN];

	fact_of(status, "vip", floating_ip, value);
	json_decref(status);
	return strcmp(value, "active") == 0;
}

/* The acting process of a part that is up; 0: it is not. */
static pid_t
part_pid(const struct live *l, const char *part)
{
	json_t *status = ask(l, "status", NULL);
	const json_t *p;
	pid_t pid = 0;
	size_t i;

	json_array_foreach(json_object_get(status, "parts"), i, p)
	{
		const char *name = json_string_value(json_object_get(p, "name"));
		const char *state = json_string_value(json_object_get(p, "state"));

		if (name != NULL && state != NULL && strcmp(name, part) == 0 &&
		    strcmp(state, "up") == 0)
			pid = (pid_t)json_integer_value(json_object_get(p, "pid"));
	}
	json_decref(status);
	return pid;
}

/* ---- the watch ------------------------------------------------------------------ */

static bool
answers(const struct ip_endpoint *at)
{
	struct sockaddr_storage ss;
	socklen_t len = ip_to_sockaddr(at, &ss), size = sizeof(int);
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int err = -1;

	if (fd < 0)
		return false;
	if (connect(fd, (const struct sockaddr *)&ss, len) == 0)
		err = 0;
	else if (errno == EINPROGRESS && poll(&p, 1, CONNECT_MS) == 1 &&
		 getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &size) != 0)
		err = -1;
	(void)close(fd);
	return err == 0;
}

static void
look(struct live *l)
{
	for (size_t i = 0; i < l->n_targets; i++) {
		struct target *t = &l->target[i];
		bool good = answers(&t->at);
		mono_t now = probe_clock();

		if (mono_sub(now, t->answered) > l->worst_ns) {
			l->worst_ns = mono_sub(now, t->answered);
			l->worst = t->service;
		}
		if (good)
			t->answered = now;
	}
}

/* Watches at least `least_ns`, and until `done` (NULL: no more). As drill_until(). */
static int
watch(struct live *l, bool (*done)(struct live *l, struct step *s), struct step *s,
    int64_t least_ns)
{
	struct pollfd p = {.fd = l->conf.signals, .events = POLLIN};
	mono_t start = probe_clock();

	for (;;) {
		int64_t spent = mono_sub(probe_clock(), start);

		look(l);
		if (spent >= least_ns && (done == NULL || done(l, s)))
			return 0;
		if (spent >= least_ns + SETTLE_NS)
			return -ETIMEDOUT;
		if (poll(&p, 1, EVERY_MS) > 0)
			return -EINTR;
	}
}

/* ---- steps ---------------------------------------------------------------------- */

static void
add(struct live *l, enum kind kind, const char *what)
{
	struct step *s = &l->step[l->n_steps];

	if (l->n_steps == STEPS_MAX)
		return;
	s->kind = kind;
	(void)snprintf(s->what, sizeof(s->what), "%s", what);
	l->n_steps++;
}

/*
 * All addresses of this host leave it, and come back. Only where they do come back by
 * themselves: no order given here can take one from another host.
 */
static void
add_leave(struct live *l, const json_t *status)
{
	const struct cluster *c = l->conf.cluster;
	char value[NAME_LEN];

	for (size_t i = 0; i < c->n_floating_ips; i++) {
		const struct floating_ip *f = &c->floating_ip[i];

		fact_of(status, "vip", f->name, value);
		if (strcmp(value, "active") != 0)
			continue;
		if (f->n_hosts > 1 && f->failback &&
		    strcmp(f->host[0]->name, l->host) == 0) {
			l->returns[l->n_returns % ARRAY_LEN(l->returns)] = f->name;
			l->n_returns++;
			continue;
		}
		(void)printf("%s is not moved: only where it has `failback: true` and "
			     "prefers this host would it come back\n",
		    f->name);
		return;
	}
	if (l->n_returns > 0 && l->n_returns <= ARRAY_LEN(l->returns))
		add(l, LEAVE, l->host);
}

/* A server of several that are up: the others can do without it. */
static void
add_drains(struct live *l, const json_t *status, const struct service *s)
{
	const char *up[STEPS_MAX];
	char key[2 * NAME_LEN], value[NAME_LEN];
	size_t n = 0;

	for (size_t i = 0; i < s->n_servers && n < ARRAY_LEN(up); i++) {
		(void)snprintf(key, sizeof(key), "%s %s", s->name, s->server[i].name);
		fact_of(status, "server", key, value);
		if (strcmp(value, "up") == 0 && !s->server[i].backup)
			up[n++] = s->server[i].name;
	}
	for (size_t i = 0; i < n && n > 1; i++)
		add(l, DRAIN, up[i]);
}

/* Services at floating addresses that this host has now. */
static void
add_services(struct live *l, const json_t *status)
{
	const struct cluster *c = l->conf.cluster;
	char value[NAME_LEN];

	for (size_t i = 0; i < c->n_services; i++) {
		const struct service *s = &c->service[i];
		bool here = false;

		for (size_t k = 0; k < s->n_listen; k++) {
			const struct floating_ip *f = s->listen[k].floating_ip;

			if (f == NULL || l->n_targets == TARGETS_MAX)
				continue;
			fact_of(status, "vip", f->name, value);
			here |= strcmp(value, "active") == 0;
			l->target[l->n_targets++] =
			    (struct target){.at = s->listen[k].at, .service = s->name};
		}
		if (here)
			add_drains(l, status, s);
	}
}

static int
plan(struct live *l)
{
	json_t *status = ask(l, "status", NULL);
	const char *host = json_string_value(json_object_get(status, "host"));
	const json_t *p;
	size_t i;

	if (host == NULL) {
		json_decref(status);
		return -ENOENT;
	}
	(void)snprintf(l->host, sizeof(l->host), "%s", host);
	json_array_foreach(json_object_get(status, "parts"), i, p)
	{
		const char *name = json_string_value(json_object_get(p, "name"));

		if (name != NULL)
			add(l, KILL_PART, name);
	}
	add_services(l, status);
	add_leave(l, status);
	json_decref(status);
	return 0;
}

static void
describe(const struct step *s, char *text, size_t size)
{
	switch (s->kind) {
	case KILL_PART:
		(void)snprintf(text, size, "kill the part %s", s->what);
		break;
	case LEAVE:
		(void)snprintf(
		    text, size, "move all addresses from %s, and back", s->what);
		break;
	case DRAIN:
		(void)snprintf(text, size, "drain %s, then enable it", s->what);
		break;
	}
}

static bool
is_replaced(struct live *l, struct step *s)
{
	pid_t pid = part_pid(l, s->what);

	return pid > 0 && pid != s->pid;
}

static size_t
count_active(const struct live *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n_returns; i++)
		n += is_active(l, l->returns[i]);
	return n;
}

static bool
have_left(struct live *l, struct step *s)
{
	(void)s;
	return count_active(l) == 0;
}

static bool
have_returned(struct live *l, struct step *s)
{
	(void)s;
	return count_active(l) == l->n_returns;
}

/* 0, or why it did not go as it should, or -EINTR. */
static int
bring_about(struct live *l, struct step *s)
{
	switch (s->kind) {
	case KILL_PART:
		s->pid = part_pid(l, s->what);
		if (s->pid <= 0 || kill(s->pid, SIGKILL) != 0)
			return -ESRCH;
		return watch(l, is_replaced, s, CALM_NS);
	case DRAIN:
		return order(l, "drain", s->what) ? watch(l, NULL, s, CALM_NS)
						  : -EPROTO;
	case LEAVE:
		return order(l, "drain", s->what) ? watch(l, have_left, s, CALM_NS)
						  : -EPROTO;
	}
	return -EINVAL;
}

static int
undo(struct live *l, struct step *s)
{
	switch (s->kind) {
	case KILL_PART:
		return 0;
	case DRAIN:
		return order(l, "enable", s->what) ? watch(l, NULL, s, CALM_NS)
						   : -EPROTO;
	case LEAVE:
		return order(l, "enable", s->what) ? watch(l, have_returned, s, CALM_NS)
						   : -EPROTO;
	}
	return -EINVAL;
}

/* One step and its undoing, whatever comes. False: that was the last. */
static bool
perform(struct live *l, struct step *s)
{
	char text[TEXT_LEN];
	int err, back;

	describe(s, text, sizeof(text));
	(void)printf("  %-52s ", text);
	(void)fflush(stdout);
	l->worst_ns = 0;
	for (size_t i = 0; i < l->n_targets; i++)
		l->target[i].answered = probe_clock();
	err = bring_about(l, s);
	back = undo(l, s);
	if (err == 0 && back == 0 && l->worst_ns <= UNSERVED_NS) {
		(void)printf("good, nothing unanswered for more than %.0f ms\n",
		    (double)l->worst_ns / 1e6);
		return true;
	}
	if (err == -EINTR || back == -EINTR)
		(void)printf("interrupted\n");
	else if (l->worst_ns > UNSERVED_NS)
		(void)printf("service %s was not answered for %.1f s\n", l->worst,
		    (double)l->worst_ns / 1e9);
	else
		(void)printf(
		    "did not come about: %s\n", strerror(err != 0 ? -err : -back));
	if (back != 0)
		(void)printf("  undoing it failed: see `nines status`\n");
	else if (s->kind != KILL_PART)
		(void)printf("  it was undone; nothing more is tried\n");
	return false;
}

static bool
agreed(const struct live *l)
{
	char answer[16] = "";

	if (l->conf.yes)
		return true;
	(void)printf("This is the real cluster. Go on? [y/N] ");
	(void)fflush(stdout);
	return fgets(answer, sizeof(answer), stdin) != NULL &&
	       (answer[0] == 'y' || answer[0] == 'Y');
}

int
live_drill(const struct live_conf *conf)
{
	struct live *l = calloc(1, sizeof(*l));
	char text[TEXT_LEN];
	int status = 1;

	if (l == NULL)
		return 1;
	l->conf = *conf;
	if (plan(l) != 0) {
		free(l);
		return control_explain(conf->run_dir, -ENOENT);
	}
	(void)printf("on %s, one at a time:\n", l->host);
	for (size_t i = 0; i < l->n_steps; i++) {
		describe(&l->step[i], text, sizeof(text));
		(void)printf("  %s\n", text);
	}
	if (!agreed(l)) {
		(void)printf("nothing was done\n");
	} else {
		status = 0;
		for (size_t i = 0; i < l->n_steps && status == 0; i++)
			status = perform(l, &l->step[i]) ? 0 : 1;
	}
	free(l);
	return status;
}
