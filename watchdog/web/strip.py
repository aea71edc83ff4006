"""A job's recent fires as a row of cells: what ran, what came of it, and which fires did not come."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import groupby, pairwise

from watchdog.cadence.schedule import fire_at_or_before
from watchdog.core.durations import say_duration
from watchdog.core.instants import to_ms
from watchdog.core.model import At, CronSchedule, Every, Job
from watchdog.state.history import Run, StateChange

LENGTH = 24
"""Cells of a strip."""

LONGEST_GAP = 8
"""Missed fires in a row that have a cell each; a long outage must not push out what led to it."""

AT_GRACE = timedelta(minutes=10)

WORDS = {
    "worked": "worked",
    "no_tokens": "no tokens",
    "error": "error",
    "skipped": "skipped",
    "broken_off": "broken off",
    "unknown": "outcome not known",
    "missed": "missed",
    "in_flight": "in flight",
}
"""What a cell can be, in the words of the page."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One fire: when it began or should have begun, and what came of it (a key of WORDS).

    `count`: for how many missed fires it stands. `late`: how much later than planned it began, of a run of a job that
    has no other fire: until then that one was missed.
    """

    at: datetime
    what: str
    run: Run | None = None
    count: int = 1
    late: timedelta | None = None

    @property
    def words(self) -> str:
        """What it is, in the words of the page."""
        return f"{WORDS[self.what]}, {say_duration(self.late)} late" if self.late else WORDS[self.what]


def strip(
    job: Job, runs: Sequence[Run], now: datetime, states: Sequence[StateChange] = (), length: int = LENGTH
) -> tuple[Cell, ...]:
    """The newest fires, oldest first; of a long outage the oldest are one cell."""
    ordered = fires(job, runs, now, states, length)
    return tuple([cell for _, group in groupby(ordered, key=_kind) for cell in _shortened(list(group))][-length:])


def fires(
    job: Job, runs: Sequence[Run], now: datetime, states: Sequence[StateChange] = (), most: int = LENGTH
) -> list[Cell]:
    """A cell for each fire, oldest first; of the missed ones the newest `most`."""
    cells = [Cell(run.began, run.outcome, run) for run in runs]
    if job.in_flight_since:
        cells.append(Cell(job.in_flight_since, "in_flight"))
    cells += [Cell(at, "missed") for at in missed(job, runs, now, states, most)]
    ordered = sorted(cells, key=lambda cell: cell.at)
    return [replace(ordered[0], late=_late(job, ordered[0], states)), *ordered[1:]] if ordered else []


def _late(job: Job, first: Cell, states: Sequence[StateChange]) -> timedelta | None:
    """How late a one-shot ran that had been missed: not one that was paused at its time."""
    if not isinstance(job.schedule, At) or first.what == "missed":
        return None
    planned = job.schedule.at
    was_owed = not states or _was_expected(planned, job, states)
    return first.at - planned if was_owed and first.at >= planned + AT_GRACE else None


def _kind(cell: Cell) -> str:
    return cell.what


def _shortened(group: list[Cell]) -> list[Cell]:
    """The cells of fires in a row that came to the same; the first of many missed ones stands for the oldest."""
    more = len(group) - LONGEST_GAP
    if group[0].what != "missed" or more <= 0:
        return group
    return [Cell(group[0].at, "missed", count=more + 1), *group[more + 1 :]]


def missed(
    job: Job, runs: Sequence[Run], now: datetime, states: Sequence[StateChange] = (), most: int = LENGTH
) -> list[datetime]:
    """The newest fires that the schedule had and that no run began at before the next one.

    A failed job's fires count: that it was given up is why they did not come. Those of a paused, disabled or completed
    job do not. Nothing is said of the time before the first run that is known. Until the next run they are found as
    they will be once it has begun: what was shown as missed stays so.
    """
    past = _Past(job, runs, states, now, _errors_in_a_row(runs))
    match job.schedule:
        case CronSchedule() as schedule:
            gone = _missed_slots(schedule, past, most)
        case Every(interval) if interval > timedelta():
            gone = _missed_intervals(interval, past, most)
        case At(at):
            gone = [at] if job.is_planned and not past.begun and now >= at + AT_GRACE else []
        case _:
            gone = []
    return [at for at in gone if _was_expected(at, job, states)]


@dataclass(frozen=True, slots=True)
class _Past:
    """What is known of a job up to now. `errors`: for each run how many errors in a row end with it; 0 if that is not
    known."""

    job: Job
    runs: Sequence[Run]
    states: Sequence[StateChange]
    now: datetime
    errors: Sequence[int]

    @property
    def begun(self) -> list[datetime]:
        """When each run began, the one in flight too."""
        flying = [self.job.in_flight_since] if self.job.in_flight_since else []
        return sorted([run.began for run in self.runs] + flying)

    def next_start(self, index: int) -> datetime | None:
        """The beginning of the run after this one; None where none has begun yet."""
        return self.runs[index + 1].began if index + 1 < len(self.runs) else self.job.in_flight_since

    def pause(self, index: int) -> timedelta:
        """How much longer than usual the scheduler may wait after this run: it was an error, or may have been one."""
        breaker, run = self.job.breaker, self.runs[index]
        if run.status == "ok" or breaker is None or not breaker.backoff:
            return timedelta()
        errors = self.errors[index]
        if self.was_given_up(index) or errors >= breaker.limit:
            return timedelta()
        return breaker.backoff[min(errors, len(breaker.backoff)) - 1] if errors else max(breaker.backoff)

    def was_given_up(self, index: int) -> bool:
        """Whether the scheduler did not wait after this run, but had given the job up."""
        began, later = self.runs[index].began, self.next_start(index)
        if later is None and self.job.state == "failed":
            return True
        return any(began <= one.at <= (later or self.now) and one.state == "failed" for one in self.states)

    @property
    def resumed(self) -> list[datetime]:
        """When it was brought back, or switched on again: its scheduler counts from there anew."""
        return [
            after.at
            for before, after in pairwise(self.states)
            if after.state == "active" and before.state not in ("active", "unknown")
        ]


def _errors_in_a_row(runs: Sequence[Run]) -> list[int]:
    counts, count, is_known = [], 0, False
    for run in runs:
        if run.outcome == "error":
            count += 1
        else:
            count, is_known = 0, run.status == "ok"
        counts.append(count if is_known else 0)
    return counts


def _missed_slots(schedule: CronSchedule, past: _Past, most: int) -> list[datetime]:
    begun, planned = past.begun, past.job.next_run_at if past.job.is_planned else None
    known = [*begun[:1], *([planned] if planned else [])]
    current = fire_at_or_before(schedule, past.now)
    if not known or current is None:
        return []
    slots = slots_until(schedule, current, most + 1)
    first = min(known).replace(microsecond=0)
    taken = {fire_at_or_before(schedule, at) for at in begun if at >= slots[0]}
    left = [slot for slot in slots[:-1] if slot >= first and slot not in taken]
    return [slot for slot in left if not _is_in_a_pause(slot, past)]


def _is_in_a_pause(slot: datetime, past: _Past) -> bool:
    """Whether the scheduler may have waited then: not where a cron job takes its next fire all the same."""
    if not past.runs or past.job.breaker is None or past.job.breaker.cron_may_come_sooner:
        return False
    before = bisect_right(past.runs, slot, key=lambda run: run.ended_at) - 1
    return before >= 0 and slot < past.runs[before].ended_at + past.pause(before)


@lru_cache(maxsize=256)
def slots_until(schedule: CronSchedule, last: datetime, count: int) -> tuple[datetime, ...]:
    """The schedule's fires up to and with `last`, at most so many, oldest first."""
    slots = [last]
    while len(slots) < count:
        before = fire_at_or_before(schedule, slots[-1] - timedelta(seconds=1))
        if before is None or to_ms(before) >= to_ms(slots[-1]):
            break
        slots.append(before)
    return tuple(reversed(slots))


