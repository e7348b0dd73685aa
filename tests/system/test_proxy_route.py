# SPDX-License-Identifier: Apache-2.0
"""Groups of servers, routes, changes of heads and answers of our own.

      client 10.9.0.9 ──> lb1 10.9.0.1:80..89 (nines) ──> web1..web3 (threads)
"""
import os
import re
import signal

import pytest

from proxylab import CLIENT, Lab, echo, served, until

SERVICES = """
  site:
    listen: "lb1:80"
    check: none
    servers: ["web1:8080"]
    groups: {api: ["web2:8080"], images: ["web3:8080"]}
    set_headers: {X-Site: "{host}", X-Request-Id: "{request_id}"}
    answer_headers: {set: {X-Frame-Options: DENY, X-For: "{client}"}, remove: [Server]}
    routes:
      - {prefix: /old, redirect: "https://{host}{uri}", status: 308}
      - {path: /down, answer: {status: 503, body: "<p>Back soon\\n", type: text/html}}
      - {path: /empty, answer: 204}
      - {host: ["img.test", "*.img.test"], to: images}
      - {prefix: /api, method: POST, to: images}
      - {prefix: /api, to: api, rewrite: /, set_headers: {X-Site: api, Host: inner}}
      - {header: {X-Canary: "1"}, to: {api: 1, images: 1}}
      - {source: 10.9.0.8, answer: 403}
      - {path: /add, add_headers: {X-Added: "{path}"}, remove_headers: [X-Secret, cookie]}
  tcp:
    listen: "lb1:81"
    mode: tcp
    check: none
    servers: ["web1:8080"]
    groups: {near: ["web2:8080"]}
    routes: [{source: 10.9.0.9, to: near}]
  logged:
    listen: "lb1:82"
    check: none
    log: full
    servers: ["web1:8080"]
    routes: [{path: /gone, answer: 410}, {prefix: /old, rewrite: "/new"}]
  color:
    listen: "lb1:83"
    check: none
    groups: {blue: ["web2:8080"], green: ["web3:8080"]}
    active: blue
    routes: [{path: /blue, to: blue}, {path: /active, to: active}]
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with Lab(tmp_path_factory.mktemp("route")) as made:
        for web in ("web1", "web2", "web3"):
            made.serve(web, 8080, echo(web))
        made.start(SERVICES)
        yield made


@pytest.mark.parametrize("host, path, server", [
    ("a", "/", "web1"), ("a", "/apis", "web1"), ("a", "/api", "web2"),
    ("a", "/api/x", "web2"), ("img.test", "/api", "web3"), ("IMG.test:80", "/", "web3"),
    ("x.y.img.test", "/", "web3"), ("ximg.test", "/", "web1")])
def test_groups(lab, host, path, server):
    got = served(lab.ask(80, f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
    assert got["server"] == server


def test_method(lab):
    got = served(lab.ask(80, "POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab"))
    assert got["server"] == "web3" and got["line"] == "POST /api HTTP/1.1"


def test_absolute_target(lab):
    got = served(lab.ask(80, "GET http://img.test/api?x HTTP/1.1\r\nHost: img.test\r\n\r\n"))
    assert got["server"] == "web3" and got["line"] == "GET /api?x HTTP/1.1"
    got = served(lab.ask(80, "GET http://a/api/b?x HTTP/1.1\r\nHost: a\r\n\r\n"))
    assert got["server"] == "web2" and got["line"] == "GET /b?x HTTP/1.1"
    assert [v for n, v in got["fields"] if n == "host"] == ["inner"]


@pytest.mark.parametrize("path, line", [
    ("/api", "GET / HTTP/1.1"), ("/api?a=b", "GET /?a=b HTTP/1.1"),
    ("/api/x/y?z", "GET /x/y?z HTTP/1.1"), ("/api/", "GET / HTTP/1.1")])
def test_rewriting(lab, path, line):
    got = served(lab.get(80, path))
    assert got["line"] == line
    assert got["field"]["host"] == "inner" and got["field"]["x-site"] == "api"
    assert [n for n, _ in got["fields"]].count("host") == 1
    assert [n for n, _ in got["fields"]].count("x-site") == 1


def test_request_fields(lab):
    got = served(lab.get(80, "/", "X-Site: mine\r\nx-site: too\r\nX-Secret: s\r\n"))
    names = [n for n, _ in got["fields"]]
    assert got["field"]["x-site"] == "a" and names.count("x-site") == 1
    assert got["field"]["x-secret"] == "s"
    assert re.fullmatch("[0-9a-f]{32}", got["field"]["x-request-id"])
    again = served(lab.get(80, "/"))
    assert again["field"]["x-request-id"] != got["field"]["x-request-id"]
    got = served(lab.get(80, "/add", "X-Added: 1\r\nX-Secret: s\r\nCookie: c\r\n"))
    assert [v for n, v in got["fields"] if n == "x-added"] == ["1", "/add"]
    assert not {"x-secret", "cookie"} & {n for n, _ in got["fields"]}


def test_connection_cannot_take_our_fields_away(lab):
    got = served(lab.get(80, "/", "Connection: X-Site, X-Request-Id\r\nX-Site: mine\r\n"))
    assert got["field"]["x-site"] == "a" and "x-request-id" in got["field"]


def test_answer_fields(lab):
    head, _ = lab.get(80, "/")
    assert head["x-frame-options"] == "DENY" and head["x-for"] == CLIENT
    assert head["server"] is None


def test_redirect(lab):
    stream = lab.connect(80)
    for path in ("/old", "/old/x?y=z"):
        stream.send(f"GET {path} HTTP/1.1\r\nHost: h.test\r\n\r\n")
        head, body = stream.answer()
        assert head.status == 308 and body == b""
        assert head["location"] == f"https://h.test{path}"
        assert head["x-frame-options"] == "DENY" and head["connection"] is None
    stream.close()


def test_own_answers(lab):
    stream = lab.connect(80)
    stream.send("GET /down HTTP/1.1\r\nHost: a\r\n\r\n")
    head, body = stream.answer()
    assert head.status == 503 and head["content-type"] == "text/html"
    assert body == b"<p>Back soon\n"
    stream.send("HEAD /down HTTP/1.1\r\nHost: a\r\n\r\n")
    head = stream.head()
    assert head.status == 503 and head["content-length"] == "13"
    stream.send("GET /empty HTTP/1.1\r\nHost: a\r\n\r\n")
    head = stream.head()
    assert head.status == 204 and head["content-length"] is None
    stream.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert served(stream.answer())["server"] == "web1"
    # A body that nobody reads ends the connection, but not before the answer is there.
    stream.send("POST /down HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + "x" * 100)
    head, body = stream.answer()
    assert head.status == 503 and head["connection"] == "close"
    stream.close()


TRAP = "GET /empty HTTP/1.1\r\nHost: a\r\n\r\n"  # a body is no request, whatever it looks like
BODIES = {
    "length": f"Content-Length: {len(TRAP)}\r\n\r\n{TRAP}",
    "chunked": f"Transfer-Encoding: chunked\r\n\r\n{len(TRAP):x};e=1\r\n{TRAP}\r\n0\r\nX: y\r\n\r\n",
}


@pytest.mark.parametrize("body", BODIES)
def test_a_body_that_has_come_ends_no_connection(lab, body):
    stream = lab.connect(80)
    for _ in range(2):
        stream.send("POST /down HTTP/1.1\r\nHost: a\r\n" + BODIES[body] +
                    "GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
        head, _ = stream.answer()
        assert head.status == 503 and head["connection"] is None
        assert served(stream.answer())["line"] == "GET /next HTTP/1.1"
    stream.close()


@pytest.mark.parametrize("body", [
    BODIES["length"][:-1], BODIES["chunked"][:-2],
    "Transfer-Encoding: chunked\r\n\r\n5\r\nhello-\r\n0\r\n\r\n"])
def test_a_body_that_has_not_come_is_not_waited_for(lab, body):
    stream = lab.connect(80)
    stream.send("POST /down HTTP/1.1\r\nHost: a\r\n" + body)
    head, _ = stream.answer()
    assert head.status == 503 and head["connection"] == "close"
    stream.close()


def test_canary(lab):
    stream = lab.connect(80)
    got = set()
    for _ in range(64):
        stream.send("GET / HTTP/1.1\r\nHost: a\r\nX-Canary: 1\r\n\r\n")
        got.add(served(stream.answer())["server"])
    stream.close()
    assert got == {"web2", "web3"}


def test_tcp_by_source(lab):
    assert served(lab.get(81, "/"))["server"] == "web2"


def test_own_answer_is_logged(lab):
    assert lab.get(82, "/gone")[0].status == 410
    line = until(lambda: re.search(r".*/gone.*", lab.log()), "a line in the log")[0]
    assert '"/gone"' in line and " 410" in line.replace("=", " ") and "answered" in line


def reload(lab, services):
    lab.write(services)
    lab.order("reload")


def test_reload_changes_routes_and_closes_nothing(lab):
    stream = lab.connect(80)
    stream.send("GET /api HTTP/1.1\r\nHost: a\r\n\r\n")
    assert served(stream.answer())["server"] == "web2"
    reload(lab, SERVICES.replace("- {prefix: /api, to: api, rewrite: /,",
                                "- {prefix: /api, to: images, rewrite: /,"))

    def moved():
        stream.send("GET /api HTTP/1.1\r\nHost: a\r\n\r\n")
        return served(stream.answer())["server"] == "web3"
    until(moved, "the new route")
    reload(lab, SERVICES)
    until(lambda: not moved(), "the old route")
    stream.close()


# --- blue and green -------------------------------------------------------------------

def test_switch(lab):
    """Under load, and over the supervisor's death: no request fails."""
    stream = lab.connect(83)
    got = []

    def ask():
        stream.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        got.append(served(stream.answer())["server"])
        return got[-1]
    assert ask() == "web2"
    wrong = lab.control("switch", "color", "red")
    assert not wrong["ok"] and 'no group named "red"' in wrong["error"]
    assert 'no service named "x"' in lab.control("switch", "x", "green")["error"]
    lab.order("switch", "color", "green")
    until(lambda: ask() == "web3", "the switch")
    assert lab.fact("switch color") == "green"
    # A route that names a group goes there as before; one that says active does not.
    assert served(lab.get(83, "/blue"))["server"] == "web2"
    until(lambda: served(lab.get(83, "/active"))["server"] == "web3", "on both workers")
    lab.order("reload")
    assert ask() == "web3"
    os.killpg(lab.nines.pid, signal.SIGKILL)
    lab.nines.wait()
    lab.start(SERVICES)
    assert lab.fact("switch color") == "green"
    until(lambda: served(lab.get(83, "/"))["server"] == "web3", "green again")
    lab.order("switch", "color", "blue")
    assert lab.fact("switch color") == ""
    until(lambda: served(lab.get(83, "/"))["server"] == "web2", "blue again")
    assert set(got) == {"web2", "web3"}


def test_log_of_rewriting(lab):
    assert served(lab.get(82, "/old/x?y"))["line"] == "GET /new/x?y HTTP/1.1"
    assert lab.get(82, "/other")[0].status == 200
    for line in (' target="/old/x?y" rewritten="/new/x?y" version=1.1 status=200',
                 ' target="/other" version=1.1'):
        until(lambda line=line: line in lab.log(), line)
