/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/stats.h"
#include "config/cluster_files.h"
#include "part/files.h"
#include "supervisor/handover.h"
#include "supervisor/tree.h"
#include "supervisor/upgrade.h"

#define LINK_FD	   3 /* in the part */
#define RELEASE_MS 1000

static void feed(struct child *c, enum sup_ev_type type, unsigned slot);

static unsigned
slot_of(const struct process *p)
{
	return (unsigned)(p - p->child->process);
}

const char *
child_status(const struct child *c)
{
	static const char *const text[] = {
	    [SUP_OFF] = "",
	    [SUP_STARTING] = "starting",
	    [SUP_UP] = "up",
	    [SUP_RESTARTING] = "restarting",
	    [SUP_DOWN] = "down it keeps dying; its log says why",
	};

	return text[c->core.status];
}

struct link *
child_acting_link(const struct child *c)
{
	return c->core.acting != SUP_NOBODY ? c->process[c->core.acting].link : NULL;
}

bool
child_is_current(const struct child *c)
{
	for (unsigned i = 0; i < SUP_SLOTS; i++) {
		if (c->core.proc[i].state == SUP_PROC_READY &&
		    c->process[i].told != c->tree->generation)
			return false;
	}
	return c->core.status != SUP_STARTING;
}

static void
forget_link(struct process *p)
{
	if (p->link != NULL)
		control_lost(p->child->tree, p->link);
	link_close(p->link);
	p->link = NULL;
}

static bool
was_asked_to(enum sup_proc_state state)
{
	return state == SUP_PROC_LEAVING || state == SUP_PROC_YIELDING ||
	       state == SUP_PROC_YIELDED;
}

/* The process has ended: reap it. */
static void
on_exit_of(void *arg, unsigned events)
{
	struct process *p = arg;
	struct child *c = p->child;
	siginfo_t info = {0};
	bool lost;

	(void)events;
	if (waitid(P_PIDFD, (id_t)p->pidfd, &info, WEXITED | WNOHANG) != 0) {
		if (errno == EINTR)
			return;
		info.si_code = CLD_EXITED; /* a supervisor before us has reaped it */
	} else if (info.si_pid == 0) {
		return;
	}
	lost = p->fresh && !was_asked_to(c->core.proc[slot_of(p)].state);
	if (was_asked_to(c->core.proc[slot_of(p)].state) && info.si_status == 0)
		log_event(
		    LOG_INFO, "part-left", "part=%s pid=%d", c->row->name, (int)p->pid);
	else
		log_event(LOG_WARN, "part-died", "part=%s pid=%d %s=%d", c->row->name,
		    (int)p->pid, info.si_code == CLD_EXITED ? "status" : "signal",
		    info.si_status);
	loop_unwatch(p->exit_watch);
	p->exit_watch = NULL;
	(void)close(p->pidfd);
	forget_link(p);
	p->pid = 0;
	p->starved = (struct starved){0};
	p->generation = p->told = p->asked = p->agreed = 0;
	feed(c, SUP_EV_DIED, slot_of(p));
	if (lost)
		upgrade_lost(c->tree, c->row->name, &info);
	tree_progress(c->tree);
}

/* A number for the sockets: parts that ask for any do not share them. */
static unsigned
asker_of(const struct process *p)
{
	return slot_of(p) + SUP_SLOTS * (unsigned)(p->child - p->child->tree->child);
}

static void
answer_socket(struct process *p, const char *name)
{
	struct tree *t = p->child->tree;
	struct part_msg m = {.type = PART_SOCKET};
	int fd = -EPERM;

	if (parts_prefix(p->child->row->sockets, name))
		fd = sockets_get(&t->sockets, t->cluster, t->me, name, asker_of(p));
	(void)snprintf(m.key, sizeof(m.key), "%s", name);
	if (fd < 0) {
		m.code = (uint32_t)-fd;
		log_event(LOG_ERR, "socket", "part=%s name=%s error=\"%s\"",
		    p->child->row->name, name, strerror(-fd));
	}
	link_send(p->link, &m, fd >= 0 ? fd : -1);
}

static void
on_publish(struct process *p, const struct part_msg *m)
{
	struct child *c = p->child;
	unsigned slot = slot_of(p);

	/* A spare knows nothing that the acting process does not know better. */
	if (slot != c->core.acting && c->core.proc[slot].state != SUP_PROC_LEAVING)
		return;
	if (parts_prefix(c->row->publish, m->key))
		tree_publish(c->tree, c->row->name, m->key, m->value);
	else
		log_event(
		    LOG_ERR, "fact-refused", "by=%s key=\"%s\"", c->row->name, m->key);
}

