# SPDX-License-Identifier: Apache-2.0
"""Many connections at once, to be looked at while their way changes.

    flows.py server        answers on every address: 9000 echoes (TCP, UDP), 9100 talks by
                           itself every 20 ms once somebody has come (TCP, UDP)
    flows.py client        takes a line of JSON, answers with one:
        ["open", KIND, ADDRESS, PORT, N]   KIND: tcp, tcp-push, udp-push
        ["check", SECONDS]     how many of all still carry data, both ways, from now on
        ["close"]
"""
import json
import resource
import selectors
import socket
import sys
import time

ECHO, PUSH = 9000, 9100
FIRST_PORT = 10000
SMALL = 4096


def many_files():
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class Server:
    def __init__(self):
        self.sel = selectors.DefaultSelector()
        self.pushed = {}  # TCP socket -> nothing; UDP address -> socket
        for family, anywhere in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            for port in (ECHO, PUSH):
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    s = socket.socket(family, kind)
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    if family == socket.AF_INET6:
                        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    s.bind((anywhere, port))
                    s.setblocking(False)
                    act = self.datagram
                    if kind == socket.SOCK_STREAM:
                        s.listen(4096)
                        act = self.accept
                    self.sel.register(s, selectors.EVENT_READ, (act, port))

    def accept(self, s, port):
        try:
            c, _ = s.accept()
        except OSError:
            return
        c.setblocking(False)
        c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sel.register(c, selectors.EVENT_READ, (self.stream, port))
        if port == PUSH:
            self.pushed[c] = None

    def stream(self, c, _port):
        try:
            data = c.recv(SMALL)
            if data:
                c.send(data)
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self.sel.unregister(c)
        self.pushed.pop(c, None)
        c.close()

    def datagram(self, s, port):
        try:
            data, peer = s.recvfrom(SMALL)
        except OSError:
            return
        if port == PUSH:
            self.pushed[peer] = s
        else:
            s.sendto(data, peer)

    def push(self):
        for to, by in list(self.pushed.items()):
            try:
                if by is None:
                    to.send(b"p")
                else:
                    by.sendto(b"p", to)
            except OSError:
                pass

    def run(self):
        due = time.monotonic()
        while True:
            for key, _ in self.sel.select(max(0.0, due - time.monotonic())):
                act, port = key.data
                act(key.fileobj, port)
            if time.monotonic() >= due:
                due = time.monotonic() + 0.02
                self.push()


class Client:
    """Each of its sockets has a port that no other had: the kernel gives away again what
    was just closed, and a new connection would be taken for the old one."""

    def __init__(self):
        self.flows = []  # (socket, kind)
        self.port = FIRST_PORT

    def open(self, kind, address, port, n):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        stream = kind.startswith("tcp")
        for _ in range(n):
            s = socket.socket(family, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM)
            s.settimeout(30)
            s.bind(("", self.port))
            self.port += 1
            s.connect((address, port))
            if stream:
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            s.send(b"hello")
            s.recv(SMALL)
            s.setblocking(False)
            self.flows.append((s, kind))
        return {"open": n}

    def check(self, seconds):
        """Echoes must come back for what is sent now; who pushes must be heard anew."""
        end = time.monotonic() + seconds
        waiting, dead = {}, 0
        for s, kind in self.flows:
            try:
                while s.recv(SMALL):
                    pass
            except BlockingIOError:
                pass
            except OSError:
                dead += 1
                continue
            try:
                if not kind.endswith("push"):
                    s.send(b"still there?")
            except OSError:
                dead += 1
                continue
            waiting[s] = kind
        sel = selectors.DefaultSelector()
        for s in waiting:
            sel.register(s, selectors.EVENT_READ)
        while waiting and time.monotonic() < end:
            for key, _ in sel.select(max(0.0, end - time.monotonic())):
                try:
                    if not key.fileobj.recv(SMALL):
                        dead += 1
                except BlockingIOError:
                    continue
                except OSError:
                    dead += 1
                sel.unregister(key.fileobj)
                del waiting[key.fileobj]
        sel.close()
        return {"alive": len(self.flows) - dead - len(waiting), "reset": dead,
                "silent": len(waiting)}

    def close(self):
        for s, _ in self.flows:
            s.close()
        self.flows = []
        return {}

    def run(self):
        for line in sys.stdin:
            verb, *rest = json.loads(line)
            try:
                answer = {"open": self.open, "check": self.check, "close": self.close}[verb](*rest)
            except OSError as e:
                answer = {"error": str(e)}
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    many_files()
    {"server": Server, "client": Client}[sys.argv[1]]().run()
