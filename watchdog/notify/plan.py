"""Who is to be told what now: what a target has been told is compared with what is so and concerns it.

Opened, joined, worse, back, over and reminder are names for the difference. So nothing that happened while nobody could
be told (a silence, quiet hours, a crash) is ever lost, and nothing is told twice. Each target has its own part of an
incident: how grave it is, whether somebody has taken it on, and when it is over follow from that part alone.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from watchdog.config.file import Notify, Owner, OwnerMatch, QuietHours
from watchdog.config.owners import Subject, fits, owners_of, subject_of
from watchdog.core.incident import WAITING, Incident, Key, Member, Told, ToldItem, ToldKey, head_of
from watchdog.core.kinds import Family, Kind, Severity
from watchdog.core.model import Finding, Job, Unseen
from watchdog.core.moment import Moment
from watchdog.core.silences import Silence, is_silenced
from watchdog.detectors.rules import RulesForAll
from watchdog.notify import spells
from watchdog.notify.targets import Target, parse_key, targets_of


class Event(StrEnum):
    """Why somebody is told."""

    OPENED = "opened"
    WORSE = "worse"
    BACK = "back"
    JOINED = "joined"
    REMINDER = "reminder"
    ESCALATED = "escalated"
    RESOLVED = "resolved"


class Ending(StrEnum):
    """Why something is found no more: it is over; its job is gone, or switched off; the configuration does not look for
    it any more; or nobody can see any more whether it is so."""

    OVER = "over"
    GONE = "gone"
    OFF = "off"
    UNWANTED = "unwanted"
    UNSEEN = "unseen"


@dataclass(frozen=True, slots=True)
class Part:
    """A finding that concerns a target, and the entry of the configuration that leads there: of several that share a
    target each has its own hours. `is_escalation`: it leads there only if nobody takes the finding on."""

    member: Member
    owner: Owner
    is_escalation: bool = False


@dataclass(frozen=True, slots=True)
class Audience:
    """A target of an incident, and what of it concerns it."""

    target: Target
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """What a target is told of as one thing: a finding, or that jobs wait. `began`: since when it has been so; `owner`,
    `is_escalation`: as of its part."""

    key: Key
    severity: Severity
    began: datetime
    graver: datetime
    members: tuple[Member, ...]
    owner: Owner
    is_escalation: bool = False


@dataclass(frozen=True, slots=True)
class Dispatch:
    """One message to be written down.

    `members`: what it is about; `news`: what of it is new to the target. `system`: the kind of the source that it is
    about, empty where that is watched no longer. `endings`: why each finding of an end is found no more. `restart`: how
    somebody has said that its agent is restarted.
    """

    incident: Incident
    target: Target
    event: Event
    told: Told
    severity: Severity
    members: tuple[Member, ...]
    news: tuple[Member, ...] = ()
    system: str = ""
    endings: Mapping[Key, Ending] = field(default_factory=dict)
    restart: str = ""

    @property
    def key(self) -> ToldKey:
        """Under which it is remembered."""
        return (self.incident.id, self.target.key)

    @property
    def own(self) -> tuple[Member, ...]:
        """What it is about without the symptoms, or else the symptoms."""
        return tuple(member for member in self.members if not member.under) or self.members

    @property
    def headline(self) -> Finding:
        """What it is to those who are told: of their own jobs, or else the cause that their jobs wait for.

        Of the most specific it is the one that has been so the longest; where there are news, the one of the news.
        """
        mine = [member for member in self.news or self.members if not member.under]
        if not mine:
            return self.incident.headline
        return head_of(mine)


@dataclass(frozen=True, slots=True)
class People:
    """What people have said, and who they are.

    `systems`: the kind of each source; `addresses`: what each that stands with an owner is
    called (`names_of`); `blind`: sources not readable now; `unseen`: what cannot be seen of a source; `detect`: what is
    looked for; `instance`: what this watchdog is called; `restarts`: how each source's agent is restarted, where
    somebody has said it.
    """

    owners: Sequence[Owner]
    rules: Notify
    jobs: Mapping[tuple[str, str], Job]
    labels: Mapping[str, Mapping[str, str]]
    silences: Sequence[Silence] = ()
    acknowledged: Mapping[int, datetime] = field(default_factory=dict)
    systems: Mapping[str, str] = field(default_factory=dict)
    addresses: Mapping[str, str] = field(default_factory=dict)
    blind: frozenset[str] = frozenset()
    unseen: Mapping[str, Sequence[Unseen]] = field(default_factory=dict)
    detect: RulesForAll | None = None
    instance: str = ""
    restarts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """The messages that are due, and what is noted as told without one."""

    due: list[Dispatch]
    noted: dict[ToldKey, Told]


def plan(incidents: Iterable[Incident], told: Mapping[ToldKey, Told], people: People, now: Moment) -> Plan:
    """What is to be told now."""
    made, known = Plan([], {}), list(incidents)
    before = _by_incident(told)
    places = _places(known)
    for incident in known:
        rows = before.get(incident.id, {})
        concerned = {audience.target.key: audience for audience in audiences(incident, people)}
        left = [target for target, row in rows.items() if target not in concerned and not row.is_over]
        left.sort(key=lambda target: rows[target].first_at)
        for target in [*concerned, *left]:
            thread = Thread(incident, parse_key(target), concerned.get(target), rows, places, people, now)
            _step(thread, made)
    return made


def _by_incident(told: Mapping[ToldKey, Told]) -> dict[int, dict[str, Told]]:
    found: dict[int, dict[str, Told]] = {}
    for (number, target), state in told.items():
        found.setdefault(number, {})[target] = state
    return found


@dataclass(frozen=True, slots=True)
class Places:
    """`kinds`: in which incidents a kind of finding of a job stands now, each with its source; `jobs`: all that is, or
    was, wrong with a job of a source in an incident; `given_up`: the jobs that were given up, each with its source, and
    in which incidents."""

    kinds: Mapping[tuple[str, str | None], frozenset[tuple[int, str]]]
    jobs: Mapping[tuple[int, str, str | None], Sequence[Member]]
    given_up: Mapping[tuple[str, str | None], Sequence[tuple[int, Member]]]


def _places(incidents: Iterable[Incident]) -> Places:
    kinds: dict[tuple[str, str | None], set[tuple[int, str]]] = {}
    jobs: dict[tuple[int, str, str | None], list[Member]] = {}
    given_up: dict[tuple[str, str | None], list[tuple[int, Member]]] = {}
    for incident in incidents:
        for (source, kind, job_id), member in incident.members.items():
            if member.active:
                kinds.setdefault((kind, job_id), set()).add((incident.id, source))
            if not member.under:
                jobs.setdefault((incident.id, source, job_id), []).append(member)
            if kind == Kind.FAILED:
                given_up.setdefault((source, job_id), []).append((incident.id, member))
    return Places({key: frozenset(places) for key, places in kinds.items()}, jobs, given_up)


@dataclass(frozen=True, slots=True)
class Thread:
    """One target and one incident. `audience` is None where it concerns the target no longer."""

    incident: Incident
    target: Target
    audience: Audience | None
    rows: Mapping[str, Told]
    places: Places
    people: People
    now: Moment

    @property
    def before(self) -> Told | None:
        """What the target has been told."""
        return self.rows.get(self.target.key)


def _step(thread: Thread, made: Plan) -> None:
    before = thread.before
    standing = _standing(thread)
    if before is not None and not before.is_over:
        over = [item for item in before.items if _has_ended(item, thread)]
        left = tuple(item for item in before.items if item not in over)
        if not standing and (over or not left) and not any(_is_waited_for(item, thread) for item in left):
            _end(thread, before, over, left, made)
            return
    _tell(thread, standing, made)


def _tell(thread: Thread, standing: Sequence[Standing], made: Plan) -> None:
    """Say what there is to say at this hour; what quiet hours hold back waits, and keeps nothing else back."""
    found = _difference(thread, standing)
    if found is None:
        return
    event, news = found
    listed = [one for one in standing if event is not Event.REMINDER or _is_reminded_of(one, thread)]
    held = _held_back(news or listed, thread)
    if not held:
        made.due.append(_dispatch(thread, event, standing, listed, news))
    else:
        _tell(thread, [one for one in standing if one.key not in held], made)


def _held_back(found: Sequence[Standing], thread: Thread) -> set[Key]:
    """What waits for the end of its owner's quiet hours. What is grave enough takes the rest of its owner's along."""
    held: set[Key] = set()
    for owner in {id(one.owner): one.owner for one in found}.values():
        mine = [one for one in found if one.owner is owner]
        grave = max((one.severity for one in mine), key=_rank)
        held |= {one.key for one in mine} if _is_quiet(owner, grave, thread) else set()
    return held


# what stands


def _standing(thread: Thread) -> list[Standing]:
    """What of the incident concerns the target and is not silenced, as it is told of."""
    audience = thread.audience
    if audience is None or not thread.incident.is_active:
        return []
    heard = [part for part in audience.parts if not _is_hushed(part.member, thread)]
    found = _as_told(thread, [part for part in heard if not part.is_escalation])
    further = _as_told(thread, [part for part in heard if part.is_escalation])
    if not further:
        return found
    by_others, known = _told_to_others(thread), {one.key for one in found}
    called = (one for one in further if one.key not in known)
    return [*found, *(one for one in called if _is_their_turn(one, by_others.get(one.key, ()), thread))]


def _as_told(thread: Thread, parts: Sequence[Part]) -> list[Standing]:
    """Each finding by itself; or that jobs wait, where that is all."""
    own = [part for part in parts if not part.member.under or part.member.finding.severity is Severity.CRITICAL]
    if thread.incident.is_queue or not own:
        return [_that_jobs_wait(thread, parts)] if parts else []
    return [_alone(part) for part in own]


def _alone(part: Part) -> Standing:
    member, finding = part.member, part.member.finding
    graver = member.graver_at or member.began
    return Standing(finding.key, finding.severity, member.began, graver, (member,), part.owner, part.is_escalation)


def _that_jobs_wait(thread: Thread, parts: Sequence[Part]) -> Standing:
    """All that wait are one thing, whichever do at the moment: another that has to is no news. It is as grave, and has
    been since then, as what they wait for."""
    key, own = (thread.incident.source, WAITING, None), thread.incident.own
    members = tuple(part.member for part in parts)
    told = [item for row in thread.rows.values() if not row.is_over for item in row.items if item.key == key]
    began = min([*(item.began_at for item in told), *(member.began for member in members)])
    severity = max((member.finding.severity for member in own), key=_rank)
    causes = [member for member in own if member.finding.severity is severity and not thread.incident.is_queue]
    graver = max([began, *(member.graver_at or member.began for member in causes)])
    return Standing(key, severity, began, graver, members, parts[0].owner, parts[0].is_escalation)


def _is_hushed(member: Member, thread: Thread) -> bool:
    """Whether it is silenced; the end of the silence is an instant at which that changes."""
    now, silences = thread.now, thread.people.silences
    if not is_silenced(member.finding, silences, now.at, thread.incident.id):
        return False
    now.reached(max(silence.ends_at for silence in silences if silence.fits(member.finding, thread.incident.id)))
    return True


def _is_taken_on(one: Standing, thread: Thread) -> bool:
    """Whether somebody has taken it on as it is. What has come back, or got worse, since then nobody has."""
    at = thread.people.acknowledged.get(thread.incident.id)
    return at is not None and one.began <= at and one.graver <= at


def _told_to_others(thread: Thread) -> Mapping[Key, list[ToldItem]]:
    """What those have been told of whose jobs they are."""
    found: dict[Key, list[ToldItem]] = {}
    for target, row in thread.rows.items():
        if target != thread.target.key and not row.is_over:
            for item in row.items:
                found.setdefault(item.key, []).append(item)
    return found


def _is_other_than_taken_on(item: ToldItem, one: Standing, thread: Thread) -> bool:
    """Whether somebody has taken on what was told, and it has another error since."""
    at = thread.people.acknowledged.get(thread.incident.id)
    return at is not None and item.graver_at is not None and item.graver_at <= at < one.graver


def _is_their_turn(one: Standing, by_others: Iterable[ToldItem], thread: Thread) -> bool:
    """Whether those who are called when nobody takes it on are called now, or have been."""
    before, escalate = thread.before, one.owner.escalate
    known = before.items if before and not before.is_over else ()
    if any(_is_same(item, one) for item in known if item.key == one.key):
        return True
    if escalate is None or _is_taken_on(one, thread):
        return False
    if thread.incident.id not in thread.people.acknowledged and any(_job(item.key) == _job(one.key) for item in known):
        return True  # called for this job already, and nobody has taken it on since
    firsts = [item.at for item in by_others if _is_same(item, one)]
    return bool(firsts) and thread.now.reached(min(firsts) + escalate.after)


def _is_same(item: ToldItem, one: Standing) -> bool:
    """Whether it was told of this, and of this spell of it."""
    return item.key == one.key and (item.kind == WAITING or item.began_at == one.began)


def _is_known_as_worse(item: ToldItem, one: Standing, thread: Thread) -> bool:
    """Whether its job was told as graver of the same trouble, and has not been well since: that it is a lesser trouble
    now, as when it was revived and has not proved itself, is no news."""
    graver = thread.incident.members.get(item.key)
    if graver is None or _family(item.key) is not _family(one.key):
        return False
    if graver.ended_at is None or graver.is_unproved:
        return True
    return one.began <= graver.ended_at + thread.people.rules.hold


def _family(key: Key) -> Family:
    try:
        return Kind(key[1]).row.family
    except ValueError:  # jobs that wait, or a kind that an older version knew
        return Family.OWN


def _job(key: Key) -> tuple[str, str | None]:
    return key[0], key[2]


# the difference

Found = tuple[Event, Sequence[Standing]]


class Known:
    """What a target has been told of, by finding and, of what was critical, by job."""

    def __init__(self, items: Sequence[ToldItem]) -> None:
        self.items: Mapping[Key, ToldItem] = {item.key: item for item in items}
        self._critical: dict[tuple[str, str | None], list[ToldItem]] = {}
        for item in items:
            if item.severity is Severity.CRITICAL:
                self._critical.setdefault(_job(item.key), []).append(item)

    def as_worse(self, one: Standing, thread: Thread) -> bool:
        """Whether it was told as something graver."""
        if one.severity is Severity.CRITICAL:
            return False
        return any(_is_known_as_worse(item, one, thread) for item in self._critical.get(_job(one.key), ()))

    def as_it_is(self, one: Standing) -> bool:
        """Whether it was told of in this spell."""
        item = self.items.get(one.key)
        return item is not None and _is_same(item, one)


def _difference(thread: Thread, standing: Sequence[Standing]) -> Found | None:
    """What there is to say to this target, whatever the hour, and what of it is new."""
    before = thread.before
    if not standing:
        return None
    if before is None or before.is_over:
        return _beginning(thread, standing)
    known = Known(before.items)
    fresh, raised = [], []
    for one in standing:
        item = known.items.get(one.key)
        if known.as_worse(one, thread):
            continue
        if item is None or not _is_same(item, one):
            fresh += [] if _is_damped(one, item, thread) else [one]
        elif _rank(one.severity) > _rank(item.severity) or _is_other_than_taken_on(item, one, thread):
            raised.append(one)
    news = [*raised, *fresh]
    if news and _is_time_for(news, before, thread):
        return _named(news, raised, known.items, before), news
    return _reminder(thread, standing, before, known)


def _beginning(thread: Thread, standing: Sequence[Standing]) -> Found | None:
    before = thread.before
    known = {item.key: item for item in before.items} if before else {}
    due = [one for one in standing if not _is_damped(one, known.get(one.key), thread)]
    if not due:
        return None
    if all(one.is_escalation for one in due):
        return Event.ESCALATED, due
    if not thread.now.reached(min(one.began for one in due) + thread.people.rules.group_wait):
        return None
    return Event.BACK if any(one.key in known for one in due) else Event.OPENED, due


def _is_damped(one: Standing, item: ToldItem | None, thread: Thread) -> bool:
    """Whether it comes and goes, was told of often enough, and has not stood for long enough to be told of again."""
    is_queue = thread.incident.is_queue
    if item is None or (len(one.members) != 1 and not is_queue):
        return False
    member = _queue(thread) if is_queue else one.members[0]
    needed = spells.to_be_told(member)
    return needed is not None and not thread.now.reached(member.began + needed)


def _queue(thread: Thread) -> Member:
    """That jobs wait for runs, which is one thing whichever do."""
    return spells.as_one(thread.incident.members.values(), thread.people.rules.hold)


def _is_time_for(news: Sequence[Standing], before: Told, thread: Thread) -> bool:
    """At once where the first of it gets critical; else the sooner the fewer messages came before, so that a storm
    that grows all day is told in a few."""
    severity = max((one.severity for one in news), key=_rank)
    is_first = severity is Severity.CRITICAL and before.severity is not Severity.CRITICAL
    pause = spells.pause(_burst(before, severity, thread), severity)
    if severity is Severity.WARNING and {_job(one.key) for one in news} <= {_job(item.key) for item in before.items}:
        pause = max(pause, thread.people.rules.gather)  # one more name for the same job's trouble
    settled = min(one.began for one in news) + thread.people.rules.group_wait
    return is_first or thread.now.reached(max(before.last_at + pause, settled))


def _burst(before: Told, severity: Severity, thread: Thread) -> int:
    """How many times in a row it has been told of more; after a long quiet it begins anew."""
    is_calm = thread.now.at - before.last_at >= spells.forgets(severity)
    return 0 if is_calm else before.burst


def _named(news: Sequence[Standing], raised: Sequence[Standing], told: Mapping[Key, ToldItem], before: Told) -> Event:
    jobs = {(source, job_id) for source, _, job_id in told}
    critical = [one for one in news if one.severity is Severity.CRITICAL]
    if not raised and all(one.is_escalation for one in news):
        return Event.ESCALATED
    is_worse = any((one.key[0], one.key[2]) in jobs and one.key not in told for one in critical)
    if raised or is_worse or (critical and before.severity is not Severity.CRITICAL):
        return Event.WORSE
    return Event.BACK if all(one.key in told for one in news) else Event.JOINED


def _reminder(thread: Thread, standing: Sequence[Standing], before: Told, known: Known) -> Found | None:
    is_open = (one for one in standing if known.as_it_is(one) or known.as_worse(one, thread))
    due = (before.last_at + _remind_every(one, thread) for one in is_open if _is_reminded_of(one, thread))
    return (Event.REMINDER, ()) if any(thread.now.reached(at) for at in set(due)) else None


def _is_reminded_of(one: Standing, thread: Thread) -> bool:
    return _remind_every(one, thread) > timedelta() and not _is_taken_on(one, thread)


def _remind_every(one: Standing, thread: Thread) -> timedelta:
    every = one.owner.remind_every
    return thread.people.rules.remind_every if every is None else every


# the end


def _has_ended(item: ToldItem, thread: Thread) -> bool:
    """Whether what was told of is no longer so, and has been away for as long as it takes to be sure."""
    incident = thread.incident
    if incident.source in thread.people.blind and incident.family != Kind.UNREACHABLE:
        return False
    if item.kind == WAITING:
        return not incident.is_open or _waits_no_more(thread)
    # something else of the same trouble may be so, whoever is told of that
    return not _is_given_up(item, thread) and all(_is_away(member, thread) for member in _of_its_job(item, thread))


def _of_its_job(item: ToldItem, thread: Thread) -> Sequence[Member]:
    """All that is or was wrong with its job in this incident."""
    return thread.places.jobs.get((thread.incident.id, *_job(item.key)), ())


def _is_given_up(item: ToldItem, thread: Thread) -> bool:
    """Whether its job was given up, which is an incident of its own: nothing shows then whether this is mended."""
    found = thread.places.given_up.get(_job(item.key), ())
    return any(number != thread.incident.id and not _is_away(member, thread) for number, member in found)


def _waits_no_more(thread: Thread) -> bool:
    """Whether what the target's jobs waited for is over, and they have been served; or nobody waits in the queue."""
    if thread.incident.is_queue:
        return not thread.incident.is_active and _is_away(_queue(thread), thread)
    waiting = thread.audience is not None and any(part.member.under for part in thread.audience.parts)
    return not waiting and all(_is_away(one, thread) for one in thread.incident.members.values() if not one.under)


