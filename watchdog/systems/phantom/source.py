"""Phantom's scheduler, read from its SQLite file (docs/phantom.md tells how it behaves)."""

import sqlite3
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import repeat
from pathlib import Path

from watchdog.cadence.schedule import LATEST, fire_at_or_before, near_clock_change
from watchdog.core.instants import readable_instant
from watchdog.core.kinds import Kind
from watchdog.core.model import (
    At,
    CronSchedule,
    Departed,
    Hold,
    Interruption,
    Job,
    Pace,
    Process,
    RecordedRun,
    RepeatedRun,
    RunEnd,
    Snapshot,
    Totals,
    Traits,
    Unseen,
)
from watchdog.core.redaction import one_line
from watchdog.systems.base import Look
from watchdog.systems.phantom.audit_log import Audit, AuditLog
from watchdog.systems.phantom.cost_ledger import KEY_PREFIX, CostLedger, has_end_between, has_prices, has_run_ends
from watchdog.systems.phantom.missing import what_is_missing
from watchdog.systems.phantom.motion import CATCH_UP, Motion
from watchdog.systems.phantom.rows import BREAKER, BREAKER_AT, COLUMNS, REQUIRED, RowReader
from watchdog.systems.shared.bounded import Record, Rows, left_out, rows_of
from watchdog.systems.shared.clocks import Clocks
from watchdog.systems.shared.host import Host
from watchdog.systems.shared.liveness import Liveness
from watchdog.systems.shared.paces import Paces
from watchdog.systems.shared.sqlite_file import (
    Signature,
    columns_of,
    harm,
    is_settled,
    read,
    signature,
)
from watchdog.systems.shared.unchanged import InOrder, SameRows
from watchdog.systems.shared.unreadable import UnreadableError

LOOK_BACK = timedelta(days=7)
"""How far the first look goes; the following ones walk on from there for jobs that run more seldom."""

ROW_LAG = timedelta(seconds=1)
"""A row's whole-second time stamp may trail its run's end by this much."""

AHEAD = timedelta(minutes=5)
"""How far a stamp may lie in the future and still be believed; beyond that the scheduler's clock once stood ahead, and
what is dated so proves nothing."""

LONGEST_TIMER = timedelta(hours=1)
"""How far ahead its one timer is armed."""

BROKEN_OFF_AGAIN = 3
"""So many runs of one job that were broken off in a row are more than a redeploy or two."""

ASKED_LATELY = timedelta(hours=2)
"""How far back it matters that somebody has asked for runs."""

RETRY_SLACK = (timedelta(seconds=-2), timedelta(seconds=5))
"""How far a retry's start may lie from the end of the failed run plus its pause."""


@dataclass(frozen=True, slots=True)
class Session:
    """One job's session: when it was last touched, and its lifetime totals."""

    touched_at: datetime | None
    turns: int | None
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None


@dataclass(frozen=True, slots=True)
class Sessions:
    """All jobs' sessions by the job's id, and when each was last touched."""

    by_job: Mapping[str, Session]
    touches: Mapping[str, datetime]


@dataclass(frozen=True, slots=True)
class Tables:
    """What one transaction read. None stands for a table that is not there. `missing`: see `what_is_missing`.

    `columns` are those of the rows; the id is the first.
    """

    columns: Sequence[str]
    rows: Sequence[Record]
    sessions: Sessions | None
    has_costs: bool
    audit: Audit | None
    newest_touch_is_over: bool
    missing: tuple[str, ...]
    asked_lately: Mapping[str, tuple[datetime, ...]]
    left_out: tuple[Unseen, ...] = ()


