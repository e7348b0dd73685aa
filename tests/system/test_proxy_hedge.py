# SPDX-License-Identifier: Apache-2.0
"""A second server is asked what the first takes long to answer.

      client 10.9.0.9 ──> lb1:80 ──> web1:8080, web2:8080 (threads)
"""
import collections
import threading

import pytest

import h2wire
from h2wire import H2Server
from proxylab import Lab

SERVERS = 'servers: ["web1:8080", "web2:8080"], check: none'
SERVICES = f"""
  soon:  {{listen: "lb1:80", {SERVERS}, hedge: {{after: 20ms, budget: 50%}}}}
  usual: {{listen: "lb1:81", {SERVERS}, hedge: p95}}
  off:   {{listen: "lb1:82", {SERVERS}}}
  h2:    {{listen: "lb1:83", servers: ["web1:8090", "web2:8090"], check: none, server_http2: true, hedge: 20ms}}
  few:   {{listen: "lb1:84", {SERVERS}, hedge: {{after: 20ms, budget: 1%}}}}
"""


class Pair:
    """Who is asked for a path first is slow: `first` and `second` say what they do."""

    def __init__(self, serve):
        self.asked = collections.defaultdict(list)
        self.go, self.left = threading.Event(), threading.Event()
        self.first, self.second = self.wait, self.answer
        for name in ("web1", "web2"):
            serve(name, 8080, self.script(name))

    def script(self, name):
        def script(stream, _):
            while True:
                path = stream.head().line.split(" ")[1]
                seen = self.asked[path]
                seen.append(name)
                if path.startswith("/slow"):
                    (self.first if len(seen) == 1 else self.second)(stream, name)
                else:
                    self.answer(stream, name)
        return script

    @staticmethod
    def answer(stream, name, status="200 OK"):
        stream.send(f"HTTP/1.1 {status}\r\nX-Server: {name}\r\nContent-Length: 2\r\n\r\nok")

    def wait(self, stream, name):
        stream.sock.settimeout(0.01)
        while not self.go.is_set():
            try:
                if not stream.more():
                    self.left.set()
                    raise EOFError
            except TimeoutError:
                pass
        stream.sock.settimeout(30)
        self.answer(stream, name)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with Lab(tmp_path_factory.mktemp("proxy")) as made:
        made.start(SERVICES)
        yield made


@pytest.fixture
def pair(place):
    with place.scripted() as serve:
        made = Pair(serve)
        yield made
        made.go.set()


def test_the_second_is_faster(place, pair):
    head, body = place.get(80, "/slow")
    assert head.status == 200 and body == b"ok"
    assert len(pair.asked["/slow"]) == 2 and head["x-server"] == pair.asked["/slow"][1]
    assert pair.left.wait(30), "the first is told that nobody waits any more"


def test_the_first_may_be_faster_after_all(place, pair):
    over = threading.Event()

    def second(stream, name):
        pair.go.set()
        assert stream.rest() == b""
        over.set()
    pair.second = second
    head, _ = place.get(80, "/slow")
    assert head["x-server"] == pair.asked["/slow"][0] and over.wait(30)


@pytest.mark.parametrize("how", ["error", "close", "garbage"])
def test_a_second_that_fails_changes_nothing(place, pair, how):
    def second(stream, name):
        if how == "error":
            pair.answer(stream, name, "503 No")
        elif how == "garbage":
            stream.send("what?\r\n\r\n")
        else:
            stream.close()
        pair.go.set()
    pair.second = second
    head, _ = place.get(80, "/slow")
    assert head.status == 200 and head["x-server"] == pair.asked["/slow"][0]


def test_the_first_dies_while_both_are_asked(place, pair):
    both = threading.Event()

    def first(stream, name):
        assert both.wait(30)
        stream.reset()

    def second(stream, name):
        both.set()
        assert not pair.left.wait(0.1)
        pair.answer(stream, name)
    pair.first, pair.second = first, second
    head, _ = place.get(80, "/slow")
    assert head.status == 200 and head["x-server"] == pair.asked["/slow"][1]
    assert len(pair.asked["/slow"]) == 2


@pytest.mark.parametrize("port, text", [
    (80, "POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"),
    (80, "PUT /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"),
    (82, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"),
    (81, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")])
def test_who_is_asked_alone(place, pair, port, text):
    """What may not be repeated; everything by default; before anything is known."""
    timer = threading.Timer(0.3, pair.go.set)
    timer.start()
    assert place.ask(port, text)[0].status == 200
    assert len(pair.asked["/slow"]) == 1
    timer.join()


def test_after_the_usual_time(place, pair):
    stream = place.connect(81)
    for _ in range(150):
        stream.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert stream.answer()[0].status == 200
    stream.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    assert stream.answer()[0].status == 200 and len(pair.asked["/slow"]) == 2
    stream.close()


def test_the_budget_holds(place, pair):
    """A purse of ten for each worker, and one of a hundred: 50 requests get at most 20."""
    streams = [place.connect(84) for _ in range(50)]
    for i, s in enumerate(streams):
        s.send(f"GET /slow{i} HTTP/1.1\r\nHost: a\r\n\r\n")
    timer = threading.Timer(1, pair.go.set)
    timer.start()
    assert {s.answer()[0].status for s in streams} == {200}
    twice = sum(len(seen) > 1 for seen in pair.asked.values())
    assert 1 <= twice <= 20
    timer.join()
    for s in streams:
        s.close()


def test_over_http2(place):
    asked, cancelled = [], threading.Event()

    def script(name):
        def serve(stream, _):
            s = H2Server(stream)
            n = 1
            while True:
                s.request(n)
                asked.append(name)
                if len(asked) == 1:
                    s.until(lambda n=n: s.answers[n].reset is not None)
                    assert s.answers[n].reset == h2wire.CANCEL
                    cancelled.set()
                else:
                    s.reply(n, 200, ("x-server", name))
                n += 2
        return serve
    with place.scripted() as serve_at:
        for name in ("web1", "web2"):
            serve_at(name, 8090, script(name))
        head, _ = place.get(83)
        assert head.status == 200 and len(asked) == 2 and head["x-server"] == asked[1]
        assert cancelled.wait(30)
