"""Hermes' two records of what ran: the rows of `cron/executions.db`, and the sessions of `state.db`.

A row tells that a run was claimed, began and ended; a session that its agent really began, when it last got on, and
what it used. Both are read in part: what is new, what was open, and the sessions of those.
"""

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from watchdog.core.instants import sane
from watchdog.systems.shared.sqlite_file import Signature, columns_of, has_row_numbers, read, signature_if_there
from watchdog.systems.shared.unreadable import UnreadableError

MOST_ROWS = 5_000
"""Hermes keeps a thousand ended ones."""

MOST_OPEN = 500
"""Open ones that are followed, the newest."""

MOST_GONE = 100
"""Jobs that are gone of which rows are kept until all of theirs are dropped."""

NEWEST_SESSIONS = 12
"""Of each job; as many as are remembered of its run ends."""

SAME_RUN = timedelta(seconds=2)
"""A session's name bears the second in which its row's run was handed out, or one beside it."""

OPEN = ("claimed", "running", "handoff_pending")

_ROW = ("id", "job_id", "source", "process_id", "pid", "process_started_at", "status", "claimed_at", "started_at")
_ROW_END = ("finished_at", "error")
_LATER = ("scheduled_instant", "delivery_outcome")
_SESSION = ("id", "started_at", "ended_at", "message_count", "input_tokens", "output_tokens")
_ASIDE = ("cache_read_tokens", "cache_write_tokens", "estimated_cost_usd", "actual_cost_usd", "model", "end_reason")

_GOES_ON = "compression"
"""Why a session ends whose agent goes on in another, which has it as its parent."""

_NEWEST_MESSAGE = "SELECT max(timestamp) FROM messages WHERE session_id = ?"

