/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of the election, one row each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "vip/vip_core.h"

#define ME   2
#define NONE -1

static const struct vip_conf conf = {.vrid = 7,
    .prio = 100,
    .rank = 1,
    .version = 3,
    .adv_cs = 100,
    .preempt = true,
    .self = {.family = AF_INET, .byte = {10, 0, 0, ME}}};

static struct ip
host(uint8_t n)
{
	return (struct ip){.family = AF_INET, .byte = {10, 0, 0, n}};
}

/*
 * From `from`, one event `at_ms` after entering it. Actions: S send, R resign, T take,
 * A announce, F forward, L leave, D drop, M moved, X stuck. `due_ms` counts from
 * entering; NONE is never.
 */
static const struct row {
	const char *what;
	enum vip_state from;
	int at_ms;
	enum vip_ev_type ev;
	uint8_t prio; /* of an advert; of a level: its number */
	uint8_t peer;
	enum vip_state to;
	const char *acts;
	int due_ms;
} rows[] = {
#define ADV VIP_EV_ADVERT
#define LVL VIP_EV_LEVEL
    {"start listens", VIP_INIT, 0, VIP_EV_START, 0, 0, VIP_BACKUP, "", 3609},
    {"resume holds on", VIP_INIT, 0, VIP_EV_RESUME, 0, 0, VIP_ACTIVE, "TAS", 100},
    {"init hears nothing", VIP_INIT, 0, ADV, 200, 1, VIP_INIT, "", NONE},
    {"init cannot move", VIP_INIT, 0, VIP_EV_MOVE, 0, 1, VIP_INIT, "X", NONE},
    {"init stops", VIP_INIT, 0, VIP_EV_STOP, 0, 0, VIP_INIT, "", NONE},
    {"early tick is harmless", VIP_BACKUP, 3608, VIP_EV_TICK, 0, 0, VIP_BACKUP, "",
	3609},
    {"silence makes active", VIP_BACKUP, 3610, VIP_EV_TICK, 0, 0, VIP_ACTIVE, "TAS",
	3710},
    {"silence slept through", VIP_BACKUP, 9000, VIP_EV_TICK, 0, 0, VIP_BACKUP, "",
	10609},
    {"equal priority re-arms", VIP_BACKUP, 500, ADV, 100, 1, VIP_BACKUP, "", 4109},
    {"lower priority is not heard", VIP_BACKUP, 500, ADV, 99, 9, VIP_BACKUP, "", 3609},
    {"resignation leaves the skew", VIP_BACKUP, 500, ADV, 0, 9, VIP_BACKUP, "", 1109},
    {"backup stops silently", VIP_BACKUP, 500, VIP_EV_STOP, 0, 0, VIP_INIT, "", NONE},
    {"backup halts silently", VIP_BACKUP, 500, VIP_EV_HALT, 0, 0, VIP_INIT, "", NONE},
    {"backup cannot move", VIP_BACKUP, 500, VIP_EV_MOVE, 0, 1, VIP_BACKUP, "X", 3609},
    {"no link, no part", VIP_BACKUP, 500, LVL, VIP_OUT, 0, VIP_INIT, "", NONE},
    {"the group takes only if it wants", VIP_BACKUP, 500, VIP_EV_TAKE, 0, 0, VIP_BACKUP,
	"", 3609},
    {"active repeats itself", VIP_ACTIVE, 1000, VIP_EV_TICK, 0, 0, VIP_ACTIVE, "SA",
	2000},
    {"active announces again", VIP_ACTIVE, 100, VIP_EV_TICK, 0, 0, VIP_ACTIVE, "A",
	1000},
    {"loser says farewell and leaves", VIP_ACTIVE, 500, ADV, 101, 1, VIP_BACKUP, "SL",
	4109},
    {"tie: higher address wins", VIP_ACTIVE, 500, ADV, 100, ME + 1, VIP_BACKUP, "SL",
	4109},
    {"tie: lower address loses", VIP_ACTIVE, 500, ADV, 100, ME - 1, VIP_ACTIVE, "FAS",
	600},
    {"winner announces again", VIP_ACTIVE, 500, ADV, 99, 9, VIP_ACTIVE, "FAS", 600},
    {"own advert come back", VIP_ACTIVE, 500, ADV, 255, ME, VIP_ACTIVE, "", 1000},
    {"resignation is answered", VIP_ACTIVE, 500, ADV, 0, 9, VIP_ACTIVE, "FAS", 600},
    {"stop hands over", VIP_ACTIVE, 50, VIP_EV_STOP, 0, 0, VIP_HANDOVER, "R", 300},
    {"move hands over", VIP_ACTIVE, 50, VIP_EV_MOVE, 0, 9, VIP_HANDOVER, "R", 300},
    {"the group hands over", VIP_ACTIVE, 50, VIP_EV_YIELD, 0, 0, VIP_HANDOVER, "R",
	300},
    {"halt: drop, then resign", VIP_ACTIVE, 50, VIP_EV_HALT, 0, 0, VIP_INIT, "DR",
	NONE},
    {"weak asks for relief", VIP_ACTIVE, 50, LVL, VIP_WEAK, 0, VIP_HANDOVER, "R", 300},
    {"broken leaves at once", VIP_ACTIVE, 50, LVL, VIP_BROKEN, 0, VIP_BACKUP, "LR",
	4046},
    {"link down drops", VIP_ACTIVE, 50, LVL, VIP_OUT, 0, VIP_INIT, "DR", NONE},
    {"an owner that slept lets go", VIP_ACTIVE, 3001, VIP_EV_TICK, 0, 0, VIP_BACKUP,
	"D", 6610},
    {"... whatever wakes it", VIP_ACTIVE, 3001, ADV, 99, 9, VIP_BACKUP, "D", 6610},
    {"handed over", VIP_HANDOVER, 20, ADV, 99, 9, VIP_BACKUP, "LM", 3629},
    {"resigns again", VIP_HANDOVER, 250, VIP_EV_TICK, 0, 0, VIP_HANDOVER, "R", 500},
    {"nobody took over", VIP_HANDOVER, 1505, VIP_EV_TICK, 0, 0, VIP_ACTIVE, "XAS",
	1605},
    {"another resignation is nobody's word", VIP_HANDOVER, 20, ADV, 0, 9, VIP_HANDOVER,
	"", 250},
    {"one move at a time", VIP_HANDOVER, 20, VIP_EV_MOVE, 0, 9, VIP_HANDOVER, "X", 250},
    {"link down while handing over", VIP_HANDOVER, 20, LVL, VIP_OUT, 0, VIP_INIT, "XDR",
	NONE},
};

