/* SPDX-License-Identifier: Apache-2.0 */
/* Election of one virtual router. Sections are those of RFC 9568. */
#include "vip/vip_core.h"

#include <errno.h>
#include <string.h>

#include "vip/vrrp_wire.h"

#define TO(s) (1U << VIP_##s)

enum { N_STATES = VIP_HANDOVER + 1, FAREWELLS = 2 };

/* After taking: at once, then after these pauses; the last one for ever. */
static const int64_t announce_ns[] = {100 * MS_NS, 1 * SEC_NS, 10 * SEC_NS};

/* Pauses between answers to a conflict: doubled from the first to the last, forgotten
 * after a calm. An endless talker of lower priority must not cause a storm. */
#define QUIET_MIN_NS (10 * MS_NS)
#define QUIET_MAX_NS (5 * SEC_NS)
#define CALM_NS	     (10 * SEC_NS)

static const struct {
	const char *text;
	unsigned next;
} states[N_STATES] = {
#define X(name, text, next) [VIP_##name] = {text, next},
    VIP_STATES(X)
#undef X
};

static bool
same(const struct ip *a, const struct ip *b)
{
	if (a->family != b->family)
		return false;
	return memcmp(a->byte, b->byte, a->family == AF_INET ? 4 : 16) == 0;
}

static void
emit(struct vip_out *out, enum vip_act_type type, uint8_t prio, const struct ip *peer)
{
	ASSERT(out->n < VIP_OUT_MAX);
	out->act[out->n] = (struct vip_act){.type = type, .prio = prio};
	if (peer != NULL)
		out->act[out->n].peer = *peer;
	out->n++;
}

/* Every change of state passes here, and may only follow the table. */
static void
move(struct vip *v, enum vip_state next)
{
	ASSERT(states[v->state].next & (1U << next));
	v->state = next;
	v->wants = false;
}

uint8_t
vip_prio(const struct vip *v)
{
	switch (v->level) {
	case VIP_FIT:
		return v->conf.prio;
	case VIP_WEAK:
		return v->conf.rank < VIP_PRIO_WEAK - 2
			   ? (uint8_t)(VIP_PRIO_WEAK - v->conf.rank)
			   : 2;
	case VIP_BROKEN:
	case VIP_OUT:
		break;
	}
	return VIP_PRIO_BROKEN;
}

/* What a priority on the wire says of its sender. */
static enum vip_level
level_of(uint8_t prio)
{
	if (prio <= VIP_PRIO_BROKEN)
		return VIP_BROKEN;
	return prio <= VIP_PRIO_WEAK ? VIP_WEAK : VIP_FIT;
}

/*
 * 6.1: lower priorities wait longer, so that the best backup speaks first. In version
 * 2 the skew is a part of a second, whatever the interval (RFC 3768, 6.1).
 */
static int64_t
skew_ns(const struct vip *v)
{
	int64_t adv_cs = v->conf.version == 2 ? 100 : v->active_adv_cs;

	return (256 - vip_prio(v)) * (adv_cs * CS_NS) / 256;
}

static int64_t
own_adv_ns(const struct vip *v)
{
	return v->conf.adv_cs * CS_NS;
}

int64_t
vip_down_ns(const struct vip *v)
{
	return v->active_adv_cs * CS_NS * 3 + skew_ns(v);
}

static void
await_active(struct vip *v, uint16_t adv_cs)
{
	v->active_adv_cs = adv_cs;
	v->deadline = mono_add(v->now, vip_down_ns(v));
	v->wants = false;
}

static void
enter_backup(struct vip *v)
{
	move(v, VIP_BACKUP);
	v->farewells = 0;
	v->better_known = false;
	await_active(v, v->conf.adv_cs);
}

static void
enter_init(struct vip *v)
{
	move(v, VIP_INIT);
	v->deadline = MONO_NEVER;
}

static void
advertise(struct vip *v, struct vip_out *out)
{
	emit(out, VIP_ACT_SEND, vip_prio(v), NULL);
	v->deadline = mono_add(v->now, own_adv_ns(v));
}

static void
announce(struct vip *v, struct vip_out *out, uint8_t step)
{
	const uint8_t last = ARRAY_LEN(announce_ns) - 1;

	emit(out, VIP_ACT_ANNOUNCE, 0, NULL);
	v->announce_step = step < last ? step : last;
	v->announce = mono_add(v->now, announce_ns[v->announce_step]);
}

/*
 * Addresses before words: nobody may be told of an owner that does not answer yet.
 * An owner that spoke a moment ago is alive: what it serves may finish there.
 */