def _is_away(member: Member, thread: Thread) -> bool:
    """Whether it has been over for long enough; one that has come back since is not, whether or not that is told."""
    if member.is_unproved or member.ended_at is None:
        return False
    return thread.now.reached(member.ended_at + spells.to_be_over(member, thread.people.rules.hold))


def _is_elsewhere(item: ToldItem, thread: Thread) -> bool:
    """Whether it is so still: under what turned out to be its cause, or under another name of its source."""
    places = thread.places.kinds.get((item.kind, item.job_id), frozenset())
    is_ours = item.source in thread.people.systems
    return any(
        number != thread.incident.id and (source == item.source or not is_ours) for number, source in places
    ) or (item.kind == WAITING and thread.incident.merged_into is not None)


def _is_waited_for(item: ToldItem, thread: Thread) -> bool:
    """Whether the target is not told of the end of anything else before this is over: it concerns the target still,
    though owners may have changed since it was told, and nobody has silenced it."""
    if item.kind == WAITING:
        return True
    member = thread.incident.members.get(item.key)
    return member is not None and _owner_to(thread, item) is not None and not _is_hushed(member, thread)


def _owner_to(thread: Thread, item: ToldItem) -> Owner | None:
    """The entry of the configuration by which a finding concerns the target."""
    member = thread.incident.members.get(item.key)
    ways = _ways(member.finding, thread.people) if member else ()
    return next((owner for owner, target, _ in ways if target == thread.target), None)


