# SPDX-License-Identifier: Apache-2.0
"""The lab and the drill, from outside.

    client ---+--- lb1 (10.0.0.11) ---+
              |    lb2 (10.0.0.12)    |   one bridge; www is 10.0.0.10
              +--- web1 (10.0.0.21) --+
"""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess

import kit
import pytest
from kit import NINES, ROOT, until

FILE = """cluster: {name}
network: 10.0.0.0/24
hosts: {{lb1: 10.0.0.11, lb2: 10.0.0.12, web1: 10.0.0.21}}
floating_ips:
  www: {{address: 10.0.0.10, hosts: [lb1, lb2]}}
services:
  site: {{listen: www:80, servers: [web1:8080], check: /health}}
"""


def nines(*words, **more):
    return subprocess.run([NINES, *words], capture_output=True, text=True, timeout=300, **more)


def namespaces(prefix):
    out = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    return sorted(line.split()[0] for line in out.splitlines() if line.startswith(prefix))


@pytest.fixture
def lab(tmp_path):
    name = f"labtest{os.getpid()}"
    path = tmp_path / "cluster.yaml"
    path.write_text(FILE.format(name=name))
    yield name, str(path)
    nines("lab", "down", str(path))


def test_up_exec_down(lab):
    name, path = lab
    assert nines("lab", "status", path).returncode == 1
    up = nines("lab", "up", path)
    assert up.returncode == 0, up.stderr
    assert namespaces(f"nines-{name}-") == [
        f"nines-{name}-{h}" for h in ("client", "lb1", "lb2", "switch", "web1")]
    again = nines("lab", "up", path)
    assert again.returncode == 1 and "nines lab down" in again.stderr

    def ask(url):
        return nines("lab", "exec", path, "client", "curl", "-s", "-m", "9", url).stdout
    assert until(lambda: ask("http://10.0.0.21:8080/?id=7")) == "web1 id=7\n"
    until(lambda: ask("http://10.0.0.10/?id=8") == "web1 id=8\n")
    error = pathlib.Path(f"/run/nines-lab/{name}/web1.web/error")
    error.touch()
    assert ask("http://10.0.0.21:8080/?id=7") == "broken on purpose\n"
    error.unlink()
    # It is the lab's host that answers, without --run-dir, and the program that made the lab.
    status = nines("lab", "exec", path, "lb1", "nines", "status", "--json")
    assert json.loads(status.stdout)["host"] == "lb1", status.stderr
    nobody = nines("lab", "exec", path, "lb9", "true")
    assert nobody.returncode == 1 and "no such host" in nobody.stderr

    assert nines("lab", "down", path).returncode == 0
    assert namespaces(f"nines-{name}-") == []
    assert not pathlib.Path(f"/run/nines-lab/{name}").exists()
    assert nines("lab", "down", path).returncode == 1


def test_built_in_server(tmp_path):
    """What stands in for nginx where there is none. In a namespace, where the port is free."""
    space = f"web9-{os.getpid()}"
    inside = ["ip", "netns", "exec", space]
    kit.run("ip", "netns", "add", space)
    kit.run("ip", "-n", space, "link", "set", "lo", "up")
    server = subprocess.Popen([*inside, NINES, "lab", "web", "web9", str(tmp_path), "18077"])

    def ask(*words):
        return kit.run(*inside, "curl", "-s", "-m", "30", *words, check=False)
    url = "http://127.0.0.1:18077/"
    try:
        assert until(lambda: ask(url + "?id=5")) == "web9 id=5\n"
        assert ask(url + "?id=6", url + "?id=7") == "web9 id=6\nweb9 id=7\n"
        assert "Connection: close" in ask("-i", "-0", url)
        (tmp_path / "error").touch()
        assert ask("-o", "/dev/null", "-w", "%{http_code}", url) == "500"
    finally:
        server.kill()
        server.wait()
        kit.run("ip", "netns", "del", space)


def test_wrong_usage(tmp_path):
    assert nines("drill").returncode == 2
    assert nines("lab", "sideways", "x").returncode == 2
    assert nines("drill", "--case", "flood", "x.yaml").returncode == 2
    assert nines("drill", "--heartbeat", "3ms", "x.yaml").returncode == 2
    assert nines("drill", str(tmp_path / "none.yaml")).returncode == 1
    assert nines("drill", "--all", "--against", "keepalived", "x.yaml").returncode == 2
    assert nines("drill", "--random", "5", "x.yaml").returncode == 2
    listed = nines("drill", "--list").stdout
    assert "host-off" in listed and "soak" not in listed
    alone = tmp_path / "alone.yaml"
    alone.write_text("cluster: a\nnetwork: 10.0.0.0/24\nhosts: {h1: 10.0.0.1}\n")
    nothing = nines("drill", str(alone))
    assert nothing.returncode == 1 and "nothing to drill" in nothing.stderr


