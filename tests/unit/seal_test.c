/* SPDX-License-Identifier: Apache-2.0 */
/* seal_test.c - secrets, and numbers that came before. The seal itself is tested with
 * the messages of those who use it (sync_test, vpn_test). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "os/replay.h"
#include "os/seal.h"

static void
test_secrets(void **state)
{
	char hex[] =
	    "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F\n";
	uint8_t got[SEAL_SECRET_LEN] = {0xff};
	const size_t digits = sizeof(hex) - 2;

	(void)state;
	assert_true(seal_secret_parse(hex, digits, got));
	assert_true(seal_secret_parse(hex, digits + 1, got));
	for (size_t i = 0; i < sizeof(got); i++)
		assert_int_equal(got[i], i);
	assert_true(seal_secret_parse(hex, SEAL_SECRET_LEN, got)); /* as they are */
	assert_memory_equal(got, hex, sizeof(got));
	assert_false(seal_secret_parse(hex, digits - 1, got));
	assert_false(seal_secret_parse(hex, 0, got));
	hex[63] = 'g';
	assert_false(seal_secret_parse(hex, digits, got));
	assert_memory_equal(got, hex, sizeof(got)); /* nothing was written */
}

static void
test_replays(void **state)
{
	struct replay r = {0};

	(void)state;
	assert_false(replay_fresh(&r, 0));
	assert_true(replay_fresh(&r, 1));
	assert_false(replay_fresh(&r, 1));
	assert_true(replay_fresh(&r, 5));
	assert_false(replay_fresh(&r, 1)); /* seen, below the top now */
	assert_true(replay_fresh(&r, 3));
	assert_false(replay_fresh(&r, 3));
	assert_true(replay_fresh(&r, 69));
	assert_false(replay_fresh(&r, 5)); /* 64 below: the last that is known */
	assert_true(replay_fresh(&r, 6));
	assert_false(replay_fresh(&r, 4)); /* never seen, and too old to tell */
	assert_true(replay_fresh(&r, UINT64_MAX));
	assert_false(replay_fresh(&r, 69));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_secrets),
	    cmocka_unit_test(test_replays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
