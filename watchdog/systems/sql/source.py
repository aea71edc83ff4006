"""Any other scheduler: read by two queries of the operator's own, from SQLite or PostgreSQL (docs/sql.md)."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from watchdog.cadence.schedule import fires_within, next_fire, plus
from watchdog.core.error_class import classify
from watchdog.core.model import (
    At,
    Departed,
    Hold,
    Job,
    NoCadence,
    Pace,
    RecordedRun,
    Schedule,
    Snapshot,
    Terms,
    Traits,
    Unreadable,
)
from watchdog.core.redaction import one_line
from watchdog.systems.base import Look
from watchdog.systems.shared.host import Host
from watchdog.systems.shared.outcomes import PLANNED
from watchdog.systems.shared.paces import Paces
from watchdog.systems.shared.unreadable import UnreadableError
from watchdog.systems.shared.values import ERROR_LENGTH, Values
from watchdog.systems.sql.lifeline import Lifeline, Planned
from watchdog.systems.sql.plans import Known, Plans
from watchdog.systems.sql.reading import Reader, Reading
from watchdog.systems.sql.runs import ID_LENGTH, JobRuns, Runs, key, shown
from watchdog.systems.sql.schedules import schedule_of
from watchdog.systems.sql.section import Sql
from watchdog.systems.sql.unseen import Hidden, unseen

EARLY = timedelta(minutes=1)
"""A one-shot may start this much before its time and has been run all the same."""

SOON = timedelta(minutes=1)
"""How long a scheduler that moves on at once, or deletes what it is done with, may take to."""

AHEAD = timedelta(days=1)
"""How far the scheduler's clock may be ahead of ours; what lies further ahead is no run."""

NEVER = datetime(1971, 1, 1, tzinfo=UTC)
"""A mark from before this is a zero, which some write for none."""

MANY = 1_000_000
"""Of how many runs a scheduler that sets no limit has in flight at the most."""

UNKNOWN = "unknown"
"""What a row's `next_run_at` says where NULL would mean that it never fires."""

MOVE_ON = frozenset(("next_run_at", "last_run_at"))
MOVE_WITH_RUNS = frozenset(("last_run_at", "running_since"))
"""Columns of jobs that move with a job's runs, where these are not shown."""