static void
become_active(struct vip *v, struct vip_out *out)
{
	int64_t fresh_ns = v->active_adv_cs * CS_NS * 5 / 2;

	move(v, VIP_ACTIVE);
	v->hold = false;
	v->quiet = v->now;
	v->quiet_ns = QUIET_MIN_NS;
	if (v->owner.family != 0 && mono_sub(v->now, v->owner_heard) < fresh_ns)
		emit(out, VIP_ACT_FORWARD, 0, &v->owner);
	emit(out, VIP_ACT_TAKE, 0, NULL);
	announce(v, out, 0);
	advertise(v, out);
}

static void
resign(struct vip *v, struct vip_out *out)
{
	emit(out, VIP_ACT_SEND, VRRP_PRIO_RESIGN, &v->target);
	v->deadline = mono_add(v->now, own_adv_ns(v) / 4);
}

/*
 * Nobody else may conclude silence meanwhile, so the wait ends before three intervals
 * since our last advert; and it lasts for the longest skew, nearly one interval.
 */
static void
hand_over(struct vip *v, struct vip_out *out, const struct ip *to)
{
	move(v, VIP_HANDOVER);
	v->target = to != NULL ? *to : (struct ip){0};
	v->moving = to != NULL;
	v->stopping = false;
	v->give_up = mono_add(v->now, own_adv_ns(v) * 3 / 2 + 5 * MS_NS);
	resign(v, out);
}

static void
handed_over(struct vip *v, struct vip_out *out, const struct vip_advert *adv)
{
	bool stopping = v->stopping, moving = v->moving;

	emit(out, VIP_ACT_LEAVE, 0, &adv->from);
	if (moving)
		emit(out, VIP_ACT_MOVED, 0, &adv->from);
	if (stopping) {
		v->running = false;
		enter_init(v);
		return;
	}
	enter_backup(v);
	v->hold = moving;
	await_active(v, adv->adv_cs);
}

static void
not_handed_over(struct vip *v, struct vip_out *out)
{
	if (v->moving)
		emit(out, VIP_ACT_STUCK, 0, &v->target);
	if (v->stopping) {
		emit(out, VIP_ACT_DROP, 0, NULL);
		v->running = false;
		enter_init(v);
		return;
	}
	move(v, VIP_ACTIVE);
	announce(v, out, 0);
	advertise(v, out);
}

/* Without waiting for anybody. The resignation goes last: once it is out, a backup
 * takes the addresses. */
static void
leave_now(struct vip *v, struct vip_out *out, enum vip_act_type how)
{
	if (v->state == VIP_HANDOVER && v->moving)
		emit(out, VIP_ACT_STUCK, 0, &v->target);
	if (v->state == VIP_HANDOVER && v->stopping)
		v->running = false;
	emit(out, how, 0, NULL);
	emit(out, VIP_ACT_SEND, VRRP_PRIO_RESIGN, NULL);
}

static void
halt(struct vip *v, struct vip_out *out)
{
	if (vip_holds(v))
		leave_now(v, out, VIP_ACT_DROP);
	enter_init(v);
}

static void
change_level(struct vip *v, enum vip_level level, struct vip_out *out)
{
	enum vip_level before = v->level;

	if (level == before)
		return;
	v->level = level;
	if (!v->running)
		return;
	if (v->state == VIP_INIT) {
		enter_backup(v);
	} else if (level == VIP_OUT) {
		halt(v, out);
	} else if (!vip_holds(v)) {
		return; /* the next advert is judged by the new level */
	} else if (level == VIP_BROKEN) {
		/* Not dropped: the kernel may tell the open connections the truth. */
		leave_now(v, out, VIP_ACT_LEAVE);
		if (v->running)
			enter_backup(v);
		else
			enter_init(v);
	} else if (v->state == VIP_HANDOVER) {
		if (level > before && !v->stopping && !v->moving)
			not_handed_over(v, out);
	} else if (level < before) {
		hand_over(v, out, NULL);
	} else {
		advertise(v, out);
	}
}

/* 6.4.1 */
static void
input_init(struct vip *v, const struct vip_ev *ev, struct vip_out *out)
{
	if (ev->type == VIP_EV_LEVEL) {
		change_level(v, ev->level, out);
		return;
	}
	if (ev->type != VIP_EV_START && ev->type != VIP_EV_RESUME)
		return;
	v->running = true;
	if (ev->type == VIP_EV_RESUME && v->level > VIP_BROKEN) {
		become_active(v, out);
		return;
	}
	if (ev->type == VIP_EV_RESUME)
		emit(out, VIP_ACT_DROP, 0, NULL);
	if (v->level == VIP_OUT)
		return;
	if (v->conf.prio == VRRP_PRIO_OWNER && v->level == VIP_FIT)
		become_active(v, out);
	else
		enter_backup(v);
}

