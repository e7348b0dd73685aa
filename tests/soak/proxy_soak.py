#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The proxy at full rate while everything around it misbehaves.

    scripts/sandbox.sh unshare --net tests/soak/proxy_soak.py NINES [SECONDS [SEED]]

Four servers, two of which at a time are dead, hang, answer slowly, with an error, with
garbage, with half of a body, or reset; the same four again in HTTP/2, where they also
refuse streams and say goodbye (h2_servers.py); clients who check every byte, over
HTTP/1.1 and HTTP/2, with and without TLS, and others who are slow, leave, or talk
nonsense; requests that have a connection to a server of their own, share one
(`pipeline`), or are streams of one (`server_http2`); a reload every second and an upgrade
now and then.

Each request bears a number, from which follow the bytes of its answer; the answer says
what the server has read. What must hold:

    - no answer has a wrong byte, belongs to another request, or comes or is logged twice;
    - no POST is carried out twice;
    - a request fails only if a server did it wrong, or by a status of the proxy's own,
      and each failure with a status has its line in the access log; but for what no
      proxy can help: a silent connection that a replaced process closes at last may
      have a request on its way (RFC 9112 section 9.3.1);
    - memory stays what it was; no process dies but the servers.
"""
import asyncio
import collections
import hashlib
import json
import multiprocessing
import os
import pathlib
import random
import re
import signal
import socket
import ssl
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))
import h2_servers  # noqa: E402
import h2wire  # noqa: E402
from proxylab import Stream  # noqa: E402

LB = "10.9.0.1"
SERVERS = ["10.9.0.11", "10.9.0.12", "10.9.0.13", "10.9.0.14"]
COMMON = """    check: {{path: /check, every: 100ms, timeout: 300ms, fall: 2, rise: 1}}
    timeouts: {{server: 2s, connect: 500ms, drain: 3s, head: 10s}}
    balance: {balance}
    retries: {retries}
    log: full
"""
FILE = """cluster: soak
network: 10.9.0.0/24
workers: 2
hosts: {{lb1: 10.9.0.1, w1: 10.9.0.11, w2: 10.9.0.12, w3: 10.9.0.13, w4: 10.9.0.14}}
services:
  site:
    listen: [lb1:80, lb1:443]
    http2: true
    tls: {{certificate: {folder}/soak.pem, plain: [80], redirect: false}}
    servers: [w1:8080, w2:8080, w3:8080, w4:8080]
{common}  lane:
    listen: lb1:82
    http2: true
    servers: [w1:8080, w2:8080, w3:8080, w4:8080]
    pipeline: {pipeline}
{common}  trunk:
    listen: lb1:83
    http2: true
    servers: [w1:8081, w2:8081, w3:8081, w4:8081]
    server_http2: true
    server_streams: {streams}
{common}  raw:
    mode: tcp
    listen: lb1:81
    servers: [w1:9090]
    check: none
    timeouts: {{drain: 3s}}