def _end(thread: Thread, before: Told, over: Sequence[ToldItem], left: tuple[ToldItem, ...], made: Plan) -> None:
    """Those who were told of it are told that it is over; not where it goes on elsewhere, or ends are not wanted.

    `left`: what goes on, and is somebody else's now: of that they hear when it ends.
    """
    noted = replace(before, last_at=thread.now.at, is_over=not left, burst=0, items=left or before.items)
    is_moved = bool(over) and all(_is_elsewhere(item, thread) for item in over)
    if not thread.people.rules.resolved or is_moved:
        made.noted[(thread.incident.id, thread.target.key)] = replace(noted, last_at=before.last_at)
        return
    owners = (_owner_to(thread, item) for item in over) if over else (None,)
    if all(_is_quiet(owner, before.severity, thread) for owner in owners):
        return
    members = tuple(_members_of(over, thread))
    endings = {item.key: _ending(item, thread.people) for item in over}
    told = replace(noted, count=before.count + 1, returns=thread.incident.returns)
    system = thread.people.systems.get(thread.incident.source, "")
    made.due.append(
        Dispatch(thread.incident, thread.target, Event.RESOLVED, told, before.severity, members, (), system, endings)
    )


def _members_of(items: Iterable[ToldItem], thread: Thread) -> Iterator[Member]:
    """What was told of, as it was at its end, with what became of it."""
    found: dict[Key, Member] = {}
    for item in items:
        if item.kind == WAITING:
            found |= {member.finding.key: member for member in _who_waited(item, thread)}
        for member in _of_its_job(item, thread):
            if member.finding.key == item.key or (member.ended_at or item.at) > item.at:
                found[member.finding.key] = member
    yield from found.values()