class PhantomSource:
    """Watches one database file."""

    kind = "phantom"

    def __init__(
        self,
        name: str,
        database: Path,
        timezone: str = "UTC",
        host: Host | None = None,
    ) -> None:
        self.name = name
        self._path = database
        self._zone = timezone
        host = host or Host()
        self._ledger = CostLedger(host.memory)
        self._seen: Signature | None = None
        self._snapshot: Snapshot | None = None
        self._jobs: InOrder[Job] = InOrder()
        self._rows = SameRows()
        self._ids = _Ids()
        self._open: dict[str, datetime] = {}
        self._of_all: tuple[object, ...] = ()
        self._errors: dict[str, RecordedRun] = {}
        self._paces = Paces()
        self._latest = LATEST
        self._liveness = Liveness(database, host)
        self._motion = Motion(host.memory)
        self._process = Process()
        self._sessions = _Sessions()
        self._audit = AuditLog()
        self._clocks = Clocks(host.memory, name, host.stepped)

    def warnings(self) -> list[str]:
        """Whether reading as this user could harm the writer."""
        found = harm(self._path)
        return [found] if found else []

    def look(self, now: datetime) -> Look:
        """The state now; nothing is read if the file is the one that was read last."""
        began, wall = time.perf_counter(), now
        now -= self._clocks.ahead
        try:
            before = self._snapshot
            process = self._liveness.look(now, is_busy=before is not None and before.holder is not None)
            is_same = before is not None and not before.reads_on and process == self._process
            if self._snapshot and is_same and self._seen and signature(self._path) == self._seen:
                self._motion.nothing_new(now)
                self._clocks.looked(wall)
                return Look(self._snapshot, is_new=False)
            self._process = process
            snapshot = self._read(wall)
        except UnreadableError as error:
            snapshot = self._unreadable(str(error), now)
        is_new = snapshot != self._snapshot
        self._snapshot = snapshot if is_new or self._snapshot is None else self._snapshot
        return Look(self._snapshot, is_new, time.perf_counter() - began)

    def _unreadable(self, reason: str, now: datetime) -> Snapshot:
        self._seen = None
        before = self._snapshot
        since = before.problem_since if before and before.problem else now
        return Snapshot(self.name, self.kind, problem=reason, problem_since=since)

    def _read(self, wall: datetime) -> Snapshot:
        self._seen = None  # where this breaks off, it is read again
        tables, seen = read(self._path, lambda connection: self._query(connection, wall))
        snapshot = self._assemble(tables, seen, wall - self._clocks.ahead)
        self._seen = seen if is_settled(seen) else None
        return snapshot

    def _query(self, connection: sqlite3.Connection, wall: datetime) -> Tables:
        columns, found = _jobs(connection, self._path, self._rows)
        rows, missing = found.rows, tuple(column for column in COLUMNS if column not in columns)
        ids = [str(row[0]) for row in rows]
        found_sessions = self._sessions.read(connection)
        dated = None if found_sessions is None else self._sessions.of(found_sessions)
        self._clocks.see(dated.touches if dated else {}, wall)
        now = wall - self._clocks.ahead
        self._latest = now + AHEAD
        sessions = None if dated is None else _credible(dated, self._latest)
        has_costs = has_run_ends(connection)
        if has_costs:
            self._ledger.read(connection, now - LOOK_BACK, self._latest)
            if self._ledger.reads_on:
                by_job = sessions.by_job if sessions else None
                have_run = _may_have_run(ids, rows, columns, by_job)
                paid = {id_ for id_, session in (by_job or {}).items() if session.cost_usd}
                self._ledger.walk_back(connection, have_run, self._latest, paid)
            self._ledger.keep(ids, now)
        is_over = sessions is not None and has_costs and self._is_newest_touch_over(connection, sessions.touches)
        audit = self._audit.read(connection, now - ASKED_LATELY)
        asked = audit.asked_since(now - ASKED_LATELY) if audit else {}
        there = {"cost_events": has_costs, "cost_events.cost_usd": has_prices(connection)}
        there |= {"sessions": sessions is not None, "scheduler_audit_log": audit is not None}
        missing += tuple(name for name, is_there in there.items() if not is_there)
        return Tables(columns, rows, sessions, has_costs, audit, is_over, missing, asked, left_out(found))

    def _is_newest_touch_over(self, connection: sqlite3.Connection, touches: Mapping[str, datetime]) -> bool:
        """Whether the run behind the newest touch ended before the remembered cost events begin.

        Only the newest touch can be a run in flight, so only it has to be looked up.
        """
        touched, job_id = max(zip(touches.values(), touches, strict=True), default=(None, ""))
        begins = self._ledger.begins_at
        if touched is None or begins is None or touched >= begins or self._ledger.last_end(job_id):
            return False
        return has_end_between(connection, job_id, touched - timedelta(seconds=1), touched + timedelta(seconds=3))

    def _assemble(self, tables: Tables, seen: Signature, now: datetime) -> Snapshot:
        ids = self._ids.of([row[0] for row in tables.rows])
        there = set(ids)
        bases = self._bases(ids, there, tables)
        jobs, restarted = self._motion.see(bases, now, self._process, tables.audit.runs if tables.audit else {})
        if restarted:
            self._liveness.restarted(restarted)
            self._process = self._liveness.process
        touches = tables.sessions.touches if tables.sessions else {}
        can_tell = bool(touches) and tables.has_costs
        gone = _only(touches, touches.keys() - there)
        newest = self._newest_touches(bases, touches, gone, tables) if can_tell else {}
        open_ = {} if self._is_broken_off(newest) else newest
        broken_off = self._broken_off(self._open) if can_tell else {}
        return Snapshot(
            self.name,
            self.kind,
            self._all_in_motion(jobs, open_, broken_off),
            departed=self._departed(gone, open_, there, tables.audit),
            traits=Traits(
                shows_slot=tables.sessions is not None and tables.has_costs,
                catch_up=CATCH_UP,
                longest_timer=LONGEST_TIMER,
            ),
            process=self._process,
            unseen=(
                *what_is_missing(tables.missing),
                *tables.left_out,
            ),
            spent=self._ledger.spent,
            reads_on=self._ledger.reads_on,
            unread=self._unread(jobs),
            clock_ahead=self._clocks.ahead,
        )

    def _unread(self, jobs: Iterable[Job]) -> tuple[Unseen, ...]:
        """What could not be told if no look followed, while older run ends are still being read."""
        if not self._ledger.reads_on:
            return ()
        names = [job.name for job in jobs if job.is_planned and not self._ledger.has_decided(job.id, job.totals.runs)]
        if not names:
            return ()
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        what = f"the last runs of {names[0]}{more} lie further back than one look reads"
        return (Unseen(what, (Kind.ZERO_TOKENS,), "`scheduler-watchdog run` reads on, and remembers"),)

    def _is_broken_off(self, touches: Mapping[str, datetime]) -> bool:
        """Whether the process that ran them is gone: a run does not outlive it, and leaves its touch as it was."""
        return self._process.is_alive is False or bool(self._broken_off(touches))

    def _broken_off(self, touches: Mapping[str, datetime]) -> Mapping[str, datetime]:
        """Those of them whose process is gone."""
        if self._process.is_alive is False:
            return touches
        # a touch is cut to the second
        born = self._process.started_at.replace(microsecond=0) if self._process.started_at else None
        return {} if born is None else {id_: at for id_, at in touches.items() if at < born}

    def _bases(self, ids: Sequence[str], there: set[str], tables: Tables) -> Sequence[Job]:
        """The jobs by their rows alone; those of the last look where nothing about them has changed."""
        sessions, asked = tables.sessions.by_job if tables.sessions else {}, tables.asked_lately
        runs, ledger = tables.audit.runs if tables.audit else {}, self._ledger
        of_all = (tables.columns, tables.has_costs, tables.audit is None, ledger.begins_at, ledger.beginnings)
        # the same object is compared at once
        self._of_all = self._of_all if of_all == self._of_all else of_all
        facts = zip(
            self._rows.of(ids, tables.rows),
            map(sessions.get, ids),
            ledger.versions(ids),
            map(runs.get, ids),
            map(asked.get, ids),
            repeat(self._of_all),
            strict=False,
        )
        known = list(facts)
        self._jobs.renew(ids, known, lambda place, _: self._job(ids[place], tables, *known[place][:5]))
        if self._open.keys() - there:
            self._open = {id_: at for id_, at in self._open.items() if id_ in there}
        self._forget_errors(there)
        return tuple(self._jobs.results)

    def _note_open(self, job: Job, session: Session | None) -> None:
        """Whether its newest touch is a run's start whose end has left no trace."""
        touched = session.touched_at if session else None
        if touched is not None and self._is_open(job.id, touched, job.last_run):
            self._open[job.id] = touched
        else:
            self._open.pop(job.id, None)

    def _all_in_motion(
        self, jobs: tuple[Job, ...], open_: Mapping[str, datetime], broken_off: Mapping[str, datetime]
    ) -> tuple[Job, ...]:
        begun = open_.keys() | broken_off.keys()
        if not begun:
            return jobs
        return tuple([self._in_motion(job, open_, broken_off) if job.id in begun else job for job in jobs])

    def _in_motion(self, job: Job, open_: Mapping[str, datetime], broken_off: Mapping[str, datetime]) -> Job:
        if job.id in open_:
            return replace(job, in_flight_since=open_[job.id], interrupted=_broken_off_before(job))
        touched = broken_off.get(job.id)
        if touched is None or not self._is_remembered(touched):
            return job
        restarted = self._process.started_at if self._process.is_alive is not False else None
        loop = job.terms.restarts
        times, first = (loop.begun, loop.first_begun_at) if loop and loop.begun else (1, None)
        return replace(job, interrupted=Interruption(touched, restarted, times=times, first_started_at=first))

    def _newest_touches(
        self, jobs: Iterable[Job], touches: Mapping[str, datetime], gone: Mapping[str, datetime], tables: Tables
    ) -> dict[str, datetime]:
        """The runs in flight, if their process lives: touched after the job's newest end, and no other job has since.

        There is one slot, so any later activity elsewhere proves that the run is over (killed, or restarted).
        """
        if tables.newest_touch_is_over:
            return {}
        marks = [max(touches.values()), self._ledger.newest_end_at]
        marks += [job.last_run.started_at for job in jobs if job.last_run]
        newest = max(mark for mark in marks if mark)
        still = {id_: at for id_, at in gone.items() if at == newest and self._is_open(id_, at, None)}
        return {id_: at for id_, at in self._open.items() if at == newest} | still

    def _forget_errors(self, there: set[str]) -> None:
        if self._errors.keys() - there:
            self._errors = {id_: run for id_, run in self._errors.items() if id_ in there}
        self._paces.forget(there)

    def _is_open(self, job_id: str, touched: datetime, run: RecordedRun | None) -> bool:
        """Whether the touch is a run's start whose end has left no trace."""
        end = self._ledger.last_end(job_id)
        if end is not None and end.at >= touched:
            return False
        return not (run and run.ended_at and run.ended_at >= touched)

    def _departed(
        self, gone: Mapping[str, datetime], open_: Mapping[str, datetime], known: set[str], audit: Audit | None
    ) -> Departed:
        ends = [end.at for id_ in self._ledger.job_ids() - known if (end := self._ledger.last_end(id_))]
        starts = [at for id_, at in gone.items() if self._is_open(id_, at, None) and self._is_remembered(at)]
        holds = [Hold(id_, None, at) for id_, at in open_.items() if id_ not in known]
        return Departed(
            holds[0] if holds else None,
            max(starts, default=None),
            max(ends, default=None),
            {id_: at for id_, at in (audit.deletes if audit else {}).items() if id_ not in known},
            gone,
        )

    def _is_remembered(self, at: datetime) -> bool:
        return self._ledger.begins_at is None or at >= self._ledger.begins_at

    def _job(
        self,
        id_: str,
        tables: Tables,
        row: Record,
        session: Session | None,
        _: int,
        manual: datetime | None,
        asked: tuple[datetime, ...] | None,
    ) -> Job:
        named = dict(zip(tables.columns, row, strict=True))
        job = self._built(id_, named, session, has_costs=tables.has_costs)
        self._note_open(job, session)
        repeated = self._repeated(job, session, manual, knows_manual=tables.audit is not None)
        pace = self._pace(job, asked or ())
        return replace(job, repeated=repeated, pace=pace) if repeated or pace else job

    def _pace(self, job: Job, asked: tuple[datetime, ...]) -> Pace | None:
        """How often it ran lately. Errors make its scheduler try again before its time."""
        error = self._errors.get(job.id)
        newest = job.last_end
        is_retried = error is not None and newest is not None and newest.at - error.started_at < timedelta(hours=2)
        pauses = job.breaker.backoff if job.breaker and (job.consecutive_errors or is_retried) else ()
        return self._paces.of(job, self._ledger.of(job.id).lately, asked, pauses)

    def _built(self, id_: str, row: Mapping[str, object], session: Session | None, *, has_costs: bool) -> Job:
        reader, aside = RowReader(row), RowReader(row)  # what is odd in the second only narrows what can be told
        schedule = reader.schedule(self._zone)
        run = aside.last_run()
        run = run if run and run.started_at <= self._latest else None
        updated = aside.instant("updated_at")
        updated = updated if updated and updated <= self._latest else None
        self._remember_error(id_, run)
        return Job(
            id=id_,
            name=reader.text("name") or f"(job {id_} has no name)",
            schedule=schedule,
            enabled=reader.is_enabled(),
            status=reader.text("status", 40) or "unknown",
            next_run_at=reader.instant("next_run_at"),
            last_run=run,
            consecutive_errors=aside.count("consecutive_errors"),
            breaker=BREAKER_AT if isinstance(schedule, At) else BREAKER,
            delivery_status=reader.text("last_delivery_status"),
            delivery_target=reader.text("delivery_target"),
            created_by=reader.text("created_by"),
            updated_at=updated,
            sweep_at=reader.sweep_at(),
            last_started_at=self._last_start(id_, run, session),
            unrecorded_end=self._unrecorded(id_, run, updated, session),
            recent=self._ledger.recent(id_),
            zero_streak=self._ledger.streak(id_) if has_costs else None,
            totals=_totals(aside, session),
            problems=tuple(reader.problems),
            may_go_at=reader.may_go_at(schedule),
            spent=self._ledger.of(id_).spending.sums,
            last_paid_at=self._ledger.of(id_).last_paid_at,
            has_used_tokens=self._ledger.of(id_).has_used or _has_used(session),
        )

    def _last_start(self, id_: str, run: RecordedRun | None, session: Session | None) -> datetime | None:
        starts = [run.started_at] if run else []
        touched = session.touched_at if session else None
        if touched and self._is_remembered(touched) and self._is_open(id_, touched, run):
            starts.append(touched)
        return max(starts, default=None)

    def _unrecorded(
        self, id_: str, run: RecordedRun | None, updated: datetime | None, session: Session | None
    ) -> RunEnd | None:
        """The newest run end, if no recorded run is its own, and the job has not started again since.

        The last recorded run is its own if it began after the run end before, whatever else changed the row since; not
        if that end before is the recorded run's.
        """
        ends = self._ledger.recent(id_)[-2:]
        if not ends or (session and session.touched_at and session.touched_at > ends[-1].at):
            return None
        end = ends[-1]
        if run and run.ended_at and run.ended_at + ROW_LAG >= end.at:
            return None
        if run and len(ends) > 1:
            is_of_the_one_before = bool(run.ended_at and abs(run.ended_at - ends[0].at) <= ROW_LAG)
            return end if is_of_the_one_before or run.started_at + ROW_LAG < ends[0].at else None
        return end if updated and end.at - updated > ROW_LAG else None

    def _remember_error(self, id_: str, run: RecordedRun | None) -> None:
        if run and run.status == "error":
            self._errors[id_] = run

    def _repeated(
        self, job: Job, session: Session | None, manual: datetime | None, *, knows_manual: bool
    ) -> RepeatedRun | None:
        """The run before the last one, if it had done the same slot's work and nobody asked for another."""
        run = job.last_run
        if not knows_manual or run is None or run.status != "ok" or not isinstance(job.schedule, CronSchedule):
            return None
        slot = fire_at_or_before(job.schedule, run.started_at)
        if slot is None or (manual and manual >= slot) or near_clock_change(job.schedule, run.started_at):
            return None
        # a run end's time is cut to the second, so one of the start's own second may be this very run's
        started = run.started_at.replace(microsecond=0)
        between = [end for end in job.recent if slot < end.at < started and not _is_empty(end)]
        if not between or self._is_retry(job, between[-1], run, session):
            return None
        return RepeatedRun(slot, between[-1], run.started_at)

    def _is_retry(self, job: Job, end: RunEnd, run: RecordedRun, session: Session | None) -> bool:
        """Whether the first run ended in an error, so that the second was its due retry.

        The row keeps only the last outcome. Either an earlier look saw the error; or the session has no turn more than
        there are recorded runs, so that none went unrecorded; or the second run started one of the breaker's pauses
        after the first.
        """
        error = self._errors.get(job.id)
        if error and error.ended_at and abs(error.ended_at - end.at) <= timedelta(seconds=2):
            return True
        turns, runs = session.turns if session else None, job.totals.runs
        if turns and runs is not None and turns <= runs:
            return True
        gap = run.started_at - end.at
        pauses = job.breaker.backoff if job.breaker else ()
        return any(RETRY_SLACK[0] <= gap - pause <= RETRY_SLACK[1] for pause in pauses)


