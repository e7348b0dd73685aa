/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/supervisor_core.h"

#include <string.h>

#define TO(s) (1U << SUP_PROC_##s)

static const unsigned next_states[] = {
#define X(name, next) [SUP_PROC_##name] = (next),
    SUP_PROC_STATES(X)
#undef X
};

static void
emit(struct sup_out *out, enum sup_act_type type, unsigned slot)
{
	ASSERT(out->n < SUP_OUT_MAX);
	out->act[out->n++] = (struct sup_act){.type = type, .slot = slot};
}

/* Every change of a process's state passes here, and may only follow the table. */
static void
move(struct sup_proc *p, enum sup_proc_state next)
{
	ASSERT(next_states[p->state] & (1U << next));
	p->state = next;
	p->waiting = false;
	p->due = MONO_NEVER;
}

/* From now on something must happen within `ns`, or the process is killed. */
static void
allow(struct sup *s, struct sup_proc *p, int64_t ns)
{
	p->left = SUP_SLICES;
	p->slice = ns / SUP_SLICES;
	p->due = mono_add(s->now, p->slice);
}

/* The next ping is due after a rest of `ns`. */
static void
rest(struct sup *s, struct sup_proc *p, int64_t ns)
{
	p->waiting = false;
	p->due = mono_add(s->now, ns);
}

static void
ping(struct sup *s, unsigned slot, int64_t patience, struct sup_out *out)
{
	s->proc[slot].waiting = true;
	s->proc[slot].pardons = 0;
	allow(s, &s->proc[slot], patience);
	emit(out, SUP_ACT_PING, slot);
}

static void
set_status(struct sup *s, enum sup_status status, struct sup_out *out)
{
	if (s->status == status)
		return;
	s->status = status;
	emit(out, SUP_ACT_STATUS, SUP_NOBODY);
}

static bool
in_loop(const struct sup *s)
{
	mono_t first = s->death[0];

	return first.ns != 0 && mono_sub(s->last_death, first) <= SUP_LOOP_NS;
}

/* How long after the `deaths`-th death in a row the next process starts. */
static int64_t
backoff_ns(unsigned deaths)
{
	static const int64_t wait[] = {
	    0, 0, 10 * MS_NS, 100 * MS_NS, SEC_NS, 2 * SEC_NS, 5 * SEC_NS, 10 * SEC_NS};

	return wait[deaths < ARRAY_LEN(wait) ? deaths : ARRAY_LEN(wait) - 1];
}

static void
kill_proc(struct sup *s, unsigned slot, struct sup_out *out)
{
	move(&s->proc[slot], SUP_PROC_DYING);
	emit(out, SUP_ACT_KILL, slot);
}

static void
note_death(struct sup *s, bool acting)
{
	if (mono_sub(s->now, s->last_death) > SUP_FORGET_NS)
		s->deaths = 0;
	s->deaths++;
	s->last_death = s->now;
	s->spawn = mono_add(s->now, backoff_ns(s->deaths));
	if (!acting)
		return;
	s->restarts++;
	memmove(&s->death[0], &s->death[1], sizeof(s->death) - sizeof(s->death[0]));
	s->death[SUP_LOOP_DEATHS - 1] = s->now;
}

static unsigned
find(const struct sup *s, enum sup_proc_state state)
{
	for (unsigned i = 0; i < SUP_SLOTS; i++) {
		if (s->proc[i].state == state)
			return i;
	}
	return SUP_NOBODY;
}

/* How many there are, but for those that have yielded. */
static unsigned
crew(const struct sup *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < SUP_SLOTS; i++)
		n += s->proc[i].state != SUP_PROC_NONE &&
		     s->proc[i].state != SUP_PROC_YIELDED;
	return n;
}

static bool
acts_still(const struct sup *s)
{
	return s->acting != SUP_NOBODY && s->proc[s->acting].old;
}

/*
 * A process is lost: it counts at once, not only when it is reaped. One that dies on
 * its way to acting counts like the acting one.
 */