def _who_waited(item: ToldItem, thread: Thread) -> list[Member]:
    """The jobs of the target that waited since that was so, of which none waits now."""
    mine = []
    for member in thread.incident.members.values():
        is_since = member.ended_at is None or member.ended_at >= item.began_at
        if is_since and (member.under or thread.incident.is_queue):
            targets = targets_for(member.finding, thread.people)
            mine += [member] if thread.target in targets else []
    return mine


def _ending(item: ToldItem, people: People) -> Ending:
    if _is_unseen(item, people):
        return Ending.UNSEEN
    if _is_gone(item, people):
        return Ending.GONE
    job = people.jobs.get((item.source, item.job_id or ""))
    if _is_unwanted(item, job, people):
        return Ending.UNWANTED
    return Ending.OFF if job is not None and job.state in ("paused", "disabled") else Ending.OVER


def _is_unwanted(item: ToldItem, job: Job | None, people: People) -> bool:
    """Whether it is found no more because the configuration has it switched off."""
    if people.detect is None or item.kind not in set(Kind):
        return False
    return not (people.detect.of(job) if job else people.detect).is_on(Kind(item.kind))


def _is_unseen(item: ToldItem, people: People) -> bool:
    """Whether it is found no more only because nobody can see if it is so."""
    return any(unseen.hides_it(item.kind, item.job_id) for unseen in people.unseen.get(item.source, ()))


