# SPDX-License-Identifier: Apache-2.0
"""The supervisor and its parts on one host, with everything going wrong.

    lb1 (10.0.0.11, www 10.0.0.10) e0 ------- e0 web1 (10.0.0.21): server and client

lb2 is in the file but switched off.
"""
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time

import pytest
from kit import NINES, until

FILE = """cluster: supervised
network: 10.0.0.0/24
hosts: {lb1: 10.0.0.11, lb2: 10.0.0.12, web1: 10.0.0.21}
floating_ips:
  www: {address: 10.0.0.10, hosts: [lb1, lb2], heartbeat: 100ms}
services:
  site: {listen: [www:80, lb1:8000], servers: [web1:8080], check: {path: /health, every: 100ms}}
"""
SERVER = """
import http.server, os, sys, time
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path == "/slow":
            open(sys.argv[1], "w").close()
            while os.path.exists(sys.argv[1]):
                time.sleep(0.01)
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\\n")
    def log_message(self, *a):
        pass
class S(http.server.ThreadingHTTPServer):
    request_queue_size = 128
S(("10.0.0.21", 8080), H).serve_forever()
"""


def sh(line):
    subprocess.run(line.split(), check=True, capture_output=True)


class Host:
    """lb1 with its run directory; nines run is started and killed by the tests."""

    def __init__(self, tmp):
        tag = f"sup-{os.getpid()}"
        self.lb, self.web = tag + "-lb1", tag + "-web1"
        self.file, self.dir, self.log = tmp / "cluster.yaml", tmp / "run", tmp / "log"
        self.slow = tmp / "slow"  # there while somebody waits for /slow
        self.file.write_text(FILE)
        self.run = self.server = None

    def set_up(self):
        sh(f"ip netns add {self.lb}")
        sh(f"ip netns add {self.web}")
        sh(f"ip link add e0 netns {self.lb} type veth peer name e0 netns {self.web}")
        for ns, address in ((self.lb, "10.0.0.11"), (self.web, "10.0.0.21")):
            sh(f"ip -n {ns} addr add {address}/24 dev e0")
            sh(f"ip -n {ns} link set lo up")
            sh(f"ip -n {ns} link set e0 up")
        self.server = subprocess.Popen(
            ["ip", "netns", "exec", self.web, "/usr/bin/python3", "-c", SERVER, str(self.slow)])

    def tear_down(self):
        if self.run is not None and self.run.poll() is None:
            self.run.kill()
            self.run.wait()
        if self.server is not None:
            self.server.kill()
            self.server.wait()
        for ns in (self.lb, self.web):
            pids = subprocess.run(["ip", "netns", "pids", ns], capture_output=True, text=True)
            for pid in pids.stdout.split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            subprocess.run(["ip", "netns", "del", ns], capture_output=True)

    def start(self, *words, **more):
        with open(self.log, "ab") as log:
            self.run = subprocess.Popen(
                ["ip", "netns", "exec", self.lb, NINES, "run", "--host", "lb1", "-f",
                 str(self.file), "--run-dir", str(self.dir), *words],
                stdout=log, stderr=log, **more)

    def nines(self, verb, *words):
        return subprocess.run([NINES, verb, "--run-dir", str(self.dir), *words],
                              capture_output=True, text=True, timeout=120)

    def status(self):
        out = self.nines("status", "--json").stdout
        return json.loads(out) if out else None

    def part(self, name):
        status = self.status()
        return next((p for p in status["parts"] if p["name"] == name), None) if status else None

    def facts(self):
        status = self.status()
        return {f["key"]: f["value"] for f in status["facts"]} if status else {}

    def ready(self):
        """All parts are up, spares included, and the address is here."""
        status = self.status()
        if not status or len(status["parts"]) != 3:
            return None
        for p in status["parts"]:
            if p["state"] != "up" or (p["name"] != "health" and "spare_pid" not in p):
                return None
        return status if self.facts().get("vip www") == "active" and self.get() else None

    def has_address(self):
        out = subprocess.run(["ip", "-n", self.lb, "addr"], capture_output=True, text=True)
        return "10.0.0.10/" in out.stdout

    def pids(self):
        out = subprocess.run(["ip", "netns", "pids", self.lb], capture_output=True, text=True)
        return {int(p) for p in out.stdout.split()}

    def get(self, path="/", seconds="5"):
        out = subprocess.run(
            ["ip", "netns", "exec", self.web, "curl", "-sS", "-m", seconds,
             "http://10.0.0.10" + path], capture_output=True, text=True)
        return out.stdout == "ok\n"


