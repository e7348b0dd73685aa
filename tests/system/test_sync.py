# SPDX-License-Identifier: Apache-2.0
"""Connections through a firewall pair while its hosts come and go (topology: synclab.py).

The rules accept new connections only by SYN and from the client's side, so that nothing
survives by being picked up midway; half of the connections are silent on the client's
side and hear a server that talks by itself."""
import sys
import time

import pytest
import synclab
from synclab import until

MIX = (("tcp", "10.30.0.10", 9000, 60), ("tcp-push", "10.30.0.10", 9100, 60),
       ("tcp", "10.20.0.1", 8080, 30), ("udp-push", "10.30.0.10", 9100, 30),
       ("tcp", "fd00:30::10", 9000, 30), ("tcp-push", "fd00:30::10", 9100, 30))
TOTAL = sum(m[3] for m in MIX)


def open_lab(folder, **more):
    lab = synclab.Lab(folder, **more)
    lab.spawn("server", sys.executable, synclab.FLOWS, "server", log="server.log")
    return lab


@pytest.fixture
def lab(tmp_path):
    made = open_lab(tmp_path)
    try:
        made.both_up()
        yield made
    finally:
        made.close()


@pytest.fixture
def client(lab):
    c = synclab.Client(lab)
    for row in MIX:
        c.open(*row)
    return c


def same(lab):
    until(lambda: lab.flows("fw1") == lab.flows("fw2"), "both kernels know the same")


def all_alive(client):
    assert client.check() == {"alive": TOTAL, "reset": 0, "silent": 0}


def test_host_off_and_back(lab, client):
    for address in ("10.30.0.10", "fd00:30::10"):
        lab.at("client", "ping", "-c1", "-W30", address)
    same(lab)
    assert len(lab.flows("fw2")) == TOTAL + 2
    lab.off("fw1")
    until(lambda: lab.acts("fw2"), "fw2 takes over")
    all_alive(client)
    lab.on("fw1")
    until(lambda: lab.in_step("fw1", "fw2"), "fw1 learns what it missed")
    same(lab)
    lab.order("fw2", "move", "fw-in", "fw1")
    until(lambda: lab.acts("fw1"), "fw1 has the addresses again")
    all_alive(client)


def test_graceful_stop(lab, client):
    lab.order("fw1", "stop")
    until(lambda: lab.acts("fw2"), "fw2 takes over")
    all_alive(client)


def test_failback_at_once(tmp_path):
    """fw1 goes, comes back empty and wants its addresses: not before it knows."""
    lab = open_lab(tmp_path, failback=True)
    try:
        lab.both_up()
        c = synclab.Client(lab)
        for row in MIX:
            c.open(*row)
        same(lab)
        lab.off("fw1")
        lab.on("fw1")
        until(lambda: lab.acts("fw1") and lab.in_step(), "fw1 is back in its place")
        all_alive(c)
        same(lab)
    finally:
        lab.close()


def test_right_after_they_began(lab):
    """No time between fw2's having heard of them and the end of fw1."""
    c = synclab.Client(lab)
    c.open("tcp", "10.30.0.10", 9000, 300)
    until(lambda: len(lab.flows("fw2")) >= 300, "fw2 has heard of them")
    lab.ip("fw1", "link", "set", "sync", "down")
    lab.off("fw1")
    until(lambda: lab.acts("fw2"), "fw2 takes over")
    assert c.check() == {"alive": 300, "reset": 0, "silent": 0}


def test_link_cut_and_back(lab, client):
    lab.ip("fw2", "link", "set", "sync", "down")
    until(lambda: lab.facts("fw1").get("sync peer fw2", "").startswith("down no answer"), "noticed")
    gone = lab.flows("fw1")
    client.ask("close")
    until(lambda: all("ESTABLISHED" not in line for line in lab.states("fw1")), "closed on fw1")
    lab.at("fw1", "conntrack", "-F")  # two minutes later
    for row in MIX:
        client.open(*row)
    lab.ip("fw2", "link", "set", "sync", "up")
    until(lab.in_step, "in step again")
    same(lab)
    assert not gone & lab.flows("fw2")
    lab.off("fw1")
    until(lambda: lab.acts("fw2"), "fw2 takes over")
    all_alive(client)


