"""What macOS is asked about processes, asked of those here: psutil answers the same questions on both."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from tests.support.command import until
from tests.support.linux import SHOWS_PROCESSES
from watchdog.systems.shared.listed_processes import ListedProcesses
from watchdog.systems.shared.processes import LiveProcesses
from watchdog.systems.shared.writer import LiveWriters

pytestmark = pytest.mark.skipif(
    sys.platform != "darwin" and not SHOWS_PROCESSES, reason="psutil has nothing to ask here"
)

Start = Callable[[], "subprocess.Popen[bytes]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts processes that are gone after the test."""
    started: list[subprocess.Popen[bytes]] = []

    def make() -> "subprocess.Popen[bytes]":
        environment = {"HOME": "/nowhere", "PATH": os.environ["PATH"], "SECRET": "s3cret"}
        started.append(subprocess.Popen(["sleep", "600"], cwd=tmp_path, env=environment))
        pid = started[-1].pid
        # a process has no words yet in the instant in which it becomes another program
        until(lambda: psutil.Process(pid).cmdline() == ["sleep", "600"], "it is what it is to be")
        return started[-1]

    yield make
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def processes() -> ListedProcesses:
    return ListedProcesses()


def test_a_process_is_told_as_proc_tells_it(start: Start, processes: ListedProcesses) -> None:
    before = datetime.now(UTC)
    pid = start().pid
    found = processes.get(pid)
    assert found is not None
    assert (found.stopped, found.line, found.user) == (False, "sleep 600", os.geteuid())
    assert abs(found.started_at - before) < timedelta(seconds=3)
    again = processes.get(pid)
    assert again is not None
    assert again.mark == found.mark
    if SHOWS_PROCESSES:
        shown = LiveProcesses().get(pid)
        assert shown is not None
        assert abs(shown.started_at - found.started_at) < timedelta(seconds=2)
        assert (shown.command, shown.line, shown.user) == (found.command, found.line, found.user)


def test_a_frozen_one_is_told_and_one_that_is_dead_is_none_buried_or_not(
    start: Start, processes: ListedProcesses
) -> None:
    process = start()
    os.kill(process.pid, signal.SIGSTOP)
    until(lambda: (found := processes.get(process.pid)) is not None and found.stopped, "it is seen to be stopped")
    os.kill(process.pid, signal.SIGKILL)
    until(lambda: processes.get(process.pid) is None, "what nobody has buried is dead all the same")
    process.wait()
    assert processes.get(process.pid) is None


@pytest.mark.parametrize("pid", [-1, 2**31 - 1, 2**70])
def test_a_number_that_is_none_is_no_process(processes: ListedProcesses, pid: int) -> None:
    assert processes.get(pid) is None
    assert not processes.shares_files(pid)
    assert processes.variables(pid, {"HOME"}) == {}
    assert processes.folder(pid) is None


def test_of_its_environment_only_what_is_wanted_is_kept(
    start: Start, processes: ListedProcesses, tmp_path: Path
) -> None:
    pid = start().pid
    assert processes.variables(pid, {"HOME", "ABSENT"}) == {"HOME": "/nowhere"}
    assert processes.folder(pid) == tmp_path
    assert pid in processes.pids()
    assert processes.sees_as_here(pid)


def test_a_start_that_a_store_counts_otherwise_proves_neither_life_nor_death(start: Start) -> None:
    writers, pid = LiveWriters(processes=ListedProcesses()), start().pid
    assert writers.named(pid, 12_345).alive is None
    assert writers.named(pid, None).alive is True
    assert writers.named(2**31 - 1, 12_345).alive is False


def test_a_clock_that_is_set_makes_no_other_process_of_it(
    start: Start, processes: ListedProcesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = start().pid
    before = processes.get(pid)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 7200)
    assert processes.get(pid) == before
