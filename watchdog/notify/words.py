"""What a message says, for a phone: what is wrong, since when, why, what comes next, what to do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from watchdog.core.durations import say_duration
from watchdog.core.instants import parse_instant, say
from watchdog.core.model import Finding, Kind, Severity
from watchdog.core.redaction import fit_to_leave
from watchdog.incidents.ledger import Incident, Member
from watchdog.notify.plan import Dispatch, Event
from watchdog.systems.base import System
from watchdog.systems.remedy import restart_words, revive_command, system_named

LISTED = 10
"""So many jobs are named; of the others only the number is."""

TITLE_LENGTH = 120
TEXT_LENGTH = 700
NAME_LENGTH = 80


@dataclass(frozen=True, slots=True)
class Letter:
    """A message before it has a form. All of its texts are data, to be escaped by whoever gives it one."""

    title: str
    lead: str
    facts: tuple[tuple[str, str], ...]
    jobs: tuple[str, ...]
    command: str
    foot: str


_SAYS: Mapping[Kind, str] = {
    Kind.OVERDUE: "is overdue",
    Kind.WEDGED: "is wedged",
    Kind.LONG_RUN: "runs far longer than usual",
    Kind.STALLED: "stands still",
    Kind.ZERO_TOKENS: "does no work (no tokens)",
    Kind.FAILING: "keeps failing",
    Kind.FAILED: "was given up",
    Kind.EXPIRING: "will be deleted",
    Kind.STRANDED: "will never fire",
    Kind.INVALID: "cannot be read",
    Kind.UNDELIVERED: "reaches nobody",
    Kind.UNRECORDED: "ran, and nobody wrote it down",
    Kind.INTERRUPTED: "was interrupted",
    Kind.DUPLICATE: "ran twice",
    Kind.UNREACHABLE: "cannot be read",
    Kind.SWEPT: "was deleted by the scheduler's sweep",
}

_MANY: Mapping[Kind, str] = {
    Kind.OVERDUE: "are overdue",
    Kind.WEDGED: "are wedged",
    Kind.LONG_RUN: "run far longer than usual",
    Kind.STALLED: "stand still",
    Kind.ZERO_TOKENS: "do no work (no tokens)",
    Kind.FAILING: "keep failing",
    Kind.FAILED: "were given up",
    Kind.EXPIRING: "will be deleted",
    Kind.STRANDED: "will never fire",
    Kind.INVALID: "cannot be read",
    Kind.UNDELIVERED: "reach nobody",
    Kind.UNRECORDED: "ran, and nobody wrote it down",
    Kind.INTERRUPTED: "were interrupted",
    Kind.DUPLICATE: "ran twice",
    Kind.UNREACHABLE: "cannot be read",
    Kind.SWEPT: "were deleted by the scheduler's sweep",
}

_LOOK = "scheduler-watchdog jobs"
_OVER = "It is over. It was: "
_DO: Mapping[Kind, str] = {
    Kind.UNRECORDED: "before a restart, pause the job if it must not run again",
    Kind.STRANDED: "give the job a new time, or delete it",
    Kind.INVALID: "mend the job's schedule where it is made, or delete the job",
    Kind.UNREACHABLE: "make what it is read from readable for the watchdog",
}


def letter(dispatch: Dispatch, now: datetime) -> Letter:
    """The message for one target."""
    incident, members = dispatch.incident, dispatch.audience.members
    own = [member for member in members if not member.under] or list(members)
    head = dispatch.headline
    over = _OVER if dispatch.event is Event.RESOLVED else ""
    return Letter(
        title=fit_to_leave(_title(dispatch, head, own, now), TITLE_LENGTH),
        lead=fit_to_leave(over + _lead(incident, head, own), TEXT_LENGTH),
        facts=tuple((label, fit_to_leave(text, TEXT_LENGTH)) for label, text in _facts(dispatch, head, now)),
        jobs=_jobs(members if len(members) > 1 else ()),
        command=f"scheduler-watchdog ack {incident.id}" if incident.is_open else "",
        foot=f"incident {incident.id} of {incident.source}",
    )


def plain_letter(title: str, lead: str, facts: Sequence[tuple[str, str]], foot: str) -> Letter:
    """A message that is about no incident."""
    return Letter(
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
        return f"{'the scheduler ' if head.kind is Kind.STALLED else ''}{head.source} {_SAYS[head.kind]}"
    if all(member.under for member in own):
        late = f"{_named(own[0].finding.job)} waits" if len(names) == 1 else f"{len(names)} jobs wait"
        return f"{late}: {_named(head.job)} {_SAYS[head.kind]}"
    if head.caused_by is not None and len(names) > 1:
        return f"{len(names)} jobs wait for {_named(head.caused_by.job)}"
    if len(names) > 1:
        return f"{len(names)} jobs {_MANY[head.kind]}: {_named(head.job)} and {len(names) - 1} more"
    first = next((member.finding for member in own if member.finding.kind is head.kind), own[0].finding)
    return f"{_named(first.job)} {_SAYS[head.kind]}"


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
    ahead = (("Error", _error(head)), ("If nobody acts", _next(head, dispatch.system)))
    facts += [(label, text) for label, text in ahead if text]
    waiting = len(incident.symptoms)
    if waiting:
        facts.append(("Because of it", f"{waiting} {'job is' if waiting == 1 else 'jobs are'} late"))
    facts.append(("To do", _to_do(head, dispatch.system)))
    return facts


def _to_do(head: Finding, system: str) -> str:
    if head.kind in (Kind.WEDGED, Kind.STALLED):
        revive = revive_command(head, system)
        return f"{revive}; or {restart_words(system)}" if revive else restart_words(system)
    revive = revive_command(head, system)
    if revive and head.evidence.get("error_class") == "permanent":
        return f"mend what the error says, then: {revive}"
    return _DO.get(head.kind) or revive or _LOOK


def _error(head: Finding) -> str:
    error, class_ = head.evidence.get("last_error"), head.evidence.get("error_class")
    return f"{error}{f' ({class_})' if class_ and class_ != 'unknown' else ''}" if error else ""


def _next(head: Finding, kind: str) -> str:
    """What happens if nobody acts."""
    says = _NEXT.get(head.kind)
    return says(head, system_named(kind)) if says else ""


def _when(head: Finding, name: str) -> str:
    value = head.evidence.get(name)
    try:
        return say(value if isinstance(value, datetime) else parse_instant(str(value))) if value else ""
    except ValueError:
        return ""


def _failed(head: Finding, system: System[Any]) -> str:
    sweep = _when(head, "sweep_at")
    gone = f", and its row is deleted at the first restart after {sweep}" if sweep else ""
    return f"it never runs again{gone}"


def _failing(head: Finding, system: System[Any]) -> str:
    if not head.evidence.get("breaker_limit"):
        return "it goes on failing"
    trip = _when(head, "breaker_trips_at")
    return f"the scheduler gives it up{f' at about {trip}' if trip else ''}, and never runs it again"


def _wedged(head: Finding, system: System[Any]) -> str:
    match head.evidence.get("how"):
        case "leaked_flag":
            return f"it is skipped until the {system.process} is restarted"
        case "long_in_flight":
            return "it does not run again until that run ends"
        case _:
            return f"no job runs until the run ends or the {system.process} is restarted"


def _long_run(head: Finding, system: System[Any]) -> str:
    if not system.aborts:
        return ""
    return f"no other job runs until it ends; the {system.process} aborts it after {system.aborts}"


_NEXT: Mapping[Kind, Callable[[Finding, System[Any]], str]] = {
    Kind.FAILED: _failed,
    Kind.FAILING: _failing,
    Kind.EXPIRING: lambda head, _: (
        f"the row is deleted at the first restart after {_when(head, 'sweep_at')}, and the job's definition with it"
    ),
    Kind.WEDGED: _wedged,
    Kind.STALLED: lambda head, system: f"no job runs until the {system.process} is restarted",
    Kind.LONG_RUN: _long_run,
    Kind.UNRECORDED: lambda head, _: "the next restart runs it again, and its result is sent twice",
    Kind.INTERRUPTED: lambda head, _: "it may run again, and its result may be sent twice",
    Kind.STRANDED: lambda head, _: "it never fires",
    Kind.INVALID: lambda head, _: "the scheduler skips it on every pass",
    Kind.UNREACHABLE: lambda head, _: "nothing can be told about its jobs",
    Kind.ZERO_TOKENS: lambda head, _: "it goes on doing nothing",
    Kind.UNDELIVERED: lambda head, _: "its results go on reaching nobody",
}


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
