"""The operator's queries on a PostgreSQL server, read beside the loop so that no server can hold up a tick.

Each read is a short-lived thread with one connection: one read-only transaction, then closed. The transaction alone is
given its limits (SET LOCAL, not SET): behind a pooler the session goes on to somebody else, who must not inherit them.
The server is asked to keep to the time limit; a server that is stopped cannot, so the loop cuts the connection off.
"""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING, Any

from watchdog.config.fields import read_secret
from watchdog.core.durations import say_duration
from watchdog.core.redaction import HIDDEN, fit_to_leave
from watchdog.systems.shared.unreadable import UnreadableError
from watchdog.systems.sql.columns import QueryError
from watchdog.systems.sql.reading import Ask, Reading, Rows, read_all
from watchdog.systems.sql.runs import Mark
from watchdog.systems.sql.section import Sql

if TYPE_CHECKING:
    import psycopg

APPLICATION = "scheduler-watchdog"

MOST_BYTES = 8 * 1024 * 1024
"""Bytes of all rows of a query, as text."""

TOO_MUCH = "too much is returned:"
"""Stands in the server's own error."""

AT_ONCE = 0.02
"""Seconds that a tick gives a read that it has just begun; mostly that is enough, and no later tick is needed."""

NOT_INSTALLED = "PostgreSQL's driver is not installed; add it with: pip install 'scheduler-watchdog[postgres]'"

_AFTER = re.compile(r"(?<![:\w]):after\b")


class PostgresReader:
    """Asks the server every so often.

    The first read is waited for, as long as the deadline, so that a single look tells something. After that `read`
    returns at once, within `AT_ONCE`: with what a finished read has found, or None while one is under way.
    """

    def __init__(self, settings: Sql) -> None:
        self._settings = settings
        self._read: _Read | None = None
        self._asked_at: datetime | None = None

    def warnings(self) -> list[str]:
        """None: the transaction is read-only, and the server holds to it."""
        return []

    def read(self, mark: Mark, now: datetime) -> Reading | None:
        """What a read has found; None while there is nothing new. Raises UnreadableError."""
        patience = 0.0
        if self._read is None:
            if not self._is_due(now):
                return None
            is_first = self._asked_at is None
            patience = self._settings.deadline.total_seconds() if is_first else AT_ONCE
            self._asked_at = now
            self._read = _Read(self._settings, mark)
        return self._outcome(self._read, patience)

    def _is_due(self, now: datetime) -> bool:
        return self._asked_at is None or not timedelta() <= now - self._asked_at < self._settings.every

    def _outcome(self, read: _Read, patience: float) -> Reading | None:
        if not read.finished(patience):
            if not read.is_late():
                return None
            read.cut_off()
            raise UnreadableError(self._late())
        self._read = None
        if read.is_cut_off:
            raise UnreadableError(self._late())
        return read.result()

    def _late(self) -> str:
        limit = say_duration(self._settings.deadline)
        return f"the PostgreSQL server gave no answer within {limit} (is it stopped, overloaded or out of reach?)"


class _Read:
    """One read under way. It ends by itself, or when it is cut off."""

    def __init__(self, settings: Sql, mark: Mark) -> None:
        self._settings = settings
        self._mark = mark
        self._ends = time.monotonic() + settings.deadline.total_seconds()
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[Any] | None = None
        self._reading: Reading | None = None
        self._problem = UnreadableError("it ended without an answer")
        self.is_cut_off = False
        threading.Thread(target=self._run, name=f"read {settings.name}", daemon=True).start()

    def finished(self, patience: float) -> bool:
        """Whether it has ended, waiting so many seconds for that."""
        return self._done.wait(patience) if patience else self._done.is_set()

    def is_late(self) -> bool:
        """Whether its time is over."""
        return time.monotonic() >= self._ends

    def result(self) -> Reading:
        """What it found. Raises UnreadableError."""
        if self._reading is None:
            raise self._problem
        return self._reading

    def cut_off(self) -> None:
        """End it by shutting its socket; a thread cannot be ended, and a stopped server never answers."""
        with self._lock:
            self.is_cut_off = True
            if self._connection is not None and not self._connection.closed:
                _shut(self._connection.fileno())

    def _run(self) -> None:
        try:
            self._reading = self._read()
        except UnreadableError as error:
            self._problem = error
        except Exception as error:
            self._problem = UnreadableError(f"reading failed: {type(error).__name__}")  # its words may quote the dsn
        finally:
            self._done.set()

    def _read(self) -> Reading:
        secret = _Secret.of(self._settings)
        connection = _connect(secret, self._settings.deadline)
        try:
            with self._lock:
                self._connection = connection
                if self.is_cut_off:
                    raise UnreadableError("cut off")
            return _in_one_transaction(connection, self._settings, self._mark, secret)
        finally:
            with self._lock:
                connection.close()


def _shut(descriptor: int) -> None:
    try:
        with socket.socket(fileno=os.dup(descriptor)) as end:
            end.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it has ended by itself


