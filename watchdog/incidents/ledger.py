"""Findings over time: an incident is opened, gathers what belongs to it, comes back or stays away, and is resolved.

Pure: the state and the findings go in, the new state comes out. Who is told what is decided in `notify.plan`.
"""

from collections.abc import Callable, Collection, Container, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from watchdog.core.incident import QUEUE, HeldUp, Incident, Key, Ledger, Member, Spell
from watchdog.core.kinds import Family, Kind, Severity
from watchdog.core.model import IN_FLIGHT, Cause, Finding
from watchdog.core.moment import Moment

CALM = timedelta(hours=24)

SPELLS = 12
"""How many spells of a finding are remembered: enough to tell that it comes and goes."""

WasTried = Callable[[str, str | None, datetime], bool]

_RANK = {Severity.WARNING: 1, Severity.CRITICAL: 2}


@dataclass(frozen=True, slots=True)
class Timing:
    """How long things are waited for.

    `hold`: how long all must stay clear before an incident is over. `gather`: how close in time jobs must begin to
    fail alike to be one storm; `gather_late` the same for conditions that are each job's own. `calm`: how long a
    flapping incident must stay clear, a whole day, so that one that comes and goes all day is told of three times at
    most. `memory`: how soon after its end one that comes back is the same one.
    """

    hold: timedelta = timedelta(minutes=5)
    gather: timedelta = timedelta(hours=1)
    gather_late: timedelta = timedelta(seconds=30)
    calm: timedelta = CALM
    memory: timedelta = timedelta(hours=24)


def update(
    ledger: Ledger,
    findings: Iterable[Finding],
    blind: frozenset[str],
    now: Moment,
    timing: Timing,
    unproved: Container[tuple[str, str | None]] = (),
    was_tried: WasTried = lambda source, job_id, since: False,
    awaited: Collection[int] = (),
) -> Ledger:
    """The incidents after a look. Sources in `blind` could not be read: what was known of them is left as it was.

    `unproved`: the jobs, with their sources, that are planned and whose newest run was an error. `was_tried`: whether
    recovery has revived one since an instant, and has not seen it well. `awaited`: of whose end somebody has yet to
    hear, for which those are kept: what a job had before it was given up is told to be over only once it is revived.
    """
    found = [finding for finding in findings if finding.source not in blind or finding.kind is Kind.UNREACHABLE]
    book = _Book(ledger, now, timing)
    home = _homes(ledger.incidents, now, timing)
    present: dict[Key, int] = {}
    left = _Left(ledger.incidents, {finding.key for finding in found}, now, timing)
    for finding in sorted(found, key=lambda finding: finding.caused_by is not None):
        number = _place(finding, book, home, present, left)
        if number is None:
            number = book.open(finding)
        book.add(number, finding, is_left=left.holds(finding, number))
        home[finding.key] = present[finding.key] = number
    seen = _Seen(present, blind, unproved, was_tried, now, timing)
    settled = {number: _settled(incident, seen) for number, incident in book.incidents.items()}
    return Ledger({n: i for n, i in settled.items() if n in awaited or not _is_forgotten(i, now, timing)}, book.next_id)


