# SPDX-License-Identifier: Apache-2.0
"""Two gateways that route at once, with what is in front of them and behind.

   isp1 (.1)   isp2 (.254)          both have 203.0.113.9 and 2001:db8:9::9, the "client"
     |           |
   --+----+------+---+---  internet 198.51.100.0/24, 2001:db8:1::/64
          |          |
         gw1        gw2             .2 and .3; floating .4 and .5
          |          |
   --+----+------+---+---  edge 10.0.1.0/24, 2001:db8:2::/64
     |           |
    fw1         old                 .11: multipath by nines; .20: one static next hop

Every host but the ISPs and `old` runs nines.
"""
import collections
import json
import os
import pathlib
import select
import subprocess
import time

import kit
import pytest
from kit import DEADLINE, NINES, run, until

CLIENT = {4: "203.0.113.9", 6: "2001:db8:9::9"}
NAMES = ("isp1", "isp2", "gw1", "gw2", "fw1", "old")
LINKS = {  # host: {bridge: number of its addresses}
    "isp1": {"internet": 1}, "isp2": {"internet": 254},
    "gw1": {"internet": 2, "edge": 2}, "gw2": {"internet": 3, "edge": 3},
    "fw1": {"edge": 11}, "old": {"edge": 20},
}
NETS = {"internet": ("198.51.100.{}/24", "2001:db8:1::{:x}/64"),
        "edge": ("10.0.1.{}/24", "2001:db8:2::{:x}/64")}

FILE = """
cluster: edge
networks:
  internet: 198.51.100.0/24
  internet6: 2001:db8:1::/64
  edge: 10.0.1.0/24
  edge6: 2001:db8:2::/64
hosts:
  gw1: {{internet: 198.51.100.2, internet6: "2001:db8:1::2", edge: 10.0.1.2, edge6: "2001:db8:2::2"}}
  gw2: {{internet: 198.51.100.3, internet6: "2001:db8:1::3", edge: 10.0.1.3, edge6: "2001:db8:2::3"}}
  fw1: {{edge: 10.0.1.11, edge6: "2001:db8:2::b"}}
floating_ips:
  gw1-out: {{address: 198.51.100.4, hosts: [gw1, gw2], failback: true, heartbeat: {beat}}}
  gw2-out: {{address: 198.51.100.5, hosts: [gw2, gw1], failback: true, heartbeat: {beat}}}
  gw1-in: {{address: 10.0.1.4, hosts: [gw1, gw2], failback: true, heartbeat: {beat}}}
  gw2-in: {{address: 10.0.1.5, hosts: [gw2, gw1], failback: true, heartbeat: {beat}}}
  gw1-out6: {{address: "2001:db8:1::4", hosts: [gw1, gw2], failback: true, heartbeat: {beat}}}
  gw2-out6: {{address: "2001:db8:1::5", hosts: [gw2, gw1], failback: true, heartbeat: {beat}}}
  gw1-in6: {{address: "2001:db8:2::4", hosts: [gw1, gw2], failback: true, heartbeat: {beat}}}
  gw2-in6: {{address: "2001:db8:2::5", hosts: [gw2, gw1], failback: true, heartbeat: {beat}}}
gateways:
  hosts: [gw1, gw2]
  between: [[internet, internet6], [edge, edge6]]
  upstream: [198.51.100.1, 198.51.100.254{more}, "2001:db8:1::1", "2001:db8:1::fe"]
  routes: {routes}
  for: fw1
  fall: {fall}
  heartbeat: {beat}
"""

# Answers every datagram with its own name and what was asked, over both families, for ever.
ECHO = """
import select, socket, sys
socks = []
for family, ip in ((socket.AF_INET, "203.0.113.9"), (socket.AF_INET6, "2001:db8:9::9")):
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.bind((ip, 7))
    socks.append(s)
while True:
    for s in select.select(socks, [], [])[0]:
        data, peer = s.recvfrom(2048)
        s.sendto(sys.argv[1].encode() + b" " + data, peer)
"""

