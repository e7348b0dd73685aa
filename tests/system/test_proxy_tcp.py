# SPDX-License-Identifier: Apache-2.0
"""mode: tcp of the real program: bytes both ways, half-closes, PROXY protocol.

      client 10.9.0.9 ──> lb1 10.9.0.1:90..99 (nines) ──> web1..web3 (threads, nginx,
                                                          haproxy accept-proxy)
"""
import hashlib
import os
import shutil
import socket
import struct
import threading

import pytest

from proxylab import CLIENT, LB, WEB, Lab, until

SERVICES = """
  plain:  {mode: tcp, listen: "lb1:90", servers: ["web1:9000"], check: none}
  retry:  {mode: tcp, listen: "lb1:91", servers: ["web3:9", "web1:9000"], check: none}
  dead:   {mode: tcp, listen: "lb1:92", servers: ["web3:9"], check: none}
  v1:     {mode: tcp, listen: "lb1:93", servers: ["web1:9000"], check: none, proxy_protocol: v1}
  v2:     {mode: tcp, listen: "lb1:94", servers: ["web1:9000"], check: none, proxy_protocol: v2}
  silent: {mode: tcp, listen: "lb1:95", servers: ["web1:9000"], check: none, timeouts: {idle: 1s}}
  hashed:
    mode: tcp
    listen: lb1:96
    servers: ["web1:9001", "web2:9001", "web3:9001"]
    balance: {hash: source}
    check: none
  spread:
    mode: tcp
    listen: lb1:97
    servers: ["web1:9001", {at: "web2:9001", backup: true}, {at: "web3:9001", weight: 3}]
    check: none
  nginx:   {mode: tcp, listen: "lb1:98", servers: ["web1:9098"], check: none, proxy_protocol: v1}
  haproxy: {mode: tcp, listen: "lb1:99", servers: ["web1:9099"], check: none, proxy_protocol: v2}
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with Lab(tmp_path_factory.mktemp("proxy")) as made:
        for name in WEB:
            made.serve(name, 9001, lambda stream, n, name=name: stream.send(name))
        made.start(SERVICES)
        yield made


@pytest.fixture
def server(lab):
    """Sets what the server on web1:9000 does for the length of one test."""
    with lab.scripted() as serve:
        yield lambda function: serve("web1", 9000, function)


def mirror(stream, _):
    while stream.more():
        stream.send(stream.take(len(stream.buffer)))


def test_both_ways(lab, server):
    server(mirror)
    for port in (90, 91):
        stream = lab.connect(port)
        for word in (b"a", b"\0\xff\r\n\r\n", b"GET / HTTP/1.1\n", os.urandom(1 << 20)):
            sender = threading.Thread(target=stream.send, args=(word,))
            sender.start()
            assert stream.read(len(word)) == word
            sender.join()
        stream.close()


def test_server_speaks_first(lab, server):
    server(lambda stream, _: stream.send("220 hello\r\n"))
    stream = lab.connect(90)
    assert stream.rest() == b"220 hello\r\n"
    stream.close()


def test_client_half_closes(lab, server):
    """The server sees the end, and still has all the time to answer."""
    def script(stream, _):
        data = stream.rest()
        stream.send(f"{len(data)} bytes\r\n" * 10000)
    server(script)
    stream = lab.connect(90)
    stream.send(b"x" * 300000)
    stream.finish()
    assert stream.rest() == b"300000 bytes\r\n" * 10000
    stream.close()


def test_server_half_closes(lab, server):
    got = []

    def script(stream, _):
        stream.send("done")
        stream.finish()
        got.append(stream.rest())
    server(script)
    stream = lab.connect(90)
    assert stream.rest() == b"done"
    stream.send("after the end")
    stream.finish()
    until(lambda: got == [b"after the end"], "the server reads on")
    stream.close()


def test_large_both_ways_at_once(lab, server):
    """Each side sends much before it reads anything: more than all buffers hold."""
    size, digests = 24 << 20, []
    there, back = os.urandom(1 << 20) * 24, os.urandom(1 << 20) * 24

    def script(stream, _):
        writer = threading.Thread(target=lambda: (stream.send(back), stream.finish()))
        writer.start()
        digests.append(hashlib.sha256(stream.rest()).digest())
        writer.join()
    server(script)
    stream = lab.connect(90)
    writer = threading.Thread(target=lambda: (stream.send(there), stream.finish()))
    writer.start()
    got = stream.rest()
    writer.join()
    stream.close()
    assert len(got) == size and got == back
    until(lambda: digests == [hashlib.sha256(there).digest()], "all arrived")


def test_reset_by_the_server(lab, server):
    server(lambda stream, _: (stream.read(2), stream.reset()))
    stream = lab.connect(90)
    stream.send("hi")
    assert stream.at_end()
    stream.close()


def test_reset_by_the_client(lab, server):
    ended = threading.Event()

    def script(stream, _):
        try:
            stream.rest()
        except ConnectionResetError:
            pass
        ended.set()
    s = server(script)
    stream = lab.connect(90)
    stream.send("hi")
    until(lambda: s.connections == 1, "the server has it")
    stream.reset()
    assert ended.wait(30)


def test_refused_connection_is_retried(lab, server):
    server(mirror)
    for _ in range(6):
        stream = lab.connect(91)
        stream.send("hi")
        assert stream.read(2) == b"hi"
        stream.close()
    until(lambda: lab.fact("passive retry web3:9").startswith("fail "), "it is told")


def test_no_server(lab):
    stream = lab.connect(92)
    assert stream.at_end()
    stream.close()


def test_idle_timeout(lab, server):
    server(mirror)
    stream = lab.connect(95)
    stream.send("hi")
    assert stream.read(2) == b"hi"
    assert stream.at_end()
    stream.close()


def test_proxy_protocol_v1(lab, server):
    server(lambda stream, _: stream.send(stream.until(b"\r\n") + stream.read(2)))
    stream = lab.connect(93)
    port = stream.sock.getsockname()[1]
    stream.send("hi")
    assert stream.rest() == f"PROXY TCP4 {CLIENT} {LB} {port} 93\r\nhi".encode()
    stream.close()


def test_proxy_protocol_v1_server_speaks_first(lab, server):
    """The header goes out at once, not with the client's first bytes."""
    server(lambda stream, _: stream.send(stream.until(b"\r\n")))
    stream = lab.connect(93)
    assert stream.rest().startswith(b"PROXY TCP4 ")
    stream.close()


