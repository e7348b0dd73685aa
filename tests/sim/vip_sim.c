/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hosts that share floating addresses, on a bad network, in virtual time.
 *
 * One seed gives one run: adverts are lost, delayed, duplicated and reordered, links
 * are cut in one or both directions, hosts crash (and leave the address in the kernel
 * until it expires), pause for longer than every timeout, stop, move, become unfit and
 * fit again; with one router or a group of two. Then faults cease (cuts may stay) and
 * the network must settle. What that means is stated here without the core's help:
 *
 *   - no two owners in reach of each other;
 *   - a host that stands by has an owner in reach, at least as fit as itself;
 *   - of equally fit hosts, the one of higher priority, unless it was told otherwise;
 *   - the routers of a group are on one host;
 *   - a client believes the last announcement it heard, and that names an owner;
 *   - after a split that healed, it does so at once;
 *   - after a pause, a host that was timed out owns nothing once it has run again;
 *   - in a healthy network, a planned leave never leaves the address without an owner.
 *
 * Usage: vip_sim FIRST_SEED COUNT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "sim.h"
#include "vip/vip_core.h"

#define HOSTS	  4
#define NETS	  2
#define MSGS	  512
#define ROUNDS	  8
#define QUEUE_MAX 100
#define CLIENT	  HOSTS
#define LIFE_NS	  (2 * SEC_NS)
#define RENEW_NS  (500 * MS_NS)

struct host {
	struct vip v[NETS];
	bool up;
	bool paused;
	mono_t paused_at;
	bool owned; /* when it fell asleep */
	enum vip_level level;
	mono_t address_until[NETS]; /* in the kernel, on the link */
	bool leaving[NETS];	    /* on the loopback */
};

struct msg {
	mono_t at;
	uint64_t order; /* of sending: ties are delivered in it */
	unsigned to, net;
	bool announce; /* to the client */
	struct vip_advert adv;
};

struct sim {
	uint64_t seed, hash, sent;
	struct rng rng;
	mono_t now;
	unsigned hosts, nets;
	uint16_t adv_cs;
	bool preempt;
	unsigned loss; /* of 100 */
	struct host host[HOSTS];
	bool cut[HOSTS + 1][HOSTS + 1];
	struct msg msg[MSGS];
	unsigned n_msgs;
	unsigned believes[NETS]; /* the client; HOSTS: nobody */
	bool guarded;		 /* at every instant somebody must own it */
	bool told;		 /* a move: priority does not decide */
};

static uint32_t
below(struct sim *s, uint32_t n)
{
	return rng_below(&s->rng, n);
}

static void
note(struct sim *s, uint64_t x)
{
	s->hash = rng_mix(s->hash ^ x);
}

static bool
owns(const struct sim *s, unsigned i, unsigned net)
{
	return mono_before(s->now, s->host[i].address_until[net]);
}

NORETURN static void
fail(const struct sim *s, const char *why)
{
	(void)printf("FAIL seed %llu at %lld ms: %s (adv %u cs, preempt %d)\n",
	    (unsigned long long)s->seed, (long long)(s->now.ns / MS_NS), why, s->adv_cs,
	    s->preempt);
	for (unsigned i = 0; i < s->hosts; i++) {
		const struct host *h = &s->host[i];

		for (unsigned n = 0; n < s->nets; n++)
			(void)printf(
			    "  host %u net %u prio %u level %u: %s%s %s hold %d "
			    "%s\n",
			    i, n, h->v[n].conf.prio, h->level, h->up ? "up" : "down",
			    h->paused ? " paused" : "", vip_state_name(h->v[n].state),
			    h->v[n].hold, owns(s, i, n) ? "owns" : "");
		for (unsigned j = 0; j <= s->hosts; j++) {
			unsigned to = j == s->hosts ? CLIENT : j;

			if (s->cut[i][to])
				(void)printf("  cut %u -> %u\n", i, to);
		}
	}
	(void)printf("  the client believes %u\n", s->believes[0]);
	exit(1);
}

/* A host that sleeps has a small queue; what comes later is lost. */
static bool
queue_full(const struct sim *s, unsigned to)
{
	unsigned n = 0;

	for (unsigned k = 0; k < s->n_msgs; k++)
		n += s->msg[k].to == to;
	return n >= QUEUE_MAX;
}

