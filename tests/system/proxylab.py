# SPDX-License-Identifier: Apache-2.0
"""What the proxy's system tests share: one namespace with a nines, scripted servers
and raw clients in it.

      client 10.9.0.9 ──> lb1 10.9.0.1 (nines) ──> web1..web3 10.9.0.11..13

All addresses are on the namespace's loopback. Scripted servers are threads of the test
with sockets made inside the namespace; real ones (nginx, haproxy) are processes there.
"""
import contextlib
import itertools
import json
import os
import re
import socket
import subprocess
import sys
import threading

import kit
from kit import DEADLINE, NINES, run, until

NUMBERS = itertools.count()  # of labs: several are there at a time
CLIENT, LB = "10.9.0.9", "10.9.0.1"
WEB = {"web1": "10.9.0.11", "web2": "10.9.0.12", "web3": "10.9.0.13"}
HEAD = f"""cluster: t
network: 10.9.0.0/24
workers: 2
hosts:
  lb1: {LB}
  web1: {WEB["web1"]}
  web2: {WEB["web2"]}
  web3: {WEB["web3"]}
services:
"""


def sanitized():
    with open(NINES, "rb") as program:
        return re.search(b"__(asan|tsan)_init", program.read()) is not None


class Stream:
    """A connection with a read buffer and a deadline for everything."""

    def __init__(self, sock):
        sock.settimeout(DEADLINE)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.buffer = b""

    def send(self, data):
        """The deadline is that of each piece: sendall() has one for all of it."""
        data = memoryview(data.encode("latin-1") if isinstance(data, str) else data)
        while data:
            data = data[self.sock.send(data):]

    def more(self):
        data = self.sock.recv(1 << 16)
        self.buffer += data
        return len(data) > 0

    def fill(self, n):
        """True when there are `n` bytes, False at the end. Pieces are joined once: large
        bodies take most of a test's time otherwise."""
        parts, have = [self.buffer], len(self.buffer)
        try:
            while have < n:
                parts.append(self.sock.recv(1 << 16))
                have += len(parts[-1])
                if not parts[-1]:
                    return False
            return True
        finally:
            self.buffer = b"".join(parts)

    def take(self, n):
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    def read(self, n):
        if not self.fill(n):
            raise EOFError(f"after {self.buffer!r}")
        return self.take(n)

    def until(self, mark):
        while mark not in self.buffer:
            if not self.more():
                raise EOFError(f"after {self.buffer!r}")
        return self.take(self.buffer.index(mark) + len(mark))

    def rest(self):
        self.fill(sys.maxsize)
        return self.take(len(self.buffer))

    def at_end(self):
        """True once the peer has ended its direction, with nothing more said."""
        try:
            return not self.buffer and not self.more()
        except ConnectionResetError:
            return True

    def head(self):
        return Head(self.until(b"\r\n\r\n"))

    def chunks(self):
        """Data and trailer section of a chunked body."""
        data = b""
        while True:
            size = int(self.until(b"\r\n").split(b";")[0], 16)
            if size == 0:
                break
            data += self.read(size)
            assert self.read(2) == b"\r\n"
        trailers = b""
        while True:
            line = self.until(b"\r\n")
            if line == b"\r\n":
                return data, trailers
            trailers += line

    def body(self, head):
        if head["transfer-encoding"] == "chunked":
            return self.chunks()[0]
        return self.read(int(head["content-length"] or 0))

    def answer(self):
        """A final response: (head, body)."""
        head = self.head()
        if head["content-length"] is None and head["transfer-encoding"] is None:
            return head, b"" if head.status in (204, 304) else self.rest()
        return head, self.body(head)

    def finish(self):
        self.sock.shutdown(socket.SHUT_WR)

    def close(self):
        self.sock.close()

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()


class Head:
    def __init__(self, data):
        self.data = data
        lines = data.decode("latin-1")[:-4].split("\r\n")
        self.line = lines[0]
        self.fields = [(n.lower(), v) for n, v in (x.split(": ", 1) for x in lines[1:])]
        match = re.match(r"HTTP/1\.[01] (\d{3})", self.line)
        self.status = int(match.group(1)) if match else None

    def all(self, name):
        return [v for n, v in self.fields if n == name]

    def __getitem__(self, name):
        values = self.all(name)
        return values[0] if values else None


def bound(place, address, port):
    with place.inside():
        sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address, port))
    return sock


class Server:
    """Calls `script(stream, n)` for the n-th connection, each in a thread of its own."""

    def __init__(self, sock, script):
        self.sock, self.script = sock, script
        self.connections = 0
        self.errors = []
        self.streams = []
        self.sock.listen(128)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock, _ = self.sock.accept()
            except OSError:
                return
            self.connections += 1
            stream = Stream(sock)
            self.streams.append(stream)
            threading.Thread(target=self.serve, args=(stream, self.connections),
                             daemon=True).start()

    def serve(self, stream, n):
        try:
            self.script(stream, n)
        except (OSError, EOFError):
            pass
        except Exception as e:  # shown by the test that sees a wrong answer
            self.errors.append(repr(e))
        finally:
            stream.close()

    def close(self):
        # Wakes accept(), which close() alone does not.
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        for stream in self.streams:
            with contextlib.suppress(OSError):
                stream.sock.shutdown(socket.SHUT_RDWR)


