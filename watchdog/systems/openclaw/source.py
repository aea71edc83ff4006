"""OpenClaw's cron service, read from its state folder (docs/openclaw.md tells how it behaves)."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from watchdog.cadence.schedule import LATEST, next_fire, plus
from watchdog.core.instants import say
from watchdog.core.kinds import Kind
from watchdog.core.model import (
    At,
    CronSchedule,
    Every,
    Interruption,
    Job,
    NoCadence,
    Process,
    RecordedRun,
    Schedule,
    Snapshot,
    Terms,
    Traits,
    Twin,
    Unreadable,
    Unseen,
)
from watchdog.core.redaction import one_line
from watchdog.systems.base import Look
from watchdog.systems.openclaw.files import lock_files
from watchdog.systems.openclaw.memory import Meaning, Memory, Sight
from watchdog.systems.openclaw.owner import Owner, Standing, standing
from watchdog.systems.openclaw.rows import (
    BREAKER,
    FAILING_FROM,
    FAILING_FROM_AT,
    LADDER,
    NO_TIMEOUT_LIMIT,
    TIMEOUT_MARGIN,
    backoff_end,
    deeds_of,
    delivery_of,
    evaluated_at,
    fastest_pace,
    given_up_at,
    identity_of,
    is_agent_turn,
    is_for_the_same,
    last_run_of,
    made_at,
    maker_of,
    paced_until,
    schedule_of,
    stagger_of,
    status_of,
    timeout_of,
    was_cut_off,
)
from watchdog.systems.openclaw.section import OpenClaw
from watchdog.systems.openclaw.skips import skips_of
from watchdog.systems.openclaw.store import Gateway, Reading, Row, StoreReader, place_of
from watchdog.systems.shared.host import Host
from watchdog.systems.shared.paces import Paces
from watchdog.systems.shared.plain_file import Marks, is_settled, marks
from watchdog.systems.shared.sqlite_file import harm
from watchdog.systems.shared.unchanged import Unchanged
from watchdog.systems.shared.unreadable import UnreadableError
from watchdog.systems.shared.values import count, ms_instant, text

SETTLES_AFTER = 3.0
"""Seconds after the last change during which all is read again: a run's log line comes a moment beside the store's."""

RETRY_AFTER = 0.1
"""Seconds until what was missing or half-written is tried once more."""

START_LAG = timedelta(seconds=2)
"""The scheduler's own pause before it looks again."""

CATCH_UP = timedelta(seconds=150)
"""After a start, missed jobs are put off by two minutes and then begun one after another."""

LOG_TRAILS = timedelta(minutes=5)
"""How much later than its run's outcome a log may come to be."""

STARTING = timedelta(seconds=60)
"""How long the gateway itself may take to start."""

WORKERS = 8
"""Runs that releases with receipts have in flight at once; nothing sets another number there."""

SHORTEST = timedelta(seconds=15)
"""A fire that comes so much later may have waited behind other jobs of a pass, however often the job fires."""

SAME_BATCH = timedelta(seconds=1)
"""Where a pass marks all its jobs at once, their markers lie no further apart."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """One row with what was read out of it. `identity`: what must stay so that an earlier next run means something."""

    row: Row
    schedule: Schedule
    next_run: datetime | None
    marker: datetime | None
    run: RecordedRun | None
    is_orphan: bool
    identity: str
    deeds: int | None = None

    @property
    def served_at(self) -> datetime | None:
        """When it last did what was due: the end of its run, or a look at the condition that it watches for."""
        ended = (self.run.ended_at or self.run.started_at) if self.run else None
        return _newest((ended, evaluated_at(self.row)))


@dataclass(frozen=True, slots=True)
class _Start:
    """The gateway's newest start: when, as far as is known; `is_recent`: it may have been a moment ago."""

    at: datetime | None = None
    is_recent: bool = False