static mono_t
enter(struct vip *v, enum vip_state s)
{
	struct vip_out out;
	mono_t t = {SEC_NS};

	assert_int_equal(vip_init(v, &conf, VIP_FIT), 0);
	if (s == VIP_INIT)
		return t;
	if (s == VIP_BACKUP) {
		vip_input(v, t, &(struct vip_ev){.type = VIP_EV_START}, &out);
		return t;
	}
	vip_input(v, t, &(struct vip_ev){.type = VIP_EV_RESUME}, &out);
	if (s == VIP_HANDOVER)
		vip_input(v, t, &(struct vip_ev){VIP_EV_MOVE, .to = host(9)}, &out);
	return t;
}

static void
letters(const struct vip_out *out, char *text)
{
	for (unsigned i = 0; i < out->n; i++) {
		text[i] = "STAFLDMX"[out->act[i].type];
		if (text[i] == 'S' && out->act[i].prio == 0)
			text[i] = 'R';
	}
	text[out->n] = '\0';
}

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		struct vip_ev ev = {.type = r->ev, .to = host(r->peer)};
		char acts[VIP_OUT_MAX + 1];
		struct vip_out out;
		struct vip v;
		mono_t t = enter(&v, r->from);

		print_message("%s\n", r->what);
		ev.adv = (struct vip_advert){r->prio, 100, host(r->peer)};
		ev.level = (enum vip_level)r->prio;
		/* Announcements of the first second are over. */
		if (r->from == VIP_ACTIVE && r->at_ms > 100) {
			v.announce_step = 1;
			v.announce = mono_add(t, SEC_NS);
		}
		vip_input(&v, mono_add(t, r->at_ms * MS_NS), &ev, &out);
		letters(&out, acts);
		assert_string_equal(acts, r->acts);
		assert_int_equal(v.state, r->to);
		assert_true(vip_check(&v));
		if (r->due_ms == NONE)
			assert_true(mono_is_never(vip_deadline(&v)));
		else
			assert_int_equal(
			    mono_sub(vip_deadline(&v), t) / MS_NS, r->due_ms);
	}
}

static void
advert(struct vip *v, int ms, uint8_t prio, uint8_t from, char *acts)
{
	struct vip_ev ev = {VIP_EV_ADVERT, .adv = {prio, 100, host(from)}};
	struct vip_out out;

	vip_input(v, mono_add((mono_t){SEC_NS}, ms * MS_NS), &ev, &out);
	letters(&out, acts);
}

static void
tick(struct vip *v, int ms, char *acts)
{
	struct vip_out out;

	vip_input(v, mono_add((mono_t){SEC_NS}, ms * MS_NS),
	    &(struct vip_ev){.type = VIP_EV_TICK}, &out);
	letters(&out, acts);
}

