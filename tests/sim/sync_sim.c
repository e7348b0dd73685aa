/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hosts that share connections over a bad network, in virtual time.
 *
 * One seed gives one run. Each host has a kernel (a table of flows with states, room
 * for a limited number), a queue of events that overflows, a dump whose answers are
 * written before they are read, and the core. Connections begin, advance and end on the
 * host that acts, and stragglers on others; entries expire on hosts that stand by;
 * datagrams are lost, doubled, delayed, replayed; links are cut; roles move, with
 * nobody or two acting for a while; processes restart, stand still while their sockets
 * fill, and hosts lose everything. Then faults cease and the hosts must settle:
 *
 *   - every kernel has the same flows in the same state;
 *   - what then ends on the acting host ends everywhere, what begins is everywhere;
 *   - nothing remains in the tables but what is in the kernels, and nobody is still
 *     occupied with a whole table.
 *
 * Usage: sync_sim FIRST_SEED COUNT
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "sim.h"
#include "sync/sync_core.h"

#define HOSTS	 3
#define FLOWS	 60  /* names of flows there are */
#define ROOM	 50  /* flows a kernel takes */
#define TABLE	 200 /* flows a core takes */
#define MSGS	 4096
#define EVENTS	 16 /* an overflow is an everyday thing */
#define PORTION	 7  /* flows of one answer of a dump */
#define ROUNDS	 60
#define DELAY_US 3000

struct cell { /* one name in one kernel */
	bool there;
	uint8_t state;
	uint16_t nat; /* port after translation: another one, another connection */
};

struct event {
	unsigned name;
	bool gone;
	struct cell cell;
	mono_t due;
};

struct host {
	struct sync core;
	void *memory;
	bool up, acting;
	mono_t wake; /* a pause until then */
	struct cell cell[FLOWS];
	unsigned n_cells;
	struct event event[EVENTS];
	unsigned n_events;
	bool overflow;
	bool dumping;
	unsigned dump_at;
	struct cell portion[PORTION]; /* written when the one before was read */
	mono_t dump_due;
};

struct msg {
	mono_t at;
	unsigned from, to;
	struct sync_header head;
	struct sync_epoch sealed_for; /* data only */
	size_t len;
	uint8_t payload[SYNC_PAYLOAD_MAX];
};

struct sim {
	uint64_t seed;
	struct rng rng;
	mono_t now;
	unsigned hosts;
	unsigned loss;
	bool calm;
	uint16_t nats;
	struct host host[HOSTS];
	bool cut[HOSTS][HOSTS];
	struct msg *msg[MSGS];
	unsigned n_msgs;
};

static uint32_t
below(struct sim *s, uint32_t n)
{
	return rng_below(&s->rng, n);
}

static void
show(const struct sim *s)
{
	for (unsigned h = 0; h < s->hosts; h++) {
		const struct sync *c = &s->host[h].core;

		(void)printf(
		    "  host %u %s%s: %u in the kernel, %u live, %u dead, refused %u\n",
		    h, s->host[h].up ? "up" : "down",
		    s->host[h].acting ? " acting" : "", s->host[h].n_cells,
		    c->table.live, c->table.dead, c->refused.n);
		for (unsigned k = 0; k < SYNC_PEERS_MAX; k++)
			if (c->peer[k].present)
				(void)printf(
				    "    peer %u open %d acting %d news %u flying %u "
				    "scan %u waiting %u end %d\n",
				    k, c->peer[k].open, c->peer[k].acting,
				    c->peer[k].news.n, c->peer[k].flying,
				    c->peer[k].scan, c->peer[k].waiting,
				    c->peer[k].rx_end);
	}
}

NORETURN static void
fail(const struct sim *s, const char *why)
{
	(void)printf("FAIL seed %llu at %lld ms: %s\n", (unsigned long long)s->seed,
	    (long long)(s->now.ns / MS_NS), why);
	show(s);
	exit(1);
}

/* Half of the names are TCP over IPv4 with source NAT, half UDP over IPv6. */
static struct flow
flow_of(unsigned name, const struct cell *c)
{
	struct flow f = {.family = name % 2 == 0 ? AF_INET : AF_INET6,
	    .proto = name % 2 == 0 ? IPPROTO_TCP : IPPROTO_UDP,
	    .has = FLOW_STATUS | FLOW_TIMEOUT,
	    .status = FLOW_SEEN_REPLY | FLOW_ASSURED | FLOW_CONFIRMED,
	    .timeout_s = 60};

	f.orig.src[0] = 10;
	f.orig.src[3] = (uint8_t)name;
	f.orig.dst[0] = 192;
	f.orig.src_port = (uint16_t)(1000 + name);
	f.orig.dst_port = 80;
	memcpy(f.reply.src, f.orig.dst, 16);
	memcpy(f.reply.dst, f.orig.src, 16);
	f.reply.src_port = 80;
	f.reply.dst_port = c->nat;
	if (f.proto == IPPROTO_TCP) {
		f.has |= FLOW_TCP;
		f.tcp_state = c->state;
	}
	return f;
}

