# SPDX-License-Identifier: Apache-2.0
"""Requests of several clients on one connection to a server (`pipeline`).

      client 10.9.0.9 ──> lb1 10.9.0.1:80..85 (nines) ──> web1, web2 (threads), nginx

The proxy is stopped for a moment while clients write: what it then finds in one turn of
its loop is what goes out together.
"""
import os
import random
import shutil
import signal
import threading
import time

import pytest

from proxylab import WEB, Lab, until

SERVICES = """
  many:  {listen: "lb1:80", servers: ["web1:8080", "web2:8080"], check: none, pipeline: 16}
  one:   {listen: "lb1:81", servers: ["web1:8080"], check: none, pipeline: 16}
  nginx: {listen: "lb1:82", servers: ["web3:8080"], check: none, pipeline: 16}
  die0:  {listen: "lb1:83", servers: ["web1:8080", "web2:8080"], check: none, pipeline: 16}
  die1:  {listen: "lb1:84", servers: ["web1:8080", "web2:8080"], check: none, pipeline: 16}
  die2:  {listen: "lb1:85", servers: ["web1:8080", "web2:8080"], check: none, pipeline: 16}
"""
CLIENTS = 16


class World:
    """What the servers do depends on the path; `ahead` counts requests that had another
    one behind them on the same connection."""

    def __init__(self):
        self.ahead = 0
        self.died = set()
        self.lock = threading.Lock()

    def serve(self, stream, _n):
        while True:
            head = stream.head()
            with self.lock:
                self.ahead += b"\r\n\r\n" in stream.buffer
            method, path, _ = head.line.split()
            kind = path.split("/")[1]
            body = path.encode()
            if kind == "big":
                body = body * (300000 // len(body))
            if kind == "slow":
                time.sleep(0.08)
            if kind == "die":
                with self.lock:
                    first = path not in self.died
                    self.died.add(path)
                if first:
                    return
            if kind == "early":
                stream.send("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
            last = "Connection: close\r\n" if kind == "last" else ""
            if kind == "chunked":
                stream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                if method != "HEAD":
                    stream.send(f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n")
            elif kind == "until":
                stream.send(b"HTTP/1.1 200 OK\r\n\r\n" + (b"" if method == "HEAD" else body))
                return
            else:
                stream.send(f"HTTP/1.1 200 OK\r\n{last}Content-Length: {len(body)}\r\n\r\n")
                if method != "HEAD":
                    stream.send(body)
            if last:
                return


@pytest.fixture(scope="module")
def world():
    return World()


@pytest.fixture(scope="module")
def lab(tmp_path_factory, world):
    with Lab(tmp_path_factory.mktemp("pipeline")) as made:
        made.serve("web1", 8080, world.serve)
        made.serve("web2", 8080, world.serve)
        if shutil.which("nginx"):
            conf = os.path.join(made.folder, "nginx.conf")
            with open(conf, "w", encoding="utf-8") as f:
                f.write(f"daemon off; master_process off; pid {made.folder}/n.pid;\n"
                        "error_log stderr; events {} http { access_log off; server {\n"
                        f"listen {WEB['web3']}:8080; location / {{ return 200 $uri; }} }} }}\n")
            made.spawn("nginx", "-c", conf, log="nginx.log")
        made.start(SERVICES)
        yield made


class Stopped:
    """The acting proxy does nothing within, nor does who would take it for hung."""

    def __init__(self, lab):
        self.pids = [lab.nines.pid, lab.part("proxy")["pid"]]

    def __enter__(self):
        for pid in self.pids:
            os.kill(pid, signal.SIGSTOP)

    def __exit__(self, *_):
        time.sleep(0.005)  # the last write has arrived
        for pid in reversed(self.pids):
            os.kill(pid, signal.SIGCONT)


def ask(stream, path, method="GET"):
    stream.send(f"{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n")


def final(stream, method="GET"):
    """(head, body) of the final answer, interim ones skipped."""
    head = stream.head()
    while head.status < 200:
        head = stream.head()
    if method == "HEAD":
        return head, b""
    if head["content-length"] is None and head["transfer-encoding"] is None:
        return head, stream.rest()
    return head, stream.body(head)


def together(lab, port, paths, method="GET"):
    """All at once, each on a connection of its own: checks that each has its answer."""
    streams = [lab.connect(port) for _ in paths]
    try:
        for s in streams:  # accepted, and served once
            ask(s, "/warm")
            assert final(s)[1] == b"/warm"
        with Stopped(lab):
            for s, path in zip(streams, paths):
                ask(s, path, method)
        for s, path in zip(streams, paths):
            head, body = final(s, method)
            assert head.status == 200, (path, head.line)
            want = path.encode() if method == "GET" else b""
            if path.startswith("/big/") and method == "GET":
                want = want * (300000 // len(want))
            assert body == want, path
    finally:
        for s in streams:
            s.close()


def test_goes_out_together(lab, world):
    before = world.ahead
    together(lab, 81, [f"/plain/{i}" for i in range(CLIENTS)])
    assert world.ahead > before


def test_real_server(lab):
    if not shutil.which("nginx"):
        pytest.skip("nginx is not installed")
    for turn in range(5):
        together(lab, 82, [f"/turn/{turn}/{i}" for i in range(CLIENTS)])


def test_head_has_no_body(lab):
    together(lab, 81, [f"/plain/{i}" for i in range(CLIENTS)], "HEAD")


@pytest.mark.parametrize("kind", ["chunked", "early", "last", "until", "big", "slow"])
def test_one_odd_answer(lab, kind):
    for place in (0, 7, CLIENTS - 1):
        paths = [f"/plain/{kind}/{i}" for i in range(CLIENTS)]
        paths[place] = f"/{kind}/{place}"
        together(lab, 81, paths)


@pytest.mark.parametrize("port, place", [(83, 0), (84, 7), (85, CLIENTS - 1)])
def test_a_server_that_hangs_up(lab, port, place):
    """A service each, since a death on a connection makes the next ones plain for a while;
    two servers, since a plain request that was hung up on goes to another one."""
    paths = [f"/plain/die/{i}" for i in range(CLIENTS)]
    paths[place] = f"/die/{place}"
    together(lab, port, paths)


def test_only_what_may_be_repeated_shares(lab, world):
    streams = [lab.connect(81) for _ in range(CLIENTS)]
    try:
        for s in streams:
            ask(s, "/warm")
            final(s)
        before = world.ahead
        with Stopped(lab):
            for i, s in enumerate(streams):
                s.send(f"POST /post/{i} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        for i, s in enumerate(streams):
            assert final(s)[1] == f"/post/{i}".encode()
        assert world.ahead == before
    finally:
        for s in streams:
            s.close()


def test_clients_that_leave(lab):
    """Their answers are nobody's; everybody else's stay right."""
    streams = [lab.connect(81) for _ in range(CLIENTS)]
    for s in streams:
        ask(s, "/warm")
        final(s)
    with Stopped(lab):
        for i, s in enumerate(streams):
            ask(s, f"/slow/{i}" if i == 0 else f"/plain/leave/{i}")
    for s in streams[0:8:2]:
        s.reset()
    for i, s in list(enumerate(streams))[1::2]:
        assert final(s)[1] == f"/plain/leave/{i}".encode()
    for i in range(20):
        head, body = lab.get(81, f"/plain/after/{i}")
        assert head.status == 200 and body == f"/plain/after/{i}".encode()
    for s in streams:
        s.close()


def test_everything_at_once(lab):
    """Many clients with random wishes: nobody ever gets another's answer."""
    seed = int(os.environ.get("SEED", "0")) or random.randrange(1, 1 << 30)
    print(f"SEED={seed}")
    kinds = ["plain"] * 12 + ["chunked", "early", "last", "until", "big", "die"]
    wrong = []

    def client(me):
        rng = random.Random(seed + me)
        stream = None
        for i in range(40):
            path = f"/{rng.choice(kinds)}/{me}/{i}"
            method = "HEAD" if rng.random() < 0.1 else "GET"
            if stream is None:
                stream = lab.connect(80)
            ask(stream, path, method)
            if rng.random() < 0.05:
                stream.reset()
                stream = None
                continue
            head, body = final(stream, method)
            want = path.encode() if method == "GET" else b""
            if path.startswith("/big/") and method == "GET":
                want = want * (300000 // len(want))
            if head.status != 200 or body != want:
                wrong.append((path, method, head.line, body[:80]))
            if head["connection"] == "close":
                stream.close()
                stream = None

    threads = [threading.Thread(target=client, args=(n,)) for n in range(CLIENTS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert not wrong, wrong[:3]
    assert not any(t.is_alive() for t in threads)
    until(lambda: lab.part("proxy")["restarts"] == 0, "the proxy was never replaced")
