#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The proxy at full rate while everything around it misbehaves.

    scripts/sandbox.sh unshare --net tests/soak/proxy_soak.py NINES [SECONDS [SEED]]

Four servers, two of which at a time are dead, hang, answer slowly, with an error, with
garbage, with half of a body, or reset; clients who check every byte, and others who are
slow, leave, or talk nonsense; a reload every second and an upgrade now and then.

Each request bears a number, from which follow the bytes of its answer; the answer says
what the server has read. What must hold:

    - no answer has a wrong byte, belongs to another request, or comes twice;
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
import subprocess
import sys
import tempfile
import threading
import time

LB, PORTS = "10.9.0.1", (80, 81)
SERVERS = ["10.9.0.11", "10.9.0.12", "10.9.0.13", "10.9.0.14"]
FILE = """cluster: soak
network: 10.9.0.0/24
workers: 2
hosts: {{lb1: 10.9.0.1, w1: 10.9.0.11, w2: 10.9.0.12, w3: 10.9.0.13, w4: 10.9.0.14}}
services:
  site:
    listen: lb1:80
    servers: [w1:8080, w2:8080, w3:8080, w4:8080]
    check: {{path: /check, every: 100ms, timeout: 300ms, fall: 2, rise: 1}}
    timeouts: {{server: 2s, connect: 500ms, drain: 3s, head: 2s}}
    balance: {balance}
    retries: {retries}
    log: full
  raw:
    mode: tcp
    listen: lb1:81
    servers: [w1:9090]
    check: none
    timeouts: {{drain: 3s}}
"""
BAD = ["dead", "hang", "slow", "error", "garbage", "cut", "reset", "rude"]
SIZES = [0, 1, 100, 4096, 16384, 70000, 300000]
OWN = {502, 503, 504}
RUDE = 10 ** 9  # from here on are requests of the rude, who may repeat them


