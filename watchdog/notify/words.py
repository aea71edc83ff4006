"""What a message says, for a phone: what is wrong, since when, why, what comes next, what to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from watchdog.core.durations import say_duration
from watchdog.core.incident import Incident, Member
from watchdog.core.instants import say
from watchdog.core.kinds import Concern, Severity
from watchdog.core.model import Finding
from watchdog.core.redaction import fit_to_leave
from watchdog.notify.plan import Dispatch, Event
from watchdog.systems.remedy import remedy_of, system_named

LISTED = 10
"""So many jobs are named; of the others only the number is."""

TITLE_LENGTH = 120
TEXT_LENGTH = 700
NAME_LENGTH = 80


@dataclass(frozen=True, slots=True)
class Message:
    """A message before it has a form. All of its texts are data, to be escaped by whoever gives it one."""

    title: str
    lead: str
    facts: tuple[tuple[str, str], ...]
    jobs: tuple[str, ...]
    command: str
    foot: str


_OVER = "It is over. It was: "


def message(dispatch: Dispatch, now: datetime) -> Message:
    """The message for one target."""
    incident, members = dispatch.incident, dispatch.audience.members
    own = [member for member in members if not member.under] or list(members)
    head = dispatch.headline
    over = _OVER if dispatch.event is Event.RESOLVED else ""
    return Message(
        title=fit_to_leave(_title(dispatch, head, own, now), TITLE_LENGTH),
        lead=fit_to_leave(over + _lead(incident, head, own), TEXT_LENGTH),
        facts=tuple((label, fit_to_leave(text, TEXT_LENGTH)) for label, text in _facts(dispatch, head, now)),
        jobs=_jobs(members if len(members) > 1 else ()),
        command=f"scheduler-watchdog ack {incident.id}" if incident.is_open else "",
        foot=f"incident {incident.id} of {incident.source}",
    )


def plain_message(title: str, lead: str, facts: Sequence[tuple[str, str]], foot: str) -> Message:
    """A message that is about no incident."""
    return Message(
        title=fit_to_leave(title, TITLE_LENGTH),
        lead=fit_to_leave(lead, TEXT_LENGTH),
        facts=tuple((fit_to_leave(label, TITLE_LENGTH), fit_to_leave(text, TEXT_LENGTH)) for label, text in facts),
        jobs=(),
        command="",
        foot=fit_to_leave(foot, TITLE_LENGTH),
    )


def _title(dispatch: Dispatch, head: Finding, own: Sequence[Member], now: datetime) -> str:
    incident = dispatch.incident
    what = _what(head, own)
    match dispatch.event:
        case Event.RESOLVED:
            return f"Over: {what} ({_length(incident, now)})"
        case Event.REMINDER:
            return f"Still {incident.severity.value.upper()}: {what} ({_length(incident, now)})"
        case Event.WORSE:
            return f"Now {incident.severity.value.upper()}: {what}"
        case Event.JOINED:
            return f"More of it, {incident.severity.value.upper()}: {what}"
        case Event.BACK:
            return f"Back again, {incident.severity.value.upper()}: {what}"
        case Event.ESCALATED:
            return f"Not acknowledged, {incident.severity.value.upper()}: {what}"
        case _:
            return f"{incident.severity.value.upper()}: {what}"


def _length(incident: Incident, now: datetime) -> str:
    end = incident.clear_since or now
    return f"for {say_duration(end - min(incident.since, end))}"


def _what(head: Finding, own: Sequence[Member]) -> str:
    names = list(dict.fromkeys(member.finding.job_id for member in own))
    if head.job is None and head.job_id is None:
        return (
            f"{'the scheduler ' if head.kind.row.concern is Concern.SCHEDULER else ''}{head.source} {head.kind.row.one}"
        )
    if all(member.under for member in own):
        late = f"{_named(own[0].finding.job)} waits" if len(names) == 1 else f"{len(names)} jobs wait"
        return f"{late}: {_named(head.job)} {head.kind.row.one}"
    if head.caused_by is not None and len(names) > 1:
        return f"{len(names)} jobs wait for {_named(head.caused_by.job)}"
    if len(names) > 1:
        return f"{len(names)} jobs {head.kind.row.many}: {_named(head.job)} and {len(names) - 1} more"
    first = next((member.finding for member in own if member.finding.kind is head.kind), own[0].finding)
    return f"{_named(first.job)} {head.kind.row.one}"


def _named(job: str | None) -> str:
    return fit_to_leave(job, NAME_LENGTH) if job else "a deleted job"


def _lead(incident: Incident, head: Finding, own: Sequence[Member]) -> str:
    """The sentence of the one that has been so the longest, of those that are like the headline."""
    alike = [member.finding for member in own if member.finding.kind is head.kind] or [head]
    return min(alike, key=lambda finding: finding.since or incident.opened_at).summary


def _facts(dispatch: Dispatch, head: Finding, now: datetime) -> list[tuple[str, str]]:
    incident = dispatch.incident
    if dispatch.event is Event.RESOLVED:
        over = incident.clear_since or now
        return [("Since", say(incident.since)), ("Over since", say(over))]
    facts = [("Since", say(incident.since))]
    if incident.is_flapping:
        times = incident.returns + 1
        facts.append(
            ("Comes and goes", f"{times} times so far; you hear of it again when it has stayed away for a day")
        )
    ahead = (("Error", _error(head)), ("If nobody acts", head.kind.ahead(head.evidence, system_named(dispatch.system))))
    facts += [(label, text) for label, text in ahead if text]
    waiting = len(incident.symptoms)
    if waiting:
        facts.append(("Because of it", f"{waiting} {'job is' if waiting == 1 else 'jobs are'} late"))
    facts.append(("To do", remedy_of(head, dispatch.system).short))
    return facts


def _error(head: Finding) -> str:
    error, class_ = head.evidence.get("last_error"), head.evidence.get("error_class")
    return f"{error}{f' ({class_})' if class_ and class_ != 'unknown' else ''}" if error else ""


def _jobs(members: Sequence[Member]) -> tuple[str, ...]:
    kinds: dict[tuple[str | None, str | None], list[str]] = {}
    for member in members:
        kinds.setdefault((member.finding.job_id, member.finding.job), []).append(member.finding.kind.value)
    lines = [f"{_named(job)}: {', '.join(found)}" for (_, job), found in list(kinds.items())[:LISTED]]
    more = [f"and {len(kinds) - LISTED} more"] if len(kinds) > LISTED else []
    return (*lines, *more) if len(kinds) > 1 else ()


def severity_type(dispatch: Dispatch) -> str:
    """What apprise colours a message by."""
    if dispatch.event is Event.RESOLVED:
        return "success"
    return "failure" if dispatch.incident.severity is Severity.CRITICAL else "warning"
