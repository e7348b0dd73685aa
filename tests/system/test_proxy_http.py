# SPDX-License-Identifier: Apache-2.0
"""mode: http of the real program, between raw clients and scripted servers.

      client 10.9.0.9 ──> lb1 10.9.0.1:80..89 (nines) ──> web1..web3 (threads, nginx)
"""
import base64
import hashlib
import json
import os
import shutil
import socket
import threading
import time

import pytest

from proxylab import CLIENT, LB, WEB, Lab, echo, seen, until

# A port for each way a service can be set up.
SERVICES = """
  site:   {listen: "lb1:80", servers: ["web1:8080", "web2:8080"], check: none}
  retry:  {listen: "lb1:81", servers: ["web3:9", "web1:8080"], check: none}
  dead:   {listen: "lb1:82", servers: ["web3:9"], check: none}
  slow:   {listen: "lb1:83", servers: ["web1:8083"], check: none, timeouts: {server: 1s}}
  narrow:
    listen: lb1:84
    servers: [{at: "web1:8084", max_connections: 1}]
    check: none
    queue: {size: 1, timeout: 1s}
  sick:
    listen: lb1:85
    servers: ["web3:9"]
    check: {tcp: true, every: 20ms, fall: 1}
  patient:
    listen: lb1:74
    servers: [{at: "web1:8084", max_connections: 1}]
    check: none
    queue: {size: 1, timeout: 1m}
  raw:    {listen: "lb1:86", servers: ["web1:8086"], check: none}
  hasty:
    listen: lb1:87
    servers: ["web1:8080"]
    check: none
    timeouts: {head: 1s, idle: 1s}
  few:    {listen: "lb1:88", servers: ["web1:8080"], check: none, max_connections: 2}
  named:  {listen: "lb1:89", servers: ["web1:8089"], check: none, proxy_protocol: v1}
  logged:
    listen: lb1:70
    servers: ["web1:8080"]
    check: none
    log: full
  owing:  {listen: "lb1:73", servers: ["web1:8083"], check: none, timeouts: {body: 1s}}
  sampled: {listen: "lb1:71", servers: ["web1:8080"], check: none, log: {sample: 10}}
  quick:   {mode: tcp, listen: "lb1:72", servers: ["web1:8080"], check: none, log: full}
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with Lab(tmp_path_factory.mktemp("proxy")) as made:
        made.serve("web1", 8080, echo("web1"))
        made.serve("web2", 8080, echo("web2"))
        made.start(SERVICES)
        yield made


@pytest.fixture
def raw(lab):
    """Sets what the server behind port 86 does for the length of one test."""
    with lab.scripted() as serve:
        yield lambda function, port=8086: serve("web1", port, function)


# --- requests on their way ------------------------------------------------------------

def test_request_and_answer(lab):
    head, body = lab.get(80, "/a?b=c")
    assert head.status == 200 and head.line == "HTTP/1.1 200 OK"
    text = seen(body)
    assert text["line"] == "GET /a?b=c HTTP/1.1"
    assert text["field"]["host"] == "a"


def test_forwarding_fields(lab):
    _, body = lab.get(80)
    field = seen(body)["field"]
    assert field["x-forwarded-for"] == CLIENT
    assert field["x-forwarded-proto"] == "http"
    assert field["forwarded"] == f"for={CLIENT};proto=http"
    _, body = lab.get(80, "/", "X-Forwarded-For: 1.2.3.4\r\nForwarded: for=x\r\n"
                      "X-Forwarded-Proto: gopher\r\nX-Forwarded-For: 5.6.7.8\r\n")
    text = seen(body)
    names = [n for n, _ in text["fields"]]
    assert text["field"]["x-forwarded-for"] == f"1.2.3.4, 5.6.7.8, {CLIENT}"
    assert text["field"]["forwarded"] == f"for=x, for={CLIENT};proto=http"
    assert text["field"]["x-forwarded-proto"] == "http"
    assert names.count("x-forwarded-for") == names.count("forwarded") == 1


def test_hop_by_hop_fields_end_here(lab):
    _, body = lab.get(80, "/", "Connection: X-Private, close\r\nX-Private: 1\r\n"
                      "Keep-Alive: 5\r\nProxy-Connection: x\r\nTE: gzip\r\nX-Kept: 2\r\n")
    field = seen(body)["field"]
    assert field["x-kept"] == "2"
    assert not {"connection", "x-private", "keep-alive", "proxy-connection",
                "te"} & set(field)


def test_absolute_target(lab):
    _, body = lab.ask(80, "GET http://h:80/x?y HTTP/1.1\r\nHost: h:80\r\n\r\n")
    text = seen(body)
    assert text["line"] == "GET /x?y HTTP/1.1" and text["field"]["host"] == "h:80"


def test_round_robin_over_one_connection(lab):
    stream = lab.connect(80)
    names = []
    for _ in range(6):
        stream.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        names.append(seen(stream.answer()[1])["server"])
    stream.close()
    assert names[0:2] * 3 == names and set(names) == {"web1", "web2"}


def test_server_connections_are_reused(lab):
    before = {}
    for _ in range(12):
        text = seen(lab.get(80)[1])
        before.setdefault(text["server"], set()).add(text["connection"])
    # Two workers, each with its pool: not one connection a request.
    assert all(len(v) <= 3 for v in before.values()), before


@pytest.mark.parametrize("length", [0, 1, 20000, 3000000])
def test_body_with_length(lab, length):
    data = os.urandom(length // 2).hex().encode() + b"x" * (length % 2)
    stream = lab.connect(80)
    stream.send(f"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")
    stream.send(data)
    _, body = stream.answer()
    stream.close()
    assert seen(body)["body"].encode() == data


def test_chunked_request_with_trailers(lab):
    _, body = lab.ask(80, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
                      "Trailer: X-Sum\r\n\r\n5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\n"
                      "X-Sum: 11\r\n\r\n")
    text = seen(body)
    assert text["body"] == "hello world" and text["trailers"] == "X-Sum: 11\r\n"
    assert text["field"]["transfer-encoding"] == "chunked"


def test_request_in_crumbs(lab):
    """However the bytes come in, the request is the same; chunks too."""
    text = ("POST /crumbs HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            "3\r\nabc\r\n0\r\nT: u\r\n\r\n")
    stream = lab.connect(80)
    for c in text:
        stream.send(c)
    got = seen(stream.answer()[1])
    stream.close()
    assert got["line"] == "POST /crumbs HTTP/1.1"
    assert (got["body"], got["trailers"]) == ("abc", "T: u\r\n")


def test_pipelining(lab):
    stream = lab.connect(80)
    stream.send("".join(f"POST /{i} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{i:02}"
                        for i in range(20)))
    for i in range(20):
        text = seen(stream.answer()[1])
        assert text["line"] == f"POST /{i} HTTP/1.1" and text["body"] == f"{i:02}"
    stream.close()


def test_empty_line_before_a_request(lab):
    assert lab.ask(80, "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")[0].status == 200


def test_connection_close(lab):
    stream = lab.connect(80)
    stream.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    head, _ = stream.answer()
    assert head["connection"] == "close" and stream.at_end()
    stream.close()


def test_half_closed_client_gets_its_answer(lab):
    stream = lab.connect(80)
    stream.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    stream.finish()
    assert stream.answer()[0].status == 200 and stream.at_end()
    stream.close()


def test_http_1_0_client(lab, raw):
    stream = lab.connect(80)
    stream.send("GET / HTTP/1.0\r\n\r\n")
    head, body = stream.answer()
    assert head["connection"] == "close" and stream.at_end()
    stream.close()
    # A server of 1.1 must be told a host.
    assert seen(body)["line"] == "GET / HTTP/1.1"
    assert seen(body)["field"]["host"] == f"{LB}:80"

    stream = lab.connect(80)
    for _ in range(2):
        stream.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert stream.answer()[0]["connection"] == "keep-alive"
    stream.close()

    def chunked(server, _):
        server.head()
        server.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "3\r\nabc\r\n4\r\ndefg\r\n0\r\nT: u\r\n\r\n")
        server.rest()
    raw(chunked)
    head, body = lab.ask(86, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert head["transfer-encoding"] is None and body == b"abcdefg"
    assert head["connection"] == "close"


# --- answers on their way -------------------------------------------------------------

def once(answer, close=True):
    """A server that says `answer` to each request; or to one, and then closes."""
    def script(stream, _):
        stream.head()
        stream.send(answer)
        while not close:
            stream.head()
            stream.send(answer)
    return script


def test_chunked_answer_with_trailers(lab, raw):
    body = b"5\r\nhello\r\n0\r\nX-Sum: 5\r\n\r\n"
    raw(once(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body, False))
    stream = lab.connect(86)
    stream.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    head = stream.head()
    assert head["transfer-encoding"] == "chunked"
    assert stream.chunks() == (b"hello", b"X-Sum: 5\r\n")
    stream.close()


def test_answer_until_close(lab, raw):
    raw(once(b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 300000))
    stream = lab.connect(86)
    stream.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    head = stream.head()
    assert head["connection"] == "close" and stream.rest() == b"x" * 300000
    stream.close()


def test_answer_cut_short_is_not_taken_for_whole(lab, raw):
    raw(once(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"))
    stream = lab.connect(86)
    stream.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert stream.head().status == 200
    with pytest.raises((EOFError, ConnectionResetError)):
        stream.read(10)
    stream.close()


def test_head_has_no_body(lab):
    stream = lab.connect(80)
    stream.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
    head = stream.head()
    assert head.status == 200 and int(head["content-length"]) > 0
    assert stream.answer()[0].status == 200
    stream.close()


@pytest.mark.parametrize("line", ["204 No Content", "304 Not Modified"])
def test_answers_without_body(lab, raw, line):
    raw(once(f"HTTP/1.1 {line}\r\nETag: x\r\n\r\n".encode(), False))
    stream = lab.connect(86)
    stream.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    head = stream.head()
    assert head.line == "HTTP/1.1 " + line and head["etag"] == "x"
    assert head["connection"] is None
    stream.close()


def test_hop_by_hop_fields_of_an_answer(lab, raw):
    raw(once(b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Secret\r\nX-Secret: 1\r\n"
             b"Keep-Alive: timeout=5\r\nX-Kept: 2\r\nContent-Length: 0\r\n\r\n", False))
    head, _ = lab.get(86)
    assert head["x-kept"] == "2"
    assert head["x-secret"] is head["keep-alive"] is head["connection"] is None


def test_100_continue(lab):
    stream = lab.connect(80)
    stream.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
                "Expect: 100-continue\r\n\r\n")
    assert stream.head().line == "HTTP/1.1 100 Continue"
    stream.send("hello")
    assert seen(stream.answer()[1])["body"] == "hello"
    stream.close()


def test_100_continue_refused(lab, raw):
    """A final answer before the body: the body was never asked for."""
    raw(once(b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n", False))
    stream = lab.connect(86)
    stream.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
                "Expect: 100-continue\r\n\r\n")
    head, _ = stream.answer()
    assert head.status == 417
    # Whether the five bytes still come is unknown, so nothing can follow.
    assert stream.at_end()
    stream.close()


def test_early_hints_pass(lab, raw):
    # Closed, or the second request may come to a server that answers only once.
    raw(once(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
             b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"))
    stream = lab.connect(86)
    stream.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    hints = stream.head()
    assert hints.status == 103 and hints["link"] == "</a>"
    assert stream.answer()[1] == b"ok"
    stream.close()
    # 1.0 knows no interim answers.
    assert lab.ask(86, "GET / HTTP/1.0\r\n\r\n")[0].status == 200


def test_large_answer_to_a_slow_reader(lab, raw):
    """Larger than every buffer on the way, and the reader starts late."""
    data = os.urandom(1 << 20) * 24

    def script(stream, _):
        stream.head()
        stream.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(data)}\r\n\r\n")
        stream.send(data)
    raw(script)
    stream = lab.connect(86)
    stream.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    head = stream.head()
    others = [lab.get(80)[0].status for _ in range(5)]
    got = stream.body(head)
    stream.close()
    assert others == [200] * 5
    assert hashlib.sha256(got).digest() == hashlib.sha256(data).digest()


def test_websocket(lab, raw):
    def script(stream, _):
        head = stream.head()
        assert head["connection"].lower() == "upgrade" and head["upgrade"] == "websocket"
        key = head["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        stream.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                    f"Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\nhi")
        while True:
            stream.send(stream.read(4)[::-1])
    raw(script)
    stream = lab.connect(86)
    stream.send("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n"
                "Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                "Sec-WebSocket-Version: 13\r\n\r\n")
    head = stream.head()
    assert head.status == 101 and head["upgrade"] == "websocket"
    assert head["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert stream.read(2) == b"hi"
    for word in ("abcd", "\x00\xff\r\n", "GET "):
        stream.send(word)
        assert stream.read(4) == word.encode("latin-1")[::-1]
    stream.close()


def test_upgrade_not_asked_for(lab, raw):
    raw(once(b"HTTP/1.1 101 Surprise\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"))
    assert lab.get(86)[0].status == 502


# --- smuggling ------------------------------------------------------------------------

GET = "GET / HTTP/1.1\r\n"
POST = "POST / HTTP/1.1\r\nHost: a\r\n"
REFUSED = {
    "two lengths": (POST + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400),
    "equal lengths": (POST + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400),
    "length list": (POST + "Content-Length: 5, 5\r\n\r\nhello", 400),
    "length sign": (POST + "Content-Length: +5\r\n\r\nhello", 400),
    "CL.TE": (POST + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "TE.CL": (POST + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
    "TE.TE": (POST + "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n", 501),
    "TE vertical tab": (POST + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400),
    "TE unknown": (POST + "Transfer-Encoding: xchunked\r\n\r\n", 501),
    "TE gzip": (POST + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
    "TE 1.0": ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "TE space colon": (POST + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
    "obs-fold": (GET + "Host: a\r\nX: a\r\n b\r\n\r\n", 400),
    "folded TE": (POST + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400),
    "bare LF": ("GET / HTTP/1.1\nHost: a\n\n", 400),
    "bare LF in a field": (GET + "Host: a\r\nX: a\nY: b\r\n\r\n", 400),
    "bare CR": (GET + "Host: a\r\nX: a\rY: b\r\n\r\n", 400),
    "NUL": (GET + "Host: a\r\nX: a\0b\r\n\r\n", 400),
    "no host": (GET + "\r\n", 400),
    "two hosts": (GET + "Host: a\r\nHost: b\r\n\r\n", 400),
    "no colon": (GET + "Host: a\r\nX\r\n\r\n", 400),
    "bad method": ("G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "two spaces": ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "control in target": ("GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "version 2": ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    "HTTP/2 preface": ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "CONNECT": ("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 501),
    "long target": ("GET /" + "a" * 20000 + " HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    "long head": (GET + "Host: a\r\n" + "X: " + "b" * 40000 + "\r\n\r\n", 431),
    "many fields": (GET + "Host: a\r\n" + "X: y\r\n" * 300 + "\r\n", 431),
    "chunk size": (POST + "Transfer-Encoding: chunked\r\n\r\ng\r\n", 400),
    "chunk size 0x": (POST + "Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n", 400),
    "chunk overflow": (POST + "Transfer-Encoding: chunked\r\n\r\n" + "f" * 17 + "\r\n", 400),
    "chunk bare LF": (POST + "Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n", 400),
    "chunk end": (POST + "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n", 400),
    "chunk extension": (POST + "Transfer-Encoding: chunked\r\n\r\n5;" + "e" * 400, 400),
    "trailers": (POST + "Transfer-Encoding: chunked\r\n\r\n0\r\n" + "T: u\r\n" * 2000, 431),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused(lab, what):
    """A clear answer and a closed connection; what follows is never a request."""
    text, status = REFUSED[what]
    stream = lab.connect(80)
    stream.send(text)
    try:
        stream.send("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
    except (BrokenPipeError, ConnectionResetError):
        pass
    head, body = stream.answer()
    assert head.status == status and head["connection"] == "close"
    assert 0 < len(body) < 300
    assert stream.at_end()
    stream.close()


def test_nothing_reaches_the_server(lab, raw):
    """The refused request itself is not passed on either, not even in part."""
    got = []

    def script(stream, _):
        got.append(stream.rest())
    server = raw(script)
    for what in ("two lengths", "CL.TE", "TE.CL", "obs-fold", "bare LF", "NUL", "two hosts"):
        assert lab.ask(86, REFUSED[what][0])[0].status == REFUSED[what][1]
    assert server.connections == 0 and not got


BAD_ANSWERS = {
    "no HTTP": b"SSH-2.0-x\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "both": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "fold": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "status": b"HTTP/1.1 999 x\r\nContent-Length: 0\r\n\r\n",
    "long head": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 40000,
    "many fields": b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 200 + b"\r\n",
}
BAD_ANSWERS_SAY = {"fold": b"malformed: a field line is folded", "half a head": b"malformed: its head breaks off",
                   "long head": b"too long: 32 KiB and 128 fields are taken",
                   "many fields": b"too long: 32 KiB and 128 fields are taken"}


@pytest.mark.parametrize("what", BAD_ANSWERS)
def test_malformed_answer(lab, raw, what):
    raw(once(BAD_ANSWERS[what]))
    head, page = lab.get(86)
    assert head.status == 502 and BAD_ANSWERS_SAY.get(what, b"malformed: ") in page


def test_bytes_after_an_answer_are_nobodys(lab, raw):
    """A second answer nobody asked for must not be given to the next client."""
    raw(once(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
             b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", False))
    for _ in range(4):
        assert lab.get(86)[1] == b"ok"


# --- when servers fail ----------------------------------------------------------------

def test_refused_connection_is_retried(lab):
    for _ in range(6):
        head, body = lab.get(81)
        assert head.status == 200 and seen(body)["server"] == "web1"
    until(lambda: lab.fact("passive retry web3:9").startswith("fail "), "it is told")


def test_502_when_no_server_can_be_reached(lab):
    head, body = lab.get(82)
    assert head.status == 502 and b"502 Bad Gateway" in body


def test_503_when_no_server_is_healthy(lab):
    until(lambda: lab.fact("server sick web3:9").startswith("down"), "the check fails")
    until(lambda: lab.get(85)[0].status == 503, "the proxy knows it, too")
    head, body = lab.get(85)
    assert head.status == 503 and b"503 Service Unavailable" in body
    # It is a complete answer: the connection goes on.
    stream = lab.connect(85)
    for _ in range(2):
        stream.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert stream.answer()[0].status == 503
    stream.close()


def test_504_when_the_server_is_silent(lab, raw):
    raw(lambda stream, _: stream.rest(), 8083)
    head, body = lab.get(83)
    assert head.status == 504 and b"504 Gateway Timeout" in body


def test_504_when_the_server_does_not_read(lab, raw):
    """The body is stuck for want of a reader, which is not the client's fault."""
    raw(lambda stream, _: stream.sock.recv(1) and hold.wait(30), 8083)
    hold = threading.Event()
    stream = lab.connect(83)

    def send():
        try:
            stream.send(POST + "Content-Length: 100000000\r\n\r\n")
            stream.send(b"x" * 100000000)
        except OSError:
            pass
    sender = threading.Thread(target=send)
    sender.start()
    head = stream.head()
    hold.set()
    stream.sock.shutdown(socket.SHUT_RDWR)
    sender.join()
    stream.close()
    assert head.status == 504


