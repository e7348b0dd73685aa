/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sbuf.h"
#include "os/whole.h"
#include "part/sealed.h"
#include "supervisor/handover_wire.h"

#define STATE_MAX ((size_t)256 << 20)

/* ---- writing -------------------------------------------------------------------- */

static void
set_text(char *dst, size_t size, const char *src)
{
	size_t len = strlen(src);

	ASSERT(len < size);
	memcpy(dst, src, len + 1);
}

static void
put(struct sbuf *b, const struct handover_record *rec)
{
	uint8_t bytes[HANDOVER_RECORD_MAX];
	struct wr w = {.p = bytes, .left = sizeof(bytes)};

	handover_encode(&w, rec);
	ASSERT(!w.bad);
	sbuf_put(b, (const char *)bytes, sizeof(bytes) - w.left);
}

static void
put_option(struct sbuf *b, const char *name, const char *value)
{
	struct handover_record rec = {.type = HANDOVER_OPTION};

	if (value == NULL || strlen(value) >= sizeof(rec.value))
		return;
	set_text(rec.key, sizeof(rec.key), name);
	set_text(rec.value, sizeof(rec.value), value);
	put(b, &rec);
}

static void
put_fd(struct sbuf *b, enum handover_type type, const char *name, int fd)
{
	struct handover_record rec = {.type = type, .number = {(uint64_t)fd}};

	if (fd < 0)
		return;
	set_text(rec.key, sizeof(rec.key), name);
	put(b, &rec);
}

static void
put_fact(
    struct sbuf *b, mono_t since, const char *by, const char *key, const char *value)
{
	struct handover_record rec = {
	    .type = HANDOVER_FACT, .number = {(uint64_t)since.ns}};

	set_text(rec.by, sizeof(rec.by), by);
	set_text(rec.key, sizeof(rec.key), key);
	(void)snprintf(rec.value, sizeof(rec.value), "%s", value);
	put(b, &rec);
}

static void
put_tree(struct sbuf *b, const struct tree *t)
{
	struct handover_record rec = {.type = HANDOVER_TREE,
	    .number = {t->generation, t->next_order, (uint64_t)t->started.ns,
		(uint64_t)t->watchdog_ns}};

	set_text(rec.key, sizeof(rec.key), t->me->name);
	set_text(rec.value, sizeof(rec.value), NINES_VERSION);
	put(b, &rec);
	put_option(b, "file", t->file);
	put_option(b, "run-dir", t->run_dir);
	put_option(b, "log-level", t->log_level);
	put_option(b, "host", t->host_option);
	put_option(b, "notify", t->notify_path);
}

/* 0, or -EBUSY: what is on its way cannot be handed over. */
static int
put_process(struct sbuf *b, const struct child *c, unsigned slot)
{
	const struct process *p = &c->process[slot];
	enum sup_proc_state state = c->core.proc[slot].state;
	struct handover_record rec = {.type = HANDOVER_PROCESS,
	    .number = {slot, state, slot == c->core.acting, (uint64_t)p->pid,
		(uint64_t)p->pidfd, 0, p->generation}};

	if (state == SUP_PROC_NONE)
		return 0;
	if ((state != SUP_PROC_READY && state != SUP_PROC_YIELDED) || p->link == NULL ||
	    !link_idle(p->link))
		return -EBUSY;
	rec.number[5] = (uint64_t)link_fd(p->link);
	set_text(rec.key, sizeof(rec.key), c->row->name);
	put(b, &rec);
	return 0;
}

static int
put_part(struct sbuf *b, const struct child *c)
{
	struct handover_record rec = {.type = HANDOVER_PART,
	    .number = {c->core.status, c->core.restarts, c->more}};
	int err = 0;

	if (c->core.status == SUP_OFF)
		return 0;
	set_text(rec.key, sizeof(rec.key), c->row->name);
	put(b, &rec);
	for (unsigned i = 0; i < SUP_SLOTS && err == 0; i++)
		err = put_process(b, c, i);
	return err;
}

