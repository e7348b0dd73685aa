# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 of the real program with clients, on cleartext.

      client 10.9.0.9 ══> lb1 10.9.0.1:80..89 (nines) ──> web1, web2 (threads)
"""
import json
import os
import signal
import struct
import threading
import time

import pytest

import h2wire
from h2wire import H2, request
from proxylab import CLIENT, LB, Lab, echo, seen, self_signed, until

SERVICES = """
  site:   {listen: "lb1:80", servers: ["web1:8080", "web2:8080"], check: none, http2: true}
  old:    {listen: "lb1:81", servers: ["web1:8080"], check: none}
  dead:   {listen: "lb1:82", servers: ["web3:9"], check: none, http2: true}
  raw:    {listen: "lb1:83", servers: ["web1:8083"], check: none, http2: true}
  hasty:
    listen: lb1:84
    servers: ["web1:8080"]
    check: none
    http2: true
    timeouts: {head: 1s, idle: 1s, body: 1s}
  unread: {listen: "lb1:88", servers: ["web1:8080"], check: none, http2: true, timeouts: {server: 3s}}
  few:    {listen: "lb1:85", servers: ["web1:8080"], check: none, http2: true, max_streams: 2}
  logged: {listen: "lb1:86", servers: ["web1:8080"], check: none, http2: true, log: full}
  safe: {listen: "lb1:443", servers: ["web1:8080"], check: none, tls: DIR/site.pem}
  large: {listen: "lb1:444", servers: ["web1:8083"], check: none, tls: {certificate: DIR/site.pem, plain: []}}
  mute:   {listen: "lb1:87", servers: ["web1:8087"], check: none, http2: true, timeouts: {server: 1s}}
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("proxy")
    with Lab(folder) as made:
        made.serve("web1", 8080, echo("web1"))
        made.serve("web2", 8080, echo("web2"))
        made.start(SERVICES.replace("DIR/site.pem", self_signed(folder)))
        yield made


@pytest.fixture
def raw(lab):
    """Sets what the server behind port 83 does for the length of one test."""
    with lab.scripted() as serve:
        yield lambda function, port=8083: serve("web1", port, function)


@pytest.fixture
def h2(lab):
    with lab.clients(H2, 80) as connect:
        yield connect


# --- requests and answers -------------------------------------------------------------

def test_request_and_answer(h2):
    c = h2()
    answer = c.get("/a?b=c", ("x-one", "1"))
    assert answer.status == 200 and answer.field["x-server"] in ("web1", "web2")
    assert "connection" not in answer.field and "transfer-encoding" not in answer.field
    text = seen(answer.body)
    assert text["line"] == "GET /a?b=c HTTP/1.1"
    assert text["field"]["host"] == "a" and text["field"]["x-one"] == "1"
    assert text["field"]["x-forwarded-for"] == CLIENT
    assert text["field"]["x-forwarded-proto"] == "http"
    assert "connection" not in text["field"]


def test_many_requests_on_one_connection(h2):
    c = h2()
    streams = [c.ask(request("GET", f"/{i}")) for i in range(90)]
    for i, n in enumerate(streams):
        assert seen(c.answer(n).body)["line"] == f"GET /{i} HTTP/1.1"
    assert {seen(c.get("/").body)["server"] for _ in range(4)} == {"web1", "web2"}


def test_head_has_no_body(h2):
    c = h2()
    answer = c.answer(c.ask(request("HEAD")))
    assert answer.status == 200 and answer.body == b""
    assert int(answer.field["content-length"]) > 0


def test_body_with_length(h2):
    c = h2()
    body = bytes(range(97, 122)) * 100
    n = c.ask(request("POST", "/", ("content-length", str(len(body)))), body=body)
    text = seen(c.answer(n).body)
    assert text["body"].encode() == body
    assert text["field"]["content-length"] == str(len(body))
    assert "transfer-encoding" not in text["field"]


def test_body_without_length_is_chunked_with_trailers(h2):
    c = h2()
    n = c.ask(request("POST"), end=False)
    c.data(n, b"abc")
    c.data(n, b"def")
    c.send(h2wire.HEADERS, h2wire.END_HEADERS | h2wire.END_STREAM, n,
           h2wire.block([("x-sum", "7")]))
    text = seen(c.answer(n).body)
    assert text["body"] == "abcdef" and text["trailers"] == "x-sum: 7\r\n"
    assert text["field"]["transfer-encoding"] == "chunked"