def test_drill_peers(lab):
    """A failure that keepalived must notice by time shows as an outage of that time."""
    _, path = lab
    run = nines("drill", "--against", "keepalived", "--case", "host-off,loss-in,loss-out", "--json", path)
    assert run.returncode == 0, run.stdout + run.stderr
    case = {c["case"]: c for c in json.loads(run.stdout)["cases"]}
    off = case["host-off"]["rounds"][0]
    assert off["during"]["outage_ms"] > 100 and off["during"]["moves"] >= 1
    assert off["during"]["no_owner_ms"] > 100
    assert off["during"]["two_owners_ms"] == 0
    assert off["during"]["connections_broken"] > 0
    assert [m["what"] for m in off["story"]][0] == f"{off['victim']} loses power"
    # What keepalived makes of lost packets on a busy machine is its own affair.
    assert case["loss-in"]["rounds"][0]["during"]["probes_answered"] > 0


def test_drill_nines(lab, tmp_path):
    _, path = lab
    page = tmp_path / "report.html"
    run = nines("drill", "--case", "host-off,proxy-killed,move", "--json", "--html", str(page), path)
    assert run.returncode == 0, run.stdout + run.stderr
    case = {c["case"]: c for c in json.loads(run.stdout)["cases"]}
    assert case["host-off"]["rounds"][0]["during"]["moves"] == 1
    assert case["host-off"]["rounds"][0]["during"]["outage_ms"] > 0
    assert case["move"]["requests_failed"] == 0
    for one in case.values():
        assert one["writes"]["acknowledged"] > 0
        assert one["writes"]["lost"] == one["writes"]["repeated"] == 0
    html = page.read_text()
    assert html.count("<svg") >= 3 and "http://" not in html and html.count("src=") == 1
    assert 'src="data:image/svg+xml,' in html


def cases(run):
    return {c["case"]: c for c in json.loads(run.stdout)["cases"]}


def test_whole_site(tmp_path):
    """From the client outside over gateways, firewalls and balancers to a web server."""
    path = str(ROOT / "examples/reference.yaml")
    name = f"site{os.getpid()}"

    def lab(verb, *words):
        return nines("lab", verb, "--name", name, path, *words)
    try:
        up = lab("up")
        assert up.returncode == 0, up.stderr
        assert f"nines-{name}-internet" in namespaces(f"nines-{name}-")
        answer = until(lambda: lab("exec", "client", "curl", "-s", "-m", "1",
                                      "http://10.0.2.20/?id=5").stdout)
        assert answer in ("web1 id=5\n", "web2 id=5\n", "web3 id=5\n")
        routes = lab("exec", "internet", "ip", "route", "show", "10.0.2.0/24").stdout
        assert "via 198.51.100.12" in routes and "via 198.51.100.13" in routes
    finally:
        lab("down")
    assert namespaces(f"nines-{name}-") == []


@pytest.mark.skipif(shutil.which("wireguard-go") is None or shutil.which("wg") is None,
                    reason="needs wireguard-go and wg")
