"""Is the process that writes an SQLite database alive? Told from outside, by the locks that SQLite itself holds.

Every connection in WAL mode holds a shared lock on byte 128 of the log's index (`-shm`) for as long as it is open, and
one on the database. It is there while the process is stopped, and gone at the moment that it is killed. A reader holds
it too: *nobody has it* proves that the writer is down; *somebody has it* proves that it lives only where that somebody
is known to be the writer. What cannot be proved is not told: `alive` is then None, and `how` says why.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from watchdog.systems.shared.file_locks import Files, Holders, UntoldError, holders
from watchdog.systems.shared.processes import Process, Processes, processes_here

_INDEX_BYTE = 128
"""SQLite's dead-man's switch in the log's index."""

_SHARED_FIRST, _SHARED_LENGTH = 0x4000_0002, 510
"""Where a connection's shared lock on the database stands; in WAL mode it is held for as long as it is open."""

_WRITE_VERSION, _WAL = 18, 2
"""Offset in the database's header of the write version, and its value in WAL mode."""

_TOOLS = frozenset(
    {"sqlite3", "sqldiff", "sqlite3_rsync", "sqlitebrowser", "litestream", "datasette", "scheduler-watch"}
)
"""Commands, as the kernel shortens them, that read other people's databases: never taken for a scheduler."""


@dataclass(frozen=True, slots=True)
class Writer:
    """What is known of the process that writes a database. None is "not known", everywhere.

    `alive` with a `pid` is proof that this process has it open; without one, somebody has who cannot be seen from here
    (another container's process). `ticks` is its start since boot, field 22 of its stat: another pid or other ticks
    are another process. `stopped` is frozen (SIGSTOP, a paused container). `how` says in one line what it rests on.
    """

    alive: bool | None = None
    stopped: bool | None = None
    pid: int | None = None
    started_at: datetime | None = None
    ticks: int | None = None
    how: str = "nobody has asked"

    def is_other_than(self, earlier: "Writer") -> bool:
        """Whether it is proved to be another process than the one of an earlier look: it was restarted."""
        return None not in (self.ticks, earlier.ticks) and (self.pid, self.ticks) != (earlier.pid, earlier.ticks)


UNKNOWN = Writer()


class Writers(Protocol):
    """What is asked about writers: of this machine, or of a recorded case."""

    def of(self, database: Path) -> Writer:
        """The writer of a database, now. Never raises; microseconds."""

    def named(self, pid: int, ticks: int | None) -> Writer:
        """The process that a store names by its number and its start (field 22 of its stat), if this machine has it.

        `alive` is False where there is none such here; whether the store means a process of this machine, or of a
        container's own numbers, is for the caller to know.
        """

    def shares_files(self, pid: int) -> bool:
        """Whether what that process finds at a path is what is found there from here."""


class UnknownWriters:
    """Where nothing can be told: what is simulated in this process, or lies on another machine."""

    def of(self, database: Path) -> Writer:
        """Not known."""
        return UNKNOWN

    def named(self, pid: int, ticks: int | None) -> Writer:
        """Not known."""
        return UNKNOWN

    def shares_files(self, pid: int) -> bool:
        """Not known."""
        return False


