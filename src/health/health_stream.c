/* SPDX-License-Identifier: Apache-2.0 */
/* Checks over a connection: tcp, http, https. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/sbuf.h"
#include "health/health_http.h"
#include "health/health_probe.h"

#define REQUEST_MAX	16384
#define READ_SIZE	4096
#define READS_MAX	64 /* in one wake-up: other targets wait */
#define QUOTE_MAX	40
#define SERVER_NAME_LEN 256

/* A server that is still writing its answer when we know enough is not to find errors
 * in its log: the rest is read, within reason. */
#define LINGER_NS    (500 * MS_NS)
#define LINGER_BYTES ((size_t)1 << 20)
#define LINGERS_MAX  256

enum stage { STAGE_CONNECT, STAGE_HANDSHAKE, STAGE_SEND, STAGE_RECEIVE, STAGE_LINGER };

struct stream {
	struct probe probe;
	struct probe_env *env;
	int fd;
	struct loop_fd *watch;
	enum stage stage;
	struct ssl_st *ssl; /* https */
	mono_t begun;
	struct sbuf request;
	size_t sent;
	struct health_http http;
	struct list link; /* env->lingering */
	struct loop_timer linger;
	size_t lingered; /* bytes */
};

static void
stream_free(struct stream *s)
{
	/* What we wanted to know we know: a reset leaves no TIME_WAIT behind, of which
	 * a thousand checks a second would make tens of thousands. */
	const struct linger reset = {.l_onoff = 1};

	if (s->stage == STAGE_LINGER)
		s->env->n_lingering--;
	list_remove(&s->link);
	loop_timer_clear(s->env->loop, &s->linger);
	loop_unwatch(s->watch);
	SSL_free(s->ssl);
	sbuf_done(&s->request);
	if (s->fd >= 0) {
		(void)setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		(void)close(s->fd);
	}
	free(s);
}

static void
stream_abort(struct probe *p)
{
	stream_free(CONTAINER(p, struct stream, probe));
}

static void
finish(struct stream *s, enum probe_result result, const char *why)
{
	struct probe_job job = s->probe.job;

	stream_free(s);
	job.done(job.arg, result, why);
}

static void
finish_errno(struct stream *s, int err)
{
	char why[HEALTH_WHY_LEN];
	enum probe_result result = probe_error(err, why);

	finish(s, result, why);
}

static void
on_linger_over(void *arg)
{
	stream_free(arg);
}

static bool
step_linger(struct stream *s)
{
	char buf[READ_SIZE];
	ssize_t n = read(s->fd, buf, sizeof(buf));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n > 0)
		s->lingered += (size_t)n;
	if (n > 0 && s->lingered < LINGER_BYTES)
		return true;
	stream_free(s);
	return false;
}

/* The result is told now; the connection waits for the end of the answer. */
static void
finish_politely(struct stream *s, bool good, const char *why)
{
	struct probe_env *env = s->env;
	struct probe_job job = s->probe.job;

	if (env->n_lingering == LINGERS_MAX)
		stream_free(CONTAINER(env->lingering.next, struct stream, link));
	s->stage = STAGE_LINGER;
	list_append(&env->lingering, &s->link);
	env->n_lingering++;
	loop_rewatch(s->watch, LOOP_IN);
	s->linger = (struct loop_timer){.cb = on_linger_over, .arg = s};
	loop_timer_set(env->loop, &s->linger, mono_add(loop_now(env->loop), LINGER_NS));
	job.done(job.arg, good ? PROBE_GOOD : PROBE_BAD, why);
}

void
probe_stream_close(struct probe_env *env)
{
	LIST_EACH(l, tmp, &env->lingering)
	stream_free(CONTAINER(l, struct stream, link));
}

/* ---- what the answer means ------------------------------------------------------ */

/* The first line of something that is no HTTP, fit to be shown. */
static void
quote(char *out, size_t size, const char *p, size_t len)
{
	size_t n = len < size - 1 ? len : size - 1;

	for (size_t i = 0; i < n; i++)
		out[i] = p[i] >= ' ' && p[i] <= '~' && p[i] != '"' ? p[i] : '.';
	out[n] = '\0';
}