def test_vpn_into_the_site(tmp_path):
    """The whole way: a client outside, the gateways' tunnel, the firewall, a balancer, and back by
    the route that the firewalls have to the VPN's clients; also when its gateway is off."""
    path, name = tmp_path / "site.yaml", f"vpn{os.getpid()}"
    private = tmp_path / "client.key"
    private.touch(0o600)
    private.write_text(subprocess.run(["wg", "genkey"], capture_output=True, text=True, check=True).stdout)

    def pubkey(file):
        return subprocess.run(["wg", "pubkey"], input=pathlib.Path(file).read_text(), text=True,
                              capture_output=True, check=True).stdout.strip()

    text = (ROOT / "examples/reference.yaml").read_text()
    path.write_text(text.replace("    subnet: 10.8.0.0/24\n", "    subnet: 10.8.0.0/24\n    peers:\n"
                                 f"      ann: {{public_key: {pubkey(private)}, address: 10.8.0.2}}\n"))

    def lab(verb, *words):
        return nines("lab", verb, "--name", name, str(path), *words)

    def at_client(*words):
        r = lab("exec", "client", *words)
        assert r.returncode == 0, r.stderr
        return r.stdout

    def ping():
        return lab("exec", "client", "ping", "-n", "-c1", "-W1", "10.0.2.21").returncode == 0

    tunnel = None
    try:
        up = lab("up")
        assert up.returncode == 0, up.stderr
        key = pathlib.Path(f"/run/nines-lab/{name}/vpn.key")
        assert key.stat().st_mode & 0o777 == 0o600
        # A name of its own: wireguard-go puts its socket where other tests' programs do. And wg
        # removes a socket that refuses it, so it has to wait.
        tunnel = subprocess.Popen(["ip", "netns", "exec", f"nines-{name}-client", "env",
                                   "WG_PROCESS_FOREGROUND=1", "wireguard-go", "-f", "wgsite"])
        with socket.socket(socket.AF_UNIX) as s:
            until(lambda: s.connect_ex("/var/run/wireguard/wgsite.sock") == 0)
        at_client("wg", "set", "wgsite", "private-key", str(private), "peer", pubkey(key),
                  "endpoint", "198.51.100.14:51820", "allowed-ips", "10.0.0.0/8")
        at_client("ip", "addr", "add", "10.8.0.2/24", "dev", "wgsite")
        at_client("ip", "link", "set", "wgsite", "up")
        at_client("ip", "route", "add", "10.0.0.0/16", "dev", "wgsite")
        until(ping)
        both = {h: lab("exec", h, NINES, "status").stdout for h in ("gw1", "gw2")}
        owner = next(h for h, said in both.items() if "office         active" in said)
        lab("exec", owner, NINES, "stop")
        until(ping)
    finally:
        if tunnel is not None:
            tunnel.kill()
            tunnel.wait()
        lab("down")


@pytest.mark.skipif(shutil.which("wireguard-go") is None, reason="needs wireguard-go")
def test_drill_asks_through_the_vpn():
    """What is foretold of the VPN is seen by a client of it, where it is survived and where not."""
    drill = nines("drill", "--only", "host-off:gw1,network-down:dmz", "--json",
                  str(ROOT / "examples/reference.yaml"))
    off, cut = (cases(drill)[name]["rounds"][0] for name in ("host-off:gw1", "network-down:dmz"))
    # On a busy machine the whole site may be late in being itself again; nothing else may be.
    late = cut["trouble"] == "no steady answers"
    assert drill.returncode == (1 if late else 0), drill.stdout + drill.stderr
    moved, down = off["vpn"], cut["vpn"]
    assert (moved["forecast"], moved["survived"]) == ("survives", True)
    assert moved["during"]["failed"] > 0 and moved["during"]["answered"] > 0, "gw1 had the clients"
    assert (down["forecast"], down["survived"]) == ("ends", False)
    assert down["after"]["answered"] > 0
    # Nobody is asked a thousand times a second for ever.
    phases = [cut[phase] for phase in ("during", "after")]
    failed, outage = (sum(p[key] for p in phases) for key in ("probes_failed", "outage_ms"))
    assert failed < max(3300, 0.9 * outage)


def test_failures_and_resume(lab, tmp_path):
    """One that is survived, one that is not, as the analysis says; each played once."""
    _, path = lab
    first = nines("drill", "--only", "host-off:web1", "--json", path)
    assert first.returncode == 0, first.stdout + first.stderr
    ends = cases(first)["host-off:web1"]["rounds"][0]
    assert (ends["forecast"], ends["survived"]) == ("ends", False)
    assert ends["during"]["outage_ms"] > 500 and ends["during"]["requests_failed"] > 0
    old = tmp_path / "old.json"
    old.write_text(first.stdout)
    second = nines("drill", "--only", "host-off:web1,host-off:lb1", "--resume", str(old), "--json", path)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "host-off:web1" not in second.stderr
    both = cases(second)
    assert both["host-off:web1"] == cases(first)["host-off:web1"]
    survives = both["host-off:lb1"]["rounds"][0]
    assert (survives["forecast"], survives["survived"]) == ("survives", True)
    broken = sum(survives[phase]["downloads"]["broken"] for phase in ("during", "after"))
    assert broken > 0, "lb1 had the address, and its connections"
    assert survives["during"]["downloads"]["corrupt"] == 0
    bad = nines("drill", "--only", "host-off:lb1", "--resume", path, path)
    assert bad.returncode == 1 and "is no report" in bad.stderr


