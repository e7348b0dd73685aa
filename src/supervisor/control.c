/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket: root only, one request a connection, closed verbs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sbuf.h"
#include "supervisor/tree.h"
#include "supervisor/upgrade.h"

#define REQUEST_MAX 1024
#define WORDS	    4
#define CLIENTS_MAX 64
#define ANSWER_MAX  ((size_t)64 << 20)

/* A client is asked for its request, waits, is sent the answer, and is gone. */
struct client {
	struct list node;
	struct tree *tree;
	struct loop_fd *watch;
	struct loop_timer timeout;
	int fd;
	char request[REQUEST_MAX];
	size_t got;
	uint64_t order;	     /* waits for the reply to it; 0: for none */
	struct link *asked;  /* by which the order went */
	uint64_t generation; /* waits until all have adopted it; 0: for none */
	bool for_stop;	     /* waits for the end */
	bool for_upgrade;    /* the same, of the program */
	char *text;	     /* what to say when the wait is over */
	char *before;	     /* of a reload: judge_before() */
	char *warning;	     /* the order is carried out, and this comes of it */
	struct sbuf out;
	size_t sent;
};

/* For a part that never answers, a move that never ends, a client that never reads. */
#define WAIT_NS (90 * SEC_NS)

static unsigned
count(const struct tree *t)
{
	unsigned n = 0;

	LIST_EACH(it, tmp, &t->clients)
	n++;
	return n;
}

static void
client_free(struct client *c)
{
	list_remove(&c->node);
	loop_timer_clear(c->tree->loop, &c->timeout);
	loop_unwatch(c->watch);
	(void)close(c->fd);
	free(c->text);
	free(c->before);
	free(c->warning);
	sbuf_done(&c->out);
	free(c);
}