class _Book:
    """The incidents while findings are put into them, so that a finding costs the same in an incident of thousands.

    The members of an incident are copied once, when the first finding is put into it.
    """

    def __init__(self, ledger: Ledger, now: Moment, timing: Timing) -> None:
        self.incidents = dict(ledger.incidents)
        self.next_id = ledger.next_id
        self.now = now
        self.timing = timing
        self._members: dict[int, dict[Key, Member]] = {}
        self._jobs: dict[int, dict[str | None, set[Key]]] = {}
        self._alike: dict[tuple[str, str], list[int]] = {}
        for number, incident in self.incidents.items():
            self._alike.setdefault((incident.source, incident.family), []).append(number)

    def open(self, finding: Finding) -> int:
        """Begin one with this finding; its number."""
        number, self.next_id = self.next_id, self.next_id + 1
        incident = self.incidents[number] = _opened(number, finding, self.now.at)
        self._alike.setdefault((incident.source, incident.family), []).append(number)
        return number

    def add(self, number: int, finding: Finding, *, is_left: bool = False) -> None:
        """It is true now, and belongs to this incident. `is_left`: as something that its cause has left behind."""
        before = self.incidents[number]
        if number not in self._members:
            self._members[number] = dict(before.members)
        members = self._members[number]
        goes_on = self._goes_on(number, finding, members.get(finding.key))
        incident = self.incidents[number] = _with(
            before, finding, members, self.now.at, self.timing, is_left=is_left, goes_on=goes_on
        )
        self._note(self.jobs(number), finding.key, incident.members[finding.key])

    def _goes_on(self, number: int, finding: Finding, before: Member | None) -> bool:
        """Whether what is found is still what it was: it was away for less than the hold, or its job was never well
        meanwhile. One that is given up does nothing that could be found, and comes to nothing new when it is revived.
        """
        if before is None or before.ended_at is None or before.is_unproved:
            return before is not None
        if self.now.at - before.ended_at < self.timing.hold:
            return True
        return _was_never_well(self._others(number, finding), before.ended_at, self.now, self.timing)

    def _others(self, number: int, finding: Finding) -> list[Member]:
        """What else, as grave or graver, is or was wrong with its job: of the same trouble, or that it was given up.

        Nothing lesser: that a job is given up once more, after it only failed for a while, is news.
        """
        source, _, job_id = finding.key
        if job_id is None:
            return []
        given_up = (incident.members.get((source, Kind.FAILED, job_id)) for incident in self.incidents.values())
        same = (self._members[number][key] for key in self.jobs(number).get(job_id, ()))
        others = (one for one in (*same, *given_up) if one is not None and one.finding.key != finding.key)
        return [one for one in others if _RANK[one.finding.severity] >= _RANK[finding.severity]]

    def alike(self, source: str, family: str) -> list[Incident]:
        """Those of a source and a family, the open and the newest first."""
        found = [self.incidents[number] for number in self._alike.get((source, family), ())]
        return sorted(found, key=lambda incident: (not incident.is_open, -incident.id))

    def has_queue(self, source: str) -> bool:
        """Whether jobs of a source wait for runs now."""
        return any(self.incidents[number].is_active for number in self._alike.get((source, QUEUE), ()))

    def jobs(self, number: int) -> dict[str | None, set[Key]]:
        """The jobs that an incident is about, or was until so recently that this is the same thing again."""
        if number not in self._jobs:
            self._jobs[number] = {}
            for key, member in self.incidents[number].members.items():
                self._note(self._jobs[number], key, member)
        return self._jobs[number]

    def _note(self, jobs: dict[str | None, set[Key]], key: Key, member: Member) -> None:
        keys = jobs.setdefault(member.finding.job_id, set())
        is_recent = member.ended_at is None or self.now.at - member.ended_at <= self.timing.memory
        if is_recent and not member.under:
            keys.add(key)
        else:
            keys.discard(key)


def _homes(incidents: Mapping[int, Incident], now: Moment, timing: Timing) -> dict[Key, int]:
    """Where each finding of an unresolved incident belongs; one that has long been over may open another."""
    return {
        key: number
        for number, incident in incidents.items()
        if incident.is_open
        for key, member in incident.members.items()
        if not member.under and (member.ended_at is None or now.at - member.ended_at <= timing.memory)
    }


def _place(
    finding: Finding, book: _Book, home: Mapping[Key, int], present: Mapping[Key, int], left: "_Left"
) -> int | None:
    """The incident of a finding: its cause's, the one that it is in, the storm's, or the one that it was before."""
    if finding.caused_by is not None:
        # only one that is true now: the incident of one that is over ends, and its symptoms would end with it
        cause = present.get(_cause_key(finding, finding.caused_by))
        if cause is not None:
            return cause
    elif finding.key in home and not _waits_between_runs(finding, book):
        return home[finding.key]
    behind = left.place(finding)
    if behind is not None:
        return behind
    family, scope = (QUEUE, "") if _waits_between_runs(finding, book) else _family(finding)
    alike = book.alike(finding.source, family)
    if family == QUEUE and alike and _is_recent(alike[0], book.now, book.timing):
        return alike[0].id
    for incident in alike:
        if book.jobs(incident.id).get(finding.job_id):
            return incident.id  # under another kind: late and then wedged, failing and then failed
    window = book.timing.gather_late if family == Family.LATE else book.timing.gather
    storm = (i for i in alike if i.is_open and i.scope == scope and _gathers(i, book.now, window))
    return next((incident.id for incident in storm), None)


