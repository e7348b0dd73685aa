/* SPDX-License-Identifier: Apache-2.0 */
/*
 * section_volume.c - `volumes`: block devices with a copy on each of several hosts.
 */
#include "config/host_list.h"
#include "config/reader.h"
#include "config/replicated.h"
#include "config/sections.h"
#include "config/units.h"

#define SIZE_MIN  (INT64_C(1) << 20)
#define SIZE_MOST (INT64_C(1) << 50)

static const struct hosts_rule hosts_rule = {
    .count = offsetof(struct volume, of.n_hosts),
    .max = VOLUME_HOSTS_MAX,
    .one_to = "a volume has",
    .what = "hosts",
};

static const struct word protocol_word[] = {
    {"C", PROTOCOL_C, "a write is done when it is on the disk of each"},
    {"B", PROTOCOL_B, "when it is on one disk and in the memory of the others"},
    {"A", PROTOCOL_A, "when it is on one disk and on its way to the others"},
    {0},
};

static void
read_size(struct reader *r, const struct yaml *node, void *base)
{
	struct volume *v = base;
	int64_t bytes;

	if (!want_scalar(r, node, "a size such as 10GiB"))
		return;
	if (size_parse(&bytes, node->text) != 0)
		diag_hint(reader_error(r, node, "bad-number",
			      "\"size\" takes a size with its unit"),
		    "such as 500MiB, 10GiB");
	else if (bytes < SIZE_MIN || bytes > SIZE_MOST)
		(void)reader_error(
		    r, node, "out-of-range", "\"size\" is 1MiB to 1048576GiB");
	else
		v->size = (uint64_t)bytes;
}

static void
write_size(const void *base, struct sbuf *out)
{
	const struct volume *v = base;
	char text[UNITS_LEN];

	sbuf_puts(out, size_format((int64_t)v->size, text));
}

static const struct form size_form = {
    .read = read_size,
    .write = write_size,
    .schema = "{\"type\":\"string\",\"pattern\":\"^[0-9]+([KMG]i?)?B$\"}",
    .syntax = "a size such as 10GiB",
};

static const struct key volume_key[] = {
    {
	.name = "size",
	.kind = VALUE_FORM,
	.required = true,
	.form = &size_form,
	.doc = "Of the device; each host needs as much.",
    },
    {
	.name = "hosts",
	.kind = VALUE_HOSTS,
	.required = true,
	HOSTS_FIELD(struct volume, of.host, &hosts_rule),
	.doc = "Two or three hosts with a copy each. It is used on one at a time.",
    },
    {
	.name = "protocol",
	.kind = VALUE_WORD,
	FIELD(struct volume, protocol),
	.preset = "C",
	.words = protocol_word,
	.doc = "When a write is done.",
    },
    REPLICATED_KEYS("The network between its hosts.",
	"The services that end without it. Without: all of them.",
	"Single failures after which it can be used again, for `nines spof`."),
};

static void
finish_volume(struct reader *r, const struct yaml *node, void *base, uint64_t given)
{
	struct volume *v = base;
	const struct yaml *hosts = yaml_get(node, "hosts");
	size_t listed = 0;

	(void)given;
	if (hosts != NULL)
		(void)yaml_items(hosts, &listed);
	if (listed == 1)
		diag_hint(reader_error(r, hosts, "out-of-range",
			      "volume \"%s\" has one host: there is no second copy",
			      v->of.name),
		    "list two or three hosts");
	replicated_finish(r, node, "volume", &v->of);
}

const struct section volume_section = {
    .what = "volume",
    .doc = "A block device with a copy on each of its hosts: for `nines spof`.",
    KEYS(volume_key),
    .finish = finish_volume,
};
