#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""failover_table.py FOLDER HEARTBEAT: the rounds of bench/failover.sh as one table."""
import json
import pathlib
import statistics
import sys

PEERS = {"nines": "nines", "keepalived": "keepalived + haproxy"}


def spread(values, digits=0):
    if not values:
        return "-"
    middle, low, high = statistics.median(values), min(values), max(values)
    if low == high:
        return f"{middle:.{digits}f}"
    return f"{middle:.{digits}f} ({low:.{digits}f} .. {high:.{digits}f})"


def read(folder, peer):
    """Case -> its rounds, over all files; a file that is no JSON is a drill that failed."""
    cases = {}
    for path in sorted(folder.glob(f"{peer}-*.json")):
        try:
            answer = json.loads(path.read_text())
        except json.JSONDecodeError:
            print(f"{path}: no result, see {path.with_suffix('.log')}", file=sys.stderr)
            continue
        for case in answer["cases"]:
            cases.setdefault(case["case"], []).extend(case["rounds"])
    return cases


def row(name, peer, rounds):
    def both(key):
        return [r["during"][key] + r["after"][key] for r in rounds]
    wrong = sum(not r["settled"] or bool(r["trouble"]) for r in rounds)
    return (name, PEERS[peer], str(len(rounds)), spread(both("outage_ms"), 1),
            spread(both("two_owners_ms"), 1), str(sum(both("requests_failed"))),
            str(sum(both("requests_retried"))), str(sum(both("connections_broken"))), str(wrong))


def main():
    folder = pathlib.Path(sys.argv[1])
    found = {peer: read(folder, peer) for peer in PEERS}
    rows = [("case", "program", "rounds", "nobody answered, ms", "two owners, ms", "failed",
             "retried", "broken", "wrong")]
    for name in dict.fromkeys(list(found["nines"]) + list(found["keepalived"])):
        rows += [row(name, peer, found[peer][name]) for peer in PEERS if name in found[peer]]
    print(f"heartbeat {sys.argv[2]}; median (min .. max); requests failed, asked once more, "
          "connections broken: of all rounds")
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    for r in rows:
        print("| " + " | ".join(c.ljust(w) for c, w in zip(r, widths)) + " |")
        if r is rows[0]:
            print("|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return 0 if len(rows) > 1 else 1


sys.exit(main())
