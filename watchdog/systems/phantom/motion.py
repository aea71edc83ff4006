"""What one look at Phantom's rows cannot tell and two can: what is still owed, who was passed over, who restarted.

A pass takes the due rows in the order of their due times (docs/phantom.md, a pass). A start of the scheduler re-dates
all rows that are past due, five seconds apart, and leaves their `updated_at` as it was.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from watchdog.cadence.schedule import LATEST, near_clock_change, next_fire, plus
from watchdog.core.model import Job, Process, RepeatedRun, Restarts, RunEnd, Schedule, Start, Terms
from watchdog.core.per_job import PerJob
from watchdog.systems.phantom.unfinished import followed
from watchdog.systems.shared.host import Memory
from watchdog.systems.shared.notebook import Notebook
from watchdog.systems.shared.turns import WHOLE_SECOND, passed_over_by, turn_of

RE_DATED_WITHIN = timedelta(minutes=2)
"""A start dates past-due rows to now and some seconds on; what lies further off was not dated by one."""

NOTHING_SAID = Terms()

A_PASS = timedelta(hours=1)
"""A pass reads all rows that are due and then runs them one after another: for so long, as a rule, at the most."""

CATCH_UP = timedelta(minutes=5)
"""How long a start takes, at the most, to come to the first job that it has re-dated."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """A schedule that somebody has changed, until when it was seen to hold, and the next run that was planned then."""

    schedule: Schedule
    until: datetime
    planned: datetime | None

    def explains(self, next_run: datetime, now: datetime) -> bool:
        """Whether the plan stood already, or a run that had begun by then may have made it."""
        fire = next_fire(self.schedule, now)
        return next_run == self.planned or (fire is not None and next_run <= fire)


@dataclass(frozen=True, slots=True)
class Sighting:
    """A job as it stood at the last look.

    `stood_since`: from when on its present plan is known to have stood. `slot`: the fire that the unrecorded run was
    for. `was_put_off`: a start has dated what is owed anew. `earlier`: the schedule before this one,
    while a plan may have been made by it.
    """

    schedule: Schedule
    is_planned: bool
    next_run: datetime | None
    updated_at: datetime | None
    started_at: datetime | None
    stood_since: datetime
    owed_at: datetime | None = None
    passed_over_by: Start | None = None
    unrecorded: RunEnd | None = None
    slot: datetime | None = None
    recorded_runs: int | None = None
    repeated: RepeatedRun | None = None
    was_put_off: bool = False
    restarts: Restarts | None = None
    earlier: Earlier | None = None

    @property
    def is_remarkable(self) -> bool:
        """Whether it says what another first look at the job could not tell."""
        has_started_anew = self.restarts is not None and self.restarts.starts > 0
        known = (self.owed_at, self.passed_over_by, self.unrecorded, self.repeated, self.earlier)
        return any(known) or has_started_anew

    @property
    def is_plain(self) -> bool:
        """Whether the next look at the job, if it has not changed and is not due by then, would come to the same."""
        return not (self.is_remarkable or self.was_put_off or self.restarts)

    @property
    def appeared_late(self) -> bool:
        """Whether its plan was long past due when it appeared, and nobody who wrote it says that he has."""
        if self.next_run is None or self.stood_since - self.next_run <= RE_DATED_WITHIN:
            return False
        return self.updated_at is None or self.stood_since > self.updated_at


class Motion:
    """Carried from look to look. Of a job that `is_plain` only the fire that is due next can tell more, unless it
    changes."""

    def __init__(self, memory: Memory) -> None:
        self._notes = Notebook(memory, "motion", Sighting)
        self._known = dict(self._notes.notes)
        self._shown: PerJob[Job] = PerJob()
        self._looked_at: datetime | None = None

    def see(
        self, jobs: Sequence[Job], now: datetime, process: Process, asked_for: Mapping[str, datetime]
    ) -> tuple[tuple[Job, ...], datetime | None]:
        """The jobs with what is known from before, and when the scheduler started, if it has since the last look.

        `asked_for`: when a run of a job was last asked for, by its id.
        """
        with self._shown.renewing(jobs, max(now, self._looked_at or now)) as renewed:
            if renewed.has_moved:
                there = {job.id for job in jobs}
                self._known = {id_: known for id_, known in self._known.items() if id_ in there}
            places = renewed.places
            restarted = _re_dated_at([jobs[place] for place in places], self._known, now)
            if restarted:
                places = range(len(jobs))
            seen = self._seen(jobs, places, now, restarted or process.started_at, asked_for)
            seen = self._compared(jobs, seen, now, has_restarted=bool(restarted))
            for place, each in seen.items():
                self._known[jobs[place].id] = each
                # what is not plain is looked at again at the next look, whenever that is
                until = _planned(each) if each.is_plain else now
                self._shown.put(place, _moved(jobs[place], each, now), None if until == LATEST else until)
        # what a first look could not tell: what is owed, passed over, unrecorded or was done twice
        self._notes.write({jobs[place].id: each for place, each in seen.items() if each.is_remarkable})
        self.nothing_new(now)
        return tuple(self._shown.results), restarted

    def _seen(
        self,
        jobs: Sequence[Job],
        places: Iterable[int],
        now: datetime,
        born: datetime | None,
        asked_for: Mapping[str, datetime],
    ) -> dict[int, Sighting]:
        moving = ((place, jobs[place]) for place in places)
        return {place: self._sighting(job, now, born, asked_for.get(job.id)) for place, job in moving}

    def _compared(
        self, jobs: Sequence[Job], seen: dict[int, Sighting], now: datetime, *, has_restarted: bool
    ) -> dict[int, Sighting]:
        """With what the starts since the last look prove of those that were due before."""
        moving = [jobs[place] for place in seen]
        starts = [start for job in moving if (start := _new_start(job, self._known.get(job.id)))]
        starts += _second_starts(job for job in moving if job.id not in self._known)
        if has_restarted:
            seen = {place: _served_anew(each, self._known.get(jobs[place].id)) for place, each in seen.items()}
        if not starts and not has_restarted:
            return seen
        # what is due later than all that has started was passed over by none
        newest = max((start.due for start in starts), default=now)
        if self._shown.until is not None and self._shown.until < newest:
            plain = (place for place in range(len(jobs)) if place not in seen)
            known = ((place, self._known[jobs[place].id]) for place in plain)
            seen = seen | {place: each for place, each in known if _planned(each) < newest}
        return {
            place: _passed_over(jobs[place].id, each, starts, has_restarted=has_restarted)
            for place, each in seen.items()
        }

    def nothing_new(self, now: datetime) -> None:
        """A look found all as it was: what has become due by now is seen to be owed."""
        self._looked_at = now

    def _sighting(self, job: Job, now: datetime, born: datetime | None, asked_for: datetime | None) -> Sighting:
        before = self._known.get(job.id)
        is_same = before is not None and (before.schedule, before.is_planned) == (job.schedule, job.is_planned)
        stands = before is not None and is_same and before.next_run == job.next_run_at
        owed = _owed(job, before if is_same else None, now, self._looked_at)
        is_changed = before is not None and _is_changed_by_hand(job, before)
        is_passed = before is not None and stands and not _has_run(job, job.next_run_at)
        return Sighting(
            job.schedule,
            job.is_planned,
            job.next_run_at,
            job.updated_at,
            job.last_started_at,
            before.stood_since if before and stands else _stands_since(job, now, is_new=before is None),
            owed,
            before.passed_over_by if before and is_passed else None,
            job.unrecorded_end,
            before.slot
            if before and before.unrecorded and before.unrecorded == job.unrecorded_end
            else job.next_run_at,
            job.totals.runs,
            _repeated(job, before, born, asked_for) if before else _credible(job.repeated, born),
            bool(owed and before and before.owed_at and (before.was_put_off or owed != before.owed_at)),
            followed(job, before.restarts if before and is_same and not is_changed else None, born, now),
            _earlier(job, before, now) if before else None,
        )


def _planned(seen: Sighting) -> datetime:
    return seen.next_run if seen.next_run and seen.is_planned else LATEST


def _earlier(job: Job, before: Sighting, now: datetime) -> Earlier | None:
    """The schedule that it had before, until a run has begun that was surely not read before the change."""
    earlier = before.earlier if before.schedule == job.schedule else Earlier(before.schedule, now, before.next_run)
    if earlier is None or (job.last_started_at is not None and job.last_started_at > plus(earlier.until, A_PASS)):
        return None
    return earlier


def _stands_since(job: Job, now: datetime, *, is_new: bool) -> datetime:
    """A plan that has changed stands since now; one that is seen for the first time, since somebody last wrote it."""
    return (job.updated_at or job.next_run_at or now) if is_new else now


def _repeated(job: Job, before: Sighting, born: datetime | None, asked_for: datetime | None) -> RepeatedRun | None:
    """The run that did again what an earlier one had done and nobody had written down, until the next run starts."""
    started, end = job.last_started_at, before.unrecorded
    if started is None or (before.started_at and started <= before.started_at):
        return before.repeated
    if before.repeated and _is_same_run(job, before.repeated, started):
        return before.repeated
    if end is None or before.slot is None or (asked_for and asked_for >= end.at):
        return None
    if _is_recorded(job, before, end) or (born is not None and not end.at <= born):
        return None
    return RepeatedRun(before.slot, end, started)


def _is_same_run(job: Job, repeated: RepeatedRun, started: datetime) -> bool:
    """Whether it is the second run still: its session is touched more than once, and its row tells its true start."""
    has_ended = job.last_end is not None and job.last_end.at >= repeated.second_start
    return not has_ended or started <= repeated.second_start


def _is_recorded(job: Job, before: Sighting, end: RunEnd) -> bool:
    """Whether the run was written down after all before the next one was."""
    run, runs = job.last_run, job.totals.runs
    if run and run.ended_at and abs(run.ended_at - end.at) <= 2 * WHOLE_SECOND:
        return True
    return runs is not None and before.recorded_runs is not None and runs - before.recorded_runs >= 2


def _credible(found: RepeatedRun | None, born: datetime | None) -> RepeatedRun | None:
    """What one look concludes of a repetition. Nothing is run again but by a start of the scheduler between the two."""
    if found is None or found.first_end is None or born is None:
        return found
    return found if found.first_end.at <= born <= found.second_start + WHOLE_SECOND else None


def _owed(job: Job, before: Sighting | None, now: datetime, looked_at: datetime | None) -> datetime | None:
    """The oldest fire that was seen to be due and has neither been run nor been changed by anybody since."""
    owed = before.owed_at if before else None
    if owed is None and before and before.next_run and looked_at and before.next_run <= looked_at:
        owed = before.next_run
    if not job.is_planned or job.next_run_at is None or (owed and _has_run(job, owed)):
        owed = None
    if owed is not None and before is not None and _is_changed_by_hand(job, before):
        owed = None
    if owed is not None and before is not None and _is_put_off(job, before, owed, now):
        return job.next_run_at
    if owed is None and job.is_planned and job.next_run_at and job.next_run_at <= now:
        owed = None if _has_run(job, job.next_run_at) else job.next_run_at
    return owed


def _is_put_off(job: Job, before: Sighting, owed: datetime, now: datetime) -> bool:
    """Whether a start has dated the row anew before it was late: then it counts from there, once. If each start put it
    off, a scheduler that starts again and again would never be late."""
    if before.was_put_off or job.next_run_at == before.next_run:
        return False
    late = next_fire(job.schedule, next_fire(job.schedule, owed) or owed)
    return late is not None and now < late


def _is_changed_by_hand(job: Job, before: Sighting) -> bool:
    """A start of the scheduler dates a row anew and leaves its stamp alone; whoever else writes the row does not."""
    return job.next_run_at != before.next_run and job.updated_at != before.updated_at


def _has_run(job: Job, due: datetime | None) -> bool:
    """Whether a run has begun, or ended, since that fire."""
    if due is None:
        return False
    ended = job.unrecorded_end.at if job.unrecorded_end else None
    return any(at is not None and at + WHOLE_SECOND > due for at in (job.last_started_at, ended))


def _new_start(job: Job, before: Sighting | None) -> Start | None:
    """The job's start since the last look and the fire that it was for; None for a run that somebody asked for."""
    started = job.last_started_at
    if before is None or started is None or not before.is_planned:
        return None
    if before.started_at and started <= before.started_at:
        return None
    return turn_of(job.id, job.name, started, before.next_run)