static void
post(struct sim *s, unsigned from, struct msg m)
{
	if (s->cut[from][m.to] || below(s, 100) < s->loss || queue_full(s, m.to))
		return;
	for (unsigned copies = below(s, 100) < s->loss ? 2 : 1; copies > 0; copies--) {
		ASSERT(s->n_msgs < MSGS);
		m.at = mono_add(s->now, (int64_t)below(s, 2000) * US_NS);
		m.order = s->sent++;
		s->msg[s->n_msgs++] = m;
	}
}

static void
send_advert(struct sim *s, unsigned i, unsigned net, const struct vip_act *a)
{
	const struct vip_conf *c = &s->host[i].v[net].conf;
	struct msg m = {
	    .net = net, .adv = {.prio = a->prio, .adv_cs = c->adv_cs, .from = c->self}};

	for (m.to = 0; m.to < s->hosts; m.to++) {
		if (m.to == i)
			continue;
		if (a->peer.family != 0 && a->peer.byte[3] != m.to + 1)
			continue;
		post(s, i, m);
	}
}

static void
act(struct sim *s, unsigned i, unsigned net, const struct vip_act *a)
{
	struct host *h = &s->host[i];

	note(s, (uint64_t)s->now.ns);
	note(s, (uint64_t)i << 24 | net << 16 | (unsigned)a->type << 8 | a->prio);
	switch (a->type) {
	case VIP_ACT_SEND:
		send_advert(s, i, net, a);
		break;
	case VIP_ACT_TAKE:
		h->address_until[net] = mono_add(s->now, LIFE_NS);
		h->leaving[net] = false;
		break;
	case VIP_ACT_ANNOUNCE:
		if (!owns(s, i, net))
			fail(s, "announces what it does not own");
		post(s, i,
		    (struct msg){.to = CLIENT,
			.net = net,
			.announce = true,
			.adv = {.from = h->v[net].conf.self}});
		break;
	case VIP_ACT_LEAVE:
		h->leaving[net] = true;
		h->address_until[net] = (mono_t){0};
		break;
	case VIP_ACT_DROP:
		h->leaving[net] = false;
		h->address_until[net] = (mono_t){0};
		break;
	case VIP_ACT_FORWARD:
		if (a->peer.byte[3] == i + 1)
			fail(s, "forwards to itself");
		break;
	case VIP_ACT_MOVED:
	case VIP_ACT_STUCK:
		break;
	}
}

static void
give_one(struct sim *s, unsigned i, unsigned net, const struct vip_ev *ev)
{
	struct host *h = &s->host[i];
	struct vip_out out;

	vip_input(&h->v[net], s->now, ev, &out);
	for (unsigned k = 0; k < out.n; k++)
		act(s, i, net, &out.act[k]);
	if (!vip_check(&h->v[net]))
		fail(s, "invariant");
	if (vip_holds(&h->v[net])) /* a running host renews */
		h->address_until[net] = mono_add(s->now, LIFE_NS);
	if (vip_holds(&h->v[net]) != owns(s, i, net))
		fail(s, "holds without the address, or the other way round");
}

static void
give(struct sim *s, unsigned i, unsigned net, struct vip_ev ev)
{
	const struct vip *member[NETS];
	size_t which;

	give_one(s, i, net, &ev);
	for (unsigned n = 0; n < s->nets; n++)
		member[n] = &s->host[i].v[n];
	for (unsigned k = 0;
	     s->nets > 1 && vip_group_next(member, s->nets, &which, &ev); k++) {
		if (k > 10)
			fail(s, "the group finds no rest");
		give_one(s, i, (unsigned)which, &ev);
	}
}

static void
give_all(struct sim *s, unsigned i, struct vip_ev ev)
{
	for (unsigned n = 0; n < s->nets; n++)
		give(s, i, n, ev);
}

/* The client asks anew when what it believes does not answer. */
static void
deliver(struct sim *s, unsigned k)
{
	struct msg m = s->msg[k];

	s->msg[k] = s->msg[--s->n_msgs];
	if (m.announce) {
		s->believes[m.net] = m.adv.from.byte[3] - 1U;
		note(s, s->believes[m.net]);
	} else if (s->host[m.to].up) {
		give(s, m.to, m.net, (struct vip_ev){VIP_EV_ADVERT, .adv = m.adv});
	}
}

static bool
earlier(const struct msg *a, const struct msg *b)
{
	if (a->at.ns != b->at.ns)
		return mono_before(a->at, b->at);
	return a->order < b->order;
}

static bool
asleep(const struct sim *s, unsigned i)
{
	return i < s->hosts && s->host[i].up && s->host[i].paused;
}

