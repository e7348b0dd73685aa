# SPDX-License-Identifier: Apache-2.0
"""Servers that see the client's address, with the rules of docs/operations.md.

      client 10.8.0.2 ── 10.8.0.1 lb1 10.7.0.1 ── 10.7.0.2 server

lb1 (nines) listens on 10.9.0.1:88; each is a namespace, and both others route through it.
"""
import socket

from proxylab import LB, Lab, Server, Stream, bound, run
from test_proxy_dial import GET, say_peer


class Place:
    """Another namespace, joined to the lab's by a cable."""

    def __init__(self, lab, cable, here, there):
        self.lab, self.name = lab, f"{lab.name}-{cable}"
        run("ip", "netns", "add", self.name)
        run("ip", "link", "add", cable, "netns", lab.name, "type", "veth", "peer", "name",
            "e0", "netns", self.name)
        for name, address, device in ((lab.name, here, cable), (self.name, there, "e0")):
            run("ip", "-n", name, "addr", "add", address + "/24", "dev", device)
            run("ip", "-n", name, "link", "set", device, "up")
        run("ip", "-n", self.name, "route", "add", "default", "via", here)

    def inside(self):
        return Lab.inside(self)

    def close(self):
        run("ip", "netns", "del", self.name)


def test_a_transparent_source_is_routed_back(tmp_path):
    for part in [tmp_path, *tmp_path.parents][:3]:
        part.chmod(0o755)
    made, places, server = Lab(tmp_path), [], None
    try:
        client = Place(made, "front", "10.8.0.1", "10.8.0.2")
        places.append(client)
        back = Place(made, "back", "10.7.0.1", "10.7.0.2")
        places.append(back)
        server = Server(bound(back, "10.7.0.2", 8080), say_peer)
        made.at("nft", "table inet nines_tp { chain in { type filter hook prerouting priority "
                "mangle; socket transparent 1 meta mark set 1; }; }")
        made.at("ip", "rule", "add", "fwmark", "1", "lookup", "100")
        made.at("ip", "route", "add", "local", "default", "dev", "lo", "table", "100")
        made.at("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=2")
        made.start('  clear: {listen: "lb1:88", servers: ["10.7.0.2:8080"], check: none,'
                   " transparent: true}\n")
        with client.inside():
            sock = socket.create_connection((LB, 88), timeout=30)
        stream = Stream(sock)
        for _ in range(2):
            stream.send(GET)
            assert stream.answer()[1] == b"10.8.0.2"
        stream.close()
    finally:
        if server is not None:
            server.close()
        made.close()
        for place in places:
            place.close()
