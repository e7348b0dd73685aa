# SPDX-License-Identifier: Apache-2.0
"""TLS of the real program: handshakes, certificates by name, redirects, re-encryption.

      client 10.9.0.9 ──> lb1 10.9.0.1:443.. (nines) ──> web1..web3 (threads, nginx with
      (curl, openssl,                                     TLS)
       Python's ssl)
"""
import contextlib
import json
import os
import select
import socket
import ssl
import subprocess
import threading
import time

import pytest

from proxylab import DEADLINE, LB, NINES, Lab, Stream, echo, run, until

SERVICES = """
  site:
    listen: ["lb1:443", "lb1:80"]
    servers: ["web1:9000"]
    check: none
    tls: {certificate: [DIR/a.pem, DIR/b.pem, DIR/a-rsa.pem], hsts: 1d}
    routes:
      - {path: /own, answer: {status: 200, body: own}}
      - {path: /mine, answer: 200, answer_headers: {set: {Strict-Transport-Security: max-age=1}}}
      - {path: /name, sni: b.test, answer: {status: 200, body: "it is b"}}
    timeouts: {head: 2s}
  twin:
    listen: "lb1:444"
    servers: ["web1:9000"]
    check: none
    tls: DIR/a.pem
  modern:
    listen: ["lb1:445", "lb1:8080"]
    servers: ["web1:9000"]
    check: none
    tls: {certificate: DIR/a.pem, min_version: 1.3, plain: [8080], redirect: false, tickets: false}
  clients:
    listen: "lb1:446"
    servers: ["web1:9000"]
    check: none
    tls: {certificate: DIR/a.pem, client_ca: DIR/ca.crt}
  optional:
    listen: "lb1:447"
    servers: ["web1:9000"]
    check: none
    tls: {certificate: DIR/a.pem, client_ca: DIR/ca.crt, client_verify: optional}
  raw:
    mode: tcp
    listen: "lb1:448"
    servers: ["web1:9001"]
    check: none
    tls: {certificate: DIR/a.pem, plain: []}
  secure:
    listen: "lb1:81"
    servers: ["web2:9443"]
    check: none
    server_tls: {ca: DIR/ca.crt, name: web.test}
  wrong-name:
    listen: "lb1:82"
    servers: ["web2:9443"]
    check: none
    server_tls: {ca: DIR/ca.crt, name: other.test}
  unverified:
    listen: "lb1:83"
    servers: ["web2:9443"]
    check: none
    server_tls: {verify: false}
  untrusted:
    listen: "lb1:84"
    servers: ["web2:9443"]
    check: none
    server_tls: {name: web.test}
  both:
    listen: "lb1:449"
    servers: ["web2:9443"]
    check: none
    tls: DIR/a.pem
    server_tls: {ca: DIR/ca.crt, name: web.test}
  through:
    listen: "lb1:450"
    tls: passthrough
    servers: ["web2:9443"]
    groups: {plain: ["web1:9001"]}
    check: none
    timeouts: {head: 2s}
    routes:
      - {sni: "*.plain.test", to: plain}
  named:
    mode: tcp
    listen: "lb1:451"
    servers: ["web3:9"]
    groups: {a: ["web1:9001"]}
    check: none
    tls: {certificate: DIR/a.pem, plain: []}
    routes:
      - {sni: a.test, to: a}
"""


def openssl(*words):
    run("openssl", *words)


def make_certificate(folder, name, names, key=("ec", "ec_paramgen_curve:P-256"), days=90):
    """FILE.pem with a certificate of our authority and its key; for everybody's reading
    only where a test wants that."""
    key_file, request, cert = (f"{folder}/{name}.{x}" for x in ("key", "csr", "crt"))
    openssl("genpkey", "-algorithm", key[0], "-pkeyopt", key[1], "-out", key_file)
    openssl("req", "-new", "-key", key_file, "-subj", f"/CN={names[0]}", "-out", request)
    with open(f"{folder}/{name}.ext", "w", encoding="utf-8") as f:
        f.write("subjectAltName=" + ",".join("DNS:" + n for n in names))
    openssl("x509", "-req", "-in", request, "-CA", f"{folder}/ca.crt", "-CAkey",
            f"{folder}/ca.key", "-CAcreateserial", "-days", str(days), "-extfile",
            f"{folder}/{name}.ext", "-out", cert)
    with open(f"{folder}/{name}.pem", "w", encoding="utf-8") as out:
        for part in (cert, key_file):
            with open(part, encoding="utf-8") as f:
                out.write(f.read())
    os.chmod(f"{folder}/{name}.pem", 0o600)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("tls"))
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-days", "90", "-subj", "/CN=authority", "-keyout", f"{path}/ca.key", "-out",
            f"{path}/ca.crt")
    make_certificate(path, "a", ["a.test", "*.a.test"])
    make_certificate(path, "a-rsa", ["a.test", "*.a.test"], ("RSA", "rsa_keygen_bits:2048"))
    make_certificate(path, "b", ["b.test"])
    make_certificate(path, "web", ["web.test"])
    make_certificate(path, "user", ["user"])
    return path


