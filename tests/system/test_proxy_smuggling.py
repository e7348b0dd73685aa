# SPDX-License-Identifier: Apache-2.0
"""Ambiguous requests (smuggling.txt) through three fronts.

      client 10.9.0.9 ──> lb1 10.9.0.1:80 nines,   :8002 nginx, :8003 haproxy
                                 │                    │               │
                             web1:8101            web1:8102       web1:8103   (recording)

nines passes on nothing that a strict parser refuses. What it passes has the framing that
the strict parser sees, and so have the same bytes by way of the others, where they pass.
"""
import pathlib
import re
import shutil

import pytest

from proxylab import DEADLINE, LB, WEB, Lab, until

pytestmark = [
    pytest.mark.skipif(not shutil.which("nginx") or not shutil.which("haproxy"),
                       reason="needs nginx and haproxy")]

SERVICES = """
  site: {listen: "lb1:80", servers: ["web1:8101"], check: none}
"""
NGINX = """daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log /dev/null;
events {{}}
http {{
  access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen {lb}:8002;
    location / {{ proxy_pass http://{web}:8102; proxy_http_version 1.1; }} }}
}}
"""
HAPROXY = """defaults
  mode http
  timeout connect 5s
  timeout client 10s
  timeout server 10s
frontend f
  bind {lb}:8003
  default_backend b
backend b
  server s {web}:8103
"""
FRONTS = {"nines": (80, 8101), "nginx": (8002, 8102), "haproxy": (8003, 8103)}
PROBE = b"GET /probe HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def corpus():
    path = pathlib.Path(__file__).with_name("smuggling.txt")
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, text = line.split(" ", 1)
            yield name, text.encode().decode("unicode_escape").encode("latin-1")


class Refused(Exception):
    pass


# --- the strict parser ----------------------------------------------------------------

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
VALUE = rb"[\t\x20-\x7e\x80-\xff]*"


def need(what, why):
    if not what:
        raise Refused(why)
    return what


def strict_head(data):
    """(method, target, fields, rest) by RFC 9112, without any of its leniencies but the
    empty line before a request."""
    if data.startswith(b"\r\n"):
        data = data[2:]
    head, _, rest = data.partition(b"\r\n\r\n")
    need(b"\r\n\r\n" in data, "no end")
    first, *lines = head.split(b"\r\n")
    line = need(re.fullmatch(rb"(" + TOKEN + rb") ([!-~]+) HTTP/1\.([0-9])", first), "line")
    fields = []
    for text in lines:
        m = need(re.fullmatch(rb"(" + TOKEN + rb"):[ \t]*(" + VALUE + rb")", text), "field")
        fields.append((m[1].lower(), m[2].strip(b" \t")))
    return line[1], line[2], int(line[3]), fields, rest


def strict_body(fields, minor, rest):
    lengths = [v for n, v in fields if n == b"content-length"]
    codings = [v for n, v in fields if n == b"transfer-encoding"]
    if codings:
        need(not lengths and minor > 0, "both, or 1.0")
        need([c.lower() for c in codings] == [b"chunked"], "coding")
        return strict_chunks(rest)
    if not lengths:
        return b"", rest
    need(len(lengths) == 1 and re.fullmatch(rb"[0-9]{1,18}", lengths[0]), "length")
    n = int(lengths[0])
    need(len(rest) >= n, "short")
    return rest[:n], rest[n:]


def strict_chunks(rest):
    body = b""
    while True:
        m = need(re.match(rb"([0-9A-Fa-f]{1,15})((?:;" + VALUE + rb")?)\r\n", rest), "chunk")
        rest = rest[m.end():]
        n = int(m[1], 16)
        if n == 0:
            break
        need(rest[n:n + 2] == b"\r\n" and len(rest) > n + 2, "end of chunk")
        body += rest[:n]
        rest = rest[n + 2:]
    while not rest.startswith(b"\r\n"):
        m = need(re.match(TOKEN + rb":" + VALUE + rb"\r\n", rest), "trailer")
        rest = rest[m.end():]
    return body, rest[2:]