@pytest.fixture
def host(tmp_path):
    h = Host(tmp_path)
    try:
        h.set_up()
        yield h
    finally:
        h.tear_down()


@pytest.fixture
def lb(host):
    host.start()
    until(host.ready)
    return host


class Client:
    """Asks again and again, each time on a new connection, and counts."""

    def __init__(self, host):
        self.host, self.results, self.stop = host, [], threading.Event()
        self.thread = threading.Thread(target=self.work)

    def work(self):
        while not self.stop.is_set():
            self.results.append(self.host.get(seconds="10"))

    def __enter__(self):
        self.thread.start()
        until(lambda: len(self.results) > 2)
        return self

    def __exit__(self, *a):
        self.stop.set()
        self.thread.join()

    def some_more(self):
        n = len(self.results)
        until(lambda: len(self.results) > n + 5)


def proc(pid, key):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return line.split(":")[1].split()
    raise AssertionError(key)


def test_status_and_privileges(lb):
    status = lb.status()
    assert (status["host"], status["cluster"], status["generation"]) == ("lb1", "supervised", 1)
    assert {p["name"] for p in status["parts"]} == {"vip", "proxy", "health"}
    assert lb.nines("status").returncode == 0
    # The control socket is root's.
    assert (lb.dir / "control.sock").stat().st_mode & 0o777 == 0o600
    nobody = proc(lb.part("proxy")["pid"], "Uid")
    assert nobody[0] != "0" and len(set(nobody)) == 1
    for name in ("vip", "proxy", "health"):
        pid = lb.part(name)["pid"]
        assert proc(pid, "NoNewPrivs") == ["1"]
        assert proc(pid, "Seccomp") == ["2"]
        caps = int(proc(pid, "CapEff")[0], 16)
        # NET_ADMIN, NET_RAW, IPC_LOCK, SYS_NICE, BPF
        allowed = sum(1 << c for c in (12, 13, 14, 23, 39)) if name == "vip" else 0
        assert caps & ~allowed == 0 and int(proc(pid, "CapBnd")[0], 16) & ~allowed == 0
        assert proc(pid, "Groups") in ([], proc(pid, "Gid")[:1])