def mirror(ends):
    def script(stream, _):
        while stream.more():
            stream.send(stream.take(len(stream.buffer)))
        ends.append("over")
    return script


@pytest.fixture(scope="module")
def ends():
    return []


@pytest.fixture(scope="module")
def lab(tmp_path_factory, folder, ends):
    with Lab(tmp_path_factory.mktemp("proxy")) as made:
        made.serve("web1", 9000, echo("web1"))
        made.serve("web1", 9001, mirror(ends))
        with open(f"{made.folder}/nginx.conf", "w", encoding="utf-8") as f:
            f.write(NGINX.replace("DIR", folder).replace("PLACE", made.folder))
        made.spawn("nginx", "-c", f"{made.folder}/nginx.conf", log="nginx.log")
        made.start(SERVICES.replace("DIR", folder))
        until(lambda: "9443" in made.at("ss", "-ltn"), "nginx listens")
        yield made


NGINX = """
daemon off; master_process off; pid PLACE/nginx.pid; error_log PLACE/nginx.err;
events { worker_connections 512; }
http {
  access_log PLACE/nginx.access; client_max_body_size 0;
  log_format t '$ssl_protocol $ssl_server_name $ssl_session_reused $connection';
  access_log PLACE/nginx.tls t;
  server {
    listen 10.9.0.12:9443 ssl;
    ssl_certificate DIR/web.pem; ssl_certificate_key DIR/web.pem;
    ssl_session_tickets on; ssl_protocols TLSv1.3;
    keepalive_requests 4;
    location / { return 200 "nginx $request_uri $http_x_forwarded_proto"; }
  }
}
"""


def secure(lab, folder, port, name="a.test", **more):
    """A TLS connection of Python's ssl to lb1:port."""
    context = more.get("context") or ssl.create_default_context(cafile=f"{folder}/ca.crt")
    context.set_alpn_protocols(more.get("alpn", ["http/1.1"]))
    if "version" in more:
        context.maximum_version = more["version"]
    if "cert" in more:
        context.load_cert_chain(more["cert"])
    plain = lab.connect(port)
    return Stream(context.wrap_socket(plain.sock, server_hostname=name,
                                      session=more.get("session")))


def ask(stream, path="/", fields=""):
    stream.send(f"GET {path} HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n")
    return stream.answer()


def test_curl(lab, folder):
    text = lab.curl("--cacert", f"{folder}/ca.crt", "--resolve", f"a.test:443:{LB}",
                    "--http1.1", "https://a.test/x", "-D", "-")
    assert "Strict-Transport-Security: max-age=86400\n" in text
    seen = json.loads(text[text.index("{"):])
    assert ["x-forwarded-proto", "https"] in seen["fields"]
    assert any(n == "forwarded" and "proto=https" in v for n, v in seen["fields"])


def test_http2(lab, folder):
    words = ["--cacert", f"{folder}/ca.crt", "--resolve", f"a.test:443:{LB}", "--http2"]
    text = lab.curl(*words, "https://a.test/x", "-D", "-")
    assert text.startswith("HTTP/2 200")
    assert "strict-transport-security: max-age=86400\n" in text
    seen = json.loads(text[text.index("{"):])
    assert ["x-forwarded-proto", "https"] in seen["fields"]
    body = "x" * 300000
    with open(f"{folder}/body", "w", encoding="utf-8") as f:
        f.write(body)
    text = lab.curl(*words, "https://a.test/p", "--data-binary", f"@{folder}/body")
    assert json.loads(text)["body"] == body


