/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader.h - reads a YAML tree into structs, as the schema's tables say.
 *
 * Every finding is added to the list and reading goes on, so that one pass reports
 * them all. A value that was wrong leaves its field at zero; who depends on it checks
 * for that and keeps quiet, since one mistake deserves one message.
 *
 * Private to config/.
 */
#ifndef NINES_CONFIG_READER_H
#define NINES_CONFIG_READER_H

#include "base/arena.h"
#include "base/diag.h"
#include "config/names.h"
#include "config/schema.h"
#include "config/yaml.h"

/* Tables of names. Floating IPs and hosts answer to one: a listener may name either. */
enum name_space {
	NAME_NETWORK,
	NAME_HOST,
	NAME_FLOATING_IP,
	NAME_SERVICE,
	NAME_ZONE,
	NAME_GROUP, /* of the service being read */
	NAME_VPN,
	NAME_EXTERNAL,
	NAME_DATABASE,
	NAME_VOLUME,
	NAME_PEER, /* of the VPN being read */
	NAME_SPACES
};

/* Who has an address. */
struct owner {
	struct ip ip;
	const struct host *host;	       /* or */
	const struct floating_ip *floating_ip; /* the other is NULL */
};

struct reader {
	struct arena *arena; /* what the cluster keeps */
	struct arena *scratch;
	struct diag_list *diags;
	struct cluster *cluster; /* under construction */
	struct names names[NAME_SPACES];
	struct names addresses; /* text of an address -> struct owner */
	struct names listeners; /* "address:port" -> who listens (listen_at.c) */
	struct names routers;	/* "network family id" -> struct floating_ip */
	const struct network **by_subnet; /* those with a subnet, in its order */
	size_t n_subnets;
	struct service *service; /* whose servers are being read */
	const struct vpn *vpn;	 /* whose peers are being read */
};

/* Reads `node` (NULL: absent, only presets) as `s` into `base`. */
void read_section(
    struct reader *r, const struct section *s, const struct yaml *node, void *base);

/* Reads what stands at key `k` of the section whose struct is `base`. */
void read_value(
    struct reader *r, const struct key *k, const struct yaml *node, void *base);

/* Makes room for the elements of a VALUE_MAP and knows their names from then on. */
void declare_names(
    struct reader *r, const struct key *k, const struct yaml *node, void *base);

/* Adds an error or a warning that marks `at`. */
struct diag *reader_error(struct reader *r, const struct yaml *at, const char *code,
    const char *fmt, ...) PRINTF(4, 5);
struct diag *reader_warning(struct reader *r, const struct yaml *at, const char *code,
    const char *fmt, ...) PRINTF(4, 5);

/* Narrows the mark of `d` to `len` characters of `at` from `from`. */
void mark_part(struct diag *d, const struct yaml *at, size_t from, size_t len);

/* "did you mean" the nearest name of `t`. */
void suggest(struct reader *r, struct diag *d, enum name_space space, const char *name);

/* True for a scalar; reports anything else as not being `expected`. */
bool want_scalar(struct reader *r, const struct yaml *node, const char *expected);

/* A scalar that is a prefix or an address, which is one of all its bits. 0; -ENOENT: it
 * has the looks of a name; -EINVAL: it has not, which was reported. */
int reader_prefix(
    struct reader *r, const struct yaml *node, struct ip_net *net) MUST_CHECK;

/* The thing called `node`; reports an unknown one. */
void *look_up(struct reader *r, const struct yaml *node, enum name_space space);

/* What a name space holds: "host". */
const char *name_space_what(enum name_space space);

/* The network `ip` belongs to, or NULL. */
const struct network *network_of(const struct reader *r, const struct ip *ip);

/* Reads an address; reports what cannot be a host's address on its network. */
bool read_address(struct reader *r, const struct yaml *node, struct ip *ip);

/* False if a network is missing or wrong, which was reported: addresses are unclear. */
bool networks_clear(const struct reader *r);

/* Notes that `host` or `fip` has `ip`; reports an address that is taken. */
bool claim_address(struct reader *r, const struct yaml *node, const struct ip *ip,
    const struct host *host, const struct floating_ip *fip);

/* Reports keys in `node` that do not apply in `base`; `why` ends the sentence. */
void check_applies(struct reader *r, const struct section *s, const struct yaml *node,
    const void *base, const char *why);

#endif /* NINES_CONFIG_READER_H */