static void
check_guard(const struct sim *s)
{
	for (unsigned n = 0; s->guarded && n < s->nets; n++) {
		bool any = false;

		for (unsigned i = 0; i < s->hosts; i++)
			any |= owns(s, i, n);
		if (!any)
			fail(s, "a planned leave left a gap");
	}
}

/* Runs the earliest message or timer until nothing is due before `end`. What arrived
 * goes before timers, as the shell does it. */
static void
run_until(struct sim *s, mono_t end)
{
	for (;;) {
		unsigned best = MSGS, host = HOSTS, net = 0;
		mono_t next = end;

		for (unsigned k = 0; k < s->n_msgs; k++) {
			if (asleep(s, s->msg[k].to) || !mono_before(s->msg[k].at, end))
				continue;
			if (best == MSGS || earlier(&s->msg[k], &s->msg[best]))
				best = k;
		}
		if (best < MSGS)
			next = s->msg[best].at;
		for (unsigned i = 0; i < s->hosts; i++) {
			for (unsigned n = 0; n < s->nets; n++) {
				mono_t due = vip_deadline(&s->host[i].v[n]);

				if (!s->host[i].up || asleep(s, i))
					continue;
				if (mono_before(due, next)) {
					next = due;
					best = MSGS;
					host = i;
					net = n;
				}
			}
		}
		if (mono_before(s->now, next))
			s->now = next;
		if (best < MSGS)
			deliver(s, best);
		else if (host < HOSTS)
			give(s, host, net, (struct vip_ev){.type = VIP_EV_TICK});
		else
			return;
		check_guard(s);
	}
}

static void
run_for(struct sim *s, int64_t ns)
{
	run_until(s, mono_add(s->now, ns));
}

static void
boot(struct sim *s, unsigned i)
{
	struct host *h = &s->host[i];

	h->up = true;
	h->paused = false;
	h->level = VIP_FIT;
	for (unsigned n = 0; n < s->nets; n++) {
		struct vip_conf conf = {.vrid = 1,
		    .prio = (uint8_t)(254 - i),
		    .rank = (uint8_t)i,
		    .version = 3,
		    .adv_cs = s->adv_cs,
		    .preempt = s->preempt,
		    .grouped = s->nets > 1,
		    .self = {.family = AF_INET, .byte = {10, 0, 0, (uint8_t)(i + 1)}}};

		/* The part sweeps away what an earlier life left. */
		h->address_until[n] = (mono_t){0};
		h->leaving[n] = false;
		if (vip_init(&h->v[n], &conf, h->level) != 0)
			fail(s, "configuration refused");
	}
	give_all(s, i, (struct vip_ev){.type = VIP_EV_START});
}

/* The part died and its spare goes on at once with the addresses it finds. */
static void
respawn(struct sim *s, unsigned i)
{
	struct host *h = &s->host[i];

	for (unsigned n = 0; n < s->nets; n++) {
		bool held = vip_holds(&h->v[n]);
		struct vip_conf conf = h->v[n].conf;

		if (vip_init(&h->v[n], &conf, h->level) != 0)
			fail(s, "configuration refused");
		h->v[n].now = s->now;
		give_one(s, i, n,
		    &(struct vip_ev){.type = held ? VIP_EV_RESUME : VIP_EV_START});
	}
	give_all(s, i, (struct vip_ev){.type = VIP_EV_START});
}

static void
resume(struct sim *s, unsigned i)
{
	struct host *h = &s->host[i];
	bool timed_out;

	/* Only a host that was certainly timed out by all others is bound by the rule.
	 */
	timed_out = h->owned && mono_sub(s->now, h->paused_at) > 5 * s->adv_cs * CS_NS;
	h->paused = false;
	for (unsigned n = 0; n < s->nets; n++) { /* renewals were due */
		if (vip_holds(&h->v[n]))
			h->address_until[n] = mono_add(s->now, LIFE_NS);
	}
	run_for(s, 10 * MS_NS);
	for (unsigned n = 0; timed_out && n < s->nets; n++) {
		if (owns(s, i, n))
			fail(s, "owns after a pause");
	}
}

static struct ip
address_of(unsigned i)
{
	return (struct ip){.family = AF_INET, .byte = {10, 0, 0, (uint8_t)(i + 1)}};
}

static void
crash(struct sim *s, unsigned i, bool kernel_too)
{
	struct host *h = &s->host[i];

	h->up = h->paused = false;
	for (unsigned n = 0; n < s->nets; n++) {
		int64_t ago_ns = (int64_t)below(s, RENEW_NS / MS_NS) * MS_NS;

		if (kernel_too || !owns(s, i, n))
			h->address_until[n] = (mono_t){0};
		else /* it expires, at the latest a life after the last renewal */
			h->address_until[n] = mono_add(s->now, LIFE_NS - ago_ns);
	}
}