def test_disagreement_is_kept(lab):
    """A host that sends and does not hear keeps its address: nothing in this file looks
    whether it can hear, so what the analysis says is wrong, and the drill says so."""
    _, path = lab
    run = subprocess.Popen([NINES, "drill", "--only", "link-deaf:lb1", "--keep", path],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    out, said = run.communicate(timeout=300)
    name = f"drill-{run.pid}"
    try:
        assert run.returncode == 1, out + said
        assert "was to be survived, but clients were not served" in out
        assert f"nines lab down --name {name}" in said
        assert f"nines-{name}-lb1" in namespaces(f"nines-{name}-")
        rules = nines("lab", "exec", "--name", name, path, "switch", "nft", "list", "ruleset")
        assert "drop" in rules.stdout, "the failure is still there to be looked at"
    finally:
        nines("lab", "down", "--name", name, path)
    assert namespaces(f"nines-{name}-") == []


@pytest.mark.parametrize("how, says", [("again", "is in the journal of web1 twice"),
                                       ("lost", "acknowledged writes are in no journal")])
def test_writes_are_accounted_for(lab, how, says):
    """A server that carries a write out twice, and one that promises and forgets."""
    _, path = lab
    run = subprocess.Popen([NINES, "drill", "--case", "reload", "--rounds", "2", path], text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        journal = pathlib.Path(f"/run/nines-lab/drill-{run.pid}/web1.web/journal")
        until(lambda: journal.exists() and "\n" in journal.read_text())
        first = journal.read_text().partition("\n")[0]
        if how == "again":
            with journal.open("a", encoding="ascii") as f:
                f.write(f"{first}\n")
        else:  # what the server has open has another name now
            journal.rename(journal.with_name("forgotten"))
        said, _ = run.communicate(timeout=300)
    finally:
        if run.poll() is None:
            run.kill()
    assert run.returncode == 1 and says in said, said


def test_random(lab, tmp_path):
    name, _ = lab
    path = tmp_path / "two.yaml"
    path.write_text(FILE.format(name=name).replace("web1: 10.0.0.21", "web1: 10.0.0.21, web2: 10.0.0.22")
                    .replace("[web1:8080]", "[web1:8080, web2:8080]"))
    run = nines("drill", "--random", "6s", "--seed", "11", str(path))
    assert run.returncode == 0, run.stdout + run.stderr
    assert "seed 11: every rule held" in run.stdout
    writes = int(re.search(r"; (\d+) writes were acknowledged, and each is in one journal", run.stdout)[1])
    assert writes > 0


def test_live(lab, tmp_path):
    """On a host where nines runs: only what can be undone, and not before a yes."""
    name, _ = lab
    path = tmp_path / "cluster.yaml"
    path.write_text(path.read_text().replace("hosts: [lb1, lb2]}", "hosts: [lb1, lb2], failback: true}"))
    assert nines("lab", "up", str(path)).returncode == 0
    here = ["lab", "exec", str(path), "lb1", NINES, "drill", "--live", "--run-dir", f"/run/nines-lab/{name}/lb1.run"]
    until(lambda: "active" in nines("lab", "exec", str(path), "lb1", NINES, "status", "--run-dir",
                                       f"/run/nines-lab/{name}/lb1.run").stdout)
    refused = nines(*here, str(path), input="n\n")
    assert refused.returncode == 1 and "nothing was done" in refused.stdout
    run = nines(*here, "--yes", str(path))
    assert run.returncode == 0, run.stdout + run.stderr
    assert "kill the part proxy" in run.stdout and "move all addresses from lb1, and back" in run.stdout
    nobody = nines("drill", "--live", "--run-dir", str(tmp_path / "none"), str(path))
    assert nobody.returncode == 3 and "nines run" in nobody.stderr


@pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(lab, signo):
    _, path = lab
    run = subprocess.Popen([NINES, "drill", "--against", "keepalived", "--case", "healed-split", path],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    mine = f"nines-drill-{run.pid}-"
    until(lambda: len(namespaces(mine)) == 5)
    run.send_signal(signo)
    _, said = run.communicate(timeout=300)
    assert run.returncode == 1 and "interrupted" in said, said
    assert namespaces(mine) == []
    assert not pathlib.Path(f"/run/nines-lab/drill-{run.pid}").exists()


def test_killed_drill_is_cleaned_up(lab):
    _, path = lab
    run = subprocess.Popen([NINES, "drill", "--against", "keepalived", "--case", "healed-split", path],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    mine = f"nines-drill-{run.pid}-"
    until(lambda: len(namespaces(mine)) == 5)
    run.kill()
    run.wait()
    assert len(namespaces(mine)) == 5
    assert nines("lab", "down", "--name", f"drill-{run.pid}", path).returncode == 0
    assert namespaces(mine) == []
