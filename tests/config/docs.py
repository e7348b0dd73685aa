#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every example in the manual works when it is pasted.

    docs.py NINES

The YAML of README.md and docs/*.md is checked: a whole file as it is, sections in place
of those of BASE, keys of a service or a floating IP in one of these. Findings are only
files that are not on this machine. The counters that it explains are those that there are.
"""
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
MISSING = {"file-unreadable", "program-missing", "not-run"}

# Names that examples use; what an example says of them goes over it.
SUBNETS = {
    "main": "10.0.0", "edge": "10.0.1", "dmz": "10.0.2", "private": "10.0.3", "back": "10.0.4",
    "office-net": "10.0.5", "failover": "10.0.9", "internet": "198.51.100", "world": "203.0.113",
}
HOSTS = ("lb1 lb2 web1 web2 web3 web4 app1 app2 img1 img2 mail1 dns1 db1 db2 db3 fw1 fw2 "
         "gw1 gw2").split()
SERVICE = "\n    listen: www:8400\n    servers: [web1:8080, web2:8080]\n"
BASE = {
    "networks": {name: f" {net}.0/24\n" for name, net in SUBNETS.items()},
    "hosts": {host: " {" + ", ".join(f"{name}: {net}.{end}" for name, net in SUBNETS.items()) + "}\n"
              for end, host in enumerate(HOSTS, 101)},
    "floating_ips": {
        "www": " {address: 10.0.0.10, hosts: [lb1, lb2]}\n",
        "orders": " {address: 10.0.3.40, hosts: [db1, db2]}\n",
        "fw-out": " {address: 10.0.1.10, hosts: [fw1, fw2], group: firewall}\n",
        "fw-in": " {address: 10.0.2.10, hosts: [fw1, fw2], group: firewall}\n"},
    "services": {"site": SERVICE, "shop": SERVICE.replace("8400", "8401")},
}
IN_FLOATING_IP = {"vrrp"}  # keys that stand alone in an example


def keys(text, depth):
    """{key: the rest} at that depth."""
    parts = re.split(rf"^ {{{depth}}}([a-z_0-9-]+):", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def fragment(text):
    """The sections that keys of a lower depth are of."""
    if keys(text, 0):
        return keys(text, 0)
    if keys(text, 2):
        return {"services": "\n" + text}
    if set(keys(text, 4)) & IN_FLOATING_IP:
        return {"floating_ips": "\n  www:\n    address: 10.0.0.10\n    hosts: [lb1, lb2]\n"
                                "    heartbeat: 1s\n" + text}
    return {"services": "\n  site:\n" + text}


def listening(service):
    """An example that says nothing of where a service listens is about something else."""
    own = keys(service, 4)
    if "listen" in own or service.lstrip().startswith("{"):
        return service
    return "\n" + "".join(
        f"    {key}:{value}" for key, value in keys(SERVICE, 4).items()
        if key not in own and not (key == "servers" and "groups" in own)) + service.lstrip("\n")


def whole(text):
    """The cluster file that the example is, or is a part of."""
    given = fragment(text)
    if "cluster" in given:
        return text
    file = {name: rest for name, rest in given.items() if name not in BASE}
    for name, base in BASE.items():
        own = keys(given.get(name, ""), 2)
        if name == "services":
            own = {service: listening(rest) for service, rest in own.items()}
        merged = own if "hosts" in given else {**base, **own}
        file[name] = "\n" + "".join(f"  {key}:{rest.rstrip()}\n" for key, rest in merged.items())
    return "cluster: shop\n" + "".join(
        f"{name}:{rest.rstrip()}\n" for name, rest in file.items() if rest.strip())


def counters():
    """Those that the manual does not explain, and those that it explains and are none."""
    are = set(re.findall(r'\bX\([A-Z0-9_]+,\s*"([a-z0-9_]+)"', (ROOT / "src/proxy/counters.h").read_text()))
    manual = (ROOT / "docs/load-balancing.md").read_text()
    rows = re.findall(r"^\| (`.*?) \|", manual[manual.index("## Counters"):manual.index("## When things")],
                      re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`([a-z0-9_]+)`", row)}
    return sorted(are ^ told)


def main():
    failures = examples = 0
    if counters():
        failures += 1
        print(f"FAILED: docs/load-balancing.md and src/proxy/counters.h: {counters()}")
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = path.read_text()
        for match in re.finditer(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            file = whole(match[1])
            answer = subprocess.run([sys.argv[1], "check", "--json", "-"], input=file, capture_output=True,
                                    text=True, check=False)
            found = [f for f in json.loads(answer.stdout)["findings"] if f["code"] not in MISSING]
            examples += 1
            if found:
                failures += 1
                line = text[:match.start()].count("\n") + 2
                print(f"FAILED: {path.relative_to(ROOT)}:{line}: {found}\n{file}")
    print(f"{examples} examples, {failures} failures")
    return 1 if failures or examples == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