def test_keep_alive_and_bodies(lab, folder):
    stream = secure(lab, folder, 443)
    for n in (1, 10, 16384, 300000, 5):
        body = "x" * n
        stream.send(f"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: {n}\r\n\r\n{body}")
        head, data = stream.answer()
        assert head.status == 200 and json.loads(data)["body"] == body
    stream.close()


@pytest.mark.parametrize("name,subject", [
    ("a.test", "a.test"), ("x.a.test", "a.test"), ("b.test", "b.test"), ("B.TEST", "b.test"),
    ("else.test", "a.test"), ("x.y.a.test", "a.test")])
def test_certificate_by_name(lab, folder, name, subject):
    out = lab.at("sh", "-c", f"openssl s_client -connect {LB}:443 -servername {name} "
                 "</dev/null 2>/dev/null | openssl x509 -noout -subject")
    assert out.strip() == f"subject=CN = {subject}"


@pytest.mark.parametrize("algorithms,kind", [
    ("ECDSA+SHA256", "id-ecPublicKey"), ("RSA-PSS+SHA256", "rsaEncryption")])
def test_kind_of_key(lab, folder, algorithms, kind):
    out = lab.at("sh", "-c", f"openssl s_client -connect {LB}:443 -servername a.test "
                 f"-sigalgs {algorithms} </dev/null 2>/dev/null | openssl x509 -noout -text")
    assert f"Public Key Algorithm: {kind}" in out


def test_redirect(lab):
    head, _ = lab.ask(80, "POST /p?q=1 HTTP/1.1\r\nHost: a.test:80\r\nContent-Length: 0\r\n\r\n")
    assert head.status == 308 and head["location"] == "https://a.test/p?q=1"
    head, _ = lab.ask(80, "GET http://b.test HTTP/1.1\r\nHost: b.test\r\n\r\n")
    assert head.status == 308 and head["location"] == "https://b.test/"
    head, _ = lab.ask(80, "GET / HTTP/1.0\r\n\r\n")
    assert head.status == 400
    head, body = lab.get(8080)
    assert head.status == 200 and ["x-forwarded-proto", "http"] in json.loads(body)["fields"]


def test_resumption_on_another_load_balancer(lab, folder):
    """`twin` has the same first key: what one gives the other takes; `modern` gives none."""
    context = ssl.create_default_context(cafile=f"{folder}/ca.crt")
    first = secure(lab, folder, 444, context=context)
    ask(first)
    session = first.sock.session
    assert session.has_ticket
    again = secure(lab, folder, 444, context=context, session=session)
    ask(again)
    assert again.sock.session_reused
    lab.order("reload")
    third = secure(lab, folder, 444, context=context, session=again.sock.session)
    ask(third)
    assert third.sock.session_reused
    without = secure(lab, folder, 445)
    ask(without)
    assert not without.sock.session.has_ticket
    for stream in (first, again, third, without):
        stream.close()


def test_versions(lab, folder):
    old = secure(lab, folder, 443, version=ssl.TLSVersion.TLSv1_2)
    ask(old)
    assert old.sock.version() == "TLSv1.2"
    session = old.sock.session
    assert not session.has_ticket  # its secret could be found out later
    old.close()
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        secure(lab, folder, 445, version=ssl.TLSVersion.TLSv1_2)
    new = secure(lab, folder, 445)
    assert new.sock.version() == "TLSv1.3"
    new.close()


def test_no_renegotiation(lab):
    words = ["ip", "netns", "exec", lab.name, "openssl", "s_client", "-connect", f"{LB}:443", "-tls1_2"]
    with subprocess.Popen(words, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as client:
        client.stdin.write("R\n")  # left open: at its end s_client leaves as well
        client.stdin.flush()
        assert "no renegotiation" in client.stdout.read()


def test_alpn(lab, folder):
    assert secure(lab, folder, 443).sock.selected_alpn_protocol() == "http/1.1"
    with pytest.raises(ssl.SSLError, match="NO_APPLICATION_PROTOCOL|ALERT_NO_APPL|alert"):
        secure(lab, folder, 443, alpn=["spdy/1"])


def test_client_certificates(lab, folder):
    known = secure(lab, folder, 446, cert=f"{folder}/user.pem")
    assert ask(known)[0].status == 200
    for port in (446, 447):
        # In TLS 1.3 the client learns it after its handshake.
        with pytest.raises((ssl.SSLError, OSError, EOFError)):
            ask(secure(lab, folder, port, cert=f"{folder}/stranger.pem"))
    with pytest.raises((ssl.SSLError, OSError, EOFError)):
        ask(secure(lab, folder, 446))
    anybody = secure(lab, folder, 447)
    assert ask(anybody)[0].status == 200
    known.close()
    anybody.close()


@pytest.fixture(scope="module", autouse=True)
def stranger(folder):
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-days", "90", "-subj", "/CN=user", "-keyout", f"{folder}/s.key", "-out",
            f"{folder}/s.crt")
    with open(f"{folder}/stranger.pem", "w", encoding="utf-8") as out:
        for part in ("s.crt", "s.key"):
            with open(f"{folder}/{part}", encoding="utf-8") as f:
                out.write(f.read())


