"""Any other scheduler: read by two queries of the operator's own, from SQLite or PostgreSQL (docs/sql.md)."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from watchdog.cadence import classic_cron, cron
from watchdog.cadence.schedule import next_fire
from watchdog.core.error_class import classify
from watchdog.core.model import (
    At,
    CronSchedule,
    Departed,
    Every,
    Job,
    NoCadence,
    RecordedRun,
    Schedule,
    Snapshot,
    Terms,
    Traits,
    Unreadable,
)
from watchdog.core.redaction import fit_to_leave, one_line
from watchdog.systems.base import Look, Trial
from watchdog.systems.shared.host import Host, Memory
from watchdog.systems.shared.notebook import Notebook
from watchdog.systems.shared.unreadable import UnreadableError
from watchdog.systems.shared.values import ERROR_LENGTH, NAME_LENGTH, Values
from watchdog.systems.sql.columns import QueryError
from watchdog.systems.sql.reading import Reader, Reading
from watchdog.systems.sql.runs import JobRuns, Mark, Runs, key
from watchdog.systems.sql.section import Sql

EARLY = timedelta(minutes=1)
"""A one-shot may start this much before its time and has been run all the same."""

ID_LENGTH = 128

Plan = tuple[Schedule, bool]
"""What decides when a job is due: its schedule, and whether it is to run at all."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What was planned, schedule and whether it is to run, and since when as far as that was seen."""

    plan: Plan
    since: datetime | None


class SqlSource:
    """Watches one scheduler. What the rows do not say, the first due time of a job, it takes from what it saw."""

    kind = "sql"

    def __init__(self, settings: Sql, reader: Reader, memory: Memory) -> None:
        self.name = settings.name
        self._settings = settings
        self._reader = reader
        self._runs = Runs()
        self._notes = Notebook(memory, "plans", Planned)
        self._plans = dict(self._notes.notes)
        self._has_looked = bool(self._plans)
        self._snapshot: Snapshot | None = None

    def warnings(self) -> list[str]:
        """Ways in which reading could do harm."""
        return self._reader.warnings()

    def look(self, now: datetime) -> Look:
        """The state as last read. No look but the first takes longer than a few milliseconds on a server; on a file,
        and the first on a server, none takes longer than the deadline."""
        began = time.perf_counter()
        try:
            reading = self._reader.read(self._runs.mark, now)
            if reading is None and self._snapshot is not None:
                return Look(self._snapshot, is_new=False)
            snapshot = self._assembled(reading, now) if reading else self._unreadable("not read yet", now)
        except UnreadableError as error:
            snapshot = self._unreadable(str(error), now)
        except Exception as error:
            # the rows are a stranger's: whatever they hold, the other sources must still be looked at
            snapshot = self._unreadable(f"{type(error).__name__}: {one_line(str(error), 200)}", now)
        is_new = snapshot != self._snapshot
        self._snapshot = snapshot if is_new or self._snapshot is None else self._snapshot
        return Look(self._snapshot, is_new, time.perf_counter() - began)

    def _unreadable(self, reason: str, now: datetime) -> Snapshot:
        before = self._snapshot
        since = before.problem_since if before and before.problem else now
        return Snapshot(self.name, self.kind, problem=reason, problem_since=since)

    def _assembled(self, reading: Reading, now: datetime) -> Snapshot:
        if reading.begins_anew:
            self._runs.forget()
        rows = _by_id(reading.jobs)
        self._runs.take(reading.runs, reading.vanished, set(rows))
        jobs = tuple(self._job(id_, row, reading, now, is_twice=twice) for id_, (row, twice) in rows.items())
        self._plans = {id_: plan for id_, plan in self._plans.items() if id_ in rows}
        self._notes.write(self._plans)
        self._has_looked = True
        return Snapshot(
            self.name,
            self.kind,
            jobs,
            departed=Departed(None, self._runs.gone_start, self._runs.gone_end),
            traits=Traits(has_one_slot=False, shows_slot=self._settings.runs is not None),
        )

    def _job(self, id_: str, row: Mapping[str, object], reading: Reading, now: datetime, *, is_twice: bool) -> Job:
        values = Values(row, ["its id is returned more than once by the jobs query"] if is_twice else [])
        aside = Values(row)  # what is odd in these columns only narrows what can be told
        history = self._runs.of(id_)
        run = history.last_recorded or _run_of_row(aside)
        schedule = _schedule(values, self._settings)
        is_planned = values.flag("enabled", default=True)
        started = _newest(history.last_start, aside.instant("last_run_at"))
        status = values.word("status") or "active"
        anchor = self._anchor(id_, (schedule, is_planned and status == "active"), aside, history, started, now)
        is_over = isinstance(schedule, At) and started is not None and started >= schedule.at - EARLY
        derives = "next_run_at" not in reading.job_columns
        has_tokens = "input_tokens" in reading.run_columns and "output_tokens" in reading.run_columns
        return Job(
            id=one_line(id_, ID_LENGTH) or "(no id)",
            name=values.text("name") or f"job {one_line(id_, ID_LENGTH)}",
            schedule=schedule,
            enabled=is_planned,
            status="completed" if status == "active" and derives and is_over else status,
            next_run_at=_due(schedule, anchor) if derives else values.instant("next_run_at"),
            last_run=run,
            consecutive_errors=self._errors(aside, history, reading),
            delivery_status=values.text("delivery_status"),
            delivery_target=values.text("delivery_target"),
            created_by=values.text("created_by"),
            updated_at=aside.instant("updated_at"),
            in_flight_since=history.in_flight_since,
            last_started_at=started,
            recent=history.ends,
            zero_streak=history.zero_streak if has_tokens else None,
            terms=Terms(run_limit=values.duration("max_run") or self._settings.max_run, grace=self._grace()),
            problems=tuple(dict.fromkeys(values.problems)),
            may_go_at=schedule.at if isinstance(schedule, At) else None,
        )

    def _grace(self) -> timedelta:
        """How old what was read last may be."""
        is_file = self._settings.database is not None
        return self._settings.deadline + (timedelta() if is_file else self._settings.every)

    def _errors(self, values: Values, history: JobRuns, reading: Reading) -> int | None:
        if "consecutive_errors" in reading.job_columns or self._settings.runs is None:
            return values.count("consecutive_errors")
        return history.consecutive_errors

    def _anchor(
        self, id_: str, plan: Plan, values: Values, history: JobRuns, started: datetime | None, now: datetime
    ) -> datetime:
        """From when on the job's next fire is counted: its last run, or when it was last planned anew.

        A job that was scheduled, changed or switched on while it was watched owes nothing for the time before.
        """
        before = self._plans.get(id_)
        is_as_before = (before is not None and before.plan == plan) or not self._has_looked
        planned_at = (before.since if before else None) if is_as_before else now
        ended = history.ends[-1].at if history.ends else None
        known = (started, ended, planned_at, values.instant("planned_since"), values.instant("updated_at"))
        anchor = _newest(*known)
        if anchor is None:
            anchor = planned_at = now  # nothing tells since when it has been due
        self._plans[id_] = Planned(plan, planned_at)
        return anchor