class OpenClawSource:
    """Watches one gateway's state folder."""

    kind = "openclaw"

    def __init__(
        self, settings: OpenClaw, pause: Callable[[float], object] = time.sleep, host: Host | None = None
    ) -> None:
        self.name = settings.name
        self._settings = settings
        self._pause = pause
        host = host or Host()
        self._place = place_of(settings.state_dir, settings.store, settings.lock)
        self._store = StoreReader(self._place, host.memory)
        self._memory = Memory(host.memory)
        self._owner = Owner(self._place.database, host)
        self._reading: Reading | None = None
        self._process = Process()
        self._standing = Standing(Gateway())
        self._late: dict[str, datetime] = {}
        self._start: datetime | None = None
        self._looked_at: datetime | None = None
        self._facts_of: Unchanged[_Seen] = Unchanged()
        self._jobs: Unchanged[Job] = Unchanged()
        self._rows = _UniqueIds()
        self._paces = Paces()
        self._seen: tuple[Marks | None, ...] | None = None
        self._snapshot: Snapshot | None = None

    def warnings(self) -> list[str]:
        """Whether reading as this user could harm the gateway."""
        paths = [path for path in (self._place.database, self._place.ledger) if path]
        return [found for path in paths if (found := harm(path))]

    def look(self, now: datetime) -> Look:
        """The state now; nothing is read if nothing has changed for a while."""
        look = self._look(now)
        self._looked_at = now
        return look

    def _look(self, now: datetime) -> Look:
        began = time.perf_counter()
        seen = self._signature()
        try:
            is_same = self._reading is not None and seen == self._seen
            reading = self._reading if self._reading is not None and is_same else self._read()
            before = self._process
            self._process = self._owner.ask(reading, now, is_busy=self._is_busy)
            if self._snapshot and is_same and self._process == before:
                return Look(self._snapshot, is_new=False)
            snapshot = self._assemble(reading, now)
            self._reading, self._seen = reading, seen if is_settled(seen, SETTLES_AFTER) else None
        except UnreadableError as error:
            snapshot = self._unreadable(str(error), now)
        is_new = snapshot != self._snapshot
        self._snapshot = snapshot if is_new or self._snapshot is None else self._snapshot
        return Look(self._snapshot, is_new, time.perf_counter() - began)

    @property
    def _is_busy(self) -> bool:
        return self._snapshot is not None and any(job.in_flight_since for job in self._snapshot.jobs)

    def _signature(self) -> tuple[Marks | None, ...]:
        place = self._place
        paths = [path for path in (place.jobs, place.states, place.logs) if path]
        for database in (place.database, place.ledger):
            paths += [database, database.with_name(f"{database.name}-wal")] if database else []
        return tuple(marks(path) for path in [*paths, *lock_files(place.lock, place.state_dir)])

    def _read(self) -> Reading:
        """What stands there; a file that is missing or half-written is tried once more before that is believed."""
        try:
            return self._store.read()
        except UnreadableError:
            self._pause(RETRY_AFTER)
            return self._store.read()

    def _unreadable(self, reason: str, now: datetime) -> Snapshot:
        self._seen, self._reading = None, None
        before = self._snapshot
        since = before.problem_since if before and before.problem else now
        return Snapshot(self.name, self.kind, problem=one_line(reason, 500), problem_since=since)

    # one snapshot

    def _assemble(self, reading: Reading, now: datetime) -> Snapshot:
        self._standing = standing(reading.gateway, self._process, now)
        rows = [self._seen_row(row, reading) for row in self._rows.of(reading.rows)]
        meanings = [self._meaning(each, reading, now) for each in rows]
        there = {each.row.id for each in rows}
        self._memory.forget(there)
        self._memory.keep()
        self._store.book.keep()
        self._store.book.forget(there)
        self._facts_of.forget(there)
        self._jobs.forget(there)
        self._paces.forget(there)
        restarted = _newest((self._standing.gateway.started_at, self._memory.restarted_by))
        start = _start_of(rows, meanings, reading, restarted)
        self._note_late(start.at, there)
        twins = _twins(rows)
        jobs = tuple(
            self._same_job(each, meaning, rows, reading, start, twins.get(each.row.id))
            for each, meaning in zip(rows, meanings, strict=True)
        )
        return Snapshot(
            self.name,
            self.kind,
            jobs,
            traits=Traits(
                has_one_slot=reading.layout != "canonical",
                workers=WORKERS if reading.layout == "canonical" else None,
                marks_starts=True,
                catch_up=CATCH_UP + STARTING,
                replays=reading.replays,
            ),
            process=replace(self._process, started_at=restarted),
            unseen=(*reading.unseen, *_without_runs(rows, reading, now)),
        )

    def _note_late(self, start: datetime | None, there: Collection[str]) -> None:
        """Which jobs were late at the look before the gateway started anew: they stay so until they have run."""
        before = self._snapshot.jobs if self._snapshot and start != self._start else ()
        for job in before:
            limit = plus(job.due, job.terms.late_after) if job.due and job.terms.late_after is not None else None
            was_late = limit is not None and self._looked_at is not None and limit <= self._looked_at
            if start and was_late and job.is_planned and job.in_flight_since is None and job.due:
                self._late[job.id] = job.due
        self._late = {id_: due for id_, due in self._late.items() if id_ in there}
        self._start = start

    def _seen_row(self, row: Row, reading: Reading) -> _Seen:
        """The facts of a row. Whether a marker is an orphan depends on more than the row: it is worked out anew."""
        if row.state.get("runningAtMs") is not None:
            return self._facts(row, reading)
        basis = (row, self._store.book.version(row.id))
        return self._facts_of.get(row.id, basis, lambda: self._facts(row, reading))

    def _same_job(
        self,
        seen: _Seen,
        meaning: Meaning,
        rows: Sequence[_Seen],
        reading: Reading,
        start: _Start,
        twin: Twin | None,
    ) -> Job:
        """The job of the last look if all that it rests on is the same. One with a marker is in a batch of others."""
        if seen.marker is not None:
            return self._paced(self._job(seen, meaning, rows, reading, start, twin), seen.row)
        id_ = seen.row.id
        of_all = (start, reading.layout, twin, self._standing.is_gone, self._late.get(id_))
        basis = (seen, self._store.book.version(id_), meaning, reading.tasks_of(id_), *of_all)
        return self._jobs.get(
            id_, basis, lambda: self._paced(self._job(seen, meaning, rows, reading, start, twin), seen.row)
        )

    def _paced(self, job: Job, row: Row) -> Job:
        """The job with how often it ran lately. One that follows events has no cadence to be held against, and one that
        paces itself may go as fast as its definition lets it."""
        pauses = LADDER if job.consecutive_errors else ()
        runs = [run for run in self._store.book.runs(job.id) if run.status != "skipped"]
        asked = [run.ended_at for run in runs if run.was_asked_for]
        fastest = fastest_pace(row)
        paced = replace(job, schedule=Every(fastest)) if fastest else job
        pace = self._paces.of(paced, [run.ended_at for run in runs], asked, pauses)
        return replace(job, pace=None if isinstance(job.schedule, NoCadence) else pace)

    def _facts(self, row: Row, reading: Reading) -> _Seen:
        state = row.state
        marker = ms_instant(state.get("runningAtMs"))
        schedule = schedule_of(row, self._settings.timezone)
        return _Seen(
            row,
            schedule,
            ms_instant(state.get("nextRunAtMs")),
            marker,
            last_run_of(row, lambda: self._store.book.last_error(row.id)),
            marker is not None and _is_orphan(row, marker, self._standing.gateway, reading.owners),
            identity_of(row),
            deeds_of(row) if status_of(row, schedule) == "active" else None,
        )

    def _meaning(self, seen: _Seen, reading: Reading, now: datetime) -> Meaning:
        row = seen.row
        sight = Sight(
            row.id,
            seen.schedule,
            seen.identity,
            row.enabled,
            seen.next_run,
            seen.marker,
            seen.run,
            row.updated_at,
            evaluated_at(row),
        )
        return self._memory.see(
            sight,
            reading.tasks_of(row.id),
            self._store.book,
            self._standing.gateway,
            now,
            replays=reading.replays,
            is_orphan=seen.is_orphan,
            has_runs=reading.has_runs,
            has_ledger=reading.has_ledger and reading.layout != "canonical",
        )

    def _job(
        self,
        seen: _Seen,
        meaning: Meaning,
        rows: Sequence[_Seen],
        reading: Reading,
        start: _Start,
        twin: Twin | None,
    ) -> Job:
        row, schedule, book = seen.row, seen.schedule, self._store.book
        next_run, run = seen.next_run, seen.run
        runs = book.runs(row.id)
        missed = min((at for at in (meaning.missed, _put_off(seen)) if at), default=None)
        due = _newest((missed or next_run, backoff_end(row.state))) if next_run else None
        status = status_of(row, schedule)
        delivery, target = delivery_of(row, book.lost(row.id))
        starts = [
            seen.marker,
            evaluated_at(row),
            run.started_at if run else None,
            runs[-1].started_at if runs else None,
        ]
        starts += [task.started_at for task in reading.tasks_of(row.id)]
        return Job(
            id=row.id,
            name=text(row.definition.get("name")) or f"(job {row.id} has no name)",
            schedule=schedule,
            enabled=row.enabled,
            status=status,
            next_run_at=next_run,
            last_run=run,
            consecutive_errors=count(row.state.get("consecutiveErrors")),
            breaker=BREAKER if reading.layout == "canonical" and not isinstance(schedule, At) else None,
            delivery_status=delivery,
            delivery_target=target,
            created_by=maker_of(row),
            updated_at=given_up_at(row) or row.updated_at,
            in_flight_since=meaning.in_flight_since,
            last_started_at=_newest(starts),
            repeated=meaning.repeated,
            recent=book.ends(row.id),
            zero_streak=book.streak(row.id) if is_agent_turn(row) else None,
            problems=_problems(row, schedule),
            may_go_at=schedule.at if isinstance(schedule, At) else None,
            terms=Terms(
                owed_at=due if due != next_run else None,
                late_after=self._late_after(seen, due, next_run, start) if due and next_run else None,
                run_limit=_run_limit(seen, rows, reading, run.duration if run else None),
                failing_from=FAILING_FROM_AT if isinstance(schedule, At) else FAILING_FROM,
                may_wait_until=paced_until(row),
            ),
            interrupted=meaning.interrupted or _recorded_interruption(seen),
            skips=skips_of(row, schedule, run, runs),
            twin=twin,
        )

    def _late_after(self, seen: _Seen, due: datetime, next_run: datetime, start: _Start) -> timedelta | None:
        """How long after it was due a job is late: the gateway's longest sleep, or the job's own cadence if that is
        shorter; and what a start of the gateway puts it off by, once. A run that had begun was not late before that."""
        schedule = seen.schedule
        if isinstance(schedule, Unreadable):
            return None
        following = None if isinstance(schedule, At | NoCadence) else next_fire(schedule, due)
        lag = START_LAG + self._settings.grace
        if following:
            lag = START_LAG + min(self._settings.grace, max(following - due, SHORTEST))
        caught_up = plus(due, lag + CATCH_UP)
        if self._standing.is_gone or self._late.get(seen.row.id) == due:
            return lag
        if next_run > due:  # put off; by a second start if that lies further away than one puts it
            return lag + CATCH_UP if next_run > plus(caught_up, CATCH_UP) else max(caught_up, plus(next_run, lag)) - due
        if start.at is not None and (seen.is_orphan or due < start.at < caught_up):
            return max(caught_up, plus(start.at, CATCH_UP + STARTING)) - due
        return lag + CATCH_UP if start.at is None and start.is_recent else lag