static unsigned
name_of(const struct flow *f)
{
	return f->orig.src[3];
}

static struct cell
cell_of(const struct flow *f)
{
	return (struct cell){.there = true,
	    .state = f->proto == IPPROTO_TCP ? f->tcp_state : FLOW_TCP_ESTABLISHED,
	    .nat = f->reply.dst_port};
}

/* ---- kernels -------------------------------------------------------------------- */

static void
emit(struct sim *s, unsigned h, unsigned name, bool gone)
{
	struct host *t = &s->host[h];

	if (t->n_events == EVENTS) {
		t->overflow = true;
		return;
	}
	t->event[t->n_events++] = (struct event){.name = name,
	    .gone = gone,
	    .cell = t->cell[name],
	    .due = mono_add(s->now, (int64_t)below(s, 300) * US_NS)};
}

static bool
set_cell(struct host *t, unsigned name, const struct cell *c)
{
	if (!t->cell[name].there && t->n_cells == ROOM)
		return false;
	t->n_cells += !t->cell[name].there;
	t->cell[name] = *c;
	return true;
}

static void
clear_cell(struct host *t, unsigned name)
{
	t->n_cells -= t->cell[name].there;
	t->cell[name] = (struct cell){0};
}

static void
begin_flow(struct sim *s, unsigned h, unsigned name)
{
	struct cell c = {
	    .there = true, .state = FLOW_TCP_ESTABLISHED, .nat = ++s->nats};

	if (!s->host[h].cell[name].there && set_cell(&s->host[h], name, &c))
		emit(s, h, name, false);
}

static void
advance_flow(struct sim *s, unsigned h, unsigned name)
{
	struct cell *c = &s->host[h].cell[name];

	if (!c->there || name % 2 != 0 || c->state >= FLOW_TCP_TIME_WAIT)
		return;
	c->state++;
	emit(s, h, name, false);
}

static void
end_flow(struct sim *s, unsigned h, unsigned name)
{
	if (!s->host[h].cell[name].there)
		return;
	emit(s, h, name, true);
	clear_cell(&s->host[h], name);
}

/* What packets and time do. */
static void
live(struct sim *s, unsigned h)
{
	unsigned name = below(s, FLOWS), what = below(s, 10);

	if (s->host[h].acting) {
		if (what < 4)
			begin_flow(s, h, name);
		else if (what < 7)
			advance_flow(s, h, name);
		else
			end_flow(s, h, name);
	} else if (what == 0) {
		advance_flow(s, h, name); /* a straggler */
	} else if (what < 3) {
		end_flow(s, h, name); /* nobody refreshes it here */
	}
}

/* ---- the shell ------------------------------------------------------------------ */

static void
begin_dump(struct sim *s, unsigned h)
{
	struct host *t = &s->host[h];

	t->dumping = true;
	t->dump_at = 0;
	memcpy(t->portion, t->cell, sizeof(t->portion));
	t->dump_due = mono_add(s->now, 200 * US_NS);
	sync_dump_begin(&t->core);
}

static void
step_dump(struct sim *s, unsigned h)
{
	struct host *t = &s->host[h];

	for (unsigned i = 0; i < PORTION && t->dump_at + i < FLOWS; i++) {
		if (t->portion[i].there) {
			struct flow f = flow_of(t->dump_at + i, &t->portion[i]);

			sync_dumped(&t->core, s->now, &f);
		}
	}
	t->dump_at += PORTION;
	t->dump_due = mono_add(s->now, 200 * US_NS);
	if (t->dump_at < FLOWS) {
		for (unsigned i = 0; i < PORTION && t->dump_at + i < FLOWS; i++)
			t->portion[i] = t->cell[t->dump_at + i];
		return;
	}
	t->dumping = false;
	sync_dump_end(&t->core, !t->overflow);
}

static void
read_events(struct sim *s, unsigned h)
{
	struct host *t = &s->host[h];
	unsigned n = 0;

	while (n < t->n_events && !mono_before(s->now, t->event[n].due)) {
		struct flow f = flow_of(t->event[n].name, &t->event[n].cell);

		sync_event(&t->core, s->now, t->event[n].gone, &f);
		n++;
	}
	t->n_events -= n;
	memmove(t->event, t->event + n, t->n_events * sizeof(t->event[0]));
	if (t->overflow && t->n_events == 0 && !t->dumping) {
		t->overflow = false;
		begin_dump(s, h);
	}
}

