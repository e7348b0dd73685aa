# SPDX-License-Identifier: Apache-2.0
"""Balancing with real connections: servers that vanish or hang with default settings,
outliers, backups, slow start.

      client 10.9.0.9 ──> lb1 10.9.0.1:80..89 (nines) ──> web1..web3 10.9.0.11..13
"""
import collections
import json
import os
import threading
import time

import pytest

from proxylab import NINES, WEB, echo, Lab, run, until

GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
# Far more than a busy machine takes, and less than a server may take by default (a minute).
PATIENCE = 10
OK = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"


@pytest.fixture
def lab(tmp_path):
    with Lab(tmp_path) as made:
        yield made


def named(lab, *hosts, port=8080):
    for host in hosts:
        lab.serve(host, port, echo(host))


def servers(lab, n, port=80, fields=""):
    """Who answers `n` requests, each on a connection of its own."""
    return [lab.get(port, fields=fields)[0]["x-server"] for _ in range(n)]


def drop(lab, *hosts):
    """Their packets vanish, as those of a host without power do."""
    lab.at("nft", "add", "table", "inet", "hole")
    lab.at("nft", "add", "chain", "inet", "hole", "in",
           "{ type filter hook input priority 0; }")
    for host in hosts:
        lab.at("nft", "add", "rule", "inet", "hole", "in", "ip", "daddr", WEB[host], "drop")


def crowd(lab, n, seconds, over=None, answered=None):
    """`n` clients that ask all the time; the answers' statuses and the longest wait.
    They go on beyond `seconds` until `over` is set; `answered` counts for each."""
    waits, statuses, end = [], [], time.monotonic() + seconds

    def one(i):
        stream = lab.connect(80)
        while time.monotonic() < end or over and not over.is_set():
            begin = time.monotonic()
            stream.send(GET)
            try:
                status = stream.answer()[0].status
            except TimeoutError:
                status = "none in time"
            statuses.append(status)
            waits.append(time.monotonic() - begin)
            if answered is not None:
                answered[i] += 1
        stream.close()

    threads = [threading.Thread(target=one, args=(i,)) for i in range(n)]
    for t in threads:
        t.start()
    return threads, waits, statuses


def test_black_hole(lab):
    """No check sees it in time: connections in the pool and new ones alike."""
    named(lab, "web1", "web2", "web3")
    lab.start('  site: {listen: "lb1:80", check: {every: 1m}, '
              'servers: ["web1:8080", "web2:8080", "web3:8080"]}\n')
    until(lambda: lab.fact("service site") == "up 3/3", "all are up")
    over = threading.Event()
    threads, waits, statuses = crowd(lab, 8, 3, over)
    until(lambda: len(waits) > 100, "traffic flows")
    drop(lab, "web2")
    until(lambda: lab.fact("passive site web2:8080"), "it is noticed")
    over.set()
    for t in threads:
        t.join()
    assert set(statuses) == {200}
    assert max(waits) < PATIENCE, f"somebody waited {max(waits):.3f} s"


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
    lab.start('  site: {listen: "lb1:80", check: {path: /health, every: 1m}, '
              'servers: ["web1:8080", "web2:8080", "web3:8080"]}\n')
    until(lambda: lab.fact("service site") == "up 3/3", "all are up")
    over = threading.Event()
    threads, waits, statuses = crowd(lab, 8, 3, over)
    until(lambda: len(waits) > 100, "traffic flows")
    hung.set()
    until(lambda: lab.fact("passive site web2:8080"), "it is noticed")
    over.set()
    for t in threads:
        t.join()
    hung.clear()
    assert set(statuses) == {200}
    assert max(waits) < PATIENCE, f"somebody waited {max(waits):.3f} s"