def _is_orphan(row: Row, marker: datetime, gateway: Gateway, owners: Mapping[str, int] | None) -> bool:
    """Whether the process that set the marker is gone: the gateway has started or stopped since, or another process
    owns the run."""
    if gateway.started_at is not None and marker < gateway.started_at:
        return True
    if gateway.stopped_at is not None and marker <= gateway.stopped_at:
        return True
    owner = (owners or {}).get(row.id)
    return owner is not None and gateway.pid is not None and owner != gateway.pid


def _newest(instants: Iterable[datetime | None]) -> datetime | None:
    return max((at for at in instants if at), default=None)


def _start_of(rows: Sequence[_Seen], meanings: Iterable[Meaning], reading: Reading, known: datetime | None) -> _Start:
    """The newest start. One that left no other trace than a run that was lost lies between that and the next run; as
    long as nothing has begun since, everything that was due is given the time that a start takes."""
    if known is not None:
        return _Start(known)
    lost = [meaning.interrupted.started_at for meaning in meanings if meaning.interrupted]
    if not lost:
        return _Start()
    starts: list[datetime | None] = [each.run.started_at for each in rows if each.run]
    starts += [each.marker for each in rows] + [task.started_at for task in reading.open_tasks]
    later = [at for at in starts if at and at > max(lost) + START_LAG]
    return _Start(min(later)) if later else _Start(None, is_recent=True)


