/* SPDX-License-Identifier: Apache-2.0 */
/*
 * balance_pick.c - what choosing a server costs: nanoseconds for one request (pick,
 * take and put) with few servers and with many. bench/balance.sh builds and runs it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "proxy/servers/balance.h"

#define ROUNDS 3000000
#define BUSY   64 /* requests under way */

static double
measure(enum balance kind, size_t n)
{
	struct balance_server *server = calloc(n, sizeof(*server));
	uint32_t *heap = calloc(2 * n, sizeof(*heap));
	size_t under_way[BUSY], n_ring;
	struct balance_point *ring;
	struct timespec begin, end;
	struct rng rng = {1};
	struct balancer b;

	ASSERT(server != NULL && heap != NULL);
	for (size_t i = 0; i < n; i++)
		server[i] = (struct balance_server){.weight = 1, .id = rng_next(&rng)};
	n_ring = balance_ring_size(kind, server, n);
	ring = calloc(n_ring + 1, sizeof(*ring));
	ASSERT(ring != NULL);
	balance_init(&b, kind, server, n, heap, ring);
	(void)clock_gettime(CLOCK_MONOTONIC, &begin);
	for (size_t i = 0; i < ROUNDS; i++) {
		if (i >= BUSY)
			balance_put(&b, under_way[i % BUSY]);
		under_way[i % BUSY] =
		    (size_t)balance_pick(&b, &rng, rng_next(&rng), NULL, 0);
		balance_take(&b, under_way[i % BUSY]);
	}
	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	free(ring);
	free(heap);
	free(server);
	return ((double)(end.tv_sec - begin.tv_sec) * 1e9 +
		   (double)(end.tv_nsec - begin.tv_nsec)) /
	       ROUNDS;
}

int
main(void)
{
	static const struct {
		enum balance kind;
		const char *name;
	} rows[] = {{BALANCE_ROUND_ROBIN, "round-robin"},
	    {BALANCE_LEAST_CONNECTIONS, "least-connections"},
	    {BALANCE_RANDOM, "random"}, {BALANCE_HASH, "hash"}};

	(void)printf("%-20s %12s %12s\n", "ns a request", "3 servers", "1000 servers");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		(void)printf("%-20s %12.1f %12.1f\n", rows[i].name,
		    measure(rows[i].kind, 3), measure(rows[i].kind, 1000));
	return 0;
}
