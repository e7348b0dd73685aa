# SPDX-License-Identifier: Apache-2.0
"""A firewall, what is outside of it, and a host with a firewall of its own.

   out     198.51.100.9, 203.0.113.9 and .66, 2001:db8:9::9: the world
    | .1
   -+-+--- edge 10.0.1.0/24, 2001:db8:1::/64
      | .11, floating .10
     fw1   runs nines: `firewall`
      | .11, floating .10
   -+-+--- dmz 10.0.2.0/24, 2001:db8:2::/64
    |   |
   lb1  web1    .21; .31 runs nines: `host_firewall`

Whether a packet passes shows without a listener: its host refuses the connection, or
nobody answers.
"""
import concurrent.futures
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import textwrap

import pytest
from kit import DEADLINE, NINES, until

NAMES = ("out", "fw1", "lb1", "web1")

FILE = """
cluster: wall-{pid}
networks:
  internet: 198.51.100.0/24
  edge: 10.0.1.0/24
  edge6: 2001:db8:1::/64
  dmz: 10.0.2.0/24
  dmz6: 2001:db8:2::/64
hosts:
  fw1: {{edge: 10.0.1.11, edge6: "2001:db8:1::b", dmz: 10.0.2.11, dmz6: "2001:db8:2::b"}}
  lb1: {{dmz: 10.0.2.21, dmz6: "2001:db8:2::15"}}
  web1: {{dmz: 10.0.2.31, dmz6: "2001:db8:2::1f"}}
floating_ips:
  fw-out: {{address: 10.0.1.10, hosts: [fw1], group: firewall}}
  fw-in: {{address: 10.0.2.10, hosts: [fw1], group: firewall}}
  fw-out6: {{address: "2001:db8:1::a", hosts: [fw1], group: firewall}}
  fw-in6: {{address: "2001:db8:2::a", hosts: [fw1], group: firewall}}
services:
  site: {{listen: lb1:80, servers: [web1:3000], check: none}}
firewall:
  hosts: [fw1]
{rules}
{rest}
"""

RULES = """
  deny:
    - {from: 203.0.113.66, to: any}
  allow:
    - {from: internet, to: site}
    - {from: internet, to: web1, ports: [8000-8010, 53/udp]}
    - {from: internet, to: fw-out, ports: 2222, nat: {to: "web1:22"}}
    - {from: internet, to: web1, ports: 9000, limit: 3/m}
    - {from: internet, to: web1, ports: 9443, synproxy: true}
    - {from: [dmz, dmz6], to: internet, nat: masquerade}
"""

# What happens to connections, all at once: JSON in, JSON out.
PROBE = textwrap.dedent("""
    import json, selectors, socket, sys, time
    tries, sel, left = json.load(sys.stdin), selectors.DefaultSelector(), 0
    said = ["silent"] * len(tries)
    for i, (src, dst, port, kind) in enumerate(tries):
        family = socket.AF_INET6 if ":" in dst else socket.AF_INET
        s = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
        s.setblocking(False)
        if src:
            s.bind((src, 0))
        try:
            s.connect_ex((dst, port))
            if kind == "udp":
                s.send(b"?")
        except OSError as e:
            said[i] = str(e)
            continue
        sel.register(s, selectors.EVENT_READ if kind == "udp" else selectors.EVENT_WRITE, i)
        left += 1
    end = time.monotonic() + 1
    while left and time.monotonic() < end:
        for key, _ in sel.select(end - time.monotonic()):
            err = key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            said[key.data] = "refused" if err == 111 else "open" if err == 0 else "silent"
            if err == 0:
                try:
                    said[key.data] += " " + key.fileobj.recv(200).decode()
                except OSError:
                    pass
            sel.unregister(key.fileobj)
            left -= 1
    print(json.dumps(said))
""")


def sh(*words, check=True, **more):
    done = subprocess.run(words, capture_output=True, text=True, check=False, **more)
    assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done


def wait(what, ok):
    return until(ok, what)


