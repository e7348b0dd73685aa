# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 of the real program with servers: scripted ones, and itself.

      client 10.9.0.9 ──> lb1:90 ══> web1:8090 (a thread)
      client 10.9.0.9 ══> lb1:91 ══> lb1:80 ──> web1:8080
"""
import json
import struct
import threading

import pytest

import h2wire
from h2wire import H2, H2Server, request
from proxylab import LB, Lab, echo, self_signed, until

SERVICES = """
  raw:   {listen: "lb1:90", servers: ["web1:8090"], check: none, http2: true, server_http2: true}
  chain: {listen: "lb1:91", servers: ["lb1:80"], check: none, http2: true, server_http2: true}
  safe:
    listen: lb1:92
    servers: ["lb1:443"]
    check: none
    server_http2: true
    server_tls: {verify: false}
  old:
    listen: lb1:93
    servers: ["lb1:444"]
    check: none
    server_http2: true
    server_tls: {verify: false}
  site:  {listen: "lb1:80", servers: ["web1:8080"], check: none, http2: true}
  tls:   {listen: "lb1:443", servers: ["web1:8080"], check: none, tls: {certificate: DIR/site.pem, plain: []}}
  tls1:
    listen: lb1:444
    servers: ["web1:8080"]
    check: none
    http2: false
    tls: {certificate: DIR/site.pem, plain: []}
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("proxy")
    with Lab(folder) as made:
        made.serve("web1", 8080, echo("web1"))
        made.start(SERVICES.replace("DIR/site.pem", self_signed(folder)))
        yield made


@pytest.fixture
def raw(lab):
    with lab.scripted() as serve:
        yield lambda script: serve("web1", 8090, lambda s, n: script(H2Server(s), n))


@pytest.fixture
def h2(lab):
    with lab.clients(H2, 90) as connect:
        yield connect


def test_request_and_answer(lab, raw):
    def script(s, _):
        fields, _ = s.request(1)
        s.reply(1, 200, ("x-fields", json.dumps(fields)), ("set-cookie", "a=1"),
                ("set-cookie", "b=2"), body=b"hello")
        s.until(lambda: s.goaway)
    raw(script)
    head, body = lab.get(90, "/x?y", "X-One: 1\r\nConnection: X-Two\r\nX-Two: 2\r\n")
    fields = json.loads(head["x-fields"])
    assert head.status == 200 and body == b"hello" and head.all("set-cookie") == ["a=1", "b=2"]
    assert fields[":method"] == "GET" and fields[":path"] == "/x?y"
    assert fields[":authority"] == "a" and fields[":scheme"] == "http"
    assert fields["x-one"] == "1" and "x-forwarded-for" in fields
    assert not {"connection", "x-two", "host", "transfer-encoding"} & set(fields)


def test_streams_follow_on_one_connection(lab, raw):
    def script(s, _):
        n = 1
        while True:
            s.request(n)
            s.reply(n, 200, ("content-length", "1"), body=b"x")
            n += 2
    server = raw(script)
    stream = lab.connect(90)
    for _ in range(5):
        stream.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert stream.answer()[1] == b"x"
    stream.close()
    assert server.connections == 1


def test_grpc_end_to_end(h2, raw):
    """Unary and in both directions at once, with trailers each way."""
    def script(s, _):
        s.until(lambda: s.answers[1].body == b"ping")
        assert s.asked[1]["te"] == "trailers"
        s.reply(1, 200, ("content-type", "application/grpc"), end=False)
        s.data(1, b"pong")
        s.request(1)
        assert s.answers[1].trailers == [("x-sum", "4")]
        s.send(h2wire.HEADERS, h2wire.END_HEADERS | h2wire.END_STREAM, 1,
               h2wire.block([("grpc-status", "0")]))
        s.request(3)
        s.reply(3, 200, ("grpc-status", "12"), end=True)
        s.until(lambda: s.goaway)
    raw(script)
    c = h2()
    n = c.ask(request("POST", "/s/m", ("te", "trailers")), end=False)
    c.data(n, b"ping")
    answer = c.answers[n]
    c.until(lambda: answer.body == b"pong")
    c.send(h2wire.HEADERS, h2wire.END_HEADERS | h2wire.END_STREAM, n,
           h2wire.block([("x-sum", "4")]))
    assert c.answer(n).trailers == [("grpc-status", "0")]
    answer = c.answer(c.ask(request("POST", "/s/m", ("te", "trailers")), body=b"x"))
    assert answer.field["grpc-status"] == "12" and answer.body == b""


def test_head_interim_and_empty_answers(lab, raw):
    def script(s, _):
        s.request(1)
        s.reply(1, 103, ("link", "</a>"), end=False)
        s.reply(1, 200, ("content-length", "7"))
        s.request(3)
        s.reply(3, 204)
        s.request(5)
        s.reply(5, 404)
        s.until(lambda: s.goaway)
    raw(script)
    stream = lab.connect(90)
    stream.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert stream.head().status == 103
    head = stream.head()
    assert head.status == 200 and head["content-length"] == "7"
    stream.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert stream.answer()[0].status == 204
    stream.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    head, body = stream.answer()
    assert head.status == 404 and body == b""