def echo(name):
    """A keep-alive HTTP server that answers with what it was sent, as JSON."""
    def script(stream, n):
        while True:
            head = stream.head()
            if head["expect"]:
                stream.send("HTTP/1.1 100 Continue\r\n\r\n")
            trailers = b""
            if head["transfer-encoding"] == "chunked":
                body, trailers = stream.chunks()
            else:
                body = stream.read(int(head["content-length"] or 0))
            text = json.dumps({
                "server": name, "connection": n, "line": head.line,
                "fields": head.fields, "body": body.decode("latin-1"),
                "trailers": trailers.decode("latin-1")}).encode()
            stream.send(f"HTTP/1.1 200 OK\r\nX-Server: {name}\r\n"
                        f"Content-Length: {len(text)}\r\n\r\n")
            if not head.line.startswith("HEAD "):
                stream.send(text)
    return script


def seen(body):
    """What a server that echoes saw: its JSON, with the fields as a dictionary."""
    text = json.loads(body)
    text["field"] = dict(text["fields"])
    return text


def served(answer):
    """The same of a whole answer, which must be a good one."""
    head, body = answer
    assert head.status == 200, head.data
    return seen(body)


def self_signed(folder):
    """A certificate with its key, in one file: its path."""
    pem = f"{folder}/site.pem"
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
        "-nodes", "-days", "2", "-subj", "/CN=a", "-keyout", pem, "-out", pem + ".crt")
    with open(pem, "a", encoding="utf-8") as out, open(pem + ".crt", encoding="utf-8") as crt:
        out.write(crt.read())
    return pem


class Lab:
    def __init__(self, folder):
        self.name = f"proxy-{os.getpid()}-{next(NUMBERS)}"
        self.folder = str(folder)
        self.run_dir = os.path.join(self.folder, "run")
        self.file = os.path.join(self.folder, "cluster.yaml")
        self.procs, self.servers, self.nines = [], [], None
        run("ip", "netns", "add", self.name)
        run("ip", "-n", self.name, "link", "set", "lo", "up")
        for ip in [LB, CLIENT, *WEB.values()]:
            run("ip", "-n", self.name, "addr", "add", ip + "/24", "dev", "lo")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def inside(self):
        return kit.inside(self.name)

    def spawn(self, *words, log="log"):
        with open(os.path.join(self.folder, log), "ab") as out:
            p = subprocess.Popen(["ip", "netns", "exec", self.name, *words],
                                 stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                 start_new_session=True)
        self.procs.append(p)
        return p

    def at(self, *words, check=True):
        return run("ip", "netns", "exec", self.name, *words, check=check)

    def serve(self, host, port, script):
        server = Server(bound(self, WEB[host], port), script)
        self.servers.append(server)
        return server

    @contextlib.contextmanager
    def scripted(self):
        """A serve() whose servers go when this ends, and must not have failed."""
        made = []

        def serve(*how):
            made.append(self.serve(*how))
            return made[-1]
        try:
            yield serve
        finally:
            for server in made:
                server.close()
                self.servers.remove(server)
        assert [s.errors for s in made if s.errors] == []

    @contextlib.contextmanager
    def clients(self, kind, to):
        """Connects to a port, `to` unless it is told, as a client of a kind; all are closed."""
        made = []

        def connect(port=to, **how):
            made.append(kind(self.connect(port), **how))
            return made[-1]
        yield connect
        for client in made:
            client.close()

    def write(self, services):
        with open(self.file, "w", encoding="utf-8") as f:
            f.write(HEAD + services)

    def begin(self, services):
        self.write(services)
        self.nines = self.spawn(NINES, "run", "--host", "lb1", "-f", self.file,
                                "--run-dir", self.run_dir, log="nines.log")

    def start(self, services):
        self.begin(services)
        until(lambda: self.fact("proxy listen") == "up", "nines accepts")

    def log(self, name="nines.log"):
        with open(os.path.join(self.folder, name), encoding="utf-8") as f:
            return f.read()

    def control(self, *words):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(DEADLINE)
            try:
                s.connect(os.path.join(self.run_dir, "control.sock"))
            except OSError:
                return {"ok": False, "error": "nobody answers"}
            s.sendall(("\t".join(words) + "\n").encode())
            return json.loads(b"".join(iter(lambda: s.recv(65536), b"")))

    def order(self, *words):
        answer = self.control(*words)
        assert answer["ok"], answer

    def fact(self, key):
        answer = self.control("status")
        return next((f["value"] for f in answer.get("facts", []) if f["key"] == key), "")

    def part(self, name):
        """What `nines status --json` says of the part."""
        answer = self.control("status")
        return next((p for p in answer.get("parts", []) if p["name"] == name), None)

    def counters(self, block):
        """Of the proxy, such as of the block "proxy_service service=site"."""
        status = self.at(NINES, "status", "--json", "--run-dir", self.run_dir, check=False)
        return json.loads(status)["counters"][block]

    def caps(self, name):
        """The capabilities of the part's acting process."""
        pid = (self.part(name) or {}).get("pid")
        if pid is None:
            return None
        try:
            with open(f"/proc/{pid}/status", encoding="utf-8") as f:
                return int(re.search(r"CapEff:\s*(\S+)", f.read())[1], 16)
        except OSError:
            return None

    def connect(self, port, address=LB):
        with self.inside():
            s = socket.socket()
        s.settimeout(DEADLINE)
        s.bind((CLIENT, 0))
        s.connect((address, port))
        return Stream(s)

    def ask(self, port, text):
        """One request on a connection of its own: (head, body)."""
        stream = self.connect(port)
        try:
            stream.send(text)
            return stream.answer()
        finally:
            stream.close()

    def get(self, port, path="/", fields=""):
        return self.ask(port, f"GET {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")

    def curl(self, *words):
        return self.at("curl", "-sS", "--max-time", str(DEADLINE), *words)

    def close(self):
        for s in self.servers:
            s.close()
        for p in reversed(self.procs):
            kit.kill(p)
        run("ip", "netns", "del", self.name, check=False)
