"""What is wrong, as cards: an open incident whole, one job's part of it, or a finding that is in no incident."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import quote

from watchdog.core.incident import Incident, Member, head_of
from watchdog.core.kinds import Severity
from watchdog.core.model import Finding
from watchdog.core.silences import silenced_until
from watchdog.incidents.intention import Deed, Intention, about_to_or_done
from watchdog.incidents.ledger import over_at, waits_for_run
from watchdog.incidents.report import ordered
from watchdog.notify.words import what_is_wrong
from watchdog.state.history import JobKey
from watchdog.state.records import REVIVING
from watchdog.systems.remedy import revive_command
from watchdog.web import advice
from watchdog.web.published_state import Posting
from watchdog.web.shown import Known, When, incident_url, job_url, maybe, one_of_many, spoken, when

LISTED = 10
"""Jobs that are named under an incident; its own page has them all."""


@dataclass(frozen=True, slots=True)
class Line:
    """A finding inside a problem."""

    kind: str
    severity: str
    summary: str
    url: str
    name: str
    since: When | None = None
    is_over: bool = False
    is_unproved: bool = False


@dataclass(frozen=True, slots=True)
class Storm:
    """The incident that a job's problem belongs to, where others belong to it too.

    `revivable`: how many of its jobs can be brought back.
    """

    number: int
    title: str
    url: str
    match: str
    revivable: int
    revive: str
    silence: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong. `name` is whom its title and its sentences name; `url` leads to its own page.

    `revivable`: the source and id of the jobs that a button can bring back; `unrevivable`: why there is no such button,
    where a command brings them back. `has_more`: whether more has come since somebody took it on. `clear_since`: since
    when nothing of it is so; `over_at`: when it was over, or is if it stays clear. `unproved`: whose next run it
    waits for, though nothing of it is as grave any more. `source`: where it is, if several are watched.
    """

    key: str
    severity: str
    title: str
    name: str
    kind: str
    summary: str
    since: When | None
    url: str
    number: int | None
    state: str
    acknowledged: str
    silenced: When | None
    advice: advice.Advice
    acknowledge: str
    silence: str
    match: str
    own: tuple[Line, ...] = ()
    own_count: int = 0
    symptoms: tuple[Line, ...] = ()
    symptom_count: int = 0
    revivable: tuple[JobKey, ...] = ()
    unrevivable: str = ""
    has_more: bool = False
    unproved: str = ""
    storm: Storm | None = None
    clear_since: When | None = None
    over_at: When | None = None
    source: str = ""

    @property
    def is_active(self) -> bool:
        """Whether it is true now."""
        return self.state == "active"


def title_of(incident: Incident) -> str:
    """What an incident is, in the words of its message."""
    return what_is_wrong(incident.own, head_of(incident.own))


def problems(posting: Posting, known: Known) -> tuple[Problem, ...]:
    """All that is wrong, the gravest and newest first."""
    shown = [of_incident(incident, posting, known) for incident in _by_gravity(posting.incidents)]
    return (*shown, *(_of_finding(finding, posting, known) for finding in _loose(posting)))


def problems_of(posting: Posting, known: Known, job: JobKey) -> tuple[Problem, ...]:
    """What is wrong with one job: that job's own part of each incident."""
    parts = [(incident, _members_of(incident, job)) for incident in _by_gravity(posting.incidents)]
    shown = [_of_part(incident, members, posting, known) for incident, members in parts if members]
    loose = [finding for finding in _loose(posting) if (finding.source, finding.job_id) == job]
    return (*shown, *(replace(_of_finding(finding, posting, known), url="") for finding in loose))


def _loose(posting: Posting) -> list[Finding]:
    told = {member for incident in posting.incidents for member in incident.members}
    return [finding for finding, _ in ordered(posting.published.findings) if finding.key not in told]


def _by_gravity(incidents: Sequence[Incident]) -> list[Incident]:
    return sorted(incidents, key=lambda i: (not i.is_active, i.severity is not Severity.CRITICAL, -i.id))


