# SPDX-License-Identifier: Apache-2.0
"""A floating address shared by a nines and a keepalived, in both roles.

      ours: nines (10.9.0.1, fd00:9::1)      theirs: keepalived (10.9.0.2, fd00:9::2)
            |                                      |
       -----+---------------- bridge --------------+------
            |
       watch: tcpdump's view and the client's neighbour table (10.9.0.9, fd00:9::9)
"""
import os
import shutil
import signal
import subprocess

import pytest
from kit import NINES, kill, run, until

pytestmark = [
    pytest.mark.skipif(shutil.which("keepalived") is None, reason="needs keepalived"),
]

VIP = {4: "10.9.0.100", 6: "fd00:9::100"}
NET = {4: "10.9.0.0/24", 6: "fd00:9::/64"}
OURS = {4: "10.9.0.1", 6: "fd00:9::1"}
THEIRS = {4: "10.9.0.2", 6: "fd00:9::2"}
HOSTS = {"ours": 1, "theirs": 2, "watch": 9}


class Lab:
    def __init__(self, folder):
        self.prefix = f"vip-ka-{os.getpid()}-"
        self.folder = folder
        self.procs = []
        self.spaces = []
        self.space("switch")
        run("ip", "-n", self.prefix + "switch", "link", "add", "name", "bridge0",
            "type", "bridge", "mcast_snooping", "0")
        run("ip", "-n", self.prefix + "switch", "link", "set", "bridge0", "up")
        for name, number in HOSTS.items():
            self.space(name)
            self.plug(name, number)

    def space(self, name):
        run("ip", "netns", "add", self.prefix + name)
        self.spaces.append(self.prefix + name)
        self.at(name, "sysctl", "-qw", "net.ipv6.conf.all.accept_dad=0",
                "net.ipv6.conf.default.accept_dad=0")
        run("ip", "-n", self.prefix + name, "link", "set", "lo", "up")

    def plug(self, name, number):
        inside, outside = self.prefix + name, self.prefix + "switch"
        run("ip", "link", "add", "name", name, "netns", outside, "type", "veth",
            "peer", "name", "eth0", "netns", inside)
        run("ip", "-n", outside, "link", "set", name, "master", "bridge0", "up")
        run("ip", "-n", inside, "link", "set", "eth0", "up")
        run("ip", "-n", inside, "addr", "add", f"10.9.0.{number}/24", "dev", "eth0")
        run("ip", "-n", inside, "addr", "add", f"fd00:9::{number}/64", "dev", "eth0",
            "nodad")

    def at(self, name, *words, check=True):
        return run("ip", "netns", "exec", self.prefix + name, *words, check=check)

    def spawn(self, name, *words):
        log = open(os.path.join(self.folder, name + ".log"), "a", encoding="utf-8")
        p = subprocess.Popen(["ip", "netns", "exec", self.prefix + name, *words],
                             stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                             start_new_session=True)
        self.procs.append(p)
        return p

    def owns(self, name, family):
        text = run("ip", "-n", self.prefix + name, "-o", "addr", "show", "dev", "eth0")
        return f" {VIP[family]}/" in text

    def owner_is(self, name, family):
        other = "theirs" if name == "ours" else "ours"
        return self.owns(name, family) and not self.owns(other, family)

    def believes(self, name, family):
        """The client's neighbour entry names this host's interface."""
        self.at("watch", "ping", "-c1", "-W1", VIP[family], check=False)
        mac = self.at(name, "cat", "/sys/class/net/eth0/address").strip()
        return mac in self.at("watch", "ip", "neigh", "show", VIP[family])

    def close(self):
        for p in self.procs:
            kill(p)
        for s in self.spaces:
            run("ip", "netns", "del", s, check=False)


@pytest.fixture
def lab(tmp_path):
    made = Lab(str(tmp_path))
    try:
        yield made
    finally:
        made.close()


def start_nines(lab, family, version, unicast, ours_first, password):
    hosts = ["ours", "theirs"] if ours_first else ["theirs", "ours"]
    vrrp = [f"version: {version}", "id: 51", "priority: [200, 100]"]
    if unicast:
        vrrp.append("transport: unicast")
    if password:
        path = os.path.join(lab.folder, "password")
        with open(path, "w", encoding="utf-8") as f:
            f.write("secret12\n")
        os.chmod(path, 0o600)
        vrrp.append(f"password_file: {path}")
    path = os.path.join(lab.folder, "cluster.yaml")
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"""cluster: pair
network: "{NET[family]}"
hosts:
  ours: "{OURS[family]}"
  theirs: "{THEIRS[family]}"
floating_ips:
  www:
    address: "{VIP[family]}"
    hosts: [{", ".join(hosts)}]
    failback: true
    heartbeat: {"1s" if version == 2 else "100ms"}
    vrrp: {{{", ".join(vrrp)}}}
""")
    return lab.spawn("ours", NINES, "run", "--host", "ours", "-f", path, "--run-dir",
                     os.path.join(lab.folder, "run"))