def test_proxy_protocol_v2(lab, server):
    server(lambda stream, _: stream.send(stream.read(28 + 2)))
    stream = lab.connect(94)
    port = stream.sock.getsockname()[1]
    stream.send("hi")
    want = (b"\r\n\r\n\0\r\nQUIT\n" + bytes([0x21, 0x11]) + struct.pack("!H", 12) +
            socket.inet_aton(CLIENT) + socket.inet_aton(LB) +
            struct.pack("!HH", port, 94))
    assert stream.rest() == want + b"hi"
    stream.close()


def test_hash_keeps_a_client_on_a_server(lab):
    names = set()
    for _ in range(8):
        stream = lab.connect(96)
        names.add(stream.rest())
        stream.close()
    assert len(names) == 1


def test_weights_and_backup(lab):
    """web3 has three shares, web1 one, the backup none. Each worker counts by itself."""
    count = {}
    for _ in range(80):
        stream = lab.connect(97)
        name = stream.rest()
        count[name] = count.get(name, 0) + 1
        stream.close()
    assert set(count) == {b"web1", b"web3"}
    assert 56 <= count[b"web3"] <= 64, count


@pytest.mark.skipif(shutil.which("nginx") is None, reason="needs nginx")
def test_nginx_understands_v1(lab, tmp_path):
    (tmp_path / "nginx.conf").write_text(f"""
user root; daemon off; pid {tmp_path}/pid; error_log stderr; worker_processes 1;
events {{ }}
http {{
  access_log off;
  server {{
    listen {WEB["web1"]}:9098 proxy_protocol;
    return 200 "$proxy_protocol_addr $proxy_protocol_port";
  }}
}}
""")
    lab.spawn("nginx", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf"),
              log="nginx.log")

    def ask():
        stream = lab.connect(98)
        port = stream.sock.getsockname()[1]
        try:
            stream.send("GET / HTTP/1.0\r\n\r\n")
            return stream.rest().endswith(f"{CLIENT} {port}".encode())
        except ConnectionResetError:
            return False
        finally:
            stream.close()
    until(ask, "nginx tells the client's address")


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="needs haproxy")
def test_haproxy_understands_v2(lab, tmp_path):
    (tmp_path / "haproxy.cfg").write_text(f"""
defaults
  mode http
  timeout client 5s
frontend f
  bind {WEB["web1"]}:9099 accept-proxy
  http-request return status 200 content-type text/plain lf-string "%[src] %[src_port]"
""")
    lab.spawn("haproxy", "-db", "-f", str(tmp_path / "haproxy.cfg"), log="haproxy.log")

    def ask():
        stream = lab.connect(99)
        port = stream.sock.getsockname()[1]
        try:
            stream.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            return stream.answer()[1] == f"{CLIENT} {port}".encode()
        except (ConnectionResetError, EOFError):
            return False
        finally:
            stream.close()
    until(ask, "haproxy tells the client's address")
