/* SPDX-License-Identifier: Apache-2.0 */
/* source_sync.c - services with a source table: memory, core, what is shown of them. */
#include "proxy/sources/source_sync.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/log.h"
#include "proxy/servers/sticky.h"
#include "proxy/sources/source_shell.h"
#include "proxy/worker.h"

#define TICK_NS	    (1 * SEC_NS) /* what is shown is no older */
#define PATIENCE_NS (5 * SEC_NS) /* for a first word of the others */
#define NAME_MAX_   (CLUSTER_NAME_MAX + 24)

enum {
	SOURCES_ENTRIES,
	SOURCES_SIZE,
	SOURCES_APART,
	SOURCES_TOLD,
	SOURCES_HEARD,
	SOURCES_LOST,
	SOURCES_EVICTED,
	SOURCES_EXPIRED,
	SOURCES_N
};

static const char *const counters[SOURCES_N] = {
    "sources", "size", "apart", "told", "heard", "told_again", "evicted", "expired"};

/* ---- what is shown -------------------------------------------------------------- */

static void
show_counters(struct source_service *s)
{
	char label[STATS_LABEL_LEN];
	uint64_t told = 0, heard = 0, lost = 0, apart = 0;

	(void)snprintf(label, sizeof(label), "service=%s", s->name);
	if (s->stats == NULL)
		s->stats = stats_block(part_stats(s->all->part), "proxy_sources", label,
		    0, counters, SOURCES_N);
	if (s->stats == NULL)
		return;
	for (unsigned k = 0; k < s->n_hosts; k++) {
		const struct source_figures *f = &s->core.peer[k].figures;

		told += f->told;
		heard += f->heard;
		lost += f->lost;
		apart += !source_core_agreed(&s->core, k);
	}
	stats_set(&s->stats[SOURCES_ENTRIES], s->core.n);
	stats_set(&s->stats[SOURCES_SIZE], s->core.max);
	stats_set(&s->stats[SOURCES_APART], apart);
	stats_set(&s->stats[SOURCES_TOLD], told);
	stats_set(&s->stats[SOURCES_HEARD], heard);
	stats_set(&s->stats[SOURCES_LOST], lost);
	stats_set(&s->stats[SOURCES_EVICTED], s->core.evicted);
	stats_set(&s->stats[SOURCES_EXPIRED], s->core.expired);
}

/* The others that are silent, else those that do not know everything yet. */
static void
describe(struct source_service *s, char text[static SOURCE_WHY_LEN])
{
	mono_t now = loop_now(s->all->loop);
	const char *silent = NULL, *behind = NULL;

	for (unsigned k = 0; k < s->n_hosts; k++) {
		struct source_host *h = &s->host[k];
		bool open = s->core.peer[k].open;

		if (source_core_agreed(&s->core, k))
			h->agreed = true;
		if (!open && mono_sub(now, s->began) >= PATIENCE_NS)
			silent = h->name;
		else if (!open || !h->agreed)
			behind = h->name;
	}
	if (s->why[0] != '\0')
		(void)snprintf(text, SOURCE_WHY_LEN, "down %.180s", s->why);
	else if (silent != NULL)
		(void)snprintf(
		    text, SOURCE_WHY_LEN, "down %s says nothing of sources", silent);
	else if (behind != NULL)
		(void)snprintf(text, SOURCE_WHY_LEN, "syncing with %s", behind);
	else
		(void)snprintf(text, SOURCE_WHY_LEN, "up");
}

static void
publish(struct source_service *s, const char *text)
{
	char key[FACT_KEY_LEN];

	if (strcmp(s->told, text) == 0)
		return;
	(void)snprintf(key, sizeof(key), "proxy sources %s", s->name);
	part_publish(s->all->part, key, "%s", text);
	(void)snprintf(s->told, sizeof(s->told), "%s", text);
}

static void
show_service(struct source_service *s)
{
	char text[SOURCE_WHY_LEN];

	if (!s->running)
		return;
	describe(s, text);
	publish(s, text);
	show_counters(s);
}

/* ---- time ----------------------------------------------------------------------- */

void
source_sync_pump(struct source_sync *ss)
{
	mono_t now = loop_now(ss->loop), due = MONO_NEVER;

	LIST_EACH(n, tmp, &ss->services)
	{
		struct source_service *s = CONTAINER(n, struct source_service, link);

		if (!s->running)
			continue;
		source_net_send(s);
		due = mono_min(due, mono_add(ss->shown, TICK_NS));
		if (s->port != NULL)
			due = mono_min(due, source_core_deadline(&s->core));
	}
	/* What is due already has just been looked at. */
	if (!mono_is_never(due) && mono_before(due, mono_add(now, MS_NS)))
		due = mono_add(now, MS_NS);
	loop_timer_set(ss->loop, &ss->tick, due);
}

