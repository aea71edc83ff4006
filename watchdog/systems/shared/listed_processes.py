"""Other processes as macOS' kernel tells of them, asked through psutil: there is no /proc.

Which of them has a file open, and with which locks, is not asked there: see `file_locks.py`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from watchdog.systems.shared.processes import Process

_REMEMBERED = 64
"""Processes that are kept to be known again."""

_NOT_TOLD = (psutil.Error, OSError, ValueError, OverflowError)
"""There is none, it may not be asked, or its number is none."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A process as it was first seen: set the clock, and it still began when it did."""

    handle: psutil.Process
    started_at: datetime


class ListedProcesses:
    """Those of this machine. A process is known again by psutil, which minds numbers that are given out anew."""

    def __init__(self) -> None:
        self._known: dict[int, _Known] = {}

    def get(self, pid: int) -> Process | None:
        """A few system calls."""
        try:
            known = self._same(pid)
            with known.handle.oneshot():
                return _told(known)
        except _NOT_TOLD:
            return None

    def _same(self, pid: int) -> _Known:
        known = self._known.pop(pid, None)
        if known is None or not known.handle.is_running():
            handle = psutil.Process(pid)
            known = _Known(handle, datetime.fromtimestamp(handle.create_time(), UTC))
        self._known = {**dict(list(self._known.items())[-_REMEMBERED:]), pid: known}
        return known

    def only_reads(self, pid: int, path: str) -> bool | None:
        """Not known: the modes of descriptors do not show."""
        return None

    def shares_files(self, pid: int) -> bool:
        """There are no other views of the file system: what runs in a container is a process of its own machine."""
        return self.get(pid) is not None

    def pids(self) -> list[int]:
        """All of them."""
        return sorted(psutil.pids())

    def sees_as_here(self, pid: int) -> bool:
        """As `shares_files`."""
        return self.shares_files(pid)

    def variables(self, pid: int, wanted: Collection[str]) -> Mapping[str, str]:
        """Of this user's own processes."""
        try:
            found: Mapping[str, str] = psutil.Process(pid).environ()
        except _NOT_TOLD:
            return {}
        return {name: value for name, value in found.items() if name in wanted}

    def folder(self, pid: int) -> Path | None:
        """Of this user's own processes."""
        try:
            return Path(psutil.Process(pid).cwd())
        except _NOT_TOLD:
            return None


def _told(known: _Known) -> Process | None:
    status = known.handle.status()
    if status in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
        return None
    return Process(
        known.handle.pid,
        int(known.started_at.timestamp() * 1_000_000),
        known.started_at,
        status in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP),
        known.handle.name(),
        _line(known.handle),
        known.handle.uids().real,
        is_told_by_ticks=False,
    )


def _line(handle: psutil.Process) -> str:
    """Its words; of another user's process they may not be seen."""
    try:
        return " ".join(handle.cmdline())
    except _NOT_TOLD:
        return ""
