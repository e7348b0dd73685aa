# SPDX-License-Identifier: Apache-2.0
"""The record layer of TLS 1.3 behind clients' handshakes, against other people's.

      client 10.9.0.9 ──> lb1 10.9.0.1:443, :448 (nines) ──> web1 (threads)
      (libssl by hand, curl, GnuTLS)
"""
import contextlib
import ctypes
import ctypes.util
import hashlib
import json
import os
import re
import socket
import ssl
import subprocess
import threading

import pytest

from proxylab import DEADLINE, LB, Lab, echo, until
from test_proxy_tls import ask, exchange, make_certificate, openssl, secure

SERVICES = """
  site:
    listen: "lb1:443"
    servers: ["web1:9000"]
    check: none
    tls: {certificate: DIR/a.pem, plain: []}
  raw:
    mode: tcp
    listen: "lb1:448"
    servers: ["web1:9001"]
    check: none
    tls: {certificate: DIR/a.pem, plain: []}
"""

SUITES = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]
OTHER = "TLS_AES_128_CCM_SHA256"  # none of ours: OpenSSL goes on with it


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("tls"))
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-days", "90", "-subj", "/CN=authority", "-keyout", f"{path}/ca.key", "-out",
            f"{path}/ca.crt")
    make_certificate(path, "a", ["a.test"])
    return path


def mirror(stream, _):
    """Sends back what comes, and a last word behind the client's end."""
    while stream.more():
        stream.send(stream.take(len(stream.buffer)))
    stream.send("over")


@pytest.fixture(scope="module")
def lab(tmp_path_factory, folder):
    with Lab(tmp_path_factory.mktemp("proxy")) as made:
        made.serve("web1", 9000, echo("web1"))
        made.serve("web1", 9001, mirror)
        made.start(SERVICES.replace("DIR", folder).replace(
            "plain: []}", "plain: [], ciphers: '" + ":".join([*SUITES, OTHER]) + "'}"))
        yield made


def counter(lab, what):
    """Of all services together."""
    return sum(lab.counters(f"proxy_service service={name}")[what] for name in ("site", "raw"))


def errors(lab):
    return counter(lab, "tls_errors")


class Peer:
    """libssl by hand, for what Python's ssl does not offer."""

    lib = ctypes.CDLL(ctypes.util.find_library("ssl"))
    for name in ("SSL_CTX_new", "SSL_new", "TLS_client_method", "SSL_get_current_cipher",
                 "SSL_CIPHER_get_name"):
        getattr(lib, name).restype = ctypes.c_void_p

    def __init__(self, lab, port, suite=SUITES[0]):
        lib = self.lib
        self.stream = lab.connect(port)
        self.stream.sock.settimeout(None)
        # A silent peer ends the test, not the run.
        self.stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO,
                                    (DEADLINE).to_bytes(8, "little") + bytes(8))
        self.context = ctypes.c_void_p(lib.SSL_CTX_new(ctypes.c_void_p(
            lib.TLS_client_method())))
        assert lib.SSL_CTX_set_ciphersuites(self.context, suite.encode()) == 1
        self.ssl = ctypes.c_void_p(lib.SSL_new(self.context))
        assert lib.SSL_set_fd(self.ssl, self.stream.sock.fileno()) == 1
        assert lib.SSL_connect(self.ssl) == 1
        cipher = lib.SSL_CIPHER_get_name(ctypes.c_void_p(lib.SSL_get_current_cipher(self.ssl)))
        assert ctypes.string_at(cipher).decode() == suite

    def write(self, data):
        assert self.lib.SSL_write(self.ssl, data, len(data)) == len(data)

    def read(self, n):
        got = b""
        piece = ctypes.create_string_buffer(16384)
        while len(got) < n:
            r = self.lib.SSL_read(self.ssl, piece, min(n - len(got), len(piece)))
            if r <= 0:
                raise EOFError(f"SSL_get_error {self.lib.SSL_get_error(self.ssl, r)} {got!r}")
            got += piece.raw[:r]
        return got

    def update_key(self, ask_back):
        """The next record announces a new key of ours, and may ask for one of theirs."""
        assert self.lib.SSL_key_update(self.ssl, 1 if ask_back else 0) == 1
        assert self.lib.SSL_do_handshake(self.ssl) == 1

    def close(self):
        self.lib.SSL_free(self.ssl)
        self.lib.SSL_CTX_free(self.context)
        self.stream.close()


@pytest.mark.parametrize("suite", [*SUITES, OTHER])
def test_new_keys(lab, suite):
    """Both sides change their keys again and again; every byte arrives."""
    peer = Peer(lab, 448, suite)
    for n in range(40):
        if n % 3 != 2:
            peer.update_key(ask_back=n % 2 == 0)
        data = bytes([n]) * (1 + n * 997)
        writer = threading.Thread(target=peer.write, args=(data,))
        writer.start()
        writer.join()
        assert peer.read(len(data)) == data
    peer.close()


