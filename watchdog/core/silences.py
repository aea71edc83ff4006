"""Silences: for a time nobody is told of what matches. It is found and shown all the same."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from functools import lru_cache

from watchdog.core.kinds import Kind, Severity
from watchdog.core.model import IN_FLIGHT, Cause, Finding
from watchdog.core.nearest import meant

_FIELDS = ("job", "kind", "source", "severity", "job_id", "incident")
_WORDS = {"kind": (*(kind.value for kind in Kind), IN_FLIGHT), "severity": tuple(one.value for one in Severity)}
"""What can be said of these; of the others anything."""
_NEXT_CONDITION = re.compile(rf",(?=\s*(?:{'|'.join(_FIELDS)})\s*=)")
"""A comma anywhere else belongs to a name."""

_PART = re.compile(r"([a-z_]+)\s*=\s*(.+)")


@dataclass(frozen=True, slots=True)
class Silence:
    """`match` is a job's name or pattern, or conditions like `kind=overdue,job=heartbeat*` or `incident=3`."""

    id: int
    match: str
    starts_at: datetime
    ends_at: datetime
    by: str = ""

    def fits(self, finding: Finding, incident: int | None = None) -> bool:
        """Whether all of its conditions hold for the finding of an incident.

        Where one is not understood, such as a newer version's, they do not. A job of just that name is always meant,
        whatever stands in the name.
        """
        if self.match.casefold() in _names(finding):
            return True
        try:
            conditions = read_match(self.match)
        except ValueError:
            return False
        return _is_all(_facts(finding, incident), conditions) or (
            # who silences a cause does not want to hear of what waits for it instead
            finding.caused_by is not None and _is_all(_cause_facts(finding, finding.caused_by, incident), conditions)
        )


def _names(finding: Finding) -> tuple[str, ...]:
    names = (finding.job, finding.caused_by.job if finding.caused_by else None)
    return tuple(name.casefold() for name in names if name)


Facts = Mapping[str, str | None]


def _facts(finding: Finding, incident: int | None) -> Facts:
    return {
        "job": finding.job or "",
        "kind": finding.kind.value,
        "source": finding.source,
        "severity": finding.severity.value,
        "job_id": finding.job_id or "",
        "incident": None if incident is None else str(incident),
    }


def _cause_facts(finding: Finding, cause: Cause, incident: int | None) -> Facts:
    """What is known of what it waits for: not how grave that is."""
    names = {"job": cause.job or "", "job_id": cause.job_id or "", "kind": cause.kind}
    number = None if incident is None else str(incident)
    return {**names, "source": finding.source, "severity": None, "incident": number}


def _is_all(facts: Facts, conditions: Iterable[tuple[str, str]]) -> bool:
    return all((fact := facts[name]) is not None and _is_like(fact, pattern) for name, pattern in conditions)


def _is_like(fact: str, pattern: str) -> bool:
    """Whether it is that text itself, whatever marks it has, or the pattern fits it."""
    return fact.casefold() == pattern.casefold() or fnmatchcase(fact.casefold(), pattern.casefold())


@lru_cache(256)
def read_match(text: str) -> tuple[tuple[str, str], ...]:
    """The conditions that a match says; raises ValueError with what is accepted."""
    parts = [part.strip(" ,") for part in _NEXT_CONDITION.split(text) if part.strip(" ,")]
    if not parts:
        raise ValueError("say what to silence: a job's name, or like kind=overdue,job=heartbeat*")
    return tuple(condition for part in parts for condition in _conditions(part))


def _conditions(part: str) -> Iterable[tuple[str, str]]:
    """One; of a kind or a severity, which have no comma in them, what follows one is another."""
    name, pattern = _condition(part)
    if name not in ("kind", "severity"):
        return ((name, pattern),)
    pattern, _, further = (text.strip() for text in pattern.partition(","))
    return ((name, pattern), *(_conditions(further) if further else ()))


def _condition(part: str) -> tuple[str, str]:
    found = _PART.fullmatch(part)
    if found is None:
        return "job", part
    name, pattern = found.groups()
    if name not in _FIELDS:
        raise ValueError(f"{name!r} cannot be matched; {', '.join(_FIELDS)} can. If it is a job's name: job={part}")
    known = _WORDS.get(name, ())
    if known and not any(_is_like(word, pattern) for word in known):
        hint = meant(pattern, known) or f"; known: {', '.join(known)}"
        raise ValueError(f"{pattern!r} is no {name}{hint}")
    return name, pattern


def unknown_field(match: str) -> str:
    """What may be meant as a condition of its own in a match and is none, as the end of a sentence; else empty: it may
    as well be a part of a name."""
    values = " ".join(f",{value}" for _, value in read_match(match))
    found = re.search(r",\s*([a-z_]+)\s*=", values)
    return f"; {found.group(1)!r} cannot be matched; {', '.join(_FIELDS)} can" if found else ""


def means_job(match: str, source: str, job: str, job_id: str) -> bool:
    """Whether a match says this job, whatever is wrong with it."""
    facts = {"source": source, "job": job, "job_id": job_id}
    return all(_is_like(facts[name], pattern) for name, pattern in read_match(match) if name in facts)


def means_incident(match: str, number: int) -> bool:
    """Whether a match says the incident of this number, whatever it is about."""
    return all(_is_like(str(number), pattern) for name, pattern in read_match(match) if name == "incident")


def silenced_until(
    findings: Iterable[Finding], silences: Sequence[Silence], at: datetime, incident: int | None = None
) -> datetime | None:
    """Until when nobody is told of any of the findings, as those of this incident; None if somebody is. A silence that
    began after `at`, the instant of the last look, is one."""
    ends = [_end(finding, silences, at, incident) for finding in findings]
    known_ends = [end for end in ends if end is not None]
    return min(known_ends) if known_ends and len(known_ends) == len(ends) else None


def _end(finding: Finding, silences: Iterable[Silence], at: datetime, incident: int | None) -> datetime | None:
    ends = (one.ends_at for one in silences if at < one.ends_at and one.fits(finding, incident))
    return max(ends, default=None)


def is_silenced(finding: Finding, silences: Iterable[Silence], at: datetime, incident: int | None = None) -> bool:
    """Whether nobody is to be told of the finding, as one of this incident, now."""
    return any(one.starts_at <= at < one.ends_at and one.fits(finding, incident) for one in silences)
