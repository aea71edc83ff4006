"""A job's recent fires as a row of cells: what ran, what came of it, and which fires did not come."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import groupby

from watchdog.cadence.schedule import fire_at_or_before
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

    `count`: for how many missed fires it stands.
    """

    at: datetime
    what: str
    run: Run | None = None
    count: int = 1


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
    return sorted(cells, key=lambda cell: cell.at)


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
    job do not. Nothing is said of the time before the first run that is known.
    """
    begun = sorted([run.began for run in runs] + ([job.in_flight_since] if job.in_flight_since else []))
    match job.schedule:
        case CronSchedule() as schedule:
            gone = _missed_slots(schedule, job, begun, runs, now, most)
        case Every(interval) if interval > timedelta():
            gone = _missed_intervals(interval, job, runs, now, most)
        case At(at):
            gone = [at] if job.is_planned and not begun and now >= at + AT_GRACE else []
        case _:
            gone = []
    return [at for at in gone if _was_expected(at, job, states)]


def _missed_slots(
    schedule: CronSchedule, job: Job, begun: Sequence[datetime], runs: Sequence[Run], now: datetime, most: int
) -> list[datetime]:
    known = [*begun[:1], *([job.next_run_at] if job.is_planned and job.next_run_at else [])]
    current = fire_at_or_before(schedule, now)
    if not known or current is None:
        return []
    slots = slots_until(schedule, current, most + 1)
    first = min(known).replace(microsecond=0)
    taken = {fire_at_or_before(schedule, at) for at in begun if at >= slots[0]}
    left = [slot for slot in slots[:-1] if slot >= first and slot not in taken]
    return [slot for slot in left if not _is_in_a_pause(slot, job, runs)]


def _is_in_a_pause(slot: datetime, job: Job, runs: Sequence[Run]) -> bool:
    """Whether the scheduler may have waited then: not where a cron job takes its next fire all the same."""
    if not runs or job.breaker is None or job.breaker.cron_may_come_sooner:
        return False
    before = bisect_right(runs, slot, key=lambda run: run.ended_at) - 1
    return before >= 0 and slot < runs[before].ended_at + _pause(job, runs[before])


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


def _missed_intervals(interval: timedelta, job: Job, runs: Sequence[Run], now: datetime, most: int) -> list[datetime]:
    gone: list[datetime] = []
    starts = [run.began for run in runs[1:]]
    for run, start in zip(runs, [*starts, job.in_flight_since], strict=False):
        if start is not None:
            gone += _steps(run.ended_at + _pause(job, run) + interval, interval, start, most)
    return [*gone, *_missed_at_the_end(interval, job, runs, now, most)][-most:]


def _missed_at_the_end(interval: timedelta, job: Job, runs: Sequence[Run], now: datetime, most: int) -> list[datetime]:
    """Since the last run: what the scheduler says was due, or for a job that it gave up what would have been."""
    if job.in_flight_since:
        return []
    if job.is_planned:
        return _steps(job.next_run_at, interval, now, most) if job.next_run_at else []
    return _steps(runs[-1].ended_at + interval, interval, now, most) if runs else []


def _pause(job: Job, run: Run) -> timedelta:
    """How much longer than its interval the scheduler may wait after an error, or after what may have been one."""
    if run.status == "ok" or job.breaker is None:
        return timedelta()
    return max(job.breaker.backoff, default=timedelta())


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
    groups = [(what, sum(cell.count for cell in group)) for what, group in groupby(cells, key=_kind)]
    said = [f"{how_many(count, LENGTH) if what == 'missed' else count} {WORDS[what]}" for what, count in groups]
    return ", then ".join(said) or "nothing is known yet"


def how_many(missed_fires: int, most: int) -> str:
    """A number; fires are looked for only so far back, so where there are that many there may be more."""
    return f"{missed_fires} or more" if missed_fires >= most else str(missed_fires)
