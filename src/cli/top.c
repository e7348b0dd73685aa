/* SPDX-License-Identifier: Apache-2.0 */
/* top: what services, servers and workers do each second, from the proxy's counters. */

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/stats.h"
#include "cli/cli.h"
#include "cli/control.h"
#include "cli/verbs.h"

#define ROWS_MAX	16384
#define WORKERS_MAX	64
#define SERVICE_COUNTER "proxy_service"
#define SERVER_COUNTER	"proxy_server"
#define SOURCES_COUNTER "proxy_sources"

/* A counter is shown by second, a gauge as it is, a rare one only while it is anywhere
 * not 0. */
enum column_kind { COUNTER, GAUGE, RARE_GAUGE };

/* Of services and of servers. */
static const struct column {
	const char *field, *title;
	enum column_kind kind;
} columns[] = {
    {"requests", "requests/s", COUNTER}, {"active", "active", GAUGE},
    {"connections", "connects/s", COUNTER}, {"responses_5xx", "5xx/s", COUNTER},
    {"queue", "queued", GAUGE}, {"unserved", "unserved/s", COUNTER},
    {"retries", "retries/s", COUNTER}, {"ejections", "ejected/s", COUNTER},
    {"bytes_out", "bytes/s", COUNTER},
    {"sources", "sources", RARE_GAUGE}, /* in the table of the service */
    {"apart", "apart", RARE_GAUGE},	/* load balancers that have another one */
};

enum { COLUMNS = ARRAY_LEN(columns) };

/* All writers of one block together. */
struct row {
	char label[STATS_LABEL_LEN];
	bool server;
	uint64_t value[COLUMNS];
};

struct sample {
	struct row *row;
	size_t n;
	uint64_t worker[WORKERS_MAX]; /* requests of services */
	unsigned n_workers;
	json_t *present; /* labels of what the file names; NULL: nobody says */
};

static struct row *
find_row(struct sample *s, const char *label)
{
	/* The fields of a block come one after another. */
	if (s->n > 0 && strcmp(s->row[s->n - 1].label, label) == 0)
		return &s->row[s->n - 1];
	for (size_t i = 0; i < s->n; i++) {
		if (strcmp(s->row[i].label, label) == 0)
			return &s->row[i];
	}
	return NULL;
}

/* NULL: what the label names is gone, or there is no room. */
static struct row *
need_row(struct sample *s, const char *label, bool server)
{
	struct row *r = find_row(s, label);

	if (r != NULL || s->n == ROWS_MAX)
		return r;
	if (s->present != NULL && json_object_get(s->present, label) == NULL)
		return NULL;
	r = &s->row[s->n++];
	*r = (struct row){.server = server};
	(void)snprintf(r->label, sizeof(r->label), "%s", label);
	return r;
}

static void
add(void *arg, const char *name, const char *label, unsigned writer, const char *field,
    uint64_t value)
{
	struct sample *s = arg;
	bool server = strcmp(name, SERVER_COUNTER) == 0;
	struct row *r;

	if (!server && strcmp(name, SERVICE_COUNTER) != 0 &&
	    strcmp(name, SOURCES_COUNTER) != 0)
		return;
	if (!server && strcmp(field, "requests") == 0 && writer < WORKERS_MAX) {
		s->worker[writer] += value;
		if (writer >= s->n_workers)
			s->n_workers = writer + 1;
	}
	r = need_row(s, label, server);
	for (size_t i = 0; r != NULL && i < COLUMNS; i++) {
		if (strcmp(columns[i].field, field) == 0)
			r->value[i] += value;
	}
}

/* "server SITE WEB" is a fact about counters "service=SITE server=WEB". */
static void
note_present(json_t *present, const char *key)
{
	char label[STATS_LABEL_LEN];
	const char *service, *server;

	if (strncmp(key, "server ", strlen("server ")) != 0)
		return;
	service = key + strlen("server ");
	server = strchr(service, ' ');
	if (server == NULL)
		return;
	(void)snprintf(
	    label, sizeof(label), "service=%.*s", (int)(server - service), service);
	(void)json_object_set_new(present, label, json_true());
	(void)snprintf(label, sizeof(label), "service=%.*s server=%s",
	    (int)(server - service), service, server + 1);
	(void)json_object_set_new(present, label, json_true());
}

