"""The watchdog's own durable state: incidents, who was told, what is still to be sent, what people said.

One SQLite file, written by one service. The command line writes acknowledgements and silences into tables of their own,
so neither can lose what the other wrote.
"""

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from watchdog.core.incident import Handover, Incident, Ledger, Told, ToldKey
from watchdog.core.instants import iso, iso_or_none, parse_instant
from watchdog.core.logs import log
from watchdog.core.message import Entry, State, numbered
from watchdog.core.silences import Silence
from watchdog.state import opening, refuge, retention
from watchdog.state.documents import (
    Document,
    carried,
    has_more,
    merged_incident,
    parsed,
    read_incident,
    readable,
    text_of,
    write_incidents,
    written,
)
from watchdog.state.opening import StoreError
from watchdog.state.retention import KEPT_AUDIT, KEPT_INCIDENTS
from watchdog.state.schema import VERSION
from watchdog.state.watched import Watched

T = TypeVar("T")

Decoded = dict[int, tuple[int, Incident | None]]
"""Incidents that were read before, each with what tells whether its document is still the same."""


TRY_AGAIN = 60.0
"""Seconds between two attempts to bring an older file up to date: each copies it."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change that somebody made over HTTP."""

    id: int
    at: datetime
    by: str
    address: str
    what: str


