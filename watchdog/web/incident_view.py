"""An incident's own page: all of its jobs, what happened when, who was told, and what was done."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from watchdog.core.incident import Handover, Incident, Member
from watchdog.core.message import Entry, State
from watchdog.notify.targets import parse_key
from watchdog.web.deeds import Recoveries, recoveries
from watchdog.web.problems import Line, Problem, line, of_incident
from watchdog.web.published_state import Posting
from watchdog.web.shown import Known, When, incident_url, spoken, when
from watchdog.web.whole import is_about, why_nobody

PAGE = 100
"""Jobs on one page."""

_NAMED = 3
"""Jobs that are named of those to whom the same happened at once."""

BACK = "brought back"
"""Of what is not found now, and is over only once the next run of its job has ended well."""

_EVENTS = 60
"""Things that happened, of which the newest are shown."""


@dataclass(frozen=True, slots=True)
class Telling:
    """A message, and what became of it."""

    at: When
    channel: str
    title: str
    state: str
    error: str


@dataclass(frozen=True, slots=True)
class Happened:
    """What became of some of its jobs at one instant, of which `more` are not named, or what somebody, `who`, did."""

    at: When
    words: str
    names: tuple[str, ...] = ()
    more: int = 0
    who: str = ""


@dataclass(frozen=True, slots=True)
class IncidentPage:
    """All of it; `standing`: how many of its `total` findings are so, and how many are not; `before` and `after` lead
    to more jobs; `told_nobody`: why nobody is ever told of it, where that is so."""

    verdict: str
    now: When
    problem: Problem
    members: tuple[Line, ...]
    total: int
    standing: str
    first: int
    before: str
    after: str
    events: tuple[Happened, ...]
    messages: tuple[Telling, ...]
    told_nobody: str
    recoveries: Recoveries


def incident_page(
    incident: Incident,
    posting: Posting,
    known: Known,
    entries: Sequence[Entry],
    handovers: Sequence[Handover],
    page: int,
) -> IncidentPage:
    """The page of an incident that is or was. `entries`: its messages, oldest first; `handovers`: who took it on."""
    now = posting.at
    members = sorted(incident.members.values(), key=_order)
    page = max(1, min(page, -(-len(members) // PAGE)))
    url, first = incident_url(incident.id), (page - 1) * PAGE
    is_over = not incident.is_active
    happened = [*_events(incident, now), *(_handover(one, now) for one in handovers)]
    events = sorted(happened, key=lambda event: event.at.iso, reverse=True)
    return IncidentPage(
        "OK" if is_over else incident.severity.value.upper(),
        when(now, now),
        of_incident(incident, posting, known),
        tuple(line(member, now) for member in members[first : first + PAGE]),
        len(members),
        _standing(members),
        first + 1,
        f"{url}?page={page - 1}" if page > 1 else "",
        f"{url}?page={page + 1}" if first + PAGE < len(members) else "",
        tuple(events[:_EVENTS]),
        tuple(_telling(entry, now) for entry in reversed(entries)),
        "" if entries else why_nobody(incident, known.config, now),
        recoveries([one for one in known.notes.actions if is_about(one, incident)], known, now),
    )


def _standing(members: Sequence[Member]) -> str:
    """How many are so, were brought back and are not proved yet, or are no longer so; empty where all are alike."""
    words = Counter("so" if one.active else BACK if one.is_unproved else "no longer" for one in members)
    return ", ".join(f"{words[one]} {one}" for one in ("so", BACK, "no longer") if words[one]) if len(words) > 1 else ""


def _order(member: Member) -> tuple[object, ...]:
    return (not member.active, member.under, member.finding.kind.row.rank, (member.finding.job or "").casefold())


def _events(incident: Incident, now: datetime) -> Iterator[Happened]:
    """What became of it, each thing when it was so; many at one instant are one line."""
    if incident.resolved_at:
        yield Happened(when(incident.resolved_at, now), "over")
    together: dict[tuple[datetime, str], list[Member]] = {}
    for member in incident.members.values():
        kind = spoken(member.finding.kind)
        for number, (began, ended) in enumerate(member.spells):
            together.setdefault((began, f"{kind} again" if number else kind), []).append(member)
            if ended:
                together.setdefault((ended, f"no longer {kind}"), []).append(member)
    for (at, words), members in together.items():
        names = tuple(member.finding.job or member.finding.source for member in members[:_NAMED])
        yield Happened(when(at, now), words, names, max(0, len(members) - _NAMED))


def _handover(one: Handover, now: datetime) -> Happened:
    return Happened(when(one.at, now), "took it on" if one.is_taken else "gave it back", who=one.by)


def _telling(entry: Entry, now: datetime) -> Telling:
    is_lost = entry.state is State.GIVEN_UP
    at = entry.settled_at or entry.created_at
    state = "given up" if is_lost else entry.state.value
    return Telling(
        when(at, now), parse_key(entry.target).name, str(entry.message.get("title", "")), state, entry.error or ""
    )
