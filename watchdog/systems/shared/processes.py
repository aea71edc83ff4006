"""Other processes of this machine: since when they run, whether they are frozen, what they are. On Linux by /proc."""

import os
import sys
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from watchdog.core.clock import SINCE_BOOT

_STATE, _START = 0, 19
"""Where the state and the start time (field 22 of the file) stand after the command's closing bracket."""

_STEP = timedelta(seconds=2)
"""By how much the clock must have been set until a start time, once worked out, is worked out again."""

_REMEMBERED = 64
"""Start times and programs that are kept: readers come and go."""

_SETTLES = 60.0
"""Seconds after its start by which a process has become what it will be: starters replace themselves at once."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process, while it lives. `ticks` tells it from others of its number, whatever is done to the clock.

    `is_told_by_ticks`: they are field 22 of its stat, the ticks since boot, which stores name it by.
    """

    pid: int
    ticks: int
    started_at: datetime
    stopped: bool | None = False
    command: str = ""
    line: str = ""
    user: int = 0
    is_told_by_ticks: bool = True

    @property
    def mark(self) -> tuple[int, int]:
        """What no other process on this machine has had or will have since it booted."""
        return (self.pid, self.ticks)


class Processes(Protocol):
    """What is asked about other processes."""

    def get(self, pid: int) -> Process | None:
        """The process of that number; None if there is none, or only a dead one that nobody has buried."""

    def only_reads(self, pid: int, path: str) -> bool | None:
        """Whether it has that file open, and for reading only; None if that cannot be seen."""

    def shares_files(self, pid: int) -> bool:
        """Whether what that process finds at a path is what is found there from here."""


class Neighbourhood(Processes, Protocol):
    """What may be asked about all of them, by their user."""

    def pids(self) -> list[int]:
        """Of all that can be seen, in order."""

    def sees_as_here(self, pid: int) -> bool:
        """Whether every path means there what it means here: it has the same mounts."""

    def variables(self, pid: int, wanted: Collection[str]) -> Mapping[str, str]:
        """Those of its environment that are wanted; of the others nothing is kept."""

    def folder(self, pid: int) -> Path | None:
        """The one that it works in, if that can be seen."""


def processes_here() -> Neighbourhood:
    """What tells of processes on this system."""
    if sys.platform == "darwin":
        from watchdog.systems.shared.listed_processes import ListedProcesses

        return ListedProcesses()
    return LiveProcesses()


