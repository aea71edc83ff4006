"""What stands in the state file, made fit to go on with: after an upgrade, and after the clock was set."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

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


Date = Callable[[datetime], datetime]
"""What an instant that stands in the state file is by the clock as it is now."""


def after_a_step(now: datetime, step: timedelta, since: datetime) -> Date:
    """After the clock was set by `step`, back where it is negative: what was written from `since` on keeps its age.
    Nothing lies in the future: where the step is not known it is zero, and what lies there is so from now on."""
    return lambda instant: min(instant + step if instant >= since else instant, now)


def dated(incident: Incident, date: Date) -> Incident:
    """The incident with its own instants by the clock as it is now."""
    return replace(
        incident,
        opened_at=date(incident.opened_at),
        changed_at=date(incident.changed_at),
        joined_at=_maybe(incident.joined_at, date),
        clear_since=_maybe(incident.clear_since, date),
        resolved_at=_maybe(incident.resolved_at, date),
        members={key: _member(member, date) for key, member in incident.members.items()},
    )


def _member(member: Member, date: Date) -> Member:
    return replace(
        member,
        first_seen=date(member.first_seen),
        began_at=_maybe(member.began_at, date),
        graver_at=_maybe(member.graver_at, date),
        ended_at=_maybe(member.ended_at, date),
        earlier=tuple(Spell(date(spell.began_at), date(spell.ended_at)) for spell in member.earlier),
    )


def told_dated(told: Told, date: Date) -> Told:
    """The same of what a target was told."""
    items = tuple(_item(item, date) for item in told.items)
    return replace(told, first_at=date(told.first_at), last_at=date(told.last_at), items=items)


def _item(item: ToldItem, date: Date) -> ToldItem:
    return replace(item, at=date(item.at), began_at=date(item.began_at), graver_at=_maybe(item.graver_at, date))


def silence_dated(silence: Silence, date: Date, seen: datetime, now: datetime) -> Silence:
    """A silence by the clock as it is now, for as long as was left of it when the clock was last looked at (`seen`)
    before it was set."""
    left = silence.ends_at - min(max(silence.starts_at, seen), silence.ends_at)
    return replace(silence, starts_at=date(silence.starts_at), ends_at=now + left)


def ahead(told: Mapping[ToldKey, Told], incidents: Mapping[int, Incident], now: datetime) -> set[int]:
    """The incidents of which something was written down in the future."""
    late = {number for (number, _), state in told.items() if state.last_at > now}
    return late | {number for number, incident in incidents.items() if incident.changed_at > now}


def _maybe(instant: datetime | None, date: Date) -> datetime | None:
    return date(instant) if instant is not None else None
