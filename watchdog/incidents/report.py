"""The state in words: the lines of `check`, and of the service's first page."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime

from watchdog.cadence.plain_words import since
from watchdog.core.kinds import Severity
from watchdog.core.model import Finding
from watchdog.detectors.published import Published

EXIT_CODES = {"OK": 0, "WARNING": 1, "CRITICAL": 2, "UNKNOWN": 3}


def verdict(findings: Sequence[Finding]) -> str:
    """One word, as monitoring plugins say it."""
    if any(finding.severity is Severity.CRITICAL for finding in findings):
        return "CRITICAL"
    return "WARNING" if findings else "OK"


def first_line(published: Published) -> str:
    """`CRITICAL: 1 wedged, 2 overdue | jobs=4 critical=1 warning=2`."""
    findings = published.findings
    counts = Counter(finding.kind.value for finding in findings)
    jobs = sum(len(state.snapshot.jobs) for state in published.sources)
    grave = sum(finding.severity is Severity.CRITICAL for finding in findings)
    said = ", ".join(f"{count} {kind}" for kind, count in counts.items()) or _all_well(jobs)
    return f"{verdict(findings)}: {said} | jobs={jobs} critical={grave} warning={len(findings) - grave}"


def _all_well(jobs: int) -> str:
    return "1 job is well" if jobs == 1 else f"all {jobs} jobs are well" if jobs else "there are no jobs"


def ordered(findings: Sequence[Finding]) -> Iterator[tuple[Finding, bool]]:
    """The findings, each followed by the symptoms that are filed under it; the flag says that it is such a symptom."""
    under: dict[tuple[str, str, str | None], list[Finding]] = {}
    for finding in findings:
        if finding.caused_by is not None:
            under.setdefault((finding.source, finding.caused_by.kind, finding.caused_by.job_id), []).append(finding)
    for cause in (finding for finding in findings if finding.caused_by is None):
        yield cause, False
        yield from ((symptom, True) for symptom in under.pop(cause.key, ()))
    # the cause of these is no finding itself: a run that is merely long
    left = {id(finding) for symptoms in under.values() for finding in symptoms}
    yield from ((finding, False) for finding in findings if id(finding) in left)


def line(finding: Finding, now: datetime, *, is_symptom: bool = False) -> str:
    """One finding on one line."""
    when = since(finding.since, now)
    return (
        f"{'  └ ' if is_symptom else ''}{finding.severity.value.upper()} {finding.kind.value}: {finding.summary}"
        f"{f' ({when})' if when else ''}"
    )


def lines(published: Published, now: datetime) -> list[str]:
    """All of it: the first line, then one for each finding."""
    found = [line(finding, now, is_symptom=is_symptom) for finding, is_symptom in ordered(published.findings)]
    return [first_line(published), *found]
