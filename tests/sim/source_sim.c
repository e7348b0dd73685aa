/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_sim.c - load balancers that tell each other which server a source has, while
 * datagrams are lost, doubled, overtaken and replayed, hosts do not hear each other,
 * processes end and begin, and hosts lose their memory: afterwards all know the same,
 * and of what two of them decided the later holds.
 */
#include <errno.h>
#include <string.h>

#include "proxy/sources/source_core.h"
#include "sim.h"

#define HOSTS	 3
#define KEYS	 48
#define SERVERS	 5
#define MSGS	 4096
#define OLD	 64 /* datagrams that somebody has recorded */
#define EXPIRE_S 3600
#define ROUNDS	 40

struct msg {
	mono_t due;
	unsigned from, to;
	struct source_header h;
	struct source_epoch sealed_for; /* data only */
	size_t len;
	uint8_t payload[SOURCE_PAYLOAD_MAX];
};

struct host {
	struct source_core core;
	struct source_link *link;
	void *memory; /* outlives the process */
	bool up;
	int64_t skew_ms; /* of its wall clock */
};

struct sim {
	uint64_t seed;
	struct rng rng;
	mono_t now;
	unsigned hosts, loss;
	uint32_t max;
	bool cut[HOSTS][HOSTS];
	bool forgot; /* a host has lost its memory */
	struct host host[HOSTS];
	struct msg *msg[MSGS];
	unsigned n_msgs;
	struct msg old[OLD];
	unsigned n_old;
	struct source_entry best[KEYS]; /* the latest that was ever decided */
};

static void
fail(const struct sim *s, const char *what)
{
	(void)printf("FAIL seed %llu: %s\n", (unsigned long long)s->seed, what);
	exit(1);
}

static unsigned
below(struct sim *s, unsigned n)
{
	return rng_below(&s->rng, n);
}

/* As the others see `b`: slots of peers are by host. */
static unsigned
slot_of(unsigned a, unsigned b)
{
	return b < a ? b : b - 1;
}

static void
start(struct sim *s, unsigned h)
{
	struct host *host = &s->host[h];
	struct source_table t;
	struct source_epoch epoch;

	source_table_open(&t, host->memory, s->max);
	(void)source_table_claim(&t, rng_next(&s->rng));
	source_core_init(
	    &host->core, &t, host->link, s->max, EXPIRE_S, rng_next(&s->rng));
	for (unsigned i = 0; i < SOURCE_EPOCH_LEN; i++)
		epoch.byte[i] = (uint8_t)below(s, 256);
	source_core_begin(&host->core, &epoch);
	for (unsigned p = 0; p < s->hosts; p++) {
		if (p != h)
			source_core_add(&host->core, slot_of(h, p));
	}
	host->up = true;
}

static void
post(struct sim *s, const struct msg *m)
{
	struct msg *copy;

	if (s->n_msgs == MSGS)
		return;
	copy = malloc(sizeof(*copy));
	if (copy == NULL)
		abort();
	*copy = *m;
	copy->due = mono_add(s->now, (int64_t)(1 + below(s, 4000)) * US_NS);
	s->msg[s->n_msgs++] = copy;
}

static void
send_all(struct sim *s, unsigned h)
{
	struct host *host = &s->host[h];
	struct msg m;

	for (unsigned p = 0; p < s->hosts && host->up; p++) {
		unsigned k = slot_of(h, p);

		if (p == h)
			continue;
		while (
		    source_core_next(&host->core, s->now, k, &m.h, m.payload, &m.len)) {
			m.from = h;
			m.to = p;
			m.sealed_for = host->core.peer[k].epoch;
			if (below(s, 8) == 0)
				s->old[s->n_old++ % OLD] = m;
			if (s->cut[h][p] || below(s, 100) < s->loss)
				continue;
			post(s, &m);
			if (below(s, 100) < s->loss)
				post(s, &m);
		}
	}
}

