/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service_parts.h - the larger keys of a service, each in a file of its own.
 *
 * Private to config/.
 */
#ifndef NINES_CONFIG_SERVICE_PARTS_H
#define NINES_CONFIG_SERVICE_PARTS_H

#include "base/mono.h"
#include "config/schema.h"

extern const struct section server_section;

/* service_group.c: `groups`, and what joins them with `servers` */
extern const struct many service_groups;

extern const struct form active_form;

#define GROUPS_KEY                                                                     \
	{                                                                              \
		.name = "groups", .kind = VALUE_MAP,                                   \
		.offset = offsetof(struct service, extra), .many = &service_groups,    \
		.doc = "More groups of servers, by name, for `routes` to choose from." \
	}

/* Before the keys of `s` are read: its groups' names are known from then on. */
void groups_begin(struct reader *r, const struct yaml *node, struct service *s);
/* After them: checks `servers` and `groups`, and fills `group` and `server`. */
void groups_finish(struct reader *r, const struct yaml *node, struct service *s);

/* service_route.c: `routes`, and changes of heads */
extern const struct many service_routes;
extern const struct section answer_headers_section;

const char *field_set_fault(const char *name, const char *text);
const char *field_add_fault(const char *name, const char *text);
const char *field_remove_fault(const char *name, const char *text);

/* What a service and a route have in common; `type` is the struct of either. */
#define HEADER_KEYS(type)                                                      \
	{                                                                      \
	    .name = "set_headers",                                             \
	    .kind = VALUE_PAIRS,                                               \
	    FIELD(type, request.set),                                          \
	    .fault = field_set_fault,                                          \
	    .doc = "Header fields of requests, in place of any of that name.", \
	},                                                                     \
	    {                                                                  \
		.name = "add_headers",                                         \
		.kind = VALUE_PAIRS,                                           \
		FIELD(type, request.add),                                      \
		.fault = field_add_fault,                                      \
		.doc = "Header fields of requests, beside any of that name.",  \
	    },                                                                 \
	    {                                                                  \
		.name = "remove_headers",                                      \
		.kind = VALUE_TEXTS,                                           \
		FIELD(type, request.remove),                                   \
		.fault = field_remove_fault,                                   \
		.doc = "Header fields that leave requests.",                   \
	    },                                                                 \
	{                                                                      \
		.name = "answer_headers", .kind = VALUE_SECTION,               \
		.offset = offsetof(type, response),                            \
		.section = &answer_headers_section,                            \
		.doc = "Changes of the header fields of answers.",             \
	}

/* service_guard.c: who is served at all, and how much of it */
extern const struct section rate_section;

#define GUARD_KEYS                                                                     \
	{                                                                              \
	    .name = "allow",                                                           \
	    .kind = VALUE_NETS,                                                        \
	    .offset = offsetof(struct service, guard.allow),                           \
	    .doc = "Where clients may be; unless said, anywhere.",                     \
	},                                                                             \
	    {                                                                          \
		.name = "deny",                                                        \
		.kind = VALUE_NETS,                                                    \
		.offset = offsetof(struct service, guard.deny),                        \
		.doc = "Where they may not be, whatever `allow` says.",                \
	    },                                                                         \
	    {                                                                          \
		.name = "rate",                                                        \
		.kind = VALUE_SECTION,                                                 \
		.section = &rate_section,                                              \
		.doc = "How much of one source is served, on each load balancer.",     \
	    },                                                                         \
	    {                                                                          \
		.name = "trusted",                                                     \
		.kind = VALUE_NETS,                                                    \
		.offset = offsetof(struct service, guard.trusted),                     \
		.doc = "Proxies in front of this one, whose `X-Forwarded-For` and "    \
		       "`X-Request-Id` are believed.",                                 \
	    },                                                                         \
	    {                                                                          \
		.name = "accept_proxy",                                                \
		.kind = VALUE_FLAG,                                                    \
		FIELD(struct service, guard.accept_proxy),                             \
		.preset = "false",                                                     \
		.doc = "Connections begin with a PROXY header (version 1 or 2); only " \
		       "`trusted` ones are taken.",                                    \
	    },                                                                         \
	    {                                                                          \
		.name = "max_body",                                                    \
		.kind = VALUE_COUNT,                                                   \
		FIELD(struct service, guard.max_body),                                 \
		.max = INT64_C(1) << 50,                                               \
		.preset = "0",                                                         \
		.doc = "Bytes of a request's body; 0: any number.",                    \
	    },                                                                         \
	{                                                                              \
		.name = "request_id", .kind = VALUE_FLAG,                              \
		FIELD(struct service, guard.request_id), .preset = "false",            \
		.doc = "Give every request a field `X-Request-Id`.",                   \
	}

