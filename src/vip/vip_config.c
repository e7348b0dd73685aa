/* SPDX-License-Identifier: Apache-2.0 */
#include "vip/vip_config.h"

#include <string.h>

static bool
listens_on(const struct service *s, const struct floating_ip *f)
{
	for (size_t i = 0; i < s->n_listen; i++) {
		if (s->listen[i].floating_ip == f)
			return true;
	}
	return false;
}

static bool
leads_through(
    const struct firewall_conf *fw, const struct host *me, const struct floating_ip *f)
{
	bool mine = false, its = false;

	for (size_t i = 0; i < fw->n_hosts; i++)
		mine = mine || fw->host[i] == me;
	for (size_t i = 0; i < fw->n_floating_ips; i++)
		its = its || fw->floating_ip[i] == f;
	return mine && its;
}

bool
vip_plan_make(struct vip_plan *plan, const struct cluster *c, const struct host *me,
    const struct floating_ip *f)
{
	const struct host_address *own = host_address_on(me, f->network);
	struct vip_plan p = {.f = f};
	int rank = floating_ip_rank(f, me);

	if (rank < 0 || own == NULL)
		return false;
	p.rank = (uint8_t)rank;
	p.prio = f->priority[rank];
	p.self = own->ip;
	p.interface = own->interface;
	for (size_t i = 0; i < f->n_hosts && p.n_peers < VIP_PEERS_MAX; i++) {
		const struct host_address *at = host_address_on(f->host[i], f->network);

		if (f->host[i] == me || at == NULL)
			continue;
		p.peer[p.n_peers++] =
		    (struct vip_peer){.host = f->host[i], .ip = at->ip};
	}
	for (size_t i = 0; i < c->n_services; i++) {
		const struct service *s = &c->service[i];

		if (!listens_on(s, f))
			continue;
		p.needs_proxy = true;
		if (s->drain_timeout_ns > p.drain_ns)
			p.drain_ns = s->drain_timeout_ns;
	}
	p.needs_rules = leads_through(&c->firewall, me, f);
	*plan = p;
	return true;
}

static bool
same_text(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a, b) == 0;
}

static bool
same_peers(const struct vip_plan *a, const struct vip_plan *b)
{
	if (a->n_peers != b->n_peers)
		return false;
	for (size_t i = 0; i < a->n_peers; i++) {
		if (!ip_equal(&a->peer[i].ip, &b->peer[i].ip))
			return false;
	}
	return true;
}

bool
vip_plan_compatible(const struct vip_plan *a, const struct vip_plan *b)
{
	const struct floating_ip *f = a->f, *g = b->f;

	if (f->vrid != g->vrid || f->version != g->version ||
	    f->heartbeat_ns != g->heartbeat_ns || f->transport != g->transport ||
	    f->n_addresses != g->n_addresses)
		return false;
	for (size_t i = 0; i < f->n_addresses; i++) {
		if (!ip_equal(&f->address[i], &g->address[i]))
			return false;
	}
	return same_text(f->password_file, g->password_file) &&
	       ip_equal(&a->self, &b->self) && same_text(a->interface, b->interface) &&
	       (f->transport == VRRP_MULTICAST || same_peers(a, b));
}

struct vip_conf
vip_plan_conf(const struct vip_plan *plan, const struct ip *self)
{
	return (struct vip_conf){
	    .vrid = plan->f->vrid,
	    .prio = plan->prio,
	    .rank = plan->rank,
	    .version = plan->f->version,
	    .adv_cs = (uint16_t)(plan->f->heartbeat_ns / CS_NS),
	    .preempt = plan->f->failback,
	    .grouped = plan->f->group != NULL,
	    .self = *self,
	};
}

struct vrrp_advert
vip_plan_advert(const struct vip_plan *plan, uint8_t prio,
    const uint8_t password[static VRRP_AUTH_LEN])
{
	const struct floating_ip *f = plan->f;
	struct vrrp_advert adv = {
	    .version = f->version,
	    .vrid = f->vrid,
	    .prio = prio,
	    .adv_cs = (uint16_t)(f->heartbeat_ns / CS_NS),
	};

	for (size_t i = 0; i < f->n_addresses && i < VRRP_ADDR_MAX; i++)
		adv.address[adv.n_addresses++] = f->address[i];
	if (f->version == 2 && f->password_file != NULL) {
		adv.auth = VRRP_AUTH_TEXT;
		memcpy(adv.password, password, sizeof(adv.password));
	}
	return adv;
}

static bool
is_peer(const struct vip_plan *plan, const struct ip *ip)
{
	for (size_t i = 0; i < plan->n_peers; i++) {
		if (ip_equal(&plan->peer[i].ip, ip))
			return true;
	}
	return false;
}

const char *
vip_plan_refuses(const struct vip_plan *plan, const struct vrrp_envelope *env,
    const struct vrrp_advert *adv, const uint8_t password[static VRRP_AUTH_LEN])
{
	const struct floating_ip *f = plan->f;
	struct ip group = vrrp_group(env->dst.family);
	bool to_group = ip_equal(&env->dst, &group);

	if (adv->version != f->version)
		return "another version of VRRP";
	if (f->transport == VRRP_UNICAST && (to_group || !is_peer(plan, &env->src)))
		return "not from a peer of the cluster file";
	/* Among multicast peers only a resignation is for one host alone; it comes from
	 * a nines, which says where it is. */
	if (f->transport == VRRP_MULTICAST && !to_group &&
	    (adv->prio != VRRP_PRIO_RESIGN || env->ttl != VRRP_TTL))
		return "unicast, and this address uses multicast";
	if (adv->version == 2 && f->password_file != NULL
		? adv->auth != VRRP_AUTH_TEXT ||
		      memcmp(adv->password, password, VRRP_AUTH_LEN) != 0
		: adv->auth != VRRP_AUTH_NONE)
		return "wrong password";
	if (adv->version == 2 && adv->adv_cs * CS_NS != f->heartbeat_ns)
		return "another interval, which version 2 does not allow";
	return NULL;
}

bool
vip_plan_lists(const struct vip_plan *plan, const struct vrrp_advert *adv)
{
	const struct floating_ip *f = plan->f;
	size_t found = 0;

	for (size_t i = 0; i < f->n_addresses; i++) {
		for (size_t j = 0; j < adv->n_addresses; j++) {
			if (ip_equal(&f->address[i], &adv->address[j])) {
				found++;
				break;
			}
		}
	}
	return found == f->n_addresses && adv->n_addresses == f->n_addresses;
}
