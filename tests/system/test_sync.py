# SPDX-License-Identifier: Apache-2.0
"""Connections through a firewall pair while its hosts come and go (topology: synclab.py).

The rules accept new connections only by SYN and from the client's side, so that nothing
survives by being picked up midway; half of the connections are silent on the client's
side and hear a server that talks by itself."""
import sys

import pytest
import synclab
from synclab import until

MIX = (("tcp", "10.30.0.10", 9000, 60), ("tcp-push", "10.30.0.10", 9100, 60),
       ("tcp", "10.20.0.1", 8080, 30), ("udp-push", "10.30.0.10", 9100, 30),
       ("tcp", "fd00:30::10", 9000, 30), ("tcp-push", "fd00:30::10", 9100, 30))
TOTAL = sum(m[3] for m in MIX)


def open_lab(folder, **more):
    lab = synclab.Lab(folder, **more)
    lab.spawn("server", sys.executable, synclab.FLOWS, "server", log="server.log")
    return lab


@pytest.fixture
def lab(tmp_path):
    made = open_lab(tmp_path)
    try:
        made.both_up()
        yield made
    finally:
        made.close()


@pytest.fixture
def client(lab):
    c = synclab.Client(lab)
    for row in MIX:
        c.open(*row)
    return c


def same(lab):
    until(lambda: lab.flows("fw1") == lab.flows("fw2"), "both kernels know the same")


def all_alive(client):
    assert client.check() == {"alive": TOTAL, "reset": 0, "silent": 0}


def test_host_off_and_back(lab, client):
    same(lab)
    assert len(lab.flows("fw2")) == TOTAL
    lab.off("fw1")
    until(lambda: lab.acts("fw2"), "fw2 takes over")
    all_alive(client)
    lab.on("fw1")
    until(lambda: lab.in_step("fw1", "fw2"), "fw1 learns what it missed")
    same(lab)
    lab.order("fw2", "move", "fw-in", "fw1")
    until(lambda: lab.acts("fw1"), "fw1 has the addresses again")
    all_alive(client)


def test_graceful_stop(lab, client):
    lab.order("fw1", "stop")
    until(lambda: lab.acts("fw2"), "fw2 takes over")
    all_alive(client)
