#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Builds and runs every test; the last line is `N passed, N failed`.

    test.py                 all suites
    test.py unit system     some of: unit sim fuzz config thread system
    test.py --keyword WORD  of the system tests, those whose name has WORD

unit, sim, fuzz (the committed corpus) and config run under the address and
undefined-behaviour sanitizers, and system the program built with them (or the one that
NINES names); thread is the unit tests again, under the thread sanitizer, and the system
tests of what the proxy's threads share. A program that speaks TAP (cmocka does) counts
with each of its tests, any other one as one test. The counts are also written to
build/test/counts.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "build/test"
SANDBOX = str(ROOT / "scripts/sandbox.sh")
MESON_SUITES = ["unit", "sim", "fuzz", "config"]
SUITES = MESON_SUITES + ["thread", "system"]
THREADED = [f"tests/system/test_proxy_{name}.py"
            for name in ("drain", "h2_trunk", "hedge", "queue", "tls", "upgrade")]
TAP = re.compile(r"^(not )?ok \d+(?: - )?(.*)$", re.MULTILINE)
ENVIRONMENT = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "second_deadlock_stack=1",
}

passed, failed, skipped = [], [], []


def descendants(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*"):
        for child in (task / "children").read_text().split():
            found += [int(child)] + descendants(int(child))
    return found


def end(_signo, _frame):
    """Terminated: what we started cleans up as if interrupted at the terminal."""
    for pid in descendants(os.getpid()):
        try:
            os.kill(pid, signal.SIGINT)
        except OSError:
            pass
    raise KeyboardInterrupt


def run(words, **environment):
    """The exit status. An interrupted child is given time to clean up."""
    child = subprocess.Popen(words, cwd=ROOT, env={**os.environ, **ENVIRONMENT, **environment})
    try:
        return child.wait()
    except KeyboardInterrupt:
        try:
            child.wait(30)
        except subprocess.TimeoutExpired:
            child.kill()
        raise


def build(kind, *targets):
    print(f"== build/{kind}", flush=True)
    if run(["scripts/build.sh", kind, *targets]) != 0:
        failed.append(f"build/{kind}")
        return False
    return True


def count_program(test):
    """One entry of meson's log, which has a program's output and status."""
    name = test["name"]
    lines = TAP.findall(test.get("stdout", ""))
    bad = 0
    for no, rest in lines:
        if "# SKIP" in rest.upper():
            skipped.append(f"{name}: {rest.upper().replace('# SKIP', '').strip().lower()}")
        elif no:
            bad += 1
            failed.append(f"{name}: {rest}")
        else:
            passed.append(f"{name}: {rest}")
    if test["result"] == "SKIP":
        skipped.append(name)
    elif test["result"] not in ("OK", "EXPECTEDFAIL"):
        if bad == 0:  # it crashed, or was too slow
            failed.append(f"{name}: {test['result'].lower()}, status {test['returncode']}")
    elif not lines:
        passed.append(name)


def meson(kind, suites):
    if not build(kind):
        return
    print(f"== {', '.join(suites)} in build/{kind}", flush=True)
    log = ROOT / f"build/{kind}/meson-logs/testlog.json"
    log.unlink(missing_ok=True)
    words = [SANDBOX, "meson", "test", "-C", f"build/{kind}", "--no-rebuild", "--print-errorlogs"]
    for suite in suites:
        words += ["--suite", suite]
    run(words, CMOCKA_MESSAGE_OUTPUT="TAP")
    if not log.exists():
        failed.append(f"meson test in build/{kind}")
        return
    for line in log.read_text().splitlines():
        count_program(json.loads(line))


def system(keyword):
    binary = os.environ.get("NINES")
    if binary is None:
        if not build("asan", "nines"):
            return
        binary = str(ROOT / "build/asan/nines")
    pytest("system", binary, ["tests/system"], keyword)


def pytest(name, binary, files, keyword=None):
    print(f"== {name} with {binary}", flush=True)
    report = OUT / f"{name}.xml"
    report.unlink(missing_ok=True)
    words = [SANDBOX, "/usr/bin/python3", "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider",
             f"--junitxml={report}", *files]
    if keyword:
        words += ["-k", keyword]
    # A part may not do what the search for leaks needs: leaks are the unit tests' to find.
    status = run(words, NINES=binary, ASAN_OPTIONS=ENVIRONMENT["ASAN_OPTIONS"] + ":detect_leaks=0")
    if status not in (0, 1) or not report.exists():
        failed.append(f"pytest: status {status}")
    if report.exists():
        count_junit(report, name)


def count_junit(report, suite):
    for case in xml.etree.ElementTree.parse(report).iter("testcase"):
        name = f"{suite}: {case.get('classname')}.{case.get('name')}"
        if case.find("failure") is not None or case.find("error") is not None:
            failed.append(name)
        elif case.find("skipped") is not None:
            skipped.append(f"{name}: {case.find('skipped').get('message')}")
        else:
            passed.append(name)


def main():
    parser = argparse.ArgumentParser(description="runs the tests of nines")
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=" ".join(SUITES))
    parser.add_argument("--keyword", help="of the system tests, those whose name has it")
    options = parser.parse_args()
    suites = options.suites or SUITES
    unknown = set(suites) - set(SUITES)
    if unknown:
        parser.error(f"no suite {sorted(unknown)}; there are {SUITES}")

    signal.signal(signal.SIGTERM, end)
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    begin = time.monotonic()
    interrupted = False
    try:
        plain = [s for s in MESON_SUITES if s in suites]
        if plain:
            meson("asan", plain)
        if "thread" in suites:
            meson("tsan", ["unit"])
            if not os.environ.get("NINES"):
                pytest("thread", str(ROOT / "build/tsan/nines"), THREADED)
        if "system" in suites:
            system(options.keyword)
    except KeyboardInterrupt:
        interrupted = True
    for name in skipped:
        print(f"skipped: {name}")
    for name in failed:
        print(f"FAILED: {name}")
    if interrupted:
        print("interrupted")
    print(f"in {time.monotonic() - begin:.0f} s")
    (OUT / "counts").write_text(f"{len(passed)} {len(failed)}\n")
    print(f"{len(passed)} passed, {len(failed)} failed", flush=True)
    return 1 if failed or interrupted or not passed else 0


sys.exit(main())
