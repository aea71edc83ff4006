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
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING, Any

from watchdog.config.fields import read_secret
from watchdog.core.durations import say_duration
from watchdog.core.extras import how_to_add
from watchdog.core.redaction import HIDDEN, fit_to_leave
from watchdog.systems.shared.unreadable import UnreadableError
from watchdog.systems.sql.columns import QueryError, TooSlowError
from watchdog.systems.sql.reading import Reading, Rows, read_all
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


_NAMED = re.compile(r"(?<![:\w]):(after|job_id(?:_\d+)?)\b")

_SETTING = re.compile(r"current_setting\(\s*'([^']+)'", re.IGNORECASE)


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
        return replace(read.result(), at=self._asked_at)

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
            raise QueryError(f"PostgreSQL's driver is not installed; add it with: {how_to_add('postgres')}") from None
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
        _begin(connection, settings)
        reading = read_all(_Connection(connection, settings), settings, mark)
        connection.execute("ROLLBACK")
    except (psycopg.Error, UnicodeDecodeError) as error:
        raise UnreadableError(f"the PostgreSQL server broke off: {secret.hidden_in(str(error))}") from None
    return reading


def _be_lenient(connection: psycopg.Connection[Any]) -> None:
    """Instants are taken as text: `infinity` in one row must not lose all the others."""
    from psycopg.types.string import TextLoader

    for kind in ("timestamptz", "timestamp", "date"):
        connection.adapters.register_loader(kind, TextLoader)


def _begin(connection: psycopg.Connection[Any], settings: Sql) -> None:
    limit = _ms(settings.deadline)
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    connection.execute(
        f"SET LOCAL statement_timeout = {limit}; SET LOCAL lock_timeout = {max(1, limit // 2)};"
        f"SET LOCAL idle_in_transaction_session_timeout = {2 * limit};"
        "SET LOCAL default_transaction_read_only = on;"
        # rows that a policy hides would look like rows that are not there
        f"SET LOCAL row_security = {'on' if settings.row_security == 'apply' else 'off'};"
        "SET LOCAL datestyle = 'ISO'; SET LOCAL timezone = 'UTC'"
    )


def _ms(length: timedelta) -> int:
    return max(1, int(length.total_seconds() * 1000))


class _Connection:
    """Carries out statements within the transaction; the server cuts each off at the deadline."""

    def __init__(self, connection: psycopg.Connection[Any], settings: Sql) -> None:
        self._connection = connection
        self._deadline = settings.deadline

    def ask(self, query: str, statement: str, values: Mapping[str, object]) -> Rows:
        """The answer; raises UnreadableError."""
        from psycopg import errors

        try:
            cursor = self._connection.execute(*_translated(_bounded(statement), values))
            return Rows([column.name for column in cursor.description or ()], cursor.fetchall())
        except errors.QueryCanceled:
            raise TooSlowError(
                f"the {query} query took longer than {say_duration(self._deadline)} and was cut off"
            ) from None
        except errors.LockNotAvailable:
            why = "waited too long for a lock"
        except (errors.ProgrammingError, errors.DataError, errors.InternalError) as error:
            if TOO_MUCH in _message(error):
                limit = f"more than {MOST_BYTES >> 20} MiB"
                raise UnreadableError(
                    f"the {query} query returns too much, {limit}: leave columns out, or use left()"
                ) from None
            raise QueryError(f"the {query} query fails: {_explained(error)}") from None
        raise UnreadableError(f"the {query} query {why}")

    def attempt(self, query: str, statement: str, values: Mapping[str, object]) -> Rows | None:
        """The answer, if it comes within half of the deadline; the transaction goes on in any case."""
        self._connection.execute(f"SAVEPOINT attempt; SET LOCAL statement_timeout = {_ms(self._deadline / 2)}")
        try:
            return self.ask(query, statement, values)
        except (TooSlowError, QueryError):
            return None
        finally:
            self._connection.execute("ROLLBACK TO SAVEPOINT attempt")


def _bounded(statement: str) -> str:
    """The same rows, unless they are more than can be held: then the server itself stops, before it sends them."""
    # as text it may be far longer than it is kept, but to write a huge one out takes the server seconds
    kept = "pg_column_size(bounded)"
    text = f"CASE WHEN {kept} > {MOST_BYTES} THEN {kept} ELSE octet_length(bounded::text) END"
    length = f"sum({text}) OVER (ROWS UNBOUNDED PRECEDING)"
    held = f"SELECT bounded, {length} AS bytes FROM ({statement}) AS bounded"  # noqa: S608
    fails = f"CAST('{TOO_MUCH} ' || held.bytes AS integer) = 0"
    return f"SELECT (held.bounded).* FROM ({held}) AS held WHERE held.bytes <= {MOST_BYTES} OR {fails}"  # noqa: S608


def _message(error: psycopg.Error) -> str:
    return error.diag.message_primary or str(error)


def _explained(error: psycopg.Error) -> str:
    """What the server says, and what helps where it refuses."""
    said = _message(error)
    return f"{fit_to_leave(said, 200)}{next((help_ for words, help_ in _HELP if words in said), '')}"


_HELP = (
    (
        "affected by row-level security",
        "; the role would be shown some rows only: give it BYPASSRLS, or a policy that shows it all and "
        "`row_security: apply`",
    ),
    ("to examine", "; GRANT pg_read_all_settings TO the role"),
)


def _translated(statement: str, values: Mapping[str, object]) -> tuple[Any, Mapping[str, object]]:
    """The statement in the driver's writing: `%(after)s` for `:after`, and every other `%` doubled."""
    return _NAMED.sub(r"%(\1)s", statement.replace("%", "%%")), values or {"none": 0}


def unread_settings(settings: Sql) -> list[str]:
    """Settings that the queries ask for and the role may not see. On an empty table the server never looks at them."""
    wanted = sorted(set(_SETTING.findall(f"{settings.jobs} {settings.runs or ''}")))
    secret = _Secret.of(settings)
    with _connect(secret, settings.deadline) as connection:
        return [problem for name in wanted if (problem := _unread(connection, name))]


def _unread(connection: psycopg.Connection[Any], name: str) -> str | None:
    import psycopg

    try:
        connection.execute("SELECT current_setting(%s, true)", (name,))
    except psycopg.Error as error:
        return f"the setting {fit_to_leave(name, 80)} cannot be read: {_explained(error)}"
    return None