def _waits_between_runs(finding: Finding, book: _Book) -> bool:
    """Whether it is late in a queue that is there already: between two runs nothing holds the slot for a moment."""
    if finding.kind is not Kind.OVERDUE or finding.caused_by is not None:
        return False
    return book.has_queue(finding.source)


def _is_recent(incident: Incident, now: Moment, timing: Timing) -> bool:
    """Whether what comes after it is still the same: too much work comes and goes with the hours of the day."""
    return incident.resolved_at is None or now.at - incident.resolved_at <= timing.memory


class _Left:
    """What causes that are over left behind and is being served: their symptoms, and what is late in that queue."""

    def __init__(self, incidents: Mapping[int, Incident], found: Collection[Key], now: Moment, timing: Timing) -> None:
        self._keys: dict[Key, int] = {}
        self._queues: dict[str, int] = {}
        for number, incident in incidents.items():
            if incident.is_open and not any(key in found for key, one in incident.members.items() if not one.under):
                waiting = _waiting(incident)
                if waiting and not now.reached(_served_by(incident, now, timing)):
                    self._keys |= dict.fromkeys(waiting, number)
                    self._queues[incident.source] = number

    def place(self, finding: Finding) -> int | None:
        """The incident that it is left of."""
        if finding.key in self._keys:
            return self._keys[finding.key]
        return self._queues.get(finding.source) if finding.kind is Kind.OVERDUE else None

    def holds(self, finding: Finding, number: int) -> bool:
        """Whether it is in this incident as such."""
        return self.place(finding) == number


def _waiting(incident: Incident) -> list[Key]:
    return [key for key, member in incident.members.items() if member.under and member.active]


def _served_by(incident: Incident, now: Moment, timing: Timing) -> datetime:
    """By when what was left behind must have been served. A queue that gets on, or waits for a run, is none of its own;
    but for no longer than what belongs together is gathered."""
    clear, members = incident.clear_since or now.at, incident.members
    causes = (members[key].finding.caused_by for key in _waiting(incident))
    if any(cause is not None and cause.kind == IN_FLIGHT for cause in causes):
        return clear + max(timing.hold, timing.gather)
    return max(clear + timing.hold, min(incident.changed_at + timing.hold, clear + timing.gather))


def _cause_key(finding: Finding, cause: Cause) -> Key:
    return (finding.source, cause.kind, cause.job_id)


def _family(finding: Finding) -> tuple[str, str]:
    """What may be one incident: a job's lateness whatever its name, failures of one error class, else the kind."""
    if finding.caused_by is not None:
        return QUEUE, ""  # whichever run holds the slot at the moment
    match finding.kind.row.family:
        case Family.LATE:
            return Family.LATE.value, finding.kind.value
        case Family.ERRORS:
            return Family.ERRORS.value, str(finding.evidence.get("error_class") or "none")
        case Family.OWN:
            return finding.kind.value, ""


def _gathers(incident: Incident, now: Moment, window: timedelta) -> bool:
    return incident.clear_since is None and now.at - (incident.joined_at or incident.opened_at) <= window


def _opened(number: int, finding: Finding, at: datetime) -> Incident:
    family, scope = _family(finding)
    return Incident(number, finding.source, family, scope, at, at, severity=finding.severity, joined_at=at)


def _was_never_well(others: Iterable[Member], since: datetime, now: Moment, timing: Timing) -> bool:
    """Whether from then until now one or another of these has been so, but for less than the hold in between."""
    until = since
    for one in sorted(others, key=lambda member: member.began):
        if one.began - until < timing.hold:
            is_so = one.ended_at is None or one.is_unproved
            until = max(until, now.at if is_so else one.ended_at or until)
    return now.at - until < timing.hold


