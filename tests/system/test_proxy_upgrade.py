# SPDX-License-Identifier: Apache-2.0
"""`nines upgrade` under load: a copy of the program is replaced while it serves.

      client 10.9.0.9 ──> lb1 10.9.0.1:80 (nines) ──> web1, web2 (threads)
"""
import os
import shutil
import signal
import stat
import subprocess
import threading
import time

import pytest

from proxylab import NINES, Lab, echo, until

SERVICES = """
  site: {listen: "lb1:80", servers: ["web1:8080", "web2:8080"], check: {tcp: true, every: 100ms}, timeouts: {drain: 5s}}
  raw:  {mode: tcp, listen: "lb1:81", servers: ["web1:8080"], check: none, timeouts: {drain: 5s}}
"""
GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class UpgradeLab(Lab):
    """Runs a copy of the program, which can be replaced."""

    def begin(self):
        self.program = os.path.join(self.folder, "nines")
        self.install(NINES)
        self.write(SERVICES)
        self.nines = self.spawn(self.program, "run", "--host", "lb1", "-f", self.file,
                                "--run-dir", self.run_dir, log="nines.log")
        until(lambda: self.fact("proxy listen") == "up", "nines accepts")
        until(lambda: self.fact("service site") == "up 2/2", "the checks")
        until(self.settled, "the spares")

    def install(self, source):
        shutil.copy(source, self.program + ".new")
        os.rename(self.program + ".new", self.program)

    def write_program(self, text):
        with open(self.program + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(self.program + ".new", 0o755)
        os.rename(self.program + ".new", self.program)

    def settled(self):
        return "spare_pid" in (self.part("proxy") or {})

    def pids(self):
        return {p["name"]: p.get("pid") for p in self.control("status")["parts"]}

    def main(self):
        return self.nines.pid

    def inode(self, pid):
        """Of its program; None once it has ended."""
        try:
            return os.stat(f"/proc/{pid}/exe").st_ino
        except FileNotFoundError:
            return None

    def upgrade(self):
        """The answer; it takes longer than other orders."""
        run = subprocess.run([NINES, "upgrade", "--run-dir", self.run_dir],
                             capture_output=True, text=True, timeout=120, check=False)
        return run.returncode, run.stdout + run.stderr


class Load:
    """Clients that ask again and again, over kept connections and new ones."""

    def __init__(self, lab, n=6):
        self.lab, self.failures, self.done, self.closed = lab, [], 0, 0
        self.ending = False
        self.threads = [threading.Thread(target=self.work, args=(i % 2 == 0,), daemon=True)
                        for i in range(n)]
        for thread in self.threads:
            thread.start()

    def work(self, keep):
        stream = None
        while not self.ending:
            try:
                if stream is None:
                    stream = self.lab.connect(80)
                stream.send(GET)
                head, body = stream.answer()
                assert head.status == 200 and b'"server"' in body, head.line
                self.done += 1
                if not keep or head["connection"] == "close":
                    self.closed += keep
                    stream.close()
                    stream = None
            except (OSError, EOFError, AssertionError) as e:
                self.failures.append(repr(e))
                stream = None
        if stream is not None:
            stream.close()

    def end(self):
        self.ending = True
        for thread in self.threads:
            thread.join(20)
        return self.failures


@pytest.fixture
def lab(tmp_path):
    for part in [tmp_path, *tmp_path.parents][:3]:
        part.chmod(0o755)
    with UpgradeLab(tmp_path) as made:
        for name in ("web1", "web2"):
            made.serve(name, 8080, echo(name))
        made.begin()
        yield made


def test_no_request_fails(lab):
    before, facts = lab.pids(), lab.fact("service site")
    generation = lab.control("status")["generation"]
    tunnel = lab.connect(81)
    tunnel.send(GET)
    tunnel.answer()
    load = Load(lab)
    until(lambda: load.done > 100, "load")
    lab.install(NINES)
    new = os.stat(lab.program).st_ino
    assert lab.inode(lab.main()) != new
    status, said = lab.upgrade()
    assert status == 0 and "goes on in the place of" in said, said
    after = lab.pids()
    assert lab.inode(lab.main()) == new
    for name, pid in after.items():
        assert pid != before[name] and lab.inode(pid) == new, name
    assert lab.fact("service site") == facts
    assert lab.control("status")["generation"] == generation
    # The tunnel has been with the old process all the time, and may finish there.
    tunnel.send(GET)
    assert tunnel.answer()[0].status == 200
    tunnel.close()
    count = load.done
    until(lambda: load.done > count + 100, "load goes on")
    assert load.end() == []
    until(lambda: not lab.part("proxy")["finishing"], "the old process ends")
    # All that a supervisor does it does still.
    lab.write(SERVICES.replace('"web1:8080", "web2:8080"', '"web2:8080"'))
    lab.order("reload")
    until(lambda: lab.fact("service site") == "up 1/1", "reloads work")
    victim = lab.pids()["proxy"]
    os.kill(victim, signal.SIGKILL)
    until(lambda: lab.pids()["proxy"] not in (victim, None), "spares act")
    assert lab.get(80)[0].status == 200
    assert lab.control("status")["ok"]


def test_another_number_of_workers_costs_nothing(lab):
    lab.at("sysctl", "-qw", "net.ipv4.tcp_migrate_req=1")  # docs/operations.md
    load = Load(lab)
    listening = lab.at("ss", "-ltnH", "sport = :80").splitlines()
    assert len(listening) == 2
    for workers in (1, 3):
        before = lab.pids()["proxy"]
        lab.write(SERVICES)
        with open(lab.file, encoding="utf-8") as f:
            text = f.read().replace("workers: 2", f"workers: {workers}")
        with open(lab.file, "w", encoding="utf-8") as f:
            f.write(text)
        lab.order("reload")
        until(lambda: lab.pids()["proxy"] not in (before, None), "a successor acts")
        until(lambda: len(lab.at("ss", "-ltnH", "sport = :80").splitlines()) == workers,
              "as many sockets as workers")
        count = load.done
        until(lambda: load.done > count + 100, "load goes on")
        until(lambda: not lab.part("proxy")["finishing"], "the old process ends")
    assert load.end() == []


def test_upgrades_follow_each_other(lab):
    load = Load(lab, 4)
    for _ in range(2):
        until(lab.settled, "the spares")
        status, said = lab.upgrade()
        assert status == 0, said
    assert load.done > 0 and load.end() == []


@pytest.mark.parametrize("text, why", [
    ("#!/bin/sh\necho too old; exit 3\n", "does not start"),
    ("#!/bin/sh\nexit 0\n", "does not start"),
    ("this is no program\n", "Exec format error"),
])
def test_what_does_not_start_changes_nothing(lab, text, why):
    before = lab.pids()
    lab.write_program(text)
    status, said = lab.upgrade()
    assert status == 1 and why in said, said
    assert lab.pids() == before
    assert lab.get(80)[0].status == 200


def test_parts_that_die_are_taken_back(lab, tmp_path):
    """A program that rehearses well, and whose proxy dies a while after it acts."""
    source = tmp_path / "bad.c"
    source.write_text(r"""
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[1], "part") == 0 && strcmp(argv[2], "proxy") == 0)
		alarm(1);
	execv(getenv("REAL_NINES") ? getenv("REAL_NINES") : REAL, argv);
	return 127;
}
""")
    subprocess.run(["cc", f'-DREAL="{NINES}"', "-o", str(tmp_path / "bad"), str(source)],
                   check=True)
    lab.install(str(tmp_path / "bad"))
    load = Load(lab)
    status, said = lab.upgrade()
    assert status == 1 and "part proxy of the new program died of signal 14" in said, said
    until(lab.settled, "parts of the old program")
    own = lab.inode(lab.main())
    until(lambda: all(pid and lab.inode(pid) == own for pid in lab.pids().values()), "all old")
    count = load.done
    until(lambda: load.done > count + 100, "load goes on")
    load.end()  # what the dying process had is lost
    assert lab.get(80)[0].status == 200


def test_a_supervisor_that_crashes_is_taken_back(lab):
    load = Load(lab)
    old = lab.inode(lab.main())
    lab.install(NINES)
    answer = []
    asking = threading.Thread(target=lambda: answer.append(lab.upgrade()))
    asking.start()
    until(lambda: lab.inode(lab.main()) != old, "the new supervisor")
    time.sleep(0.3)  # within its trial
    os.kill(lab.main(), signal.SIGABRT)
    asking.join(30)
    assert answer[0][0] == 1 and "failed as supervisor" in answer[0][1], answer
    assert lab.inode(lab.main()) == old
    until(lambda: all(pid and lab.inode(pid) == old for pid in lab.pids().values()), "all old")
    until(lab.settled, "the spares")
    assert load.end() == []
    assert lab.get(80)[0].status == 200
    assert stat.S_ISSOCK(os.stat(os.path.join(lab.run_dir, "control.sock")).st_mode)