def test_a_pause_of_the_client_is_not_the_servers(lab, raw):
    """Longer than a server may take to answer, shorter than a body may take to come."""
    def script(stream, _):
        head = stream.head()
        stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n" + stream.body(head))
    raw(script, 8083)
    stream = lab.connect(83)
    stream.send(POST + "Content-Length: 4\r\n\r\n")
    stream.send(b"ab")
    time.sleep(1.5)
    stream.send(b"cd")
    assert stream.answer()[1] == b"abcd"
    stream.close()


def test_408_when_the_body_does_not_come(lab, raw):
    raw(lambda stream, _: stream.rest(), 8083)
    head, _ = lab.ask(73, POST + "Content-Length: 10\r\n\r\nhello")
    assert head.status == 408 and head["connection"] == "close"


def test_no_page_within_an_interim_answer(lab, raw):
    """The client is slow to read 103s and the server times out: an answer of our own
    must not stand in the middle of a head."""
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: <" + b"x" * 2000 + b">\r\n\r\n"
    given_up = threading.Event()

    def script(stream, _):
        stream.head()
        try:
            while True:
                stream.send(hints)
        except ConnectionError:
            given_up.set()
    raw(script, 8083)
    stream = lab.connect(83)
    stream.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert given_up.wait(30)
    got = stream.rest()
    stream.close()
    at = got.find(b"HTTP/1.1 504")
    assert at <= 0 or got[:at].endswith(b"\r\n\r\n"), got[at - 100:at + 100]