_NEWEST_OF_ALL = """
WITH RECURSIVE line (id, depth) AS (
    SELECT ?, 0 UNION ALL
    SELECT sessions.id, depth + 1 FROM sessions JOIN line ON parent_session_id = line.id WHERE depth < 3 LIMIT 200
) SELECT max((SELECT max(timestamp) FROM messages WHERE session_id = line.id)) FROM line"""
"""Of a session and of those that came of it: its agent went on there, or others work there for it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One attempt. `wall`: when it was handed out by the clock on Hermes' wall, as its session's name has it."""

    number: int
    id: str
    job_id: str
    source: str
    process: str
    pid: int | None
    ticks: int | None
    status: str
    claimed_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    wall: datetime
    error: str | None
    slot: datetime | None = None
    delivery: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether it has no end yet."""
        return self.status in OPEN

    @property
    def is_direct(self) -> bool:
        """Whether somebody asked for it by `hermes cron run`."""
        return self.source == "direct"


@dataclass(frozen=True, slots=True)
class Session:
    """What an agent did in one run. `touched_at`: its newest message, where it is open and that is known. `goes_on`:
    it has ended, and its agent has not."""

    id: str
    wall: datetime
    started_at: datetime
    ended_at: datetime | None
    messages: int
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    model: str | None
    goes_on: bool = False
    touched_at: datetime | None = None

    @property
    def is_zero(self) -> bool:
        """Whether an answer came, and no token was counted."""
        return self.messages >= 2 and self.input_tokens == 0 and self.output_tokens == 0


@dataclass
class Ledger:
    """What is known of one home's runs. `missing`: what of it is not there, in words."""

    home: Path
    rows: dict[str, dict[int, Row]] = field(default_factory=dict)
    open: dict[int, Row] = field(default_factory=dict)
    sessions: dict[str, tuple[Session, ...]] = field(default_factory=dict)
    counted: set[str | None] = field(default_factory=set)
    versions: dict[str, int] = field(default_factory=dict)
    has_rows: bool = False
    has_slots: bool = False
    has_sessions: bool = False
    rows_problem: str | None = None
    sessions_problem: str | None = None
    _mark: int = 0
    _seen: Signature | None = None
    _sessions_seen: Signature | None = None
    _asked: set[str] = field(default_factory=set)
    _stale: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._executions = self.home / "cron/executions.db"
        self._state = self.home / "state.db"

    def signature(self) -> tuple[object, ...]:
        """What changes when there is something to read: of the sessions only while some are of interest, as all are
        where no rows tell of a run."""
        cares = bool(self.open or self._stale) or not (self.has_rows and self.has_sessions)
        return (signature_if_there(self._executions), signature_if_there(self._state) if cares else None)

    def look(self, there: Collection[str]) -> None:
        """Read what is new. `there`: the jobs of which the past is wanted."""
        self.rows_problem = self.sessions_problem = None
        try:
            self._read_rows()
        except UnreadableError as error:
            self.rows_problem = str(error)
        try:
            self._read_sessions(there)
        except UnreadableError as error:
            self.sessions_problem = str(error)

    @property
    def problems(self) -> tuple[str, ...]:
        """Why what is there cannot be read."""
        return tuple(each for each in (self.rows_problem, self.sessions_problem) if each)

    # rows

    def _read_rows(self) -> None:
        seen = signature_if_there(self._executions)
        if seen is None:
            self.has_rows = False
            return
        if seen == self._seen:
            return
        if self._seen is not None and seen.main[0] != self._seen.main[0]:
            self._begin_anew()
        (found, names), self._seen = read(self._executions, self._query_rows)
        self.has_rows, self.has_slots = "job_id" in names, "scheduled_instant" in names
        for row in found:
            self._take(row)

    def _begin_anew(self) -> None:
        self._stale |= set(self.rows)
        for job_id in self.rows:
            self._changed(job_id)
        self.rows, self.open, self._mark = {}, {}, 0

    def _query_rows(self, connection: sqlite3.Connection) -> tuple[list[Row], Collection[str]]:
        names = columns_of(connection, "executions")
        if not set(_ROW) <= set(names):
            return [], names
        if not has_row_numbers(connection, "executions"):
            raise UnreadableError(f"{self._executions}: the rows of executions have no numbers, which tell what is new")
        newest = connection.execute("SELECT max(rowid) FROM executions").fetchone()[0] or 0
        if newest < self._mark:
            self._begin_anew()
        columns = (*_ROW, *(name for name in (*_ROW_END, *_LATER) if name in names))
        marks = [row.id for row in self.open.values()][:900]
        where = f"rowid > ? OR id IN ({', '.join('?' * len(marks))})"
        ask = f"SELECT rowid, {', '.join(columns)} FROM executions WHERE {where} ORDER BY rowid DESC LIMIT {MOST_ROWS}"  # noqa: S608
        found = connection.execute(ask, (self._mark, *marks)).fetchall()
        still = {row[0] for row in found}
        for number in [number for number in self.open if number not in still]:
            self._drop(self.open.pop(number))
        self._mark = newest
        named = (dict(zip(columns, row[1:], strict=True)) for row in reversed(found))
        rows = (_row(number[0], fields) for number, fields in zip(reversed(found), named, strict=True))
        return [row for row in rows if row is not None], names

    def _drop(self, row: Row) -> None:
        """A row that was open and is there no more."""
        self.rows.get(row.job_id, {}).pop(row.number, None)
        self._changed(row.job_id)

    def _take(self, row: Row) -> None:
        rows = self.rows.setdefault(row.job_id, {})
        if rows.get(row.number) == row:
            return
        rows[row.number] = row
        if len(rows) > 200:
            rows.pop(min(rows))
        self._changed(row.job_id)
        self._stale.add(row.job_id)
        self.open.pop(row.number, None)
        if row.is_open:
            self.open[row.number] = row
            if len(self.open) > MOST_OPEN:
                self.open.pop(min(self.open))

    def _changed(self, job_id: str) -> None:
        self.versions[job_id] = self.versions.get(job_id, 0) + 1

    # sessions

    def _read_sessions(self, there: Collection[str]) -> None:
        seen = signature_if_there(self._state)
        if seen is None:
            self.has_sessions = False
            return
        new = set(there) - self._asked if self.has_rows else set(there)
        wanted = self._stale | {row.job_id for row in self.open.values()} | new
        if not wanted or (seen == self._sessions_seen and not (self._stale or set(there) - self._asked)):
            return
        found, self._sessions_seen = read(self._state, lambda connection: self._query_sessions(connection, wanted))
        self.has_sessions = found is not None
        still_open = {row.job_id for row in self.open.values()}
        for job_id, sessions in (found or {}).items():
            if self.sessions.get(job_id, ()) != sessions:
                self.sessions[job_id] = sessions
                self._changed(job_id)
            self.counted |= {each.model for each in sessions if each.input_tokens or each.output_tokens}
        self._asked |= wanted
        self._stale = {job_id for job_id in self._stale if job_id in still_open or self._awaits(job_id)}

    def _awaits(self, job_id: str) -> bool:
        """Whether the newest session is open though its row has ended: its end comes a moment later."""
        sessions = self.sessions.get(job_id, ())
        rows = self.rows.get(job_id, {})
        newest = rows[max(rows)] if rows else None
        return bool(sessions and newest and sessions[0].ended_at is None and newest.status in ("completed", "failed"))

    def _query_sessions(
        self, connection: sqlite3.Connection, wanted: Iterable[str]
    ) -> Mapping[str, tuple[Session, ...]] | None:
        names = columns_of(connection, "sessions")
        if not set(_SESSION) <= set(names):
            return None
        columns = (*_SESSION, *(name for name in _ASIDE if name in names))
        has_messages = {"session_id", "timestamp"} <= set(columns_of(connection, "messages"))
        newest = _NEWEST_OF_ALL if _finds_children(connection) else _NEWEST_MESSAGE
        open_jobs = {row.job_id for row in self.open.values()}
        found = {}
        for job_id in wanted:
            sessions = _sessions_of(connection, columns, job_id)
            if job_id in open_jobs and has_messages:
                sessions = [
                    _touched(connection, newest, each) if each.ended_at is None or each.goes_on else each
                    for each in sessions
                ]
            found[job_id] = tuple(sessions)
        return found

    def forget(self, there: Collection[str], kept: Collection[str]) -> None:
        """Drop what belongs to jobs that are gone, but for those in `kept`."""
        if len(self.rows) <= len(there) + MOST_GONE and len(self.sessions) <= len(there) + MOST_GONE:
            return
        wanted = {*there, *kept, *(row.job_id for row in self.open.values())}
        self.rows = {id_: each for id_, each in self.rows.items() if id_ in wanted}
        self.sessions = {id_: each for id_, each in self.sessions.items() if id_ in wanted}
        self.versions = {id_: each for id_, each in self.versions.items() if id_ in wanted}
        self._asked &= wanted
        self._stale &= wanted