def test_hang_that_no_check_sees(lab):
    """Nothing is checked, web2 hangs: what may be asked twice goes elsewhere, once."""
    hung = threading.Event()
    asked = collections.Counter()

    def script(name):
        def serve(stream, n):
            while True:
                asked[stream.head().line] += 1
                while name == "web2" and hung.is_set():
                    time.sleep(0.05)
                stream.send(OK + f"X-Server: {name}\r\n\r\n")
        return serve

    for name in ("web1", "web2", "web3"):
        lab.serve(name, 8080, script(name))
    lab.start('  site: {listen: "lb1:80", check: none, '
              'servers: ["web1:8080", "web2:8080", "web3:8080"]}\n')
    over, answered = threading.Event(), [0] * 16
    threads, waits, statuses = crowd(lab, 16, 0, over, answered)
    until(lambda: len(waits) > 100, "traffic flows")
    hung.set()
    posts = [lab.connect(80) for _ in range(6)]
    for i, stream in enumerate(posts):
        stream.send(f"POST /{i} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
    before = list(answered)
    until(lambda: all(n > b + 20 for n, b in zip(answered, before)), "nobody is stuck")
    # A request alone on a hung server has no witnesses: it waits for it.
    hung.clear()
    over.set()
    for t in threads:
        t.join()
    assert set(statuses) == {200}
    assert {s.answer()[0].status for s in posts} == {200}
    assert [asked[f"POST /{i} HTTP/1.1"] for i in range(6)] == [1] * 6
    for s in posts:
        s.close()


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
    # A busy machine may raise a doubt, which costs a check; nobody is called failed.
    for name in ("web1", "web2"):
        assert not lab.fact(f"passive site {name}:8080").startswith("fail")


def test_lost_connects(lab):
    """A server that goes on answering on the connections it has, and takes no new one
    (a full backlog, packets that are lost): nobody waits for as long as the file allows,
    which is longer than this test."""
    named(lab, "web1", "web2")
    lab.start('  site: {listen: "lb1:80", check: none, timeouts: {connect: 1m}, '
              'outlier: {errors: 0}, servers: ["web1:8080", "web2:8080"]}\n')
    assert set(servers(lab, 60)) == {"web1", "web2"}  # each worker has connections
    lab.at("nft", "add", "table", "inet", "hole")
    lab.at("nft", "add", "chain", "inet", "hole", "in",
           "{ type filter hook input priority 0; }")
    lab.at("nft", "add", "rule", "inet", "hole", "in", "ip", "daddr", WEB["web1"],
           "tcp", "flags", "&", "(syn|ack)", "==", "syn", "drop")
    over = threading.Event()
    threads, _, statuses = crowd(lab, 8, 0, over)

    def left():
        return counters(lab, "web1")["connects_left"]
    until(lambda: left() > 3, "clients leave web1")
    over.set()
    for t in threads:
        t.join()
    assert set(statuses) == {200}


def counters(lab, server):
    return lab.counters(f"proxy_server service=site server={server}:8080")


def impatient(lab, n, wait=0.15):
    """`n` clients one after the other, none of whom waits for long: who served them."""
    served = collections.Counter()
    for _ in range(n):
        stream = lab.connect(80)
        stream.sock.settimeout(wait)
        stream.send(GET)
        try:
            served[stream.answer()[0]["x-server"]] += 1
        except TimeoutError:
            served["nobody"] += 1
        stream.reset()
    return served


def test_clients_that_give_up(lab):
    """None of them waits for web2 for as long as a doubt takes, and no check looks: it
    is found dead all the same."""
    named(lab, "web1", "web2", "web3")
    drop(lab, "web2")
    lab.start('  site: {listen: "lb1:80", check: none, retries: 0, '
              'timeouts: {connect: 1m}, outlier: {errors: 0}, '
              'servers: ["web1:8080", "web2:8080", "web3:8080"]}\n')
    assert impatient(lab, 12)["nobody"] > 0
    until(lambda: impatient(lab, 3) and counters(lab, "web2")["doubts"] > 0,
          "they doubt web2 together")


def test_another_is_asked_as_well(lab):
    """Before anybody doubts web2; and of the attempts to reach it nothing is left."""
    named(lab, "web1", "web2")
    lab.start('  site: {listen: "lb1:80", check: none, pool: 0, timeouts: {connect: 1m}, '
              'outlier: {errors: 0}, servers: ["web1:8080", "web2:8080"]}\n')
    assert set(servers(lab, 60)) == {"web1", "web2"}  # each worker knows both to be near
    drop(lab, "web2")

    def one_was_left():  # a machine that stands still doubts web2 for a moment
        assert impatient(lab, 4, wait=10)["nobody"] == 0
        return counters(lab, "web2")["connects_left"] > 0
    until(one_was_left, "another is asked instead of web2")
    until(lambda: counters(lab, "web2")["active"] == 0, "nobody waits for web2")


def test_an_attempt_is_not_given_up(lab):
    """Neither server can be reached. The one that was asked first comes back, and its
    answer is the client's, although another has been asked after it."""
    named(lab, "web1", "web2")
    drop(lab, "web1", "web2")
    lab.start('  site: {listen: "lb1:80", check: none, timeouts: {connect: 1m}, '
              'outlier: {errors: 0}, servers: ["web1:8080", "web2:8080"]}\n')
    stream = lab.connect(80)
    stream.send(GET)
    left = {}

    def asked_both():
        left.update({name: counters(lab, name)["connects_left"] for name in ("web1", "web2")})
        return any(left.values())
    until(asked_both, "the other one is asked as well")
    first = next(name for name, n in left.items() if n)
    lab.at("nft", "flush chain inet hole in; add rule inet hole in ip daddr "
           f"{WEB['web2' if first == 'web1' else 'web1']} drop")  # both at once
    assert stream.answer()[0]["x-server"] == first
    until(lambda: all(counters(lab, name)["active"] == 0 for name in left), "nothing is left")
    stream.close()


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


def cookie_of(head):
    value = head["set-cookie"]
    return value and value.split(";")[0]


def test_sticky_cookie(lab):
    named(lab, "web1", "web2", "web3")
    lab.start('  site: {listen: "lb1:80", sticky: {cookie: nines}, '
              'servers: ["web1:8080", "web2:8080", "web3:8080"]}\n'
              '  again: {listen: "lb1:81", sticky: {cookie: nines}, '
              'servers: ["web1:8080", "web2:8080", "web3:8080"]}\n')
    until(lambda: lab.fact("service site") == "up 3/3", "all are up")
    head = lab.get(80)[0]
    first, cookie = head["x-server"], cookie_of(head)
    assert head["set-cookie"].endswith("; Path=/; HttpOnly; SameSite=Lax")
    assert first not in head["set-cookie"]
    field = f"Cookie: a=b; {cookie}; c=d\r\n"
    for _ in range(8):
        head = lab.get(80, fields=field)[0]
        assert head["x-server"] == first and head["set-cookie"] is None
    # Without it, or with a wrong one, balanced anew.
    assert set(servers(lab, 9)) == {"web1", "web2", "web3"}
    for bad in "nines=", "nines=web1:8080", "nines=" + "0" * 32, "nines=" + "f" * 5000:
        assert cookie_of(lab.get(80, fields=f"Cookie: {bad}\r\n")[0])
    # Another service's cookie says nothing.
    assert cookie_of(lab.get(81, fields=field)[0]) not in (None, cookie)
    # Drained: its own stay, others do not come.
    lab.order("drain", f"{first}:8080")
    until(lambda: first not in servers(lab, 6), "nothing new")
    assert set(servers(lab, 6, fields=field)) == {first}
    lab.order("enable", f"{first}:8080")


def test_sticky_secret(lab):
    """Two services of one name on two hosts would agree; another secret does not."""
    named(lab, "web1")
    path = os.path.join(lab.folder, "sticky.key")

    def secret(text):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, 0o600)

    def cookie():
        return lab.get(80)[0]["set-cookie"].split(";")[0]
    plain = '  site: {listen: "lb1:80", sticky: {cookie: s}, check: none, servers: ["web1:8080"]}\n'
    lab.start(plain)
    without = cookie()
    lab.write(plain.replace("cookie: s", f"cookie: s, secret_file: {path}"))
    assert "the sticky secret of service site" in lab.control("reload")["error"]
    until(lambda: "No such file" in lab.fact("proxy sticky site"), "it is told")
    assert cookie() == without, "a missing secret refuses nobody"
    secret("0123456789abcdef")
    lab.order("reload")
    until(lambda: cookie() != without, "it is taken")
    until(lambda: lab.fact("proxy sticky site") == "", "nothing to tell any more")
    one = cookie()
    secret("short")
    assert "what was there before stays" in lab.control("reload")["error"]
    until(lambda: "16 to 4096 bytes" in lab.fact("proxy sticky site"), "it is told")
    assert cookie() == one, "what was there before stays"
    secret("another secret of bytes")
    lab.order("reload")
    until(lambda: cookie() not in (one, without), "the new one is taken")
    secret("0123456789abcdef")
    lab.order("reload")
    until(lambda: cookie() == one, "it depends on nothing else")


