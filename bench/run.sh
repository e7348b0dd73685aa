#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# All the figures, one after another; build/bench/report has them. See bench/README.md.
set -eu
cd "$(dirname "$0")/.."
mkdir -p build/bench
{
	bench/config.sh
	bench/spof.sh
	HEARTBEAT=100ms bench/failover.sh
	HEARTBEAT=10ms CASES=host-off bench/failover.sh
	[ ! -x bench/proxy.sh ] || bench/proxy.sh
} | tee build/bench/report
