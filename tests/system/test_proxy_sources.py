# SPDX-License-Identifier: Apache-2.0
"""Two load balancers that know together which server a source has.

      clients 10.9.16.0/20 ──> lb1 10.9.0.1:80..  ──> web1..web3 10.9.0.11..13
                           └─> lb2 10.9.0.2:80..
                               both told by the other, UDP port 3782

New sources take servers in turn, so that two load balancers that did not talk would
not agree by chance.
"""
import json
import os
import pathlib
import re
import signal
import socket
import time

import pytest

from proxylab import DEADLINE, LB, NINES, WEB, Lab, Stream, echo, run, until

HOSTS = {"lb1": LB, "lb2": "10.9.0.2"}
PORT = 3782
GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
SERVERS = '["web1:8080", "web2:8080", "web3:8080"]'


class PairLab(Lab):
    def __init__(self, folder):
        super().__init__(folder)
        self.hosts = {}
        self.suspects = set()
        self.key = pathlib.Path(self.folder) / "sync.key"
        self.write_key("5a" * 32)
        run("ip", "-n", self.name, "addr", "add", "10.9.16.1/20", "dev", "lo")

    def write_key(self, text):
        self.key.write_text(text + "\n", encoding="ascii")
        self.key.chmod(0o600)

    def file_of(self, host):
        return os.path.join(self.folder, host + ".yaml")

    def write_for(self, hosts, services):
        text = "cluster: t\nnetwork: 10.9.0.0/24\nworkers: 2\nhosts:\n" + "".join(
            f"  {name}: {ip}\n" for name, ip in (HOSTS | WEB).items()) + "services:\n" + services
        for host in hosts:
            pathlib.Path(self.file_of(host)).write_text(text, encoding="utf-8")

    def boot(self, host, wait=True):
        self.use(host)
        self.hosts[host] = self.spawn(NINES, "run", "--host", host, "-f", self.file_of(host),
                                      "--run-dir", self.run_dir, log=host + ".log")
        if wait:
            until(lambda: self.fact("proxy listen") == "up", "nines accepts")

    def use(self, host):
        """Facts, orders and logs are this host's from now on."""
        self.run_dir = os.path.join(self.folder, "run-" + host)
        return self

    def kill(self, host):
        """As if it had lost power: all its processes at once."""
        os.killpg(self.hosts[host].pid, signal.SIGKILL)
        self.hosts[host].wait()
        # Its parts see the end of their supervisor.
        until(lambda: not self.at("sh", "-c", f"ss -Hltn 'src {HOSTS[host]}'").strip(), "it is gone")

    def agreed(self):
        for host in self.hosts:
            until(lambda h=host: self.use(h).fact("proxy sources site") == "up", f"{host} agrees")

    def figures(self, host):
        words = ("status", "--json", "--run-dir", os.path.join(self.folder, "run-" + host))
        return json.loads(run(NINES, *words, check=False))["counters"]["proxy_sources service=site"]

    def connect_from(self, source, host, port=80):
        with self.inside():
            s = socket.socket()
        s.settimeout(DEADLINE)
        s.bind((source, 0))
        s.connect((HOSTS[host], port))
        return Stream(s)

    def ask_from(self, source, host, port=80):
        stream = self.connect_from(source, host, port)
        try:
            stream.send(GET)
            return stream.answer()[0]["x-server"]
        finally:
            stream.close()

    def servers_of(self, sources, host, port=80):
        got = {s: self.ask_from(s, host, port) for s in sources}
        self.suspect(host)
        return got

    def suspect(self, host):
        """Servers that a load balancer has left for being slow, as a busy machine makes
        them: their sources may have moved, and nothing is wrong with that."""
        words = ("status", "--json", "--run-dir", os.path.join(self.folder, "run-" + host))
        counters = json.loads(run(NINES, *words, check=False) or "{}").get("counters", {})
        for name in WEB:
            block = counters.get(f"proxy_server service=site server={name}:8080", {})
            if any(block.get(k, 0) for k in ("doubts", "failures", "connects_left", "ejections")):
                self.suspects.add(name)

    def same(self, got, expected):
        """Who has had a server that nobody suspects has it still."""
        assert got.keys() == expected.keys()
        return all(got[s] == expected[s] for s in got if expected[s] not in self.suspects)


