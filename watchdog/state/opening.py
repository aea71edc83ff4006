"""How the state file is opened: locked, known for one of ours, and brought to the format of this version.

An older file is copied before it is changed, and changed in one transaction. Where that cannot be done now, as on a
full disk, it stays as it is and is used as far as it goes. A newer file is used as it is.
"""

import errno
import fcntl
import os
import sqlite3
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import IO
from urllib.parse import quote

from watchdog.core.regular_file import must_be_a_file
from watchdog.state import schema

LOCK_PATIENCE = 1.0
"""Seconds for which a start waits for the lock of the watchdog before it."""

BUSY_MS = 500
"""Milliseconds for which the service waits for others who write, such as a command: its loop must go on turning."""

PATIENCE = 5.0
"""Seconds for which all others wait."""

NOT_NOW = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EMFILE)
"""What a disk says that is full, read-only or broken, and may be well again later."""

LOG_LIMIT = 1024 * 1024
"""Bytes of SQLite's log from which on what stands in it is put into the file; it is no larger for long."""

CACHE_KIB = 128
"""What each connection keeps of the file in memory. The service has five of them, which they fill within the hour;
SQLite's own measure is sixteen times as much. A turn on a year's file takes no longer than with four times as much."""

_PAGE = 4096


class StoreError(Exception):
    """The state file cannot be used; one line."""


def locked(path: Path) -> IO[bytes]:
    """A lock that ends with the process, however that ends. Raises StoreError."""
    try:
        lock = _lock_file(path)
    except OSError as error:
        if not path.exists() or error.errno not in NOT_NOW:
            raise StoreError(f"the state file {path} cannot be used: {reason(error)}; set `state:`") from None
        lock = path.open("rb")
    if not _has(lock, LOCK_PATIENCE):
        lock.close()
        raise StoreError(
            f"the state file {path} is in use: a watchdog runs with it already; to run two give each its own `state:`"
        )
    return lock


def is_in_use(path: Path) -> bool:
    """Whether a watchdog runs with it, as far as can be seen from here; where nothing can be seen, it does."""
    try:
        with lock_of(path).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return lock_of(path).exists()
    return False


def _lock_file(path: Path) -> IO[bytes]:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _must_be_a_file(lock_of(path))
    try:
        return lock_of(path).open("ab")
    except OSError as error:
        if error.errno not in NOT_NOW or not lock_of(path).exists():
            raise
        return lock_of(path).open("rb")


def _must_be_a_file(path: Path) -> None:
    """Whoever opens a pipe waits for the other end, and for ever. Raises OSError; what is not there may be made."""
    with suppress(FileNotFoundError):
        must_be_a_file(path.stat(), path.name)


def lock_of(path: Path) -> Path:
    """The file whose lock says that a state file is in use."""
    return path.with_name(path.name + ".lock")


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


def opened(path: Path | None, patience: float = PATIENCE) -> sqlite3.Connection:
    """The file as it stands; made if it is not there. Raises sqlite3.Error and OSError."""
    if path is not None:
        _must_be_a_file(path)
    if path is not None and not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    db = sqlite3.connect(path or ":memory:", isolation_level=None, timeout=patience, check_same_thread=False)
    try:
        _must_be_ours(db)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute(f"PRAGMA journal_size_limit = {LOG_LIMIT}")
        db.execute(f"PRAGMA wal_autocheckpoint = {LOG_LIMIT // _PAGE}")
        db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    except sqlite3.Error:
        db.close()
        raise
    return db


Marks = tuple[int, int]
"""Device and inode: which file it is, whatever it is called."""


def marks(path: Path | None) -> Marks | None:
    """Which file stands there; None if none does, or nobody can tell."""
    try:
        found = os.stat(path) if path else None  # noqa: PTH116 - asked at each use
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if found else None


def is_damage(error: Exception) -> bool:
    """Whether what stands there cannot be read, rather than written or reached."""
    damage = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in damage


def lacks_something(error: Exception) -> bool:
    """Whether a table or a column that is ours is not there."""
    return isinstance(error, sqlite3.OperationalError) and "no such" in str(error)


def may_pass(error: Exception, path: Path) -> bool:
    """Whether it is for the disk, and not for the file, that it cannot be used now."""
    if isinstance(error, OSError):
        return error.errno in (NOT_NOW if path.exists() else NOT_NOW[:5])
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    broken = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
    return code in broken or (code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN) and path.is_file())


