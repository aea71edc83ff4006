"""`unreachable`: the scheduler's own state cannot be read, so nothing can be said about its jobs."""

from collections.abc import Iterator

from watchdog.config.settings import Detect
from watchdog.core.model import Finding, Kind, Severity, Snapshot
from watchdog.core.moment import Moment


def detect(snapshot: Snapshot, now: Moment, settings: Detect) -> Iterator[Finding]:
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
