#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fuzz.sh SECONDS [TARGET ...]: libFuzzer on each target (all of tests/fuzz) in turn.
# What it learns stays in build/fuzz-corpus, what it breaks in build/fuzz-findings: put
# a finding into tests/fuzz/corpus/TARGET once it is mended, and `make test` replays it.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-60}
[ $# -eq 0 ] || shift
if [ $# -eq 0 ]; then
	set -- $(basename -s .c tests/fuzz/*_fuzz.c)
fi
# shellcheck disable=SC2046 # names are words
scripts/build.sh fuzz $(printf 'tests/%s\n' "$@")
export ASAN_SYMBOLIZER_PATH=/usr/bin/llvm-symbolizer-14
root=$PWD
status=0
for name in "$@"; do
	learnt=$root/build/fuzz-corpus/$name
	findings=$root/build/fuzz-findings/$name
	logs=$root/build/fuzz-logs/$name
	rm -rf "$logs"
	mkdir -p "$learnt" "$findings" "$logs"
	echo "== $name for $seconds s"
	cd "$logs" # where libFuzzer writes what each of its jobs says
	"$root/build/fuzz/tests/$name" -max_total_time="$seconds" -timeout=5 \
		-rss_limit_mb=2048 -jobs=2 -workers=2 -print_final_stats=1 \
		-artifact_prefix="$findings/" "$learnt" "$root/tests/fuzz/corpus/$name" \
		>summary 2>&1 || status=1
	grep -hE '^(stat::number_of_executed_units|==|SUMMARY)' fuzz-*.log || :
	if [ -n "$(ls -A "$findings")" ]; then
		echo "findings in $findings (said in $logs):"
		ls "$findings"
		status=1
	fi
done
exit "$status"