static bool
may_preempt(const struct vip *v, uint8_t prio)
{
	if (level_of(prio) < v->level)
		return true; /* it asks to be relieved */
	return v->level == VIP_FIT && v->conf.preempt && !v->hold && prio < vip_prio(v);
}

/*
 * A worse owner that speaks while the better one cannot have been timed out yet was
 * chosen by it: the addresses were moved on purpose, and stay there.
 */
static bool
was_chosen(const struct vip *v, const struct vip_advert *adv)
{
	if (!v->better_known || same(&v->better, &adv->from))
		return false;
	if (level_of(adv->prio) < VIP_FIT)
		return false;
	return mono_sub(v->now, v->better_heard) < v->active_adv_cs * CS_NS * 2;
}

/*
 * The owner leaves, and repeats it until it hears the next one. The first time counts:
 * who waits long, since it is weak, would otherwise wait until the owner has given up.
 */
static void
resigned(struct vip *v, const struct ip *from)
{
	const bool repeated =
	    same(from, &v->resigner) && mono_sub(v->now, v->resigned) < own_adv_ns(v);
	const mono_t due = mono_add(v->now, skew_ns(v));

	v->better_known = false;
	v->resigner = *from;
	v->resigned = v->now;
	/* While we slept it may have waited in the queue, with its sequel lost. */
	if (!mono_before(v->now, v->awake))
		v->deadline = repeated ? mono_min(v->deadline, due) : due;
}

/* 6.4.2 */
static void
advert_to_backup(struct vip *v, const struct vip_advert *adv, struct vip_out *out)
{
	v->owner = adv->from;
	v->owner_heard = v->now;
	if (adv->prio == VRRP_PRIO_RESIGN) {
		resigned(v, &adv->from);
		return;
	}
	if (may_preempt(v, adv->prio) && was_chosen(v, adv))
		v->hold = true;
	if (may_preempt(v, adv->prio))
		return; /* not heard: it will be taken over from */
	if (adv->prio >= v->conf.prio)
		v->hold = false;
	v->better = adv->from;
	v->better_heard = v->now;
	v->better_known = true;
	await_active(v, adv->adv_cs);
	if (v->farewells > 0) {
		v->farewells--;
		emit(out, VIP_ACT_SEND, vip_prio(v), NULL);
	}
}

/* Silence is only believed by one who was awake to hear it. */
static void
tick_backup(struct vip *v, struct vip_out *out)
{
	int64_t adv_ns = v->active_adv_cs * CS_NS;

	if (mono_before(v->now, v->deadline))
		return;
	if (mono_before(mono_add(v->deadline, adv_ns), v->now)) {
		v->deadline = mono_add(v->now, adv_ns + skew_ns(v));
	} else if (v->conf.grouped) {
		v->wants = true;
		v->deadline = mono_add(v->now, adv_ns);
	} else {
		become_active(v, out);
	}
}

static void
input_backup(struct vip *v, const struct vip_ev *ev, struct vip_out *out)
{
	switch (ev->type) {
	case VIP_EV_START:
	case VIP_EV_RESUME:
	case VIP_EV_YIELD:
		break;
	case VIP_EV_MOVE:
		emit(out, VIP_ACT_STUCK, 0, &ev->to);
		break;
	case VIP_EV_TICK:
		tick_backup(v, out);
		break;
	case VIP_EV_ADVERT:
		advert_to_backup(v, &ev->adv, out);
		break;
	case VIP_EV_LEVEL:
		change_level(v, ev->level, out);
		break;
	case VIP_EV_STOP:
	case VIP_EV_HALT:
		v->running = false;
		enter_init(v);
		break;
	case VIP_EV_TAKE:
		if (v->wants)
			become_active(v, out);
		break;
	}
}

/* True if the sender of `adv` has the better claim (6.4.3). */
static bool
outranked(const struct vip *v, const struct vip_advert *adv)
{
	if (adv->prio != vip_prio(v))
		return adv->prio > vip_prio(v);
	return memcmp(adv->from.byte, v->conf.self.byte, sizeof(adv->from.byte)) > 0;
}