# Flows that each keep their ports: a line "FAMILY N" starts N of them, any line asks
# each of them once and again until all were answered; prints who answered, in order. A
# line's questions bear its number: what comes late for an earlier one is no answer.
FLOWS = """
import select, socket, sys, time
to = {4: (socket.AF_INET, "203.0.113.9"), 6: (socket.AF_INET6, "2001:db8:9::9")}
flows = []
for number, line in enumerate(sys.stdin):
    family, n = map(int, line.split())
    if len(flows) != n:
        flows = []
        for i in range(n):
            s = socket.socket(to[family][0], socket.SOCK_DGRAM)
            s.setblocking(False)
            s.connect((to[family][1], 7))
            flows.append(s)
    who = {}
    end = time.monotonic() + 20
    while len(who) < len(flows) and time.monotonic() < end:
        for s in flows:
            if s not in who:
                try:
                    s.send(b"%d" % number)
                except OSError:
                    pass
        until = time.monotonic() + 0.1
        while len(who) < len(flows) and time.monotonic() < until:
            for s in select.select(flows, [], [], 0.01)[0]:
                try:
                    name, asked = s.recv(99).decode().split()
                except OSError:
                    continue
                if int(asked) == number:
                    who[s] = name
    print(*[who.get(s, "-") for s in flows], flush=True)
"""


class Lab:
    def __init__(self, folder):
        self.prefix = f"gw-{os.getpid()}-"
        self.folder = folder
        self.procs = {}
        self.file = folder / "cluster.yaml"
        run("ip", "netns", "add", self.prefix + "switch")
        for bridge in NETS:
            self.ip("switch", "link", "add", "name", bridge, "type", "bridge",
                    "mcast_snooping", "0")
            self.ip("switch", "link", "set", bridge, "up")
        for name in NAMES:
            self.add(name)
            if "isp" in name:
                self.serve(name)
        self.ip("old", "route", "add", "default", "via", "10.0.1.4")

    def serve(self, name):
        """Makes it one of the ISPs, behind which the client is."""
        self.ip(name, "addr", "add", CLIENT[4] + "/32", "dev", "lo")
        self.ip(name, "addr", "add", CLIENT[6] + "/128", "dev", "lo")
        for family, to, vias in (("-4", "10.0.1.0/24", ("198.51.100.4", "198.51.100.5")),
                                 ("-6", "2001:db8:2::/64",
                                  ("2001:db8:1::4", "2001:db8:1::5"))):
            self.ip(name, family, "route", "add", to,
                    *[w for v in vias for w in ("nexthop", "via", v)])
        self.spawn(name, "python3", "-c", ECHO, name)

    def add(self, name):
        space = self.prefix + name
        run("ip", "netns", "add", space)
        # Those of IPv4 come from the machine: one that runs containers is a router.
        self.at(name, "sysctl", "-qw", "net.ipv6.conf.all.accept_dad=0",
                "net.ipv6.conf.default.accept_dad=0", "net.ipv4.ip_forward=0",
                "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0")
        self.ip(name, "link", "set", "lo", "up")
        for bridge, number in LINKS[name].items():
            run("ip", "link", "add", "name", f"{name}-{bridge}", "netns",
                self.prefix + "switch", "type", "veth", "peer", "name", bridge,
                "netns", space)
            self.ip("switch", "link", "set", f"{name}-{bridge}", "master", bridge, "up")
            self.ip(name, "link", "set", bridge, "up")
            for net in NETS[bridge]:
                self.ip(name, "addr", "add", net.format(number), "dev", bridge,
                        *(["nodad"] if ":" in net else []))

    def at(self, name, *words, check=True, stdin=None):
        return run("ip", "netns", "exec", self.prefix + name, *words, check=check,
                   stdin=stdin)

    def ip(self, name, *words, check=True):
        return run("ip", "-n", self.prefix + name, *words, check=check)

    def json(self, name, *words):
        return json.loads(self.ip(name, "-j", *words) or "[]")

    def spawn(self, name, *words, key=None, **more):
        with open(self.folder / f"{name}.log", "a", encoding="utf-8") as log:
            p = subprocess.Popen(["ip", "netns", "exec", self.prefix + name, *words],
                                 stderr=log, start_new_session=True,
                                 **{"stdin": subprocess.DEVNULL, "stdout": log, **more})
        self.procs[key or name] = p
        return p

    def write(self, **changes):
        what = {"routes": '{192.0.2.0/24: 10.0.1.11, "2001:db8:7::/64": fw1}', "fall": 3,
                "beat": "100ms", "more": "", **changes}
        self.file.write_text(FILE.format(**what), encoding="utf-8")

    def start(self, name):
        self.spawn(name, NINES, "run", "--host", name, "-f", str(self.file), "--run-dir",
                   str(self.folder / ("run-" + name)))

    def nines(self, name, verb, *words, check=True):
        return self.at(name, NINES, verb, "--run-dir", str(self.folder / ("run-" + name)),
                       *words, check=check)

    def status(self, name):
        text = self.nines(name, "status", "--json", check=False)
        return json.loads(text) if text.startswith("{") else {"facts": [], "parts": []}

    def facts(self, name):
        return {f["key"]: f["value"] for f in self.status(name)["facts"]}

    def fact(self, name, key, value):
        until(lambda: self.facts(name).get(key, "").startswith(value),
              f"{name}: {key} = {value}")

    def owns(self, name, ip):
        return f" {ip}/" in self.ip(name, "-o", "addr", "show")

    def ready(self):
        for name in ("gw1", "gw2"):
            self.fact(name, "gateway forward", "up")
            for side in ("out", "in", "out6", "in6"):
                self.fact(name, f"vip {name}-{side}", "active")
        for to in ("0.0.0.0/0", "::/0"):
            self.fact("gw1", f"gateway route {to}", "up 2/2")
            self.fact("gw2", f"gateway route {to}", "up 2/2")
            self.fact("fw1", f"gateway route {to}", "up 2/2")

    def kill(self, key):
        p = self.procs.pop(key)
        kit.kill(p)
        for pipe in (p.stdin, p.stdout):
            if pipe is not None:
                pipe.close()

    def links(self, name, state):
        for bridge in LINKS[name]:
            self.ip("switch", "link", "set", f"{name}-{bridge}", state)

    def close(self):
        for key in list(self.procs):
            self.kill(key)
        for name in ("switch", *NAMES):
            run("ip", "netns", "del", self.prefix + name, check=False)

    def flows(self, name):
        return Flows(self, name)


