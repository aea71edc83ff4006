"""Reading somebody else's SQLite file without harm.

Opened read-only, read in one short transaction, closed, every time: a connection that is kept open would keep the
writer from tidying its log away at a clean stop, and a restored backup would then have the old log replayed over it.
All of it was measured; docs/sqlite.md tells what.
"""

import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote
from weakref import WeakValueDictionary

from watchdog.core.regular_file import what_it_is
from watchdog.systems.shared.unreadable import UnreadableError

T = TypeVar("T")

BUSY_TIMEOUT = 0.5
"""Seconds to wait for a writer that holds the file exclusively (rollback journal only)."""

ATTEMPTS = 4
"""How often a read is begun again because the file moved under it."""

LONGEST_READ = 3.0
"""Seconds; after that a read is cut off."""

STEPS = 20_000
"""How often a running statement asks whether its time is over, in steps of SQLite's machine; about each millisecond."""

CACHE_KIB = 256
"""What a read keeps of the file in memory while it lasts: most pages are looked at once."""

LONGEST_VALUE = 16 * 1024 * 1024
"""Bytes of one value; a longer one is not read at all."""

_RACY_NS = 20_000_000
"""A file that changed so shortly before the look may change again without a new time stamp: look once more."""

_TAKEN_NS = 10 * 10**9
"""For so long a commit in the log may not show yet: SQLite writes it there, waits until the disk has taken it, and only
then says so in the log's index, which leaves no time stamp. A busy disk takes seconds: till then, look once more."""

_WAL_VERSION_BYTE = 18
"""Offset in the file header of the write version: 2 means write-ahead log, 1 a rollback journal."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What changes whenever something is committed: (inode, size, mtime in ns) of the file and of its log. `at`: the ns
    at which it was asked for, while what was last written to the log may be no commit yet: it is like no other then."""

    main: tuple[int, int, int]
    wal: tuple[int, int, int] | None
    has_journal: bool
    at: int | None = None

    @property
    def newest_ns(self) -> int:
        """The later of the two time stamps."""
        return max(self.main[2], self.wal[2] if self.wal else 0)

    @property
    def size(self) -> int:
        """Bytes of both."""
        return self.main[1] + (self.wal[1] if self.wal else 0)

    @property
    def has_log(self) -> bool:
        """Whether there is a write-ahead log with something in it."""
        return self.wal is not None and self.wal[1] > 0


def signature(path: Path) -> Signature:
    """The file's signature now; 6 µs. Raises UnreadableError if the file is not there or not to be reached."""
    try:
        main = os.stat(path)  # noqa: PTH116 - asked at every poll, and three times as fast
    except OSError as error:
        raise UnreadableError(_why_not_there(path, error)) from None
    except ValueError:
        raise UnreadableError(f"{path!s:.200} is not a path") from None
    if not stat.S_ISREG(main.st_mode):
        raise UnreadableError(f"{path} is {'a folder' if stat.S_ISDIR(main.st_mode) else 'not a file'}")
    _beside(f"{path}-shm")
    wal, now = _beside(f"{path}-wal"), time.time_ns()
    at = now if wal is not None and wal[1] and now - wal[2] <= _TAKEN_NS else None
    return Signature(_marks(main), wal, _beside(f"{path}-journal") is not None, at)


def signature_if_there(path: Path) -> Signature | None:
    """The same; None where there is nothing that could be read."""
    try:
        return signature(path)
    except UnreadableError:
        return None


def _beside(path: str) -> tuple[int, int, int] | None:
    """The marks of a file that SQLite would open by itself; anything but a file could hold it up for ever."""
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):
        raise UnreadableError(f"{path} is {what_it_is(found)}, where SQLite keeps a file of its own")
    return _marks(found)


def is_settled(seen: Signature) -> bool:
    """Whether a later commit is sure to show. File time stamps are coarse, so a brand new one is not trusted."""
    return seen.at is None and time.time_ns() - seen.newest_ns > _RACY_NS


