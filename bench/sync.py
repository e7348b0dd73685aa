# SPDX-License-Identifier: Apache-2.0
"""What sharing connections costs and how fast it is, beside conntrackd (bench/sync.sh).

    sync.py LOAD-PROGRAM [lag] [cpu] [follow] [bulk] [failover]

nines and conntrackd (FTFW, DisableExternalCache: straight into the kernel, like nines) run
in turns, in the same namespaces (tests/system/synclab.py), ROUNDS times (3). CPU is what
their processes were on a processor, divided by connections."""
import json
import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/system"))
import synclab  # noqa: E402  pylint: disable=wrong-import-position

LOAD = sys.argv[1]
ROUNDS = int(os.environ.get("ROUNDS", "3"))
SERVER = "10.30.0.10"

CONNTRACKD = """Sync {{
 Mode FTFW {{
  DisableExternalCache on
  StartupResync on
 }}
 UDP {{
  IPv4_address {me}
  IPv4_Destination_Address {peer}
  Port 3780
  Interface sync
  SndSocketBuffer 4194304
  RcvSocketBuffer 4194304
  Checksum on
 }}
}}
General {{
 HashSize 32768
 HashLimit 524288
 LogFile {dir}/{host}.ctd.log
 LockFile {dir}/{host}.ctd.lock
 UNIX {{
  Path {dir}/{host}.ctd.sock
 }}
 NetlinkBufferSize 8388608
 NetlinkBufferSizeMaxGrowth 67108864
 Filter From Userspace {{
  Protocol Accept {{
   TCP
   UDP
  }}
  Address Ignore {{
   IPv4_address 127.0.0.1
   IPv4_address 10.40.0.1
   IPv4_address 10.40.0.2
  }}
 }}
}}
"""


def descendants(pid):
    found = [pid]
    for p in found:
        try:
            for task in os.listdir(f"/proc/{p}/task"):
                found += map(int, pathlib.Path(f"/proc/{p}/task/{task}/children").read_text().split())
        except OSError:
            pass
    return found


def cpu_ms(pid, named):
    """Of all processes below that are called so."""
    total = 0
    for p in descendants(pid):
        try:
            if named in pathlib.Path(f"/proc/{p}/cmdline").read_text():
                total += int(pathlib.Path(f"/proc/{p}/schedstat").read_text().split()[0])
        except OSError:
            pass
    return total / 1e6


class Pair:
    """Two firewalls with either program; fw1 has the addresses."""

    def __init__(self, kind):
        self.kind = kind
        self.lab = synclab.Lab(tempfile.mkdtemp(prefix="sync-bench-"))
        for h in ("client", "server"):
            self.lab.at(h, "sysctl", "-qw", "net.ipv4.ip_local_port_range=1024 65535",
                        "net.ipv4.tcp_tw_reuse=1", "net.ipv4.tcp_max_syn_backlog=65535",
                        "net.core.somaxconn=65535")
        for h in synclab.HOSTS:
            self.lab.at(h, "sysctl", "-qw", "net.netfilter.nf_conntrack_udp_timeout=900",
                        "net.netfilter.nf_conntrack_udp_timeout_stream=900")
        self.run = {}

    def start(self, host):
        if self.kind == "nines":
            self.lab.start(host)
            self.run[host] = self.lab.nines[host]
            return
        me, peer = ("10.40.0.1", "10.40.0.2") if host == "fw1" else ("10.40.0.2", "10.40.0.1")
        path = f"{self.lab.folder}/{host}.ctd"
        pathlib.Path(path).write_text(CONNTRACKD.format(me=me, peer=peer, dir=self.lab.folder,
                                                        host=host), encoding="ascii")
        self.run[host] = self.lab.spawn(host, "conntrackd", "-C", path, log=f"{host}.log")
        synclab.until(lambda: os.path.exists(f"{self.lab.folder}/{host}.ctd.sock"), "conntrackd")

    def up(self, hosts=synclab.HOSTS):
        for h in hosts:
            self.start(h)
            if h == "fw1" and self.kind == "nines":
                synclab.until(lambda: self.lab.acts("fw1"), "fw1 acts")
            elif h == "fw1":
                self.lab.ip("fw1", "addr", "add", "10.20.0.1/32", "dev", "in")
                self.lab.ip("fw1", "addr", "add", "10.30.0.1/32", "dev", "out")
        if len(hosts) == 2 and self.kind == "nines":
            synclab.until(self.lab.in_step, "in step")
        time.sleep(0.5)

    def cpu(self, host):
        return cpu_ms(self.run[host].pid, "part\0sync" if self.kind == "nines" else "conntrackd")

    def count(self, host):
        return int(self.lab.at(host, "conntrack", "-C"))

    def table(self, host, what):
        return len(re.findall(what, self.lab.at(host, "conntrack", "-L", check=False)))

    def load(self, host, *words):
        return json.loads(self.lab.at(host, LOAD, *words))

    def close(self):
        self.lab.close()