@pytest.mark.parametrize("part", ["proxy", "vip"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_spare_takes_over(lb, part, how):
    with Client(lb) as client:
        before = lb.part(part)
        os.kill(before["pid"], how)
        until(lambda: lb.part(part).get("pid") == before["spare_pid"])
        client.some_more()
    # A request that was under way in the proxy may be lost, and only that.
    assert client.results.count(False) <= (1 if part == "proxy" else 0)
    after = until(lambda: (p := lb.part(part)).get("spare_pid") and p)
    assert after["restarts"] == before["restarts"] + 1 and after["state"] == "up"
    assert not pathlib.Path(f"/proc/{before['pid']}").exists()
    assert lb.has_address()


def test_health_keeps_its_verdicts(lb):
    until(lambda: lb.facts().get("server site web1:8080") == "up")
    old = lb.part("health")["pid"]
    with Client(lb) as client:
        os.kill(old, signal.SIGKILL)
        until(lambda: (lb.part("health") or {}).get("pid") not in (None, old))
        assert lb.facts()["server site web1:8080"] == "up"
        client.some_more()
    assert all(client.results)


def test_crash_loop_gives_the_address_up(lb):
    def kill_next():
        pid = (lb.part("vip") or {}).get("pid")
        if pid:
            with contextlib.suppress(ProcessLookupError):  # the last one, just reaped
                os.kill(pid, signal.SIGKILL)
        return lb.facts().get("part vip", "").startswith("down")

    until(kill_next)
    until(lambda: not lb.has_address())
    until(lambda: 'event=part-release part=vip result="ok"' in lb.log.read_text())
    # It is tried on, and trusted again once it lives.
    until(lb.ready)
    assert lb.nines("status").returncode == 0


def test_reload(lb):
    pids = {n: lb.part(n)["pid"] for n in ("vip", "proxy", "health")}
    # A file with errors changes nothing and says why.
    lb.file.write_text(FILE.replace("web1:8080", "web4:8080"))
    refused = lb.nines("reload")
    assert refused.returncode == 1
    assert re.search(r"cluster.yaml:7:\d+: error: .*web4", refused.stderr)
    assert lb.status()["generation"] == 1 and "web4" in lb.status()["refused"]
    os.kill(lb.run.pid, signal.SIGHUP)
    until(lambda: lb.log.read_text().count("result=refused") == 2)
    # A good one is in use when the order returns.
    with Client(lb) as client:
        lb.file.write_text(FILE + "  api: {listen: www:81, servers: [web1:8080]}\n")
        good = lb.nines("reload")
        assert good.returncode == 0 and "service api added" in good.stdout
        assert lb.get(":81/")
        status = lb.status()
        assert status["generation"] == 2 and "refused" not in status
        client.some_more()
    assert all(client.results)
    assert pids == {n: lb.part(n)["pid"] for n in pids}
    # Unreadable is refused too.
    lb.file.unlink()
    assert "cannot be read" in lb.nines("reload").stderr
    assert lb.get()


def test_parts_come_and_go_with_the_file(lb):
    lb.file.write_text(FILE[:FILE.index("services:")])
    assert lb.nines("reload").returncode == 0
    until(lambda: (s := lb.status()) and "proxy" not in [p["name"] for p in s["parts"]])
    until(lambda: (facts := lb.facts()) and not [
        k for k in facts if k.startswith(("server ", "service ", "proxy "))])
    assert lb.facts()["part vip"] == "up"
    lb.file.write_text(FILE)
    assert lb.nines("reload").returncode == 0
    until(lb.ready)


def test_drain_survives_the_supervisor(lb):
    wrong = lb.nines("drain", "web2")
    assert wrong.returncode == 1 and 'did you mean "web1"' in wrong.stderr
    assert lb.nines("drain", "web1:8080").returncode == 0
    assert lb.facts()["admin web1:8080"] == "drain"
    os.kill(lb.run.pid, signal.SIGKILL)
    lb.run.wait()
    lb.start()
    until(lambda: lb.facts().get("admin web1:8080") == "drain")
    assert lb.nines("enable", "web1:8080").returncode == 0
    assert "admin web1:8080" not in lb.facts()
    until(lb.ready)
    assert (lb.dir / "drained").read_text() == ""


def test_nothing_outlives_the_supervisor(lb):
    os.kill(lb.run.pid, signal.SIGKILL)
    lb.run.wait()
    until(lambda: not lb.pids())
    assert not lb.has_address()
    # What it left in the run directory does not keep the next one from starting.
    assert (lb.dir / "control.sock").exists()
    lb.start()
    until(lb.ready)


def test_new_supervisor_at_once(lb):
    """As a service manager does it: while the old parts are still leaving."""
    os.kill(lb.run.pid, signal.SIGKILL)
    lb.run.wait()
    lb.start()
    until(lb.ready)
    with Client(lb) as client:
        client.some_more()
    assert all(client.results)


@contextlib.contextmanager
def undisturbed():
    """No other program has this processor meanwhile, where the machine allows that."""
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(os.sched_get_priority_max(os.SCHED_FIFO)))
    yield
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def test_pause_of_the_whole_host(lb):
    pids = sorted(lb.pids())
    for sig in (signal.SIGSTOP, signal.SIGCONT):
        with undisturbed():
            for pid in pids:
                os.kill(pid, sig)
        if sig == signal.SIGSTOP:
            time.sleep(2)  # the pause itself, longer than any patience
    until(lb.ready)
    assert all(p["restarts"] == 0 for p in lb.status()["parts"])
    assert "part-kill" not in lb.log.read_text()


def test_stop_in_good_order(lb):
    """Nobody takes the address, but who has come by the host's own is answered."""
    slow = subprocess.Popen(
        ["ip", "netns", "exec", lb.web, "curl", "-sS", "http://10.0.0.11:8000/slow"],
        stdout=subprocess.PIPE, text=True)
    until(lb.slow.exists)
    with subprocess.Popen([NINES, "stop", "--run-dir", str(lb.dir)]) as stopped:
        until(lambda: "host stopping" in lb.log.read_text())
        lb.slow.unlink()
    assert stopped.returncode == 0
    assert lb.run.wait(30) == 0
    assert slow.communicate(timeout=300)[0] == "ok\n"
    assert not lb.has_address() and not lb.pids()
    assert not (lb.dir / "control.sock").exists()
    assert "part-kill" not in lb.log.read_text()
    assert lb.nines("status").returncode == 3


def test_stop_at_once(lb):
    proxy = lb.part("proxy")
    for pid in (proxy["pid"], lb.part("vip")["pid"]):
        os.kill(pid, signal.SIGSTOP)
    lb.run.terminate()
    until(lambda: "host stopping" in lb.log.read_text())
    lb.run.terminate()
    assert lb.run.wait(30) == 0
    until(lambda: not lb.pids())
    assert not lb.has_address()


def test_control_socket_bears_rubbish(lb):
    def ask(data, shut=False):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(30)
            s.connect(str(lb.dir / "control.sock"))
            s.sendall(data)
            if shut:
                s.shutdown(socket.SHUT_WR)
            try:
                return s.recv(1 << 16)
            except ConnectionResetError:
                return b""

    assert b"no such order" in ask(b"format c:\n")
    assert b"no such order" in ask(b"drain\n")
    assert b"no such order" in ask(b"move\ta\tb\tc\td\te\n")
    assert b'"ok":false' in ask(b"drain\t" + b"x" * 900 + b"\n")
    assert b'"ok":false' in ask(b"drain\t\xff\xfe\n")
    assert ask(b"status", shut=True) == b""
    assert ask(b"y" * 5000) == b""
    # Clients that say nothing do not keep others out for ever, nor harm anything.
    idle = [socket.socket(socket.AF_UNIX) for _ in range(100)]
    for s in idle:
        s.connect(str(lb.dir / "control.sock"))
    for s in idle:
        s.close()
    assert until(lb.status)["ok"]
    assert lb.get()


def test_second_supervisor_is_refused(lb):
    log = lb.log.read_text()
    first, lb.run = lb.run, None
    lb.start()
    assert lb.run.wait(30) == 1
    lb.run = first
    assert "another one answers" in lb.log.read_text()[len(log):]
    assert lb.get()


def test_service_manager_is_told(host):
    path = str(host.dir.parent / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(path)
        s.settimeout(30)
        host.start(env={**os.environ, "NOTIFY_SOCKET": path, "WATCHDOG_USEC": "300000"})
        assert [s.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
        until(host.ready)
        env = pathlib.Path(f"/proc/{host.part('proxy')['pid']}/environ").read_bytes()
        assert b"NOTIFY_SOCKET" not in env
        s.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while s.recv(100):  # a full queue takes no more
                pass
        host.run.terminate()
        s.settimeout(30)
        while s.recv(100) != b"STOPPING=1":
            pass
    assert host.run.wait(30) == 0


def test_an_upgrade_moves_no_address_and_keeps_the_service_manager(host, tmp_path):
    path, moves = str(tmp_path / "notify"), tmp_path / "moves"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s, open(moves, "wb") as out:
        s.bind(path)
        s.settimeout(30)
        host.start(env={**os.environ, "NOTIFY_SOCKET": path, "WATCHDOG_USEC": "300000"})
        until(host.ready)
        host.nines("drain", "web1")
        before = {p["name"]: p["pid"] for p in host.status()["parts"]}
        watch = subprocess.Popen(["ip", "-n", host.lb, "monitor", "address"], stdout=out)
        try:
            done = host.nines("upgrade")
            assert done.returncode == 0, done.stderr
            after = {p["name"]: p["pid"] for p in host.status()["parts"]}
            assert all(after[name] != pid for name, pid in before.items())
            host.nines("enable", "web1")
            until(host.ready)
        finally:
            watch.kill()
            watch.wait()
        assert "Deleted" not in moves.read_text() and host.has_address()
        s.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while s.recv(100):
                pass
        s.settimeout(30)
        assert s.recv(100) == b"WATCHDOG=1"
        env = pathlib.Path(f"/proc/{host.part('proxy')['pid']}/environ").read_bytes()
        assert b"NOTIFY_SOCKET" not in env and b"NINES_HANDOVER" not in env
        host.run.terminate()
        assert host.run.wait(30) == 0


@pytest.mark.parametrize("text,words,says", [
    ("cluster: x\n", [], "error"),
    (FILE, ["--host", "lb9"], 'no host named "lb9"'),
    (FILE, ["--log-level", "loud"], "usage"),
])
def test_does_not_start(host, text, words, says):
    host.file.write_text(text)
    host.start(*words)
    assert host.run.wait(30) in (1, 2)
    assert says in host.log.read_text()
    assert not host.pids()


def test_finds_itself_by_address(host):
    with open(host.log, "ab") as log:
        host.run = subprocess.Popen(
            ["ip", "netns", "exec", host.lb, NINES, "run", "-f", str(host.file),
             "--run-dir", str(host.dir)], stderr=log)
    until(host.ready)
    assert host.status()["host"] == "lb1"
