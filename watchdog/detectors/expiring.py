"""`expiring`: a failed row will be deleted by the scheduler's sweep, and its definition with it."""

from collections.abc import Iterator
from datetime import timedelta

from watchdog.core.fields import Duration
from watchdog.core.instants import say
from watchdog.core.kinds import Kind, Severity
from watchdog.core.model import Finding, Snapshot
from watchdog.core.moment import Moment
from watchdog.detectors.about import about
from watchdog.detectors.rules import Rule, RulesForAll


class Expiring(Rule):
    """A failed row that the sweep will take.

    `within`: how long before the sweep it is told. `critical_within`: how long before it is critical.
    """

    kind = Kind.EXPIRING

    within: Duration = timedelta(days=7)
    critical_within: Duration = timedelta(days=1)


def detect(snapshot: Snapshot, now: Moment, settings: RulesForAll) -> Iterator[Finding]:
    """One finding for each failed row whose sweep date is near; critical in the last day, and when it is due."""
    for job in now.doubtful(snapshot.jobs):
        rule = settings.of(job)[Expiring]
        if job.status != "failed" or job.sweep_at is None or not now.reached(job.sweep_at - rule.within):
            continue
        is_close = now.reached(job.sweep_at - rule.critical_within)
        # asked for so that the words change at the instant itself
        is_due = now.reached(job.sweep_at)
        yield about(
            snapshot,
            job,
            Kind.EXPIRING,
            Severity.CRITICAL if is_close else Severity.WARNING,
            job.sweep_at - rule.within,
            f"{job.name} failed and its row is deleted at the "
            + (f"next restart: it has been due for the sweep since {say(job.sweep_at)}" if is_due else "")
            + ("" if is_due else f"first restart after {say(job.sweep_at)}"),
            sweep_at=job.sweep_at,
            updated_at=job.updated_at,
        )
