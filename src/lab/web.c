/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/web.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORTS_MAX   16
#define CLIENTS_MAX 1024 /* descriptors; those above are refused */
#define HEAD_MAX    2048

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
	    "  location = /health { return 200 \"%s is well\\n\"; }\n"
	    "  location / { return 200 \"%s id=$arg_id\\n\"; }\n }\n}\n",
	    dir, h->name, h->name);
}

struct web {
	const char *name, *dir;
	int ep, n_listen, listen[PORTS_MAX];
	struct {
		size_t len;
		char head[HEAD_MAX];
	} * client; /* by descriptor */
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

	if (port == 0 || port > UINT16_MAX)
		return -EINVAL;
	e.port = (uint16_t)port;
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
		w->client[fd].len = 0;
	}
}

/* Answers the request whose head is `head`; false: the connection ends. */
static bool
answer(const struct web *w, int fd, const char *head)
{
	const char *id = strstr(head, "id="), *status = "200 OK";
	bool keep = strcasestr(head, "\nconnection: close") == NULL &&
		    strstr(head, " HTTP/1.0\r\n") == NULL;
	char path[256], body[160], text[512];
	int n;

	(void)snprintf(path, sizeof(path), "%s/error", w->dir);
	(void)snprintf(body, sizeof(body), "%s id=%" PRIu64 "\n", w->name,
	    id != NULL ? (uint64_t)strtoull(id + 3, NULL, 10) : 0);
	if (access(path, F_OK) == 0)
		status = "500 Internal Server Error";
	n = snprintf(text, sizeof(text),
	    "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: "
	    "%zu\r\n%s\r\n%s",
	    status, strlen(body), keep ? "" : "Connection: close\r\n",
	    strncmp(head, "HEAD ", 5) == 0 ? "" : body);
	return send(fd, text, (size_t)n, MSG_NOSIGNAL) == n && keep;
}

/* False: the connection ends. */
static bool
hear(struct web *w, int fd)
{
	char *head = w->client[fd].head, *end;
	size_t *len = &w->client[fd].len;
	ssize_t n = recv(fd, head + *len, HEAD_MAX - 1 - *len, 0);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return false;
	*len += (size_t)n;
	head[*len] = '\0';
	while ((end = strstr(head, "\r\n\r\n")) != NULL) {
		size_t used = (size_t)(end + 4 - head);

		end[2] = '\0';
		if (!answer(w, fd, head))
			return false;
		(void)memmove(head, head + used, *len - used + 1);
		*len -= used;
	}
	return *len < HEAD_MAX - 1;
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
		int n = epoll_wait(w.ep, ev, (int)ARRAY_LEN(ev), -1);

		for (int i = 0; i < n; i++) {
			int fd = ev[i].data.fd;

			if (is_listener(&w, fd))
				welcome(&w, fd);
			else if (!hear(&w, fd))
				(void)close(fd);
		}
	}
}
