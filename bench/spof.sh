#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# How long `nines spof` takes for a file of HOSTS hosts: order 1, order 2 with availability.
#   [HOSTS=100] [SERVICES=20] [ROUNDS=7] bench/spof.sh
set -eu
cd "$(dirname "$0")/.."
exec python3 - "${HOSTS:-100}" "${SERVICES:-20}" "${ROUNDS:-7}" \
	"${NINES:-build/release/nines}" <<'PYTHON'
import json
import pathlib
import statistics
import subprocess
import sys
import time

hosts, services, rounds = map(int, sys.argv[1:4])
nines = sys.argv[4]
folder = pathlib.Path("build/bench")
folder.mkdir(parents=True, exist_ok=True)
path = folder / "spof.yaml"
balancers = 2
web = hosts - balancers
lines = ["cluster: large", "networks:", "  front: 10.0.0.0/16", "  back: 10.1.0.0/16",
         "zones: [a, b, c, d]", "hosts:"]
lines += [f"  lb{i}: {{front: 10.0.0.{1 + i}, back: 10.1.0.{1 + i}, zone: {'abcd'[i % 4]}}}"
          for i in range(balancers)]
lines += [f"  web{i}: {{back: 10.1.{1 + i // 200}.{1 + i % 200}, zone: {'abcd'[i % 4]}}}"
          for i in range(web)]
names = [f"s{s}" for s in range(services)]
lines += ["floating_ips:", "  www: {address: 10.0.200.1, hosts: [lb0, lb1], "
          f"follow: [{', '.join(names)}]}}", "services:"]
for s in range(services):
    mine = [f"web{n}:{8000 + s}" for n in range(web) if n % services == s or s == 0]
    lines += [f"  s{s}:", f"    listen: www:{10000 + s}", f"    servers: [{', '.join(mine)}]",
              "    check: /health", f"    needs: {len(mine) - 1 if s % 2 == 0 else len(mine) // 2}"]
path.write_text("\n".join(lines) + "\n")
for options in (["--order", "1"], []):
    took = []
    for _ in range(rounds):
        begin = time.monotonic()
        out = subprocess.run([nines, "spof", "--json", *options, str(path)], check=False,
                             capture_output=True).stdout
        took.append((time.monotonic() - begin) * 1000)
    result = json.loads(out)
    print(f"spof {' '.join(options) or '--order 2':9}: {hosts} hosts, {len(result['failures'])} "
          f"failures, {len(result['goals'])} services: {statistics.median(took):.0f} ms "
          f"({min(took):.0f} .. {max(took):.0f}, {rounds} runs); "
          f"{sum(g['availability'] is not None for g in result['goals'])} availabilities, "
          f"{sum(g.get('cut_sets_of_two', 0) for g in result['goals'])} cut sets of two")
PYTHON
