#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Flows through the two gateways of tests/system/test_gateway.py while things fail.

32 flows of datagrams, one each 5 ms, from a host behind the gateways to servers behind
three ISPs, which answer. Of each failure: the time from the first datagram that nobody
answered to the last one, how many were lost, and how many buckets of next hops that had not
failed were moved. Started by bench/gateway.sh.
"""
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/system"))
import test_gateway as edge  # noqa: E402

ROUNDS = int(os.environ.get("ROUNDS", "5"))
HEARTBEATS = os.environ.get("HEARTBEATS", "100ms 10ms").split()

# Prints, when its input ends, the instants (ns) of the datagrams nobody answered.
PROBER = """
import selectors, socket, struct, sys, threading, time
flows, sent, got, on = [], {}, set(), True
poll = selectors.DefaultSelector()
for i in range(32):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setblocking(False)
    s.connect(("203.0.113.9", 7))
    poll.register(s, selectors.EVENT_READ)
    flows.append(s)
def hear():
    while on:
        for key, _ in poll.select(0.1):
            try:
                got.add(key.fileobj.recv(64))
            except OSError:
                pass
def stop():
    global on
    sys.stdin.read()
    on = False
threading.Thread(target=stop, daemon=True).start()
ear = threading.Thread(target=hear)
ear.start()
print("on", flush=True)
n, due = 0, time.monotonic()
while on:
    for i in range(len(flows)):
        name = struct.pack("=II", i, n)
        sent[name] = time.monotonic_ns()
        try:
            flows[i].send(name)
        except OSError:
            pass
    n, due = n + 1, due + 0.005
    time.sleep(max(0, due - time.monotonic()))
ear.join()
late = time.monotonic_ns() - 200_000_000
print(*sorted(t for name, t in sent.items() if name not in got and t < late))
"""

ECHO = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("203.0.113.9", 7))
while True:
    data, peer = s.recvfrom(64)
    s.sendto(data, peer)
"""


class Prober:
    def __init__(self, lab):
        self.lab = lab
        self.p = lab.spawn("fw1", "python3", "-c", PROBER, key="prober",
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.p.stdout.readline()
        time.sleep(0.5)

    def close(self):
        self.p.stdin.close()
        lost = [int(t) for t in self.p.stdout.read().split()]
        self.p.stdin = None
        self.lab.kill("prober")
        return lost


def prepare(folder, beat):
    edge.LINKS["isp3"] = {"internet": 253}
    edge.NAMES = (*edge.NAMES[:6], "isp3")
    edge.ECHO = ECHO
    lab = edge.Lab(folder)
    lab.write(beat=beat, more=", 198.51.100.253")
    for name in ("gw1", "gw2", "fw1"):
        lab.start(name)
    return lab


def ready(lab):
    for name in ("gw1", "gw2"):
        lab.fact(name, "gateway route 0.0.0.0/0", "up 3/3")
        for side in ("out", "in"):
            lab.fact(name, f"vip {name}-{side}", "active")
    lab.fact("fw1", "gateway route 0.0.0.0/0", "up 2/2")


def moved(before, after, dead):
    """Buckets of living next hops that are somewhere else now."""
    return sum(1 for k, via in before.items() if via != dead and after.get(k) != via)


def measure(lab, fail, settled, watched, dead):
    ready(lab)
    before = edge.buckets(lab, watched)
    prober = Prober(lab)
    start = time.monotonic_ns()
    fail()
    edge.until(settled, "it is over")
    time.sleep(1)
    after = edge.buckets(lab, watched)
    lost = [t for t in prober.close() if t >= start]
    gap = (max(lost) - min(lost)) / 1e6 if lost else 0
    return gap, len(lost), moved(before, after, dead)


def hop_dies(lab):
    row = measure(
        lab, lambda: lab.ip("switch", "link", "set", "isp3-internet", "nomaster"),
        lambda: all("up 2/3" in lab.facts(g)["gateway route 0.0.0.0/0"]
                    for g in ("gw1", "gw2")), "gw2", "198.51.100.253")
    lab.ip("switch", "link", "set", "isp3-internet", "master", "internet")
    return row


def gateway_off(lab):
    def fail():
        lab.links("gw1", "down")
        lab.kill("gw1")

    row = measure(lab, fail, lambda: lab.owns("gw2", "10.0.1.4"), "fw1", "10.0.1.4")
    for net in ("edge", "internet"):
        for n in lab.json("gw1", "addr", "show", "dev", net)[0]["addr_info"]:
            if n["prefixlen"] in (32, 128):
                lab.ip("gw1", "addr", "del", n["local"], "dev", net, check=False)
    lab.links("gw1", "up")
    lab.start("gw1")
    return row


def gateway_stops(lab):
    def fail():
        lab.nines("gw1", "stop")
        lab.procs.pop("gw1").wait()

    row = measure(lab, fail, lambda: lab.owns("gw2", "10.0.1.4"), "fw1", None)
    lab.start("gw1")
    return row


CASES = (("next hop falls silent", hop_dies), ("gateway off", gateway_off),
         ("gateway stopped", gateway_stops))


def spread(values):
    return f"{statistics.median(values):.0f} ({min(values):.0f} .. {max(values):.0f})"


def main():
    print("| failure | heartbeat | lost for, ms | datagrams lost of 6400/s "
          "| other flows' buckets moved |\n| --- | --- | --- | --- | --- |", flush=True)
    for beat in HEARTBEATS:
        with tempfile.TemporaryDirectory() as folder:
            lab = None
            try:
                lab = prepare(pathlib.Path(folder), beat)
                for name, case in CASES:
                    rows = [case(lab) for _ in range(ROUNDS)]
                    print(f"| {name} | {beat} | " +
                          " | ".join(spread(c) for c in zip(*rows)) + " |", flush=True)
            finally:
                if lab is not None:
                    lab.close()


main()
