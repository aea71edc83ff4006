"""`interrupted`: a run began, its scheduler stopped under it, and no outcome was recorded: it may run again."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from watchdog.cadence.schedule import next_fire
from watchdog.core.instants import say
from watchdog.core.kinds import Kind, Severity
from watchdog.core.model import Finding, Interruption, Job, Snapshot
from watchdog.core.moment import Moment
from watchdog.detectors.about import about
from watchdog.detectors.lateness import late_since
from watchdog.detectors.rules import RulesForAll


def detect(snapshot: Snapshot, now: Moment, settings: RulesForAll) -> Iterator[Finding]:
    """One finding for each planned job whose newest run was broken off without an outcome."""
    for job in now.doubtful(snapshot.jobs):
        broken = job.interrupted
        if broken is None or not job.is_planned or _is_past(job, broken, snapshot, now):
            continue
        if broken.gives_way and late_since(job, now, settings.of(job)):
            continue  # by now its next fire is the one that is owed
        again = job.in_flight_since
        yield about(
            snapshot,
            job,
            Kind.INTERRUPTED,
            Severity.WARNING,
            _since(broken),
            f"{job.name} was interrupted{_again(broken)}: its run of {say(broken.started_at)} {_end(broken)}, so "
            + _what_next(job, snapshot, again),
            started_at=broken.started_at,
            times=broken.times if broken.times > 1 else None,
            restarted_at=broken.restarted_at,
            record=broken.record,
            outlook=broken.outlook or None,
            runs_again_since=again,
            due_at=job.due,
            last_run_at=job.last_run.started_at if job.last_run else None,
        )


def _is_past(job: Job, broken: Interruption, snapshot: Snapshot, now: Moment) -> bool:
    """Whether its next fire has come since, where it was not for a fire that is owed still: then it is over. Where each
    start is marked, and where nobody makes up for it, it stands until the job has run again."""
    if (
        snapshot.traits.marks_starts
        or broken.times > 1
        or broken.outlook
        or (job.due is not None and job.due <= broken.started_at + timedelta(seconds=1))
    ):
        return False
    following = next_fire(job.schedule, broken.started_at)
    return following is not None and now.reached(following)


def _what_next(job: Job, snapshot: Snapshot, again: datetime | None) -> str:
    if again:
        return f"it runs again since {say(again)}"
    if job.interrupted and job.interrupted.outlook:
        return job.interrupted.outlook
    if snapshot.traits.marks_starts or job.next_run_at is None:
        return "it may run, and be delivered, again"
    return f"nothing came of it; its next run is due at {say(job.next_run_at)}"


def _since(broken: Interruption) -> datetime:
    if broken.times > 1 and broken.first_started_at is not None:
        return broken.first_started_at
    return broken.restarted_at or broken.started_at


def _again(broken: Interruption) -> str:
    if broken.times == 1 or broken.first_started_at is None:
        return ""
    return f" {broken.times} times in a row since {say(broken.first_started_at)}"


def _end(broken: Interruption) -> str:
    if broken.restarted_at is None:
        return "is not in flight any more and has no recorded outcome"
    return f"had no recorded outcome when the scheduler restarted at {say(broken.restarted_at)}"