static void
level(struct vip *v, int ms, enum vip_level l, char *acts)
{
	struct vip_out out;

	vip_input(v, mono_add((mono_t){SEC_NS}, ms * MS_NS),
	    &(struct vip_ev){VIP_EV_LEVEL, .level = l}, &out);
	letters(&out, acts);
}

/* An owner that spoke a moment ago is alive: its connections are sent back to it. */
static void
test_forward(void **state)
{
	char acts[VIP_OUT_MAX + 1];
	struct vip v;

	(void)state;
	(void)enter(&v, VIP_BACKUP);
	advert(&v, 500, 200, 9, acts);
	tick(&v, 4109 + 1, acts); /* it crashed */
	assert_string_equal(acts, "TAS");
	(void)enter(&v, VIP_BACKUP);
	advert(&v, 500, 200, 9, acts);
	advert(&v, 600, 0, 9, acts);
	tick(&v, 1210, acts); /* it resigned */
	assert_string_equal(acts, "FTAS");
	(void)enter(&v, VIP_BACKUP);
	advert(&v, 3000, 50, 9, acts);
	tick(&v, 3610, acts); /* it is preempted */
	assert_string_equal(acts, "FTAS");
}

static void
test_hold(void **state)
{
	char acts[VIP_OUT_MAX + 1];
	struct vip v;

	(void)state;
	/* It gave the address away, and lets the lower priority keep it. */
	(void)enter(&v, VIP_HANDOVER);
	advert(&v, 20, 99, 9, acts);
	assert_true(v.hold);
	advert(&v, 1000, 99, 9, acts);
	tick(&v, 3700, acts);
	assert_int_equal(v.state, VIP_BACKUP);
	/* ... but not if that one is not fit any more, */
	advert(&v, 4000, VIP_PRIO_WEAK, 9, acts);
	tick(&v, 4610, acts);
	assert_int_equal(v.state, VIP_ACTIVE);
	assert_false(v.hold);
	/* ... or falls silent. */
	(void)enter(&v, VIP_HANDOVER);
	advert(&v, 20, 99, 9, acts);
	tick(&v, 3630, acts);
	assert_int_equal(v.state, VIP_ACTIVE);
	/* A third host sees that the better one gave it away. */
	(void)enter(&v, VIP_BACKUP);
	advert(&v, 1000, 200, 8, acts);
	advert(&v, 1500, 90, 9, acts);
	assert_true(v.hold);
	/* ... which is not so after a crash, or a resignation to everybody. */
	(void)enter(&v, VIP_BACKUP);
	advert(&v, 1000, 200, 8, acts);
	advert(&v, 4000, 90, 9, acts);
	assert_false(v.hold);
	(void)enter(&v, VIP_BACKUP);
	advert(&v, 1000, 200, 8, acts);
	advert(&v, 1100, 0, 8, acts);
	advert(&v, 1500, 90, 9, acts);
	assert_false(v.hold);
}

static void
test_levels(void **state)
{
	char acts[VIP_OUT_MAX + 1];
	struct vip v;

	(void)state;
	(void)enter(&v, VIP_BACKUP);
	assert_int_equal(vip_prio(&v), 100);
	level(&v, 1, VIP_WEAK, acts);
	assert_int_equal(vip_prio(&v), VIP_PRIO_WEAK - 1);
	/* A weak host preempts a broken one and nobody else. */
	advert(&v, 1000, VIP_PRIO_WEAK - 2, 9, acts);
	assert_true(mono_sub(v.deadline, (mono_t){SEC_NS}) > 4 * SEC_NS);
	advert(&v, 1100, VIP_PRIO_BROKEN, 9, acts);
	tick(&v, 5000, acts);
	assert_int_equal(v.state, VIP_ACTIVE);
	/* Better: tells so at once. Worse than all: leaves, and comes back if alone. */
	level(&v, 5010, VIP_FIT, acts);
	assert_string_equal(acts, "S");
	level(&v, 5020, VIP_BROKEN, acts);
	assert_string_equal(acts, "LR");
	assert_int_equal(vip_prio(&v), VIP_PRIO_BROKEN);
	tick(&v, 5020 + 3997, acts);
	assert_string_equal(acts, "TAS");
	/* Nobody relieved the weak one: it stays, and says how it is. */
	level(&v, 9100, VIP_FIT, acts);
	level(&v, 9200, VIP_WEAK, acts);
	assert_string_equal(acts, "R");
	tick(&v, 10710, acts);
	assert_string_equal(acts, "AS");
	assert_int_equal(v.state, VIP_ACTIVE);
}

/* Who stops says so several times; a weak backup waits for the best, from the first
 * word on, and not until the last owner has gone. */
