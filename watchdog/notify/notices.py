"""What recovery has to tell, gathered like everything else: thirty questions are one, and so are thirty outcomes.

A silence and quiet hours hold it back as they hold back what it is about; what is asked no longer is not asked later.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from watchdog.config.file import Owner
from watchdog.core.kinds import Severity
from watchdog.core.moment import Moment
from watchdog.core.notice import PROPOSED, VERIFIED, Notice
from watchdog.core.redaction import fit_to_leave
from watchdog.core.silences import is_silenced
from watchdog.notify.plan import People, held_until, owner_of
from watchdog.notify.targets import Target
from watchdog.notify.words import LISTED, NAME_LENGTH, Message, plain_message

PAUSE = timedelta(minutes=10)
"""How long after a message the next one of the same matter gathers what there is to tell."""

LONGEST_PAUSE = timedelta(hours=1)
"""Up to how long after a question the next one waits: each in a row twice as long, for all are approved at once."""

HEALING = timedelta(days=2)
"""How long good news waits for the rest of a storm: a thousand jobs are revived within a day, a minute apart, and those
that run daily have shown a day later that they are well."""

FIRES = timedelta(hours=1)
"""How long an Alertmanager is told of it: it gathers, routes and repeats by itself, and must not miss it."""

Matter = tuple[str, str, str, str]
"""Target, source, matter and action: what is told together."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One message of alike notices to one target."""

    target: Target
    notices: tuple[Notice, ...]

    @property
    def type(self) -> str:
        """What it is coloured by: as grave as what it is about, unless that is mended."""
        if self.notices[0].matter == VERIFIED:
            return "success"
        is_grave = any(notice.finding.severity is Severity.CRITICAL for notice in self.notices)
        return "failure" if is_grave else "warning"

    @property
    def incidents(self) -> tuple[int, ...]:
        """The numbers of those that it is about, each once."""
        return tuple(dict.fromkeys(notice.incident for notice in self.notices if notice.incident is not None))

    @property
    def foot(self) -> str:
        """What it is about, as every message says it."""
        source, numbers = self.notices[0].finding.source, [str(number) for number in self.incidents]
        if len(numbers) < 2:
            return f"incident {numbers[0]} of {source}" if numbers else source
        return f"incidents {', '.join(numbers[:-1])} and {numbers[-1]} of {source}"


