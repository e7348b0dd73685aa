#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# How long a VPN client hears nothing when its gateway dies or its address is moved:
# pings through the tunnel every 5 ms, real wireguard-go on all sides. `alone` is a pair
# whose gateways do not tell each other where clients are, as any pair with one key and
# one floating address. Prints median (min .. max) of ROUNDS rounds.
#   [ROUNDS=5] [ALONE=1] [HEARTBEAT=100ms] [NINES=...] bench/vpn.sh
set -eu
cd "$(dirname "$0")/.."
NINES=${NINES:-$PWD/build/release/nines}
export NINES
exec scripts/sandbox.sh /usr/bin/python3 bench/vpn_gap.py "${ROUNDS:-5}" "${ALONE:-1}" "${HEARTBEAT:-100ms}"
