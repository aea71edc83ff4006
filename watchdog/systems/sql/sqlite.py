"""The operator's queries on an SQLite file, through the same harmless reading as everywhere (docs/sqlite.md)."""

import sqlite3
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from watchdog.core.durations import say_duration
from watchdog.core.redaction import fit_to_leave
from watchdog.systems.shared.bounded import as_many_as_fit
from watchdog.systems.shared.sqlite_file import STEPS, Signature, harm, is_settled, read, signature
from watchdog.systems.shared.unreadable import UnreadableError
from watchdog.systems.sql.columns import QueryError, TooSlowError
from watchdog.systems.sql.reading import Reading, Rows, read_all
from watchdog.systems.sql.runs import Mark
from watchdog.systems.sql.section import Sql

LONGEST_VALUE = 1024 * 1024
"""Bytes of one value that a query may return."""


class SqliteReader:
    """Reads when the file has changed, and never longer than the deadline."""

    def __init__(self, settings: Sql, path: Path) -> None:
        self._settings = settings
        self._path = path
        self._seen: Signature | None = None

    def warnings(self) -> list[str]:
        """Whether reading as this user could harm the writer."""
        found = harm(self._path)
        return [found] if found else []

    def read(self, mark: Mark, now: datetime) -> Reading | None:
        """What is there now; None if the file is the one that was read last."""
        before, self._seen = self._seen, None  # a file that was away is read again, though it comes back unchanged
        if before is not None and signature(self._path) == before:
            self._seen = before
            return None
        ends = time.monotonic() + self._settings.deadline.total_seconds()
        reading, seen = read(self._path, lambda connection: self._query(connection, mark, ends), longest=None)
        self._seen = seen if is_settled(seen) else None
        return reading

    def _query(self, connection: sqlite3.Connection, mark: Mark, ends: float) -> Reading:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE)
        return read_all(_Connection(connection, self._settings, self._path, ends), self._settings, mark)


class _Connection:
    """Carries out statements until the deadline."""

    def __init__(self, connection: sqlite3.Connection, settings: Sql, path: Path, ends: float) -> None:
        self._connection = connection
        self._settings = settings
        self._path = path
        self._ends = ends
        connection.set_progress_handler(lambda: time.monotonic() > self._ends, STEPS)

    def ask(self, query: str, statement: str, values: Mapping[str, object]) -> Rows:
        """The answer; raises UnreadableError."""
        named = {name: value for name, value in values.items() if f":{name}" in statement}
        try:
            cursor = self._connection.execute(statement, named)
            found = as_many_as_fit(cursor)
        except (sqlite3.OperationalError, sqlite3.DataError) as error:
            raise self._explained(query, error) from None
        if found.notes:
            raise UnreadableError(f"{self._path}: the {query} query returns too much: {found.notes[0]}")
        return Rows([column[0] for column in cursor.description], found.rows)

    def attempt(self, query: str, statement: str, values: Mapping[str, object]) -> Rows | None:
        """The answer, if it comes within half of the time that is left."""
        ends, began = self._ends, time.monotonic()
        self._ends = began + (ends - began) / 2
        try:
            return self.ask(query, statement, values)
        except (TooSlowError, QueryError):
            return None
        finally:
            self._ends = ends

    def _explained(self, query: str, error: sqlite3.Error) -> Exception:
        """What is wrong with the query itself; anything else is the file's."""
        code = getattr(error, "sqlite_errorcode", None)
        if code == sqlite3.SQLITE_INTERRUPT:
            limit = say_duration(self._settings.deadline)
            return TooSlowError(f"{self._path}: the {query} query took longer than {limit} and was cut off")
        if code == sqlite3.SQLITE_TOOBIG:
            limit = f"{LONGEST_VALUE >> 10} KiB"
            return UnreadableError(f"{self._path}: the {query} query returns values over {limit}; use substr()")
        if code == sqlite3.SQLITE_ERROR:
            return QueryError(
                f"{self._path}: the {query} query fails: {fit_to_leave(str(error), 200)}{self._there(error)}"
            )
        return error

    def _there(self, error: sqlite3.Error) -> str:
        """Which tables there are, where one is missing: it may be another version's file, or another program's."""
        if "no such table" not in str(error):
            return ""
        statement = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite%' LIMIT 9"
        names = sorted(fit_to_leave(str(name), 60) for (name,) in self._connection.execute(statement))
        return f" (there are {', '.join(names)})" if names else " (there is none)"