def readable(path: Path) -> sqlite3.Connection:
    """What can be read of a file that cannot be opened as usual; nothing, if that cannot be read either."""
    for how in ("mode=ro", "immutable=1"):
        try:
            db = sqlite3.connect(f"file:{quote(os.fsencode(path.absolute()))}?{how}", uri=True, isolation_level=None)
        except sqlite3.Error:
            continue
        with suppress(sqlite3.Error):
            db.execute("SELECT count(*) FROM incidents").fetchone()
            return db
        db.close()
    return sqlite3.connect(":memory:", isolation_level=None)


def set_aside(path: Path, at: datetime) -> Path:
    """Rename what stands there, with its log and index; the new name, which says when. Nothing is deleted."""
    aside = path.with_name(f"{path.name}.set-aside-{at:%Y%m%dT%H%M%SZ}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.set-aside-{at:%Y%m%dT%H%M%SZ}-{number}")
    for ending in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + ending).rename(aside.with_name(aside.name + ending))
    return aside


def copied(db: sqlite3.Connection, copy: Path) -> None:
    """All that an open file holds, in another; its own place need not exist any more. Raises sqlite3.Error, OSError."""
    copy.unlink(missing_ok=True)
    os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    db.execute("VACUUM INTO ?", (str(copy),))


def salvage(damaged: sqlite3.Connection, new: sqlite3.Connection) -> None:
    """Put into a new file what can be read of a damaged one: of each table the rows before the damage."""
    numbers: dict[str, int] = {}
    with suppress(sqlite3.Error):
        numbers = dict(damaged.execute("SELECT name, seq FROM sqlite_sequence").fetchall())
    for table in sorted(tables(new) - {"sqlite_sequence"}):
        names = ", ".join(_common(damaged, new, table))
        new.execute("BEGIN IMMEDIATE")
        with suppress(sqlite3.Error):
            for row in damaged.execute(f"SELECT {names} FROM {table}"):
                with suppress(sqlite3.IntegrityError):
                    new.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(row))})", row)
        new.execute("COMMIT")
    for table, last in numbers.items():  # no number is given twice
        new.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
        new.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, last))


def _common(old: sqlite3.Connection, new: sqlite3.Connection, table: str) -> list[str]:
    """The columns that both have; those of the new one where the old one does not say."""
    try:
        there = set(columns(old, table))
    except sqlite3.Error:
        there = set()
    return [name for name in columns(new, table) if not there or name in there]


def why_full(path: Path) -> str:
    """Why nothing can be written beside it; empty if it can, as far as can be told without writing."""
    try:
        there = os.statvfs(path.parent)
    except OSError as error:
        return reason(error)
    if there.f_flag & os.ST_RDONLY:
        return "its file system is read-only"
    return "its disk is full" if there.f_bavail * there.f_frsize < ROOM else ""


ROOM = 256 * 1024
"""Bytes; with less, the next messages may not be written down."""


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
    if path is not None and tables(db):
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
        missing = {table for table in tables(wanted) if not _columns(wanted, table) <= _columns(db, table)}
    wanted.close()
    if missing:
        names = ", ".join(sorted(missing))
        raise sqlite3.DatabaseError(
            f"a newer version of the watchdog (format {version_of(db)}) has changed {names}; use that version"
        )


def tables(db: sqlite3.Connection) -> set[str]:
    """The names of all tables."""
    return {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def columns(db: sqlite3.Connection, table: str) -> list[str]:
    """Those that are written; what is worked out from others is left out."""
    found = db.execute("SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0 ORDER BY cid", (table,))
    return [name for (name,) in found]


def _columns(db: sqlite3.Connection, table: str) -> set[str]:
    return {name for (name,) in db.execute("SELECT name FROM pragma_table_xinfo(?)", (table,))}


def _must_be_ours(db: sqlite3.Connection) -> None:
    """Refuses, before anything is written, a database that belongs to somebody else, such as the watched one."""
    there = tables(db)
    if there and "incidents" not in there:
        raise sqlite3.DatabaseError("it is a database of another program")


def reason(error: Exception) -> str:
    """What went wrong, without the path that is named beside it."""
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
