/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/web.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/rng.h"
#include "lab/probe.h"

#define PORTS_MAX   16
#define CLIENTS_MAX 1024 /* descriptors; those above are refused */
#define HEAD_MAX    2048

/* /download: many bytes at a time; /push: a message ten times a second. */
#define DOWNLOAD_STEP  ((size_t)8192)
#define DOWNLOAD_EVERY (50 * MS_NS)
#define PUSH_STEP      ((size_t)64)
#define PUSH_EVERY     (100 * MS_NS)
#define ENDLESS	       (UINT64_C(1) << 40) /* the length that is promised */

uint8_t
web_byte(uint64_t at)
{
	return (uint8_t)(rng_mix(at / 8) >> at % 8 * 8);
}

void
web_nginx_conf(
    const struct cluster *c, const struct host *h, const char *dir, struct sbuf *out)
{
	sbuf_printf(out,
	    "daemon off; master_process off; pid %s/nginx.pid;\n"
	    "error_log stderr warn; worker_rlimit_nofile 16384;\n"
	    "events { worker_connections 8192; }\n"
	    "http {\n access_log off; keepalive_requests 100000000;\n"
	    " keepalive_timeout 1h; default_type text/plain;\n"
	    " client_body_temp_path %s/b; proxy_temp_path %s/p; fastcgi_temp_path "
	    "%s/f;\n"
	    " uwsgi_temp_path %s/u; scgi_temp_path %s/s;\n server {\n",
	    dir, dir, dir, dir, dir, dir);
	for (size_t i = 0; i < c->n_services; i++) {
		const struct service *s = &c->service[i];

		for (size_t k = 0; k < s->n_servers; k++) {
			char text[IP_ENDPOINT_LEN];

			if (s->server[k].host == h)
				sbuf_printf(out, "  listen %s;\n",
				    ip_endpoint_format(&s->server[k].at, text));
		}
	}
	sbuf_printf(out,
	    "  if (-f %s/error) { return 500 \"broken on purpose\\n\"; }\n"
	    "  proxy_http_version 1.1; proxy_set_header Connection \"\";\n"
	    "  proxy_buffering off; proxy_read_timeout 1h;\n"
	    "  location = /download { proxy_pass http://" WEB_BACK "; }\n"
	    "  location = /push { proxy_pass http://" WEB_BACK "; }\n"
	    "  location = /write { proxy_pass http://" WEB_BACK "; }\n"
	    "  location = /health { return 200 \"%s is well\\n\"; }\n"
	    "  location / {\n"
	    "   if (-f %s/slow) { proxy_pass http://" WEB_BACK "; break; }\n"
	    "   return 200 \"%s id=$arg_id\\n\";\n  }\n }\n}\n",
	    dir, h->name, dir, h->name);
}

struct client {
	size_t len;
	char head[HEAD_MAX];
	bool late;   /* the head is to be answered at `due` */
	size_t step; /* bytes at a time of an endless body; 0: no such */
	int64_t every_ns;
	mono_t due;
	uint64_t at; /* of the endless body, what is sent */
};

struct web {
	const char *name, *dir;
	int ep, n_listen, listen[PORTS_MAX];
	int journal;	       /* open for appending */
	struct client *client; /* by descriptor */
};

static int
open_port(const char *text)
{
	struct ip_endpoint e = {.ip = {.family = AF_INET}};
	unsigned long port = strtoul(text, NULL, 10);
	static const int one = 1;
	struct sockaddr_storage ss;
	socklen_t len;
	int fd;

	if (ip_endpoint_parse(&e, text) != 0) {
		if (port == 0 || port > UINT16_MAX)
			return -EINVAL;
		e.port = (uint16_t)port;
	}
	len = ip_to_sockaddr(&e, &ss);
	fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (const struct sockaddr *)&ss, len) != 0 || listen(fd, 4096) != 0) {
		int err = -errno;

		(void)close(fd);
		return err;
	}
	return fd;
}

