"""Records what is seen of a live store as a case: polls it as the service does, and writes each visible change down,
with everything replaced that is nobody's business."""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from watchdog.core.clock import Stamp
from watchdog.systems.shared.pseudonyms import Pseudonyms
from watchdog.systems.shared.recordable import MOST_ROWS, Recordable, RecordedTable
from watchdog.systems.shared.sqlite_file import (
    Signature,
    columns_of,
    has_row_numbers,
    is_settled,
    read,
    signature,
)
from watchdog.systems.shared.unreadable import UnreadableError
from watchdog.systems.shared.writer import UnknownWriters, Writer, Writers

_SLEPT = 3
"""So many polls without a look, and this machine slept."""

_STEPPED = timedelta(seconds=2)
"""A clock that differs by more was set."""

_AFFINITIES = (("INT", "INT"), ("CHAR", "TEXT"), ("CLOB", "TEXT"), ("TEXT", "TEXT"), ("BLOB", "BLOB"), ("REAL", "REAL"))
"""What SQLite makes of a declared type, by the first of these that stands in it."""

Write = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Found:
    """One table as it was read: the columns that are recorded with their types, and the rows by their key."""

    columns: Mapping[str, str]
    rows: Mapping[object, tuple[object, ...]]


class Recorder:
    """Looks at one store; `write` is handed the steps, in order."""

    def __init__(
        self, store: Recordable, begins: Stamp, poll: timedelta, write: Write, writers: Writers | None = None
    ) -> None:
        self._store = store
        self._writers = writers or UnknownWriters()
        self._writer = Writer()
        self._processes = 0
        self._begins = begins
        self._poll = poll
        self._write = write
        self._names = Pseudonyms()
        self._seen: Signature | None = None
        self._inode: int | None = None
        self._tables: Mapping[str, Found] = {}
        self._looked_at = begins
        self._ahead = timedelta()
        self._is_unread = False

    def header(self, ends: Stamp) -> dict[str, Any]:
        """The first line."""
        source = {"kind": self._store.kind, "database": self._store.called, "timezone": self._store.timezone}
        span = {"begins": _iso(self._begins.at), "ends": _iso(self._at(ends))}
        return {"case": 1, "what": "recorded", "source": source, **span}

    def look(self, stamp: Stamp) -> None:
        """Write down what has changed since the last look."""
        self._tell_time(stamp)
        self._tell_process(stamp)
        try:
            self._look(stamp)
        except UnreadableError:
            self._tell_unreadable(stamp)

    def _at(self, stamp: Stamp) -> datetime:
        """The instant by the uptime: a clock that is set meanwhile is told as what it is."""
        return self._begins.at + self._begins.elapsed(stamp)

    def _step(self, stamp: Stamp, **what: object) -> None:
        self._write({"at": _iso(self._at(stamp)), **what})

    def _tell_time(self, stamp: Stamp) -> None:
        if self._looked_at.elapsed(stamp) > _SLEPT * self._poll:
            self._step(self._looked_at, asleep=True)
            self._step(stamp, asleep=False)
        ahead = stamp.at - self._at(stamp)
        if abs(ahead - self._ahead) > _STEPPED:
            self._ahead = ahead
            self._step(stamp, clock={"ahead_s": round(ahead.total_seconds(), 3)})
        self._looked_at = stamp

    def _tell_process(self, stamp: Stamp) -> None:
        """Whether the process that writes the store lives, as its locks tell; where they do not, nothing is said."""
        writer, before = self._writers.of(self._store.database), self._writer
        if writer.alive is None or (_is_same(writer, before) and writer.stopped == before.stopped):
            return
        is_new = not _is_same(writer, before)
        told: dict[str, dict[str, object]] = {}
        if is_new and before.alive:
            told[str(self._processes)] = {"alive": False}
        if writer.alive or not told:
            self._processes += is_new
            started = _iso(writer.started_at) if writer.started_at else None
            told[str(self._processes)] = (
                {"alive": True, "stopped": writer.stopped, "started": started} if writer.alive else {"alive": False}
            )
        self._writer = writer
        self._step(stamp, processes=told)

    def _tell_unreadable(self, stamp: Stamp) -> None:
        """A file that is gone is gone; one that cannot be read now is only said to be so, once."""
        self._seen = None
        if not self._store.database.exists():
            if self._inode is not None:
                self._step(stamp, remove=[self._store.called])
            self._inode = None
        elif not self._is_unread:
            self._step(stamp, note="the store cannot be read")
        self._is_unread = True

    def _look(self, stamp: Stamp) -> None:
        if self._seen is not None and signature(self._store.database) == self._seen:
            return
        tables, seen = read(self._store.database, self._query)
        self._seen = seen if is_settled(seen) else None
        self._is_unread = False
        if seen.main[0] != self._inode or _shape(tables) != _shape(self._tables):
            self._step(stamp, tables={self._store.called: {name: self._whole(name, tables[name]) for name in tables}})
        else:
            self._tell_changes(stamp, tables)
        self._inode, self._tables = seen.main[0], tables

    def _query(self, connection: sqlite3.Connection) -> Mapping[str, Found]:
        found = {name: _found(connection, name, table) for name, table in self._store.tables.items()}
        return {name: table for name, table in found.items() if table is not None}

    def _tell_changes(self, stamp: Stamp, tables: Mapping[str, Found]) -> None:
        changed, deleted = {}, {}
        for name, table in tables.items():
            before = self._tables[name].rows
            rows = [row for key, row in table.rows.items() if before.get(key) != row]
            if rows:
                changed[name] = [self._row(name, table, row) for row in rows]
            if gone := [key for key in before if key not in table.rows and _is_deleted(key, table)]:
                key = self._store.tables[name].key
                deleted[name] = [self._value(name, key, value) for value in gone]
        steps = {"set": changed, "delete": deleted}
        if any(steps.values()):
            self._step(stamp, **{what: {self._store.called: names} for what, names in steps.items() if names})

    def _whole(self, name: str, table: Found) -> dict[str, Any]:
        key = self._store.tables[name].key
        columns = (f"{column} {type_}{' PRIMARY KEY' * (column == key)}" for column, type_ in table.columns.items())
        rows = [self._row(name, table, row) for row in table.rows.values()]
        return {"schema": f"CREATE TABLE {name} ({', '.join(columns)})", "rows": rows}

    def _row(self, name: str, table: Found, row: tuple[object, ...]) -> dict[str, object]:
        return {column: self._value(name, column, value) for column, value in zip(table.columns, row, strict=True)}

    def _value(self, table: str, column: str, value: object) -> object:
        return None if value is None else self._store.tables[table].columns[column](value, self._names)


