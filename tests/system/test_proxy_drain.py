# SPDX-License-Identifier: Apache-2.0
"""What changes under load must not fail a request: drain, enable, reload, a server that
dies or hangs, a proxy that is killed, a graceful stop.

      8 clients of 10.9.0.9 ──> lb1 10.9.0.1:80 (nines) ──> web1..web3:8080 (threads)

Each load client uses connections the way browsers do: several requests on each, then a
new one; a request on a kept connection that was closed before its first byte is sent
again on a new one, and only that (RFC 9112 section 9.3.1).
"""
import os
import signal
import threading
import time

import pytest

from proxylab import DEADLINE, WEB, Lab, until

SITE = """
  site:
    listen: {listen}
    servers: [{servers}]
    check: {{path: /health, every: 20ms, timeout: {timeout}, fall: 2, rise: 1}}
    timeouts: {{drain: {drain}, server: 5s, connect: 500ms}}
    {more}
"""
THREE = "web1:8080, web2:8080, web3:8080"


def site(servers=THREE, listen="lb1:80", more="", timeout="30s", drain="2s"):
    return SITE.format(servers=servers, listen=listen, more=more, timeout=timeout,
                       drain=drain)


class Web:
    """A server that counts, and can be told to hang or to answer slowly."""

    def __init__(self, lab, name):
        self.lab, self.name = lab, name
        self.requests = 0
        self.go, self.answer_slow = threading.Event(), threading.Event()
        self.go.set()
        self.server = lab.serve(name, 8080, self.script)

    def script(self, stream, _):
        while True:
            head = stream.head()
            self.go.wait()
            if "/health" not in head.line:
                self.requests += 1
                if "/slow" in head.line:
                    self.answer_slow.wait()
            stream.send("HTTP/1.1 200 OK\r\nContent-Length: "
                        f"{len(self.name)}\r\n\r\n{self.name}")

    def die(self):
        self.server.close()
        self.lab.servers.remove(self.server)

    def live(self):
        self.server = self.lab.serve(self.name, 8080, self.script)


class Load:
    """Clients that ask without a pause; `failed` lists what went wrong."""

    def __init__(self, lab, port=80, clients=8):
        self.lab, self.port = lab, port
        self.failed, self.done, self.names = [], 0, {}
        self.ending = threading.Event()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run, daemon=True)
                        for _ in range(clients)]
        for t in self.threads:
            t.start()

    def ask(self, stream, fresh):
        """(stream, body); an old connection may have been closed: once more."""
        try:
            stream.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            if not stream.buffer and not stream.more():
                raise EOFError("closed without a byte")
        except (EOFError, ConnectionError):
            if fresh:
                raise
            stream.close()
            return self.ask(self.lab.connect(self.port), True)
        head, body = stream.answer()
        assert head.status == 200, head.line
        if head["connection"] == "close":
            stream.close()
            stream = None
        return stream, body

    def run(self):
        stream = None
        n = 0
        while not self.ending.is_set():
            try:
                fresh = stream is None
                stream = stream or self.lab.connect(self.port)
                stream, body = self.ask(stream, fresh)
                n += 1
                with self.lock:
                    self.done += 1
                    self.names[body] = self.names.get(body, 0) + 1
                if stream and n % 10 == 0:
                    stream.close()
                    stream = None
            except (AssertionError, OSError, EOFError) as e:
                with self.lock:
                    self.failed.append(repr(e))
                stream = None
        if stream:
            stream.close()

    def pass_(self, n=200):
        """Waits until so many more requests have been answered."""
        goal = self.done + n
        until(lambda: self.done >= goal or self.failed, f"{n} more requests")

    def end(self):
        self.ending.set()
        for t in self.threads:
            t.join(20)
        return self


@pytest.fixture
def lab(tmp_path):
    with Lab(tmp_path) as made:
        made.web = {name: Web(made, name) for name in ("web1", "web2", "web3")}
        yield made


def all_up(lab, n=3):
    until(lambda: lab.fact("service site") == f"up {n}/{n}", "servers are healthy")


@pytest.mark.parametrize("servers, what", [
    (THREE, "web1"), (THREE, "web1:8080"),
    (THREE.replace("web1:8080", f"{WEB['web1']}:8080"), "web1")])
def test_drain_and_enable(lab, servers, what):
    """A host or a server drained gets no new request; enabled, it works again."""
    lab.start(site(servers))
    all_up(lab)
    load = Load(lab)
    load.pass_()
    lab.order("drain", what)
    until(lambda: left_alone(lab, load, "web1"), "web1 is left alone")
    before = lab.web["web1"].requests
    load.pass_()
    assert lab.web["web1"].requests == before
    lab.order("enable", what)
    until(lambda: lab.web["web1"].requests > before, "web1 works again")
    load.pass_()
    assert load.end().failed == []
    assert set(load.names) == {b"web1", b"web2", b"web3"}


