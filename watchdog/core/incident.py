"""The nouns of what goes wrong over time: an incident, what belongs to it, and who was told of it."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from watchdog.core.instants import say
from watchdog.core.kinds import Kind, Severity
from watchdog.core.model import IN_FLIGHT, Cause, Finding

Key = tuple[str, str, str | None]
"""Source, kind and job id: what makes findings of different ticks the same."""

ToldKey = tuple[int, str]
"""Incident, and the target's key."""

QUEUE = "blocked"
"""The family of an incident about jobs that wait for runs, none of which is a fault."""


def awaited(at: datetime | None = None, run: str = "next run") -> str:
    """What a job that was brought back waits for. `at`: when it was; `run`: which of its runs."""
    return f"it was brought back{f' at {say(at)}' if at else ''}, and its {run} shows whether that has helped"


def until_proved(unproved: Collection[Finding], found: Iterable[Finding]) -> str:
    """Why all is graver than what is found: that these were given up, and have yet to show that they are well. Which of
    them were counted before by what is found now is said, so that nobody takes one job for two."""
    found_jobs = {(one.source, one.job_id) for one in found if one.job_id is not None}
    back = {(one.source, one.job_id) for one in unproved}
    who = _counted_before(len(back & found_jobs), len(found_jobs), len(back - found_jobs))
    run = "its next run ends" if len(back) == 1 else "their next runs end"
    return f"{who} {'was' if len(back) == 1 else 'were'} brought back, critical until {run} well"


def _counted_before(mine: int, found: int, others: int) -> str:
    """Some of the jobs that were named by a number, and jobs that were not."""
    counted = "" if not mine else f"{mine} of these jobs" if mine < found else "that job" if mine == 1 else "these jobs"
    more = f"{others} {'other ' if found else ''}{'job' if others == 1 else 'jobs'}" if others else ""
    return " and ".join(part for part in (counted, more) if part)


BROUGHT_BACK = f"I{awaited()[1:]}. If it has not: "
"""What comes before the advice for a job of which an incident awaits the proof."""

WATCHDOG_FIRST = "Nothing yet; if what the watchdog does has not helped: "
"""What comes before the advice where the watchdog acts by itself."""


@dataclass(frozen=True, slots=True)
class Spell:
    """A time in which a finding was true."""

    began_at: datetime
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class HeldUp:
    """What a finding was caused by, and since when that is over."""

    cause: Cause
    over_since: datetime

    @property
    def words(self) -> str:
        """As the end of the finding's sentence."""
        return f"it was held up by {_named(self.cause)}, over since {say(self.over_since)}"


def _named(cause: Cause) -> str:
    """A cause for people: a run that held things up, whatever is or was wrong with it; or the scheduler."""
    if cause.kind == IN_FLIGHT:
        return f"the run of {cause.job or 'a deleted job'}"
    if cause.kind == Kind.STALLED:
        return "its scheduler, which stood still"
    return f"{cause.job or 'a deleted job'} ({cause.kind.replace('_', ' ')})"


