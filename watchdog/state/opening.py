"""How the state file is opened: locked, known for one of ours, and brought to the format of this version.

An older file is copied before it is changed, and changed in one transaction. Where that cannot be done now, as on a
full disk, it stays as it is and is used as far as it goes. A newer file is used as it is.
"""

import fcntl
import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from watchdog.state import schema

LOCK_PATIENCE = 1.0
"""Seconds for which a start waits for the lock of the watchdog before it."""

LOG_LIMIT = 4 * 1024 * 1024
"""Bytes that SQLite's log keeps once what stands in it is in the file."""


class StoreError(Exception):
    """The state file cannot be used; one line."""


def locked(path: Path) -> IO[bytes]:
    """A lock that ends with the process, however that ends. Raises StoreError."""
    try:
        lock = _lock_file(path)
    except OSError as error:
        raise StoreError(f"the state file {path} cannot be used: {reason(error)}; set `state:`") from None
    if not _has(lock, LOCK_PATIENCE):
        lock.close()
        raise StoreError(f"the state file {path} is in use by another watchdog; give each its own `state:`")
    return lock


def _lock_file(path: Path) -> IO[bytes]:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path.with_name(path.name + ".lock").open("ab")


def _has(lock: IO[bytes], patience: float) -> bool:
    """Whether the lock can be had. One that was killed a moment ago may leave it to a process that it was starting,
    until that has become what it was started for."""
    end = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            if time.monotonic() >= end:
                return False
            time.sleep(0.02)


def opened(path: Path | None) -> sqlite3.Connection:
    """The file as it stands; made if it is not there. Raises sqlite3.Error and OSError."""
    if path is not None and not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    db = sqlite3.connect(path or ":memory:", isolation_level=None, timeout=5, check_same_thread=False)
    try:
        _must_be_ours(db)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute(f"PRAGMA journal_size_limit = {LOG_LIMIT}")
    except sqlite3.Error:
        db.close()
        raise
    return db


def version_of(db: sqlite3.Connection) -> int:
    """The format that the file has; 0 for an empty one."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    return int(version)


def is_behind(db: sqlite3.Connection) -> bool:
    """Whether the file has an older format than this version's."""
    return version_of(db) < schema.VERSION


def bring_up_to_date(db: sqlite3.Connection, path: Path | None) -> None:
    """Change an older file, all of it or nothing. Raises sqlite3.Error and OSError; then it is as it was."""
    version = version_of(db)
    if path is not None and _tables(db):
        _keep_a_copy(db, path.with_name(f"{path.name}.before-{schema.VERSION}"))
    steps = "".join(schema.STEPS[version:])
    try:
        db.executescript(f"BEGIN IMMEDIATE; {steps} PRAGMA user_version = {schema.VERSION}; COMMIT;")
    except sqlite3.Error:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def bring_up_to_date_if_free(db: sqlite3.Connection, path: Path) -> None:
    """The same for a command, unless a service runs on the file: an older one goes on with it as it is."""
    with suppress(OSError, sqlite3.Error), _lock_file(path) as lock:
        if _has(lock, 0) and is_behind(db):
            bring_up_to_date(db, path)


def _keep_a_copy(db: sqlite3.Connection, copy: Path) -> None:
    part = copy.with_name(f"{copy.name}.part")
    part.unlink(missing_ok=True)
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
        db.execute("VACUUM INTO ?", (str(part),))
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(copy)
    finally:
        part.unlink(missing_ok=True)


def must_have_all(db: sqlite3.Connection) -> None:
    """Refuses a newer file from which something has gone that this version needs. Raises sqlite3.DatabaseError."""
    with sqlite3.connect(":memory:") as wanted:
        wanted.executescript("".join(schema.STEPS))
        missing = {table for table in _tables(wanted) if not _columns(wanted, table) <= _columns(db, table)}
    wanted.close()
    if missing:
        names = ", ".join(sorted(missing))
        raise sqlite3.DatabaseError(
            f"a newer version of the watchdog (format {version_of(db)}) has changed {names}; use that version"
        )


def _tables(db: sqlite3.Connection) -> set[str]:
    return {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _columns(db: sqlite3.Connection, table: str) -> set[str]:
    return {name for (name,) in db.execute("SELECT name FROM pragma_table_xinfo(?)", (table,))}


def _must_be_ours(db: sqlite3.Connection) -> None:
    """Refuses, before anything is written, a database that belongs to somebody else, such as the watched one."""
    tables = _tables(db)
    if tables and "incidents" not in tables:
        raise sqlite3.DatabaseError("it is a database of another program")


def reason(error: Exception) -> str:
    """What went wrong, without the path that is named beside it."""
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
