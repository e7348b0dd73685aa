# SPDX-License-Identifier: Apache-2.0
"""A firewall pair between a client and a server, with a link of its own for state.

     client ----- in ----- fw1, fw2 ----- out ----- server
    10.20.0.10   .1 (floating)   .1 (floating)   10.30.0.10
    fd00:20::10  ::1                  ::1        fd00:30::10
                     fw1 ---- failover ---- fw2
                  10.40.0.1              10.40.0.2
"""
import json
import os
import pathlib
import subprocess
import sys

from kit import DEADLINE, NINES, ROOT, kill, run, until

FLOWS = str(ROOT / "tests/system/flows.py")
HOSTS = ("fw1", "fw2")

CLUSTER = """cluster: pair
networks:
  in: 10.20.0.0/24
  in6: "fd00:20::/64"
  out: 10.30.0.0/24
  out6: "fd00:30::/64"
  failover: {subnet: 10.40.0.0/24, dedicated: true}
hosts:
  fw1: {in: 10.20.0.2, out: 10.30.0.2, in6: "fd00:20::2", out6: "fd00:30::2", failover: 10.40.0.1}
  fw2: {in: 10.20.0.3, out: 10.30.0.3, in6: "fd00:20::3", out6: "fd00:30::3", failover: 10.40.0.2}
floating_ips:
  fw-in: {address: 10.20.0.1, hosts: [fw1, fw2], group: firewall, failback: FAILBACK}
  fw-out: {address: 10.30.0.1, hosts: [fw1, fw2], group: firewall, failback: FAILBACK}
  fw-in6: {address: "fd00:20::1", hosts: [fw1, fw2], group: firewall, failback: FAILBACK}
  fw-out6: {address: "fd00:30::1", hosts: [fw1, fw2], group: firewall, failback: FAILBACK}
firewall:
  hosts: [fw1, fw2]
  sync: failover
  key_file: KEYFILE
  allow: [{from: any, to: any}]
"""

# New connections begin with SYN and come from the client; nothing is picked up midway.
RULES = """table inet t {
 chain forward { type filter hook forward priority 0; policy drop;
  ct state established,related accept
  ct state invalid drop
  iifname "in" ct state new tcp flags & (fin|syn|rst|ack) == syn accept
  iifname "in" meta l4proto { udp, icmp, icmpv6 } ct state new accept
 }
 chain input { type filter hook input priority 0;
  ip daddr 10.30.0.1 meta l4proto { tcp, udp } ct state new,invalid drop
 }
 chain dstnat { type nat hook prerouting priority -100;
  ip daddr 10.20.0.1 tcp dport 8080 dnat ip to 10.30.0.10:9000
 }
 chain srcnat { type nat hook postrouting priority 100;
  oifname "out" ip saddr 10.20.0.0/24 snat ip to 10.30.0.1
 }
}
"""


class Client:
    """The driver of connections, in the client's namespace."""

    def __init__(self, lab):
        self.proc = lab.spawn("client", sys.executable, FLOWS, "client", stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)

    def ask(self, *words):
        self.proc.stdin.write(json.dumps(words) + "\n")
        self.proc.stdin.flush()
        answer = json.loads(self.proc.stdout.readline())
        assert "error" not in answer, answer
        return answer

    def open(self, kind, address, port, n):
        self.ask("open", kind, address, port, n)

    def check(self, seconds=DEADLINE):
        return self.ask("check", seconds)