def _missed_intervals(interval: timedelta, past: _Past, most: int) -> list[datetime]:
    if not past.begun:
        return _steps(past.job.due, interval, past.now, most) if past.job.is_planned and past.job.due else []
    gone: list[datetime] = []
    resumed = past.resumed
    for index, run in enumerate(past.runs):
        until = past.next_start(index) or (past.now if _is_owed(past) else None)
        begins = run.ended_at + past.pause(index)
        for end in [at for at in resumed if run.ended_at < at <= (until or past.now)] + ([until] if until else []):
            gone += _steps(begins + interval, interval, end, most)
            begins = end
    return gone[-most:]


def _is_owed(past: _Past) -> bool:
    """Whether fires have gone by since the last run: a job that was edited, or is paced, is planned for later."""
    job, last = past.job, len(past.runs) - 1
    return not job.is_planned or past.was_given_up(last) or (job.due is not None and job.due <= past.now)


def _steps(first: datetime, interval: timedelta, until: datetime, most: int) -> list[datetime]:
    """The newest of the instants from `first` on, an interval apart, each with a whole interval before `until`."""
    count = (until - first) // interval
    return [first + index * interval for index in range(max(0, count - most), count)]


def _was_expected(at: datetime, job: Job, states: Sequence[StateChange]) -> bool:
    """Whether the scheduler meant to run it then, or had given it up."""
    then = [change.state for change in states if change.at <= at]
    if then:
        return then[-1] in ("active", "failed", "unknown")
    # of before the first change nothing is written: it was active then, or is as it is now
    return bool(states) or job.state in ("active", "failed")


def in_words(cells: Iterable[Cell]) -> str:
    """The strip for those who cannot see it: `12 worked, then 10 error, then 24 or more missed`."""
    groups = [
        (words, sum(cell.count for cell in group)) for words, group in groupby(cells, key=lambda cell: cell.words)
    ]
    said = [f"{how_many(count, LENGTH) if words == WORDS['missed'] else count} {words}" for words, count in groups]
    return ", then ".join(said) or "nothing is known yet"


def how_many(missed_fires: int, most: int) -> str:
    """A number; fires are looked for only so far back, so where there are that many there may be more."""
    return f"{missed_fires} or more" if missed_fires >= most else str(missed_fires)