"""
BAD = ["dead", "hang", "slow", "error", "garbage", "cut", "reset", "rude", "goaway"]
SIZES = [0, 1, 100, 4096, 16384, 70000, 300000]
OWN = {502, 503, 504}
RUDE = 10 ** 9  # from here on are requests of the rude, who may repeat them
LANE, TRUNK = 82, 83
PORTS = [80, 443, LANE, TRUNK]
BATCH = 8  # requests at a time on a connection of HTTP/2


def content(number, size):
    """What the answer to request `number` holds."""
    seed = hashlib.sha256(str(number).encode()).digest()
    return (seed * (size // len(seed) + 1))[:size]


def digest(data):
    return hashlib.sha256(data).hexdigest()[:16]


# ---- servers --------------------------------------------------------------------------

class Servers:
    """All four in one process; `faults` says what was done wrong to which request."""

    content, digest = staticmethod(content), staticmethod(digest)

    def __init__(self, seed, http2):
        self.http2 = http2
        self.random = random.Random(seed)
        self.mood = {a: "good" for a in SERVERS}
        # By server: its connections, and the last request on each, or what knows all.
        self.listener, self.writers = {}, {a: {} for a in SERVERS}
        # A repeated request may be with two servers, each of which does wrong to it.
        self.faults, self.posts = collections.defaultdict(set), collections.Counter()
        self.served = collections.Counter()

    async def open(self, address):
        def connection(reader, writer):
            if self.http2:
                return h2_servers.connection(self, address, reader, writer)
            return self.connection(address, reader, writer)
        self.listener[address] = await asyncio.start_server(
            connection, address, 8081 if self.http2 else 8080, backlog=1024,
            limit=1 << 20, reuse_address=True)

    async def change(self, address, mood):
        before, self.mood[address] = self.mood[address], mood
        if mood == "dead":
            self.listener[address].close()
        elif before == "dead":
            await self.open(address)
        if mood == "dead" or before == "hang":
            for writer, number in list(self.writers[address].items()):
                if self.http2:
                    number.end(abort=True)
                else:
                    self.faults[number].add("aborted")
                    writer.transport.abort()

    async def moods(self):
        while True:
            await asyncio.sleep(self.random.uniform(0.1, 0.6))
            address = self.random.choice(SERVERS)
            bad = [a for a in SERVERS if self.mood[a] != "good" and a != address]
            mood = "good" if len(bad) >= 2 or self.mood[address] != "good" else \
                self.random.choice(BAD)
            await self.change(address, mood)

    async def connection(self, address, reader, writer):
        self.writers[address][writer] = None
        number = None
        try:
            while True:
                number = None
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                line, *fields = head.split("\r\n")
                method, target, _ = line.split(" ")
                fields = {k.lower(): v for k, v in (f.split(": ", 1) for f in fields if f)}
                if target == "/check":
                    await self.check(address, writer)
                    continue
                number = int(re.search(r"n=(\d+)", target)[1])
                size = int(re.search(r"size=(\d+)", target)[1])
                self.writers[address][writer] = number
                body = await self.body(reader, fields)
                if method == "POST":
                    self.posts[number] += 1
                mood = self.mood[address]
                self.served[mood] += 1
                if mood != "good":
                    self.faults[number].add(mood)
                if not await self.answer(address, mood, writer, number, size, body):
                    return
        except (asyncio.IncompleteReadError, ConnectionError, OSError,
                asyncio.LimitOverrunError):
            if number is not None:
                self.faults[number].add("lost")
        finally:
            self.writers[address].pop(writer, None)
            writer.transport.abort()

    async def check(self, address, writer):
        mood = self.mood[address]
        if mood == "hang":
            await asyncio.sleep(3)
        writer.write(b"HTTP/1.1 %d OK\r\nContent-Length: 0\r\n\r\n" %
                     (500 if mood == "error" else 200))
        await writer.drain()

    @staticmethod
    async def body(reader, fields):
        if fields.get("transfer-encoding") != "chunked":
            return await reader.readexactly(int(fields.get("content-length", 0)))
        data = b""
        while True:
            size = int(await reader.readuntil(b"\r\n"), 16)
            data += await reader.readexactly(size)
            await reader.readexactly(2)
            if size == 0:
                return data

    async def answer(self, address, mood, writer, number, size, body):
        """False: the connection is over."""
        if mood == "hang":
            while self.mood[address] == "hang":
                await asyncio.sleep(0.05)
            return False
        if mood in ("reset", "dead"):
            return False
        if mood == "garbage":
            writer.write(b"\x00\x16nonsense %d\r\n\r\n" % number)
            await writer.drain()
            return False
        if mood == "slow":
            await asyncio.sleep(0.2)
        status = 500 if mood == "error" else 200
        data = content(number, size)
        head = f"HTTP/1.1 {status} X\r\nX-Number: {number}\r\nX-Read: {digest(body)}\r\n"
        if mood == "goaway":
            head += "Connection: close\r\n"
        if number % 3 == 0:
            head += "Transfer-Encoding: chunked\r\n\r\n"
            parts = [data[i:i + 30000] for i in range(0, size, 30000)]
            data = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts) + b"0\r\n\r\n"
        else:
            head += f"Content-Length: {size}\r\n\r\n"
        if mood == "cut":
            data = data[:len(data) // 2]
        writer.write(head.encode() + data)
        await writer.drain()
        return mood not in ("cut", "rude", "goaway")

    async def echo(self, reader, writer):
        try:
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
            writer.write_eof()
        except (ConnectionError, OSError):
            pass
        finally:
            writer.close()

    async def run(self, pipe):
        for address in SERVERS:
            await self.open(address)
        if not self.http2:
            await asyncio.start_server(self.echo, SERVERS[0], 9090)
        pipe.send("ready")
        changing = asyncio.create_task(self.moods())
        while not pipe.poll():
            await asyncio.sleep(0.05)
        changing.cancel()
        pipe.send((self.faults, self.posts, self.served))


def run_servers(pipe, seed, http2):
    asyncio.run(Servers(seed, http2).run(pipe))


# ---- clients --------------------------------------------------------------------------

class Wrong(Exception):
    """What must never be."""


class Clients:
    def __init__(self, seed, end):
        self.random, self.end = random.Random(seed), end
        self.number = 0  # even ones here, odd ones are those of HTTP/2
        self.tls = context()
        self.results, self.failed, self.wrong = collections.Counter(), {}, []

    def next(self):
        self.number += 2
        return self.number

    def request(self, number, keep):
        method = "POST" if self.random.random() < 0.3 else "GET"
        size = self.random.choice(SIZES)
        body = content(-number, self.random.choice(SIZES[:6])) if method == "POST" else b""
        head = f"{method} /?n={number}&size={size} HTTP/1.1\r\nHost: a\r\n"
        if not keep:
            head += "Connection: close\r\n"
        if body and number % 2:
            head += "Transfer-Encoding: chunked\r\n\r\n"
            return size, body, head.encode() + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        if method == "POST":
            head += f"Content-Length: {len(body)}\r\n"
        return size, body, head.encode() + b"\r\n" + body

    @staticmethod
    async def answer(reader, slowly):
        """(status, fields, body); IncompleteReadError says what came instead."""
        async def soon(piece, what):  # the deadline is that of each piece: some read slowly
            try:
                return await asyncio.wait_for(piece, 60)
            except asyncio.TimeoutError as e:
                raise Wrong(f"no {what} for 60 s, at {time.ctime()}") from e
        head = (await soon(reader.readuntil(b"\r\n\r\n"), "head")).decode("latin-1")
        line, *rest = head[:-4].split("\r\n")
        match = re.match(r"HTTP/1\.1 (\d{3}) ", line)
        if match is None:
            raise Wrong(f"no status line: {line!r}")
        fields = {k.lower(): v for k, v in (f.split(": ", 1) for f in rest)}
        data = b""
        if fields.get("transfer-encoding") == "chunked":
            while True:
                size = int(await soon(reader.readuntil(b"\r\n"), "chunk"), 16)
                data += await soon(reader.readexactly(size), "rest of a chunk")
                if size == 0:
                    while await soon(reader.readuntil(b"\r\n"), "trailer") != b"\r\n":
                        pass
                    break
                await reader.readexactly(2)
        else:
            left = int(fields["content-length"])
            while left > 0:
                part = await soon(reader.readexactly(min(left, 1000 if slowly else left)), "body")
                left -= len(part)
                data += part
                if slowly:
                    await asyncio.sleep(0.002)
        return int(match[1]), fields, data

    async def exchange(self, reader, writer, number, keep, slowly):
        """False: the connection is over."""
        size, body, text = self.request(number, keep)
        writer.write(text)
        status, fields, data = await self.answer(reader, slowly)
        if status == 200:
            if fields.get("x-number") != str(number):
                raise Wrong(f"the answer is that of {fields.get('x-number')}")
            if fields.get("x-read") != digest(body):
                raise Wrong("the server has read something else")
            if data != content(number, size):
                raise Wrong(f"{len(data)} bytes for {size}, or other ones")
        else:
            self.failed[number] = status
        self.results[status] += 1
        return fields.get("connection") != "close"

    async def honest(self, slowly=False, port=80):
        where = {"port": port, "ssl": self.tls if port == 443 else None}
        reader, writer, used = None, None, False
        while time.monotonic() < self.end:
            number, keep = self.next(), self.random.random() < 0.95
            try:
                if writer is None:
                    reader, writer = await asyncio.open_connection(
                        LB, limit=1 << 20, **where)
                    used = False
                goes_on = await self.exchange(reader, writer, number, keep, slowly)
            except Wrong as e:
                self.wrong.append((number, str(e)))
                goes_on = False
            except (asyncio.IncompleteReadError, OSError) as e:
                if writer is None:
                    self.wrong.append((number, f"no connection: {e}"))
                    continue
                idle = used and not getattr(e, "partial", b"")
                self.failed[number] = "idle" if idle else "cut"
                self.results[f"cut ({type(e).__name__})"] += 1
                goes_on = False
            used = True
            if goes_on and reader._buffer:  # nothing was asked, and yet there is more
                self.wrong.append((number, f"and {bytes(reader._buffer[:80])!r}"))
                goes_on = False
            if not goes_on:
                writer.close()
                writer = None

    async def rude(self):
        """Nobody checks what comes; it must only harm nobody else."""
        while time.monotonic() < self.end:
            try:
                reader, writer = await asyncio.open_connection(
                    LB, self.random.choice([80, LANE, TRUNK]))
                text = self.request(RUDE + self.next(), True)[2]
                how = self.random.randrange(6)
                if how == 0:
                    writer.write(text[:self.random.randrange(1, len(text) + 1)])
                elif how == 1:
                    writer.write(os.urandom(200))
                elif how == 2:
                    writer.write(text * 3)  # pipelining, and gone
                elif how == 3:
                    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
                                 b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
                else:
                    writer.write(text)
                    await asyncio.wait_for(reader.read(10), 3)
                await asyncio.sleep(self.random.uniform(0, 0.05))
                if how % 2:
                    writer.transport.abort()
                else:
                    writer.close()
                self.results["rude"] += 1
            except (OSError, asyncio.TimeoutError):
                pass

    async def tunnel(self):
        """Connections of their own through mode tcp, ended in order."""
        while time.monotonic() < self.end:
            data = self.random.randbytes(self.random.randrange(1, 400000))
            writer, said = None, "tunnel"
            try:
                reader, writer = await asyncio.open_connection(LB, 81)
                writer.write(data)
                writer.write_eof()
                got = await asyncio.wait_for(reader.read(-1), 60)
                if got != data:
                    self.wrong.append((0, f"a tunnel gave {len(got)} bytes for {len(data)}"))
            except asyncio.TimeoutError:
                self.wrong.append((0, f"a tunnel did not end in 60 s, at {time.ctime()}"))
            except OSError as e:
                said = f"tunnel {type(e).__name__}"  # one that a drain has cut
            if writer:
                writer.close()
            self.results[said] += 1

    async def run(self):
        await asyncio.gather(*[self.honest(port=p) for p in PORTS for _ in range(8)],
                             *[self.honest(True, port=p) for p in PORTS],
                             *[self.rude() for _ in range(4)], self.tunnel())


def run_clients(pipe, seed, end):
    clients = Clients(seed, end)
    asyncio.run(clients.run())
    pipe.send((clients.results, clients.failed, clients.wrong))


def context():
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    return tls


class H2Clients:
    """Threads with a connection each, on which several requests are under way."""

    def __init__(self, seed, end):
        self.random, self.end, self.number = random.Random(seed), end, -1
        self.results, self.failed, self.wrong = collections.Counter(), {}, []
        self.lock = threading.Lock()
        self.tls = context()
        self.tls.set_alpn_protocols(["h2"])

    def ask(self, h2):
        """(its stream, what was asked)"""
        with self.lock:
            self.number += 2
            number = self.number
        size, body = self.random.choice(SIZES), None
        fields = h2wire.request("GET", f"/?n={number}&size={size}")
        if self.random.random() < 0.3:
            fields[0] = (":method", "POST")
            body = content(-number, self.random.choice(SIZES[:4]))
        return h2.ask(fields, body=body), (number, size, body or b"")

    def check(self, answer, asked):
        number, size, body = asked
        said = "wrong"
        if answer.ended and answer.heads and answer.status == 200:
            if answer.field.get("x-number") != str(number):
                self.wrong.append((number, f"the answer is that of {answer.field.get('x-number')}"))
            elif answer.field.get("x-read") != digest(body):
                self.wrong.append((number, "the server has read something else"))
            elif answer.body != content(number, size):
                self.wrong.append((number, f"{len(answer.body)} bytes for {size}, or other ones"))
            else:
                said = "h2 200"
        elif answer.ended and answer.heads:
            self.failed[number] = answer.status
            said = f"h2 {answer.status}"
        elif answer.reset == h2wire.REFUSED_STREAM:
            said = "h2 refused"  # asked again by any client
        else:
            self.failed[number] = "cut"
            said = "h2 cut"
        self.results[said] += 1

    def leave(self, h2):
        """Asks for something and does not want it."""
        with self.lock:
            self.number += 2
            number = RUDE + self.number
        size = self.random.choice(SIZES)
        n = h2.ask(h2wire.request("GET", f"/?n={number}&size={size}"))
        h2.send(h2wire.RST, 0, n, struct.pack(">I", h2wire.CANCEL))
        self.results["h2 left"] += 1

    def session(self, stream):
        h2, open_streams = h2wire.H2(stream), {}
        try:
            while h2.goaway is None and h2.next < 1000 and time.monotonic() < self.end:
                for _ in range(BATCH):
                    n, asked = self.ask(h2)
                    open_streams[n] = asked
                if self.random.random() < 0.1:
                    self.leave(h2)
                while open_streams:
                    h2.read()
                    for n in list(open_streams):
                        if h2.answers[n].ended or h2.answers[n].reset is not None:
                            self.check(h2.answers.pop(n), open_streams.pop(n))
                        elif h2.goaway and n > h2.goaway[0]:
                            del open_streams[n]  # not taken, and said so
        except (EOFError, OSError) as e:
            for n, (number, _, _) in open_streams.items():
                if isinstance(e, TimeoutError):
                    self.wrong.append((number, "no answer over HTTP/2 in time"))
                elif h2.goaway is None or n <= h2.goaway[0]:
                    self.failed[number] = "cut" if h2.answers[n].heads else "idle"
                    self.results[f"h2 cut ({type(e).__name__})"] += 1

    def honest(self, port):
        while time.monotonic() < self.end:
            sock = socket.create_connection((LB, port), timeout=30)
            try:
                if port == 443:
                    sock = self.tls.wrap_socket(sock)
            except OSError as e:
                self.wrong.append((0, f"no handshake: {e}"))
                sock.close()
                continue
            stream = Stream(sock)
            self.session(stream)
            stream.close()

    def run(self):
        threads = [threading.Thread(target=self.honest, args=(p,))
                   for p in [*PORTS, LANE, TRUNK]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def run_h2_clients(pipe, seed, end):
    clients = H2Clients(seed, end)
    clients.run()
    pipe.send((clients.results, clients.failed, clients.wrong))


# ---- the rest -------------------------------------------------------------------------

class Log:
    """What nines says, read as it comes: an hour of it is too much to keep."""

    ACCESS = re.compile(r' target="/\?n=(\d+)&[^"]*" version=\S+ status=(\d+)')
    DEATH = re.compile(r"event=part-(?:died|kill)")

    def __init__(self, path):
        self.times, self.bad, self.deaths = bytearray(), set(), []  # by request
        self.complete, self.tail = True, collections.deque(maxlen=200)
        self.path = path
        self.thread = None

    def read(self, pipe):
        with open(self.path, "w", encoding="utf-8") as rest:
            for data in pipe:
                line = data.decode(errors="replace")
                match = self.ACCESS.search(line)
                if match:
                    self.request(int(match[1]), int(match[2]))
                    if match[2] == "200" and " end=ok" not in line:
                        rest.write(line)
                    continue
                rest.write(line)
                self.tail.append(line)
                self.complete = self.complete and "event=access_log dropped" not in line
                if self.DEATH.search(line):
                    self.deaths.append(line.strip())

    def request(self, number, status):
        if number >= RUDE:
            return
        if number >= len(self.times):
            self.times.extend(bytes(number + 1000000 - len(self.times)))
        self.times[number] = min(self.times[number] + 1, 255)
        if status != 200:
            self.bad.add((number, status))

    def about(self, bad):
        """What it says of answers that were cut, of those that `bad` speaks of."""
        numbers = {m[1] for m in (re.search(r"request (\d+) was cut", line) for line in bad) if m}
        with open(self.path, encoding="utf-8") as rest:
            return [line for line in rest
                    if (m := self.ACCESS.search(line)) and m[1] in numbers]

    def has(self, number):
        return number < len(self.times) and self.times[number] > 0

    def begin(self, pipe):
        self.thread = threading.Thread(target=self.read, args=(pipe,))
        self.thread.start()

    def end(self):
        self.thread.join()


class Nines:
    def __init__(self, program, folder):
        self.program, self.folder, self.dir = program, folder, folder / "run"
        self.file, self.log = folder / "cluster.yaml", Log(folder / "log")
        self.reloads = self.upgrades = 0
        self.write(random.Random(0))
        self.process = subprocess.Popen(
            [program, "run", "--host", "lb1", "-f", str(self.file), "--run-dir",
             str(self.dir)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.log.begin(self.process.stdout)

    def write(self, chance):
        common = COMMON.format(
            balance=chance.choice(["round-robin", "least-connections", "random"]),
            retries=chance.randrange(1, 5))
        self.file.write_text(FILE.format(
            common=common, pipeline=chance.choice([2, 8, 64]),
            streams=chance.choice([1, 8, 100]), folder=self.folder))

    def ask(self, *words):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(60)
            s.connect(str(self.dir / "control.sock"))
            s.sendall(("\t".join(words) + "\n").encode())
            return json.loads(b"".join(iter(lambda: s.recv(1 << 16), b"")))

    def ready(self):
        try:
            facts = {f["key"]: f["value"] for f in self.ask("status")["facts"]}
        except OSError:
            return False
        return facts.get("proxy listen") == "up" and all(
            facts.get(f"service {s}") == "up 4/4" for s in ("site", "lane", "trunk"))

    def proxy(self):
        return next(p for p in self.ask("status")["parts"] if p["name"] == "proxy")

    def memory(self):
        """(process, kB)"""
        try:
            pid = self.proxy()["pid"]
            text = pathlib.Path(f"/proc/{pid}/status").read_text()
            return pid, int(re.search(r"VmRSS:\s+(\d+)", text)[1])
        except (OSError, KeyError, TypeError):
            return None

    def trouble(self, end, seed):
        """Reloads, and two upgrades early: the last process has the most time to grow."""
        chance, begun = random.Random(seed), time.monotonic()
        upgrades = [begun + (end - begun) * x for x in (0.05, 0.1)] if end - begun > 20 else []
        while time.monotonic() < end - 1:
            time.sleep(1)
            if upgrades and time.monotonic() > upgrades[0]:
                upgrades.pop(0)
                answer = self.ask("upgrade")
                self.upgrades += 1
            else:
                self.write(chance)
                answer = self.ask("reload")
                self.reloads += 1
            if not answer["ok"]:
                print("refused:", answer)


def fault(log, upgrades, number, what, did):
    """What is wrong with a request that failed, or None; `did`: what its server did."""
    if what == "idle" and upgrades > 0 and not log.has(number):
        return None  # closed for its silence when the request was on its way
    if what in ("cut", "idle"):
        return None if did else "was cut, and no server did it"
    if what == 500:
        return None if "error" in did else "got 500, which no server sent"
    if what not in OWN:
        return f"got {what}"
    if log.complete and (number, what) not in log.bad:
        return f"got {what} and has no line in the log"
    return None


def grown(memory):
    """What the last process had in each tenth of its time, medians; [] if that is short."""
    last = [kilobytes for pid, kilobytes in memory if pid == memory[-1][0]]
    n = len(last) // 10
    return [statistics.median_high(last[i * n:(i + 1) * n]) for i in range(10)] if n > 5 else []


def judge(nines, said, servers, memory):
    results, failed, wrong = collections.Counter(), {}, []
    for more, lost, bad in said:
        results += more
        failed |= lost
        wrong += bad
    faults = collections.defaultdict(set)
    posts, served = collections.Counter(), collections.Counter()
    for some, carried, how in servers:
        for number, what in some.items():
            faults[number] |= what
        posts += carried
        served += how
    log = nines.log
    bad = [f"request {n}: {what}" for n, what in wrong]
    bad += [f"POST {n} was carried out {k} times" for n, k in posts.items()
            if k > 1 and n < RUDE]
    for number, what in failed.items():
        found = fault(log, nines.upgrades, number, what, faults.get(number, set()))
        if found:
            bad.append(f"request {number} {found}")
    bad += [f"request {n} was logged {k} times" for n, k in enumerate(log.times) if k > 1]
    bad += log.deaths
    tenths = grown(memory)
    if tenths and max(tenths[5:]) > max(tenths[1:5]) * 1.1 + 1024:
        bad.append("memory grew")
    idle = sum(w == "idle" and not log.has(n) for n, w in failed.items())
    print("answers:", dict(results.most_common()))
    print("servers:", dict(served), " faults:", len(faults))
    print(f"closed by an old process in the very moment of a request: {idle}")
    print(f"reloads: {nines.reloads}  upgrades: {nines.upgrades}  log "
          f"{'complete' if log.complete else 'with gaps'}  "
          f"memory: {tenths} kB, at most {max(kilobytes for _, kilobytes in memory)}")
    return bad


def main():
    program = os.path.abspath(sys.argv[1])
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 60
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1 << 30)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="soak-"))
    folder.chmod(0o755)
    print(f"seed {seed}, {seconds:.0f} s, {folder}")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for address in [LB, *SERVERS]:
        subprocess.run(["ip", "addr", "add", address + "/24", "dev", "lo"], check=True)
    ends = [multiprocessing.Pipe() for _ in range(2)]
    servers = [multiprocessing.Process(target=run_servers, args=(theirs, seed, http2))
               for http2, (_, theirs) in zip((False, True), ends)]
    for one, (ours, _) in zip(servers, ends):
        one.start()
        ours.recv()
    pem = folder / "soak.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=a",
                    "-keyout", str(pem), "-out", str(pem) + ".crt"], check=True,
                   capture_output=True)
    pem.write_text(pem.read_text() + pathlib.Path(f"{pem}.crt").read_text())
    nines = Nines(program, folder)
    try:
        until = time.monotonic() + 20
        while not nines.ready():
            assert time.monotonic() < until, "".join(nines.log.tail)
            time.sleep(0.05)
        end, memory = time.monotonic() + seconds, []
        pipes = [multiprocessing.Pipe() for _ in range(2)]
        clients = [multiprocessing.Process(target=f, args=(pipe[1], seed + 1, end))
                   for f, pipe in zip((run_clients, run_h2_clients), pipes)]
        for one in clients:
            one.start()
        trouble = threading.Thread(target=nines.trouble, args=(end, seed + 2))
        trouble.start()
        while time.monotonic() < end + 60 and any(c.is_alive() for c in clients):
            sample = nines.memory()
            if sample:
                memory.append(sample)
            if all(pipe[0].poll() for pipe in pipes):
                break
            time.sleep(1)
        said = [pipe[0].recv() for pipe in pipes if pipe[0].poll()]
        assert len(said) == len(pipes), "clients died"
        trouble.join()
        did = []
        for ours, _ in ends:
            ours.send("end")
            did.append(ours.recv())
    finally:
        nines.process.send_signal(signal.SIGTERM)
        nines.process.wait(60)
        nines.log.end()
        for one in servers:
            one.kill()
    bad = judge(nines, said, did, memory)
    for line in bad[:50]:
        print("WRONG:", line)
    print("".join(nines.log.about(bad)), end="")
    print(f"{len(bad)} wrong")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