def kill(pids):
    for pid in pids:
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            pass


class World:
    def __init__(self, tmp):
        self.tmp, self.run, self.children = tmp, {}, []
        self.ns = {n: f"nfw{os.getpid()}-{n}" for n in NAMES}

    def on(self, name, *words, **more):
        return sh("ip", "netns", "exec", self.ns[name], *words, **more)

    def build(self):
        for name in NAMES:
            sh("ip", "netns", "add", self.ns[name])
            self.on(name, "sysctl", "-qw", "net.ipv4.conf.default.rp_filter=0",
                    "net.ipv4.conf.all.rp_filter=0", "net.ipv6.conf.default.accept_dad=0",
                    "net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0")
            self.on(name, "ip", "link", "set", "lo", "up")
        sh("ip", "link", "add", "dmz", "netns", self.ns["lb1"], "type", "bridge")
        self.on("lb1", "ip", "link", "set", "dmz", "up")
        plan = (("out", "edge", "fw1", "edge", "10.0.1.1/24", "2001:db8:1::1/64", "10.0.1.11/24",
                 "2001:db8:1::b/64"),
                ("fw1", "dmz", "lb1", "fw", "10.0.2.11/24", "2001:db8:2::b/64", None, None),
                ("web1", "dmz", "lb1", "web", "10.0.2.31/24", "2001:db8:2::1f/64", None, None))
        for a, na, b, nb, *ips in plan:
            sh("ip", "link", "add", na, "netns", self.ns[a], "type", "veth", "peer", "name", nb,
               "netns", self.ns[b])
            for host, name, pair in ((a, na, ips[:2]), (b, nb, ips[2:])):
                for ip in filter(None, pair):
                    self.on(host, "ip", "addr", "add", ip, "dev", name,
                            *(["nodad"] if ":" in ip else []))
                if pair[0] is None:
                    self.on(host, "ip", "link", "set", name, "master", "dmz")
                self.on(host, "ip", "link", "set", name, "up")
        for ip in ("10.0.2.21/24", "2001:db8:2::15/64"):
            self.on("lb1", "ip", "addr", "add", ip, "dev", "dmz", *(["nodad"] if ":" in ip else []))
        for ip in ("203.0.113.9/32", "203.0.113.66/32", "198.51.100.9/32", "10.0.2.99/32",
                   "2001:db8:9::9/128"):
            self.on("out", "ip", "addr", "add", ip, "dev", "lo")
        for host, via4, via6, to4, to6 in (
                ("out", "10.0.1.10", "2001:db8:1::b", "10.0.2.0/24", "2001:db8:2::/64"),
                ("fw1", "10.0.1.1", "2001:db8:1::1", "default", "default"),
                ("lb1", "10.0.2.10", "2001:db8:2::b", "default", "default"),
                ("web1", "10.0.2.10", "2001:db8:2::b", "default", "default")):
            self.on(host, "ip", "route", "add", to4, "via", via4)
            self.on(host, "ip", "-6", "route", "add", to6, "via", via6)

    def write(self, rules=RULES, rest=""):
        self.file = self.tmp / "cluster.yaml"
        self.file.write_text(FILE.format(pid=os.getpid(), rules=rules, rest=rest))

    def start(self, name):
        run = self.tmp / f"run-{name}"
        run.mkdir(exist_ok=True)
        log = open(self.tmp / f"{name}.log", "ab")
        p = subprocess.Popen(["ip", "netns", "exec", self.ns[name], NINES, "run", "--host", name, "-f",
                              str(self.file), "--run-dir", str(run)], stderr=log, stdout=log)
        self.children.append((name, p))
        self.run[name] = run
        wait(f"{name} starts", lambda: (run / "control.sock").exists())
        return p

    def stop(self, name):
        for entry in [e for e in self.children if e[0] == name]:
            entry[1].send_signal(signal.SIGTERM)
            entry[1].wait(DEADLINE)
            self.children.remove(entry)

    def nines(self, name, *words, check=False):
        return self.on(name, NINES, *words, "--run-dir", str(self.run[name]), check=check)

    def fact(self, name, key="firewall rules"):
        done = self.nines(name, "status", "--json")
        if not done.stdout:
            return ""
        facts = json.loads(done.stdout).get("facts", [])
        return next((f["value"] for f in facts if f["key"] == key), "")

    def until(self, name, prefix, key="firewall rules"):
        def there():
            value = self.fact(name, key)
            return value if value.startswith(prefix) else None
        return wait(f"{key} of {name} is {prefix}: {self.fact(name, key)}", there)

    def probe(self, name, *tries):
        """[(src or None, dst, port, "tcp" or "udp")] -> what each heard"""
        done = self.on(name, sys.executable, "-c", PROBE, input=json.dumps(tries))
        return json.loads(done.stdout)

    def hears(self, name, wanted, *tries):
        """A busy machine may answer late, once; nobody answers who must not."""
        wait(f"{tries} from {name} hear {wanted}", lambda: self.probe(name, *tries) == wanted)

    def rules(self, name):
        done = self.on(name, NINES, "firewall", "show", "--json", "--host", name, str(self.file))
        return json.loads(done.stdout)["rules"]

    def packets(self, name, text):
        return sum(r.get("packets", 0) for r in self.rules(name) if text in r["why"])

    def destroy(self):
        for name, p in self.children:
            p.kill()
            p.wait()
        for ns in self.ns.values():
            kill(sh("ip", "netns", "pids", ns, check=False).stdout.split())
            sh("ip", "netns", "del", ns, check=False)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    w = World(tmp_path_factory.mktemp("wall"))
    try:
        w.build()
        w.write()
        yield w
    finally:
        w.destroy()


