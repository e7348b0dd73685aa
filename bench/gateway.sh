#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a failure at the edge costs flows that go through two gateways: a next hop that
# falls silent, a gateway that loses its power, one that is stopped.
#   [ROUNDS=5] [HEARTBEATS="100ms 10ms"] bench/gateway.sh
set -eu
cd "$(dirname "$0")/.."
NINES=${NINES:-$PWD/build/release/nines}
export NINES
exec scripts/sandbox.sh /usr/bin/python3 bench/gateway_flows.py