def _row(number: int, fields: Mapping[str, object]) -> Row | None:
    claimed, started = _iso(fields["claimed_at"]), _iso(fields["started_at"])
    status, job_id = fields["status"], fields["job_id"]
    if claimed is None or not isinstance(job_id, str) or not isinstance(status, str):
        return None
    finished, slot = _iso(fields.get("finished_at")), _iso(fields.get("scheduled_instant"))
    error, delivery = fields.get("error"), fields.get("delivery_outcome")
    return Row(
        number,
        str(fields["id"]),
        job_id,
        str(fields["source"]),
        str(fields["process_id"]),
        _whole(fields["pid"]),
        _whole(fields["process_started_at"]),
        status,
        claimed.astimezone(UTC),
        started.astimezone(UTC) if started else None,
        finished.astimezone(UTC) if finished else None,
        (started or claimed).replace(tzinfo=None),
        error[:4000] if isinstance(error, str) and error else None,
        slot.astimezone(UTC) if slot else None,
        delivery if isinstance(delivery, str) else None,
    )


def _iso(value: object) -> datetime | None:
    """With the offset that it has; UTC where it has none."""
    if not isinstance(value, str) or len(value) < 10:
        return None
    try:
        found = datetime.fromisoformat(value)
        sane(found)
    except (ValueError, OverflowError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _sessions_of(connection: sqlite3.Connection, columns: Sequence[str], job_id: str) -> list[Session]:
    """A job's newest sessions, the newest first: a search of the table's own key."""
    begins = f"cron_{job_id}_"
    ask = (
        f"SELECT {', '.join(columns)} FROM sessions WHERE id >= ? AND id < ? "  # noqa: S608
        f"ORDER BY id DESC LIMIT {NEWEST_SESSIONS}"
    )
    rows = connection.execute(ask, (begins, f"cron_{job_id}`")).fetchall()
    found = (_session(dict(zip(columns, row, strict=True)), len(begins)) for row in rows)
    return sorted((each for each in found if each is not None), key=lambda each: each.started_at, reverse=True)


def _session(fields: Mapping[str, object], length: int) -> Session | None:
    id_ = str(fields["id"])
    started = _epoch(fields["started_at"])
    try:
        wall = datetime.strptime(id_[length : length + 15], "%Y%m%d_%H%M%S")  # noqa: DTZ007 - the wall's own time
    except ValueError:
        return None
    if started is None:
        return None
    model = fields.get("model")
    return Session(
        id_,
        wall,
        started,
        _epoch(fields["ended_at"]),
        _whole(fields["message_count"]) or 0,
        _sum(fields, "input_tokens", "cache_read_tokens", "cache_write_tokens"),
        _whole(fields["output_tokens"]),
        _cost(fields),
        model if isinstance(model, str) else None,
        fields.get("end_reason") == _GOES_ON,
    )


def _sum(fields: Mapping[str, object], first: str, *more: str) -> int | None:
    """Tokens that came from a cache stand beside the others."""
    base = _whole(fields[first])
    return None if base is None else base + sum(_whole(fields.get(name)) or 0 for name in more)


def _cost(fields: Mapping[str, object]) -> float | None:
    for name in ("actual_cost_usd", "estimated_cost_usd"):
        value = fields.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 10**9:
            return float(value)
    return None


def _epoch(value: object) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return sane(datetime.fromtimestamp(value, UTC))
    except (ValueError, OverflowError, OSError):
        return None


def _finds_children(connection: sqlite3.Connection) -> bool:
    """Whether those that came of a session are found without reading all sessions that there ever were."""
    ask = "SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'sessions'"
    indexes = [str(sql) for (sql,) in connection.execute(ask).fetchall()]
    return any("(parent_session_id" in "".join(sql.split()).lower() for sql in indexes)


def _touched(connection: sqlite3.Connection, newest: str, session: Session) -> Session:
    touched = _epoch(connection.execute(newest, (session.id,)).fetchone()[0])
    return replace(session, touched_at=touched or session.started_at)
