"""Writing to Phantom's file: one guarded statement in one transaction, that does nothing if the row is not as seen.

Nothing else in this program writes to a watched file.
"""

import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from watchdog.core import faults
from watchdog.systems.shared.acting import CannotWriteError, ChangedError
from watchdog.systems.shared.sqlite_file import STEPS, columns_of, explain, read, signature, undisturbed
from watchdog.systems.shared.unreadable import UnreadableError

BUSY_TIMEOUT = 5.0
"""Seconds to wait for the scheduler's own writes."""

LONGEST_WRITE = 2.0
"""Seconds; a trigger of somebody else's may never end, and meanwhile the scheduler could not write."""

GUARDED = ("status", "updated_at", "consecutive_errors", "next_run_at", "last_run_at", "enabled", "schedule_value")
"""The columns that must still be as they were seen."""

TERMS = ("status", "enabled", "schedule_kind", "schedule_value")
"""The columns that say what a job is, whatever it does."""

ACTOR = "scheduler-watchdog"

Row = Mapping[str, object]


def look(path: Path, job_id: str) -> Row | None:
    """The whole row, prompt and all; None if there is none. Raises UnreadableError."""

    def query(connection: sqlite3.Connection) -> Row | None:
        cursor = connection.execute("SELECT * FROM scheduled_jobs WHERE id = ?", (job_id,))
        names = [column[0] for column in cursor.description]
        rows = cursor.fetchall()
        return dict(zip(names, rows[0], strict=True)) if rows else None

    return read(path, query)[0]


def has_audit(path: Path, job_id: str, action: str) -> bool:
    """Whether the audit log tells of such an operation on the job; False if there is no log or it cannot be read."""

    def query(connection: sqlite3.Connection) -> bool:
        if not {"job_id", "action"} <= set(columns_of(connection, "scheduler_audit_log")):
            return False
        statement = "SELECT 1 FROM scheduler_audit_log WHERE job_id = ? AND action = ? LIMIT 1"
        return bool(connection.execute(statement, (job_id, action)).fetchall())

    try:
        return read(path, query)[0]
    except UnreadableError:
        return False


def is_as_seen(row: Row, seen: Row) -> bool:
    """Whether all that was remembered of the row is still so."""
    return all(row.get(name) == value for name, value in seen.items())


def fingerprint(row: Row) -> dict[str, object]:
    """What of a row is remembered and must still be so."""
    return {name: row[name] for name in GUARDED if name in row}


def terms(row: Row) -> dict[str, object]:
    """What of a row must still be so for a pause."""
    return {name: row[name] for name in TERMS if name in row}


def pause(path: Path, job_id: str, seen: Row, at: datetime) -> None:
    """`active` becomes `paused`: no pass takes the row any more. A run in flight ends, and leaves the status alone."""
    _change(path, job_id, seen, {"status": "paused", "updated_at": sql_time(at)}, ("pause", "paused"))


def set_paused(path: Path, job_id: str, seen: Row, at: datetime) -> None:
    """`failed` becomes `paused`, so that the scheduler's own resume can take it from there."""
    _change(path, job_id, seen, {"status": "paused", "updated_at": sql_time(at)}, ("revive", "paused"))


def set_failed_again(path: Path, job_id: str, paused_at: datetime, seen: Row) -> None:
    """Takes a pause back, if the row is still as that left it: as it was seen before, its sweep date too."""
    now_there = {**seen, "status": "paused", "updated_at": sql_time(paused_at)}
    before = {name: seen[name] for name in ("status", "updated_at") if name in seen}
    _change(path, job_id, now_there, before, ("revive_undone", str(seen.get("status"))))


def set_active(path: Path, job_id: str, seen: Row, next_run_at: datetime, at: datetime) -> None:
    """`failed` becomes `active`, without errors, due at `next_run_at`. The process is not told of it."""
    values = {
        "status": "active",
        "consecutive_errors": 0,
        "next_run_at": iso_time(next_run_at),
        "updated_at": sql_time(at),
    }
    _change(path, job_id, seen, values, ("revive", "active"))


def postpone_sweep(path: Path, job_id: str, seen: Row, at: datetime) -> None:
    """The row counts as changed now, so that the sweep takes it thirty days from now."""
    _change(path, job_id, seen, {"updated_at": sql_time(at)}, ("postpone_sweep", "failed"))


