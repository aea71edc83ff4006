"""What stands in the state file, made fit to go on with: after an upgrade, and after the clock was put back."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from watchdog.core.incident import Incident, Member, Spell, Told, ToldItem, ToldKey
from watchdog.core.silences import Silence


def carried_over(told: Told, incident: Incident | None) -> Told:
    """What a target was told, with its findings: an older version wrote down only that it was told.

    All that was there at its last message it has been told of, so that nothing is told again, and its end is.
    """
    if told.items or told.is_over or incident is None:
        return told
    known = [member for member in incident.members.values() if member.first_seen <= told.last_at and not member.under]
    items = tuple(
        ToldItem(*member.finding.key, told.severity, told.first_at, member.began)
        for member in known or incident.members.values()
    )
    return replace(told, items=items)


def not_ahead(incident: Incident, now: datetime) -> Incident:
    """The incident with none of its own instants in the future, where only a clock that was put back can leave one."""
    return replace(
        incident,
        opened_at=min(incident.opened_at, now),
        changed_at=min(incident.changed_at, now),
        joined_at=_least(incident.joined_at, now),
        clear_since=_least(incident.clear_since, now),
        resolved_at=_least(incident.resolved_at, now),
        members={key: _member(member, now) for key, member in incident.members.items()},
    )


def _member(member: Member, now: datetime) -> Member:
    return replace(
        member,
        first_seen=min(member.first_seen, now),
        began_at=_least(member.began_at, now),
        graver_at=_least(member.graver_at, now),
        ended_at=_least(member.ended_at, now),
        earlier=tuple(Spell(min(spell.began_at, now), min(spell.ended_at, now)) for spell in member.earlier),
    )


def told_not_ahead(told: Told, now: datetime) -> Told:
    """The same of what a target was told."""
    items = tuple(_item(item, now) for item in told.items)
    return replace(told, first_at=min(told.first_at, now), last_at=min(told.last_at, now), items=items)


def _item(item: ToldItem, now: datetime) -> ToldItem:
    at, began_at, graver_at = min(item.at, now), min(item.began_at, now), _least(item.graver_at, now)
    return replace(item, at=at, began_at=began_at, graver_at=graver_at)


def silence_not_ahead(silence: Silence, seen: datetime, now: datetime) -> Silence:
    """A silence that begins in the future, begun now, for as long as was left of it. `seen`: when the clock was last
    looked at before it was put back."""
    left = silence.ends_at - min(max(silence.starts_at, seen), silence.ends_at)
    return replace(silence, starts_at=now, ends_at=now + left)


def ahead(told: Mapping[ToldKey, Told], incidents: Mapping[int, Incident], now: datetime) -> set[int]:
    """The incidents of which something was written down in the future."""
    late = {number for (number, _), state in told.items() if state.last_at > now}
    return late | {number for number, incident in incidents.items() if incident.changed_at > now}


def _least(instant: datetime | None, now: datetime) -> datetime | None:
    return min(instant, now) if instant is not None else None
