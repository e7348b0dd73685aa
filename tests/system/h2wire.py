# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 frame by frame, for tests: whatever a client could send, also what none should.

Header blocks are written as literals without Huffman coding and without the dynamic
table; those of answers are decoded by libnghttp2.
"""
import collections
import ctypes
import ctypes.util
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM = ACK = 1
END_HEADERS = 4
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR = 0, 1, 2
FLOW_CONTROL_ERROR, REFUSED_STREAM, CANCEL, CALM = 3, 7, 8, 11
MAX_STREAMS, INITIAL_WINDOW, MAX_LIST, CONNECT = 3, 4, 6, 8

Frame = collections.namedtuple("Frame", "type flags stream payload")
LIB = ctypes.CDLL(ctypes.util.find_library("nghttp2") or "libnghttp2.so.14")


class NV(ctypes.Structure):
    _fields_ = [("name", ctypes.POINTER(ctypes.c_char)),
                ("value", ctypes.POINTER(ctypes.c_char)),
                ("namelen", ctypes.c_size_t), ("valuelen", ctypes.c_size_t),
                ("flags", ctypes.c_uint8)]


LIB.nghttp2_hd_inflate_hd2.restype = ctypes.c_ssize_t
LIB.nghttp2_hd_inflate_hd2.argtypes = [
    ctypes.c_void_p, ctypes.POINTER(NV), ctypes.POINTER(ctypes.c_int), ctypes.c_char_p,
    ctypes.c_size_t, ctypes.c_int]


class Inflater:
    def __init__(self):
        self.state = ctypes.c_void_p()
        assert LIB.nghttp2_hd_inflate_new(ctypes.byref(self.state)) == 0

    def decode(self, block):
        fields = []
        while True:
            nv, flags = NV(), ctypes.c_int()
            n = LIB.nghttp2_hd_inflate_hd2(self.state, nv, flags, block, len(block), 1)
            assert n >= 0, n
            block = block[n:]
            if flags.value & 2:
                fields.append((nv.name[:nv.namelen].decode("latin-1"),
                               nv.value[:nv.valuelen].decode("latin-1")))
            if flags.value & 1:
                LIB.nghttp2_hd_inflate_end_headers(self.state)
            if flags.value & 1 or (not block and not flags.value & 2):
                return fields


def integer(n, prefix):
    limit = (1 << prefix) - 1
    if n < limit:
        return bytes([n])
    n -= limit
    out = [limit]
    while n >= 128:
        out.append(n % 128 + 128)
        n //= 128
    return bytes(out + [n])


def text(s):
    data = s if isinstance(s, bytes) else s.encode("latin-1")
    return integer(len(data), 7) + data


def block(fields):
    return b"".join(b"\0" + text(n) + text(v) for n, v in fields)


def request(method="GET", path="/", *more, authority="a"):
    return [(":method", method), (":scheme", "http"), (":authority", authority),
            (":path", path), *more]


class Answer:
    def __init__(self):
        self.heads, self.body, self.trailers = [], b"", None
        self.ended, self.reset = False, None

    @property
    def status(self):
        return int(dict(self.heads[-1])[":status"])

    @property
    def field(self):
        return dict(self.heads[-1])


class H2:
    """A client's connection: `stream` is a proxylab.Stream."""

    def __init__(self, stream, settings=(), greet=True, window=True):
        self.stream, self.inflater, self.next = stream, Inflater(), 1
        self.answers = collections.defaultdict(Answer)
        self.goaway = None
        self.settings = {}
        self.window = window
        self.pongs = 0
        if greet:
            stream.send(PREFACE + self.frame(SETTINGS, 0, 0, b"".join(
                struct.pack(">HI", k, v) for k, v in settings)))

    @staticmethod
    def frame(kind, flags, stream, payload=b""):
        return struct.pack(">IBI", len(payload) << 8 | kind, flags, stream)[:9] + payload

    def send(self, kind, flags, stream, payload=b""):
        self.stream.send(self.frame(kind, flags, stream, payload))

    def ask(self, fields, end=True, body=None):
        """Sends a request; its stream."""
        n, self.next = self.next, self.next + 2
        self.send(HEADERS, END_HEADERS | (END_STREAM if end and body is None else 0), n,
                  block(fields))
        if body is not None:
            self.data(n, body, end)
        return n

    def data(self, n, body, end=False):
        for i in range(0, max(len(body), 1), 16384):
            last = i + 16384 >= len(body)
            self.send(DATA, END_STREAM if end and last else 0, n, body[i:i + 16384])

    def read(self):
        """The next frame, which has also been taken into account."""
        size, kind = struct.unpack(">IB", b"\0" + self.stream.read(4))
        flags, stream = struct.unpack(">BI", self.stream.read(5))
        f = Frame(kind, flags, stream, self.stream.read(size))
        assert size <= 16384
        self.take(f)
        return f

    def take(self, f):
        answer = self.answers[f.stream]
        if f.type == HEADERS:
            assert f.flags & END_HEADERS
            fields = self.inflater.decode(f.payload)
            if fields and fields[0][0] == ":status":
                answer.heads.append(fields)
            else:
                answer.trailers = fields
        elif f.type == DATA:
            answer.body += f.payload
            if self.window and f.payload:
                size = struct.pack(">I", len(f.payload))
                self.send(WINDOW, 0, 0, size)
                if not f.flags & END_STREAM:
                    self.send(WINDOW, 0, f.stream, size)
        elif f.type == RST:
            answer.reset = struct.unpack(">I", f.payload)[0]
        elif f.type == GOAWAY:
            self.goaway = struct.unpack(">II", f.payload[:8])
        elif f.type == PING and not f.flags & ACK:
            self.send(PING, ACK, 0, f.payload)
        elif f.type == PING:
            self.pongs += 1
        elif f.type == SETTINGS and not f.flags & ACK:
            self.settings = dict(struct.iter_unpack(">HI", f.payload))
            self.send(SETTINGS, ACK, 0)
        if f.type in (HEADERS, DATA) and f.flags & END_STREAM:
            answer.ended = True

    def until(self, what):
        while not what():
            self.read()

    def answer(self, n):
        """The whole answer on stream `n`, or what there was of it before a reset."""
        answer = self.answers[n]
        self.until(lambda: answer.ended or answer.reset is not None)
        return answer

    def get(self, *words):
        return self.answer(self.ask(request("GET", *words)))

    def end(self):
        """Reads to the end of the connection."""
        try:
            while True:
                self.read()
        except (EOFError, ConnectionError):
            return self

    def close(self):
        self.stream.close()


class H2Server(H2):
    """The other end: `answers` are requests here."""

    def __init__(self, stream, settings=()):
        super().__init__(stream, greet=False)
        assert stream.read(len(PREFACE)) == PREFACE
        self.send(SETTINGS, 0, 0, b"".join(struct.pack(">HI", k, v) for k, v in settings))

    def take(self, f):
        super().take(f)
        if f.type == HEADERS and f.stream not in self.asked:
            self.asked[f.stream] = dict(self.answers[f.stream].trailers)
            self.answers[f.stream].trailers = None

    @property
    def asked(self):
        return self.__dict__.setdefault("_asked", {})

    def request(self, n):
        """Waits for all of request `n`: (fields, what came)."""
        self.until(lambda: self.answers[n].ended)
        return self.asked[n], self.answers[n]

    def reply(self, n, status, *fields, body=None, end=True, trailers=None):
        last = END_STREAM if body is None and end and trailers is None else 0
        self.send(HEADERS, END_HEADERS | last, n, block([(":status", str(status)), *fields]))
        if body is not None:
            self.data(n, body, end and trailers is None)
        if trailers is not None:
            self.send(HEADERS, END_HEADERS | END_STREAM, n, block(trailers))
