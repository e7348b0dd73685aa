/* SPDX-License-Identifier: Apache-2.0 */
/* The part's side towards this host's kernel: events, dumps, orders. */
#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "os/netlink.h"
#include "os/setting.h"
#include "sync/sync_shell.h"

/* Between two looks at the kernel's events: at so many in a millisecond, longer. */
#define PAUSE_NS      (200 * US_NS)
#define PAUSE_LONG_NS MS_NS
#define EVENTS_MANY   10

enum { DUMP_STEPS = 4, FLOWS_MIN = 1 << 16, FLOWS_MAX = 1 << 24 };

static void
on_event(void *arg, bool gone, const struct flow *f)
{
	struct sync_shell *sh = arg;

	sh->events++;
	sync_event(&sh->core, loop_now(sh->loop), gone, f);
}

/* How many there were. */
static uint64_t
read_events(struct sync_shell *sh)
{
	const uint64_t before = sh->events;

	if (ct_events(sh->ct, on_event, sh) == -ENOBUFS) {
		sh->lost_events++;
		log_event(LOG_WARN, "events_lost",
		    "what=\"the kernel had more events than we could read; reading "
		    "its table\"");
		sync_kernel_dump(sh);
	}
	return sh->events - before;
}

static void
pause_events(struct sync_shell *sh)
{
	loop_timer_set(
	    sh->loop, &sh->pause, mono_add(loop_now(sh->loop), sh->pause_ns));
}

/*
 * What comes alone is passed on at once. Behind it the socket is left alone for a
 * moment: under load, a datagram then carries what happened in that moment, and costs
 * as much as one that carries a single event. The moment is short as long as there is
 * not much to be saved.
 */
static void
on_readable(void *arg, unsigned events)
{
	struct sync_shell *sh = arg;

	(void)events;
	(void)read_events(sh);
	loop_rewatch(sh->ct_watch, 0);
	sh->pause_ns = PAUSE_NS;
	sh->events_per_ms = 0;
	pause_events(sh);
	sync_shell_pump(sh);
}

static void
on_pause_over(void *arg)
{
	struct sync_shell *sh = arg;
	const uint64_t n = read_events(sh);

	sh->events_per_ms =
	    (7 * sh->events_per_ms + n * (uint64_t)(MS_NS / sh->pause_ns)) / 8;
	sh->pause_ns = sh->events_per_ms < EVENTS_MANY ? PAUSE_NS : PAUSE_LONG_NS;
	if (n > 0)
		pause_events(sh);
	else
		loop_rewatch(sh->ct_watch, LOOP_IN);
	sync_shell_pump(sh);
}

/* ---- own addresses -------------------------------------------------------------- */

struct own {
	struct ip ip[CT_OWN_MAX];
	size_t n;
};

static void
add_own(struct own *o, const struct ip *ip)
{
	for (size_t i = 0; i < o->n; i++) {
		if (ip_equal(&o->ip[i], ip))
			return;
	}
	if (o->n < CT_OWN_MAX)
		o->ip[o->n++] = *ip;
}

static void
on_address(void *arg, const struct netlink_addr *a)
{
	add_own(arg, &a->ip);
}

/* The file's addresses, floating ones included, and whatever else this machine has. */
static void
learn_own(struct sync_shell *sh)
{
	struct netlink *nl = netlink_open();
	struct own o = {.n = 0};
	int err = nl == NULL ? -errno : 0;

	for (size_t i = 0; i < sh->me->n_addresses; i++)
		add_own(&o, &sh->me->address[i].ip);
	for (size_t i = 0; i < sh->cluster->n_floating_ips; i++) {
		const struct floating_ip *f = &sh->cluster->floating_ip[i];

		for (size_t j = 0; j < f->n_addresses; j++) {
			if (floating_ip_rank(f, sh->me) >= 0)
				add_own(&o, &f->address[j]);
		}
	}
	if (nl != NULL)
		err = netlink_addrs(nl, on_address, &o);
	netlink_close(nl);
	if (err != 0)
		log_event(LOG_WARN, "no_addresses", "why=\"%s\"", strerror(-err));
	err = ct_set_own(sh->ct, o.ip, o.n);
	if (err != 0)
		log_event(LOG_WARN, "no_filter", "why=\"%s\"", strerror(-err));
}

