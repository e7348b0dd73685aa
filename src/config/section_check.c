/* SPDX-License-Identifier: Apache-2.0 */
/*
 * section_check.c - `check`: how to find out whether something serves.
 */
#include <errno.h>
#include <string.h>

#include "base/mono.h"
#include "config/reader.h"
#include "config/sections.h"
#include "config/units.h"

/* ---- which type of check a key belongs to -------------------------------------- */

static bool
is_http(const void *base)
{
	const struct check_conf *c = base;

	return c->type == CHECK_HTTP || c->type == CHECK_HTTPS;
}

static bool
is_https(const void *base)
{
	const struct check_conf *c = base;

	return c->type == CHECK_HTTPS;
}

static bool
is_tcp(const void *base)
{
	const struct check_conf *c = base;

	return c->type == CHECK_TCP;
}

static bool
is_exec(const void *base)
{
	const struct check_conf *c = base;

	return c->type == CHECK_EXEC;
}

static bool
is_ping(const void *base)
{
	const struct check_conf *c = base;

	return c->type == CHECK_PING;
}

static bool
has_port(const void *base)
{
	return is_tcp(base) || is_http(base);
}

/* ---- tcp, https ---------------------------------------------------------------- */

static void
read_type_flag(struct reader *r, const struct yaml *node, struct check_conf *c,
    const char *name, enum check_type type)
{
	if (!want_scalar(r, node, "true or false"))
		return;
	if (strcmp(node->text, "true") == 0)
		c->type = type;
	else if (strcmp(node->text, "false") != 0)
		(void)reader_error(
		    r, node, "bad-flag", "\"%s\" is either true or false", name);
}

static void
read_tcp(struct reader *r, const struct yaml *node, void *base)
{
	read_type_flag(r, node, base, "tcp", CHECK_TCP);
}

static void
read_https(struct reader *r, const struct yaml *node, void *base)
{
	read_type_flag(r, node, base, "https", CHECK_HTTPS);
}

static void
write_true(const void *base, struct sbuf *out)
{
	(void)base;
	sbuf_puts(out, "true");
}

static const struct form tcp_form = {
    .read = read_tcp,
    .write = write_true,
    .schema = "{\"type\":\"boolean\"}",
    .syntax = "true",
};

static const struct form https_form = {
    .read = read_https,
    .write = write_true,
    .schema = "{\"type\":\"boolean\"}",
    .syntax = "true",
};

/* ---- status -------------------------------------------------------------------- */

static bool
read_code(const char *s, size_t len, unsigned *code)
{
	if (len != 3 || s[0] < '1' || s[0] > '5')
		return false;
	for (size_t i = 1; i < 3; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
	}
	*code = (unsigned)(s[0] - '0') * 100 + (unsigned)(s[1] - '0') * 10 +
		(unsigned)(s[2] - '0');
	return true;
}

static void
read_status(struct reader *r, const struct yaml *node, void *base)
{
	struct check_conf *c = base;
	const char *dash;
	size_t len;

	if (!want_scalar(r, node, "a status such as 200 or 200-399"))
		return;
	dash = strchr(node->text, '-');
	len = dash != NULL ? (size_t)(dash - node->text) : strlen(node->text);
	if (read_code(node->text, len, &c->status_min)) {
		c->status_max = c->status_min;
		if (dash == NULL ||
		    (read_code(dash + 1, strlen(dash + 1), &c->status_max) &&
			c->status_min <= c->status_max))
			return;
	}
	(void)reader_error(r, node, "bad-status",
	    "\"status\" takes a status code or a range, such as 200 or 200-399");
}

static void
write_status(const void *base, struct sbuf *out)
{
	const struct check_conf *c = base;

	sbuf_printf(out, "%u", c->status_min);
	if (c->status_max != c->status_min)
		sbuf_printf(out, "-%u", c->status_max);
}

static const struct form status_form = {
    .read = read_status,
    .write = write_status,
    .schema = "{\"type\":[\"string\",\"integer\"],"
	      "\"pattern\":\"^[1-5][0-9][0-9](-[1-5][0-9][0-9])?$\","
	      "\"minimum\":100,\"maximum\":599}",
    .syntax = "CODE or LOWEST-HIGHEST",
};

