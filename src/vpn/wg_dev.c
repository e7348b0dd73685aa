/* SPDX-License-Identifier: Apache-2.0 */
#include "vpn/wg_dev.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "os/wglink.h"
#include "vpn/wg_genl.h"
#include "vpn/wg_go.h"
#include "vpn/wg_uapi.h"

struct wg_dev {
	char name[IF_NAMESIZE];
	int fd; /* of a wireguard-go; -1: it is the kernel's */
	bool broken;
	struct loop_fd *watch;
	void (*gone)(void *arg);
	void *arg;
};

/* Nothing comes without being asked for: this is its end. */
static void
on_socket(void *arg, unsigned events)
{
	struct wg_dev *d = arg;

	(void)events;
	loop_unwatch(d->watch);
	d->watch = NULL;
	wg_go_reap();
	d->gone(d->arg);
}

/* 0 with the descriptor of a wireguard-go that runs, or -1: it is the kernel's. */
static int
find_or_make(const char *name, int *fd, char why[static WG_WHY_LEN])
{
	bool there = if_nametoindex(name) != 0;
	int go, err;

	*fd = -1;
	if (there && wg_genl_is_there(name))
		return 0;
	go = wg_go_connect(name);
	if (there && go >= 0) {
		*fd = go;
		return 0;
	}
	if (go >= 0) /* its interface was taken from it: it is about to end */
		(void)close(go);
	if (there) {
		(void)snprintf(why, WG_WHY_LEN,
		    "interface %s is there and not ours: remove it, or name another "
		    "by interface:",
		    name);
		return -EEXIST;
	}
	err = wglink_make(name);
	if (err == 0)
		return 0;
	if (err == -EPERM) {
		(void)snprintf(why, WG_WHY_LEN, "no permission to make interfaces");
		return err;
	}
	go = wg_go_start(name, why);
	if (go >= 0)
		*fd = go;
	return go >= 0 ? 0 : go;
}

/* What a WireGuard program is told and says has the private key in it. */
static void
forget(struct sbuf *b)
{
	if (b->p != NULL)
		explicit_bzero(b->p, b->len);
	sbuf_done(b);
}

/* Waits until a wireguard-go that has just started has its interface. */
static int
meet(struct wg_dev *d, char why[static WG_WHY_LEN])
{
	struct sbuf answer;
	int err;

	sbuf_init(&answer, WG_UAPI_MAX((size_t)2 * VPN_PEERS_MAX));
	err = wg_go_ask(d->fd, WG_UAPI_GET, strlen(WG_UAPI_GET), &answer);
	forget(&answer);
	if (err != 0)
		(void)snprintf(why, WG_WHY_LEN,
		    "wireguard-go does not answer (%s): its log says why; is "
		    "/dev/net/tun there?",
		    strerror(-err));
	return err;
}

struct wg_dev *
wg_dev_open(struct loop *l, const char *name, void (*gone)(void *arg), void *arg,
    char why[static WG_WHY_LEN])
{
	struct wg_dev *d = calloc(1, sizeof(*d));
	const bool there = if_nametoindex(name) != 0;

	if (d == NULL) {
		(void)snprintf(why, WG_WHY_LEN, "no memory");
		return NULL;
	}
	(void)snprintf(d->name, sizeof(d->name), "%s", name);
	d->gone = gone;
	d->arg = arg;
	why[0] = '\0';
	if (find_or_make(name, &d->fd, why) != 0) {
		free(d);
		return NULL;
	}
	if (d->fd >= 0 && meet(d, why) == 0) {
		d->watch = loop_watch(l, d->fd, LOOP_IN, on_socket, d);
		if (d->watch == NULL)
			(void)snprintf(why, WG_WHY_LEN, "no memory");
	}
	if (why[0] == '\0')
		return d;
	if (there) /* it hangs, and will be started anew */
		wg_dev_replace(d);
	else
		wg_dev_close(d);
	wg_go_reap();
	return NULL;
}

void
wg_dev_close(struct wg_dev *d)
{
	if (d == NULL)
		return;
	loop_unwatch(d->watch);
	if (d->fd >= 0)
		(void)close(d->fd);
	free(d);
}

void
wg_dev_remove(const char *name)
{
	int fd = wg_go_connect(name);

	/* Only what is ours: wireguard-go ends with its interface. */
	if ((fd >= 0 || wg_genl_is_there(name)) && wglink_remove(name) != 0)
		log_event(LOG_WARN, "interface", "cannot_remove=%s", name);
	if (fd >= 0)
		(void)close(fd);
	wg_go_reap();
}

void
wg_dev_replace(struct wg_dev *d)
{
	char name[IF_NAMESIZE];
	const bool go = d->fd >= 0;

	memcpy(name, d->name, sizeof(name));
	wg_dev_close(d);
	if (!go)
		return;
	wg_go_kill(name); /* with it go its interface and the port */
}

bool
wg_dev_is_broken(const struct wg_dev *d)
{
	return d->broken;
}

static int
ask(struct wg_dev *d, const char *text, size_t len, struct sbuf *answer)
{
	int err = d->broken ? -EPIPE : wg_go_ask(d->fd, text, len, answer);

	d->broken = d->broken || err != 0;
	return err;
}

int
wg_dev_state(struct wg_dev *d, struct wg_state *s)
{
	struct sbuf answer;
	int err;

	if (d->fd < 0)
		return wg_genl_state(d->name, s);
	sbuf_init(&answer, WG_UAPI_MAX(s->room));
	err = ask(d, WG_UAPI_GET, strlen(WG_UAPI_GET), &answer);
	if (err == 0)
		err = wg_uapi_state(s, sbuf_text(&answer), answer.len);
	forget(&answer);
	return err;
}

int
wg_dev_change(struct wg_dev *d, const struct wg_change *c)
{
	struct sbuf text, answer;
	int err;

	if (!c->set_key && !c->set_port && !c->set_mark && c->n_peers == 0)
		return 0;
	if (d->fd < 0)
		return wg_genl_change(d->name, c);
	sbuf_init(&text, WG_UAPI_MAX(c->n_peers));
	sbuf_init(&answer, WG_UAPI_MAX(1));
	wg_uapi_set(c, &text);
	err = text.bad ? -ENOMEM : ask(d, sbuf_text(&text), text.len, &answer);
	if (err == 0)
		err = wg_uapi_result(sbuf_text(&answer), answer.len);
	forget(&text);
	forget(&answer);
	return err;
}