def content(number, size):
    """What the answer to request `number` holds."""
    seed = hashlib.sha256(str(number).encode()).digest()
    return (seed * (size // len(seed) + 1))[:size]


def digest(data):
    return hashlib.sha256(data).hexdigest()[:16]


# ---- servers --------------------------------------------------------------------------

class Servers:
    """All four in one process; `faults` says what was done wrong to which request."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.mood = {a: "good" for a in SERVERS}
        # By server: its connections, and the last request on each.
        self.listener, self.writers = {}, {a: {} for a in SERVERS}
        self.faults, self.posts = {}, collections.Counter()
        self.served = collections.Counter()

    async def open(self, address):
        self.listener[address] = await asyncio.start_server(
            lambda r, w: self.connection(address, r, w), address, 8080, backlog=1024,
            limit=1 << 20, reuse_address=True)

    async def change(self, address, mood):
        before, self.mood[address] = self.mood[address], mood
        if mood == "dead":
            self.listener[address].close()
        elif before == "dead":
            await self.open(address)
        if mood == "dead" or before == "hang":
            for writer, number in list(self.writers[address].items()):
                self.faults.setdefault(number, "aborted")
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
                    self.faults[number] = mood
                if not await self.answer(address, mood, writer, number, size, body):
                    return
        except (asyncio.IncompleteReadError, ConnectionError, OSError,
                asyncio.LimitOverrunError):
            if number is not None and number not in self.faults:
                self.faults[number] = "lost"
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
        return mood not in ("cut", "rude")

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
        await asyncio.start_server(self.echo, SERVERS[0], 9090)
        pipe.send("ready")
        changing = asyncio.create_task(self.moods())
        while not pipe.poll():
            await asyncio.sleep(0.05)
        changing.cancel()
        pipe.send((self.faults, self.posts, self.served))


def run_servers(pipe, seed):
    asyncio.run(Servers(seed).run(pipe))


# ---- clients --------------------------------------------------------------------------

class Wrong(Exception):
    """What must never be."""


class Clients:
    def __init__(self, seed, end):
        self.random, self.end, self.number = random.Random(seed), end, 0
        self.results, self.failed, self.wrong = collections.Counter(), {}, []

    def next(self):
        self.number += 1
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
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *rest = head[:-4].split("\r\n")
        match = re.match(r"HTTP/1\.1 (\d{3}) ", line)
        if match is None:
            raise Wrong(f"no status line: {line!r}")
        fields = {k.lower(): v for k, v in (f.split(": ", 1) for f in rest)}
        data = b""
        if fields.get("transfer-encoding") == "chunked":
            while True:
                size = int(await reader.readuntil(b"\r\n"), 16)
                data += await reader.readexactly(size)
                await reader.readexactly(2)
                if size == 0:
                    break
        else:
            left = int(fields["content-length"])
            while left > 0:
                part = await reader.readexactly(min(left, 1000 if slowly else left))
                left -= len(part)
                data += part
                if slowly:
                    await asyncio.sleep(0.002)
        return int(match[1]), fields, data

    async def exchange(self, reader, writer, number, keep, slowly):
        """False: the connection is over."""
        size, body, text = self.request(number, keep)
        writer.write(text)
        try:
            status, fields, data = await asyncio.wait_for(self.answer(reader, slowly), 20)
        except asyncio.TimeoutError as e:
            raise Wrong("no answer for 20 s") from e
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

    async def honest(self, slowly=False):
        reader, writer, used = None, None, False
        while time.monotonic() < self.end:
            number, keep = self.next(), self.random.random() < 0.95
            try:
                if writer is None:
                    reader, writer = await asyncio.open_connection(LB, 80, limit=1 << 20)
                    used = False
                goes_on = await self.exchange(reader, writer, number, keep, slowly)
            except Wrong as e:
                self.wrong.append((number, str(e)))
                goes_on = False
            except (asyncio.IncompleteReadError, ConnectionError) as e:
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
                reader, writer = await asyncio.open_connection(LB, 80)
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
            reader, writer = await asyncio.open_connection(LB, 81)
            writer.write(data)
            writer.write_eof()
            got = await asyncio.wait_for(reader.read(-1), 20)
            writer.close()
            if got != data:
                self.wrong.append((0, f"a tunnel gave {len(got)} bytes for {len(data)}"))
            self.results["tunnel"] += 1

    async def run(self):
        await asyncio.gather(*[self.honest() for _ in range(24)],
                             *[self.honest(True) for _ in range(4)],
                             *[self.rude() for _ in range(4)], self.tunnel())


def run_clients(pipe, seed, end):
    clients = Clients(seed, end)
    asyncio.run(clients.run())
    pipe.send((clients.results, clients.failed, clients.wrong))


# ---- the rest -------------------------------------------------------------------------

class Nines:
    def __init__(self, program, folder):
        self.program, self.dir = program, folder / "run"
        self.file, self.log = folder / "cluster.yaml", folder / "log"
        self.reloads = self.upgrades = 0
        self.write("round-robin", 2)
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [program, "run", "--host", "lb1", "-f", str(self.file), "--run-dir",
                 str(self.dir)], stdout=log, stderr=log)

    def write(self, balance, retries):
        self.file.write_text(FILE.format(balance=balance, retries=retries))

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
        return facts.get("proxy listen") == "up" and facts.get("service site") == "up 4/4"

    def proxy(self):
        return next(p for p in self.ask("status")["parts"] if p["name"] == "proxy")

    def memory(self):
        try:
            text = pathlib.Path(f"/proc/{self.proxy()['pid']}/status").read_text()
            return int(re.search(r"VmRSS:\s+(\d+)", text)[1])
        except (OSError, KeyError, TypeError):
            return None

    def trouble(self, end, seed):
        """Reloads, and an upgrade in the second quarter and the third."""
        chance, begun = random.Random(seed), time.monotonic()
        upgrades = [begun + (end - begun) * x for x in (0.25, 0.5)] if end - begun > 20 else []
        while time.monotonic() < end - 1:
            time.sleep(1)
            if upgrades and time.monotonic() > upgrades[0]:
                upgrades.pop(0)
                answer = self.ask("upgrade")
                self.upgrades += 1
            else:
                self.write(chance.choice(["round-robin", "least-connections", "random"]),
                           chance.randrange(1, 5))
                answer = self.ask("reload")
                self.reloads += 1
            if not answer["ok"]:
                print("refused:", answer)


def judge(nines, clients, servers, memory):
    results, failed, wrong = clients
    faults, posts, served = servers
    log = nines.log.read_text(errors="replace")
    bad = [f"request {n}: {what}" for n, what in wrong]
    bad += [f"POST {n} was carried out {k} times" for n, k in posts.items()
            if k > 1 and n < RUDE]
    logged = set(re.findall(r'target="/\?n=(\d+)&[^"]*" version=1\.1 status=(\d+)', log))
    idle = 0
    complete = "event=access_log dropped" not in log
    for number, what in failed.items():
        if what == "idle" and nines.upgrades > 0 and f"n={number}&" not in log:
            idle += 1  # it was closed for its silence when the request was on its way
        elif what in ("cut", "idle") and number not in faults:
            bad.append(f"request {number} was cut, and no server did it")
        elif what in OWN and complete and (str(number), str(what)) not in logged:
            bad.append(f"request {number} got {what} and has no line in the log")
        elif what not in OWN and what not in ("cut", "idle", 500):
            bad.append(f"request {number} got {what}")
        elif what == 500 and faults.get(number) != "error":
            bad.append(f"request {number} got {what}, which no server sent")
    died = re.findall(r".*event=part-(?:died|kill).*", log)
    bad += died
    half = len(memory) // 2
    if half > 4 and max(memory[half:]) > max(memory[:half]) * 1.3 + 8192:
        bad.append(f"memory grew: {memory} kB")
    print("answers:", dict(results.most_common()))
    print("servers:", dict(served), " faults:", len(faults))
    print(f"closed by an old process in the very moment of a request: {idle}")
    print(f"reloads: {nines.reloads}  upgrades: {nines.upgrades}  "
          f"memory: {memory[:1]} .. {memory[-1:]} kB, at most {max(memory)}")
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
    ours, theirs = multiprocessing.Pipe()
    servers = multiprocessing.Process(target=run_servers, args=(theirs, seed))
    servers.start()
    ours.recv()
    nines = Nines(program, folder)
    try:
        until = time.monotonic() + 20
        while not nines.ready():
            assert time.monotonic() < until, nines.log.read_text()
            time.sleep(0.05)
        end, memory = time.monotonic() + seconds, []
        results, told = multiprocessing.Pipe()
        clients = multiprocessing.Process(target=run_clients, args=(told, seed + 1, end))
        clients.start()
        trouble = threading.Thread(target=nines.trouble, args=(end, seed + 2))
        trouble.start()
        while not results.poll(1) and clients.is_alive():
            kilobytes = nines.memory()
            if kilobytes:
                memory.append(kilobytes)
        said = results.recv()
        trouble.join()
        ours.send("end")
        time.sleep(0.2)  # the last lines of the log
        bad = judge(nines, said, ours.recv(), memory)
    finally:
        nines.process.send_signal(signal.SIGTERM)
        nines.process.wait(60)
        servers.kill()
    for line in bad[:50]:
        print("WRONG:", line)
    print(f"{len(bad)} wrong")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
