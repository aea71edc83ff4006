"""`unreachable`: the scheduler's own state cannot be read, so nothing can be said about its jobs."""

from collections.abc import Iterator

from watchdog.core.kinds import Kind, Severity
from watchdog.core.model import Finding, Snapshot
from watchdog.core.moment import Moment
from watchdog.detectors.rules import RulesForAll


def detect(snapshot: Snapshot, now: Moment, settings: RulesForAll) -> Iterator[Finding]:
    """At most one finding, about the source, with the reason."""
    if snapshot.problem is not None:
        yield Finding(
            snapshot.source,
            Kind.UNREACHABLE,
            Severity.CRITICAL,
            None,
            None,
            snapshot.problem_since,
            f"{snapshot.source} cannot be read: {snapshot.problem}",
            {"reason": snapshot.problem},
        )
