/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema.h - the cluster file's language as tables.
 *
 * A section is a table of keys. The same rows drive the reader (reader.h), the
 * defaults, the diagnostics, the writer behind `nines config`, the JSON Schema and the
 * reference in the manual (writer.h, export.h), so that these never disagree. A key
 * says what may stand there (kind), where the value goes (offset into the section's C
 * struct) and what holds when the file is silent (preset). What no general kind can
 * express is a form: a reader and a writer of its own.
 *
 * Private to config/.
 */
#ifndef NINES_CONFIG_SCHEMA_H
#define NINES_CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sbuf.h"
#include "config/cluster.h"

struct reader;
struct yaml;
struct section;
struct key;

enum value_kind {
	VALUE_FLAG,	 /* bool: true, false */
	VALUE_COUNT,	 /* unsigned integer of any width, min..max */
	VALUE_PERCENT,	 /* unsigned integer: "50%", min..max */
	VALUE_DURATION,	 /* int64_t nanoseconds, min..max */
	VALUE_WORD,	 /* enum: one of `words` */
	VALUE_NAME,	 /* const char *: letters, digits, '-', '_', '.' */
	VALUE_TOKEN,	 /* const char *: an RFC 9110 token */
	VALUE_TEXT,	 /* const char *: printable */
	VALUE_TARGET,	 /* const char *: a path of a URL, with its query */
	VALUE_AUTHORITY, /* const char *: a Host field */
	VALUE_FILE,	 /* const char *: an absolute file name */
	VALUE_TEXTS,	 /* struct texts: one or a list of what `fault` allows */
	VALUE_PAIRS,	 /* struct pairs: a mapping from tokens to texts */
	VALUE_NETS,    /* struct nets: one or a list of prefixes, addresses, networks */
	VALUE_HOSTS,   /* an array: a list of hosts, as `hosts` says */
	VALUE_SECTION, /* a struct within: a mapping of `section` */
	VALUE_LIST,    /* an array: a list of `section` */
	VALUE_MAP,     /* an array: a mapping from names to `section` */
	VALUE_FORM,    /* whatever `form` reads */
	VALUE_LATER,   /* known to the language, not to this version */
};

/* A word of the language; `what` NULL: not available in this version. */
struct word {
	const char *name;
	unsigned value;
	const char *what;
};

struct form {
	/* Reports what is wrong itself. `base` is the section's struct. */
	void (*read)(struct reader *, const struct yaml *, void *base);
	/* The value in flow style; nothing if there is none. */
	void (*write)(const void *base, struct sbuf *out);
	const char *schema; /* what may stand here, as JSON Schema */
	const char *syntax; /* and for people */
};

/* The array behind VALUE_LIST and VALUE_MAP: elements start with their name, if any. */
struct many {
	const struct section *section;
	size_t size;	/* of an element */
	size_t count;	/* offset of the number of elements; `offset` of the key: of the
			   pointer */
	size_t place;	/* offset in an element of its struct place */
	size_t index;	/* offset in an element of its index; SIZE_MAX: has none */
	unsigned space; /* VALUE_MAP: the names' table, enum name_space */
	void (*complete)(struct reader *); /* when all of them are read; or NULL */
};

/* The array of `const struct host *` behind VALUE_HOSTS. */
struct hosts_rule {
	size_t count; /* offset of their number; `offset` of the key: of the array */
	size_t max;
	const char *one_to; /* "a VPN has": before "1 to MAX" ... */
	const char *what;   /* "gateways": ... and after it */
	const char *lonely; /* what to fear with only one; NULL: nothing, or none */
	/* NULL, or reports what is wrong with a host that is listed at `node`. */
	void (*look)(struct reader *r, const struct yaml *node, const struct host *h,
	    const void *base);
};

struct key {
	const char *name;
	enum value_kind kind;
	bool required;
	size_t offset, size; /* of the field */
	int64_t min, max;
	const char *preset; /* as the file would say it; NULL: none */
	const struct word *words;
	const struct section *section;
	const struct many *many;
	const struct form *form;
	const struct hosts_rule *hosts;
	const char *doc;
	/* VALUE_TEXT, _TEXTS, _PAIRS: what is wrong with a text (of a pair, with its
	 * value; `name` is NULL elsewhere); NULL: nothing, or not checked. */
	const char *(*fault)(const char *name, const char *text);
	/* The default where it depends on other keys (the section's finish() sets it).
	 */
	void (*derived)(const void *base, struct sbuf *out);
	const char *derived_doc;
	/* NULL: always. Where false, the key makes no sense beside the others. */
	bool (*applies)(const void *base);
};

struct section {
	const char *what; /* "service": for messages */
	const char *doc;
	const struct key *key;
	size_t n_keys;
	const char *shorthand; /* the key that a scalar or list stands for; or NULL */
	/* A scalar or list in place of the mapping; false: not understood. */
	bool (*scalar)(struct reader *, const struct yaml *, void *base);
	const char *scalar_schema, *scalar_syntax;
	/* Before and after the keys; `given` has bit i set if key[i] is in the file. */
	void (*begin)(struct reader *, const struct yaml *, void *base);
	void (*finish)(
	    struct reader *, const struct yaml *, void *base, uint64_t given);
	/* A key that is not in the table; reports what is wrong itself. */
	void (*other)(struct reader *, const struct yaml *, void *base);
	void (*write_other)(const void *base, struct sbuf *out, int indent);
	const char *other_schema, *other_syntax;
	/* What stands in place of a section that is not there ("" for nothing at all);
	 * NULL if it is there. */
	const char *(*absent)(const void *base);
	/* The shorthand for `base`, if it can be said that way. */
	bool (*brief)(const void *base, struct sbuf *out);
};

#define FIELD(type, member) \
	.offset = offsetof(type, member), .size = sizeof(((type *)NULL)->member)

#define HOSTS_FIELD(type, array, rule)                                          \
	.offset = offsetof(type, array), .size = sizeof(((type *)NULL)->array), \
	.hosts = (rule)

#define KEYS(table) .key = (table), .n_keys = ARRAY_LEN(table)

extern const struct section root_section;
extern const struct section network_section;
extern const struct section host_section;
extern const struct section floating_ip_section;
extern const struct section service_section;
extern const struct section vpn_section;
extern const struct section external_section;
extern const struct section database_section;
extern const struct section volume_section;
extern const struct section console_section;
extern const struct section service_check_section;
extern const struct section address_check_section;
extern const struct section gateway_section;
extern const struct section availability_section;

/* True if `s` may be a name. */
bool name_valid(const char *s);

/* Loads and stores a field of 1, 2, 4 or 8 bytes. */
uint64_t field_get(const void *base, const struct key *k);
void field_set(void *base, const struct key *k, uint64_t v);
const void *field_pointer(const void *base, size_t offset);

#endif /* NINES_CONFIG_SCHEMA_H */