def start_keepalived(lab, family, version, unicast, priority, password):
    lines = [f"priority {priority}", f"advert_int {1 if version == 2 else 0.1}",
             "state BACKUP", "interface eth0", "virtual_router_id 51",
             f"version {version}",
             f"virtual_ipaddress {{\n {VIP[family]} dev eth0\n }}"]
    if unicast:
        lines.append(f"unicast_src_ip {THEIRS[family]}")
        lines.append(f"unicast_peer {{\n {OURS[family]}\n }}")
    if password:
        lines.append("authentication {\n auth_type PASS\n auth_pass secret12\n }")
    base = os.path.join(lab.folder, "keepalived")
    with open(base + ".conf", "w", encoding="utf-8") as f:
        f.write("global_defs {\n router_id theirs\n}\nvrrp_instance www {\n " +
                "\n ".join(lines) + "\n}\n")
    for suffix in (".pid", ".vpid"):
        if os.path.exists(base + suffix):
            os.unlink(base + suffix)
    return lab.spawn("theirs", "keepalived", "-n", "-l", "-D", "-P", "-f",
                     base + ".conf", "-p", base + ".pid", "-r", base + ".vpid")


CASES = [
    pytest.param(4, 3, False, False, id="v3-ipv4-multicast"),
    pytest.param(4, 3, True, False, id="v3-ipv4-unicast"),
    pytest.param(6, 3, False, False, id="v3-ipv6-multicast"),
    pytest.param(6, 3, True, False, id="v3-ipv6-unicast"),
    pytest.param(4, 2, False, True, id="v2-password-multicast"),
    pytest.param(4, 2, True, False, id="v2-unicast"),
]


@pytest.mark.parametrize("family,version,unicast,password", CASES)
def test_nines_first(lab, family, version, unicast, password):
    """nines preferred: it takes from keepalived, leaves it in good order, returns."""
    start_keepalived(lab, family, version, unicast, 100, password)
    until(lambda: lab.owner_is("theirs", family), "keepalived alone owns it")
    ours = start_nines(lab, family, version, unicast, True, password)
    until(lambda: lab.owner_is("ours", family), "nines preempts")
    until(lambda: lab.believes("ours", family), "the client was told")
    os.kill(ours.pid, signal.SIGTERM)
    until(lambda: lab.owner_is("theirs", family), "keepalived takes over")
    until(lambda: lab.believes("theirs", family), "the client was told")


@pytest.mark.parametrize("family,version,unicast,password", CASES)
def test_keepalived_first(lab, family, version, unicast, password):
    """keepalived preferred: nines takes over when it dies and gives way when it is back."""
    theirs = start_keepalived(lab, family, version, unicast, 200, password)
    until(lambda: lab.owner_is("theirs", family), "keepalived owns it")
    start_nines(lab, family, version, unicast, False, password)
    kill(theirs)  # it leaves its address behind, as a dead host would not
    lab.at("theirs", "ip", "addr", "flush", "dev", "eth0", "to", VIP[family], check=False)
    until(lambda: lab.owner_is("ours", family), "nines takes over")
    until(lambda: lab.believes("ours", family), "the client was told")
    start_keepalived(lab, family, version, unicast, 200, password)
    until(lambda: lab.owner_is("theirs", family), "keepalived returns and nines gives way")
    until(lambda: lab.believes("theirs", family), "the client was told")


def test_waits_for_its_link_local_address(lab):
    """While the kernel looks for duplicates of it, no advertisement could be sent."""
    lab.at("ours", "sysctl", "-qw", "net.ipv6.conf.eth0.accept_dad=1",
           "net.ipv6.conf.eth0.dad_transmits=250")
    run("ip", "-n", lab.prefix + "ours", "link", "set", "eth0", "down")
    run("ip", "-n", lab.prefix + "ours", "link", "set", "eth0", "up")
    run("ip", "-n", lab.prefix + "ours", "addr", "add", f"{OURS[6]}/64", "dev", "eth0",
        "nodad")
    start_nines(lab, 6, 3, False, True, False)
    status = [NINES, "status", "--run-dir", os.path.join(lab.folder, "run")]
    until(lambda: "link-local" in lab.at("ours", *status, check=False), "it says why")
    assert not lab.owns("ours", 6)
    run("ip", "-n", lab.prefix + "ours", "addr", "add", "fe80::9/64", "dev", "eth0", "nodad")
    until(lambda: lab.owner_is("ours", 6), "the address can be advertised")
