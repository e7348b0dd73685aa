/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster.c - the file as a whole: its sections, their order, and the generation that
 * comes out.
 */
#include "config/cluster.h"

#include <stdatomic.h>
#include <string.h>

#include "base/refs.h"
#include "config/reader.h"
#include "config/section_firewall.h"
#include "config/sections.h"

#define GENERATION_MAX ((size_t)256 << 20) /* bytes of one generation */
#define SCRATCH_MAX    ((size_t)1 << 30)   /* bytes while it is built */
#define WORKERS_MAX    1024

struct generation {
	struct cluster cluster;
	atomic_uint refs;
	struct arena *arena; /* holds this struct, too */
	struct names hosts, floating_ips, services;
};

/* ---- the table of sections ----------------------------------------------------- */

static const struct many networks = {
    .section = &network_section,
    .size = sizeof(struct network),
    .count = offsetof(struct cluster, n_networks),
    .place = offsetof(struct network, place),
    .index = SIZE_MAX,
    .space = NAME_NETWORK,
    .complete = complete_networks,
};

static const struct many hosts = {
    .section = &host_section,
    .size = sizeof(struct host),
    .count = offsetof(struct cluster, n_hosts),
    .place = offsetof(struct host, place),
    .index = offsetof(struct host, index),
    .space = NAME_HOST,
};

static const struct many floating_ips = {
    .section = &floating_ip_section,
    .size = sizeof(struct floating_ip),
    .count = offsetof(struct cluster, n_floating_ips),
    .place = offsetof(struct floating_ip, place),
    .index = offsetof(struct floating_ip, index),
    .space = NAME_FLOATING_IP,
    .complete = complete_floating_ips,
};

static const struct many services = {
    .section = &service_section,
    .size = sizeof(struct service),
    .count = offsetof(struct cluster, n_services),
    .place = offsetof(struct service, place),
    .index = offsetof(struct service, index),
    .space = NAME_SERVICE,
};

static const struct many vpns = {
    .section = &vpn_section,
    .size = sizeof(struct vpn),
    .count = offsetof(struct cluster, n_vpns),
    .place = offsetof(struct vpn, place),
    .index = offsetof(struct vpn, index),
    .space = NAME_VPN,
};

static const struct many externals = {
    .section = &external_section,
    .size = sizeof(struct external),
    .count = offsetof(struct cluster, n_externals),
    .place = offsetof(struct external, place),
    .index = SIZE_MAX,
    .space = NAME_EXTERNAL,
};

static const struct many databases = {
    .section = &database_section,
    .size = sizeof(struct database),
    .count = offsetof(struct cluster, n_databases),
    .place = offsetof(struct database, of.place),
    .index = SIZE_MAX,
    .space = NAME_DATABASE,
};

static const struct many volumes = {
    .section = &volume_section,
    .size = sizeof(struct volume),
    .count = offsetof(struct cluster, n_volumes),
    .place = offsetof(struct volume, of.place),
    .index = SIZE_MAX,
    .space = NAME_VOLUME,
};

enum { ROOT_KEY_NAME, ROOT_KEY_NETWORK, ROOT_KEY_NETWORKS };