def site(lab, more="", sticky="", servers=SERVERS):
    return (f'  site: {{listen: ["lb1:80", "lb2:80"], balance: round-robin, servers: {servers}, '
            f'check: {{every: 100ms, fall: 2, rise: 2}}{more}, '
            f'sticky: {{by: source, sync: main, key_file: {lab.key}{sticky}}}}}\n')


def clients(n):
    return [f"10.9.{16 + i // 250}.{i % 250 + 1}" for i in range(n)]


@pytest.fixture
def lab(tmp_path):
    with PairLab(tmp_path) as made:
        yield made


@pytest.fixture
def pair(lab):
    for name in WEB:
        lab.serve(name, 8080, echo(name))
    lab.write_for(HOSTS, site(lab))
    for host in HOSTS:
        lab.boot(host)
    lab.agreed()
    for host in HOSTS:
        until(lambda h=host: lab.use(h).fact("service site") == "up 3/3", "all are up")
    return lab


def known(lab, host, n):
    until(lambda: lab.figures(host)["sources"] == n, f"{host} knows {n} sources")


def test_failover_keeps_servers(pair):
    """Whichever is asked, and after one was away and lost its memory."""
    sources = clients(40)
    first = pair.servers_of(sources, "lb1")
    assert set(first.values()) == set(WEB)
    known(pair, "lb2", 40)
    pair.agreed()
    shown = run(NINES, "status", "--run-dir", pair.use("lb2").run_dir)
    assert re.search(r"table of sources +up +for .*  40 sources", shown), shown
    top = json.loads(run(NINES, "top", "--once", "--json", "--run-dir", pair.run_dir))
    assert [r["sources"] for r in top["rows"] if "server" not in r] == [40]
    assert pair.same(pair.servers_of(sources, "lb2"), first)
    pair.kill("lb1")
    assert pair.same(pair.servers_of(sources, "lb2"), first)
    until(lambda: "lb1 says nothing" in pair.use("lb2").fact("proxy sources site"),
          "lb2 says that it is alone")
    later = pair.servers_of(clients(60)[40:], "lb2")
    pair.boot("lb1")
    known(pair, "lb1", 60)
    pair.agreed()
    pair.kill("lb2")
    assert pair.same(pair.servers_of(clients(60), "lb1"), first | later)


def test_a_returning_server_steals_nobody(pair):
    sources = clients(24)
    first = pair.servers_of(sources, "lb1")
    web1 = next(s for s in pair.servers if s.sock.getsockname()[0] == WEB["web1"])
    web1.close()
    pair.servers.remove(web1)
    for host in HOSTS:
        until(lambda h=host: pair.use(h).fact("service site") == "up 2/3", "web1 is found down")
    without = pair.servers_of(sources, "lb1")
    assert "web1" not in without.values()
    pair.suspects.add("web1")
    assert pair.same(without, first)
    pair.serve("web1", 8080, echo("web1"))
    for host in HOSTS:
        until(lambda h=host: pair.use(h).fact("service site") == "up 3/3", "web1 is back")
    assert pair.same(pair.servers_of(sources, "lb1"), without)
    pair.agreed()
    assert pair.same(pair.servers_of(sources, "lb2"), without)
    others = iter(clients(500)[24:])
    until(lambda: pair.ask_from(next(others), "lb1") == "web1", "others get it")


def test_processes_come_and_go(pair):
    """The memory outlives a proxy that is killed, reloads, an upgrade and another size."""
    sources = clients(40)
    first = pair.servers_of(sources, "lb1")
    known(pair, "lb1", 40)
    pair.kill("lb2")  # so that nobody tells lb1 anything
    pair.use("lb1")
    until(lambda: "spare_pid" in (pair.part("proxy") or {}), "the spare")
    was = pair.part("proxy")["pid"]
    os.kill(was, signal.SIGKILL)
    until(lambda: pair.part("proxy").get("pid") not in (None, was) and
          pair.fact("proxy listen") == "up", "the spare acts")
    assert pair.same(pair.servers_of(sources, "lb1"), first)
    for change in "timeouts: {idle: 50s}", "max_connections: 5000":
        pair.write_for(("lb1",), site(pair, ", " + change))
        pair.order("reload")
        assert pair.same(pair.servers_of(sources, "lb1"), first)
    # What is just starting cannot be handed over: the spare, where the last one acts now.
    until(lambda: "spare_pid" in pair.part("proxy"), "the next spare")
    was = pair.part("proxy")["pid"]
    run(NINES, "upgrade", "--run-dir", pair.run_dir)
    assert pair.part("proxy")["pid"] != was
    assert pair.same(pair.servers_of(sources, "lb1"), first)
    pair.write_for(("lb1",), site(pair, sticky=", size: 2000, expire: 20m"))
    pair.order("reload")
    until(lambda: pair.figures("lb1")["size"] == 2000, "the other memory is there")
    known(pair, "lb1", 40)
    assert pair.same(pair.servers_of(sources, "lb1"), first)


