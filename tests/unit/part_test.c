/* SPDX-License-Identifier: Apache-2.0 */
/* Facts, the messages of the link, and the link itself over a socketpair. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "part/fact.h"
#include "part/heard.h"
#include "part/link.h"

static void
test_fact(void **state)
{
	static const char *const bad[] = {"", " a", "a  b", "a ", "a b c d e"};
	struct fact_words w;
	char longest[FACT_WORD_LEN + 1];

	(void)state;
	assert_true(fact_split(&w, "server site web1:80"));
	assert_int_equal(w.n, 3);
	assert_string_equal(w.word[2], "web1:80");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(fact_split(&w, bad[i]));
	memset(longest, 'x', FACT_WORD_LEN);
	longest[FACT_WORD_LEN] = '\0';
	assert_false(fact_split(&w, longest));
	assert_true(fact_split(&w, longest + 1));
	assert_true(fact_is("down for lunch", "down"));
	assert_true(fact_is("down", "down"));
	assert_false(fact_is("downer", "down"));
}

static void
test_heard(void **state)
{
	struct list facts;
	struct heard *h;

	(void)state;
	list_init(&facts);
	assert_null(heard_find(&facts, "vip www"));
	assert_string_equal(heard_value(&facts, "vip www"), "");
	h = heard_note(&facts, "vip www", "active");
	assert_non_null(h);
	assert_false(h->wanted);
	assert_non_null(heard_note(&facts, "vip w", "backup"));
	assert_ptr_equal(heard_note(&facts, "vip www", "leaving"), h);
	assert_string_equal(heard_value(&facts, "vip www"), "leaving");
	assert_ptr_equal(facts.next, &h->link);
	assert_ptr_not_equal(facts.prev, &h->link);
	heard_drop(h);
	assert_string_equal(heard_value(&facts, "vip www"), "");
	assert_string_equal(heard_value(&facts, "vip w"), "backup");
	heard_clear(&facts);
	assert_true(list_empty(&facts));
}

static void
test_wire(void **state)
{
	struct part_msg m = {.type = PART_REPLY, .id = 9, .code = 1}, back;
	static uint8_t buf[PART_MSG_MAX];
	size_t len;

	(void)state;
	(void)snprintf(m.value, sizeof(m.value), "why");
	m.text = "{}";
	m.text_len = 2;
	len = part_msg_encode(&m, buf);
	assert_int_equal(part_msg_decode(&back, buf, len, false, false), 0);
	assert_true(back.id == 9 && back.code == 1 && back.text_len == 2);
	assert_string_equal(back.value, "why");
	assert_int_not_equal(part_msg_decode(&back, buf, len, true, false), 0);
	assert_int_not_equal(part_msg_decode(&back, buf, len, false, true), 0);
	for (size_t n = 0; n < len - 2; n++) /* the text may be shorter */
		assert_int_not_equal(part_msg_decode(&back, buf, n, false, false), 0);
	buf[1] = PART_PONG; /* may not carry a text */
	assert_int_not_equal(part_msg_decode(&back, buf, len, false, false), 0);
	buf[1] = 200;
	assert_int_not_equal(part_msg_decode(&back, buf, len, false, false), 0);
}

struct end {
	struct loop *loop;
	struct link *link;
	unsigned got, fds;
	const char *why;
	bool close_on_message;
};

static void
on_message(void *arg, const struct part_msg *m, int fd)
{
	struct end *e = arg;

	assert_true(m->type == PART_FACT || m->type == PART_CONFIG);
	assert_int_equal(m->id, e->got);
	e->got++;
	if (fd >= 0) {
		e->fds++;
		(void)close(fd);
	}
	if (e->close_on_message) {
		link_close(e->link);
		e->link = NULL;
		loop_stop(e->loop);
	}
	if (e->got == 3000)
		loop_stop(e->loop);
}

static void
on_broken(void *arg, const char *why)
{
	struct end *e = arg;

	e->why = why;
	loop_stop(e->loop);
}

static const struct link_ops ops = {on_message, on_broken};

static void
open_pair(struct end *sup, struct end *part)
{
	int pair[2];

	*sup = *part = (struct end){.loop = loop_new()};
	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair),
	    0);
	sup->link = link_open(sup->loop, pair[0], false, &ops, sup);
	part->link = link_open(part->loop, pair[1], true, &ops, part);
	assert_true(sup->link != NULL && part->link != NULL);
}

static void
close_pair(struct end *sup, struct end *part)
{
	link_close(sup->link);
	link_close(part->link);
	loop_free(sup->loop);
}

/* Far more than the kernel buffers: the queue takes the rest, in order. */
static void
test_queue(void **state)
{
	struct part_msg m = {.type = PART_FACT};
	struct end sup, part;

	(void)state;
	open_pair(&sup, &part);
	for (unsigned i = 0; i < 3000; i++) {
		m.id = i;
		m.type = i % 100 == 7 ? PART_CONFIG : PART_FACT;
		link_send(sup.link, &m, i % 100 == 7 ? STDERR_FILENO : -1);
	}
	loop_run(sup.loop);
	assert_int_equal(part.got, 3000);
	assert_int_equal(part.fds, 30);
	assert_null(sup.why);
	close_pair(&sup, &part);
}

static void
test_overflow(void **state)
{
	struct part_msg m = {.type = PART_FACT};
	struct end sup, part;

	(void)state;
	open_pair(&sup, &part);
	for (unsigned i = 0; i < LINK_QUEUE_MAX + 2000; i++)
		link_send(sup.link, &m, -1);
	part.got = 1U << 30; /* not looked at here */
	link_close(part.link);
	part.link = NULL;
	loop_run(sup.loop);
	assert_string_equal(sup.why, "does not read its messages");
	close_pair(&sup, &part);
}

static void
test_malformed(void **state)
{
	struct end sup, part;
	int pair[2];

	(void)state;
	open_pair(&sup, &part);
	close_pair(&sup, &part);
	sup = (struct end){.loop = loop_new()};
	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair),
	    0);
	sup.link = link_open(sup.loop, pair[0], false, &ops, &sup);
	assert_int_equal(write(pair[1], "rubbish", 7), 7);
	loop_run(sup.loop);
	assert_string_equal(sup.why, "sent a malformed message");
	link_close(sup.link);
	(void)close(pair[1]);
	loop_free(sup.loop);
}

static void
test_gone(void **state)
{
	struct end sup, part;

	(void)state;
	open_pair(&sup, &part);
	link_close(part.link);
	part.link = NULL;
	loop_run(sup.loop);
	assert_string_equal(sup.why, "is gone");
	close_pair(&sup, &part);
}

static void
test_close_inside(void **state)
{
	struct part_msg m = {.type = PART_FACT};
	struct end sup, part;

	(void)state;
	open_pair(&sup, &part);
	part.close_on_message = true;
	link_send(sup.link, &m, -1);
	link_send(sup.link, &m, -1);
	loop_run(sup.loop);
	assert_int_equal(part.got, 1);
	close_pair(&sup, &part);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fact),
	    cmocka_unit_test(test_heard),
	    cmocka_unit_test(test_wire),
	    cmocka_unit_test(test_queue),
	    cmocka_unit_test(test_overflow),
	    cmocka_unit_test(test_malformed),
	    cmocka_unit_test(test_gone),
	    cmocka_unit_test(test_close_inside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
