# SPDX-License-Identifier: Apache-2.0
"""Who is served, and how much of it: access lists, rates, trusted proxies, PROXY headers,
bodies too large or too slow.

      client 10.9.0.9 ──> lb1 10.9.0.1:80..89 (nines) ──> web1 10.9.0.11 (threads)
"""
import contextlib
import re
import socket
import struct

import pytest

from proxylab import CLIENT, Lab, echo, served, until

SERVICES = """
  open:   {listen: "lb1:80", check: none, servers: ["web1:8080"], max_body: 1000}
  closed: {listen: "lb1:81", check: none, servers: ["web1:8080"], deny: 10.9.0.9}
  others: {listen: "lb1:82", check: none, servers: ["web1:8080"], allow: [10.8.0.0/16]}
  tcp:    {listen: "lb1:83", mode: tcp, check: none, servers: ["web1:8080"], deny: main, log: full}
  often:  {listen: "lb1:92", mode: tcp, check: none, servers: ["web1:8080"],
           rate: {requests: 1/h, burst: 1}, log: full}
  slow:   {listen: "lb1:84", check: none, servers: ["web1:8080"], rate: {requests: 1/h, burst: 3}}
  few:    {listen: "lb1:85", check: none, servers: ["web1:8080"], rate: {connections: 2}, log: full}
  front:
    listen: lb1:86
    check: none
    servers: ["web1:8080"]
    trusted: [10.9.0.9, 10.7.0.0/16]
    deny: [192.0.2.66]
    request_id: true
    set_headers: {X-Client: "{client}"}
    log: full
  behind: {listen: "lb1:87", check: none, servers: ["web1:8080"], trusted: 10.1.1.1}
  proxy:
    listen: lb1:88
    check: none
    servers: ["web1:8080"]
    trusted: 10.9.0.9
    accept_proxy: true
    deny: [192.0.2.66]
  late:
    listen: lb1:91
    check: none
    servers: ["web1:8080"]
    trusted: 10.9.0.9
    accept_proxy: true
    deny: [192.0.2.66]
    timeouts: {head: 1s}
  strange:
    {listen: "lb1:89", check: none, servers: ["web1:8080"], trusted: 10.1.1.1, accept_proxy: true}
  hasty:  {listen: "lb1:90", check: none, servers: ["web1:8080"], timeouts: {body: 1s}}
"""
GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with Lab(tmp_path_factory.mktemp("guard")) as made:
        made.serve("web1", 8080, echo("web1"))
        made.start(SERVICES)
        yield made


def assert_logged(lab, service, end):
    """A connection that was closed before it asked for anything leaves a line all the same."""
    until(lambda: re.search(f" access service={service} client={CLIENT}:.* end={end}$",
                            lab.log(), re.M),
          f"a line with end={end}")


def test_lists(lab):
    assert lab.get(80)[0].status == 200
    assert lab.get(81)[0].status == 403
    assert lab.get(82)[0].status == 403
    stream = lab.connect(83)
    assert stream.at_end()
    stream.close()
    assert_logged(lab, "tcp", "refused-address")


def test_rate(lab):
    """Three at once, then one an hour; all connections and workers count together."""
    got = [lab.get(84)[0].status for _ in range(6)]
    assert got == [200] * 3 + [429] * 3
    assert lab.get(84)[0]["retry-after"] == "3600"
    assert served(lab.get(92))["field"]["host"]
    stream = lab.connect(92)
    assert stream.at_end()
    stream.close()
    assert_logged(lab, "often", "refused-rate")


def test_connections(lab):
    first, second = lab.connect(85), lab.connect(85)
    for stream in (first, second):
        stream.send(GET)
        assert stream.answer()[0].status == 200
    third = lab.connect(85)
    assert third.at_end()
    assert_logged(lab, "few", "refused-connections")
    first.close()

    def served():
        stream = lab.connect(85)
        try:
            stream.send(GET)
            return stream.answer()[0].status == 200
        except (EOFError, OSError):
            return False
        finally:
            stream.close()
    until(served, "room for another connection")
    second.close()


@pytest.mark.parametrize("said, client", [
    ("192.0.2.1", "192.0.2.1"),
    ("192.0.2.66, 192.0.2.1", "192.0.2.1"),         # what a client made up is not looked at
    ("192.0.2.1,10.7.0.1 ,\t10.7.1.1", "192.0.2.1"),
    ("192.0.2.1\r\nX-Forwarded-For: 10.7.0.1", "192.0.2.1"),
    ("2001:db8::1", "2001:db8::1"),
    ("192.0.2.1:4711", "192.0.2.1"), ("[2001:db8::1]:4711", "2001:db8::1"), ("[2001:db8::1]", "2001:db8::1"),
    ("192.0.2.1:4711, 10.7.0.1:80", "192.0.2.1"),
    ("[192.0.2.1]", CLIENT), ("[", CLIENT), ("[]", CLIENT), ("192.0.2.1:", CLIENT), ("192.0.2.1:65536", CLIENT),
    ("nobody", CLIENT), ("192.0.2.1, unknown, 10.7.0.1", "10.7.0.1"), ("", CLIENT), (",", CLIENT),
    ("10.7.0.9", "10.7.0.9")])
def test_forwarded_for(lab, said, client):
    got = served(lab.get(86, "/", f"X-Forwarded-For: {said}\r\n"))
    assert got["field"]["x-client"] == client
    assert got["field"]["x-forwarded-for"].endswith(CLIENT)


