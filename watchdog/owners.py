"""Whose job it is: the first entry of the configuration that matches."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from watchdog.config import Owner, OwnerMatch
from watchdog.model import Job


def owner_of(owners: Sequence[Owner], source: str, job: Job | None) -> Owner | None:
    """The first owner that matches the job; with no job, the first that does not ask about one."""
    return next((owner for owner in owners if fits(owner.match, source, job)), None)


def owner_name(owner: Owner | None) -> str:
    """What the owner is called in metrics: the name given, or its channels. Addresses are left out."""
    if owner is None:
        return ""
    return owner.name or ",".join(target for target in owner.notify if "://" not in target)


def fits(match: OwnerMatch, source: str, job: Job | None) -> bool:
    """Whether all that is asked for is so."""
    asked = (
        (match.source, source),
        (match.job, job.name if job else None),
        (match.created_by, job.created_by if job else None),
        (match.delivery_target, job.delivery_target if job else None),
    )
    return all(pattern is None or _is_like(value, pattern) for pattern, value in asked)


def _is_like(value: str | None, pattern: str) -> bool:
    return value is not None and fnmatchcase(value.casefold(), pattern.casefold())
