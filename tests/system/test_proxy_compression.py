# SPDX-License-Identifier: Apache-2.0
"""Compression of answers, decoded by others' decoders.

      client 10.9.0.9 ──> lb1 10.9.0.1:80..83 (nines) ──> web1 (threads)

The server's scripts frame the same bodies in every way that HTTP/1 knows. Bodies are
drawn from a seed, which is in the test's name.
"""
import hashlib
import random
import socket
import zlib

import brotli
import pytest
import zstandard

from proxylab import LB, Lab, until

SERVICES = """
  site:
    listen: "lb1:80"
    check: none
    http2: true
    servers: ["web1:8080"]
    compression: {types: ["text/*"]}
    sticky: {cookie: place}
  off:
    listen: "lb1:81"
    check: none
    servers: ["web1:8080"]
  few:
    listen: "lb1:82"
    check: none
    servers: ["web1:8080"]
    compression: {codings: [gzip], types: ["application/*+json"], minimum: 10B, level: 9, streams: 1}
  plain:
    listen: "lb1:83"
    check: none
    servers: ["web1:8080"]
    compression: true
"""
SPECIAL = {}  # what tests have their server do
CODINGS = ["gzip", "br", "zstd"]
FRAMINGS = ["length", "chunked", "close", "pieces"]


def decoder(coding):
    if coding == "gzip":
        return zlib.decompressobj(31).decompress
    if coding == "br":
        return brotli.Decompressor().process
    return zstandard.ZstdDecompressor().decompressobj().decompress


def text(seed, size):
    """Neither all alike nor all chance."""
    rng = random.Random(seed)
    words = [rng.randbytes(rng.randint(1, 12)).hex().encode() for _ in range(500)]
    out = bytearray()
    while len(out) < size:
        out += rng.choice(words) + b" "
        if rng.random() < 0.01:
            out += rng.randbytes(rng.randint(1, 3000))
    return bytes(out[:size])


def chunked(stream, body, rng):
    while body:
        n = rng.randint(1, 40000)
        stream.send(b"%x\r\n%s\r\n" % (len(body[:n]), body[:n]))
        body = body[n:]
    stream.send(b"0\r\n\r\n")


def script(stream, _n):
    """The path says what comes: /SEED/SIZE/FRAMING; fields of the answer are those that
    the request has with X-Put- before them."""
    while True:
        head = stream.head()
        method, path, _ = head.line.split()
        if path in SPECIAL:
            SPECIAL[path](stream)
            continue
        seed, size, framing = path[1:].split("/")
        body, rng = text(seed, int(size)), random.Random(seed + "chunks")
        lines = [(n[6:], v) for n, v in head.fields if n.startswith("x-put-")]
        status = dict(lines).pop("status", "200")
        if "content-type" not in dict(lines):
            lines.append(("Content-Type", "text/html; charset=utf-8"))
        fields = "".join(f"{n}: {v}\r\n" for n, v in lines if n != "status")
        fields += f"X-Accepts: {head['accept-encoding']}\r\n"
        if framing in ("length", "pieces"):
            fields += f"Content-Length: {len(body)}\r\n"
        elif framing == "chunked":
            fields += "Transfer-Encoding: chunked\r\n"
        stream.send(f"HTTP/1.1 {status} Fine\r\n{fields}\r\n")
        if method == "HEAD" or status in ("204", "304"):
            continue
        if framing == "chunked":
            chunked(stream, body, rng)
            continue
        while body:
            n = rng.randint(1, 70000) if framing == "pieces" else len(body)
            stream.send(body[:n])
            body = body[n:]
        if framing == "close":
            return


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with Lab(tmp_path_factory.mktemp("compression")) as made:
        made.serve("web1", 8080, script)
        made.start(SERVICES)
        yield made


def get(lab, path, accept, fields="", port=80, method="GET"):
    return lab.ask(port, f"{method} {path} HTTP/1.1\r\nHost: a\r\n"
                         f"Accept-Encoding: {accept}\r\n{fields}\r\n")


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("coding", CODINGS)
def test_bodies(lab, coding, framing):
    rng = random.Random(coding + framing)
    stream = lab.connect(80)
    for size in (1024, 1025, 2000, 65535, 65536, 65537, rng.randint(2000, 300000), 1 << 20):
        seed = rng.randint(0, 1 << 30)
        stream.send(f"GET /{seed}/{size}/{framing} HTTP/1.1\r\nHost: a\r\n"
                    f"Accept-Encoding: {coding}\r\n\r\n")
        head, body = stream.answer()
        assert head.status == 200 and head["content-encoding"] == coding
        assert head["transfer-encoding"] == "chunked" and head["content-length"] is None
        assert head["vary"] == "Accept-Encoding" and head["set-cookie"]
        assert decoder(coding)(body) == text(str(seed), size)
    stream.close()


