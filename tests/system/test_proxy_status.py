# SPDX-License-Identifier: Apache-2.0
"""What `nines status` and the orders say when something is not as the file wants it."""
import json
import os
import socket
import subprocess

import pytest

from proxylab import LB, NINES, Lab, echo, until


@pytest.fixture
def lab(tmp_path):
    lab = Lab(tmp_path)
    try:
        lab.serve("web1", 8080, echo("web1"))
        yield lab
    finally:
        lab.close()


def order(lab, verb, *words):
    r = subprocess.run([NINES, verb, "--run-dir", lab.run_dir, *words], capture_output=True,
                       text=True, check=False)
    return r.returncode, r.stdout, r.stderr


def nines(lab, verb, *words):
    return order(lab, verb, *words)[:2]


def line(lab, begins):
    """What `nines status` says in the line that begins so."""
    code, out = nines(lab, "status")
    found = [x.split(None, len(begins.split()))[-1] for x in out.splitlines() if x.strip().startswith(begins)]
    return code, found[0] if found else ""


def test_a_port_that_somebody_else_has(lab):
    with lab.inside():
        other = socket.socket()
    other.bind((LB, 81))
    other.listen(1)
    lab.start("  site: {listen: lb1:80, servers: [web1:8080], check: none}\n")
    until(lambda: nines(lab, "status")[0] == 0, "all is well")
    assert line(lab, "ports") == (0, "")
    lab.write("  site: {listen: [lb1:80, lb1:81], servers: [web1:8080], check: none}\n")
    said = f"listening at {LB}:81: Address already in use"
    for _ in range(2):  # as long as it is so
        code, _, complaint = order(lab, "reload")
        assert code == 1 and said in complaint and "(nobody is served there" in complaint
        assert line(lab, "ports") == (1, f"down {LB}:81: Address already in use")
    other.close()
    assert order(lab, "reload")[0] == 0  # it was asked for again
    assert line(lab, "ports") == (0, "")
    with lab.inside():
        other = socket.create_connection((LB, 81))
    other.close()


def test_a_port_of_the_first_service(lab):
    """The part that asks for it starts because of the reload."""
    with lab.inside():
        other = socket.socket()
    other.bind((LB, 80))
    other.listen(1)
    lab.begin("  site: {listen: web1:80, servers: [web1:8080], check: none}\n")
    until(lambda: lab.control("status").get("ok"), "nines answers")
    assert lab.part("proxy") is None
    lab.write("  site: {listen: lb1:80, servers: [web1:8080], check: none}\n")
    code, _, complaint = order(lab, "reload")
    assert code == 1 and f"listening at {LB}:80: Address already in use" in complaint
    other.close()
    assert order(lab, "reload")[0] == 0


def test_programs_hear_what_people_hear(lab):
    """The same judgement for `status`, its --json, and what a reload finds."""
    lab.start("  site: {listen: lb1:80, servers: [web1:8080], check: none}\n")
    until(lambda: nines(lab, "status")[0] == 0, "all is well")
    code, out = nines(lab, "status", "--json")
    assert (code, json.loads(out)["healthy"], json.loads(out)["why"]) == (0, True, [])
    lab.write("""
  site:
    {listen: lb1:80, servers: [web1:8080], check: none,
     routes: [{path: /away, answer: {status: 503, body_file: /nowhere/page.html}}]}
  secret: {listen: lb1:443, tls: /nowhere/site.pem, servers: [web1:8080], check: none}
""")
    code, _, complaint = order(lab, "reload")
    assert code == 1 and "a page of service site: /nowhere/page.html: No such file" in complaint
    assert "TLS of service secret: /nowhere/site.pem: No such file" in complaint
    code, out = nines(lab, "status", "--json")
    assert code == 1 and json.loads(out)["healthy"] is False
    why = sorted(w.split(": ")[0] for w in json.loads(out)["why"])
    assert why == ["proxy page site", "proxy tls secret"]
    assert line(lab, "TLS") == (1, "down /nowhere/site.pem: No such file or directory")
    lab.write("  site: {listen: lb1:80\n")
    assert order(lab, "reload")[0] == 1
    code, out = nines(lab, "status", "--json")
    assert "the cluster file on disk has errors and is not in use" in json.loads(out)["why"]