class LiveProcesses:
    """Those of this machine, by what Linux shows. `root` is where /proc is, `groups` where the control groups are."""

    def __init__(self, root: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> None:
        self._root = root
        self._groups = groups
        self._started: dict[tuple[int, int], datetime] = {}
        self._programs: dict[int, tuple[int, str, str, int]] = {}

    def get(self, pid: int) -> Process | None:
        """By its stat: 20 µs."""
        folder = f"{self._root}/{pid}"
        try:
            stat = _text(f"{folder}/stat")
            name, _, rest = stat.partition(" (")[2].rpartition(") ")
            fields = rest.split()
            if fields[_STATE] in "ZXx":
                return None
            ticks = int(fields[_START])
            line, user = self._program(folder, pid, ticks, name)
        except OSError:
            return None
        stopped = True if fields[_STATE] in "Tt" else self._frozen(folder)
        return Process(pid, ticks, self._start(pid, ticks), stopped, name, line, user)

    def _program(self, folder: str, pid: int, ticks: int, name: str) -> tuple[str, int]:
        """Its command line, and its user. One that has run for a while keeps them, or takes another name."""
        known = self._programs.get(pid)
        if known is not None and known[:2] == (ticks, name):
            return known[2:]
        user, line = os.stat(folder).st_uid, ""  # noqa: PTH116
        with suppress(OSError):
            line = _text(f"{folder}/cmdline").rstrip("\0").replace("\0", " ")
        if time.clock_gettime(SINCE_BOOT) - ticks / os.sysconf("SC_CLK_TCK") > _SETTLES:
            self._programs = {**dict(list(self._programs.items())[-_REMEMBERED:]), pid: (ticks, name, line, user)}
        return line, user

    def _start(self, pid: int, ticks: int) -> datetime:
        """By the clock as it is set now; the same to the microsecond for as long as nobody sets it."""
        booted = time.time() - time.clock_gettime(SINCE_BOOT)
        start = datetime.fromtimestamp(booted + ticks / os.sysconf("SC_CLK_TCK"), UTC)
        known = self._started.get((pid, ticks))
        if known is not None and abs(known - start) < _STEP:
            return known
        self._started = {**dict(list(self._started.items())[-_REMEMBERED:]), (pid, ticks): start}
        return start

    def _frozen(self, folder: str) -> bool | None:
        """Whether its control group is frozen, as `docker pause` does it: its stat does not show that."""
        try:
            lines = [line.split(":", 2) for line in _text(f"{folder}/cgroup").splitlines()]
        except FileNotFoundError:
            return False
        except OSError:
            return None
        answers = [self._group(kinds, path) for _, kinds, path in lines if not kinds or "freezer" in kinds.split(",")]
        return True if True in answers else None if None in answers else False

    def _group(self, kinds: str, path: str) -> bool | None:
        if path == "/":
            return False
        where = f"freezer{path}/freezer.state" if kinds else f"{path}/cgroup.events"
        try:
            state = _text(f"{self._groups}/{where.lstrip('/')}")
        except OSError:
            return None
        return "frozen 1" in state or state.strip() in ("FROZEN", "FREEZING")

    def only_reads(self, pid: int, path: str) -> bool | None:
        """By the modes of its descriptors, which only its own user and root may see."""
        name = Path(path).name
        modes = set()
        try:
            for descriptor in os.listdir(f"{self._root}/{pid}/fd"):  # noqa: PTH208
                with suppress(FileNotFoundError):
                    if Path(os.readlink(f"{self._root}/{pid}/fd/{descriptor}")).name == name:  # noqa: PTH115
                        modes.add(_mode(_text(f"{self._root}/{pid}/fdinfo/{descriptor}")))
        except OSError:
            return None
        return modes == {os.O_RDONLY} if modes else None

    def shares_files(self, pid: int) -> bool:
        """By its root folder."""
        try:
            return os.path.samefile(f"{self._root}/{pid}/root", "/")  # noqa: PTH121
        except OSError:
            return False

    def pids(self) -> list[int]:
        """By the names of folders."""
        try:
            return sorted(int(name) for name in os.listdir(self._root) if name.isdecimal())  # noqa: PTH208
        except OSError:
            return []

    def sees_as_here(self, pid: int) -> bool:
        """By the namespaces of mounts."""
        return self._mounts(str(pid)) == self._mounts("self")

    def _mounts(self, pid: str) -> int | None:
        try:
            return os.stat(f"{self._root}/{pid}/ns/mnt").st_ino  # noqa: PTH116
        except OSError:
            return None

    def variables(self, pid: int, wanted: Collection[str]) -> Mapping[str, str]:
        """As they were when it began."""
        try:
            raw = Path(f"{self._root}/{pid}/environ").read_bytes()
        except OSError:
            return {}
        pairs = (entry.partition("=") for entry in raw.decode("utf-8", "replace").split("\0"))
        return {name: value for name, _, value in pairs if name in wanted}

    def folder(self, pid: int) -> Path | None:
        """By its link."""
        with suppress(OSError):
            return Path(os.readlink(f"{self._root}/{pid}/cwd"))  # noqa: PTH115
        return None


def _mode(info: str) -> int:
    flags = next(line.split()[1] for line in info.splitlines() if line.startswith("flags:"))
    return int(flags, 8) & os.O_ACCMODE


def _text(path: str) -> str:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 65_536).decode("utf-8", "replace")
    finally:
        os.close(descriptor)