/*
 * It answers after all that was sent to it before: the sockets that it asked for, the
 * order to act. What it says of them is here by then; and, where it is asked `again`,
 * what it makes of the others' facts.
 */
static void
ask_told(struct process *p, bool again)
{
	struct part_msg m = {.type = PART_PING, .id = p->generation * 2 + again};

	if (p->link != NULL)
		link_send(p->link, &m, -1);
}

/* One whose workers are late says nothing at all. */
static void
remind(struct process *p)
{
	if (p->told != p->generation)
		ask_told(p, false);
	else if (p->asked == p->generation && p->agreed != p->generation)
		ask_told(p, true);
}

bool
child_has_agreed(struct child *c)
{
	bool all = true;

	for (unsigned i = 0; i < SUP_SLOTS; i++) {
		struct process *p = &c->process[i];

		if (c->core.proc[i].state != SUP_PROC_READY ||
		    p->agreed == c->tree->generation)
			continue;
		all = false;
		if (p->asked != c->tree->generation)
			ask_told(p, true);
		p->asked = c->tree->generation;
	}
	return all;
}

static void
on_message(void *arg, const struct part_msg *m, int fd)
{
	struct process *p = arg;
	struct child *c = p->child;

	ASSERT(fd < 0); /* the table allows a part no descriptor */
	switch ((int)m->type) {
	case PART_READY:
		p->generation = m->id;
		feed(c, SUP_EV_READY, slot_of(p));
		ask_told(p, false);
		tree_progress(c->tree);
		break;
	case PART_PUBLISH:
		on_publish(p, m);
		break;
	case PART_SOCKET_WANT:
		/* A spare that is late may ask for what the acting process gave back:
		 * a listener opened now would be nobody's, and clients would wait in
		 * it. */
		if (!c->stopping)
			answer_socket(p, m->key);
		break;
	case PART_SOCKET_DROP:
		if (parts_prefix(c->row->sockets, m->key))
			sockets_drop(&c->tree->sockets, m->key);
		break;
	case PART_REPLY:
		control_reply(c->tree, m);
		break;
	case PART_PONG:
		if (m->id == 0) {
			feed(c, SUP_EV_PONG, slot_of(p));
		} else {
			*(m->id % 2 == 1 ? &p->agreed : &p->told) = m->id / 2;
			tree_progress(c->tree);
		}
		break;
	case PART_YIELDED:
		feed(c, SUP_EV_YIELDED, slot_of(p));
		tree_progress(c->tree);
		break;
	case PART_STOPPED: /* its exit follows */
	default:
		break;
	}
}

static void
on_broken(void *arg, const char *why)
{
	struct process *p = arg;

	/* Its end, which tells more, follows; a rude one is killed. */
	log_event(LOG_DEBUG, "part-link", "part=%s pid=%d why=\"%s\"",
	    p->child->row->name, (int)p->pid, why);
	forget_link(p);
	feed(p->child, SUP_EV_BROKEN, slot_of(p));
}

static void
send_fact(struct process *p, const char *key, const char *value)
{
	struct part_msg m = {.type = PART_FACT};

	if (p->link == NULL || !parts_prefix(p->child->row->subscribe, key))
		return;
	(void)snprintf(m.key, sizeof(m.key), "%s", key);
	(void)snprintf(m.value, sizeof(m.value), "%s", value);
	link_send(p->link, &m, -1);
}

void
tree_publish(struct tree *t, const char *by, const char *key, const char *value)
{
	if (!facts_set(&t->facts, loop_now(t->loop), by, key, value))
		return;
	if (t->state_fd >= 0)
		handover_note_fact(t->state_fd, loop_now(t->loop), by, key, value);
	log_event(LOG_INFO, "fact", "by=%s key=\"%s\" value=\"%s\"", by, key, value);
	for (size_t i = 0; i < PARTS_MAX; i++) {
		for (unsigned k = 0; k < SUP_SLOTS; k++)
			send_fact(&t->child[i].process[k], key, value);
	}
}

void
tree_withdraw(struct tree *t, const char *by)
{
	char key[FACT_KEY_LEN];

	LIST_EACH(n, tmp, &t->facts.all)
	{
		const struct fact *f = CONTAINER(n, struct fact, node);

		if (strcmp(f->by, by) != 0)
			continue;
		memcpy(key, f->key, sizeof(key));
		tree_publish(t, by, key, "");
	}
}

