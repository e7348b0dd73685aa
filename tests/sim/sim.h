/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim.h - what every simulator's main() does: PROGRAM [FIRST-SEED [COUNT]].
 */
#ifndef NINES_TESTS_SIM_H
#define NINES_TESTS_SIM_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"

/*
 * Calls `run` for each seed; it ends the program with the seed if anything does not
 * hold, and returns a hash of all that happened. A seed is worth something only if it
 * gives the same run again: every `twice`th runs twice. Returns the exit status.
 */
static inline int
sim_main(int argc, char **argv, uint64_t (*run)(uint64_t seed), uint64_t count,
    uint64_t twice)
{
	uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1, hash = 0;

	if (argc > 2)
		count = strtoull(argv[2], NULL, 10);
	for (uint64_t seed = first; seed - first < count; seed++) {
		uint64_t once = run(seed);

		if (seed % twice == 0 && run(seed) != once) {
			(void)printf("FAIL seed %llu: two runs differ\n",
			    (unsigned long long)seed);
			return 1;
		}
		hash = rng_mix(hash ^ once);
	}
	(void)printf("%llu seeds from %llu hold, hash %016llx\n",
	    (unsigned long long)count, (unsigned long long)first,
	    (unsigned long long)hash);
	return 0;
}

#endif /* NINES_TESTS_SIM_H */