def _passed_over(id_: str, seen: Sighting, starts: Iterable[Start], *, has_restarted: bool) -> Sighting:
    if has_restarted:
        return replace(seen, passed_over_by=None)
    if seen.next_run is None or not seen.is_planned or (seen.started_at and seen.started_at >= seen.next_run):
        return seen
    # a row that somebody wrote after a pass had begun was not in it
    stood = max(at for at in (seen.next_run, seen.stood_since, seen.updated_at) if at)
    proof = passed_over_by(id_, stood, starts)
    return replace(seen, passed_over_by=proof) if proof else seen


def _served_anew(seen: Sighting, before: Sighting | None) -> Sighting:
    """A start ends what kept a job from being served: what it owes counts from its new date."""
    was_passed_over = before is not None and before.passed_over_by is not None
    return replace(seen, owed_at=None, was_put_off=True) if was_passed_over else seen


def _second_starts(jobs: Iterable[Job]) -> Iterable[Start]:
    """What a first look can tell: a job that ended a run and then started another was due again after that end."""
    for job in jobs:
        started = job.last_started_at
        if started is None or near_clock_change(job.schedule, started):
            continue
        ended = max((end.at for end in job.recent if end.at < started), default=None)
        if ended is not None:
            yield Start(job.id, job.name, started, ended)


