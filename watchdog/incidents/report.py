"""The state in words: the lines of `check`, and of the service's first page."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from watchdog.cadence.plain_words import since
from watchdog.core.incident import Incident, unproved_of, until_proved
from watchdog.core.kinds import Severity
from watchdog.core.model import Finding
from watchdog.detectors.published import Published
from watchdog.systems.remedy import remedy_of

MANY = 5
"""From so many alike on they are told as one."""

NAMED = 3
"""How many of them are named."""

NEVER = datetime.max.replace(tzinfo=UTC)

EXIT_CODES = {"OK": 0, "WARNING": 1, "CRITICAL": 2, "UNKNOWN": 3}


def verdict(findings: Sequence[Finding]) -> str:
    """One word, as monitoring plugins say it."""
    if any(finding.severity is Severity.CRITICAL for finding in findings):
        return "CRITICAL"
    return "WARNING" if findings else "OK"


def overall(published: Published) -> str:
    """The same of all that is found, and of what was critical and is so until a run has proved that it was helped."""
    return verdict((*published.findings, *published.unproved))


def first_line(published: Published) -> str:
    """`CRITICAL: 1 wedged, 2 overdue | jobs=4 critical=1 warning=2`."""
    findings, unproved = published.findings, published.unproved
    counts = Counter(finding.kind.value for finding in findings)
    jobs = sum(len(state.snapshot.jobs) for state in published.sources)
    grave = sum(finding.severity is Severity.CRITICAL for finding in findings)
    parts = [", ".join(f"{count} {kind}" for kind, count in counts.items())] if findings else []
    parts += [until_proved(unproved, findings)] if unproved else []
    said = "; ".join(parts) or _all_well(jobs)
    return (
        f"{overall(published)}: {said} | jobs={jobs} critical={grave + len(unproved)} warning={len(findings) - grave}"
    )


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


def line(finding: Finding, now: datetime, *, is_symptom: bool = False, is_one_of_many: bool = False) -> str:
    """One finding on one line. `is_one_of_many`: its source is watched beside others, so it is named."""
    when, where = since(finding.since, now), f" in {finding.source}" if is_one_of_many else ""
    return (
        f"{'  └ ' if is_symptom else ''}{finding.severity.value.upper()} {finding.kind.value}{where}: {finding.summary}"
        f"{f' ({when})' if when else ''}"
    )


@dataclass(frozen=True, slots=True)
class Alike:
    """Findings that are told in one line: one, or all of a storm. `is_symptom`: they are filed under another."""

    findings: tuple[Finding, ...]
    is_symptom: bool

    @property
    def first(self) -> Finding:
        """The one that has lasted longest."""
        return min(self.findings, key=lambda one: (one.since is None, one.since or NEVER))

    @property
    def words(self) -> str:
        """What is so: of one its sentence; of many how many, a few names, and the sentence of one."""
        if len(self.findings) == 1:
            return self.first.summary
        named = [one.job for one in self.findings if one.job][:NAMED]
        more = len(self.findings) - len(named)
        names = f": {', '.join(named)}{f' and {more:,} more' if more else ''}" if named else ""
        subject = "jobs" if self.first.job_id is not None else "findings"
        return f"{len(self.findings):,} {subject} {self.first.kind.row.many}{names}. One of them: {self.first.summary}"


def gathered(findings: Sequence[Finding]) -> list[Alike]:
    """The findings in their order, those that are alike as one where they are many."""
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for finding, is_symptom in ordered(findings):
        cause = finding.caused_by.kind if finding.caused_by else None
        groups.setdefault((finding.source, finding.kind, finding.severity, is_symptom, cause), []).append(finding)
    return [
        Alike(tuple(part), key[3] is True)
        for key, group in groups.items()
        for part in ([group] if len(group) >= MANY else [[one] for one in group])
    ]


def to_do(alike: Alike, published: Published) -> str:
    """The next step; empty for symptoms, which end with their cause."""
    if alike.is_symptom:
        return ""
    source = next((state for state in published.sources if state.snapshot.source == alike.first.source), None)
    remedy = remedy_of(alike.first, source.snapshot.kind if source else "", source.restart if source else "")
    one_first = "  # one first, then the others" if len(alike.findings) > 1 and remedy.command else ""
    return f"{remedy.short}{one_first}"


def _line(alike: Alike, published: Published, now: datetime) -> str:
    said = replace(alike.first, summary=alike.words)
    told = line(said, now, is_symptom=alike.is_symptom, is_one_of_many=len(published.sources) > 1)
    next_step = to_do(alike, published) if len(alike.findings) > 1 else ""
    return f"{told}; to do: {next_step}" if next_step else told


def lines(published: Published, now: datetime) -> list[str]:
    """All of it: the first line, then one for each finding, or for all that are alike where they are many."""
    return [first_line(published), *(_line(alike, published, now) for alike in gathered(published.findings))]


def page(published: Published, incidents: Iterable[Incident], now: datetime) -> str:
    """The same as the service's first page, with what its incidents still wait for."""
    return "\n".join(lines(replace(published, unproved=unproved_of(incidents)), now))
