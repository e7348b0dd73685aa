/* SPDX-License-Identifier: Apache-2.0 */
#include "firewall/firewall_core.h"

#include <errno.h>

void
fw_init(struct fw_core *c)
{
	*c = (struct fw_core){.state = FW_NONE};
}

static enum fw_action
try_rules(struct fw_core *c, mono_t now, int64_t for_ns)
{
	c->state = FW_TRIAL;
	c->trial_ns = for_ns;
	c->deadline = mono_add(now, for_ns);
	return FW_LOAD_TRIAL;
}

static enum fw_action
hold(struct fw_core *c)
{
	c->state = FW_HOLD;
	return FW_LOAD;
}

/* Rules that were not tried, or are to be tried again. */
static enum fw_action
begin(struct fw_core *c, mono_t now, const struct fw_facts *f)
{
	if (!f->closes || f->confirm_ns == 0)
		return hold(c);
	return try_rules(c, now, f->confirm_ns);
}

enum fw_action
fw_config(struct fw_core *c, mono_t now, const struct fw_facts *f, bool removed)
{
	if (c->state == FW_NONE && removed) {
		c->state = FW_OFF;
		return FW_NOTHING;
	}
	if (!f->closes || f->confirm_ns == 0 || f->held)
		return hold(c);
	if (f->undone || (f->tried && f->left_ns <= 0)) {
		c->state = FW_UNDONE;
		return FW_LOAD_BEFORE;
	}
	/* The clock of a trial goes on over restarts and reloads. */
	if (f->tried)
		return try_rules(
		    c, now, f->left_ns < f->confirm_ns ? f->left_ns : f->confirm_ns);
	return begin(c, now, f);
}

int
fw_confirm(struct fw_core *c, mono_t now, enum fw_action *action)
{
	if (c->state != FW_TRIAL || mono_sub(c->deadline, now) <= 0)
		return -EALREADY; /* too late: the kernel has gone back already */
	*action = hold(c);
	return 0;
}

int
fw_on(struct fw_core *c, mono_t now, const struct fw_facts *f, enum fw_action *action)
{
	if (c->state != FW_OFF && c->state != FW_UNDONE)
		return -EALREADY;
	*action = begin(c, now, f);
	return 0;
}

enum fw_action
fw_off(struct fw_core *c)
{
	c->state = FW_OFF;
	return FW_REMOVE;
}

mono_t
fw_deadline(const struct fw_core *c)
{
	return c->state == FW_TRIAL ? c->deadline : MONO_NEVER;
}

enum fw_action
fw_tick(struct fw_core *c, mono_t now)
{
	if (c->state != FW_TRIAL || mono_sub(c->deadline, now) > 0)
		return FW_NOTHING;
	c->state = FW_UNDONE;
	return FW_LOAD_BEFORE;
}

enum fw_action
fw_again(struct fw_core *c, mono_t now)
{
	switch (c->state) {
	case FW_HOLD:
		return FW_LOAD;
	case FW_UNDONE:
		return FW_LOAD_BEFORE;
	case FW_TRIAL:
		if (mono_sub(c->deadline, now) <= 0)
			return fw_tick(c, now);
		c->trial_ns = mono_sub(c->deadline, now);
		return FW_LOAD_TRIAL;
	case FW_NONE:
	case FW_OFF:
	default:
		return FW_NOTHING;
	}
}
