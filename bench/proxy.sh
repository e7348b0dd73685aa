#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The data plane beside HAProxy and nginx: CPU per request, rate, latency, memory of idle
# connections. DRIVER is the folder of bench.sh with its floor programs (default: beside
# this tree); SCENARIOS, ROUNDS, SECS and THREADS come from the environment. RATE, in
# requests a second, asks no faster than that: for latencies away from saturation.
set -eu
cd "$(dirname "$0")/.."
driver=${DRIVER:-../shared/bench/proxy}
[ -x "$driver/bench.sh" ] || {
	echo "bench/proxy.sh: no bench.sh in $driver: set DRIVER" >&2
	exit 1
}
export NINES="${NINES:-$PWD/build/release/nines}"
export ROUNDS="${ROUNDS:-5}" SECS="${SECS:-2}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
cp -rL "$driver/." "$work"
cp bench/proxy/nines.start "$work"
# mawk prints sums above 2^31 as 2.18e+09, which the shell cannot take.
sed -i 's/END{print s}/END{printf "%.0f\\n", s}/' "$work/bench.sh"
# The driver's load generator has an open loop; its scenarios do not offer it.
[ -z "${RATE:-}" ] || sed -i "s/o=\$(load);;/o=\$(load -R $RATE);;/" "$work/bench.sh"
# A checkout may keep links as files with the target's name.
for name in haproxysplice haproxybuf64k; do
	rm -f "$work/$name.start"
	ln -s haproxy.start "$work/$name.start"
done
rows=$work/rows
: >"$rows"
for scenario in ${SCENARIOS:-small conn tls tlsconn h2 h2tls tcp big64k big1m tcp64k tcp1m idle idleused}; do
	case $scenario in
	small | conn) others="haproxy nginx floor" ;;
	big*) others="haproxy haproxysplice nginx floorsplice" ;;
	tcp64k | tcp1m) others="haproxy haproxysplice nginx" ;;
	*) others="haproxy nginx" ;;
	esac
	# shellcheck disable=SC2086 # others are words
	(cd "$work" && ./bench.sh "$scenario" nines $others) >"$work/out" 2>"$work/err" || {
		cat "$work/err" >&2
		exit 1
	}
	cat "$work/out" >>"$rows"
	echo "proxy.sh: $scenario" >&2
done
python3 bench/proxy_table.py <"$rows"
