# SPDX-License-Identifier: Apache-2.0
"""What the system tests share: the program, patience, processes and ways into a namespace."""
import contextlib
import ctypes
import os
import pathlib
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
NINES = os.environ.setdefault("NINES", str(ROOT / "build/dbg/nines"))  # its children, too
DEADLINE = 30
LIBC = ctypes.CDLL(None, use_errno=True)


def run(*words, check=True, stdin=None):
    """What it prints."""
    r = subprocess.run(words, capture_output=True, text=True, check=False, input=stdin)
    assert not check or r.returncode == 0, f"{words}: {r.stdout}{r.stderr}"
    return r.stdout


def until(what, why="it is so", seconds=DEADLINE):
    """The first of what `what` returns that is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = what()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"not within {seconds} s: {why}")


def kill(process):
    """The whole session that we started, and nothing else."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextlib.contextmanager
def inside(namespace):
    """This thread is in the namespace: sockets that it makes stay there."""
    with open("/proc/thread-self/ns/net", "rb") as home, \
            open(f"/run/netns/{namespace}", "rb") as there:
        assert LIBC.setns(there.fileno(), 0) == 0
        try:
            yield
        finally:
            assert LIBC.setns(home.fileno(), 0) == 0
