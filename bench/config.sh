#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# How long `nines check` takes for a file of HOSTS hosts and SERVERS servers.
#   [HOSTS=100] [SERVERS=1000] [ROUNDS=11] bench/config.sh
set -eu
cd "$(dirname "$0")/.."
exec python3 - "${HOSTS:-100}" "${SERVERS:-1000}" "${ROUNDS:-11}" \
	"${NINES:-build/release/nines}" <<'PYTHON'
import pathlib
import statistics
import subprocess
import sys
import time

hosts, servers, rounds = map(int, sys.argv[1:4])
folder = pathlib.Path("build/bench")
folder.mkdir(parents=True, exist_ok=True)
path = folder / "config.yaml"
services = (servers + 9) // 10
lines = ["cluster: large", "network: 10.0.0.0/16", "hosts:"]
lines += [f"  h{i}: 10.0.{1 + i // 200}.{1 + i % 200}" for i in range(hosts)]
lines += ["floating_ips:", "  www: {address: 10.0.200.1, hosts: [h0, h1]}", "services:"]
for s in range(services):
    mine = [f"h{n % hosts}:{8000 + n // hosts}" for n in range(s * 10, min(s * 10 + 10, servers))]
    lines += [f"  s{s}:", f"    listen: www:{10000 + s}", f"    servers: [{', '.join(mine)}]",
              "    check: /health"]
path.write_text("\n".join(lines) + "\n")
took = []
for _ in range(rounds):
    begin = time.monotonic()
    subprocess.run([sys.argv[4], "check", str(path)], check=True, stdout=subprocess.DEVNULL)
    took.append((time.monotonic() - begin) * 1000)
print(f"check of {hosts} hosts, {servers} servers in {services} services, {len(lines)} lines: "
      f"{statistics.median(took):.1f} ms ({min(took):.1f} .. {max(took):.1f}, {rounds} runs, "
      "with the start of the process)")
PYTHON