static void
set_level(struct sim *s, unsigned i, enum vip_level level)
{
	s->host[i].level = level;
	give_all(s, i, (struct vip_ev){.type = VIP_EV_LEVEL, .level = level});
}

static void
hurt(struct sim *s)
{
	unsigned a = below(s, s->hosts), b = below(s, s->hosts);
	struct host *h = &s->host[a];

	switch (below(s, 12)) {
	case 0:
		if (h->up)
			crash(s, a, below(s, 2) == 0);
		break;
	case 1:
		if (h->up && !h->paused)
			give_all(s, a, (struct vip_ev){.type = VIP_EV_STOP});
		break;
	case 2:
	case 3:
		if (!h->up)
			boot(s, a);
		else if (!h->paused)
			give_all(s, a, (struct vip_ev){.type = VIP_EV_START});
		break;
	case 4:
	case 5:
		s->cut[a][b] = a != b && !s->cut[a][b];
		break;
	case 6:
		s->cut[a][b] = s->cut[b][a] = a != b && !s->cut[a][b];
		break;
	case 7:
		s->cut[a][CLIENT] = !s->cut[a][CLIENT];
		break;
	case 8:
		if (h->up && h->paused)
			resume(s, a);
		else if (h->up) {
			h->paused = true;
			h->paused_at = s->now;
			h->owned = owns(s, a, 0);
		}
		break;
	case 9:
		if (h->up && !h->paused)
			set_level(s, a, (enum vip_level)below(s, 4));
		break;
	case 10:
		if (h->up && !h->paused && a != b)
			give_all(
			    s, a, (struct vip_ev){VIP_EV_MOVE, .to = address_of(b)});
		s->told = true;
		break;
	default:
		if (h->up && !h->paused)
			respawn(s, a);
		break;
	}
}

/* Takes part, and can be heard and hear. */
static bool
eligible(const struct sim *s, unsigned i)
{
	const struct host *h = &s->host[i];

	return h->up && !h->paused && h->level > VIP_OUT && h->v[0].running;
}

static bool
in_reach(const struct sim *s, unsigned i, unsigned j)
{
	return !s->cut[i][j] && !s->cut[j][i];
}

/* True if `j` has the better claim, by what `i` hears of it. */
static bool
better(const struct sim *s, unsigned j, unsigned i)
{
	if (s->host[j].level != s->host[i].level)
		return s->host[j].level > s->host[i].level;
	return s->host[j].v[0].conf.prio > s->host[i].v[0].conf.prio;
}

static void
check_standby(const struct sim *s, unsigned i, unsigned n)
{
	bool served = false, content = false;

	for (unsigned j = 0; j < s->hosts; j++) {
		/* It may hear an owner that does not hear it. */
		if (j == i || !owns(s, j, n) || s->cut[j][i])
			continue;
		served = true;
		content |= better(s, j, i);
		/* Only who is fit takes from an equal. */
		if (s->host[i].v[0].hold || s->host[i].v[1].hold || !s->preempt ||
		    s->host[i].level < VIP_FIT)
			content |= s->host[j].level >= s->host[i].level;
	}
	if (!served)
		fail(s, "no owner in reach");
	for (unsigned j = 0; j < s->hosts && !content; j++) {
		if (j == i || !owns(s, j, n) || !in_reach(s, i, j))
			continue;
		if (s->host[j].level < s->host[i].level)
			fail(s, "a less fit host owns");
		/* A third host can mistake a lost resignation for a move, and then does
		 * not preempt; of two, none can. */
		if (s->hosts > 2 && (s->host[i].v[0].hold || s->host[i].v[1].hold))
			continue;
		if (s->preempt && !s->told && s->host[i].level == VIP_FIT)
			fail(s, "a host of lower priority owns");
	}
}

static void
check_settled(const struct sim *s)
{
	for (unsigned n = 0; n < s->nets; n++) {
		for (unsigned i = 0; i < s->hosts; i++) {
			for (unsigned j = 0; j < i; j++) {
				if (owns(s, i, n) && owns(s, j, n) && in_reach(s, i, j))
					fail(s, "two owners in reach of each other");
			}
			if (eligible(s, i) && !owns(s, i, n))
				check_standby(s, i, n);
			if (n > 0 && owns(s, i, n) != owns(s, i, 0))
				fail(s, "a group on two hosts");
		}
	}
}