def test_new_keys_without_end(lab):
    """Somebody who does nothing else is cut off with an alert, and counted."""
    before = errors(lab)
    peer = Peer(lab, 448)
    for _ in range(32):
        peer.update_key(ask_back=True)
    peer.write(b"something said")
    assert peer.read(14) == b"something said"
    with pytest.raises((EOFError, AssertionError)):
        for _ in range(200):
            peer.update_key(ask_back=False)
        peer.read(1)
    peer.close()
    until(lambda: errors(lab) > before, "it is counted")


@pytest.mark.parametrize("suite", [*SUITES, OTHER])
@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_bodies(lab, folder, suite, version):
    """Both ways, as large as not to fit in any buffer."""
    body = hashlib.sha256(suite.encode()).hexdigest() * 30000
    with open(f"{folder}/body", "w", encoding="utf-8") as f:
        f.write(body)
    text = lab.curl("--cacert", f"{folder}/ca.crt", "--resolve", f"a.test:443:{LB}", version,
                    "--tls13-ciphers", suite, "https://a.test/", "--data-binary",
                    f"@{folder}/body")
    assert json.loads(text)["body"] == body


class Bytes:
    """Python's ssl with the bytes on the wire in the test's hands."""

    def __init__(self, lab, folder, port, name="a.test"):
        self.stream = lab.connect(port)
        self.got, self.out = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.create_default_context(cafile=f"{folder}/ca.crt")
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        self.ssl = context.wrap_bio(self.got, self.out, server_hostname=name)

    def advance(self, deed):
        """Does it, with what it wants to read; what it writes stays in `out`."""
        while True:
            try:
                return deed()
            except ssl.SSLWantReadError:
                if self.out.pending:
                    self.flush()
                data = self.stream.sock.recv(65536)
                if not data:
                    self.got.write_eof()
                else:
                    self.got.write(data)

    def handshake(self, send=True):
        self.advance(self.ssl.do_handshake)
        if send:
            self.flush()

    def flush(self, piece=1 << 20):
        data = self.out.read()
        for at in range(0, len(data), piece):
            self.stream.send(data[at:at + piece])

    def read(self, n):
        got = b""
        while len(got) < n:
            data = self.advance(lambda: self.ssl.read(n - len(got)))
            if not data:
                raise EOFError
            got += data
        return got


@pytest.mark.parametrize("piece", [1 << 20, 100, 1])
def test_data_right_behind_the_handshake(lab, folder, piece):
    """With the last message of the handshake come the first requests, cut anywhere."""
    client = Bytes(lab, folder, 448)
    client.handshake(send=False)
    said = b""
    for n in (1, 100, 1000):
        said += bytes([n % 256]) * n
        client.ssl.write(bytes([n % 256]) * n)
    client.flush(piece)
    assert client.read(len(said)) == said
    client.ssl.write(b"more")
    client.flush(piece)
    assert client.read(4) == b"more"
    client.stream.close()


def test_much_right_behind_the_handshake(lab, folder):
    client = Bytes(lab, folder, 448)
    client.handshake(send=False)
    said = os.urandom(300000)
    client.ssl.write(said)
    client.flush()
    assert client.read(len(said)) == said
    client.stream.close()


@pytest.mark.parametrize("port", [443, 448])
@pytest.mark.parametrize("how,alert", [
    ("forged", "BAD_RECORD_MAC"), ("twice", "BAD_RECORD_MAC"), ("plain", "UNEXPECTED_MESSAGE"),
    ("long", "RECORD_OVERFLOW"), ("short", "BAD_RECORD_MAC")])
def test_wrong_records(lab, folder, port, how, alert):
    """An alert says why, the connection ends, it is counted, and nothing else happens."""
    before = errors(lab)
    client = Bytes(lab, folder, port)
    client.handshake()
    client.ssl.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    record = bytearray(client.out.read())
    if how == "forged":
        record[20] ^= 1
    elif how == "twice":
        client.stream.send(bytes(record))
        client.read(10)
    elif how == "plain":
        record = b"\x16\x03\x03\x00\x05\x18\x00\x00\x01\x00"
    elif how == "long":
        record[3:5] = b"\x41\x01"
    elif how == "short":
        record = b"\x17\x03\x03\x00\x10" + bytes(16)
    client.stream.send(bytes(record))
    with pytest.raises(ssl.SSLError, match=alert):
        while True:
            client.read(1)
    client.stream.close()
    until(lambda: errors(lab) > before, "it is counted")
    name = {443: "site", 448: "raw"}[port]
    line = rf"event=tls_error service={name} client=\S+ in=records cause=\"[^\"]*\({alert.lower()}\)\""
    until(lambda: re.search(line, lab.log()), f"a line with the cause: {line}")
    until(lambda: counter(lab, "tls_bad_records") > 0, "and as what it is")
    assert ask(secure(lab, folder, 443))[0].status == 200


