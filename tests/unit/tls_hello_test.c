/* SPDX-License-Identifier: Apache-2.0 */
/* The name in a hello: found in whatever pieces it comes, and nothing else taken for
 * one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "proxy/tls/tls_hello.h"

/* How to make a hello wrong. */
enum fault {
	FAULT_NONE,
	FAULT_RECORD_TYPE,
	FAULT_RECORD_VERSION,
	FAULT_EMPTY_RECORD,
	FAULT_MESSAGE_TYPE,
	FAULT_LONG_SESSION,
	FAULT_LONG_EXTENSION,
	FAULT_LONG_LIST,
	FAULT_LONG_NAME,
	FAULT_HUGE
};

struct hello {
	uint8_t bytes[2048];
	size_t len;
};

static void
put(struct hello *h, uint64_t v, unsigned bytes)
{
	while (bytes-- > 0)
		h->bytes[h->len++] = (uint8_t)(v >> 8 * bytes);
}

static void
put_text(struct hello *h, const char *s, size_t len)
{
	memcpy(h->bytes + h->len, s, len);
	h->len += len;
}

/* The message without its records; `name` NULL: no such extension. */
static void
make_message(struct hello *h, const char *name, size_t len, enum fault fault)
{
	size_t extensions = 4 + (name != NULL ? 9 + len : 0);
	size_t all = 2 + 32 + 1 + 32 + 2 + 4 + 2 + 2 + extensions;

	put(h, fault == FAULT_MESSAGE_TYPE ? 2 : 1, 1);
	put(h, fault == FAULT_HUGE ? TLS_HELLO_MAX + 1 : all, 3);
	put(h, 0x0303, 2);
	h->len += 32;
	put(h, fault == FAULT_LONG_SESSION ? 255 : 32, 1);
	h->len += 32;
	put(h, 4, 2);
	put(h, 0x13011302, 4);
	put(h, 0x0100, 2);
	put(h, extensions, 2);
	put(h, 0x00170000, 4); /* an empty one */
	if (name == NULL)
		return;
	put(h, 0, 2);
	put(h, len + 5 + (fault == FAULT_LONG_EXTENSION), 2);
	put(h, len + 3 + (fault == FAULT_LONG_LIST), 2);
	put(h, 0, 1);
	put(h, len + (fault == FAULT_LONG_NAME), 2);
	put_text(h, name, len);
}

/* The message in records of `piece` bytes. */
static struct hello
make(const char *name, size_t len, size_t piece, enum fault fault)
{
	struct hello message = {0}, out = {0};

	make_message(&message, name, len, fault);
	for (size_t at = 0; at < message.len; at += piece) {
		size_t n = message.len - at < piece ? message.len - at : piece;

		put(&out, fault == FAULT_RECORD_TYPE ? 23 : 22, 1);
		put(&out, fault == FAULT_RECORD_VERSION ? 0x0201 : 0x0301, 2);
		put(&out, fault == FAULT_EMPTY_RECORD ? 0 : n, 2);
		put_text(&out, (const char *)message.bytes + at, n);
	}
	return out;
}

static void
test_names(void **state)
{
	static const char *const names[] = {"a.test", "x", "UPPER.test", NULL};
	static const size_t pieces[] = {2000, 100, 7, 1};
	char name[TLS_HELLO_NAME];

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		size_t len = names[i] != NULL ? strlen(names[i]) : 0;

		for (size_t k = 0; k < 4; k++) {
			struct hello h = make(names[i], len, pieces[k], FAULT_NONE);

			memset(name, '!', sizeof(name));
			/* Every part of it is too little. */
			for (size_t n = 0; n + len < h.len; n++) {
				int r = tls_hello_name(h.bytes, n, name);

				if (r == 0) /* all but what does not matter */
					break;
				assert_int_equal(r, -EAGAIN);
				assert_true(name[0] == '!');
			}
			assert_int_equal(tls_hello_name(h.bytes, h.len, name), 0);
			assert_string_equal(name, names[i] != NULL ? names[i] : "");
		}
	}
}

static void
test_faults(void **state)
{
	static const enum fault faults[] = {FAULT_RECORD_TYPE, FAULT_RECORD_VERSION,
	    FAULT_EMPTY_RECORD, FAULT_MESSAGE_TYPE, FAULT_LONG_SESSION,
	    FAULT_LONG_EXTENSION, FAULT_LONG_LIST, FAULT_LONG_NAME, FAULT_HUGE};
	char name[TLS_HELLO_NAME] = "!";

	(void)state;
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		struct hello h = make("a.test", 6, 2000, faults[i]);

		assert_int_equal(tls_hello_name(h.bytes, h.len, name), -EBADMSG);
		assert_true(name[0] == '!');
	}
}

static void
test_bad_names(void **state)
{
	static const char *const names[] = {"a b", "a\tb", "a\xff", "a\0b", ""};
	static const size_t len[] = {3, 3, 2, 3, 0};
	char name[TLS_HELLO_NAME];

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct hello h = make(names[i], len[i], 2000, FAULT_NONE);

		assert_int_equal(tls_hello_name(h.bytes, h.len, name), -EBADMSG);
	}
}

static void
test_other_protocols(void **state)
{
	static const char *const texts[] = {
	    "GET / HTTP/1.1\r\n", "SSH-2.0-x\r\n", "\x16G", "\x80"};
	char name[TLS_HELLO_NAME];

	(void)state;
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(
		    tls_hello_name(texts[i], strlen(texts[i]), name), -EBADMSG);
	assert_int_equal(tls_hello_name("", 0, name), -EAGAIN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_faults),
	    cmocka_unit_test(test_bad_names),
	    cmocka_unit_test(test_other_protocols),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
