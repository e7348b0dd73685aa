# SPDX-License-Identifier: Apache-2.0
"""The part `health` against real servers; and inside a real `nines run`.

    one namespace, everything on its loopback:

      10.9.0.1  lb1: nines run, or `nines part health` with this test as its supervisor
      10.9.0.2  web1: nginx (80xx plain, 84xx TLS) and small servers of this test
      10.9.0.3  web2: nobody
      fd00:9::2 web1 over IPv6
      192.0.2.1 swallows every packet (a route to nowhere)
"""
import fcntl
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile

import pytest
from kit import DEADLINE, NINES, until

needs_nginx = pytest.mark.skipif(shutil.which("nginx") is None, reason="needs nginx")

SERVER = r"""
import os, socket, sys, threading, time
how, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
s = socket.create_server((host, port), backlog=128)
def serve(c):
    try:
        data = c.recv(4096)
        if how == "chunked":
            c.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                      b"3\r\nall\r\n6\r\n is we\r\n2\r\nll\r\n0\r\n\r\n")
        elif how == "ssh":
            c.sendall(b"SSH-2.0-lost\r\n")
        elif how == "close":
            pass
        elif how == "hang":
            time.sleep(60)
        elif how == "echo":
            body = data.replace(b"\r\n", b"|")
            c.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + body)
        elif how == "file":
            with open(sys.argv[4]) as f:
                c.sendall(b"HTTP/1.0 %d x\r\n\r\n" % int(f.read()))
    except OSError:
        pass
    finally:
        c.close()
while True:
    c, _ = s.accept()
    if how != "tcp":
        threading.Thread(target=serve, args=(c,), daemon=True).start()
    else:
        c.close()
"""

NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log info;
events {{ worker_connections 64; }}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{
    listen 10.9.0.2:8080; listen [fd00:9::2]:8080;
    location /health {{ return 200 "fine\\n"; }}
    location /sick {{ return 503; }}
    location /from {{ return 200 "from $remote_addr\\n"; }}
    location / {{ root {folder}; }}
  }}
  server {{
    listen 10.9.0.2:8090 proxy_protocol;
    location /health {{ return 200 "fine\\n"; }}
  }}
  ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
  server {{ listen 10.9.0.2:8443 ssl default_server; ssl_reject_handshake on; }}
  server {{
    listen 10.9.0.2:8443 ssl; listen 10.9.0.2:8490 ssl proxy_protocol;
    server_name app.example;
    location / {{ return 200 "secret\\n"; }}
  }}
}}
"""


class Place:
    """The namespace and the programs in it."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="nines-health-")
        os.chmod(self.folder, 0o755)  # programs run as nobody
        self.space = f"health-{os.getpid()}"
        self.procs = []
        for words in (["netns", "add", self.space],
                      ["-n", self.space, "link", "set", "lo", "up"],
                      *(["-n", self.space, "addr", "add", a, "dev", "lo"]
                        for a in ("10.9.0.1/32", "10.9.0.2/32", "10.9.0.3/32")),
                      ["-n", self.space, "addr", "add", "fd00:9::2/128", "dev", "lo"],
                      ["-n", self.space, "addr", "add", "fd00:9::1/128", "dev", "lo"],
                      ["-n", self.space, "link", "add", "drain0", "type", "veth",
                       "peer", "name", "drain1"],
                      ["-n", self.space, "link", "set", "drain0", "up"],
                      ["-n", self.space, "link", "set", "drain1", "up"],
                      ["-n", self.space, "route", "add", "192.0.2.1", "dev", "drain0"],
                      ["-n", self.space, "neigh", "add", "192.0.2.1", "dev", "drain0",
                       "lladdr", "02:00:00:00:00:01"]):
            subprocess.run(["ip", *words], check=True, capture_output=True)

    def start(self, *words, **more):
        p = subprocess.Popen(["ip", "netns", "exec", self.space, *words],
                             stdin=subprocess.DEVNULL, **more)
        self.procs.append(p)
        return p

    def connects(self, host, port):
        return subprocess.run(
            ["ip", "netns", "exec", self.space, sys.executable, "-c",
             "import socket,sys; socket.create_connection((sys.argv[1], int(sys.argv[2])))",
             host, str(port)], capture_output=True, check=False).returncode == 0

    def server(self, how, port, *more, host="10.9.0.2"):
        p = self.start(sys.executable, "-c", SERVER, how, host, str(port), *more)
        until(lambda: self.connects(host, port), f"{how} listens on {port}")
        return p

    def end(self, p, signo=signal.SIGTERM):
        p.send_signal(signo)
        p.wait(DEADLINE)
        self.procs.remove(p)

    def close(self):
        for p in self.procs:
            p.kill()
            p.wait()
        left = subprocess.run(["ip", "netns", "pids", self.space], check=False,
                              capture_output=True, text=True).stdout.split()
        for pid in left:
            os.kill(int(pid), signal.SIGKILL)
        subprocess.run(["ip", "netns", "del", self.space], check=True)
        shutil.rmtree(self.folder)


