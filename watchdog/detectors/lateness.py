"""What the timeliness conditions share: is a planned job late, and what do other runs prove about it."""

from datetime import datetime, timedelta

from watchdog.cadence.schedule import deadline, next_fire, plus
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

A_MISSED_FIRE = timedelta(minutes=10)
"""How long a fire may wait for a scheduler that is known to stand still, however seldom the job's fires are."""

A_REDEPLOY = timedelta(minutes=2)
"""For how long a scheduler may be gone, or stand still, before that means anything: it is being replaced."""

A_LOOP = 4
"""A scheduler that has started so often, and ended no run in between, is not being redeployed: it goes down."""

AFTER_AN_EDIT = timedelta(minutes=5)
"""How long a row that was changed while it was past due (enabled again, edited) gets to be picked up."""


class Overdue(Rule):
    """A job that did not run when it was due.

    `cadences`: how many fires after the one that was due it is late. `at_grace`: how late a job may be that runs once.
    """

    kind = Kind.OVERDUE

    cadences: Count = 2
    at_grace: Duration = timedelta(minutes=10)


def deadline_of(job: Job, rules: Rules) -> datetime | None:
    """When the job becomes overdue; None if it is not planned, has no next run, or cannot be read."""
    due = _owed_fire(job)
    if not job.is_planned or due is None or job.next_run_at is None:
        return None
    if job.terms.late_after is not None:
        return plus(due, job.terms.late_after)
    rule = rules[Overdue]
    # where its scheduler is known not to make the run up, nothing is waited for
    is_awaited = job.interrupted is not None and not job.interrupted.outlook
    grace = job.terms.grace + (A_REDEPLOY if is_awaited else timedelta())
    limit = deadline(job.schedule, due, rule.cadences, rule.at_grace, grace)
    changed = _changed_at(job)
    return limit if limit is None or changed is None or changed <= due else max(limit, changed + AFTER_AN_EDIT)


def _changed_at(job: Job) -> datetime | None:
    """When its row was last written, or came into the store."""
    return max((at for at in (job.updated_at, job.terms.stands_since) if at), default=None)


def _owed_fire(job: Job) -> datetime | None:
    """The fire that it has to do next. One whose run was broken off had begun: it counts from the fire after."""
    broken, restarts = job.interrupted, job.terms.restarts
    if restarts is not None and restarts.starts >= A_LOOP:
        return restarts.due
    if job.due is None or broken is None or job.terms.late_after is not None:
        return job.due
    return max(job.due, next_fire(job.schedule, broken.started_at) or broken.started_at)


def late_since(job: Job, now: Moment, rules: Rules) -> datetime | None:
    """The deadline that the job has passed without a run of its own; None while it is in time.

    A run of it that has ended and is not written down yet was its run all the same: it is being delivered.
    """
    if job.in_flight_since is not None or _has_just_run(job):
        return None
    limit = deadline_of(job, rules)
    return limit if limit and now.reached(now.lived(limit)) else None


def _has_just_run(job: Job) -> bool:
    end = job.unrecorded_end
    return end is not None and job.due is not None and end.at + timedelta(seconds=1) > job.due


def due_at(job: Job) -> datetime:
    """When a late job should have started: its next run, or the later change of its row."""
    if job.terms.late_after is not None and job.due is not None:
        return max(job.due, job.next_run_at or job.due)
    return max(instant for instant in (job.next_run_at, _changed_at(job)) if instant)


def is_passed_over(job: Job, margin: timedelta) -> bool:
    """Whether the scheduler left the job out though it was its turn: its busy flag leaked.

    Its source says by whose start that is proved; within `margin` of the due time a start proves nothing yet.
    """
    return job.passed_over_by is not None and job.passed_over_by.at > plus(due_at(job), margin)


def waits_for(job: Job, snapshot: Snapshot, now: Moment) -> Hold | None:
    """The run that keeps the late job waiting: the one that holds the slot, or that let go of it only just now."""
    if job.waits_for is not None:
        return job.waits_for
    if snapshot.holder is not None or not snapshot.traits.has_one_slot:
        return snapshot.holder
    ended = None if _is_put_off(job, now, timedelta()) else snapshot.last_ended_of_others(job.id)
    if ended is None or ended.since <= due_at(job) or now.reached(ended.since + _pause(snapshot)):
        return None
    return ended


def cut_off_since(job: Job, snapshot: Snapshot, now: Moment) -> datetime | None:
    """From when on it counts that a run of the job stands still, or was broken off, with its scheduler's process.

    Only where each start is marked: there such a run is a fact, and no guess from what it has cost.
    """
    if job.interrupted is None and job.in_flight_since is None:
        return None
    process = snapshot.process
    is_broken = process.is_alive is False and job.interrupted is not None
    is_still = bool(process.is_frozen) and job.in_flight_since is not None
    if not snapshot.traits.marks_starts or process.since is None or not (is_broken or is_still):
        return None
    limit = plus(process.since, snapshot.traits.may_be_away)
    return limit if now.reached(limit) else None


