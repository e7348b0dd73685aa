#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# How long a client notices a failure: nines, and keepalived with haproxy, in the same
# lab under the same prober, in turns. Prints median (min .. max) of ROUNDS rounds.
#   [ROUNDS=5] [HEARTBEAT=100ms] [CASES=host-off,...] [FILE=...] bench/failover.sh
set -eu
cd "$(dirname "$0")/.."
rounds=${ROUNDS:-5}
heartbeat=${HEARTBEAT:-100ms}
cases=${CASES:-host-off,host-paused,proxy-killed,vip-killed,graceful-stop,healed-split,failback}
file=${FILE:-examples/pair.yaml}
nines=${NINES:-build/release/nines}
out=build/bench/failover-$heartbeat
rm -rf "$out"
mkdir -p "$out"
round=1
while [ "$round" -le "$rounds" ]; do
	for peer in nines keepalived; do
		echo "round $round of $rounds: $peer" >&2
		set -- --case "$cases" --heartbeat "$heartbeat" --json
		[ "$peer" = nines ] || set -- "$@" --against "$peer"
		# Status 1: a case did not go as it should, which is a result as well.
		scripts/sandbox.sh "$nines" drill "$@" "$file" \
			>"$out/$peer-$round.json" 2>"$out/$peer-$round.log" ||
			[ $? -eq 1 ]
	done
	round=$((round + 1))
done
bench/failover_table.py "$out" "$heartbeat"