@pytest.fixture(scope="module", name="place")
def fixture_place():
    place = Place()
    try:
        yield place
    finally:
        place.close()


@pytest.fixture(scope="module", name="nginx")
def fixture_nginx(place):
    folder = place.folder
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{folder}/key.pem",
                    "-out", f"{folder}/cert.pem", "-days", "2", "-subj",
                    "/CN=app.example", "-addext", "subjectAltName=DNS:app.example"],
                   check=True, capture_output=True)
    with open(f"{folder}/nginx.conf", "w", encoding="ascii") as f:
        f.write(NGINX.format(folder=folder))
    with open(f"{folder}/big", "wb") as f:
        f.write(b"x" * 3_000_000)
    place.start("nginx", "-p", folder, "-c", f"{folder}/nginx.conf",
                stderr=subprocess.DEVNULL)
    until(lambda: place.connects("10.9.0.2", 8443), "nginx listens")
    return place


HEAD = """
cluster: t
networks: {four: 10.9.0.0/24, six: "fd00:9::/64"}
hosts:
  lb1:  {four: 10.9.0.1, six: "fd00:9::1"}
  web1: {four: 10.9.0.2, six: "fd00:9::2"}
  web2: {four: 10.9.0.3}
"""


def cluster(floating_ips="", **services):
    text = HEAD
    if floating_ips:
        text += "floating_ips:\n  " + floating_ips + "\n"
    text += "services:\n"
    for port, (name, rest) in enumerate(services.items(), 9001):
        text += f"  {name}: {{listen: lb1:{port}, {rest}}}\n"
    return text


(CONFIG, STATS, FACT, ACTIVATE, SOCKET, COMMAND, PING, STOP, READY, PUBLISH, WANT, DROP,
 REPLY, PONG, STOPPED) = range(15)