def _is_gone(item: ToldItem, people: People) -> bool:
    """Whether its job was there when it was told and no longer is, though its source can be read."""
    is_read = item.source in people.systems and item.source not in people.blind and not _is_unseen(item, people)
    return is_read and item.was_there and (item.source, item.job_id or "") not in people.jobs


def _dispatch(
    thread: Thread, event: Event, standing: Sequence[Standing], listed: Sequence[Standing], news: Sequence[Standing]
) -> Dispatch:
    now, before, incident = thread.now.at, thread.before, thread.incident
    live = before if before and not before.is_over else None
    grave = max([one.severity for one in (listed or standing)], key=_rank)
    # a reminder says how grave it is by now: what gets worse after it is news
    severity = max(grave, live.severity, key=_rank) if live and event is not Event.REMINDER else grave
    told = Told(
        live.first_at if live else now,
        now,
        severity,
        incident.returns,
        before.count + 1 if before else 1,
        items=_items(live, event, standing if event is Event.REMINDER else news, thread),
        burst=_next_burst(live, event, severity, thread),
    )
    return Dispatch(
        incident,
        thread.target,
        event,
        told,
        grave,
        tuple(member for one in listed for member in one.members),
        tuple(member for one in news for member in one.members) if live else (),
        thread.people.systems.get(incident.source, ""),
        restart=thread.people.restarts.get(incident.source, ""),
    )