class Flows:
    def __init__(self, lab, name):
        self.lab, self.key = lab, f"flows-{name}-{time.monotonic_ns()}"
        self.p = lab.spawn(name, "python3", "-c", FLOWS, key=self.key,
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, family, n):
        self.p.stdin.write(f"{family} {n}\n")
        self.p.stdin.flush()
        assert select.select([self.p.stdout], [], [], DEADLINE)[0], "no answer"
        return self.p.stdout.readline().split()

    def close(self):
        self.lab.kill(self.key)


def forwarded(lab, name, family):
    """Datagrams that the host passed on."""
    if family == 4:
        rows = [line.split() for line in lab.at(name, "cat", "/proc/net/snmp").splitlines()
                if line.startswith("Ip:")]
        return int(rows[1][rows[0].index("ForwDatagrams")])
    for line in lab.at(name, "cat", "/proc/net/snmp6").splitlines():
        if line.startswith("Ip6OutForwDatagrams"):
            return int(line.split()[1])
    return 0


def nexthops(lab, name):
    """{id: gateway} of the next hops, {id: members} of the groups."""
    hops, groups = {}, {}
    for n in lab.json(name, "nexthop", "show"):
        if "group" in n:
            groups[n["id"]] = {m["id"] for m in n["group"]}
        else:
            hops[n["id"]] = n["gateway"]
    return hops, groups


def buckets(lab, name):
    """{(group, bucket): next hop}."""
    hops = nexthops(lab, name)[0]
    return {(b["id"], b["bucket"]["index"]): hops[b["bucket"]["nhid"]]
            for b in lab.json(name, "nexthop", "bucket", "show")}


