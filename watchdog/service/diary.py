"""What the log says of each turn: what has become true, and what no longer is."""

import logging
from collections.abc import Callable, Iterator, Sequence

from watchdog.core.kinds import Kind, Severity
from watchdog.core.logs import log
from watchdog.core.model import Finding
from watchdog.detectors.published import Published
from watchdog.systems.shared.looking import STILL_LOOKING


def _level(action: str, finding: Finding) -> int:
    if finding.caused_by is not None:
        return logging.DEBUG  # a thousand symptoms of one stall are one event
    if action == "cleared":
        return logging.INFO
    return logging.ERROR if finding.severity is Severity.CRITICAL else logging.WARNING


def log_finding(action: str, finding: Finding) -> None:
    """Log that a condition was `found`, or has `cleared`."""
    level = _level(action, finding)
    words = finding.summary if action == "found" else f"clear: {finding.kind.value} of {finding.job or finding.source}"
    facts = {"source": finding.source, "kind": finding.kind.value, "severity": finding.severity.value}
    log.log(level, words, extra={"action": action, **facts, "job_id": finding.job_id, "job": finding.job})


MOST_LOGGED = 20
"""Findings of one kind of one source that a turn logs one by one."""


def told_one_by_one(findings: Sequence[Finding]) -> Iterator[tuple[Finding, int]]:
    """Of each kind of a source the first few, and with the last of these how many more there are: a storm of thousands
    must not fill a disk."""
    alike: dict[tuple[str, Kind, int], list[Finding]] = {}
    for finding in findings:
        alike.setdefault((finding.source, finding.kind, _level("found", finding)), []).append(finding)
    for some in alike.values():
        shown = some[:MOST_LOGGED]
        yield from ((finding, 0) for finding in shown[:-1])
        yield shown[-1], len(some) - len(shown)


def log_rest(action: str, finding: Finding, count: int) -> None:
    """Log how many more like this one were `found`, or have `cleared`."""
    facts = {"source": finding.source, "kind": finding.kind.value}
    words = f"{count:,} more {finding.kind.value} of {finding.source}"
    log.log(
        _level(action, finding), words if action == "found" else f"clear: {words}", extra={"action": action, **facts}
    )


class Diary:
    """Remembers what was said last. `tell` says one thing: that it was `found`, or has `cleared`."""

    def __init__(self, tell: Callable[[str, Finding], None] = log_finding) -> None:
        self._tell = tell
        self._findings: dict[tuple[str, str, str | None], Finding] = {}
        self._problems: dict[str, str | None] = {}

    def write(self, published: Published) -> None:
        """Say what is new. A source that is yet to be looked at by its new section is as it was."""
        awaited = {state.snapshot.source for state in published.sources if state.snapshot.problem == STILL_LOOKING}
        self._write_sources(published, awaited)
        before = self._findings
        found = {finding.key: finding for finding in published.findings}
        found |= {key: finding for key, finding in before.items() if finding.source in awaited}
        self._write_each("found", [found[key] for key in found if key not in before])
        self._write_each("cleared", [before[key] for key in before if key not in found])
        self._findings = found

    def _write_each(self, action: str, findings: Sequence[Finding]) -> None:
        for finding, more in told_one_by_one(findings):
            self._tell(action, finding)
            if more:
                log_rest(action, finding, more)

    def _write_sources(self, published: Published, awaited: set[str]) -> None:
        for state in published.sources:
            name, problem = state.snapshot.source, state.snapshot.problem
            if name in awaited:
                continue
            if problem is None and self._problems.get(name):
                log.info(f"{name} can be read again", extra={"action": "reachable", "source": name})
            self._problems[name] = problem