def _items(live: Told | None, event: Event, news: Sequence[Standing], thread: Thread) -> tuple[ToldItem, ...]:
    """What the target has been told of when this is told: what it had been, and the news."""
    items = {item.key: item for item in live.items} if live else {}
    for one in news:
        same = items.get(one.key)
        if same is not None and not _is_same(same, one):
            same = None
        if same is None and event is Event.REMINDER:
            continue
        source, kind, job_id = one.key
        items[one.key] = ToldItem(
            source,
            kind,
            job_id,
            one.severity if same is None or event is Event.REMINDER else max(same.severity, one.severity, key=_rank),
            same.at if same else thread.now.at,
            one.began,
            (source, job_id or "") in thread.people.jobs,
            one.graver,
        )
    return tuple(items.values())


def _next_burst(live: Told | None, event: Event, severity: Severity, thread: Thread) -> int:
    if live is None:
        return 0
    return live.burst if event is Event.REMINDER else _burst(live, severity, thread) + 1


_GRAVITY = {Severity.WARNING: 1, Severity.CRITICAL: 2}


def _rank(severity: Severity) -> int:
    return _GRAVITY[severity]


def _is_quiet(owner: Owner | None, severity: Severity, thread: Thread) -> bool:
    """Whether the quiet hours hold it back. What is held back is told when they end, if it is still so."""
    end = held_until(owner, thread.people.rules, severity, thread.now.at)
    return end is not None and not thread.now.reached(end)


