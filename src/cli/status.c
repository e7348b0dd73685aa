/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status: this host's parts, floating addresses, services and servers, and why
 * anything is not healthy. Everything comes from the supervisor's facts; counters come
 * from the proxy's shared segment without disturbing it.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/stats.h"
#include "cli/cli.h"
#include "cli/control.h"
#include "cli/verbs.h"
#include "part/mood.h"

#define SERVICE_LEN 64 /* of its name, with the NUL */

struct view {
	const json_t *answer;
	struct stats *stats; /* the proxy's counters; NULL: none to be had */
	struct stats *sync;  /* those of the state sync */
	bool colour;
};

static const char *
text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL ? s : "";
}

static json_int_t
number_of(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static void
say(const struct view *v, const char *value, int width)
{
	static const char *const shade[] = {"\033[32m", "\033[33m", "\033[31m"};

	(void)printf("%s%-*s%s", v->colour ? shade[mood_of(value)] : "", width, value,
	    v->colour ? "\033[0m" : "");
}

static void
title(const struct view *v, const char *s)
{
	(void)printf(
	    "\n%s%s%s\n", v->colour ? "\033[1m" : "", s, v->colour ? "\033[0m" : "");
}

/* "3d 4h", "2h 13m", "12 s", "80 ms" */
static void
age(json_int_t ms)
{
	json_int_t s = ms / 1000;

	if (ms < 1000)
		(void)printf("%" JSON_INTEGER_FORMAT " ms", ms);
	else if (s < 120)
		(void)printf("%" JSON_INTEGER_FORMAT " s", s);
	else if (s < 7200)
		(void)printf("%" JSON_INTEGER_FORMAT "m", s / 60);
	else if (s < 172800)
		(void)printf("%" JSON_INTEGER_FORMAT "h %" JSON_INTEGER_FORMAT "m",
		    s / 3600, s / 60 % 60);
	else
		(void)printf("%" JSON_INTEGER_FORMAT "d %" JSON_INTEGER_FORMAT "h",
		    s / 86400, s / 3600 % 24);
}

/* What follows `prefix` in the fact's key, or NULL. */
static const char *
after(const json_t *fact, const char *prefix)
{
	const char *key = text_of(fact, "key");
	size_t n = strlen(prefix);

	return strncmp(key, prefix, n) == 0 ? key + n : NULL;
}

static const json_t *
find_fact(const struct view *v, const char *prefix, const char *rest)
{
	const json_t *facts = json_object_get(v->answer, "facts"), *fact;
	const char *found;
	size_t i;

	json_array_foreach(facts, i, fact)
	{
		found = after(fact, prefix);
		if (found != NULL && strcmp(found, rest) == 0)
			return fact;
	}
	return NULL;
}

/* Sum over all writers of one counter. */
struct wanted {
	const char *name, *label, *field;
	uint64_t sum;
};

static void
add(void *arg, const char *name, const char *label, unsigned writer, const char *field,
    uint64_t value)
{
	struct wanted *w = arg;

	(void)writer;
	if (strcmp(name, w->name) == 0 && strcmp(label, w->label) == 0 &&
	    strcmp(field, w->field) == 0)
		w->sum += value;
}

static void
counters(const struct view *v, const char *name, const char *label,
    const char *const fields[], size_t n)
{
	if (v->stats == NULL)
		return;
	for (size_t i = 0; i < n; i++) {
		struct wanted w = {.name = name, .label = label, .field = fields[i]};

		stats_each(v->stats, add, &w);
		(void)printf("  %" PRIu64 " %s", w.sum, fields[i]);
	}
}

/* A port that the proxy cannot have is nobody's to answer. */
static void
show_ports(struct view *v)
{
	const json_t *fact = find_fact(v, "proxy listen", "");

	if (fact == NULL || mood_of(text_of(fact, "value")) == MOOD_GOOD)
		return;
	(void)printf("  %-14s ", "ports");
	say(v, text_of(fact, "value"), 0);
	(void)printf("\n");
}

static void
show_parts(struct view *v)
{
	const json_t *parts = json_object_get(v->answer, "parts"), *p, *pid;
	size_t i, k;

	title(v, "parts");
	json_array_foreach(parts, i, p)
	{
		(void)printf("  %-14s ", text_of(p, "name"));
		say(v, text_of(p, "state"), 10);
		if (number_of(p, "pid") > 0)
			(void)printf(
			    "  pid %" JSON_INTEGER_FORMAT, number_of(p, "pid"));
		if (number_of(p, "spare_pid") > 0)
			(void)printf(
			    "  spare %" JSON_INTEGER_FORMAT, number_of(p, "spare_pid"));
		(void)printf(
		    "  restarts %" JSON_INTEGER_FORMAT, number_of(p, "restarts"));
		json_array_foreach(json_object_get(p, "finishing"), k, pid)
		{
			(void)printf("  finishing %" JSON_INTEGER_FORMAT,
			    json_integer_value(pid));
		}
		(void)printf("\n");
	}
	show_ports(v);
}

static void
show_vips(struct view *v)
{
	const json_t *facts = json_object_get(v->answer, "facts"), *fact, *check;
	const char *name;
	bool any = false;
	size_t i;

	json_array_foreach(facts, i, fact)
	{
		name = after(fact, "vip ");
		if (name == NULL)
			continue;
		if (!any)
			title(v, "floating addresses");
		any = true;
		(void)printf("  %-14s ", name);
		say(v, text_of(fact, "value"), 10);
		(void)printf("  for ");
		age(number_of(fact, "age_ms"));
		check = find_fact(v, "check ", name);
		if (check != NULL) {
			(void)printf("  check ");
			say(v, text_of(check, "value"), 0);
		}
		(void)printf("\n");
	}
}

static void
show_vpns(struct view *v)
{
	const json_t *facts = json_object_get(v->answer, "facts"), *fact;
	const char *name;
	bool any = false;
	size_t i;

	json_array_foreach(facts, i, fact)
	{
		name = after(fact, "vpn ");
		if (name == NULL)
			continue;
		if (!any)
			title(v, "VPN");
		any = true;
		(void)printf("  %-14s ", name);
		say(v, text_of(fact, "value"), 10);
		(void)printf("  for ");
		age(number_of(fact, "age_ms"));
		(void)printf("\n");
	}
}

static void
show_firewall(struct view *v)
{
	static const char *const rows[] = {"rules", "table"};
	const json_t *fact;

	if (find_fact(v, "firewall ", "rules") == NULL)
		return;
	title(v, "firewall");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		fact = find_fact(v, "firewall ", rows[i]);
		if (fact == NULL)
			continue;
		(void)printf("  %-14s ", rows[i]);
		say(v, text_of(fact, "value"), 10);
		(void)printf("  for ");
		age(number_of(fact, "age_ms"));
		(void)printf("\n");
	}
}