def exchange(sock, data, read_at_once):
    """Sends `data` and reads as much; without `read_at_once` only when sending is stuck."""
    sock.setblocking(False)
    sent, got, reading = 0, [], read_at_once
    left = len(data)
    end = time.monotonic() + 3 * DEADLINE
    while left > 0 and time.monotonic() < end:
        moved = False
        with contextlib.suppress(ssl.SSLWantWriteError, ssl.SSLWantReadError):
            while sent < len(data):
                sent += sock.send(data[sent:sent + 65536])
                moved = True
        with contextlib.suppress(ssl.SSLWantWriteError, ssl.SSLWantReadError):
            while reading and left > 0:
                got.append(sock.recv(1 << 16))
                left -= len(got[-1])
                moved = True
        if not moved:
            writes = [sock] if sent < len(data) else []
            ready = select.select([sock] if reading else [], writes, [], 0.3)
            # Nothing is taken any more: all buffers are full, those of the proxy too.
            reading = reading or not ready[1]
    return b"".join(got), reading


def test_mode_tcp(lab, folder, ends):
    stream = secure(lab, folder, 448, alpn=["whatever"])
    data = os.urandom(400000)
    assert exchange(stream.sock, data, True)[0] == data
    stream.close()
    until(lambda: "over" in ends, "the server sees the end")


def test_slow_reader(lab, folder):
    """What the socket does not take of encrypted bytes is neither lost nor sent twice."""
    stream = secure(lab, folder, 448, alpn=["whatever"])
    data = os.urandom(1 << 20) * 32
    got, stuck = exchange(stream.sock, data, False)
    assert stuck and len(got) == len(data)
    assert got == data
    stream.close()


def hello(name):
    there, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(there, out, server_hostname=name).do_handshake()
    return out.read()


def test_passed_through_by_name(lab, folder):
    """The name in the hello chooses; the bytes arrive as they were sent, however cut."""
    stream = secure(lab, folder, 450, name="web.test")
    assert ask(stream, "/through")[1] == b"nginx /through "
    stream.close()
    for piece in (5000, 100, 3):
        data = hello("x.plain.test")
        mirrored = lab.connect(450)
        for at in range(0, len(data), piece):
            mirrored.send(data[at:at + piece])
        assert mirrored.read(len(data)) == data
        mirrored.close()
    stream = secure(lab, folder, 451)
    stream.send("to the group of a.test")
    assert stream.read(22) == b"to the group of a.test"
    stream.close()
    silent = lab.connect(450)
    silent.send(b"\x16\x03\x01")
    assert silent.rest() == b""  # after the time for a head


def test_garbage_and_silence(lab, folder):
    """No hello ends the connection; neither holds up anybody else."""
    garbage = lab.connect(443)
    garbage.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert garbage.rest()[:1] in (b"", b"\x15")  # an alert at most
    silent, slow = lab.connect(443), lab.connect(443)
    slow.send(b"\x16\x03\x01\x02\x00\x01")
    assert ask(secure(lab, folder, 443))[0].status == 200
    assert silent.rest() == b"" and slow.rest() == b""  # after the time for a head


def test_forged_records(lab, folder):
    """What was never encrypted, and much behind it, ends its own connection only."""
    pid = lab.part("proxy")["pid"]
    for port in (443, 448):
        stream = secure(lab, folder, port)
        if port == 443:
            stream.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10000000\r\n\r\n")
        for _ in range(4):  # bodies are read in large pieces by now
            stream.send(b"x" * 100000)
            time.sleep(0.05)
        with socket.socket(fileno=os.dup(stream.sock.fileno())) as wire:
            wire.settimeout(DEADLINE)
            with contextlib.suppress(ConnectionError):
                wire.sendall(b"\x17\x03\x03\x00\x80" + bytes(200000))
            with contextlib.suppress(ConnectionError):
                while wire.recv(65536):
                    pass
        stream.sock.close()
    assert ask(secure(lab, folder, 443))[0].status == 200
    assert lab.part("proxy")["pid"] == pid


