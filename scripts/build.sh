#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds one kind of nines in build/KIND: build.sh KIND [TARGET ...]
#   release   what is installed: -O2, link-time optimisation, hardened, without tests
#   profiled  release, optimised by how it ran over loopback: compiled twice, from nothing
#   dbg       for debuggers and system tests
#   asan      gcc with the address and undefined-behaviour sanitizers
#   tsan      gcc with the thread sanitizer
#   fuzz      clang with libFuzzer and the sanitizers of asan
#   gcc, clang  what `make lint` looks at: every warning at -O2
set -eu
cd "$(dirname "$0")/.."
kind=$1
shift
case $kind in
profiled)
	set -- "$@" -- -Dbuildtype=plain -Doptimization=2 -Ddebug=true -Db_lto=true \
		-Db_pie=true -Dhardened=true -Dtests=false -Dwerror=false \
		-Dc_args=-Wno-missing-profile -Db_pgo=use
	;;
release)
	set -- "$@" -- -Dbuildtype=plain -Doptimization=2 -Ddebug=true -Db_lto=true \
		-Db_pie=true -Dhardened=true -Dtests=false
	;;
dbg) set -- "$@" -- ;;
asan) set -- "$@" -- -Db_sanitize=address,undefined -Db_lundef=false ;;
tsan) set -- "$@" -- -Db_sanitize=thread -Db_lundef=false ;;
fuzz)
	export CC=clang-14
	set -- "$@" -- -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false
	;;
gcc) set -- "$@" -- -Doptimization=2 ;;
clang)
	export CC=clang-14
	set -- "$@" -- -Doptimization=2
	;;
*)
	echo "build.sh: no kind \"$kind\"" >&2
	exit 2
	;;
esac
targets=
while [ "$1" != -- ]; do
	targets="$targets $1"
	shift
done
shift
# What the compiler shall know of the proxy: a worker that serves requests of every kind
# over loopback, for some seconds. The same requests each time, and nothing from outside.
build_profile() {
	dir=build/profiled
	rm -rf "$dir"
	meson setup "$dir" "$@" -Db_pgo=generate >/dev/null
	# shellcheck disable=SC2086 # flags are words
	ninja -C "$dir" ${NINJAFLAGS:-} request_bench
	for kind_of in "http 3" "http 3 pipeline: 16" "http 1000" "h2 3" "h2 3 balance: least-connections"; do
		# shellcheck disable=SC2086 # the last one has spaces of its own
		set -- $kind_of
		client=$1 servers=$2
		shift 2
		"$dir/request_bench" "$client" "$servers" 50000 ${1:+"$*"}
	done
	meson configure "$dir" -Db_pgo=use
}
if [ "$kind" = profiled ]; then # always from nothing: a profile is of one state of the sources
	build_profile "$@"
fi
if [ ! -f "build/$kind/build.ninja" ]; then
	rm -rf "build/$kind" # a configuration that was interrupted
	meson setup "build/$kind" "$@" >"build-$kind.log" 2>&1 || {
		cat "build-$kind.log" >&2
		rm -f "build-$kind.log"
		exit 1
	}
	rm -f "build-$kind.log"
fi
# shellcheck disable=SC2086 # targets are words
exec ninja -C "build/$kind" ${NINJAFLAGS:-} $targets