static void
tick(void *arg)
{
	struct source_sync *ss = arg;
	mono_t now = loop_now(ss->loop);
	bool show = mono_sub(now, ss->shown) >= TICK_NS;

	if (show)
		ss->shown = now;
	LIST_EACH(n, tmp, &ss->services)
	{
		struct source_service *s = CONTAINER(n, struct source_service, link);

		if (s->running)
			source_core_tick(&s->core, now);
		if (show)
			show_service(s);
	}
	source_sync_pump(ss);
}

/* ---- memory and core ------------------------------------------------------------ */

static void
memory_name(const char *service, unsigned size, char name[static NAME_MAX_])
{
	(void)snprintf(
	    name, NAME_MAX_, "memory/%s/%zu", service, source_table_bytes(size));
}

static uint64_t
random_seed(void)
{
	uint64_t seed = 0;

	(void)!getrandom(&seed, sizeof(seed), 0);
	return seed;
}

/* The acting process: the table becomes its own. Of `old` (or NULL), the core of a
 * table of another size, everything is taken over. */
static bool
start_core(struct source_service *s, const struct source_core *old)
{
	mono_t now = loop_now(s->all->loop);
	struct source_table table = s->map->table;
	struct source_link *links =
	    calloc(source_table_slots(s->conf.size), sizeof(*links));
	struct source_core core;
	struct source_entry e;

	if (links == NULL) {
		log_event(
		    LOG_ERR, "sources", "service=%s error=\"no memory\"", s->name);
		return false;
	}
	(void)source_table_claim(&table, random_seed());
	source_core_init(
	    &core, &table, links, s->conf.size, s->map->expire_s, random_seed());
	for (uint32_t i = old != NULL ? old->head : SOURCE_NOWHERE; i != SOURCE_NOWHERE;
	     i = old->link[i].next) {
		if (source_table_get(&old->table, i, &e))
			source_core_adopt(&core, now, &e);
	}
	free(s->changes);
	source_map_unref(s->core_map);
	s->core_map = source_map_ref(s->map);
	s->changes = links;
	s->core = core;
	s->began = now;
	s->running = true;
	source_net_begin(s);
	return true;
}

static void
stop_core(struct source_service *s)
{
	source_net_close(s);
	s->running = false;
	free(s->changes);
	s->changes = NULL;
	source_map_unref(s->core_map);
	s->core_map = NULL;
}

/* Another view of the same memory, or the first of another one. */
static bool
show_memory(struct source_service *s)
{
	struct source_map *m = source_map_new(s->fd, &s->conf, s->id);

	if (m == NULL) {
		log_event(
		    LOG_ERR, "sources", "service=%s error=\"no memory\"", s->name);
		return false;
	}
	source_map_unref(s->map);
	s->map = m;
	s->all->changed(s->all->arg);
	return true;
}

static void
adopt_memory(struct source_service *s, int fd)
{
	if (s->fd >= 0)
		(void)close(s->fd);
	s->fd = fd;
	s->size = s->conf.size;
	if (!show_memory(s) || !s->all->active)
		return;
	if (start_core(s, s->running ? &s->core : NULL))
		source_sync_pump(s->all);
}

bool
source_sync_socket(struct source_sync *ss, const char *name, int fd)
{
	char expected[NAME_MAX_];

	if (strncmp(name, "memory/", strlen("memory/")) != 0)
		return false;
	LIST_EACH(n, tmp, &ss->services)
	{
		struct source_service *s = CONTAINER(n, struct source_service, link);

		memory_name(s->name, s->conf.size, expected);
		if (strcmp(name, expected) != 0 || fd < 0)
			continue;
		adopt_memory(s, fd);
		return true;
	}
	if (fd >= 0)
		(void)close(fd);
	else
		log_event(
		    LOG_ERR, "sources", "memory=%s error=\"%s\"", name, strerror(-fd));
	return true;
}

/* ---- services ------------------------------------------------------------------- */

static struct source_service *
find_service(const struct source_sync *ss, const char *name)
{
	LIST_EACH(n, tmp, &ss->services)
	{
		struct source_service *s = CONTAINER(n, struct source_service, link);

		if (strcmp(s->name, name) == 0)
			return s;
	}
	return NULL;
}

static struct source_service *
new_service(struct source_sync *ss, const char *name)
{
	static const struct sticky_key no_key;
	struct source_service *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->all = ss;
	s->fd = -1;
	s->id = ++ss->last_id;
	s->hash = sticky_hash(&no_key, name, strlen(name)).t[0];
	(void)snprintf(s->name, sizeof(s->name), "%s", name);
	list_init(&s->link);
	list_append(&ss->services, &s->link);
	return s;
}

