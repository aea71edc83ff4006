"""What comes and goes is told three times a day at most; an outage that stands is told, and so is its end.

A finding is told of at its first spell and when it first comes back. After that a spell has to stand: for ten minutes
if it is critical, for an hour if it is a warning, and for longer than those before it; what has stood for a good hour
is told in any case, and twice as long is asked of each spell of the day after that.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from watchdog.core.incident import Member, Spell
from watchdog.core.kinds import Severity

TOLD_AT_ONCE = 2
"""So many spells of a day are told of at once."""

LONGEST = timedelta(minutes=65)
"""What has stood for so long is told of, whatever it did before; what comes and goes by the hour has not."""

APART = timedelta(hours=2)
"""What was well for so long in between are two outages, and the second one is over as soon as the first one was."""

A_DAY = timedelta(days=1)
"""What ended so long before a spell says no more that it comes and goes."""

STANDS = {Severity.CRITICAL: timedelta(minutes=10), Severity.WARNING: timedelta(hours=1)}

FIRST_PAUSE = {Severity.CRITICAL: timedelta(minutes=5), Severity.WARNING: timedelta(minutes=10)}
"""How soon after a message of an incident the next says who has joined it; each time it takes twice as long."""

LONGEST_PAUSE = {Severity.CRITICAL: timedelta(hours=1), Severity.WARNING: timedelta(hours=24)}


def as_one(members: Iterable[Member], hold: timedelta) -> Member:
    """What is told as one thing, whichever of these it is: so while any of them is, and between two within the hold."""
    known = list(members)
    times = sorted((span for one in known for span in _times(one)), key=lambda span: span[0])
    joined = [times[0]]
    for began, ended in times[1:]:
        before, until = joined[-1]
        if until is None or began - until < hold:
            joined[-1] = before, None if until is None or ended is None else max(until, ended)
        else:
            joined.append((began, ended))
    *earlier, (began, ended) = joined
    return replace(known[0], began_at=began, ended_at=ended, earlier=tuple(_recent(earlier, began)))


def _times(member: Member) -> list[tuple[datetime, datetime | None]]:
    return [*((spell.began_at, spell.ended_at) for spell in member.earlier), (member.began, member.ended_at)]


def _recent(times: Iterable[tuple[datetime, datetime | None]], at: datetime) -> Iterable[Spell]:
    return (Spell(began, ended) for began, ended in times if ended is not None and at - ended <= A_DAY)


def to_be_told(member: Member) -> timedelta | None:
    """How long its present spell must stand before it is told of; None: it need not."""
    if len(member.earlier) < TOLD_AT_ONCE:
        return None
    lengths = [spell.ended_at - spell.began_at for spell in member.earlier]
    return _beyond(STANDS[member.finding.severity], lengths, LONGEST * (1 << len(lengths) - TOLD_AT_ONCE))


def to_be_over(member: Member, hold: timedelta) -> timedelta:
    """How long it must have been away to be told as over."""
    if not member.earlier or member.ended_at is None:
        return hold
    began = [spell.began_at for spell in member.earlier[1:]] + [member.began]
    gaps = [next_ - spell.ended_at for spell, next_ in zip(member.earlier, began, strict=True)]
    if gaps[-1] < APART and member.ended_at - member.began < STANDS[member.finding.severity]:
        return max(LONGEST, hold)  # it comes and goes, until it has stayed away for longer than such things do
    return _beyond(hold, [gap for gap in gaps if gap < APART], LONGEST)


def _beyond(least: timedelta, before: Iterable[timedelta], most: timedelta) -> timedelta:
    """Longer than any before by a quarter, so that what goes on as it did says nothing new."""
    return max(least, min(max(before, default=timedelta()) * 5 / 4, most))


def pause(burst: int, severity: Severity) -> timedelta:
    """How long after a message the next one may say that there is more of it."""
    return min(FIRST_PAUSE[severity] * (1 << min(burst, 16)), LONGEST_PAUSE[severity])


def forgets(severity: Severity) -> timedelta:
    """After so long without a message the next one does not have to wait."""
    return 2 * LONGEST_PAUSE[severity]