static void
obey(struct sim *s, unsigned h)
{
	struct host *t = &s->host[h];
	enum ct_order order;
	struct flow f;
	uint32_t i;

	while ((i = sync_order(&t->core, &order, &f)) != 0) {
		struct cell c = cell_of(&f);

		if (order == CT_DELETE)
			clear_cell(t, name_of(&f));
		else if (!set_cell(t, name_of(&f), &c))
			sync_refused(&t->core, s->now, i);
	}
}

static void
post(struct sim *s, const struct msg *m)
{
	unsigned copies = s->calm ? 1 : 1 + (below(s, 100) < 3);

	if (s->cut[m->from][m->to] || (!s->calm && below(s, 100) < s->loss))
		return;
	for (; copies > 0 && s->n_msgs < MSGS; copies--) {
		struct msg *copy = malloc(sizeof(*copy));

		if (copy == NULL)
			abort();
		*copy = *m;
		copy->at = mono_add(
		    s->now, (int64_t)(s->calm ? 100 : below(s, DELAY_US)) * US_NS);
		if (!s->calm && below(s, 200) == 0) /* kept, and said again later */
			copy->at = mono_add(copy->at, 700 * MS_NS);
		s->msg[s->n_msgs++] = copy;
	}
}

static unsigned
peer_number(unsigned self, unsigned other)
{
	return other < self ? other : other - 1;
}

static void
speak(struct sim *s, unsigned h)
{
	struct host *t = &s->host[h];
	struct msg m = {.from = h};
	unsigned most = 64;

	for (m.to = 0; m.to < s->hosts; m.to++) {
		unsigned k = m.to == h ? 0 : peer_number(h, m.to);

		while (m.to != h && most-- > 0 &&
		       sync_next(&t->core, s->now, k, &m.head, m.payload, &m.len)) {
			m.sealed_for = t->core.peer[k].epoch;
			post(s, &m);
		}
	}
}

static void
work(struct sim *s, unsigned h)
{
	struct host *t = &s->host[h];

	read_events(s, h);
	if (t->dumping && !mono_before(s->now, t->dump_due))
		step_dump(s, h);
	sync_tick(&t->core, s->now);
	obey(s, h);
	speak(s, h);
	if (!sync_check(&t->core))
		fail(s, "invariant");
}

static void
hear(struct sim *s, const struct msg *m)
{
	struct host *t = &s->host[m->to];
	unsigned k = peer_number(m->to, m->from);
	const struct sync_peer *p = &t->core.peer[k];
	struct sync_hello hello;
	int err;

	if (m->head.kind == SYNC_HELLO) {
		if (sync_hello_decode(&hello, m->payload, m->len) != 0)
			fail(s, "a greeting that makes no sense");
		sync_greeted(&t->core, s->now, k, &m->head.from, &hello);
	} else if (p->open && memcmp(&p->epoch, &m->head.from, sizeof(p->epoch)) == 0 &&
		   memcmp(&t->core.epoch, &m->sealed_for, sizeof(p->epoch)) == 0) {
		err = sync_heard(&t->core, s->now, k, m->head.seq, m->payload, m->len);
		if (err != 0 && err != -EALREADY)
			fail(s, "a datagram that makes no sense");
	} else {
		t->core.peer[k].greet = true;
	}
	work(s, m->to);
}

static mono_t
due(const struct sim *s, unsigned h)
{
	const struct host *t = &s->host[h];
	mono_t at = sync_deadline(&t->core, s->now);

	if (t->n_events > 0)
		at = mono_min(at, t->event[0].due);
	if (t->dumping)
		at = mono_min(at, t->dump_due);
	return mono_before(at, t->wake) ? t->wake : at;
}

static bool
deliver_next(struct sim *s, mono_t end)
{
	unsigned best = MSGS;
	struct msg *m;

	for (unsigned i = 0; i < s->n_msgs; i++) {
		if (mono_before(s->msg[i]->at, end) &&
		    (best == MSGS || mono_before(s->msg[i]->at, s->msg[best]->at)))
			best = i;
	}
	if (best == MSGS)
		return false;
	m = s->msg[best];
	s->msg[best] = s->msg[--s->n_msgs];
	if (mono_before(s->now, m->at))
		s->now = m->at;
	if (s->host[m->to].up && mono_before(s->now, s->host[m->to].wake)) {
		m->at = s->host[m->to].wake; /* its socket has it meanwhile */
		s->msg[s->n_msgs++] = m;
		return true;
	}
	if (s->host[m->to].up)
		hear(s, m);
	free(m);
	return true;
}

