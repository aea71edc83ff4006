"""`invalid`: a row that cannot be read. The scheduler skips such a job on each pass."""

from collections.abc import Iterator

from watchdog.cadence.schedule import words
from watchdog.core.kinds import Kind, Severity
from watchdog.core.model import Finding, Snapshot
from watchdog.core.moment import Moment
from watchdog.detectors.about import about
from watchdog.detectors.rules import RulesForAll


def detect(snapshot: Snapshot, now: Moment, settings: RulesForAll) -> Iterator[Finding]:
    """One finding for each row with a schedule or a value that cannot be read."""
    for job in snapshot.jobs:
        if job.problems:
            yield about(
                snapshot,
                job,
                Kind.INVALID,
                Severity.CRITICAL,
                job.updated_at,
                f"{job.name} cannot be read: {'; '.join(job.problems)}",
                problems=list(job.problems),
                schedule=words(job.schedule),
                status=job.status,
            )