def _may_have_run(
    ids: Sequence[str], rows: Sequence[Record], columns: Sequence[str], sessions: Mapping[str, Session] | None
) -> list[str]:
    """The jobs that can have a run end at all: a run's start touches the job's session, and so makes it."""
    place = columns.index("last_run_at") if "last_run_at" in columns else None
    return [
        id_
        for id_, row in zip(ids, rows, strict=True)
        if sessions is None or id_ in sessions or (place is not None and row[place] is not None)
    ]


def _broken_off_before(job: Job) -> Interruption | None:
    """The runs before the one in flight, where so many in a row were broken off that this one may be so too."""
    loop = job.terms.restarts
    if loop is None or loop.first_begun_at is None or loop.begun <= BROKEN_OFF_AGAIN:
        return None
    return Interruption(loop.first_begun_at, loop.newest, times=loop.begun - 1, first_started_at=loop.first_begun_at)


def _has_used(session: Session | None) -> bool:
    return session is not None and bool(session.input_tokens or session.output_tokens)


def _is_empty(end: RunEnd) -> bool:
    return not (end.input_tokens or end.output_tokens)


def _totals(reader: RowReader, session: Session | None) -> Totals:
    runs = reader.count("run_count")
    if session is None:
        return Totals(runs=runs)
    return Totals(runs, session.input_tokens, session.output_tokens, session.cost_usd)