static void
check_client(const struct sim *s)
{
	for (unsigned n = 0; n < s->nets; n++) {
		bool some = false;

		for (unsigned i = 0; i < s->hosts; i++)
			some |= owns(s, i, n) && !s->cut[i][CLIENT];
		if (!some || s->believes[n] == HOSTS)
			continue;
		if (!owns(s, s->believes[n], n))
			fail(s, "the client talks to one that is not the owner");
	}
}

/* Everybody up, fit, and in reach of everybody. */
static void
recover(struct sim *s)
{
	for (unsigned i = 0; i < s->hosts; i++) {
		if (s->host[i].up && s->host[i].paused)
			resume(s, i);
	}
	run_for(s, s->adv_cs * CS_NS * 3); /* one may be on its way out */
	for (unsigned i = 0; i < s->hosts; i++) {
		if (!s->host[i].up || !s->host[i].v[0].running)
			boot(s, i);
		set_level(s, i, VIP_FIT);
	}
	memset(s->cut, 0, sizeof(s->cut));
	run_for(s, s->adv_cs * CS_NS * 20 + 2 * LIFE_NS);
}

/* The hosts lose each other, not the client, and find each other again: the client must
 * be right at once, not when it happens to hear the next announcement. */
static void
split_and_heal(struct sim *s)
{
	for (unsigned i = 0; i < s->hosts; i++) {
		for (unsigned j = 0; j < s->hosts; j++)
			s->cut[i][j] = i != j;
	}
	run_for(s, s->adv_cs * CS_NS * (4 + below(s, 60)) + below(s, SEC_NS));
	memset(s->cut, 0, sizeof(s->cut));
	/* Of more than two, the winner answers one at a time, in growing pauses. */
	run_for(s, s->adv_cs * CS_NS * 2 + (s->hosts > 2 ? 500 : 20) * MS_NS);
	check_settled(s);
	check_client(s);
}

/* In a healthy network, one planned change; nobody may notice. */
static void
leave_in_peace(struct sim *s)
{
	unsigned owner = HOSTS, to = below(s, s->hosts);

	for (unsigned i = 0; i < s->hosts; i++) {
		if (owns(s, i, 0))
			owner = i;
	}
	if (owner == HOSTS)
		fail(s, "a healthy network without owner");
	s->guarded = true;
	switch (below(s, 3)) {
	case 0:
		give_all(s, owner, (struct vip_ev){.type = VIP_EV_STOP});
		break;
	case 1:
		if (to != owner)
			give_all(s, owner,
			    (struct vip_ev){VIP_EV_MOVE, .to = address_of(to)});
		s->told = true;
		break;
	default:
		set_level(s, owner, VIP_WEAK);
		break;
	}
	run_for(s, s->adv_cs * CS_NS * 10);
	for (unsigned n = 0; s->told && to != owner && n < s->nets; n++) {
		if (!vip_holds(&s->host[to].v[n]) && s->host[owner].v[n].hold)
			fail(s, "moved, and not where it should be");
	}
	s->guarded = false;
	s->told = true;
}

static uint64_t
simulate(uint64_t seed)
{
	static const uint16_t intervals[] = {1, 10, 100};
	struct sim s = {.seed = seed, .rng = {seed}, .hash = seed, .now = {SEC_NS}};

	s.hosts = 2 + below(&s, HOSTS - 1);
	s.nets = 1 + (below(&s, 3) == 0);
	s.adv_cs = intervals[below(&s, ARRAY_LEN(intervals))];
	s.preempt = below(&s, 3) > 0;
	s.believes[0] = s.believes[1] = HOSTS;
	for (unsigned i = 0; i < s.hosts; i++)
		boot(&s, i);
	for (unsigned r = 0; r < ROUNDS; r++) {
		s.loss = below(&s, 2) * below(&s, 30);
		for (unsigned k = 1 + below(&s, 6); k > 0; k--) {
			hurt(&s);
			run_for(&s, (int64_t)below(&s, 60U * s.adv_cs) * (CS_NS / 10));
		}
		s.loss = 0;
		/* The last life of an address that a crash left, and hand-overs. */
		run_for(&s, LIFE_NS + s.adv_cs * CS_NS * 20);
		check_settled(&s);
		run_for(&s, 11 * SEC_NS);
		check_settled(&s);
		check_client(&s);
		s.told = s.told || !s.preempt;
	}
	recover(&s);
	split_and_heal(&s);
	recover(&s);
	leave_in_peace(&s);
	return s.hash;
}

int
main(int argc, char **argv)
{
	return sim_main(argc, argv, simulate, 300, 10);
}
