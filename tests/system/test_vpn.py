# SPDX-License-Identifier: Apache-2.0
"""The part `vpn` with real WireGuard (wireguard-go) on both ends; vpnlab.py has the picture."""
import json
import os
import shutil
import signal
import subprocess

import pytest

import vpnlab
from kit import DEADLINE, NINES, run, until
from vpnlab import OUT

pytestmark = [
    pytest.mark.skipif(shutil.which("wireguard-go") is None, reason="needs wireguard-go"),
    pytest.mark.skipif(shutil.which("wg") is None, reason="needs wireguard-tools"),
]


@pytest.fixture
def lab(tmp_path):
    made = vpnlab.Lab(tmp_path)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def pair(lab):
    lab.start_pair()
    return lab


@pytest.fixture
def tunnel(pair):
    pair.start_client()
    until(pair.ping, "the first ping through the tunnel")
    return pair


def known(lab, name):
    """The clients whose place this gateway knows."""
    listed = json.loads(lab.nines(name, "vpn", "list", "--json"))
    return {p["name"] for p in listed["peers"] if "endpoint" in p and "handshake_age_s" in p}


def go_on(lab, why):
    before = lab.answers()
    until(lambda: lab.answers() > before + 20, why)


def handshake(lab):
    """When the client began its session."""
    return lab.at("client", "wg", "show", "wgc", "latest-handshakes").split()[-1]


def wireguard_of(lab, name):
    for pid in run("ip", "netns", "pids", lab.prefix + name).split():
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8") as f:
                if f.read().strip() == "wireguard-go":
                    return int(pid)
        except FileNotFoundError:
            pass
    return 0


def test_reach_is_all_there_is(tunnel):
    lab = tunnel
    assert lab.ping("10.0.3.80", DEADLINE)
    assert lab.ping("10.8.0.1", DEADLINE), "the gateway in the tunnel"
    # The server would answer from there: what keeps the client out is the gateway.
    assert not lab.ping("10.0.4.80"), "not in reach"
    assert not lab.ping("10.0.4.2"), "nor is the gateway's own address there"
    lab.write_file(reach="[private, secret]")
    lab.nines("gw1", "reload")
    until(lambda: lab.ping("10.0.4.80"), "now it is in reach")
    assert wireguard_of(lab, "gw1") and lab.fact("gw1") == "active"


def test_client_goes_on_when_its_gateway_dies(tunnel):
    lab = tunnel
    until(lambda: "ann" in known(lab, "gw2"), "the other gateway knows where the client is")
    lab.stream()
    go_on(lab, "before")
    lab.off("gw1")
    go_on(lab, "after")
    # Left alone, a client notices after 15 s (protocol constants, not our speed).
    assert lab.gap_ms()[0] < 12000, "the gateway came to the client, not the client to it"
    assert lab.client_endpoint() == OUT + ":51820", "it knows only the floating address"


def test_planned_move_and_back(tunnel):
    lab = tunnel
    until(lambda: "ann" in known(lab, "gw2"), "gw2 knows the client")
    lab.stream()
    go_on(lab, "before")
    for source, target in (("gw1", "gw2"), ("gw2", "gw1")):
        lab.nines(source, "move", "out", target)
        until(lambda t=target: lab.fact(t) == "active", f"{target} has the clients")
        until(lambda s=source: lab.fact(s) == "standby", f"{source} is silent")
        go_on(lab, f"on {target}")
    assert lab.gap_ms()[0] < 12000
    assert lab.client_endpoint() == OUT + ":51820"


def test_add_and_revoke(pair):
    lab = pair
    key, public = vpnlab.genkey()
    lab.peers = {}
    lab.write_file()
    text = open(lab.path(), encoding="utf-8").read().replace("\n    peers:\n", "\n")
    with open(lab.path(), "w", encoding="utf-8") as f:
        f.write(text + "# the end\n")
    config = run(NINES, "vpn", "add", "ann", "-f", lab.path())
    said = dict(line.split(" = ") for line in config.splitlines() if " = " in line)
    assert said["Endpoint"] == OUT + ":51820"
    assert said["PublicKey"] == lab.public
    assert said["AllowedIPs"] == "10.8.0.1/32, 10.0.3.0/24"
    assert said["PersistentKeepalive"] == "25"
    assert said["PrivateKey"] not in open(lab.path(), encoding="utf-8").read()
    run(NINES, "vpn", "add", "bob", "--public-key", public, "-f", lab.path())
    assert open(lab.path(), encoding="utf-8").read().endswith("# the end\n")
    for name in ("gw1", "gw2"):
        lab.nines(name, "reload")
    lab.client_key = said["PrivateKey"]
    lab.start_client()
    until(lab.ping, "the client that was added comes in")
    assert "ann" in lab.nines("gw1", "vpn", "list")
    run(NINES, "vpn", "revoke", "ann", "-f", lab.path())
    for name in ("gw1", "gw2"):
        lab.nines(name, "reload")
    until(lambda: not lab.ping(), "the client that was revoked is out")
    assert "ann" not in lab.nines("gw1", "vpn", "list")
    assert run("wg", "pubkey", stdin=key).strip() in open(lab.path(), encoding="utf-8").read()