def test_wrong_handshakes(lab, folder):
    """Each has a line with OpenSSL's words; who says nothing and leaves has none."""
    def end(data):
        stream = lab.connect(443)
        stream.send(data)
        with contextlib.suppress(ConnectionResetError):
            stream.rest()
        stream.close()
    before = errors(lab)
    end(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    end(b"\x16\x03\x01\x00\x05nonse")
    quiet = lab.connect(443)
    quiet.close()
    until(lambda: errors(lab) >= before + 3, "all three are counted")

    def lines():
        return re.findall(r'event=tls_error service=site client=\S+ in=handshake cause="([^"]*)"',
                          lab.log())
    until(lambda: len(lines()) >= 2, "and two of them told")
    assert len(lines()) == 2 and lines()[0] == "http request", lines()


@pytest.mark.parametrize("port", [443, 448])
@pytest.mark.parametrize("how", ["forged", "over"])
def test_much_behind_the_last_record(lab, folder, port, how):
    """What comes behind a record that ends it is not read, however much it is."""
    client = Bytes(lab, folder, port)
    client.handshake()
    pid = lab.part("proxy")["pid"]
    for _ in range(3):
        client.ssl.write(b"x" * 16384)
    much = bytearray(client.out.read())
    if how == "forged":
        much[10] ^= 1
    else:
        with pytest.raises(ssl.SSLWantReadError):
            client.ssl.unwrap()
        much = client.out.read() + much
    client.stream.send(bytes(much))
    with contextlib.suppress(OSError):  # whatever it says, it says it at once
        client.stream.rest()
    client.stream.close()
    assert ask(secure(lab, folder, 443))[0].status == 200
    assert lab.part("proxy")["pid"] == pid


def test_cut_off(lab, folder):
    """Half a record and the end: as if the end had come without it."""
    client = Bytes(lab, folder, 448)
    client.handshake()
    client.ssl.write(b"whole")
    client.flush()
    assert client.read(5) == b"whole"
    client.ssl.write(b"half of a record that never ends")
    client.stream.send(client.out.read()[:20])
    client.stream.sock.shutdown(socket.SHUT_WR)
    assert client.read(4) == b"over"
    client.stream.close()


def test_half_closed(lab, folder):
    """Who has said all of it still hears the rest, and then a proper end."""
    client = Bytes(lab, folder, 448)
    client.handshake()
    client.ssl.write(b"the last words")
    with pytest.raises(ssl.SSLWantReadError):
        client.ssl.unwrap()
    client.flush()
    assert client.advance(lambda: client.ssl.read(14)) == b"the last words"
    assert client.advance(lambda: client.ssl.read(4)) == b"over"
    client.stream.close()


def test_both_ways_at_once(lab, folder):
    """Much in both directions, with a reader that is stuck in between."""
    stream = secure(lab, folder, 448, alpn=["whatever"])
    data = os.urandom(1 << 20) * 8
    for read_at_once in (True, False):
        assert exchange(stream.sock, data, read_at_once)[0] == data
    stream.close()


class Program:
    """A client in the namespace, to which is said what a person would type."""

    def __init__(self, lab, *words):
        self.process = subprocess.Popen(["ip", "netns", "exec", lab.name, *words],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)
        self.lines = []
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line.decode("latin-1"))

    def say(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def times(self, *texts):
        return sum(all(text in line for text in texts) for line in self.lines)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.reader.join()
        self.process.stdout.close()
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        self.process.wait()


def test_gnutls(lab, folder):
    """Another library, with new keys of both kinds."""
    with Program(lab, "gnutls-cli", "--inline-commands", "--x509cafile", f"{folder}/ca.crt",
                 "-p", "448", "--sni-hostname", "a.test", "--verify-hostname", "a.test",
                 LB) as client:
        until(lambda: client.times("Simple Client Mode"), "the handshake is over")
        for n, command in enumerate(["", "^rekey^", "^rekey1^", "^rekey^"]):
            if command:
                client.say(command + "\n")
            client.say(f"said {n}\n")
            until(lambda text=f"said {n}": client.times(text), "the mirror's")


def test_s_client(lab, folder):
    """What OpenSSL's program shows of our answer to a new key."""
    with Program(lab, "openssl", "s_client", "-connect", f"{LB}:448", "-CAfile",
                 f"{folder}/ca.crt", "-msg") as client:
        until(lambda: client.times("NewSessionTicket"), "the handshake is over")
        for n in (1, 2):
            client.say("K\n")
            until(lambda want=n: client.times("<<<", "KeyUpdate") == want, "an answer")
            client.say(f"said {n}\n")
            until(lambda text=f"said {n}": client.times(text), "the mirror's")


def test_upgrade(lab, folder):
    """Connections that are there finish where they are."""
    stream = secure(lab, folder, 448, alpn=["whatever"])
    stream.send("before")
    assert stream.read(6) == b"before"
    until(lambda: lab.control("upgrade")["ok"], "no part is just starting")
    stream.send("after")
    assert stream.read(5) == b"after"
    again = secure(lab, folder, 443)
    assert ask(again)[0].status == 200
    stream.close()
    again.close()
