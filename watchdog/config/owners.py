"""Whose job it is: the first entry of the configuration that matches."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from watchdog.config.file import Owner, OwnerMatch
from watchdog.core.model import Job


@dataclass(frozen=True, slots=True)
class Subject:
    """What is asked about: a job, or with no job the scheduler or the source itself."""

    source: str
    job: str | None = None
    created_by: str | None = None
    delivery_target: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


def subject_of(source: str, job: Job, labels: Mapping[str, str]) -> Subject:
    """The facts about a job that owners are chosen by."""
    return Subject(source, job.name, job.created_by, job.delivery_target, labels)


def owners_of(owners: Sequence[Owner], asked: Subject) -> Iterator[Owner]:
    """The owners that match, first the one that wins."""
    return (owner for owner in owners if fits(owner.match, asked))


def owner_name(owner: Owner | None) -> str:
    """What the owner is called in metrics: the name given, or its channels. Addresses are left out."""
    if owner is None:
        return ""
    return owner.name or ",".join(target for target in owner.notify if "://" not in target)


def fits(match: OwnerMatch, asked: Subject) -> bool:
    """Whether all that is asked for is so."""
    pairs = (
        (match.source, asked.source),
        (match.job, asked.job),
        (match.created_by, asked.created_by),
        (match.delivery_target, asked.delivery_target),
        *((pattern, asked.labels.get(name)) for name, pattern in match.labels.items()),
    )
    return all(pattern is None or _is_like(value, pattern) for pattern, value in pairs)


def may_fit(match: OwnerMatch, asked: Subject) -> bool:
    """The same as far as is known without a look at the job: who made it, and where its results go, may fit."""
    return fits(match.but(created_by=None, delivery_target=None), asked)


def _is_like(value: str | None, pattern: str) -> bool:
    """Whether it is that text itself, whatever marks it has, or the pattern fits it."""
    if value is None:
        return False
    return value.casefold() == pattern.casefold() or fnmatchcase(value.casefold(), pattern.casefold())