static mono_t
first_msg(const struct sim *s)
{
	mono_t at = MONO_NEVER;

	for (unsigned i = 0; i < s->n_msgs; i++)
		at = mono_min(at, s->msg[i]->at);
	return at;
}

static void
run_until(struct sim *s, mono_t end)
{
	while (mono_before(s->now, end)) {
		mono_t next = first_msg(s);
		unsigned who = HOSTS;

		for (unsigned h = 0; h < s->hosts; h++) {
			if (s->host[h].up && mono_before(due(s, h), next)) {
				next = due(s, h);
				who = h;
			}
		}
		if (!mono_before(next, end))
			break;
		if (who == HOSTS) {
			(void)deliver_next(s, end);
			continue;
		}
		if (mono_before(s->now, next))
			s->now = next;
		else /* no time passes while a host works through a portion */
			s->now.ns += 2 * US_NS;
		work(s, who);
	}
	if (mono_before(s->now, end))
		s->now = end;
}

/* ---- life and death ------------------------------------------------------------- */

static void
start(struct sim *s, unsigned h, bool kernel_too)
{
	struct host *t = &s->host[h];
	struct sync_epoch epoch;

	for (unsigned i = 0; i < sizeof(epoch.byte); i++)
		epoch.byte[i] = (uint8_t)rng_next(&s->rng);
	memset(t->memory, 0, sync_table_bytes(TABLE));
	sync_init(&t->core, t->memory, TABLE, &epoch, rng_next(&s->rng));
	for (unsigned k = 0; k + 1 < s->hosts; k++)
		sync_peer_add(&t->core, k);
	t->n_events = 0;
	t->overflow = false;
	if (kernel_too) {
		memset(t->cell, 0, sizeof(t->cell));
		t->n_cells = 0;
		t->acting = false;
	}
	t->up = true;
	sync_role(&t->core, s->now, t->acting);
	begin_dump(s, h);
}

static void
set_role(struct sim *s, unsigned h, bool acting)
{
	struct host *t = &s->host[h];

	t->acting = acting;
	if (t->up)
		sync_role(&t->core, s->now, acting);
}

static void
move_to(struct sim *s, unsigned h)
{
	bool takes_first = below(s, 2) == 0;

	if (takes_first)
		set_role(s, h, true);
	run_until(s, mono_add(s->now, (int64_t)below(s, 5) * MS_NS));
	for (unsigned i = 0; i < s->hosts; i++) {
		if (i != h && s->host[i].acting)
			set_role(s, i, false);
	}
	set_role(s, h, true);
}

static void
hurt(struct sim *s)
{
	unsigned a = below(s, s->hosts), b = below(s, s->hosts);
	struct host *t = &s->host[a];

	switch (below(s, 9)) {
	case 0:
		s->cut[a][b] = s->cut[b][a] = a != b && !s->cut[a][b];
		break;
	case 1:
		s->cut[a][b] = a != b && !s->cut[a][b];
		break;
	case 2:
		if (t->up)
			start(s, a, false); /* the process died and is back */
		break;
	case 3:
		if (t->up) {
			t->up = t->acting = false;
		} else {
			start(s, a, below(s, 2) == 0);
		}
		break;
	case 4:
		t->wake = mono_add(s->now, (int64_t)below(s, 2500) * MS_NS);
		break;
	case 5:
		if (t->up)
			set_role(s, a, !t->acting); /* nobody, or two */
		break;
	case 6:
		if (t->up && !t->dumping)
			begin_dump(s, a);
		break;
	default:
		if (t->up)
			move_to(s, a);
		break;
	}
}

static void
traffic(struct sim *s, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		for (unsigned h = 0; h < s->hosts; h++) {
			if (s->host[h].up)
				live(s, h);
		}
		run_until(s, mono_add(s->now, (int64_t)below(s, 4000) * US_NS));
	}
}

