#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What many servers and many routes cost a request: 3 servers and one route, 1,000 of
# one, of the other, of both, in turns, and HAProxy with as many servers. The floor
# program, which does nothing but pass bytes, says what the kernel takes of it: sockets
# that are used in turn are colder the more there are. Needs the driver, like proxy.sh.
set -eu
cd "$(dirname "$0")/.."
driver=${DRIVER:-../shared/bench/proxy}
[ -x "$driver/bench.sh" ] || {
	echo "bench/scale.sh: no bench.sh in $driver: set DRIVER" >&2
	exit 1
}
export NINES="${NINES:-$PWD/build/release/nines}"
export ROUNDS="${ROUNDS:-5}" SECS="${SECS:-2}"
many=${MANY:-1000}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
cp -rL "$driver/." "$work"
cp bench/proxy/nines.start "$work/nines.start"
# One backend for all of 10.93.0.0/16, so that only the number of names differs.
# What a program does after its start is no request's cost.
sed -i -e 's/sleep 0.15; kill -0/sleep 2; kill -0/' \
	-e 's/for i in 11 12 13; do backend $i; done/backend any/' \
	-e 's/"$T\/backend" 10.92.0.$1 8080/"$T\/backend" 0.0.0.0 8080/' \
	-e 's/^for n in c l b; do ip netns exec $P$n sysctl/ip -n ${P}b route add local 10.93.0.0\/16 dev lo; ip -n ${P}l route add 10.93.0.0\/16 via 10.92.0.11 congctl cubic\n&/' \
	"$work/bench.sh"
# The floor has room for 8 servers as it is.
sed -i -e "s/pool\[8\]\[FDS\]/pool[$((many + 8))][160]/" -e "s/np\[8\]/np[$((many + 8))]/" \
	-e "s/B\[8\]/B[$((many + 8))]/" -e 's/ && i < 8//' "$work/floor/floor.c"
servers() {
	i=0
	while [ $i -lt "$1" ]; do
		printf '10.93.%d.%d:8080 ' $((i / 250)) $((i % 250 + 1))
		i=$((i + 1))
	done
}
wrap() { # NAME PROGRAM SERVERS ROUTES
	{
		echo '#!/bin/sh'
		echo "export LB_SERVERS='$(servers "$3")' ROUTES=$4"
		# The program's own name tells it what it is.
		echo "exec \"\$(dirname \"\$0\")/$2.start\" \"\$@\""
	} >"$work/$1.start"
	chmod +x "$work/$1.start"
}
wrap n3 nines 3 1
wrap nservers nines "$many" 1
wrap nroutes nines 3 "$many"
wrap nboth nines "$many" "$many"
wrap h3 haproxy 3 0
wrap hservers haproxy "$many" 0
wrap f3 floor 3 0
wrap fservers floor "$many" 0
(cd "$work" && ./bench.sh small n3 nservers nroutes nboth h3 hservers f3 fservers) >"$work/rows" 2>"$work/err" || {
	cat "$work/err" >&2
	exit 1
}
awk '/^median/ {
	for (i = 5; i < NF; i += 2) v[$i] = $(i + 1)
	if ($3 ~ /^[nhf]3$/) first = v["cpu_us"]
	printf "%-10s %6.2f us/request (user %.2f), %d requests/s: %.3f\n", $3, v["cpu_us"], v["user_us"], v["rps"], v["cpu_us"] / first
}' "$work/rows"