def strict(data):
    """Of the first request: (method, path, body); or Refused."""
    method, target, minor, fields, rest = strict_head(data)
    hosts = [v for n, v in fields if n == b"host"]
    need(len(hosts) == 1 and re.fullmatch(rb"[A-Za-z0-9.:\[\]-]+", hosts[0]), "host")
    absolute = re.fullmatch(rb"http://([^/?#]*)(/.*)", target)
    if absolute:
        need(absolute[1] == hosts[0], "another host")
        target = absolute[2]
    need(target.startswith(b"/"), "target")
    body, rest = strict_body(fields, minor, rest)
    need(rest == PROBE, "something is left over")
    return method, target, body


# --- what arrives ---------------------------------------------------------------------

class Recorder:
    """Reads requests strictly, answers them, and remembers what they were."""

    def __init__(self):
        self.seen = []

    def script(self, stream, _):
        while True:
            data = stream.until(b"\r\n\r\n")
            try:
                method, target, minor, fields, _ = strict_head(data)
                lengths = [v for n, v in fields if n == b"content-length"]
                target = re.sub(rb"^http://[^/]*", b"", target)
                if b"chunked" in [v.lower() for n, v in fields if n == b"transfer-encoding"]:
                    assert not lengths
                    body = stream.chunks()[0]
                else:
                    body = stream.read(int((lengths or [b"0"])[0]))
            except (Refused, AssertionError, ValueError):
                self.seen.append(("garbage", data))
                return
            self.seen.append((method, target, body))
            stream.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            if minor == 0:
                return


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with Lab(tmp_path_factory.mktemp("smuggling")) as made:
        made.recorder = {}
        for name, (_, port) in FRONTS.items():
            made.recorder[name] = Recorder()
            made.serve("web1", port, made.recorder[name].script)
        folder = pathlib.Path(made.folder)
        where = {"folder": folder, "lb": LB, "web": WEB["web1"]}
        (folder / "nginx.conf").write_text(NGINX.format(**where))
        (folder / "haproxy.cfg").write_text(HAPROXY.format(**where))
        made.spawn("nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), log="nginx.log")
        made.spawn("haproxy", "-db", "-f", str(folder / "haproxy.cfg"), log="haproxy.log")
        made.start(SERVICES)
        for front in FRONTS:
            until(lambda f=front: answers(made, f), f"{front} answers")
        yield made


def answers(lab, front):
    try:
        return lab.get(FRONTS[front][0])[0].status == 200
    except OSError:
        return False


def through(lab, front, data, seconds=1):
    """Sends it with a probe behind; (the first status, what the server saw before)."""
    recorder = lab.recorder[front]
    recorder.seen.clear()
    stream = lab.connect(FRONTS[front][0])
    # A front that waits for more than there is gives up with the connection.
    stream.sock.settimeout(seconds)
    try:
        stream.send(data + PROBE)
        answer = stream.rest()
    except TimeoutError:
        answer = stream.buffer
    except ConnectionResetError:
        answer = stream.buffer
    finally:
        stream.close()
    status = re.match(rb"HTTP/1\.[01] (\d{3})", answer)
    return int(status[1]) if status else None, list(recorder.seen)


def first(seen):
    """The request before the probe, if any came."""
    return next((s for s in seen if s[1] != b"/probe"), None)


def through_nines(lab, data):
    """(what the strict parser says: the request or why not, the status, what was seen).
    What is whole is answered, with the end of the connection, however long that takes."""
    try:
        wanted = strict(data + PROBE)
    except Refused as why:
        return why, *through(lab, "nines", data)
    return wanted, *through(lab, "nines", data, DEADLINE)


@pytest.mark.parametrize("name, data", corpus(), ids=[n for n, _ in corpus()])
def test_ambiguous(lab, name, data):
    wanted, status, seen = through_nines(lab, data)
    assert not [s for s in seen if s[0] == "garbage"], seen
    if isinstance(wanted, Refused):
        assert not seen, f"{wanted}, and the server saw {seen}"
        assert status is None or 400 <= status < 600, status
        return
    if not seen:
        assert status is None or 400 <= status < 600
        return
    assert seen == [wanted, (b"GET", b"/probe", b"")]
    for other in ("nginx", "haproxy"):
        _, theirs = through(lab, other, data)
        assert first(theirs) in (None, wanted), f"{other} sees {theirs}"


def test_the_corpus_is_one(lab):
    """Much of it is refused, and what is plain is not."""
    names = dict(corpus())
    passed = [n for n, d in names.items() if through_nines(lab, d)[2]]
    assert {"plain", "length", "chunked", "chunk-extension", "absolute"} <= set(passed)
    assert len(names) - len(passed) > 50