def test_sessions_survive_the_part(tunnel):
    """The part dies, the tunnel stays; wireguard-go dies, and comes back."""
    lab = tunnel
    before = handshake(lab)
    pid, go = lab.pid("gw1"), wireguard_of(lab, "gw1")
    os.kill(pid, signal.SIGKILL)
    until(lambda: lab.pid("gw1") not in (0, pid), "the part is back")
    until(lambda: lab.fact("gw1") == "active", "it has the clients")
    until(lambda: "ann" in known(lab, "gw1"), "and knows its clients")
    assert wireguard_of(lab, "gw1") == go, "the same process"
    assert lab.ping(seconds=DEADLINE)
    pid = lab.pid("gw1")
    lab.nines("gw1", "upgrade")
    until(lambda: lab.pid("gw1") not in (0, pid), "the next version serves")
    until(lambda: lab.fact("gw1") == "active", "it has the clients")
    assert lab.ping(seconds=DEADLINE)
    assert wireguard_of(lab, "gw1") == go and handshake(lab) == before, "the same session"
    os.kill(go, signal.SIGKILL)
    until(lambda: wireguard_of(lab, "gw1") not in (0, go), "another wireguard-go")
    until(lab.ping, "the tunnel works again")


def test_wireguard_that_hangs(tunnel):
    """It keeps its interface, its port and its socket: it must go, and another come. On the
    standby it is found out before a client needs it."""
    lab = tunnel
    until(lambda: "ann" in known(lab, "gw2"), "gw2 knows the client")
    for name, state in (("gw2", "standby"), ("gw1", "active")):
        go = wireguard_of(lab, name)
        os.kill(go, signal.SIGSTOP)
        until(lambda n=name, g=go: wireguard_of(lab, n) not in (0, g), f"another one on {name}")
        until(lambda n=name, s=state: lab.fact(n) == s, f"{name} is {state} again")
        assert "event=silent" in open(lab.path(name + ".log"), encoding="utf-8").read()
        until(lambda g=go: not os.path.exists(f"/proc/{g}"), "the old one is gone")
        until(lab.ping, "the tunnel works")


def test_wireguard_that_hangs_while_nobody_looks(tunnel):
    """The part was away when it began to hang."""
    lab = tunnel
    pid, go = lab.pid("gw1"), wireguard_of(lab, "gw1")
    os.kill(go, signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)
    until(lambda: wireguard_of(lab, "gw1") not in (0, go), "another one")
    until(lambda: lab.fact("gw1") == "active", "it has the clients")


def test_clock_behind(tunnel):
    """The client has seen a later clock than that of the gateway that takes over: its first
    handshake is refused as old, the next one 5 s later (the protocol's pause) is not."""
    lab = tunnel
    until(lambda: "ann" in known(lab, "gw2"), "gw2 knows the client")
    lab.stream()
    go_on(lab, "before")
    port = lab.at("client", "wg", "show", "wgc", "listen-port").strip()
    lab.at("gw1", "/usr/bin/python3", os.path.join(os.path.dirname(__file__), "wgforge.py"),
           lab.key, lab.client_public, OUT, "51820", "198.51.100.9", port, "3")
    lab.off("gw1")
    go_on(lab, "after")
    assert lab.gap_ms()[0] < 12000, "the gateway came to the client, not the client to it"
    assert lab.client_endpoint() == OUT + ":51820"


def test_key_that_others_may_read(lab):
    lab.write_key(0o644)
    lab.start("gw1")
    until(lambda: lab.fact("gw1").startswith("down others may read"), "refused")
    assert "wg-office" not in lab.at("gw1", "ip", "link")
    until(lambda: lab.fact("gw1", "vip out") == "active", "the address is here all the same")
    os.chmod(lab.key_file, 0o600)
    lab.nines("gw1", "reload")
    until(lambda: lab.fact("gw1") == "active", "served after a reload")


def test_gateways_with_different_keys(lab):
    lab.start("gw1")
    until(lambda: lab.fact("gw1") == "active", "gw1 has the clients")
    lab.write_key(0o600, vpnlab.genkey()[0])
    lab.start("gw2")
    for name in ("gw1", "gw2"):
        until(lambda n=name: "another key" in lab.fact(n, "vpn office sync"),
              f"{name} says so")


def test_stop_leaves_nothing(tunnel):
    lab = tunnel
    until(lambda: "ann" in known(lab, "gw2"), "gw2 knows the client")
    lab.nines("gw1", "stop")
    lab.gateway["gw1"].wait(DEADLINE)
    until(lambda: wireguard_of(lab, "gw1") == 0, "wireguard-go has ended")
    until(lambda: "wg-office" not in lab.at("gw1", "ip", "link"), "and its interface has gone")
    assert "nines_vpn" not in lab.at("gw1", "nft", "list", "tables")
    until(lambda: lab.fact("gw2") == "active", "gw2 has the clients")
    until(lab.ping, "the client goes on")


def test_wrong_file_is_not_replaced(lab):
    """add proves what it wrote; a file with errors is left alone."""
    before = "cluster: x\nvpn: {office: {}}\n"
    with open(lab.path("bad.yaml"), "w", encoding="utf-8") as f:
        f.write(before)
    r = subprocess.run([NINES, "vpn", "add", "ann", "-f", lab.path("bad.yaml")],
                       capture_output=True, text=True, check=False)
    assert r.returncode == 1 and "bad.yaml" in r.stderr
    assert open(lab.path("bad.yaml"), encoding="utf-8").read() == before
