# SPDX-License-Identifier: Apache-2.0
"""Balancing with real connections: servers that vanish or hang with default settings,
outliers, backups, slow start.

      client 10.9.0.9 ──> lb1 10.9.0.1:80..89 (nines) ──> web1..web3 10.9.0.11..13
"""
import os
import threading
import time

import pytest

from proxylab import WEB, Lab, echo, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for namespaces")

GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OK = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"


@pytest.fixture
def lab(tmp_path):
    it = Lab(tmp_path)
    yield it
    it.close()


def named(lab, *hosts, port=8080):
    for host in hosts:
        lab.serve(host, port, echo(host))


def servers(lab, n, port=80, fields=""):
    """Who answers `n` requests, each on a connection of its own."""
    return [lab.get(port, fields=fields)[0]["x-server"] for _ in range(n)]


def drop(lab, host):
    """Its packets vanish, as those of a host without power do."""
    lab.at("nft", "add", "table", "inet", "hole")
    lab.at("nft", "add", "chain", "inet", "hole", "in",
           "{ type filter hook input priority 0; }")
    lab.at("nft", "add", "rule", "inet", "hole", "in", "ip", "daddr", WEB[host], "drop")


def crowd(lab, n, seconds, port=80):
    """`n` clients that ask all the time; the answers' statuses and the longest wait."""
    waits, statuses, end = [], [], time.monotonic() + seconds

    def one():
        stream = lab.connect(port)
        while time.monotonic() < end:
            begin = time.monotonic()
            stream.send(GET)
            statuses.append(stream.answer()[0].status)
            waits.append(time.monotonic() - begin)
        stream.close()

    threads = [threading.Thread(target=one) for _ in range(n)]
    for t in threads:
        t.start()
    return threads, waits, statuses


def test_black_hole(lab):
    """Checks would need three seconds: connections in the pool and new ones alike."""
    named(lab, "web1", "web2", "web3")
    lab.start('  site: {listen: "lb1:80", servers: ["web1:8080", "web2:8080", "web3:8080"]}\n')
    until(lambda: lab.fact("service site") == "up 3/3", "all are up")
    threads, waits, statuses = crowd(lab, 8, 3)
    until(lambda: len(waits) > 100, "traffic flows")
    drop(lab, "web2")
    until(lambda: lab.fact("passive site web2:8080"), "it is noticed")
    for t in threads:
        t.join()
    assert set(statuses) == {200}
    assert max(waits) < 1, f"somebody waited {max(waits):.3f} s"


def test_hang(lab):
    """web2 goes on to accept, and answers nobody."""
    hung = threading.Event()

    def script(stream, n):
        while True:
            stream.head()
            while hung.is_set():
                time.sleep(0.05)
            stream.send(OK + "X-Server: web2\r\n\r\n")

    named(lab, "web1", "web3")
    lab.serve("web2", 8080, script)
    lab.start('  site: {listen: "lb1:80", check: /health, '
              'servers: ["web1:8080", "web2:8080", "web3:8080"]}\n')
    until(lambda: lab.fact("service site") == "up 3/3", "all are up")
    threads, waits, statuses = crowd(lab, 8, 3)
    until(lambda: len(waits) > 100, "traffic flows")
    hung.set()
    until(lambda: lab.fact("passive site web2:8080"), "it is noticed")
    for t in threads:
        t.join()
    hung.clear()
    assert set(statuses) == {200}
    assert max(waits) < 1, f"somebody waited {max(waits):.3f} s"


def test_slow_is_not_hung(lab):
    """A request that takes long is left alone, however fast the others are."""
    asked = []

    def script(stream, n):
        while True:
            head = stream.head()
            if head.line.startswith("GET /slow"):
                asked.append(head.line)
                time.sleep(1.5)
            stream.send(OK + "X-Server: web1\r\n\r\n")

    lab.serve("web1", 8080, script)
    lab.serve("web2", 8080, script)
    lab.start('  site: {listen: "lb1:80", servers: ["web1:8080", "web2:8080"]}\n')
    threads, waits, statuses = crowd(lab, 4, 2)
    assert lab.get(80, "/slow")[0].status == 200
    for t in threads:
        t.join()
    assert asked == ["GET /slow HTTP/1.1"]
    assert set(statuses) == {200}
    assert lab.fact("passive site web1:8080") == lab.fact("passive site web2:8080") == ""