/* In the order in which they are read: later sections refer to earlier ones. */
static const struct key root_key[] = {
    [ROOT_KEY_NAME] =
	{
	    .name = "cluster",
	    .kind = VALUE_NAME,
	    .required = true,
	    FIELD(struct cluster, name),
	    .doc = "Name of the cluster.",
	},
    [ROOT_KEY_NETWORK] =
	{
	    .name = "network",
	    .kind = VALUE_FORM,
	    .form = &network_form,
	    .doc = "The only network, called `main`. Short for `networks`.",
	    .applies = only_main_network,
	},
    [ROOT_KEY_NETWORKS] =
	{
	    .name = "networks",
	    .kind = VALUE_MAP,
	    .offset = offsetof(struct cluster, network),
	    .many = &networks,
	    .doc = "The networks that hosts have addresses on.",
	    .applies = other_networks,
	},
    {
	.name = "zones",
	.kind = VALUE_FORM,
	.form = &zones_form,
	.doc = "What hosts share their fate with: power, racks, sites.",
    },
    {
	.name = "workers",
	.kind = VALUE_COUNT,
	FIELD(struct cluster, workers),
	.max = WORKERS_MAX,
	.preset = "0",
	.doc = "Threads of the proxy on each host; 0: one for each processor.",
    },
    {
	.name = "availability",
	.kind = VALUE_SECTION,
	.offset = offsetof(struct cluster, availability),
	.section = &availability_section,
	.doc = "How often things fail, for `nines spof`; changes nothing that runs.",
    },
    {
	.name = "hosts",
	.kind = VALUE_MAP,
	.required = true,
	.offset = offsetof(struct cluster, host),
	.many = &hosts,
	.doc = "The machines.",
    },
    {
	.name = "floating_ips",
	.kind = VALUE_MAP,
	.offset = offsetof(struct cluster, floating_ip),
	.many = &floating_ips,
	.doc = "Addresses with several possible owners, on one host at a time.",
    },
    {
	.name = "services",
	.kind = VALUE_MAP,
	.offset = offsetof(struct cluster, service),
	.many = &services,
	.doc = "What the load balancers serve.",
    },
    {
	.name = "gateways",
	.kind = VALUE_SECTION,
	.offset = offsetof(struct cluster, gateways),
	.section = &gateway_section,
	.doc = "Routers that all forward at once.",
    },
    {
	.name = "firewall",
	.kind = VALUE_SECTION,
	.offset = offsetof(struct cluster, firewall),
	.section = &firewall_section,
	.doc = "Hosts that connections pass through, if they may.",
    },
    {
	.name = "host_firewall",
	.kind = VALUE_SECTION,
	.offset = offsetof(struct cluster, host_firewall),
	.section = &host_firewall_section,
	.doc = "On every host: refuse what this file does not imply.",
    },
    {
	.name = "databases",
	.kind = VALUE_MAP,
	.offset = offsetof(struct cluster, database),
	.many = &databases,
	.doc = "Databases with a copy on each of several hosts. Checked and analysed, "
	       "not run by this version.",
    },
    {
	.name = "volumes",
	.kind = VALUE_MAP,
	.offset = offsetof(struct cluster, volume),
	.many = &volumes,
	.doc = "Block devices with a copy on each of several hosts. Checked and "
	       "analysed, not run by this version.",
    },
    {.name = "files", .kind = VALUE_LATER},
    {
	.name = "vpn",
	.kind = VALUE_MAP,
	.offset = offsetof(struct cluster, vpn),
	.many = &vpns,
	.doc = "WireGuard gateways and their clients.",
    },
    {
	.name = "external",
	.kind = VALUE_MAP,
	.offset = offsetof(struct cluster, external),
	.many = &externals,
	.doc = "What services need that others run, for `nines spof`; changes nothing "
	       "that runs.",
    },
    {.name = "monitoring", .kind = VALUE_LATER},
    {
	.name = "console",
	.kind = VALUE_SECTION,
	.offset = offsetof(struct cluster, console),
	.section = &console_section,
	.doc = "Where people see the cluster. Checked and analysed, not run by this "
	       "version.",
    },
};

/* Names are known before any section is read, so that they may refer to each other. */
static void
begin_root(struct reader *r, const struct yaml *node, void *base)
{
	const struct yaml *section;

	for (size_t i = 0; i < ARRAY_LEN(root_key); i++) {
		section = yaml_get(node, root_key[i].name);
		if (section != NULL && root_key[i].kind == VALUE_MAP)
			declare_names(r, &root_key[i], section, base);
	}
}

/* Nobody may believe that what is described is kept alive as well. */
static void
warn_not_run(struct reader *r, const struct yaml *root)
{
	static const char *const section[] = {"databases", "volumes", "console"};
	const struct yaml *node;

	for (size_t i = 0; i < ARRAY_LEN(section); i++) {
		node = yaml_get(root, section[i]);
		if (node == NULL)
			continue;
		diag_hint(reader_warning(r, node->key, "not-run",
			      "this version checks and analyses \"%s\", and does not "
			      "run %s",
			      section[i], i < 2 ? "them" : "it"),
		    "run %s by other means; nines spof knows what the file says",
		    i < 2 ? "them" : "it");
	}
}