/* ---- dumps ---------------------------------------------------------------------- */

static void
on_dumped(void *arg, const struct flow *f)
{
	struct sync_shell *sh = arg;

	sync_dumped(&sh->core, loop_now(sh->loop), f);
}

static void
end_dump(struct sync_shell *sh, int err)
{
	sh->dumping = false;
	if (err != 0) {
		log_event(LOG_WARN, "dump", "why=\"%s\"", strerror(-err));
		sh->audit = mono_add(loop_now(sh->loop), SEC_NS);
	}
	sync_dump_end(&sh->core, err == 0 && !sh->dump_again);
	if (sh->dump_again)
		sync_kernel_dump(sh);
}

static void
on_dump(void *arg)
{
	struct sync_shell *sh = arg;
	int more = 1;

	for (unsigned i = 0; i < DUMP_STEPS && more == 1; i++)
		more = ct_dump_step(sh->ct, on_dumped, sh);
	if (more == 1)
		loop_timer_set(sh->loop, &sh->dump, loop_now(sh->loop));
	else
		end_dump(sh, more);
	sync_shell_pump(sh);
}

void
sync_kernel_dump(struct sync_shell *sh)
{
	int err;

	if (sh->dumping) {
		sh->dump_again = true;
		return;
	}
	learn_own(sh);
	sh->dumps++;
	sh->dump_again = false;
	err = ct_dump_begin(sh->ct);
	if (err != 0) {
		log_event(LOG_ERR, "dump", "why=\"%s\"", strerror(-err));
		return;
	}
	sh->dumping = true;
	sync_dump_begin(&sh->core);
	loop_timer_set(sh->loop, &sh->dump, loop_now(sh->loop));
}

/* ---- orders --------------------------------------------------------------------- */

static void
on_refused(void *arg, uint32_t tag, const struct flow *f, int err)
{
	struct sync_shell *sh = arg;

	(void)f;
	sh->refused++;
	sh->refused_why = err;
	sync_refused(&sh->core, loop_now(sh->loop), tag);
}

void
sync_kernel_orders(struct sync_shell *sh)
{
	enum ct_order order;
	struct flow f;
	uint32_t tag;

	while ((tag = sync_order(&sh->core, &order, &f)) != 0) {
		ct_order(sh->ct, order, &f, tag);
		if (ct_full(sh->ct))
			ct_flush(sh->ct, on_refused, sh);
	}
	ct_flush(sh->ct, on_refused, sh);
}

/* ---- opening -------------------------------------------------------------------- */

uint32_t
sync_kernel_limit(void)
{
	int64_t most = setting_number("netfilter/nf_conntrack_max");

	if (most < FLOWS_MIN)
		most = FLOWS_MIN;
	if (most > FLOWS_MAX)
		most = FLOWS_MAX;
	return (uint32_t)most;
}

/* By default the kernel reports nothing of entries that were there before somebody
 * listened: not of those between two lives of this part. */
static void
want_events(void)
{
	static const char name[] = "netfilter/nf_conntrack_events";

	if (setting_write(name, "1") != 0 && setting_number(name) == 0)
		log_event(LOG_ERR, "no_events",
		    "what=\"the kernel reports no connections: sysctl "
		    "net.netfilter.nf_conntrack_events=1\"");
}

int
sync_kernel_open(struct sync_shell *sh)
{
	sh->dump.cb = on_dump;
	sh->pause.cb = on_pause_over;
	sh->dump.arg = sh->pause.arg = sh;
	sh->ct = ct_open();
	if (sh->ct == NULL)
		return -errno;
	want_events();
	learn_own(sh);
	sh->ct_watch =
	    loop_watch(sh->loop, ct_events_fd(sh->ct), LOOP_IN, on_readable, sh);
	return sh->ct_watch != NULL ? 0 : -ENOMEM;
}

void
sync_kernel_close(struct sync_shell *sh)
{
	loop_unwatch(sh->ct_watch);
	loop_timer_clear(sh->loop, &sh->dump);
	loop_timer_clear(sh->loop, &sh->pause);
	ct_close(sh->ct);
	sh->ct = NULL;
	sh->ct_watch = NULL;
}