def _re_dated_at(jobs: Iterable[Job], known: Mapping[str, Sighting], now: datetime) -> datetime | None:
    """When the scheduler started: all rows that were past due are dated to about now, and nobody has written them.

    The first of them is dated to the start itself.
    """
    late = [
        (job, before)
        for job in jobs
        if (before := known.get(job.id)) and before.is_planned and before.next_run and before.next_run <= now
    ]
    late = [(job, before) for job, before in late if job.updated_at == before.updated_at and job.is_planned]
    dates = [job.next_run_at for job, before in late if job.next_run_at and job.next_run_at != before.next_run]
    if not dates or len(dates) < len(late) or any(abs(date - now) >= _span(late) for date in dates):
        return None
    return min(now, *dates)


def _span(late: Collection[object]) -> timedelta:
    return RE_DATED_WITHIN + 5 * WHOLE_SECOND * len(late)


def _moved(job: Job, seen: Sighting, now: datetime) -> Job:
    owed = seen.owed_at if seen.owed_at != job.next_run_at else None
    since = seen.stood_since if seen.appeared_late else None
    restarts = seen.restarts if seen.restarts and seen.restarts.starts else None
    is_old = bool(seen.earlier and job.next_run_at and seen.earlier.explains(job.next_run_at, now))
    slot = seen.slot if seen.unrecorded and seen.slot != job.next_run_at else None
    terms = Terms(owed_at=owed, stands_since=since, restarts=restarts, has_old_plan=is_old, unrecorded_for=slot)
    if terms == NOTHING_SAID and seen.passed_over_by is None and seen.repeated == job.repeated:
        return job
    return replace(job, terms=terms, passed_over_by=seen.passed_over_by, repeated=seen.repeated)
