# SPDX-License-Identifier: Apache-2.0
"""What holds for every system test: the program is there, we may build namespaces, who
leaves a namespace behind fails, and who breaks an assertion or makes a sanitizer speak."""
import os
import pathlib
import re
import signal

import pytest

from kit import NINES



def namespaces():
    folder = pathlib.Path("/run/netns")
    return {p.name for p in folder.iterdir()} if folder.is_dir() else set()


def interrupted(_signo, _frame):
    raise KeyboardInterrupt


def pytest_configure():
    signal.signal(signal.SIGTERM, interrupted)  # fixtures clean up, as after Ctrl-C
    if os.geteuid() != 0:
        pytest.exit("system tests build network namespaces: run them as root", 2)
    if not os.access(NINES, os.X_OK):
        pytest.exit(f"no program {NINES}: make debug, or set NINES", 2)


@pytest.fixture(autouse=True, scope="module")
def nothing_left_behind():
    """By name: other namespaces of this machine are none of our business, but those that
    appear while a module runs bear the number of one of our processes, or are gone."""
    before = namespaces()
    yield
    ours = os.environ.get("NINES_ALONE") == "1"  # set by scripts/sandbox.sh
    left = {n for n in namespaces() - before if ours or str(os.getpid()) in n}
    assert not left, f"left behind: {sorted(left)}"


# A sanitizer's word, or that of base/check.c.
BROKEN = re.compile(rb"^.*(?:\w+Sanitizer: |: runtime error: |: broken: ).*$", re.MULTILINE)


@pytest.fixture(autouse=True, scope="module")
def nothing_broke(tmp_path_factory):
    """A part that dies of a finding starts again, which a test may well not notice."""
    folder, before = tmp_path_factory.getbasetemp(), set()
    before.update(folder.rglob("*log"))
    yield
    said = {str(p): found[0] for p in set(folder.rglob("*log")) - before
            if p.is_file() and (found := BROKEN.search(p.read_bytes()))}
    assert not said, said


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """What our programs logged since the test began, beside what it says of its failure."""
    report = (yield).get_result()
    if not report.failed:
        return
    # pylint: disable-next=protected-access  # no public name from a hook
    base = item.config._tmp_path_factory.getbasetemp()
    for p in sorted(base.rglob("*log")):
        if p.is_file() and p.stat().st_mtime >= call.start:
            lines = p.read_text(encoding="utf-8", errors="replace").splitlines()
            report.sections.append((p.name, "\n".join(lines[-60:])))