def test_safe_request_is_retried_when_the_server_dies(lab, raw):
    """Closed without a byte: GET goes to it again, or to another; POST is not repeated."""
    def script(stream, n):
        stream.head()
        if n > 1:
            stream.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
    server = raw(script)
    assert lab.get(86)[0].status == 502  # one server only: nobody else to ask
    server.script = lambda stream, n: (stream.head(), None)[1]
    before = server.connections
    head, _ = lab.ask(86, POST + "Content-Length: 2\r\n\r\nhi")
    assert head.status == 502 and server.connections == before + 1


def test_stale_pooled_connection(lab, raw):
    """The server closes an idle connection just when the next request is on its way."""
    gate = threading.Event()

    def script(stream, n):
        stream.head()
        stream.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        if n <= 4:
            # Reads the next request and dies without an answer, as if it had closed
            # before it saw it.
            stream.head()
            gate.set()
            return
        while True:
            stream.head()
            stream.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    raw(script)
    for _ in range(12):
        head, body = lab.get(86)
        assert head.status == 200 and body == b"ok"
    assert gate.is_set()


def test_408_for_a_slow_head(lab):
    stream = lab.connect(87)
    stream.send("GET / HTTP/1.1\r\nHos")
    head, _ = stream.answer()
    assert head.status == 408 and head["connection"] == "close" and stream.at_end()
    stream.close()


