/* SPDX-License-Identifier: Apache-2.0 */
#include "firewall/nft_run.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "os/child.h"

#define SAID_MAX ((size_t)64 << 10) /* of errors */

/* A part has no PATH that could be trusted to have it. */
static const char *
program(void)
{
	static const char *const place[] = {
	    "/usr/sbin/nft", "/usr/bin/nft", "/sbin/nft", "/usr/local/sbin/nft"};

	for (size_t i = 0; i < ARRAY_LEN(place); i++) {
		if (access(place[i], X_OK) == 0)
			return place[i];
	}
	return NULL;
}

/* The first line of what it said, made fit for a fact. */
static void
first_error(const struct sbuf *said, char why[static NFT_WHY_LEN])
{
	const char *text = sbuf_text(said), *error = strstr(text, "Error: ");
	size_t n;

	if (error != NULL)
		text = error + strlen("Error: ");
	n = strcspn(text, "\r\n");
	if (n > NFT_WHY_LEN - 1)
		n = NFT_WHY_LEN - 1;
	for (size_t i = 0; i < n; i++)
		why[i] =
		    (unsigned char)text[i] < ' ' || text[i] == 0x7f ? '?' : text[i];
	why[n] = '\0';
}

static int
run(const char *const *argv, const char *input, struct sbuf *out,
    char why[static NFT_WHY_LEN])
{
	const struct child child = {.argv = argv, .input = input};
	int status;

	if (argv[0] == NULL) {
		(void)snprintf(why, NFT_WHY_LEN,
		    "the program nft is missing: install the package nftables");
		return -ENOENT;
	}
	status = child_run(&child, out);
	if (status < 0) {
		(void)snprintf(why, NFT_WHY_LEN, "nft: %s", strerror(-status));
		return status;
	}
	if (status == 0)
		return 0;
	first_error(out, why);
	if (why[0] == '\0')
		(void)snprintf(why, NFT_WHY_LEN, "nft ended with status %d", status);
	return -EINVAL;
}

int
nft_load(const char *json, char why[static NFT_WHY_LEN])
{
	const char *const argv[] = {program(), "-j", "-f", "-", NULL};
	struct sbuf said;
	int err;

	sbuf_init(&said, SAID_MAX);
	err = run(argv, json, &said, why);
	sbuf_done(&said);
	return err;
}

/* Listing all tables' names first would be two moments: the whole table, or nothing. */
int
nft_list(struct nft_state *out, char why[static NFT_WHY_LEN])
{
	const char *const argv[] = {
	    program(), "-j", "list", "table", "inet", NFT_TABLE, NULL};
	struct sbuf said;
	int err;

	*out = (struct nft_state){.present = false};
	sbuf_init(&said, NFT_JSON_MAX);
	err = run(argv, NULL, &said, why);
	if (err == -EINVAL && strstr(sbuf_text(&said), "No such file") != NULL)
		err = 0; /* there is no such table */
	else if (err == 0) {
		err =
		    said.bad ? -EFBIG : nft_state_read(sbuf_text(&said), said.len, out);
		if (err != 0)
			(void)snprintf(why, NFT_WHY_LEN,
			    "the answer of nft cannot be read: %s", strerror(-err));
	}
	sbuf_done(&said);
	return err;
}