/* ---- exec ---------------------------------------------------------------------- */

/* Splits `s` at blanks into at most `max` words; returns how many there are. */
static size_t
split(struct arena *a, const char *s, const char **word, size_t max)
{
	size_t n = 0;

	for (;;) {
		size_t len;

		s += strspn(s, " \t");
		len = strcspn(s, " \t");
		if (len == 0)
			return n;
		if (n < max)
			word[n] = arena_strndup(a, s, len);
		n++;
		s += len;
	}
}

static void
read_exec(struct reader *r, const struct yaml *node, void *base)
{
	struct check_conf *c = base;
	size_t n;
	const struct yaml *item = yaml_items(node, &n);
	const char **argv;

	c->type = CHECK_EXEC;
	if (node->kind == YAML_SCALAR)
		n = split(r->scratch, node->text, NULL, 0);
	argv = arena_array(r->arena, n + 1, sizeof(*argv));
	if (argv == NULL)
		return;
	if (node->kind == YAML_SCALAR)
		(void)split(r->arena, node->text, argv, n);
	for (size_t i = 0; i < n && node->kind != YAML_SCALAR; i++) {
		if (!want_scalar(r, item, "a program or an argument"))
			return;
		argv[i] = arena_strndup(r->arena, item->text, strlen(item->text));
		item = item->next;
	}
	if (n == 0 || (argv[0] != NULL && argv[0][0] != '/')) {
		diag_hint(reader_error(r, node, "bad-program",
			      "\"exec\" takes the absolute name of a program"),
		    "such as /usr/local/bin/check");
		return;
	}
	c->exec = argv;
	c->n_exec = n;
}

static void
write_exec(const void *base, struct sbuf *out)
{
	const struct check_conf *c = base;

	for (size_t i = 0; i < c->n_exec; i++) {
		sbuf_puts(out, i > 0 ? ", " : "[");
		write_text(out, c->exec[i]);
	}
	sbuf_puts(out, "]");
}

static const struct form exec_form = {
    .read = read_exec,
    .write = write_exec,
    .schema = "{\"anyOf\":[{\"type\":\"string\",\"pattern\":\"^/\"},"
	      "{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"minItems\":1}]}",
    .syntax = "PROGRAM or [PROGRAM, ARGUMENT, ...]",
};

/* ---- ping ---------------------------------------------------------------------- */

static void
read_ping(struct reader *r, const struct yaml *node, void *base)
{
	struct check_conf *c = base;

	c->type = CHECK_PING;
	(void)read_address(r, node, &c->ping);
}

static void
write_ping(const void *base, struct sbuf *out)
{
	const struct check_conf *c = base;
	char text[IP_STR_LEN];

	write_text(out, ip_format(&c->ping, text));
}

static const struct form ping_form = {
    .read = read_ping,
    .write = write_ping,
    .schema = "{\"$ref\":\"#/$defs/address\"}",
    .syntax = "ADDRESS",
};

/* ---- the section --------------------------------------------------------------- */

/* The rows up to here decide the type of a mapping that does not name it. */
enum {
	KEY_TCP,
	KEY_HTTPS,
	KEY_PATH,
	KEY_HOST,
	KEY_METHOD,
	KEY_STATUS,
	KEY_BODY,
	KEY_VERIFY
};

#define HTTP_KEYS                                                                \
	(1U << KEY_PATH | 1U << KEY_HOST | 1U << KEY_METHOD | 1U << KEY_STATUS | \
	    1U << KEY_BODY)

/* What nobody need write: where `path` alone makes the check one over HTTP, nothing. */
static void
derive_path(const void *base, struct sbuf *out)
{
	const struct check_conf *c = base;

	sbuf_puts(out, c->type == CHECK_HTTP ? "" : "/");
}

