#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Instructions that a worker executes for one request, by callgrind: exact to a few, and
# the same on a busy machine. request.sh [http|h2] [SERVERS] [KEY: VALUE ...]; OUT=FILE
# keeps the profile for callgrind_annotate.
set -eu
cd "$(dirname "$0")/.."
scripts/build.sh release request_bench >/dev/null
kind=${1:-http}
servers=${2:-3}
shift $(($# < 2 ? $# : 2))
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
# The difference of two runs: starting costs the same in both.
for n in 4000 14000; do
	valgrind --fair-sched=yes --tool=callgrind --separate-threads=yes --dump-line=yes \
		--callgrind-out-file="$work/$n" \
		build/release/request_bench "$kind" "$servers" "$n" "$@" >"$work/log" 2>&1 || {
		cat "$work/log" >&2
		exit 1
	}
	sed -n 's/^totals: //p' "$work/$n-02" # the worker's thread
done | {
	read -r few
	read -r many
	echo "$kind, $servers servers: $(((many - few) / 10000)) instructions a request"
}
[ -z "${OUT:-}" ] || cp "$work/14000-02" "$OUT"
