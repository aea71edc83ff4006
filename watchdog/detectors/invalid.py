"""`invalid`: a planned job that its scheduler cannot run as it stands. Some are skipped, some run without end."""

from collections.abc import Iterator

from watchdog.cadence.schedule import words
from watchdog.core.kinds import Kind, Severity
from watchdog.core.model import Finding, Job, Snapshot, Unreadable
from watchdog.core.moment import Moment
from watchdog.detectors.about import about
from watchdog.detectors.rules import RulesForAll


def detect(snapshot: Snapshot, now: Moment, settings: RulesForAll) -> Iterator[Finding]:
    """One finding for each job that may have to run and whose schedule, next run or switch cannot be read."""
    for job in snapshot.jobs:
        if job.problems and job.state in ("active", "unknown"):
            then = _then(job)
            yield about(
                snapshot,
                job,
                Kind.INVALID,
                Severity.CRITICAL,
                job.updated_at,
                f"{job.name} cannot be read: {'; '.join(job.problems)}{f'; {then}' if then else ''}",
                problems=list(job.problems),
                schedule=words(job.schedule),
                status=job.status,
                then=then or None,
            )


def _then(job: Job) -> str:
    """What its scheduler does with it, where that is known."""
    if not isinstance(job.schedule, Unreadable):
        return ""
    return job.schedule.then