static void
transmit(struct client *c)
{
	while (c->sent < c->out.len) {
		ssize_t n = send(c->fd, c->out.p + c->sent, c->out.len - c->sent,
		    MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN) {
			loop_rewatch(c->watch, LOOP_OUT);
			return;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		c->sent += (size_t)n;
	}
	client_free(c);
}

/* Answers {"ok", "error" or "text"[, "warning"][, "result": json]} and ends the
 * conversation. */
static void
answer(struct client *c, bool ok, const char *text, const char *json, size_t json_len)
{
	sbuf_printf(&c->out, "{\"ok\":%s,\"%s\":", ok ? "true" : "false",
	    ok ? "text" : "error");
	sbuf_json(&c->out, text != NULL ? text : "");
	if (c->warning != NULL) {
		sbuf_puts(&c->out, ",\"warning\":");
		sbuf_json(&c->out, c->warning);
	}
	if (json_len > 0) {
		sbuf_puts(&c->out, ",\"result\":");
		sbuf_put(&c->out, json, json_len);
	}
	sbuf_puts(&c->out, "}\n");
	transmit(c);
}

/* The spare, and who is finishing what it has begun. */
static void
say_others(const struct child *c, struct sbuf *b)
{
	const char *sep = "";

	for (unsigned i = 0; i < SUP_SLOTS; i++) {
		if (i != c->core.acting && c->core.proc[i].state == SUP_PROC_READY)
			sbuf_printf(b, ",\"spare_pid\":%d", (int)c->process[i].pid);
	}
	sbuf_puts(b, ",\"finishing\":[");
	for (unsigned i = 0; i < SUP_SLOTS; i++) {
		if (c->core.proc[i].state != SUP_PROC_YIELDED)
			continue;
		sbuf_printf(b, "%s%d", sep, (int)c->process[i].pid);
		sep = ",";
	}
	sbuf_puts(b, "]");
}

static void
say_parts(const struct tree *t, struct sbuf *b)
{
	bool first = true;

	sbuf_puts(b, ",\"parts\":[");
	for (size_t i = 0; i < PARTS_MAX; i++) {
		const struct child *c = &t->child[i];

		if (c->core.status == SUP_OFF)
			continue;
		sbuf_printf(
		    b, "%s{\"name\":\"%s\",\"state\":", first ? "" : ",", c->row->name);
		sbuf_json(b, child_status(c));
		sbuf_printf(b, ",\"restarts\":%u", c->core.restarts);
		if (c->core.acting != SUP_NOBODY)
			sbuf_printf(
			    b, ",\"pid\":%d", (int)c->process[c->core.acting].pid);
		say_others(c, b);
		sbuf_puts(b, "}");
		first = false;
	}
	sbuf_puts(b, "]");
}

static void
say_facts(const struct tree *t, struct sbuf *b)
{
	mono_t now = loop_now(t->loop);
	bool first = true;

	sbuf_puts(b, ",\"facts\":[");
	LIST_EACH(n, tmp, &t->facts.all)
	{
		const struct fact *f = CONTAINER(n, struct fact, node);

		sbuf_printf(b, "%s{\"key\":", first ? "" : ",");
		sbuf_json(b, f->key);
		sbuf_puts(b, ",\"value\":");
		sbuf_json(b, f->value);
		sbuf_printf(b, ",\"by\":\"%s\",\"age_ms\":%lld}", f->by,
		    (long long)(mono_sub(now, f->since) / MS_NS));
		first = false;
	}
	sbuf_puts(b, "]");
}

static void
do_status(struct client *c)
{
	const struct tree *t = c->tree;

	sbuf_puts(&c->out, "{\"ok\":true,\"host\":");
	sbuf_json(&c->out, t->me->name);
	sbuf_puts(&c->out, ",\"cluster\":");
	sbuf_json(&c->out, t->cluster->name);
	sbuf_printf(&c->out, ",\"generation\":%llu,\"uptime_ms\":%lld",
	    (unsigned long long)t->generation,
	    (long long)(mono_sub(loop_now(t->loop), t->started) / MS_NS));
	if (t->refused != NULL) {
		sbuf_puts(&c->out, ",\"refused\":");
		sbuf_json(&c->out, t->refused);
	}
	judge_json(t, &c->out);
	say_parts(t, &c->out);
	say_facts(t, &c->out);
	sbuf_puts(&c->out, "}\n");
	transmit(c);
}

/* False: it does not run. */
static bool
ask_part(struct client *c, const char *part, const char *text)
{
	const struct part_row *row = parts_find(part);
	struct link *link = child_acting_link(&c->tree->child[row - parts]);
	struct part_msg m = {.type = PART_COMMAND};

	if (link == NULL)
		return false;
	c->asked = link;
	c->order = m.id = ++c->tree->next_order;
	m.text = text;
	m.text_len = strlen(text);
	link_send(link, &m, -1);
	return true;
}

/* It is carried out, and said so once every worker goes by it: what comes next, such as
 * the end of a server, fails no request. */
static void
answer_settled(struct client *c, const char *text)
{
	c->text = strdup(text);
	if (c->text == NULL || !ask_part(c, "proxy", "settle"))
		answer(c, true, text, NULL, 0);
}

static void
do_reload(struct client *c)
{
	char *report = NULL;
	int err;

	c->before = judge_before(c->tree);
	err = tree_reload(c->tree, &report);

	if (err != 0) {
		answer(c, false, report, NULL, 0);
		free(report);
		return;
	}
	c->text = report;
	c->generation = c->tree->generation;
	control_progress(c->tree);
}

static void
do_drain(struct client *c, const char *name, bool drain)
{
	const char *near;
	char text[512];
	bool changed;

	if (!drains_known(c->tree->cluster, name, &near)) {
		(void)snprintf(text, sizeof(text),
		    "no host or server named \"%s\"%s%s%s", name,
		    near != NULL ? "; did you mean \"" : "",
		    near != NULL ? near : "; `nines status` lists the servers",
		    near != NULL ? "\"?" : "");
		answer(c, false, text, NULL, 0);
		return;
	}
	changed = drains_set(c->tree, name, drain);
	if (drain)
		c->warning = takers_warning(c->tree, NULL, name);
	if (drain)
		(void)snprintf(text, sizeof(text), "%s %s", name,
		    changed ? "drains: no new work goes there" : "is draining already");
	else
		(void)snprintf(text, sizeof(text), "%s %s", name,
		    changed ? "is enabled" : "was not drained");
	answer_settled(c, text);
}

static void
do_switch(struct client *c, const char *service, const char *group)
{
	const char *what = switches_unknown(c->tree->cluster, service, group);
	char text[512];
	bool changed;

	if (what != NULL) {
		bool no_service = strcmp(what, "service") == 0;

		(void)snprintf(text, sizeof(text), "no %s named \"%s\"%s%s", what,
		    no_service ? service : group, no_service ? "" : " in service ",
		    no_service ? "" : service);
		answer(c, false, text, NULL, 0);
		return;
	}
	changed = switches_set(c->tree, service, group);
	(void)snprintf(text, sizeof(text), "%s goes to %s%s%s", service, group,
	    changed ? " now" : " already",
	    switches_served(c->tree, service, group)
		? ""
		: ", where no server is up: requests fail");
	answer_settled(c, text);
}

static void
do_weight(struct client *c, const char *service, const char *server, const char *weight)
{
	const char *what = weights_unknown(c->tree->cluster, service, server);
	bool no_service = what != NULL && strcmp(what, "service") == 0;
	char text[512];
	bool changed;

	if (what != NULL) {
		(void)snprintf(text, sizeof(text), "no %s named \"%s\"%s%s", what,
		    no_service ? service : server, no_service ? "" : " in service ",
		    no_service ? "" : service);
		answer(c, false, text, NULL, 0);
		return;
	}
	if (!weights_valid(weight)) {
		(void)snprintf(text, sizeof(text),
		    "\"%s\" is no weight: 0 to %d, or file for what the file says",
		    weight, SERVER_WEIGHT_MAX);
		answer(c, false, text, NULL, 0);
		return;
	}
	changed = weights_set(c->tree, service, server, weight);
	c->warning = takers_warning(c->tree, service, server);
	(void)snprintf(text, sizeof(text), "%s in %s: weight %s%s", server, service,
	    strcmp(weight, WEIGHT_OF_FILE) == 0 ? "as in the file" : weight,
	    changed ? "" : ", as before");
	answer_settled(c, text);
}

/* Passed on to a part, which answers; `none` is said if it does not run. */
static void
pass_on(struct client *c, const char *part, const char *text, const char *none)
{
	if (!ask_part(c, part, text))
		answer(c, false, none, NULL, 0);
}

/* The answer comes when the address has moved. */
static void
do_move(struct client *c, const char *floating_ip, const char *host)
{
	char text[512];

	(void)snprintf(text, sizeof(text), "move\t%s\t%s", floating_ip, host);
	pass_on(c, "vip", text, "this host has no floating addresses now");
}

static void
do_vpn_list(struct client *c, const char *vpn, const char *from)
{
	char text[512];

	(void)snprintf(text, sizeof(text), "list\t%s\t%s", vpn, from);
	pass_on(c, "vpn", text, "this host is no VPN gateway now");
}

static void
do_firewall(struct client *c, const char *what)
{
	char order[512];

	(void)snprintf(order, sizeof(order), "firewall\t%s", what);
	pass_on(c, "firewall", order, "the file wants no firewall on this host");
}

static void
do_upgrade(struct client *c)
{
	const char *why;

	c->for_upgrade = true;
	if (upgrade_start(c->tree, &why) != 0)
		answer(c, false, why, NULL, 0);
}

void
control_upgraded(struct tree *t, bool ok, const char *text)
{
	LIST_EACH(n, tmp, &t->clients)
	{
		struct client *c = CONTAINER(n, struct client, node);

		if (c->for_upgrade && c->out.len == 0)
			answer(c, ok, text, NULL, 0);
	}
}

int
control_upgrade_client(const struct tree *t)
{
	LIST_EACH(n, tmp, &t->clients)
	{
		const struct client *c = CONTAINER(n, struct client, node);

		if (c->for_upgrade && c->out.len == 0)
			return c->fd;
	}
	return -1;
}

static void
serve(struct client *c)
{
	char *word[WORDS] = {NULL}, *p = c->request;
	size_t n = 0;

	while (n < WORDS && p != NULL) {
		word[n++] = p;
		p = strchr(p, '\t');
		if (p != NULL)
			*p++ = '\0';
	}
	loop_rewatch(c->watch, LOOP_IN);
	if (n == 1 && strcmp(word[0], "status") == 0) {
		do_status(c);
	} else if (n == 1 && strcmp(word[0], "reload") == 0) {
		do_reload(c);
	} else if (n == 2 && strcmp(word[0], "drain") == 0) {
		do_drain(c, word[1], true);
	} else if (n == 2 && strcmp(word[0], "enable") == 0) {
		do_drain(c, word[1], false);
	} else if (n == 3 && strcmp(word[0], "switch") == 0) {
		do_switch(c, word[1], word[2]);
	} else if (n == 4 && strcmp(word[0], "weight") == 0) {
		do_weight(c, word[1], word[2], word[3]);
	} else if (n == 3 && strcmp(word[0], "move") == 0) {
		do_move(c, word[1], word[2]);
	} else if (n == 3 && strcmp(word[0], "vpn-list") == 0) {
		do_vpn_list(c, word[1], word[2]);
	} else if (n == 2 && strcmp(word[0], "firewall") == 0) {
		do_firewall(c, word[1]);
	} else if (n == 1 && strcmp(word[0], "upgrade") == 0) {
		do_upgrade(c);
	} else if (n == 1 && strcmp(word[0], "stop") == 0) {
		c->for_stop = true;
		tree_stop(c->tree);
	} else {
		answer(c, false, "no such order", NULL, 0);
	}
}

static void
on_client(void *arg, unsigned events)
{
	struct client *c = arg;
	char *end;
	ssize_t n;

	if (c->out.len > 0) {
		transmit(c);
		return;
	}
	(void)events;
	n = recv(
	    c->fd, c->request + c->got, sizeof(c->request) - 1 - c->got, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) { /* gone, or a request without an end */
		client_free(c);
		return;
	}
	c->got += (size_t)n;
	c->request[c->got] = '\0';
	end = strchr(c->request, '\n');
	if (end != NULL && c->order == 0 && c->generation == 0 && !c->for_stop &&
	    !c->for_upgrade) {
		*end = '\0';
		serve(c);
	}
}

static void
on_timeout(void *arg)
{
	struct client *c = arg;

	if (c->out.len > 0)
		client_free(c);
	else
		answer(c, false,
		    "no answer in time; `nines status` tells how it stands", NULL, 0);
}

/* Takes `fd`. NULL: there is no room for him. */
static struct client *
client_new(struct tree *t, int fd)
{
	struct client *c = count(t) < CLIENTS_MAX ? calloc(1, sizeof(*c)) : NULL;

	if (c == NULL) {
		(void)close(fd);
		return NULL;
	}
	c->tree = t;
	c->fd = fd;
	list_init(&c->node);
	sbuf_init(&c->out, ANSWER_MAX);
	c->timeout = (struct loop_timer){.cb = on_timeout, .arg = c};
	c->watch = loop_watch(t->loop, fd, LOOP_IN, on_client, c);
	if (c->watch == NULL) {
		client_free(c);
		return NULL;
	}
	list_append(&t->clients, &c->node);
	loop_timer_set(t->loop, &c->timeout, mono_add(loop_clock(t->loop), WAIT_NS));
	return c;
}

static void
on_connect(void *arg, unsigned events)
{
	struct tree *t = arg;
	int fd = accept4(t->control_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd >= 0)
		(void)client_new(t, fd);
}

int
control_resume_client(struct tree *t, int fd)
{
	struct client *c = client_new(t, fd);

	if (c != NULL) /* without him nobody is told, which is no reason to fail */
		c->for_upgrade = true;
	return 0;
}

void
control_reply(struct tree *t, const struct part_msg *m)
{
	LIST_EACH(n, tmp, &t->clients)
	{
		struct client *c = CONTAINER(n, struct client, node);

		if (c->order == 0 || c->order != m->id)
			continue;
		if (c->text != NULL)
			answer(c, true, c->text, NULL, 0);
		else
			answer(c, m->code != 0, m->value, m->text, m->text_len);
		return;
	}
}

void
control_lost(struct tree *t, const struct link *asked)
{
	LIST_EACH(n, tmp, &t->clients)
	{
		struct client *c = CONTAINER(n, struct client, node);

		if (c->asked != asked || c->out.len > 0)
			continue;
		if (c->text != NULL) /* the next one knows it from the start */
			answer(c, true, c->text, NULL, 0);
		else
			answer(c, false,
			    "the part that was to do it has ended; `nines status` "
			    "tells how it stands",
			    NULL, 0);
	}
}

static bool
all_current(const struct tree *t)
{
	for (size_t i = 0; i < PARTS_MAX; i++) {
		if (!child_is_current(&t->child[i]))
			return false;
	}
	return true;
}

/* The generation is in force; whether all that it names can be used is another thing.
 */
static void
answer_reload(struct client *c)
{
	struct sbuf text;

	sbuf_init(&text, ANSWER_MAX);
	judge_reload(c->tree, c->before, &text);
	if (text.len == 0) {
		answer(c, true, c->text, NULL, 0);
	} else {
		struct sbuf all;

		sbuf_init(&all, ANSWER_MAX);
		sbuf_printf(&all, "%s\nin force, except for:%s",
		    c->text != NULL ? c->text : "", sbuf_text(&text));
		answer(c, false, sbuf_text(&all), NULL, 0);
		sbuf_done(&all);
	}
	sbuf_done(&text);
}

/* What one part found out may be what another one waited for: a floating address waits
 * for a listener. */
static bool
all_agree(struct tree *t)
{
	bool all = true;

	for (size_t i = 0; i < PARTS_MAX; i++)
		all &= child_has_agreed(&t->child[i]);
	return all;
}

static bool
waits_for_reload(const struct client *c)
{
	return c->generation != 0 && c->out.len == 0;
}

void
control_progress(struct tree *t)
{
	bool agree = false;

	if (!all_current(t))
		return;
	LIST_EACH(n, tmp, &t->clients)
	{
		struct client *c = CONTAINER(n, struct client, node);

		if (!waits_for_reload(c))
			continue;
		agree = agree || all_agree(t);
		if (agree)
			answer_reload(c);
	}
}

int
control_open(struct tree *t)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	mode_t mask;
	int n, err;

	n = snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/control.sock", t->run_dir);
	if (n < 0 || (size_t)n >= sizeof(sun.sun_path))
		return -ENAMETOOLONG;
	t->control_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (t->control_fd < 0)
		return -errno;
	/* Somebody answers there: this host runs nines already. */
	if (connect(t->control_fd, (const struct sockaddr *)&sun, sizeof(sun)) == 0) {
		(void)close(t->control_fd);
		return -EADDRINUSE;
	}
	(void)unlink(sun.sun_path); /* left over from one that was killed */
	mask = umask(0177);
	err = bind(t->control_fd, (const struct sockaddr *)&sun, sizeof(sun)) != 0 ||
		      listen(t->control_fd, CLIENTS_MAX) != 0
		  ? -errno
		  : 0;
	(void)umask(mask);
	if (err == 0)
		err = control_resume(t);
	if (err != 0)
		(void)close(t->control_fd);
	return err;
}

int
control_resume(struct tree *t)
{
	list_init(&t->clients);
	t->control_watch = loop_watch(t->loop, t->control_fd, LOOP_IN, on_connect, t);
	return t->control_watch != NULL ? 0 : -ENOMEM;
}

void
control_close(struct tree *t)
{
	char path[4096];

	LIST_EACH(n, tmp, &t->clients)
	{
		struct client *c = CONTAINER(n, struct client, node);

		if (c->for_stop)
			answer(c, true, "stopped", NULL, 0);
		else
			client_free(c);
	}
	loop_unwatch(t->control_watch);
	(void)close(t->control_fd);
	(void)snprintf(path, sizeof(path), "%s/control.sock", t->run_dir);
	(void)unlink(path);
}