def _jobs(connection: sqlite3.Connection, path: Path, known: SameRows) -> tuple[Sequence[str], Rows]:
    """The columns that are there, and the rows. `known`: those of the look before."""
    there = columns_of(connection, "scheduled_jobs")
    if not there:
        raise UnreadableError(f"{path} has no table scheduled_jobs: is it the scheduler's database?")
    missing = [column for column in REQUIRED if column not in there]
    if missing:
        raise UnreadableError(f"{path}: the table scheduled_jobs has no column {', '.join(missing)}")
    columns = [column for column in COLUMNS if column in there]
    return columns, rows_of(connection, "scheduled_jobs", columns, known=known)


MOST_SESSIONS = 50_000
"""Sessions that are read: those of jobs that are gone stay for ever."""

_SESSION_COLUMNS = ("last_active_at", "turn_count", "input_tokens", "output_tokens", "total_cost_usd")


class _Sessions:
    """Carried from look to look: those whose row is as it was are the same objects, and told in the same mapping."""

    def __init__(self) -> None:
        self._rows = SameRows()
        self._by_row: InOrder[Session] = InOrder()
        self._keys: Sequence[str] = ()
        self._last = Sessions({}, {})

    def read(self, connection: sqlite3.Connection) -> Sequence[Record] | None:
        """The rows of jobs, in the order of their keys: they are found so, and to sort them costs as much again."""
        there = columns_of(connection, "sessions")
        if "session_key" not in there or "last_active_at" not in there:
            return None
        columns = ("session_key", *(column if column in there else "NULL" for column in _SESSION_COLUMNS))
        of_jobs = "session_key >= ? AND session_key < ?"
        keys, most, known = (KEY_PREFIX, KEY_PREFIX[:-1] + ";"), MOST_SESSIONS, self._rows
        return rows_of(connection, "sessions", columns, of_jobs, keys, most=most, known=known, is_in_order=False).rows

    def of(self, found: Sequence[Record]) -> Sessions:
        """What the rows tell."""
        keys = [str(row[0]) for row in found]
        rows = self._rows.of(keys, found)
        renewed = self._by_row.renew(keys, rows, lambda place, _: _session(rows[place]))
        is_told_twice = len(keys) > len(self._last.by_job)
        if keys != self._keys or is_told_twice:
            self._keys, job_ids = keys, [key[len(KEY_PREFIX) :] for key in keys]
            return self._told(dict(zip(job_ids, self._by_row.results, strict=True)))
        if not renewed:
            return self._last
        new = {keys[place][len(KEY_PREFIX) :]: self._by_row.results[place] for place in renewed}
        return self._told({**self._last.by_job, **new})

    def _told(self, by_job: Mapping[str, Session]) -> Sessions:
        touches = {id_: each.touched_at for id_, each in by_job.items() if each.touched_at}
        self._last = Sessions(by_job, touches)
        return self._last


