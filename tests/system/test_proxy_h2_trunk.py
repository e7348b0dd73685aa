# SPDX-License-Identifier: Apache-2.0
"""Requests of several clients on one HTTP/2 connection to a server.

      client 10.9.0.9 ══> lb1:90 ══> web1:8090 (a thread)
      client 10.9.0.9 ══> lb1:94, :98 ══> web1:8090, web2:8090
"""
import struct
import threading

import pytest

import h2wire
from h2wire import H2, H2Server, request
from proxylab import Lab, until

SERVICES = """
  raw:    {listen: "lb1:90", servers: ["web1:8090"], check: none, http2: true, server_http2: true}
  pair:   {listen: "lb1:94", servers: ["web1:8090", "web2:8090"], check: none, http2: true, server_http2: true}
  narrow: {listen: "lb1:95", servers: ["web1:8090"], check: none, http2: true, server_http2: true, server_streams: 2}
  least:  {listen: "lb1:97", servers: ["web1:8090"], check: none, http2: true, server_http2: true}
  single: {listen: "lb1:96", servers: ["web1:8090"], check: none, http2: true, server_http2: true, pool: 0}
  tardy:  {listen: "lb1:98", servers: ["web1:8090", "web2:8090"], check: none, http2: true, server_http2: true, timeouts: {connect: 1m}}
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with Lab(tmp_path_factory.mktemp("proxy")) as made:
        made.start(SERVICES)
        yield made


@pytest.fixture
def raw(lab):
    with lab.scripted() as serve:
        yield lambda script, host="web1", settings=(): serve(
            host, 8090, lambda s, n: script(H2Server(s, settings), n))


@pytest.fixture
def h2(lab):
    with lab.clients(H2, 90) as connect:
        yield connect


def reset(s, n, error):
    s.send(h2wire.RST, 0, n, struct.pack(">I", error))


def goaway(s, last):
    s.send(h2wire.GOAWAY, 0, 0, struct.pack(">II", last, 0))


def answer_all(s, _=0):
    """Answers each request with its path."""
    n = 1
    while True:
        s.request(n)
        s.reply(n, 200, body=s.asked[n][":path"].encode())
        n += 2


def test_requests_share_a_connection(h2, raw):
    def script(s, _):
        ids = range(1, 61, 2)
        s.until(lambda: all(s.answers[n].ended for n in ids))
        for n in reversed(ids):  # in whatever order they are ready
            s.reply(n, 200, body=s.asked[n][":path"].encode())
        s.end()
    server = raw(script)
    c = h2()
    ids = [c.ask(request("GET", f"/{i}")) for i in range(30)]
    for i, n in enumerate(ids):
        assert c.answer(n).body == f"/{i}".encode()
    assert server.connections == 1


def test_bodies_mix_without_harm(h2, raw):
    def script(s, _):
        ids = (1, 3, 5)
        s.until(lambda: all(s.answers[n].ended for n in ids))
        for n in ids:
            s.reply(n, 200, end=False)
        for i in range(0, 20000, 1000):
            for n in ids:
                s.data(n, s.answers[n].body[i:i + 1000], i == 19000)
        s.end()
    raw(script)
    c = h2()
    # Together they fit the connection's first window: while that is used up, bodies go
    # by another connection.
    bodies = [bytes([65 + i]) * 20000 for i in range(3)]
    ids = [c.ask(request("POST"), body=b) for b in bodies]
    assert [c.answer(n).body for n in ids] == bodies


@pytest.mark.parametrize("port, settings", [(97, [(h2wire.MAX_STREAMS, 2)]), (95, ())])
def test_no_more_at_a_time_than_allowed(h2, raw, port, settings):
    most = []
    go = threading.Event()

    def script(s, _):
        s.until(lambda: s.answers[1].ended and s.answers[3].ended)
        assert go.wait(30)
        most.append(len(s.asked))
        for n in (1, 3):
            s.reply(n, 200, body=b"x")
        s.end()
    server = raw(script, settings=settings)
    c = h2(port)
    ids = [c.ask(request("GET", f"/{i}")) for i in range(6)]
    until(lambda: server.connections >= 3, "the others have connections of their own")
    go.set()
    assert all(c.answer(n).body == b"x" for n in ids)
    assert most == [2] * 3


def test_without_a_pool_each_has_its_own(h2, raw):
    server = raw(answer_all)
    c = h2(96)
    for i in range(3):
        assert c.get(f"/{i}").body == f"/{i}".encode()
    assert server.connections == 3


def test_goaway_sends_the_later_ones_elsewhere(h2, raw):
    """Whatever they ask: the server says that it did nothing (RFC 9113 section 6.8)."""
    def script(s, n):
        if n > 1:
            answer_all(s)
        s.until(lambda: all(s.answers[i].ended for i in (1, 3, 5)))
        goaway(s, 1)
        s.reply(1, 200, body=b"first")
        s.end()
    server = raw(script)
    c = h2()
    ids = [c.ask(request("POST", f"/{i}")) for i in range(3)]
    assert [c.answer(n).body for n in ids] == [b"first", b"/1", b"/2"]
    assert server.connections == 2


@pytest.mark.parametrize("size", [5, 3000, 16000])
def test_goaway_with_a_body(h2, raw, size):
    """A small one is kept until the answer begins, and sent once more."""
    def script(s, n):
        if n > 1:
            fields, came = s.request(1)
            s.reply(1, 200, body=came.body + dict(fields)[":path"].encode())
            s.end()
            return
        s.until(lambda: all(s.answers[i].ended for i in (1, 3)))
        goaway(s, 1)
        s.reply(1, 200, body=b"first")
        s.end()
    server = raw(script)
    c = h2()
    body = bytes(i % 251 for i in range(size))
    first = c.ask(request("POST", "/0"), body=b"x")
    second = c.ask(request("POST", "/1"), end=False)
    c.data(second, body[:size // 2])
    c.data(second, body[size // 2:], end=True)
    assert c.answer(first).body == b"first"
    assert c.answer(second).status == 200 and c.answer(second).body == body + b"/1"
    assert server.connections == 2


def test_goaway_with_a_large_body(h2, raw):
    """What has been passed on is gone."""
    def script(s, _):
        s.until(lambda: s.answers[1].ended)
        s.until(lambda: len(s.answers[3].body) > 20000)
        goaway(s, 1)
        s.reply(1, 200, body=b"first")
        s.end()
    raw(script)
    c = h2()
    first = c.ask(request("POST", "/0"), body=b"x")
    second = c.ask(request("POST", "/1"), end=False)
    c.data(second, b"y" * 30000)
    assert c.answer(first).body == b"first"
    c.data(second, b"y" * 10, end=True)
    assert c.answer(second).status == 502


def test_refused_streams_are_asked_again(h2, raw):
    def script(s, _):
        s.request(1)
        reset(s, 1, h2wire.REFUSED_STREAM)
        n = 3
        while True:
            s.request(n)
            s.reply(n, 200, body=b"again")
            n += 2
    server = raw(script)
    c = h2()
    assert c.answer(c.ask(request("POST"))).body == b"again"
    assert server.connections == 1


def test_a_server_that_refuses_for_ever(h2, raw):
    seen = []

    def script(s, _):
        n = 1
        while True:
            s.request(n)
            seen.append(n)
            reset(s, n, h2wire.REFUSED_STREAM)
            n += 2
    raw(script)
    c = h2()
    assert c.get("/").status == 502
    assert len(seen) < 10


def test_a_reset_is_of_one_request(h2, raw):
    def script(s, _):
        s.until(lambda: s.answers[1].ended and s.answers[3].ended)
        reset(s, 1, h2wire.INTERNAL_ERROR)
        s.reply(3, 200, body=b"fine")
        s.end()
    server = raw(script)
    c = h2()
    one, two = c.ask(request("POST")), c.ask(request("POST"))
    assert c.answer(one).status == 502 and c.answer(two).body == b"fine"
    assert server.connections == 1


def test_death_of_a_connection(h2, raw):
    """What may be asked twice is; what may not is told."""
    def script(s, n):
        if n > 1:
            answer_all(s)
        s.request(1)
        s.reply(1, 200)
        s.until(lambda: all(s.answers[i].ended for i in (3, 5, 7)))
        s.stream.reset()
    raw(script)
    c = h2()
    assert c.get("/").status == 200
    ids = [c.ask(request("GET", "/a")), c.ask(request("POST", "/b")),
           c.ask(request("GET", "/c"))]
    answers = [c.answer(n) for n in ids]
    assert [a.status for a in answers] == [200, 502, 200]
    assert answers[0].body == b"/a" and answers[2].body == b"/c"


def test_a_client_that_leaves_takes_only_its_own(h2, raw):
    def script(s, _):
        s.until(lambda: s.answers[1].ended and s.answers[3].ended)
        arrived.append(1)
        s.until(lambda: s.answers[1].reset == h2wire.CANCEL)
        s.reply(3, 200, body=b"fine")
        s.end()
    arrived = []
    server = raw(script)
    c = h2()
    n, m = c.ask(request()), c.ask(request())
    until(lambda: arrived, "both are asked")
    reset(c, n, h2wire.CANCEL)
    assert c.answer(m).body == b"fine" and server.connections == 1


def test_slow_clients_hold_nobody_up(h2, raw):
    """The window of the connection does not wait for them, only those of their streams:
    together they leave more unread than it has."""
    ids = range(1, 41, 2)
    full, quick = threading.Event(), 41
    sent = dict.fromkeys(ids, 0)

    def script(s, n):
        if n > 1:  # the first is just being asked whether it lives: it was silent
            answer_all(s)
        room = {0: 65535, **dict.fromkeys(ids, 65535)}

        def take():
            f = s.read()
            if f.type == h2wire.WINDOW:
                room[f.stream] += struct.unpack(">I", f.payload)[0]
        s.window = False
        while not all(s.answers[n].ended for n in ids):
            take()
        for n in ids:
            s.reply(n, 200, end=False)
        s.stream.sock.settimeout(0.5)
        try:
            while True:
                n = max(ids, key=lambda n: min(room[n], 10 ** 6 - sent[n]))
                k = min(16384, room[0], room[n], 10 ** 6 - sent[n])
                if k == 0:
                    take()
                    continue
                s.data(n, b"x" * k)
                sent[n] += k
                room[0] -= k
                room[n] -= k
        except TimeoutError:
            full.set()
        s.stream.sock.settimeout(30)
        while quick not in s.asked or room[0] < 5:
            take()
        s.reply(quick, 200, body=b"/quick")
        s.end()
    raw(script)
    c = h2(settings=[(h2wire.INITIAL_WINDOW, 10000)])
    c.window = False
    c.send(h2wire.WINDOW, 0, 0, struct.pack(">I", 10 ** 7))
    for _ in ids:
        c.ask(request("GET", "/slow"))
    c.until(lambda: all(len(c.answers[n].body) == 10000 for n in ids))
    assert full.wait(30)
    assert c.get("/quick").body == b"/quick"
    assert max(sent.values()) < 300000


def test_a_silent_server(h2, raw):
    """It does not even answer a ping: what may be asked twice is asked elsewhere."""
    asked = []

    def script(s, _):
        while True:
            size, kind = struct.unpack(">IB", b"\0" + s.stream.read(4))
            s.stream.read(5 + size)
            asked.append(kind)
    raw(script, "web1")
    raw(answer_all, "web2")
    c = h2(94)
    ids = [c.ask(request("GET", f"/{i}")) for i in range(4)]
    assert [c.answer(n).body for n in ids] == [b"/0", b"/1", b"/2", b"/3"]
    assert h2wire.HEADERS in asked and h2wire.PING in asked


@pytest.mark.parametrize("settings", [(), [(h2wire.MAX_STREAMS, 1)]])
def test_greetings_that_take_long(lab, h2, settings):
    """While neither server greets, both are asked; the one that does has the requests,
    whichever was asked first."""
    go = threading.Event()

    def late(stream, _):
        assert go.wait(30)
        answer_all(H2Server(stream, settings))

    def left():
        return sum(lab.counters(f"proxy_server service=tardy server={name}:8090")["connects_left"]
                   for name in ("web1", "web2"))
    with lab.scripted() as serve:
        serve("web1", 8090, late)
        serve("web2", 8090, lambda s, _: s.rest())
        before = left()
        c = h2(98)
        ids = [c.ask(request("GET", f"/{i}")) for i in range(4)]
        until(lambda: left() >= before + 4, "all have asked both")
        go.set()
        assert [c.answer(n).body for n in ids] == [b"/0", b"/1", b"/2", b"/3"]


def test_a_server_of_another_kind(lab, h2):
    def script(stream, _):
        stream.head()
        stream.send("HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n")
        stream.rest()
    with lab.scripted() as serve:
        serve("web1", 8090, script)
        assert h2().get("/").status == 502