/* Next hops and routes of a gateway, or of a host behind the gateways. */
static void
show_gateway(struct view *v)
{
	static const struct {
		const char *prefix, *what;
	} rows[] = {{"gateway forward", "forwarding"}, {"gateway route ", "to "},
	    {"gateway next-hop ", "next hop "}};
	const json_t *facts = json_object_get(v->answer, "facts"), *fact;
	const char *name;
	bool any = false;
	size_t i, k;

	for (k = 0; k < ARRAY_LEN(rows); k++) {
		json_array_foreach(facts, i, fact)
		{
			name = after(fact, rows[k].prefix);
			if (name == NULL)
				continue;
			if (!any)
				title(v, "routing");
			any = true;
			(void)printf("  %s%-*s ", rows[k].what,
			    26 - (int)strlen(rows[k].what), name);
			say(v, text_of(fact, "value"), 10);
			(void)printf("  for ");
			age(number_of(fact, "age_ms"));
			(void)printf("\n");
		}
	}
}

static uint64_t
sync_counter(const struct view *v, const char *host, const char *field)
{
	char label[STATS_LABEL_LEN];
	struct wanted w = {.name = "sync", .label = label, .field = field};

	(void)snprintf(label, sizeof(label), "peer=%s", host);
	if (v->sync != NULL)
		stats_each(v->sync, add, &w);
	return w.sum;
}

/* How many connections the other firewall knows, and how long it takes to tell it. */
static void
show_sync_peer(struct view *v, const char *host, const char *value)
{
	const uint64_t flows = sync_counter(v, host, "flows");

	(void)printf("  %-14s ", host);
	say(v, value, 10);
	if (strstr(value, "to it") != NULL)
		(void)printf("  %" PRIu64 " of %" PRIu64
			     " connections there  lag %.2f ms",
		    sync_counter(v, host, "told"), flows,
		    (double)sync_counter(v, host, "lag_max_us") / 1000.0);
	else if (strstr(value, "from it") != NULL)
		(void)printf("  %" PRIu64 " connections from there", flows);
	(void)printf("\n");
}

