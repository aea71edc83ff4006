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
    for job in now.doubtful(snapshot.jobs):
        problems = job.problems or _of_the_schedule(job)
        if problems and job.state in ("active", "unknown"):
            then = job.schedule.then if isinstance(job.schedule, Unreadable) else ""
            yield about(
                snapshot,
                job,
                Kind.INVALID,
                Severity.CRITICAL,
                job.updated_at,
                f"{job.name} cannot be read: {'; '.join(problems)}{f'; {then}' if then else ''}",
                problems=list(problems),
                schedule=words(job.schedule),
                status=job.status,
                then=then or None,
            )


def _of_the_schedule(job: Job) -> tuple[str, ...]:
    """What is wrong with a schedule of which its source has noted nothing more."""
    return (f"its schedule cannot be read: {job.schedule.reason}",) if isinstance(job.schedule, Unreadable) else ()
