"""Who is to be told what now. Level-triggered: what was told is compared with what is so, so that nothing that happened
while nobody could be told (a silence, quiet hours, a crash) is ever lost."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from watchdog.config.file import Notify, Owner, QuietHours
from watchdog.config.owners import Subject, owners_of, subject_of
from watchdog.core.incident import Incident, Member, Told, ToldKey, most_specific
from watchdog.core.kinds import Kind, Severity
from watchdog.core.model import Finding, Job
from watchdog.core.moment import Moment
from watchdog.core.silences import Silence, is_silenced
from watchdog.notify.targets import Target, targets_of


class Event(StrEnum):
    """Why somebody is told."""

    OPENED = "opened"
    WORSE = "worse"
    BACK = "back"
    JOINED = "joined"
    REMINDER = "reminder"
    ESCALATED = "escalated"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Audience:
    """A target of an incident, the entry of the configuration that leads to it, and what of it concerns it."""

    target: Target
    owner: Owner
    members: tuple[Member, ...]
    is_escalation: bool = False


@dataclass(frozen=True, slots=True)
class Dispatch:
    """One message to be written down. `system`: the kind of the source that it is about."""

    incident: Incident
    audience: Audience
    event: Event
    told: Told
    system: str = ""

    @property
    def key(self) -> ToldKey:
        """Under which it is remembered."""
        return (self.incident.id, self.audience.target.key)

    @property
    def headline(self) -> Finding:
        """What it is to those who are told: of their own jobs, or else the cause that their jobs wait for."""
        mine = [member for member in self.audience.members if not member.under]
        now = [member for member in mine if member.active] or mine
        return most_specific(member.finding for member in now) if now else self.incident.headline


@dataclass(frozen=True, slots=True)
class People:
    """What people have said, and who they are. `systems`: the kind of each source."""

    owners: Sequence[Owner]
    rules: Notify
    jobs: Mapping[tuple[str, str], Job]
    labels: Mapping[str, Mapping[str, str]]
    silences: Sequence[Silence] = ()
    acknowledged: Mapping[int, datetime] = field(default_factory=dict)
    systems: Mapping[str, str] = field(default_factory=dict)


def plan(incidents: Iterable[Incident], told: Mapping[ToldKey, Told], people: People, now: Moment) -> list[Dispatch]:
    """The messages that are due now."""
    return [
        dispatch
        for incident in incidents
        for audience in audiences(incident, people)
        if (dispatch := _due(incident, audience, told, people, now))
    ]


def audiences(incident: Incident, people: People) -> list[Audience]:
    """Everybody whom the incident concerns, each target once: the owners of what it is about, and of its symptoms."""
    found: dict[str, Audience] = {}
    # when it is over, nothing of it is true any more: then everybody who may have been told of any of it
    concerned = [*incident.own, *incident.symptoms] if incident.is_open else incident.members.values()
    for member in concerned:
        owner, targets = _whom(member.finding, people)
        if owner is None:
            continue
        _add(found, owner, targets, member, is_escalation=False)
        if owner.escalate:
            job = people.jobs.get((member.finding.source, member.finding.job_id or ""))
            further = targets_of(owner.escalate.notify, member.finding, job)
            _add(found, owner, further, member, is_escalation=True)
    return list(found.values())


def _whom(finding: Finding, people: People) -> tuple[Owner | None, list[Target]]:
    """The first owner that matches and can be reached: an address may ask for facts that are not known."""
    job = people.jobs.get((finding.source, finding.job_id or ""))
    labels = people.labels.get(finding.source, {})
    asked = subject_of(finding.source, job, labels) if job else Subject(finding.source, finding.job, labels=labels)
    for owner in owners_of(people.owners, asked):
        targets = targets_of(owner.notify, finding, job)
        if targets:
            return owner, targets
    return None, []


def targets_for(finding: Finding, people: People) -> list[Target]:
    """Where the owner of a finding is told."""
    return _whom(finding, people)[1]


def _add(
    found: dict[str, Audience], owner: Owner, targets: Iterable[Target], member: Member, *, is_escalation: bool
) -> None:
    for target in targets:
        before = found.get(target.key) or Audience(target, owner, (), is_escalation)
        members = before.members if member in before.members[-1:] else (*before.members, member)
        both = before.is_escalation and is_escalation
        found[target.key] = replace(before, members=members, is_escalation=both)


def _due(
    incident: Incident, audience: Audience, told: Mapping[ToldKey, Told], people: People, now: Moment
) -> Dispatch | None:
    before = told.get((incident.id, audience.target.key))
    event = _event(incident, audience, before, told, people, now)
    if event is None or _must_wait(incident, audience, event, people, now):
        return None
    first = before.first_at if before and not before.is_over else now.at
    state = Told(
        first,
        now.at,
        incident.severity,
        incident.returns,
        before.count + 1 if before else 1,
        is_over=event is Event.RESOLVED,
    )
    return Dispatch(incident, audience, event, state, people.systems.get(incident.source, ""))


def _event(
    incident: Incident,
    audience: Audience,
    before: Told | None,
    told: Mapping[ToldKey, Told],
    people: People,
    now: Moment,
) -> Event | None:
    """What there is to say to this target, whatever the hour."""
    if before is None or (audience.is_escalation and before.is_over and incident.is_open):
        return _first(incident, audience, told, people, now)
    if not incident.is_open:
        return Event.RESOLVED if _is_end_told(incident, before, people.rules) else None
    if not incident.is_active:
        return None
    if before.is_over or incident.returns > before.returns:
        return Event.BACK
    if incident.severity is Severity.CRITICAL and before.severity is not Severity.CRITICAL:
        return Event.WORSE
    if _has_joined(incident, audience, before) and now.reached(before.last_at + people.rules.gather):
        return Event.JOINED
    every = audience.owner.remind_every or people.rules.remind_every
    is_reminded = not _is_acknowledged(incident, told, people) and every > timedelta()
    return Event.REMINDER if is_reminded and now.reached(before.last_at + every) else None


def _has_joined(incident: Incident, audience: Audience, before: Told) -> bool:
    """Whether a job is among them that this target has not been told of. Of a job that was told as worse than late, as
    one that a leaked flag kept waiting, it is no news that it is late."""
    known = [member.finding for member in incident.members.values() if member.first_seen <= before.last_at]
    told = {finding.job_id for finding in known if finding.kind is Kind.WEDGED}
    return any(
        member.first_seen > before.last_at and member.active
        for member in audience.members
        if not member.under and not (member.finding.kind is Kind.OVERDUE and member.finding.job_id in told)
    )


def _first(
    incident: Incident, audience: Audience, told: Mapping[ToldKey, Told], people: People, now: Moment
) -> Event | None:
    if not incident.is_active:
        return None
    if not audience.is_escalation:
        return Event.OPENED if now.reached(incident.opened_at + people.rules.group_wait) else None
    after = audience.owner.escalate.after if audience.owner.escalate else timedelta()
    firsts = _firsts(incident, told)
    if not firsts or _is_acknowledged(incident, told, people):
        return None
    return Event.ESCALATED if now.reached(min(firsts) + after) else None


def _firsts(incident: Incident, told: Mapping[ToldKey, Told]) -> list[datetime]:
    """When each of those who know that it is so was first told."""
    return [state.first_at for (number, _), state in told.items() if number == incident.id and not state.is_over]


def _is_acknowledged(incident: Incident, told: Mapping[ToldKey, Told], people: People) -> bool:
    """Whether somebody has taken it on. What has come back since then nobody has."""
    at = people.acknowledged.get(incident.id)
    if at is None or not incident.is_flapping:
        return at is not None
    return any(at >= first for first in _firsts(incident, told))


def _is_end_told(incident: Incident, before: Told, rules: Notify) -> bool:
    return rules.resolved and not before.is_over and incident.merged_into is None


def _must_wait(incident: Incident, audience: Audience, event: Event, people: People, now: Moment) -> bool:
    """Whether a silence or the quiet hours hold it back. What is held back is told when they end, if it is still so."""
    quiet = audience.owner.quiet_hours or people.rules.quiet_hours
    if quiet and not (quiet.except_ == "critical" and incident.severity is Severity.CRITICAL):
        end = quiet_until(quiet, now.at)
        if end and not now.reached(end):
            return True
    if event is Event.RESOLVED:
        return False
    silences = [silence for silence in people.silences if silence.starts_at <= now.at]
    if not all(is_silenced(member.finding, silences, now.at) for member in audience.members):
        return False
    ends = [silence.ends_at for silence in silences if any(silence.fits(m.finding) for m in audience.members)]
    now.reached(min(ends))
    return True


def quiet_until(quiet: QuietHours, at: datetime) -> datetime | None:
    """The end of the quiet hours that `at` lies in; None if it lies in none. They may go over midnight."""
    zone = ZoneInfo(quiet.timezone)
    begin, end = time.fromisoformat(_padded(quiet.from_)), time.fromisoformat(_padded(quiet.to))
    local = at.astimezone(zone)
    is_quiet = begin <= local.time() < end if begin <= end else local.time() >= begin or local.time() < end
    if not is_quiet:
        return None
    day = local.date() + timedelta(days=1 if begin > end and local.time() >= begin else 0)
    return datetime.combine(day, end, zone).astimezone(at.tzinfo)


def _padded(text: str) -> str:
    return text.rjust(5, "0")
