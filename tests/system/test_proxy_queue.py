# SPDX-License-Identifier: Apache-2.0
"""Who is served when there is too little for all: queues with turns, breakers, backups
that join, and each way of balancing with real connections.

      clients 10.9.0.9, 10.9.0.12, 10.9.0.13 ──> lb1 10.9.0.1:80 (nines, one worker)
                                                   ──> web1..web3 10.9.0.11..13

One worker, since each counts for itself.
"""
import collections
import json
import queue
import socket
import threading

import pytest

import proxylab
from proxylab import CLIENT, DEADLINE, LB, NINES, WEB, Lab, Stream, echo, run, until

A, B, C = CLIENT, WEB["web2"], WEB["web3"]


class OneWorker(Lab):
    def write(self, services):
        with open(self.file, "w", encoding="utf-8") as f:
            f.write(proxylab.HEAD.replace("workers: 2", "workers: 1") + services)

    def connect_from(self, source, port=80):
        with self.inside():
            s = socket.socket()
        s.settimeout(DEADLINE)
        s.bind((source, 0))
        s.connect((LB, port))
        return Stream(s)

    def figures(self, service="site"):
        return self.counters(f"proxy_service service={service}")


@pytest.fixture
def lab(tmp_path):
    it = OneWorker(tmp_path)
    yield it
    it.close()


class Gate:
    """A server that answers the next request when it is told to."""

    def __init__(self, name):
        self.name = name
        self.asked = queue.Queue()
        self.free = threading.Semaphore(0)

    def script(self, stream, _n):
        while True:
            head = stream.head()
            self.asked.put(head["x-who"])
            self.free.acquire()
            stream.send(f"HTTP/1.1 200 OK\r\nX-Server: {self.name}\r\nContent-Length: 0\r\n\r\n")

    def next(self):
        return self.asked.get(timeout=DEADLINE)


def who_asks(who, fields=""):
    """By a method that nobody repeats, however long the server takes."""
    return f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nX-Who: {who}\r\n{fields}\r\n"


def ask(lab, source, who, port=80):
    stream = lab.connect_from(source, port)
    stream.send(who_asks(who))
    return stream


LIMITED = ('  site: {listen: "lb1:80", check: none, servers: [{at: "web1:8080", '
           'max_connections: 1}], queue: {size: %d, timeout: 1m}}\n')


def waiting(lab, n):
    until(lambda: lab.figures().get("queue") == n, f"{n} wait")


def test_sources_take_turns(lab):
    gate = Gate("web1")
    lab.serve("web1", 8080, gate.script)
    lab.start(LIMITED % 100)
    streams = [ask(lab, A, "a")]
    assert gate.next() == "a"
    streams += [ask(lab, A, "a") for _ in range(8)]
    waiting(lab, 8)
    streams += [ask(lab, B, "b") for _ in range(2)]
    waiting(lab, 10)
    streams.append(ask(lab, C, "c"))
    waiting(lab, 11)
    order = ""
    for _ in range(11):
        gate.free.release()
        order += gate.next()
    gate.free.release()
    # First come, first served would be aaaaaaaabbc.
    assert order == "abcabaaaaaa"
    assert all(s.answer()[0].status == 200 for s in streams)
    waiting(lab, 0)


def test_one_source_cannot_have_all_places(lab):
    gate = Gate("web1")
    lab.serve("web1", 8080, gate.script)
    lab.start(LIMITED % 4)
    streams = [ask(lab, A, "a")]
    gate.next()
    for n in (3, 4):  # the last one is known
        while len(streams) <= n:
            streams.append(ask(lab, A, "a"))
        waiting(lab, n)
    late = ask(lab, A, "late")
    assert late.answer()[0].status == 503  # the source's own places are taken
    other = ask(lab, B, "b")
    assert streams[-1].answer()[0].status == 503  # its last one made room
    waiting(lab, 4)
    gate.free.release()
    assert gate.next() == "a"
    gate.free.release()
    assert gate.next() == "b"
    for _ in range(4):
        gate.free.release()
    assert other.answer()[0].status == 200
    assert all(s.answer()[0].status == 200 for s in streams[:-1])


