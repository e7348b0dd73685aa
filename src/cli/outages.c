/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/outages.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/verbs.h"
#include "topology/history.h"

#define WHEN_LEN     40
#define LINE_MAX_LEN 8192
#define BACK_MS	     (INT64_C(3600) * 1000) /* clocks are set */
/* What goes, or comes back, within this does so for one reason. */
#define APART_MS 60000

/* Facts about things that fail, by the beginning of their keys. */
static const struct {
	const char *prefix;
	enum availability_kind kind;
} about[] = {
    {"server ", AVAIL_SERVER},
    {"part ", AVAIL_PART},
    {"gateway next-hop ", AVAIL_OUTSIDE},
};

/* ---- text ---------------------------------------------------------------------- */

static void
put_time(int64_t ms, struct sbuf *out)
{
	time_t s = (time_t)(ms / 1000);
	char text[WHEN_LEN] = "";
	struct tm tm;

	if (gmtime_r(&s, &tm) != NULL)
		(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	sbuf_printf(out, "\"%s.%03dZ\"", text, (int)(ms % 1000));
}

static void
put_outage(const struct outages_thing *t, int64_t up_ms, struct sbuf *out)
{
	sbuf_printf(
	    out, "{\"kind\": \"%s\", \"name\": ", availability_kind_name[t->kind]);
	sbuf_json(out, t->name);
	sbuf_puts(out, ", \"down\": ");
	put_time(t->down_ms, out);
	sbuf_puts(out, ", \"up\": ");
	if (up_ms < 0)
		sbuf_puts(out, "null");
	else
		put_time(up_ms, out);
	sbuf_puts(out, "}\n");
}

/* ---- things -------------------------------------------------------------------- */

static int
thing_of(struct outages *o, enum availability_kind kind, const char *name,
    struct outages_thing **out)
{
	uint64_t hash = UINT64_C(14695981039346656037) + (uint64_t)kind; /* FNV-1a */
	struct outages_thing *t;

	for (const char *p = name; *p != '\0'; p++)
		hash = (hash ^ (uint8_t)*p) * UINT64_C(1099511628211);
	for (;; hash++) {
		t = &o->thing[(hash ^ hash >> 32) % OUTAGES_THINGS];
		if (t->name == NULL)
			break;
		if (t->kind == kind && strcmp(t->name, name) == 0) {
			*out = t;
			return 0;
		}
	}
	if (o->n_things == OUTAGES_THINGS / 2)
		return -E2BIG;
	t->name = strdup(name);
	if (t->name == NULL)
		return -ENOMEM;
	t->kind = kind;
	t->down_ms = -1;
	o->n_things++;
	o->things[kind]++;
	*out = t;
	return 0;
}

/* ---- hosts --------------------------------------------------------------------- */

/* "web1" of "site web1:80", at `*len`; "web1:80" ends the name. NULL: it has no host.
 */
static const char *
host_of(const struct outages_thing *t, size_t *len)
{
	const char *at = strrchr(t->name, ' '), *colon = strrchr(t->name, ':');

	if (t->kind != AVAIL_SERVER || at == NULL || colon == NULL || colon <= at + 1 ||
	    at[1] == '/')
		return NULL;
	*len = (size_t)(colon - at) - 1;
	return at + 1;
}

static bool
is_on(const struct outages_thing *t, const char *host, size_t len)
{
	size_t n;
	const char *of = t->name != NULL ? host_of(t, &n) : NULL;

	return of != NULL && n == len && memcmp(of, host, len) == 0;
}

/* What the servers at a host say of it together. */
struct host_signs {
	/* When the last of them went down, if it seems gone; -1: it may be there. */
	int64_t since;
	bool several;  /* programs are known; services that share one are no two */
	bool was_gone; /* by what was found before */
};

static struct host_signs
ask_servers(const struct outages *o, const char *host, size_t len)
{
	struct host_signs s = {.since = -1};
	const char *port = NULL;
	bool gone = false, alive = false;

	for (size_t i = 0; i < OUTAGES_THINGS; i++) {
		const struct outages_thing *t = &o->thing[i];

		if (!is_on(t, host, len))
			continue;
		s.several = s.several ||
			    (port != NULL && strcmp(port, strrchr(t->name, ':')) != 0);
		port = strrchr(t->name, ':');
		s.was_gone = s.was_gone || t->with_host;
		alive = alive || t->down_ms < 0 || t->sign == SIGN_ALIVE;
		gone = gone || t->sign == SIGN_GONE;
		if (t->down_ms > s.since)
			s.since = t->down_ms;
	}
	if (alive || !(gone || s.several))
		s.since = -1;
	return s;
}

/* Takes the outages of the servers at `host` for one of it, or back if it is there. */
static int
judge_host(struct outages *o, const struct outages_thing *server, struct sbuf *out)
{
	char name[LINE_MAX_LEN];
	struct host_signs s;
	struct outages_thing *h;
	size_t len;
	const char *host = host_of(server, &len);
	int err;

	if (host == NULL)
		return 0;
	s = ask_servers(o, host, len);
	if (s.since < 0 && !s.several && !s.was_gone)
		return 0; /* whether such a host fails is not watched */
	(void)snprintf(name, sizeof(name), "%.*s", (int)len, host);
	err = thing_of(o, AVAIL_HOST, name, &h);
	if (err != 0)
		return err;
	if (s.since < 0 && h->down_ms >= 0)
		put_outage(h, o->to_ms, out);
	h->down_ms = s.since < 0 ? -1 : h->down_ms >= 0 ? h->down_ms : s.since;
	for (size_t i = 0; i < OUTAGES_THINGS; i++) {
		struct outages_thing *t = &o->thing[i];

		if (!is_on(t, name, len) || t->down_ms < 0)
			continue;
		if (s.since >= 0 && !t->with_host && t->down_ms < s.since - APART_MS)
			put_outage(t, s.since, out); /* its own, before that */
		if (s.since < 0 && t->with_host)
			t->down_ms = o->to_ms; /* what is left is its own */
		t->late = s.since < 0 && (t->late || t->with_host);
		t->with_host = s.since >= 0;
	}
	return 0;
}

/* health/health_probe.c, health_target.c: what checks say. */
static enum outages_sign
sign_of(const char *value)
{
	static const char silent[] = "down no answer within",
			  gone[] = "down host unreachable";

	if (strncmp(value, gone, strlen(gone)) == 0)
		return SIGN_GONE;
	return strncmp(value, silent, strlen(silent)) == 0 ? SIGN_SILENT : SIGN_ALIVE;
}

/* ---- facts --------------------------------------------------------------------- */

static int
take_fact(struct outages *o, const char *key, const char *value, struct sbuf *out)
{
	bool up = strncmp(value, "up", 2) == 0, down = strncmp(value, "down", 4) == 0;
	struct outages_thing *t;
	int err;

	for (size_t i = 0; i < ARRAY_LEN(about); i++) {
		size_t n = strlen(about[i].prefix);

		if (strncmp(key, about[i].prefix, n) != 0 || key[n] == '\0')
			continue;
		err = thing_of(o, about[i].kind, key + n, &t);
		if (err != 0)
			return err;
		if (down && t->down_ms < 0)
			t->down_ms = o->to_ms;
		if (down)
			t->sign = sign_of(value);
		if (up && t->down_ms >= 0) {
			if (!t->with_host &&
			    !(t->late && o->to_ms - t->down_ms < APART_MS))
				put_outage(t, o->to_ms, out);
			t->down_ms = -1;
			t->late = false;
		}
		err = up || down ? judge_host(o, t, out) : 0;
		if (err != 0)
			return err;
		if (t->down_ms < 0)
			t->with_host = false;
	}
	return 0;
}

/* ---- lines --------------------------------------------------------------------- */

/* key="server site web1:80" value="down refused": cut out of `text`. */
static bool
fact_of(char *text, const char **key, const char **value)
{
	static const char before[] = " event=fact ", first[] = " key=\"",
			  second[] = "\" value=\"";
	char *at = strstr(text, before), *between, *end;

	at = at != NULL ? strstr(at, first) : NULL;
	between = at != NULL ? strstr(at, second) : NULL;
	end = between != NULL ? strrchr(between + strlen(second), '"') : NULL;
	if (end == NULL)
		return false;
	*between = *end = '\0';
	*key = at + strlen(first);
	*value = between + strlen(second);
	return true;
}

/* base/log.h: the moment, the level, the part. */
static bool
moment_of(const char *text, int64_t *ms)
{
	size_t n = strcspn(text, " ");
	char when[WHEN_LEN];

	if (n >= sizeof(when) || strstr(text + n, " event=") == NULL)
		return false;
	memcpy(when, text, n);
	when[n] = '\0';
	return history_time(ms, when) == 0;
}

int
outages_line(struct outages *o, const char *line, size_t len, struct sbuf *out)
{
	char text[LINE_MAX_LEN];
	const char *key, *value;
	int64_t ms;

	len = len < sizeof(text) ? len : sizeof(text) - 1;
	memcpy(text, line, len);
	text[len] = '\0';
	if (!moment_of(text, &ms))
		return 0;
	if (o->lines > 0 && ms < o->to_ms - BACK_MS)
		return -EINVAL;
	if (o->lines++ == 0)
		o->from_ms = o->to_ms = ms;
	if (ms > o->to_ms)
		o->to_ms = ms;
	return fact_of(text, &key, &value) ? take_fact(o, key, value, out) : 0;
}

void
outages_end(struct outages *o, struct sbuf *out)
{
	for (size_t i = 0; i < OUTAGES_THINGS; i++) {
		struct outages_thing *t = &o->thing[i];

		if (t->name != NULL && t->down_ms >= 0 && !t->with_host)
			put_outage(t, -1, out);
		free(t->name);
		t->name = NULL;
	}
	for (unsigned i = 0; i < AVAIL_KINDS; i++) {
		if (o->things[i] == 0 || o->to_ms <= o->from_ms)
			continue;
		sbuf_printf(out, "{\"watched\": {\"%s\": %zu}, \"from\": ",
		    availability_kind_name[i], o->things[i]);
		put_time(o->from_ms, out);
		sbuf_puts(out, ", \"to\": ");
		put_time(o->to_ms, out);
		sbuf_puts(out, "}\n");
	}
}

/* ---- the verb ------------------------------------------------------------------ */

#define OUTPUT_MAX ((size_t)256 << 20)

static int
take_file(struct outages *o, FILE *f, struct sbuf *out)
{
	unsigned long number = 0;
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	int err = 0;

	while (err == 0 && (n = getline(&line, &room, f)) >= 0) {
		number++;
		err = outages_line(o, line,
		    strcspn(line, "\n") < (size_t)n ? (size_t)n - 1 : (size_t)n, out);
	}
	free(line);
	if (err == 0 && ferror(f) != 0)
		err = -EIO;
	if (err == -EINVAL)
		(void)fprintf(stderr,
		    "nines: line %lu is an hour or more before the one before it: one "
		    "host's log at a time, the oldest line first\n",
		    number);
	else if (err != 0)
		(void)fprintf(stderr, "nines: line %lu: %s\n", number, strerror(-err));
	return err;
}

int
cli_outages(int argc, char **argv)
{
	struct outages *o;
	struct sbuf out;
	FILE *f = stdin;
	int err = -ENOMEM;

	if (argc > 2 || (argc == 2 && argv[1][0] == '-' && argv[1][1] != '\0'))
		return verb_usage(verb_find(verbs, "outages"));
	if (argc == 2 && strcmp(argv[1], "-") != 0)
		f = fopen(argv[1], "re");
	if (f == NULL) {
		(void)fprintf(stderr, "nines: %s: %s\n", argv[1], strerror(errno));
		return EXIT_NEGATIVE;
	}
	o = calloc(1, sizeof(*o));
	sbuf_init(&out, OUTPUT_MAX);
	if (o != NULL)
		err = take_file(o, f, &out);
	if (o != NULL)
		outages_end(o, &out);
	if (err == 0 && o->lines == 0) {
		(void)fprintf(stderr,
		    "nines: no line of the log of `nines run` is in there; say "
		    "journalctl -u nines -o cat | nines outages\n");
		err = -ENOENT;
	}
	if (err == 0 &&
	    (out.bad || fwrite(sbuf_text(&out), 1, out.len, stdout) != out.len))
		err = -EIO;
	sbuf_done(&out);
	free(o);
	if (f != stdin)
		(void)fclose(f);
	return err == 0 && fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_NEGATIVE;
}
