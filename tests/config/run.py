#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Golden diagnostics of the cluster file.

For every NAME.yaml here, NAME.expected holds what `nines check` prints, then one line
`CODE LINE:COLUMN` per finding. Furthermore: every code in src/config has a case, what
is accepted survives `nines config` unchanged, every example is valid or fails as its
first line says, and docs/cluster-file.md agrees with the schema.

    run.py NINES             compare
    run.py NINES --accept    write what is printed as expected; read the diff!
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

import sarif

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
NINES = str(pathlib.Path(sys.argv[1]).resolve())
ACCEPT = "--accept" in sys.argv[2:]

# Reported where no small file gets them.
NOT_IN_FILES = {"out-of-memory", "too-large"}

REPORT = re.compile(
    r"(?:reader_error|reader_warning|refuse|refuse_token)\(\s*[^;\"]*?,\s*\"([a-z0-9-]+)\","
    r"|[?:] \"(bad-[a-z]+)\""
    r"|DIAG_(?:ERROR|WARNING),\s*\"([a-z0-9-]+)\","
    r"|\[NAME_[A-Z_]+\] = \"(unknown-[a-z-]+)\"")

failures = []


def nines(*args, stdin=None):
    return subprocess.run([NINES, *args], input=stdin, capture_output=True, encoding="utf-8",
                          errors="backslashreplace", cwd=HERE)


def check(ok, what):
    if not ok:
        failures.append(what)
        print(f"FAILED: {what}")


def findings(path):
    answer = nines("check", "--json", str(path))
    return json.loads(answer.stdout)["findings"]


def golden(path):
    """Compares one case; returns its codes."""
    plain = nines("check", path.name)
    found = sorted((f["line"], f["column"], f["code"]) for f in findings(path))
    lines = "".join(f"{code} {line}:{column}\n" for line, column, code in found)
    text = f"{plain.stderr}{plain.stdout}---\n{lines}"
    expected = path.with_suffix(".expected")
    errors = any(f["severity"] == "error" for f in findings(path))
    check(plain.returncode == (1 if errors else 0), f"{path.name}: exit {plain.returncode}")
    if ACCEPT:
        expected.write_text(text)
    elif not expected.exists() or expected.read_text() != text:
        check(False, f"{path.name}: printed\n{text}")
    if not errors:
        round_trip(path)
    return {code for _, _, code in found}


def round_trip(path):
    """`nines config` and `--full` are files of the same meaning."""
    full = nines("config", "--full", str(path))
    check(full.returncode == 0, f"{path.name}: config --full: {full.stderr}")
    for option in ([], ["--full"]):
        text = nines("config", *option, str(path)).stdout
        again = nines("config", "--full", "-", stdin=text)
        check(again.stdout == full.stdout, f"{path.name}: config {option} is not the same")