def test_idle_connection_is_closed_silently(lab):
    stream = lab.connect(87)
    stream.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert stream.answer()[0].status == 200
    assert stream.at_end()
    stream.close()
    stream = lab.connect(87)
    assert stream.at_end()
    stream.close()


def test_client_abort_ends_the_servers_work(lab, raw):
    asked, seen_end = threading.Event(), threading.Event()

    def script(stream, _):
        stream.head()
        asked.set()
        try:
            stream.rest()
        except ConnectionResetError:
            pass
        seen_end.set()
    raw(script)
    stream = lab.connect(86)
    stream.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert asked.wait(30), "the server has it"
    stream.reset()
    assert seen_end.wait(30)


# --- limits ---------------------------------------------------------------------------

def test_server_limit_and_queue(lab, raw):
    """One at a time; one more waits and is served; the third is refused at once."""
    go, busy = threading.Event(), []

    def script(stream, _):
        while True:
            stream.head()
            busy.append(1)
            assert len(busy) == 1
            go.wait(30)
            busy.pop()
            stream.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    server = raw(script, 8084)
    request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    first, second = lab.connect(84), lab.connect(84)
    first.send(request)
    until(lambda: busy, "the first is being served")
    second.send(request)
    # The queue is per worker; whoever finds it full is told so, whoever does not waits
    # until its time is over. Nobody else reaches the server.
    for _ in range(3):
        head, body = lab.get(84)
        assert head.status == 503, body
    go.set()
    assert first.answer()[1] == b"ok"
    first.close()
    head, _ = second.answer()
    assert head.status in (200, 503)
    second.close()
    assert not server.errors
    assert lab.get(84)[1] == b"ok"


