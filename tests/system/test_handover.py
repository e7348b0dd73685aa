# SPDX-License-Identifier: Apache-2.0
"""Planned moves between two nines, with connections that must go on.

    client ---+--- lb1 (10.0.0.11) ---+
              |    lb2 (10.0.0.12)    |   one bridge; www is 10.0.0.10
              +--- web1 (10.0.0.21) --+
"""
import contextlib
import json
import os
import pathlib
import socket
import subprocess

import kit
import pytest
from kit import NINES, until

TCP_REPAIR = 19
FILE = """cluster: {name}
network: 10.0.0.0/24
hosts: {{lb1: 10.0.0.11, lb2: 10.0.0.12, web1: 10.0.0.21}}
floating_ips:
  www: {{address: 10.0.0.10, hosts: [lb1, lb2]}}
services:
  site: {{listen: www:80, servers: [web1:8080], check: /health}}
"""


class Pair:
    def __init__(self, folder):
        self.name = f"hand{os.getpid()}"
        self.file = str(folder / "cluster.yaml")
        pathlib.Path(self.file).write_text(FILE.format(name=self.name), encoding="utf-8")

    def nines(self, *words):
        return subprocess.run([NINES, *words], capture_output=True, text=True, timeout=120,
                              check=False)

    def run_dir(self, host):
        return f"/run/nines-lab/{self.name}/{host}.run"

    def fact(self, host):
        out = self.nines("status", "--json", "--run-dir", self.run_dir(host)).stdout
        facts = json.loads(out)["facts"] if out else []
        return next((f["value"] for f in facts if f["key"] == "vip www"), "")

    def move(self, source, target):
        moved = self.nines("move", "www", target, "--run-dir", self.run_dir(source))
        assert moved.returncode == 0, moved.stderr
        assert moved.stdout == f"www is on {target} now\n"
        until(lambda: self.fact(target) == "active")

    def connect(self, port=0):
        with kit.inside(f"nines-{self.name}-client"):
            s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.settimeout(30)
        s.bind(("", port))
        s.connect(("10.0.0.10", 80))
        return s


def ask(s, number):
    """True if the connection goes on."""
    s.sendall(f"GET /?id={number} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    data = b""
    while f"web1 id={number}\n".encode() not in data:
        more = s.recv(4096)
        assert more, data
        data += more
    return b"Connection: close" not in data


@pytest.fixture
def pair(tmp_path):
    made = Pair(tmp_path)
    up = made.nines("lab", "up", made.file)
    try:
        assert up.returncode == 0, up.stderr
        until(lambda: "active" in (made.fact("lb1"), made.fact("lb2")))
        if made.fact("lb1") != "active":
            made.move("lb2", "lb1")

        def serves():
            try:
                with contextlib.closing(made.connect()) as s:
                    return ask(s, 1)
            except (OSError, AssertionError):
                return False
        until(serves)
        yield made
    finally:
        made.nines("lab", "down", made.file)


def test_connections_finish_where_they_are(pair):
    """One that is open when the address moves is served once more, by its old host."""
    kept = [pair.connect() for _ in range(10)]
    for i, s in enumerate(kept):
        assert ask(s, i)
    pair.move("lb1", "lb2")
    for i, s in enumerate(kept):
        assert not ask(s, 100 + i)
        s.close()
    with contextlib.closing(pair.connect()) as s:
        assert ask(s, 200)


def test_a_port_used_again(pair):
    """The new owner has an old connection of the same port, whose end it never saw."""
    old = pair.connect()
    port = old.getsockname()[1]
    assert ask(old, 1)
    old.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    old.close()  # says nothing
    pair.move("lb1", "lb2")
    with contextlib.closing(pair.connect(port)) as s:
        assert ask(s, 2)
        pair.move("lb2", "lb1")
        assert not ask(s, 3)