def _put_off(seen: _Seen) -> datetime | None:
    """The fire that was due after the last run, if the next run lies beyond it without a reason: a start of the gateway
    moves what was missed into the future, and a second start moves it again."""
    row, schedule, next_run, run = seen.row, seen.schedule, seen.next_run, seen.run
    if isinstance(schedule, At) and run is None and next_run is not None:
        return schedule.at if next_run > schedule.at else None
    ended = seen.served_at
    if ended is None or next_run is None or not isinstance(schedule, Every | CronSchedule):
        return None
    is_marked = ms_instant(row.state.get("startupCatchupAtMs")) is not None
    if not is_marked and (row.updated_at is None or row.updated_at > ended + timedelta(seconds=5)):
        return None  # somebody may have changed or enabled it since
    usual = next_fire(schedule, ended)
    if usual is None:
        return None
    held = backoff_end(row.state)
    # a pause after errors that is over may wait for the fire after it
    allowed = plus(max(usual, next_fire(schedule, held) or held) if held else usual, stagger_of(row))
    paced = paced_until(row)
    if next_run <= max(allowed, paced or allowed) + timedelta(seconds=5):
        return None
    first = next_fire(schedule, run.started_at) if run else None
    return first if first and first > ended else usual


def _recorded_interruption(seen: _Seen) -> Interruption | None:
    """A run that a start of the gateway has recorded as broken off. It is made up for by the job's next run only."""
    run, next_run = seen.run, seen.next_run
    if run is None or not was_cut_off(run):
        return None
    usual = next_fire(seen.schedule, run.started_at)
    ended = run.ended_at or run.started_at
    if next_run is None:
        outlook = "its work was not done"
    elif isinstance(seen.schedule, At) or (usual and ended < next_run < usual - START_LAG):
        outlook = f"it is tried again at {say(next_run)}"
    else:
        outlook = f"its work was not done, and the gateway does not make up for it: it runs next at {say(next_run)}"
    return Interruption(run.started_at, ended, None, outlook, gives_way=True)


