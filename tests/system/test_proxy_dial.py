# SPDX-License-Identifier: Apache-2.0
"""How the proxy connects: Unix sockets, source addresses, options of sockets.

      client 10.9.0.9 ──> lb1 10.9.0.1:80..89 (nines) ──> web1 10.9.0.11, Unix sockets
"""
import os
import re
import socket

import pytest

from proxylab import CLIENT, LB, Lab, Server, echo, run, until

SERVICES = """
  unix:    {{listen: "lb1:80", servers: [{{unix: {dir}/app.sock}}], check: /}}
  gone:    {{listen: "lb1:81", servers: [{{unix: {dir}/gone.sock}}], check: none}}
  mixed:   {{listen: "lb1:82", servers: [{{unix: {dir}/gone.sock}}, "web1:8080"], check: none}}
  tunnel:  {{mode: tcp, listen: "lb1:83", servers: [{{unix: {dir}/app.sock}}], check: tcp}}
  source:  {{listen: "lb1:84", servers: ["web1:8081"], source: 10.9.0.77, check: none}}
  network: {{listen: "lb1:85", servers: ["web1:8081"], source: main, check: none}}
  absent:  {{listen: "lb1:86", servers: ["web1:8081"], source: 10.7.0.78, check: none}}
  tuned:   {{listen: "lb1:87", servers: ["web1:8082"], check: none, backlog: 77,
             timeouts: {{peer: 40s}}}}
"""
GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def say_peer(stream, _n):
    address = stream.sock.getpeername()[0]
    while True:
        stream.head()
        stream.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(address)}\r\n\r\n{address}")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dial")
    for part in [folder, *folder.parents][:3]:
        part.chmod(0o755)  # the proxy is `nobody`
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(folder / "app.sock"))
    (folder / "app.sock").chmod(0o777)
    with Lab(folder) as made:
        made.servers.append(Server(sock, echo("unix")))
        run("ip", "-n", made.name, "addr", "add", "10.9.0.77/24", "dev", "lo")
        made.serve("web1", 8080, echo("web1"))
        made.serve("web1", 8081, say_peer)
        made.serve("web1", 8082, echo("tuned"))
        made.start(SERVICES.format(dir=folder))
        yield made


def test_a_unix_socket_is_a_server(lab):
    until(lambda: lab.fact("service unix") == "up 1/1", "the check over the socket")
    for _ in range(3):
        head, body = lab.get(80)
        assert head.status == 200 and b'"server": "unix"' in body


def test_large_bodies_pass_both_ways(lab):
    data = os.urandom(300_000).hex()
    head, body = lab.ask(80, f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {len(data)}\r\n\r\n"
                         + data)
    assert head.status == 200 and data.encode() in body


def test_bytes_go_through_a_unix_socket(lab):
    head, body = lab.ask(83, GET)
    assert head.status == 200 and b'"server": "unix"' in body


def test_a_unix_socket_that_is_not_there(lab):
    assert lab.get(81)[0].status == 502
    assert lab.get(82)[0].status == 200


def test_connections_come_from_the_source(lab):
    assert lab.get(84)[1] == b"10.9.0.77"
    assert lab.get(85)[1] == LB.encode()


def test_a_source_that_is_not_here_is_told(lab):
    assert lab.get(86)[0].status == 503
    until(lambda: "absent: its source 10.7.0.78 is not on this host" in
          lab.fact("proxy advice"), "it is told")


def test_listeners_have_the_backlog_and_connections_the_patience(lab):
    listening = lab.at("ss", "-ltnH", "sport = :87").split()
    assert listening[2] == "77"
    stream = lab.connect(87)
    stream.send(GET)
    stream.answer()
    for which in ("sport = :87", "dport = :8082"):
        # First it may still be that of a segment whose acknowledgement is on its way.
        seconds = until(lambda w=which: re.search(r"timer:\(keepalive,(\d+)sec", lab.at(
            "ss", "-tnoH", "state", "established", w)), f"the timer of {which}")
        assert int(seconds[1]) <= 20, seconds[0]
    stream.close()
    lab.write(SERVICES.format(dir=lab.folder).replace("backlog: 77", "backlog: 99"))
    lab.order("reload")
    until(lambda: lab.at("ss", "-ltnH", "sport = :87").split()[2] == "99", "the new backlog")


def test_a_transparent_source_is_the_clients_and_costs_no_connection(lab):
    services = SERVICES.format(dir=lab.folder)
    kept = lab.connect(80)
    kept.send(GET)
    assert kept.answer()[0].status == 200
    before = lab.part("proxy")["pid"]
    # The capability that it takes is given at the start: other processes take over.
    lab.write(services + '  clear: {listen: "lb1:88", servers: ["web1:8081"], check: none,'
                         " transparent: true}\n")
    lab.order("reload")
    until(lambda: lab.part("proxy").get("pid", before) != before, "a successor acts")
    until(lambda: before in lab.part("proxy")["finishing"], "the old one finishes")
    assert lab.get(88)[1] == CLIENT.encode()
    kept.send(GET)
    head, _ = kept.answer()
    assert head.status == 200 and head["connection"] == "close"
    assert kept.at_end()
    until(lambda: not lab.part("proxy")["finishing"], "and ends")
    lab.write(services)
    lab.order("reload")
    until(lambda: lab.caps("proxy") == 0, "the capability is given up with the service")
