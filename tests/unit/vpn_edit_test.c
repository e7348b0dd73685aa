/* SPDX-License-Identifier: Apache-2.0 */
/* vpn_edit_test.c - clients into and out of files of every layout; QR codes. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/qr.h"
#include "cli/vpn_edit.h"

#define HEAD                                                            \
	"# our shop\ncluster: shop\nnetwork: 10.0.0.0/24 # all of it\n" \
	"hosts: {a: 10.0.0.1, b: 10.0.0.2}\n"                           \
	"floating_ips:\n  v: {address: 10.0.0.9, hosts: [a, b]}\n"
#define FLOW "hosts: [a, b], listen: \"v:51820\", subnet: 10.8.0.0/24, reach: main"
#define ANN                                                                    \
	"ann: {public_key: \"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\", " \
	"address: 10.8.0.2}"
#define BOB                                                                    \
	"bob: {public_key: \"AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\", " \
	"address: 10.8.0.3}"
#define BLOCK                                                               \
	"vpn:\n  o: # the office\n    hosts: [a, b]\n    listen: v:51820\n" \
	"    subnet: 10.8.0.0/24\n    reach: main\n"

/* With bob, and without. */
static const struct {
	const char *without, *with;
} layouts[] = {
    {HEAD BLOCK, HEAD BLOCK "    peers:\n      " BOB "\n"},
    {HEAD BLOCK "# end\n", HEAD BLOCK "    peers:\n      " BOB "\n# end\n"},
    {HEAD BLOCK "    peers:\n      " ANN " # Ann\n\n# end\n",
	HEAD BLOCK "    peers:\n      " ANN " # Ann\n      " BOB "\n\n# end\n"},
    {HEAD BLOCK "    peers:\n      ann: # Ann\n        public_key: "
		"\"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"\n"
		"        address: 10.8.0.2\n    mtu: 1400\n",
	HEAD BLOCK "    peers:\n      ann: # Ann\n        public_key: "
		   "\"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"\n"
		   "        address: 10.8.0.2\n      " BOB "\n    mtu: 1400\n"},
    {HEAD "vpn: {o: {" FLOW ", peers: {" ANN "}}}\n",
	HEAD "vpn: {o: {" FLOW ", peers: {" ANN ", " BOB "}}}\n"},
    {HEAD "vpn:\n  o: {" FLOW ",\n    peers: {\n      " ANN "\n    }}\nworkers: 1\n",
	HEAD "vpn:\n  o: {" FLOW ",\n    peers: {\n      " ANN ", " BOB
	     "\n    }}\nworkers: 1\n"},
    {HEAD "vpn:\n  o: {" FLOW ", peers: {}}\n",
	HEAD "vpn:\n  o: {" FLOW ", peers: {" BOB "}}\n"},
};

/* Additions that a removal does not bring back as they were. */
static const struct {
	const char *before, *after;
} additions[] = {
    {HEAD "vpn:\n  o: {" FLOW "} # {not this\nworkers: 1\n",
	HEAD "vpn:\n  o: {" FLOW ", peers: {" BOB "}} # {not this\nworkers: 1\n"},
    {HEAD "vpn:\n  o: {" FLOW ",}\n", HEAD "vpn:\n  o: {" FLOW ", peers: {" BOB "}}\n"},
    {HEAD BLOCK "    mtu: 1400",
	HEAD BLOCK "    mtu: 1400\n    peers:\n      " BOB "\n"},
    {HEAD "vpn:\n  o: {" FLOW ", endpoint: \"{}:1\"}\n",
	HEAD "vpn:\n  o: {" FLOW ", endpoint: \"{}:1\", peers: {" BOB "}}\n"},
};

static struct vpn_peer
bob(void)
{
	struct vpn_peer p = {.name = "bob", .key = {2}};

	assert_int_equal(ip_parse(&p.address, "10.8.0.3"), 0);
	return p;
}

static void
expect(int err, struct sbuf *out, const char *text)
{
	assert_int_equal(err, 0);
	assert_string_equal(sbuf_text(out), text);
	sbuf_done(out);
	sbuf_init(out, CLUSTER_FILE_MAX);
}

static void
test_layouts(void **state)
{
	const struct vpn_peer p = bob();
	struct sbuf out;

	(void)state;
	sbuf_init(&out, CLUSTER_FILE_MAX);
	for (size_t i = 0; i < ARRAY_LEN(layouts); i++) {
		expect(vpn_edit_add(layouts[i].without, "o", &p, &out), &out,
		    layouts[i].with);
		expect(vpn_edit_remove(layouts[i].with, "o", "bob", &out), &out,
		    layouts[i].without);
	}
	for (size_t i = 0; i < ARRAY_LEN(additions); i++)
		expect(vpn_edit_add(additions[i].before, "o", &p, &out), &out,
		    additions[i].after);
	sbuf_done(&out);
}

static void
test_refusals(void **state)
{
	const char *text = HEAD BLOCK "    peers:\n      " ANN "\n";
	struct vpn_peer p = bob();
	struct sbuf out;

	(void)state;
	sbuf_init(&out, CLUSTER_FILE_MAX);
	assert_int_equal(vpn_edit_add(text, "other", &p, &out), -ENOENT);
	assert_int_equal(vpn_edit_add("", "o", &p, &out), -EINVAL);
	assert_int_equal(vpn_edit_remove(text, "o", "bob", &out), -ENOENT);
	p.name = "ann";
	assert_int_equal(vpn_edit_add(text, "o", &p, &out), -EEXIST);
	/* What would not be valid is not written: the address is Ann's. */
	p.name = "eve";
	assert_int_equal(ip_parse(&p.address, "10.8.0.2"), 0);
	assert_int_equal(vpn_edit_add(text, "o", &p, &out), -ENOTSUP);
	sbuf_done(&out);
}

/* The three squares in the corners are where they must be, in half blocks. */
static void
test_qr(void **state)
{
	static const char row[] = "\033[40;37m";
	struct sbuf out;
	char big[4000];
	const char *line;
	size_t lines = 0;

	(void)state;
	sbuf_init(&out, 1 << 20);
	assert_int_equal(qr_draw("hello", &out), 0);
	for (const char *s = sbuf_text(&out); (s = strchr(s, '\n')) != NULL; s++)
		lines++;
	assert_int_equal(lines, (21 + 2 * 4 + 1) / 2); /* version 1 is 21 dots wide */
	line = strstr(sbuf_text(&out), "\n");
	line = strstr(line + 1, "\n") + 1; /* the first two are the margin */
	assert_memory_equal(line, row, sizeof(row) - 1);
	/* Rows 0 and 1: seven dark; one dark, five light, one dark. */
	assert_memory_equal(
	    line + sizeof(row) - 1, "████ ▄▄▄▄▄ █", strlen("████ ▄▄▄▄▄ █"));
	sbuf_done(&out);
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	sbuf_init(&out, 1 << 20);
	assert_int_equal(qr_draw(big, &out), -ERANGE);
	sbuf_done(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_layouts),
	    cmocka_unit_test(test_refusals),
	    cmocka_unit_test(test_qr),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