static int
put_all(struct sbuf *b, const struct tree *t, int program, int client)
{
	int err = 0;

	put_tree(b, t);
	put_fd(b, HANDOVER_FD, "config", t->config_fd);
	put_fd(b, HANDOVER_FD, "control", t->control_fd);
	put_fd(b, HANDOVER_FD, "program", program);
	put_fd(b, HANDOVER_FD, "client", client);
	LIST_EACH(n, tmp, &t->facts.all)
	{
		const struct fact *f = CONTAINER(n, struct fact, node);

		put_fact(b, f->since, f->by, f->key, f->value);
	}
	for (const struct held *h = sockets_next(&t->sockets, NULL); h != NULL;
	     h = sockets_next(&t->sockets, h))
		put_fd(b, HANDOVER_SOCKET, h->name, h->fd);
	for (size_t i = 0; i < PARTS_MAX && err == 0; i++)
		err = put_part(b, &t->child[i]);
	return err;
}

int
handover_write(const struct tree *t, int program, int client)
{
	struct sbuf b;
	int err, fd;

	sbuf_init(&b, STATE_MAX);
	err = put_all(&b, t, program, client);
	if (err == 0 && b.bad)
		err = -ENOMEM;
	fd = err == 0 ? memfd_create("handover", MFD_CLOEXEC) : -1;
	if (err == 0 && fd < 0)
		err = -errno;
	if (err == 0)
		err = whole_write(fd, b.p, b.len);
	sbuf_done(&b);
	if (err == 0)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	return err;
}

void
handover_note_fact(
    int state, mono_t now, const char *by, const char *key, const char *value)
{
	struct sbuf b;

	sbuf_init(&b, HANDOVER_RECORD_MAX);
	put_fact(&b, now, by, key, value);
	if (!b.bad && lseek(state, 0, SEEK_END) >= 0)
		(void)!whole_write(state, b.p, b.len);
	sbuf_done(&b);
}

/* ---- reading -------------------------------------------------------------------- */

/* Calls `each` for every record; 0 or the first error. */
static int
read_state(
    int state, int (*each)(void *arg, const struct handover_record *rec), void *arg)
{
	struct handover_record rec;
	struct stat st;
	struct rd r;
	void *p;
	int err = 0;

	if (fstat(state, &st) != 0)
		return -errno;
	if (st.st_size <= 0 || (size_t)st.st_size > STATE_MAX)
		return -EBADMSG;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, state, 0);
	if (p == MAP_FAILED)
		return -errno;
	r = (struct rd){.p = p, .left = (size_t)st.st_size};
	while (err == 0 && r.left > 0) {
		err = handover_decode(&r, &rec);
		if (err == 0)
			err = each(arg, &rec);
	}
	(void)munmap(p, (size_t)st.st_size);
	return err;
}

/* One that was closed since the state was written does not matter. */
static int
set_inherit(int fd, bool survive)
{
	if (fcntl(fd, F_SETFD, survive ? 0 : FD_CLOEXEC) == 0 || errno == EBADF)
		return 0;
	return -errno;
}

static int
inherit_one(void *arg, const struct handover_record *rec)
{
	const bool *survive = arg;
	int err = 0;

	switch ((int)rec->type) {
	case HANDOVER_FD:
	case HANDOVER_SOCKET:
		return set_inherit((int)rec->number[0], *survive);
	case HANDOVER_PROCESS:
		err = set_inherit((int)rec->number[4], *survive);
		return err != 0 ? err : set_inherit((int)rec->number[5], *survive);
	default:
		return 0;
	}
}

int
handover_inherit(int state, bool survive)
{
	return read_state(state, inherit_one, &survive);
}

static bool
is_fd(const struct handover_record *rec, const char *name)
{
	return rec->type == HANDOVER_FD && strcmp(rec->key, name) == 0;
}

static int
check_one(void *arg, const struct handover_record *rec)
{
	bool *known = arg;
	const struct cluster *c;
	const char *why;

	if ((rec->type == HANDOVER_PART || rec->type == HANDOVER_PROCESS) &&
	    parts_find(rec->key) == NULL)
		return -EBADMSG;
	if (!is_fd(rec, "config"))
		return 0;
	c = sealed_cluster((int)rec->number[0], &why);
	*known = c != NULL;
	cluster_unref(c);
	return 0;
}

int
handover_check(int state)
{
	bool known = false;
	int err = read_state(state, check_one, &known);

	if (err != 0)
		return err;
	return known ? 0 : -EINVAL;
}

