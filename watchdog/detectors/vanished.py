"""`vanished`: jobs that were there are gone and nothing on record says why; or an expected job is not there, or not on.

What was there is remembered by `state.inventory`; of a single look only what is expected can be told.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from watchdog.cadence.schedule import words
from watchdog.core.fields import Duration
from watchdog.core.instants import say
from watchdog.core.kinds import Kind, Severity
from watchdog.core.model import Expected, Finding, Gone, Snapshot
from watchdog.core.moment import Moment
from watchdog.detectors.about import about
from watchdog.detectors.rules import Rule, RulesForAll

AN_EDIT = timedelta(minutes=1)
"""How long a job may be away while it is made anew, or switched off while it is changed."""

AT_ONCE = timedelta(minutes=10)
"""Jobs that go within this time go together."""

MANY_STAND_FOR = timedelta(days=30)
"""How long it is told that half of all jobs, or more, are gone; an expected one is missed until it is there."""

_ENDED = ("completed", "failed")
"""States of an expected job that are an end of their own, or have a finding of their own."""


class Vanished(Rule):
    """`stands_for`: how long it is told of a job that nobody expects and that does not come back."""

    kind = Kind.VANISHED

    stands_for: Duration = timedelta(days=7)


def fits(name: str, pattern: str) -> bool:
    """Whether a job of this name is meant (upper and lower case are the same)."""
    return fnmatchcase(name.casefold(), pattern.casefold())


def detect(snapshot: Snapshot, now: Moment, settings: RulesForAll) -> Iterator[Finding]:
    """One finding for each job that is gone, and for each expected one that is not there or not on."""
    patterns = [each.pattern for each in snapshot.expected]
    for gone in snapshot.gone:
        if not gone.is_swept and now.reached(gone.since + AN_EDIT):
            stands_for = settings.named(gone.name)[Vanished].stands_for
            yield from _gone(gone, _with(gone, snapshot.gone), _pattern(gone.name, patterns), snapshot, now, stands_for)
    for expected in snapshot.expected:
        yield from _absent(expected, snapshot, now)


def _with(gone: Gone, others: Iterable[Gone]) -> int:
    """How many went together, itself included."""
    return sum(abs(other.since - gone.since) <= AT_ONCE for other in others)


def _pattern(name: str, patterns: Iterable[str]) -> str | None:
    return next((pattern for pattern in patterns if fits(name, pattern)), None)


def _gone(
    gone: Gone, together: int, pattern: str | None, snapshot: Snapshot, now: Moment, stands_for: timedelta
) -> Iterator[Finding]:
    is_mass = together > 1 and 2 * together >= gone.among
    may_be_hidden = snapshot.traits.may_hide_jobs
    is_grave = (is_mass and not may_be_hidden) or pattern is not None
    if pattern is None and now.reached(gone.since + (MANY_STAND_FOR if is_mass else stands_for)):
        return
    how = _how(gone, together, is_mass=is_mass, may_be_hidden=may_be_hidden)
    why = _why(gone, may_be_hidden=may_be_hidden)
    yield Finding(
        snapshot.source,
        Kind.VANISHED,
        Severity.CRITICAL if is_grave else Severity.WARNING,
        gone.job_id,
        gone.name,
        gone.since,
        f"{gone.name} is gone since {say(gone.since)}{how}: "
        f"{why or 'no delete, no sweep and no end of a one-shot explains it'} ({_was(gone, pattern)})",
        {
            "schedule": gone.schedule,
            "status": gone.status,
            "seen_at": gone.seen_at,
            "gone_together": together,
            "of": gone.among,
            **({"due_at": gone.unserved_at} if gone.unserved_at else {}),
            **({"expect": pattern} if pattern else {}),
        },
    )


def _why(gone: Gone, *, may_be_hidden: bool) -> str:
    if gone.unserved_at is not None:
        return f"it was due at {say(gone.unserved_at)}, stood there until it went, and is not known to have run"
    if gone.status == "failed":
        return "it had failed, and its row went before the time of its sweep"
    return "it was deleted, or row security does not show it any more" if may_be_hidden else ""


def _how(gone: Gone, together: int, *, is_mass: bool, may_be_hidden: bool) -> str:
    if not is_mass:
        return ""
    causes = "a changed policy, an emptied table" if may_be_hidden else "a lost volume, an emptied table"
    return f", with {together} of {gone.among} jobs at once ({causes}, a restored backup)"


def _was(gone: Gone, pattern: str | None) -> str:
    expected = f"expected as {pattern!r}; " if pattern else ""
    return f"{expected}schedule: {gone.schedule}; last seen {say(gone.seen_at)}"


def _absent(expected: Expected, snapshot: Snapshot, now: Moment) -> Iterator[Finding]:
    fitting = [job for job in snapshot.jobs if fits(job.name, expected.pattern)]
    is_told = any(fits(gone.name, expected.pattern) and not gone.is_swept for gone in snapshot.gone)
    is_long = expected.since is None or now.reached(expected.since + AN_EDIT)
    if not fitting and not is_told and is_long:
        yield _nobody(expected, snapshot)
    # of several that bear one name it is enough that one is on
    on = {job.name.casefold() for job in fitting if job.is_planned or job.status in _ENDED}
    for job in {job.name.casefold(): job for job in fitting if job.name.casefold() not in on}.values():
        if not _is_being_changed(job.updated_at, now):
            yield about(
                snapshot,
                job,
                Kind.VANISHED,
                Severity.CRITICAL,
                job.updated_at,
                f"{job.name} is expected ({expected.pattern!r}) and is {job.state} (schedule: {words(job.schedule)})",
                expect=expected.pattern,
                status=job.status,
                state=job.state,
                schedule=words(job.schedule),
            )


def _is_being_changed(updated_at: datetime | None, now: Moment) -> bool:
    return updated_at is not None and not now.reached(updated_at + AN_EDIT)


def _nobody(expected: Expected, snapshot: Snapshot) -> Finding:
    """What has never been seen has no id: its pattern stands for both."""
    return Finding(
        snapshot.source,
        Kind.VANISHED,
        Severity.CRITICAL,
        expected.pattern,
        expected.pattern,
        expected.since,
        f"{expected.pattern!r} is expected, and no job of this name is there",
        {"expect": expected.pattern},
    )