def test_empty_post_has_a_length(h2):
    c = h2()
    assert seen(c.answer(c.ask(request("POST"))).body)["field"]["content-length"] == "0"
    assert "content-length" not in seen(c.get("/").body)["field"]


def test_cookies_are_one_field(h2):
    answer = h2().get("/", ("cookie", "a=1"), ("x-between", "2"), ("cookie", "b=2"),
                      ("cookie", "c=3"))
    fields = [tuple(f) for f in seen(answer.body)["fields"]]
    assert ("cookie", "a=1; b=2; c=3") in fields and ("x-between", "2") in fields
    assert len([n for n, _ in fields if n == "cookie"]) == 1


def test_large_bodies_both_ways(h2, raw):
    size = 3 << 20

    def script(stream, _):
        head = stream.head()
        data = stream.body(head)
        stream.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(data)}\r\n\r\n")
        stream.send(data)
    raw(script)
    c = h2(83)
    body = os.urandom(1 << 16) * (size >> 16)
    n = c.ask(request("POST"), end=False)
    room, sent, answer = 65535, 0, c.answers[n]
    total = room
    while sent < size:
        k = min(room, total, 16384, size - sent)
        if k == 0:
            f = c.read()
            if f.type == h2wire.WINDOW:
                more = struct.unpack(">I", f.payload)[0]
                if f.stream == 0:
                    total += more
                else:
                    room += more
            continue
        c.send(h2wire.DATA, h2wire.END_STREAM if sent + k == size else 0, n,
               body[sent:sent + k])
        sent, room, total = sent + k, room - k, total - k
    assert c.answer(n).body == body and answer.status == 200


def test_answer_of_unknown_length(h2, raw):
    raw(lambda s, _: (s.head(), s.send("HTTP/1.1 200 OK\r\n\r\nuntil the end")))
    c = h2(83)
    answer = c.get()
    assert answer.body == b"until the end" and answer.ended and answer.reset is None


def test_grpc_passes(h2, raw):
    """Chunks become DATA, the trailer section a last HEADERS, also in small pieces."""
    def script(stream, _):
        while True:
            head = stream.head()
            assert head["te"] == "trailers"
            assert stream.chunks() == (b"question", b"")
            whole = (b"HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\n"
                     b"Transfer-Encoding: chunked\r\nTrailer: grpc-status\r\n\r\n"
                     b"6\r\nanswer\r\n0\r\nGrpc-Status: 0\r\ngrpc-message: \r\n"
                     b"Content-Length: 3\r\n\r\n")
            step = int(head["x-step"])
            for i in range(0, len(whole), step):
                stream.send(whole[i:i + step])
    raw(script)
    c = h2(83)
    for step in ("1000", "7", "1"):
        n = c.ask(request("POST", "/s/m", ("te", "trailers"), ("x-step", step),
                          ("content-type", "application/grpc")), body=b"question")
        answer = c.answer(n)
        assert answer.status == 200 and answer.body == b"answer"
        assert answer.trailers == [("grpc-status", "0"), ("grpc-message", "")]


def test_interim_answers(h2, raw):
    def script(stream, _):
        head = stream.head()
        assert head["expect"] == "100-continue"
        stream.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        stream.send("HTTP/1.1 100 Continue\r\n\r\n")
        assert stream.chunks()[0] == b"x"
        stream.send("HTTP/1.1 204 No Content\r\n\r\n")
    raw(script)
    c = h2(83)
    n = c.ask(request("POST", "/", ("expect", "100-continue")), end=False)
    c.until(lambda: len(c.answers[n].heads) == 2)
    c.data(n, b"x", end=True)
    answer = c.answer(n)
    assert [dict(h)[":status"] for h in answer.heads] == ["103", "100", "204"]
    assert dict(answer.heads[0])["link"] == "</a>" and answer.body == b""


