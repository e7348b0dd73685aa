/* SPDX-License-Identifier: Apache-2.0 */
/*
 * findings.h - what a person should know of a cluster file: single points of failure,
 * redundancy that is none, and what two hosts cannot promise.
 *
 * A finding has a stable code, the failures and the goals it is about, the place in the
 * file that makes it so, and the smallest change that removes it. Failures of one cause
 * are one finding: a floating address with one host is not four, for the host, its
 * link and its parts.
 */
#ifndef NINES_TOPOLOGY_FINDINGS_H
#define NINES_TOPOLOGY_FINDINGS_H

#include "topology/topology.h"

/* Code, name, whether it is a single point of failure, and what it says. N1: what a
 * kind of thing comes to; N2: redundancy that is none; N3: worth knowing. */
#define FINDING_RULES(X)                                                            \
	X(N101, "host", "A host without which a goal ends.")                        \
	X(N102, "part", "A part of nines without which a goal ends.")               \
	X(N103, "link", "A host's link without which a goal ends.")                 \
	X(N104, "network", "A network that everything of a goal goes over.")        \
	X(N105, "zone", "A zone without which a goal ends.")                        \
	X(N106, "server", "A server program without which a goal ends.")            \
	X(N107, "outside", "Something outside the file without which a goal ends.") \
	X(N108, "down", "A goal that ends before anything has failed.")             \
	X(N201, "one-host", "A floating address that only one host can have.")      \
	X(N202, "no-follow",                                                        \
	    "A floating address stays on a host that has lost its servers.")        \
	X(N203, "no-check",                                                         \
	    "Nobody checks the servers: what is dead keeps its share.")             \
	X(N204, "idle-backup", "A backup that never serves when it is needed.")     \
	X(N205, "one-server", "A service, or a group of it, with one server.")      \
	X(N206, "no-spare-capacity",                                                \
	    "With one server less, the rest cannot carry the load.")                \
	X(N207, "one-zone", "What looks redundant shares one zone.")                \
	X(N208, "one-gateway", "All traffic goes through one gateway.")             \
	X(N209, "one-upstream", "All gateways use one router outside.")             \
	X(N210, "own-address",                                                      \
	    "A service at a host's own address, which cannot move.")                \
	X(N211, "watches-other",                                                    \
	    "A floating address follows something else than what is served at it.") \
	X(N212, "shallow-check", "A check that a hung application passes.")         \
	X(N213, "one-firewall", "All traffic goes through one firewall.")           \
	X(N214, "one-external",                                                     \
	    "Something that others run is needed and has no spare.")                \
	X(N215, "one-certificate",                                                  \
	    "A certificate that somebody must think of before it ends.")            \
	X(N216, "one-copy", "Data of which there is one copy.")                     \
	X(N217, "two-votes",                                                        \
	    "One or two votes of a database are no majority without each other.")   \
	X(N218, "votes-in-one-zone",                                                \
	    "One zone has so many hosts of the data that the rest may not go on.")  \
	X(N219, "cannot-take-over",                                                 \
	    "A database whose other copies may not become the primary.")            \
	X(N220, "copies-in-one-zone", "All copies of the data are in one zone.")    \
	X(N221, "late-copy-beside-primary",                                         \
	    "The delayed copies share the primary's zone.")                         \
	X(N222, "address-misses-host",                                              \
	    "A host may become the primary, and cannot have the address.")          \
	X(N223, "circle", "A server that is its own service.")                      \
	X(N224, "no-second-copy",                                                   \
	    "A synchronous database takes no writes with one copy left.")           \
	X(N301, "two-hosts", "Two hosts cannot tell a dead peer from a cut wire.")  \
	X(N302, "heartbeat-path",                                                   \
	    "The heartbeat has one path, shared with the traffic.")                 \
	X(N303, "no-zones", "The file does not say what shares power or a rack.")   \
	X(N304, "certificate-expires", "A certificate that ends soon.")             \
	X(N305, "certificate-expired", "A certificate that has ended.")             \
	X(N306, "certificates-together",                                            \
	    "Certificates of several services end on one day.")                     \
	X(N307, "no-late-copy", "A mistake is on every copy at once.")              \
	X(N308, "two-copies",                                                       \
	    "Two hosts of a volume cannot tell a dead peer from a cut wire.")       \
	X(N309, "copies-path", "Copies go over the network that clients use.")      \
	X(N310, "asynchronous", "A failover loses the last acknowledged writes.")   \
	X(N311, "closed", "Nothing lets clients outside come to a service.")

enum finding_code {
#define X(code, name, what) code,
	FINDING_RULES(X)
#undef X
	    FINDING_CODES
};

struct finding_rule {
	const char *code; /* "N101" */
	const char *name; /* "host" */
	const char *what;
};

extern const struct finding_rule finding_rules[FINDING_CODES];

enum finding_level {
	FINDING_ERROR,	 /* something that must be survived is not */
	FINDING_WARNING, /* it ends the goal, or is not what it seems */
	FINDING_NOTE
};

struct finding {
	enum finding_code code;
	enum finding_level level;
	struct place place; /* line 0: none */
	unsigned width;	    /* of what stands there */
	const char *text;
	const char *change;    /* the smallest that removes it; or NULL */
	const size_t *failure; /* each alone ends each of `goal`; may be empty */
	size_t n_failures;
	const size_t *goal;
	size_t n_goals;
};

struct certificate {
	const struct service *service;
	const char *file;
	int days_left;	/* below 0: it has ended */
	char until[11]; /* the day, in UTC: "2026-12-31" */
};

/* Of whom the firewall lets somebody come to a listener; the most that holds. */
enum passage_who {
	PASSAGE_NOBODY,
	PASSAGE_INSIDE, /* who is in this file */
	PASSAGE_OUTSIDE
};

struct passage {
	const struct service *service;
	const struct listener *listener;
	enum passage_who who, undenied; /* with all rows; without those of deny */
	struct place deny; /* if that differs: a row of them that is to blame */
};

/* What findings are made of beside the topology; zeroes where nothing is known. */
struct findings_input {
	const size_t *failed; /* indices of failures: what is gone already */
	size_t n_failed;
	const struct certificate *certificate;
	size_t n_certificates;
	const struct passage *passage; /* through the firewall */
	size_t n_passages;
};

struct findings {
	struct arena *arena;
	const struct finding *item; /* the gravest first, then in order of the file */
	size_t n, errors, warnings;
};

/* With `in.failed` gone, findings are about what is left. -ENOMEM. Freed by
 * findings_done(). */
int findings_collect(const struct topology *t, const struct findings_input *in,
    struct findings *out) MUST_CHECK;
void findings_done(struct findings *f);

#endif /* NINES_TOPOLOGY_FINDINGS_H */