class Part:
    """`nines part health`, with the test as its supervisor (part_wire.h)."""

    def __init__(self, place, text, replay=()):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.place, self.link, self.facts, self.history = place, ours, {}, []
        self.ready = 0
        self.stopped = False
        self.proc = place.start(
            "bash", "-c", f"exec 3<&{theirs.fileno()} && exec {NINES} part health",
            pass_fds=[theirs.fileno()], stderr=subprocess.DEVNULL)
        theirs.close()
        counters = os.memfd_create("counters")
        os.ftruncate(counters, 4 << 20)
        self.send(STATS, fd=counters)
        self.config(text)
        for key, value in replay:
            self.fact(key, value)
        self.send(ACTIVATE)

    def send(self, kind, key="", value="", fd=None, number=0):
        packet = struct.pack("!BBQI", 1, kind, number, 0)
        for s in (key, value):
            packet += struct.pack("!H", len(s)) + s.encode()
        if fd is None:
            self.link.send(packet)
        else:
            socket.send_fds(self.link, [packet], [fd])
            os.close(fd)

    def config(self, text):
        fd = os.memfd_create("cluster", os.MFD_ALLOW_SEALING)
        os.write(fd, text.encode())
        fcntl.fcntl(fd, 1033, 0xF)  # F_ADD_SEALS: seal, shrink, grow, write
        before = self.ready
        self.send(CONFIG, "lb1", fd=fd, number=before + 1)
        until(lambda: self.hear() and self.ready > before, "generation adopted")

    def fact(self, key, value):
        self.send(FACT, key, value)

    def hear(self, said=None):
        """All that there is, or up to the next value of the fact `said`."""
        while True:
            try:
                packet = self.link.recv(65536, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return True
            if not packet:
                return True
            kind, number = packet[1], struct.unpack("!Q", packet[2:10])[0]
            n = struct.unpack("!H", packet[14:16])[0]
            key = packet[16:16 + n].decode()
            m = struct.unpack("!H", packet[16 + n:18 + n])[0]
            value = packet[18 + n:18 + n + m].decode()
            if kind == PUBLISH:
                self.facts[key] = value
                self.history.append((key, value))
                if key == said:
                    return True
            elif kind == READY:
                self.ready = number
            elif kind == STOPPED:
                self.stopped = True

    def wait(self, key, *starts):
        """The first value of `key`, from now on, that begins as one of `starts`."""
        def look():
            if not self.facts.get(key, "").startswith(starts):
                self.hear(key)  # one at a time, so that none is passed over
            value = self.facts.get(key, "")
            return value if value.startswith(starts) else None
        return until(look, f"{key} is {starts}; it is {self.facts.get(key)}")

    def said(self, key):
        self.hear()
        return [v for k, v in self.history if k == key]

    def close(self):
        self.send(STOP)
        until(lambda: self.hear() and self.stopped, "the part stopped")
        assert self.proc.wait(DEADLINE) == 0
        self.place.procs.remove(self.proc)
        self.link.close()


FAST = "every: 30ms, timeout: 30s"  # of servers that answer, however busy the machine
HASTY = "every: 30ms, timeout: 200ms"


def test_tcp(place):
    server = place.server("tcp", 8001)
    part = Part(place, cluster(site=f"servers: [web1:8001, web2:8001], "
                                    f"check: {{tcp: true, {FAST}}}"))
    assert part.wait("server site web1:8001", "up", "down") == "up"
    assert part.wait("server site web2:8001", "up", "down") == \
        "down connection refused (3 of 3)"
    assert part.said("server site web1:8001") == ["unknown", "up"]
    assert part.said("connect site web1:8001")[0].endswith(" ms")
    assert part.said("connect site web2:8001") == []  # nobody was there
    assert part.wait("service site", "up") == "up 1/2"
    place.end(server)
    part.wait("server site web1:8001", "down connection re")
    assert part.wait("service site", "down").startswith(
        "down 0/2 servers are healthy; web1:8001: connection re")
    server = place.server("tcp", 8001)
    part.wait("server site web1:8001", "up")
    part.wait("service site", "up 1/2")
    place.end(server)
    part.close()


def test_black_hole(place):
    part = Part(place, cluster(
        site="servers: ['192.0.2.1:80'], check: {tcp: true, every: 20ms, timeout: 30ms}"))
    assert part.wait("server site 192.0.2.1:80", "up", "down") == \
        "down no answer within 30 ms (3 of 3)"
    part.close()


@needs_nginx
@pytest.mark.parametrize("check, verdict", [
    ("path: /health", "up"),
    ("path: /health, method: HEAD", "up"),
    ("path: /health, body: fine", "up"),
    ("path: /health, body: ill", 'down HTTP 200 without the text "ill" (3 of 3)'),
    ("path: /health, method: HEAD, body: fine",
     'down HTTP 200 without the text "fine" (3 of 3)'),
    ("path: /sick", "down HTTP 503, wanted 200-399 (3 of 3)"),
    ("path: /sick, status: 503", "up"),
    ("path: /health, status: 204", "down HTTP 200, wanted 204 (3 of 3)"),
    ("path: /big", "up"),
    ("path: /big, body: y", "down the answer is too long to look at (3 of 3)"),
    ("path: /health, port: 8443", "down HTTP 400, wanted 200-399 (3 of 3)"),
    ("https: true, port: 8443, host: app.example, body: secret", "up"),
    ("https: true, port: 8443, host: 'app.example:444'", "up"),
    ("https: true, port: 8443, host: other.example", "down TLS: "),
    ("https: true, port: 8443, host: app.example, verify: true",
     "down certificate: self-signed certificate (3 of 3)"),
    ("https: true", "down TLS: wrong version number (3 of 3)"),
])
def test_nginx(nginx, check, verdict):
    part = Part(nginx, cluster(site=f"servers: [web1:8080], "
                                    f"check: {{{check}, {FAST}}}"))
    assert part.wait("server site web1:8080", "up", "down").startswith(verdict)
    part.close()


@needs_nginx
@pytest.mark.parametrize("version, check, verdict", [
    ("none", "path: /health", "down "),
    ("v1", "path: /health", "up"),
    ("v2", "path: /health", "up"),
    ("v2", "tcp: true", "up"),
    ("v1", "https: true, port: 8490, host: app.example", "down "),  # another program's port
    ("v2", "path: /health, port: 8080", "up"),
])
def test_servers_that_want_a_proxy_header(nginx, version, check, verdict):
    part = Part(nginx, cluster(site=f"servers: [web1:8090], proxy_protocol: {version}, "
                                    f"check: {{{check}, {FAST}}}"))
    assert part.wait("server site web1:8090", "up", "down").startswith(verdict)
    part.close()


@needs_nginx
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_proxy_header_in_front_of_tls(nginx, version):
    part = Part(nginx, cluster(site=f"servers: [web1:8490], proxy_protocol: {version}, "
                                    f"check: {{https: true, host: app.example, {FAST}}}"))
    assert part.wait("server site web1:8490", "up", "down") == "up"
    part.close()


@needs_nginx
@pytest.mark.parametrize("source, verdict", [("10.9.0.3", "up"), ("10.9.0.1", "down ")])
def test_asked_from_where_clients_come(nginx, source, verdict):
    part = Part(nginx, cluster(site=f"servers: [web1:8080], source: {source}, check: "
                                    f"{{path: /from, body: from 10.9.0.3, {FAST}}}"))
    assert part.wait("server site web1:8080", "up", "down").startswith(verdict)
    part.close()


@needs_nginx
def test_ipv6_and_manners(nginx):
    # Rare enough that the end of the part meets none, and no time-out cuts one off.
    part = Part(nginx, cluster(site="servers: ['[fd00:9::2]:8080'], "
                                    "check: {path: /health, every: 3s, timeout: 30s}"))
    part.wait("server site [fd00:9::2]:8080", "up")
    part.close()
    until(lambda: '"GET /health HTTP/1.1" 200' in pathlib.Path(nginx.folder, "access.log").read_text(
        encoding="ascii"), "nginx's line, which comes after the answer")
    # Closing while nginx was still sending would be an entry at level info.
    with open(nginx.folder + "/error.log", errors="replace", encoding="ascii") as f:
        assert not [line for line in f if "reset by peer" in line and "client: fd00:" in line]


@pytest.mark.parametrize("how, check, verdict", [
    ("chunked", "path: /, body: all is well", "up"),
    ("chunked", "path: /, body: we2", 'down HTTP 200 without the text "we2" (3 of 3)'),
    ("ssh", "path: /",
     'down the answer is not HTTP: it begins "SSH-2.0-lost" (3 of 3)'),
    ("close", "path: /", "down connection closed without an answer (3 of 3)"),
    ("hang", "path: /", "down no answer within 200 ms (3 of 3)"),
    ("hang", "tcp: true", "up"),
    ("close", "https: true", "down connection closed during TLS (3 of 3)"),
    ("echo", "path: '/x?y=z', method: PURGE, body: 'PURGE /x?y=z HTTP/1.1|Host: a.b|'"
             ", host: a.b", "up"),
    ("echo", "path: /, body: '|Host: 10.9.0.2:8002|'", "up"),
])
def test_odd_servers(place, how, check, verdict):
    server = place.server(how, 8002)
    pace = HASTY if "no answer" in verdict else FAST
    part = Part(place, cluster(site=f"servers: [web1:8002], check: {{{check}, {pace}}}"))
    assert part.wait("server site web1:8002", "up", "down") == verdict
    part.close()
    place.end(server)


def alive(name):
    return [p for p in os.listdir("/proc") if p.isdigit() and name in cmdline(p)]


def cmdline(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().decode(errors="replace")
    except OSError:
        return ""


def test_exec(place):
    script = os.path.join(place.folder, "check.sh")
    mark = f"86{os.getpid()}"
    with open(script, "w", encoding="ascii") as f:
        f.write("#!/bin/sh\ncase $1 in\n"
                "env) [ \"$NINES_SERVICE $NINES_SERVER $NINES_ADDRESS $NINES_PORT\" = "
                "\"one web1:8001 10.9.0.2 8001\" ] && read x && exit 1; "
                "[ \"$NINES_SERVICE\" = one ] && ! [ -e /proc/self/fd/4 ];;\n"
                "sick) echo 'disk full'; echo more; exit 3;;\n"
                "much) head -c 300000 /dev/zero; exit 0;;\n"
                "dead) kill -9 $$;;\n"
                f"hang) sleep {mark} & sleep {mark};;\nesac\n")
    os.chmod(script, 0o755)

    def one(word, path=script, timeout="30s"):
        return (f"servers: [web1:8001], check: {{exec: [{path}, {word}], every: 50ms, "
                f"timeout: {timeout}}}")
    part = Part(place, cluster(one=one("env"), two=one("sick"), three=one("much"),
                               four=one("dead"), five=one("hang", timeout="300ms"),
                               six=one("x", "/nonexistent/check")))
    for name, verdict in (
            ("one", "up"), ("two", "down exit status 3: disk full (3 of 3)"),
            ("three", "up"), ("four", "down ended by SIGKILL (3 of 3)"),
            ("five", "down no answer within 300 ms (3 of 3)"),
            ("six", "down cannot run /nonexistent/check: No such file or directory "
                    "(3 of 3)")):
        assert part.wait(f"server {name} web1:8001", "up", "down") == verdict
    until(lambda: alive(mark), "a check hangs")
    part.close()
    until(lambda: not alive(mark), "nothing is left of hung checks")


def test_passive(place):
    server = place.server("tcp", 8003)
    part = Part(place, cluster(site="servers: [web1:8003, web2:8003], "
                                    "check: {tcp: true, every: 1s, rise: 2}"))
    key = "server site web1:8003"
    part.wait(key, "up")
    part.fact("passive site web1:8003", "fail 1 Connection refused")
    assert part.wait(key, "down") == "down connection refused, by real traffic"
    part.wait(key, "up")
    assert part.said(key) == \
        ["unknown", "up", "down connection refused, by real traffic", "up"]
    # The same again is a failure again; a withdrawal and strangers' names are not.
    part.fact("passive site web1:8003", "fail 2 connection reset")
    assert part.wait(key, "down") == "down connection reset, by real traffic"
    part.wait(key, "up")
    part.fact("passive site web1:8003", "")
    part.fact("passive site web9:8003", "fail 1 x")
    part.fact("passive nothing web1:8003", "fail 1 x")
    place.end(server)
    part.wait(key, "down connection refused (3 of 3)")
    assert len(part.said(key)) == 7
    part.close()


def test_no_check(place):
    part = Part(place, cluster(site="servers: [web1:8004], check: none"))
    part.wait("server site web1:8004", "up")
    part.fact("passive site web1:8004", "fail 1 connection refused")
    part.config(cluster(site=f"servers: [web1:8004], check: {{tcp: true, {FAST}}}"))
    part.wait("server site web1:8004", "down connection refused (3 of 3)")
    assert part.said("server site web1:8004") == \
        ["up", "unknown", "down connection refused (3 of 3)"]
    part.close()


def test_reload(place):
    servers = [place.server("tcp", 8005), place.server("tcp", 8006)]
    check = f"check: {{tcp: true, {FAST}}}"
    part = Part(place, cluster(
        one=f"servers: [web1:8005, web2:8005, web1:8006], {check}",
        two=f"servers: [web1:8006], {check}"))
    part.wait("service one", "up 2/3")
    part.wait("server one web2:8005", "down")
    part.wait("service two", "up")
    part.history.clear()
    # One server and one service go, a service comes, a check changes.
    part.config(cluster(
        one="servers: [web2:8005, web1:8005], check: {tcp: true, every: 40ms, fall: 9}",
        three=f"servers: [web1:8006], {check}"))
    part.wait("service three", "up 1/1")
    part.wait("service one", "up 1/2")
    assert part.facts["server one web1:8006"] == ""
    assert part.facts["server two web1:8006"] == ""
    assert part.facts["service two"] == ""
    assert part.said("server one web1:8005") == []
    assert part.said("service one") == ["up 1/2"]
    # Down by the old rules until the new ones say so, too.
    assert part.wait("server one web2:8005", "down connection refused (9 of 9)")
    assert set(v.split()[0] for v in part.said("server one web2:8005")) == {"down"}
    part.close()
    for s in servers:
        place.end(s)


def test_restart(place):
    server = place.server("tcp", 8007)
    text = cluster(site=f"servers: [web1:8007, web2:8007], check: {{tcp: true, {FAST}}}")
    part = Part(place, text, replay=[
        ("server site web1:8007", "up"),
        ("server site web2:8007", "down connection refused (3 of 3)"),
        ("service site", "up 1/2"),
        ("passive site web1:8007", "fail 7 connection reset"),
        ("server gone web1:80", "up"),
        ("connect gone web1:80", "4 ms"),
        ("service gone", "up 1/1"),
    ])
    until(lambda: part.hear() and len(part.history) >= 3, "what is gone is withdrawn")
    place.end(server)
    part.wait("service site", "down")
    assert part.said("server gone web1:80") == part.said("connect gone web1:80") == [""]
    assert part.said("service gone") == [""]
    assert part.said("server site web2:8007") == []
    assert len(part.said("server site web1:8007")) == 1
    assert len(part.said("service site")) == 1
    part.close()


def nines(place, *words):
    return subprocess.run(
        ["ip", "netns", "exec", place.space, NINES, *words, "--run-dir",
         place.folder + "/run"], capture_output=True, text=True, check=False)


def facts(place):
    try:
        answer = json.loads(nines(place, "status", "--json").stdout)
        return {f["key"]: f["value"] for f in answer["facts"]}
    except (ValueError, KeyError):
        return {}


def pid_of(place):
    answer = json.loads(nines(place, "status", "--json").stdout)
    return [p.get("pid") for p in answer["parts"] if p["name"] == "health"][0]


def wait_fact(place, key, start):
    until(lambda: facts(place).get(key, "").startswith(start), f"{key} is {start}")


def test_in_nines(place):
    """Pings, and the part's death and return, with the real supervisor."""
    state = os.path.join(place.folder, "state")
    with open(state, "w", encoding="ascii") as f:
        f.write("200")
    server = place.server("file", 8010, state)
    config = os.path.join(place.folder, "cluster.yaml")
    with open(config, "w", encoding="ascii") as f:
        f.write(cluster(
            "near: {address: 10.9.0.100, hosts: [lb1, web2], check: {ping: 10.9.0.2, "
            "every: 50ms}}\n  far: {address: 10.9.0.101, hosts: [lb1, web2], check: "
            "{ping: 192.0.2.1, every: 50ms, timeout: 100ms}}\n  six: {address: "
            "'fd00:9::99', hosts: [lb1, web1], check: {ping: 'fd00:9::2', every: 50ms}}"
            "\n  here: {address: 10.9.0.102, hosts: [lb1, web2], check: {path: /, "
            "port: 8010, every: 50ms}}",
            site=f"servers: [web1:8010], check: {{path: /, {FAST}}}"))
    own = place.server("file", 8010, state, host="10.9.0.1")
    p = place.start(NINES, "run", "--host", "lb1", "-f", config, "--run-dir",
                    place.folder + "/run", stderr=subprocess.DEVNULL)
    wait_fact(place, "check near", "up")
    wait_fact(place, "check far", "down no answer within 100 ms (3 of 3)")
    wait_fact(place, "check six", "up")
    wait_fact(place, "check here", "up")
    wait_fact(place, "service site", "up 1/1")
    before = pid_of(place)
    os.kill(before, signal.SIGKILL)
    until(lambda: pid_of(place) not in (0, None, before), "a new process")
    assert facts(place)["server site web1:8010"] == "up"
    assert facts(place)["check far"].startswith("down")
    with open(state, "w", encoding="ascii") as f:
        f.write("500")
    wait_fact(place, "server site web1:8010", "down HTTP 500, wanted 200-399")
    wait_fact(place, "check here", "down HTTP 500, wanted 200-399")
    place.end(p)
    for s in (server, own):
        place.end(s)


def test_real_traffic(place):
    """The proxy meets a dead server long before its check would."""
    servers = [place.server("echo", 8011, host=h) for h in ("10.9.0.2", "10.9.0.3")]
    config = os.path.join(place.folder, "cluster.yaml")
    with open(config, "w", encoding="ascii") as f:
        f.write(cluster(site="servers: [web1:8011, web2:8011], "
                             "check: {tcp: true, every: 5s, fall: 10}"))
    p = place.start(NINES, "run", "--host", "lb1", "-f", config, "--run-dir",
                    place.folder + "/run", stderr=subprocess.DEVNULL)
    wait_fact(place, "service site", "up 2/2")
    wait_fact(place, "proxy listen", "up")
    place.end(servers.pop())

    def met():
        """Each of the workers, as many as processors, begins with a server by chance."""
        got = subprocess.run(
            ["ip", "netns", "exec", place.space, sys.executable, "-c",
             "import urllib.request as r; print(r.urlopen('http://10.9.0.1:9001/').status)"],
            capture_output=True, text=True, check=False)
        assert got.stdout == "200\n", got.stderr
        return facts(place).get("server site web2:8011", "").startswith(
            "down connection refused, by real traffic")
    until(met, "the proxy meets it")
    assert facts(place)["server site web1:8011"] == "up"
    servers.append(place.server("echo", 8011, host="10.9.0.3"))
    wait_fact(place, "server site web2:8011", "up")
    place.end(p)
    for s in servers:
        place.end(s)