@dataclass(frozen=True, slots=True)
class Told:
    """What is due now, and the notices as they are from now on; None for those that are done with. `firing`: what fires
    at an Alertmanager now, by channel."""

    batches: list[Batch] = field(default_factory=list)
    changed: dict[str, Notice | None] = field(default_factory=dict)
    matters: dict[Matter, "Before"] = field(default_factory=dict)
    firing: list[tuple[str, Notice]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class World:
    """What gathering goes by. `is_busy`: whether a source has actions under way, or next, of which a target will be
    told; `is_asked`: whether an action still waits for a person; `before`: how each matter was last told; `alerting`:
    the channels that lead to an Alertmanager; `incidents`: the open incident of each job, by source and id."""

    people: People
    is_busy: Callable[[str, Target], bool]
    is_asked: Callable[[int], bool]
    before: Mapping[Matter, "Before"]
    alerting: frozenset[str] = frozenset()
    incidents: Mapping[tuple[str, str | None], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Before:
    """When a matter was last told, and after how many others in a row."""

    at: datetime
    others: int = 0

    def pause(self, matter: Matter) -> timedelta:
        """How long the next one gathers what there is to tell."""
        times = 1 << min(self.others, 8) if matter[2] == PROPOSED else 1
        return min(PAUSE * times, LONGEST_PAUSE)


def gathered(notices: Mapping[str, Notice], world: World, now: Moment) -> Told:
    """The messages that are due."""
    made = Told()
    waiting: dict[Matter, list[tuple[str, Target]]] = {}
    for key, notice in notices.items():
        owner, targets = owner_of(notice.finding, world.people)
        left = [target for target in targets if target.key not in notice.told]
        if owner is None or not left or not _still_matters(notice, world):
            made.changed[key] = None
        elif not _is_held(notice, owner, world, now):
            _alert(key, notice, [target for target in left if target.name in world.alerting], made, now)
            for target in left:
                if target.name not in world.alerting:
                    matter = (target.key, notice.finding.source, notice.matter, notice.kind)
                    waiting.setdefault(matter, []).append((key, target))
    for matter, found in waiting.items():
        if _is_time([notices[key] for key, _ in found], matter, found[0][1], world, now):
            _tell(matter, found, notices, made, now)
            made.matters[matter] = _told_now(world.before.get(matter), now.at)
    return made


def _alert(key: str, notice: Notice, targets: Iterable[Target], made: Told, now: Moment) -> None:
    """Let it fire at these for its time, counted from when it could be told."""
    for target in targets:
        began = notice.fires_since or now.at
        if now.reached(min(began, now.at) + FIRES):
            known = made.changed.get(key) or notice
            made.changed[key] = replace(known, told=(*known.told, target.key))
            continue
        if notice.fires_since is None:
            made.changed[key] = replace(made.changed.get(key) or notice, fires_since=now.at)
        made.firing.append((target.name, replace(notice, fires_since=began)))


def _still_matters(notice: Notice, world: World) -> bool:
    return notice.matter != PROPOSED or notice.action is None or world.is_asked(notice.action)


def _is_held(notice: Notice, owner: Owner, world: World, now: Moment) -> bool:
    """Whether a silence or quiet hours hold it back."""
    people, finding = world.people, notice.finding
    incident = world.incidents.get((finding.source, finding.job_id))
    if is_silenced(finding, people.silences, now.at, incident):
        now.reached(max(silence.ends_at for silence in people.silences if silence.fits(finding, incident)))
        return True
    # good news of what is grave goes out as its end does: after `Over` it would be no news
    end = held_until(owner, people.rules, notice.finding.severity, now.at)
    return end is not None and not now.reached(end)


def _is_time(notices: Sequence[Notice], matter: Matter, target: Target, world: World, now: Moment) -> bool:
    """Whether what belongs together has come together: what is well again once all is that was tried, else at once."""
    rules = world.people.rules
    first = min(min(notice.at for notice in notices), now.at)
    before = world.before.get(matter)
    if before is not None and not now.reached(min(before.at, now.at) + min(before.pause(matter), rules.gather)):
        return False
    if not now.reached(first + rules.group_wait):
        return False
    if matter[2] == VERIFIED and world.is_busy(matter[1], target):
        return now.reached(first + HEALING)
    return True


def _tell(
    matter: Matter, found: Iterable[tuple[str, Target]], notices: Mapping[str, Notice], made: Told, now: Moment
) -> None:
    keys = [key for key, _ in found]
    target = next(target for _, target in found)
    made.batches.append(Batch(target, tuple(notices[key] for key in keys)))
    for key in keys:
        known = made.changed.get(key) or notices[key]
        made.changed[key] = replace(known, told=(*known.told, target.key))


def _told_now(before: Before | None, at: datetime) -> Before:
    """After a long quiet it begins anew."""
    is_calm = before is None or not timedelta() <= at - before.at < 2 * LONGEST_PAUSE
    return Before(at, 0 if before is None or is_calm else before.others + 1)


def message(batch: Batch) -> Message:
    """What one target reads."""
    first, count = batch.notices[0], len(batch.notices)
    if count == 1:
        return plain_message(f"{first.matter}: {first.what}", first.lead, first.facts, batch.foot)
    names = [notice.finding.job or notice.finding.source for notice in batch.notices]
    said = plain_message(
        f"{first.matter}: {first.kind or 'recovery'} of {count} jobs: {names[0]} and {count - 1} more",
        f"{count} jobs. The first of them: {first.lead}",
        _facts(batch.notices),
        batch.foot,
    )
    listed = [
        f"{fit_to_leave(name, NAME_LENGTH)}{_number(one)}" for name, one in zip(names, batch.notices, strict=True)
    ]
    more = [f"and {count - LISTED} more"] if count > LISTED else []
    return replace(said, jobs=(*listed[:LISTED], *more))


def _number(notice: Notice) -> str:
    return f" (recovery {notice.action})" if notice.action is not None else ""


def _facts(notices: Sequence[Notice]) -> list[tuple[str, str]]:
    if notices[0].matter != PROPOSED:
        to_do = [fact for notice in notices for fact in notice.facts if fact[0] == "To do"]
        return [*to_do[:1], ("Every step", "scheduler-watchdog recoveries")]
    same = [fact for fact in notices[0].facts if fact[0] not in ("To approve",)]
    return [
        *same,
        ("To approve all", "scheduler-watchdog approve --all"),
        ("Or one of them", f"scheduler-watchdog approve {notices[0].action}"),
    ]
