/* SPDX-License-Identifier: Apache-2.0 */
/* doubt_test.c - whom a slow connection to a server sends to another one, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/client.h"
#include "proxy/servers/patience.h"
#include "proxy/servers/server_conn.h"
#include "proxy/servers/service.h"
#include "proxy/servers/wait.h"
#include "proxy/side.h"

enum { OWN = 1, HASHED = 2, TLS = 4, SHAKES_HANDS = 8, KNOWN = 16, FAR = 32 };

static void
test_patience(void **state)
{
	static const struct transport tls = {.recv = NULL};
	static const struct {
		unsigned what;
		int64_t least_ms, most_ms;
	} rows[] = {
	    {KNOWN, 40, 40},
	    {KNOWN | OWN, 250, 250}, /* it has its data there */
	    {KNOWN | HASHED, 250, 250},
	    {KNOWN | TLS, 40, 40}, /* nobody has taken the connection yet */
	    {KNOWN | TLS | SHAKES_HANDS, 250, 250}, /* that is work */
	    {0, 250, 250},
	    {OWN, 750, 750},
	    {TLS | SHAKES_HANDS, 750, 750},
	    {KNOWN | FAR, 300, 700},
	    {KNOWN | FAR | OWN, 300, 700},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		unsigned what = rows[i].what;
		struct service conf = {.connect_timeout_ns = 2 * SEC_NS,
		    .balance =
			(what & HASHED) != 0 ? BALANCE_HASH : BALANCE_ROUND_ROBIN};
		struct wservice s = {.conf = &conf};
		struct upstream up = {.service = &s};
		struct client c = {.service = &s, .stuck = (what & OWN) != 0};
		struct server_conn sc = {.up = &up, .client = &c};
		int64_t ms;

		if ((what & KNOWN) != 0)
			patience_learn(
			    &up.connects, (what & FAR) != 0 ? 100 * MS_NS : MS_NS);
		if ((what & TLS) != 0)
			sc.s.via = &tls;
		sc.s.writable = (what & SHAKES_HANDS) != 0;
		ms = wait_patience(&sc) / MS_NS;
		if (ms < rows[i].least_ms || ms > rows[i].most_ms)
			fail_msg("row %zu: %lld ms", i, (long long)ms);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_patience)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