def lag(kind):
    """From the kernel's word on fw1 that a connection is established to fw2's on having it."""
    p = Pair(kind)
    try:
        p.up()
        p.lab.spawn("server", LOAD, "serve", SERVER, "9000", "8")
        watch = subprocess.Popen([LOAD, "watch", *(p.lab.prefix + h for h in synclab.HOSTS), "9000"],
                                 stdout=subprocess.PIPE, text=True)
        p.lab.procs.append(watch)
        watch.stdout.readline()
        got = p.load("client", "rate", SERVER, "9000", "8", os.environ.get("RATE", "2000"), "3")
        time.sleep(1)
        watch.terminate()
        return {"per_s": got["per_s"], **json.loads(watch.stdout.read())}
    finally:
        p.close()


def cpu(kind):
    p = Pair(kind)
    try:
        p.up()
        p.lab.spawn("server", LOAD, "serve", SERVER, "9000", "8")
        time.sleep(0.2)
        before = {h: p.cpu(h) for h in synclab.HOSTS}
        got = p.load("client", "rate", SERVER, "9000", "8", os.environ.get("RATE", "5000"), "4")
        time.sleep(1)
        after = {h: p.cpu(h) for h in synclab.HOSTS}
        scale = 10000 / got["done"]
        return {"per_s": got["per_s"], "active_ms": (after["fw1"] - before["fw1"]) * scale,
                "standby_ms": (after["fw2"] - before["fw2"]) * scale}
    finally:
        p.close()


def follow(kind):
    """Flows come and go in fw1's table; what is in fw2's afterwards must be the same."""
    p = Pair(kind)
    want = os.environ.get("FOLLOW", "45000")
    try:
        p.up()
        before = {h: p.cpu(h) for h in synclab.HOSTS}
        got = p.load("fw1", "churn", want, "4")
        began = time.monotonic()
        there, here = p.table("fw1", r"src=100\."), -1
        while time.monotonic() < began + 5 and here != there:
            here = p.table("fw2", r"src=100\.")
        after = {h: p.cpu(h) for h in synclab.HOSTS}
        scale = 10000 / got["churned"]
        return {"per_s": got["per_s"], "left_active": there, "left_standby": here,
                "settled_s": time.monotonic() - began,
                "active_ms": (after["fw1"] - before["fw1"]) * scale,
                "standby_ms": (after["fw2"] - before["fw2"]) * scale}
    finally:
        p.close()


def bulk(kind):
    p = Pair(kind)
    try:
        p.load("fw1", "fill", "100000")
        p.up(("fw1",))
        time.sleep(1)
        began = time.monotonic()
        p.start("fw2")
        synclab.until(lambda: p.count("fw2") > 10, "the first arrive", 20)
        first = time.monotonic()
        synclab.until(lambda: p.count("fw2") >= 100000, "100,000 arrive", 60)
        return {"from_start_s": time.monotonic() - began, "transfer_s": time.monotonic() - first,
                "active_ms": p.cpu("fw1"), "standby_ms": p.cpu("fw2")}
    finally:
        p.close()


def failover(kind):
    """2,000 flows, half of them silent on the client's side; how many live on after each."""
    p = Pair(kind)
    n = int(os.environ.get("FLOWS", "2000"))
    try:
        p.lab.spawn("server", sys.executable, synclab.FLOWS, "server", log="server.log")
        p.up()
        c = synclab.Client(p.lab)
        c.open("tcp", SERVER, 9000, n // 2)
        c.open("tcp-push", SERVER, 9100, n - n // 2)
        p.lab.off("fw1")
        synclab.until(lambda: p.lab.acts("fw2"), "fw2 takes over")
        off = c.check(60)["alive"]
        p.lab.on("fw1")
        synclab.until(lambda: p.lab.in_step("fw1", "fw2"), "fw1 is back")
        p.lab.order("fw2", "move", "fw-in", "fw1")
        synclab.until(lambda: p.lab.acts("fw1") and p.lab.in_step(), "fw1 acts")
        back = c.check(60)["alive"]
        p.lab.order("fw1", "stop")
        synclab.until(lambda: p.lab.acts("fw2"), "fw2 takes over again")
        return {"of": n, "host_off": off, "failback": back, "stop": c.check(60)["alive"]}
    finally:
        p.close()


MEASURES = {"lag": lag, "cpu": cpu, "follow": follow, "bulk": bulk}


def show(name, kind, rows):
    cells = []
    for key in rows[0]:
        v = sorted(r[key] for r in rows)
        cells.append(f"{key} {statistics.median(v):.5g} ({v[0]:.5g}-{v[-1]:.5g})")
    print(f"{name:8} {kind:11} " + "  ".join(cells), flush=True)


def main():
    names = sys.argv[2:] or [*MEASURES, "failover"]
    kinds = os.environ.get("KINDS", "nines conntrackd").split()
    for name in names:
        if name == "failover":  # conntrackd has no floating addresses of its own
            rows = [failover("nines") for _ in range(ROUNDS)]
            show(name, "nines", rows)
            continue
        rows = {k: [] for k in kinds}
        for _ in range(ROUNDS):
            for k in kinds:
                rows[k].append(MEASURES[name](k))
        for k in kinds:
            show(name, k, rows[k])


main()