def put_back(path: Path, row: Row) -> None:
    """Inserts a row as it was, column by column. Raises ChangedError if its id or name is in use."""
    with _writing(path) as connection:
        there = columns_of(connection, "scheduled_jobs")
        taken = connection.execute(
            "SELECT id FROM scheduled_jobs WHERE id = ? OR lower(name) = lower(?)", (row["id"], row["name"])
        ).fetchall()
        if taken:
            raise ChangedError(f"a job with the id or the name of {row['name']} is there already")
        columns = [name for name in row if name in there]
        places = ", ".join("?" for _ in columns)
        connection.execute(
            f"INSERT INTO scheduled_jobs ({', '.join(columns)}) VALUES ({places})",  # noqa: S608
            [row[name] for name in columns],
        )
        _audit(connection, str(row["id"]), str(row["name"]), ("restore", str(row.get("status"))), None)


def _change(path: Path, job_id: str, seen: Row, values: Mapping[str, object], audit: tuple[str, str]) -> None:
    with _writing(path) as connection:
        there = columns_of(connection, "scheduled_jobs")
        guards = {name: value for name, value in seen.items() if name in there}
        settings = {name: value for name, value in values.items() if name in there}
        statement = (
            f"UPDATE scheduled_jobs SET {', '.join(f'{name} = ?' for name in settings)} "  # noqa: S608
            f"WHERE id = ? {' '.join(f'AND {name} IS ?' for name in guards)}"
        )
        changed = connection.execute(statement, [*settings.values(), job_id, *guards.values()]).rowcount
        if changed != 1:
            raise ChangedError("the row is no longer as it was seen, so nothing was done")
        (name,) = connection.execute("SELECT name FROM scheduled_jobs WHERE id = ?", (job_id,)).fetchone()
        _audit(connection, job_id, str(name), audit, str(seen.get("status")))


def _audit(
    connection: sqlite3.Connection, job_id: str, name: str, audit: tuple[str, str], previous: str | None
) -> None:
    wanted = ("job_id", "job_name", "action", "previous_status", "new_status", "actor", "detail")
    if not set(wanted) <= set(columns_of(connection, "scheduler_audit_log")):
        return
    action, status = audit
    connection.execute(
        f"INSERT INTO scheduler_audit_log ({', '.join(wanted)}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        (job_id, name, action, previous, status, ACTOR, None),
    )


@contextmanager
def _writing(path: Path) -> Iterator[sqlite3.Connection]:
    """One immediate transaction, all or nothing, on a connection that is closed at once."""
    try:
        inode = signature(path).main[0]
    except UnreadableError as error:
        raise CannotWriteError(str(error)) from None
    with undisturbed(inode), _in_transaction(path) as connection:
        yield connection


@contextmanager
def _in_transaction(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None)
    except sqlite3.Error as error:
        raise CannotWriteError(explain(path, error)) from None
    try:
        faults.point("changing-row")
        connection.execute("BEGIN IMMEDIATE")
        ends = time.monotonic() + LONGEST_WRITE
        connection.set_progress_handler(lambda: time.monotonic() > ends, STEPS)
        yield connection
        faults.point("row-changed")
        connection.execute("COMMIT")
        faults.point("row-committed")
    except sqlite3.Error as error:
        if (getattr(error, "sqlite_errorcode", 0) & 0xFF) == sqlite3.SQLITE_INTERRUPT:
            took = f"the change took longer than {LONGEST_WRITE:g} s and was taken back (does a trigger not end?)"
            raise CannotWriteError(f"{path}: {took}") from None
        raise CannotWriteError(_why_not_written(path, error)) from None
    finally:
        connection.close()


def _why_not_written(path: Path, error: sqlite3.Error) -> str:
    """One line that says what keeps this user from writing, and what to do."""
    if (getattr(error, "sqlite_errorcode", 0) & 0xFF) != sqlite3.SQLITE_READONLY:
        return explain(path, error)
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return f"{path} is mounted read-only here: take `:ro` off its mount, or do it where it may be written"
    return f"user {os.geteuid()} may not write {path}: do it as the scheduler's user"


def sql_time(at: datetime) -> str:
    """As SQLite's `datetime('now')` writes it."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def iso_time(at: datetime) -> str:
    """As JavaScript writes it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"
