"""Which runs ended in an error, and the how many-th in a row each was.

The scheduler keeps only its last outcome and a count. What is on record comes first; then the count, which speaks of
the newest runs; then the pauses of the breaker: nothing but an error is tried again before its time.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from watchdog.cadence.breaker import after_error
from watchdog.cadence.schedule import next_fire
from watchdog.core.model import Job
from watchdog.state.history import end_of
from watchdog.systems.shared.past import ERROR, OK, RunLog

_CUT = timedelta(seconds=1)
"""Run ends are cut to the second, so a pause may look that much shorter."""


@dataclass(frozen=True, slots=True)
class Deeds:
    """What people did to a job: when its count of errors was set back, and when it was run by hand."""

    reset: Sequence[datetime] = ()
    by_hand: Collection[datetime] = ()


def count_errors(runs: RunLog, numbers: Sequence[int], job: Job, deeds: Deeds) -> None:
    """Write into the log, for the runs of one job, how many in a row had ended in an error with each."""
    ends = [runs.ended_at(number) for number in numbers]
    last = end_of(job.last_run, ends) if job.last_run else None
    if last is not None and job.last_run is not None and not runs.statuses[numbers[last]]:
        runs.statuses[numbers[last]] = ERROR if job.last_run.status == "error" else OK
    errors = 0
    for place, fresh in enumerate(_since_reset(ends, deeds.reset)):
        before = 0 if fresh or (job.breaker and errors >= job.breaker.limit) else errors
        errors = before + 1 if _is_error(runs, numbers, place, ends, job, before, deeds) else 0
        runs.errors[numbers[place]] = errors
    if last is not None:
        _count_back(runs, numbers[: last + 1], job.consecutive_errors or 0)


def _since_reset(ends: Sequence[datetime], resets: Sequence[datetime]) -> Iterator[bool]:
    """For each run end, whether the count was set back since the one before."""
    waiting = sorted(resets)
    for end in ends:
        fresh = bool(waiting) and waiting[0] <= end
        while waiting and waiting[0] <= end:
            waiting.pop(0)
        yield fresh


def _count_back(runs: RunLog, numbers: Sequence[int], count: int) -> None:
    """The row's count tells of its newest runs that so many in a row ended in an error."""
    for errors, number in zip(range(count, 0, -1), reversed(numbers), strict=False):
        if runs.statuses[number] == OK:
            return
        runs.errors[number] = errors


def _is_error(
    runs: RunLog, numbers: Sequence[int], place: int, ends: Sequence[datetime], job: Job, before: int, deeds: Deeds
) -> bool:
    status = runs.statuses[numbers[place]]
    if status or not runs.is_zero(numbers[place]) or job.breaker is None or place + 1 == len(ends):
        return status == ERROR
    if before + 1 >= job.breaker.limit or ends[place + 1] in deeds.by_hand:
        return before > 0
    return _was_tried_again(job, before + 1, ends[place], ends[place + 1])


def _was_tried_again(job: Job, errors: int, ended: datetime, following: datetime) -> bool:
    """Whether the next run came when the scheduler tries again after so many errors, and not when it was due anyway.

    Where the two fall together, a run without tokens right after an error is one more.
    """
    if job.breaker is None:
        return False
    natural = next_fire(job.schedule, ended)
    retry = after_error(job.schedule, job.breaker, errors, ended, ended) - _CUT
    if natural is None:
        return retry <= following
    if abs(retry - natural) <= _CUT:
        return errors > 1 and natural - _CUT <= following
    reached = [instant for instant in (retry, natural) if instant <= following]
    return bool(reached) and max(reached) == retry
