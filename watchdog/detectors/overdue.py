"""`overdue`: a planned job is past the second fire after the one that was due, and is not itself in flight."""

from collections.abc import Iterator
from datetime import datetime

from watchdog.cadence.schedule import words
from watchdog.core.instants import say
from watchdog.core.kinds import Kind, Severity
from watchdog.core.model import IN_FLIGHT, Cause, Finding, Hold, Job, Snapshot
from watchdog.core.moment import Moment
from watchdog.detectors.about import about, last_ran
from watchdog.detectors.lateness import Overdue as Overdue
from watchdog.detectors.lateness import deadline_of, late_since, waits_for
from watchdog.detectors.rules import Rules, RulesForAll
from watchdog.detectors.stranded import is_too_far_ahead


def detect(snapshot: Snapshot, now: Moment, settings: RulesForAll) -> Iterator[Finding]:
    """One finding for each late job. While a run holds the slot it is filed under that run."""
    for job in now.doubtful(snapshot.jobs):
        deadline = late_since(job, now, settings.of(job))
        if deadline is not None:
            holder = waits_for(job, snapshot, now)
            yield about(
                snapshot,
                job,
                Kind.OVERDUE,
                Severity.WARNING,
                deadline,
                f"{job.name} {last_ran(job)}: it was due at {_due(job)}{_why(holder, snapshot)}",
                due_at=job.due,
                next_run_at=job.next_run_at if job.terms.owed_at else None,
                deadline=deadline,
                schedule=words(job.schedule),
                last_run_at=job.last_started_at,
                caused_by=Cause(IN_FLIGHT, holder.job_id, holder.job) if holder else None,
            )
        elif (since := _due_before_the_clock_was_put_back(job, now, settings.of(job))) is not None:
            yield about(
                snapshot,
                job,
                Kind.OVERDUE,
                Severity.WARNING,
                since,
                f"{job.name} {last_ran(job)}: its clock was put back, and it fires next at {_next(job)} only",
                due_at=job.due,
                clock_put_back_by=str(now.put_back),
                schedule=words(job.schedule),
                last_run_at=job.last_started_at,
            )


def _due_before_the_clock_was_put_back(job: Job, now: Moment, rules: Rules) -> datetime | None:
    """Since when the job is late by the clock as it went before, where its plan was made by that one."""
    if not now.put_back or job.in_flight_since is not None or job.next_run_at is None or not is_too_far_ahead(job, now):
        return None
    limit = deadline_of(job, rules)
    return limit - now.put_back if limit and now.reached(limit - now.put_back) else None


def _next(job: Job) -> str:
    return say(job.next_run_at) if job.next_run_at else "an unknown time"


def _due(job: Job) -> str:
    if job.due is None:
        return "an unknown time"
    moved = job.terms.owed_at is not None and job.next_run_at is not None and job.next_run_at > job.terms.owed_at
    return say(job.due) + (f" (put off to {say(job.next_run_at)})" if moved and job.next_run_at else "")


def _why(holder: Hold | None, snapshot: Snapshot) -> str:
    if holder is None:
        return " and has not started"
    if snapshot.holder is None and not snapshot.traits.has_one_slot:
        return f" and waits for {holder.run}, which goes on since {say(holder.since)}"
    if snapshot.holder is None:
        return f" and waited for {holder.run}, which ended at {say(holder.since)}"
    return f" and waits for {holder.run}, which holds the slot since {say(holder.since)}"
