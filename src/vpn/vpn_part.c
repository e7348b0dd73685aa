/* SPDX-License-Identifier: Apache-2.0 */
/* The part `vpn`: its life, its configuration, the facts it follows. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "part/fact.h"
#include "part/heard.h"
#include "vpn/vpn.h"
#include "vpn/vpn_shell.h"

#define TUNNELS(t, sh)                                                               \
	LIST_EACH(t##_link, t##_next, &(sh)->tunnels)                                \
	for (struct tunnel *t = CONTAINER(t##_link, struct tunnel, link); t != NULL; \
	     t = NULL)

/* ---- where floating addresses are ---------------------------------------------- */

bool
vpn_shell_has_address(const struct vpn_shell *sh, const struct vpn *v)
{
	char key[FACT_KEY_LEN];

	if (v->floating_ip == NULL) /* the host's own */
		return true;
	(void)snprintf(key, sizeof(key), "vip %s", v->floating_ip->name);
	return fact_is(heard_value(&sh->heard, key), "active");
}

static void
op_fact(void *self, const char *key, const char *value)
{
	struct vpn_shell *sh = self;
	struct fact_words w;

	if (!fact_split(&w, key) || w.n != 2 || strcmp(w.word[0], "vip") != 0)
		return;
	/* Said by a process of the part `vip` that has just taken over from another and
	 * is about to find the address where it was: no reason to end sessions. */
	if (fact_is(value, "init"))
		return;
	if (heard_note(&sh->heard, key, value) == NULL || !sh->acting)
		return;
	TUNNELS(t, sh)
	{
		if (t->vpn->floating_ip != NULL &&
		    strcmp(t->vpn->floating_ip->name, w.word[1]) == 0)
			tunnel_judge(t);
	}
}

/* ---- configuration ------------------------------------------------------------- */

static struct tunnel *
find_tunnel(const struct vpn_shell *sh, const char *name)
{
	TUNNELS(t, sh)
	{
		if (strcmp(t->vpn->name, name) == 0)
			return t;
	}
	return NULL;
}

/* Rules first: an interface without them would let clients go anywhere. */
static void
apply(struct vpn_shell *sh)
{
	sh->rules[0] = '\0';
	if (vpn_rules_load(sh, sh->rules) != 0)
		log_event(LOG_ERR, "rules", "error=\"%s\"", sh->rules);
	TUNNELS(t, sh)
	tunnel_apply(t);
}

static void
withdraw(struct vpn_shell *sh, struct tunnel *t)
{
	char key[FACT_KEY_LEN];

	if (sh->acting) {
		(void)snprintf(key, sizeof(key), "vpn %s", t->vpn->name);
		part_publish(sh->part, key, "%s", "");
		(void)snprintf(key, sizeof(key), "vpn %s sync", t->vpn->name);
		part_publish(sh->part, key, "%s", "");
	}
	tunnel_free(t, sh->acting);
}

/* The generation before is given back last: what goes says its old name. */
static void
op_config(void *self, const struct cluster *c, const struct host *me)
{
	struct vpn_shell *sh = self;
	const struct cluster *old = sh->cluster;

	sh->cluster = cluster_ref(c);
	sh->me = me;
	TUNNELS(t, sh)
	t->seen = false;
	for (size_t i = 0; i < c->n_vpns; i++) {
		const struct vpn *v = &c->vpn[i];
		struct tunnel *t = find_tunnel(sh, v->name);

		if (!vpn_on_host(v, me))
			continue;
		if (t == NULL)
			t = tunnel_new(sh, v);
		if (t == NULL) {
			log_event(LOG_ERR, "no_memory", "of=\"%s\"", v->name);
			continue;
		}
		t->seen = true;
		tunnel_adopt(t, v);
	}
	TUNNELS(t, sh)
	{
		if (!t->seen)
			withdraw(sh, t);
	}
	cluster_unref(old);
	if (sh->acting)
		apply(sh);
}

/* ---- orders -------------------------------------------------------------------- */

/* list VPN FROM */
static void
op_command(void *self, uint64_t id, const char *const *argv, size_t argc)
{
	struct vpn_shell *sh = self;
	struct tunnel *t = argc == 3 ? find_tunnel(sh, argv[1]) : NULL;
	struct sbuf out;

	if (argc != 3 || strcmp(argv[0], "list") != 0) {
		part_reply(sh->part, id, false, "no such order", NULL);
		return;
	}
	if (t == NULL) {
		part_reply(
		    sh->part, id, false, "this host is no gateway of that VPN", NULL);
		return;
	}
	sbuf_init(&out, PART_REPLY_MAX);
	tunnel_list(t, (size_t)strtoul(argv[2], NULL, 10), &out);
	if (out.bad)
		part_reply(sh->part, id, false, "the list is too long", NULL);
	else
		part_reply(sh->part, id, true, NULL, sbuf_text(&out));
	sbuf_done(&out);
}

/* ---- life ---------------------------------------------------------------------- */

static int
op_start(void *self, struct part *p)
{
	struct vpn_shell *sh = self;

	sh->part = p;
	sh->loop = part_loop(p);
	list_init(&sh->tunnels);
	list_init(&sh->heard);
	return 0;
}

static void
op_activate(void *self)
{
	struct vpn_shell *sh = self;

	sh->acting = true;
	apply(sh);
}

/* The addresses have left before; nothing shall stay. */
static void
op_stop(void *self)
{
	struct vpn_shell *sh = self;
	bool acting = sh->acting;

	TUNNELS(t, sh)
	tunnel_free(t, acting);
	if (acting)
		vpn_rules_remove();
	heard_clear(&sh->heard);
	cluster_unref(sh->cluster);
	sh->cluster = NULL;
	part_stopped(sh->part);
}

int
vpn_main(void)
{
	static const struct part_ops ops = {
	    .start = op_start,
	    .config = op_config,
	    .fact = op_fact,
	    .activate = op_activate,
	    .command = op_command,
	    .stop = op_stop,
	};
	struct vpn_shell sh = {.acting = false};

	return part_main("vpn", &ops, &sh);
}