def test_part_dies(lab, client):
    """Neither side forgets anything when a process comes back."""
    same(lab)
    for host in ("fw1", "fw2"):
        before = lab.flows(host)
        pid = lab.part_pid(host, "sync")
        lab.at(host, "kill", "-9", str(pid))
        until(lambda h=host, p=pid: lab.part_pid(h, "sync") not in (0, p), "a new process")
        until(lab.in_step, "in step again")
        assert lab.flows("fw1") == lab.flows("fw2") == before
    all_alive(client)


def test_end_of_connections(lab, client):
    """What ends on fw1 ends on fw2, and what fw2 loses by itself is put back."""
    same(lab)
    lab.at("fw2", "conntrack", "-F")
    same(lab)
    assert len(lab.flows("fw2")) == TOTAL
    lab.at("fw1", "conntrack", "-D", "-s", "10.20.0.10")
    until(lambda: not [f for f in lab.flows("fw2") if "src=10.20.0.10" in f], "gone on fw2")
    same(lab)


# Echo requests as a host sees them: who asks, and with which identifier.
PINGED = """
import socket
seen = set()
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
while True:
    data, peer = s.recvfrom(2048)
    if data[20] == 8 and (peer[0], data[24:26]) not in seen:
        seen.add((peer[0], data[24:26]))
        print(*peer, data[24:26].hex(), flush=True)
"""


def test_ping_goes_on(lab):
    """A ping keeps its translated address and identifier. fw2 accepts no new one, so that it
    cannot be a new flow that looks the same."""
    lab.spawn("server", sys.executable, "-c", PINGED, log="pinged")
    lab.at("fw2", "nft", "insert", "rule", "inet", "t", "forward", "meta", "l4proto",
           "{ icmp, icmpv6 }", "ct", "state", "new", "drop")
    for number, address in ((4, "10.30.0.10"), (6, "fd00:30::10")):
        lab.spawn("client", "ping", "-n", "-i", "0.1", address, log=f"ping{number}")

    def answers(number):
        return lab.text(f"ping{number}").count("time=")

    def more(why):
        before = {n: answers(n) for n in (4, 6)}
        until(lambda: all(answers(n) > before[n] + 5 for n in (4, 6)), why)

    more("pings are answered")
    same(lab)
    lab.off("fw1")
    until(lambda: lab.acts("fw2"), "fw2 takes over")
    more("the same pings are answered")
    until(lambda: lab.text("pinged"), "the server has seen one")
    assert len(lab.text("pinged").splitlines()) == 1, lab.text("pinged")
    assert lab.text("pinged").startswith("10.30.0.1 ")


def once_in_half_a_minute(lab, what, begin):
    told = lab.log("fw2").count(what)
    assert 1 <= told <= 1 + (time.monotonic() - begin) // 30, what