def test_sticky_server_goes(lab):
    """Who loses his server gets another one, and a new cookie."""
    named(lab, "web1")
    web2 = lab.serve("web2", 8080, echo("web2"))
    lab.start('  site: {listen: "lb1:80", sticky: {cookie: s}, '
              'servers: ["web1:8080", "web2:8080"]}\n')
    heads = [lab.get(80)[0] for _ in range(4)]
    old = next(cookie_of(h) for h in heads if h["x-server"] == "web2")
    web2.close()
    head = lab.get(80, fields=f"Cookie: {old}\r\n")[0]
    assert head.status == 200 and head["x-server"] == "web1"
    new = cookie_of(head)
    assert new not in (None, old)
    assert lab.get(80, fields=f"Cookie: {new}\r\n")[0]["set-cookie"] is None


def test_sticky_over_reload(lab):
    """The cookie is the server's, whatever stands before it in the file."""
    named(lab, "web1", "web2", "web3")
    lab.start('  site: {listen: "lb1:80", sticky: {cookie: s}, '
              'servers: ["web2:8080", "web3:8080"]}\n')
    cookies = {}
    for _ in range(6):
        head = lab.get(80)[0]
        cookies[head["x-server"]] = cookie_of(head)
    lab.write('  site: {listen: "lb1:80", sticky: {cookie: s}, '
              'servers: ["web1:8080", "web3:8080", "web2:8080"]}\n')
    lab.order("reload")
    for host in "web2", "web3":
        assert set(servers(lab, 6, fields=f"Cookie: {cookies[host]}\r\n")) == {host}