class SqlSource:
    """Watches one scheduler. What the rows do not say, the first due time of a job, it takes from what it saw."""

    kind = "sql"

    def __init__(self, settings: Sql, reader: Reader, host: Host) -> None:
        self.name = settings.name
        self._settings = settings
        self._reader = reader
        self._runs = Runs(overlap=settings.runs_overlap)
        self._paces = Paces()
        self._plans = Plans(host.memory)
        self._lifeline = Lifeline(host)
        self._read: Snapshot | None = None
        self._planned_by: dict[str, datetime] = {}
        self._read_at: datetime | None = None
        self._snapshot: Snapshot | None = None

    def warnings(self) -> list[str]:
        """Ways in which reading could do harm."""
        return self._reader.warnings()

    def look(self, now: datetime) -> Look:
        """The state as last read. No look but the first takes longer than a few milliseconds on a server; on a file,
        and the first on a server, none takes longer than the deadline."""
        began = time.perf_counter()
        reading: Reading | None = None
        try:
            reading = self._reader.read(self._runs.mark, now)
            if reading:
                self._read = self._assembled(reading, now)
                self._read_at = reading.at
            if reading or self._settings.database is not None:
                self._plans.looked(now)  # that a file is as it was is as good as reading it
            snapshot = self._heard(self._read, now) if self._read else self._unread(now)
        except UnreadableError as error:
            snapshot = self._unreadable(str(error), now)
        except Exception as error:
            # the rows are a stranger's: whatever they hold, the other sources must still be looked at
            snapshot = self._unreadable(f"{type(error).__name__}: {one_line(str(error), 200)}", now)
        is_new = snapshot is not self._snapshot and snapshot != self._snapshot
        self._snapshot = snapshot if is_new or self._snapshot is None else self._snapshot
        return Look(self._snapshot, is_new, time.perf_counter() - began if reading or is_new else None)

    def _heard(self, read: Snapshot, now: datetime) -> Snapshot:
        """What was read, by what its scheduler plans and its health address tells. A file is now as it was read."""
        return self._lifeline.heard(read, now, Planned(self._planned_by, self._read_at or now))

    def _unread(self, now: datetime) -> Snapshot:
        """Nothing has been read since it could not be, or at all."""
        return self._snapshot or self._unreadable("not read yet", now)

    def _unreadable(self, reason: str, now: datetime) -> Snapshot:
        before = self._snapshot
        since = before.problem_since if before and before.problem else now
        self._read = None
        return Snapshot(self.name, self.kind, problem=reason, problem_since=since)

    def _assembled(self, reading: Reading, now: datetime) -> Snapshot:
        rows = _by_id(reading.jobs)
        hides_jobs = not rows and self._settings.row_security == "apply"
        self._take(reading, None if hides_jobs else set(rows), now)
        hidden = Hidden(strays=self._runs.gone_id if self._are_strays() else "")
        jobs = [self._job(id_, row, reading, now, hidden, is_twice=twice) for id_, (row, twice) in rows.items()]
        planned = {id_ for id_, job in zip(rows, jobs, strict=True) if job.is_planned}
        until = {id_: Values(rows[id_][0]).instant("planned_until") for id_ in planned}
        self._planned_by = {id_: by for id_, by in until.items() if by}
        if not hides_jobs:
            self._plans.keep(rows)
            self._paces.forget(rows)
        found = self._queued(jobs, list(rows))
        return Snapshot(
            self.name,
            self.kind,
            found,
            departed=Departed(None, self._runs.gone_start, self._runs.gone_end),
            traits=self._traits(found, reading, hidden),
            unseen=unseen(hidden, self._plans.lost, rows, self._plans.ids if hides_jobs else None),
            passed_at=self._plans.passed_at,
        )

    def _are_strays(self) -> bool:
        """Whether runs start, and none of them is of a job: most likely the two queries do not mean the same ids."""
        has_none = self._settings.runs is not None and not self._runs.has_any
        return has_none and self._plans.none_has_run_since(self._runs.gone_start)

    def _take(self, reading: Reading, ids: set[str] | None, now: datetime) -> None:
        """Remember the runs, and what was deleted before anybody saw it. `ids`: of the jobs, if they can be seen."""
        if reading.begins_anew:
            self._runs.begin_anew(is_flood=not reading.is_purged and not self._settings.asks_each_job)
        self._runs.take(reading.runs, reading.vanished, ids)
        if reading.begins_anew and not reading.is_whole:
            self._runs.doubt()
        if reading.has_asked:
            self._runs.asked()
        if self._settings.runs is not None and (reading.begins_anew or reading.is_purged):
            self._plans.history(reading.history_from, now, is_first=self._read is None, is_purged=reading.is_purged)
        else:
            self._plans.unchanged_history()

    def _traits(self, jobs: Sequence[Job], reading: Reading, hidden: Hidden) -> Traits:
        tells_runs = self._settings.runs is not None and sum(map(len, hidden.runs.values())) < max(1, len(jobs))
        if "next_run_at" in reading.job_columns and not self._runs.gone_start:
            # of a table that has never held a run nobody knows whether it ever will
            tells_runs = tells_runs and any(job.last_started_at for job in jobs)
        shows_slot = tells_runs or "running_since" in reading.job_columns
        return Traits(
            has_one_slot=self._settings.one_at_a_time,
            workers=MANY if self._settings.runs_overlap else None,
            shows_slot=shows_slot,
            marks_starts=self._settings.one_at_a_time and shows_slot,
            shows_passes=not tells_runs and not MOVE_ON.isdisjoint(reading.job_columns),
            is_sure=self._settings.moves_on_at_once,
            may_hide_jobs=self._settings.row_security == "apply",
        )

    def _job(
        self, id_: str, row: Mapping[str, object], reading: Reading, now: datetime, hidden: Hidden, *, is_twice: bool
    ) -> Job:
        values = Values(row)
        aside = Values(row)  # what is odd in these columns only narrows what can be told
        history = self._runs.of(id_)
        unknown_zones: list[str] = []
        schedule = schedule_of(values, self._settings, unknown_zones)
        for zone in unknown_zones:
            hidden.zones.setdefault(zone, set()).add(id_)
        is_planned = values.flag("enabled", default=True)
        word = values.word("status")
        status = "active" if not word or word in PLANNED else word
        known = self._known(id_, history, aside, now)
        started = known.started_at
        anchor = self._plans.anchor(id_, (schedule, is_planned and status == "active"), known, now)
        is_over = isinstance(schedule, At) and started is not None and started >= schedule.at - EARLY
        derives = "next_run_at" not in reading.job_columns or str(row["next_run_at"]).strip().lower() == UNKNOWN
        due = self._derived(id_, schedule, anchor, started) if derives else values.instant("next_run_at")
        unwritten = values.text("runs_unseen")
        if unwritten:
            hidden.runs.setdefault(unwritten, set()).add(id_)
        untimed = history.untimed or self._untimed(aside, reading)
        if untimed:
            hidden.untimed[id_] = untimed
        if is_twice:
            hidden.twice.add(id_)
        is_unknown = unwritten or untimed or hidden.strays or not self._can_be_late(schedule, reading)
        if is_twice or (derives and is_unknown):
            due, derives = None, True
        if not derives:
            self._plans.next_run(id_, due, schedule, now)
        in_flight = self._in_flight(aside, history)
        job = Job(
            id=shown(id_),
            name=values.text("name") or f"job {one_line(id_, ID_LENGTH)}",
            schedule=schedule,
            enabled=is_planned,
            status="completed" if status == "active" and derives and is_over else status,
            next_run_at=due,
            last_run=history.last_recorded or _run_of_row(aside),
            consecutive_errors=self._errors(aside, history, reading),
            delivery_status=values.text("delivery_status"),
            delivery_target=values.text("delivery_target"),
            created_by=values.text("created_by"),
            updated_at=aside.instant("updated_at"),
            in_flight_since=in_flight,
            last_started_at=_newest(started, in_flight),
            recent=history.ends,
            zero_streak=history.zero_streak if _has_tokens(reading) else None,
            terms=Terms(
                run_limit=values.duration("max_run") or self._settings.max_run,
                grace=self._grace(),
                shows_next_run=not derives or due is not None,
                shows_all_runs=False,
            ),
            skips=history.skips,
            interrupted=None if in_flight else history.left_off,
            problems=tuple(dict.fromkeys(values.problems)),
            may_go_at=self._may_go_at(schedule, due),
            goes_by=plus(due, SOON) if due and self._deletes_at_once(schedule) else None,
        )
        return replace(job, pace=self._pace(job, history))

    def _known(self, id_: str, history: JobRuns, values: Values, now: datetime) -> Known:
        """What is known of its newest run, by the runs, its own row, and what was seen before."""
        seen, ended = history.last_trace(now + AHEAD)
        started = _newest(seen, values.instant("last_run_at"), self._plans.last_start(id_))
        return Known(started, ended, seen, (values.instant("planned_since"), values.instant("updated_at")))

    def _untimed(self, values: Values, reading: Reading) -> str:
        """Why its own row does not tell when it ran last, where nothing else does; empty if it does."""
        if self._settings.runs is not None or "last_run_at" not in reading.job_columns:
            return ""
        return next((problem for problem in values.problems if problem.startswith("last_run_at ")), "")

    def _pace(self, job: Job, history: JobRuns) -> Pace | None:
        """How often it ran lately. What it makes up for after a silence was due."""
        if self._settings.runs is None or isinstance(job.schedule, NoCadence | Unreadable):
            return None
        pace = self._paces.of(job, history.lately)
        if pace is None or history.silence is None:
            return pace
        return replace(pace, due=pace.due + fires_within(job.schedule, *history.silence))

    def _can_be_late(self, schedule: Schedule, reading: Reading) -> bool:
        """Whether anything would show that it has run."""
        is_shown = self._settings.runs is not None or not MOVE_WITH_RUNS.isdisjoint(reading.job_columns)
        return is_shown or isinstance(schedule, At)

    def _may_go_at(self, schedule: Schedule, due: datetime | None) -> datetime | None:
        """From when on its scheduler may take it away."""
        if isinstance(schedule, At):
            return schedule.at
        return due if self._deletes_at_once(schedule) else None

    def _deletes_at_once(self, schedule: Schedule) -> bool:
        """Whether it may be a one-shot of a scheduler that is done at once with what it comes to."""
        return self._settings.moves_on_at_once and isinstance(schedule, NoCadence)

    def _in_flight(self, values: Values, history: JobRuns) -> datetime | None:
        """Since when it runs: as its own row says, unless that run has ended since; or as its runs do."""
        running = values.instant("running_since")
        if running is None or running < NEVER or (history.ends and history.ends[-1].at >= running):
            return history.in_flight_since
        return running

    def _queued(self, jobs: Sequence[Job], ids: Sequence[str]) -> tuple[Job, ...]:
        """The jobs, those with a run that waits to be started behind the run that has been in flight for longest."""
        flying = [Hold(job.id, job.name, job.in_flight_since) for job in jobs if job.in_flight_since]
        if not flying or self._settings.one_at_a_time:
            return tuple(jobs)
        longest = min(flying, key=lambda hold: hold.since)
        return tuple(
            replace(job, waits_for=longest) if not job.in_flight_since and self._runs.of(id_).is_queued else job
            for id_, job in zip(ids, jobs, strict=True)
        )

    def _grace(self) -> timedelta:
        """How old what was read last may be."""
        is_file = self._settings.database is not None
        return self._settings.deadline + (timedelta() if is_file else self._settings.every)

    def _errors(self, values: Values, history: JobRuns, reading: Reading) -> int | None:
        if "consecutive_errors" in reading.job_columns or self._settings.runs is None:
            return values.count("consecutive_errors")
        return history.consecutive_errors

    def _derived(self, id_: str, schedule: Schedule, anchor: datetime, started: datetime | None) -> datetime | None:
        """When it is due, by its schedule. None for a one-shot that may have run before it was first seen."""
        if not isinstance(schedule, At):
            return next_fire(schedule, anchor)
        is_open = self._settings.runs is not None and started is None and self._plans.may_have_run(id_, schedule.at)
        return None if is_open else schedule.at


