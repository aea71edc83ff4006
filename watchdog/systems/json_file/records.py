"""Where runs and calls of a model are on record beside the jobs: folders, logs, SQLite files. Only ever read."""

import json
import os
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path

from watchdog.core.redaction import fit_to_leave
from watchdog.core.regular_file import open_file
from watchdog.systems.json_file.mapping import in_unit
from watchdog.systems.json_file.runs import Call, Row, columns_of
from watchdog.systems.json_file.section import ModelCalls, Runs
from watchdog.systems.shared.bounded import as_many_as_fit
from watchdog.systems.shared.json_lines import LogTail
from watchdog.systems.shared.plain_file import Marks, marks, may_not
from watchdog.systems.shared.sqlite_file import STEPS, read, signature, signature_if_there
from watchdog.systems.shared.unreadable import UnreadableError
from watchdog.systems.shared.values import ERROR_LENGTH, Values

MOST_FILES = 2_000
"""Files of a folder that are read at one look, the newest; one each run, so that it is weeks of an agent."""

MOST_NAMES = 200_000
"""Names of a folder that are looked through."""

LARGEST_RECORD = 256 * 1024
"""Bytes of the file of one run."""

MOST_LINES = 5_000
"""Records of a log that are remembered."""

MOST_ROWS = 3_000
"""Rows of a query."""

LONGEST_QUERY = 2.0
"""Seconds."""

_RACY_NS = 20_000_000
"""A folder that changed so shortly before the look may change again without a new time stamp."""


class FolderRecords:
    """A file for each run. Names that are known are not read again, unless their run was in flight."""

    def __init__(self, folder: Path, settings: Runs) -> None:
        self.path = self._folder = folder
        self._columns = settings.columns
        self._names: set[str] = set()
        self._records: dict[str, tuple[Marks | None, Row]] = {}
        self._seen: Marks | None = None

    def is_there(self) -> bool:
        """Whether there is such a folder."""
        return marks(self._folder) is not None

    def signature(self) -> object:
        """What changes with the folder, or with the file of a run in flight."""
        return marks(self._folder), tuple(marks(self._folder / name) for name in self._in_flight())

    def has_no_times(self) -> bool:
        """Whether there are records, and none tells when its run was."""
        return _have_no_times([record for _, record in self._records.values()])

    def read(self) -> list[Row]:
        """The newest records. Raises UnreadableError where this user may not see them."""
        seen = marks(self._folder)
        if seen is None:
            self._names, self._records = set(), {}
        elif seen != self._seen or time.time_ns() - seen[2] < _RACY_NS:
            self._list()
        self._seen = seen
        for name in self._in_flight():
            self._take(name)
        return [record for _, record in self._records.values()]

    def _in_flight(self) -> list[str]:
        return [name for name, (_, record) in self._records.items() if "ended_at" not in record]

    def _list(self) -> None:
        try:
            with os.scandir(self._folder) as entries:
                there = {each.name for each in islice(entries, MOST_NAMES) if each.name.endswith(".json")}
        except PermissionError:
            raise UnreadableError(may_not(self._folder)) from None
        except OSError:
            return
        new = [name for name in there - self._names if not name.startswith(".")]
        self._records = {name: record for name, record in self._records.items() if name in there}
        self._names = there
        for name in self._newest(new):
            self._take(name)
        if not self._records and (first := next(iter(new), "")) and not os.access(self._folder / first, os.R_OK):
            raise UnreadableError(may_not(self._folder / first))
        if len(self._records) > MOST_FILES:
            by_age = sorted(self._records, key=lambda name: (self._records[name][0] or (0, 0, 0))[2])
            self._records = {name: self._records[name] for name in by_age[-MOST_FILES:]}

    def _newest(self, names: Sequence[str]) -> Sequence[str]:
        if len(names) <= MOST_FILES:
            return names
        changed = {name: (marks(self._folder / name) or (0, 0, 0))[2] for name in names}
        return sorted(names, key=lambda name: changed[name])[-MOST_FILES:]

    def _take(self, name: str) -> None:
        seen = marks(self._folder / name)
        known = self._records.get(name)
        if known is not None and known[0] == seen:
            return
        try:
            with open_file(self._folder / name) as file:
                document = json.loads(file.read(LARGEST_RECORD) or b"")
        except (OSError, ValueError, RecursionError):
            self._names.discard(name)  # half-written: it is tried again
            return
        self._records[name] = (seen, columns_of(self._columns, document))