def test_orders_hold_once_they_are_answered(lab):
    """What comes after `nines drain` may be the end of the server."""
    lab.start(site())
    all_up(lab)

    def served():
        return {lab.get(80)[1] for _ in range(8)}
    for _ in range(20):
        lab.order("drain", "web1")
        assert served() == {b"web2", b"web3"}
        lab.order("enable", "web1")
        lab.order("weight", "site", "web2:8080", "0")
        assert b"web2" not in served()
        lab.order("weight", "site", "web2:8080", "file")


def test_order_is_answered_when_the_proxy_dies(lab):
    lab.start(site())
    all_up(lab)
    pid, answers = proxies(lab)[0]["pid"], []
    os.kill(pid, signal.SIGSTOP)
    asker = threading.Thread(target=lambda: answers.append(lab.control("drain", "web1")))
    asker.start()
    until(lambda: lab.fact("admin web1") == "drain", "the order is there")
    if proxies(lab)[0].get("pid") == pid:  # it is killed as one that hangs, too
        os.kill(pid, signal.SIGKILL)
    asker.join(DEADLINE)
    assert answers[0]["ok"] and "no new work goes there" in answers[0]["text"]
    until(lambda: lab.get(80)[1] != b"web1", "the next process serves")


def left_alone(lab, load, name):
    """True if the server got none of many requests."""
    before = lab.web[name].requests
    load.pass_(50)
    return lab.web[name].requests == before


def test_drain_lets_requests_finish(lab):
    lab.start(site(servers="web1:8080"))
    all_up(lab, 1)
    stream = lab.connect(80)
    stream.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    until(lambda: lab.web["web1"].requests == 1, "the server has it")
    lab.order("drain", "web1")
    assert {lab.get(80)[0].status for _ in range(8)} == {503}
    lab.web["web1"].answer_slow.set()
    assert stream.answer()[1] == b"web1"
    stream.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert stream.answer()[0].status == 503
    stream.close()


def test_drain_survives_a_restart_of_the_proxy(lab):
    lab.start(site())
    all_up(lab)
    lab.order("drain", "web1")
    until(lambda: lab.fact("admin web1") == "drain", "the fact is out")
    kill_proxy(lab)
    load = Load(lab)
    load.pass_()
    assert load.end().failed == []
    assert lab.web["web1"].requests == 0


def test_server_dies_and_returns(lab):
    lab.start(site())
    all_up(lab)
    load = Load(lab)
    load.pass_()
    lab.web["web2"].die()
    until(lambda: lab.fact("server site web2:8080").startswith("down"), "it is noticed")
    load.pass_()
    lab.web["web2"].live()
    before = lab.web["web2"].requests
    until(lambda: lab.web["web2"].requests > before, "web2 works again")
    load.pass_()
    assert load.end().failed == []


def test_server_hangs(lab):
    """Requests that wait for a hung server are asked elsewhere once it is known."""
    lab.start(site(timeout="1s"))
    all_up(lab)
    load = Load(lab)
    load.pass_()
    lab.web["web3"].go.clear()
    until(lambda: lab.fact("server site web3:8080").startswith("down"), "it is noticed")
    load.pass_()
    lab.web["web3"].go.set()
    until(lambda: lab.fact("server site web3:8080") == "up", "it is back")
    load.pass_()
    assert load.end().failed == []


def test_backup_serves_when_nobody_else_can(lab):
    lab.start(site(servers='web1:8080, {at: "web2:8080", backup: true}'))
    all_up(lab, 2)
    load = Load(lab)
    load.pass_()
    assert lab.web["web2"].requests == 0
    lab.web["web1"].die()
    until(lambda: lab.web["web2"].requests > 0, "the backup serves")
    load.pass_()
    lab.web["web1"].live()
    until(lambda: left_alone(lab, load, "web2"), "the backup rests again")
    load.pass_()
    assert load.end().failed == []


def generation(lab):
    return lab.control("status").get("generation")


def reload(lab, services):
    before = generation(lab)
    lab.write(services)
    lab.order("reload")
    until(lambda: generation(lab) not in (None, before), "the file is applied")


def test_reload_under_load(lab):
    """Servers come and go, listeners too, ten times over; nothing fails."""
    lab.start(site())
    all_up(lab)
    load = Load(lab)
    for i in range(10):
        load.pass_(100)
        servers = ["web1:8080, web2:8080", THREE][i % 2]
        listen = ["[\"lb1:80\", \"lb1:81\"]", "lb1:80"][i % 2]
        reload(lab, site(servers, listen, f"retries: {i % 3 + 1}"))
        if i % 2 == 0:
            until(lambda: not refused(lab, 81), "the new listener serves")
            assert lab.get(81)[0].status == 200
    load.pass_()
    assert load.end().failed == []


