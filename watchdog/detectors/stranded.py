"""`stranded`: a planned job without a next run. It looks healthy and never fires."""

from collections.abc import Iterator

from watchdog.cadence.schedule import words
from watchdog.core.kinds import Kind, Severity
from watchdog.core.model import Finding, NoCadence, Snapshot
from watchdog.core.moment import Moment
from watchdog.detectors.about import about
from watchdog.detectors.rules import RulesForAll


def detect(snapshot: Snapshot, now: Moment, settings: RulesForAll) -> Iterator[Finding]:
    """One finding for each job that is active and enabled and has no next run."""
    for job in snapshot.jobs:
        if isinstance(job.schedule, NoCadence) or job.next_run_at is not None:
            continue
        if job.is_planned and not job.problems:
            yield about(
                snapshot,
                job,
                Kind.STRANDED,
                Severity.CRITICAL,
                job.updated_at,
                f"{job.name} is active but has no next run, so it never fires (schedule: {words(job.schedule)})",
                schedule=words(job.schedule),
                last_run_at=job.last_started_at,
                updated_at=job.updated_at,
            )