@pytest.mark.parametrize("accept, coding", [
    ("gzip", "gzip"), ("x-gzip", "gzip"), ("GZIP", "gzip"), ("*", "zstd"),
    ("gzip, br", "br"), ("gzip, br, zstd", "zstd"), ("gzip;q=1, br;q=0.9", "gzip"),
    ("gzip;q=0", None), ("*;q=0", None), ("identity", None), ("deflate", None),
    ("gzip;q=0.5, identity", None), ("gzip;q=0.5, *;q=0.1", "gzip"),
    ("gzip ; Q=0.001", "gzip"), ("gzip;q=2", None), ("", None), ("br;q=0, *", "zstd")])
def test_what_is_asked_for(lab, accept, coding):
    head, body = get(lab, "/1/5000/length", accept)
    assert head["content-encoding"] == coding
    assert head.all("vary") == ["Accept-Encoding"]
    got = body if coding is None else decoder(coding)(body)
    assert got == text("1", 5000)
    assert head["x-accepts"] == (accept or "")


@pytest.mark.parametrize("fields", [
    "X-Put-Content-Type: image/png", "X-Put-Content-Encoding: br",
    "X-Put-Cache-Control: public, no-transform", "X-Put-Content-Range: bytes 0-9/99",
    "X-Put-Digest: sha-256=x", "X-Put-Status: 206", "X-Put-ETag: \"" + "x" * 300 + '"'])
def test_what_stays_as_it_is(lab, fields):
    head, body = get(lab, "/2/5000/length", "gzip", fields + "\r\n")
    assert head["content-length"] == "5000" and body == text("2", 5000)
    assert head["vary"] is None
    assert head["content-encoding"] in (None, "br")


def test_small_answers(lab):
    head, _ = get(lab, "/3/1023/length", "gzip")
    assert head["content-encoding"] is None and head["content-length"] == "1023"
    head, body = get(lab, "/3/10/chunked", "gzip")
    assert head["content-encoding"] == "gzip" and decoder("gzip")(body) == text("3", 10)
    head, body = get(lab, "/3/0/chunked", "br")
    assert head["content-encoding"] == "br" and decoder("br")(body) == b""


def test_fields(lab):
    put = ('X-Put-ETag: "abc"\r\nX-Put-Accept-Ranges: bytes\r\nX-Put-Vary: Origin\r\n'
           "X-Put-Cache-Control: max-age=5\r\n")
    head, _ = get(lab, "/4/5000/length", "gzip", put)
    assert head.all("etag") == ['W/"abc"'] and head["accept-ranges"] is None
    assert head.all("vary") == ["Origin", "Accept-Encoding"]
    head, _ = get(lab, "/4/5000/length", "", put)
    assert head.all("etag") == ['"abc"'] and head["accept-ranges"] == "bytes"
    assert head.all("vary") == ["Origin", "Accept-Encoding"]
    head, _ = get(lab, "/4/5000/length", "gzip",
                  'X-Put-ETag: W/"abc"\r\nX-Put-Vary: x, accept-encoding\r\n')
    assert head.all("etag") == ['W/"abc"'] and head.all("vary") == ["x, accept-encoding"]
    head, _ = get(lab, "/4/5000/length", "gzip", "X-Put-Status: 404\r\n")
    assert head.status == 404 and head["content-encoding"] == "gzip"


def test_head(lab):
    """Says what a GET would, and the connection goes on."""
    stream = lab.connect(80)
    for coding in CODINGS:
        stream.send(f"HEAD /5/5000/length HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {coding}\r\n\r\n"
                    f"HEAD /5/100/length HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {coding}\r\n\r\n")
        head = stream.head()
        assert head["content-encoding"] == coding and head["content-length"] is None
        assert head["transfer-encoding"] == "chunked" and head["vary"]
        head = stream.head()
        assert head["content-encoding"] is None and head["content-length"] == "100"
    stream.close()


def test_old_clients(lab):
    stream = lab.connect(80)
    stream.send("GET /6/5000/length HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n")
    head = stream.head()
    assert head["content-encoding"] is None and head["vary"] == "Accept-Encoding"
    assert stream.rest() == text("6", 5000)


def test_off(lab):
    head, _ = get(lab, "/7/5000/length", "gzip", port=81)
    assert head["content-encoding"] is None and head["vary"] is None


def test_defaults(lab):
    head, body = get(lab, "/8/1024/length", "gzip, zstd", port=83)
    assert head["content-encoding"] == "zstd" and decoder("zstd")(body) == text("8", 1024)
    head, _ = get(lab, "/8/1024/length", "gzip",
                  "X-Put-Content-Type: text/event-stream\r\n", port=83)
    assert head["content-encoding"] is None and head["vary"] is None