static void
finish_verdict(struct stream *s, enum health_http_verdict verdict)
{
	const struct check_conf *c = s->probe.job.check;
	char why[HEALTH_WHY_LEN] = "", said[QUOTE_MAX];

	switch (verdict) {
	case HEALTH_HTTP_MORE:
	case HEALTH_HTTP_GOOD:
		break;
	case HEALTH_HTTP_NOT_HTTP:
		quote(said, sizeof(said), s->http.line, s->http.line_len);
		(void)snprintf(
		    why, sizeof(why), "the answer is not HTTP: it begins \"%s\"", said);
		break;
	case HEALTH_HTTP_STATUS:
		if (c->status_min == c->status_max)
			(void)snprintf(why, sizeof(why), "HTTP %u, wanted %u",
			    s->http.status, c->status_min);
		else
			(void)snprintf(why, sizeof(why), "HTTP %u, wanted %u-%u",
			    s->http.status, c->status_min, c->status_max);
		break;
	case HEALTH_HTTP_NO_TEXT:
		(void)snprintf(why, sizeof(why), "HTTP %u without the text \"%.60s\"",
		    s->http.status, c->body);
		break;
	case HEALTH_HTTP_TOO_LONG:
		(void)snprintf(why, sizeof(why), "the answer is too long to look at");
		break;
	case HEALTH_HTTP_BROKEN:
		(void)snprintf(why, sizeof(why), "the HTTP answer is malformed");
		break;
	case HEALTH_HTTP_SHORT:
		(void)snprintf(why, sizeof(why), "connection closed %s",
		    s->http.head > 0 ? "in the middle of the answer"
				     : "without an answer");
		break;
	}
	if (verdict == HEALTH_HTTP_GOOD || verdict == HEALTH_HTTP_STATUS)
		finish_politely(s, verdict == HEALTH_HTTP_GOOD, why);
	else
		finish(s, PROBE_BAD, why);
}

/* ---- TLS ------------------------------------------------------------------------ */

static SSL_CTX *
make_context(bool verify)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (ctx == NULL)
		return NULL;
	(void)SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(
	    ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if (verify) {
		(void)SSL_CTX_set_default_verify_paths(ctx);
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	}
	return ctx;
}

/* The Host field without its port and brackets. */
static bool
host_name(const char *host, char name[static SERVER_NAME_LEN])
{
	const char *end;

	if (host[0] == '[') {
		host++;
		end = strchr(host, ']');
	} else {
		end = strrchr(host, ':');
	}
	if (end == NULL)
		end = host + strlen(host);
	if ((size_t)(end - host) >= SERVER_NAME_LEN)
		return false;
	memcpy(name, host, (size_t)(end - host));
	name[end - host] = '\0';
	return true;
}

/* The name asked for is also the one that the certificate must carry. */
static bool
set_name(SSL *ssl, const struct probe_job *job)
{
	char name[SERVER_NAME_LEN];
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	struct ip ip;

	if (job->check->host == NULL && job->unix_path != NULL)
		return SSL_set1_host(ssl, "localhost") == 1;
	if (job->check->host == NULL) {
		(void)ip_format(&job->at.ip, name);
		return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
	}
	if (!host_name(job->check->host, name))
		return false;
	if (ip_parse(&ip, name) == 0)
		return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
	return SSL_set_tlsext_host_name(ssl, name) == 1 &&
	       SSL_set1_host(ssl, name) == 1;
}

static bool
begin_tls(struct stream *s)
{
	bool verify = s->probe.job.check->verify;
	SSL_CTX **ctx = verify ? &s->env->tls_verify : &s->env->tls;

	if (*ctx == NULL)
		*ctx = make_context(verify);
	if (*ctx == NULL)
		return false;
	s->ssl = SSL_new(*ctx);
	if (s->ssl == NULL || SSL_set_fd(s->ssl, s->fd) != 1 ||
	    !set_name(s->ssl, &s->probe.job))
		return false;
	SSL_set_connect_state(s->ssl);
	return true;
}