def test_queued_request_is_served(lab, raw):
    go, count = threading.Event(), []

    def script(stream, _):
        while True:
            stream.head()
            count.append(1)
            go.wait(30)
            stream.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    raw(script, 8084)
    request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
    first, second = lab.connect(74), lab.connect(74)
    first.send(request)
    until(lambda: count, "the first is being served")
    second.send(request)
    until(lambda: lab.counters("proxy_service service=patient")["queue"] == 1, "the second waits")
    go.set()
    assert first.answer()[1] == b"ok"
    assert second.answer()[1] == b"ok"
    first.close()
    second.close()


def test_queue_timeout(lab, raw):
    go, count = threading.Event(), []

    def script(stream, _):
        stream.head()
        count.append(1)
        go.wait(30)
        stream.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    raw(script, 8084)
    request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    first, second = lab.connect(84), lab.connect(84)
    first.send(request)
    until(lambda: count, "the first is being served")
    second.send(request)
    head, body = second.answer()
    assert head.status == 503 and b"in time" in body
    go.set()
    assert first.answer()[1] == b"ok"
    first.close()
    second.close()


def test_client_limit(lab):
    """Of three connections two are served; the third waits until one has gone."""
    request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    streams = [lab.connect(88) for _ in range(2)]
    for stream in streams:
        stream.send(request)
        assert stream.answer()[0].status == 200
    third = lab.connect(88)
    third.send(request)
    third.sock.settimeout(0.3)
    with pytest.raises(socket.timeout):
        third.more()
    third.sock.settimeout(30)
    streams[0].close()
    assert third.answer()[0].status == 200
    streams[1].close()
    third.close()


