"""The watchdog's own durable state: incidents, who was told, what is still to be sent, acknowledgements, silences.

One SQLite file, written by one service. The command line writes acknowledgements and silences into tables of their own,
so neither can lose what the other wrote.
"""

import contextlib
import fcntl
import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from watchdog.core.incident import Incident, Ledger, Told, ToldKey
from watchdog.core.instants import iso, iso_or_none, parse_instant
from watchdog.core.message import Entry, State
from watchdog.core.silences import Silence
from watchdog.state.incident_codec import decode_incident, decode_told, encode_incident, encode_told

VERSION = 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS incidents (
    id INTEGER PRIMARY KEY, is_open INTEGER NOT NULL, changed_at TEXT NOT NULL, document TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS incidents_open ON incidents (is_open) WHERE is_open = 1;
CREATE TABLE IF NOT EXISTS told (
    incident_id INTEGER NOT NULL, target TEXT NOT NULL, document TEXT NOT NULL, PRIMARY KEY (incident_id, target)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, created_at TEXT NOT NULL, incident_id INTEGER, event TEXT NOT NULL,
    target TEXT NOT NULL, message TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    not_before TEXT NOT NULL, started_at TEXT, settled_at TEXT, error TEXT, crashes INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS outbox_waiting ON outbox (state) WHERE state IN ('waiting', 'sending');
CREATE TABLE IF NOT EXISTS acknowledgements (
    incident_id INTEGER PRIMARY KEY, at TEXT NOT NULL, by TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS silences (
    id INTEGER PRIMARY KEY AUTOINCREMENT, match TEXT NOT NULL, starts_at TEXT NOT NULL, ends_at TEXT NOT NULL,
    by TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS alerts (
    channel TEXT NOT NULL, fingerprint TEXT NOT NULL, document TEXT NOT NULL, PRIMARY KEY (channel, fingerprint)
) WITHOUT ROWID;
"""

LOCK_PATIENCE = 1.0
"""Seconds for which a start waits for the lock of the watchdog before it."""

KEPT_INCIDENTS = 1000
"""Resolved incidents, and settled messages of them, that are kept for looking back."""


class StoreError(Exception):
    """The state file cannot be used; one line."""


class Store:
    """The open state file. With no path it is kept in memory, and lost at the end."""

    def __init__(self, path: Path | None, *, exclusive: bool = True) -> None:
        self.path = path
        self._lock = _locked(path) if path and exclusive else None
        try:
            self._db = _opened(path)
        except (sqlite3.Error, OSError) as error:
            self.close_lock()
            raise StoreError(f"the state file {path} cannot be used: {_reason(error)}") from None
        self._version = -1

    @property
    def database(self) -> sqlite3.Connection:
        """For those who keep tables of their own in the same file, and write in the same transaction."""
        return self._db

    def close(self) -> None:
        """Give the file back."""
        self._db.close()
        self.close_lock()

    def close_lock(self) -> None:
        """Let another service have it."""
        if self._lock:
            self._lock.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def has_changed(self) -> bool:
        """Whether somebody else, such as the command line, has written since this was last asked."""
        (version,) = self._db.execute("PRAGMA data_version").fetchone()
        before, self._version = self._version, version
        return bool(version != before)

    # incidents and who was told

    def ledger(self) -> Ledger:
        """The incidents that matter still: the open ones and those that may come back."""
        rows = self._db.execute("SELECT document FROM incidents ORDER BY id DESC LIMIT ?", (KEPT_INCIDENTS,)).fetchall()
        rows += self._db.execute(
            "SELECT document FROM incidents WHERE is_open = 1 AND id <= (SELECT max(id) FROM incidents) - ?",
            (KEPT_INCIDENTS,),
        ).fetchall()
        incidents = sorted((decode_incident(json.loads(row[0])) for row in rows), key=lambda incident: incident.id)
        (last,) = self._db.execute("SELECT coalesce(max(id), 0) FROM incidents").fetchone()
        return Ledger({incident.id: incident for incident in incidents}, last + 1)

    def save_incidents(self, incidents: Iterable[Incident]) -> None:
        """Write down what has changed."""
        self._db.executemany(
            "INSERT INTO incidents (id, is_open, changed_at, document) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE "
            "SET is_open = excluded.is_open, changed_at = excluded.changed_at, document = excluded.document",
            [(i.id, int(i.is_open), iso(i.changed_at), json.dumps(encode_incident(i))) for i in incidents],
        )

    def told(self) -> dict[ToldKey, Told]:
        """Who has been told what."""
        rows = self._db.execute("SELECT incident_id, target, document FROM told").fetchall()
        return {(incident, target): decode_told(json.loads(document)) for incident, target, document in rows}

    def save_told(self, told: Mapping[ToldKey, Told]) -> None:
        """Write down who is told what."""
        self._db.executemany(
            "INSERT OR REPLACE INTO told (incident_id, target, document) VALUES (?, ?, ?)",
            [(incident, target, json.dumps(encode_told(state))) for (incident, target), state in told.items()],
        )

    def tidy(self) -> None:
        """Forget the oldest of what is over."""
        (oldest,) = self._db.execute("SELECT coalesce(max(id), 0) - ? FROM incidents", (KEPT_INCIDENTS,)).fetchone()
        self._db.execute("DELETE FROM incidents WHERE id <= ? AND is_open = 0", (oldest,))
        self._db.execute("DELETE FROM told WHERE incident_id NOT IN (SELECT id FROM incidents)")
        self._db.execute(
            "DELETE FROM outbox WHERE state NOT IN ('waiting', 'sending') AND id <= "
            "(SELECT coalesce(max(id), 0) - ? FROM outbox)",
            (10 * KEPT_INCIDENTS,),
        )

    # the outbox

    def add_entries(self, entries: Iterable[Entry]) -> None:
        """Write messages down before they are sent."""
        self._db.executemany(
            "INSERT INTO outbox (created_at, incident_id, event, target, message, state, not_before) "
            "VALUES (?, ?, ?, ?, ?, 'waiting', ?)",
            [
                (iso(e.created_at), e.incident_id, e.event, e.target, json.dumps(e.message), iso(e.not_before))
                for e in entries
            ],
        )

    def waiting(self) -> list[Entry]:
        """What is not settled yet, oldest first."""
        rows = self._db.execute(
            f"SELECT {_ENTRY} FROM outbox WHERE state IN ('waiting', 'sending') ORDER BY id"  # noqa: S608
        ).fetchall()
        return [_entry(row) for row in rows]

    def untold(self) -> list[Entry]:
        """The newest messages that have not arrived: those on their way, and those that were given up."""
        rows = self._db.execute(
            f"SELECT {_ENTRY} FROM outbox WHERE state <> 'sent' ORDER BY id DESC LIMIT 500"  # noqa: S608
        ).fetchall()
        return [_entry(row) for row in reversed(rows)]

    def entries(self, incident_id: int) -> list[Entry]:
        """All messages of an incident, oldest first."""
        rows = self._db.execute(
            f"SELECT {_ENTRY} FROM outbox WHERE incident_id = ? ORDER BY id",  # noqa: S608
            (incident_id,),
        ).fetchall()
        return [_entry(row) for row in rows]

    def save_entry(self, entry: Entry) -> None:
        """Write down what has become of a message."""
        self._db.execute(
            "UPDATE outbox SET state = ?, attempts = ?, not_before = ?, started_at = ?, settled_at = ?, error = ?, "
            "crashes = ? WHERE id = ?",
            (
                entry.state.value,
                entry.attempts,
                iso(entry.not_before),
                iso_or_none(entry.started_at),
                iso_or_none(entry.settled_at),
                entry.error,
                entry.crashes,
                entry.id,
            ),
        )

    # what people say

    def acknowledge(self, incident_id: int, at: datetime, by: str) -> None:
        """Somebody has taken it on."""
        self._db.execute(
            "INSERT OR REPLACE INTO acknowledgements (incident_id, at, by) VALUES (?, ?, ?)",
            (incident_id, iso(at), by),
        )

    def acknowledgements(self) -> dict[int, tuple[datetime, str]]:
        """When and by whom incidents were acknowledged."""
        rows = self._db.execute("SELECT incident_id, at, by FROM acknowledgements").fetchall()
        return {incident: (parse_instant(at), by) for incident, at, by in rows}

    def add_silence(self, silence: Silence) -> int:
        """Keep quiet about what matches; the silence's number."""
        row = (silence.match, iso(silence.starts_at), iso(silence.ends_at), silence.by)
        cursor = self._db.execute("INSERT INTO silences (match, starts_at, ends_at, by) VALUES (?, ?, ?, ?)", row)
        return int(cursor.lastrowid or 0)

    def end_silence(self, number: int, at: datetime) -> bool:
        """End a silence now; whether there was one that had not ended."""
        cursor = self._db.execute(
            "UPDATE silences SET ends_at = ? WHERE id = ? AND ends_at > ?", (iso(at), number, iso(at))
        )
        return cursor.rowcount > 0

    def silences(self, at: datetime) -> list[Silence]:
        """Those that have not ended."""
        rows = self._db.execute("SELECT id, match, starts_at, ends_at, by FROM silences ORDER BY id").fetchall()
        known = [Silence(n, match, parse_instant(start), parse_instant(end), by) for n, match, start, end, by in rows]
        return [silence for silence in known if silence.ends_at > at]

    # alerts that a channel is told again and again while they fire

    def alerts(self, channel: str) -> dict[str, dict[str, Any]]:
        """What was last posted to the channel, by fingerprint."""
        rows = self._db.execute("SELECT fingerprint, document FROM alerts WHERE channel = ?", (channel,)).fetchall()
        return {fingerprint: json.loads(document) for fingerprint, document in rows}

    def save_alerts(self, channel: str, alerts: Mapping[str, Mapping[str, Any] | None]) -> None:
        """Write down what is posted; None forgets an alert."""
        for fingerprint, document in alerts.items():
            if document is None:
                self._db.execute("DELETE FROM alerts WHERE channel = ? AND fingerprint = ?", (channel, fingerprint))
            else:
                self._db.execute(
                    "INSERT OR REPLACE INTO alerts (channel, fingerprint, document) VALUES (?, ?, ?)",
                    (channel, fingerprint, json.dumps(document)),
                )


_ENTRY = (
    "id, created_at, incident_id, event, target, message, state, attempts, not_before, started_at, settled_at, error, "
    "crashes"
)


def _entry(row: tuple[Any, ...]) -> Entry:
    id_, created, incident, event, target, message, state, attempts, not_before, started, settled, error, crashes = row
    return Entry(
        created_at=parse_instant(created),
        incident_id=incident,
        event=event,
        target=target,
        message=json.loads(message),
        not_before=parse_instant(not_before),
        id=id_,
        state=State(state),
        attempts=attempts,
        started_at=parse_instant(started) if started else None,
        settled_at=parse_instant(settled) if settled else None,
        error=error,
        crashes=crashes,
    )


def _locked(path: Path) -> IO[bytes]:
    """A lock that ends with the process, however that ends."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = path.with_name(path.name + ".lock").open("ab")
    except OSError as error:
        raise StoreError(f"the state file {path} cannot be used: {_reason(error)}; set `state:`") from None
    if not _has(lock):
        lock.close()
        raise StoreError(f"the state file {path} is in use by another watchdog; give each its own `state:`")
    return lock


def _has(lock: IO[bytes]) -> bool:
    """Whether the lock can be had. One that was killed a moment ago may leave it to a process that it was starting,
    until that has become what it was started for."""
    end = time.monotonic() + LOCK_PATIENCE
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            if time.monotonic() >= end:
                return False
            time.sleep(0.02)


def _opened(path: Path | None) -> sqlite3.Connection:
    if path is not None and not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    db = sqlite3.connect(path or ":memory:", isolation_level=None, timeout=5, check_same_thread=False)
    try:
        _is_ours(db)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise sqlite3.DatabaseError(f"it was written by a newer version of the watchdog (format {version})")
        db.executescript(_SCHEMA)
        if version != VERSION:  # written only once: a file that somebody else is writing to can be opened all the same
            db.execute(f"PRAGMA user_version = {VERSION}")
    except sqlite3.Error:
        db.close()
        raise
    return db


def _is_ours(db: sqlite3.Connection) -> None:
    """Refuses, before anything is written, a database that belongs to somebody else, such as the watched one."""
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and "incidents" not in tables:
        raise sqlite3.DatabaseError("it is a database of another program")


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
