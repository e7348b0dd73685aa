# SPDX-License-Identifier: Apache-2.0
"""Servers of the soak that speak HTTP/2 (cleartext, prior knowledge), and do it wrong.

A Connection has the moods of its address (proxy_soak.Servers): beside what an HTTP/1.1
server can do wrong, it refuses streams, resets them, says GOAWAY in the middle of
requests, changes its SETTINGS, pads, sends frames that none may send, and leaves PINGs
unanswered. `faults` has every request that was not served as it should be.
"""
import asyncio
import re
import struct

import h2wire
from h2wire import (ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PREFACE,
                    PUSH, RST, SETTINGS, WINDOW, CONTINUATION)

PADDED, PRIORITY_FLAG = 8, 32
frame = h2wire.H2.frame


class Stream:
    def __init__(self, n, fields, window):
        self.n, self.window = n, window
        self.method = fields[":method"]
        self.number = int(re.search(r"n=(\d+)", fields[":path"])[1])
        self.size = int(re.search(r"size=(\d+)", fields[":path"])[1])
        self.body = b""
        self.begun = self.over = False  # carried out; of no use to anybody any more


class Connection:
    def __init__(self, servers, address, reader, writer):
        self.servers, self.address = servers, address
        self.random = servers.random
        self.reader, self.writer = reader, writer
        self.inflater = h2wire.Inflater()
        self.streams, self.tasks = {}, set()
        self.window, self.first_window = 65535, 65535
        self.moved = asyncio.Event()  # somebody may send again
        self.block = b""
        self.last = None  # as told in GOAWAY
        self.over = False

    # ---- what is sent ----

    def send(self, kind, flags, n, payload=b""):
        if not self.over:
            self.writer.write(frame(kind, flags, n, payload))

    def settings(self):
        words = [(h2wire.MAX_STREAMS, self.random.choice([1, 5, 20, 100])),
                 (h2wire.INITIAL_WINDOW, self.random.choice([1000, 65535, 200000]))]
        self.send(SETTINGS, 0, 0, b"".join(struct.pack(">HI", k, v) for k, v in words))

    def reset(self, s, code):
        self.send(RST, 0, s.n, struct.pack(">I", code))
        self.drop(s)

    def drop(self, s):
        s.over = True
        self.streams.pop(s.n, None)
        self.moved.set()
        if self.last is not None and not self.streams:
            self.end(abort=False)

    def blame(self, what):
        for s in self.streams.values():
            self.servers.faults[s.number].add(what)

    def end(self, abort):
        """Whatever is under way here ends as well."""
        self.over = True
        self.blame("aborted")
        for s in list(self.streams.values()):
            s.over = True
        self.streams.clear()
        self.moved.set()
        if abort:
            self.writer.transport.abort()
        else:
            self.writer.close()

    async def data(self, s, data, end):
        """False: nobody wants the rest."""
        while data or end:
            room = min(self.window, s.window, 16384, len(data))
            if s.over or self.over:
                return False
            if data and room <= 0:
                self.moved.clear()
                await self.moved.wait()
                continue
            part, data = data[:max(room, 0)], data[max(room, 0):]
            self.window -= len(part)
            s.window -= len(part)
            self.send(DATA, END_STREAM if end and not data else 0, s.n, part)
            if not data:
                break
            await self.writer.drain()
        return True

    # ---- an answer ----

    def refuse(self, s, mood):
        """True: `s` is not carried out, and its client is told so."""
        if mood == "reset" and self.random.random() < 0.5:
            self.reset(s, h2wire.REFUSED_STREAM)
            return True
        if mood != "goaway" or self.last is not None:
            return False
        begun = [o.n for o in self.streams.values() if o.begun]
        self.last = max([*begun, s.n if self.random.random() < 0.5 else 0])
        self.send(GOAWAY, 0, 0, struct.pack(">II", self.last, 0))
        for o in list(self.streams.values()):
            if o.n > self.last:
                self.drop(o)
        return s.over

    def garbage(self, s):
        """What no server may send; who is hurt by it."""
        how = self.random.randrange(10)
        nobody = s.n + 1000  # a stream that was never asked for
        if how == 0:  # for this stream alone
            self.send(HEADERS, END_HEADERS, s.n, h2wire.block([("x-no", "status")]))
        elif how == 1:
            self.send(HEADERS, END_HEADERS, s.n,
                      h2wire.block([(":status", "200"), ("Upper", "case"), ("a b", "c")]))
        elif how == 2:
            self.send(DATA, 0, s.n, b"before any head")
        else:
            self.blame("garbage")
            self.writer.write([
                b"\x00\x16nonsense, and nothing else\r\n\r\n" * 3,
                frame(HEADERS, END_HEADERS, s.n, b"\xff\xff\xff\xff\xff\xff\xff"),
                frame(DATA, 0, nobody + 1, b"?"), frame(DATA, 0, 0, b"?"),
                frame(SETTINGS, ACK, 0, b"?"),
                frame(PUSH, END_HEADERS, s.n, struct.pack(">I", 2)),
                frame(CONTINUATION, END_HEADERS, s.n, b"")][how - 3])

    def head(self, s, status, content, digest):
        fields = [(":status", str(status)), ("x-number", str(s.number)),
                  ("x-read", digest(s.body))]
        if s.number % 3:
            fields.append(("content-length", str(s.size)))
        empty = s.size == 0 and s.number % 3 != 0
        block = h2wire.block(fields)
        if s.number % 5 == 0:
            block = b"\x07" + block + bytes(7)
            self.send(HEADERS, END_HEADERS | PADDED | (END_STREAM if empty else 0), s.n,
                      block)
        else:
            self.send(HEADERS, END_HEADERS | (END_STREAM if empty else 0), s.n, block)
        return None if empty else content(s.number, s.size)

    async def cut(self, s, data):
        """Half of it, and an end that is none."""
        await self.data(s, data[:len(data) // 2], False)
        if self.over or s.over:
            return
        how = self.random.randrange(3)
        if how == 0:
            self.end(abort=True)
        elif how == 1 and s.number % 3:  # fewer bytes than the head said
            self.send(DATA, END_STREAM, s.n)
            self.drop(s)
        else:
            self.reset(s, self.random.choice([h2wire.INTERNAL_ERROR, h2wire.CANCEL,
                                              h2wire.NO_ERROR]))

    async def serve(self, s, mood):
        if mood == "hang":
            while self.servers.mood[self.address] == "hang" and not self.over:
                await asyncio.sleep(0.05)
            return
        if mood in ("reset", "dead"):
            self.reset(s, h2wire.INTERNAL_ERROR)
            return
        if mood == "garbage":
            self.garbage(s)
            return
        if mood == "slow":
            self.settings()
            await asyncio.sleep(0.2)
        data = self.head(s, 500 if mood == "error" else 200, self.servers.content,
                         self.servers.digest)
        if data is not None and mood == "cut":
            await self.cut(s, data)
            return
        trailers = s.number % 6 == 0
        if data is not None and not await self.data(s, data, not trailers):
            return
        if data is not None and trailers:
            self.send(HEADERS, END_HEADERS | END_STREAM, s.n,
                      h2wire.block([("x-sum", self.servers.digest(data))]))
        self.drop(s)
        if mood == "rude" and not self.over:
            self.end(abort=False)

    async def answer(self, s):
        if s.over:  # refused since it was complete
            return
        mood = self.servers.mood[self.address]
        self.servers.served["h2 " + mood] += 1
        if mood != "good":
            self.servers.faults[s.number].add(mood)
        if self.refuse(s, mood):
            return
        s.begun = True
        if s.method == "POST":
            self.servers.posts[s.number] += 1
        try:
            await self.serve(s, mood)
        except (ConnectionError, OSError):
            self.end(abort=True)

    # ---- what comes ----

    def complete(self, s):
        task = asyncio.create_task(self.answer(s))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def headers(self, n, flags, payload):
        if flags & PADDED:
            payload = payload[1:len(payload) - payload[0]]
        if flags & PRIORITY_FLAG:
            payload = payload[5:]
        self.block += payload
        if not flags & END_HEADERS:
            return
        fields, self.block = dict(self.inflater.decode(self.block)), b""
        if n in self.streams or (self.last is not None and n > self.last):
            return  # trailers, which say nothing here; or refused
        s = self.streams[n] = Stream(n, fields, self.first_window)
        if flags & END_STREAM:
            self.complete(s)

    def take(self, kind, flags, n, payload):
        s = self.streams.get(n)
        if kind in (HEADERS, CONTINUATION):
            self.headers(n, flags, payload)
        elif kind == DATA:
            size = struct.pack(">I", len(payload))
            if payload:
                self.send(WINDOW, 0, 0, size)
            if s is None:
                return
            s.body += payload
            if flags & END_STREAM:
                self.complete(s)
            elif payload:
                self.send(WINDOW, 0, n, size)
        elif kind == RST and s is not None:
            self.drop(s)
        elif kind == WINDOW:
            more = struct.unpack(">I", payload)[0]
            if n == 0:
                self.window += more
            elif s is not None:
                s.window += more
            self.moved.set()
        elif kind == PING and not flags & ACK:
            if self.servers.mood[self.address] != "hang":
                self.send(PING, ACK, 0, payload)
        elif kind == SETTINGS and not flags & ACK:
            for k, v in struct.iter_unpack(">HI", payload):
                if k == h2wire.INITIAL_WINDOW:
                    for o in self.streams.values():
                        o.window += v - self.first_window
                    self.first_window = v
            self.send(SETTINGS, ACK, 0)
            self.moved.set()

    async def run(self):
        """Until the connection ends."""
        try:
            self.settings()
            while not self.over:
                head = await self.reader.readexactly(9)
                size, kind = struct.unpack(">IB", b"\0" + head[:4])
                flags, n = struct.unpack(">BI", head[4:])
                self.take(kind, flags, n, await self.reader.readexactly(size))
                await self.writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, OSError):
            pass
        finally:
            for s in self.streams.values():
                if s.begun:
                    self.servers.faults[s.number].add("lost")
            self.streams.clear()
            self.end(abort=True)


async def connection(servers, address, reader, writer):
    """One of either protocol: checks come in HTTP/1.1."""
    one = None
    try:
        start = await reader.readexactly(len(PREFACE))
        if start == PREFACE:
            one = Connection(servers, address, reader, writer)
            servers.writers[address][writer] = one
            await one.run()
        else:
            await reader.readuntil(b"\r\n\r\n")
            await servers.check(address, writer)
    except (asyncio.IncompleteReadError, ConnectionError, OSError):
        pass
    finally:
        servers.writers[address].pop(writer, None)
        writer.transport.abort()