def missed_since(job: Job, snapshot: Snapshot, now: Moment) -> datetime | None:
    """From when on a fire counts as missed before the job is late by its own cadence: where the scheduler gives signs
    of life, and has given none for too long. A nightly job would not be late before its second night."""
    due = _owed_fire(job)
    if due is None or not job.is_planned or job.in_flight_since is not None:
        return None
    limit = max(plus(due, A_MISSED_FIRE), plus(_changed_at(job) or due, AFTER_AN_EDIT))
    if not now.reached(now.lived(limit)):
        return None
    stands_from = snapshot.stands_from.get(job.terms.served_by)
    return limit if stands_from is not None and now.reached(stands_from) else None


def is_unserved(job: Job, snapshot: Snapshot, now: Moment, margin: timedelta) -> bool:
    """Whether the scheduler has shown no sign of life since the late job was due, with the slot free.

    Where its process is gone or frozen that is sure, and where it gives signs of life of its own those tell. Where each
    start is marked, an interrupted run is a sign of life: somebody has found that it is over.
    """
    if snapshot.process.is_alive is False or snapshot.process.is_frozen:
        since = snapshot.process.since
        has_been_long = since is None or now.reached(plus(since, A_REDEPLOY))
        if snapshot.holder is None and has_been_long:
            return True
        if snapshot.traits.marks_starts and not has_been_long and _came_late_after(job, since):
            return False
    stands_from = snapshot.stands_from.get(job.terms.served_by)
    if stands_from is not None:
        return now.reached(stands_from)
    if job.waits_for is not None:
        return False
    if snapshot.traits.shows_passes:
        return _is_passed_by_none(job, snapshot, margin)
    if (
        _was_found_broken(job, snapshot)
        or not _is_idle(job, snapshot, now)
        or _is_put_off(job, now, AFTER_A_RUN)
        or _is_caught_up(job, snapshot, now)
    ):
        return False
    started = snapshot.last_other_start(job.id)
    if started is None or started <= due_at(job):
        return True
    return started <= due_at(job) + margin and now.reached(now.lived(started + margin))


def restarts_in_vain(job: Job, snapshot: Snapshot, now: Moment, rules: Rules) -> datetime | None:
    """Since when the job is late because its scheduler starts again and again, and no run ends; None if it is not so.

    It is so until the scheduler has lived longer than it did in between.
    """
    loop = job.terms.restarts
    if loop is None or loop.newest is None or loop.starts < A_LOOP:
        return None
    limit = deadline_of(job, rules)
    if limit is None or any(other.last_end and other.last_end.at > loop.due for other in snapshot.jobs):
        return None
    if now.reached(plus(loop.newest, max(snapshot.traits.catch_up, 2 * loop.longest))):
        return None
    return limit if now.reached(now.lived(limit)) else None


def _came_late_after(job: Job, since: datetime | None) -> bool:
    """Whether the job was in time still when its scheduler's process went: that one may just be being replaced."""
    if since is None or job.due is None or job.terms.late_after is None:
        return False
    return plus(job.due, job.terms.late_after) > since


def _was_found_broken(job: Job, snapshot: Snapshot) -> bool:
    """Whether somebody other than us has just found that its run is over. What is on record with what becomes of it
    stands for long, and a process that is gone finds nothing."""
    broken = job.interrupted
    is_sign = broken is not None and not broken.outlook and snapshot.process.is_alive is not False
    return is_sign and snapshot.traits.marks_starts


def _is_passed_by_none(job: Job, snapshot: Snapshot, margin: timedelta) -> bool:
    """Whether no pass is known since the job was due that would have moved it on."""
    if any(other.in_flight_since for other in snapshot.jobs):
        return False
    signs = (snapshot.passed_at, snapshot.last_other_start(job.id))
    return all(at is None or at <= due_at(job) + margin for at in signs)


def _is_put_off(job: Job, now: Moment, margin: timedelta) -> bool:
    """Whether the scheduler has seen that the job is late, and has set it down for later; `margin` is how much later
    than that its run may show."""
    if job.terms.owed_at is None or job.next_run_at is None or job.next_run_at <= job.terms.owed_at:
        return False
    return not now.reached(plus(job.next_run_at, margin))


def _is_caught_up(job: Job, snapshot: Snapshot, now: Moment) -> bool:
    """Whether the scheduler has started since the job was due, so recently that the job may still wait for its turn."""
    start = snapshot.process.started_at
    return start is not None and due_at(job) < start and not now.reached(plus(start, snapshot.traits.catch_up))


def _pause(snapshot: Snapshot) -> timedelta:
    return AFTER_A_MARKED_RUN if snapshot.traits.marks_starts else AFTER_A_RUN


def _is_idle(job: Job, snapshot: Snapshot, now: Moment) -> bool:
    """Nothing holds the slot, and the last run that did is over for long enough. Without a slot: nothing is in flight,
    for a run in flight may keep the only worker there is."""
    if not snapshot.traits.shows_slot or snapshot.holder is not None:
        return False
    let_go = snapshot.process.let_go_at
    if let_go is not None and not now.reached(now.lived(plus(let_go, A_REDEPLOY))):
        return False
    if not snapshot.traits.has_one_slot and _is_full(snapshot):
        return False
    released = snapshot.last_other_end(job.id)
    return released is None or now.reached(now.lived(released + _pause(snapshot)))


def _is_full(snapshot: Snapshot) -> bool:
    """Whether the runs in flight may keep every worker; of how many there are nothing may be known."""
    busy = sum(other.in_flight_since is not None for other in snapshot.jobs)
    return busy >= (snapshot.traits.workers or 1)


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