def test_retry_budget(lab):
    """Servers that close on every request are not asked three times each."""
    def script(stream, n):
        stream.head()
        lab.asked += 1

    lab.asked = 0
    lab.serve("web1", 8080, script)
    lab.serve("web2", 8080, script)
    lab.start('  site: {listen: "lb1:80", check: none, retry_budget: 0%, outlier: '
              '{errors: 0}, servers: ["web1:8080", "web2:8080"]}\n')
    for _ in range(2100):
        if lab.get(80)[0].status != 502:
            break
    asked = lab.asked
    for _ in range(20):
        assert lab.get(80)[0].status == 502
    assert lab.asked == asked + 20


@pytest.mark.parametrize("balance", ["round-robin", "least-connections", "random",
                                     "{hash: cookie u}", "idle-capacity"])
def test_weight_by_order(lab, balance):
    named(lab, "web1", "web2")
    lab.start(f'  site: {{listen: "lb1:80", balance: {balance}, '
              'servers: ["web1:8080", "web2:8080"]}\n')
    until(lambda: lab.fact("service site") == "up 2/2", "both are up")

    def seen(n=160):  # by chance 80 are web1's, and less than 40 once in ten thousand million
        return [lab.get(80, fields=f"Cookie: u={i}\r\n")[0]["x-server"] for i in range(n)]

    assert seen().count("web1") >= 40
    lab.order("weight", "site", "web1", "0")
    assert lab.fact("weight site web1:8080") == "0"
    until(lambda: "web1" not in seen(80), "web1 is left alone")
    assert "web1" not in seen()
    lab.order("weight", "site", "web1:8080", "9")
    if balance != "random" and balance != "least-connections":  # these look at the load
        until(lambda: seen().count("web2") < 40, "web1 has most of it")
    lab.order("weight", "site", "web1:8080", "file")
    assert lab.fact("weight site web1:8080") == ""
    until(lambda: 40 <= seen().count("web1") <= 120, "as before")