def test_chain(lab, h2):
    """nines behind nines, HTTP/2 between them and in front."""
    c = h2(91)
    streams = [c.ask(request("POST", f"/{i}"), body=b"b" * i) for i in range(1, 60)]
    for i, n in enumerate(streams, 1):
        text = json.loads(c.answer(n).body)
        assert text["line"] == f"POST /{i} HTTP/1.1" and text["body"] == "b" * i
    body = "0123456789abcdef" * 20000
    head, answer = lab.ask(91, f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}"
                           f"\r\n\r\n{body}")
    assert head.status == 200 and json.loads(answer)["body"] == body


def test_tls_under_it(lab):
    head, body = lab.get(92, "/over-tls")
    assert head.status == 200 and json.loads(body)["line"] == "GET /over-tls HTTP/1.1"
    assert lab.get(93)[0].status == 502, "a server that does not negotiate it is no server"


@pytest.mark.parametrize("how", ["reset", "close", "garbage", "status", "upgrade"])
def test_server_fails_before_an_answer(lab, raw, how):
    def script(s, _):
        s.request(1)
        if how == "reset":
            s.send(h2wire.RST, 0, 1, struct.pack(">I", h2wire.INTERNAL_ERROR))
        elif how == "garbage":
            s.stream.send(b"HTTP/1.1 200 OK\r\n\r\n" + b"\xff" * 64)
        elif how == "status":
            s.reply(1, "2x0")
        elif how == "upgrade":
            s.reply(1, 101)
        if how != "close":
            s.end()
    raw(script)
    head, _ = lab.ask(90, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
    assert head.status == 502


def test_server_breaks_off(lab, raw):
    go = []

    def script(s, _):
        s.request(1)
        s.reply(1, 200, ("content-length", "9"), body=b"abc", end=False)
        until(lambda: go, "the head has arrived")
        s.send(h2wire.RST, 0, 1, struct.pack(">I", h2wire.CANCEL))
        s.end()
    raw(script)
    stream = lab.connect(90)
    stream.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert stream.head().status == 200 and stream.read(3) == b"abc"
    go.append(1)
    assert stream.at_end()


def test_server_answers_before_the_end(lab, raw):
    def script(s, _):
        s.until(lambda: 1 in s.asked)
        s.reply(1, 413, body=b"no")
        s.send(h2wire.RST, 0, 1, struct.pack(">I", h2wire.NO_ERROR))
        s.end()
    raw(script)
    head, body = lab.ask(90, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
    assert head.status == 413 and body == b"no"


def test_goaway_ends_a_pooled_connection(lab, raw):
    def script(s, _):
        s.request(1)
        s.reply(1, 200, ("content-length", "1"), body=b"x")
        s.send(h2wire.GOAWAY, 0, 0, struct.pack(">II", 1, 0))
        s.end()
    server = raw(script)
    for _ in range(3):
        assert lab.get(90)[1] == b"x"
    assert server.connections == 3


def test_windows_of_the_server_are_kept(lab, raw):
    """A body larger than the window waits for it; silence is a ping answered."""
    size = 300000

    def script(s, _):
        s.window = False
        s.until(lambda: len(s.answers[1].body) == 65535)
        s.send(h2wire.PING, 0, 0, b"12345678")
        s.until(lambda: s.pongs)
        assert len(s.answers[1].body) == 65535
        s.send(h2wire.WINDOW, 0, 0, struct.pack(">I", size))
        s.send(h2wire.WINDOW, 0, 1, struct.pack(">I", size))
        _, got = s.request(1)
        s.reply(1, 200, ("content-length", "6"), body=str(len(got.body)).encode())
        s.end()
    raw(script)
    head, body = lab.ask(90, f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n"
                         + "z" * size)
    assert head.status == 200 and body == b"300000"


def test_slow_client_stops_the_server(h2, raw):
    def script(s, _):
        s.request(1)
        s.reply(1, 200, end=False)
        s.window = False
        room = {0: 65535, 1: 65535}
        sent = 0
        s.stream.sock.settimeout(0.5)
        while not (full.is_set() and stalled):
            k = min(16384, *room.values())
            if k == 0:
                try:
                    f = s.read()
                    stalled.clear()
                except TimeoutError:
                    stalled.append(sent)
                    continue
                if f.type == h2wire.WINDOW:
                    room[f.stream] += struct.unpack(">I", f.payload)[0]
                continue
            s.data(1, b"x" * k)
            room = {n: v - k for n, v in room.items()}
            sent += k
        held.set()
        s.end()
    stalled, full, held = [], threading.Event(), threading.Event()
    raw(script)
    c = h2()
    c.window = False
    n = c.ask(request())
    c.until(lambda: len(c.answers[n].body) == 65535)
    full.set()
    assert held.wait(30), "the server is held"
    assert stalled[-1] < 1 << 20


def test_h2load(lab):
    out = lab.at("h2load", "-n", "1000", "-c", "4", "-m", "10", f"http://{LB}:91/")
    assert "1000 succeeded, 0 failed, 0 errored, 0 timeout" in out
