"""One Hermes home (the main one, or a profile's): what a look at it tells of its jobs and of its gateway."""

import json
import os
import sqlite3
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from watchdog.cadence.schedule import next_fire, plus
from watchdog.core.error_class import classify
from watchdog.core.instants import say
from watchdog.core.kinds import Kind
from watchdog.core.model import (
    At,
    Hold,
    Interruption,
    Job,
    Process,
    RecordedRun,
    Terms,
    Unseen,
)
from watchdog.systems.hermes.gateway import (
    A_TICK,
    LOOP_LIMIT,
    TICKER_LIMIT,
    Beats,
    Settings,
    beats_of,
    clock_of,
    settings_of,
)
from watchdog.systems.hermes.ledger import Ledger, Row
from watchdog.systems.hermes.plans import MENDED_WITHIN, SERVED_WITHIN, Plan, deleted, last_end, plan_of
from watchdog.systems.hermes.records import MOST_JOBS, Clock, JobsFile, Record
from watchdog.systems.hermes.runs import History, Run, history_of, interruption_of, runs_of
from watchdog.systems.shared.host import Host, NoMemory
from watchdog.systems.shared.liveness import Liveness
from watchdog.systems.shared.notebook import Notebook
from watchdog.systems.shared.paces import Paces
from watchdog.systems.shared.plain_file import marks, may_not
from watchdog.systems.shared.sqlite_file import columns_of, harm, read, signature_if_there
from watchdog.systems.shared.unreadable import UnreadableError

SILENT_FOR = timedelta(seconds=900)
"""A run without a message for so long is stuck: Hermes' own limit of 600 seconds is off, or did not help."""

SCRIPT_MARGIN = timedelta(minutes=2)
STARTING = timedelta(seconds=75)
"""What a start of the gateway takes to come to what was missed: its first tick, and loading the agent."""

CLAIM_LASTS = timedelta(seconds=1795)
"""For so long after its last sign of life Hermes keeps a one-shot whose run was broken off; then it drops it."""

CLAIM_IS_OVER = timedelta(minutes=45)
"""By then a one-shot that has a run left is run again."""

TOLD_FOR = timedelta(days=7)
"""How long a one-shot that Hermes has dropped unrun is told of."""

CHECKED_EVERY = timedelta(seconds=60)
"""How often it is looked whether scripts and working directories are there."""

OPEN_FOR = timedelta(hours=6)
"""For so long an open session alone tells of a run in flight."""

UNREAD_FOR = timedelta(seconds=10)
"""What cannot be read for so long is told: before, its writer may just hold it."""

MISSED_FROM = timedelta(hours=1)
"""A job that is due again sooner makes up by itself for a run that was thrown away before it began."""

A_MINUTE = timedelta(minutes=1)
"""From tick to tick."""