def test_websocket(h2, raw):
    def script(stream, _):
        head = stream.head()
        assert head.line == "GET /chat HTTP/1.1" and head["upgrade"] == "websocket"
        assert head["connection"].lower() == "upgrade"
        assert len(head["sec-websocket-key"]) == 24
        stream.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                    "Connection: upgrade\r\nSec-WebSocket-Accept: x\r\n\r\nhello")
        while stream.more():
            stream.send(stream.take(len(stream.buffer))[::-1])
        stream.send("bye")
    raw(script)
    c = h2(83)
    fields = request("CONNECT", "/chat", ("sec-websocket-version", "13"))
    n = c.ask(fields[:1] + [(":protocol", "websocket")] + fields[1:], end=False)
    answer = c.answers[n]
    c.until(lambda: answer.body == b"hello")
    assert c.settings[h2wire.CONNECT] == 1
    assert answer.status == 200 and "upgrade" not in answer.field
    assert "sec-websocket-accept" not in answer.field
    c.data(n, b"abc")
    c.until(lambda: answer.body == b"hellocba")
    c.data(n, b"", end=True)
    assert c.answer(n).body == b"hellocbabye" and answer.ended


def test_refused_websocket(h2, raw):
    raw(lambda s, _: (s.head(), s.send("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")))
    c = h2(83)
    fields = request("CONNECT", "/chat")
    n = c.ask(fields[:1] + [(":protocol", "websocket")] + fields[1:], end=False)
    answer = c.answer(n)
    assert answer.status == 403 and answer.body == b"no"


# --- what the program itself answers --------------------------------------------------

def test_no_server(h2):
    c = h2(82)
    answer = c.get()
    assert answer.status == 502 and b"no server could be reached" in answer.body
    assert c.get().status in (502, 503), "the connection goes on"


def test_old_service_speaks_http1_only(lab):
    stream = lab.connect(81)
    stream.send(h2wire.PREFACE)
    assert stream.head().status == 505


def test_http1_beside_http2(lab):
    head, _ = lab.get(80)
    assert head.status == 200


@pytest.mark.parametrize("fields, status", [
    (request("GET", "/", *((f"x-{i}", "1") for i in range(140))), 431),
    (request("GET", "/", ("x-long", "a" * 33000)), 431),
    (request("GET", "/" + "a" * 17000), 414),
    (request("GET", "/", ("host", "b")), 400),
    (request("GET", "/", authority="a b"), None),
    ([(":method", "CONNECT"), (":authority", "a:1")], 501),
    (request("GET", "/", ("connection", "close")), None),
    (request("GET", "/", ("transfer-encoding", "chunked")), None),
    (request("GET", "/", ("x", "a\r\nb: c")), None),
    (request("GET", "/", ("x\r\ny", "a")), None),
    (request("GET", "/", ("X-Upper", "a")), None),
    (request("GET", "/", ("te", "gzip")), None),
    (request("GET /x HTTP/1.1\r\nz:", "/"), None),
    (request("GET", "/ HTTP/1.1\r\nz: y"), None),
    (request("GET", "x"), None),
    (request("GET", "/", (":path", "/b")), None),
    (request("GET", "/", ("content-length", "3")), None),
    (request("GET", "/", ("content-length", "0"), ("content-length", "0")), None),
], ids=lambda v: str(v)[-40:] if isinstance(v, list) else None)
def test_bad_requests(lab, h2, fields, status):
    """A malformed request is reset or refused, and nothing of it reaches a server."""
    c = h2()
    block = h2wire.block(fields)
    n = c.next
    c.next += 2
    parts = [block[i:i + 16000] for i in range(0, len(block), 16000)]
    for i, part in enumerate(parts):
        last = h2wire.END_HEADERS if i == len(parts) - 1 else 0
        first = h2wire.END_STREAM if i == 0 else 0
        c.send(h2wire.HEADERS if i == 0 else h2wire.CONTINUATION, last | first, n, part)
    answer = c.answer(n)
    if status is None:
        assert (answer.reset == h2wire.PROTOCOL_ERROR and not answer.heads) or \
            answer.status == 400
    else:
        assert answer.status == status
    assert c.get().status == 200, "the connection goes on"


def test_body_must_have_its_length(h2, raw):
    asked, got = [], []

    def script(stream, _):
        asked.append(stream.head())
        got.append(stream.rest())
    raw(script)
    for i, body in enumerate((b"ab", b"abcd")):
        c = h2(83)
        n = c.ask(request("POST", "/", ("content-length", "3")), end=False)
        until(lambda i=i: len(asked) == i + 1, "the head is there")
        c.data(n, body, end=True)
        assert c.answer(n).reset == h2wire.PROTOCOL_ERROR
        until(lambda i=i: len(got) == i + 1, "the server's connection ends")
    assert all(len(x) < 3 for x in got)