def _twins(rows: Iterable[_Seen]) -> Mapping[str, Twin]:
    """For each job that repeats an older one in all that it does, that one."""
    groups: dict[int, list[_Seen]] = {}
    for seen in rows:
        if seen.deeds is not None:
            groups.setdefault(seen.deeds, []).append(seen)
    found: dict[str, Twin] = {}
    for group in groups.values():
        if len(group) > 1:
            oldest, *others = sorted(group, key=lambda each: (made_at(each.row) or LATEST, each.row.id))
            alike = [each.row for each in others if is_for_the_same(each.row, oldest.row)]
            found |= {row.id: Twin(oldest.row.id, made_at(oldest.row)) for row in alike}
    return found


def _without_runs(rows: Iterable[_Seen], reading: Reading, now: datetime) -> tuple[Unseen, ...]:
    """Where jobs have run and no run is on record, as in a copy of the store alone. A log may trail its store."""
    ran = (each.run for each in rows if each.run and is_agent_turn(each.row))
    is_told = any(Kind.ZERO_TOKENS in each.hides for each in reading.unseen)
    if reading.has_runs or is_told or not any((run.ended_at or run.started_at) < now - LOG_TRAILS for run in ran):
        return ()
    what = "the logs of its jobs' runs are not beside its store"
    return (Unseen(what, (Kind.ZERO_TOKENS, Kind.RUNAWAY), "name its whole state folder: `state_dir`"),)


def _run_limit(seen: _Seen, rows: Iterable[_Seen], reading: Reading, usual: timedelta | None) -> timedelta:
    """How long its run may take: the job's timeout and a margin, and where a pass marks all its jobs at once and runs
    them one after another, the timeouts of those too."""
    own = timeout_of(seen.row)
    batch = [own]
    if seen.marker is not None and reading.layout != "canonical":
        beside = [each for each in rows if each is not seen and each.marker]
        batch += [
            timeout_of(each.row) for each in beside if each.marker and abs(each.marker - seen.marker) <= SAME_BATCH
        ]
    known = [timeout for timeout in batch if timeout is not None]
    if len(known) < len(batch):
        return max([NO_TIMEOUT_LIMIT, *([3 * usual] if usual else [])])
    return sum(known, TIMEOUT_MARGIN)


def _problems(row: Row, schedule: Schedule) -> tuple[str, ...]:
    found = [row.problem] if row.problem else []
    if isinstance(schedule, Unreadable) and not found:
        found.append(f"its schedule cannot be read: {schedule.reason}")
    return tuple(found)


class _UniqueIds:
    """Carried from look to look: where all ids are what they were, what was done about them is done again."""

    def __init__(self) -> None:
        self._given: list[str] = []
        self._made: list[str] = []

    def of(self, rows: Sequence[Row]) -> Sequence[Row]:
        """The rows with ids that are short text and differ: an id becomes a label."""
        given = [row.id for row in rows]
        if given != self._given:
            self._given, self._made = given, _unique(given)
        if self._made == given:
            return rows
        pairs = zip(rows, self._made, strict=True)
        return [row if id_ == row.id else replace(row, id=id_) for row, id_ in pairs]


def _unique(ids: Iterable[str]) -> list[str]:
    taken: set[str] = set()
    found = []
    for given in ids:
        id_ = base = one_line(given, 128) or "(no id)"
        number = 2
        while id_ in taken:
            id_, number = f"{base} #{number}", number + 1
        taken.add(id_)
        found.append(id_)
    return found