NEVER = timedelta(days=3650)
"""The limit of a run of which nobody can tell whether it goes on."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one home adds to the snapshot. `stands_from`: see `Snapshot`."""

    jobs: tuple[Job, ...]
    process: Process
    stands_from: datetime | None
    unseen: tuple[Unseen, ...]
    deleted: Mapping[str, datetime]
    ran: Mapping[str, datetime]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was worked out of a job, and for how long it holds if nothing is written."""

    record: Record
    version: int
    plan: Plan
    history: History
    job: Job
    until: datetime | None
    owed: datetime | None


@dataclass(frozen=True, slots=True)
class _Flight:
    """An open run that has really begun; `is_proved`: its process is known to live."""

    record: Record
    run: Run
    since: datetime
    is_proved: bool


class Home:
    """Watches one folder. `profile` is its name, empty for the main one."""

    def __init__(self, path: Path, profile: str, timezone: str | None, host: Host) -> None:
        self.path = path
        self.profile = profile
        self._zone = timezone
        self._writers = host.writers
        self._is_only_look = isinstance(host.memory, NoMemory)
        self._file = JobsFile(path / "cron/jobs.json")
        self._files = [path / name for name in _FILES]
        self._ledger = Ledger(path)
        self._liveness = Liveness(path / "state.db", host)
        self._notes: Notebook[Plan] = Notebook(host.memory, f"plans {profile}".strip(), Plan)
        self._alive: Notebook[bool] = Notebook(host.memory, f"alive {profile}".strip(), bool)
        self._moved: Notebook[datetime] = Notebook(host.memory, f"moved {profile}".strip(), datetime)
        self._plans = dict(self._notes.notes)
        self._paces = Paces()
        self._seen: dict[str, _Seen] = {}
        self._raw: Sequence[Mapping[str, Any]] = ()
        self._jobs_marks: object = None
        self._settings = Settings()
        self._settings_marks: object = None
        self._beats = Beats()
        self._beats_marks: object = None
        self._clock = Clock()
        self._process = Process()
        self._missing: dict[str, datetime] = {}
        self._restarted: datetime | None = None
        self._has_looked = False
        self._owners: dict[tuple[int | None, int | None], bool | None] = {}
        self._unread_since: datetime | None = None
        self._has_more = False
        self._signature: object = None
        self._again_at: datetime | None = None
        self._part: Part | None = None
        self.was_read = False

    def warnings(self) -> list[str]:
        """Whether reading as this user could harm the gateway."""
        return [found for name in ("cron/executions.db", "state.db") if (found := harm(self.path / name))]

    @property
    def is_there(self) -> bool:
        """Whether there is a file of jobs."""
        return os.path.exists(self._file.path)  # noqa: PTH110 - it raises nothing

    def look(self, now: datetime) -> Part:
        """The state now; the same object if nothing has changed. Raises UnreadableError."""
        process = self._look_at_process(now)
        owners = self._owners_now()
        seen = (self._marks(), self._ledger.signature(), process, owners)
        if self._part and seen == self._signature and not (self._again_at and now >= self._again_at):
            return self._part
        self._read(now)
        part = self._assembled(now)
        self._has_looked = self.was_read = True
        self._signature = (self._marks(), self._ledger.signature(), self._process, self._owners_now())
        if part != self._part:
            self._part = part
        assert self._part is not None  # noqa: S101 - just set
        return self._part

    def _marks(self) -> tuple[object, ...]:
        return (*map(marks, self._files), signature_if_there(self.path / "cron/runtime.db"))

    # reading

    def _read(self, now: datetime) -> None:
        jobs, settings = marks(self._file.path), marks(self.path / "config.yaml")
        state = signature_if_there(self.path / "cron/runtime.db")
        if settings != self._settings_marks or not self._has_looked:
            self._settings, self._settings_marks = settings_of(self.path), settings
        if (jobs, state) != self._jobs_marks:
            found = self._with_states(self._file.read())
            self._raw, self._has_more = found[:MOST_JOBS], len(found) > MOST_JOBS
            self._jobs_marks = (jobs, state)
        self._clock = clock_of(self._zone, self._settings.timezone, self._file.updated_at)

    def _with_states(self, jobs: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """Where the file holds definitions only, with what stands in `runtime.db`; what the file still says holds."""
        path = self.path / "cron/runtime.db"
        if not os.path.exists(path):  # noqa: PTH110 - it raises nothing
            return jobs
        states, _ = read(path, _states)
        return [{**states.get(str(job.get("id")), {}), **job} for job in jobs] if states else jobs

    def _look_at_process(self, now: datetime) -> Process:
        self._read_beats(now)
        locked = self._liveness.look(now, is_busy=False)
        beats = self._beats
        alive, frozen = locked.is_alive, locked.is_frozen
        if beats.pid is not None:
            named = self._writers.named(beats.pid, beats.ticks)
            if named.alive:
                self._note_alive(beats.pid, beats.ticks)
                alive, frozen = True, named.stopped
            elif named.alive is False and self._is_here(beats.pid, beats.ticks):
                ticks_on = beats.ticker is not None and now < beats.ticker + A_TICK
                alive, frozen = (None if ticks_on else False), None
        is_same = (alive, frozen) == (self._process.is_alive, self._process.is_frozen)
        since = self._process.since if is_same and self._process.since else now
        started = max((at for at in (beats.started_at, locked.started_at) if at), default=None)
        if self._process.is_frozen and not frozen:
            self._moved.write({"": now})
        self._process = replace(
            locked, is_alive=alive, is_frozen=frozen, since=since, started_at=started, ails=self._ails(alive, frozen)
        )
        return self._process

    def _ails(self, alive: bool | None, frozen: bool | None) -> str:
        beats = self._beats
        if alive is False or frozen or beats.ticker is None:
            return ""
        if beats.success is not None and beats.ticker - beats.success > A_TICK:
            return f"its ticks go on, and each fails since {say(beats.success)}: its log says why"
        if beats.loop is not None and beats.loop - beats.ticker > A_TICK + LOOP_LIMIT:
            return f"its process is up, and its ticker has stopped: it last ticked at {say(beats.ticker)}"
        up = "its process is up, and gives" if alive else "it gives"
        return f"{up} no sign of life since {say(max(beats.ticker, beats.loop or beats.ticker))}"

    def _read_beats(self, now: datetime) -> None:
        seen = tuple(map(marks, self._files[: len(_BEATS)]))
        if seen == self._beats_marks:
            return
        before, found, is_first = self._beats, beats_of(self.path), self._beats_marks is None
        self._beats_marks = seen
        # one that is seen to come was given now, whatever either clock says
        self._beats = replace(
            found,
            ticker=_beat(before.ticker, found.ticker, now, is_first=is_first),
            success=_beat(before.success, found.success, now, is_first=is_first),
            loop=_beat(before.loop, found.loop, now, is_first=is_first),
        )

    # who lives

    def _note_alive(self, pid: int, ticks: int | None) -> None:
        """A process of that number and start is here: it is Hermes', and dead when it is here no more."""
        mark = f"{pid} {ticks}"
        if ticks is not None and mark not in self._alive.notes:
            self._alive.write({mark: True})

    def _is_here(self, pid: int, ticks: int | None) -> bool:
        """Whether that number, which is not found here, is one of this machine, and not of a container's own: it was
        found here before, or the gateway is here, or nobody at all has its database open any more."""
        if f"{pid} {ticks}" in self._alive.notes:
            return True
        lock = self._writers.of(self.path / "state.db")
        # of a copy that nobody ever had open the lock tells nothing
        return lock.pid is not None or (lock.alive is False and marks(self.path / "state.db-shm") is not None)

    def _owners_now(self) -> dict[tuple[int | None, int | None], bool | None]:
        """The processes of all open rows: whether each lives. Asked once a look."""
        marks_ = {(row.pid, row.ticks) for row in self._ledger.open.values()}
        self._owners = {(pid, ticks): self._lives(pid, ticks) for pid, ticks in marks_}
        return self._owners

    def _lives(self, pid: int | None, ticks: int | None) -> bool | None:
        """None if that cannot be told."""
        if pid is None:
            return None
        named = self._writers.named(pid, ticks)
        return None if named.alive is False and not self._is_here(pid, ticks) else named.alive

    def _owner(self, row: Row) -> bool | None:
        """Whether the process that made a row lives; None if that cannot be told."""
        mark = (row.pid, row.ticks)
        if mark not in self._owners:
            self._owners[mark] = self._lives(*mark)
        return self._owners[mark]

    def _is_lost(self, run: Run) -> bool:
        return run.is_lost or (run.row is not None and run.is_open and self._owner(run.row) is False)

    @property
    def _fresh_until(self) -> datetime | None:
        """Until when the gateway counts as alive by its heartbeats alone."""
        beats = self._beats
        if beats.loop is not None:
            return beats.loop + LOOP_LIMIT
        return beats.ticker + TICKER_LIMIT if beats.ticker else None

    # one part

    def _assembled(self, now: datetime) -> Part:
        self._again_at = None
        records = self._file.records(self._raw, self._clock)
        there = {record.id for record in records}
        ghosts = self._ghosts(there, now)
        self._ledger.look([*there, *ghosts])
        ghosts = {id_: plan for id_, plan in ghosts.items() if self._is_told(id_, plan)}
        gone = {id_: plan for id_, plan in self._plans.items() if id_ not in there and id_ not in ghosts}
        gone_at = self._gone(gone, len(self._plans), now)
        histories = {record.id: self._history(record) for record in records}
        flights = self._flights(records, histories, now)
        restarted = self._process.started_at
        jobs = [self._job(record, histories[record.id], flights, restarted, now) for record in records]
        jobs += [self._ghost(id_, plan, now) for id_, plan in ghosts.items()]
        kept = {id_: each.plan for id_, each in self._seen.items() if id_ in there}
        self._plans = {**kept, **ghosts}
        self._seen = {id_: each for id_, each in self._seen.items() if id_ in there}
        self._notes.write(self._plans)
        self._paces.forget(there)
        self._ledger.forget(there, {*gone, *ghosts})
        self._restarted = restarted
        stands_from = self._stands_from()
        return Part(
            tuple(jobs),
            self._process,
            stands_from,
            self._unseen(records, histories, now),
            {self.named(id_): at for id_, at in gone_at.items()},
            {self.named(id_): at for id_ in gone if (at := self._ran_at(id_))},
        )

    def named(self, text: str) -> str:
        """The id or name of a job as it is told: a profile's with its name before it."""
        return f"{self.profile}/{text}" if self.profile else text

    def _history(self, record: Record) -> History:
        version = self._ledger.versions.get(record.id, 0)
        known = self._seen.get(record.id)
        if known is not None and known.version == version and known.record.is_script == record.is_script:
            return known.history
        rows, sessions = self._ledger.rows.get(record.id, {}), self._ledger.sessions.get(record.id, ())
        runs = runs_of(record, rows, sessions)
        return history_of(record, runs, self._ledger.counted, has_rows=self._ledger.has_rows)

    # runs in flight

    def _flights(
        self, records: Iterable[Record], histories: Mapping[str, History], now: datetime
    ) -> dict[str, _Flight]:
        """The run of each job that has begun and goes on, as far as can be told."""
        if not self._ledger.has_rows:
            each = ((record, self._by_session(record, histories[record.id], now)) for record in records)
            return {record.id: flight for record, flight in each if flight is not None}
        found = {}
        have_open = {row.job_id for row in self._ledger.open.values()}
        for record in records if have_open else ():
            if record.id not in have_open:
                continue
            flights = [
                flight for run in histories[record.id].open if (flight := self._flight(record, run, now)) is not None
            ]
            if flights:
                found[record.id] = min(flights, key=lambda flight: flight.since)
        return found

    def _by_session(self, record: Record, history: History, now: datetime) -> _Flight | None:
        """Where there is no ledger: an open session that is newer than the last run that the file tells of. It stays
        open if its process dies, so it counts for a while, and until the gateway has started anew."""
        run, restarted = history.newest, self._process.started_at
        if run is None or run.session is None or run.started_at is None or run.ended_at is not None:
            return None
        if restarted is not None and run.started_at < restarted:
            return None
        ends = min(run.started_at + OPEN_FOR, self._fresh_until or run.started_at + OPEN_FOR)
        self._look_by(ends, now)
        is_newer = record.last_run_at is None or run.started_at > record.last_run_at
        return _Flight(record, run, run.started_at, is_proved=False) if is_newer and now < ends else None

    def _flight(self, record: Record, run: Run, now: datetime) -> _Flight | None:
        row = run.row
        if row is None or row.status == "claimed" or run.started_at is None:
            return None
        owner = self._owner(row)
        if owner is False:
            return None
        if owner is None:
            fresh_until = self._fresh_until
            self._look_by(fresh_until, now)
            if fresh_until is not None and now >= fresh_until:
                return None
        is_proved = owner is True or (row.pid == self._beats.pid and self._fresh_until is not None)
        return _Flight(record, run, run.started_at, is_proved)

    def _limit(self, flight: _Flight) -> timedelta:
        run, touched = flight.run, flight.run.touched_at
        if not flight.is_proved or touched is None or self._process.is_frozen:
            return NEVER
        if run.session is None:
            return self._settings.script_limit + SCRIPT_MARGIN
        # one that stood still with its process gets as long as any other to get on again
        touched = max(touched, self._moved.notes.get("", touched))
        return max(timedelta(), touched - flight.since) + SILENT_FOR

    def _waits_for(self, record: Record, history: History, flights: Mapping[str, _Flight]) -> Hold | None:
        """The run that holds what a claimed one waits for: of the same process, one with a working directory before
        others, the oldest of these."""
        waiting = [run for run in history.open if run.started_at is None and run.row and not self._is_lost(run)]
        if not waiting or waiting[0].row is None:
            return None
        row = waiting[0].row
        holders = [
            flight
            for flight in flights.values()
            if flight.record.id != record.id
            and flight.run.row is not None
            and flight.run.row.process == row.process
            and (flight.run.session is not None or row.status == "claimed")
        ]
        if not holders:
            return None
        holder = min(holders, key=lambda flight: (flight.record.workdir is None, flight.since))
        return Hold(self.named(holder.record.id), self.named(holder.record.name), holder.since)

    # one job

    def _job(
        self,
        record: Record,
        history: History,
        flights: Mapping[str, _Flight],
        restarted: datetime | None,
        now: datetime,
    ) -> Job:
        known = self._seen.get(record.id)
        version = self._ledger.versions.get(record.id, 0)
        is_same = known is not None and known.record is record and known.version == version
        holds = is_same and not history.open and not (known and known.until and now >= known.until)
        is_in_flight = known is not None and known.job.in_flight_since is not None
        holds = holds and is_in_flight == (record.id in flights)
        if known is not None and holds and self._restarted == restarted:
            self._look_by(known.until, now)
            return known.job
        broken = None if record.id in flights else self._interrupted(record, history, now)
        plan, owed = plan_of(
            record,
            history,
            self._plans.get(record.id),
            now,
            was_watched=self._has_looked,
            ticks_fail=self._ticks_fail,
            lost=broken.record if broken else None,
        )
        problems = self._problems(record, now)
        job = self._made(record, history, plan, owed, flights, restarted, problems, now)
        pace = self._paces.of(job, history.ends, history.asked, changed_at=plan.changed_at)
        job = replace(job, pace=pace)
        job = known.job if known is not None and known.job == job else job
        until = self._until(record, plan, owed, now)
        self._look_by(until, now)
        self._seen[record.id] = _Seen(record, version, plan, history, job, until, owed)
        return job

    def _made(
        self,
        record: Record,
        history: History,
        plan: Plan,
        owed: datetime | None,
        flights: Mapping[str, _Flight],
        restarted: datetime | None,
        problems: tuple[str, ...],
        now: datetime,
    ) -> Job:
        flight = flights.get(record.id)
        broken = None if flight else self._interrupted(record, history, now)
        is_over, is_once = self._is_over(record, history), isinstance(record.schedule, At)
        is_lost = self._is_lost_for_good(record, broken)
        next_run = None if is_lost else self._next_run(record, plan, owed, now, is_in_flight=flight is not None)
        ran_at = last_end(record, history)
        return Job(
            id=self.named(record.id),
            name=self.named(record.name),
            schedule=record.schedule,
            enabled=record.enabled,
            status="completed" if is_over else record.status,
            next_run_at=next_run,
            last_run=history.last_run or _run_of(record, ran_at),
            consecutive_errors=self._errors(record, history, plan),
            delivery_status=f"error:{record.delivery_error}" if record.delivery_error else None,
            delivery_target=record.deliver,
            updated_at=plan.changed_at,
            in_flight_since=flight.since if flight else None,
            last_started_at=history.last_start or ran_at,
            repeated=history.twice,
            recent=history.recent,
            zero_streak=history.zeros,
            problems=problems,
            terms=Terms(
                grace=CLAIM_IS_OVER if broken and is_once else self._grace(owed, record, restarted),
                run_limit=self._limit(flight) if flight else None,
                served_by=self.profile,
            ),
            interrupted=broken,
            waits_for=None if flight else self._waits_for(record, history, flights),
            may_go_at=_may_go_at(record, broken),
            spent=history.spent,
            has_used_tokens=history.has_used,
        )

    def _errors(self, record: Record, history: History, plan: Plan) -> int:
        """In a row. Hermes keeps the rows of a thousand runs: of a seldom job fewer may be left than were seen."""
        if record.streak is not None:
            return record.streak
        if history.errors is None or history.may_be_more:
            return max(history.errors or 0, plan.errors)
        return history.errors

    @property
    def _ticks_fail(self) -> bool:
        beats = self._beats
        return beats.ticker is not None and beats.success is not None and beats.ticker - beats.success > TICKER_LIMIT

    def _next_run(
        self, record: Record, plan: Plan, owed: datetime | None, now: datetime, *, is_in_flight: bool
    ) -> datetime | None:
        """What it owes, whatever stands there; where nothing does, and Hermes may mend that at its next tick, what it
        will be."""
        stored = record.next_run_at
        if not record.is_planned or (is_in_flight and stored):
            return stored
        if stored is not None:
            return owed or stored
        if isinstance(record.schedule, At) and now < record.schedule.at + MENDED_WITHIN:
            return record.schedule.at
        is_long = plan.null_since is not None and now >= plan.null_since + MENDED_WITHIN
        return None if is_long else owed or plan.null_since or now

    def _until(self, record: Record, plan: Plan, owed: datetime | None, now: datetime) -> datetime | None:
        """When the same record will say something else."""
        wanted = [owed + SERVED_WITHIN if owed and not plan.is_owed and record.is_planned else None]
        if plan.null_since is not None:
            wanted.append(plan.null_since + MENDED_WITHIN)
            wanted.append(record.schedule.at + MENDED_WITHIN if isinstance(record.schedule, At) else None)
        if record.script or record.workdir:
            wanted.append(now + CHECKED_EVERY)
        return min((at for at in wanted if at and at > now), default=None)

    def _look_by(self, at: datetime | None, now: datetime) -> None:
        if at is not None and at > now and (self._again_at is None or at < self._again_at):
            self._again_at = at

    def _grace(self, owed: datetime | None, record: Record, restarted: datetime | None) -> timedelta:
        """What a start of the gateway takes until it comes to a job whose deadline it has not yet missed; and for one
        that is due again within a tick, what that takes."""
        if owed is None or isinstance(record.schedule, At):
            return timedelta()
        first = next_fire(record.schedule, owed)
        second = next_fire(record.schedule, first) if first else None
        if second is None:
            return timedelta()
        # what falls due again within two ticks is only known to be left out by one more
        grace = max(timedelta(), owed + 3 * A_MINUTE - second)
        if restarted is not None and restarted <= second < plus(restarted, STARTING):
            grace = max(grace, restarted + STARTING - second)
        return grace

    def _is_over(self, record: Record, history: History) -> bool:
        """Whether it is a one-shot that has done its work and is kept."""
        newest = history.newest
        is_past = newest is not None and isinstance(record.schedule, At) and record.next_run_at is None
        return bool(is_past and newest and newest.is_ok is not None)

    def _interrupted(self, record: Record, history: History, now: datetime) -> Interruption | None:
        """Its newest run, if that began and ended with its gateway. Of a recurring job one that somebody asked for at
        a terminal, and ended there, is none: the job's own go on."""
        is_once = isinstance(record.schedule, At)
        runs = [run for run in (*history.open, *([history.newest] if history.newest else [])) if self._is_lost(run)]
        if is_once and history.lost is not None:
            runs.append(history.lost)
        if not is_once and history.lost is not None and self._is_missed(record, history.lost):
            runs.append(history.lost)
        began = [
            run
            for run in runs
            if run.row and (is_once or (not run.row.is_direct and (run.started_at or self._is_missed(record, run))))
        ]
        run = max(began, key=lambda run: run.claimed_at, default=None)
        if run is None:
            return None
        newest = history.newest
        if newest is not None and newest is not run and newest.claimed_at > run.claimed_at:
            return None
        return interruption_of(run, self._outlook(record, run, now))

    def _is_missed(self, record: Record, run: Run) -> bool:
        """Whether a run that was thrown away before it began leaves a gap: the next fire does not come soon."""
        following = next_fire(record.schedule, run.claimed_at)
        return following is None or following - run.claimed_at >= MISSED_FROM

    def _outlook(self, record: Record, run: Run, now: datetime) -> str:
        if record.will_be_made_up:
            return "its gateway makes it up once"
        if isinstance(record.schedule, At):
            if record.runs_left == 0:
                return "its only run is used up: Hermes will never run it, and drops it after half an hour"
            return "nothing came of it; Hermes may run it when the claim of the dead process is over"
        following = next_fire(record.schedule, now)
        return "it is not made up" + (f"; its next run is due at {say(following)}" if following else "")

    def _is_lost_for_good(self, record: Record, broken: Interruption | None) -> bool:
        is_used_up = isinstance(record.schedule, At) and record.runs_left == 0 and not record.will_be_made_up
        return bool(broken and is_used_up)

    def _problems(self, record: Record, now: datetime) -> tuple[str, ...]:
        """What is wrong with it, also what will go wrong at its next run: of what lies in sight only."""
        found = list(record.problems)
        absent = [] if not record.is_planned else [*self._absent_script(record), *self._absent_folder(record)]
        if not absent:
            self._missing.pop(record.id, None)
            return tuple(found)
        since = self._missing.setdefault(record.id, now)
        if self._is_only_look or now >= since + CHECKED_EVERY:
            found += absent
        return tuple(found)

    def _absent_script(self, record: Record) -> list[str]:
        folder = self.path / "scripts"
        if not record.script or not os.path.isdir(folder):  # noqa: PTH112 - it raises nothing
            return []
        path = Path(record.script)
        inside = path.parts[path.parts.index("scripts") + 1 :] if path.is_absolute() and "scripts" in path.parts else ()
        if path.is_absolute() and not path.is_relative_to(folder):
            path = folder.joinpath(*inside) if inside else folder
        is_missing = _is_missing(folder / path)
        return [f"its script {record.script} is not there: its next run will fail"] if is_missing else []

    def _absent_folder(self, record: Record) -> list[str]:
        folder = Path(record.workdir) if record.workdir else None
        if folder is None or not self._sees(folder) or not _is_missing(folder, stat.S_ISDIR):
            return []
        return [f"its working directory {record.workdir} is not there: its next run will go on in another one"]

    def _sees(self, path: Path) -> bool:
        """Whether that it is not here means that Hermes does not find it either."""
        if path.is_relative_to(self.path):
            return True
        return (
            self._beats.pid is not None and bool(self._process.is_alive) and self._writers.shares_files(self._beats.pid)
        )

    # jobs that are gone

    def _gone(self, gone: Mapping[str, Plan], among: int, now: datetime) -> dict[str, datetime]:
        """Those that somebody deleted, since when."""
        if not gone:
            return {}
        output = self.path / "cron/output"
        is_seen = output.is_dir() and os.access(output, os.X_OK)
        has_folder = {id_ for id_ in gone if (output / id_).is_dir()} if is_seen else None
        return dict.fromkeys(deleted(dict(gone), among, has_folder=has_folder), now)

    def _ran_at(self, id_: str) -> datetime | None:
        """When the newest run of a job that is gone ended well, or failed: it came to the end that it was made for."""
        runs = runs_of(None, self._ledger.rows.get(id_, {}), self._ledger.sessions.get(id_, ()))
        return max((run.ended_at for run in runs if run.ended_at and run.is_ok is not None), default=None)

    def _ghosts(self, there: Iterable[str], now: datetime) -> dict[str, Plan]:
        """One-shots whose record is gone, until it is known that they have run: Hermes drops one that it has lost."""
        there, found = set(there), {}
        gone = [(id_, plan) for id_, plan in self._plans.items() if id_ not in there and isinstance(plan.schedule, At)]
        names = {self._plans[id_].name for id_ in there if id_ in self._plans} if gone else set()
        for id_, plan in gone:
            if not plan.is_planned or plan.name in names:
                continue
            gone_at = plan.gone_at or now
            if now < gone_at + TOLD_FOR:
                found[id_] = replace(plan, gone_at=gone_at)
                self._look_by(gone_at + TOLD_FOR, now)
        return found

    def _newest_of(self, id_: str) -> Run | None:
        runs = runs_of(None, self._ledger.rows.get(id_, {}), self._ledger.sessions.get(id_, ()))
        return runs[-1] if runs else None

    def _is_told(self, id_: str, plan: Plan) -> bool:
        """Whether it went while its run was going on or after that was broken off, and not by somebody's hand."""
        run = self._newest_of(id_)
        if run is None or run.is_ok is not None:
            return False
        if run.is_open or plan.gone_at is None:
            return True
        ended = run.ended_at or run.claimed_at
        was_in_flight = plan.gone_at <= ended
        return was_in_flight or plan.claimed_at is None or plan.gone_at >= plan.claimed_at + CLAIM_LASTS

    def _ghost(self, id_: str, plan: Plan, now: datetime) -> Job:
        run = self._newest_of(id_)
        is_over = run is not None and self._is_lost(run)
        outlook = "its record is gone from the file of jobs, and Hermes will never run it"
        return Job(
            id=self.named(id_),
            name=self.named(plan.name),
            schedule=plan.schedule,
            in_flight_since=(run.started_at or run.claimed_at) if run and not is_over else None,
            last_started_at=run.started_at if run else None,
            terms=Terms(run_limit=NEVER, served_by=self.profile),
            next_run_at=None if is_over or not isinstance(plan.schedule, At) else plan.schedule.at,
            interrupted=interruption_of(run, outlook) if run and is_over else None,
        )

    # the gateway

    def _stands_from(self) -> datetime | None:
        """From when on the ticker counts as standing still, unless it gives a sign of life before. Ticks from a
        crontab leave rows, and no heartbeat."""
        beats, newest = self._beats, self._newest_claim()
        if beats.ticker is None:
            return None
        ticker = max(beats.ticker, newest or beats.ticker)
        wanted = [ticker + TICKER_LIMIT]
        if beats.success is not None:
            wanted.append(max(beats.success, newest or beats.success) + TICKER_LIMIT)
        if beats.loop is not None and beats.loop_is_the_tickers:
            wanted.append(max(beats.loop + LOOP_LIMIT, ticker + A_TICK))
        if self._process.is_alive is False or self._process.is_frozen:
            wanted.append(ticker + A_TICK)
        return min(wanted)

    def _newest_claim(self) -> datetime | None:
        own = [seen.history.newest for seen in self._seen.values() if seen.history.newest]
        return max((run.claimed_at for run in own if run.row and not run.row.is_direct), default=None)

    def _unseen(self, records: Sequence[Record], histories: Mapping[str, History], now: datetime) -> tuple[Unseen, ...]:
        found = []
        agents = [record for record in records if not record.is_script]
        have_run = any(
            record.last_status == "ok" or ((run := histories[record.id].last_run) and run.status == "ok")
            for record in agents
        )
        lacks_ledger = not self._ledger.has_rows and any(record.last_run_at for record in records)
        if lacks_ledger:
            found.append(self._without_ledger())
        if have_run and not self._ledger.has_sessions:
            sessions = self.path / "state.db"
            is_there = os.path.exists(sessions)  # noqa: PTH110 - it raises nothing
            why = self._ledger.sessions_problem or f"{sessions} {'has no sessions' if is_there else 'is not there'}"
            found.append(
                Unseen(
                    f"the sessions cannot be read ({why})",
                    (Kind.ZERO_TOKENS, Kind.WEDGED) if self._ledger.has_rows else (Kind.ZERO_TOKENS,),
                    "it must be there, and readable for the watchdog's user",
                )
            )
        elif self._is_long_unread(now) and not (lacks_ledger and self._ledger.rows_problem):
            found.append(Unseen(self._ledger.problems[0], (Kind.WEDGED, Kind.FAILING), "it is tried at each look"))
        if self._has_more:
            what = f"{self._file.path} holds more than {MOST_JOBS:,} jobs: those after them are not looked at"
            found.append(Unseen(what, (Kind.OVERDUE, Kind.FAILING, Kind.VANISHED), "see what fills it"))
        return tuple(found)

    def _without_ledger(self) -> Unseen:
        hides = (Kind.WEDGED, Kind.LONG_RUN, Kind.INTERRUPTED)
        if self._ledger.rows_problem:
            return Unseen(f"the ledger of runs cannot be read ({self._ledger.rows_problem})", hides, "let it be read")
        return Unseen("this Hermes keeps no ledger of its runs", hides, "its releases from 0.19 on do")

    def _is_long_unread(self, now: datetime) -> bool:
        """Whether one of the two databases could not be read for a while."""
        if not self._ledger.problems:
            self._unread_since = None
            return False
        since = self._unread_since = self._unread_since or now
        self._look_by(since + UNREAD_FOR, now)
        return self._is_only_look or now >= since + UNREAD_FOR


