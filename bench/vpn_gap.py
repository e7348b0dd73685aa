#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""One row for each case of bench/vpn.sh: vpn_gap.py ROUNDS ALONE HEARTBEAT."""
import json
import pathlib
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests/system"))
from vpnlab import Lab, until  # pylint: disable=wrong-import-position

# who talks, the client's keepalive in seconds, what happens, whether gateways share
CASES = [
    ("client", 0, "host off", True),
    ("client", 25, "host off", True),
    ("client", 1, "host off", True),
    ("server", 25, "host off", True),
    ("client", 0, "planned move", True),
    ("client", 25, "planned move", True),
    ("client", 0, "graceful stop", True),
    ("client", 0, "host off", False),
    ("client", 1, "host off", False),
]


def known(lab, name):
    listed = json.loads(lab.nines(name, "vpn", "list", "--json"))
    return all("endpoint" in p and "handshake_age_s" in p for p in listed["peers"])


def stream(lab, talker):
    if talker == "client":
        lab.stream()
    else:
        lab.spawn("server", "ping", "-n", "-D", "-i", "0.005", "-W1", "10.8.0.2", log="stream")


def fail(lab, what):
    if what == "host off":
        lab.off("gw1")
    elif what == "planned move":
        lab.nines("gw1", "move", "out", "gw2")
    else:
        lab.nines("gw1", "stop")


def one(talker, keepalive, what, shares, heartbeat):
    with tempfile.TemporaryDirectory(prefix="nines-vpn-") as folder:
        lab = Lab(folder, client_keepalive=keepalive, heartbeat=heartbeat)
        try:
            if not shares:
                lab.at("gw2", "nft", "add table inet deaf; add chain inet deaf in { type filter "
                       "hook input priority 0; }; add rule inet deaf in udp dport 52820 drop")
            lab.start_pair(shares)
            lab.start_client()
            until(lab.ping, "the first ping")
            if shares:
                until(lambda: known(lab, "gw2"), "gw2 knows the client")
            stream(lab, talker)
            until(lambda: lab.answers() > 100, "pings are answered")
            fail(lab, what)
            before = lab.answers()
            until(lambda: lab.answers() > before + 40, "and again", 40)
            time.sleep(0.2)
            return lab.gap_ms()[0]
        finally:
            lab.close()


def main():
    rounds, alone, heartbeat = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    gaps = {case: [] for case in CASES}
    for number in range(rounds):
        for case in CASES:
            if case[3] or number < alone:
                gaps[case].append(one(*case, heartbeat))
                print(f"round {number + 1}: {case} {gaps[case][-1]:.0f} ms", file=sys.stderr)
    print(f"| who talks | client's keepalive | what happens | gateways | gap, ms (heartbeat {heartbeat}) |")
    print("| --- | --- | --- | --- | --- |")
    for (talker, keepalive, what, shares), g in gaps.items():
        if g:
            print(f"| {talker} | {f'{keepalive} s' if keepalive else 'none'} | {what} | "
                  f"{'share' if shares else 'alone'} | {statistics.median(g):.0f} "
                  f"({min(g):.0f} .. {max(g):.0f}), {len(g)} rounds |")


main()