def _with(
    incident: Incident,
    finding: Finding,
    members: dict[Key, Member],
    at: datetime,
    timing: Timing,
    *,
    is_left: bool,
    goes_on: bool,
) -> Incident:
    """The incident with this finding as true now. `members`: its members, to be changed. `goes_on`: in the spell that
    it was in."""
    before = members.get(finding.key)
    was_under = before is not None and before.under and before.active
    is_under = (finding.caused_by is not None or was_under or is_left) and not incident.is_queue
    member = _member(finding, before, at, timing, is_under=is_under, goes_on=goes_on)
    if member == before and (incident.is_active or (is_under and incident.is_open)):
        return incident
    members[finding.key] = member
    is_back = not incident.is_open
    severity = incident.severity if is_under or is_back else max(incident.severity, finding.severity, key=_RANK.get)  # type: ignore[arg-type]
    return replace(
        incident,
        members=members,
        severity=finding.severity if is_back else severity,
        clear_since=None if not is_under or incident.is_active else incident.clear_since,
        resolved_at=None,
        returns=incident.returns + is_back,
        joined_at=incident.joined_at if before else at,
        changed_at=at,
        merged_into=None,
    )


def _member(
    finding: Finding, before: Member | None, at: datetime, timing: Timing, *, is_under: bool, goes_on: bool
) -> Member:
    """The finding as true now: in the spell that it was in, or in a new one."""
    if before is None:
        return Member(finding, at, is_under, None, at, at)
    if goes_on or before.ended_at is None:
        graver_at = at if _is_graver(finding, before.finding) else before.graver_at
        member = Member(finding, before.first_seen, is_under, None, before.began_at, graver_at, before.earlier)
        return _held_up(member, _past_cause(finding, before, at))
    spells = (*before.earlier, Spell(before.began, before.ended_at))
    recent = tuple(spell for spell in spells if at - spell.ended_at <= timing.memory)
    return Member(finding, before.first_seen, is_under, None, at, at, recent[-SPELLS:])


def _past_cause(finding: Finding, before: Member, at: datetime) -> HeldUp | None:
    """What it was caused by until now, which is history then. That it waits for its turn in the queue that something
    has left is no other cause; of runs that take turns only that of the last one is over."""
    now, cause, past = finding.caused_by, before.finding.caused_by, before.held_up
    if cause is not None and cause.kind != IN_FLIGHT:
        past = past if now is not None and now.job_id == cause.job_id else HeldUp(cause, at)
    elif cause is not None and now is None:
        past = past or HeldUp(cause, at)
    if now is not None and past is not None and (past.cause == now or past.cause.kind == IN_FLIGHT):
        return None
    return past


def _held_up(member: Member, past: HeldUp | None) -> Member:
    """With what it was caused by, which its finding goes on saying."""
    if past is None:
        return member
    told = replace(member.finding, summary=f"{member.finding.summary}; {past.words}")
    return replace(member, finding=told, held_up=past)


