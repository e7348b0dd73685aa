/* SPDX-License-Identifier: Apache-2.0 */
/* nines firewall show|test|confirm|on|off */
#include "cli/firewall.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/control.h"
#include "cli/source.h"
#include "cli/verbs.h"
#include "firewall/nft_run.h"

#define CLUSTER_FILE "/etc/nines/cluster.yaml"
#define RULES_BYTES  ((size_t)1 << 30)

struct options {
	const char *host, *file, *run_dir;
	bool json, nft;
};

static int
usage(void)
{
	return verb_usage(verb_find(verbs, "firewall"));
}

/* NULL: what is wrong was said. */
static const struct cluster *
load(const char *path)
{
	const struct cluster *c;
	struct source s;

	(void)source_load(&s, path);
	c = s.cluster;
	s.cluster = NULL;
	source_done(&s);
	return c;
}

/* The host named, or the one whose name is the machine's, or whose addresses. */
static const struct host *
host_of(const struct cluster *c, const char *name)
{
	char own[CLUSTER_NAME_MAX + 1] = "";
	const struct host *h;

	if (name == NULL) {
		if (gethostname(own, sizeof(own) - 1) == 0)
			own[strcspn(own, ".")] = '\0';
		name = own;
	}
	h = cluster_host(c, name);
	if (h == NULL)
		(void)fprintf(stderr,
		    "nines firewall: the file has no host \"%s\"; say --host NAME\n",
		    name);
	return h;
}

static int
show(const struct options *o)
{
	const struct cluster *c = load(o->file);
	const struct host *h = c != NULL ? host_of(c, o->host) : NULL;
	struct arena *a = arena_new(RULES_BYTES);
	struct nft_state state = {.present = false};
	char why[NFT_WHY_LEN];
	struct rule_list l;
	int status = EXIT_NEGATIVE;

	if (h != NULL && a != NULL && rules_build(c, h, a, &l) == 0) {
		/* Without the right to ask there are no counters. */
		if (geteuid() == 0 && nft_list(&state, why) != 0)
			(void)fprintf(stderr, "nines firewall: %s\n", why);
		if (o->nft) {
			char digest[NFT_DIGEST_LEN];
			struct nft_load all = {
			    .rules = &l, .host = &l, .digest = digest};
			struct sbuf out;

			nft_digest(&l, digest);
			sbuf_init(&out, NFT_JSON_MAX);
			(void)nft_json_load(&all, &out);
			(void)fputs(sbuf_text(&out), stdout);
			sbuf_done(&out);
		} else if (o->json) {
			firewall_show_json(c, h, &l, &state);
		} else {
			firewall_show(c, h, &l, &state);
		}
		status = EXIT_SUCCESS;
	}
	nft_state_done(&state);
	arena_free(a);
	cluster_unref(c);
	return status;
}

static int
order(const struct options *o, const char *what)
{
	char *argv[] = {(char[]){"firewall"}, strdup(what)};
	const char *text;
	json_t *answer;
	int err, status = EXIT_NEGATIVE;

	if (argv[1] == NULL)
		return EXIT_NEGATIVE;
	err = control_ask(o->run_dir, 2, argv, &answer);
	free(argv[1]);
	if (err != 0)
		return control_explain(o->run_dir, err);
	if (json_is_true(json_object_get(answer, "ok"))) {
		text = json_string_value(
		    json_object_get(json_object_get(answer, "result"), "text"));
		(void)printf("%s\n", text != NULL ? text : "done");
		status = EXIT_SUCCESS;
	} else {
		text = json_string_value(json_object_get(answer, "error"));
		(void)fprintf(stderr, "nines firewall: %s\n",
		    text != NULL ? text : "refused without a reason");
	}
	json_decref(answer);
	return status;
}

/* Without a running nines as well: nobody else could remove them then. */
static int
off(const struct options *o)
{
	char path[4096], why[NFT_WHY_LEN];
	struct sbuf out;
	int err;

	(void)snprintf(path, sizeof(path), "%s/control.sock", o->run_dir);
	if (access(path, F_OK) == 0)
		return order(o, "off");
	sbuf_init(&out, NFT_JSON_MAX);
	nft_json_off(&out);
	err = nft_load(sbuf_text(&out), why);
	sbuf_done(&out);
	if (err != 0) {
		(void)fprintf(stderr, "nines firewall: %s\n", why);
		return EXIT_NEGATIVE;
	}
	(void)printf("no rules of nines hold on this host now\n");
	return EXIT_SUCCESS;
}

static bool
parse(int argc, char **argv, struct options *o)
{
	static const struct option options[] = {
	    {"host", required_argument, NULL, 'h'},
	    {"run-dir", required_argument, NULL, 'r'},
	    {"json", no_argument, NULL, 'j'},
	    {"nft", no_argument, NULL, 'n'},
	    {NULL, 0, NULL, 0},
	};
	int ch;

	*o = (struct options){.run_dir = cli_run_dir(), .file = CLUSTER_FILE};
	while ((ch = getopt_long(argc, argv, "f:", options, NULL)) != -1) {
		if (ch == 'h')
			o->host = optarg;
		else if (ch == 'r')
			o->run_dir = optarg;
		else if (ch == 'f')
			o->file = optarg;
		else if (ch == 'j')
			o->json = true;
		else if (ch == 'n')
			o->nft = true;
		else
			return false;
	}
	return true;
}

int
cli_firewall(int argc, char **argv)
{
	const struct cluster *c;
	struct options o;
	char **word;
	int n, status;

	if (!parse(argc, argv, &o) || optind >= argc)
		return usage();
	word = argv + optind;
	n = argc - optind;
	if (strcmp(word[0], "show") == 0 && n <= 2) {
		if (n == 2)
			o.file = word[1];
		return show(&o);
	}
	if (strcmp(word[0], "test") == 0 && n == 4) {
		c = load(o.file);
		if (c == NULL)
			return EXIT_NEGATIVE;
		status = firewall_test(c, word[1], word[2], word[3]);
		cluster_unref(c);
		return status;
	}
	if (n == 1 && strcmp(word[0], "off") == 0)
		return off(&o);
	if (n == 1 && (strcmp(word[0], "confirm") == 0 || strcmp(word[0], "on") == 0))
		return order(&o, word[0]);
	return usage();
}
