"""`unsaved`: the watchdog's own state file cannot be written, or was not as the watchdog had left it.

It is found in no scheduler's store, but by the running service, which is its source.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from watchdog.core.kinds import Kind, Severity
from watchdog.core.model import Finding, Snapshot
from watchdog.core.moment import Moment
from watchdog.detectors.rules import RulesForAll

SOURCE = "watchdog"
"""The name of what it is about."""


def detect(snapshot: Snapshot, now: Moment, settings: RulesForAll) -> Iterator[Finding]:
    """Nothing: a look at a scheduler tells nothing of it."""
    return iter(())


def cannot_be_written(path: Path | None, reason: str, since: datetime) -> Finding:
    """While it lasts. Without a path the reason names the file."""
    words = (
        f"the watchdog's state file {f'{path} cannot be written: ' if path else ''}{reason}; people are told from "
        "memory, which a restart would lose, and nothing is recovered meanwhile"
    )
    evidence = {"path": str(path or ""), "reason": reason}
    return Finding(SOURCE, Kind.UNSAVED, Severity.CRITICAL, None, None, since, words, evidence)


def was_mended(path: str, what: str, since: datetime) -> Finding:
    """For a while after it had to be put back or begun anew."""
    words = f"the watchdog's state file {path} {what}"
    return Finding(SOURCE, Kind.UNSAVED, Severity.WARNING, None, None, since, words, {"path": path, "reason": what})