def test_keys(lab):
    json = "X-Put-Content-Type: application/problem+json\r\n"
    head, body = get(lab, "/8/10/length", "zstd, gzip", json, port=82)
    assert head["content-encoding"] == "gzip" and decoder("gzip")(body) == text("8", 10)
    assert get(lab, "/8/9/length", "gzip", json, port=82)[0]["content-encoding"] is None
    assert get(lab, "/8/99/length", "gzip", port=82)[0]["content-encoding"] is None


@pytest.mark.parametrize("coding", CODINGS)
def test_server_push_does_not_stall(lab, coding):
    """Each piece can be decoded before the server says the next."""
    def slowly(stream):
        stream.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n")
        for i in range(5):
            event = b"data: %d\n\n" % i
            stream.send(b"%x\r\n%s\r\n" % (len(event), event))
            assert stream.read(1) == b"!"
        stream.send("0\r\n\r\n")

    SPECIAL["/slowly"] = slowly
    # The body of the request is the client's word that it has decoded an event.
    stream = lab.connect(80)
    stream.send("POST /slowly HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
                f"Accept-Encoding: {coding}\r\n\r\n")
    assert stream.head()["content-encoding"] == coding
    decode, got = decoder(coding), b""
    for i in range(5):
        while not got.endswith(b"data: %d\n\n" % i):
            got += decode(stream.read(int(stream.until(b"\r\n"), 16)))
            assert stream.read(2) == b"\r\n"
        stream.send(b"!")
    rest, _ = stream.chunks()
    assert decode(rest) == b"" and not lab.servers[0].errors
    stream.close()


@pytest.mark.parametrize("coding", CODINGS)
def test_slow_client(lab, coding):
    """The server is not read ahead of the client: memory is bounded."""
    sent = [0]

    def endless(stream):
        stream.send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n")
        rng = random.Random(coding)
        while sent[0] < 64 << 20:
            part = rng.randbytes(32768)
            stream.send(b"8000\r\n" + part + b"\r\n")
            digest.update(part)
            sent[0] += len(part)
        stream.send("0\r\n\r\n")

    digest = hashlib.sha256()
    SPECIAL["/endless"] = endless
    stream = lab.connect(80)
    stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    stream.send(f"GET /endless HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {coding}\r\n\r\n")
    stream.head()
    seen = []

    def stuck():
        seen.append(sent[0])
        return len(seen) > 30 and seen[-30] == sent[0]
    until(stuck, "the server is stopped")
    assert sent[0] < 48 << 20
    mine, decode = hashlib.sha256(), decoder(coding)
    while True:
        n = int(stream.until(b"\r\n"), 16)
        if n == 0:
            break
        mine.update(decode(stream.read(n)))
        assert stream.read(2) == b"\r\n"
    assert mine.digest() == digest.digest()
    stream.close()


def test_limit_of_streams(lab):
    """Who comes when all streams are taken gets the answer as it is."""
    def first(stream):
        stream.send("HTTP/1.1 200 OK\r\nContent-Type: application/a+json\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        stream.until(b"done")
        stream.send("0\r\n\r\n")

    SPECIAL["/first"] = first
    ask = ("POST /first HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n"
           "Content-Length: 4\r\n\r\n")
    streams = []
    for _ in range(8):  # of two workers
        streams.append(lab.connect(82))
        streams[-1].send(ask)
    heads = [s.head() for s in streams]
    assert 1 <= sum(h["content-encoding"] == "gzip" for h in heads) <= 2
    assert all(h["vary"] == "Accept-Encoding" for h in heads)
    for s, h in zip(streams, heads):
        s.send("done")
        body = s.chunks()[0]
        assert (decoder("gzip")(body) if h["content-encoding"] else body) == b"hello"
    for s in streams:
        s.close()


def test_cut_answers(lab):
    """What the server cut short is not made whole."""
    def cut(stream):
        stream.send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                    "Content-Length: 100000\r\n\r\n" + "x" * 50000)
        raise EOFError

    SPECIAL["/cut"] = cut
    stream = lab.connect(80)
    stream.send("GET /cut HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
    assert stream.head()["content-encoding"] == "gzip"
    assert not stream.rest().endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
@pytest.mark.parametrize("coding", [*CODINGS, "identity"])
def test_curl(lab, tmp_path, version, coding):
    for framing in FRAMINGS:
        got = tmp_path / framing
        lab.curl(version, "--compressed", "-H", f"Accept-Encoding: {coding}", "-o", str(got),
                 f"http://{LB}/9/300000/{framing}")
        assert got.read_bytes() == text("9", 300000)
        head = lab.curl(version, "-I", "-H", f"Accept-Encoding: {coding}",
                        f"http://{LB}/9/300000/{framing}").lower()
        assert ("content-encoding: " + coding in head) == (coding in CODINGS)
        assert "vary: accept-encoding" in head