def generated():
    """Cases too large to keep as files."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
        f.write("cluster: x\n#" + "x" * (16 << 20))
        f.flush()
        check(nines("check", f.name).returncode == 1, "a file of more than 16 MiB passes")
    text = "zones: [" + "a," * 1000001 + "]\n"
    check("too many values" in nines("check", "-", stdin=text).stderr, "a million zones")


def examples():
    for path in sorted((ROOT / "examples").glob("*.yaml")):
        if path.name.startswith("broken-"):
            weak(path)
            continue
        found = [f for f in findings(path)
                 if f["code"] not in ("not-run", "file-unreadable", "program-missing")]
        check(not found, f"examples/{path.name}: {found}")
        round_trip(path)
    for path in sorted((ROOT / "examples/broken").glob("*.yaml")):
        said = re.match(r"# (?:.*: )?([a-z-]+ \d+:\d+)$", path.read_text().splitlines()[0])
        found = [f"{f['code']} {f['line']}:{f['column']}" for f in findings(path)]
        check(said and said[1] in found, f"examples/broken/{path.name}: finds {found}")


def what_if():
    """What is taken away counts like what fails; a file of nothing is no clean bill."""
    file = str(ROOT / "examples/pair.yaml")
    gone = nines("spof", "--without", "lb1,lb2", file)
    check(gone.returncode == 1 and "error N108: site is down" in gone.stdout, gone.stdout)
    one = nines("spof", "--without", "web1", file)
    check(one.returncode == 0 and "N108" not in one.stdout, one.stdout)
    bare = "cluster: x\nnetwork: 10.0.0.0/24\nhosts: {a: 10.0.0.1}\n"
    check("nothing to analyse" in nines("spof", "-", stdin=bare).stdout, "nothing to analyse")


def firewall_test():
    """It says which of its words it does not know, and chooses one family for both."""
    file = str(ROOT / "examples/reference.yaml")
    for words, status, said in (
        (("203.0.113.7", "nobody", "80"), 2, '"nobody" is neither'),
        (("nobody", "www", "80"), 2, '"nobody" is neither'),
        (("2001:db8::1", "www", "80"), 2, "one is IPv6"),
        (("203.0.113.7", "www", "0"), 2, "PORT is such as"),
        (("203.0.113.7", "www", "80"), 0, "fw1: let through: allow 1"),
        (("203.0.113.7", "www", "81"), 1, "fw1: not let through"),
        (("office", "www", "22"), 0, "fw1: let through: allow 3"),
    ):
        answer = nines("firewall", "test", "-f", file, *words)
        text = answer.stdout + answer.stderr
        check(answer.returncode == status and said in text, f"test {words}: {text}")


def vpn_folder():
    """The first order of the VPN's manual, on a host that has no /etc/nines."""
    text = (ROOT / "examples/reference.yaml").read_text()
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
        f.write(text.replace("    listen: vpn-out:51820\n",
                             "    listen: vpn-out:51820\n    key_file: /nonexistent/k.key\n"))
        f.flush()
        answer = nines("vpn", "key", "-f", f.name)
    check(answer.returncode == 1 and "mkdir" in answer.stderr, f"vpn key: {answer.stderr}")


def drill_words():
    """What is misspelt is said before anything is built; playing nothing is no success."""
    file = str(ROOT / "examples/pair.yaml")
    for words, status, said in (
        (("--list", "--only", "host-off:lb1,server-killed"), 0, "host-off:lb1"),
        (("--list", "--only", "host-off:lb1,nope"), 2, 'no failure "nope"'),
        (("--only", "host-off:lb9"), 2, 'no failure "host-off:lb9"'),
        (("--all", "--against", "/nonexistent.json"), 1, "no report"),
        (("--all", "--resume", file), 1, "no report"),
    ):
        answer = nines("drill", *words, file)
        text = answer.stdout + answer.stderr
        check(answer.returncode == status and said in text, f"drill {words}: {text}")


def pair():
    """The example that the manual begins with survives any one host, and says what not."""
    answer = nines("spof", "--json", str(ROOT / "examples/pair.yaml"))
    result = json.loads(answer.stdout)
    check(answer.returncode == 0 and result["ok"], "examples/pair.yaml does not survive")
    check(result["goals"][0]["ends_with"] == ["network main"], f"pair.yaml: {result['goals']}")
    check(result["goals"][0]["ends_with_two"] == [["host lb1", "host lb2"]],
          f"pair.yaml: {result['goals']}")
    answer = nines("spof", "--json", "--order", "3", str(ROOT / "examples/pair.yaml"))
    # lb1's host, link, vip, proxy with lb2's; of each of three servers host, link, program
    check(json.loads(answer.stdout)["goals"][0]["cut_sets"] == [1, 16, 27], "pair.yaml --order 3")
    answer = nines("spof", "--without", "lb2", str(ROOT / "examples/pair.yaml"))
    check(answer.returncode == 1 and "host lb1" in answer.stdout, "pair.yaml --without lb2")
    answer = nines("spof", "--without", "lb3", str(ROOT / "examples/pair.yaml"))
    check(answer.returncode == 2 and "lb3" in answer.stderr, "pair.yaml --without lb3")