def _members_of(incident: Incident, job: JobKey) -> list[Member]:
    mine = [m for m in incident.members.values() if (m.finding.source, m.finding.job_id) == job]
    active = [member for member in mine if member.active]
    return active or ([] if incident.is_active else mine)


def of_incident(incident: Incident, posting: Posting, known: Known) -> Problem:
    """An incident whole."""
    head = head_of(incident.own)
    own, symptoms = _listed(incident.own, posting.at), _listed(incident.symptoms, posting.at)
    jobs = jobs_of(incident)
    revivable = _revivable(incident.own, posting, known) if incident.is_active else ()
    base = _placed(incident, _of_finding(head, posting, known), known, posting.at)
    is_storm = len(jobs) > 1
    return replace(
        base,
        key=f"incident-{incident.id}",
        severity=incident.severity.value,
        title=title_of(incident),
        since=when(incident.headline_since, posting.at),
        url=incident_url(incident.id),
        advice=advice.of_incident(incident, known.config, system_of(posting, incident.source), known.notes.begun)
        .pasted(known.config)
        .after(_intended(incident, head, posting, known), posting.at),
        silence=advice.silence_all(incident, known.config) if is_storm else base.silence,
        match=advice.match_of_all(incident) if is_storm else base.match,
        silenced=_silenced([member.finding for member in incident.own], incident, known, posting.at),
        own=own[:LISTED] if len(own) > 1 else (),
        own_count=len(own) if len(own) > 1 else 0,
        symptoms=symptoms[:LISTED],
        symptom_count=len(symptoms),
        revivable=revivable,
        unrevivable=_unrevivable([member.finding for member in incident.own if member.active], posting, known),
    )


def _of_part(incident: Incident, members: Sequence[Member], posting: Posting, known: Known) -> Problem:
    """One job's part of an incident: its own finding, what helps that job, and all that it has there."""
    head = head_of(members)
    base = _placed(incident, _of_finding(head, posting, known), known, posting.at)
    revivable = base.revivable if incident.is_active else ()
    own = _listed(members, posting.at) if len(members) > 1 else ()
    storm = _storm(incident, posting, known) if len(jobs_of(incident)) > 1 else None
    return replace(
        base,
        key=f"incident-{incident.id}",
        url="",
        advice=advice.waiting(base.advice, incident, head).after(_intended(incident, head, posting, known), posting.at),
        own=own,
        own_count=len(own),
        revivable=revivable,
        storm=storm,
    )


def _intended(incident: Incident, head: Finding, posting: Posting, known: Known) -> Intention | Deed | None:
    return about_to_or_done(incident, head, known.config, known.notes.actions, posting.at, REVIVING)


def _placed(incident: Incident, base: Problem, known: Known, now: datetime) -> Problem:
    """With the incident's number, its state, and who is on it."""
    acknowledged = known.notes.acknowledged.get(incident.id)
    return replace(
        base,
        number=incident.id,
        state="over" if not incident.is_open else "active" if incident.is_active else "clearing",
        acknowledged=acknowledged[1] if acknowledged else "",
        has_more=acknowledged is not None and incident.has_more_since(acknowledged[0]),
        unproved=waits_for(incident),
        clear_since=maybe(incident.ended_at or (None if waits_for_run(incident) else incident.clear_since), now),
        over_at=maybe(
            incident.resolved_at or (over_at(incident, known.config.notify.hold) if known.config else None), now
        ),
        acknowledge=advice.acknowledge(incident, known.config),
    )


def waits_for(incident: Incident) -> str:
    """Whose next run has to show that it is well again, where it is that for which the incident is critical still."""
    names = list(dict.fromkeys(finding.job or "a job" for finding in incident.keeps_grave))
    return f"{names[0]} and {len(names) - 1} more" if len(names) > 1 else "".join(names)