def held_until(owner: Owner | None, rules: Notify, severity: Severity, at: datetime) -> datetime | None:
    """Until when the quiet hours hold back what is so grave; None if they do not."""
    quiet = (owner.quiet_hours if owner else None) or rules.quiet_hours
    if quiet is None or (quiet.except_ == "critical" and severity is Severity.CRITICAL):
        return None
    return quiet_until(quiet, at, rules.timezone)


# who


def audiences(incident: Incident, people: People) -> list[Audience]:
    """Everybody whom it concerns now, each target once: the owners of what it is about, and of its symptoms."""
    found: dict[str, tuple[Target, list[Part]]] = {}
    for member in incident.members.values():
        for owner, target, is_escalation in _ways(member.finding, people) if member.active else ():
            parts = found.setdefault(target.key, (target, []))[1]
            if not parts or parts[-1].member is not member:
                parts.append(Part(member, owner, is_escalation))
    return [Audience(target, tuple(parts)) for target, parts in found.values()]


def _ways(finding: Finding, people: People) -> Iterator[tuple[Owner, Target, bool]]:
    """Where its owners are told of it; then where, if nobody takes it on."""
    job = people.jobs.get((finding.source, finding.job_id or ""))
    for owner, targets in _owners(finding, job, people):
        yield from ((owner, target, False) for target in targets)
        further = targets_of(owner.escalate.notify, finding, job, people.addresses) if owner.escalate else []
        yield from ((owner, target, True) for target in further)


