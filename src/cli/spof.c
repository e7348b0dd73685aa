/* SPDX-License-Identifier: Apache-2.0 */
/* nines spof: which single failure ends what, from the cluster file alone. */

#include "cli/spof.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/source.h"
#include "cli/verbs.h"
#include "firewall/passage.h"
#include "os/whole.h"
#include "topology/picture.h"

#define DEFAULT_FILE "/etc/nines/cluster.yaml"
#define PASSAGES_MAX ((size_t)1 << 30)

enum form { FORM_TEXT, FORM_JSON, FORM_SARIF };

struct arguments {
	const char *file;
	const char *without;
	const char *rates, *history, *measured, *picture;
	unsigned order;
	enum form form;
};

static bool
parse_arguments(int argc, char **argv, struct arguments *a)
{
	static const struct option options[] = {
	    {"without", required_argument, NULL, 'w'},
	    {"order", required_argument, NULL, 'o'},
	    {"rates", required_argument, NULL, 'r'},
	    {"history", required_argument, NULL, 'h'},
	    {"picture", required_argument, NULL, 'p'},
	    {"measured", required_argument, NULL, 'm'},
	    {"json", no_argument, NULL, 'j'},
	    {"sarif", no_argument, NULL, 's'},
	    {NULL, 0, NULL, 0},
	};
	int c;

	*a = (struct arguments){.order = 2};
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'w')
			a->without = optarg;
		else if (c == 'o' && optarg[0] >= '1' &&
			 optarg[0] <= '0' + SPOF_ORDER_MAX && optarg[1] == '\0')
			a->order = (unsigned)(optarg[0] - '0');
		else if (c == 'r')
			a->rates = optarg;
		else if (c == 'h')
			a->history = optarg;
		else if (c == 'p')
			a->picture = optarg;
		else if (c == 'm')
			a->measured = optarg;
		else if (c == 'j')
			a->form = FORM_JSON;
		else if (c == 's')
			a->form = FORM_SARIF;
		else
			return false;
	}
	if (argc - optind > 1)
		return false;
	a->file = optind < argc ? argv[optind] : DEFAULT_FILE;
	return true;
}

/* ---- --without ----------------------------------------------------------------- */

static long
find_failure(const struct topology *t, const char *name)
{
	static const char *const kind[] = {
	    "", "host ", "zone ", "network ", "server ", "outside "};
	char text[512];

	for (size_t i = 0; i < ARRAY_LEN(kind); i++) {
		long found;

		(void)snprintf(text, sizeof(text), "%s%s", kind[i], name);
		found = topology_find_failure(t, text);
		if (found >= 0)
			return found;
	}
	return -1;
}

static bool
take_away(struct spof *s, const char *list)
{
	char name[512];

	while (list != NULL && *list != '\0') {
		size_t len = strcspn(list, ",");
		long found;

		(void)snprintf(
		    name, sizeof(name), "%.*s", (int)(len < 500 ? len : 500), list);
		list += len + (list[len] == ',');
		found = find_failure(s->topology, name);
		if (found < 0) {
			(void)fprintf(stderr,
			    "nines: %s has nothing called \"%s\" that could fail; say "
			    "a "
			    "host, a zone, a network, or as in --json: "
			    "\"link HOST NETWORK\", \"part HOST PART\"\n",
			    s->file, name);
			return false;
		}
		if (s->n_without < SPOF_WITHOUT_MAX)
			s->without[s->n_without++] = (size_t)found;
	}
	return true;
}

/* ---- the work ------------------------------------------------------------------ */

static int
find_pairs(struct spof *s)
{
	size_t n = topology_n_goals(s->topology);
	int err = 0;

	s->pairs = calloc(n > 0 ? n : 1, sizeof(*s->pairs));
	if (s->pairs == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n && err == 0; i++)
		err = pairs_collect(
		    s->topology, i, s->without, s->n_without, &s->pairs[i]);
	return err;
}