def _storm(incident: Incident, posting: Posting, known: Known) -> Storm:
    return Storm(
        incident.id,
        title_of(incident),
        incident_url(incident.id),
        advice.match_of_all(incident),
        len(_revivable(incident.own, posting, known)) if incident.is_active else 0,
        advice.whole(advice.revive_all(incident, system_of(posting, incident.source)), known.config),
        advice.silence_all(incident, known.config),
    )


def jobs_of(incident: Incident) -> list[JobKey]:
    """The jobs of an incident, each once, those first that it is about."""
    keys = [(m.finding.source, m.finding.job_id) for m in (*incident.own, *incident.symptoms)]
    return [(source, job_id) for source, job_id in dict.fromkeys(keys) if job_id is not None]


def _revivable(members: Iterable[Member], posting: Posting, known: Known) -> tuple[JobKey, ...]:
    found = (job for member in members if member.active for job in _can_come_back(member.finding, posting, known))
    return tuple(dict.fromkeys(found))


def _can_come_back(finding: Finding, posting: Posting, known: Known) -> tuple[JobKey, ...]:
    if not known.can_revive or not finding.job_id or not revive_command(finding, system_of(posting, finding.source)):
        return ()
    if (finding.source, finding.job_id) in known.notes.begun:
        return ()
    return ((finding.source, finding.job_id),)


def _unrevivable(findings: Iterable[Finding], posting: Posting, known: Known) -> str:
    """Why no button brings a job back, though a command would; empty where one does, or nothing would."""
    why = known.config.recovery.why_idle if known.config else ""
    left = [one for one in findings if (one.source, one.job_id) not in known.notes.begun]
    return why if any(revive_command(finding, system_of(posting, finding.source)) for finding in left) else ""


def system_of(posting: Posting, source: str) -> str:
    """The kind of a source; empty if it is watched no longer."""
    kinds = (state.snapshot.kind for state in posting.published.sources if state.snapshot.source == source)
    return next(kinds, "")


def _silenced(findings: Sequence[Finding], incident: Incident | None, known: Known, now: datetime) -> When | None:
    """Until when nobody is told of any of it; None if somebody is."""
    number = incident.id if incident else None
    return maybe(silenced_until(findings, known.notes.silences, now, number), now)


def _of_finding(finding: Finding, posting: Posting, known: Known) -> Problem:
    system = system_of(posting, finding.source)
    name = finding.job or ("a job without a name" if finding.job_id else finding.source)
    doing = advice.being_done([finding], system, known.notes.begun)
    advised = doing or advice.advise(finding, known.config, system)
    return Problem(
        f"finding-{finding.kind.value}-{quote(finding.source, safe='')}-{quote(finding.job_id or '', safe='')}",
        finding.severity.value,
        f"{name} {finding.kind.row.one}",
        name,
        spoken(finding.kind),
        finding.summary,
        maybe(finding.since, posting.at),
        job_url(finding.source, finding.job_id) if finding.job_id else "",
        None,
        "active",
        "",
        _silenced([finding], None, known, posting.at),
        advised.pasted(known.config),
        "",
        advice.silence(finding, known.config),
        advice.match_of(finding),
        revivable=_can_come_back(finding, posting, known),
        unrevivable=_unrevivable([finding], posting, known),
        source=one_of_many(finding.source, known) if name != finding.source else "",
    )


def _listed(members: Iterable[Member], now: datetime) -> tuple[Line, ...]:
    return tuple(line(member, now) for member in members)


def line(member: Member, now: datetime) -> Line:
    """A member in one line."""
    finding = member.finding
    return Line(
        spoken(finding.kind),
        finding.severity.value,
        finding.summary,
        job_url(finding.source, finding.job_id) if finding.job_id else "",
        finding.job or ("a job without a name" if finding.job_id else finding.source),
        maybe(finding.since or member.began, now),
        not member.active and not member.is_unproved,
        member.is_unproved and not member.active,
    )
