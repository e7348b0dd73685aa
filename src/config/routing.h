/* SPDX-License-Identifier: Apache-2.0 */
/*
 * routing.h - what a service does with a request before a server gets it: `routes`,
 * changes of headers and paths. Part of cluster.h, with the same life.
 */
#ifndef NINES_CONFIG_ROUTING_H
#define NINES_CONFIG_ROUTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"

#define GROUP_DEFAULT	"default"
#define GROUP_ACTIVE	"active"
#define ROUTES_MAX	10000
#define ROUTE_GROUP_ANY SIZE_MAX /* the active group, whichever that is */

/* Where a thing stands in the file, for later messages. */
struct place {
	unsigned line, column; /* from 1 */
};

struct texts {
	const char *const *text;
	size_t n;
};

struct pair {
	const char *name, *value;
};

struct pairs {
	const struct pair *pair;
	size_t n;
};

struct nets {
	const struct ip_net *net;
	const char *const *text; /* as in the file: a prefix, an address, a network */
	size_t n;
};

/* What stands in braces in a value and is filled in for each request. */
#define FILL_WORDS(X)            \
	X(FILL_HOST, "host")     \
	X(FILL_URI, "uri")       \
	X(FILL_PATH, "path")     \
	X(FILL_CLIENT, "client") \
	X(FILL_REQUEST_ID, "request_id")

enum fill_word {
#define X(id, name) id,
	FILL_WORDS(X)
#undef X
	    FILL_N
};

/*
 * Changes of a head's fields, in this order: those of `remove` and `set` leave, then
 * the fields of `set` and `add` follow. Values may hold FILL_WORDS in braces.
 */
struct field_changes {
	struct pairs set, add;
	struct texts remove;
};

/* The same, worked out: what a service says and a route says after it. */
struct field_plan {
	struct texts drop;
	struct pairs put;
	bool host; /* `put` has the Host field */
};

struct route_target {
	const char *name; /* of a group, "default" or "active" */
	size_t group;	  /* of service.group, or ROUTE_GROUP_ANY */
	unsigned weight;  /* at least 1 */
};

/* Conditions that are not there always hold; of several values one must. */
struct route {
	struct texts host;   /* lower case; "*.a.test" stands for all below a.test */
	struct texts sni;    /* the same */
	struct texts path;   /* the whole path */
	struct texts prefix; /* the path or what it begins with, up to a '/' */
	struct texts method;
	struct pairs header; /* all of them; value "*": any */
	struct nets source;
	/* What becomes of the request: one of the three. */
	const struct route_target *to;
	size_t n_to;	      /* 0: the active group */
	const char *redirect; /* Location; or NULL */
	struct {
		unsigned status;       /* 0: no answer of our own */
		const char *body;      /* or NULL */
		const char *body_file; /* that has it; or NULL */
		const char *type;
	} answer;
	unsigned status; /* of the redirect */
	/* And what is changed on its way. */
	const char *rewrite;	  /* in place of what `rewrite_from` says; or NULL */
	const char *rewrite_from; /* a prefix; NULL: the `prefix` or `path` that held */
	struct field_changes request, response;
	struct field_plan to_server, to_client;
	struct place place;
};

/* Who is served at all, and how much of it. */
struct guard_conf {
	bool any; /* something of it has to be looked at for each request */
	struct nets allow, deny;
	struct nets trusted; /* whose word on others' addresses is believed */
	unsigned requests;   /* of a source, in `per_ns`; 0: any number */
	int64_t per_ns;
	unsigned burst;	      /* at once, beyond the rate */
	unsigned connections; /* of a source at a time; 0: any number */
	uint64_t max_body;    /* bytes of a request's; 0: any number */
	bool accept_proxy;
	bool request_id;
};

#endif /* NINES_CONFIG_ROUTING_H */