@pytest.fixture(scope="module")
def wall(world):
    """The firewall with RULES, beside a table of somebody else."""
    world.on("fw1", "nft", "add table ip docker; add chain ip docker c; add rule ip docker c counter")
    world.start("fw1")
    world.until("fw1", "up")
    world.until("fw1", "active", "vip fw-out")
    world.until("fw1", "active", "vip fw-in")
    return world


OUT, OUT6 = "203.0.113.9", "2001:db8:9::9"
WEB, WEB6, LB = "10.0.2.31", "2001:db8:2::1f", "10.0.2.21"


def test_zones(wall):
    """What `allow` says passes, in both families, and nothing else."""
    wall.hears("out", ["refused"] * 6, (OUT, LB, 80, "tcp"), (OUT, WEB, 8000, "tcp"),
               (OUT, WEB, 8010, "tcp"), (OUT, WEB, 53, "udp"), (OUT6, WEB6, 8005, "tcp"),
               ("198.51.100.9", LB, 80, "tcp"))
    wall.hears("out", ["silent"] * 6, (OUT, LB, 81, "tcp"), (OUT, WEB, 8011, "tcp"),
               (OUT, WEB, 53, "tcp"), (OUT, WEB, 8000, "udp"), (OUT6, WEB6, 22, "tcp"),
               ("10.0.1.1", WEB, 8000, "tcp"))
    assert wall.packets("fw1", "no row of allow") > 0


def test_deny_goes_first(wall):
    wall.hears("out", ["silent"], ("203.0.113.66", WEB, 8000, "tcp"))
    assert wall.packets("fw1", "deny 1") > 0


def test_forged_source(wall):
    """An address of the inside that comes from outside."""
    wall.hears("out", ["silent"], ("10.0.2.99", WEB, 8000, "tcp"))
    assert wall.packets("fw1", "not reached the way") > 0


@pytest.fixture
def listener(wall):
    """Echoes the client's address, on `host` at `port`."""
    code = ("import socket,sys\ns=socket.create_server(('',int(sys.argv[1])))\nprint('up',flush=True)\n"
            "while 1:\n c,a=s.accept()\n c.sendall(a[0].encode())\n c.close()\n")
    started = []

    def start(host, port):
        p = subprocess.Popen(["ip", "netns", "exec", wall.ns[host], sys.executable, "-c", code, str(port)],
                             stdout=subprocess.PIPE)
        started.append(p)
        assert p.stdout.readline() == b"up\n"

    yield start
    for p in started:
        p.kill()
        p.wait()


