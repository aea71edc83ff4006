"""The files of a case, written as its scheduler wrote them: real ones, in a folder of their own."""

import contextlib
import os
import re
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from watchdog.core.instants import EPOCH
from watchdog.replay.case import CaseError, Rows, Step, Table

_CREATES = re.compile(r"\s*CREATE\s+TABLE\b", re.IGNORECASE)
_TICK = 1000
"""Nanoseconds between the time stamps of two writes of one instant: a look goes by them."""


class Stage:
    """Where a case is played. A step's changes are one transaction a database, and the files bear its instant."""

    def __init__(self, folder: Path, case: Path) -> None:
        self.folder = folder
        self._case = case
        self._stores: dict[str, _Store] = {}
        self._writes = 0

    def apply(self, step: Step) -> None:
        """Make the files what they are after a step. Raises CaseError where that cannot be."""
        try:
            self._apply(step)
        except (sqlite3.Error, sqlite3.Warning, OSError, ValueError, OverflowError) as error:
            raise CaseError(f"{self._case}: line {step.line} cannot be played: {error}") from None

    def _apply(self, step: Step) -> None:
        for name in step.removed:
            self._remove(name)
        for name, tables in step.tables.items():
            self._replace(name, tables)
        for name in {**step.changed, **step.deleted}:
            self._store(name).write(step.changed.get(name, {}), step.deleted.get(name, {}))
        for name, text in step.files.items():
            self._write(name, text, "w")
        for name, text in step.appended.items():
            self._write(name, text, "a")
        self._date(step)

    def path(self, name: str) -> Path:
        """Where a file of the case stands. Raises ValueError for one that would lie elsewhere."""
        pure = PurePosixPath(name)
        if pure.is_absolute() or ".." in pure.parts or not pure.parts or "\0" in name:
            raise ValueError(f"{name!r:.80} is no path within the case")
        return self.folder / pure

    def _store(self, name: str) -> "_Store":
        if name not in self._stores:
            raise ValueError(f"the database {name!r:.80} has no tables yet")
        return self._stores[name]

    def _replace(self, name: str, tables: Mapping[str, Table]) -> None:
        """A new file in the old one's place, with another inode."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"{path.name}.new")
        store = _Store(new)
        store.create(tables)
        store.close()
        self._close(name)
        new.replace(path)
        self._stores[name] = _Store(path)

    def _remove(self, name: str) -> None:
        path = self.path(name)
        self._close(name)
        for each in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
            each.unlink(missing_ok=True)

    def _write(self, name: str, text: str, mode: str) -> None:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open(mode, encoding="utf-8", errors="surrogatepass", newline="") as file:
            file.write(text)

    def _date(self, step: Step) -> None:
        """Every changed file gets the instant of the step: for the scheduler it was written then."""
        self._writes += 1
        stamp = _nanoseconds(step.at) + self._writes % 1000 * _TICK
        stores = {**step.tables, **step.changed, **step.deleted}
        for name in (*step.files, *step.appended, *stores, *(f"{name}-wal" for name in stores)):
            with contextlib.suppress(FileNotFoundError):
                os.utime(self.path(name), ns=(stamp, stamp))

    def _close(self, name: str) -> None:
        if name in self._stores:
            self._stores.pop(name).close()

    def close(self) -> None:
        """Give the files back."""
        for name in list(self._stores):
            self._close(name)


def _nanoseconds(at: datetime) -> int:
    since = at - EPOCH
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1000


class _Store:
    """One database with its writer, which keeps it open, as the scheduler does. A power cut may lose it."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._keys: dict[str, tuple[str, ...]] = {}

    def create(self, tables: Mapping[str, Table]) -> None:
        self._db.execute("BEGIN")
        for name, table in tables.items():
            if not _CREATES.match(table.schema):
                raise ValueError(f"the schema of {name!r:.80} does not begin with CREATE TABLE")
            self._db.execute(table.schema)
            self._set(name, table.rows)
        self._db.execute("COMMIT")

    def write(self, changed: Mapping[str, Rows], deleted: Mapping[str, Sequence[Any]]) -> None:
        self._db.execute("BEGIN")
        for name, keys in deleted.items():
            where = " AND ".join(f"{_quoted(column)} = ?" for column in self._key(name))
            self._db.executemany(f"DELETE FROM {_quoted(name)} WHERE {where}", [_values(key) for key in keys])  # noqa: S608
        for name, rows in changed.items():
            self._set(name, rows)
        self._db.execute("COMMIT")

    def _set(self, name: str, rows: Rows) -> None:
        for row in rows:
            columns = ", ".join(map(_quoted, row))
            places = ", ".join("?" * len(row))
            values = [_value(value) for value in row.values()]
            self._db.execute(f"INSERT OR REPLACE INTO {_quoted(name)} ({columns}) VALUES ({places})", values)  # noqa: S608

    def _key(self, name: str) -> tuple[str, ...]:
        if name not in self._keys:
            found = self._db.execute(f"PRAGMA table_info({_quoted(name)})").fetchall()
            keys = sorted((row[5], row[1]) for row in found if row[5])
            self._keys[name] = tuple(column for _, column in keys) or ("rowid",)
        return self._keys[name]

    def close(self) -> None:
        self._db.close()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _values(key: Any) -> list[Any]:
    return list(map(_value, key)) if isinstance(key, list) else [_value(key)]


def _value(value: Any) -> Any:
    """A value that SQLite can hold; anything else raises ValueError."""
    if isinstance(value, list | dict):
        raise ValueError("a value is neither text nor a number")
    return value