def test_reload_keeps_connections(lab):
    lab.start(site())
    all_up(lab)
    stream = lab.connect(80)
    stream.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert stream.answer()[0].status == 200
    reload(lab, site(servers="web2:8080"))
    until(lambda: lab.fact("service site") == "up 1/1", "the file is in force")
    for _ in range(3):
        stream.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert stream.answer()[1] == b"web2"
    stream.close()


def test_reload_of_a_broken_file_changes_nothing(lab):
    lab.start(site())
    all_up(lab)
    load = Load(lab)
    load.pass_()
    lab.write(site(servers="web9:8080"))
    assert not lab.control("reload")["ok"]
    load.pass_()
    assert load.end().failed == []
    assert set(load.names) == {b"web1", b"web2", b"web3"}


def refused(lab, port):
    try:
        lab.connect(port).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        pass  # in the very moment
    return False


def test_removed_listener_is_closed(lab):
    lab.start(site(listen='["lb1:80", "lb1:81"]'))
    all_up(lab)
    assert lab.get(81)[0].status == 200
    reload(lab, site())

    until(lambda: refused(lab, 81), "nobody listens any more")
    assert lab.get(80)[0].status == 200


def proxies(lab):
    return [p for p in lab.control("status")["parts"] if p["name"] == "proxy"]


def spare_of(lab):
    """The process id; 0 while there is none."""
    return proxies(lab)[0].get("spare_pid", 0)


def spares_begun(lab):
    return lab.log().count("event=part-start part=proxy")


def kill_proxy(lab):
    """kill -9 of the acting process; returns when another one acts."""
    pid = proxies(lab)[0]["pid"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: proxies(lab)[0].get("pid", 0) not in (pid, 0), "another one acts")


def test_killed_proxy_refuses_nobody(lab):
    """Connections of the dead process break; no new one is refused or lost."""
    lab.start(site())
    all_up(lab)
    for _ in range(5):
        until(lambda: spare_of(lab) > 0, "there is a spare")
        kill_proxy(lab)
        for _ in range(20):
            assert lab.get(80)[0].status == 200


def test_graceful_stop(lab):
    """SIGTERM: what is in flight is answered, and told to close; then all ends."""
    lab.start(site(servers="web1:8080", drain="20s"))
    all_up(lab, 1)
    idle = lab.connect(80)
    idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert idle.answer()[0]["connection"] is None
    stream = lab.connect(80)
    stream.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    until(lambda: lab.web["web1"].requests == 2, "the server has it")
    os.kill(lab.nines.pid, signal.SIGTERM)
    # Meanwhile nobody new is left to wait for a program that is leaving.
    until(lambda: refused(lab, 80), "new connections are refused")
    until(lambda: lab.at("ss", "-Hltn", "sport = :80") == "", "every worker knows")
    lab.web["web1"].answer_slow.set()
    head, body = stream.answer()
    assert head["connection"] == "close" and body == b"web1"
    stream.close()
    # The idle one may still ask: it is answered, and then closed.
    try:
        idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        head, _ = idle.answer()
        assert head.status == 200 and head["connection"] == "close"
    except (EOFError, ConnectionError):
        pass  # closed while idle
    idle.close()
    until(lambda: lab.nines.poll() is not None, "it has stopped")
    assert lab.nines.returncode == 0


def test_graceful_stop_while_a_spare_starts(lab):
    """The spare asks for listeners which the acting process gives back: nobody opens them
    again, for clients would connect and wait for the end."""
    for late in range(10):
        lab.web["web1"].answer_slow.clear()
        lab.start(site(servers="web1:8080", drain="20s"))
        all_up(lab, 1)
        stream = lab.connect(80)
        had = lab.web["web1"].requests
        stream.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        until(lambda had=had: lab.web["web1"].requests > had, "the server has it")
        until(lambda: spare_of(lab) > 0, "there is a spare")
        before = spares_begun(lab)
        os.kill(spare_of(lab), signal.SIGKILL)
        until(lambda before=before: spares_begun(lab) > before, "another starts")
        time.sleep(late / 200)
        os.kill(lab.nines.pid, signal.SIGTERM)
        until(lambda: refused(lab, 80), "new connections are refused")
        lab.web["web1"].answer_slow.set()
        assert stream.answer()[1] == b"web1"
        stream.close()
        until(lambda: lab.nines.poll() is not None, "it has stopped")


def test_graceful_stop_under_load(lab):
    """Until the last listener is closed nothing fails but connections refused."""
    lab.start(site(drain="20s"))
    all_up(lab)
    load = Load(lab)
    load.pass_()
    os.kill(lab.nines.pid, signal.SIGTERM)
    until(lambda: lab.nines.poll() is not None, "it has stopped")
    load.end()
    assert [f for f in load.failed if "ConnectionRefused" not in f] == []