def at_rest(lab, name):
    """The kernel gives a next hop that has come back its share of those buckets that were
    idle for ten seconds: until then they move by themselves. The buckets."""
    def shared():
        groups, now = nexthops(lab, name)[1], buckets(lab, name)
        for group, members in groups.items():
            via = collections.Counter(v for (g, _), v in now.items() if g == group)
            if len(via) != len(members) or max(via.values()) - min(via.values()) > 1:
                return None
        return now
    return until(shared, f"next hops of {name} have equal shares")


@pytest.fixture(scope="module", name="lab")
def fixture_lab(tmp_path_factory):
    made = None
    try:
        made = Lab(pathlib.Path(tmp_path_factory.mktemp("gateway")))
        made.write()
        for name in ("gw1", "gw2", "fw1"):
            made.start(name)
        made.ready()
        yield made
    finally:
        if made is not None:
            made.close()


@pytest.mark.parametrize("family", (4, 6))
def test_both_carry_traffic(lab, family):
    before = {n: forwarded(lab, n, family) for n in ("gw1", "gw2")}
    flows = lab.flows("fw1")
    who = flows.ask(family, 64)
    flows.close()
    assert set(who) == {"isp1", "isp2"}, who
    for name in ("gw1", "gw2"):
        assert forwarded(lab, name, family) > before[name], name


def test_next_hop_that_dies_leaves_the_set(lab):
    old = at_rest(lab, "gw1")
    flows = lab.flows("fw1")
    assert "-" not in flows.ask(4, 32)
    # Its link stays up: only that nobody answers can be noticed.
    lab.ip("switch", "link", "set", "isp2-internet", "nomaster")
    for name in ("gw1", "gw2"):
        lab.fact(name, "gateway next-hop 198.51.100.254", "down no answer")
        lab.fact(name, "gateway next-hop 2001:db8:1::fe", "down no answer")
        lab.fact(name, "gateway route 0.0.0.0/0", "up 1/2 via 198.51.100.1")
        lab.fact(name, "gateway forward", "up")
    assert set(flows.ask(4, 32)) == {"isp1"}
    flows.close()
    new = buckets(lab, "gw1")
    stayed = [k for k, via in old.items() if via == "198.51.100.1"]
    assert stayed and all(new[k] == "198.51.100.1" for k in stayed)
    assert "198.51.100.254" not in new.values()
    lab.ip("switch", "link", "set", "isp2-internet", "master", "internet")
    for name in ("gw1", "gw2"):
        lab.fact(name, "gateway route 0.0.0.0/0", "up 2/2")
        lab.fact(name, "gateway route ::/0", "up 2/2")


def test_killed_part_loses_no_route(lab):
    at_rest(lab, "gw1")
    old = nexthops(lab, "gw1"), buckets(lab, "gw1")
    settings = {k: v for k, v in lab.facts("gw1").items() if k.startswith("gateway setting")}
    part = next(p for p in lab.status("gw1")["parts"] if p["name"] == "gateway")
    flows = lab.flows("fw1")
    assert "-" not in flows.ask(4, 16)
    lab.at("gw1", "kill", "-9", str(part["pid"]))
    assert "-" not in flows.ask(4, 16)
    flows.close()

    def back():
        return any(p["name"] == "gateway" and p["state"] == "up" and
                   p["pid"] not in (0, part["pid"]) for p in lab.status("gw1")["parts"])

    until(back, "the part is back")
    lab.fact("gw1", "gateway route 0.0.0.0/0", "up 2/2")
    assert nexthops(lab, "gw1") == old[0]
    assert buckets(lab, "gw1") == old[1]
    assert settings and settings == {k: v for k, v in lab.facts("gw1").items()
                                     if k.startswith("gateway setting")}


