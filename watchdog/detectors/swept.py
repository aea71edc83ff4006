"""`swept`: a failed row that was there is gone, and its time had come: the scheduler's sweep has deleted it."""

from collections.abc import Iterator
from datetime import timedelta

from watchdog.core.instants import say
from watchdog.core.kinds import Kind, Severity
from watchdog.core.model import Finding, Snapshot
from watchdog.core.moment import Moment
from watchdog.detectors.rules import RulesForAll

TOLD_FOR = timedelta(days=30)
"""How long it is told, unless the job is there again."""


def detect(snapshot: Snapshot, now: Moment, settings: RulesForAll) -> Iterator[Finding]:
    """One finding for each such row that is remembered."""
    for gone in snapshot.gone:
        if gone.is_swept and not now.reached(gone.since + TOLD_FOR):
            yield Finding(
                snapshot.source,
                Kind.SWEPT,
                Severity.CRITICAL,
                gone.job_id,
                gone.name,
                gone.since,
                f"{gone.name} had failed, and its row is gone since {say(gone.since)}: the scheduler's sweep took it, "
                f"which was due from {say(gone.sweep_at or gone.since)} on (schedule: {gone.schedule})",
                {"schedule": gone.schedule, "sweep_at": gone.sweep_at, "seen_at": gone.seen_at},
            )
