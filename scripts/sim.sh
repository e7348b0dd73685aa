#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# sim.sh SEEDS [FIRST]: every simulator on that many schedules, two processes at a time.
set -eu
cd "$(dirname "$0")/.."
seeds=${1:-10000}
first=${2:-1}
scripts/build.sh asan
half=$(((seeds + 1) / 2))
status=0
for source in tests/sim/*_sim.c; do
	name=$(basename "$source" .c)
	echo "== $name"
	"build/asan/tests/$name" "$first" "$half" &
	one=$!
	trap 'kill "$one" 2>/dev/null || :; exit 130' INT TERM
	"build/asan/tests/$name" "$((first + half))" "$((seeds - half))" || status=1
	wait "$one" || status=1
done
exit "$status"