def read(
    path: Path, query: Callable[[sqlite3.Connection], T], longest: float | None = LONGEST_READ
) -> tuple[T, Signature]:
    """What `query` reads in one transaction, and the signature of the state that it read. `longest`: seconds.

    Raises UnreadableError with the reason. `query` must fetch all its rows: a cursor left half-read makes the log grow.
    """
    ends = None if longest is None else time.monotonic() + longest
    for _ in range(ATTEMPTS):
        before = signature(path)
        if before.main[1] == 0 and not before.has_log:
            raise UnreadableError(f"{path} is empty: was it created by mistake, or is it being restored?")
        uri, is_immutable = _address(path, before)
        try:
            answer = _query(uri, query, ends, before.size)
        except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
            if is_immutable and signature(path) != before:
                continue
            raise UnreadableError(explain(path, error)) from error
        if not is_immutable or signature(path) == before:
            return answer, before
    raise UnreadableError(
        f"{path} changes faster than it can be read; it has no write-ahead log (is a copy being written?)"
    )


class Connection(sqlite3.Connection):
    """The connection of one read. `size`: bytes of the file and its log; `columns`: of the tables asked for so far."""

    size = 0

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.columns: dict[str, list[str]] = {}


def _query(uri: str, query: Callable[[sqlite3.Connection], T], ends: float | None, size: int) -> T:
    try:
        return _queried(uri, query, str, ends, size)
    except sqlite3.OperationalError as error:
        if hasattr(error, "sqlite_errorcode"):
            raise
        # not SQLite's error but its binding's: text that is not UTF-8, which must not lose the row
        return _queried(uri, query, _lenient, ends, size)


def _lenient(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _queried(
    uri: str,
    query: Callable[[sqlite3.Connection], T],
    text_factory: Callable[[bytes], str],
    ends: float | None,
    size: int,
) -> T:
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT, isolation_level=None, factory=Connection)
    try:
        connection.size = size
        connection.text_factory = text_factory
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE)
        if ends is not None:
            connection.set_progress_handler(lambda: time.monotonic() > ends, STEPS)
        connection.execute("BEGIN")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        return query(connection)
    finally:
        connection.close()


def _address(path: Path, seen: Signature) -> tuple[str, bool]:
    """How to open the file. Without a log `mode=ro` would create one, and leave it; with one, `immutable` would miss
    what stands in it; and a rollback journal needs the locks that `immutable` leaves out."""
    is_immutable = not seen.has_log and not seen.has_journal and _is_wal_file(path, seen.main)
    return f"file:{quote(os.fsencode(path.absolute()))}?{'immutable=1' if is_immutable else 'mode=ro'}", is_immutable


def undisturbed(inode: int) -> threading.Lock:
    """Held while a file is written, or opened beside SQLite: closing any descriptor of it lets go of every lock that
    this process has on it, those of a write too. One for each file, for a write may hang."""
    with _LOOKING_UP:
        return _UNDISTURBED.setdefault(inode, threading.Lock())


_UNDISTURBED: WeakValueDictionary[int, threading.Lock] = WeakValueDictionary()
_LOOKING_UP = threading.Lock()


@lru_cache(maxsize=2048)
def _is_wal_file(path: Path, marks: tuple[int, int, int]) -> bool:
    """Whether its header says so, as long as these are its marks: a new database is put into WAL mode after it was
    made, and may be put back."""
    try:
        with undisturbed(marks[0]):
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                header = os.pread(descriptor, 1, _WAL_VERSION_BYTE)
            finally:
                os.close(descriptor)
    except OSError as error:
        raise UnreadableError(_why_not_there(path, error)) from None
    return header == b"\2"


def _marks(found: os.stat_result) -> tuple[int, int, int]:
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def _marks_of(path: str) -> tuple[int, int, int] | None:
    try:
        return _marks(os.stat(path))  # noqa: PTH116
    except OSError:
        return None


