/* SPDX-License-Identifier: Apache-2.0 */
#include "part/part.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "part/link.h"

#define PART_LINK_FD 3
#define WORDS_MAX    16

/* An orphan leaves in good order, but not for ever: the next supervisor starts anew. */
#define ORPHAN_NS (2 * SEC_NS)

struct part {
	const struct part_ops *ops;
	void *self;
	struct loop *loop;
	struct link *link;
	struct stats *stats;
	struct loop_timer orphan;
	int status;
	bool stopping;
};

struct loop *
part_loop(struct part *p)
{
	return p->loop;
}

struct stats *
part_stats(struct part *p)
{
	return p->stats;
}

static void
set_key(struct part_msg *m, const char *key)
{
	size_t len = strlen(key);

	ASSERT(len < sizeof(m->key));
	memcpy(m->key, key, len + 1);
}

/* Cuts what is too long: it is a text for people. */
static void
set_value(struct part_msg *m, const char *value)
{
	size_t len = strnlen(value, sizeof(m->value) - 1);

	memcpy(m->value, value, len);
	m->value[len] = '\0';
}

static void
send_key(struct part *p, enum part_msg_type type, const char *key)
{
	struct part_msg m = {.type = type};

	set_key(&m, key);
	link_send(p->link, &m, -1);
}

void
part_publish(struct part *p, const char *key, const char *fmt, ...)
{
	struct part_msg m = {.type = PART_PUBLISH};
	va_list ap;

	set_key(&m, key);
	va_start(ap, fmt);
	(void)vsnprintf(m.value, sizeof(m.value), fmt, ap);
	va_end(ap);
	link_send(p->link, &m, -1);
}

void
part_socket(struct part *p, const char *name)
{
	send_key(p, PART_SOCKET_WANT, name);
}

void
part_socket_drop(struct part *p, const char *name)
{
	send_key(p, PART_SOCKET_DROP, name);
}

void
part_reply(struct part *p, uint64_t id, bool ok, const char *error, const char *json)
{
	struct part_msg m = {.type = PART_REPLY, .id = id, .code = ok};

	set_value(&m, error != NULL ? error : "");
	m.text = json != NULL ? json : "";
	m.text_len = strlen(m.text);
	ASSERT(m.text_len <= PART_REPLY_MAX);
	link_send(p->link, &m, -1);
}

void
part_stopped(struct part *p)
{
	struct part_msg m = {.type = PART_STOPPED};

	link_send(p->link, &m, -1);
	loop_stop(p->loop);
}

/* The text of a sealed memfd, and with it a cluster; NULL (logged) if it is not one. */
static const struct cluster *
read_cluster(int fd)
{
	const struct cluster *c = NULL;
	struct diag_list diags;
	struct stat st;
	void *text;

	if (fstat(fd, &st) != 0 || st.st_size <= 0 ||
	    (size_t)st.st_size > CLUSTER_FILE_MAX) {
		log_event(LOG_ERR, "config", "error=\"no usable text\"");
		return NULL;
	}
	text = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (text == MAP_FAILED) {
		log_event(LOG_ERR, "config", "error=\"%s\"", strerror(errno));
		return NULL;
	}
	diag_init(&diags, "cluster file");
	c = cluster_parse(text, (size_t)st.st_size, &diags);
	if (c == NULL)
		log_event(LOG_ERR, "config", "error=\"%s\"",
		    diags.n > 0 ? diags.item[0].text : "no memory");
	diag_done(&diags);
	(void)munmap(text, (size_t)st.st_size);
	return c;
}

static void
on_config(struct part *p, const struct part_msg *m, int fd)
{
	struct part_msg ready = {.type = PART_READY, .id = m->id};
	const struct cluster *c = read_cluster(fd);
	const struct host *me = c != NULL ? cluster_host(c, m->key) : NULL;

	/* The supervisor has checked this very text: only a lack of memory leads here,
	 * and then the generation in use is the better one. It is not reported as
	 * adopted. */
	if (me != NULL) {
		p->ops->config(p->self, c, me);
		link_send(p->link, &ready, -1);
	}
	cluster_unref(c);
}

static void
on_stats(struct part *p, int fd)
{
	if (p->stats == NULL)
		p->stats = stats_create(fd);
	if (p->stats == NULL) {
		log_event(LOG_ERR, "stats", "error=\"%s\"", strerror(errno));
		p->status = 1;
		loop_stop(p->loop);
	}
}

static void
on_command(struct part *p, const struct part_msg *m)
{
	char text[1024 + 1];
	const char *argv[WORDS_MAX];
	size_t argc = 0;
	char *word = text;

	memcpy(text, m->text, m->text_len);
	text[m->text_len] = '\0';
	while (argc < WORDS_MAX && word != NULL) {
		argv[argc++] = word;
		word = strchr(word, '\t');
		if (word != NULL)
			*word++ = '\0';
	}
	if (p->ops->command != NULL)
		p->ops->command(p->self, m->id, argv, argc);
	else
		part_reply(p, m->id, false, "this part takes no orders", NULL);
}

static void
stop(struct part *p)
{
	if (p->stopping)
		return;
	p->stopping = true;
	p->ops->stop(p->self);
}

static void
on_message(void *arg, const struct part_msg *m, int fd)
{
	struct part_msg pong = {.type = PART_PONG, .id = m->id};
	struct part *p = arg;

	switch ((int)m->type) {
	case PART_CONFIG:
		on_config(p, m, fd);
		break;
	case PART_STATS:
		on_stats(p, fd);
		break;
	case PART_FACT:
		if (p->ops->fact != NULL)
			p->ops->fact(p->self, m->key, m->value);
		break;
	case PART_ACTIVATE:
		p->ops->activate(p->self);
		break;
	case PART_SOCKET:
		if (p->ops->socket != NULL) {
			p->ops->socket(p->self, m->key, fd >= 0 ? fd : -(int)m->code);
			fd = -1; /* now the part's */
		}
		break;
	case PART_COMMAND:
		on_command(p, m);
		break;
	case PART_PING:
		if (p->ops->alive == NULL || p->ops->alive(p->self))
			link_send(p->link, &pong, -1);
		break;
	case PART_STOP:
		stop(p);
		break;
	default: /* the codec lets no other through */
		break;
	}
	if (fd >= 0)
		(void)close(fd);
}

static void
on_broken(void *arg, const char *why)
{
	struct part *p = arg;

	log_event(LOG_WARN, "orphan", "why=\"the supervisor %s\"", why);
	loop_timer_set(p->loop, &p->orphan, mono_add(loop_now(p->loop), ORPHAN_NS));
	stop(p);
}

static void
on_orphan(void *arg)
{
	struct part *p = arg;

	loop_stop(p->loop);
}

int
part_main(const char *name, const struct part_ops *ops, void *self)
{
	static const struct link_ops link_ops = {on_message, on_broken};
	struct part p = {.ops = ops, .self = self, .loop = loop_new()};
	int err;

	if (p.loop == NULL)
		return 1;
	p.orphan = (struct loop_timer){.cb = on_orphan, .arg = &p};
	p.link = link_open(p.loop, PART_LINK_FD, true, &link_ops, &p);
	if (p.link == NULL) {
		(void)fprintf(stderr,
		    "nines part %s: parts are started by `nines run`, not by hand\n",
		    name);
		loop_free(p.loop);
		return 2;
	}
	err = ops->start(self, &p);
	if (err == 0)
		loop_run(p.loop);
	else
		log_event(LOG_ERR, "start", "error=\"%s\"", strerror(-err));
	/* The loop and what still hangs on it go with the process. */
	return err == 0 ? p.status : 1;
}