static int
open_journal(const char *dir)
{
	char path[256];
	int fd;

	if (snprintf(path, sizeof(path), "%s/" WEB_JOURNAL, dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	return fd >= 0 ? fd : -errno;
}

static void
welcome(struct web *w, int listener)
{
	struct epoll_event e = {.events = EPOLLIN};
	int fd;

	while (
	    (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		e.data.fd = fd;
		if (fd >= CLIENTS_MAX || epoll_ctl(w->ep, EPOLL_CTL_ADD, fd, &e) != 0) {
			(void)close(fd);
			continue;
		}
		w->client[fd] = (struct client){.len = 0};
	}
}

static void
part_with(const struct web *w, int fd)
{
	w->client[fd] = (struct client){.len = 0};
	(void)close(fd);
}

static bool
is_on(const struct web *w, const char *mode)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", w->dir, mode);
	return access(path, F_OK) == 0;
}

/* The head of a body that does not end; the rest comes in its rhythm. */
static bool
begin(struct client *c, int fd, bool push)
{
	char text[160];
	int n = snprintf(text, sizeof(text),
	    "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
	    "Content-Length: %" PRIu64 "\r\n\r\n",
	    ENDLESS);

	c->step = push ? PUSH_STEP : DOWNLOAD_STEP;
	c->every_ns = push ? PUSH_EVERY : DOWNLOAD_EVERY;
	c->due = probe_clock();
	c->at = 0;
	return send(fd, text, (size_t)n, MSG_NOSIGNAL) == n;
}

/* The number of the request; 0: it has none. */
static uint64_t
number_of(const char *head)
{
	const char *id = strstr(head, "id=");

	return id != NULL ? (uint64_t)strtoull(id + 3, NULL, 10) : 0;
}

/*
 * Into the journal, at once and as a whole line. A body that is not the one that
 * belongs to this head was mixed up on the way, and is refused.
 */
static const char *
take_write(const struct web *w, const char *head, const char *body)
{
	char line[32];
	int n = snprintf(line, sizeof(line), "%" PRIu64 "\n", number_of(head));

	if (strncmp(body, line, (size_t)n) != 0)
		return "400 Bad Request";
	return write(w->journal, line, (size_t)n) == n ? "200 OK"
						       : "507 Insufficient Storage";
}

/* Answers a request; false: the connection ends. */
static bool
answer(const struct web *w, int fd, const char *head, const char *body_of)
{
	const char *status = "200 OK";
	bool keep = strcasestr(head, "\nconnection: close") == NULL &&
		    strstr(head, " HTTP/1.0\r\n") == NULL;
	char body[160], text[512];
	int n;

	if (is_on(w, "error"))
		status = "500 Internal Server Error";
	else if (strncmp(head, "GET /download", 13) == 0)
		return begin(&w->client[fd], fd, false);
	else if (strncmp(head, "GET /push", 9) == 0)
		return begin(&w->client[fd], fd, true);
	else if (strncmp(head, "POST /write", 11) == 0)
		status = take_write(w, head, body_of);
	(void)snprintf(
	    body, sizeof(body), "%s id=%" PRIu64 "\n", w->name, number_of(head));
	n = snprintf(text, sizeof(text),
	    "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: "
	    "%zu\r\n%s\r\n%s",
	    status, strlen(body), keep ? "" : "Connection: close\r\n",
	    strncmp(head, "HEAD ", 5) == 0 ? "" : body);
	return send(fd, text, (size_t)n, MSG_NOSIGNAL) == n && keep;
}

/* What follows the head that ends at `end`. */
static size_t
body_length(const char *head, const char *end)
{
	const char *field = strcasestr(head, "\ncontent-length:");

	if (field == NULL || field > end)
		return 0;
	return (size_t)strtoul(field + sizeof("\ncontent-length:") - 1, NULL, 10);
}

/* Answers every request that is there, or puts that off. False: the end. */
static bool
serve(const struct web *w, int fd)
{
	struct client *c = &w->client[fd];
	char *head = c->head, *end;

	while ((end = strstr(head, "\r\n\r\n")) != NULL) {
		size_t used = (size_t)(end + 4 - head), body = body_length(head, end);

		if (body > HEAD_MAX - 1 - used)
			return false;
		used += body;
		if (c->len < used)
			return true; /* the rest is on its way */
		if (!c->late && is_on(w, "slow")) {
			c->late = true;
			c->due = mono_add(probe_clock(), WEB_SLOW_NS);
			return true;
		}
		c->late = false;
		end[2] = '\0';
		if (!answer(w, fd, head, end + 4))
			return false;
		(void)memmove(head, head + used, c->len - used + 1);
		c->len -= used;
	}
	return c->len < HEAD_MAX - 1;
}

/* False: the connection ends. */
static bool
hear(const struct web *w, int fd)
{
	struct client *c = &w->client[fd];
	ssize_t n = recv(fd, c->head + c->len, HEAD_MAX - 1 - c->len, 0);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return false;
	c->len += (size_t)n;
	c->head[c->len] = '\0';
	return c->late || serve(w, fd);
}

/* What does not fit now is sent later: the reader is slow, not the writer. */
static bool
send_more(struct client *c, int fd)
{
	uint8_t text[DOWNLOAD_STEP];
	ssize_t n;

	for (size_t i = 0; i < c->step; i++)
		text[i] = web_byte(c->at + i);
	n = send(fd, text, c->step, MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	c->at += (uint64_t)n;
	return true;
}

/* What time alone brings about; the time until more of it, in ms. */
static int
tick(const struct web *w)
{
	mono_t now = probe_clock(), next = MONO_NEVER;
	int64_t wait;

	for (int fd = 0; fd < CLIENTS_MAX; fd++) {
		struct client *c = &w->client[fd];
		bool go_on = true;

		if (!c->late && c->step == 0)
			continue;
		if (mono_before(now, c->due)) {
			next = mono_min(next, c->due);
			continue;
		}
		if (c->late) {
			go_on = serve(w, fd);
		} else {
			go_on = send_more(c, fd);
			c->due = mono_add(now, c->every_ns);
		}
		if (!go_on)
			part_with(w, fd);
		else
			next = mono_min(next, c->due);
	}
	if (mono_is_never(next))
		return -1;
	wait = mono_sub(next, now);
	return wait <= 0 ? 0 : (int)(wait / MS_NS) + 1;
}

static bool
is_listener(const struct web *w, int fd)
{
	for (int i = 0; i < w->n_listen; i++) {
		if (w->listen[i] == fd)
			return true;
	}
	return false;
}

int
web_main(int argc, char **argv)
{
	struct web w = {.ep = epoll_create1(EPOLL_CLOEXEC)};
	struct epoll_event ev[64];

	if (argc < 4 || argc - 3 > PORTS_MAX || w.ep < 0)
		return 2;
	w.name = argv[1];
	w.dir = argv[2];
	w.client = calloc(CLIENTS_MAX, sizeof(*w.client));
	if (w.client == NULL)
		return 1;
	w.journal = open_journal(w.dir);
	if (w.journal < 0) {
		(void)fprintf(
		    stderr, "%s/" WEB_JOURNAL ": %s\n", w.dir, strerror(-w.journal));
		free(w.client);
		return 1;
	}
	for (int i = 3; i < argc; i++) {
		int fd = open_port(argv[i]);

		ev[0] = (struct epoll_event){.events = EPOLLIN, .data.fd = fd};
		if (fd < 0 || epoll_ctl(w.ep, EPOLL_CTL_ADD, fd, ev) != 0) {
			(void)fprintf(stderr, "port %s: %s\n", argv[i], strerror(-fd));
			free(w.client);
			return 1;
		}
		w.listen[w.n_listen++] = fd;
	}
	for (;;) {
		int n = epoll_wait(w.ep, ev, (int)ARRAY_LEN(ev), tick(&w));

		for (int i = 0; i < n; i++) {
			int fd = ev[i].data.fd;

			if (is_listener(&w, fd))
				welcome(&w, fd);
			else if (!hear(&w, fd))
				part_with(&w, fd);
		}
	}
}