# --- access log -----------------------------------------------------------------------

def lines(lab, service):
    return [x for x in lab.log().splitlines() if f" access service={service} " in x]


def test_access_log(lab):
    stream = lab.connect(70)
    port = stream.sock.getsockname()[1]
    stream.send('GET /a"b%20 HTTP/1.1\r\nHost: h:80\r\nX-Request-ID: r-7\r\n\r\n')
    assert stream.answer()[0].status == 200
    stream.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n"
                "Content-Length: 2\r\n\r\nx")
    assert stream.answer()[0].status == 400
    stream.close()
    until(lambda: len(lines(lab, "logged")) == 2, "two lines")
    first, second = lines(lab, "logged")
    assert (f' client={CLIENT}:{port} server=web1:8080 method="GET" host="h:80" '
            'target="/a\\x22b%20" version=1.1 status=200 id="r-7" ') in first
    assert first.endswith(" retries=0 end=ok")
    assert " server=- " in second and " status=400 " in second
    assert second.endswith(" end=refused")


def test_access_log_of_tcp(lab):
    stream = lab.connect(72)
    stream.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert stream.answer()[0].status == 200
    stream.close()
    line = until(lambda: lines(lab, "quick"), "a line")[0]
    assert " server=web1:8080 in=27 out=" in line and "method" not in line