def test_who_gives_up_leaves_the_queue(lab):
    gate = Gate("web1")
    lab.serve("web1", 8080, gate.script)
    lab.start(LIMITED % 2)
    first = ask(lab, A, "a")
    gate.next()
    stays = ask(lab, B, "b")
    waiting(lab, 1)
    gone = ask(lab, B, "b")
    waiting(lab, 2)
    gone.reset()
    waiting(lab, 1)
    last = ask(lab, C, "c")
    waiting(lab, 2)
    for who in "bc":
        gate.free.release()
        assert gate.next() == who
    gate.free.release()
    assert all(s.answer()[0].status == 200 for s in (first, stays, last))
    waiting(lab, 0)


class Failing:
    """A server that answers with its status, and counts."""

    def __init__(self):
        self.status, self.asked = "500 No", 0

    def script(self, stream, _n):
        while True:
            stream.head()
            self.asked += 1
            stream.send(f"HTTP/1.1 {self.status}\r\nX-Server: s\r\nContent-Length: 0\r\n\r\n")


def test_breaker(lab):
    server = Failing()
    for web in ("web1", "web2"):
        lab.serve(web, 8080, server.script)
    lab.start('  site: {listen: "lb1:80", check: none, servers: ["web1:8080", "web2:8080"], '
              'breaker: {requests: 5, window: 1h, open: 1h}}\n'
              '  none: {listen: "lb1:81", check: none, servers: ["web1:8080"]}\n')
    got = [lab.get(80)[0].status for _ in range(20)]
    assert got == [500] * 5 + [503] * 15 and server.asked == 5
    assert lab.get(81)[0].status == 500  # of another service
    counters = lab.figures()
    assert counters["breaker_opened"] == 1 and counters["breaker_refused"] == 15


def test_breaker_tries_again(lab):
    server = Failing()
    lab.serve("web1", 8080, server.script)
    lab.start('  site: {listen: "lb1:80", check: none, servers: ["web1:8080"], '
              'breaker: {requests: 5, window: 1h, open: 100ms, trials: 2}}\n')
    assert [lab.get(80)[0].status for _ in range(5)] == [500] * 5
    # A trial that fails opens it again: one request of the servers, and no more.
    until(lambda: lab.get(80)[0].status == 500 and server.asked >= 8, "trials")
    assert lab.figures()["breaker_opened"] == 1 + server.asked - 5
    server.status = "200 OK"
    until(lambda: lab.get(80)[0].status == 200, "a trial")
    until(lambda: [lab.get(80)[0].status for _ in range(10)] == [200] * 10, "it closes")


def test_breaker_of_all_workers(tmp_path):
    """What its figures say holds for the process, whichever worker has a request."""
    with Lab(tmp_path) as lab:
        asked = []

        def script(stream, n):
            while True:
                stream.head()
                asked.append(n)
                stream.send("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")

        lab.serve("web1", 8080, script)
        lab.start('  site: {listen: "lb1:80", check: none, servers: ["web1:8080"], '
                  'breaker: {requests: 8, window: 1h, open: 1h}}\n')
        got = [lab.get(80)[0].status for _ in range(60)]  # on either worker, by chance
        assert got == [500] * 8 + [503] * 52 and len(asked) == 8
        blocks = json.loads(run(NINES, "top", "--once", "--json", "--run-dir", lab.run_dir))
        assert len(blocks["worker_requests_per_second"]) == 2


def test_breaker_of_a_group(lab):
    def script(stream, _n):
        while True:
            stream.head()
            stream.send("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")

    lab.serve("web1", 8080, script)
    lab.serve("web2", 8080, echo("web2"))
    lab.start('  site: {listen: "lb1:80", check: none, servers: ["web1:8080"], '
              'groups: {api: ["web2:8080"]}, routes: [{prefix: /api, to: api}], '
              'breaker: {requests: 3, open: 1h}}\n')
    assert [lab.get(80)[0].status for _ in range(5)] == [500] * 3 + [503] * 2
    assert lab.get(80, "/api")[0].status == 200