def _only(touches: Mapping[str, datetime], ids: Collection[str]) -> Mapping[str, datetime]:
    """Those of these jobs, in the order in which they were read."""
    return {id_: at for id_, at in touches.items() if id_ in ids} if ids else {}


def _credible(sessions: Sessions, latest: datetime) -> Sessions:
    """Those that are dated ahead say nothing of when they were touched."""
    if max(sessions.touches.values(), default=latest) <= latest:
        return sessions
    ahead = {id_ for id_, at in sessions.touches.items() if at > latest}
    by_job = {id_: replace(each, touched_at=None) if id_ in ahead else each for id_, each in sessions.by_job.items()}
    return Sessions(by_job, {id_: at for id_, at in sessions.touches.items() if id_ not in ahead})


def _session(row: Record) -> Session:
    _, touched, turns, input_tokens, output_tokens, cost = row
    return Session(
        readable_instant(touched),
        _whole(turns),
        _whole(input_tokens),
        _whole(output_tokens),
        float(cost) if isinstance(cost, int | float) and 0 <= cost < float("inf") else None,
    )


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None


class _Ids:
    """What jobs are called by: short texts, made anew only where the keys are others than at the last look."""

    def __init__(self) -> None:
        self._raw: list[object] = []
        self._made: list[str] = []

    def of(self, raw: list[object]) -> list[str]:
        """The ids as short text, each another: an id becomes a label, and a key may be NULL in SQLite."""
        # numbers may be equal and yet another text
        if raw != self._raw or not set(map(type, raw)) <= {str}:
            self._raw, self._made = raw, _unique(raw)
        return self._made


def _unique(raw: Iterable[object]) -> list[str]:
    taken: dict[str, None] = {}
    for each in raw:
        id_ = base = one_line(str(each if each is not None else ""), 128) or "(no id)"
        number = 2
        while id_ in taken:
            id_, number = f"{base} #{number}", number + 1
        taken[id_] = None
    return list(taken)
