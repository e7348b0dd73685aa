/* SPDX-License-Identifier: Apache-2.0 */
/* reload, drain, enable, switch, weight, move, stop, upgrade: one order, one answer. */

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/control.h"
#include "cli/verbs.h"

static const struct {
	const char *verb;
	int words; /* after the verb */
} orders[] = {
    {"reload", 0},
    {"drain", 1},
    {"enable", 1},
    {"switch", 2},
    {"weight", 3},
    {"move", 2},
    {"stop", 0},
    {"upgrade", 0},
};

static int
words_of(const char *verb)
{
	for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
		if (strcmp(orders[i].verb, verb) == 0)
			return orders[i].words;
	}
	return -1;
}

/* The answer for a person. The supervisor's texts end without a newline. */
static int
show(const char *verb, const json_t *answer)
{
	const char *text = json_string_value(json_object_get(answer, "text"));
	const char *error = json_string_value(json_object_get(answer, "error"));
	const char *warning = json_string_value(json_object_get(answer, "warning"));
	const json_t *result = json_object_get(answer, "result");
	const char *ip = json_string_value(json_object_get(result, "floating_ip"));
	const char *host = json_string_value(json_object_get(result, "host"));

	if (!json_is_true(json_object_get(answer, "ok"))) {
		(void)fprintf(stderr, "nines %s: %s\n", verb,
		    error != NULL ? error : "refused without a reason");
		return EXIT_NEGATIVE;
	}
	if (warning != NULL)
		(void)fprintf(stderr, "nines %s: warning: %s\n", verb, warning);
	if (text != NULL && text[0] != '\0')
		(void)printf("%s\n", text);
	else if (ip != NULL && host != NULL)
		(void)printf("%s is on %s now\n", ip, host);
	return 0;
}

int
cli_order(int argc, char **argv)
{
	static const struct option options[] = {
	    {"run-dir", required_argument, NULL, 'r'},
	    {"json", no_argument, NULL, 'j'},
	    {NULL, 0, NULL, 0},
	};
	const struct verb *v = verb_find(verbs, argv[0]);
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
			return verb_usage(v);
	}
	if (argc - optind != words_of(v->name))
		return verb_usage(v);
	/* The verb goes first, in place of the last option or of itself. */
	argv[optind - 1] = argv[0];
	err = control_ask(run_dir, argc - optind + 1, argv + optind - 1, &answer);
	if (err != 0)
		return control_explain(run_dir, err);
	if (as_json) {
		(void)json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
		(void)printf("\n");
		status =
		    json_is_true(json_object_get(answer, "ok")) ? 0 : EXIT_NEGATIVE;
	} else {
		status = show(v->name, answer);
	}
	json_decref(answer);
	return status;
}
