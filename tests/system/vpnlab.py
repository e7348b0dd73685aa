# SPDX-License-Identifier: Apache-2.0
"""Two VPN gateways, a client far away and a server behind them, in namespaces.

      client 198.51.100.9              (wireguard-go, 10.8.0.2 in the tunnel)
         |
    -----+---- internet ----+--------
         |                  |
        gw1 .2             gw2 .3      floating: out 198.51.100.4, in 10.0.3.4
         |                  |
    -----+---- private -----+--------  reach
         |                  |
    -----+---- secret ------+--------  not in reach
         |
      server 10.0.3.80, 10.0.4.80
"""
import json
import os
import re
import signal
import socket
import subprocess

from kit import NINES, kill, run, until

NETS = {"internet": "198.51.100", "private": "10.0.3", "secret": "10.0.4"}
HOSTS = {
    "gw1": {"internet": 2, "private": 2, "secret": 2},
    "gw2": {"internet": 3, "private": 3, "secret": 3},
    "client": {"internet": 9},
    "server": {"private": 80, "secret": 80},
}
OUT = "198.51.100.4"


def genkey():
    private = run("wg", "genkey").strip()
    return private, run("wg", "pubkey", stdin=private).strip()


class Lab:
    def __init__(self, folder, client_keepalive=0, heartbeat="100ms"):
        self.prefix = f"vpn-{os.getpid()}-"
        self.folder = str(folder)
        self.heartbeat = heartbeat
        self.client_keepalive = client_keepalive
        self.spaces, self.procs, self.gateway = [], [], {}
        self.key_file = os.path.join(self.folder, "office.key")
        self.key, self.public = genkey()
        self.client_key, self.client_public = genkey()
        self.peers = {"ann": (self.client_public, "10.8.0.2")}
        self.write_key(0o600)
        self.write_file()
        self.cable()

    # ---- files

    def write_key(self, mode, text=None):
        with open(self.key_file, "w", encoding="utf-8") as f:
            f.write((text or self.key) + "\n")
        os.chmod(self.key_file, mode)

    def path(self, name="cluster.yaml"):
        return os.path.join(self.folder, name)

    def write_file(self, reach="private"):
        peers = "".join(f"\n      {n}: {{public_key: {k}, address: {a}}}"
                        for n, (k, a) in self.peers.items())
        nets = "".join(f"\n  {n}: {p}.0/24" for n, p in NETS.items())
        hosts = "".join(
            f"\n  {h}: {{" + ", ".join(f"{n}: {NETS[n]}.{i}" for n, i in on.items()) + "}"
            for h, on in HOSTS.items() if h.startswith("gw"))
        with open(self.path(), "w", encoding="utf-8") as f:
            f.write(f"""cluster: office
networks:{nets}
hosts:{hosts}
floating_ips:
  out: {{address: {OUT}, hosts: [gw1, gw2], group: vpn, heartbeat: {self.heartbeat}}}
  in: {{address: 10.0.3.4, hosts: [gw1, gw2], group: vpn, heartbeat: {self.heartbeat}}}
vpn:
  office:
    hosts: [gw1, gw2]
    listen: out:51820
    subnet: 10.8.0.0/24
    reach: {reach}
    key_file: {self.key_file}
    sync: private
    peers:{peers}
""")

    # ---- the world

    def cable(self):
        for net in NETS:
            self.space("sw-" + net)
            run("ip", "-n", self.prefix + "sw-" + net, "link", "add", "name", "bridge0",
                "type", "bridge", "mcast_snooping", "0")
            run("ip", "-n", self.prefix + "sw-" + net, "link", "set", "bridge0", "up")
        for host, on in HOSTS.items():
            self.space(host)
            for net, number in on.items():
                self.plug(host, net, number)
        self.at("server", "ip", "route", "add", "10.8.0.0/24", "via", "10.0.3.4")

    def space(self, name):
        run("ip", "netns", "add", self.prefix + name)
        self.spaces.append(self.prefix + name)
        run("ip", "-n", self.prefix + name, "link", "set", "lo", "up")

    def plug(self, host, net, number):
        inside, outside = self.prefix + host, self.prefix + "sw-" + net
        run("ip", "link", "add", "name", host, "netns", outside, "type", "veth",
            "peer", "name", net[:8], "netns", inside)
        run("ip", "-n", outside, "link", "set", host, "master", "bridge0", "up")
        run("ip", "-n", inside, "link", "set", net[:8], "up")
        run("ip", "-n", inside, "addr", "add", f"{NETS[net]}.{number}/24", "dev", net[:8])

    def at(self, name, *words, check=True, stdin=None):
        return run("ip", "netns", "exec", self.prefix + name, *words, check=check, stdin=stdin)

    def spawn(self, name, *words, log=None):
        out = open(self.path((log or name) + ".log"), "a", encoding="utf-8")
        p = subprocess.Popen(["ip", "netns", "exec", self.prefix + name, *words],
                             stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                             start_new_session=True)
        self.procs.append(p)
        return p

    # ---- gateways

    def start(self, name):
        p = self.spawn(name, NINES, "run", "--host", name, "-f", self.path(),
                       "--run-dir", self.path(name))
        self.gateway[name] = p
        return p

    def nines(self, name, *words, check=True):
        return self.at(name, NINES, *words, "--run-dir", self.path(name), check=check)

    def status(self, name):
        try:
            return json.loads(self.nines(name, "status", "--json", check=False))
        except json.JSONDecodeError:
            return {"facts": [], "parts": []}

    def facts(self, name):
        return {f["key"]: f["value"] for f in self.status(name)["facts"]}

    def pid(self, name, part="vpn"):
        """Of the part's process, once it is up; 0 before."""
        return next((p["pid"] for p in self.status(name)["parts"]
                     if p["name"] == part and p["state"] == "up"), 0)

    def fact(self, name, key="vpn office"):
        return self.facts(name).get(key, "")

    def start_pair(self, share=True):
        self.start("gw1")
        until(lambda: self.fact("gw1") == "active", "gw1 has the clients")
        self.start("gw2")
        until(lambda: self.fact("gw2") == "standby", "gw2 stands by")
        for name in ("gw1", "gw2") if share else ():
            until(lambda n=name: self.fact(n, "vpn office sync") == "up", f"{name} hears the other")

    def off(self, name):
        """As the power goes: the cables first, then everything in it."""
        for net in HOSTS[name]:
            run("ip", "-n", self.prefix + "sw-" + net, "link", "set", name, "down")
        self.kill_all(name)

    def kill_all(self, name):
        for pid in run("ip", "netns", "pids", self.prefix + name, check=False).split():
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                pass

    # ---- the client

    def start_client(self):
        # wg unlinks a socket that refuses it: wireguard-go ends when its own, or the one that a
        # killed one left and it is about to replace, goes like that. So wait without wg.
        sock = "/var/run/wireguard/wgc.sock"
        if os.path.exists(sock):
            os.unlink(sock)
        p = self.spawn("client", "env", "WG_PROCESS_FOREGROUND=1", "wireguard-go", "-f", "wgc",
                       log="client-wg")

        def listens():
            assert p.poll() is None, open(self.path("client-wg.log"), encoding="utf-8").read()
            with socket.socket(socket.AF_UNIX) as s:
                return s.connect_ex(sock) == 0

        until(listens, "wireguard-go of the client")
        with open(self.path("client.key"), "w", encoding="utf-8") as f:
            f.write(self.client_key)
        os.chmod(self.path("client.key"), 0o600)
        keepalive = ["persistent-keepalive", str(self.client_keepalive)] \
            if self.client_keepalive else []
        self.at("client", "wg", "set", "wgc", "private-key", self.path("client.key"), "peer",
                self.public, "endpoint", OUT + ":51820", "allowed-ips", "10.0.0.0/8", *keepalive)
        self.at("client", "ip", "addr", "add", "10.8.0.2/24", "dev", "wgc")
        self.at("client", "ip", "link", "set", "wgc", "up")
        self.at("client", "ip", "route", "add", "10.0.0.0/8", "dev", "wgc")

    def ping(self, address="10.0.3.80", seconds=1):
        r = subprocess.run(["ip", "netns", "exec", self.prefix + "client", "ping", "-n", "-c1",
                            f"-W{seconds}", address], capture_output=True, check=False)
        return r.returncode == 0

    def client_endpoint(self):
        return self.at("client", "wg", "show", "wgc", "endpoints").split()[-1]

    def stream(self, ms=5):
        """Pings through the tunnel all the time; lines with times."""
        return self.spawn("client", "ping", "-n", "-D", "-i", str(ms / 1000), "-W1", "10.0.3.80",
                          log="stream")

    def gap_ms(self):
        """The longest time without an answer so far."""
        with open(self.path("stream.log"), encoding="utf-8") as f:
            at = [float(m[1]) for m in re.finditer(r"^\[([0-9.]+)\] .*time=", f.read(), re.M)]
        return max((b - a for a, b in zip(at, at[1:])), default=0) * 1000, len(at)

    def answers(self):
        return self.gap_ms()[1]

    def close(self):
        for name in self.gateway:
            self.kill_all(name)
        for p in self.procs:
            kill(p)
        for s in self.spaces:
            self.kill_all(s.removeprefix(self.prefix))
            run("ip", "netns", "del", s, check=False)