class LogRecords:
    """A line for each run, or more; what a later line says of a run goes before."""

    def __init__(self, path: Path, settings: Runs) -> None:
        self.path = self._path = path
        self._columns = settings.columns
        self._tail = LogTail()
        self._records: list[Row] = []

    def is_there(self) -> bool:
        """Whether there is such a file."""
        return marks(self._path) is not None

    def signature(self) -> object:
        """What changes with the file."""
        return marks(self._path)

    def has_no_times(self) -> bool:
        """Whether there are records, and none tells when its run was."""
        return _have_no_times(self._records)

    def read(self) -> list[Row]:
        """The newest records, the newest first. Raises UnreadableError where this user may not see them."""
        if marks(self._path) is not None and not os.access(self._path, os.R_OK):
            raise UnreadableError(may_not(self._path))
        lines, is_anew = self._tail.read(self._path)
        if is_anew or marks(self._path) is None:
            self._records = []
        self._records = [*reversed([columns_of(self._columns, line) for line in lines]), *self._records][:MOST_LINES]
        return self._records


@dataclass
class Database:
    """What a query returns, asked again when the file has changed."""

    path: Path
    query: str
    known: Sequence[str]
    _rows: list[dict[str, object]] = field(default_factory=list)
    _seen: object = None

    def signature(self) -> object:
        """What changes with the file and its log."""
        return signature_if_there(self.path)

    def rows(self) -> list[dict[str, object]]:
        """The rows; none where there is no such file. Raises UnreadableError."""
        if marks(self.path) is None:
            return []
        seen = signature(self.path)
        if seen != self._seen:
            self._rows, self._seen = read(self.path, self._asked, LONGEST_QUERY)
        return self._rows

    def _asked(self, connection: sqlite3.Connection) -> list[dict[str, object]]:
        ends = time.monotonic() + LONGEST_QUERY
        connection.set_progress_handler(lambda: time.monotonic() > ends, STEPS)
        try:
            cursor = connection.execute(f"SELECT * FROM ({self.query}\n) LIMIT {MOST_ROWS}")  # noqa: S608
            names = [column[0].lower() for column in cursor.description]
            found = as_many_as_fit(cursor)
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_ERROR:
                raise
            raise UnreadableError(f"{self.path}: the query fails: {fit_to_leave(str(error), 200)}") from None
        if unknown := [name for name in names if name not in self.known]:
            raise UnreadableError(
                f"{self.path}: the query returns {unknown[0]!r:.60}; known are {', '.join(self.known)}"
            )
        return [dict(zip(names, row, strict=True)) for row in found.rows]


class DatabaseRecords:
    """A row for each run."""

    def __init__(self, path: Path, settings: Runs) -> None:
        known = ("id", "job_id", "started_at", "ended_at", "duration", "status", "error")
        self.path = path
        self.database = Database(path, settings.query or "", (*known, "input_tokens", "output_tokens"))
        self.signature = self.database.signature
        self._rows: list[Row] = []

    def is_there(self) -> bool:
        """Whether there is such a file."""
        return marks(self.database.path) is not None

    def has_no_times(self) -> bool:
        """Whether there are records, and none tells when its run was: a query that forgot it."""
        return _have_no_times(self._rows)

    def read(self) -> list[Row]:
        """The newest runs. Raises UnreadableError."""
        self._rows = self._found()
        return self._rows

    def _found(self) -> list[Row]:
        return [
            {column: in_unit(column, value, None) for column, value in row.items() if value is not None}
            for row in self.database.rows()
        ]


Records = FolderRecords | LogRecords | DatabaseRecords


def _have_no_times(records: Sequence[Row]) -> bool:
    return bool(records) and not any("started_at" in record or "ended_at" in record for record in records)


class CallRecords:
    """The calls of a model, in the first of the files that is there."""

    def __init__(self, paths: Sequence[Path], settings: ModelCalls) -> None:
        self._files = [Database(path, settings.query, ("at", "tokens", "error")) for path in paths]

    @property
    def paths(self) -> list[Path]:
        """The files."""
        return [file.path for file in self._files]

    @property
    def are_kept(self) -> bool:
        """Whether one of the files is there: before the first call there is none."""
        return any(marks(path) is not None for path in self.paths)

    def signature(self) -> object:
        """What changes with them."""
        return tuple(file.signature() for file in self._files)

    def read(self) -> list[Call]:
        """The newest calls, oldest first. Raises UnreadableError."""
        rows = next((file.rows() for file in self._files if marks(file.path) is not None), [])
        found = [call for row in rows if (call := _call(row)) is not None]
        return sorted(found, key=lambda call: call.at)


def _call(row: Mapping[str, object]) -> Call | None:
    values = Values({**row, "at": in_unit("at", row.get("at"), None)})
    at: datetime | None = values.instant("at")
    return Call(at, values.count("tokens") or 0, values.text("error", ERROR_LENGTH)) if at else None