def _why_not_there(path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        parent = path.parent
        return f"{path} is not there" if parent.is_dir() else f"{path} is not there: the folder {parent} is missing"
    if isinstance(error, PermissionError):
        return f"{path} may not be read by user {os.geteuid()}: run the watchdog as the scheduler's user"
    return f"{path}: {error.strerror or error}"


def explain(path: Path, error: sqlite3.Error | OSError | UnicodeDecodeError) -> str:
    """One line that says why the file cannot be read. Goes by SQLite's result code, not by its words."""
    if isinstance(error, OSError):
        return _why_not_there(path, error)
    if isinstance(error, UnicodeDecodeError):
        return f"{path}: {_WORDS[sqlite3.SQLITE_CORRUPT]}"
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_CANTOPEN:
        return _why_no_open(path)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return f"{path} is locked: its writer holds it exclusively, or crashed in the middle of a write"
    if code == sqlite3.SQLITE_INTERRUPT:
        return f"{path}: reading it took longer than {LONGEST_READ:g} s and was cut off; is it far larger than usual?"
    return f"{path}: {_WORDS.get(code, error)}"


_WORDS = {
    sqlite3.SQLITE_CORRUPT: "the file is damaged or cut short (SQLITE_CORRUPT); is a copy still being written?",
    sqlite3.SQLITE_NOTADB: "not an SQLite database (SQLITE_NOTADB)",
    sqlite3.SQLITE_IOERR: "reading failed (SQLITE_IOERR); is the disk well?",
    sqlite3.SQLITE_READONLY: "its log needs recovery and this user may not write there (SQLITE_READONLY)",
    sqlite3.SQLITE_PERM: "access denied (SQLITE_PERM)",
    sqlite3.SQLITE_TOOBIG: f"a value in it is larger than {LONGEST_VALUE >> 20} MiB (SQLITE_TOOBIG)",
}


def _why_no_open(path: Path) -> str:
    if not os.access(path, os.R_OK):
        return _why_not_there(path, PermissionError())
    if _marks_of(f"{path}-wal") and not _marks_of(f"{path}-shm"):
        return (
            f"{path} has a log (-wal) without its index (-shm) and user {os.geteuid()} may not write in {path.parent}: "
            "mount the whole folder, or run as the scheduler's user"
        )
    return f"{path} cannot be opened: its log or folder is not accessible to user {os.geteuid()}"


def harm(path: Path) -> str | None:
    """Why reading as this user could harm the writer; None if it cannot.

    As another user in a writable folder, SQLite's read-only mode still creates `-shm` and `-wal`, owned by the reader;
    the writer's next write then fails. For root, SQLite gives such files to the database's owner.
    """
    try:
        owner = path.stat().st_uid
    except OSError:
        return None
    if os.geteuid() in (0, owner) or not os.access(path.parent, os.W_OK):
        return None
    return (
        f"user {os.geteuid()} reads {path}, which belongs to user {owner}, in a folder that it may write to: SQLite "
        "could create log files there that the scheduler cannot write; mount the folder read-only or run as its user"
    )


def columns_of(connection: sqlite3.Connection, table: str) -> list[str]:
    """The names of a table's columns, in their order; none if there is no such table.

    A view is none: what stands behind it may never end. Nor is a virtual table, which is a program of its own.
    """
    if not isinstance(connection, Connection):
        return _asked_for(connection, table)
    if table not in connection.columns:
        connection.columns[table] = _asked_for(connection, table)
    return connection.columns[table]


def _asked_for(connection: sqlite3.Connection, table: str) -> list[str]:
    found = connection.execute(_MADE_BY, (table,)).fetchall()
    if not found:
        return []
    made_by = str(found[0][0])
    names = _COLUMNS.get(made_by)
    if names is None:
        names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})").fetchall()]
        if len(_COLUMNS) < _MOST_KNOWN and len(made_by) <= _LONGEST_KNOWN:
            _COLUMNS[made_by] = names
    return names


def has_row_numbers(connection: sqlite3.Connection, table: str) -> bool:
    """Whether the rows of a table, which is there, are numbered as they are made, by SQLite and nobody else."""
    try:
        connection.execute(f"SELECT rowid FROM {table} LIMIT 0")  # noqa: S608
    except sqlite3.OperationalError:  # WITHOUT ROWID
        return False
    return not any(column.lower() == "rowid" for column in columns_of(connection, table))


def is_another_thing(connection: sqlite3.Connection, table: str) -> bool:
    """Whether what has a table's name is none, such as a view: that is not read, for it may be without end."""
    found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ? COLLATE NOCASE LIMIT 1", (table,))
    return found.fetchone() is not None and not columns_of(connection, table)


_MADE_BY = "SELECT sql FROM sqlite_master WHERE type = 'table' AND rootpage > 0 AND name = ? COLLATE NOCASE"

_COLUMNS: dict[str, list[str]] = {}
"""By the statement that made a table, which says all its columns."""

_MOST_KNOWN, _LONGEST_KNOWN = 200, 10_000
"""Statements, and characters of one: more than the tables of any scheduler need."""
