"""What is due and has not come to an end, over starts of the scheduler: one that crashes again and again runs each job,
and ends none."""

from dataclasses import replace
from datetime import datetime, timedelta

from watchdog.core.model import Job, Restarts
from watchdog.systems.shared.turns import WHOLE_SECOND

ONE_START = timedelta(seconds=45)
"""A start shows in several ways, one after another; by no more than this they are one."""


def followed(job: Job, before: Restarts | None, born: datetime | None, now: datetime) -> Restarts | None:
    """What has become of the job's fire by now.

    `before`: what had at the look before, where its plan is the same still. `born`: when the scheduler last started.
    """
    seen = before if before is not None and not _has_ended_since(job, before.due) else _begun_to_owe(job, born, now)
    if seen is None or not job.is_planned:
        return None
    return _with_its_run(_with_a_start(seen, born), job)


def _begun_to_owe(job: Job, born: datetime | None, now: datetime) -> Restarts | None:
    due = job.next_run_at
    return Restarts(due, born) if due is not None and due <= now and not _has_ended_since(job, due) else None


def _has_ended_since(job: Job, due: datetime) -> bool:
    run = job.last_run
    ends = (job.last_end.at if job.last_end else None, run.ended_at if run else None)
    return any(at is not None and at + WHOLE_SECOND > due for at in ends)


def _with_a_start(seen: Restarts, born: datetime | None) -> Restarts:
    if born is None or (seen.newest is not None and born - seen.newest < ONE_START):
        return seen
    if born < seen.due and seen.newest is None:
        return replace(seen, newest=born)
    lived = born - max(seen.newest or seen.due, seen.due)
    return replace(seen, newest=born, starts=seen.starts + 1, longest=max(seen.longest, lived))


def _with_its_run(seen: Restarts, job: Job) -> Restarts:
    """A run touches its session more than once: only after a start of the scheduler is it another run."""
    started, last = job.last_started_at, seen.last_begun_at
    if started is None or started + WHOLE_SECOND < seen.due:
        return seen
    if last is not None and not (seen.newest is not None and last < seen.newest <= started + WHOLE_SECOND):
        return seen
    return replace(seen, begun=seen.begun + 1, first_begun_at=seen.first_begun_at or started, last_begun_at=started)
