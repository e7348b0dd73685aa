#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds one kind of nines in build/KIND: build.sh KIND [TARGET ...]
#   release   what is installed: -O2, link-time optimisation, hardened, without tests
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
