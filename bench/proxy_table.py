# SPDX-License-Identifier: Apache-2.0
"""Lines of bench.sh on standard input -> a table, each row beside the best of the others."""
import re
import sys

OTHERS = ("haproxy", "haproxysplice", "nginx")  # floor is no product

timed, memory = {}, {}
for line in sys.stdin:
    word = line.split()
    if word and word[0] == "median":
        value = dict(zip(word[4::2], word[5::2]))
        timed.setdefault(f"{word[1]} {word[3]}", {})[word[2]] = value
        continue
    found = re.match(r"(idle\w*) (\S+) \S+ .*pss after (\d+) kB, pss before (\d+) kB, open (\d+)",
                     line)
    if found:
        scenario, name = found.group(1, 2)
        after, before, n = (int(x) for x in found.group(3, 4, 5))
        memory.setdefault(scenario, {})[name] = (after - before) / n * 10000 / 1024

print("| scenario | program | CPU us/request | user | requests/s | p50 / p99 / p99.9 ms "
      "| failed | beside the better |")
print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
for scenario, rows in timed.items():
    best = min((float(rows[n]["cpu_us"]) for n in OTHERS if n in rows), default=None)
    for name, v in rows.items():
        ratio = f"{float(v['cpu_us']) / best:.2f}" if best and name not in OTHERS else ""
        bad = sum(float(v.get(k, 0)) for k in ("e_conn", "e_reset", "e_eof0", "e_tmo", "e_5xx",
                                               "e_other", "failed"))
        late = " / ".join(f"{float(v[k]) / 1000:.1f}" for k in ("p50", "p99", "p999"))
        print(f"| {scenario} | {name} | {float(v['cpu_us']):.1f} | {float(v['user_us']):.1f} "
              f"| {float(v['rps']):,.0f} | {late} | {bad:.0f} | {ratio} |")
if memory:
    print("\n| 10,000 idle connections | " + " | ".join(next(iter(memory.values()))) + " |")
    print("| --- |" + " ---: |" * len(next(iter(memory.values()))))
    for scenario, rows in memory.items():
        what = {"idle": "never sent a request", "idleused": "after one request"}[scenario]
        print(f"| {what} | " + " | ".join(f"{mib:.1f} MiB" for mib in rows.values()) + " |")