FETCH = ("import socket,sys\ns=socket.create_connection((sys.argv[2],int(sys.argv[3])),30,(sys.argv[1],0))\n"
         "s.settimeout(30)\nprint(s.recv(100).decode())")


def test_destination_translated(wall, listener):
    listener("web1", 22)
    done = wall.on("out", sys.executable, "-c", FETCH, OUT, "10.0.1.10", "2222")
    assert done.stdout.strip() == OUT
    # Not by the address behind, nor another port.
    wall.hears("out", ["silent"] * 2, (OUT, WEB, 22, "tcp"), (OUT, WEB, 2222, "tcp"))


def test_masquerade(wall, listener):
    """To the floating IP on the way out, in both families; the state follows."""
    listener("out", 7777)
    done = wall.on("web1", sys.executable, "-c", FETCH, WEB, OUT, "7777")
    assert done.stdout.strip() == "10.0.1.10"
    done = wall.on("web1", "ping", "-c1", "-W30", OUT)
    assert "1 received" in done.stdout


def test_unknown_midstream_is_dropped(wall):
    """TCP to a translated address that nobody has seen begin gets no reset."""
    code = textwrap.dedent("""
        import socket, struct, sys
        s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
        s.bind(("203.0.113.9", 0))
        def packet(sport, dport, flags):
            h = struct.pack("!HHIIBBHHH", sport, dport, 7, 9, 0x50, flags, 1000, 0, 0)
            p = socket.inet_aton("203.0.113.9") + socket.inet_aton(sys.argv[1]) + struct.pack("!HH", 6, 20)
            t = sum(struct.unpack("!16H", p + h)); t = (t >> 16) + (t & 65535); t += t >> 16
            return h[:16] + struct.pack("!H", ~t & 65535) + h[18:]
        s.settimeout(float(sys.argv[2]))
        s.sendto(packet(5001, 4444, 0x10), (sys.argv[1], 0))
        try:
            while True:
                d = s.recv(200)
                if d[12:16] == socket.inet_aton(sys.argv[1]) and d[33] & 4:
                    print("reset"); break
        except TimeoutError:
            print("silence")
    """)
    assert wall.on("out", sys.executable, "-c", code, "10.0.1.10", "1").stdout == "silence\n"
    assert wall.on("out", sys.executable, "-c", code, "10.0.1.11", "30").stdout == "reset\n"


def test_limit_of_one_source(wall):
    heard = wall.probe("out", *[(OUT, WEB, 9000, "tcp")] * 8)
    assert heard.count("refused") <= 3 and wall.packets("fw1", "allow 4") >= 8
    wall.hears("out", ["refused"], ("198.51.100.9", WEB, 9000, "tcp"))


def test_syn_proxy(wall, listener):
    """The handshake is the firewall's; the connection goes through."""
    listener("web1", 9443)
    done = wall.on("out", sys.executable, "-c", FETCH, OUT, WEB, "9443")
    assert done.stdout.strip() == OUT


def test_others_are_left_alone(wall):
    wall.nines("fw1", "reload", check=True)
    assert "docker" in wall.on("fw1", "nft", "list", "tables").stdout
    assert "counter" in wall.on("fw1", "nft", "list", "chain", "ip", "docker", "c").stdout


def test_reload_keeps_counters_and_connections(wall):
    wall.hears("out", ["refused"], (OUT, WEB, 8000, "tcp"))
    before = wall.packets("fw1", "allow 2")
    assert before > 0
    wall.write(RULES + "    - {from: internet, to: web1, ports: 7000}\n")
    wall.nines("fw1", "reload", check=True)
    wall.hears("out", ["refused"], (OUT, WEB, 7000, "tcp"))
    assert wall.packets("fw1", "allow 2") >= before
    wall.write()
    wall.nines("fw1", "reload", check=True)
    wall.hears("out", ["silent"], (OUT, WEB, 7000, "tcp"))