def _newest(*instants: datetime | None) -> datetime | None:
    return max((instant for instant in instants if instant), default=None)


def _due(schedule: Schedule, anchor: datetime) -> datetime | None:
    return schedule.at if isinstance(schedule, At) else next_fire(schedule, anchor)


def _run_of_row(values: Values) -> RecordedRun | None:
    """The last run as the job's own row says it."""
    started = values.instant("last_run_at")
    if started is None:
        return None
    error = values.text("last_run_error", ERROR_LENGTH)
    return RecordedRun(started, values.word("last_run_status") or None, None, error, classify(error) if error else None)


def _schedule(values: Values, settings: Sql) -> Schedule:
    given = [column for column in ("cron", "every", "at") if values.row.get(column) is not None]
    text = fit_to_leave(" ".join(f"{column} {values.row[column]}" for column in given), NAME_LENGTH)
    schedule: Schedule = NoCadence()
    if len(given) > 1:
        schedule = Unreadable(f"more than one of {', '.join(given)} is given", text)
    elif given == ["cron"]:
        schedule = _cron(values, settings, text)
    elif given:
        schedule = _of_column(values, given[0], text)
    if isinstance(schedule, Unreadable) and given not in (["every"], ["at"]):
        values.problems.append(f"its schedule cannot be read: {schedule.reason}")
    return schedule


def _of_column(values: Values, column: str, text: str) -> Schedule:
    if column == "at":
        instant = values.instant(column)
        return At(instant) if instant else Unreadable("not an instant", text)
    interval = values.duration(column)
    return Every(interval) if interval else Unreadable("not a duration", text)


def _cron(values: Values, settings: Sql, text: str) -> Schedule:
    expr, zone = str(values.row["cron"])[:NAME_LENGTH], values.text("timezone") or settings.timezone
    try:
        (cron if settings.cron == "croner" else classic_cron).parse(expr, zone)
    except ValueError as error:
        return Unreadable(fit_to_leave(str(error), NAME_LENGTH), text)
    return CronSchedule(expr, zone, settings.cron, is_zone_assumed=values.row.get("timezone") is None)


def _by_id(rows: Iterable[Mapping[str, object]]) -> dict[str, tuple[Mapping[str, object], bool]]:
    """The rows by the id that runs name, the first of each, and whether there are more of it."""
    found: dict[str, tuple[Mapping[str, object], bool]] = {}
    for row in rows:
        id_ = key(row["id"])
        found[id_] = (found[id_][0], True) if id_ in found else (row, False)
    return found


def open_sql(settings: Sql, host: Host | None = None) -> SqlSource:
    """The source that a configuration describes."""
    return SqlSource(settings, _reader(settings), (host or Host()).memory)


def _reader(settings: Sql) -> Reader:
    if settings.database is not None:
        from watchdog.systems.sql.sqlite import SqliteReader

        return SqliteReader(settings, settings.database)
    from watchdog.systems.sql.postgres import PostgresReader

    return PostgresReader(settings)


def try_queries(section: Sql, now: datetime) -> Trial:
    """Ask the database once: whether the queries are right, as far as it can be asked."""
    try:
        _reader(section).read(Mark(), now)
    except QueryError as error:
        return Trial(wrong=(str(error),))
    except UnreadableError as error:
        return Trial(unasked=(f"its queries were not tried: {error}",))
    return Trial()
