/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/control/listening.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "part/part.h"

static void
socket_name(const struct want *want, unsigned member, char *name, size_t size)
{
	char at[IP_ENDPOINT_LEN];

	(void)snprintf(
	    name, size, "tcp/%s/%u", ip_endpoint_format(&want->at, at), member);
}

static struct want *
find_want(struct listening *ls, const struct ip_endpoint *at)
{
	for (size_t i = 0; i < ls->n; i++) {
		if (ls->want[i].at.port == at->port &&
		    ip_equal(&ls->want[i].at.ip, &at->ip))
			return &ls->want[i];
	}
	return NULL;
}

/* For those it has not. */
static void
ask(struct listening *ls, struct want *want)
{
	char name[IP_ENDPOINT_LEN + 16];

	want->error = 0;
	for (unsigned w = 0; w < ls->n_workers; w++) {
		if (want->sock[w] != NULL)
			continue;
		socket_name(want, w, name, sizeof(name));
		part_socket(ls->part, name);
		want->asked++;
	}
}

static void
want_listener(struct listening *ls, const struct listener *l, size_t service)
{
	struct want *want = find_want(ls, &l->at);

	if (want == NULL && ls->n == LISTENERS_MAX) {
		log_event(LOG_ERR, "listen", "error=\"more than %d\"", LISTENERS_MAX);
		return;
	}
	if (want == NULL) {
		want = &ls->want[ls->n++];
		*want = (struct want){.at = l->at};
		ask(ls, want);
	} else if (want->error != 0) {
		ask(ls, want);
	}
	want->service = service;
	want->floating_ip = l->floating_ip != NULL ? l->floating_ip->name : NULL;
	want->used = true;
}

static void
give_back(const struct listening *ls, const struct want *want)
{
	char name[IP_ENDPOINT_LEN + 16];

	for (unsigned w = 0; w < ls->n_workers; w++) {
		socket_name(want, w, name, sizeof(name));
		part_socket_drop(ls->part, name);
	}
}

static void
forget_listener(struct listening *ls, size_t i)
{
	give_back(ls, &ls->want[i]);
	for (unsigned w = 0; w < ls->n_workers; w++)
		lsock_unref(ls->want[i].sock[w]);
	ls->want[i] = ls->want[--ls->n];
}

void
listening_config(struct listening *ls, const struct cluster *c, const struct host *me)
{
	for (size_t i = 0; i < ls->n; i++)
		ls->want[i].used = false;
	for (size_t i = 0; i < c->n_services; i++) {
		const struct service *service = &c->service[i];

		for (size_t j = 0; j < service->n_listen; j++) {
			if (listener_on_host(&service->listen[j], me))
				want_listener(ls, &service->listen[j], i);
		}
	}
	for (size_t i = ls->n; i-- > 0;) {
		if (!ls->want[i].used)
			forget_listener(ls, i);
	}
}

/* "tcp/ADDRESS:PORT/N", as socket_name() wrote it. */
static struct want *
parse_name(struct listening *ls, const char *name, unsigned *member)
{
	char expected[IP_ENDPOINT_LEN + 16];

	for (size_t i = 0; i < ls->n; i++) {
		for (unsigned w = 0; w < ls->n_workers; w++) {
			socket_name(&ls->want[i], w, expected, sizeof(expected));
			if (strcmp(expected, name) == 0) {
				*member = w;
				return &ls->want[i];
			}
		}
	}
	return NULL;
}

bool
listening_put(struct listening *ls, const char *name, int fd)
{
	unsigned w = 0;
	struct want *want = parse_name(ls, name, &w);

	if (want == NULL)
		return false;
	if (want->asked > 0)
		want->asked--;
	if (fd < 0)
		want->error = -fd;
	if (fd >= 0) {
		lsock_unref(want->sock[w]);
		want->sock[w] = lsock_new(fd);
	} else {
		log_event(
		    LOG_ERR, "listen", "socket=%s error=\"%s\"", name, strerror(-fd));
	}
	return true;
}

static void
fill_listener(const struct listening *ls, const struct known *k,
    struct view_listener *l, const struct want *want)
{
	l->at = want->at;
	l->service = want->service;
	l->closing = ls->closing;
	l->leaving = known_says(k, "host", "stopping", "yes") ||
		     (want->floating_ip != NULL &&
			 known_says(k, "vip", want->floating_ip, "leaving"));
	for (unsigned w = 0; w < ls->n_workers; w++)
		l->sock[w] = lsock_ref(want->sock[w]);
}

void
listening_fill(const struct listening *ls, const struct known *k, struct view *v)
{
	for (size_t i = 0; i < ls->n; i++)
		fill_listener(ls, k, &v->listener[i], &ls->want[i]);
}

void
listening_publish(const struct listening *ls)
{
	char at[IP_ENDPOINT_LEN];

	for (size_t i = 0; i < ls->n; i++) {
		if (ls->want[i].asked > 0)
			return;
	}
	for (size_t i = 0; i < ls->n; i++) {
		const struct want *want = &ls->want[i];

		if (want->error == 0)
			continue;
		part_publish(ls->part, "proxy listen", "down %s: %s",
		    ip_endpoint_format(&want->at, at), strerror(want->error));
		return;
	}
	part_publish(ls->part, "proxy listen", "up");
}

void
listening_leave(struct listening *ls)
{
	for (size_t i = 0; i < ls->n; i++)
		give_back(ls, &ls->want[i]);
	ls->closing = true;
}

void
listening_done(struct listening *ls)
{
	for (size_t i = 0; i < ls->n; i++) {
		for (unsigned w = 0; w < ls->n_workers; w++)
			lsock_unref(ls->want[i].sock[w]);
	}
}