/* Counters outlive what they count; facts do not. NULL: nobody answers. */
static json_t *
ask_present(const char *run_dir)
{
	char status[] = "status", *words[] = {status};
	json_t *answer, *present, *fact;
	size_t i;

	if (control_ask(run_dir, 1, words, &answer) != 0)
		return NULL;
	present = json_object();
	json_array_foreach(json_object_get(answer, "facts"), i, fact)
	{
		const char *key = json_string_value(json_object_get(fact, "key"));

		if (key != NULL)
			note_present(present, key);
	}
	json_decref(answer);
	return present;
}

/* False: there are no counters. */
static bool
take_sample(struct sample *s, const char *run_dir)
{
	struct stats *stats = control_stats(run_dir, "proxy");
	struct row *row = s->row;

	*s = (struct sample){.row = row};
	if (stats == NULL)
		return false;
	s->present = ask_present(run_dir);
	stats_each(stats, add, s);
	stats_close(stats);
	json_decref(s->present);
	s->present = NULL;
	return true;
}

/* What grew meanwhile; a part that began anew has counters that fell. */
static uint64_t
grown(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

static uint64_t
figure(const struct row *now, const struct row *before, size_t i, uint64_t seconds)
{
	if (columns[i].kind != COUNTER)
		return now->value[i];
	return grown(now->value[i], before != NULL ? before->value[i] : now->value[i]) /
	       seconds;
}

/* The words behind '=' of "service=S" or "service=S server=N". */
static void
names(const struct row *r, char service[static STATS_LABEL_LEN], const char **server)
{
	const char *s = strchr(r->label, '=');
	char *end;

	(void)snprintf(service, STATS_LABEL_LEN, "%s", s != NULL ? s + 1 : r->label);
	end = strstr(service, " server=");
	*server = end != NULL ? end + strlen(" server=") : "";
	if (end != NULL)
		*end = '\0';
}

static bool
is_shown(const struct sample *s, size_t column)
{
	for (size_t i = 0; columns[column].kind == RARE_GAUGE && i < s->n; i++) {
		if (s->row[i].value[column] != 0)
			return true;
	}
	return columns[column].kind != RARE_GAUGE;
}

static void
print_row(const struct sample *now, struct sample *before, size_t i, uint64_t seconds)
{
	const struct row *r = &now->row[i], *old = find_row(before, r->label);
	char service[STATS_LABEL_LEN], text[STATS_LABEL_LEN + 4];
	const char *server;

	names(r, service, &server);
	(void)snprintf(text, sizeof(text), "%s%s", r->server ? "  " : "",
	    r->server ? server : service);
	(void)printf("%-26s", text);
	for (size_t k = 0; k < COLUMNS; k++) {
		if (is_shown(now, k))
			(void)printf(" %10" PRIu64, figure(r, old, k, seconds));
	}
	(void)printf("\n");
}

static bool
of_service(const struct row *server, const struct row *service)
{
	size_t n = strlen(service->label);

	return server->server && strncmp(server->label, service->label, n) == 0 &&
	       server->label[n] == ' ';
}

static void
print_table(const struct sample *now, struct sample *before, uint64_t seconds)
{
	(void)printf("%-26s", "");
	for (size_t k = 0; k < COLUMNS; k++) {
		if (is_shown(now, k))
			(void)printf(" %10s", columns[k].title);
	}
	(void)printf("\n");
	for (size_t i = 0; i < now->n; i++) {
		if (now->row[i].server)
			continue;
		print_row(now, before, i, seconds);
		for (size_t k = 0; k < now->n; k++) {
			if (of_service(&now->row[k], &now->row[i]))
				print_row(now, before, k, seconds);
		}
	}
	(void)printf("requests/s by worker:");
	for (unsigned i = 0; i < now->n_workers; i++)
		(void)printf(
		    " %" PRIu64, grown(now->worker[i], before->worker[i]) / seconds);
	(void)printf("\n");
}

static json_t *
row_json(const struct row *r, struct sample *before, uint64_t seconds)
{
	const struct row *old = find_row(before, r->label);
	char service[STATS_LABEL_LEN], key[STATS_NAME_LEN + 16];
	json_t *o = json_object();
	const char *server;

	names(r, service, &server);
	(void)json_object_set_new(o, "service", json_string(service));
	if (r->server)
		(void)json_object_set_new(o, "server", json_string(server));
	for (size_t k = 0; k < COLUMNS; k++) {
		(void)snprintf(key, sizeof(key), "%s%s", columns[k].field,
		    columns[k].kind != COUNTER ? "" : "_per_second");
		(void)json_object_set_new(
		    o, key, json_integer((json_int_t)figure(r, old, k, seconds)));
	}
	return o;
}

static void
print_json(const struct sample *now, struct sample *before, uint64_t seconds)
{
	json_t *all = json_object(), *rows = json_array(), *workers = json_array();

	for (size_t i = 0; i < now->n; i++)
		(void)json_array_append_new(
		    rows, row_json(&now->row[i], before, seconds));
	for (unsigned i = 0; i < now->n_workers; i++)
		(void)json_array_append_new(workers,
		    json_integer((json_int_t)(grown(now->worker[i], before->worker[i]) /
					      seconds)));
	(void)json_object_set_new(all, "rows", rows);
	(void)json_object_set_new(all, "worker_requests_per_second", workers);
	(void)json_dumpf(all, stdout, JSON_COMPACT);
	(void)printf("\n");
	json_decref(all);
}

/* How many seconds have passed: the timer tells, should we have slept longer. */
static uint64_t
wait_second(int timer)
{
	uint64_t n = 1;

	(void)fflush(stdout);
	while (read(timer, &n, sizeof(n)) < 0 && errno == EINTR)
		continue;
	return n > 0 ? n : 1;
}

static int
watch(const char *run_dir, bool once, bool as_json)
{
	const struct itimerspec second = {{.tv_sec = 1}, {.tv_sec = 1}};
	struct sample a = {.row = calloc(ROWS_MAX, sizeof(struct row))};
	struct sample b = {.row = calloc(ROWS_MAX, sizeof(struct row))}, swap;
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), status = 0;
	bool clear = isatty(STDOUT_FILENO) && !once && !as_json;
	uint64_t seconds;

	if (a.row == NULL || b.row == NULL || timer < 0 ||
	    timerfd_settime(timer, 0, &second, NULL) != 0 || !take_sample(&a, run_dir))
		status = control_explain(run_dir, -ENOENT);
	while (status == 0) {
		seconds = wait_second(timer);
		if (!take_sample(&b, run_dir)) {
			status = control_explain(run_dir, -ENOENT);
			break;
		}
		if (clear)
			(void)printf("\033[H\033[2J");
		if (as_json)
			print_json(&b, &a, seconds);
		else
			print_table(&b, &a, seconds);
		if (once || ferror(stdout))
			break;
		swap = a;
		a = b;
		b = swap;
	}
	if (timer >= 0)
		(void)close(timer);
	free(a.row);
	free(b.row);
	return status;
}

int
cli_top(int argc, char **argv)
{
	static const struct option options[] = {
	    {"run-dir", required_argument, NULL, 'r'},
	    {"json", no_argument, NULL, 'j'},
	    {"once", no_argument, NULL, 'o'},
	    {NULL, 0, NULL, 0},
	};
	const char *run_dir = cli_run_dir();
	bool as_json = false, once = false;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'r')
			run_dir = optarg;
		else if (c == 'j')
			as_json = true;
		else if (c == 'o')
			once = true;
		else
			return verb_usage(verb_find(verbs, "top"));
	}
	if (optind != argc)
		return verb_usage(verb_find(verbs, "top"));
	return watch(run_dir, once, as_json);
}