static bool
same(const struct source_epoch *a, const struct source_epoch *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static void
deliver(struct sim *s, const struct msg *m)
{
	struct host *host = &s->host[m->to];
	struct source_peer *p = &host->core.peer[slot_of(m->to, m->from)];
	unsigned k = slot_of(m->to, m->from);
	const struct host *sender = &s->host[m->from];
	struct source_hello hello;

	if (!host->up)
		return;
	if (m->h.kind == SOURCE_HELLO) {
		if (source_hello_decode(&hello, m->payload, m->len) != 0)
			fail(s, "a greeting cannot be read");
		bool knew = p->met && same(&p->epoch, &sender->core.epoch);

		if (source_core_greeted(&host->core, s->now, k, &m->h.from, &hello) &&
		    knew)
			fail(s, "a recorded greeting brought a dead process back");
	} else if (p->met && same(&p->epoch, &m->h.from) &&
		   same(&host->core.epoch, &m->sealed_for)) {
		int r = source_core_heard(
		    &host->core, s->now, k, m->h.number, m->payload, m->len);

		if (r == -EPROTO)
			fail(s, "data cannot be read");
	}
	if (below(s, 16) == 0 && !source_core_check(&host->core))
		fail(s, "a table is not sound");
	send_all(s, m->to);
}

static void
run_for(struct sim *s, int64_t ns)
{
	mono_t end = mono_add(s->now, ns);

	while (mono_before(s->now, end)) {
		mono_t next = mono_min(end, mono_add(s->now, 50 * MS_NS));
		unsigned at = MSGS;

		for (unsigned i = 0; i < s->n_msgs; i++) {
			if (!mono_before(next, s->msg[i]->due)) {
				next = s->msg[i]->due;
				at = i;
			}
		}
		if (mono_before(s->now, next))
			s->now = next;
		if (at < MSGS) {
			struct msg *m = s->msg[at];

			s->msg[at] = s->msg[--s->n_msgs];
			if (!s->cut[m->from][m->to])
				deliver(s, m);
			free(m);
			continue;
		}
		for (unsigned h = 0; h < s->hosts; h++) {
			if (!s->host[h].up)
				continue;
			source_core_tick(&s->host[h].core, s->now);
			send_all(s, h);
		}
	}
}

static struct source_key
key_of(unsigned i)
{
	return (struct source_key){{i % 3, i}};
}

/* A worker of `h` decides. */
static void
serve(struct sim *s, unsigned h)
{
	struct source_core *c = &s->host[h].core;
	unsigned i = below(s, KEYS);
	struct source_key key = key_of(i);
	struct source_entry e = {.server = 0};
	uint64_t server = 1 + below(s, SERVERS), was, saw;

	if (!s->host[h].up)
		return;
	(void)source_table_find(&c->table, &key, &e);
	was = saw = e.server;
	if (below(s, 4) == 0)
		saw = 99; /* somebody else was faster */
	else if (below(s, 2) == 0 && was != 0)
		server = was;
	source_core_served(c, s->now,
	    (uint64_t)(s->now.ns / MS_NS + s->host[h].skew_ms), &key, server, saw);
	if (!source_table_find(&c->table, &key, &e))
		fail(s, "what was decided is not there");
	if (was != 0 && saw == 99 && e.server != was)
		fail(s, "who came second decided");
	if (e.version > s->best[i].version ||
	    (e.version == s->best[i].version && e.server > s->best[i].server))
		s->best[i] = e;
	send_all(s, h);
}

static void
hurt(struct sim *s)
{
	unsigned a = below(s, s->hosts), b = below(s, s->hosts);
	struct host *host = &s->host[a];

	switch (below(s, 8)) {
	case 0:
		s->cut[a][b] = a != b;
		break;
	case 1:
		s->cut[a][b] = s->cut[b][a] = a != b;
		break;
	case 2:
		memset(s->cut, 0, sizeof(s->cut));
		break;
	case 3:
		host->up = false;
		break;
	case 4: /* another process with the same memory */
		start(s, a);
		break;
	case 5: /* another machine, nearly */
		memset(host->memory, 0, source_table_bytes(s->max));
		s->forgot = true;
		start(s, a);
		break;
	case 6:
		for (unsigned i = 0; i < OLD && i < s->n_old; i++)
			post(s, &s->old[i]);
		break;
	default:
		break;
	}
	for (unsigned h = 0; h < s->hosts; h++) {
		if (!s->host[h].up && below(s, 3) == 0)
			start(s, h);
	}
}

static void
check_same(struct sim *s)
{
	struct source_entry a, b;

	for (unsigned i = 0; i < KEYS; i++) {
		struct source_key key = key_of(i);
		bool there = source_table_find(&s->host[0].core.table, &key, &a);

		for (unsigned h = 1; h < s->hosts; h++) {
			if (source_table_find(&s->host[h].core.table, &key, &b) !=
				there ||
			    (there && (a.server != b.server || a.version != b.version)))
				fail(s, "two hosts differ");
		}
		if (!s->forgot && (there != (s->best[i].server != 0) ||
				      (there && (a.server != s->best[i].server ||
						    a.version != s->best[i].version))))
			fail(s, "it is not the latest that holds");
	}
}

/* All hear each other: within seconds they agree. */
static void
settle(struct sim *s)
{
	memset(s->cut, 0, sizeof(s->cut));
	s->loss = 0;
	for (unsigned h = 0; h < s->hosts; h++) {
		if (!s->host[h].up)
			start(s, h);
	}
	run_for(s, 15 * SEC_NS);
	for (unsigned h = 0; h < s->hosts; h++) {
		if (!source_core_check(&s->host[h].core))
			fail(s, "a table is not sound at the end");
		for (unsigned p = 0; p < s->hosts; p++) {
			if (p != h &&
			    !source_core_agreed(&s->host[h].core, slot_of(h, p)))
				fail(s, "they do not agree");
		}
	}
}

/* Nobody comes any more: in the end nothing is left. */
static void
fade(struct sim *s)
{
	s->now = mono_add(s->now, (EXPIRE_S + 2) * SEC_NS);
	run_for(s, 2 * SEC_NS);
	for (unsigned h = 0; h < s->hosts; h++) {
		if (s->host[h].core.n != 0)
			fail(s, "something is kept for ever");
	}
}

static uint64_t
run(uint64_t seed)
{
	struct sim *s = calloc(1, sizeof(*s));
	bool roomy;
	uint64_t end;

	if (s == NULL)
		abort();
	s->seed = seed;
	s->rng.state = seed;
	s->now.ns = 1000 * SEC_NS;
	s->hosts = 2 + below(s, 2);
	s->loss = below(s, 30);
	roomy = below(s, 4) != 0;
	s->max = roomy ? 2 * KEYS : KEYS / 3;
	for (unsigned h = 0; h < s->hosts; h++) {
		s->host[h].memory = calloc(1, source_table_bytes(s->max));
		s->host[h].link =
		    calloc(source_table_slots(s->max), sizeof(*s->host[h].link));
		if (s->host[h].memory == NULL || s->host[h].link == NULL)
			abort();
		s->host[h].skew_ms = (int64_t)below(s, 100000) + 1000000;
		start(s, h);
	}
	for (unsigned i = 0; i < ROUNDS; i++) {
		for (unsigned n = below(s, 4) == 0 ? 300 : below(s, 30); n > 0; n--)
			serve(s, below(s, s->hosts));
		run_for(s, (int64_t)below(s, below(s, 5) == 0 ? 8000 : 800) * MS_NS);
		hurt(s);
	}
	for (unsigned n = below(s, 300); n > 0; n--) /* more than the window takes */
		serve(s, below(s, s->hosts));
	settle(s);
	if (roomy)
		check_same(s);
	fade(s);
	for (unsigned h = 0; h < s->hosts; h++) {
		free(s->host[h].memory);
		free(s->host[h].link);
	}
	while (s->n_msgs > 0)
		free(s->msg[--s->n_msgs]);
	end = s->rng.state;
	free(s);
	return end;
}

int
main(int argc, char **argv)
{
	return sim_main(argc, argv, run, 300, 50);
}