/* Somebody of lower claim believes to be the owner, or just ceased to. */
static void
contested(struct vip *v, const struct vip_advert *adv, struct vip_out *out)
{
	if (mono_before(v->now, v->quiet)) {
		v->announce = mono_min(v->announce, v->quiet);
		return;
	}
	if (mono_sub(v->now, v->quiet) > CALM_NS)
		v->quiet_ns = QUIET_MIN_NS;
	v->quiet = mono_add(v->now, v->quiet_ns);
	v->quiet_ns = v->quiet_ns < QUIET_MAX_NS / 2 ? v->quiet_ns * 2 : QUIET_MAX_NS;
	emit(out, VIP_ACT_FORWARD, 0, &adv->from);
	announce(v, out, 0);
	advertise(v, out);
}

/* Sent before its resignation and overtaken by it: nobody comes back that soon. */
static bool
overtaken(const struct vip *v, const struct vip_advert *adv)
{
	return same(&adv->from, &v->resigner) &&
	       mono_sub(v->now, v->resigned) < own_adv_ns(v) * 5 / 4;
}

/* 6.4.3 */
static void
advert_to_active(struct vip *v, const struct vip_advert *adv, struct vip_out *out)
{
	if (adv->prio == VRRP_PRIO_RESIGN) {
		/* It may have announced itself until now: more than the RFC's answer.
		 */
		contested(v, adv, out);
		if (out->n == 0)
			advertise(v, out);
	} else if (overtaken(v, adv)) {
		return;
	} else if (!outranked(v, adv)) {
		contested(v, adv, out);
	} else {
		/* The winner must know that there was a conflict, or clients that we
		 * announced ourselves to would never hear of it. */
		emit(out, VIP_ACT_SEND, vip_prio(v), NULL);
		emit(out, VIP_ACT_LEAVE, 0, &adv->from);
		enter_backup(v);
		v->farewells = FAREWELLS;
		await_active(v, adv->adv_cs);
	}
}

static void
input_active(struct vip *v, const struct vip_ev *ev, struct vip_out *out)
{
	switch (ev->type) {
	case VIP_EV_START:
	case VIP_EV_RESUME:
	case VIP_EV_TAKE:
		break;
	case VIP_EV_TICK:
		if (!mono_before(v->now, v->deadline))
			advertise(v, out);
		if (!mono_before(v->now, v->announce))
			announce(v, out, (uint8_t)(v->announce_step + 1));
		break;
	case VIP_EV_ADVERT:
		advert_to_active(v, &ev->adv, out);
		break;
	case VIP_EV_LEVEL:
		change_level(v, ev->level, out);
		break;
	case VIP_EV_MOVE:
		hand_over(v, out, &ev->to);
		break;
	case VIP_EV_YIELD:
		hand_over(v, out, NULL);
		break;
	case VIP_EV_STOP:
		hand_over(v, out, NULL);
		v->stopping = true;
		break;
	case VIP_EV_HALT:
		v->running = false;
		halt(v, out);
		break;
	}
}

static void
input_handover(struct vip *v, const struct vip_ev *ev, struct vip_out *out)
{
	switch (ev->type) {
	case VIP_EV_START:
		v->stopping = false;
		break;
	case VIP_EV_RESUME:
	case VIP_EV_TAKE:
	case VIP_EV_YIELD:
		break;
	case VIP_EV_MOVE:
		emit(out, VIP_ACT_STUCK, 0, &ev->to);
		break;
	case VIP_EV_TICK:
		if (!mono_before(v->now, v->give_up))
			not_handed_over(v, out);
		else if (!mono_before(v->now, v->deadline))
			resign(v, out);
		break;
	case VIP_EV_ADVERT:
		if (ev->adv.prio != VRRP_PRIO_RESIGN)
			handed_over(v, out, &ev->adv);
		break;
	case VIP_EV_LEVEL:
		change_level(v, ev->level, out);
		break;
	case VIP_EV_STOP:
		v->stopping = true;
		break;
	case VIP_EV_HALT:
		v->running = false;
		halt(v, out);
		break;
	}
}

static bool
conf_valid(const struct vip_conf *c)
{
	if (c->vrid == 0 || c->prio == VRRP_PRIO_RESIGN)
		return false;
	if (c->version != 2 && c->version != 3)
		return false;
	return c->adv_cs > 0 && c->adv_cs <= VRRP_ADV_CS_MAX;
}

int
vip_init(struct vip *v, const struct vip_conf *conf, enum vip_level level)
{
	if (!conf_valid(conf))
		return -EINVAL;
	*v = (struct vip){
	    .conf = *conf,
	    .state = VIP_INIT,
	    .level = level,
	    .active_adv_cs = conf->adv_cs,
	    .deadline = MONO_NEVER,
	};
	return 0;
}

