#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Connections shared by two firewalls: lag, CPU, rate, bulk, beside conntrackd.
#   bench/sync.sh [lag] [cpu] [follow] [bulk]      ROUNDS=3 KINDS="nines conntrackd"
set -eu
cd "$(dirname "$0")/.."
scripts/deps.sh build bench
[ -n "${NINES:-}" ] || scripts/build.sh release nines >&2
export NINES="${NINES:-$PWD/build/release/nines}"
program=$(mktemp)
trap 'rm -f "$program"' EXIT
cc -O2 -std=gnu17 -D_GNU_SOURCE -Isrc -o "$program" bench/sync_load.c src/sync/ct_wire.c src/base/check.c -lmnl
scripts/sandbox.sh /usr/bin/python3 bench/sync.py "$program" "$@"