def test_access_log(lab, h2):
    h2(86).get("/logged?x")
    line = until(lambda: next((x for x in lab.log().splitlines()
                               if "service=logged" in x), None), "a line")
    assert 'method="GET" host="a" target="/logged?x" version=2.0 status=200' in line
    assert line.endswith("end=ok") and f"client={CLIENT}:" in line


# --- streams that end early -----------------------------------------------------------

def test_client_resets(lab, h2, raw):
    """The server's connection is closed with the stream, and its neighbours go on."""
    ended = []

    def script(stream, n):
        head = stream.head()
        if "hang" not in head.line:
            stream.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
            return
        ended.append(stream.at_end())
    raw(script)
    c = h2(83)
    n = c.ask(request("GET", "/hang"))
    assert c.get().status == 200
    c.send(h2wire.RST, 0, n, struct.pack(">I", h2wire.CANCEL))
    until(lambda: ended == [True], "the server's connection ends")
    assert c.get().status == 200


def test_client_leaves(h2, raw):
    asked, ended = [], []

    def script(stream, n):
        stream.head()
        asked.append(n)
        ended.append(stream.at_end())
    raw(script)
    c = h2(83)
    for _ in range(5):
        c.ask(request("GET", "/hang"))
    until(lambda: len(asked) == 5, "the servers are asked")
    c.close()
    until(lambda: ended == [True] * 5, "the servers' connections end")


def test_server_breaks_off(h2, raw):
    go = []

    def script(stream, _):
        stream.head()
        stream.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        until(lambda: go, "the head has arrived")
    raw(script)
    c = h2(83)
    n = c.ask(request())
    c.until(lambda: c.answers[n].heads)
    go.append(1)
    answer = c.answer(n)
    assert answer.status == 200 and answer.reset == h2wire.INTERNAL_ERROR
    assert not answer.ended