void
vip_reconf(struct vip *v, const struct vip_conf *conf)
{
	ASSERT(conf_valid(conf));
	ASSERT(conf->vrid == v->conf.vrid && conf->adv_cs == v->conf.adv_cs);
	ASSERT(conf->version == v->conf.version);
	v->conf = *conf;
}

/*
 * The others have concluded our silence by now, and have the addresses. What arrived
 * meanwhile does not matter: holding on any longer only makes two owners.
 */
static void
notice_pause(struct vip *v, mono_t before, struct vip_out *out)
{
	if (!vip_holds(v) || mono_sub(v->now, before) <= 3 * own_adv_ns(v))
		return;
	if (v->state == VIP_HANDOVER && v->moving)
		emit(out, VIP_ACT_STUCK, 0, &v->target);
	emit(out, VIP_ACT_DROP, 0, NULL);
	v->awake = mono_add(v->now, own_adv_ns(v));
	if (v->state == VIP_HANDOVER && v->stopping) {
		v->running = false;
		enter_init(v);
	} else {
		enter_backup(v);
	}
}

void
vip_input(struct vip *v, mono_t now, const struct vip_ev *ev, struct vip_out *out)
{
	mono_t before = v->now;

	ASSERT(!mono_before(now, before));
	v->now = now;
	out->n = 0;
	notice_pause(v, before, out);

	if (ev->type == VIP_EV_ADVERT) {
		if (same(&ev->adv.from, &v->conf.self))
			return; /* our own come back */
		if (ev->adv.adv_cs == 0 || ev->adv.from.family == 0)
			return;
		/* RFC 3768, 7.1: with version 2 all must have the same interval. */
		if (v->conf.version == 2 && ev->adv.adv_cs != v->conf.adv_cs)
			return;
	}
	switch (v->state) {
	case VIP_INIT:
		if (ev->type == VIP_EV_STOP || ev->type == VIP_EV_HALT)
			v->running = false;
		else if (ev->type == VIP_EV_MOVE)
			emit(out, VIP_ACT_STUCK, 0, &ev->to);
		else
			input_init(v, ev, out);
		break;
	case VIP_BACKUP:
		input_backup(v, ev, out);
		break;
	case VIP_ACTIVE:
		input_active(v, ev, out);
		break;
	case VIP_HANDOVER:
		input_handover(v, ev, out);
		break;
	}
}

mono_t
vip_deadline(const struct vip *v)
{
	if (v->state == VIP_ACTIVE)
		return mono_min(v->deadline, v->announce);
	if (v->state == VIP_HANDOVER)
		return mono_min(v->deadline, v->give_up);
	return v->deadline;
}

bool
vip_holds(const struct vip *v)
{
	return v->state == VIP_ACTIVE || v->state == VIP_HANDOVER;
}

const char *
vip_state_name(enum vip_state s)
{
	ASSERT((unsigned)s < N_STATES);
	return states[s].text;
}

/*
 * All take when all want to: one router alone would only find that the other host
 * still has the rest. All leave when one has left.
 */
bool
vip_group_next(
    const struct vip *const member[], size_t n, size_t *which, struct vip_ev *ev)
{
	size_t wanting = n, active = n;
	bool reluctant = false;

	for (size_t i = 0; i < n; i++) {
		if (member[i]->state == VIP_BACKUP && member[i]->wants)
			wanting = i;
		else if (member[i]->state == VIP_BACKUP)
			reluctant = true;
		else if (member[i]->state == VIP_ACTIVE)
			active = i;
	}
	if (wanting < n && !reluctant) {
		*which = wanting;
		*ev = (struct vip_ev){.type = VIP_EV_TAKE};
		return true;
	}
	if (active < n && reluctant) {
		*which = active;
		*ev = (struct vip_ev){.type = VIP_EV_YIELD};
		return true;
	}
	return false;
}

bool
vip_check(const struct vip *v)
{
	const int64_t longest_ns = CS_NS * UINT16_MAX * 4;
	mono_t due = vip_deadline(v);

	if ((unsigned)v->state >= N_STATES)
		return false;
	if ((v->state == VIP_INIT) != mono_is_never(due))
		return false;
	if (v->state != VIP_INIT && (!v->running || v->level == VIP_OUT))
		return false;
	if (v->wants && v->state != VIP_BACKUP)
		return false;
	return v->state == VIP_INIT || !mono_before(mono_add(v->now, longest_ns), due);
}