def test_weight_is_refused(lab):
    named(lab, "web1")
    lab.start('  site: {listen: "lb1:80", servers: ["web1:8080"]}\n')
    for words, why in ((("other", "web1", "1"), 'no service named "other"'),
                       (("site", "web2", "1"), 'no server named "web2" in service site'),
                       (("site", "web1", "1001"), '"1001" is no weight'),
                       (("site", "web1", "-1"), '"-1" is no weight')):
        answer = lab.control("weight", *words)
        assert not answer["ok"] and why in answer["error"]


def test_weight_stays_over_reload(lab):
    named(lab, "web1", "web2")
    site = '  site: {listen: "lb1:80", servers: ["web1:8080", "web2:8080"]%s}\n'
    lab.start(site % "")
    lab.order("weight", "site", "web2", "0")
    until(lambda: "web2" not in servers(lab, 4), "web2 is left alone")
    lab.write(site % ", retries: 3")
    lab.order("reload")
    assert "web2" not in servers(lab, 12)
    lab.write(site.replace(', "web2:8080"', "") % "")
    lab.order("reload")
    assert lab.fact("weight site web2:8080") == ""


def test_top(lab):
    named(lab, "web1", "web2")
    lab.start('  site: {listen: "lb1:80", servers: ["web1:8080", "web2:8080"]}\n')
    over = threading.Event()
    threads, waits, _ = crowd(lab, 2, 0, over)
    until(lambda: len(waits) > 20, "traffic flows")
    text = run(NINES, "top", "--once", "--json", "--run-dir", lab.run_dir)
    table = run(NINES, "top", "--once", "--run-dir", lab.run_dir)
    over.set()
    for t in threads:
        t.join()
    answer = json.loads(text)
    rows = {(r["service"], r.get("server")): r for r in answer["rows"]}
    assert set(rows) == {("site", None), ("site", "web1:8080"), ("site", "web2:8080")}
    whole = rows["site", None]["requests_per_second"]
    assert whole > 10 and sum(answer["worker_requests_per_second"]) in (whole, whole - 1)
    assert rows["site", "web1:8080"]["requests_per_second"] > whole / 3
    assert [line.split()[0] for line in table.splitlines()[1:4]] == \
        ["site", "web1:8080", "web2:8080"]
    # What the file names no more is gone, though its counters are kept.
    lab.write('  site: {listen: "lb1:80", servers: ["web2:8080"]}\n')
    lab.order("reload")
    until(lambda: not lab.fact("server site web1:8080"), "web1 is forgotten")
    answer = json.loads(run(NINES, "top", "--once", "--json", "--run-dir", lab.run_dir))
    assert [(r["service"], r.get("server")) for r in answer["rows"]] == [
        ("site", None), ("site", "web2:8080")]
    assert "web1:8080" in run(NINES, "status", "--json", "--run-dir", lab.run_dir)
