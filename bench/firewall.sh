#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a set of rules costs in CPU time, of the kernel as well: derived from the cluster file, loaded by nft, replaced
# by the next generation. Medians of 5 (lowest..highest). Needs root: a network namespace.
#   bench/firewall.sh [ROWS ...]      (10 100 1000 10000)
set -eu
cd "$(dirname "$0")/.."
nines=${NINES:-$PWD/build/release/nines}
[ -x "$nines" ] || make release
[ "$(id -u)" -eq 0 ] || { echo "firewall.sh: needs root" >&2; exit 1; }
exec unshare --net /usr/bin/python3 - "$nines" "$@" <<'PY'
import json, pathlib, resource, statistics, subprocess, sys, tempfile

nines, sizes = sys.argv[1], [int(n) for n in sys.argv[2:]] or [10, 100, 1000, 10000]
HEAD = """cluster: bench
networks: {internet: 198.51.100.0/24, edge: 10.0.1.0/24, dmz: 10.2.0.0/16}
hosts:
  fw1: {edge: 10.0.1.11, dmz: 10.2.0.11}
  fw2: {edge: 10.0.1.12, dmz: 10.2.0.12}
floating_ips:
  out: {address: 10.0.1.10, hosts: [fw1, fw2], group: firewall}
  in: {address: 10.2.0.10, hosts: [fw1, fw2], group: firewall}
firewall:
  hosts: [fw1, fw2]
  allow:
"""


def said(times):
    ms = sorted(t * 1000 for t in times)
    return f"{statistics.median(ms):8.0f} ms ({ms[0]:.0f}..{ms[-1]:.0f})"


def timed(words, text=None):
    begin = resource.getrusage(resource.RUSAGE_CHILDREN)
    out = subprocess.run(words, input=text, capture_output=True, text=True, check=True).stdout
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    return end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime, out


print(f"{'rows':>6} {'rules':>6} {'file to rules':>24} {'nft, first':>24} {'nft, in place of those':>24} {'list':>24}")
with tempfile.TemporaryDirectory() as folder:
    for n in sizes:
        file = pathlib.Path(folder) / f"{n}.yaml"
        file.write_text(HEAD + "".join(
            f"    - {{from: 192.{i // 256 % 256}.{i % 256}.0/24, to: 10.2.{i // 200 % 250}.{i % 200 + 20}, "
            f"ports: {1000 + i % 60000}}}\n" for i in range(n)))
        derive, first, again, listed = [], [], [], []
        for _ in range(5):
            t, text = timed([nines, "firewall", "show", "--nft", "--host", "fw1", str(file)])
            derive.append(t)
            first.append(timed(["nft", "-j", "-f", "-"], text)[0])
            again.append(timed(["nft", "-j", "-f", "-"], text)[0])
            t, have = timed(["nft", "-j", "list", "table", "inet", "nines_fw"])
            listed.append(t)
            subprocess.run(["nft", "delete", "table", "inet", "nines_fw"], check=True)
        rules = sum("rule" in x for x in json.loads(have)["nftables"])
        print(f"{n:6} {rules:6} {said(derive):>24} {said(first):>24} {said(again):>24} {said(listed):>24}")
PY