def test_reload_changes_only_what_changed(lab):
    at_rest(lab, "gw1")
    old = nexthops(lab, "gw1"), buckets(lab, "gw1")
    lab.write(routes='{192.0.2.0/24: 10.0.1.11, 198.18.0.0/15: fw1}', fall=4)
    lab.nines("gw1", "reload")
    lab.fact("gw1", "gateway route 198.18.0.0/15", "up 1/1 via 10.0.1.11")
    until(lambda: "gateway route 2001:db8:7::/64" not in lab.facts("gw1"), "one route gone")
    now = buckets(lab, "gw1")
    kept = {k: v for k, v in old[1].items() if k in now}
    assert kept and all(now[k] == v for k, v in kept.items())
    assert set(nexthops(lab, "gw1")[0].items()) <= set(old[0][0].items())
    assert "proto 110" in lab.ip("gw1", "route", "show", "198.18.0.0/15")
    assert not lab.ip("gw1", "-6", "route", "show", "2001:db8:7::/64")
    lab.write()
    lab.nines("gw1", "reload")
    lab.fact("gw1", "gateway route 2001:db8:7::/64", "up 1/1")
    assert not lab.ip("gw1", "route", "show", "198.18.0.0/15")


def test_upgrade_keeps_routes(lab):
    at_rest(lab, "gw1")
    old = nexthops(lab, "gw1"), buckets(lab, "gw1")
    part = next(p for p in lab.status("gw1")["parts"] if p["name"] == "gateway")
    lab.nines("gw1", "upgrade")
    until(lambda: next((p for p in lab.status("gw1")["parts"] if p["name"] == "gateway" and
                        p["pid"] != part["pid"]), None), "a new process")
    lab.ready()
    assert (nexthops(lab, "gw1"), buckets(lab, "gw1")) == old


def test_host_that_is_served_no_more(lab):
    text = lab.file.read_text(encoding="utf-8")
    lab.file.write_text(text.replace("for: fw1", "for: []"), encoding="utf-8")
    lab.nines("fw1", "reload")
    until(lambda: not lab.json("fw1", "nexthop", "show"), "no next hop of ours")
    until(lambda: "lookup 110" not in lab.ip("fw1", "rule", "show"), "no rule of ours")
    until(lambda: not any(k.startswith("gateway") for k in lab.facts("fw1")), "no fact")
    until(lambda: lab.at("fw1", "cat", "/proc/sys/net/ipv4/fib_multipath_hash_policy") == "0\n",
          "what was before")
    lab.write()
    lab.nines("fw1", "reload")
    lab.ready()


def test_what_others_remove_comes_back(lab):
    lab.ip("fw1", "-6", "route", "del", "default", "table", "110")
    lab.ip("fw1", "rule", "del", "pref", "32001")
    lab.ip("fw1", "nexthop", "flush")
    until(lambda: len(lab.json("fw1", "route", "show", "table", "110")) == 1 and
          len(lab.json("fw1", "-6", "route", "show", "table", "110")) == 1 and
          "32001:" in lab.ip("fw1", "rule", "show"), "routes and rules are back")
    lab.at("gw1", "sysctl", "-qw", "net.ipv4.conf.edge.forwarding=0")
    until(lambda: lab.at("gw1", "cat", "/proc/sys/net/ipv4/conf/edge/forwarding") == "1\n",
          "forwarding is back")


def icmp_errors(lab, family, size, ttl):
    """Sends a datagram and returns the first ICMP error about it: who said it, type."""
    program = f"""
import select, socket, struct, sys
v6 = {family} == 6
s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
level = socket.IPPROTO_IPV6 if v6 else socket.IPPROTO_IP
s.setsockopt(level, 25 if v6 else 11, 1)           # RECVERR
s.setsockopt(level, 23 if v6 else 10, 3)           # MTU_DISCOVER: PROBE
if {ttl}:
    s.setsockopt(level, 16 if v6 else 2, {ttl})    # UNICAST_HOPS, TTL
p = select.poll()
p.register(s, select.POLLERR)
for _ in range(100):
    try:
        s.sendto(b"x" * {size}, ({CLIENT[family]!r}, 9))
    except OSError:
        pass
    if not p.poll(200):
        continue
    data, anc, flags, peer = s.recvmsg(2048, 2048, socket.MSG_ERRQUEUE)
    for _l, _t, d in anc:
        if len(d) >= 16:
            errno, origin, kind, code, _pad, info, _data = struct.unpack("=IBBBBII", d[:16])
            if origin not in (2, 3):
                continue
            off = d[16:]
            ip = (socket.inet_ntop(socket.AF_INET6, off[8:24]) if v6
                  else socket.inet_ntop(socket.AF_INET, off[4:8]))
            print(ip, kind, code, info)
            sys.exit()
print("none")
"""
    return lab.at("fw1", "python3", "-c", program).split()