static void
finish_root(struct reader *r, const struct yaml *node, void *base, uint64_t given)
{
	const uint64_t one = 1U << ROOT_KEY_NETWORK, many = 1U << ROOT_KEY_NETWORKS;
	const struct yaml *list = yaml_get(node, "hosts");
	const struct cluster *c = base;

	complete_gateways(r);
	warn_not_run(r, node);
	if (c->n_hosts == 0 && list != NULL && list->kind == YAML_MAP && list->n == 0)
		diag_hint(reader_error(r, list, "missing-key", "the file has no host"),
		    "such as hosts: {web1: 10.0.0.21}");
	if ((given & (one | many)) == 0)
		diag_hint(
		    reader_error(r, node, "missing-key", "the file has no network"),
		    "such as network: 10.0.0.0/24");
}

const struct section root_section = {
    .what = "the cluster file",
    .doc = "A cluster of hosts and what it serves.",
    KEYS(root_key),
    .begin = begin_root,
    .finish = finish_root,
};

/* ---- parsing ------------------------------------------------------------------- */

/* Both at once would leave open which of them is meant. */
static bool
one_kind_of_network(struct reader *r, const struct yaml *root)
{
	const struct yaml *one = yaml_get(root, "network");
	const struct yaml *many = yaml_get(root, "networks");

	if (one == NULL || many == NULL)
		return true;
	(void)reader_error(r, one->line > many->line ? one->key : many->key,
	    "key-conflict", "a file has \"network\" or \"networks\", not both");
	return false;
}

static void
read_root(struct reader *r, const char *text, size_t len)
{
	const struct yaml *root;

	if (len > CLUSTER_FILE_MAX) {
		(void)diag_add(r->diags, DIAG_ERROR, "too-large", 0, 0,
		    "the file is larger than %zu MiB", CLUSTER_FILE_MAX >> 20);
		return;
	}
	root = yaml_parse(text, len, r->scratch, r->diags);
	if (root == NULL || root->kind == YAML_EMPTY) {
		if (r->diags->errors == 0)
			(void)diag_add(r->diags, DIAG_ERROR, "empty-file", 1, 1,
			    "the file is empty");
		return;
	}
	if (root->kind != YAML_MAP)
		(void)reader_error(
		    r, root, "wrong-type", "a cluster file is a mapping of sections");
	else if (one_kind_of_network(r, root))
		read_section(r, &root_section, root, r->cluster);
}

static struct generation *
new_generation(void)
{
	struct arena *a = arena_new(GENERATION_MAX);
	struct generation *g;

	if (a == NULL)
		return NULL;
	g = arena_alloc(a, sizeof(*g));
	if (g == NULL) {
		arena_free(a);
		return NULL;
	}
	g->arena = a;
	atomic_init(&g->refs, 1);
	return g;
}

static void
init_reader(struct reader *r, struct generation *g, struct arena *scratch,
    struct diag_list *diags)
{
	*r = (struct reader){.arena = g->arena,
	    .scratch = scratch,
	    .diags = diags,
	    .cluster = &g->cluster};
	for (size_t i = 0; i < NAME_SPACES; i++)
		names_init(&r->names[i], g->arena);
	names_init(&r->addresses, scratch);
	names_init(&r->listeners, scratch);
	names_init(&r->routers, scratch);
}

const struct cluster *
cluster_parse(const char *text, size_t len, struct diag_list *diags)
{
	const size_t errors = diags->errors;
	struct arena *scratch = arena_new(SCRATCH_MAX);
	struct generation *g = new_generation();
	struct reader r;

	if (g == NULL || scratch == NULL) {
		if (g != NULL)
			arena_free(g->arena);
		arena_free(scratch);
		(void)diag_add(
		    diags, DIAG_ERROR, "out-of-memory", 0, 0, "out of memory");
		return NULL;
	}
	init_reader(&r, g, scratch, diags);
	read_root(&r, text, len);
	if (arena_failed(scratch) || arena_failed(g->arena))
		(void)diag_add(
		    diags, DIAG_ERROR, "out-of-memory", 0, 0, "out of memory");
	arena_free(scratch);
	if (diags->errors > errors) {
		arena_free(g->arena);
		return NULL;
	}
	g->hosts = r.names[NAME_HOST];
	g->floating_ips = r.names[NAME_FLOATING_IP];
	g->services = r.names[NAME_SERVICE];
	return &g->cluster;
}

