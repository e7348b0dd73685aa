/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/guard.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/log.h"
#include "proxy/client.h"
#include "proxy/counters.h"
#include "proxy/http1/http1_sense.h"
#include "proxy/meter.h"
#include "proxy/proxy_accept_wire.h"
#include "proxy/request_log.h"
#include "proxy/servers/service.h"
#include "proxy/worker_inside.h"

static bool
within(const struct nets *nets, const struct ip *ip)
{
	for (size_t i = 0; i < nets->n; i++) {
		if (ip_in_net(ip, &nets->net[i]))
			return true;
	}
	return false;
}

static bool
welcome(const struct guard_conf *g, const struct ip *ip)
{
	return !within(&g->deny, ip) && (g->allow.n == 0 || within(&g->allow, ip));
}

static bool
within_rate(struct worker *w, struct client *c, const struct ip *ip)
{
	const struct guard_conf *g = &c->service->conf->guard;
	struct meter *m = c->service->meter;

	return g->requests == 0 || m == NULL ||
	       meter_request(
		   m, meter_source(ip), w->now.ns, g->per_ns / g->requests, g->burst);
}

/* ---- connections --------------------------------------------------------------- */

/* Before anything was asked, and without an answer: its line in the log is all that
 * tells why. */
static void
turn_away(struct worker *w, struct client *c, const char *why)
{
	count(c->service->counter, SVC_REFUSED);
	log_begin(w, c);
	log_end(w, c, why);
	client_close(w, c);
}

/* Who it comes from is known now. */
static void
start(struct worker *w, struct client *c)
{
	const struct guard_conf *g = &c->service->conf->guard;
	struct meter *m = c->service->meter;
	const char *why = NULL;

	c->source = c->from.ip;
	if (g->any && c->tcp && !welcome(g, &c->from.ip))
		why = "refused-address";
	else if (g->any && c->tcp && !within_rate(w, c, &c->from.ip))
		why = "refused-rate";
	/* A proxy in front has the connections of all its clients. */
	if (why == NULL && g->connections > 0 && m != NULL &&
	    !within(&g->trusted, &c->from.ip)) {
		c->counted_as = meter_source(&c->from.ip);
		if (meter_open(m, c->counted_as, g->connections))
			c->meter = meter_ref(m);
		else
			why = "refused-connections";
	}
	if (why == NULL)
		client_start(w, c);
	else
		turn_away(w, c, why);
}

void
guard_leave(struct client *c)
{
	if (c->meter == NULL)
		return;
	meter_close(c->meter, c->counted_as);
	meter_unref(c->meter);
	c->meter = NULL;
}

/* Whoever sees such a connection closed looks for the reason here. */
static void
refuse_header(struct worker *w, struct client *c, const char *cause)
{
	char from[IP_STR_LEN];

	/* Anybody can cause it: nothing to be woken for. */
	log_event(LOG_INFO, "proxy_header_error", "service=%s client=%s cause=\"%s\"",
	    c->service->conf->name, ip_format(&c->from.ip, from), cause);
	count(c->service->counter, SVC_REFUSED);
	client_close(w, c);
}

/* Looks at what has come without taking it, so that what follows the header is read
 * by whom it concerns. */
void
guard_event(struct worker *w, struct client *c)
{
	uint8_t p[PROXY_ACCEPT_MAX];
	ssize_t n = recv(c->s.fd, p, sizeof(p), MSG_PEEK);
	size_t used = 0;
	int rc = -EBADMSG;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		rc = proxy_accept_decode(p, (size_t)n, &c->from, &used);
	if (rc == -EAGAIN && !c->s.rdhup)
		return;
	if (rc == 0)
		n = recv(c->s.fd, p, used, 0);
	if (rc != 0 && n <= 0) { /* it left without a word, as checks of others do */
		count(c->service->counter, SVC_REFUSED);
		client_close(w, c);
		return;
	}
	if (rc != 0 || n != (ssize_t)used) {
		refuse_header(w, c, "it does not begin with a PROXY header");
		return;
	}
	c->state = CLIENT_IDLE;
	start(w, c);
	if (c->state == CLIENT_HANDSHAKE) { /* the hello may be here already */
		c->s.readable = true;
		client_event(w, c);
	}
}

