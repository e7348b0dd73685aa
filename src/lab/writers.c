/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/writers.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lab/probe.h"
#include "lab/web.h"

#define WRITERS	    4
#define WRITE_EVERY (40 * MS_NS) /* a hundred a second in all */
#define WRITES_MAX  ((size_t)1 << 24)
#define BATCH	    256
#define STEADY_NS   (300 * MS_NS)

struct writers {
	const struct world *world;
	struct load *load;
	struct ledger ledger;
	off_t at[LEDGER_JOURNALS]; /* of each host's journal, what has been read */
	uint8_t *found;
};

struct writers *
writers_start(
    const struct world *world, const char *netns, const struct ip_endpoint *target)
{
	struct load_conf conf = {.netns = netns,
	    .target = *target,
	    .busy = WRITERS,
	    .busy_every_ns = WRITE_EVERY,
	    .writes_max = WRITES_MAX - 1};
	struct writers *w = calloc(1, sizeof(*w));
	uint8_t *found = calloc(WRITES_MAX, 1); /* touched as writes are found */

	_Static_assert(OWNERS_HOSTS_MAX <= LEDGER_JOURNALS, "a journal for each host");
	if (w != NULL && found != NULL) {
		w->world = world;
		w->found = found;
		ledger_init(&w->ledger, found, WRITES_MAX);
		w->load = load_start(&conf);
	}
	if (w == NULL || w->load == NULL) {
		free(found);
		free(w);
		return NULL;
	}
	return w;
}

void
writers_stop(struct writers *w)
{
	if (w == NULL)
		return;
	load_stop(w->load);
	free(w->found);
	free(w);
}

bool
writers_steady(struct writers *w)
{
	mono_t now = probe_clock(), oldest = load_oldest(w->load);

	return mono_sub(now, load_answered(w->load)) < STEADY_NS &&
	       (mono_is_never(oldest) || mono_sub(now, oldest) < STEADY_NS);
}

void
writers_renew(struct writers *w)
{
	load_renew(w->load);
}

/* What `host` has written since; a server that has written nothing has no journal. */
static void
read_journal(struct writers *w, size_t host)
{
	char path[WORLD_PATH_LEN + 80], text[4096];
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s.web/" WEB_JOURNAL, w->world->dir,
	    w->world->host[host].host->name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	while ((n = pread(fd, text, sizeof(text), w->at[host])) > 0) {
		ledger_journal(&w->ledger, (unsigned)host, text, (size_t)n);
		w->at[host] += n;
	}
	(void)close(fd);
}

void
writers_take(struct writers *w, struct ledger_sum *sum, struct load_sum *load)
{
	uint64_t id[BATCH];
	size_t n;

	/* The journals after the promises: a write is in one before it is promised. */
	do {
		n = load_acknowledged(w->load, id, BATCH);
		for (size_t i = 0; i < w->world->n_hosts; i++) {
			if (w->world->host[i].serves)
				read_journal(w, i);
		}
		ledger_acknowledged(&w->ledger, id, n);
	} while (n == BATCH);
	ledger_take(&w->ledger, sum);
	load_take(w->load, load);
}

void
writers_explain(
    const struct writers *w, const struct ledger_sum *sum, char *text, size_t size)
{
	const struct world_host *host = w->world->host;

	text[0] = '\0';
	if (sum->lost > 0)
		(void)snprintf(text, size,
		    "%" PRIu64 " acknowledged writes are in no journal, %" PRIu64
		    " the first of them",
		    sum->lost, sum->lost_write);
	else if (sum->repeated > 0 && sum->first_in == sum->again_in)
		(void)snprintf(text, size,
		    "%" PRIu64 " writes were repeated: %" PRIu64
		    " is in the journal of %s twice",
		    sum->repeated, sum->repeated_write, host[sum->first_in].host->name);
	else if (sum->repeated > 0)
		(void)snprintf(text, size,
		    "%" PRIu64 " writes were repeated: %" PRIu64
		    " is in the journals of %s and %s",
		    sum->repeated, sum->repeated_write, host[sum->first_in].host->name,
		    host[sum->again_in].host->name);
	else if (sum->torn > 0)
		(void)snprintf(text, size,
		    "%" PRIu64 " lines of the journals are no writes of ours",
		    sum->torn);
}
