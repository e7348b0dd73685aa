# SPDX-License-Identifier: Apache-2.0
"""What the proxy does when the host has nothing left to give: descriptors, memory,
threads. It refuses new work, does not die, and recovers.

      client 10.9.0.9 ──> lb1 10.9.0.1:80 (nines) ──> web1 10.9.0.11 (threads)
"""
import contextlib
import re
import resource
import select
import socket
import time

import pytest

import proxylab
from proxylab import DEADLINE, LB, NINES, Lab, Stream, echo, run, until

SERVICES = """
  site: {listen: "lb1:80", servers: ["web1:8080"], check: none, timeouts: {drain: 2s}}
  slow: {listen: "lb1:81", servers: ["web1:8081"], check: none}
"""
GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class LimitedLab(Lab):
    def begin(self, *limits):
        self.write(SERVICES)
        # malloc() has nothing in reserve, so that a limit is felt at once.
        self.nines = self.spawn("env", "MALLOC_MMAP_THRESHOLD_=16384",
                                "MALLOC_ARENA_MAX=1", "prlimit", *limits,
                                NINES, "run", "--host", "lb1", "-f", self.file,
                                "--run-dir", self.run_dir, log="nines.log")
        until(lambda: self.fact("proxy listen") == "up", "nines accepts")
        until(lambda: "spare_pid" in (self.part("proxy") or {}), "the spare")

    def limit(self, pid, limit):
        """Only somebody of the same name may do that where root lacks a capability."""
        run("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "prlimit",
            f"--pid={pid}", limit)

    def restarts(self):
        return self.part("proxy")["restarts"]


def never_answers(stream, _n):
    stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    while True:
        time.sleep(0.1)
        if b"" == stream.sock.recv(1, socket.MSG_PEEK):
            return


@pytest.fixture
def lab(tmp_path):
    with LimitedLab(tmp_path) as made:
        made.serve("web1", 8080, echo("web1"))
        made.serve("web1", 8081, never_answers)
        yield made


def answers(streams, enough):
    """What came to each: a status, "closed", or nothing yet."""
    found = {}
    end = time.monotonic() + DEADLINE
    while not enough(found.values()) and time.monotonic() < end:
        waiting = {s.sock: s for s in streams if s not in found}
        for sock in select.select(list(waiting), [], [], 0.2)[0]:
            stream = waiting[sock]
            try:
                found[stream] = stream.answer()[0].status
            except (OSError, EOFError):
                found[stream] = "closed"
    return list(found.values())


def serves(lab):
    """While it sees others leave, it may still have nothing left for one more."""
    try:
        return lab.get(80)[0].status == 200
    except (EOFError, ConnectionError):
        return False


def test_without_descriptors_it_refuses_and_recovers(lab):
    lab.begin("--nofile=100:100")
    until(lambda: "only 100 descriptors" in lab.fact("proxy advice"), "it is told")
    streams = []
    for _ in range(150):
        streams.append(lab.connect(80))
        with contextlib.suppress(OSError):
            streams[-1].send(GET)
    def both(said):
        return 200 in said and ("closed" in said or 503 in said)
    said = answers(streams, both)
    assert both(said), said
    assert lab.restarts() == 0
    until(lambda: "out of descriptors" in lab.log(), "it is told")
    for stream in streams:
        stream.close()
    until(lambda: serves(lab), "service again")
    for _ in range(20):
        assert lab.get(80)[0].status == 200
    assert lab.restarts() == 0


def test_nine_thousand_idle_connections(lab):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 12000:
        pytest.skip("descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    socks = []
    try:
        lab.begin()
        with lab.inside():
            for _ in range(9000):
                socks.append(socket.create_connection((LB, 80), timeout=30))
        until(lambda: len(lab.at("ss", "-tnH", "state", "established", "sport = :80")
                          .splitlines()) >= 9000, "all are there")
        for sock in (socks[0], socks[4500], socks[-1]):
            stream = Stream(sock)
            stream.send(GET)
            assert stream.answer()[0].status == 200
        assert lab.get(80)[0].status == 200 and lab.restarts() == 0
    finally:
        for sock in socks:
            sock.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.skipif(proxylab.sanitized(), reason="ASan needs all of the address space")
def test_without_memory_it_refuses_and_recovers(lab):
    lab.at("sysctl", "-qw", "net.ipv4.tcp_wmem=4096 16384 65536")
    lab.begin()
    pid = lab.part("proxy")["pid"]
    assert lab.get(80)[0].status == 200
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        size = int(re.search(r"VmSize:\s+(\d+) kB", f.read())[1]) * 1024
    lab.limit(pid, f"--as={size + (4 << 20)}:")
    # Each holds a large buffer with what its server does not take.
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n40000000\r\n"
    streams = [lab.connect(81) for _ in range(150)]
    for stream in streams:
        stream.sock.setblocking(False)
        with contextlib.suppress(BlockingIOError, ConnectionError):
            stream.sock.send(head)
            for _ in range(16):
                stream.sock.send(b"x" * (1 << 16))
    until(lambda: select.select([s.sock for s in streams], [], [], 0)[0], "some are refused")
    assert lab.part("proxy")["pid"] == pid, lab.log()[-1500:]
    lab.limit(pid, "--as=unlimited:")
    for stream in streams:
        stream.close()
    until(lambda: serves(lab), "service again")
    assert lab.part("proxy")["pid"] == pid and lab.restarts() == 0


def test_without_threads_the_file_is_read_all_the_same(lab):
    lab.begin()
    for key in ("pid", "spare_pid"):
        lab.limit(lab.part("proxy")[key], "--nproc=1:")
    lab.write(SERVICES + '  more: {listen: "lb1:82", servers: ["web1:8080"], check: none}\n')
    lab.order("reload")
    assert lab.get(82)[0].status == 200 and lab.restarts() == 0