static void
lose(struct sup *s, unsigned slot, struct sup_out *out)
{
	bool acting = slot == s->acting || s->acting == SUP_NOBODY;

	note_death(s, acting);
	if (!acting)
		return;
	s->acting = SUP_NOBODY;
	s->stable = MONO_NEVER;
	if (in_loop(s)) {
		set_status(s, SUP_DOWN, out);
	} else if (s->status == SUP_UP && find(s, SUP_PROC_READY) == SUP_NOBODY) {
		set_status(s, SUP_RESTARTING, out);
	}
}

/* A successor is ready: who is to be replaced gives way to it. */
static void
succeed(struct sup *s, struct sup_out *out)
{
	struct sup_proc *p;

	if (!acts_still(s))
		return;
	for (unsigned i = 0; i < SUP_SLOTS; i++) {
		if (s->proc[i].state != SUP_PROC_READY || s->proc[i].old)
			continue;
		p = &s->proc[s->acting];
		move(p, SUP_PROC_YIELDING);
		allow(s, p, SUP_FIRST_PING_HANG * s->conf.hang_ns);
		emit(out, SUP_ACT_YIELD, s->acting);
		s->acting = SUP_NOBODY;
		s->stable = MONO_NEVER;
		return;
	}
}

/* Someone ready acts; not beside one that may act still. */
static void
fill_acting(struct sup *s, struct sup_out *out)
{
	unsigned slot = find(s, SUP_PROC_READY);

	if (!s->wanted || s->acting != SUP_NOBODY || slot == SUP_NOBODY ||
	    find(s, SUP_PROC_YIELDING) != SUP_NOBODY)
		return;
	s->acting = slot;
	emit(out, SUP_ACT_ACTIVATE, slot);
	ping(s, slot, SUP_FIRST_PING_HANG * s->conf.hang_ns, out);
	if (s->status == SUP_DOWN)
		s->stable = mono_add(s->now, SUP_STABLE_NS);
	else
		set_status(s, SUP_UP, out);
}

/* True if there is a process to be started, now or when the back-off ends. */
static bool
has_room(const struct sup *s)
{
	if (!s->wanted || crew(s) >= SUP_CREW || find(s, SUP_PROC_NONE) == SUP_NOBODY ||
	    find(s, SUP_PROC_BOOTING) != SUP_NOBODY)
		return false;
	return s->acting == SUP_NOBODY ? find(s, SUP_PROC_YIELDING) == SUP_NOBODY
				       : s->conf.spare || acts_still(s);
}

/* As many processes as there should be; the spare only once somebody acts. */
static void
fill_slots(struct sup *s, struct sup_out *out)
{
	unsigned slot = find(s, SUP_PROC_NONE);

	if (!has_room(s) || mono_before(s->now, s->spawn))
		return;
	s->proc[slot].old = false;
	move(&s->proc[slot], SUP_PROC_BOOTING);
	allow(s, &s->proc[slot], SUP_BOOT_NS);
	emit(out, SUP_ACT_SPAWN, slot);
}

static void
want(struct sup *s, struct sup_out *out)
{
	if (s->wanted)
		return;
	s->wanted = true;
	s->deaths = 0;
	memset(s->death, 0, sizeof(s->death));
	s->spawn = s->now;
	set_status(s, SUP_STARTING, out);
}

static void
dismiss(struct sup *s, unsigned slot, struct sup_out *out)
{
	move(&s->proc[slot], SUP_PROC_LEAVING);
	allow(s, &s->proc[slot], s->conf.stop_ns);
	emit(out, SUP_ACT_STOP, slot);
}

/* The spare goes first, whose place the successor of the acting one takes. */
static void
replace(struct sup *s, struct sup_out *out)
{
	if (!s->wanted)
		return;
	for (unsigned i = 0; i < SUP_SLOTS; i++) {
		enum sup_proc_state state = s->proc[i].state;

		s->proc[i].old = state != SUP_PROC_NONE;
		/* One that waits for the acting one to yield is the next to act. */
		if (state == SUP_PROC_BOOTING ||
		    (state == SUP_PROC_READY && i != s->acting &&
			s->acting != SUP_NOBODY))
			dismiss(s, i, out);
	}
	s->spawn = s->now;
}

static void
yielded(struct sup *s, unsigned slot)
{
	if (s->proc[slot].state != SUP_PROC_YIELDING)
		return;
	move(&s->proc[slot], SUP_PROC_YIELDED);
	allow(s, &s->proc[slot], s->conf.stop_ns);
}

