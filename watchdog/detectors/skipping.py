"""`skipping`: a job's newest runs were all recorded as skipped, for a reason that nobody wanted: no work was done."""

from collections.abc import Iterator

from watchdog.core.fields import Count
from watchdog.core.instants import say
from watchdog.core.kinds import Kind, Severity
from watchdog.core.model import Finding, Job, Skips, Snapshot
from watchdog.core.moment import Moment
from watchdog.detectors.about import about
from watchdog.detectors.rules import Rule, RulesForAll


class Skipping(Rule):
    """Runs that are skipped; a job that runs once, and was set aside, needs one only.

    `streak`: how many in a row.
    """

    kind = Kind.SKIPPING

    streak: Count = 3


def detect(snapshot: Snapshot, now: Moment, settings: RulesForAll) -> Iterator[Finding]:
    """One finding for each such job. Which skips are wanted its source knows, and counts them not."""
    for job in now.doubtful(snapshot.jobs):
        skips = job.skips
        if skips is None or not (skips.is_parked or job.is_planned):
            continue
        if skips.is_parked or skips.count >= settings.of(job)[Skipping].streak:
            yield about(
                snapshot,
                job,
                Kind.SKIPPING,
                Severity.WARNING,
                skips.newest_at if skips.is_parked else skips.first_at or skips.newest_at,
                f"{job.name} {_what(job, skips)}: {skips.reason or 'no reason is given'}",
                skipped=skips.count,
                first_skipped_at=skips.first_at,
                newest_skipped_at=skips.newest_at,
                reason=skips.reason,
                parked=skips.is_parked,
            )


def _what(job: Job, skips: Skips) -> str:
    if skips.is_parked:
        return f"has not run: it was skipped at {say(skips.newest_at)} and set aside"
    since = f" since {say(skips.first_at)}" if skips.first_at else ""
    return f"does no work: its last {skips.count} runs{since} were skipped"