class Store:
    """The open state file. With no path it is in memory, and lost at the end; `trouble`: why, if nobody wished it."""

    def __init__(self, path: Path | None, *, exclusive: bool = True, trouble: str = "") -> None:
        self.path = path
        self._lock = opening.locked(path) if path and exclusive else None
        self._problem, self._try_again_at = "", 0.0
        self._trouble, self._is_damaged, self._why_no_file = "", False, trouble
        self._full: str | None = None
        self._refuge = ""
        self._file: sqlite3.Connection | None = None
        self._losses, self._mended = 0, ""
        self._marks: opening.Marks | None = None
        self._watched: tuple[opening.Marks | None, Watched] | None = None
        self._was_odd = False
        self._version = -1
        self._more: dict[int, Document] = {}
        self._tidied_at: datetime | None = None
        self._is_behind = False
        self._connection: sqlite3.Connection = sqlite3.connect(":memory:")
        try:
            self._connection = self._opened()
            self._marks = opening.marks(path)
            self._take_as_it_is()
        except (sqlite3.Error, OSError) as error:
            if not self._begin_in_memory(error):
                self.close()
                raise StoreError(f"the state file {path} cannot be used: {opening.reason(error)}") from None

    @property
    def _patience(self) -> float:
        return opening.BUSY_MS / 1000 if self._lock else opening.PATIENCE

    def _begin_in_memory(self, error: Exception) -> bool:
        """Where the disk is full or read-only now, the service begins with what can be read, and writes it later."""
        if self.path is None or not self._lock or not opening.may_pass(error, self.path):
            return False
        self._trouble = opening.reason(error)
        self._connection.close()
        self._connection = read = opening.readable(self.path)
        self._go_into_memory()
        read.close()
        return True

    def _opened(self) -> sqlite3.Connection:
        """The file; one that cannot be read is set aside by the service, which begins anew."""
        if not self._lock and refuge.of(self.path):
            self._refuge = refuge.of(self.path)
            return refuge.entered(self._refuge)
        try:
            return opening.opened(self.path, self._patience)
        except sqlite3.DatabaseError as error:
            if self.path is None or not self._lock or not opening.is_damage(error):
                raise
            self._set_aside(opening.reason(error))
            return opening.opened(self.path, self._patience)

    def _set_aside(self, why: str) -> None:
        assert self.path is not None  # noqa: S101
        aside = opening.set_aside(self.path, datetime.now(UTC))
        self._mended = f"was not the watchdog's any more ({why}): it is set aside as {aside.name}"
        log.error(f"the state file {self.path} {self._mended}", extra={"action": "state"})

    def _take_as_it_is(self) -> None:
        """Bring an older file up to date, if this is who may; where that cannot be done now it is done later."""
        version = opening.version_of(self._db)
        self._is_behind = version < VERSION
        if version > VERSION:
            opening.must_have_all(self._db)
            if self._lock:
                words = f"the state file {self.path} is a newer version's: what this one does not know is left as it is"
                log.warning(words, extra={"action": "state"})
        elif self._is_behind and (self._lock or self.path is None):
            self._bring_up_to_date(must=version == 0)
        elif self._is_behind and self.path is not None:
            opening.bring_up_to_date_if_free(self._db, self.path)
            self._is_behind = opening.is_behind(self._db)

    def _bring_up_to_date(self, *, must: bool = False) -> None:
        try:
            opening.bring_up_to_date(self._db, self.path)
        except (sqlite3.Error, OSError) as error:
            if must:
                raise
            if opening.reason(error) != self._problem:
                self._problem = opening.reason(error)
                words = f"the state file {self.path} cannot be brought to format {VERSION} now: {self._problem}"
                log.error(f"{words}; it is tried again, and until then nothing is recovered", extra={"action": "state"})
        else:
            self._is_behind = False

    @property
    def database(self) -> sqlite3.Connection:
        """For the other modules of the state file, which write in the same transaction."""
        return self._db

    @property
    def _db(self) -> sqlite3.Connection:
        """The connection. Whoever does not own the file goes on in the one that its owner has put in its place."""
        if self.path is not None and not self._lock and not self._connection.in_transaction:
            self._follow()
        return self._connection

    def _follow(self) -> None:
        assert self.path is not None  # noqa: S101
        taken = refuge.of(self.path)
        there = None if taken else opening.marks(self.path)
        if taken != self._refuge or (there is not None and there != self._marks):
            self._reopen()

    def must_have_stayed(self) -> None:
        """Raises sqlite3.OperationalError if the state has moved while something was written where it was."""
        if self.path is None or (self._lock and self._refuge == refuge.of(self.path)):
            return
        if refuge.of(self.path) != self._refuge or (not self._refuge and opening.marks(self.path) != self._marks):
            raise sqlite3.OperationalError("the state has just moved; it is to be written once more")

    # the file itself

    @property
    def problem(self) -> str:
        """Why nothing can be written down now; empty where all is well."""
        return self._why_no_file or self._trouble or (self._why_full() if self._full is None else self._full)

    def _why_full(self) -> str:
        return opening.why_full(self.path) if self.path else ""

    @property
    def is_in_memory(self) -> bool:
        """Whether the state goes on in memory alone, since its file cannot be written: the end would forget it."""
        return bool(refuge.of(self.path))

    @property
    def losses(self) -> int:
        """How often a part of what was written may have been lost: whoever knows better writes it down once more."""
        return self._losses

    def mended(self) -> str:
        """What had to be done to the file since this was last asked, for people; empty if nothing."""
        mended, self._mended = self._mended, ""
        return mended

    def look_after(self) -> None:
        """See to it that the file is where it belongs: put back if it was deleted or replaced, begun anew with all that
        can be read of it where it is damaged. While that cannot be done, or nothing can be written, the state goes
        on in memory; `problem` says why. For its owner.
        """
        if self.path is None or self._lock is None or self._connection.in_transaction:
            return
        self._full = self._why_full()
        if self._refuge:
            self._try_to_leave()
            return
        try:
            self._put_right()
        except (sqlite3.Error, OSError) as error:
            self._trouble = opening.reason(error)
        if self._trouble:
            self.take_refuge()

    def _put_right(self) -> None:
        there = opening.marks(self.path)
        if there != self._marks:
            self._put_back(is_replaced=there is not None)
        elif self._is_damaged or self._looks_damaged():
            self._begin_anew()

    def take_refuge(self) -> bool:
        """Go on in memory after something could not be written; whether that is so now. For its owner."""
        if self.path is None or self._lock is None or self._refuge or not self._trouble:
            return False
        self._file = self._connection
        self._go_into_memory()
        return True

    def _go_into_memory(self) -> None:
        assert self.path is not None  # noqa: S101
        log.error(
            f"the state file {self.path} cannot be written: {self._trouble}; the state goes on in memory until it can",
            extra={"action": "state"},
        )
        self._connection = refuge.taken(self.path, self._connection)
        self._refuge = refuge.of(self.path)
        self._losses += self._is_damaged
        self._version = -1

    def _try_to_leave(self) -> None:
        """Put what has changed meanwhile into the file, where that can be done by now."""
        assert self.path is not None  # noqa: S101
        try:
            self._leave(self.path)
        except (sqlite3.Error, OSError) as error:
            self._trouble = opening.reason(error)
            # what is ours and has lost a table is not ours any more
            self._is_damaged = self._is_damaged or opening.is_damage(error) or opening.lacks_something(error)
        else:
            log.info(f"the state file {self.path} can be written again: nothing is lost", extra={"action": "state"})

    def _leave(self, path: Path) -> None:
        if self._file is None and not self._is_damaged and path.is_file():
            self._file = opening.opened(path, self._patience)
            self._marks = opening.marks(path)
            if opening.is_behind(self._file):
                opening.bring_up_to_date(self._file, path)
        there = opening.marks(path)
        is_same = self._file is not None and there == self._marks and not self._is_damaged
        if not is_same or self._looks_damaged():
            self._write_anew(path, is_there=there is not None)
            return
        assert self._file is not None  # noqa: S101
        self._file.execute("PRAGMA busy_timeout = 100")
        refuge.put_back(path, self._connection, self._file)
        self._file.execute(f"PRAGMA busy_timeout = {opening.BUSY_MS}")
        self._return_to(self._file)

    def _write_anew(self, path: Path, *, is_there: bool) -> None:
        """Another file, or none, is where ours was: all of it is written there."""
        self._keep_lock(path)
        copy = path.with_name(f"{path.name}.put-back")
        copy.unlink(missing_ok=True)
        with contextlib.closing(opening.opened(copy)) as new:
            opening.bring_up_to_date(new, None)
            self._connection.execute("BEGIN IMMEDIATE")  # others wait, and then learn that it has moved
            opening.salvage(self._connection, new)
            new.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            new.execute("PRAGMA journal_mode = DELETE").fetchall()
        if is_there:
            self._set_aside(self._trouble)
        self._mended = f"{f'{self._mended}, and ' if self._mended else 'was gone: it '}is written again from memory"
        copy.replace(path)
        if self._file is not None:
            self._file.close()
        refuge.left(path)
        self._return_to(opening.opened(path, self._patience))

    def _return_to(self, file: sqlite3.Connection) -> None:
        memory, self._connection, self._file, self._refuge = self._connection, file, None, ""
        memory.close()
        self._marks = opening.marks(self.path)
        self._version, self._trouble, self._is_damaged, self._was_odd = -1, "", False, False

    def _looks_damaged(self) -> bool:
        """Whether somebody else has written into the file or cut it: SQLite goes on from what it remembers of it. Seen
        twice, for others may write between what is read of it."""
        assert self.path is not None  # noqa: S101
        if self._watched is None or self._watched[0] != self._marks:
            self._watched = (self._marks, Watched(self.path))
        before, self._was_odd = self._was_odd, self._watched[1].is_odd()
        if before and self._was_odd:
            self._trouble = "it was overwritten or cut short"
        return before and self._was_odd

    def _put_back(self, *, is_replaced: bool) -> None:
        """The open file has lost its name, and holds all that was written: it is written there again."""
        assert self.path is not None  # noqa: S101
        self._keep_lock(self.path)
        copy = self.path.with_name(f"{self.path.name}.put-back")
        opening.copied(self._connection, copy)
        self._connection.close()
        if is_replaced:
            self._set_aside("another file had taken its place")
        for ending in ("-wal", "-shm"):
            self.path.with_name(self.path.name + ending).unlink(missing_ok=True)
        copy.replace(self.path)
        self._reopen()
        self._mended = f"{f'{self._mended}, and ' if self._mended else 'was gone: it '}is put back as it was"
        log.error(f"the state file {self.path} {self._mended}", extra={"action": "state"})

    def _keep_lock(self, path: Path) -> None:
        """The folder may have gone with all that was in it, and somebody may have made it anew. Raises OSError."""
        assert self._lock is not None  # noqa: S101
        held = os.fstat(self._lock.fileno())
        if opening.marks(opening.lock_of(path)) == (held.st_dev, held.st_ino):
            return
        try:
            new = opening.locked(path)
        except StoreError as error:
            raise OSError(str(error)) from None
        self._lock.close()
        self._lock = new

    def _begin_anew(self) -> None:
        damaged, why = self._connection, self._trouble
        self._set_aside(why)
        self._connection = opening.opened(self.path, self._patience)
        self._take_as_it_is()
        opening.salvage(damaged, self._connection)
        damaged.close()
        self._losses += 1
        self._marks = opening.marks(self.path)
        self._version, self._trouble, self._is_damaged, self._was_odd = -1, "", False, False

    def _reopen(self) -> None:
        taken = refuge.of(self.path) if not self._lock else ""
        try:
            new = refuge.entered(taken) if taken else opening.opened(self.path, self._patience)
        except OSError as error:
            raise sqlite3.OperationalError(opening.reason(error)) from None
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()
        self._connection, self._refuge = new, taken
        self._marks = opening.marks(self.path)
        self._version = -1
        self._trouble, self._is_damaged = "", False

    def _note(self, error: sqlite3.Error) -> None:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if self._refuge or code == sqlite3.SQLITE_CONSTRAINT:
            return
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            self._trouble = "another program keeps it locked" if self._lock else ""
        else:
            self._trouble, self._is_damaged = opening.reason(error), opening.is_damage(error)

    def close(self) -> None:
        """Give the file back; what is only in memory is written if that can be done now."""
        if self._refuge and self._lock and self.path is not None:
            self._try_to_leave()
            refuge.left(self.path)
        for each in (self._connection, self._file):
            if each is not None:
                each.close()
        if self._watched is not None:
            self._watched[1].close()
            self._watched = None
        self.close_lock()

    def close_lock(self) -> None:
        """Let another service have it."""
        if self._lock:
            self._lock.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing."""
        if self._is_behind and self._lock and time.monotonic() >= self._try_again_at:
            self._try_again_at = time.monotonic() + TRY_AGAIN
            self._bring_up_to_date()
        try:
            self._begin()
            try:
                yield
            except BaseException:
                if self._db.in_transaction:  # SQLite itself has rolled back where the disk is full
                    self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
            self.must_have_stayed()
        except sqlite3.Error as error:
            self._note(error)
            raise
        if not self._refuge:
            self._trouble, self._is_damaged = "", False

    def _begin(self) -> None:
        """Begin to write; where that cannot be done in the file, in memory."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            if not self.give_way(error):
                raise
            self._db.execute("BEGIN IMMEDIATE")

    def give_way(self, error: sqlite3.Error) -> bool:
        """Go on in memory after this came of writing; whether it is worth trying again. For its owner."""
        self._note(error)
        return self.take_refuge()

    def has_changed(self) -> bool:
        """Whether somebody else, such as the command line, has written since this was last asked."""
        (version,) = self._db.execute("PRAGMA data_version").fetchone()
        before, self._version = self._version, version
        return bool(version != before)

    @property
    def mark(self) -> tuple[int, int, int]:
        """Changes with what is written here, and with what others have written once `has_changed` is asked."""
        return (self._version, self._db.total_changes, self._losses)

    def tidy(self, now: datetime | None = None) -> None:
        """Forget some of the oldest of what is over; with `now` also what is too old, which is looked for once an hour.

        In the caller's transaction, and so little at a time that no turn is held up.
        """
        retention.forget_surplus(self._db)
        if now is not None and (self._tidied_at is None or abs(now - self._tidied_at) >= timedelta(hours=1)):
            is_all = retention.forget_old(self._db, now)
            self._tidied_at = now if is_all else None

    # incidents and who was told

    def ledger(self, decoded: Decoded | None = None) -> Ledger:
        """The incidents that matter still: the open ones and those that may come back.

        One of which this version can read nothing is left out, and keeps its number. Whoever asks again and again hands
        in what it was given before.
        """
        rows = self._db.execute(
            "SELECT id, document FROM incidents WHERE id > (SELECT coalesce(max(id), 0) FROM incidents) - ? "
            "UNION ALL SELECT id, document FROM incidents WHERE is_open = 1 AND id <= "
            "(SELECT coalesce(max(id), 0) FROM incidents) - ? ORDER BY id",
            (KEPT_INCIDENTS, KEPT_INCIDENTS),
        ).fetchall()
        known = self._read(rows, {} if decoded is None else decoded)
        (last,) = self._db.execute("SELECT coalesce(max(id), 0) FROM incidents").fetchone()
        return Ledger({number: incident for number, (_, incident) in known.items() if incident is not None}, last + 1)

    def _read(self, rows: Iterable[tuple[int, str]], decoded: Decoded) -> Decoded:
        before = dict(decoded)
        decoded.clear()
        for number, text in rows:
            mark = hash(text)
            found = before.get(number)
            decoded[number] = found if found is not None and found[0] == mark else (mark, self._incident(number, text))
        return decoded

    def _incident(self, number: int, text: str) -> Incident | None:
        document = parsed(text)
        incident = read_incident(document)
        if incident is not None and has_more(document, incident):
            self._more[number] = document
        return incident

    def save_incidents(self, incidents: Iterable[Incident]) -> None:
        """Write down what has changed. What a newer version wrote into an incident stays in it."""
        incidents = list(incidents)
        documents = write_incidents(incidents)
        for index, incident in enumerate(incidents):
            if incident.id in self._more:
                documents[index] = self._more[incident.id] = merged_incident(self._more[incident.id], documents[index])
        self._db.executemany(
            "INSERT INTO incidents (id, is_open, changed_at, document) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE "
            "SET is_open = excluded.is_open, changed_at = excluded.changed_at, document = excluded.document",
            [
                (incident.id, int(incident.is_open), iso(incident.changed_at), json.dumps(document))
                for incident, document in zip(incidents, documents, strict=True)
            ],
        )

    def told(self) -> dict[ToldKey, Told]:
        """Who has been told what."""
        rows = self._db.execute("SELECT incident_id, target, document FROM told").fetchall()
        read = {(incident, target): _told(parsed(text)) for incident, target, text in rows}
        return {key: told for key, told in read.items() if told is not None}

    def save_told(self, told: Mapping[ToldKey, Told]) -> None:
        """Write down who is told what."""
        documents = written(list(told.values()))
        rows = [(*key, json.dumps(self._carried_told(key, new))) for key, new in zip(told, documents, strict=True)]
        self._db.executemany("INSERT OR REPLACE INTO told (incident_id, target, document) VALUES (?, ?, ?)", rows)

    def _carried_told(self, key: ToldKey, now: Document) -> Document:
        row = self._db.execute("SELECT document FROM told WHERE incident_id = ? AND target = ?", key).fetchone()
        return carried(Told, parsed(row[0]), now) if row else now

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

    def add_lost(self, entries: Iterable[Entry]) -> None:
        """Write down again, under their numbers, messages that are not there any more."""
        self._db.executemany(
            "INSERT OR IGNORE INTO outbox (id, created_at, incident_id, event, target, message, state, attempts, "
            "not_before) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    *(e.id, iso(e.created_at), e.incident_id, e.event, e.target, json.dumps(e.message)),
                    *(e.state.value, e.attempts, iso(e.not_before)),
                )
                for e in entries
            ],
        )

    def waiting(self) -> list[Entry]:
        """What is not settled yet, oldest first."""
        return self._entries("state IN ('waiting', 'sending') ORDER BY id")

    def untold(self) -> list[Entry]:
        """The newest messages that have not arrived: those on their way, and those that were given up."""
        newest = self._entries("state IN ('waiting', 'sending', 'given_up') ORDER BY id DESC LIMIT 500")
        return newest[::-1]

    def entries(self, incident_id: int) -> list[Entry]:
        """All messages of an incident, oldest first; but those in a state that only a newer version knows."""
        found = self._entries(
            "(incident_id = ? OR (incident_id IS NULL AND instr(message, ?))) "
            "AND state IN ('waiting', 'sending', 'sent', 'given_up') ORDER BY id",
            incident_id,
            numbered((incident_id,)),
        )
        return [entry for entry in found if entry.is_about(incident_id)]

    def _entries(self, where: str, *values: object) -> list[Entry]:
        rows = self._db.execute(f"SELECT {_ENTRY} FROM outbox WHERE {where}", values).fetchall()
        return _readable(_entry, rows)

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
        self.must_have_stayed()

    # what people say

    def acknowledge(self, incident_id: int, at: datetime, by: str) -> None:
        """Somebody has taken it on."""
        self._db.execute(
            "INSERT OR REPLACE INTO acknowledgements (incident_id, at, by) VALUES (?, ?, ?)",
            (incident_id, iso(at), by),
        )
        self._note_handover(incident_id, Handover(at, by, is_taken=True))

    def unacknowledge(self, incident_id: int, at: datetime, by: str) -> bool:
        """Nobody has taken it on any more; whether anybody had. `by` is who has given it back."""
        gone = self._db.execute("DELETE FROM acknowledgements WHERE incident_id = ?", (incident_id,)).rowcount > 0
        if gone:
            self._note_handover(incident_id, Handover(at, by, is_taken=False))
        return gone

    def date_acknowledgement(self, incident_id: int, at: datetime) -> None:
        """Who has taken it on did so at this instant, and not when the clock said so that was set."""
        self._db.execute("UPDATE acknowledgements SET at = ? WHERE incident_id = ?", (iso(at), incident_id))

    @property
    def _has_handovers(self) -> bool:
        """Whether the file, which may be an older version's still, has a place for them."""
        return "handovers" in opening.tables(self._db)

    def _note_handover(self, incident_id: int, made: Handover) -> None:
        if self._has_handovers:
            self._db.execute(
                "INSERT INTO handovers (incident_id, at, by, is_taken) VALUES (?, ?, ?, ?)",
                (incident_id, iso(made.at), made.by, made.is_taken),
            )

    def handovers(self, incident_id: int) -> list[Handover]:
        """Who took an incident on and gave it back, oldest first. Of what an older version wrote the last is known."""
        asked = "SELECT at, by, is_taken FROM handovers WHERE incident_id = ? ORDER BY id"
        rows = self._db.execute(asked, (incident_id,)).fetchall() if self._has_handovers else []
        found = _readable(lambda row: Handover(parse_instant(row[0]), str(row[1]), bool(row[2])), rows)
        present = self.acknowledgements().get(incident_id)
        if present is not None and not (found and found[-1].is_taken):
            found.append(Handover(*present, is_taken=True))
        return found

    def acknowledgements(self) -> dict[int, tuple[datetime, str]]:
        """When and by whom incidents were acknowledged."""
        rows = self._db.execute("SELECT incident_id, at, by FROM acknowledgements").fetchall()
        return dict(_readable(lambda row: (int(row[0]), (parse_instant(row[1]), str(row[2]))), rows))

    def add_silence(self, silence: Silence) -> int:
        """Keep quiet about what matches; the silence's number."""
        row = (silence.match, iso(silence.starts_at), iso(silence.ends_at), silence.by)
        cursor = self._db.execute("INSERT INTO silences (match, starts_at, ends_at, by) VALUES (?, ?, ?, ?)", row)
        return int(cursor.lastrowid or 0)

    def date_silence(self, silence: Silence) -> None:
        """It begins and ends at these instants, and not when the clock said so that was set."""
        dates = (iso(silence.starts_at), iso(silence.ends_at), silence.id)
        self._db.execute("UPDATE silences SET starts_at = ?, ends_at = ? WHERE id = ?", dates)

    def end_silence(self, number: int, at: datetime) -> bool:
        """End a silence now; whether there was one that had not ended."""
        if all(silence.id != number for silence in self.silences(at)):
            return False
        cursor = self._db.execute("UPDATE silences SET ends_at = ? WHERE id = ?", (iso(at), number))
        return cursor.rowcount > 0

    def silences(self, at: datetime) -> list[Silence]:
        """Those that have not ended."""
        second = iso(at.replace(microsecond=0) - timedelta(seconds=1))  # texts with and without fractions
        rows = self._db.execute(
            "SELECT id, match, starts_at, ends_at, by FROM silences WHERE ends_at >= ?", (second,)
        ).fetchall()
        known = _readable(_silence, sorted(rows))
        return [silence for silence in known if silence.ends_at > at]

    # alerts that a channel is told again and again while they fire

    def alerts(self, channel: str) -> dict[str, dict[str, Any]]:
        """What was last posted to the channel, by fingerprint."""
        rows = self._db.execute("SELECT fingerprint, document FROM alerts WHERE channel = ?", (channel,)).fetchall()
        return {fingerprint: parsed(document) for fingerprint, document in rows}

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

    # what a source remembers

    def remembered(self, source: str, name: str, kind: type[T]) -> dict[str, T]:
        """What was remembered of a source under a name, by its keys. What cannot be read as `kind` is left out."""
        rows = self._db.execute("SELECT key, document FROM memory WHERE source = ? AND name = ?", (source, name))
        read = {key: readable(kind, _value(text)) for key, text in rows}
        return {key: thing for key, thing in read.items() if thing is not None}

    def remember(self, source: str, name: str, things: Mapping[str, object], at: datetime) -> None:
        """Remember values, instants or dataclasses under their keys, over any restart; None forgets one.

        What has not been remembered anew for as long as `retention` says is forgotten.
        """
        gone = [(source, name, key) for key, thing in things.items() if thing is None]
        self._db.executemany("DELETE FROM memory WHERE source = ? AND name = ? AND key = ?", gone)
        self._db.executemany(
            "INSERT OR REPLACE INTO memory (source, name, key, document, updated_at) VALUES (?, ?, ?, ?, ?)",
            ((source, name, key, text_of(thing), iso(at)) for key, thing in things.items() if thing is not None),
        )

    # what was changed over HTTP

    def note_change(self, at: datetime, by: str, address: str, what: str) -> None:
        """Write down who changed what, in the transaction of the change."""
        self._db.execute(
            "INSERT INTO web_audit (at, by, address, what) VALUES (?, ?, ?, ?)", (iso(at), by, address, what)
        )
        self._db.execute("DELETE FROM web_audit WHERE id <= (SELECT max(id) FROM web_audit) - ?", (KEPT_AUDIT,))

    def audit(self, limit: int) -> list[AuditEntry]:
        """The newest changes, newest first."""
        rows = self._db.execute(
            "SELECT id, at, by, address, what FROM web_audit ORDER BY id DESC LIMIT ?", (limit,)
        ).fetchall()
        return _readable(lambda row: AuditEntry(row[0], parse_instant(row[1]), *row[2:]), rows)


def _readable(read: Callable[[tuple[Any, ...]], T], rows: Iterable[tuple[Any, ...]]) -> list[T]:
    """What can be read of the rows: a bad one must not hide the others."""
    found = []
    for row in rows:
        try:
            found.append(read(row))
        except (ValueError, TypeError, OverflowError):
            log.debug("a row of the state file cannot be read", extra={"action": "state"})
    return found


def _silence(row: tuple[Any, ...]) -> Silence:
    number, match, start, end, by = row
    return Silence(number, match, parse_instant(start), parse_instant(end), by)


def _value(text: object) -> object:
    try:
        return json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None


def _told(document: Document) -> Told | None:
    """What was told; of a severity that is not known, as of the gravest: so nothing is told a second time as worse."""
    return readable(Told, document) or readable(Told, {**document, "severity": "critical"})


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
        message=parsed(message),
        not_before=parse_instant(not_before),
        id=id_,
        state=State(state),
        attempts=attempts,
        started_at=parse_instant(started) if started else None,
        settled_at=parse_instant(settled) if settled else None,
        error=error,
        crashes=crashes,
    )