static void
unwant(struct sup *s, struct sup_out *out)
{
	s->wanted = false;
	s->acting = SUP_NOBODY;
	s->stable = MONO_NEVER;
	for (unsigned i = 0; i < SUP_SLOTS; i++) {
		struct sup_proc *p = &s->proc[i];

		if (p->state == SUP_PROC_BOOTING || p->state == SUP_PROC_READY ||
		    p->state == SUP_PROC_YIELDING)
			dismiss(s, i, out);
	}
	if (sup_is_off(s))
		set_status(s, SUP_OFF, out);
}

static void
ready(struct sup *s, unsigned slot)
{
	struct sup_proc *p = &s->proc[slot];

	if (p->state == SUP_PROC_BOOTING) {
		move(p, SUP_PROC_READY);
		rest(s, p, SUP_SPARE_PING_NS);
	}
}

static void
pong(struct sup *s, unsigned slot)
{
	struct sup_proc *p = &s->proc[slot];

	if (p->state == SUP_PROC_READY && p->waiting)
		rest(s, p, slot == s->acting ? s->conf.ping_ns : SUP_SPARE_PING_NS);
}

static void
end(struct sup *s, unsigned slot, struct sup_out *out)
{
	enum sup_proc_state state = s->proc[slot].state;

	if (state == SUP_PROC_NONE || state == SUP_PROC_DYING)
		return;
	kill_proc(s, slot, out);
	if (state == SUP_PROC_BOOTING || state == SUP_PROC_READY)
		lose(s, slot, out);
}

static void
broken(struct sup *s, unsigned slot, struct sup_out *out)
{
	enum sup_proc_state state = s->proc[slot].state;

	/* One that leaves may let go of its link before it ends. */
	if (state == SUP_PROC_BOOTING || state == SUP_PROC_READY)
		end(s, slot, out);
}

static void
died(struct sup *s, unsigned slot, struct sup_out *out)
{
	enum sup_proc_state state = s->proc[slot].state;

	if (state == SUP_PROC_NONE)
		return;
	move(&s->proc[slot], SUP_PROC_NONE);
	if (state == SUP_PROC_BOOTING || state == SUP_PROC_READY)
		lose(s, slot, out);
	if (!s->wanted && sup_is_off(s))
		set_status(s, SUP_OFF, out);
}

bool
sup_slice_ends(const struct sup *s, unsigned slot, mono_t now)
{
	const struct sup_proc *p = &s->proc[slot];

	return p->state == SUP_PROC_READY && p->waiting && !mono_before(now, p->due);
}

static void
starved(struct sup *s, unsigned slot)
{
	struct sup_proc *p = &s->proc[slot];

	if (!sup_slice_ends(s, slot, s->now) || p->pardons == SUP_PARDONS)
		return;
	p->pardons++;
	p->due = mono_add(s->now, p->slice);
}

static void
tick_proc(struct sup *s, unsigned slot, struct sup_out *out)
{
	struct sup_proc *p = &s->proc[slot];

	if (mono_before(s->now, p->due))
		return;
	if (p->state == SUP_PROC_READY && !p->waiting) {
		ping(s, slot, slot == s->acting ? s->conf.hang_ns : SUP_SPARE_HANG_NS,
		    out);
	} else if (--p->left > 0) {
		p->due = mono_add(s->now, p->slice);
	} else {
		end(s, slot, out);
	}
}

static void
tick(struct sup *s, struct sup_out *out)
{
	for (unsigned i = 0; i < SUP_SLOTS; i++)
		tick_proc(s, i, out);
	if (s->status == SUP_DOWN && !mono_before(s->now, s->stable)) {
		s->stable = MONO_NEVER;
		memset(s->death, 0, sizeof(s->death));
		set_status(s, SUP_UP, out);
	}
}

void
sup_init(struct sup *s, const struct sup_conf *conf)
{
	*s = (struct sup){.conf = *conf, .acting = SUP_NOBODY, .stable = MONO_NEVER};
	for (unsigned i = 0; i < SUP_SLOTS; i++)
		s->proc[i].due = MONO_NEVER;
}

void
sup_resume(struct sup *s, mono_t now, enum sup_status status, unsigned restarts)
{
	s->wanted = true;
	s->status = status;
	s->restarts = restarts;
	s->now = s->spawn = now;
}