def test_files_that_are_not_there(lab):
    lab.start("""
  site:
    listen: [lb1:80, lb1:443]
    servers: [web1:8080]
    check: none
    tls: /nowhere/site.pem
    sticky: {cookie: c, secret_file: /nowhere/key}
    routes: [{path: /away, answer: {status: 503, body_file: /nowhere/page.html}}]
""")
    for what, said in (("TLS", "down /nowhere/site.pem: No such file"),
                       ("pages", "warn "), ("cookie's key", "warn ")):
        until(lambda what=what, said=said: (seen := line(lab, what))[0] == 1 and seen[1].startswith(said),
              f"status tells of {what}")


def test_a_service_of_which_nothing_is_known(lab):
    """Its checks cannot be made here, which is no verdict."""
    lab.start("  site: {listen: lb1:80, servers: [web1:8080], source: 192.0.2.77, check: /}\n")
    until(lambda: "event=no_check" in lab.log(), "a check that cannot be made")
    until(lambda: line(lab, "site")[1].startswith("unknown"), "status shows it all the same")


def test_a_switch_to_where_nobody_serves(lab):
    lab.start("""
  site:
    listen: lb1:80
    groups: {blue: [web1:8080], green: [web2:8080]}
    active: blue
    check: {tcp: true, every: 50ms}
""")
    until(lambda: lab.fact("server site web2:8080").startswith("down"), "green is down")
    until(lambda: lab.fact("server site web1:8080") == "up", "blue is up")
    assert nines(lab, "switch", "site", "green") == (
        0, "site goes to green now, where no server is up: requests fail\n")
    assert nines(lab, "switch", "site", "blue") == (0, "site goes to blue now\n")


def test_nobody_takes_new_work(lab):
    lab.start("  site: {listen: lb1:80, servers: [web1:8080], check: none}\n")
    assert order(lab, "drain", "web1")[0] == 0
    until(lambda: lab.get(80)[0].status == 503, "nobody takes work")
    assert b"takes new work" in lab.get(80)[1]


def test_whoever_drains_the_last_server_is_told(lab):
    nobody = "no server takes new work now, requests fail"
    lab.serve("web2", 8080, echo("web2"))
    lab.start("""
  site: {listen: lb1:80, servers: [web1:8080, web2:8080], check: {every: 100ms}}
  api:
    listen: lb1:81
    groups: {blue: {servers: [web2:8080]}, green: {servers: [web1:8080]}}
    active: blue
    check: none
  elsewhere: {listen: web3:80, servers: [web1:8080], check: none}
""")
    until(lambda: lab.fact("service site") == "up 2/2", "all is well")
    code, said, warned = order(lab, "drain", "web1:8080")
    assert (code, warned) == (0, f"nines drain: warning: group green of service api: {nobody}\n")
    assert "web1:8080 drains" in said
    code, said, warned = order(lab, "drain", "web2", "--json")
    assert code == 0 and json.loads(said)["warning"] == (
        f"service site, group blue of service api: {nobody}")
    assert order(lab, "enable", "web2")[2] == ""
    code, _, warned = order(lab, "weight", "site", "web2", "0")
    assert (code, warned) == (0, f"nines weight: warning: service site: {nobody}\n")
    assert order(lab, "weight", "site", "web2", "file")[2] == ""
    # One that is down does not count, one that is drained already is told of again.
    assert order(lab, "enable", "web1:8080")[2] == ""
    lab.servers[-1].close()
    until(lambda: lab.fact("server site web2:8080").startswith("down"), "web2 is down")
    for _ in range(2):
        assert f"service site, group green of service api: {nobody}" in order(lab, "drain", "web1")[2]


def test_a_service_is_as_well_as_its_active_group(lab):
    """What follows it leaves when requests fail, whatever the other group has."""
    lab.start('  site: {listen: "lb1:80", groups: {blue: {servers: ["web1:8080"]}, '
              'green: {servers: ["web2:8080"]}}, active: blue, check: {every: 100ms}}\n')
    until(lambda: lab.fact("server site web2:8080").startswith("down"), "green is down")
    until(lambda: lab.fact("service site") == "up 1/1", "that is not blue's trouble")
    lab.order("switch", "site", "green")
    until(lambda: lab.fact("service site").startswith("down 0/1"), "now it is")
    os.kill(lab.part("health")["pid"], 9)
    until(lambda: lab.part("health").get("restarts") and lab.fact("part health") == "up", "anew")
    assert lab.fact("service site").startswith("down 0/1")
    lab.order("switch", "site", "blue")
    until(lambda: lab.fact("service site") == "up 1/1", "blue answers")