@dataclass(frozen=True, slots=True)
class Member:
    """One finding of an incident.

    `under`: filed under its cause, and not told itself; `ended_at`: None while it is true. `began_at`: the beginning of
    its present or last spell; `graver_at`: when it became as grave as it is in it, or another error took the place of
    the one before. `earlier`: its spells before this one, as far as they say that it comes and goes. `is_unproved`: its
    job was given up, recovery has revived it, and no run of it has ended well since: it may be given up once more.
    `held_up`: what it was caused by in this spell, where that is over before it; the sentence of its finding says so.
    """

    finding: Finding
    first_seen: datetime
    under: bool = False
    ended_at: datetime | None = None
    began_at: datetime | None = None
    graver_at: datetime | None = None
    earlier: tuple[Spell, ...] = ()
    is_unproved: bool = False
    held_up: HeldUp | None = None

    @property
    def began(self) -> datetime:
        """The beginning of its present or last spell; an older version wrote only when it was first seen."""
        return self.began_at or self.first_seen

    @property
    def active(self) -> bool:
        """Whether it is true now."""
        return self.ended_at is None

    @property
    def since(self) -> datetime:
        """Since when it has been so, as its store tells; at the latest since it was seen, whatever a clock that stood
        ahead has written."""
        return min(self.finding.since or self.began, self.began)

    @property
    def spells(self) -> tuple[tuple[datetime, datetime | None], ...]:
        """Each time that it was so, from when until when; None of one that lasts, or whose end is not proved yet."""
        before = [(spell.began_at, spell.ended_at) for spell in self.earlier]
        began = self.began if before else self.first_seen
        return (*before, (began, None if self.is_unproved else self.ended_at))


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that is or was wrong.

    `clear_since`: since when none of it has been true (it may come back); `resolved_at`: when it was over.
    `returns`: how often it came back after it had been resolved. `merged_into`: where what it was about is found now,
    such as under the stall that turned out to be its cause.
    """

    id: int
    source: str
    family: str
    scope: str
    opened_at: datetime
    changed_at: datetime
    members: Mapping[Key, Member] = field(default_factory=dict)
    severity: Severity = Severity.WARNING
    clear_since: datetime | None = None
    resolved_at: datetime | None = None
    returns: int = 0
    joined_at: datetime | None = None
    merged_into: int | None = None

    @property
    def is_open(self) -> bool:
        """Not resolved yet."""
        return self.resolved_at is None

    @property
    def is_active(self) -> bool:
        """Something of it is true now."""
        return self.is_open and self.clear_since is None

    @property
    def is_queue(self) -> bool:
        """It is about jobs that wait for a run that is no fault itself."""
        return self.family == QUEUE

    @property
    def is_flapping(self) -> bool:
        """It has come back after it was over."""
        return self.returns > 0

    @property
    def own(self) -> list[Member]:
        """What it is about, without the symptoms; those that are true now, or all if none is."""
        mine = [member for member in self.members.values() if not member.under] or list(self.members.values())
        return [member for member in mine if member.active] or mine

    @property
    def symptoms(self) -> list[Member]:
        """What is filed under it now."""
        return [member for member in self.members.values() if member.under and member.active]

    @property
    def headline(self) -> Finding:
        """The finding that says best what it is; of those that say the same, the one that has been so the longest."""
        return head_of(self.own)

    @property
    def headline_since(self) -> datetime:
        """Since when it has been what the headline says; something else of it may have been so before."""
        return self.members[self.headline.key].since

    @property
    def ended_at(self) -> datetime | None:
        """Since when one that is over has been clear; it was over only later. None while it is open."""
        return None if self.resolved_at is None else self.clear_since or self.resolved_at

    def has_more_since(self, at: datetime) -> bool:
        """Whether something as grave as it is has come, or become so, since then: who took it on did not know of it."""
        now = [member for member in self.own if member.active and member.finding.severity is self.severity]
        return any(max(member.began, member.graver_at or member.began) > at for member in now)

    @property
    def unproved(self) -> list[Finding]:
        """What is over by a revival that no run has proved yet; so long it is as grave as it was."""
        return [member.finding for member in self.members.values() if member.is_unproved and not member.active]

    @property
    def keeps_grave(self) -> list[Finding]:
        """What was brought back, and for whose proof it stays as grave as it was, though nothing that is so now is."""
        if not self.is_active or any(member.finding.severity is self.severity for member in self.own):
            return []
        return self.unproved

    def awaits_proof_of(self, job_id: str | None) -> bool:
        """Whether that job was brought back, and no run of it has ended well since."""
        return job_id is not None and any(finding.job_id == job_id for finding in self.unproved)

    @property
    def since(self) -> datetime:
        """Since when it has been so: the earliest instant that any of it became true."""
        known = [member.finding.since or member.first_seen for member in self.members.values() if not member.under]
        return min(known, default=self.opened_at)


@dataclass(frozen=True, slots=True)
class Handover:
    """Somebody took an incident on, or gave it back: then it is nobody's."""

    at: datetime
    by: str
    is_taken: bool


@dataclass(frozen=True, slots=True)
class Ledger:
    """All incidents that still matter, and the next number."""

    incidents: Mapping[int, Incident] = field(default_factory=dict)
    next_id: int = 1

    @property
    def open(self) -> list[Incident]:
        """The unresolved ones, oldest first."""
        return [incident for incident in self.incidents.values() if incident.is_open]


def unproved_of(incidents: Iterable[Incident]) -> tuple[Finding, ...]:
    """What of all of them was brought back and keeps its incident critical, each job once."""
    kept = (finding for incident in incidents for finding in incident.keeps_grave)
    return tuple({(finding.source, finding.job_id): finding for finding in kept}.values())


def head_of(members: Iterable[Member]) -> Finding:
    """The finding that says best what it is; of those that say the same, the one that has been so the longest."""
    found = list(members)
    kind = most_specific(member.finding for member in found).kind
    alike = [member for member in found if member.finding.kind is kind]
    return min(alike, key=lambda member: member.finding.since or member.began).finding


def most_specific(findings: Iterable[Finding]) -> Finding:
    """The finding that says most."""
    return min(findings, key=lambda finding: finding.kind.row.rank)


WAITING = "waiting"
"""Stands for the kind where all that a target is told is that jobs wait for something, whichever they are."""


@dataclass(frozen=True, slots=True)
class ToldItem:
    """One finding that a target has been told of: as how grave, when first, and of which of its spells.

    `was_there`: its job's row could be seen then; `graver_at`: since when it had been as it was then (`Member`).
    """

    source: str
    kind: str
    job_id: str | None
    severity: Severity
    at: datetime
    began_at: datetime
    was_there: bool = False
    graver_at: datetime | None = None

    @property
    def key(self) -> Key:
        """The finding's."""
        return (self.source, self.kind, self.job_id)


@dataclass(frozen=True, slots=True)
class Told:
    """What one target has been told of one incident.

    `items`: of which findings, since it was last told that all is over. `burst`: how many times in a row it was told
    of more, each of which makes the next wait longer.
    """

    first_at: datetime
    last_at: datetime
    severity: Severity
    returns: int = 0
    count: int = 1
    is_over: bool = False
    items: tuple[ToldItem, ...] = ()
    burst: int = 0