static void
test_weak_heir(void **state)
{
	char acts[VIP_OUT_MAX + 1];
	struct vip v;

	(void)state;
	(void)enter(&v, VIP_BACKUP);
	level(&v, 1, VIP_WEAK, acts);
	for (int ms = 1000; ms <= 1900; ms += 250) /* as resign() repeats it */
		advert(&v, ms, 0, 9, acts);
	tick(&v, 1000 + 990, acts);
	assert_int_equal(v.state, VIP_ACTIVE);
	assert_string_equal(acts, "FTAS");
}

/* Many lower talkers, few words. */
static void
test_no_storm(void **state)
{
	char acts[VIP_OUT_MAX + 1];
	unsigned answers = 0;
	struct vip v;

	(void)state;
	(void)enter(&v, VIP_ACTIVE);
	for (int ms = 1; ms < 60000; ms++) {
		advert(&v, ms, 50, 9, acts);
		if (acts[0] != '\0')
			answers++;
		if (!mono_before(v.now, vip_deadline(&v)))
			tick(&v, ms, acts);
	}
	assert_in_range(answers, 15, 25);
}

static void
test_overtaken(void **state)
{
	char acts[VIP_OUT_MAX + 1];
	struct vip v;

	(void)state;
	(void)enter(&v, VIP_BACKUP);
	advert(&v, 500, 0, 9, acts);
	tick(&v, 1110, acts);
	assert_int_equal(v.state, VIP_ACTIVE);
	advert(&v, 1111, 200, 9, acts); /* older than the resignation */
	assert_int_equal(v.state, VIP_ACTIVE);
	advert(&v, 1112, 200, 8, acts); /* another host's is not */
	assert_int_equal(v.state, VIP_BACKUP);
}

static void
test_version2(void **state)
{
	struct vip_conf c = conf;
	char acts[VIP_OUT_MAX + 1];
	struct vip_out out;
	struct vip v;

	(void)state;
	c.version = 2;
	c.adv_cs = 200;
	assert_int_equal(vip_init(&v, &c, VIP_FIT), 0);
	vip_input(&v, (mono_t){SEC_NS}, &(struct vip_ev){.type = VIP_EV_START}, &out);
	/* RFC 3768: the skew is a part of one second, not of the interval. */
	assert_int_equal(mono_sub(v.deadline, (mono_t){SEC_NS}) / MS_NS, 6609);
	advert(&v, 500, 200, 9, acts); /* another interval: not heard */
	assert_int_equal(mono_sub(v.deadline, (mono_t){SEC_NS}) / MS_NS, 6609);
}

static void
test_conf(void **state)
{
	struct vip_conf c = conf;
	struct vip v;

	(void)state;
	c.vrid = 0;
	assert_int_equal(vip_init(&v, &c, VIP_FIT), -EINVAL);
	c = conf;
	c.prio = 0;
	assert_int_equal(vip_init(&v, &c, VIP_FIT), -EINVAL);
	c = conf;
	c.adv_cs = 4096;
	assert_int_equal(vip_init(&v, &c, VIP_FIT), -EINVAL);
	c = conf;
	c.version = 4;
	assert_int_equal(vip_init(&v, &c, VIP_FIT), -EINVAL);
}

static void
test_group(void **state)
{
	struct vip a, b;
	const struct vip *const both[] = {&a, &b};
	char acts[VIP_OUT_MAX + 1];
	struct vip_ev ev;
	size_t which;

	(void)state;
	(void)enter(&a, VIP_BACKUP);
	(void)enter(&b, VIP_BACKUP);
	a.conf.grouped = b.conf.grouped = true;
	tick(&a, 3610, acts); /* one silent network is not enough */
	assert_string_equal(acts, "");
	assert_true(a.wants);
	assert_false(vip_group_next(both, 2, &which, &ev));
	tick(&b, 3620, acts);
	assert_true(vip_group_next(both, 2, &which, &ev));
	assert_int_equal(ev.type, VIP_EV_TAKE);
	(void)enter(&a, VIP_ACTIVE);
	(void)enter(&b, VIP_BACKUP);
	assert_true(vip_group_next(both, 2, &which, &ev));
	assert_int_equal(ev.type, VIP_EV_YIELD);
	assert_int_equal(which, 0);
	(void)enter(&b, VIP_ACTIVE);
	assert_false(vip_group_next(both, 2, &which, &ev));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rows),
	    cmocka_unit_test(test_forward),
	    cmocka_unit_test(test_hold),
	    cmocka_unit_test(test_levels),
	    cmocka_unit_test(test_weak_heir),
	    cmocka_unit_test(test_no_storm),
	    cmocka_unit_test(test_overtaken),
	    cmocka_unit_test(test_version2),
	    cmocka_unit_test(test_conf),
	    cmocka_unit_test(test_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