def rates():
    """Rates and measured outages are heard, and refused where they are none."""
    path = str(ROOT / "examples/pair.yaml")

    def availability(*options):
        answer = nines("spof", "--json", *options, path)
        return json.loads(answer.stdout)["goals"][0]["availability"] if answer.stdout else answer
    check(availability()["mostly"] == "network main", "rates: the network decides")
    check(availability("--rates", "network=36000d/0s,server=1d/12h")["mostly"].startswith("server"),
          "rates: servers that are off a third of the time do not decide")
    with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
        json.dump({"cases": [{"case": "host-off", "outage_ms": {"median": 3600000.0}}]}, f)
        f.flush()
        one = availability("--measured", f.name, "--rates", "host=99h/1h")["failovers"]
        check(one == 0.01, f"rates: an hour's outage of a hundred is {one}")
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as f:
        # A network that was down three of thirty days weighs more than what the file says.
        f.write('{"watched": {"network": 1, "host": 5}, "from": "2026-06-01T00:00:00Z", "to": "2026-07-01T00:00:00Z"}\n'
                '{"kind": "network", "name": "main", "down": "2026-06-02T00:00:00Z", "up": "2026-06-05T00:00:00Z"}\n')
        f.flush()
        before, after = availability()["down"], availability("--history", f.name)["down"]
        check(after > 10 * before, f"history: {before} before, {after} after")
        told = json.loads(nines("spof", "--json", "--history", f.name, path).stdout)["history"]
        check([(k["kind"], k["outages"]) for k in told] == [("host", 0), ("network", 1)], f"history: {told}")
        said = nines("spof", "--history", f.name, path).stdout
        check("network      fails every 3000 d, back after 2 d: 1 outage in 30 d of watching" in said,
              f"history: {said}")
        last = availability("--history", f.name, "--rates", "network=36000d/0s")["mostly"]
        check(last != "network main", "--rates has not the last word")
    for options in (["--history", path], ["--history", "/nowhere"], ["--rates", "host=1d"], ["--rates", "disk=1d/1h"], ["--rates", "host=1d/1"],
                    ["--measured", path], ["--order", "9"]):
        answer = nines("spof", *options, path)
        check(answer.returncode == 2 and answer.stderr, f"spof {options}: exit {answer.returncode}")


def takeovers():
    """What a database's takeover takes is in the answer of whoever needs its writes, and named."""
    text = (ROOT / "examples/databases.yaml").read_text()
    told = {}
    for time in ("30s", "1h", "0s"):
        file = text.replace("    engine: postgresql\n", f"    engine: postgresql\n    takeover: {time}\n")
        result = json.loads(nines("spof", "--json", "-", stdin=file).stdout)
        told[time] = {(g["what"], g["name"]): g["availability"]["takeovers"]
                      for g in result["goals"] if g["availability"]}
        said = nines("spof", "-", stdin=file).stdout
        check((f"each takeover of orders {time}" in said) == (time != "0s"), f"takeover {time}: {said}")
    for goal in (("service", "site"), ("database", "orders")):
        check(60 <= told["1h"][goal] / told["30s"][goal] <= 240, f"takeovers: {told}")  # of one digit each
        check(told["0s"][goal] == 0, f"takeovers: {told}")
    check(told["1h"][("reads of database", "orders")] == 0, f"reads wait for no primary: {told}")
    alone = text.replace("hosts: [db1, db2, {at: db3, delay: 1h}]", 
                         "hosts: [db1, {at: db2, delay: 1h}, {at: db3, delay: 1h}]")
    said = nines("spof", "-", stdin=alone).stdout
    check("N219" in said and "takeover" not in said, f"nobody takes over: {said}")