def test_server_answers_before_the_end(h2, raw):
    def script(stream, _):
        stream.head()
        stream.send("HTTP/1.1 413 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        stream.rest()
    raw(script)
    c = h2(83)
    n = c.ask(request("POST"), end=False)
    answer = c.answers[n]
    c.until(lambda: answer.reset is not None)
    assert answer.status == 413 and answer.body == b"no" and answer.ended
    assert answer.reset == h2wire.NO_ERROR


# --- flow control ---------------------------------------------------------------------

def test_slow_reader_stops_only_its_stream(lab, h2, raw):
    sent = []

    def script(stream, n):
        stream.head()
        size = 64 << 20
        stream.send(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n")
        for _ in range(size >> 16):
            stream.send(b"x" * 65536)
            sent.append(65536)
    server = raw(script)
    c = h2(83, settings=[(h2wire.INITIAL_WINDOW, 0)])
    n = c.ask(request("GET", "/big"))
    c.until(lambda: c.answers[n].heads)
    server.script = lambda s, _: (s.head(), s.send("HTTP/1.1 204 No\r\n\r\n"))
    assert c.get().status == 204
    last = -1
    while last != len(sent):  # it comes to a halt
        last = len(sent)
        assert c.get().status == 204
        lab.at("sleep", "0.1")
    assert sum(sent) < 32 << 20
    c.send(h2wire.WINDOW, 0, n, struct.pack(">I", 100000))
    c.window = False
    c.until(lambda: len(c.answers[n].body) == 65535)


def test_slow_server_stops_the_client(h2, raw):
    """No window is given back for what the server does not take."""
    go = []

    def script(stream, n):
        stream.head()
        until(lambda: go, "permission")
        stream.chunks()
        stream.send("HTTP/1.1 204 No Content\r\n\r\n")
    raw(script)
    c = h2(83)
    n = c.ask(request("POST"), end=False)
    c.stream.sock.settimeout(0.5)
    credit = {0: 65535, n: 65535}
    sent = 0
    silence = 0
    while credit[n] or silence < 2:
        k = min(credit[0], credit[n], 16384)
        if k:
            c.send(h2wire.DATA, 0, n, b"y" * k)
            sent += k
            credit[0] -= k
            credit[n] -= k
            continue
        try:
            f = c.read()
            silence = 0
        except TimeoutError:
            silence += 1
            continue
        if f.type == h2wire.WINDOW:
            credit[f.stream] += struct.unpack(">I", f.payload)[0]
    assert sent < 16 << 20
    go.append(1)
    c.stream.sock.settimeout(30)
    while c.read().type != h2wire.WINDOW:
        pass
    c.data(n, b"", end=True)
    assert c.answer(n).status == 204


def test_streams_have_a_maximum(h2):
    c = h2(85)
    c.until(lambda: c.settings)
    assert c.settings[h2wire.MAX_STREAMS] == 2
    for _ in range(2):
        c.ask(request("POST"), end=False)
    n = c.ask(request("POST"), end=False)
    c.end_on = n
    c.until(lambda: c.answers[n].reset is not None or c.goaway)
    assert c.answers[n].reset == h2wire.REFUSED_STREAM or c.goaway[1]


# --- time-outs ------------------------------------------------------------------------

def test_time_outs(lab, h2):
    assert h2(84, greet=False).end().goaway is None  # says nothing
    idle = h2(84)
    assert idle.get().status == 200
    assert idle.end().goaway == (1, h2wire.NO_ERROR)
    half = h2(84)
    half.send(h2wire.HEADERS, 0, 1, h2wire.block(request()))
    half.end()
    assert not half.answers[1].heads
    stuck = h2(84)
    n = stuck.ask(request("POST", "/", ("content-length", "3")), end=False)
    assert stuck.answer(n).status == 408
    unread = h2(88, settings=[(h2wire.INITIAL_WINDOW, 0)])
    n = unread.ask(request())
    unread.end()
    assert unread.answers[n].status == 200 and not unread.answers[n].ended


def test_mute_server(h2, raw):
    raw(lambda s, _: (s.head(), s.rest()), 8087)
    c = h2(87)
    assert c.get().status == 504


def test_mute_server_and_a_late_proxy(lab, h2, raw):
    """The time of the request and that of its connection are over at once."""
    asked = threading.Event()
    raw(lambda s, _: (s.head(), asked.set(), s.rest()), 8087)
    c = h2(87)
    n = c.ask(request())
    assert asked.wait(30)
    pids = [lab.nines.pid, lab.part("proxy")["pid"]]  # who looks after it pauses as well
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(1.2)
    for pid in reversed(pids):
        os.kill(pid, signal.SIGCONT)
    assert c.answer(n).status == 504


# --- floods ---------------------------------------------------------------------------

def flood(c, data):
    """Sends until the connection ends; the error that it ended with."""
    try:
        for _ in range(400):
            c.stream.send(data)
    except (BrokenPipeError, ConnectionResetError):
        pass
    c.window = False
    try:
        c.end()
    except BrokenPipeError:
        pass
    return c.goaway


@pytest.mark.parametrize("kind, payload", [
    (h2wire.PING, b"12345678"),
    (h2wire.SETTINGS, b""),
    (h2wire.PRIORITY, struct.pack(">IB", 0, 1)),
    (h2wire.WINDOW, struct.pack(">I", 1)),
], ids=["ping", "settings", "priority", "window"])
def test_control_floods(lab, h2, kind, payload):
    stream = 1 if kind == h2wire.PRIORITY else 0
    c = h2()
    goaway = flood(c, c.frame(kind, 0, stream, payload) * 500)
    assert goaway is None or goaway[1] == h2wire.CALM
    assert lab.get(80)[0].status == 200


def test_empty_data_flood(lab, h2):
    c = h2()
    n = c.ask(request("POST"), end=False)
    goaway = flood(c, c.frame(h2wire.DATA, 0, n) * 500)
    assert goaway is None or goaway[1] == h2wire.CALM
    assert lab.get(80)[0].status == 200


def test_continuation_flood(lab, h2):
    c = h2()
    c.send(h2wire.HEADERS, h2wire.END_STREAM, 1, h2wire.block(request()))
    flood(c, c.frame(h2wire.CONTINUATION, 0, 1, b"") * 500)
    assert not c.answers[1].heads
    assert lab.get(80)[0].status == 200


def test_rapid_reset(lab, h2):
    """CVE-2023-44487: far fewer requests reach servers than are reset."""
    c = h2()
    before = int(lab.get(80)[0].status == 200)
    data = b""
    for i in range(2000):
        n = 2 * i + 1
        data += c.frame(h2wire.HEADERS, 5, n, h2wire.block(request("GET", "/rapid")))
        data += c.frame(h2wire.RST, 0, n, struct.pack(">I", h2wire.CANCEL))
    try:
        c.stream.send(data)
    except (BrokenPipeError, ConnectionResetError):
        pass
    c.end()
    assert before and (c.goaway is None or c.goaway[1] == h2wire.CALM)
    assert c.goaway is None or c.goaway[0] < 1000
    assert lab.get(80)[0].status == 200


def test_provoked_resets(lab, h2):
    """CVE-2025-8671: resets that the client makes the proxy send count as its own."""
    c = h2()
    data = b""
    for i in range(1000):
        n = 2 * i + 1
        data += c.frame(h2wire.HEADERS, 4, n, h2wire.block(request("POST")))
        data += c.frame(h2wire.WINDOW, 0, n, struct.pack(">I", 0x7fffffff))
    try:
        c.stream.send(data)
    except (BrokenPipeError, ConnectionResetError):
        pass
    c.end()
    assert c.goaway is None or c.goaway[1] in (h2wire.CALM, h2wire.INTERNAL_ERROR)
    assert lab.get(80)[0].status == 200


def test_garbage(lab, h2):
    for data in (b"\0" * 100, os.urandom(3000), b"\xff" * 64):
        c = h2()
        c.stream.send(data)
        c.stream.finish()
        c.end()
    c = h2(greet=False)
    c.stream.send(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + b"\0" * 30)
    c.end()
    assert lab.get(80)[0].status == 200


# --- real clients ---------------------------------------------------------------------

def test_curl(lab):
    out = lab.curl("--http2-prior-knowledge", "-d", "abc", "-o", "-", "-w", "%{http_version}",
                   f"http://{LB}:80/x")
    assert '"body": "abc"' in out and out.endswith("2")


def test_h2load(lab):
    out = lab.at("h2load", "-n", "2000", "-c", "4", "-m", "20", f"http://{LB}:80/")
    assert "2000 succeeded, 0 failed, 0 errored, 0 timeout" in out


def test_h2load_with_large_answers_over_tls(lab, raw):
    """TLS sends in its own time: nothing is lost or told twice."""
    size = 2 << 20
    body = os.urandom(1 << 16) * (size >> 16)

    def script(stream, _):
        while True:
            stream.head()
            stream.send(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n")
            stream.send(body)
    raw(script)
    url, got = f"https://{LB}:444/", os.path.join(lab.folder, "got")
    version = lab.curl("-k", "-o", got, "-w", "%{http_version}", url)
    with open(got, "rb") as f:
        assert version == "2" and f.read() == body
    out = lab.at("h2load", "-n", "60", "-c", "3", "-m", "10", url)
    assert "60 succeeded, 0 failed, 0 errored, 0 timeout" in out


def test_tls_negotiates_http2(lab):
    for words, version in ((["--http2"], "2"), (["--http1.1"], "1.1")):
        out = json.loads(lab.curl("-k", *words, "-w", '{"version": "%{http_version}"}', "-o",
                                  os.path.join(lab.folder, "answer"), f"https://{LB}/"))
        assert out["version"] == version


# --- changes --------------------------------------------------------------------------

def test_reload_keeps_connections(lab, h2):
    c = h2()
    assert c.get().status == 200
    lab.write(SERVICES.replace("max_streams: 2", "max_streams: 3").replace("DIR", lab.folder))
    lab.order("reload")
    until(lambda: h2_streams(lab, h2) == 3, "the new number")
    assert c.get().status == 200 and c.goaway is None
    lab.write(SERVICES.replace("DIR", lab.folder))
    lab.order("reload")


def h2_streams(lab, h2):
    c = h2(85)
    c.until(lambda: c.settings)
    return c.settings[h2wire.MAX_STREAMS]


def test_goaway_when_it_stops(lab, h2, raw):
    """The last test of the module: what is under way is finished, new work is not."""
    go = []

    def script(stream, _):
        stream.head()
        until(lambda: go, "permission")
        stream.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast")
    raw(script)
    c, idle = h2(83), h2()
    assert idle.get().status == 200
    n = c.ask(request())
    c.until(lambda: c.settings)
    until(lambda: "proxy" in str(lab.control("status")), "status")
    os.kill(lab_pid(lab), 15)
    c.until(lambda: c.goaway is not None)
    assert c.goaway == (0x7fffffff, h2wire.NO_ERROR)
    go.append(1)
    assert c.answer(n).body == b"last"
    assert c.end().goaway == (n, h2wire.NO_ERROR)
    assert idle.end().goaway == (1, h2wire.NO_ERROR)


def lab_pid(lab):
    """nines itself: ip netns exec has become it."""
    return lab.nines.pid
