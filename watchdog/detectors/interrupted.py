"""`interrupted`: a run began, its scheduler stopped under it, and no outcome was recorded: it may run again."""

from collections.abc import Iterator

from watchdog.core.instants import say
from watchdog.core.kinds import Kind, Severity
from watchdog.core.model import Finding, Interruption, Snapshot
from watchdog.core.moment import Moment
from watchdog.detectors.about import about
from watchdog.detectors.rules import RulesForAll


def detect(snapshot: Snapshot, now: Moment, settings: RulesForAll) -> Iterator[Finding]:
    """One finding for each planned job whose newest run was broken off without an outcome."""
    for job in snapshot.jobs:
        broken = job.interrupted
        if broken is None or not job.is_planned:
            continue
        again = job.in_flight_since
        yield about(
            snapshot,
            job,
            Kind.INTERRUPTED,
            Severity.WARNING,
            broken.restarted_at or broken.started_at,
            f"{job.name} was interrupted: its run of {say(broken.started_at)} {_end(broken)}, so "
            + (f"it runs again since {say(again)}" if again else "it may run, and be delivered, again"),
            started_at=broken.started_at,
            restarted_at=broken.restarted_at,
            record=broken.record,
            runs_again_since=again,
            due_at=job.due,
            last_run_at=job.last_run.started_at if job.last_run else None,
        )


def _end(broken: Interruption) -> str:
    if broken.restarted_at is None:
        return "is not in flight any more and has no recorded outcome"
    return f"had no recorded outcome when the scheduler restarted at {say(broken.restarted_at)}"
