# SPDX-License-Identifier: Apache-2.0
"""The lab and the drill, from outside.

    client ---+--- lb1 (10.0.0.11) ---+
              |    lb2 (10.0.0.12)    |   one bridge; www is 10.0.0.10
              +--- web1 (10.0.0.21) --+
"""
import json
import os
import pathlib
import signal
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
NINES = os.environ.get("NINES", str(ROOT / "build/dbg/nines"))
FILE = """cluster: {name}
network: 10.0.0.0/24
hosts: {{lb1: 10.0.0.11, lb2: 10.0.0.12, web1: 10.0.0.21}}
floating_ips:
  www: {{address: 10.0.0.10, hosts: [lb1, lb2]}}
services:
  site: {{listen: www:80, servers: [web1:8080], check: /health}}
"""


def nines(*words, **more):
    return subprocess.run([NINES, *words], capture_output=True, text=True, timeout=80, **more)


def namespaces(prefix):
    out = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    return sorted(line.split()[0] for line in out.splitlines() if line.startswith(prefix))


def wait_for(what, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("waited in vain")


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
        return nines("lab", "exec", path, "client", "curl", "-s", "-m", "1", url).stdout
    assert wait_for(lambda: ask("http://10.0.0.21:8080/?id=7")) == "web1 id=7\n"
    wait_for(lambda: ask("http://10.0.0.10/?id=8") == "web1 id=8\n")
    error = pathlib.Path(f"/run/nines-lab/{name}/web1.web/error")
    error.touch()
    assert ask("http://10.0.0.21:8080/?id=7") == "broken on purpose\n"
    error.unlink()
    nobody = nines("lab", "exec", path, "lb9", "true")
    assert nobody.returncode == 1 and "no such host" in nobody.stderr

    assert nines("lab", "down", path).returncode == 0
    assert namespaces(f"nines-{name}-") == []
    assert not pathlib.Path(f"/run/nines-lab/{name}").exists()
    assert nines("lab", "down", path).returncode == 1


def test_built_in_server(tmp_path):
    """What stands in for nginx where there is none."""
    server = subprocess.Popen([NINES, "lab", "web", "web9", str(tmp_path), "18077"])

    def ask(*words):
        return subprocess.run(["curl", "-s", "-m", "2", *words], capture_output=True, text=True).stdout
    url = "http://127.0.0.1:18077/"
    try:
        assert wait_for(lambda: ask(url + "?id=5")) == "web9 id=5\n"
        assert ask(url + "?id=6", url + "?id=7") == "web9 id=6\nweb9 id=7\n"
        assert "Connection: close" in ask("-i", "-0", url)
        (tmp_path / "error").touch()
        assert ask("-o", "/dev/null", "-w", "%{http_code}", url) == "500"
    finally:
        server.kill()
        server.wait()


def test_wrong_usage(tmp_path):
    assert nines("drill").returncode == 2
    assert nines("lab", "sideways", "x").returncode == 2
    assert nines("drill", "--case", "flood", "x.yaml").returncode == 2
    assert nines("drill", "--heartbeat", "3ms", "x.yaml").returncode == 2
    assert nines("drill", str(tmp_path / "none.yaml")).returncode == 1
    listed = nines("drill", "--list").stdout
    assert "host-off" in listed and "soak" not in listed
    alone = tmp_path / "alone.yaml"
    alone.write_text("cluster: a\nnetwork: 10.0.0.0/24\nhosts: {h1: 10.0.0.1}\n")
    nothing = nines("drill", str(alone))
    assert nothing.returncode == 1 and "nothing to drill" in nothing.stderr


def test_drill_peers(lab):
    """A failure that keepalived must notice by time shows as an outage of that time."""
    _, path = lab
    run = nines("drill", "--against", "keepalived", "--case", "host-off,loss-in", "--json", path)
    assert run.returncode == 0, run.stdout + run.stderr
    case = {c["case"]: c for c in json.loads(run.stdout)["cases"]}
    off = case["host-off"]["rounds"][0]
    assert off["during"]["outage_ms"] > 100 and off["during"]["moves"] == 1
    assert abs(off["during"]["no_owner_ms"] - off["during"]["outage_ms"]) < 100
    assert off["during"]["two_owners_ms"] == 0
    assert off["during"]["connections_broken"] > 0
    assert [m["what"] for m in off["story"]][0] == f"{off['victim']} loses power"
    assert case["loss-in"]["rounds"][0]["during"]["probes_failed"] == 0


def test_drill_nines(lab, tmp_path):
    _, path = lab
    page = tmp_path / "report.html"
    run = nines("drill", "--case", "host-off,proxy-killed,move", "--json", "--html", str(page), path)
    assert run.returncode == 0, run.stdout + run.stderr
    case = {c["case"]: c for c in json.loads(run.stdout)["cases"]}
    assert case["host-off"]["rounds"][0]["during"]["moves"] == 1
    assert case["host-off"]["rounds"][0]["during"]["outage_ms"] > 0
    assert case["move"]["requests_failed"] == 0
    html = page.read_text()
    assert html.count("<svg") >= 3 and "http://" not in html and "src=" not in html


@pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(lab, signo):
    _, path = lab
    run = subprocess.Popen([NINES, "drill", "--against", "keepalived", "--case", "healed-split", path],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    mine = f"nines-drill-{run.pid}-"
    wait_for(lambda: len(namespaces(mine)) == 5)
    run.send_signal(signo)
    _, said = run.communicate(timeout=20)
    assert run.returncode == 1 and "interrupted" in said, said
    assert namespaces(mine) == []
    assert not pathlib.Path(f"/run/nines-lab/drill-{run.pid}").exists()


def test_killed_drill_is_cleaned_up(lab):
    _, path = lab
    run = subprocess.Popen([NINES, "drill", "--against", "keepalived", "--case", "healed-split", path],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    mine = f"nines-drill-{run.pid}-"
    wait_for(lambda: len(namespaces(mine)) == 5)
    run.kill()
    run.wait()
    assert len(namespaces(mine)) == 5
    assert nines("lab", "down", "--name", f"drill-{run.pid}", path).returncode == 0
    assert namespaces(mine) == []