def test_flushed_by_somebody_else(wall):
    """`nft flush ruleset`, as the service nftables does it: the rules come back."""
    wall.on("fw1", "nft", "flush", "ruleset")
    wait("the rules return", lambda: "nines_fw" in wall.on("fw1", "nft", "list", "tables").stdout)
    wall.hears("out", ["silent"], (OUT, WEB, 8011, "tcp"))


def test_says_what_the_kernel_does(wall):
    """Random connections: `nines firewall test` and the kernel agree on each."""
    seed = random.randrange(1 << 30)
    print("seed", seed)
    rng = random.Random(seed)
    tries = []
    for _ in range(40):
        src = rng.choice([OUT, "203.0.113.66", "198.51.100.9", "10.0.1.1", OUT6])
        dst = rng.choice([WEB6] if ":" in src else [WEB, LB])
        port = rng.choice([22, 53, 80, 81, 7999, 8000, 8004, 8010, 8011, 2222])
        tries.append((src, dst, port, rng.choice(["tcp", "udp"])))
    tries = sorted(set(tries))
    foretold = [sh(NINES, "firewall", "test", "-f", str(wall.file), src, dst, f"{port}/{kind}",
                   check=False) for src, dst, port, kind in tries]
    heard = ["silent" if done.returncode else "refused" for done in foretold]
    wall.hears("out", heard, *tries)


# ---- the host's own firewall -------------------------------------------------------

HOST = "host_firewall: {{management: {{from: {}}}, confirm: {}{}}}"
SOON = "8s"  # where a trial is to run out; where it is not, the machine has an hour
MORE = ", allow: [{from: dmz, ports: 3001}]"


def derived(world):
    """From lb1 and the firewall to web1: what the file implies, and what it does not."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        lb = pool.submit(world.probe, "lb1", (None, WEB, 3000, "tcp"), (None, WEB, 22, "tcp"),
                         (None, WEB, 3001, "tcp"))
        fw = pool.submit(world.probe, "fw1", (None, WEB, 22, "tcp"), (None, WEB, 3000, "tcp"))
        return lb.result() + fw.result()


def expect(world, wanted):
    wait(f"{wanted}", lambda: derived(world) == wanted)


OPEN = ["refused"] * 5
SHUT = ["refused", "silent", "silent", "refused", "silent"]
WIDER = ["refused", "silent", "refused", "refused", "silent"]


PUSH = textwrap.dedent("""
    import socket, sys, time
    s = socket.create_server(("", 7070))
    print("up", flush=True)
    c, _ = s.accept()
    while True:
        c.sendall(b"line\\n")
        time.sleep(0.05)
""")
PULL = textwrap.dedent("""
    import socket, sys
    s = socket.create_connection((sys.argv[1], 7070))
    s.settimeout(30)
    for line in s.makefile():
        print(line, end="", flush=True)