static void
show_sync(struct view *v)
{
	const json_t *facts = json_object_get(v->answer, "facts"), *fact;
	const char *name;
	bool any = false;
	size_t i;

	json_array_foreach(facts, i, fact)
	{
		name = after(fact, "sync peer ");
		if (name == NULL)
			name = after(fact, "sync ");
		if (name == NULL)
			continue;
		if (!any)
			title(v, "shared connections");
		any = true;
		show_sync_peer(v, name, text_of(fact, "value"));
	}
}

static void
show_servers(struct view *v, const char *service)
{
	static const char *const fields[] = {"requests", "connect_errors", "retries"};
	const json_t *facts = json_object_get(v->answer, "facts"), *fact, *drain;
	char label[STATS_LABEL_LEN], prefix[256];
	const char *name;
	size_t i;

	(void)snprintf(prefix, sizeof(prefix), "server %s ", service);
	json_array_foreach(facts, i, fact)
	{
		name = after(fact, prefix);
		if (name == NULL)
			continue;
		(void)printf("    %-20s ", name);
		say(v, text_of(fact, "value"), 8);
		drain = find_fact(v, "admin ", name);
		if (drain != NULL) {
			(void)printf("  ");
			say(v, text_of(drain, "value"), 0);
		}
		(void)printf("  for ");
		age(number_of(fact, "age_ms"));
		(void)snprintf(
		    label, sizeof(label), "service=%s server=%s", service, name);
		counters(v, "proxy_server", label, fields, ARRAY_LEN(fields));
		(void)printf("\n");
	}
}

/* Its table of sources, if it has one. */
static void
show_sources(struct view *v, const char *service)
{
	static const char *const fields[] = {"sources", "told", "heard", "evicted"};
	const json_t *fact = find_fact(v, "proxy sources ", service);
	char label[STATS_LABEL_LEN];

	if (fact == NULL)
		return;
	(void)printf("    %-20s ", "table of sources");
	say(v, text_of(fact, "value"), 8);
	(void)printf("  for ");
	age(number_of(fact, "age_ms"));
	(void)snprintf(label, sizeof(label), "service=%s", service);
	counters(v, "proxy_sources", label, fields, ARRAY_LEN(fields));
	(void)printf("\n");
}

/* Files that the cluster file names for it, where there is something to say of them. */
static void
show_files(struct view *v, const char *service)
{
	static const char *const kind[][2] = {{"proxy tls ", "TLS"},
	    {"proxy page ", "pages"}, {"proxy sticky ", "cookie's key"}};

	for (size_t i = 0; i < ARRAY_LEN(kind); i++) {
		const json_t *fact = find_fact(v, kind[i][0], service);

		if (fact == NULL)
			continue;
		(void)printf("    %-20s ", kind[i][1]);
		say(v, text_of(fact, "value"), 0);
		(void)printf("\n");
	}
}

static void
show_service(struct view *v, const char *name, const char *value)
{
	static const char *const fields[] = {
	    "requests", "connections", "responses_5xx"};
	char label[STATS_LABEL_LEN];

	(void)printf("  %-22s ", name);
	say(v, value, 8);
	(void)snprintf(label, sizeof(label), "service=%s", name);
	counters(v, "proxy_service", label, fields, ARRAY_LEN(fields));
	(void)printf("\n");
	show_servers(v, name);
	show_sources(v, name);
	show_files(v, name);
}

/* The service that a fact is about, or false. */
static bool
service_of(const json_t *fact, char service[static SERVICE_LEN])
{
	static const char *const about[] = {
	    "service ", "server ", "proxy tls ", "proxy page ", "proxy sticky "};

	for (size_t i = 0; i < ARRAY_LEN(about); i++) {
		const char *name = after(fact, about[i]);

		if (name == NULL)
			continue;
		(void)snprintf(
		    service, SERVICE_LEN, "%.*s", (int)strcspn(name, " "), name);
		return true;
	}
	return false;
}

/* In the order in which they were first heard of. Nothing is said of a service itself
 * before its checks come to a verdict. */
static void
show_services(struct view *v)
{
	const json_t *facts = json_object_get(v->answer, "facts"), *fact;
	json_t *shown = json_object();
	char name[SERVICE_LEN];
	size_t i;

	json_array_foreach(facts, i, fact)
	{
		const json_t *own;

		if (!service_of(fact, name) || json_object_get(shown, name) != NULL)
			continue;
		if (json_object_size(shown) == 0)
			title(v, "services");
		(void)json_object_set_new(shown, name, json_true());
		own = find_fact(v, "service ", name);
		show_service(v, name, own != NULL ? text_of(own, "value") : "unknown");
	}
	json_decref(shown);
}