static const struct key check_key[] = {
    [KEY_TCP] =
	{
	    .name = "tcp",
	    .kind = VALUE_FORM,
	    .form = &tcp_form,
	    .doc = "Connecting is enough. `check: tcp` says just that.",
	    .applies = is_tcp,
	},
    [KEY_HTTPS] =
	{
	    .name = "https",
	    .kind = VALUE_FORM,
	    .form = &https_form,
	    .doc = "Ask over TLS.",
	    .applies = is_https,
	},
    [KEY_PATH] =
	{
	    .name = "path",
	    .kind = VALUE_TARGET,
	    FIELD(struct check_conf, path),
	    .preset = "/",
	    .derived = derive_path,
	    .doc = "What to ask for over HTTP.",
	    .applies = is_http,
	},
    [KEY_HOST] =
	{
	    .name = "host",
	    .kind = VALUE_AUTHORITY,
	    FIELD(struct check_conf, host),
	    .doc =
		"Host field of the request; the address and port asked unless given.",
	    .applies = is_http,
	},
    [KEY_METHOD] =
	{
	    .name = "method",
	    .kind = VALUE_TOKEN,
	    FIELD(struct check_conf, method),
	    .preset = "GET",
	    .doc = "Method of the request.",
	    .applies = is_http,
	},
    [KEY_STATUS] =
	{
	    .name = "status",
	    .kind = VALUE_FORM,
	    .preset = "200-399",
	    .form = &status_form,
	    .doc = "Status of a healthy answer.",
	    .applies = is_http,
	},
    [KEY_BODY] =
	{
	    .name = "body",
	    .kind = VALUE_TEXT,
	    FIELD(struct check_conf, body),
	    .doc = "Text that must occur in a healthy answer.",
	    .applies = is_http,
	},
    [KEY_VERIFY] =
	{
	    .name = "verify",
	    .kind = VALUE_FLAG,
	    FIELD(struct check_conf, verify),
	    .preset = "false",
	    .doc = "Verify the certificate against the system's authorities.",
	    .applies = is_https,
	},
    {
	.name = "exec",
	.kind = VALUE_FORM,
	.form = &exec_form,
	.doc = "Program to run, without a shell; exit status 0 is healthy. A single "
	       "text is split at its blanks.",
	.applies = is_exec,
    },
    {
	.name = "ping",
	.kind = VALUE_FORM,
	.form = &ping_form,
	.doc = "Address that must answer an ICMP echo.",
	.applies = is_ping,
    },
    {
	.name = "port",
	.kind = VALUE_COUNT,
	FIELD(struct check_conf, port),
	.min = 1,
	.max = 65535,
	.doc = "Port to ask, where it is not the server's own.",
	.applies = has_port,
    },
    {
	.name = "every",
	.kind = VALUE_DURATION,
	FIELD(struct check_conf, every_ns),
	.min = 10 * MS_NS,
	.max = 3600 * SEC_NS,
	.preset = "1s",
	.doc = "Interval between two checks.",
    },
    {
	.name = "timeout",
	.kind = VALUE_DURATION,
	FIELD(struct check_conf, timeout_ns),
	.min = MS_NS,
	.max = 3600 * SEC_NS,
	.preset = "1s",
	.doc = "How long an answer may take.",
    },
    {
	.name = "fall",
	.kind = VALUE_COUNT,
	FIELD(struct check_conf, fall),
	.min = 1,
	.max = 100,
	.preset = "3",
	.doc = "Failures in a row that make it unhealthy.",
    },
    {
	.name = "rise",
	.kind = VALUE_COUNT,
	FIELD(struct check_conf, rise),
	.min = 1,
	.max = 100,
	.preset = "2",
	.doc = "Successes in a row that make it healthy again.",
    },
};

static const char *
type_name(enum check_type type)
{
	static const char *const name[] = {
	    [CHECK_NONE] = "without a check",
	    [CHECK_TCP] = "in a tcp check",
	    [CHECK_HTTP] = "in an http check",
	    [CHECK_HTTPS] = "in an https check",
	    [CHECK_EXEC] = "in an exec check",
	    [CHECK_PING] = "in a ping check",
	};

	return name[type];
}

static void
finish_check(struct reader *r, const struct yaml *node, void *base, uint64_t given)
{
	struct check_conf *c = base;

	if (c->type == CHECK_NONE)
		c->type = (given & HTTP_KEYS) != 0 ? CHECK_HTTP : CHECK_TCP;
	check_applies(r, &service_check_section, node, c, type_name(c->type));
}