static int
find(struct spof *s)
{
	struct arena *a = arena_new(PASSAGES_MAX);
	struct findings_input in = {.failed = s->without, .n_failed = s->n_without};
	struct passage *passage;
	int err = -ENOMEM;

	certificates_read(s->cluster, &s->certificates);
	in.certificate = s->certificates.item;
	in.n_certificates = s->certificates.n;
	if (a != NULL)
		err = passages_find(s->cluster, a, &passage, &in.n_passages);
	if (err == 0) {
		in.passage = passage;
		err = findings_collect(s->topology, &in, &s->findings);
	}
	arena_free(a);
	return err;
}

static int
work_out(struct spof *s)
{
	int err = find(s);

	if (err == 0 && s->order >= 2)
		err = find_pairs(s);
	s->avail = calloc(topology_n_goals(s->topology) + 1, sizeof(*s->avail));
	if (s->avail == NULL)
		return -ENOMEM;
	if (err == 0)
		err = avail_work_out(s->topology, &s->rates, &s->outage, s->without,
		    s->n_without, s->avail);
	return err;
}

static void
spof_done(struct spof *s)
{
	for (size_t i = 0; s->pairs != NULL && i < topology_n_goals(s->topology); i++)
		pairs_done(&s->pairs[i]);
	free(s->pairs);
	free(s->avail);
	findings_done(&s->findings);
	certificates_done(&s->certificates);
	topology_free(s->topology);
}

static int
draw(const struct spof *s, const char *path)
{
	struct sbuf svg;
	int err;

	sbuf_init(&svg, SPOF_OUTPUT_MAX);
	err = picture_svg(s->topology, &s->findings, s->without, s->n_without, &svg);
	if (err == 0)
		err = whole_file(path, 0666, &svg);
	if (err != 0)
		(void)fprintf(stderr, "nines: %s: %s\n", path, strerror(-err));
	sbuf_done(&svg);
	return err;
}

static int
report(struct spof *s, enum form form)
{
	struct sbuf out;
	bool ok;

	sbuf_init(&out, SPOF_OUTPUT_MAX);
	if (form == FORM_JSON)
		spof_json(s, &out);
	else if (form == FORM_SARIF)
		spof_sarif(s, &out);
	else
		spof_text(s, &out);
	ok = !out.bad && fwrite(sbuf_text(&out), 1, out.len, stdout) == out.len;
	ok = fflush(stdout) == 0 && ok;
	sbuf_done(&out);
	return ok && s->findings.errors == 0 ? EXIT_SUCCESS : EXIT_NEGATIVE;
}

/* The file's, then what was seen, then what is said for once. */
static bool
choose_rates(struct spof *s, const struct arguments *a)
{
	s->rates = s->cluster->availability;
	s->outage = (struct failover_outage){-1, -1, 0};
	s->history_file = a->history;
	if (a->history != NULL && !spof_read_history(a->history, &s->history))
		return false;
	history_apply(&s->history, &s->rates);
	return (a->rates == NULL || spof_read_rates(a->rates, &s->rates)) &&
	       (a->measured == NULL || spof_read_measured(a->measured, &s->outage));
}

static int
analyse(struct spof *s, const struct arguments *a)
{
	int err, rc;

	s->topology = topology_new(s->cluster);
	if (s->topology == NULL) {
		(void)fprintf(stderr, "nines: %s: too large to analyse\n", s->file);
		return EXIT_NEGATIVE;
	}
	if (!take_away(s, a->without) || !choose_rates(s, a)) {
		topology_free(s->topology);
		return EXIT_USAGE;
	}
	err = work_out(s);
	if (err != 0)
		(void)fprintf(stderr, "nines: %s: %s\n", s->file, strerror(-err));
	if (err == 0 && a->picture != NULL)
		err = draw(s, a->picture);
	rc = err == 0 ? report(s, a->form) : EXIT_NEGATIVE;
	spof_done(s);
	return rc;
}

int
cli_spof(int argc, char **argv)
{
	struct arguments a;
	struct source source;
	struct spof s = {0};
	int rc = EXIT_NEGATIVE;

	if (!parse_arguments(argc, argv, &a))
		return verb_usage(verb_find(verbs, "spof"));
	if (source_load(&source, a.file)) {
		s.file = a.file;
		s.source = &source.text;
		s.order = a.order;
		s.colour = cli_want_colour(stdout);
		s.cluster = source.cluster;
		rc = analyse(&s, &a);
	}
	source_done(&source);
	return rc;
}