def test_full_table(lab, client, tmp_path):
    """First the standby has no room, then the active one: each says so, connections that are
    there go on, and all is well when there is room again."""
    most = int(lab.at("fw1", "cat", "/proc/sys/net/netfilter/nf_conntrack_max"))
    if most > 300000:
        pytest.skip(f"{most} connections are too many to make; the limit is the machine's")

    # Half open, which nobody is told of, and assured, so that the kernel keeps them.
    path = tmp_path / "fill"
    with open(path, "w", encoding="ascii") as f:
        for i in range(most):
            a, p = f"172.{16 + (i >> 20)}.{i >> 12 & 255}.{i >> 4 & 255}", 1024 + (i & 15)
            f.write(f"-A -t 600 -u SEEN_REPLY,ASSURED -s {a} -d 192.0.2.1 -r 192.0.2.1 -q {a} "
                    f"-p tcp --sport {p} --dport 9 --reply-port-src 9 --reply-port-dst {p} "
                    "--state SYN_RECV\n")

    def fill(host):
        lab.at(host, "conntrack", "-R", str(path), check=False)
        until(lambda: lab.facts(host).get("firewall table", "").startswith("down full"),
              f"{host} says that it is full")

    same(lab)
    begin = time.monotonic()
    fill("fw2")
    client.open("tcp", "10.30.0.10", 9000, 40)
    until(lambda: lab.facts("fw2").get("sync peer fw1", "").startswith(
        "down the kernel refuses connections: raise"), "fw2 says what it cannot hold")
    once_in_half_a_minute(lab, "event=refused ", begin)
    lab.at("fw2", "conntrack", "-F")
    until(lab.in_step, "in step again")
    until(lambda: (f := lab.facts("fw2")) and "firewall table" not in f, "there is room")
    same(lab)
    assert len(lab.flows("fw2")) == TOTAL + 40

    fill("fw1")
    assert client.check() == {"alive": TOTAL + 40, "reset": 0, "silent": 0}
    lab.at("fw1", "conntrack", "-D", "-d", "192.0.2.1")
    until(lambda: (f := lab.facts("fw1")) and "firewall table" not in f, "there is room")
    client.open("tcp", "10.30.0.10", 9000, 40)
    until(lab.in_step, "in step again")
    same(lab)
    assert len(lab.flows("fw2")) == TOTAL + 80


def test_bad_datagrams(lab, client):
    """Noise, forgeries, replays, other versions: one line each, and nothing is lost."""
    same(lab)
    packets = lab.capture("fw2", 40)
    assert packets
    data = [p for p in packets if p[5] == 2]
    bad = [b"", b"x", b"9syn" + bytes(70), data[0][:31], data[0][:-1], data[0] + b"!",
           data[0][:4] + b"\x02" + data[0][5:], data[0][:-1] + bytes([data[0][-1] ^ 1]),
           data[0][:24] + bytes(8) + data[0][32:], bytes(1400), *packets]
    begin = time.monotonic()
    for _ in range(20):
        lab.inject("10.40.0.1", "fw2", bad)
    lab.inject("10.40.0.77", "fw2", bad)
    until(lambda: lab.log("fw2").count("refused_datagram") >= 4, "they were refused")
    for why in ("truncated", "another version", "forged", "replayed", "no host of the firewall"):
        until(lambda w=why: w in lab.log("fw2"), why)
        once_in_half_a_minute(lab, why, begin)
    assert lab.flows("fw1") == lab.flows("fw2")
    until(lab.in_step, "a busy machine may have been silent, no more")
    lab.off("fw1")
    until(lambda: lab.acts("fw2"), "fw2 takes over")
    all_alive(client)


def test_no_key(tmp_path):
    """Without a usable key it says what to do, and works once there is one."""
    lab = open_lab(tmp_path)
    try:
        key = tmp_path / "sync.key"
        key.unlink()
        lab.start("fw1")
        until(lambda: "openssl rand -hex 32" in lab.facts("fw1").get("sync key", ""), "missing")
        until(lambda: lab.acts("fw1"), "it takes the addresses all the same")
        key.write_text("5a" * 32, encoding="ascii")
        key.chmod(0o644)
        lab.order("fw1", "reload")
        until(lambda: "chmod 600" in lab.facts("fw1").get("sync key", ""), "readable by all")
        key.chmod(0o600)
        key.write_text("5a" * 31, encoding="ascii")
        lab.order("fw1", "reload")
        until(lambda: "64 hexadecimal" in lab.facts("fw1").get("sync key", ""), "too short")
        key.write_text("5a" * 32 + "\n", encoding="ascii")
        lab.order("fw1", "reload")
        until(lambda: (f := lab.facts("fw1")) and "sync key" not in f, "good")
        lab.start("fw2")
        until(lab.in_step, "both")
    finally:
        lab.close()