def owner_of(finding: Finding, people: People) -> tuple[Owner | None, list[Target]]:
    """The first owner that matches and can be reached: an address may ask for facts that are not known."""
    job = people.jobs.get((finding.source, finding.job_id or ""))
    return next(_owners(finding, job, people), (None, []))


def _owners(finding: Finding, job: Job | None, people: People) -> Iterator[tuple[Owner, list[Target]]]:
    """The owner; of what is about no job, and that nobody has named, all who may have jobs there."""
    labels = people.labels.get(finding.source, {})
    asked = subject_of(finding.source, job, labels) if job else Subject(finding.source, finding.job, labels=labels)
    found = [*_reached(owners_of(people.owners, asked), finding, job, people)][:1]
    if not found and finding.job_id is None:
        is_ours = finding.kind is Kind.UNSAVED  # about no source that an owner could have named
        concerned = (owner for owner in people.owners if is_ours or fits(_of_any_job(owner.match), asked))
        found = [*_reached(concerned, finding, job, people)]
    yield from found


def _of_any_job(match: OwnerMatch) -> OwnerMatch:
    return match.but(job=None, created_by=None, delivery_target=None)


def _reached(
    owners: Iterable[Owner], finding: Finding, job: Job | None, people: People
) -> Iterator[tuple[Owner, list[Target]]]:
    pairs = ((owner, targets_of(owner.notify, finding, job, people.addresses)) for owner in owners)
    return (pair for pair in pairs if pair[1])


def targets_for(finding: Finding, people: People) -> list[Target]:
    """Where the owner of a finding is told."""
    return owner_of(finding, people)[1]


def quiet_until(quiet: QuietHours, at: datetime, usual_zone: str = "UTC") -> datetime | None:
    """The end of the quiet hours that `at` lies in; None if it lies in none. They may go over midnight; from an hour to
    the same they are the whole day."""
    zone = ZoneInfo(quiet.timezone or usual_zone)
    begin, end = time.fromisoformat(_padded(quiet.from_)), time.fromisoformat(_padded(quiet.to))
    local = at.astimezone(zone)
    is_quiet = begin <= local.time() < end if begin < end else local.time() >= begin or local.time() < end
    if not is_quiet:
        return None
    day = local.date() + timedelta(days=1 if begin >= end and local.time() >= begin else 0)
    return datetime.combine(day, end, zone).astimezone(at.tzinfo)


def _padded(text: str) -> str:
    return text.rjust(5, "0")
