/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service_agent.c - `agent`: where a server's host says how much it can take.
 */
#include "base/mono.h"
#include "config/cluster.h"
#include "config/reader.h"
#include "config/sections.h"
#include "config/service_parts.h"

static const struct key agent_key[] = {
    {
	.name = "port",
	.kind = VALUE_COUNT,
	.required = true,
	FIELD(struct agent_conf, port),
	.min = 1,
	.max = 65535,
	.doc = "Port of the server's host that answers with a line such as `75%`, "
	       "`drain` or `ready`.",
    },
    {
	.name = "every",
	.kind = VALUE_DURATION,
	FIELD(struct agent_conf, every_ns),
	.min = 100 * MS_NS,
	.max = 3600 * SEC_NS,
	.preset = "1s",
	.doc = "Interval between two questions.",
    },
    {
	.name = "timeout",
	.kind = VALUE_DURATION,
	FIELD(struct agent_conf, timeout_ns),
	.min = MS_NS,
	.max = 3600 * SEC_NS,
	.preset = "1s",
	.doc = "How long an answer may take.",
    },
};

static const char *
agent_absent(const void *base)
{
	const struct agent_conf *c = base;

	return c->port == 0 ? "" : NULL;
}

const struct section agent_section = {
    .what = "agent",
    .doc = "Ask each server's host how much it can take, by the agent protocol of "
	   "HAProxy.",
    KEYS(agent_key),
    .shorthand = "port",
    .absent = agent_absent,
};