void
sup_resume_process(struct sup *s, unsigned slot, enum sup_proc_state state, bool acting)
{
	struct sup_proc *p = &s->proc[slot];

	ASSERT(slot < SUP_SLOTS && p->state == SUP_PROC_NONE);
	ASSERT(state == SUP_PROC_READY || (state == SUP_PROC_YIELDED && !acting));
	p->state = state;
	if (state == SUP_PROC_READY)
		rest(s, p, acting ? s->conf.ping_ns : SUP_SPARE_PING_NS);
	else
		allow(s, p, s->conf.stop_ns);
	if (acting)
		s->acting = slot;
}

void
sup_reconf(struct sup *s, const struct sup_conf *conf)
{
	s->conf = *conf;
}

void
sup_input(struct sup *s, mono_t now, const struct sup_ev *ev, struct sup_out *out)
{
	ASSERT(!mono_before(now, s->now) && ev->slot <= SUP_NOBODY);
	s->now = now;
	out->n = 0;
	if (ev->slot == SUP_NOBODY && ev->type != SUP_EV_WANT &&
	    ev->type != SUP_EV_UNWANT && ev->type != SUP_EV_REPLACE &&
	    ev->type != SUP_EV_TICK)
		return;
	switch (ev->type) {
	case SUP_EV_WANT:
		want(s, out);
		break;
	case SUP_EV_UNWANT:
		unwant(s, out);
		break;
	case SUP_EV_READY:
		ready(s, ev->slot);
		break;
	case SUP_EV_PONG:
		pong(s, ev->slot);
		break;
	case SUP_EV_DIED:
		died(s, ev->slot, out);
		break;
	case SUP_EV_BROKEN:
		broken(s, ev->slot, out);
		break;
	case SUP_EV_KILL:
		end(s, ev->slot, out);
		break;
	case SUP_EV_REPLACE:
		replace(s, out);
		break;
	case SUP_EV_YIELDED:
		yielded(s, ev->slot);
		break;
	case SUP_EV_STARVED:
		starved(s, ev->slot);
		break;
	case SUP_EV_TICK:
		tick(s, out);
		break;
	}
	succeed(s, out);
	fill_acting(s, out);
	fill_slots(s, out);
}

mono_t
sup_deadline(const struct sup *s)
{
	mono_t due = s->stable;

	for (unsigned i = 0; i < SUP_SLOTS; i++)
		due = mono_min(due, s->proc[i].due);
	if (has_room(s))
		due = mono_min(due, s->spawn);
	return due;
}

bool
sup_is_settled(const struct sup *s)
{
	unsigned ready = 0;

	for (unsigned i = 0; i < SUP_SLOTS; i++) {
		enum sup_proc_state state = s->proc[i].state;

		if (state == SUP_PROC_READY && !s->proc[i].old)
			ready++;
		else if (state != SUP_PROC_NONE && state != SUP_PROC_YIELDED)
			return false;
	}
	return !s->wanted || (s->acting != SUP_NOBODY && !has_room(s) && ready > 0);
}

bool
sup_is_off(const struct sup *s)
{
	for (unsigned i = 0; i < SUP_SLOTS; i++) {
		if (s->proc[i].state != SUP_PROC_NONE)
			return false;
	}
	return !s->wanted;
}

bool
sup_check(const struct sup *s)
{
	if (s->acting != SUP_NOBODY && s->proc[s->acting].state != SUP_PROC_READY)
		return false;
	if (s->status == SUP_UP && s->wanted && s->acting == SUP_NOBODY &&
	    find(s, SUP_PROC_YIELDING) == SUP_NOBODY)
		return false;
	if (!mono_is_never(s->stable) &&
	    (s->status != SUP_DOWN || s->acting == SUP_NOBODY))
		return false;
	for (unsigned i = 0; i < SUP_SLOTS; i++) {
		bool never = mono_is_never(s->proc[i].due);
		enum sup_proc_state state = s->proc[i].state;

		if (never != (state == SUP_PROC_NONE || state == SUP_PROC_DYING))
			return false;
		if (s->proc[i].waiting && state != SUP_PROC_READY)
			return false;
	}
	return true;
}