def test_forwarded_for_is_judged(lab):
    assert lab.get(86, "/", "X-Forwarded-For: 192.0.2.66\r\n")[0].status == 403
    assert lab.get(86, "/", "X-Forwarded-For: 192.0.2.66, 10.7.0.1\r\n")[0].status == 403
    line = until(lambda: re.search(r".*client=192\.0\.2\.66.*|.*192\.0\.2\.66.*", lab.log()),
                 "the log")[0]
    assert "403" in line


@pytest.mark.parametrize("port, said, proto", [
    (86, "https", "https"), (86, "HTTPS", "https"), (86, "http", "http"), (86, "ftp", "http"),
    (86, "", "http"), (87, "https", "http"), (80, "https", "http")])
def test_forwarded_proto(lab, port, said, proto):
    got = served(lab.get(port, "/", f"X-Forwarded-Proto: {said}\r\n"))
    assert [v for n, v in got["fields"] if n == "x-forwarded-proto"] == [proto]
    assert got["field"]["forwarded"].endswith("proto=" + proto)


def test_others_are_not_believed(lab):
    got = served(lab.get(87, "/", "X-Forwarded-For: 192.0.2.1\r\nForwarded: for=1.2.3.4\r\n"))
    assert got["field"]["x-forwarded-for"] == CLIENT
    assert got["field"]["forwarded"] == f"for={CLIENT};proto=http"


def test_request_id(lab):
    got = served(lab.get(86, "/", "X-Request-Id: mine-1\r\ntraceparent: 00-1-2-01\r\n"))
    assert got["field"]["x-request-id"] == "mine-1" and got["field"]["traceparent"] == "00-1-2-01"
    assert [n for n, _ in got["fields"]].count("x-request-id") == 1
    got = served(lab.get(86, "/", f"X-Request-Id: {'x' * 200}\r\n"))
    assert re.fullmatch("[0-9a-f]{32}", got["field"]["x-request-id"])


V2 = b"\r\n\r\n\0\r\nQUIT\n"


def v2(source, command=1, more=b""):
    body = socket.inet_aton(source) + socket.inet_aton("10.0.0.1") + struct.pack("!HH", 4711, 80)
    return V2 + struct.pack("!BBH", 0x20 | command, 0x11, len(body + more)) + body + more


@pytest.mark.parametrize("head, client", [
    (b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 80\r\n", "192.0.2.1"),
    (b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n", "2001:db8::1"),
    (b"PROXY UNKNOWN\r\n", CLIENT), (b"PROXY UNKNOWN a b c\r\n", CLIENT),
    (v2("192.0.2.2"), "192.0.2.2"), (v2("192.0.2.2", more=b"\x04\0\1x"), "192.0.2.2"),
    (v2("192.0.2.2", command=0), CLIENT)])
def test_proxy_header(lab, head, client):
    for cut in (len(head), 1, len(head) - 1):
        stream = lab.connect(88)
        stream.send(head[:cut])
        stream.send(head[cut:] + GET.encode())
        assert served(stream.answer())["field"]["x-forwarded-for"] == client
        stream.close()


@pytest.mark.parametrize("head", [
    GET.encode(), b"PROXY TCP4 192.0.2.1 10.0.0.1 4711\r\n", b"PROXY TCP4 ::1 ::1 1 2\r\n",
    b"PROXY TCP4 192.0.2.66 10.0.0.1 4711 80\r\n", b"PROXY " + b"x" * 200, v2("192.0.2.66"),
    V2 + b"\x31\x11\0\x0c" + bytes(12), V2 + b"\x21\x11\0\x04" + bytes(4), b"PROXY"])
def test_bad_proxy_header(lab, head):
    """Nothing of it, or too late: closed; what is denied is told so."""
    stream = lab.connect(91)
    stream.send(head + (GET.encode() if b"2.66" in head or head == v2("192.0.2.66") else b""))
    try:
        rest = stream.rest()
    except ConnectionResetError:
        rest = b""
    assert rest == b"" or b" 403 " in rest
    stream.close()


def test_proxy_header_of_a_stranger(lab):
    stream = lab.connect(89)
    assert stream.at_end()
    stream.close()
    until(lambda: re.search("event=proxy_header_error .*`trusted`", lab.log()), "the log's line")


def test_who_brings_no_proxy_header_is_named(lab):
    stream = lab.connect(88)
    stream.send(GET)
    with contextlib.suppress(ConnectionResetError):
        assert stream.rest() == b""
    stream.close()
    until(lambda: re.search(f"event=proxy_header_error .*client={CLIENT} .*does not begin", lab.log()),
          "the log's line")


def test_large_bodies(lab):
    fit = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n" + "x" * 1000
    assert served(lab.ask(80, fit))["body"] == "x" * 1000
    assert lab.ask(80, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n")[0].status == 413
    stream = lab.connect(80)
    stream.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(5):
        stream.send("100\r\n" + "x" * 256 + "\r\n")
    assert stream.answer()[0].status == 413
    stream.close()


def test_slow_body(lab):
    stream = lab.connect(90)
    stream.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
    stream.sock.settimeout(0.1)
    for _ in range(100):  # ten seconds of a byte each 100 ms
        stream.send("x")
        try:
            if not stream.more():
                break
        except TimeoutError:
            continue
        break
    stream.sock.settimeout(30)
    assert stream.answer()[0].status == 408
    stream.close()
    # Who is quick enough is not hurried.
    stream = lab.connect(90)
    stream.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(10):
        stream.send("x" * 10000)
    assert served(stream.answer())["body"] == "x" * 100000
    stream.close()