def certificates():
    """When each service's certificates end; those of two services on one day are one finding."""
    file = """cluster: shop
network: {{subnet: 10.0.0.0/24, redundant: true}}
hosts: {{lb1: 10.0.0.11, lb2: 10.0.0.12, web1: 10.0.0.21, web2: 10.0.0.22}}
floating_ips:
  www: {{address: 10.0.0.10, hosts: [lb1, lb2], check: {{ping: 10.0.0.1}}}}
services:
  site: {{listen: www:443, servers: [web1:80, web2:80], check: /, tls: {{certificate: {0}/100.pem}}}}
  shop: {{listen: www:444, servers: [web1:80, web2:80], check: /, tls: {{certificate: {0}/{1}.pem}}}}
"""
    with tempfile.TemporaryDirectory() as folder:
        for days in (100, 200, 3):
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                            "-nodes", "-keyout", f"{folder}/{days}.pem", "-out", f"{folder}/{days}.crt",
                            "-days", str(days), "-subj", "/CN=x"], check=True, capture_output=True)
            with open(f"{folder}/{days}.pem", "ab") as out:
                out.write(pathlib.Path(f"{folder}/{days}.crt").read_bytes())
        path = pathlib.Path(folder) / "cluster.yaml"
        for other, codes in ((200, []), (100, ["N306"]), (3, ["N304"])):
            path.write_text(file.format(folder, other))
            result = json.loads(nines("spof", "--json", str(path)).stdout)
            found = [f["code"] for f in result["findings"] if f["code"] in ("N304", "N305", "N306")]
            check(found == codes, f"certificates of 100 and {other} days: {found}")
            ends = [g["certificates"][0]["days_left"] for g in result["goals"]]
            check(ends[0] in (99, 100) and ends[1] in (other - 1, other), f"certificates end in {ends} days")
            said = nines("spof", str(path)).stdout
            check(f"ends with {folder}/100.pem on 20" in said, f"certificates: {said}")
            singles = [(f["failures"], [g["name"] for g in f["goals"]])
                       for f in result["findings"] if f["code"] == "N215"]
            one, two = (f"certificate {folder}/{days}.pem" for days in (100, other))
            wanted = ([([one], ["site", "shop"])] if other == 100 else
                      [([one], ["site"]), ([two], ["shop"])])
            check(singles == wanted, f"certificates renewed by hand: {singles}")
            path.write_text(file.format(folder, other).replace(".pem}", ".pem, renewal: automatic}"))
            result = json.loads(nines("spof", "--json", str(path)).stdout)
            check("certificate" not in {f["kind"] for f in result["failures"]},
                  "certificates that a program renews fail")


def terse():
    """One finding for one cause, however many addresses it is about."""
    found = json.loads(nines("spof", "--json", str(ROOT / "examples/reference.yaml")).stdout)["findings"]
    check([f["code"] for f in found if f["code"][:2] == "N3"] == ["N302"], "reference.yaml: N3 more than once")
    said = nines("spof", str(ROOT / "examples/reference.yaml")).stdout
    check("floating IP gw1-out, gw2-out: goes on" in said, "reference.yaml: goals that are alike are apart")


def picture(path, hosts):
    """Every host is in the picture, inside it and not upon another."""
    with tempfile.TemporaryDirectory() as folder:
        svg = pathlib.Path(folder) / "picture.svg"
        nines("spof", "--picture", str(svg), str(path))
        root = xml.etree.ElementTree.parse(svg).getroot()
    space = "{http://www.w3.org/2000/svg}"
    width, height = (float(x) for x in root.get("viewBox").split()[2:])
    boxes = [tuple(float(rect.get(k)) for k in ("x", "y", "width", "height"))
             for rect in root.iter(space + "rect") if rect.get("rx") in ("6", "4", "12")]
    names = [t.text for t in root.iter(space + "text") if t.get("class") == "host"]
    check(len(names) == hosts, f"{path}: {len(names)} hosts in the picture")
    for i, (x, y, w, h) in enumerate(boxes):
        check(x >= 0 and y >= 0 and x + w <= width and y + h <= height, f"{path}: out of the picture")
        for x2, y2, w2, h2 in boxes[:i]:
            check(x >= x2 + w2 or x2 >= x + w or y >= y2 + h2 or y2 >= y + h,
                  f"{path}: one upon another at {x},{y}")


def pictures():
    picture(ROOT / "examples/pair.yaml", 5)
    picture(ROOT / "examples/broken-one-gateway.yaml", 6)
    picture(ROOT / "examples/broken-one-name-server.yaml", 4)
    picture(ROOT / "examples/databases.yaml", 7)
    said = nines("spof", str(ROOT / "examples/databases.yaml")).stdout
    check("\n  [orders postgresql: db1 db2 db3 (late)]\n" in said, f"no database in {said}")
    said = nines("spof", str(ROOT / "examples/broken-two-votes.yaml")).stdout
    check("\n  [orders postgresql: db1 db2]!\n" in said, f"no weak database in {said}")
    said = nines("spof", str(ROOT / "examples/broken-one-name-server.yaml")).stdout
    check(said.startswith("  outside: 192.0.2.53!, pay.example.com, pay.example.net\n"), f"no name server in {said}")
    hosts = "".join(f"  w{i}: {{back: 10.1.0.{i + 10}, zone: z{i % 3}}}\n" for i in range(100))
    servers = ", ".join(f"w{i}:80" for i in range(100))
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
        f.write("cluster: large\nnetworks: {front: 10.0.0.0/24, back: 10.1.0.0/24}\nzones: [z0, z1, z2]\nhosts:\n"
                "  lb1: {front: 10.0.0.1, back: 10.1.0.1}\n  lb2: {front: 10.0.0.2, back: 10.1.0.2}\n"
                f"{hosts}floating_ips: {{www: {{address: 10.0.0.9, hosts: [lb1, lb2]}}}}\n"
                f"services: {{s: {{listen: www:80, servers: [{servers}]}}}}\n")
        f.flush()
        picture(f.name, 102)


