/* SPDX-License-Identifier: Apache-2.0 */
#include "health/health_agent_wire.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#define PERCENT_DIGITS 4

struct word {
	const char *p;
	size_t len;
};

void
health_agent_init(struct health_agent *a)
{
	*a = (struct health_agent){.percent = 100};
}

static bool
ends_line(char c)
{
	return c == '\n' || c == '\r' || c == '\0';
}

static bool
separates(char c)
{
	return c == ' ' || c == '\t' || c == ',';
}

bool
health_agent_whole(const char *p, size_t len)
{
	return memchr(p, '\n', len) != NULL;
}

static bool
is(const struct word *w, const char *text)
{
	return w->len == strlen(text) && strncasecmp(w->p, text, w->len) == 0;
}

/* "75%", also "75.5%": whole percents are enough. */
static bool
take_percent(struct health_agent *a, const struct word *w)
{
	unsigned n = 0;
	size_t i = 0;

	for (; i < w->len && i < PERCENT_DIGITS && w->p[i] >= '0' && w->p[i] <= '9';
	     i++)
		n = n * 10 + (unsigned)(w->p[i] - '0');
	if (i == 0)
		return false;
	if (i < w->len && w->p[i] == '.') {
		for (i++; i < w->len && w->p[i] >= '0' && w->p[i] <= '9'; i++)
			;
	}
	if (i + 1 != w->len || w->p[i] != '%')
		return false;
	a->percent = n < 100 ? n : 100;
	return true;
}

static bool
take_word(struct health_agent *a, const struct word *w)
{
	if (is(w, "ready"))
		a->order = AGENT_READY;
	else if (is(w, "drain"))
		a->order = AGENT_DRAIN;
	else if (is(w, "maint"))
		a->order = AGENT_MAINT;
	else if (is(w, "up"))
		a->down = false;
	else if (is(w, "down") || is(w, "stopped") || is(w, "fail") || is(w, "failed"))
		a->down = true;
	else
		return take_percent(a, w);
	return true;
}

static void
take_why(struct health_agent *a, const char *p, size_t len)
{
	size_t n = 0;

	while (len > 0 && separates(*p)) {
		p++;
		len--;
	}
	for (size_t i = 0; i < len && n < sizeof(a->why) - 1; i++)
		a->why[n++] = p[i] >= ' ' && p[i] <= '~' && p[i] != '"' ? p[i] : '.';
	a->why[n] = '\0';
}

int
health_agent_decode(struct health_agent *a, const char *p, size_t len)
{
	struct health_agent new = *a;
	bool known = false;
	size_t i = 0, line = 0;

	while (line < len && !ends_line(p[line]))
		line++;
	new.why[0] = '\0';
	while (i < line && p[i] != '#') {
		struct word w = {p + i, 0};

		while (i < line && p[i] != '#' && !separates(p[i]))
			i++;
		w.len = (size_t)(p + i - w.p);
		known |= w.len > 0 && take_word(&new, &w);
		while (i < line && separates(p[i]))
			i++;
	}
	if (!known)
		return -EBADMSG;
	if (i < line)
		take_why(&new, p + i + 1, line - i - 1);
	*a = new;
	return 0;
}