static void
show_orders(struct view *v)
{
	const json_t *facts = json_object_get(v->answer, "facts"), *fact;
	const char *name;
	size_t i;

	json_array_foreach(facts, i, fact)
	{
		name = after(fact, "admin ");
		if (name != NULL)
			(void)printf(
			    "\n%s is drained; `nines enable %s` brings it back\n", name,
			    name);
		name = after(fact, "switch ");
		if (name != NULL)
			(void)printf(
			    "\n%s is switched to %s\n", name, text_of(fact, "value"));
		name = after(fact, "weight ");
		if (name != NULL)
			(void)printf("\n%s has weight %s by `nines weight`\n", name,
			    text_of(fact, "value"));
	}
}

static void
show_advice(const struct view *v)
{
	const json_t *fact = find_fact(v, "proxy advice", "");

	if (fact != NULL)
		(void)printf("\nadvice: %s\n", text_of(fact, "value"));
}

static void
show(struct view *v)
{
	const char *error = text_of(v->answer, "refused");

	(void)printf("%s%s%s of cluster %s, generation %" JSON_INTEGER_FORMAT ", up ",
	    v->colour ? "\033[1m" : "", text_of(v->answer, "host"),
	    v->colour ? "\033[0m" : "", text_of(v->answer, "cluster"),
	    number_of(v->answer, "generation"));
	age(number_of(v->answer, "uptime_ms"));
	(void)printf("\n");
	if (error[0] != '\0')
		(void)printf(
		    "\nthe cluster file on disk has errors and is not in use:\n%s",
		    error);
	show_parts(v);
	show_vips(v);
	show_firewall(v);
	show_vpns(v);
	show_gateway(v);
	show_sync(v);
	show_services(v);
	show_orders(v);
	show_advice(v);
}

/* Sums over the writers; of what could not be stored, nothing is shown. */
static void
add_counter(void *arg, const char *name, const char *label, unsigned writer,
    const char *field, uint64_t value)
{
	char key[STATS_NAME_LEN + STATS_LABEL_LEN];
	json_t *all = arg, *block;

	(void)writer;
	(void)snprintf(key, sizeof(key), "%s %s", name, label);
	block = json_object_get(all, key);
	if (block == NULL) {
		block = json_object();
		(void)json_object_set_new(all, key, block);
	}
	(void)json_object_set_new(
	    block, field, json_integer(number_of(block, field) + (json_int_t)value));
}

/* "proxy_service service=site": {"requests": 17, ...} */
static void
add_counters(json_t *answer, const char *run_dir)
{
	static const char *const part[] = {"proxy", "sync"};
	json_t *all = json_object();

	for (size_t i = 0; i < ARRAY_LEN(part); i++) {
		struct stats *stats = control_stats(run_dir, part[i]);

		if (stats != NULL)
			stats_each(stats, add_counter, all);
		stats_close(stats);
	}
	(void)json_object_set_new(answer, "counters", all);
}

/* The supervisor judges; programs and people get the same exit status. */
static int
verdict(const json_t *answer)
{
	const json_t *healthy = json_object_get(answer, "healthy");

	if (healthy == NULL)
		(void)fprintf(stderr,
		    "nines status: `nines run` is of an older version and does not say "
		    "whether all is well; `nines upgrade` changes that\n");
	return json_is_true(healthy) ? 0 : EXIT_NEGATIVE;
}

int
cli_status(int argc, char **argv)
{
	static const struct option options[] = {
	    {"run-dir", required_argument, NULL, 'r'},
	    {"json", no_argument, NULL, 'j'},
	    {NULL, 0, NULL, 0},
	};
	struct view v = {.colour = isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL};
	const char *run_dir = cli_run_dir();
	bool as_json = false;
	json_t *answer;
	int c, err, status;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'r')
			run_dir = optarg;
		else if (c == 'j')
			as_json = true;
		else
			return verb_usage(verb_find(verbs, "status"));
	}
	if (optind != argc)
		return verb_usage(verb_find(verbs, "status"));
	err = control_ask(run_dir, 1, argv, &answer);
	if (err != 0)
		return control_explain(run_dir, err);
	status = verdict(answer);
	if (as_json) {
		add_counters(answer, run_dir);
		(void)json_dumpf(answer, stdout, JSON_INDENT(2));
		(void)printf("\n");
		json_decref(answer);
		return status;
	}
	v.answer = answer;
	v.stats = control_stats(run_dir, "proxy");
	v.sync = control_stats(run_dir, "sync");
	show(&v);
	stats_close(v.stats);
	stats_close(v.sync);
	json_decref(answer);
	return status;
}