/* Waits as the TLS call wants; otherwise ends the probe with what went wrong. */
static void
tls_wait_or_fail(struct stream *s, int ret)
{
	int saved = errno, code = SSL_get_error(s->ssl, ret);
	long verify = SSL_get_verify_result(s->ssl);
	const char *text = ERR_reason_error_string(ERR_peek_last_error());
	char why[HEALTH_WHY_LEN];

	if (code == SSL_ERROR_WANT_READ || code == SSL_ERROR_WANT_WRITE) {
		loop_rewatch(
		    s->watch, code == SSL_ERROR_WANT_READ ? LOOP_IN : LOOP_OUT);
		return;
	}
	if (s->stage == STAGE_RECEIVE && code == SSL_ERROR_ZERO_RETURN) {
		finish_verdict(s, health_http_end(&s->http));
		return;
	}
	if (verify != X509_V_OK && s->probe.job.check->verify) {
		(void)snprintf(why, sizeof(why), "certificate: %s",
		    X509_verify_cert_error_string(verify));
	} else if (code == SSL_ERROR_SYSCALL && saved != 0) {
		finish_errno(s, saved);
		return;
	} else if (text != NULL) {
		(void)snprintf(why, sizeof(why), "TLS: %s", text);
	} else {
		(void)snprintf(why, sizeof(why), "connection closed during TLS");
	}
	finish(s, PROBE_BAD, why);
}

/* ---- PROXY ---------------------------------------------------------------------- */

/* A connection of our own, for nobody (HAProxy's proxy-protocol.txt, 2.1 and 2.2): it
 * fits what a new connection takes at once. 0 or -errno. */
static int
send_proxy(const struct stream *s)
{
	static const char text[] = "PROXY UNKNOWN\r\n",
			  local[] = "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
	bool v1 = s->probe.job.send_proxy == 1;
	size_t len = (v1 ? sizeof(text) : sizeof(local)) - 1;
	ssize_t n = send(s->fd, v1 ? text : local, len, MSG_NOSIGNAL);

	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -ENOBUFS;
}

/* ---- steps: each returns true if the next one may be tried --------------------- */

static bool
step_connect(struct stream *s)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0)
		err = errno;
	if (err != 0) {
		finish_errno(s, err);
		return false;
	}
	s->probe.job.connected(
	    s->probe.job.arg, mono_sub(loop_clock(s->env->loop), s->begun));
	if (s->probe.job.send_proxy != 0)
		err = -send_proxy(s);
	if (err != 0) {
		finish_errno(s, err);
		return false;
	}
	if (s->probe.job.check->type == CHECK_TCP) {
		finish(s, PROBE_GOOD, "");
		return false;
	}
	s->stage = STAGE_SEND;
	if (s->probe.job.check->type == CHECK_HTTPS) {
		s->stage = STAGE_HANDSHAKE;
		if (!begin_tls(s)) {
			ERR_clear_error();
			finish(s, PROBE_VOID, "this host cannot set up TLS");
			return false;
		}
	}
	return true;
}

static bool
step_handshake(struct stream *s)
{
	int ret;

	ERR_clear_error();
	errno = 0;
	ret = SSL_do_handshake(s->ssl);
	if (ret == 1) {
		s->stage = STAGE_SEND;
		return true;
	}
	tls_wait_or_fail(s, ret);
	return false;
}

static bool
step_send(struct stream *s)
{
	const char *p = s->request.p + s->sent;
	size_t left = s->request.len - s->sent;
	ssize_t n;

	errno = 0;
	if (s->ssl != NULL) {
		ERR_clear_error();
		n = SSL_write(s->ssl, p, (int)left);
		if (n <= 0) {
			tls_wait_or_fail(s, (int)n);
			return false;
		}
	} else {
		n = send(s->fd, p, left, MSG_NOSIGNAL);
		if (n < 0) {
			if (errno != EAGAIN && errno != EINTR)
				finish_errno(s, errno);
			return false;
		}
	}
	s->sent += (size_t)n;
	if (s->sent == s->request.len) {
		s->stage = STAGE_RECEIVE;
		loop_rewatch(s->watch, LOOP_IN);
	}
	return true;
}

static bool
step_receive(struct stream *s)
{
	enum health_http_verdict v;
	char buf[READ_SIZE];
	ssize_t n;

	errno = 0;
	if (s->ssl != NULL) {
		ERR_clear_error();
		n = SSL_read(s->ssl, buf, sizeof(buf));
		if (n <= 0) {
			tls_wait_or_fail(s, (int)n);
			return false;
		}
	} else {
		n = read(s->fd, buf, sizeof(buf));
		if (n < 0) {
			if (errno != EAGAIN && errno != EINTR)
				finish_errno(s, errno);
			return false;
		}
	}
	v = n > 0 ? health_http_feed(&s->http, buf, (size_t)n)
		  : health_http_end(&s->http);
	if (v == HEALTH_HTTP_MORE)
		return true;
	finish_verdict(s, v);
	return false;
}