def test_sampled_access_log(lab):
    """One of ten, more or less: 10 to 90 of 500 is six sigma to each side of 50."""
    stream = lab.connect(71)
    for _ in range(500):
        stream.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert stream.answer()[0].status == 200
    stream.close()
    until(lambda: len(lines(lab, "sampled")) >= 10, "some lines")
    assert 10 <= len(lines(lab, "sampled")) <= 90


# --- real peers -----------------------------------------------------------------------

def test_curl(lab, tmp_path):
    data = tmp_path / "data"
    data.write_bytes(b"0123456789abcdef" * 65536)
    out = lab.curl(f"http://{LB}/c", "-H", "Expect: 100-continue", "--data-binary",
                   f"@{data}")
    assert len(json.loads(out)["body"]) == 1 << 20
    out = lab.curl(f"http://{LB}/c", "-H", "Transfer-Encoding: chunked", "--data-binary",
                   f"@{data}")
    assert len(json.loads(out)["body"]) == 1 << 20
    assert "HTTP/1.1 200 OK" in lab.curl("-I", f"http://{LB}/")
    out = lab.curl("--http1.0", f"http://{LB}/one", f"http://{LB}/two")
    assert out.count('"line": "GET /') == 2


@pytest.mark.skipif(shutil.which("nginx") is None, reason="needs nginx")
def test_nginx_with_proxy_protocol(lab, tmp_path):
    """nginx as the server: files, chunks, and the client's address by PROXY protocol."""
    (tmp_path / "big").write_bytes(os.urandom(5000000))
    (tmp_path / "nginx.conf").write_text(f"""
user root; daemon off; pid {tmp_path}/pid; error_log stderr; worker_processes 1;
events {{ }}
http {{
  access_log off; client_body_temp_path {tmp_path}/body; proxy_temp_path {tmp_path}/p;
  fastcgi_temp_path {tmp_path}/f; uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;
  server {{
    listen {WEB["web1"]}:8089 proxy_protocol; root {tmp_path};
    location = /who {{ return 200 "$proxy_protocol_addr $http_x_forwarded_for"; }}
  }}
}}
""")
    lab.spawn("nginx", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf"),
              log="nginx.log")
    until(lambda: lab.get(89, "/who")[0].status == 200, "nginx answers")
    assert lab.get(89, "/who")[1].decode() == f"{CLIENT} {CLIENT}"
    assert lab.get(89, "/big")[1] == (tmp_path / "big").read_bytes()
    head, part = lab.get(89, "/big", "Range: bytes=10-19\r\n")
    assert head.status == 206 and part == (tmp_path / "big").read_bytes()[10:20]
    assert lab.get(89, "/none")[0].status == 404
