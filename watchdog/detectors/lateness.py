"""What the timeliness conditions share: is a planned job late, and what do other runs prove about it."""

from datetime import datetime, timedelta

from watchdog.cadence.schedule import deadline, near_clock_change, plus
from watchdog.core.fields import Count, Duration
from watchdog.core.kinds import Kind
from watchdog.core.model import Hold, Job, Snapshot
from watchdog.core.moment import Moment
from watchdog.detectors.rules import Rule, Rules

AFTER_A_RUN = timedelta(seconds=60)
"""How long the scheduler gets from one run's end to the next run's first trace before its quiet means anything.
A run shows in the database only some seconds after it started."""

AFTER_A_MARKED_RUN = timedelta(seconds=5)
"""The same where a start is written down at once: the scheduler's pause between two passes, and a write."""

AFTER_AN_EDIT = timedelta(minutes=5)
"""How long a row that was changed while it was past due (enabled again, edited) gets to be picked up."""


class Overdue(Rule):
    """`cadences` fires after the one that was due; `at_grace` for one-shots."""

    kind = Kind.OVERDUE

    cadences: Count = 2
    at_grace: Duration = timedelta(minutes=10)


def deadline_of(job: Job, rules: Rules) -> datetime | None:
    """When the job becomes overdue; None if it is not planned, has no next run, or cannot be read."""
    if not job.is_planned or job.due is None:
        return None
    if job.late_after is not None:
        return plus(job.due, job.late_after)
    if job.next_run_at is None:
        return None
    rule = rules[Overdue]
    limit = deadline(job.schedule, job.next_run_at, rule.cadences, rule.at_grace, job.grace)
    if limit is None or job.updated_at is None or job.updated_at <= job.next_run_at:
        return limit
    return max(limit, job.updated_at + AFTER_AN_EDIT)


def late_since(job: Job, now: Moment, rules: Rules) -> datetime | None:
    """The deadline that the job has passed without a run of its own in flight; None while it is in time."""
    if job.in_flight_since is not None:
        return None
    limit = deadline_of(job, rules)
    return limit if limit and now.reached(limit) else None


def due_at(job: Job) -> datetime:
    """When a late job should have started: its next run, or the later change of its row."""
    if job.late_after is not None and job.due is not None:
        return max(job.due, job.next_run_at or job.due)
    known = [instant for instant in (job.next_run_at, job.updated_at) if instant]
    return max(known)


def is_passed_over(job: Job, snapshot: Snapshot, now: Moment, margin: timedelta) -> bool:
    """Whether the scheduler was at work after the job was due, and left it out: its busy flag leaked.

    A start of another job more than `margin` after the due time says so while nothing holds the slot. While
    something does, that run may have been chosen before this job was due. Then it takes more: that the slot had been
    free before that start, so that it began a pass; or a second start of the same other job, for a pass runs each job
    once and takes the longest due first. Where there is no slot, a job may simply have been left to another worker;
    where every run is marked, a job without a mark has no busy flag.
    """
    if not snapshot.runs_exclude or snapshot.marks_runs:
        return False
    started = snapshot.last_other_start(job.id)
    if started is None or started <= due_at(job) + margin:
        return False
    return _is_idle(job, snapshot, now) or _began_a_pass(job, started, snapshot) or _second_start(job, snapshot, margin)


def waits_for(job: Job, snapshot: Snapshot, now: Moment) -> Hold | None:
    """The run that keeps the late job waiting: the one that holds the slot, or that let go of it only just now."""
    if snapshot.holder is not None or not snapshot.runs_exclude:
        return snapshot.holder
    ended = None if _is_put_off(job, now) else snapshot.last_ended_of_others(job.id)
    if ended is None or ended.since <= due_at(job) or now.reached(ended.since + _pause(snapshot)):
        return None
    return ended


def is_unserved(job: Job, snapshot: Snapshot, now: Moment, margin: timedelta) -> bool:
    """Whether the scheduler has shown no sign of life since the late job was due, with the slot free.

    An interrupted run is a sign of life: somebody has found that it is over.
    """
    if (
        job.interrupted is not None
        or not _is_idle(job, snapshot, now)
        or _is_put_off(job, now)
        or _is_caught_up(job, snapshot, now)
    ):
        return False
    started = snapshot.last_other_start(job.id)
    if started is None or started <= due_at(job):
        return True
    return started <= due_at(job) + margin and now.reached(started + margin)


def _is_put_off(job: Job, now: Moment) -> bool:
    """Whether the scheduler has seen that the job is late, and has set it down for later."""
    if job.owed_at is None or job.next_run_at is None or job.next_run_at <= job.owed_at:
        return False
    return not now.reached(plus(job.next_run_at, AFTER_A_RUN))


def _is_caught_up(job: Job, snapshot: Snapshot, now: Moment) -> bool:
    """Whether the scheduler has started since the job was due, so recently that the job may still wait for its turn."""
    start = snapshot.restarted_at
    return start is not None and due_at(job) < start and not now.reached(plus(start, snapshot.catch_up))


def _pause(snapshot: Snapshot) -> timedelta:
    return AFTER_A_MARKED_RUN if snapshot.marks_runs else AFTER_A_RUN


def _is_idle(job: Job, snapshot: Snapshot, now: Moment) -> bool:
    """Nothing holds the slot, and the last run that did is over for long enough. Without a slot: nothing is in flight,
    for a run in flight may keep the only worker there is."""
    if not snapshot.sees_slot or snapshot.holder is not None:
        return False
    if not snapshot.runs_exclude and any(other.in_flight_since for other in snapshot.jobs):
        return False
    released = snapshot.last_other_end(job.id)
    return released is None or now.reached(released + _pause(snapshot))


def _began_a_pass(job: Job, started: datetime, snapshot: Snapshot) -> bool:
    """Whether the slot was free for a while before the start, with the job due all that time."""
    others = [other for other in snapshot.jobs if other.id != job.id]
    busy = [end.at for other in others for end in other.recent]
    busy += [other.updated_at for other in others if other.updated_at]
    busy += [due_at(job), *([snapshot.departed.last_ended_at] if snapshot.departed.last_ended_at else [])]
    return snapshot.sees_slot and started - max(at for at in busy if at < started) > AFTER_A_RUN


def _second_start(job: Job, snapshot: Snapshot, margin: timedelta) -> bool:
    """Whether another job started twice since the job was due; near a clock change it may have been due again at once,
    and ahead of those that wait."""
    due = due_at(job)
    return any(
        other.last_started_at is not None
        and other.last_started_at > due + margin
        and not near_clock_change(other.schedule, other.last_started_at)
        and any(due < end.at < other.last_started_at for end in other.recent)
        for other in snapshot.jobs
        if other.id != job.id
    )


def starts_since(job: Job, snapshot: Snapshot) -> tuple[Job, int] | None:
    """The other job that started most often since `job` was due, and how often, as far as is remembered."""
    due = due_at(job)
    counts = [(_starts(other, due), other) for other in snapshot.jobs if other.id != job.id]
    count, other = max(counts, key=lambda pair: pair[0], default=(0, None))
    return (other, count) if other and count else None


def _starts(other: Job, due: datetime) -> int:
    if other.last_started_at is None or other.last_started_at <= due:
        return 0
    # each earlier start shows as an end before the newest start
    return 1 + sum(due < end.at < other.last_started_at for end in other.recent)
