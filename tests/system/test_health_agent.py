# SPDX-License-Identifier: Apache-2.0
"""Servers whose agents say how much they can take.

      client 10.9.0.9 ──> lb1:80 ──> web1:8080, web2:8080
                     lb1 (health) ──> web1:9999, web2:9999: one line each
"""
import collections
import os

import pytest

from proxylab import Lab, echo, until

SERVICES = """
  site:
    listen: "lb1:80"
    servers: ["web1:8080", "web2:8080"]
    agent: {port: 9999, every: 100ms}
"""


@pytest.fixture
def lab(tmp_path):
    with Lab(tmp_path) as made:
        yield made


@pytest.fixture
def says(lab):
    """What the two agents say; None: they close at once."""
    words = {"web1": b"up ready 100%\n", "web2": b"up ready 100%\r\n"}

    def agent(host):
        def script(stream, _):
            if words[host] is not None:
                stream.send(words[host])
        return script
    for host in words:
        lab.serve(host, 8080, echo(host))
        lab.serve(host, 9999, agent(host))
    lab.start(SERVICES)
    until(lambda: lab.fact("server site web1:8080") == lab.fact("server site web2:8080") == "up",
          "both are up")
    return words


def shares(lab, n=60):
    return collections.Counter(lab.get(80)[0]["x-server"] for _ in range(n))


def test_weight_follows(lab, says):
    says["web2"] = b"25%\n"
    until(lambda: lab.fact("agent site web2:8080") == "25% ready up", "it is heard")
    until(lambda: shares(lab) == {"web1": 48, "web2": 12}, "four of five go elsewhere")
    says["web2"] = b"100%"
    until(lambda: shares(lab) == {"web1": 30, "web2": 30}, "it has its share again")


@pytest.mark.parametrize("word", [b"drain\n", b"0%\n"])
def test_drain(lab, says, word):
    says["web2"] = word
    until(lambda: shares(lab, 10) == {"web1": 10}, "nothing new goes there")
    assert lab.fact("server site web2:8080") == "up"
    says["web2"] = b"ready 100%\n"
    until(lambda: shares(lab, 10) == {"web1": 5, "web2": 5}, "it is back")


@pytest.mark.parametrize("word, fact", [
    (b"maint # new disk\n", "down in maintenance, says its agent: new disk"),
    (b"stopped\n", "down down, says its agent")])
def test_down(lab, says, word, fact):
    says["web2"] = word
    until(lambda: lab.fact("server site web2:8080") == fact, "it is told")
    until(lambda: lab.fact("service site") == "up 1/2", "and of the service")
    until(lambda: shares(lab, 10) == {"web1": 10}, "nothing new goes there")
    says["web2"] = None  # and whoever said that has to end it
    until(lambda: "agent_silent at=10.9.0.12:9999" in lab.log(), "it is silent")
    assert lab.fact("server site web2:8080") == fact
    says["web2"] = b"up ready\n"
    until(lambda: lab.fact("server site web2:8080") == "up", "it is up again")


def test_silence_is_no_word(lab, says):
    says["web2"] = b"25%\n"
    until(lambda: lab.fact("agent site web2:8080") == "25% ready up", "it is heard")
    says["web2"] = b"HTTP/1.1 200 OK\r\n"
    until(lambda: lab.fact("agent site web2:8080") == "100% ready up", "that is too old")
    assert lab.fact("server site web2:8080") == "up"


def test_it_survives_its_process_and_a_reload(lab, says):
    says["web2"] = b"drain 50%\n"
    until(lambda: lab.fact("agent site web2:8080") == "50% drain up", "it is heard")
    says["web2"] = None
    os.kill(lab.part("health")["pid"], 9)
    until(lambda: (lab.part("health") or {}).get("restarts", 1), "it restarts")
    until(lambda: lab.fact("part health") == "up", "it is up")
    assert "drain" in lab.fact("agent site web2:8080")
    lab.write(SERVICES.replace("    agent: {port: 9999, every: 100ms}\n", ""))
    lab.order("reload")
    until(lambda: lab.fact("agent site web2:8080") == "", "nobody is asked any more")
    until(lambda: shares(lab, 10) == {"web1": 5, "web2": 5}, "it has its share")