static void
on_ready(void *arg, unsigned events)
{
	static bool (*const step[])(struct stream *) = {
	    [STAGE_CONNECT] = step_connect,
	    [STAGE_HANDSHAKE] = step_handshake,
	    [STAGE_SEND] = step_send,
	    [STAGE_RECEIVE] = step_receive,
	    [STAGE_LINGER] = step_linger,
	};
	struct stream *s = arg;

	(void)events;
	for (unsigned i = 0; i < READS_MAX && step[s->stage](s); i++)
		;
}

/* ---- begin ---------------------------------------------------------------------- */

static void
write_request(struct sbuf *out, const struct probe_job *job)
{
	const struct check_conf *c = job->check;
	char at[IP_ENDPOINT_LEN];

	sbuf_init(out, REQUEST_MAX);
	sbuf_printf(out,
	    "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: nines-health\r\n"
	    "Accept: */*\r\nConnection: close\r\n\r\n",
	    c->method, c->path,
	    c->host != NULL	     ? c->host
	    : job->unix_path != NULL ? "localhost"
				     : ip_endpoint_format(&job->at, at));
}

static socklen_t
job_address(const struct probe_job *job, struct sockaddr_storage *ss)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};

	if (job->unix_path == NULL)
		return ip_to_sockaddr(&job->at, ss);
	memcpy(sun.sun_path, job->unix_path,
	    strnlen(job->unix_path, sizeof(sun.sun_path) - 1));
	memcpy(ss, &sun, sizeof(sun));
	return sizeof(sun);
}

/* False: this host has not that address. The port is connect()'s choice. */
static bool
bind_source(int fd, const struct ip *ip)
{
	const struct ip_endpoint at = {.ip = *ip};
	const int on = 1;
	struct sockaddr_storage ss;
	socklen_t len = ip_to_sockaddr(&at, &ss);

	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	return bind(fd, (const struct sockaddr *)&ss, len) == 0;
}

static int
open_stream(struct stream *s)
{
	struct sockaddr_storage ss;
	socklen_t len = job_address(&s->probe.job, &ss);

	s->fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return -errno;
	if (s->probe.job.source.family != 0 &&
	    !bind_source(s->fd, &s->probe.job.source))
		return -EADDRNOTAVAIL;
	s->begun = loop_clock(s->env->loop);
	if (connect(s->fd, (const struct sockaddr *)&ss, len) != 0 &&
	    errno != EINPROGRESS)
		return -errno;
	s->watch = loop_watch(s->env->loop, s->fd, LOOP_OUT, on_ready, s);
	return s->watch != NULL ? 0 : -ENOMEM;
}

static bool
too_long(const struct stream *s)
{
	const struct check_conf *c = s->probe.job.check;

	return s->request.bad ||
	       (c->body != NULL && strlen(c->body) > HEALTH_HTTP_TEXT_MAX);
}

struct probe *
probe_stream_begin(struct probe_env *env, const struct probe_job *job,
    enum probe_result *result, char why[static HEALTH_WHY_LEN])
{
	const struct check_conf *c = job->check;
	struct stream *s = calloc(1, sizeof(*s));
	int err;

	if (s == NULL) {
		*result = probe_error(ENOMEM, why);
		return NULL;
	}
	s->probe.job = *job;
	s->probe.abort = stream_abort;
	s->env = env;
	s->fd = -1;
	list_init(&s->link);
	if (c->type == CHECK_TCP)
		sbuf_init(&s->request, 0);
	else
		write_request(&s->request, job);
	if (c->type != CHECK_TCP && too_long(s)) {
		(void)snprintf(
		    why, HEALTH_WHY_LEN, "the check's path, host or body is too long");
		*result = PROBE_VOID;
		stream_free(s);
		return NULL;
	}
	if (c->type != CHECK_TCP)
		health_http_init(&s->http,
		    &(struct health_http_want){.status_min = c->status_min,
			.status_max = c->status_max,
			.text = c->body != NULL && c->body[0] != '\0' ? c->body : NULL,
			.head = strcmp(c->method, "HEAD") == 0});
	err = open_stream(s);
	if (err != 0) {
		*result = probe_error(-err, why);
		stream_free(s);
		return NULL;
	}
	return &s->probe;
}