@dataclass(frozen=True, slots=True, repr=False)
class _Secret:
    """How to reach the server; never shown."""

    dsn: str
    password: str

    @classmethod
    def of(cls, settings: Sql) -> _Secret:
        """What the configuration says, or the file that it names. Raises UnreadableError, which shows none of it."""
        try:
            from psycopg.conninfo import conninfo_to_dict
        except ImportError:
            raise QueryError(NOT_INSTALLED) from None
        try:
            dsn = read_secret(settings.dsn_file) if settings.dsn_file else ""
        except ValueError as error:
            raise UnreadableError(str(error)) from None
        dsn = settings.dsn.get_secret_value() if settings.dsn else dsn
        try:
            parts = conninfo_to_dict(dsn)
        except Exception:
            # the driver's words would quote the text
            raise QueryError("its dsn cannot be read; write it like postgresql://user@host:5432/database") from None
        return cls(dsn, str(parts.get("password") or ""))

    def hidden_in(self, text: str) -> str:
        """The first line of an error text, without the password."""
        shown = text.replace(self.password, HIDDEN) if self.password else text
        return fit_to_leave(shown.strip().splitlines()[0] if shown.strip() else "no reason given", 300)


def _connect(secret: _Secret, deadline: timedelta) -> psycopg.Connection[Any]:
    import psycopg

    try:
        return psycopg.connect(
            secret.dsn,
            autocommit=True,
            prepare_threshold=None,
            connect_timeout=max(2, ceil(deadline.total_seconds())),
            application_name=APPLICATION,
            client_encoding="UTF8",
        )
    except (psycopg.Error, OSError, ValueError) as error:
        said = secret.hidden_in(str(error)).removeprefix("connection failed: ")
        raise UnreadableError(f"the PostgreSQL server cannot be reached: {said}") from None


def _in_one_transaction(connection: psycopg.Connection[Any], settings: Sql, mark: Mark, secret: _Secret) -> Reading:
    import psycopg

    try:
        _be_lenient(connection)
        _begin(connection, settings.deadline)
        reading = read_all(_asking(connection, settings.deadline), settings, mark)
        connection.execute("ROLLBACK")
    except (psycopg.Error, UnicodeDecodeError) as error:
        raise UnreadableError(f"the PostgreSQL server broke off: {secret.hidden_in(str(error))}") from None
    return reading


def _be_lenient(connection: psycopg.Connection[Any]) -> None:
    """Instants are taken as text: `infinity` in one row must not lose all the others."""
    from psycopg.types.string import TextLoader

    for kind in ("timestamptz", "timestamp", "date"):
        connection.adapters.register_loader(kind, TextLoader)


def _begin(connection: psycopg.Connection[Any], deadline: timedelta) -> None:
    limit = max(1, int(deadline.total_seconds() * 1000))
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    connection.execute(
        f"SET LOCAL statement_timeout = {limit}; SET LOCAL lock_timeout = {max(1, limit // 2)};"
        f"SET LOCAL idle_in_transaction_session_timeout = {2 * limit};"
        "SET LOCAL default_transaction_read_only = on;"
        "SET LOCAL datestyle = 'ISO'; SET LOCAL timezone = 'UTC'"
    )


def _asking(connection: psycopg.Connection[Any], deadline: timedelta) -> Ask:
    from psycopg import errors

    def ask(query: str, statement: str, values: Mapping[str, int]) -> Rows:
        try:
            cursor = connection.execute(*_translated(_bounded(statement), values))
            return Rows([column.name for column in cursor.description or ()], cursor.fetchall())
        except errors.QueryCanceled:
            why = f"took longer than {say_duration(deadline)} and was cut off"
        except errors.LockNotAvailable:
            why = "waited too long for a lock"
        except (errors.ProgrammingError, errors.DataError, errors.InternalError) as error:
            if TOO_MUCH in _message(error):
                limit = f"more than {MOST_BYTES >> 20} MiB"
                raise UnreadableError(
                    f"the {query} query returns too much, {limit}: leave columns out, or use left()"
                ) from None
            raise QueryError(f"the {query} query fails: {fit_to_leave(_message(error), 200)}") from None
        raise UnreadableError(f"the {query} query {why}")

    return ask


def _bounded(statement: str) -> str:
    """The same rows, unless they are more than can be held: then the server itself stops, before it sends them."""
    length = "sum(octet_length(bounded::text)) OVER (ROWS UNBOUNDED PRECEDING)"
    held = f"SELECT bounded, {length} AS bytes FROM ({statement}) AS bounded"  # noqa: S608
    fails = f"CAST('{TOO_MUCH} ' || held.bytes AS integer) = 0"
    return f"SELECT (held.bounded).* FROM ({held}) AS held WHERE held.bytes <= {MOST_BYTES} OR {fails}"  # noqa: S608


def _message(error: psycopg.Error) -> str:
    return error.diag.message_primary or str(error)


def _translated(statement: str, values: Mapping[str, int]) -> tuple[Any, Mapping[str, int]]:
    """The statement in the driver's writing: `%(after)s` for `:after`, and every other `%` doubled."""
    return _AFTER.sub("%(after)s", statement.replace("%", "%%")), values or {"none": 0}