static void
free_service(struct source_service *s)
{
	stop_core(s);
	source_map_unref(s->map);
	if (s->fd >= 0)
		(void)close(s->fd);
	list_remove(&s->link);
	explicit_bzero(s->secret, sizeof(s->secret));
	free(s);
}

static void
retire_service(struct source_service *s)
{
	char name[NAME_MAX_];

	memory_name(s->name, s->conf.size, name);
	part_socket_drop(s->all->part, name);
	if (s->all->active)
		publish(s, "");
	free_service(s);
}

static void
config_service(struct source_sync *ss, const struct cluster *c,
    const struct service *conf, const struct host *me)
{
	const struct source_conf *sc = &conf->balancing.source;
	struct source_service *s = find_service(ss, conf->name);
	char name[NAME_MAX_];
	struct source_conf was;

	if (s == NULL)
		s = new_service(ss, conf->name);
	if (s == NULL) {
		log_event(
		    LOG_ERR, "sources", "service=%s error=\"no memory\"", conf->name);
		return;
	}
	was = s->conf;
	s->wanted = true;
	s->conf = *sc;
	s->conf.sync = NULL; /* of this generation */
	s->conf.key_file = NULL;
	if (was.size != sc->size) {
		memory_name(s->name, sc->size, name);
		part_socket(ss->part, name);
		if (was.size != 0) {
			memory_name(s->name, was.size, name);
			part_socket_drop(ss->part, name);
		}
	} else if (s->fd >= 0 &&
		   (was.expire_ns != sc->expire_ns || was.prefix6 != sc->prefix6)) {
		if (show_memory(s) && s->running)
			source_core_expire(&s->core, s->map->expire_s);
	}
	source_net_config(s, c, conf, me);
}

void
source_sync_config(
    struct source_sync *ss, const struct cluster *c, const struct host *me)
{
	LIST_EACH(n, tmp, &ss->services)
	{
		CONTAINER(n, struct source_service, link)->wanted = false;
	}
	for (size_t i = 0; i < c->n_services; i++) {
		const struct service *conf = &c->service[i];

		if (sticky_has_table(&conf->balancing) && service_on_host(conf, me))
			config_service(ss, c, conf, me);
	}
	LIST_EACH(n, tmp, &ss->services)
	{
		struct source_service *s = CONTAINER(n, struct source_service, link);

		if (!s->wanted)
			retire_service(s);
	}
	source_sync_pump(ss);
}

struct source_map *
source_sync_map(const struct source_sync *ss, const struct service *service)
{
	const struct source_service *s;

	if (!sticky_has_table(&service->balancing))
		return NULL;
	s = find_service(ss, service->name);
	/* While memory of another size is on its way, there is none. */
	return s != NULL && s->size == s->conf.size ? s->map : NULL;
}

void
source_sync_news(struct source_sync *ss, const struct source_news *news)
{
	LIST_EACH(n, tmp, &ss->services)
	{
		struct source_service *s = CONTAINER(n, struct source_service, link);

		if (s->id != news->id || !s->running)
			continue;
		source_core_served(&s->core, loop_now(ss->loop),
		    (uint64_t)(worker_wall_us() / 1000), &news->key, news->server,
		    news->saw);
	}
}

/* ---- life ----------------------------------------------------------------------- */

struct source_sync *
source_sync_new(struct part *part, void (*changed)(void *arg), void *arg)
{
	struct source_sync *ss = calloc(1, sizeof(*ss));

	if (ss == NULL)
		return NULL;
	ss->part = part;
	ss->loop = part_loop(part);
	ss->changed = changed;
	ss->arg = arg;
	ss->tick = (struct loop_timer){.cb = tick, .arg = ss};
	list_init(&ss->services);
	list_init(&ss->ports);
	return ss;
}

void
source_sync_free(struct source_sync *ss)
{
	if (ss == NULL)
		return;
	LIST_EACH(n, tmp, &ss->services)
	{
		free_service(CONTAINER(n, struct source_service, link));
	}
	free(ss);
}

void
source_sync_activate(struct source_sync *ss)
{
	ss->active = true;
	LIST_EACH(n, tmp, &ss->services)
	{
		struct source_service *s = CONTAINER(n, struct source_service, link);

		if (s->map != NULL && !s->running)
			(void)start_core(s, NULL);
	}
	source_sync_pump(ss);
}

void
source_sync_yield(struct source_sync *ss)
{
	ss->active = false;
	LIST_EACH(n, tmp, &ss->services)
	{
		stop_core(CONTAINER(n, struct source_service, link));
	}
	loop_timer_clear(ss->loop, &ss->tick);
}