def test_outlier(lab):
    """web2 answers, but with errors; nobody else does."""
    def script(stream, n):
        while True:
            stream.head()
            stream.send("HTTP/1.1 500 No\r\nX-Server: web2\r\nContent-Length: 0\r\n\r\n")

    named(lab, "web1", "web3")
    lab.serve("web2", 8080, script)
    lab.start('  site: {listen: "lb1:80", check: tcp, outlier: {errors: 3}, '
              'servers: ["web1:8080", "web2:8080", "web3:8080"]}\n')
    seen = servers(lab, 60)
    assert 3 <= seen.count("web2") <= 8  # two workers, each of which finds out
    assert "web2" not in servers(lab, 12)


def test_all_fail_none_is_ejected(lab):
    def script(name):
        def one(stream, n):
            while True:
                stream.head()
                stream.send(f"HTTP/1.1 500 No\r\nX-Server: {name}\r\n"
                            "Content-Length: 0\r\n\r\n")
        return one

    for host in "web1", "web2":
        lab.serve(host, 8080, script(host))
    lab.start('  site: {listen: "lb1:80", check: tcp, servers: ["web1:8080", "web2:8080"]}\n')
    servers(lab, 40)
    assert set(servers(lab, 10)) == {"web1", "web2"}


def test_backups_join(lab):
    named(lab, "web1", "web3")
    web2 = lab.serve("web2", 8080, echo("web2"))
    lab.start('  site: {listen: "lb1:80", backup_below: 60%, servers: ["web1:8080", '
              '"web2:8080", {at: "web3:8080", backup: true}]}\n')
    until(lambda: lab.fact("service site") == "up 3/3", "all are up")
    assert set(servers(lab, 12)) == {"web1", "web2"}
    web2.close()
    until(lambda: lab.fact("server site web2:8080").startswith("down"), "web2 is down")
    until(lambda: set(servers(lab, 8)) == {"web1", "web3"}, "web3 helps")


def test_panic(lab):
    """The checks say that nobody is well, and are wrong."""
    def script(stream, n):
        while True:
            line = stream.head().line
            status = "503 No" if "/health" in line else "200 OK"
            stream.send(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")

    lab.serve("web1", 8080, script)
    lab.serve("web2", 8080, script)
    lab.start('  site: {listen: "lb1:80", check: /health, panic_below: 50%, '
              'servers: ["web1:8080", "web2:8080"]}\n'
              '  calm: {listen: "lb1:81", check: /health, '
              'servers: ["web1:8080", "web2:8080"]}\n')
    until(lambda: lab.fact("service site").startswith("down"), "the checks fail")
    until(lambda: lab.get(81)[0].status == 503, "no server")
    assert lab.get(80)[0].status == 200


def test_slow_start(lab):
    named(lab, "web1")
    web2 = lab.serve("web2", 8080, echo("web2"))
    lab.start('  site: {listen: "lb1:80", slow_start: 1h, servers: ["web1:8080", '
              '"web2:8080"]}\n')
    until(lambda: lab.fact("service site") == "up 2/2", "both are up")
    assert servers(lab, 20).count("web2") >= 8
    web2.close()
    until(lambda: lab.fact("server site web2:8080").startswith("down"), "web2 is down")
    lab.serve("web2", 8080, echo("web2"))
    until(lambda: lab.fact("server site web2:8080") == "up", "web2 is back")
    seen = servers(lab, 100)
    assert 1 <= seen.count("web2") <= 20


def test_hash_by_cookie(lab):
    named(lab, "web1", "web2", "web3")
    lab.start('  site: {listen: "lb1:80", balance: {hash: cookie user}, '
              'servers: ["web1:8080", "web2:8080", "web3:8080"]}\n')
    until(lambda: lab.fact("service site") == "up 3/3", "all are up")
    by_user = {}
    for user in range(30):
        seen = servers(lab, 3, fields=f"Cookie: a=b; user=u{user}; c=d\r\n")
        assert len(set(seen)) == 1
        by_user[user] = seen[0]
    assert set(by_user.values()) == {"web1", "web2", "web3"}


def test_sticky_source(lab):
    named(lab, "web1", "web2", "web3")
    lab.start('  site: {listen: "lb1:80", sticky: source, '
              'servers: ["web1:8080", "web2:8080", "web3:8080"]}\n')
    until(lambda: lab.fact("service site") == "up 3/3", "all are up")
    assert len(set(servers(lab, 12))) == 1