_BEATS = (
    "cron/ticker_heartbeat",
    "cron/ticker_last_success",
    "state/gateway.heartbeat",
    "gateway_state.json",
    "gateway.pid",
)
_FILES = (*_BEATS, "cron/jobs.json", "config.yaml")


def _beat(before: datetime | None, found: datetime | None, now: datetime, *, is_first: bool) -> datetime | None:
    if found is None or found == before:
        return found
    return min(found, now) if is_first else now


def _states(connection: sqlite3.Connection) -> dict[str, dict[str, Any]]:
    if not {"job_id", "state_json"} <= set(columns_of(connection, "job_runtime")):
        return {}
    rows = connection.execute(f"SELECT job_id, state_json FROM job_runtime LIMIT {2 * MOST_JOBS}").fetchall()  # noqa: S608
    return {str(id_): state for id_, text in rows if isinstance(state := _parsed(text), dict)}


def _parsed(text: object) -> object:
    try:
        return json.loads(text, strict=False) if isinstance(text, str | bytes) else None
    except (ValueError, RecursionError):
        return None


def _run_of(record: Record, ran_at: datetime | None) -> RecordedRun | None:
    if ran_at is None or record.last_status is None:
        return None
    error = record.last_error if record.last_status == "error" else None
    status = "ok" if record.last_status == "delivery_failed" else record.last_status
    return RecordedRun(ran_at, status, None, error, classify(error) if error else None)


def _may_go_at(record: Record, broken: Interruption | None) -> datetime | None:
    """From when on Hermes itself takes it away with nothing amiss: a one-shot, or the last of so many runs."""
    if isinstance(record.schedule, At):
        return None if broken else record.schedule.at
    return (record.last_run_at or record.created_at) if record.runs_left is not None and record.runs_left <= 1 else None


def profiles_of(home: Path) -> list[str]:
    """The names of the profiles that have a file of jobs, or of which this user may not see whether they have one.

    Raises UnreadableError if not even their names may be read.
    """
    try:
        names = sorted(os.listdir(home / "profiles"))[:200]  # noqa: PTH208
    except PermissionError:
        raise UnreadableError(may_not(home / "profiles")) from None
    except OSError:
        return []
    return [name for name in names if _is_file_or_hidden(home / "profiles" / name / "cron/jobs.json")]


def _is_missing(path: Path, wanted: Callable[[int], bool] = lambda _: True) -> bool:
    """Whether it is known not to be there: of what may not be looked at nobody can tell."""
    try:
        return not wanted(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return True
    except OSError:
        return False


def _is_file_or_hidden(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