static int
take_option(void *arg, const struct handover_record *rec)
{
	struct tree *t = arg;
	char *copy;

	if (is_fd(rec, "program"))
		t->former_fd = (int)rec->number[0];
	if (rec->type != HANDOVER_OPTION)
		return 0;
	copy = strdup(rec->value);
	if (copy == NULL)
		return -ENOMEM;
	if (strcmp(rec->key, "file") == 0)
		t->file = copy;
	else if (strcmp(rec->key, "run-dir") == 0)
		t->run_dir = copy;
	else if (strcmp(rec->key, "log-level") == 0)
		t->log_level = copy;
	else if (strcmp(rec->key, "host") == 0)
		t->host_option = copy;
	else if (strcmp(rec->key, "notify") == 0)
		t->notify_path = copy;
	else
		free(copy);
	return 0;
}

int
handover_options(struct tree *t, int state)
{
	return read_state(state, take_option, t);
}

static int
take_tree(void *arg, const struct handover_record *rec)
{
	struct tree *t = arg;
	const char *why;

	if (is_fd(rec, "config")) {
		t->config_fd = (int)rec->number[0];
		t->cluster = sealed_cluster(t->config_fd, &why);
		if (t->cluster == NULL)
			return -EINVAL;
	} else if (is_fd(rec, "control")) {
		t->control_fd = (int)rec->number[0];
	} else if (rec->type == HANDOVER_TREE) {
		t->generation = rec->number[0];
		t->next_order = rec->number[1];
		t->started = (mono_t){(int64_t)rec->number[2]};
		t->watchdog_ns = (int64_t)rec->number[3];
		if (strlen(rec->value) >= sizeof(t->former) ||
		    strlen(rec->key) >= sizeof(t->my_name))
			return -EBADMSG;
		set_text(t->former, sizeof(t->former), rec->value);
		set_text(t->my_name, sizeof(t->my_name), rec->key);
	}
	return 0;
}

static int
take_fact(struct tree *t, const struct handover_record *rec)
{
	const struct part_row *row = parts_find(rec->by);

	(void)facts_set(&t->facts, (mono_t){(int64_t)rec->number[0]},
	    row != NULL ? row->name : "supervisor", rec->key, rec->value);
	return 0;
}

static int
take_process(struct tree *t, const struct handover_record *rec)
{
	const struct part_row *row = parts_find(rec->key);
	const struct process p = {.pid = (pid_t)rec->number[3],
	    .pidfd = (int)rec->number[4],
	    .generation = rec->number[6]};

	if (row == NULL || rec->number[0] >= SUP_SLOTS ||
	    (rec->number[1] != SUP_PROC_READY && rec->number[1] != SUP_PROC_YIELDED))
		return -EBADMSG;
	return child_resume_process(&t->child[row - parts], (unsigned)rec->number[0],
	    &p, (int)rec->number[5], (enum sup_proc_state)rec->number[1],
	    rec->number[2] != 0);
}

static int
take_one(void *arg, const struct handover_record *rec)
{
	struct tree *t = arg;
	const struct part_row *row;

	switch ((int)rec->type) {
	case HANDOVER_FACT:
		return take_fact(t, rec);
	case HANDOVER_SOCKET:
		/* Who has asked for it is not known: nobody loses it. */
		return sockets_put(
		    &t->sockets, rec->key, (int)rec->number[0], UINT32_MAX);
	case HANDOVER_PART:
		row = parts_find(rec->key);
		if (row == NULL || rec->number[0] > SUP_DOWN)
			return -EBADMSG;
		child_resume(&t->child[row - parts], (enum sup_status)rec->number[0],
		    (unsigned)rec->number[1], rec->number[2] != 0);
		return 0;
	case HANDOVER_PROCESS:
		return take_process(t, rec);
	default:
		if (is_fd(rec, "client"))
			return control_resume_client(t, (int)rec->number[0]);
		return 0;
	}
}

int
handover_resume(struct tree *t, int state)
{
	int err = read_state(state, take_tree, t);

	if (err != 0)
		return err;
	t->me = t->cluster != NULL ? cluster_host(t->cluster, t->my_name) : NULL;
	if (t->me == NULL)
		return -EINVAL;
	err = control_resume(t);
	for (size_t i = 0; i < PARTS_MAX; i++)
		child_init(&t->child[i], t, &parts[i]);
	return err != 0 ? err : read_state(state, take_one, t);
}