def _is_same(writer: Writer, before: Writer) -> bool:
    return writer.alive == before.alive and not writer.is_other_than(before)


def _found(connection: sqlite3.Connection, name: str, table: RecordedTable) -> Found | None:
    """The newest rows of a table; None if it is not there, or has not its key."""
    there = columns_of(connection, name)
    if table.key not in there:
        return None
    types = dict(connection.execute("SELECT name, type FROM pragma_table_info(?)", (name,)).fetchall())
    columns = {column: _type(types[column]) for column in table.columns if column in there}
    order = "ORDER BY rowid DESC " if has_row_numbers(connection, name) else ""
    query = f"SELECT {', '.join(columns)} FROM {name} {order}LIMIT ?"  # noqa: S608
    rows = connection.execute(query, (MOST_ROWS,)).fetchall()
    place = list(columns).index(table.key)
    return Found(columns, {row[place]: row for row in reversed(rows)})


def _type(declared: object) -> str:
    """The type by its affinity; the declaration itself is text of somebody else's."""
    said = str(declared).upper()
    if said in ("INTEGER", ""):
        return said
    return next((affinity for part, affinity in _AFFINITIES if part in said), "NUMERIC")


def _shape(tables: Mapping[str, Found]) -> object:
    return {name: tuple(table.columns) for name, table in tables.items()}


def _is_deleted(key: object, table: Found) -> bool:
    """Whether it is gone, and not only older than the newest rows that are read."""
    if len(table.rows) < MOST_ROWS or not isinstance(key, int):
        return True
    return key >= min(each for each in table.rows if isinstance(each, int))


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
