/* SPDX-License-Identifier: Apache-2.0 */
#include "config/switch.h"

#include <string.h>

#include "config/sections.h"

bool
switch_read(struct reader *r, const struct section *s, const struct yaml *node,
    void *base, const char *example)
{
	const struct yaml empty = {.kind = YAML_MAP,
	    .line = node->line,
	    .column = node->column,
	    .width = node->width,
	    .key = node->key};

	if (node->kind != YAML_SCALAR)
		return false;
	if (strcmp(node->text, "true") == 0)
		read_section(r, s, &empty, base);
	else if (strcmp(node->text, "false") != 0)
		diag_hint(reader_error(r, node, "bad-flag",
			      "\"%s\" is either true or false, or a mapping", s->what),
		    "%s", example);
	return true;
}

bool
switch_write(const struct section *s, const void *base, struct sbuf *out)
{
	for (size_t i = 0; i < s->n_keys; i++) {
		if (!key_is_preset(&s->key[i], base))
			return false;
	}
	sbuf_puts(out, "true");
	return true;
}