""")


@pytest.fixture
def pushed(world):
    """A connection of web1 to lb1 on which only lb1 speaks: counts what came of it."""
    server = subprocess.Popen(["ip", "netns", "exec", world.ns["lb1"], sys.executable, "-c", PUSH],
                              stdout=subprocess.PIPE)
    assert server.stdout.readline() == b"up\n"
    into = world.tmp / "pushed"
    with open(into, "wb") as out:
        client = subprocess.Popen(["ip", "netns", "exec", world.ns["web1"], sys.executable, "-c", PULL, LB],
                                  stdout=out)
    yield lambda: into.stat().st_size
    for p in (client, server):
        p.kill()
        p.wait()


@pytest.fixture
def web(world, request):
    """web1 as if it had never had a firewall; the file wants one."""
    world.write(rest=HOST.format("10.0.2.11", getattr(request, "param", "1h"), ""))
    for left in world.tmp.glob("run-web1/firewall-*"):
        left.unlink()
    world.start("web1")
    world.until("web1", "trial")
    expect(world, SHUT)
    yield world
    world.stop("web1")
    world.on("web1", "nft", "flush", "ruleset")
    world.write()


def pids_of(world, name, part):
    found = []
    for pid in sh("ip", "netns", "pids", world.ns[name]).stdout.split():
        try:
            words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"part" in words and part.encode() in words:
            found.append(pid)
    return found


def test_connections_outlive_the_first_rules(pushed, web):
    """The kernel has followed none before."""
    begin = pushed()
    wait("more is pushed", lambda: pushed() > begin + 50)
    web.nines("web1", "firewall", "confirm", check=True)
    begin = pushed()
    wait("and more", lambda: pushed() > begin + 50)


@pytest.mark.parametrize("web", [SOON], indirect=True)
def test_undone_without_confirmation(web):
    """The part dies in the trial, then all of nines; nobody tries again unasked."""
    victims = pids_of(web, "web1", "firewall")
    assert victims
    kill(victims)
    wait("the next one", lambda: set(pids_of(web, "web1", "firewall")) - set(victims))
    kill(sh("ip", "netns", "pids", web.ns["web1"]).stdout.split())
    expect(web, OPEN)  # the kernel went back by itself
    web.start("web1")
    web.until("web1", "down not confirmed")
    web.nines("web1", "reload", check=True)
    expect(web, OPEN)
    assert web.nines("web1", "firewall", "confirm").returncode == 1
    web.nines("web1", "firewall", "on", check=True)
    web.until("web1", "trial")


def test_confirmed_rules_hold(web):
    """Over restarts; what opens more holds at once, what closes is undone."""
    web.nines("web1", "firewall", "confirm", check=True)
    web.until("web1", "up")
    web.stop("web1")
    expect(web, SHUT)  # a host that is being restarted is no open one
    web.on("web1", "nft", "flush", "ruleset")  # nor after a reboot
    web.start("web1")
    web.until("web1", "up")
    web.write(rest=HOST.format("10.0.2.11", "1h", MORE))
    web.nines("web1", "reload", check=True)
    web.until("web1", "up")
    expect(web, WIDER)
    web.write(rest=HOST.format("192.0.2.1", SOON, MORE))  # a mistake
    web.nines("web1", "reload", check=True)
    web.until("web1", "trial")
    assert derived(web)[3] == "silent"
    web.until("web1", "down not confirmed")
    expect(web, WIDER)


def test_refused_load_changes_nothing(world):
    """The kernel refuses, since the table belongs to another process: it says so."""
    world.write(rest=HOST.format("10.0.2.11", "1h", ""))
    owner = subprocess.Popen(["ip", "netns", "exec", world.ns["web1"], "nft", "-i"], text=True,
                             stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        owner.stdin.write("add table inet nines_fw { flags owner; }\n"
                          "add chain inet nines_fw mine { type filter hook input priority 0; }\n"
                          "add rule inet nines_fw mine tcp dport 3001 drop\n")
        owner.stdin.flush()
        wait("the table of another", lambda: derived(world)[2] == "silent")
        world.start("web1")
        assert "not permitted" in world.until("web1", "down")
        expect(world, ["refused", "refused", "silent", "refused", "refused"])
    finally:
        owner.kill()
        owner.wait()
    world.nines("web1", "reload", check=True)
    world.until("web1", "trial")
    expect(world, SHUT)
    world.stop("web1")
    world.on("web1", "nft", "flush", "ruleset")
    world.write()


def test_off_and_without(web):
    web.nines("web1", "firewall", "confirm", check=True)
    web.nines("web1", "firewall", "off", check=True)
    web.until("web1", "off")
    expect(web, OPEN)
    web.nines("web1", "reload", check=True)
    web.until("web1", "up")
    web.write()  # the file wants none any more
    web.nines("web1", "reload", check=True)
    wait("the rules are gone", lambda: "nines_fw" not in web.on("web1", "nft", "list", "tables").stdout)
