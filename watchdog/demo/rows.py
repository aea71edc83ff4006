"""What the scheduler reads from its tables and writes to them. No rule is decided here."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from uuid import UUID, uuid5

from watchdog.demo.outcome import Outcome
from watchdog.demo.stamps import js_iso, sql_stamp
from watchdog.demo.tables import connect

SWEEP_AFTER_MS = 30 * 24 * 60 * 60 * 1000
MODEL = "simulated-model"
_NAMESPACE = UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
_RUNNABLE = "enabled = 1 AND status = 'active'"

_EARLIEST = f"SELECT MIN(next_run_at) FROM scheduled_jobs WHERE {_RUNNABLE}"  # noqa: S608
_EARLIEST_AFTER = f"{_EARLIEST} AND next_run_at > ?"
_DUE = f"SELECT id FROM scheduled_jobs WHERE {_RUNNABLE} AND next_run_at <= ? ORDER BY next_run_at"  # noqa: S608
_JOB = """SELECT id, name, enabled, schedule_kind, schedule_value, delivery_channel, status, consecutive_errors,
    delete_after_run FROM scheduled_jobs WHERE id = ?"""
_INSERT_JOB = """INSERT INTO scheduled_jobs (id, name, enabled, schedule_kind, schedule_value, task, delivery_channel,
    delivery_target, next_run_at, delete_after_run, created_at, created_by, updated_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_RECORD = """UPDATE scheduled_jobs SET last_run_at = ?, last_run_status = ?, last_run_duration_ms = ?,
    last_run_error = ?, next_run_at = ?, run_count = run_count + 1, consecutive_errors = ?,
    status = COALESCE(?, status), last_delivery_status = COALESCE(?, last_delivery_status), updated_at = ?
    WHERE id = ?"""
_OPEN_SESSION = """INSERT INTO sessions (session_key, channel_id, conversation_id, created_at, last_active_at)
    VALUES (?, ?, ?, ?, ?) ON CONFLICT (session_key) DO NOTHING"""
_TOUCH = "UPDATE sessions SET last_active_at = ?, sdk_session_id = ? WHERE session_key = ?"
_BILL = """INSERT INTO cost_events (session_key, cost_usd, input_tokens, output_tokens, model, created_at)
    VALUES (?, ?, ?, ?, ?, ?)"""
_CLOSE_TURN = """UPDATE sessions SET total_cost_usd = total_cost_usd + ?, input_tokens = input_tokens + ?,
    output_tokens = output_tokens + ?, turn_count = turn_count + 1, last_active_at = ? WHERE session_key = ?"""
_AUDIT = """INSERT INTO scheduler_audit_log (job_id, job_name, action, previous_status, new_status, actor, detail,
    created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""
_SWEEP = """DELETE FROM scheduled_jobs
    WHERE status IN ('completed', 'failed') AND delete_after_run = 0 AND updated_at < ?"""


@dataclass(frozen=True, slots=True)
class Job:
    """A row of `scheduled_jobs`, as far as its next run depends on it."""

    id: str
    name: str
    enabled: int
    kind: str
    value: str
    channel: str | None
    status: str
    errors: int
    delete_after_run: int

    @property
    def runnable(self) -> bool:
        """Whether a pass may run it."""
        return bool(self.enabled) and self.status == "active"


@dataclass(frozen=True, slots=True)
class NewJob:
    """A row of `scheduled_jobs` as it is first written."""

    name: str
    kind: str
    value: str
    next_ms: int | None
    enabled: bool
    task: str
    channel: str
    target: str
    delete_after_run: bool
    created_by: str


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A row of `scheduler_audit_log`, but for its instant."""

    job_id: str
    job_name: str
    action: str
    previous_status: str | None
    new_status: str | None
    actor: str
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """The outcome of a run as it is written into the job's row; None in `status` or `delivery` leaves what is there."""

    job_id: str
    start_ms: int
    ok: bool
    duration_ms: int
    error: str | None
    errors: int
    next_ms: int | None
    status: str | None
    delivery: str | None


def _stamp_or_null(at_ms: int | None) -> str | None:
    return None if at_ms is None else js_iso(at_ms)


class Rows:
    """The scheduler's file. Every instant is milliseconds since the epoch."""

    def __init__(self, path: Path, *, durable: bool) -> None:
        self._connection = connect(path, durable=durable)
        self._execute = self._connection.execute
        self._ids = 0

    def close(self) -> None:
        """Ends the connection as a clean stop does: the WAL is folded into the file."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is committed together at the end, also when it ends in an exception."""
        if self._connection.in_transaction:
            yield
            return
        self._execute("BEGIN")
        try:
            yield
        finally:
            self._execute("COMMIT")

    def new_id(self, word: str, now_ms: int) -> str:
        """A fresh id, the same in every run of the same story."""
        self._ids += 1
        return str(uuid5(_NAMESPACE, f"{word} {now_ms} {self._ids}"))

    # what a pass reads

    def earliest(self, after_ms: int | None = None) -> str | None:
        """The smallest `next_run_at` of the enabled active rows (of those after an instant), as it stands there."""
        query, values = (_EARLIEST, ()) if after_ms is None else (_EARLIEST_AFTER, (js_iso(after_ms),))
        found: str | None = self._execute(query, values).fetchone()[0]
        return found

    def due(self, now_ms: int) -> list[str]:
        """The ids of the rows due now, in order of `next_run_at`, compared as text."""
        return [row[0] for row in self._execute(_DUE, (js_iso(now_ms),)).fetchall()]

    def job(self, job_id: str) -> Job | None:
        """The row as it is now, or None."""
        row = self._execute(_JOB, (job_id,)).fetchone()
        return None if row is None else Job(*row)

    # what a run writes

    def open_session(self, channel: str, conversation: str, now_ms: int) -> str:
        """Makes the session at its first turn; returns its key."""
        key = f"{channel}:{conversation}"
        stamp = sql_stamp(now_ms)
        self._execute(_OPEN_SESSION, (key, channel, conversation, stamp, stamp))
        return key

    def touch_session(self, key: str, now_ms: int) -> None:
        """The agent has answered its start: the run is seen to be in flight."""
        self._execute(_TOUCH, (sql_stamp(now_ms), self.new_id("sdk", now_ms), key))

    def bill(self, key: str, outcome: Outcome, now_ms: int) -> None:
        """The cost event of a turn, then the totals and the end touch of its session."""
        spent = (outcome.cost_usd, outcome.input_tokens, outcome.output_tokens)
        stamp = sql_stamp(now_ms)
        self._execute(_BILL, (key, *spent, MODEL, stamp))
        self._execute(_CLOSE_TURN, (*spent, stamp, key))

    def record(self, run: Record, now_ms: int) -> None:
        """The outcome, in the job's row."""
        status = "ok" if run.ok else "error"
        told = (js_iso(run.start_ms), status, run.duration_ms, run.error, _stamp_or_null(run.next_ms), run.errors)
        self._execute(_RECORD, (*told, run.status, run.delivery, sql_stamp(now_ms), run.job_id))

    # what the operations and a start write

    def insert(self, job: NewJob, now_ms: int) -> str:
        """A new active row; returns its id."""
        job_id = self.new_id(job.name, now_ms)
        stamp = sql_stamp(now_ms)
        told = (job_id, job.name, int(job.enabled), job.kind, job.value, job.task, job.channel, job.target)
        rest = (_stamp_or_null(job.next_ms), int(job.delete_after_run), stamp, job.created_by, stamp)
        self._execute(_INSERT_JOB, (*told, *rest))
        return job_id

    def set_status(self, job_id: str, status: str, now_ms: int) -> None:
        """Another status, everything else as it was."""
        update = "UPDATE scheduled_jobs SET status = ?, updated_at = ? WHERE id = ?"
        self._execute(update, (status, sql_stamp(now_ms), job_id))

    def revive(self, job_id: str, next_ms: int | None, now_ms: int) -> None:
        """Active again, without errors, with a next fire (or none)."""
        update = """UPDATE scheduled_jobs SET status = 'active', consecutive_errors = 0, next_run_at = ?, updated_at = ?
            WHERE id = ?"""
        self._execute(update, (_stamp_or_null(next_ms), sql_stamp(now_ms), job_id))

    def set_enabled(self, job_id: str, enabled: bool, now_ms: int) -> None:
        """Switched on or off."""
        update = "UPDATE scheduled_jobs SET enabled = ?, updated_at = ? WHERE id = ?"
        self._execute(update, (int(enabled), sql_stamp(now_ms), job_id))

    def delete(self, job_id: str) -> None:
        """The row goes; its session and cost events stay."""
        self._execute("DELETE FROM scheduled_jobs WHERE id = ?", (job_id,))

    def redate(self, job_id: str, next_ms: int) -> None:
        """Another next fire, and nothing else."""
        self._execute("UPDATE scheduled_jobs SET next_run_at = ? WHERE id = ?", (js_iso(next_ms), job_id))

    def sweep(self, now_ms: int) -> None:
        """Deletes old terminal rows.

        Two text formats are compared, and a space sorts before `T`: a row goes from 00:00 UTC of the day 30 days
        after its `updated_at` (facts: how it runs).
        """
        self._execute(_SWEEP, (js_iso(now_ms - SWEEP_AFTER_MS),))

    def audit(self, entry: AuditEntry, now_ms: int) -> None:
        """A row of the audit log."""
        self._execute(_AUDIT, (*astuple(entry), sql_stamp(now_ms)))

    # what the operations answer

    def names(self) -> list[str]:
        """The names of all jobs, in lower case."""
        return [row[0].lower() for row in self._execute("SELECT name FROM scheduled_jobs").fetchall()]

    def shown(self, job_id: str) -> dict[str, object]:
        """A job's row for an answer, without its prompt; empty if it is gone."""
        cursor = self._execute("SELECT * FROM scheduled_jobs WHERE id = ?", (job_id,))
        row = cursor.fetchone()
        if row is None:
            return {}
        shown = dict(zip([column[0] for column in cursor.description], row, strict=True))
        del shown["task"]
        return shown

    def counts(self) -> dict[str, int]:
        """How many jobs there are of each status."""
        return dict(self._execute("SELECT status, COUNT(*) FROM scheduled_jobs GROUP BY status").fetchall())

    def last_runs_in_error(self) -> int:
        """How many jobs' last recorded run was an error."""
        query = "SELECT COUNT(*) FROM scheduled_jobs WHERE last_run_status = 'error'"
        found: int = self._execute(query).fetchone()[0]
        return found