def test_backup_when_full(lab):
    gate, spare = Gate("web1"), Gate("web2")
    lab.serve("web1", 8080, gate.script)
    lab.serve("web2", 8080, spare.script)
    lab.start('  site: {listen: "lb1:80", check: none, backup_when_full: true, servers: '
              '[{at: "web1:8080", max_connections: 2}, {at: "web2:8080", backup: true}]}\n')
    streams = [ask(lab, A, str(i)) for i in range(2)]
    assert {gate.next(), gate.next()} == {"0", "1"}
    streams.append(ask(lab, A, "2"))
    assert spare.next() == "2"
    for _ in range(2):
        gate.free.release()
    assert [s.answer()[0]["x-server"] for s in streams[:2]] == ["web1"] * 2
    streams.append(ask(lab, A, "3"))
    assert gate.next() == "3"
    gate.free.release()
    spare.free.release()
    assert [s.answer()[0]["x-server"] for s in streams[2:]] == ["web2", "web1"]


def test_slow_server_is_ejected(lab):
    """Of three, two of which are far more than five times as fast."""
    def slow(stream, _n):
        while True:
            stream.head()
            threading.Event().wait(0.5)
            stream.send("HTTP/1.1 200 OK\r\nX-Server: web3\r\nContent-Length: 0\r\n\r\n")

    for web in ("web1", "web2"):
        lab.serve(web, 8080, echo(web))
    lab.serve("web3", 8080, slow)
    lab.start('  site: {listen: "lb1:80", check: none, outlier: {slow: 5, every: 1s, eject: 1h}, '
              'servers: ["web1:8080", "web2:8080", "web3:8080"]}\n')

    def who():
        return [lab.get(80)[0]["x-server"] for _ in range(9)]

    def ejected():  # being doubted for its silence also keeps it out, but not for long
        who()
        return lab.counters("proxy_server service=site server=web3:8080").get("ejections")
    until(ejected, "web3 is left out")
    assert "web3" not in who()


def test_bound_of_a_hot_key(lab):
    """One key for all requests: with a bound no server gets more than its part and a
    quarter, without one a single server gets everything."""
    gates = {web: Gate(web) for web in WEB}
    for web, gate in gates.items():
        lab.serve(web, 8080, gate.script)
    three = 'servers: ["web1:8080", "web2:8080", "web3:8080"]'
    lab.start('  site: {listen: "lb1:80", check: none, balance: {hash: {by: header X-Key, '
              f'bound: 1.25}}}}, {three}}}\n'
              '  free: {listen: "lb1:81", check: none, balance: {hash: header X-Key}, '
              f'{three}}}\n')
    for port, most in ((80, 5), (81, 12)):  # of 12: 4 each, and a quarter more
        # All at once: servers that say nothing for long get no new work.
        streams = [lab.connect_from(A, port) for _ in range(12)]
        for s in streams:
            s.send(who_asks("x", "X-Key: hot\r\n"))
        until(lambda: sum(g.asked.qsize() for g in gates.values()) == 12, "all are asked")
        counts = sorted(g.asked.qsize() for g in gates.values())
        assert counts[-1] == most and sum(counts) == 12, counts
        for gate in gates.values():
            while not gate.asked.empty():
                gate.asked.get()
                gate.free.release()
        assert all(s.answer()[0].status == 200 for s in streams)
        for s in streams:
            s.close()


def shares(lab, n, fields=""):
    return collections.Counter(lab.get(80, fields=fields)[0]["x-server"] for _ in range(n))


THREE = '[{at: "web1:8080", weight: 2}, "web2:8080", "web3:8080"]'


@pytest.mark.parametrize("balance, spread", [
    ("round-robin", True), ("random", True), ("idle-capacity", True), ("hash", False),
    ("{hash: path}", False)])
