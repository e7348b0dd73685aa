/* SPDX-License-Identifier: Apache-2.0 */
#include "part/part.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "part/files.h"
#include "part/link.h"
#include "part/sealed.h"

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
	struct parse *parsing, *next; /* generations on their way; or NULL */
	struct files coming;	      /* of the generation that comes next */
	const struct files *files;    /* of the one that is being adopted; or NULL */
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

int
part_file(const struct part *p, const char *path)
{
	ASSERT(p->files != NULL);
	return files_find(p->files, path);
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

void
part_yielded(struct part *p)
{
	struct part_msg m = {.type = PART_YIELDED};

	link_send(p->link, &m, -1);
}

/*
 * A large file takes tens of milliseconds to parse, too long for a part with 10 ms
 * heartbeats: a thread does it. Not one of libuv's pool, whose wake-up spins until the
 * waking thread has run on: a real-time loop and a thread of normal priority on one
 * processor stood still for a second (measured). Generations are adopted in order, and
 * of several that wait only the last.
 */
struct parse {
	struct part *part;
	struct loop_fd *watch;
	int fd;	  /* the text */
	int done; /* eventfd: the thread's last deed */
	uint64_t generation;
	char host[FACT_KEY_LEN];
	struct files files;
	const struct cluster *cluster;
	const char *why;
};

static void *
parse(void *arg)
{
	static const uint64_t one = 1;
	struct parse *j = arg;
	int done = j->done;

	j->cluster = sealed_cluster(j->fd, &j->why);
	/* From here on it belongs to the loop. */
	ASSERT(write(done, &one, sizeof(one)) == (ssize_t)sizeof(one));
	return NULL;
}

static void
parse_free(struct parse *j)
{
	loop_unwatch(j->watch);
	cluster_unref(j->cluster);
	files_done(&j->files);
	if (j->done >= 0)
		(void)close(j->done);
	(void)close(j->fd);
	free(j);
}

static void parse_next(struct part *p);

static void
parsed(void *arg, unsigned events)
{
	struct parse *j = arg;
	struct part *p = j->part;
	struct part_msg ready = {.type = PART_READY, .id = j->generation};
	const struct host *me;
	uint64_t n;

	(void)events;
	if (read(j->done, &n, sizeof(n)) != (ssize_t)sizeof(n))
		return;
	p->parsing = NULL;
	me = j->cluster != NULL ? cluster_host(j->cluster, j->host) : NULL;
	/* The supervisor has checked this very text: only a lack of memory leads here,
	 * and then the generation in use is the better one. It is not reported as
	 * adopted. */
	if (me == NULL) {
		log_event(LOG_ERR, "config", "error=\"%s\"",
		    j->cluster == NULL ? j->why : "it does not name this host");
	} else if (!p->stopping) {
		p->files = &j->files;
		p->ops->config(p->self, j->cluster, me);
		p->files = NULL;
		link_send(p->link, &ready, -1);
	}
	parse_free(j);
	parse_next(p);
}

static int
parse_start(struct parse *j)
{
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	j->done = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (j->done < 0)
		return -errno;
	j->watch = loop_watch(j->part->loop, j->done, LOOP_IN, parsed, j);
	if (j->watch == NULL)
		return -ENOMEM;
	err = pthread_attr_init(&attr);
	if (err == 0) {
		(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
		err = pthread_create(&thread, &attr, parse, j);
		(void)pthread_attr_destroy(&attr);
	}
	if (err != 0) { /* no thread is to be had: late is better than never */
		log_event(LOG_WARN, "config", "thread=\"%s\"", strerror(err));
		(void)parse(j);
	}
	return 0;
}

static void
parse_next(struct part *p)
{
	struct parse *j = p->next;
	int err;

	if (p->parsing != NULL || j == NULL)
		return;
	p->next = NULL;
	p->parsing = j;
	err = parse_start(j);
	if (err != 0) {
		log_event(LOG_ERR, "config", "error=\"%s\"", strerror(-err));
		p->parsing = NULL;
		parse_free(j);
	}
}

static void
on_config(struct part *p, const struct part_msg *m, int fd)
{
	struct parse *j = calloc(1, sizeof(*j));
	struct files files = p->coming;

	files_init(&p->coming);
	if (j == NULL || p->stats == NULL) {
		log_event(LOG_ERR, "config", "error=\"%s\"",
		    j == NULL ? "no memory" : "no counters came before");
		files_done(&files);
		(void)close(fd);
		free(j);
		return;
	}
	*j = (struct parse){
	    .part = p, .fd = fd, .done = -1, .generation = m->id, .files = files};
	memcpy(j->host, m->key, sizeof(j->host));
	if (p->next != NULL)
		parse_free(p->next);
	p->next = j;
	parse_next(p);
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
yield(struct part *p)
{
	if (p->stopping)
		return;
	p->stopping = true;
	if (p->ops->yield != NULL)
		p->ops->yield(p->self);
	else
		loop_stop(p->loop);
}

static void
on_message(void *arg, const struct part_msg *m, int fd)
{
	struct part_msg pong = {.type = PART_PONG, .id = m->id};
	struct part *p = arg;

	switch ((int)m->type) {
	case PART_CONFIG:
		on_config(p, m, fd);
		fd = -1; /* now its own */
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
	case PART_FILE:
		files_add(
		    &p->coming, m->text, m->text_len, fd >= 0 ? fd : -(int)m->code);
		fd = -1; /* now the list's */
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
	case PART_YIELD:
		yield(p);
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
	files_init(&p.coming);
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