/* ---- generations --------------------------------------------------------------- */

/* A cluster is immutable; the count of its references beside it is not. */
static struct generation *
generation_of(const struct cluster *c)
{
	return CONTAINER((uintptr_t)c, struct generation, cluster);
}

const struct cluster *
cluster_ref(const struct cluster *c)
{
	refs_take(&generation_of(c)->refs);
	return c;
}

void
cluster_unref(const struct cluster *c)
{
	if (c != NULL && refs_drop(&generation_of(c)->refs))
		arena_free(generation_of(c)->arena);
}

const struct host *
cluster_host(const struct cluster *c, const char *name)
{
	return names_get(&generation_of(c)->hosts, name);
}

const struct service *
cluster_service(const struct cluster *c, const char *name)
{
	return names_get(&generation_of(c)->services, name);
}

const struct floating_ip *
cluster_floating_ip(const struct cluster *c, const char *name)
{
	return names_get(&generation_of(c)->floating_ips, name);
}

const struct host *
cluster_host_by_address(const struct cluster *c, const struct ip *ip, size_t n)
{
	const struct host *found = NULL;

	for (size_t i = 0; i < c->n_hosts; i++) {
		const struct host *h = &c->host[i];
		bool has = false;

		for (size_t j = 0; j < h->n_addresses * n && !has; j++)
			has = ip_equal(&h->address[j / n].ip, &ip[j % n]);
		if (has && found != NULL)
			return NULL;
		if (has)
			found = h;
	}
	return found;
}

const struct host_address *
host_address_on(const struct host *h, const struct network *net)
{
	for (size_t i = 0; i < h->n_addresses; i++) {
		if (h->address[i].network == net)
			return &h->address[i];
	}
	return NULL;
}

bool
service_source(const struct service *s, const struct host *h, struct ip *source)
{
	const struct host_address *a;

	*source = s->source;
	if (s->source_network != NULL) {
		a = host_address_on(h, s->source_network);
		if (a != NULL)
			*source = a->ip;
	}
	return source->family != 0;
}

int
floating_ip_rank(const struct floating_ip *f, const struct host *h)
{
	for (size_t i = 0; i < f->n_hosts; i++) {
		if (f->host[i] == h)
			return (int)i;
	}
	return -1;
}

bool
listener_on_host(const struct listener *l, const struct host *h)
{
	if (l->floating_ip != NULL)
		return floating_ip_rank(l->floating_ip, h) >= 0;
	return l->host == h;
}

size_t
service_group(const struct service *s, const char *name)
{
	size_t i = 0;

	while (i < s->n_groups && strcmp(s->group[i].name, name) != 0)
		i++;
	return i;
}

bool
service_listens_at(const struct service *s, const struct ip_endpoint *at)
{
	for (size_t i = 0; i < s->n_listen; i++) {
		const struct ip_endpoint *own = &s->listen[i].at;

		if (at->ip.family != 0 && at->port == own->port &&
		    ip_equal(&at->ip, &own->ip))
			return true;
	}
	return false;
}

bool
service_on_host(const struct service *s, const struct host *h)
{
	for (size_t i = 0; i < s->n_listen; i++) {
		if (listener_on_host(&s->listen[i], h))
			return true;
	}
	return false;
}

bool
cluster_has_server_at(const struct cluster *c, const struct host *h)
{
	for (size_t i = 0; i < c->n_services; i++) {
		for (size_t k = 0; k < c->service[i].n_servers; k++) {
			if (c->service[i].server[k].host == h)
				return true;
		}
	}
	return false;
}