def test_full(lab):
    """The oldest are forgotten, on both; memory does not grow."""
    for name in WEB:
        lab.serve(name, 8080, echo(name))
    lab.write_for(HOSTS, site(lab, sticky=", size: 1000"))
    for host in HOSTS:
        lab.boot(host)
    lab.agreed()
    sources = clients(1100)
    first = lab.servers_of(sources, "lb1")
    until(lambda: lab.figures("lb1")["evicted"] >= 100, "the first ones go")
    assert lab.figures("lb1")["sources"] <= 1000
    # Of who was forgotten before it was told, lb2 hears nothing.
    until(lambda: lab.figures("lb2")["heard"] >= 1000, "lb2 has heard of the others")
    lab.agreed()
    last = sources[-200:]
    assert lab.same(lab.servers_of(last, "lb2"), {s: first[s] for s in last})
    assert lab.figures("lb2")["sources"] <= 1000


def forge(lab, n, data):
    with lab.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((HOSTS["lb2"], 0))
        for _ in range(n):
            s.sendto(data, (HOSTS["lb1"], PORT))


def test_forged(pair):
    """One line each in the log, and nothing is believed."""
    def refused(why):
        return sum(why in line for line in pair.use("lb1").log("lb1.log").splitlines())
    sources = clients(10)
    first = pair.servers_of(sources, "lb1")
    begin = time.monotonic()
    forge(pair, 50, b"GET / HTTP/1.1\r\n\r\n")
    until(lambda: refused("no message of nines"), "it is told")
    pair.kill("lb2")
    pair.write_key("a5" * 32)  # lb2 comes back with another key
    pair.boot("lb2")
    until(lambda: refused("forged, or key_file is not the same"), "it is told")
    until(lambda: "says nothing" in pair.use("lb1").fact("proxy sources site"), "nothing is agreed")
    told = max(map(refused, ("no message of nines", "forged, or key_file is not the same")))
    assert told <= 1 + (time.monotonic() - begin) // 30  # one in half a minute
    assert pair.same(pair.servers_of(sources, "lb1"), first)
    assert pair.figures("lb2")["sources"] == 0
    pair.use("lb1").order("reload")  # the same key on both again
    pair.agreed()
    known(pair, "lb2", 10)


def test_tcp(lab):
    def name(who):
        def script(stream, _n):
            stream.send(who + "\n")
            stream.at_end()
        return script

    def ask(source, host):
        stream = lab.connect_from(source, host, 81)
        try:
            return stream.until(b"\n").decode().strip()
        finally:
            stream.close()
    for host in WEB:
        lab.serve(host, 8080, name(host))
    lab.write_for(HOSTS, site(lab, ", mode: tcp").replace(":80\"", ":81\""))
    for host in HOSTS:
        lab.boot(host)
    lab.agreed()
    sources = clients(20)
    first = {s: ask(s, "lb1") for s in sources}
    assert set(first.values()) == set(WEB)
    known(lab, "lb2", 20)
    again = {s: ask(s, "lb2") for s in sources}
    for host in HOSTS:
        lab.suspect(host)
    assert lab.same(again, first)


def test_key(lab):
    """Without a key each keeps its own table, and says what to do."""
    for name in WEB:
        lab.serve(name, 8080, echo(name))
    lab.key.unlink()
    lab.write_for(("lb1",), site(lab))
    lab.boot("lb1")
    until(lambda: "openssl rand -hex 32" in lab.fact("proxy sources site"), "it is told")
    sources = clients(12)
    first = lab.servers_of(sources, "lb1")
    known(lab, "lb1", 12)
    assert lab.same(lab.servers_of(sources, "lb1"), first)
    lab.write_key("short")
    lab.order("reload")
    until(lambda: "64 hexadecimal digits" in lab.fact("proxy sources site"), "it is told")
    lab.key.chmod(0o644)
    lab.order("reload")
    until(lambda: "chmod 600" in lab.fact("proxy sources site"), "it is told")
    lab.write_key("5a" * 32)
    lab.order("reload")
    until(lambda: "lb2 says nothing" in lab.fact("proxy sources site"), "the key is used")