def _has_tokens(reading: Reading) -> bool:
    return "input_tokens" in reading.run_columns and "output_tokens" in reading.run_columns


def _newest(*instants: datetime | None) -> datetime | None:
    return max((instant for instant in instants if instant), default=None)


def _run_of_row(values: Values) -> RecordedRun | None:
    """The last run as the job's own row says it."""
    started = values.instant("last_run_at")
    if started is None:
        return None
    error = values.text("last_run_error", ERROR_LENGTH)
    return RecordedRun(started, values.word("last_run_status") or None, None, error, classify(error) if error else None)


def _by_id(rows: Iterable[Mapping[str, object]]) -> dict[str, tuple[Mapping[str, object], bool]]:
    """The rows by the id that runs name, the first of each, and whether there are other ones of it."""
    found: dict[str, tuple[Mapping[str, object], bool]] = {}
    for row in rows:
        id_ = key(row["id"])
        first, is_twice = found.get(id_, (row, False))
        found[id_] = (first, is_twice or first != row)
    return found


def open_sql(settings: Sql, host: Host | None = None) -> SqlSource:
    """The source that a configuration describes."""
    return SqlSource(settings, reader_of(settings), host or Host())


def reader_of(settings: Sql) -> Reader:
    """What asks the database that the section names."""
    if settings.database is not None:
        from watchdog.systems.sql.sqlite import SqliteReader

        return SqliteReader(settings, settings.database)
    from watchdog.systems.sql.postgres import PostgresReader

    return PostgresReader(settings)
