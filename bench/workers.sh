#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Two workers beside one, small requests, in turns: what a request costs, and from that
# how many times one worker two are that have a processor each. Cost does not depend on
# who else is on the processors, as rates do, which clients and servers share with them.
# Needs the driver, like proxy.sh, and a machine that does nothing else.
set -eu
cd "$(dirname "$0")/.."
driver=${DRIVER:-../shared/bench/proxy}
[ -x "$driver/bench.sh" ] || {
	echo "bench/workers.sh: no bench.sh in $driver: set DRIVER" >&2
	exit 1
}
export NINES="${NINES:-$PWD/build/release/nines}" SECS="${SECS:-2}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
cp -rL "$driver/." "$work"
cp bench/proxy/nines.start "$work"
# What a worker does with a second of its processor; the rest is the load's.
for round in $(seq "${ROUNDS:-5}"); do
	for threads in 1 2; do
		(cd "$work" && ROUNDS=1 THREADS=$threads ./bench.sh small nines) >>"$work/rows" 2>"$work/err" || {
			cat "$work/err" >&2
			exit 1
		}
	done
	echo "workers.sh: round $round" >&2
done
python3 - "$work/rows" <<'EOF'
import statistics
import sys

# The load takes what the workers leave: per second of its own processor time a worker
# answers 1/cpu_us million requests. Two scale if that does not grow.
cost = {"t1": [], "t2": []}
for line in open(sys.argv[1], encoding="ascii"):
    words = line.split()
    if words[:1] != ["median"]:
        continue
    value = dict(zip(words[4::2], words[5::2]))
    cost[words[3]].append(float(value["cpu_us"]))
one, two = (statistics.median(cost[key]) for key in ("t1", "t2"))
for key, name in (("t1", "one worker"), ("t2", "two workers")):
    print(f"{name}: {statistics.median(cost[key]):.2f} us/request "
          f"({min(cost[key]):.2f}-{max(cost[key]):.2f})")
print(f"two workers with a processor each: {2 * one / two:.2f} times one")
EOF