def test_servers_with_tls(lab, folder):
    for n in range(40):
        head, body = lab.get(81, f"/{n}")
        assert (head.status, body) == (200, f"nginx /{n} http".encode())
    log = lab.log("nginx.tls").splitlines()[-40:]
    assert all(line.startswith("TLSv1.3 web.test ") for line in log)
    assert len({line.split()[3] for line in log}) < 40   # kept connections
    assert any(line.split()[2] == "r" for line in log)  # and sessions
    assert lab.get(83, "/u")[1] == b"nginx /u http"
    stream = secure(lab, folder, 449)
    assert ask(stream, "/b")[1] == b"nginx /b https"
    stream.close()


@pytest.mark.parametrize("port", [82, 84])
def test_servers_that_cannot_be_trusted(lab, port):
    assert lab.get(port)[0].status == 502


def serial(lab, port, name="r.test"):
    return lab.at("sh", "-c", f"openssl s_client -connect {LB}:{port} -servername {name} "
                  "</dev/null 2>/dev/null | openssl x509 -noout -serial", check=False).strip()


RELOADED = """
  site:
    listen: "lb1:443"
    servers: ["web1:9000"]
    check: none
    tls: DIR/r.pem
    timeouts: {head: 1m}
"""


@pytest.fixture
def other(tmp_path_factory, folder):
    """A load balancer of its own, whose certificate changes."""
    make_certificate(folder, "r", ["r.test"])
    with Lab(tmp_path_factory.mktemp("proxy")) as made:
        made.serve("web1", 9000, echo("web1"))
        made.start(RELOADED.replace("DIR", folder))
        yield made


def test_new_certificate_without_a_closed_connection(other, folder):
    until(lambda: other.fact("proxy tls site").startswith("ok until "), "it has one")
    kept = secure(other, folder, 443, name="r.test")
    ask(kept)
    waiting = other.connect(443)  # its handshake sees the new one
    old = serial(other, 443)
    make_certificate(folder, "r", ["r.test"])
    other.order("reload")
    until(lambda: serial(other, 443) not in (old, ""), "the new certificate is shown")
    new = serial(other, 443)
    ask(kept)
    ask(secure_over(waiting, folder, "r.test"))
    # What is no certificate leaves the good one where it is, and is told.
    with open(f"{folder}/r.pem", "w", encoding="utf-8") as f:
        f.write("-----BEGIN NONSENSE-----\n")
    refused = other.control("reload")
    assert not refused["ok"] and "generation" in refused["error"]
    assert (f"TLS of service site: {folder}/r.pem: has no certificate "
            "(what was there before stays in use)") in refused["error"]
    until(lambda: other.fact("proxy tls site").startswith("warn "), "the fact tells")
    assert f"{folder}/r.pem: has no certificate" in other.fact("proxy tls site")
    assert serial(other, 443) == new
    ask(kept)
    kept.close()
    os.unlink(f"{folder}/r.pem")
    assert "No such file" in other.control("reload")["error"]
    until(lambda: "No such file" in other.fact("proxy tls site"), "the fact tells")
    make_certificate(folder, "r", ["r.test"])
    os.chmod(f"{folder}/r.pem", 0o644)
    other.order("reload")
    until(lambda: "everybody may read its key" in other.fact("proxy tls site"), "a warning")
    assert other.fact("proxy tls site").startswith("note ")
    assert serial(other, 443) not in (old, new, "")


def secure_over(plain, folder, name):
    context = ssl.create_default_context(cafile=f"{folder}/ca.crt")
    return Stream(context.wrap_socket(plain.sock, server_hostname=name))