def test_every_way(lab, balance, spread):
    for web in WEB:
        lab.serve(web, 8080, echo(web))
    lab.start(f'  site: {{listen: "lb1:80", check: none, balance: {balance}, '
              f'servers: {THREE}}}\n')
    got = shares(lab, 80)
    # Where the machine stands still, a server is doubted and left out for a moment.
    if not spread:
        assert max(got.values()) >= 60  # one client, one path
        return
    assert set(got) == set(WEB)
    if balance == "round-robin":
        assert 30 <= got["web1"] <= 50 and min(got.values()) >= 10


def test_least_connections_avoids_the_busy_one(lab):
    free, taken = threading.Event(), queue.Queue()

    def serves(name):
        def script(stream, _n):
            while True:
                if stream.head().line.startswith("POST"):
                    taken.put(name)
                    free.wait(DEADLINE)
                stream.send(f"HTTP/1.1 200 OK\r\nX-Server: {name}\r\nContent-Length: 0\r\n\r\n")
        return script

    for web in ("web1", "web2"):
        lab.serve(web, 8080, serves(web))
    lab.start('  site: {listen: "lb1:80", check: none, balance: least-connections, '
              'servers: ["web1:8080", "web2:8080"]}\n')
    busy = ask(lab, A, "x")  # of equals, the first is chance
    name = taken.get(timeout=DEADLINE)
    assert shares(lab, 10) == {{"web1": "web2", "web2": "web1"}[name]: 10}
    free.set()
    assert busy.answer()[0]["x-server"] == name


def test_hash_by_path(lab):
    for web in WEB:
        lab.serve(web, 8080, echo(web))
    lab.start('  site: {listen: "lb1:80", check: none, balance: {hash: path}, servers: '
              '["web1:8080", "web2:8080", "web3:8080"]}\n')
    same, where = 0, set()
    for i in range(40):
        first, second = (lab.get(80, f"/page{i}?{q}")[0]["x-server"] for q in "ab")
        same += first == second
        where.add(first)
    assert same >= 30 and where == set(WEB)  # by chance it would be some 13


@pytest.fixture
def workers(tmp_path):
    """With two of them."""
    it = TwoWorkers(tmp_path)
    yield it
    it.close()


class TwoWorkers(OneWorker):
    write = Lab.write


def bounded(lab, limit, n, at_once):
    """`n` requests at once, of which `limit` are with the servers at a time; `at_once` of
    them end together, and as many others have their places before another one ends."""
    gate = Gate("any")
    for web in ("web1", "web2"):
        lab.serve(web, 8080, gate.script)
    streams = []
    for i in range(n):
        streams.append(ask(lab, A, str(i)))
    waiting(lab, n - limit)
    for _ in range(limit):
        gate.next()
    for i in range(0, n, at_once):
        assert gate.asked.empty(), "one too many"
        gate.free.release(at_once)
        for _ in range(min(at_once, n - limit - i)):
            gate.next()
    assert all(s.answer()[0].status == 200 for s in streams)
    waiting(lab, 0)


@pytest.mark.parametrize("at_once", (1, 2, 4))
def test_limit_of_a_group(workers, at_once):
    workers.start('  site: {listen: "lb1:80", check: none, active: both, groups: {both: '
                  '{servers: ["web1:8080", "web2:8080"], max_connections: 4}}}\n')
    bounded(workers, 4, 16, at_once)


def test_limit_of_all_servers(workers):
    workers.start('  site: {listen: "lb1:80", check: none, max_server_connections: 2, '
                  'servers: [{at: "web1:8080", max_connections: 2}, "web2:8080"]}\n')
    bounded(workers, 2, 12, 2)
    # Another limit holds for those who come, and what is under way ends well.
    gate = Gate("any")
    workers.serve("web3", 8080, gate.script)
    text = '  site: {listen: "lb1:81", check: none%s, servers: ["web3:8080"]}\n'
    workers.write(text % "")
    workers.order("reload")
    streams = [ask(workers, A, "free", 81) for _ in range(3)]
    for _ in range(3):
        gate.next()
    for limit in (", max_server_connections: 1", ", max_server_connections: 9", ""):
        workers.write(text % limit)
        workers.order("reload")
    for _ in range(3):
        gate.free.release()
    assert all(s.answer()[0].status == 200 for s in streams)