@dataclass(slots=True)
class LiveWriters:
    """Writers on this machine. Remembers who a database's writer was, so that no reader beside it is taken for it."""

    processes: Processes = field(default_factory=processes_here)
    files: Files = field(default_factory=Files)
    known: dict[Path, Process] = field(default_factory=dict)

    def of(self, database: Path) -> Writer:
        """By the lock on the log's index; by that on the database where SQLite keeps its index in memory."""
        path = _followed(database)
        known = self.known.get(database)
        try:
            holding = self._holders(path, known)
        except UntoldError as error:
            return Writer(how=str(error))
        seen = [found for pid in holding.pids if (found := self.processes.get(pid)) is not None]
        same = next((process for process in seen if known and process.mark == known.mark), None)
        if same is not None:
            return alive(same)
        readers = [process for process in seen if self._is_reader(process, os.path.realpath(path))]
        writer, found = judge(holding, seen, readers, known, runs_on=known is not None and self._lives(known))
        if found is not None:
            self.known[database] = found
        return writer

    def named(self, pid: int, ticks: int | None) -> Writer:
        """By its number and its start; a start that is counted otherwise than a store's proves nothing."""
        found = self.processes.get(pid)
        if found is not None and ticks is not None and not found.is_told_by_ticks:
            return Writer(how=f"whether process {pid} is the one that started then is not told on {sys.platform}")
        if found is None or (ticks is not None and found.ticks != ticks):
            return Writer(alive=False, pid=pid, ticks=ticks, how=f"there is no process {pid} that started then")
        how = f"{_named(found)} lives"
        return Writer(True, found.stopped, found.pid, found.started_at, found.ticks, how)

    def shares_files(self, pid: int) -> bool:
        """As far as the machine tells."""
        return self.processes.shares_files(pid)

    def _holders(self, path: str, known: Process | None) -> Holders:
        expected = known.pid if known else None
        index = self.files.descriptor(f"{path}-shm")
        if index is not None:
            return holders(index, _INDEX_BYTE, 1, expected)
        database = self.files.descriptor(path)
        if database is None:
            raise UntoldError(f"{path} is not there")
        if os.pread(database, _WRITE_VERSION + 1, 0)[_WRITE_VERSION:] != bytes([_WAL]):
            raise UntoldError("the database has no write-ahead log, and so no lock that stands between its writes")
        return holders(database, _SHARED_FIRST, _SHARED_LENGTH, expected)

    def _lives(self, process: Process) -> bool:
        now = self.processes.get(process.pid)
        return now is not None and now.mark == process.mark

    def _is_reader(self, process: Process, path: str) -> bool:
        return process.command in _TOOLS or self.processes.only_reads(process.pid, path) is True


def _followed(database: Path) -> str:
    """Where it lies if it is a link: SQLite puts its log beside that. Links in its folders do not matter."""
    return os.path.realpath(database) if os.path.islink(database) else str(database)  # noqa: PTH114 - at every look


def judge(
    holding: Holders, seen: Sequence[Process], readers: Sequence[Process], known: Process | None, *, runs_on: bool
) -> tuple[Writer, Process | None]:
    """What can be told where the known writer, if there is one, does not hold the lock; and the one known from now on.

    `seen` are those holders of which something is known, `readers` those of them that only read. `runs_on` is whether
    the known one's process lives. One that may write, and is not the known one started again, may be the writer or
    a stranger: then nothing is told.
    """
    others = [process for process in seen if process not in readers]
    is_complete = not holding.hidden and len(seen) == len(holding.pids)
    if known is not None and runs_on:
        return Writer(how=f"{_named(known)}, which had the database open, runs on without it"), None
    if len(others) == 1 and is_complete and (known is None or _is_like(others[0], known)):
        return alive(others[0]), others[0]
    return _nobody_known(holding, seen, others, known), None


def _nobody_known(
    holding: Holders, seen: Sequence[Process], others: Sequence[Process], known: Process | None
) -> Writer:
    """The answer where no holder is the writer for certain."""
    if holding.none:
        return Writer(alive=False, how="no process has the database open")
    if holding.hidden:
        return Writer(alive=True, how="a process that cannot be seen from here has the database open")
    if len(seen) < len(holding.pids):
        return Writer(how="a process of which nothing can be seen has the database open")
    if others:
        return Writer(how=f"not known to be its writer: {', '.join(map(_named, others))}, which has the database open")
    if known is None:
        return Writer(how=f"only readers can be seen to have the database open: {', '.join(map(_named, seen))}")
    return Writer(alive=False, how=f"{_named(known)} has ended; who has the database open only reads it")


def alive(process: Process) -> Writer:
    """The answer where the writer is known, and holds the lock."""
    how = f"{_named(process)} has the database open"
    return Writer(True, process.stopped, process.pid, process.started_at, process.ticks, how)


def _is_like(process: Process, known: Process) -> bool:
    """Whether it may be the known writer, started again: the same command, by the same user."""
    return (process.line or process.command, process.user) == (known.line or known.command, known.user)


def _named(process: Process) -> str:
    return f"process {process.pid} ({process.command:.20})"