static void
check_same(const struct sim *s, unsigned acting, const char *when)
{
	const struct host *a = &s->host[acting];

	for (unsigned h = 0; h < s->hosts; h++) {
		const struct host *t = &s->host[h];

		for (unsigned i = 0; i < FLOWS; i++) {
			if (a->cell[i].there != t->cell[i].there ||
			    a->cell[i].nat != t->cell[i].nat ||
			    a->cell[i].state != t->cell[i].state) {
				(void)printf("  flow %u: host %u %d state %u nat %u, "
					     "host %u %d state %u nat %u\n",
				    i, acting, a->cell[i].there, a->cell[i].state,
				    a->cell[i].nat, h, t->cell[i].there,
				    t->cell[i].state, t->cell[i].nat);
				fail(s, when);
			}
		}
		if (t->core.table.live != t->n_cells || t->core.table.dead != 0 ||
		    t->core.refused.n != 0)
			fail(s, "a table that is not the kernel's");
		if (t->core.overflow != 0)
			fail(s, "a table overflows");
		if (sync_bulk(&t->core)) /* it would never be in real time */
			fail(s, "a whole table is still on its way");
	}
}

/* For a while, every flow of the host that acts is everywhere. */
static void
forgets_nothing(struct sim *s, unsigned acting, unsigned ms, const char *when)
{
	for (; ms > 0; ms--) {
		run_until(s, mono_add(s->now, MS_NS));
		for (unsigned i = 0; i < FLOWS * s->hosts; i++) {
			if (s->host[acting].cell[i % FLOWS].there &&
			    !s->host[i / FLOWS].cell[i % FLOWS].there)
				fail(s, when);
		}
	}
	check_same(s, acting, when);
}

/* The process of the host that acts dies and comes back, and does not know yet what its
 * kernel has. */
static void
reborn(struct sim *s, unsigned acting)
{
	start(s, acting, false);
	forgets_nothing(s, acting, 1500, "a process came back, and a flow is gone");
}

/* It, or one that stands by, is held up: the others take it for gone, and it finds what
 * they said meanwhile, so that it misses nothing itself. */
static void
held_up(struct sim *s, unsigned acting)
{
	struct host *t = &s->host[below(s, s->hosts)];

	t->wake = mono_add(s->now, (int64_t)(500 + below(s, 2500)) * MS_NS);
	forgets_nothing(s, acting, 4500, "a host stood still, and a flow is gone");
}

static void
settle(struct sim *s)
{
	unsigned acting = below(s, s->hosts);

	s->calm = true;
	memset(s->cut, 0, sizeof(s->cut));
	for (unsigned h = 0; h < s->hosts; h++) {
		s->host[h].wake = s->now;
		if (!s->host[h].up)
			start(s, h, true);
		set_role(s, h, h == acting);
	}
	run_until(s, mono_add(s->now, 3 * SEC_NS));
	for (unsigned h = 0; h < s->hosts; h++) /* the audit of every minute */
		begin_dump(s, h);
	run_until(s, mono_add(s->now, 3 * SEC_NS));
	check_same(s, acting, "kernels differ");
	reborn(s, acting);
	held_up(s, acting);
	for (unsigned i = 0; i < FLOWS; i++) {
		if (below(s, 2) == 0)
			end_flow(s, acting, i);
		else
			begin_flow(s, acting, i);
		run_until(s, mono_add(s->now, 500 * US_NS));
	}
	run_until(s, mono_add(s->now, 3 * SEC_NS));
	check_same(s, acting, "kernels differ after calm changes");
	for (unsigned i = 0; i < FLOWS; i++) { /* what ends stays ended */
		end_flow(s, acting, i);
		run_until(s, mono_add(s->now, 500 * US_NS));
	}
	run_until(s, mono_add(s->now, 3 * SEC_NS));
	check_same(s, acting, "something remains of what ended");
	if (s->host[acting].n_cells != 0)
		fail(s, "the acting host has what ended");
}

static uint64_t
run(uint64_t seed)
{
	struct sim *s = calloc(1, sizeof(*s));
	uint64_t end;

	if (s == NULL)
		abort();
	s->seed = seed;
	s->rng.state = seed;
	s->now.ns = SEC_NS;
	s->hosts = 2 + below(s, 2);
	s->loss = below(s, 30);
	for (unsigned h = 0; h < s->hosts; h++) {
		s->host[h].memory = calloc(1, sync_table_bytes(TABLE));
		if (s->host[h].memory == NULL)
			abort();
		start(s, h, true);
	}
	set_role(s, 0, true);
	for (unsigned i = 0; i < ROUNDS; i++) {
		traffic(s, below(s, 40));
		hurt(s);
	}
	settle(s);
	for (unsigned h = 0; h < s->hosts; h++)
		free(s->host[h].memory);
	while (s->n_msgs > 0)
		free(s->msg[--s->n_msgs]);
	end = s->rng.state; /* each draw depends on what was sent before */
	free(s);
	return end;
}

int
main(int argc, char **argv)
{
	return sim_main(argc, argv, run, 300, 50);
}
