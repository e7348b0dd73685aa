/* SPDX-License-Identifier: Apache-2.0 */
/* Echo requests and replies as bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "health/health_icmp.h"

static const struct health_echo echo = {0x1234, 7, 0x0102030405060708};

/* RFC 1071 by hand: 0800 + 1234 + 0007 + 0102 + 0304 + 0506 + 0708 = 2a4f. */
static const uint8_t request[HEALTH_ICMP_LEN] = {
    8, 0, 0xd5, 0xb0, 0x12, 0x34, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8};

/* The reply's type is 0, so the sum is 0800 higher. */
static const uint8_t reply[HEALTH_ICMP_LEN] = {
    0, 0, 0xdd, 0xb0, 0x12, 0x34, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8};

static void
test_request(void **state)
{
	uint8_t buf[HEALTH_ICMP_LEN];

	(void)state;
	health_icmp_encode(&echo, false, buf);
	assert_memory_equal(buf, request, sizeof(buf));
	health_icmp_encode(&echo, true, buf);
	assert_int_equal(buf[0], 128);
	assert_int_equal(buf[2] | buf[3], 0); /* the kernel's */
}

static void
test_reply(void **state)
{
	uint8_t packet[24 + HEALTH_ICMP_LEN] = {0x46}; /* with 4 bytes of options */
	struct health_echo e = {0};

	(void)state;
	memcpy(packet + 24, reply, sizeof(reply));
	assert_true(health_icmp_decode(&e, false, packet, sizeof(packet)));
	assert_int_equal(e.id, echo.id);
	assert_int_equal(e.seq, echo.seq);
	assert_true(e.cookie == echo.cookie);
	for (size_t n = 0; n < sizeof(packet); n++)
		assert_false(health_icmp_decode(&e, false, packet, n));
	packet[30] ^= 1; /* checksum */
	assert_false(health_icmp_decode(&e, false, packet, sizeof(packet)));
	memcpy(packet + 24, request, sizeof(request)); /* our own, on the loopback */
	assert_false(health_icmp_decode(&e, false, packet, sizeof(packet)));
	packet[0] = 0x44; /* a header shorter than a header */
	assert_false(health_icmp_decode(&e, false, packet, sizeof(packet)));
}

static void
test_reply6(void **state)
{
	uint8_t packet[HEALTH_ICMP_LEN];
	struct health_echo e = {0};

	(void)state;
	memcpy(packet, reply, sizeof(reply));
	assert_false(health_icmp_decode(&e, true, packet, sizeof(packet)));
	packet[0] = 129;
	assert_true(health_icmp_decode(&e, true, packet, sizeof(packet)));
	assert_int_equal(e.seq, echo.seq);
	packet[1] = 1;
	assert_false(health_icmp_decode(&e, true, packet, sizeof(packet)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_request),
	    cmocka_unit_test(test_reply),
	    cmocka_unit_test(test_reply6),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