def test_reloads_under_load(other, folder):
    """Keep-alive and new connections, while certificates come and go: none fails."""
    failures, rounds, over = [], [], threading.Event()

    def client(keep):
        stream = None
        while not over.is_set():
            try:
                stream = stream or secure(other, folder, 443, name="r.test")
                assert ask(stream)[0].status == 200
                rounds.append(1)
            except (OSError, EOFError, AssertionError) as e:
                failures.append(repr(e))
                return
            if not keep:
                stream.close()
                stream = None

    clients = [threading.Thread(target=client, args=(n % 2 == 0,)) for n in range(6)]
    for c in clients:
        c.start()
    for _ in range(5):
        old = serial(other, 443)
        make_certificate(folder, "r", ["r.test"])
        other.order("reload")
        until(lambda: serial(other, 443) not in (old, ""), "the new certificate is shown")
        had = len(rounds)
        until(lambda: failures or len(rounds) > had + 20, "requests go on")
    over.set()
    for c in clients:
        c.join()
    assert not failures


def test_tickets_survive_the_process(other, folder):
    """Another process, or load balancer, derives the same keys of tickets."""
    context = ssl.create_default_context(cafile=f"{folder}/ca.crt")
    first = secure(other, folder, 443, name="r.test", context=context)
    ask(first)
    pid = json.loads(other.at(NINES, "status", "--json", "--run-dir", other.run_dir, check=False))
    proxy = next(p for p in pid["parts"] if p["name"] == "proxy")
    os.kill(proxy["pid"], 9)
    until(lambda: serial(other, 443) != "", "the spare serves")
    again = secure(other, folder, 443, name="r.test", context=context,
                   session=first.sock.session)
    ask(again)
    assert again.sock.session_reused
    again.close()


def test_service_without_tls_has_no_fact(other, folder):
    until(lambda: other.fact("proxy tls site").startswith("ok"), "the fact")
    other.write(RELOADED.replace("DIR", folder).replace("  site:", "  renamed:"))
    other.order("reload")
    until(lambda: other.fact("proxy tls renamed").startswith("ok"), "the new fact")
    until(lambda: other.fact("proxy tls site") == "", "the old one is gone")
    other.write('  renamed: {listen: "lb1:443", servers: ["web1:9000"], check: none}\n')
    other.order("reload")
    until(lambda: other.fact("proxy tls renamed") == "", "no fact")
    assert other.get(443)[0].status == 200


def test_stapling(other, folder):
    make_certificate(folder, "r", ["r.test"])
    with open(f"{folder}/index.txt", "w", encoding="utf-8") as f:
        number = run("openssl", "x509", "-in", f"{folder}/r.crt", "-noout",
                     "-serial").strip().split("=")[1]
        f.write(f"V\t350101000000Z\t\t{number}\tunknown\t/CN=r.test\n")
    openssl("ocsp", "-issuer", f"{folder}/ca.crt", "-cert", f"{folder}/r.crt", "-reqout",
            f"{folder}/r.req")
    openssl("ocsp", "-index", f"{folder}/index.txt", "-CA", f"{folder}/ca.crt", "-rsigner",
            f"{folder}/ca.crt", "-rkey", f"{folder}/ca.key", "-ndays", "2", "-reqin",
            f"{folder}/r.req", "-respout", f"{folder}/r.pem.ocsp")
    other.order("reload")

    def stapled():
        return "Cert Status: good" in other.at(
            "sh", "-c", f"openssl s_client -status -connect {LB}:443 -servername r.test "
            "</dev/null 2>/dev/null")
    try:
        until(stapled, "the answer is stapled")
    finally:
        os.unlink(f"{folder}/r.pem.ocsp")


def test_check_warns_of_expiry(other, folder):
    def findings():
        out = run(NINES, "check", "--json", other.file, check=False)
        return [(f["severity"], f["code"]) for f in json.loads(out)["findings"]]

    make_certificate(folder, "r", ["r.test"], days=31)
    assert findings() == []
    make_certificate(folder, "r", ["r.test"], days=29)
    assert findings() == [("warning", "certificate-expires")]
    make_certificate(folder, "r", ["r.test"], days=0)
    assert findings() in ([("warning", "certificate-expired")],
                          [("warning", "certificate-expires")])
    make_certificate(folder, "q", ["r.test"], days=31)
    make_certificate(folder, "r", ["r.test"], days=31)
    for parts, said in ((["r.crt"], "no-key"), (["r.crt", "q.key"], "wrong-key"), (["r.key", "r.crt"], None)):
        with open(f"{folder}/r.pem", "wb") as out:
            for part in parts:
                with open(f"{folder}/{part}", "rb") as f:
                    out.write(f.read())
        assert findings() == ([("warning", said)] if said else [])
    with open(f"{folder}/r.pem", "w", encoding="utf-8") as f:
        f.write("nonsense")
    assert findings() == [("warning", "no-certificate")]
    os.unlink(f"{folder}/r.pem")
    assert findings() == [("warning", "file-unreadable")]