/* Opened for each process anew: nobody else moves its offset. */
static void
send_file(void *arg, const char *path, bool optional)
{
	struct process *p = arg;
	struct part_msg m = {.type = PART_FILE, .text = path};
	int fd = files_open(path);

	m.text_len = strlen(path);
	if (fd < 0) {
		m.code = (uint32_t)-fd;
		if (!optional || fd != -ENOENT)
			log_event(LOG_ERR, "file", "path=\"%s\" error=\"%s\"", path,
			    strerror(-fd));
	}
	link_send(p->link, &m, fd >= 0 ? fd : -1);
	if (fd >= 0)
		(void)close(fd);
}

static void
send_config(struct process *p)
{
	struct tree *t = p->child->tree;
	struct part_msg m = {.type = PART_CONFIG, .id = t->generation};

	(void)snprintf(m.key, sizeof(m.key), "%s", t->me->name);
	if (p->link == NULL)
		return;
	if (p->child->row->files)
		cluster_files(t->cluster, t->me, send_file, p);
	link_send(p->link, &m, t->config_fd);
}

/*
 * RUN_DIR/PART.stats; survives the part, so that counters go on. Opened for each
 * process anew: the lock under which blocks are created belongs to the opening
 * (stats.h).
 */
static int
open_stats(const struct child *c)
{
	char path[4096];
	int fd, err;

	(void)snprintf(
	    path, sizeof(path), "%s/%s.stats", c->tree->run_dir, c->row->name);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)STATS_SIZE) != 0) {
		err = -errno;
		(void)close(fd);
		return err;
	}
	return fd;
}

static void
send_stats(struct process *p)
{
	struct part_msg m = {.type = PART_STATS};
	int fd = open_stats(p->child);

	if (fd < 0) {
		log_event(LOG_ERR, "stats", "part=%s error=\"%s\"", p->child->row->name,
		    strerror(-fd));
		/* Counts for nobody, but counts. */
		fd = memfd_create("stats", MFD_CLOEXEC);
		if (fd < 0 || ftruncate(fd, (off_t)STATS_SIZE) != 0)
			log_event(LOG_ERR, "stats", "error=\"%s\"", strerror(errno));
	}
	if (fd < 0)
		return;
	link_send(p->link, &m, fd);
	(void)close(fd);
}

static void
greet(struct process *p)
{
	struct facts *facts = &p->child->tree->facts;

	send_stats(p);
	LIST_EACH(n, tmp, &facts->all)
	{
		const struct fact *f = CONTAINER(n, struct fact, node);

		send_fact(p, f->key, f->value);
	}
	send_config(p);
}

/*
 * In the child: becomes `nines part NAME LEVEL [more | release HOST]` with the standard
 * streams and `fd` as LINK_FD; every other descriptor is close-on-exec.
 */
NORETURN static void
become(const struct child *c, int fd, bool release)
{
	const struct tree *t = c->tree;
	const char *argv[] = {"nines", "part", c->row->name, t->log_level, NULL,
	    release ? t->me->name : NULL, NULL};

	if (release)
		argv[4] = "release";
	else if (parts_wants_more(c->row, t->cluster, t->me))
		argv[4] = "more";

	/* A new session: a terminal's ^C is for the supervisor, who leaves in order. */
	(void)setsid();
	if (fd == LINK_FD)
		(void)fcntl(fd, F_SETFD, 0);
	else if (dup2(fd, LINK_FD) < 0)
		_exit(126);
	/* In the trial of an upgrade they are not. */
	(void)close_range(LINK_FD + 1, ~0U, CLOSE_RANGE_CLOEXEC);
	if (t->program_fd >= 0)
		(void)execveat(t->program_fd, "", (char *const *)(uintptr_t)argv,
		    environ, AT_EMPTY_PATH);
	else
		(void)execv("/proc/self/exe", (char *const *)(uintptr_t)argv);
	_exit(127);
}

static const struct link_ops link_ops = {on_message, on_broken};

