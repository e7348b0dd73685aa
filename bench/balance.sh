#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What choosing among 3 and among 1,000 servers costs, a second or two each.
set -eu
cd "$(dirname "$0")/.."
program=$(mktemp)
trap 'rm -f "$program"' EXIT
cc -O2 -std=gnu17 -D_GNU_SOURCE -Isrc -o "$program" bench/balance_pick.c src/proxy/servers/balance.c src/base/check.c
"$program"