def test_expiry_is_told(other, folder):
    make_certificate(folder, "r", ["r.test"], days=10)
    other.order("reload")
    ends = run("openssl", "x509", "-in", f"{folder}/r.crt", "-noout", "-enddate")
    day = run("date", "-u", "-d", ends.split("=")[1].strip(), "+%Y-%m-%d").strip()
    until(lambda: other.fact("proxy tls site") == f"ok until {day}", "the fact tells")


def test_hsts_on_own_pages(lab, folder):
    stream = secure(lab, folder, 443)
    assert ask(stream, "/own")[0].all("strict-transport-security") == ["max-age=86400"]
    assert ask(stream, "/mine")[0].all("strict-transport-security") == ["max-age=1"]
    stream.send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
    head, _ = stream.answer()
    assert head.status == 400 and head["strict-transport-security"] == "max-age=86400"
    stream.close()
    # Not without TLS, where anybody could have written it.
    head, _ = lab.get(80, "/own")
    assert head.status == 308 and head["strict-transport-security"] is None


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_route_by_name(lab, folder, version):
    for name, said in (("b.test", "it is b"), ("a.test", "web1")):
        text = lab.curl("--cacert", f"{folder}/ca.crt", "--resolve", f"{name}:443:{LB}", version,
                        f"https://{name}/name", "-w", " %{http_version}")
        assert said in text and text.endswith(" 2" if version == "--http2" else " 1.1")


FORGED = ("X-Client-Cert-Subject: CN=root\r\nx-client-cert-verified: yes\r\n"
          "X_Client_Cert_Fingerprint: 00\r\nX-Client-Cert_Other: 1\r\n")


def told(fields):
    return {n: v for n, v in fields if n.lower().replace("_", "-").startswith("x-client-cert")}


def test_client_certificate_for_servers(lab, folder):
    stream = secure(lab, folder, 446, cert=f"{folder}/user.pem")
    got = told(json.loads(ask(stream, "/", FORGED)[1])["fields"])
    text = run("openssl", "x509", "-in", f"{folder}/user.pem", "-noout", "-serial",
               "-fingerprint", "-sha256").lower().replace(":", "")
    assert got == {
        "x-client-cert-subject": "CN=user", "x-client-cert-issuer": "CN=authority",
        "x-client-cert-serial": text.split("serial=")[1].split("\n")[0],
        "x-client-cert-fingerprint": text.split("fingerprint=")[1].split("\n")[0],
        "x-client-cert-verified": "yes"}
    stream.close()
    # Without a certificate nothing is said, whatever the client says.
    stream = secure(lab, folder, 447)
    assert not told(json.loads(ask(stream, "/", FORGED)[1])["fields"])
    stream.close()
    # A service that asks for none passes on what it gets.
    stream = secure(lab, folder, 443)
    assert len(told(json.loads(ask(stream, "/", FORGED)[1])["fields"])) == 4
    stream.close()
    # Each stream of HTTP/2 is told as well; a name with a line break stays one line.
    make_certificate(folder, "odd", ["odd"])
    openssl("req", "-new", "-key", f"{folder}/odd.key", "-subj", "/CN=a\r\nX-Evil: 1/O=caf\u00e9",
            "-utf8", "-out", f"{folder}/odd.csr")
    openssl("x509", "-req", "-in", f"{folder}/odd.csr", "-CA", f"{folder}/ca.crt", "-CAkey",
            f"{folder}/ca.key", "-CAcreateserial", "-out", f"{folder}/odd.crt")
    text = lab.curl("--cacert", f"{folder}/ca.crt", "--resolve", f"a.test:446:{LB}", "--http2",
                    "--cert", f"{folder}/odd.crt", "--key", f"{folder}/odd.key",
                    "https://a.test:446/", "-H", "X-Client-Cert-Verified: no")
    fields = json.loads(text)["fields"]
    assert told(fields)["x-client-cert-subject"] == r"O=caf\C3\A9,CN=a\0D\0AX-Evil: 1"
    assert told(fields)["x-client-cert-verified"] == "yes"
    assert "x-evil" not in dict(fields)
