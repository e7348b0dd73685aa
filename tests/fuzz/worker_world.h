/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_world.h - a worker without a thread and without a network, for fuzz targets:
 * its connections are transports that hand out an input and take or do not take what is
 * sent, and time passes when it is told to. One target includes it.
 */
#ifndef NINES_FUZZ_WORKER_WORLD_H
#define NINES_FUZZ_WORKER_WORLD_H

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "proxy/client.h"
#include "proxy/control/gen.h"
#include "proxy/h2/h2_trunk.h"
#include "proxy/listener.h"
#include "proxy/servers/service.h"
#include "proxy/servers/upstream.h"
#include "proxy/worker_inside.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Of the first byte of an input; the rest of its bits are the target's. */
enum { SMALL_READS = 1, DEAF = 2, NARROW = 4, BY_TIME = 8 };

struct world {
	struct worker worker;
	struct wlistener listener;
	struct wservice *service;
	struct view *view;
};

struct input {
	const uint8_t *p;
	size_t len, at;
	uint8_t how;
	bool ended;
	bool client; /* it is one, and hears an answer */
	size_t heard;
};

static ssize_t
fake_recv(struct side *s, void *p, size_t n)
{
	struct input *in = s->layer;
	size_t left = in->len - in->at, k = left < n ? left : n;

	if ((in->how & SMALL_READS) != 0 && k > 7)
		k = 7;
	if (k == 0) {
		errno = EAGAIN;
		return in->ended ? 0 : -1;
	}
	memcpy(p, in->p + in->at, k);
	in->at += k;
	return (ssize_t)k;
}

static ssize_t
fake_send(struct side *s, const struct iovec *iov, size_t n)
{
	struct input *in = s->layer;
	size_t all = 0;

	for (size_t i = 0; i < n; i++)
		all += iov[i].iov_len;
	if (in->client && in->heard == 0)
		ASSERT(memcmp(iov[0].iov_base, "HTTP/1.1 ", 9) == 0);
	in->heard += all;
	if ((in->how & DEAF) != 0) {
		errno = EAGAIN;
		return -1;
	}
	return (ssize_t)((in->how & NARROW) != 0 && all > 11 ? 11 : all);
}

static void
fake_shut(struct side *s)
{
	(void)s;
}

static bool
fake_quiet(struct side *s)
{
	(void)s;
	return false;
}

static void
fake_close(struct worker *w, struct side *s)
{
	(void)w;
	s->layer = NULL;
}

static const struct transport fake = {
    fake_recv, fake_send, fake_shut, fake_quiet, fake_close};

/* As worker_start() would, without a thread. `text` is a cluster file with host lb and
 * one service. */
static struct world *
world_new(const char *text)
{
	struct world *o = calloc(1, sizeof(*o));
	struct worker *w;
	struct diag_list diags;
	const struct cluster *c;
	struct gen *g;

	ASSERT(o != NULL);
	w = &o->worker;
	diag_init(&diags, "fuzz");
	c = cluster_parse(text, strlen(text), &diags);
	diag_done(&diags);
	ASSERT(c != NULL);
	g = gen_new(c, cluster_host(c, "lb"), 1, NULL, NULL, NULL);
	ASSERT(g != NULL);
	w->epfd = w->reserve = w->wake.fd = w->conf.notify = -1;
	w->now = (mono_t){SEC_NS};
	worker_init(w);
	ASSERT(bufs_init(&w->bufs, 64) == 0);
	o->service = service_new(w);
	service_update(w, o->service, g, 0);
	o->view = w->view = view_new(g, 0);
	ASSERT(o->view != NULL);
	o->listener.refs = 1;
	o->listener.service = o->service;
	list_init(&o->listener.link);
	ASSERT(h2_worker_init(w) == 0);
	return o;
}

/* Time passes until whatever waits for something has waited long enough. */
static void
wait_for_the_end(struct world *o)
{
	struct worker *w = &o->worker;

	for (int i = 0; i < 100 && o->service->n_clients > 0; i++) {
		w->now = mono_add(w->now, 61 * SEC_NS);
		worker_turn(w);
	}
}

#endif /* NINES_FUZZ_WORKER_WORLD_H */
