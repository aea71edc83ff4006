"""Whether a job's run is in flight, by what the store claims; and whether its scheduler has started since.

A claim outlives the process that made it: it counts only as long as nothing proves that it is void.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from watchdog.cadence.schedule import fire_at_or_before, next_fire
from watchdog.core.model import At, CronSchedule, Every, Interruption, Schedule

SAME_MOMENT = timedelta(seconds=2)
"""Stamps that lie no further apart are of one moment."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What a look shows of one job, as far as others' claims depend on it.

    `anchor`: when it last ran, was made or changed, as far as the store tells. `claims`: since when it says that it
    runs, and by which record; `run_starts`: when runs of it began that are on record.
    """

    id: str
    schedule: Schedule
    is_planned: bool
    anchor: datetime | None
    next_run_at: datetime | None
    last_start: datetime | None
    claimed_at: datetime | None = None
    record: str | None = None


def planned_anew(sight: Sight, before: datetime | None) -> datetime | None:
    """The earliest instant at which a scheduler that plans all jobs anew at its start can have done so to this one.

    A next run that does not follow from the last run, nor from the last change, was worked out at some other time.
    `before`: the next run at an earlier look, where nothing else has changed since.
    """
    following = sight.next_run_at
    if not sight.is_planned or following is None or sight.anchor is None:
        return None
    made: datetime | None = None
    if isinstance(sight.schedule, Every):
        made = following - sight.schedule.interval
    elif isinstance(sight.schedule, CronSchedule) and (not sight.schedule.is_zone_assumed or before is not None):
        usual = next_fire(sight.schedule, sight.anchor)
        if usual is not None and following > usual + SAME_MOMENT:
            made = fire_at_or_before(sight.schedule, following - SAME_MOMENT)
    return made if made is not None and made > sight.anchor + SAME_MOMENT else None


@dataclass(frozen=True, slots=True)
class State:
    """Since when a job is in flight, or which run of it was broken off."""

    in_flight_since: datetime | None = None
    interrupted: Interruption | None = None


def states(
    sights: Iterable[Sight], restarted_at: datetime | None, *, is_gone: bool, one_at_a_time: bool
) -> Mapping[str, State]:
    """What the claims are worth. `is_gone`: no process is there that could run anything.

    Where runs wait for each other, a run that began later voids a claim too.
    """
    claims = [sight for sight in sights if sight.claimed_at is not None]
    starts = {sight.id: sight.last_start for sight in sights if sight.last_start}
    return {
        sight.id: _state(sight, starts, restarted_at, is_gone=is_gone, one_at_a_time=one_at_a_time) for sight in claims
    }


def _state(
    sight: Sight, starts: Mapping[str, datetime], restarted_at: datetime | None, *, is_gone: bool, one_at_a_time: bool
) -> State:
    claimed = sight.claimed_at
    if claimed is None:
        return State()
    own = starts.get(sight.id)
    if own is not None and own > claimed + SAME_MOMENT:
        return State()
    if restarted_at is not None and restarted_at > claimed:
        return State(interrupted=Interruption(claimed, restarted_at, sight.record))
    if is_gone:
        return State(interrupted=Interruption(claimed, None, sight.record))
    others = max((at for id_, at in starts.items() if id_ != sight.id), default=None)
    if one_at_a_time and others is not None and others > claimed + SAME_MOMENT:
        return State(interrupted=Interruption(claimed, None, sight.record))
    return State(in_flight_since=claimed)


def is_lost_one_shot(schedule: Schedule, restarted_at: datetime | None) -> bool:
    """Whether a job that runs once, and has no next run, was passed by a start of its scheduler: it never runs."""
    return isinstance(schedule, At) and restarted_at is not None and restarted_at > schedule.at
