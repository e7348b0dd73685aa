/* SPDX-License-Identifier: Apache-2.0 */
/* help, completion, version: all made from the table of verbs. */

#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/verbs.h"

#define NEAR 3 /* more edits than this are another word */

const struct verb *
verb_find(const struct verb *table, const char *name)
{
	for (; table->name != NULL; table++) {
		if (strcmp(table->name, name) == 0)
			return table;
	}
	return NULL;
}

/* Edits between two words (Levenshtein); words over 31 letters are far from all. */
static unsigned
distance(const char *a, const char *b)
{
	unsigned row[32];
	size_t na = strlen(a), nb = strlen(b);

	if (na >= ARRAY_LEN(row) || nb >= ARRAY_LEN(row))
		return NEAR + 1;
	for (unsigned j = 0; j <= nb; j++)
		row[j] = j;
	for (size_t i = 1; i <= na; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= nb; j++) {
			unsigned change = diagonal + (a[i - 1] != b[j - 1]);
			unsigned edit = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;

			diagonal = row[j];
			row[j] = change < edit ? change : edit;
		}
	}
	return row[nb];
}

const struct verb *
verb_near(const struct verb *table, const char *name)
{
	const struct verb *best = NULL;
	unsigned least = NEAR;

	for (; table->name != NULL; table++) {
		unsigned d = distance(table->name, name);

		if (!table->hidden && d < least && d < strlen(name)) {
			best = table;
			least = d;
		}
	}
	return best;
}

int
verb_usage(const struct verb *v)
{
	ASSERT(v != NULL);
	(void)fprintf(stderr, "usage: nines %s %s\ntry: nines help %s\n", v->name,
	    v->synopsis, v->name);
	return EXIT_USAGE;
}

static const char exits[] = "Exit status: 0 done or healthy; 1 the answer is no "
			    "(errors in the file, something\n"
			    "unhealthy, an order refused); 2 wrong usage; 3 no `nines "
			    "run` answers on this host.\n";

static void
overview(void)
{
	(void)printf(
	    "nines - takes the single points of failure out of a web application\n"
	    "\nusage: nines VERB [ARGUMENT ...]\n\n");
	for (const struct verb *v = verbs; v->name != NULL; v++) {
		if (!v->hidden)
			(void)printf("  %-11s %s\n", v->name, v->what);
	}
	(void)printf("\n%s`nines help VERB` tells more.\n", exits);
}

/* Text for roff: a dash is a minus, a dot at the start of a line is no request. */
static void
roff(const char *s)
{
	for (const char *p = s; *p != '\0'; p++) {
		if (*p == '-' || *p == '\\')
			(void)printf(*p == '-' ? "\\-" : "\\e");
		else if ((*p == '.' || *p == '\'') && (p == s || p[-1] == '\n'))
			(void)printf("\\&%c", *p);
		else
			(void)putchar(*p);
	}
}

static int
manual(void)
{
	(void)printf(
	    ".TH NINES 8 \"\" \"nines %s\"\n.SH NAME\nnines \\- takes the single "
	    "points "
	    "of failure out of a web application\n.SH SYNOPSIS\n.B nines\n.I VERB\n"
	    ".RI [ ARGUMENT \" ...]\"\n.SH VERBS\n",
	    NINES_VERSION);
	for (const struct verb *v = verbs; v->name != NULL; v++) {
		if (v->hidden)
			continue;
		(void)printf(".TP\n.B nines ");
		roff(v->name);
		(void)printf(" ");
		roff(v->synopsis);
		(void)printf("\n");
		roff(v->what);
		(void)printf(".\n");
		if (v->more[0] != '\0') {
			(void)printf(".IP\n.nf\n");
			roff(v->more);
			(void)printf(".fi\n");
		}
	}
	(void)printf(".SH EXIT STATUS\n");
	roff(exits);
	(void)printf(
	    ".SH FILES\n.TP\n.I /etc/nines/cluster.yaml\nThe cluster file.\n.TP\n"
	    ".I /run/nines\nControl socket and counters.\n");
	return 0;
}

int
cli_help(int argc, char **argv)
{
	const struct verb *v;

	if (argc > 2)
		return verb_usage(verb_find(verbs, "help"));
	if (argc < 2) {
		overview();
		return 0;
	}
	if (strcmp(argv[1], "--man") == 0)
		return manual();
	v = verb_find(verbs, argv[1]);
	if (v == NULL || v->hidden) {
		const struct verb *near = verb_near(verbs, argv[1]);

		(void)fprintf(stderr, "nines help: no verb \"%s\"%s%s%s\n", argv[1],
		    near != NULL ? "; did you mean \"" : "; `nines help` lists them",
		    near != NULL ? near->name : "", near != NULL ? "\"?" : "");
		return EXIT_USAGE;
	}
	(void)printf("nines %s - %s\n\nusage: nines %s %s\n", v->name, v->what, v->name,
	    v->synopsis);
	if (v->more[0] != '\0')
		(void)printf("\n%s", v->more);
	(void)printf("\n%s", exits);
	return 0;
}

static void
names(const char *before, const char *after)
{
	for (const struct verb *v = verbs; v->name != NULL; v++) {
		if (!v->hidden)
			(void)printf("%s%s%s", before, v->name, after);
	}
}

int
cli_completion(int argc, char **argv)
{
	const char *shell = argc == 2 ? argv[1] : "";

	if (strcmp(shell, "bash") == 0) {
		(void)printf("_nines() {\n"
			     "\tlocal word=${COMP_WORDS[COMP_CWORD]}\n"
			     "\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n"
			     "\t\tCOMPREPLY=($(compgen -W \"");
		names("", " ");
		(void)printf("\" -- \"$word\"))\n"
			     "\telif [ \"${COMP_WORDS[1]}\" = help ]; then\n"
			     "\t\tCOMPREPLY=($(compgen -W \"");
		names("", " ");
		(void)printf("\" -- \"$word\"))\n"
			     "\telse\n"
			     "\t\tCOMPREPLY=($(compgen -f -- \"$word\"))\n"
			     "\tfi\n}\ncomplete -o filenames -F _nines nines\n");
	} else if (strcmp(shell, "zsh") == 0) {
		(void)printf("#compdef nines\nlocal -a verbs\nverbs=(\n");
		for (const struct verb *v = verbs; v->name != NULL; v++) {
			if (!v->hidden)
				(void)printf("\t'%s:%s'\n", v->name, v->what);
		}
		(void)printf(")\nif (( CURRENT == 2 )); then\n\t_describe verb verbs\n"
			     "else\n\t_files\nfi\n");
	} else if (strcmp(shell, "fish") == 0) {
		for (const struct verb *v = verbs; v->name != NULL; v++) {
			if (!v->hidden)
				(void)printf(
				    "complete -c nines -n __fish_use_subcommand "
				    "-f -a %s -d '%s'\n",
				    v->name, v->what);
		}
	} else {
		return verb_usage(verb_find(verbs, "completion"));
	}
	return 0;
}

int
cli_version(int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		return verb_usage(verb_find(verbs, "version"));
	(void)printf("nines %s\n", NINES_VERSION);
	return 0;
}