def _is_graver(now: Finding, before: Finding) -> bool:
    """Whether it is another thing than it was to whoever has taken it on: worse, or another error."""
    classes = [finding.evidence.get("error_class") for finding in (now, before)]
    return _RANK[now.severity] > _RANK[before.severity] or classes[0] != classes[1]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a look has shown, by which incidents end."""

    present: Mapping[Key, int]
    blind: frozenset[str]
    unproved: Container[tuple[str, str | None]]
    was_tried: WasTried
    now: Moment
    timing: Timing

    def is_tried(self, key: Key, since: datetime) -> bool:
        """Whether it is no longer found only because recovery tries a job that was given up."""
        source, kind, job_id = key
        return kind == Kind.FAILED and self.is_unproved(key) and self.was_tried(source, job_id, since)

    def is_unproved(self, key: Key) -> bool:
        """Whether its job may be given up again at any run: none has ended well."""
        return (key[0], key[2]) in self.unproved


def _settled(incident: Incident, seen: _Seen) -> Incident:
    """The incident with what is no longer true marked so, and resolved if that has lasted."""
    now, timing = seen.now, seen.timing
    if not incident.is_open or _is_frozen(incident, seen.blind):
        return incident
    incident = _without_the_gone(_with_the_proved(incident, seen), seen)
    if any(member.active and not member.under for member in incident.members.values()):
        incident = _as_grave_as_it_is(incident, now, timing)
        return incident if incident.clear_since is None else replace(incident, clear_since=None)
    if incident.clear_since is None:
        # only if all of it is found elsewhere: an end that is not told would be missed by the others
        elsewhere = [seen.present.get(key) for key, member in incident.members.items() if not member.under]
        merged = elsewhere[0] if all(number not in (None, incident.id) for number in elsewhere) else None
        incident = replace(incident, clear_since=now.at, changed_at=now.at, merged_into=merged)
    if any(member.is_unproved for member in incident.members.values()):
        return incident
    if _waiting(incident) and not now.reached(_served_by(incident, now, timing)):
        return incident
    hold = timing.calm if incident.is_flapping else timing.hold
    if now.reached((incident.clear_since or now.at) + hold):
        return replace(incident, resolved_at=now.at, changed_at=now.at)
    return incident


def waits_for_run(incident: Incident) -> bool:
    """Whether one of which nothing is so any more is over only once a run has shown that it is well."""
    if not incident.is_open or incident.is_active:
        return False
    return any(member.is_unproved for member in incident.members.values()) or bool(_waiting(incident))


def over_at(incident: Incident, hold: timedelta) -> datetime | None:
    """When one that is clear is over if it stays so; None where it is not clear, or where that waits for a run."""
    if not incident.is_open or incident.clear_since is None or waits_for_run(incident):
        return None
    return incident.clear_since + (CALM if incident.is_flapping else hold)


def _as_grave_as_it_is(incident: Incident, now: Moment, timing: Timing) -> Incident:
    """No longer critical once nothing of it is, and has not been for the hold. One that clears stays as it was."""
    if incident.severity is not Severity.CRITICAL:
        return incident
    for member in incident.members.values():
        if member.under or member.finding.severity is not Severity.CRITICAL:
            continue
        if member.ended_at is None or member.is_unproved or not now.reached(member.ended_at + timing.hold):
            return incident
    return replace(incident, severity=Severity.WARNING, changed_at=now.at)


def _without_the_gone(incident: Incident, seen: _Seen) -> Incident:
    """The members that are not found here any more are no longer active."""
    gone = {
        key: replace(_ended(member, seen.now.at), is_unproved=seen.is_tried(key, member.began))
        for key, member in incident.members.items()
        if member.active and seen.present.get(key) != incident.id and not _is_hidden(key, seen.blind)
    }
    return replace(incident, members={**incident.members, **gone}, changed_at=seen.now.at) if gone else incident


def _ended(member: Member, at: datetime) -> Member:
    """One that is over now. A scheduler that stood still until then is named by no sentence of what it held up."""
    cause = member.finding.caused_by
    is_unnamed = cause is not None and cause.kind == Kind.STALLED
    return replace(_held_up(member, HeldUp(cause, at) if cause and is_unnamed else None), ended_at=at)


def _with_the_proved(incident: Incident, seen: _Seen) -> Incident:
    """What recovery tried is over only from the run on that ended well; or once its job is gone, or switched off."""
    at = seen.now.at
    proved = {
        key: replace(member, ended_at=at, is_unproved=False)
        for key, member in incident.members.items()
        if member.is_unproved and not seen.is_unproved(key)
    }
    if not proved:
        return incident
    clear_since = at if incident.clear_since is not None else None
    return replace(incident, members={**incident.members, **proved}, clear_since=clear_since, changed_at=at)


def _is_frozen(incident: Incident, blind: frozenset[str]) -> bool:
    """Whether nobody can see if it is still clear: time does not count towards its end then."""
    return incident.source in blind and incident.family != Kind.UNREACHABLE


def _is_hidden(key: Key, blind: frozenset[str]) -> bool:
    source, kind, _ = key
    return source in blind and kind != Kind.UNREACHABLE


def _is_forgotten(incident: Incident, now: Moment, timing: Timing) -> bool:
    """Whether it has been over for so long that it cannot come back any more."""
    return incident.resolved_at is not None and now.reached(incident.resolved_at + timing.memory + timing.memory)