/* 0, or -errno with nothing left of it. */
static int
start(struct process *p, int *other)
{
	struct loop *loop = p->child->tree->loop;
	int pair[2];

	if (socketpair(
		AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
		return -errno;
	p->link = link_open(loop, pair[0], false, &link_ops, p);
	if (p->link == NULL) {
		(void)close(pair[0]);
		(void)close(pair[1]);
		return -ENOMEM;
	}
	p->pid = fork();
	if (p->pid == 0)
		become(p->child, pair[1], false);
	*other = pair[1];
	if (p->pid < 0)
		return -errno;
	p->pidfd = pidfd_open(p->pid, 0);
	if (p->pidfd < 0)
		return -errno;
	p->exit_watch = loop_watch(loop, p->pidfd, LOOP_IN, on_exit_of, p);
	return p->exit_watch != NULL ? 0 : -ENOMEM;
}

static void
abandon(struct process *p)
{
	forget_link(p);
	if (p->pid > 0) {
		(void)kill(p->pid, SIGKILL);
		(void)waitpid(p->pid, NULL, 0);
	}
	if (p->pidfd >= 0)
		(void)close(p->pidfd);
	p->pidfd = -1;
	p->pid = 0;
}

static void
spawn(struct child *c, unsigned slot)
{
	struct process *p = &c->process[slot];
	int other = -1, err = start(p, &other);

	if (other >= 0)
		(void)close(other);
	if (err != 0) {
		log_event(LOG_ERR, "spawn", "part=%s error=\"%s\"", c->row->name,
		    strerror(-err));
		abandon(p);
		feed(c, SUP_EV_DIED, slot);
		return;
	}
	log_event(LOG_INFO, "part-start", "part=%s pid=%d", c->row->name, (int)p->pid);
	c->more = parts_wants_more(c->row, c->tree->cluster, c->tree->me);
	c->workers = c->tree->cluster->workers;
	p->fresh = c->tree->program_fd >= 0;
	sockets_forget_asker(&c->tree->sockets, asker_of(p));
	greet(p);
}

/* Waits for it, since nobody of the part may act meanwhile; but not for ever. */
static int
run_release(const struct child *c)
{
	struct pollfd ended = {.events = POLLIN};
	siginfo_t info = {0};
	pid_t pid = fork();

	if (pid == 0)
		become(c, c->tree->config_fd, true);
	if (pid < 0)
		return -errno;
	ended.fd = pidfd_open(pid, 0);
	if (ended.fd < 0 || poll(&ended, 1, RELEASE_MS) != 1)
		(void)kill(pid, SIGKILL);
	if (ended.fd >= 0)
		(void)close(ended.fd);
	if (waitid(P_PID, (id_t)pid, &info, WEXITED) != 0)
		return -errno;
	return info.si_code == CLD_EXITED && info.si_status == 0 ? 0 : -EIO;
}

void
child_release(struct child *c)
{
	const struct part_program *program = parts_program(c->row->name);
	int err;

	if (program == NULL || program->release == NULL)
		return;
	err = run_release(c);
	log_event(err == 0 ? LOG_WARN : LOG_ERR, "part-release",
	    "part=%s result=\"%s\"", c->row->name, err == 0 ? "ok" : strerror(-err));
	/* What it said of itself is no longer so. */
	tree_withdraw(c->tree, c->row->name);
}

static void
send_plain(struct process *p, enum part_msg_type type)
{
	struct part_msg m = {.type = type};

	if (p->link != NULL)
		link_send(p->link, &m, -1);
}

/* With another number of workers the successor listens on fewer sockets. */
static void
tidy_sockets(struct process *p)
{
	struct child *c = p->child;

	if (p->generation != c->tree->generation) /* it will ask for more */
		return;
	for (const char *const *s = c->row->sockets; s != NULL && *s != NULL; s++)
		sockets_keep_for(&c->tree->sockets, *s, asker_of(p));
}

static void
act(struct child *c, const struct sup_act *a)
{
	struct process *p = a->slot < SUP_SLOTS ? &c->process[a->slot] : NULL;
	char key[FACT_KEY_LEN];

	ASSERT(p != NULL || a->type == SUP_ACT_STATUS);
	switch (a->type) {
	case SUP_ACT_SPAWN:
		spawn(c, a->slot);
		break;
	case SUP_ACT_PING:
		send_plain(p, PART_PING);
		remind(p);
		break;
	case SUP_ACT_ACTIVATE:
		log_event(
		    LOG_INFO, "part-acts", "part=%s pid=%d", c->row->name, (int)p->pid);
		tidy_sockets(p);
		send_plain(p, PART_ACTIVATE);
		break;
	case SUP_ACT_YIELD:
		log_event(LOG_INFO, "part-yields", "part=%s pid=%d", c->row->name,
		    (int)p->pid);
		send_plain(p, PART_YIELD);
		break;
	case SUP_ACT_STOP:
		send_plain(p, PART_STOP);
		break;
	case SUP_ACT_KILL:
		log_event(
		    LOG_WARN, "part-kill", "part=%s pid=%d", c->row->name, (int)p->pid);
		if (p->pid > 0)
			(void)kill(p->pid, SIGKILL);
		break;
	case SUP_ACT_STATUS:
		(void)snprintf(key, sizeof(key), "part %s", c->row->name);
		tree_publish(c->tree, "supervisor", key, child_status(c));
		if (c->core.status == SUP_DOWN)
			child_release(c);
		else if (c->core.status == SUP_OFF)
			tree_withdraw(c->tree, c->row->name);
		break;
	}
}

static void
feed(struct child *c, enum sup_ev_type type, unsigned slot)
{
	const struct sup_ev ev = {.type = type, .slot = slot};
	struct sup_out out;

	sup_input(&c->core, loop_now(c->tree->loop), &ev, &out);
	for (unsigned i = 0; i < out.n; i++)
		act(c, &out.act[i]);
	loop_timer_set(c->tree->loop, &c->timer, sup_deadline(&c->core));
}

static void
on_timer(void *arg)
{
	struct child *c = arg;
	mono_t now = loop_now(c->tree->loop);

	for (unsigned i = 0; i < SUP_SLOTS; i++) {
		struct process *p = &c->process[i];

		if (sup_slice_ends(&c->core, i, now) &&
		    starved_look(&p->starved, p->pid, c->core.proc[i].slice))
			feed(c, SUP_EV_STARVED, i);
	}
	feed(c, SUP_EV_TICK, SUP_NOBODY);
}

static int64_t
between(int64_t ns, int64_t least, int64_t most)
{
	if (ns < least)
		return least;
	return ns < most ? ns : most;
}

static struct sup_conf
conf_of(const struct child *c)
{
	int64_t hang_ns = c->row->hang_ns(c->tree->cluster, c->tree->me);

	return (struct sup_conf){.spare = c->row->spare,
	    .ping_ns = between(hang_ns / 3, 5 * MS_NS, 50 * MS_NS),
	    .hang_ns = hang_ns,
	    .stop_ns = parts_stop_ns(c->tree->cluster)};
}

void
child_init(struct child *c, struct tree *t, const struct part_row *row)
{
	struct sup_conf conf;

	*c = (struct child){.tree = t, .row = row};
	conf = conf_of(c);
	sup_init(&c->core, &conf);
	c->timer = (struct loop_timer){.cb = on_timer, .arg = c};
	for (unsigned i = 0; i < SUP_SLOTS; i++)
		c->process[i] = (struct process){.child = c, .pidfd = -1};
}

/* Privileges and threads are given at the start only. */
static bool
is_outdated(const struct child *c)
{
	const struct tree *t = c->tree;

	return c->more != parts_wants_more(c->row, t->cluster, t->me) ||
	       (c->row->workers && c->workers != t->cluster->workers);
}

void
child_adopt(struct child *c)
{
	struct sup_conf conf = conf_of(c);
	bool wanted = parts_program(c->row->name) != NULL &&
		      c->row->wanted(c->tree->cluster, c->tree->me);

	if (c->stopping)
		return;
	sup_reconf(&c->core, &conf);
	for (unsigned i = 0; i < SUP_SLOTS; i++)
		send_config(&c->process[i]);
	feed(c, wanted ? SUP_EV_WANT : SUP_EV_UNWANT, SUP_NOBODY);
	if (wanted && is_outdated(c))
		child_replace(c);
}

void
child_replace(struct child *c)
{
	if (!c->stopping)
		feed(c, SUP_EV_REPLACE, SUP_NOBODY);
}

void
child_resume(struct child *c, enum sup_status status, unsigned restarts, bool more)
{
	c->more = more;
	c->workers = c->tree->cluster->workers;
	sup_resume(&c->core, loop_clock(c->tree->loop), status, restarts);
	/* Restarts what is missing. */
	loop_timer_set(c->tree->loop, &c->timer, loop_clock(c->tree->loop));
}

int
child_resume_process(struct child *c, unsigned slot, const struct process *from,
    int link_fd, enum sup_proc_state state, bool acting)
{
	struct process *p = &c->process[slot];

	if (p->pid != 0 || (acting && c->core.acting != SUP_NOBODY))
		return -EBADMSG;
	p->pid = from->pid;
	p->pidfd = from->pidfd;
	p->generation = p->told = p->asked = p->agreed = from->generation;
	p->exit_watch = loop_watch(c->tree->loop, p->pidfd, LOOP_IN, on_exit_of, p);
	p->link = link_open(c->tree->loop, link_fd, false, &link_ops, p);
	if (p->exit_watch == NULL || p->link == NULL)
		return -ENOMEM;
	sup_resume_process(&c->core, slot, state, acting);
	return 0;
}

void
child_stop(struct child *c)
{
	if (c->stopping)
		return;
	c->stopping = true;
	feed(c, SUP_EV_UNWANT, SUP_NOBODY);
}

void
child_kill(struct child *c)
{
	for (unsigned i = 0; i < SUP_SLOTS; i++)
		feed(c, SUP_EV_KILL, i);
}
