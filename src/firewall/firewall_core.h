/* SPDX-License-Identifier: Apache-2.0 */
/*
 * firewall_core.h - which rules are to hold: those of the file for good, those of the
 * file on trial, those before, none.
 *
 * Rules that close what was open are on trial until somebody says that he can still
 * get in. The kernel ends the trial by itself (nft_json.h); this core makes what holds
 * then official, and sees to it that a restart, a reload or a crash in between neither
 * keeps unconfirmed rules nor tries again without being asked.
 *
 * Pure: see docs/firewall.md for the life of a change.
 */
#ifndef NINES_FIREWALL_FIREWALL_CORE_H
#define NINES_FIREWALL_FIREWALL_CORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/mono.h"

enum fw_state {
	FW_NONE,   /* nothing was loaded yet */
	FW_HOLD,   /* the file's rules, for good */
	FW_TRIAL,  /* the file's rules, until `deadline` */
	FW_UNDONE, /* the host rules before; the rest is the file's */
	FW_OFF	   /* removed on purpose */
};

/* What to do; one of them for each event. */
enum fw_action {
	FW_NOTHING,
	FW_LOAD,	/* the file's rules for good, and remember them as confirmed */
	FW_LOAD_TRIAL,	/* the file's rules for `trial_ns`, then those confirmed before
			 */
	FW_LOAD_BEFORE, /* the confirmed host rules, and the rest of the file's */
	FW_REMOVE
};

/* What is known of a generation when it comes. */
struct fw_facts {
	bool closes;	    /* it closes what the confirmed rules leave open */
	int64_t confirm_ns; /* 0: changes need no confirmation */
	/* What the kernel has: a trial of just these rules, begun earlier. */
	bool tried;
	int64_t left_ns; /* of it; 0: it is over */
	bool undone;	 /* just these rules were undone before */
	bool held;	 /* just these rules hold, for good */
};

struct fw_core {
	enum fw_state state;
	mono_t deadline; /* FW_TRIAL */
	int64_t trial_ns;
};

void fw_init(struct fw_core *c);

/* A generation; `removed`: an earlier process was told to be off. */
enum fw_action fw_config(
    struct fw_core *c, mono_t now, const struct fw_facts *f, bool removed);

/* Orders. -EALREADY: there is nothing to confirm, or nothing that is off. */
int fw_confirm(struct fw_core *c, mono_t now, enum fw_action *action) MUST_CHECK;
int fw_on(struct fw_core *c, mono_t now, const struct fw_facts *f,
    enum fw_action *action) MUST_CHECK;
enum fw_action fw_off(struct fw_core *c);

/* The instant of fw_tick(), or MONO_NEVER. */
mono_t fw_deadline(const struct fw_core *c);
enum fw_action fw_tick(struct fw_core *c, mono_t now);

/* The kernel has lost the rules: what it must be given again. */
enum fw_action fw_again(struct fw_core *c, mono_t now);

#endif /* NINES_FIREWALL_FIREWALL_CORE_H */