@pytest.mark.parametrize("family,own,expired", (
    (4, {"10.0.1.2", "10.0.1.3"}, ["11", "0"]),
    (6, {"2001:db8:2::2", "2001:db8:2::3"}, ["3", "0"])))
def test_errors_come_from_the_gateway_itself(lab, family, own, expired):
    who, *kind = icmp_errors(lab, family, 100, 1)
    assert who in own and kind[:2] == expired


@pytest.mark.parametrize("family,too_big", ((4, ["3", "4"]), (6, ["2", "0"])))
def test_path_mtu_is_told(lab, family, too_big):
    for name in ("gw1", "gw2"):
        lab.ip(name, "link", "set", "internet", "mtu", "1400")
    who, kind, code, mtu = icmp_errors(lab, family, 1440, 0)
    assert [kind, code] == too_big and mtu == "1400", who
    for name in ("gw1", "gw2"):
        lab.ip(name, "link", "set", "internet", "mtu", "1500")


def test_gateway_without_its_upstream_hands_over(lab):
    """gw1 still lives, but leads nowhere: what goes to its address must get to gw2."""
    lab.ip("switch", "link", "set", "gw1-internet", "down")
    lab.fact("gw1", "gateway forward", "down")
    until(lambda: lab.owns("gw2", "10.0.1.4") and not lab.owns("gw1", "10.0.1.4"),
          "gw2 has gw1's address on the inside")
    flows = lab.flows("fw1")
    assert "-" not in flows.ask(4, 32)
    flows.close()
    lab.ip("switch", "link", "set", "gw1-internet", "up")
    lab.ready()


def test_one_gateway_off(lab):
    old = at_rest(lab, "fw1")
    flows, static = lab.flows("fw1"), lab.flows("old")
    assert "-" not in flows.ask(4, 32) and "-" not in static.ask(4, 8)
    lab.links("gw1", "down")  # as if its power were off: nothing comes out of it
    lab.kill("gw1")
    until(lambda: lab.owns("gw2", "10.0.1.4"), "gw2 has gw1's address")
    assert "-" not in flows.ask(4, 32)
    assert "-" not in static.ask(4, 8), "the neighbour with one static next hop"
    new = buckets(lab, "fw1")
    moved = [k for k, via in old.items() if via in ("10.0.1.5", "2001:db8:2::5") and
             new[k] != via]
    assert not moved, "flows of the gateway that stayed were moved"
    six = lab.flows("fw1")
    assert "-" not in six.ask(6, 16)
    six.close()
    # and back
    lab.ip("gw1", "addr", "flush", "dev", "edge", "to", "10.0.1.4/32")
    lab.links("gw1", "up")
    lab.start("gw1")
    lab.ready()
    assert "-" not in flows.ask(4, 32) and "-" not in static.ask(4, 8)
    flows.close()
    static.close()


def test_stop_loses_nothing_and_puts_everything_back(lab):
    flows = lab.flows("fw1")
    assert "-" not in flows.ask(4, 32)
    lab.nines("gw1", "stop")
    lab.procs["gw1"].wait(timeout=DEADLINE)
    assert "-" not in flows.ask(4, 32)
    assert lab.json("gw1", "nexthop", "show") == []
    assert "lookup 110" not in lab.ip("gw1", "rule", "show") + lab.ip("gw1", "-6", "rule",
                                                                      "show")
    assert "proto 110" not in lab.ip("gw1", "route", "show", "table", "all")
    for name in ("ipv4/conf/edge/forwarding", "ipv6/conf/all/forwarding",
                 "ipv4/fib_multipath_hash_policy"):
        assert lab.at("gw1", "cat", "/proc/sys/net/" + name) == "0\n", name
    flows.close()