/* Before routes_finish(). */
void guard_finish(struct reader *r, const struct yaml *node, struct service *s);

/* section_availability.c: what `nines spof` holds a service to */
extern const struct form must_survive_form;

/* After groups_finish(). */
void routes_finish(struct reader *r, const struct yaml *node, struct service *s);

/* service_balance.c: how requests are spread */
extern const struct form balance_form;
extern const struct form sticky_form; /* service_sticky.c */
extern const struct section outlier_section;
extern const struct section agent_section; /* service_agent.c */
extern const struct section hedge_section; /* service_hedge.c */
bool balance_applies(const void *base);	   /* not beside `sticky: source` */
/* Reports keys of `node` that are neither `a` nor `b` (or NULL). */
void balance_unknown_keys(struct reader *r, const struct yaml *node, const char *where,
    const struct yaml *a, const struct yaml *b);
void sticky_finish(struct reader *r, const struct yaml *node, struct service *s);

#define BALANCE_PERCENT(key, field, value, text)                                       \
	{                                                                              \
		.name = (key), .kind = VALUE_PERCENT,                                  \
		FIELD(struct service, balancing.field), .max = 100, .preset = (value), \
		.doc = (text),                                                         \
	}

#define BALANCE_KEYS                                                                   \
	{                                                                              \
	    .name = "balance",                                                         \
	    .kind = VALUE_FORM,                                                        \
	    .preset = "round-robin",                                                   \
	    .form = &balance_form,                                                     \
	    .applies = balance_applies,                                                \
	    .doc = "Which server is next. `hash` keeps a client, a path, or whatever " \
		   "a header or a cookie says, on one server.",                        \
	},                                                                             \
	    {                                                                          \
		.name = "sticky",                                                      \
		.kind = VALUE_FORM,                                                    \
		.form = &sticky_form,                                                  \
		.doc = "A client stays with the server it had first.",                 \
	    },                                                                         \
	    {                                                                          \
		.name = "slow_start",                                                  \
		.kind = VALUE_DURATION,                                                \
		FIELD(struct service, balancing.slow_start_ns),                        \
		.max = 3600 * SEC_NS,                                                  \
		.preset = "0s",                                                        \
		.doc = "How long a server that came back is given less than its "      \
		       "share.",                                                       \
	    },                                                                         \
	    BALANCE_PERCENT("backup_below", backup_below, "0%",                        \
		"Backups serve as well while fewer of the active servers are usable; " \
		"0%: when none is."),                                                  \
	    {                                                                          \
		.name = "backup_when_full",                                            \
		.kind = VALUE_FLAG,                                                    \
		FIELD(struct service, balancing.backup_full),                          \
		.preset = "false",                                                     \
		.doc = "Backups serve also while all active servers have as many "     \
		       "connections as they may.",                                     \
	    },                                                                         \
	    BALANCE_PERCENT("panic_below", panic_below, "0%",                          \
		"While fewer servers are up, those that are down are asked as well: "  \
		"the checks may be wrong."),                                           \
	    {                                                                          \
		.name = "outlier",                                                     \
		.kind = VALUE_SECTION,                                                 \
		.offset = offsetof(struct service, balancing.outlier),                 \
		.section = &outlier_section,                                           \
		.doc = "Servers that answer worse than the others are left out.",      \
	    },                                                                         \
	    {                                                                          \
		.name = "agent",                                                       \
		.kind = VALUE_SECTION,                                                 \
		.offset = offsetof(struct service, balancing.agent),                   \
		.section = &agent_section,                                             \
		.doc = "Ask each server's host how much it can take.",                 \
	    },                                                                         \
	    {                                                                          \
		.name = "hedge",                                                       \
		.kind = VALUE_SECTION,                                                 \
		.offset = offsetof(struct service, balancing.hedge),                   \
		.section = &hedge_section,                                             \
		.doc = "Ask a second server what takes long to answer.",               \
	    },                                                                         \
	    BALANCE_PERCENT("retry_budget", retry_budget, "20%",                       \
		"Requests that may be sent twice, of all.")

/* What `hedge` asks of the rest of the service. */
void hedge_finish(struct reader *r, const struct yaml *node, struct service *s);

/* What `balance` and `sticky` ask of the rest of the service. */
void balance_finish(struct reader *r, const struct yaml *node, struct service *s);

#endif /* NINES_CONFIG_SERVICE_PARTS_H */