class Lab:
    def __init__(self, folder, failback=False):
        self.prefix = f"sync-{os.getpid()}-"
        self.folder = str(folder)
        self.procs, self.spaces, self.nines = [], [], {}
        self.failback = failback
        self.space("switch")
        for bridge in ("in", "out"):
            self.ip("switch", "link", "add", "name", bridge, "type", "bridge",
                    "mcast_snooping", "0")
            self.ip("switch", "link", "set", bridge, "up")
        for name in ("client", *HOSTS, "server"):
            self.space(name)
        self.plug("client", "in", 10)
        self.plug("server", "out", 10)
        for i, h in enumerate(HOSTS):
            self.plug(h, "in", i + 2)
            self.plug(h, "out", i + 2)
            self.at(h, "sysctl", "-qw", "net.ipv4.ip_forward=1",
                    "net.ipv6.conf.all.forwarding=1", "net.netfilter.nf_conntrack_tcp_loose=0")
            run("ip", "netns", "exec", self.prefix + h, "nft", "-f", "-", stdin=RULES)
        run("ip", "link", "add", "name", "sync", "netns", self.prefix + "fw1", "type", "veth",
            "peer", "name", "sync", "netns", self.prefix + "fw2")
        for i, h in enumerate(HOSTS):
            self.ip(h, "addr", "add", f"10.40.0.{i + 1}/24", "dev", "sync")
            self.ip(h, "link", "set", "sync", "up")
        for h, side in (("client", 20), ("server", 30)):
            self.ip(h, "route", "add", "default", "via", f"10.{side}.0.1")
            self.ip(h, "-6", "route", "add", "default", "via", f"fd00:{side}::1")
        self.write_files()

    def write_files(self, key="5a" * 32):
        path = pathlib.Path(self.folder)
        (path / "sync.key").write_text(key + "\n", encoding="ascii")
        (path / "sync.key").chmod(0o600)
        text = CLUSTER.replace("KEYFILE", str(path / "sync.key"))
        (path / "cluster.yaml").write_text(
            text.replace("FAILBACK", "true" if self.failback else "false"), encoding="ascii")

    def space(self, name):
        run("ip", "netns", "add", self.prefix + name)
        self.spaces.append(name)
        self.at(name, "sysctl", "-qw", "net.ipv6.conf.all.accept_dad=0",
                "net.ipv6.conf.default.accept_dad=0", "net.ipv4.conf.all.rp_filter=0",
                "net.ipv4.conf.default.rp_filter=0")
        self.ip(name, "link", "set", "lo", "up")

    def plug(self, name, bridge, number):
        port = f"{name}-{bridge}"
        run("ip", "link", "add", "name", port, "netns", self.prefix + "switch", "type", "veth",
            "peer", "name", bridge, "netns", self.prefix + name)
        self.ip("switch", "link", "set", port, "master", bridge, "up")
        self.ip(name, "link", "set", bridge, "up")
        side = {"in": 20, "out": 30}[bridge]
        self.ip(name, "addr", "add", f"10.{side}.0.{number}/24", "dev", bridge)
        self.ip(name, "addr", "add", f"fd00:{side}::{number}/64", "dev", bridge, "nodad")

    def ip(self, name, *words, check=True):
        return run("ip", "-n", self.prefix + name, *words, check=check)

    def at(self, name, *words, check=True):
        return run("ip", "netns", "exec", self.prefix + name, *words, check=check)

    def spawn(self, name, *words, log=None, **more):
        if log:
            more["stdout"] = more["stderr"] = open(f"{self.folder}/{log}", "a", encoding="utf-8")
        p = subprocess.Popen(["ip", "netns", "exec", self.prefix + name, *words],
                             start_new_session=True, **more)
        self.procs.append(p)
        return p

    # ---- nines ----

    def start(self, host, *more):
        self.nines[host] = self.spawn(
            host, NINES, "run", "--host", host, "-f", f"{self.folder}/cluster.yaml",
            "--run-dir", f"{self.folder}/{host}", *more, log=f"{host}.log")

    def order(self, host, *words, check=True):
        return self.at(host, NINES, *words, "--run-dir", f"{self.folder}/{host}", check=check)

    def facts(self, host):
        text = self.order(host, "status", "--json", check=False)
        try:
            return {f["key"]: f["value"] for f in json.loads(text)["facts"]}
        except (ValueError, KeyError):
            return {}

    def acts(self, host):
        """All four addresses are here."""
        f = self.facts(host)
        return all(f.get(f"vip fw-{n}") == "active" for n in ("in", "out", "in6", "out6"))

    def in_step(self, to="fw2", acting="fw1"):
        up = self.facts(acting).get(f"sync peer {to}", "")
        here = self.facts(to).get(f"sync peer {acting}", "")
        return (up, here) == ("up to it", "up from it")

    def both_up(self):
        self.start("fw1")
        until(lambda: self.acts("fw1"), "fw1 has the addresses")
        self.start("fw2")
        until(self.in_step, "fw2 knows what fw1 knows")

    def off(self, host):
        """As if its power had gone: cables first, then whatever runs."""
        for bridge in ("in", "out"):
            self.ip("switch", "link", "set", f"{host}-{bridge}", "down")
        self.ip(host, "link", "set", "sync", "down")
        kill(self.nines.pop(host))
        self.at(host, "conntrack", "-F")
        for dev, addr in (("in", "10.20.0.1/32"), ("out", "10.30.0.1/32"),
                          ("in", "fd00:20::1/128"), ("out", "fd00:30::1/128")):
            self.ip(host, "addr", "del", addr, "dev", dev, check=False)

    def on(self, host):
        for bridge in ("in", "out"):
            self.ip("switch", "link", "set", f"{host}-{bridge}", "up")
        self.ip(host, "link", "set", "sync", "up")
        self.start(host)

    # ---- connections ----

    def flows(self, host):
        """The kernel's established connections between client and server, normalised."""
        found = set()
        for line in self.at(host, "conntrack", "-L", "-o", "extended", check=False).splitlines() + \
                self.at(host, "conntrack", "-L", "-f", "ipv6", "-o", "extended",
                        check=False).splitlines():
            words = line.split()
            pairs = [w for w in words if "=" in w]
            if any(w in ("src=10.20.0.10", "src=fd00:20::10",
                         "src=fd00:0020:0000:0000:0000:0000:0000:0010") for w in pairs):
                tuple_ = [w for w in pairs if w.split("=")[0] in
                          ("src", "dst", "sport", "dport", "type", "code", "id")]
                found.add((words[2], *tuple_))
        return found

    def states(self, host):
        return [line for line in self.at(host, "conntrack", "-L", check=False).splitlines()
                if "src=10.20.0.10" in line or "fd00:20::10" in line]

    def part_pid(self, host, part):
        try:
            parts = json.loads(self.order(host, "status", "--json", check=False))["parts"]
        except (ValueError, KeyError):
            return 0
        return next((p["pid"] for p in parts if p["name"] == part and p["state"] == "up"), 0)

    def capture(self, host, n):
        """The payloads of datagrams that arrive at `host`."""
        script = ("import socket,sys\n"
                  "s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))\n"
                  "s.bind(('sync', 0)); s.settimeout(30); n = 0\n"
                  f"while n < {n}:\n"
                  "    p, a = s.recvfrom(4096)\n"
                  "    if a[2] == 0 and p[9] == 17:\n"
                  "        print(p[28:].hex()); n += 1\n")
        return [bytes.fromhex(line) for line in
                self.at(host, sys.executable, "-c", script).split()]

    def inject(self, source, to, payloads):
        """Sends them to `to` as if from `source`, past the real sender's socket."""
        script = ("import socket,struct,sys\n"
                  "s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)\n"
                  "for line in sys.stdin:\n"
                  "    b = bytes.fromhex(line)\n"
                  "    u = struct.pack('>4H', 3781, 3781, 8 + len(b), 0) + b\n"
                  f"    src = socket.inet_aton('{source}')\n"
                  f"    dst = socket.inet_aton('10.40.0.{HOSTS.index(to) + 1}')\n"
                  "    h = struct.pack('>BBHHHBBH4s4s', 69, 0, 20 + len(u), 0, 0, 64, 17, 0,"
                  " src, dst)\n"
                  "    s.sendto(h + u, (socket.inet_ntoa(dst), 0))\n")
        other = HOSTS[1 - HOSTS.index(to)]
        run("ip", "netns", "exec", self.prefix + other, sys.executable, "-c", script,
            stdin="".join(p.hex() + "\n" for p in payloads))

    def text(self, name):
        return pathlib.Path(f"{self.folder}/{name}").read_text(encoding="utf-8")

    def log(self, host):
        return self.text(f"{host}.log")

    def close(self):
        for p in self.procs:
            kill(p)
            for f in (p.stdin, p.stdout):
                if f:
                    f.close()
        for s in self.spaces:
            run("ip", "netns", "del", self.prefix + s, check=False)