def weak(path):
    """`nines spof` finds what the first line says, and ends with 1 for an error."""
    said = re.match(r"# nines spof: (N\d+) (error|warning|note) (\d+):(\d+)$",
                    path.read_text().splitlines()[0])
    answer = nines("spof", "--json", str(path))
    result = json.loads(answer.stdout)
    found = [(f["code"], f["level"], str(f["line"]), str(f["column"])) for f in result["findings"]]
    check(said and said.groups() in found, f"examples/{path.name}: finds {found}")
    errors = any(f[1] == "error" for f in found)
    check(answer.returncode == (1 if errors else 0), f"examples/{path.name}: exit {answer.returncode}")
    log = json.loads(nines("spof", "--sarif", str(path)).stdout)
    check([r["ruleId"] for r in log["runs"][0]["results"]] == [f[0] for f in found],
          f"examples/{path.name}: SARIF says something else")
    check(not sarif.faults(log), f"examples/{path.name}: SARIF: {sarif.faults(log)}")


def sarif_places():
    """The file is named as a reference: no character that is not for one, no scheme of its own."""
    text = (ROOT / "examples/broken-one-server.yaml").read_text()
    with tempfile.TemporaryDirectory() as folder:
        for name, said in (("plain.yaml", "plain.yaml"), ("a b%41?#.yaml", "a%20b%2541%3F%23.yaml"),
                           ("\u00e9.yaml", "%C3%A9.yaml"), ("x:y.yaml", "./x:y.yaml")):
            (pathlib.Path(folder) / name).write_text(text)
            for given, wanted in ((name, said), (f"{folder}/{name}", f"file://{folder}/{said.removeprefix('./')}")):
                answer = subprocess.run([NINES, "spof", "--sarif", given], cwd=folder, check=False,
                                        capture_output=True, text=True)
                log = json.loads(answer.stdout)
                places = {location["physicalLocation"]["artifactLocation"]["uri"]
                          for result in log["runs"][0]["results"] for location in result["locations"]}
                check(places == {wanted}, f"SARIF of {given}: {places}")
                check(not sarif.faults(log), f"SARIF of {given}: {sarif.faults(log)}")


def manual():
    begin, end = "<!-- nines schema --markdown -->\n", "<!-- end -->\n"
    path = ROOT / "docs/cluster-file.md"
    text = path.read_text()
    head, rest = text.split(begin)
    table, tail = rest.split(end)
    wanted = nines("schema", "--markdown").stdout
    if ACCEPT:
        path.write_text(head + begin + wanted + end + tail)
    else:
        check(table == wanted, "docs/cluster-file.md is not what `nines schema --markdown` prints")


def codes_in_sources():
    codes = set()
    for path in (ROOT / "src/config").glob("*.c"):
        for match in REPORT.finditer(path.read_text()):
            codes.add(next(g for g in match.groups() if g))
    return codes


def main():
    cases = sorted(HERE.glob("*.yaml"))
    seen = set().union(*(golden(path) for path in cases))
    missing = codes_in_sources() - seen - NOT_IN_FILES
    check(not missing, f"no case for {sorted(missing)}")
    generated()
    examples()
    pair()
    what_if()
    firewall_test()
    drill_words()
    vpn_folder()
    rates()
    takeovers()
    sarif_places()
    certificates()
    terse()
    pictures()
    manual()
    json.loads(nines("schema").stdout)
    print(f"{len(cases)} cases, {len(seen)} codes, {len(failures)} failures")
    return 1 if failures else 0


sys.exit(main())