static void
finish_address_check(
    struct reader *r, const struct yaml *node, void *base, uint64_t given)
{
	struct check_conf *c = base;

	finish_check(r, node, base, given);
	if (c->type == CHECK_TCP && yaml_get(node, "port") == NULL)
		(void)reader_error(r, node->key, "missing-key",
		    "the tcp check of a floating IP needs a \"port\"");
	else if (c->port == 0 && c->type == CHECK_HTTP)
		c->port = 80;
	else if (c->port == 0 && c->type == CHECK_HTTPS)
		c->port = 443;
}

/* Reads `{name: value}` in place of the scalar `node`. */
static void
read_single(struct reader *r, const struct section *s, const struct yaml *node,
    const char *name, const char *value, struct check_conf *c)
{
	struct yaml inner = *node, key = *node, map = *node;

	key.text = name;
	inner.text = value;
	inner.key = &key;
	inner.next = NULL;
	map.kind = YAML_MAP;
	map.first = &inner;
	map.n = 1;
	read_section(r, s, &map, c);
}

/* `tcp`, `none` and `/path`. */
static bool
scalar_check(struct reader *r, const struct yaml *node, void *base)
{
	const struct section *s = &service_check_section;
	struct check_conf *c = base;

	if (node->kind != YAML_SCALAR)
		return false;
	if (strcmp(node->text, "tcp") == 0) {
		read_single(r, s, node, "tcp", "true", c);
	} else if (strcmp(node->text, "none") == 0) {
		read_single(r, s, node, "tcp", "true", c);
		c->type = CHECK_NONE;
	} else if (node->text[0] == '/') {
		read_single(r, s, node, "path", node->text, c);
	} else {
		diag_hint(reader_error(r, node, "bad-word", "no check called \"%.64s\"",
			      node->text),
		    "tcp, none, a path such as /health, or a mapping");
	}
	return true;
}

/* Only `/path`: a floating IP has no port of its own to connect to. */
static bool
scalar_address_check(struct reader *r, const struct yaml *node, void *base)
{
	if (node->kind != YAML_SCALAR || node->text[0] != '/')
		return false;
	read_single(r, &address_check_section, node, "path", node->text, base);
	return true;
}

/* Whether everything but type and path is as it would be anyway. */
static bool
brief_check(const void *base, struct sbuf *out)
{
	const struct check_conf *c = base;

	if (c->type != CHECK_TCP && c->type != CHECK_HTTP)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(check_key); i++) {
		if (i != KEY_TCP && i != KEY_PATH && !key_is_preset(&check_key[i], c))
			return false;
	}
	if (c->type == CHECK_TCP)
		sbuf_puts(out, "tcp");
	else
		write_text(out, c->path);
	return true;
}

static const char *
absent_check(const void *base)
{
	const struct check_conf *c = base;

	return c->type == CHECK_NONE ? "none" : NULL;
}

const struct section service_check_section = {
    .what = "check",
    .doc = "How to tell whether a server is healthy. `tcp`: it accepts connections; a "
	   "path: it answers a GET of it with a status of 200 to 399; `none`: it "
	   "always is.",
    KEYS(check_key),
    .scalar = scalar_check,
    .scalar_schema = "{\"type\":\"string\",\"pattern\":\"^(tcp|none|/.*)$\"}",
    .scalar_syntax = "tcp, none or PATH",
    .finish = finish_check,
    .absent = absent_check,
    .brief = brief_check,
};

static const char *
absent_address_check(const void *base)
{
	const struct check_conf *c = base;

	return c->type == CHECK_NONE ? "" : NULL;
}

const struct section address_check_section = {
    .what = "check",
    .doc = "How a host tells that it should have the address. Of the host itself, "
	   "unless `ping` or `exec` ask for something else.",
    KEYS(check_key),
    .scalar = scalar_address_check,
    .scalar_schema = "{\"type\":\"string\",\"pattern\":\"^/\"}",
    .scalar_syntax = "PATH",
    .finish = finish_address_check,
    .absent = absent_address_check,
};