void
guard_accept(struct worker *w, struct client *c)
{
	const struct service *conf = c->service->conf;

	if (!conf->guard.accept_proxy) {
		start(w, c);
		return;
	}
	if (!within(&conf->guard.trusted, &c->from.ip)) {
		refuse_header(w, c, "it is not among `trusted`");
		return;
	}
	c->state = CLIENT_PROXY;
	wheel_set(&w->wheel, &c->timer, mono_add(w->now, conf->head_timeout_ns));
	guard_event(w, c);
}

/* ---- requests ------------------------------------------------------------------ */

/* An address as proxies write it: some add a port, some brackets. */
static bool
read_address(char *text, size_t len, struct ip *ip)
{
	struct ip_endpoint at;

	if (ip_parse(ip, text) == 0)
		return true;
	if (ip_endpoint_parse(&at, text) != 0) {
		if (text[0] != '[' || text[len - 1] != ']')
			return false;
		text[len - 1] = '\0';
		if (ip_parse(&at.ip, text + 1) != 0 || at.ip.family != AF_INET6)
			return false;
	}
	*ip = at.ip;
	return true;
}

/* The address at the end of the list `s`, which is cut before it. False: none there. */
static bool
last_address(const char *p, struct http1_slice *s, struct ip *ip)
{
	char text[IP_ENDPOINT_LEN];
	uint32_t begin, len;

	while (s->len > 0 && strchr(" \t,", p[s->off + s->len - 1]) != NULL)
		s->len--;
	begin = s->off + s->len;
	while (begin > s->off && strchr(" \t,", p[begin - 1]) == NULL)
		begin--;
	len = s->off + s->len - begin;
	s->len = begin - s->off;
	if (len == 0 || len >= sizeof(text))
		return false;
	memcpy(text, p + begin, len);
	text[len] = '\0';
	return read_address(text, len, ip);
}

/*
 * The client by X-Forwarded-For: each proxy adds whom it was asked by, so its end is
 * true as long as those before it are trusted, and the first who is not is the client.
 */
static void
forwarded_for(const struct http1_head *h, const char *p, const struct nets *trusted,
    struct ip *ip)
{
	for (unsigned i = h->n_fields; i-- > 0;) {
		struct http1_slice list = h->field[i].value;

		if (h->field[i].id != HTTP1_N_X_FORWARDED_FOR)
			continue;
		while (list.len > 0) {
			if (!within(trusted, ip) || !last_address(p, &list, ip))
				return;
		}
	}
}

/* How the client came to the proxy before us, which may have had TLS of its own. */
static bool
forwarded_https(const struct http1_head *h, const char *p, bool https)
{
	struct http1_slice said = http1_field_value(h, p, "x-forwarded-proto");

	if (said.len == 5 && strncasecmp(p + said.off, "https", 5) == 0)
		return true;
	if (said.len == 4 && strncasecmp(p + said.off, "http", 4) == 0)
		return false;
	return https;
}

unsigned
guard_request(struct worker *w, struct client *c, const char *p, const char **why)
{
	const struct guard_conf *g = &c->service->conf->guard;
	const struct http1_head *h = &w->head;

	c->source = c->from.ip;
	c->trusted = within(&g->trusted, &c->from.ip);
	if (c->trusted) {
		forwarded_for(h, p, &g->trusted, &c->source);
		c->https = forwarded_https(h, p, c->https);
	}
	if (!welcome(g, &c->source)) {
		*why = "this address is not served";
		return 403;
	}
	if (!within_rate(w, c, &c->source)) {
		*why = "too many requests";
		return 429;
	}
	if (g->max_body > 0 && h->framing == HTTP1_LENGTH && h->length > g->max_body) {
		*why = "the request's body is too large";
		return 413;
	}
	return 0;
}
