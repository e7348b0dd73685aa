/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/servers/outlier.h"

#define TIMES_MAX 10 /* ejections that lengthen the next */
#define RATE_MIN  20 /* answers of a window that say something as a rate */

static uint64_t
good(const struct outlier_tally *t)
{
	return (uint64_t)t->good[0] + t->good[1];
}

static uint64_t
bad(const struct outlier_tally *t)
{
	return (uint64_t)t->bad[0] + t->bad[1];
}

/* The others fail less than half as often, and at something. */
static bool
others_do_better(const struct outlier_group *g, const struct outlier_server *s)
{
	uint64_t others_good = good(&g->tally) - good(&s->tally);
	uint64_t others_bad = bad(&g->tally) - bad(&s->tally);
	uint64_t mine = bad(&s->tally), total = mine + good(&s->tally);

	return others_good > 0 &&
	       mine * (others_good + others_bad) > 2 * others_bad * total;
}

bool
outlier_eject(struct outlier_group *g, struct outlier_server *s,
    const struct outlier_conf *conf, mono_t now)
{
	size_t most = g->n * conf->max_ejected / 100;

	if (most == 0 && conf->max_ejected > 0)
		most = 1; /* one of three at 20 % */
	if (s->out || g->n < 2 || g->n_out >= most)
		return false;
	if (s->times < TIMES_MAX)
		s->times++;
	s->out = true;
	s->run = 0;
	s->until = mono_add(now, conf->eject_ns * s->times);
	g->n_out++;
	return true;
}

bool
outlier_answer(struct outlier_group *g, struct outlier_server *s,
    const struct outlier_conf *conf, mono_t now, bool ok)
{
	if (ok) {
		s->run = 0;
		s->tally.good[0]++;
		g->tally.good[0]++;
		return false;
	}
	s->run++;
	s->tally.bad[0]++;
	g->tally.bad[0]++;
	return conf->errors > 0 && s->run >= conf->errors && others_do_better(g, s) &&
	       outlier_eject(g, s, conf, now);
}

static void
roll(struct outlier_tally *t)
{
	t->good[1] = t->good[0];
	t->bad[1] = t->bad[0];
	t->good[0] = t->bad[0] = 0;
}

bool
outlier_roll(struct outlier_group *g, struct outlier_server *s,
    const struct outlier_conf *conf, mono_t now)
{
	uint32_t failed = s->tally.bad[0], total = failed + s->tally.good[0];
	bool out = conf->errors > 0 && total >= RATE_MIN && failed > total / 2 &&
		   others_do_better(g, s) && outlier_eject(g, s, conf, now);

	if (!s->out && failed == 0 && total > 0 && s->times > 0)
		s->times--;
	roll(&s->tally);
	return out;
}

void
outlier_roll_group(struct outlier_group *g)
{
	roll(&g->tally);
}

bool
outlier_back(struct outlier_group *g, struct outlier_server *s, mono_t now)
{
	if (!s->out || mono_before(now, s->until))
		return false;
	s->out = false;
	g->n_out--;
	return true;
}
